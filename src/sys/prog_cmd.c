/* SPDX-License-Identifier: Apache-2.0 */
/* prog_cmd.c - PROG_LOAD (rights, order of checks, verdict, tag), PROG_BIND_MAP and PROG_TEST_RUN. The stages of a load
 * are resolve.c, verify/, vm's JIT, store.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "prog/prog.h"
#include "sys/cmds.h"
#include "sys/load.h"

#define BPF_LOG_STATS	4u
#define MAX_INSNS	1000000u	/* BPF_COMPLEXITY_LIMIT_INSNS */
#define IN_SET(type, set)	((type) < 64 && (1ull << (type)) & (set))
#define PROG_FLAGS (BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT | BPF_F_TEST_STATE_FREQ | \
		    BPF_F_SLEEPABLE | BPF_F_TEST_RND_HI32 | BPF_F_XDP_HAS_FRAGS | \
		    BPF_F_XDP_DEV_BOUND_ONLY | BPF_F_TEST_REG_INVARIANTS | BPF_F_TOKEN_FD)

static __thread struct vfy_reason last;
static __thread bool have_last;

const struct vfy_reason *skep_last_reason(void)
{
	return have_last ? &last : NULL;
}

static void forget_reason(void)
{
	free(last.path);
	last.path = NULL;
	have_last = false;
}

/* Takes the path along: vfy_out_free() must not see it. */
static void keep_reason(struct vfy_out *o)
{
	last = o->reason;
	o->reason.path = NULL;
	o->reason.nr_path = 0;
	have_last = true;
}

static bool gpl_compatible(const char *license)
{
	static const char *const names[] = {
		"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(license, names[i]))
			return true;
	return false;
}

/* Old clients leave the attach type of these at zero. */
static void default_attach_type(union skep_attr *a)
{
	if (a->expected_attach_type)
		return;
	if (a->prog_type == BPF_PROG_TYPE_CGROUP_SOCK)
		a->expected_attach_type = BPF_CGROUP_INET_SOCK_CREATE;
	else if (a->prog_type == BPF_PROG_TYPE_SK_REUSEPORT)
		a->expected_attach_type = BPF_SK_REUSEPORT_SELECT;
}

/* Program types that may name a function or type of the kernel's BTF. */
static bool takes_btf_id(const union skep_attr *a)
{
	const struct spec_prog *p = spec_prog(a->prog_type);
	bool foreign;

	return p && (p->ctx_kind == CTX_BTF_ARGS || a->prog_type == BPF_PROG_TYPE_EXT) && sys_vmlinux(&foreign);
}

static int check_attach(const union skep_attr *a)
{
	u64 strict = P(CGROUP_SOCK) | P(CGROUP_SOCK_ADDR) | P(CGROUP_SKB) | P(CGROUP_SOCKOPT) |
		     P(SK_LOOKUP) | P(SK_REUSEPORT) | P(NETFILTER);
	const struct spec_attach *s = spec_attach(a->expected_attach_type);

	if (a->attach_btf_id && !takes_btf_id(a))
		return -EINVAL;
	if (a->prog_type == BPF_PROG_TYPE_SYSCALL || a->prog_type == BPF_PROG_TYPE_EXT)
		return a->expected_attach_type ? -EINVAL : 0;
	if (!IN_SET(a->prog_type, strict))
		return 0;
	return s && s->progs & 1ull << a->prog_type ? 0 : -EINVAL;
}

static int check_rights(struct call *k)
{
	const struct spec_prog *p = spec_prog(k->a.prog_type);
	bool bpf = call_capable(k, VFY_CAP_BPF);

	if (!bpf)
		return -EPERM;
	if (!k->a.insn_cnt || k->a.insn_cnt > MAX_INSNS)
		return -E2BIG;
	if (!p)
		return 0;			/* later: -EINVAL */
	if (p->flags & SPEC_PROG_NET_ADMIN && !call_capable(k, VFY_CAP_NET_ADMIN))
		return -EPERM;
	if (p->flags & SPEC_PROG_PERFMON && !call_capable(k, VFY_CAP_PERFMON))
		return -EPERM;
	return 0;
}

/* attach_prog_fd names a program or BTF of the kernel to attach to. */
static int check_dst(struct call *k)
{
	struct sys_btf *b;
	struct obj *o;

	if (!k->a.attach_prog_fd)
		return 0;
	if (!call_get_obj(k, k->a.attach_prog_fd, OBJ_PROG, &o)) {
		obj_unmap(o);
		return -EINVAL;			/* replacing and tracing programs: not yet */
	}
	if (sys_btf_open_fd(k, k->a.attach_prog_fd, &b))
		return -EINVAL;
	sys_btf_put(b);
	return -SYS_ENOTSUPP;			/* not the kernel's own BTF */
}

static int take_program(struct load *l)
{
	union skep_attr *a = &l->k->a;
	char license[128];
	long n;
	int err;

	err = call_dup(l->k, a->insns, (size_t)a->insn_cnt * sizeof(*l->insns), (void **)&l->insns);
	if (err)
		return err;
	n = l->k->c->ops->copy_str(l->k->c->arg, license, a->license, sizeof(license));
	if (n < 0 && n != -E2BIG)
		return (int)n;
	l->gpl = n >= 0 && gpl_compatible(license);
	l->cnt = a->insn_cnt;
	l->resolved = malloc((size_t)l->cnt * sizeof(*l->resolved));
	if (!l->resolved)
		return -ENOMEM;
	memcpy(l->resolved, l->insns, (size_t)l->cnt * sizeof(*l->resolved));
	if (a->prog_ifindex || a->prog_flags & BPF_F_XDP_DEV_BOUND_ONLY)
		return -EINVAL;			/* no device takes programs */
	if (!a->prog_type || !spec_prog(a->prog_type))
		return -EINVAL;
	return sys_copy_name(l->name, a->prog_name);
}

/* SHA-256 of the program with map references zeroed, cut to 8 bytes. */
static int make_tag(struct load *l)
{
	size_t n = (size_t)l->cnt * sizeof(*l->insns);
	struct bpf_insn *copy = malloc(n);
	u8 digest[32];

	if (!copy)
		return -ENOMEM;
	memcpy(copy, l->insns, n);
	for (u32 i = 0; i + 1 < l->cnt; i++)
		if (copy[i].code == (BPF_LD | BPF_IMM | BPF_DW)) {
			if (copy[i].src_reg == BPF_PSEUDO_MAP_FD || copy[i].src_reg == BPF_PSEUDO_MAP_VALUE)
				copy[i].imm = copy[i + 1].imm = 0;
			i++;
		}
	sha256(copy, n, digest);
	memcpy(l->tag, digest, sizeof(l->tag));
	free(copy);
	return 0;
}

static int verify(struct load *l)
{
	const union skep_attr *a = &l->k->a;
	struct vfy_in in = {
		.insns = l->resolved, .cnt = l->cnt,
		.prog_type = a->prog_type, .attach_type = a->expected_attach_type,
		.prog_flags = a->prog_flags, .gpl = l->gpl, .caps = l->k->c->caps,
		.maps = l->vmaps, .nr_maps = l->nr_maps, .btf = l->btf ? l->btf->btf : NULL,
		.func_info = l->func_info, .line_info = l->line_info,
		.func_info_cnt = l->func_info_cnt, .func_info_rec = a->func_info_rec_size,
		.line_info_cnt = l->line_info_cnt, .line_info_rec = a->line_info_rec_size,
		.attach_btf_id = a->attach_btf_id, .log_level = a->log_level,
	};
	int err;

	in.vmlinux = sys_vmlinux(&in.vmlinux_foreign);
	err = vfy_check(&in, &l->out);

	if (err)
		keep_reason(&l->out);
	return err;
}

/* A tail-call map takes programs of one kind: the first to use it or to be put into it decides. */
static int claim_prog_arrays(const struct load *l)
{
	const union skep_attr *a = &l->k->a;
	struct map_prog_owner me = {
		.type = a->prog_type, .attach_type = a->expected_attach_type, .jited = l->code.code,
		.xdp_frags = a->prog_flags & BPF_F_XDP_HAS_FRAGS,
	};

	for (u32 i = 0; i < l->nr_maps; i++)
		if (l->maps[i]->attr.type == BPF_MAP_TYPE_PROG_ARRAY && !map_prog_compatible(l->maps[i], &me))
			return -EINVAL;
	return 0;
}

static int compile(struct load *l)
{
	struct jit_map jm[LOAD_MAX_MAPS];
	struct jit_opts o = { .arch = JIT_X86_64, .maps = jm, .nr_maps = l->nr_maps };
	int err;

#ifdef __aarch64__
	o.arch = JIT_ARM64;
#endif
	for (u32 i = 0; i < l->nr_maps; i++)
		jm[i] = (struct jit_map){ l->maps[i]->id, l->maps[i]->attr.type,
					  l->maps[i]->attr.max_entries, l->maps[i]->value_stride };
	err = jit_compile(l->out.xlated, l->out.xlated_cnt, l->out.subs, l->out.nr_subs, &o, &l->code);
	return err == -EOPNOTSUPP ? 0 : err;	/* no emitter here: interpreted */
}

/* The kernel's log ends with its statistics even when the walk never began. */
static void end_early(struct load *l)
{
	if (l->log.level & BPF_LOG_STATS)
		sbuf_printf(&l->early, "verification time 0 usec\nstack depth 0\n");
	sbuf_printf(&l->early, "processed 0 insns (limit %u) max_states_per_insn 0 total_states 0 "
		    "peak_states 0 mark_read 0\n", MAX_INSNS);
}

static int put_log(struct load *l, int err)
{
	const struct sbuf *text = l->out.log.len ? &l->out.log : &l->early;
	int lerr = sys_log_finish(l->k, &l->log, text->s, text->len);

	if (l->k->size >= offsetofend(union skep_attr, log_true_size)) {
		l->k->a.log_true_size = l->log.true_size;
		if (CALL_PUT(l->k, log_true_size))
			return -EFAULT;
	}
	return lerr ? lerr : err;
}

static int check(struct load *l)
{
	int err = sys_log_init(&l->log, l->k->a.log_level, l->k->a.log_buf, l->k->a.log_size);

	if (err)
		return err;
	err = make_tag(l);
	if (!err)
		err = load_resolve(l);
	if (err)
		end_early(l);
	else
		err = verify(l);
	return put_log(l, err);
}

long cmd_prog_load(struct call *k)
{
	struct load l = { .k = k };
	int err;

	forget_reason();
	if (k->a.prog_flags & ~PROG_FLAGS)
		return -EINVAL;
	default_attach_type(&k->a);
	if (k->a.prog_flags & BPF_F_TOKEN_FD)
		return -EBADF;			/* there are no tokens: no fd can be one */
	err = check_rights(k);
	if (!err)
		err = check_dst(k);
	if (!err)
		err = check_attach(&k->a);
	if (!err)
		err = take_program(&l);
	if (!err)
		err = check(&l);
	if (!err)
		err = compile(&l);
	if (!err)
		err = claim_prog_arrays(&l);
	if (!err)
		err = load_store(&l);
	load_release(&l);
	return call_give_fd(k, err);
}

static int is_map(void *arg, const char *name, enum obj_kind kind, u32 id)
{
	return kind == OBJ_MAP && id == *(const u32 *)arg;
}

static int bind_map(const struct obj *prog, u32 map)
{
	char name[24];
	int known = obj_refs(prog->dir, OBJ_PROG, prog->id, is_map, &map);

	if (known)
		return known < 0 ? known : 0;	/* used already */
	snprintf(name, sizeof(name), PROG_BIND_REF "%u", map);
	return obj_ref(prog->dir, OBJ_PROG, prog->id, name, OBJ_MAP, map);
}

long cmd_prog_bind_map(struct call *k)
{
	struct obj *prog;
	struct map *m;
	int err;

	if (k->a.prog_bind_map.flags)
		return -EINVAL;
	err = call_get_obj(k, k->a.prog_bind_map.prog_fd, OBJ_PROG, &prog);
	if (err)
		return err;
	err = call_get_map(k, k->a.prog_bind_map.map_fd, &m, NULL);
	if (!err) {
		err = bind_map(prog, m->id);
		map_put(m);
	}
	obj_unmap(prog);
	return err;
}

/* ---- TEST_RUN ---- */

#define IN_MAX		(2u << 20)	/* no type takes more input */
#define OUT_ROOM	(1u << 16)	/* programs may grow what they were given */
#define NO_DATA		UINT32_MAX	/* stays where a type has no data */

static int bad_pair(u64 ptr, u32 size)
{
	return !ptr != !size;
}

static int run_in(struct call *k, u64 src, u32 size, void **out)
{
	if (size > IN_MAX)
		return -EINVAL;
	if (src && !size) {			/* types tell "none" from "empty" by the pointer */
		*out = calloc(1, 1);
		return *out ? 0 : -ENOMEM;
	}
	return call_dup(k, src, size, out);
}

/* As bpf_test_finish(): a size of 0 means that the client trusts us to write what there is. */
static int run_out(struct call *k, u64 dst, u32 room, const void *src, u32 size, bool hint)
{
	u32 n = hint ? MIN(room, size) : size;

	if (dst && src && call_out(k, dst, src, n))
		return -EFAULT;
	return n < size ? -ENOSPC : 0;
}

static int run_results(struct call *k, struct test_run *t, u32 room)
{
	union skep_attr *a = &k->a;
	int err = 0, e2;

	if (!a->test.ctx_out && t->ctx_changed && a->test.ctx_in &&
	    call_out(k, a->test.ctx_in, t->ctx_in, t->ctx_in_size))
		return -EFAULT;
	if (t->data_out_size != NO_DATA)	/* room is checked also where nothing is wanted */
		err = run_out(k, a->test.data_out, room, t->data_out, t->data_out_size, room);
	if (err == -EFAULT)
		return err;
	if (!err && a->test.ctx_out) {
		e2 = run_out(k, a->test.ctx_out, a->test.ctx_size_out, t->ctx_out, t->ctx_out_size, true);
		if (e2 == -EFAULT)
			return e2;
		err = e2;
		a->test.ctx_size_out = t->ctx_out_size;
		if (CALL_PUT(k, test.ctx_size_out))
			return -EFAULT;
	}
	a->test.data_size_out = t->data_out_size;
	a->test.retval = t->retval;
	a->test.duration = t->duration;
	if (t->data_out_size != NO_DATA && (CALL_PUT(k, test.data_size_out) || CALL_PUT(k, test.duration)))
		return -EFAULT;
	return CALL_PUT(k, test.retval) ? -EFAULT : err;
}

static int test_run(struct call *k, struct prog *p)
{
	union skep_attr *a = &k->a;
	struct test_run t = {
		.data_in_size = a->test.data_size_in, .ctx_in_size = a->test.ctx_size_in,
		.repeat = a->test.repeat, .flags = a->test.flags, .cpu = a->test.cpu,
		.batch_size = a->test.batch_size, .in_duration = a->test.duration,
	};
	u32 room = a->test.data_size_out;
	int err;

	err = run_in(k, a->test.data_in, t.data_in_size, (void **)&t.data_in);
	if (!err)
		err = run_in(k, a->test.ctx_in, t.ctx_in_size, &t.ctx_in);
	if (err)
		goto out;
	t.data_out_size = a->test.data_out ? a->test.data_size_in + OUT_ROOM : NO_DATA;
	t.ctx_out_size = MIN(a->test.ctx_size_out, IN_MAX);
	if (a->test.data_out)
		t.data_out = calloc(1, t.data_out_size);
	if (a->test.ctx_out)
		t.ctx_out = calloc(1, t.ctx_out_size);
	err = (a->test.data_out && !t.data_out) || (a->test.ctx_out && !t.ctx_out) ? -ENOMEM :
		prog_test_run(p, &t);
	if (!err || err == -ENOSPC) {
		int e2 = run_results(k, &t, room);

		err = e2 ? e2 : err;
	}
out:
	free((void *)t.data_in);
	free(t.ctx_in);
	free(t.data_out);
	free(t.ctx_out);
	return err;
}

long cmd_prog_test_run(struct call *k)
{
	union skep_attr *a = &k->a;
	struct prog *p;
	int own, err;

	if (bad_pair(a->test.ctx_in, a->test.ctx_size_in) || bad_pair(a->test.ctx_out, a->test.ctx_size_out))
		return -EINVAL;
	own = k->c->ops->fd_in(k->c->arg, (int)a->test.prog_fd);
	if (own < 0)
		return own;
	err = prog_open_fd(k->c->dir, own, &p);
	k->c->ops->fd_put(k->c->arg, own);
	if (err)
		return err;
	err = test_run(k, p);
	prog_put(p);
	return err;
}
