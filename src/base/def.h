/* SPDX-License-Identifier: Apache-2.0 */
/* def.h - fixed-width types and small macros used everywhere. Includes nothing of skep. */
#ifndef SKEP_BASE_DEF_H
#define SKEP_BASE_DEF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, a)		(((x) + ((a) - 1)) & ~((__typeof__(x))(a) - 1))
#define ALIGN_DOWN(x, a)	((x) & ~((__typeof__(x))(a) - 1))
#define MIN(a, b)		((a) < (b) ? (a) : (b))
#define MAX(a, b)		((a) > (b) ? (a) : (b))
#define BIT(n)			(1u << (n))
#define BIT64(n)		(1ull << (n))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))
#define sizeof_field(type, member)    sizeof(((type *)0)->member)
#define offsetofend(type, member)     (offsetof(type, member) + sizeof_field(type, member))

/* Shared memory is written by others: every access to it is a single, untorn one. */
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define LOAD_ACQUIRE(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE_RELEASE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

/* A fence between atomic accesses. ThreadSanitizer knows none (and gcc says so); all it needs is a real one. */
#if defined(__SANITIZE_THREAD__)
#define FENCE(order)		fence_insn()
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FENCE(order)		fence_insn()
#endif
#endif
#ifdef FENCE
static inline void fence_insn(void)
{
#ifdef __x86_64__
	__asm__ volatile("mfence" ::: "memory");
#else
	__asm__ volatile("dmb ish" ::: "memory");
#endif
}
#else
#define FENCE(order)		__atomic_thread_fence(order)
#endif

#define __printf(fmt, args)	__attribute__((format(printf, fmt, args)))
#define SKEP_API		__attribute__((visibility("default")))
#define SKEP_PAGE		4096ul

#endif
