/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by every benchmark program.  One source, two builds:
 *   -DKERN  (bpf)  : XDP program, ctx = struct xdp_md; skep's and the kernel's JIT
 *   -DNATIVE (x86) : entry(u8 *mem, u64 len), compiled as a shared object
 * A program defines `static inline u32 body(const u8 *d, const u8 *e)` and then ENTRY(). */
#pragma once
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32;
typedef unsigned long long u64; typedef int s32; typedef long long s64;
#define __always_inline inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define NOUNROLL _Pragma("clang loop unroll(disable)")
#define SEC(n) __attribute__((section(n), used))
#define barrier_var(v) asm volatile("" : "+r"(v))
#define MAP_HASH 1
#define MAP_ARRAY 2
#if defined(NATIVE)
#define DEFINE_MAP(nm, T, K, V, N) void *nm##_umap;      /* filled in by the harness */
#define MAP(nm) nm##_umap
#define bpf_map_lookup_elem native_map_lookup_elem
#define bpf_map_update_elem native_map_update_elem
struct umap { u32 type, ks, vs, max, mask, stride; u8 *data; };	/* as in bench/engines.c */
void *native_map_lookup_elem_slow(void *map, const void *key);
/* array lookups inline (as the kernel JIT and any good JIT do), hash lookups call out */
static __always_inline void *native_map_lookup_elem(void *map, const void *key) {
	struct umap *m = map;
	if (__builtin_expect(m->type == MAP_ARRAY, 1)) { u32 i = *(const u32 *)key; return i < m->max ? m->data + (u64)i * m->stride : 0; }
	return native_map_lookup_elem_slow(map, key);
}
long bpf_map_update_elem(void *map, const void *key, const void *val, u64 flags);
#else
#define DEFINE_MAP(nm, T, K, V, N) struct { int (*type)[T]; K *key; V *value; int (*max_entries)[N]; } nm SEC(".maps");
#define MAP(nm) ((void *)&nm)
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *val, u64 flags) = (void *)2;
#endif
#if defined(KERN)
struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
#define ENTRY() char LICENSE[] SEC("license") = "GPL"; \
 SEC("xdp") int entry(struct xdp_md *ctx) { return body((const u8 *)(long)ctx->data, (const u8 *)(long)ctx->data_end); }
#elif defined(USER)
#define ENTRY() char LICENSE[] SEC("license") = "GPL"; \
 SEC("xdp") u64 entry(const u8 *mem, u64 len) { return body(mem, mem + len); }
#else
#define ENTRY() u64 entry(const u8 *mem, u64 len) { return body(mem, mem + len); }
#endif
/* packet layout made by the harness (1024 bytes): eth 0-13, ipv4 14-33, tcp 34-53,
 * 64..255 random bytes, 256..511 text, 512..767 copy of the text (differs at +200), 768..1023 random u32 */
#define NEED(n) if (d + (n) > e) return 0
static __always_inline u16 bs16(u16 x) { return __builtin_bswap16(x); }
static __always_inline u32 bs32(u32 x) { return __builtin_bswap32(x); }
static __always_inline u32 rol32(u32 x, int r) { return (x << r) | (x >> (32 - r)); }
static __always_inline u64 rol64(u64 x, int r) { return (x << r) | (x >> (64 - r)); }
