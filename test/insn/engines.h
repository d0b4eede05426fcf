/* SPDX-License-Identifier: Apache-2.0 */
/* engines.h - run instructions on the interpreter, the JIT and the kernel, for tests. Has its own vm_link: map 77
 * with eight u64 values 0..7, helpers 1000.. below. */
#ifndef SKEP_TEST_INSN_ENGINES_H
#define SKEP_TEST_INSN_ENGINES_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "spec/ctx.h"
#include "vm/insn.h"
#include "vm/vm.h"

#include "t.h"

#define PROG_MAX	4200
#define PKT_LINK	14

struct prog_text {
	struct bpf_insn in[PROG_MAX];
	u32 cnt;
	struct image_subprog subs[32];
	u32 nr_subs;
};

static u64 map_values[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
static u8 packet[PKT_LINK + 64];
static struct skep_sk_buff skb;
static bool helpers_native;		/* which engine callbacks run on */

static u64 h_sum(u64 a, u64 b, u64 c, u64 d, u64 e)
{
	return a + b + c + d + e;
}

static __attribute__((noinline)) u64 h_aligned(u64 a, u64 b, u64 c, u64 d, u64 e)
{
	return ((u64)__builtin_frame_address(0) & 15) == 0;
}

static u64 h_callback(u64 func, u64 arg, u64 c, u64 d, u64 e)
{
	if (helpers_native)
		return ((vm_helper)func)(arg, 0, 0, 0, 0);
	return interp_call(func, arg, 0, 0, 0, 0);
}

static u64 h_lookup(u64 map, u64 key, u64 c, u64 d, u64 e)
{
	u32 k = *(u32 *)key;

	return k < ARRAY_SIZE(map_values) ? (u64)&map_values[k] : 0;
}

static vm_helper l_helper(void *arg, u32 id)
{
	static const vm_helper table[] = { h_sum, h_aligned, h_callback };

	return id == BPF_FUNC_map_lookup_elem ? h_lookup :
	       id >= 1000 && id - 1000 < ARRAY_SIZE(table) ? table[id - 1000] : NULL;
}

static vm_helper l_kfunc(void *arg, u32 row)
{
	return row == 3 ? h_sum : NULL;
}

static void *l_map(void *arg, u32 index)
{
	return index ? NULL : (void *)0x4d00;
}

static void *l_map_value(void *arg, u32 index, u32 off)
{
	return index ? NULL : (u8 *)map_values + off;
}

static void *l_map_data(void *arg, u32 index)
{
	return index ? NULL : map_values;
}

static u32 l_map_index(void *arg, u32 id)
{
	return id == 77 ? 0 : UINT32_MAX;
}

static void *(*tail_target)(u32 index);

static void *l_tail_call(void *ctx, void *map, u32 index, u32 *count)
{
	void *to = *count < 33 && tail_target ? tail_target(index) : NULL;

	*count += !!to;
	return to;
}

static const struct vm_link test_link = {
	.helper = l_helper, .kfunc = l_kfunc, .map = l_map, .map_value = l_map_value,
	.map_data = l_map_data, .map_index = l_map_index, .tail_call = l_tail_call,
};

static const struct jit_map test_map = {
	.id = 77, .type = BPF_MAP_TYPE_ARRAY, .max_entries = 8, .value_stride = 8,
};
static const struct jit_opts test_opts = { .arch = JIT_X86_64, .maps = &test_map, .nr_maps = 1 };

static __attribute__((unused)) void engines_init(void)
{
	for (u32 i = 0; i < sizeof(packet); i++)
		packet[i] = i < PKT_LINK ? i : (u8)(i - PKT_LINK);
	skb = (struct skep_sk_buff) {
		.data = packet + PKT_LINK, .data_end = packet + sizeof(packet), .mac = packet, .len = 64,
	};
}

/* Bytes of frame that a subprogram with CNT instructions uses: its lowest direct access. */
static u32 stack_of(const struct bpf_insn *in, u32 cnt)
{
	s32 low = 0;

	for (u32 i = 0; i < cnt; i++) {
		u8 cls = insn_class(in[i].code);

		if (cls == BPF_LDX && in[i].src_reg == 10)
			low = MIN(low, in[i].off);
		else if ((cls == BPF_ST || cls == BPF_STX) && in[i].dst_reg == 10)
			low = MIN(low, in[i].off);
		else if (in[i].code == (BPF_ALU64 | BPF_ADD | BPF_K) && in[i].imm < 0 && in[i].imm >= -512)
			low = MIN(low, in[i].imm);
		else if (cls == BPF_STX && in[i].src_reg == 10)
			low = MIN(low, -8);
	}
	return (u32)ALIGN_UP(-low, 8);
}

static void add_sub(struct prog_text *p, s64 at)
{
	u32 k = 0;

	while (k < p->nr_subs && p->subs[k].insn < at)
		k++;
	if (at < 0 || at >= p->cnt || (k < p->nr_subs && p->subs[k].insn == at))
		return;
	memmove(&p->subs[k + 1], &p->subs[k], (p->nr_subs - k) * sizeof(p->subs[0]));
	p->nr_subs++;
	p->subs[k] = (struct image_subprog) { .insn = (u32)at };
}

/* What the verifier would say of subprograms. */
static void find_subs(struct prog_text *p)
{
	p->nr_subs = 0;
	add_sub(p, 0);
	for (u32 i = 0; i < p->cnt; i++) {
		const struct bpf_insn *in = &p->in[i];

		if ((in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL) ||
		    (insn_is_ldimm64(in) && in->src_reg == BPF_PSEUDO_FUNC))
			add_sub(p, (s64)i + 1 + in->imm);
		i += insn_is_ldimm64(in);
	}
	for (u32 s = 0; s < p->nr_subs; s++) {
		u32 end = s + 1 < p->nr_subs ? p->subs[s + 1].insn : p->cnt;

		p->subs[s].stack = stack_of(p->in + p->subs[s].insn, end - p->subs[s].insn);
	}
}

static __attribute__((unused)) int run_interp(const struct prog_text *p, u64 *r0)
{
	struct interp_prog *ip;
	int err = interp_link(p->in, p->cnt, p->subs, p->nr_subs, &test_link, &ip);

	if (err)
		return err;
	helpers_native = false;
	*r0 = interp_run(ip, &skb);
	interp_free(ip);
	return 0;
}

static int run_jit_on(struct prog_text *p, u32 without, u64 *r0)
{
	struct jit_opts o = test_opts;
	struct jit_code jc;
	struct code *c;
	int err;

	o.without = without;
	err = jit_compile(p->in, p->cnt, p->subs, p->nr_subs, &o, &jc);
	if (err)
		return err;
	err = code_link(jc.code, jc.code_size, jc.relocs, jc.nr_relocs, &test_link, &c);
	if (!err) {
		helpers_native = true;
		*r0 = ((u64 (*)(void *))code_entry(c, p->subs[0].code_off))(&skb);
		code_free(c);
	}
	jit_code_free(&jc);
	return err;
}

/* With and without the optional instructions of the CPU: -EDOM if they disagree. */
static __attribute__((unused)) int run_jit(struct prog_text *p, u64 *r0)
{
	u32 cpu = jit_cpu_features();
	u64 other = 0;
	int err = run_jit_on(p, cpu, r0);

	if (err || !cpu)
		return err;
	err = run_jit_on(p, 0, &other);
	return err ? err : other != *r0 ? -EDOM : 0;
}

/* ---- the kernel ---- */

static char kernel_log[65536];
static int kernel_map = -1;
static u64 *kernel_value;

/* A mmapable array whose value receives r0. */
static int kernel_init(void)
{
	union bpf_attr a = { 0 };

	if (kernel_map >= 0)
		return 0;
	a.map_type = BPF_MAP_TYPE_ARRAY;
	a.key_size = 4;
	a.value_size = 8;
	a.max_entries = 1;
	a.map_flags = BPF_F_MMAPABLE;
	kernel_map = (int)t_kernel_bpf_call(BPF_MAP_CREATE, &a, sizeof(a));
	if (kernel_map < 0)
		return -errno;
	kernel_value = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kernel_map, 0);
	return kernel_value == MAP_FAILED ? -errno : 0;
}

static int kernel_load(const struct bpf_insn *in, u32 cnt, u32 log_level)
{
	union bpf_attr a = { 0 };
	int fd;

	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = (u64)in;
	a.insn_cnt = cnt;
	a.license = (u64)"GPL";
	if (log_level) {
		a.log_level = log_level;
		a.log_buf = (u64)kernel_log;
		a.log_size = sizeof(kernel_log);
	}
	kernel_log[0] = 0;
	fd = (int)t_kernel_bpf_call(BPF_PROG_LOAD, &a, sizeof(a));
	return fd < 0 ? -errno : fd;
}

static int kernel_run_fd(int fd, u32 *ret)
{
	union bpf_attr a = { 0 };

	a.test.prog_fd = (u32)fd;
	a.test.data_in = (u64)packet;
	a.test.data_size_in = sizeof(packet);
	if (t_kernel_bpf_call(BPF_PROG_TEST_RUN, &a, sizeof(a)))
		return -errno;
	*ret = a.test.retval;
	return 0;
}

/* TOP: the program is the main one, and r0 has 32 bits. Else it becomes a subprogram, and all 64 bits are seen. */
static __attribute__((unused)) int run_kernel(const struct prog_text *p, bool top, u64 *r0)
{
	static struct bpf_insn in[PROG_MAX + 8];
	u32 n = 0, ret = 0;
	int fd, err = kernel_init();

	if (err)
		return err;
	if (!top) {
		in[n++] = INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 5);
		in[n++] = INSN(INSN_LDIMM64, 1, BPF_PSEUDO_MAP_VALUE, 0, kernel_map);
		in[n++] = INSN(0, 0, 0, 0, 0);
		in[n++] = INSN(BPF_STX | BPF_MEM | BPF_DW, 1, 0, 0, 0);
		in[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
		in[n++] = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	}
	memcpy(in + n, p->in, p->cnt * sizeof(*in));
	fd = kernel_load(in, n + p->cnt, 0);
	if (fd < 0)
		return kernel_load(in, n + p->cnt, 1) < 0 ? fd : -EAGAIN;
	err = kernel_run_fd(fd, &ret);
	close(fd);
	*r0 = top ? ret : *kernel_value;
	return err;
}

#endif
