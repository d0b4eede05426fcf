/* SPDX-License-Identifier: Apache-2.0 */
/* oracle_helper_test.c - the prototypes of helpers.def against the running kernel. Each argument of each helper is given
 * wrong values, those in front of it right ones; the verifier's complaint tells what the kernel wanted.
 * Arguments behind one that cannot be made here (a timer, a dynptr, a kernel object ...) are not reached. */
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "spec/oracle.h"

static int map_fd, rodata_fd;		/* array maps: any; read-only for programs */

enum wrong { WRONG_NONE, WRONG_ONE, WRONG_NULL, WRONG_STACK, WRONG_RDONLY };

static void put_wrong(struct call *c, u8 reg, enum wrong w)
{
	switch (w) {
	case WRONG_NONE:
		break;
	case WRONG_ONE:
		put(c, mov(reg, 1));
		break;
	case WRONG_NULL:
		put(c, mov(reg, 0));
		break;
	case WRONG_STACK:
		put_stack(c, reg, -64);
		break;
	case WRONG_RDONLY:
		put_imm64(c, reg, BPF_PSEUDO_MAP_VALUE, rodata_fd, 0);
		break;
	}
}

static int finish(struct call *c, const struct spec_prog *p, u32 attach, u32 id)
{
	put(c, (struct bpf_insn){ .code = 0x85, .imm = (s32)id });
	put(c, mov(0, legal_r0(p, attach)));
	put(c, exit_insn);
	return kernel_load(p->type, attach, c->insn, c->cnt, true);
}

/* What the verifier says it wanted, by argument kind; NULL: anything goes. */
#define WANT_MEM	"fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_"
#define WANT_SOCK	"sock_common, sock, tcp_sock, xdp_sock"
static const char *const wants[] = {
	[ARG_CONST_MAP] = "map_ptr", [ARG_MAP_KEY] = WANT_MEM, [ARG_MAP_VALUE] = WANT_MEM, [ARG_MEM] = WANT_MEM,
	[ARG_SIZE] = "scalar", [ARG_SIZE_OR_ZERO] = "scalar", [ARG_ALLOC_SIZE] = "scalar", [ARG_CTX] = "ctx",
	[ARG_SPIN_LOCK] = "map_value, ptr_", [ARG_SOCK_COMMON] = WANT_SOCK, [ARG_SOCKET] = "sock",
	[ARG_BTF_ID] = "ptr_, trusted_ptr_, rcu_ptr_", [ARG_BTF_ID_SOCK_COMMON] = WANT_SOCK ", ptr_, trusted_ptr_",
	[ARG_RINGBUF_MEM] = "ringbuf_mem", [ARG_PERCPU_BTF_ID] = "percpu_ptr_, percpu_rcu_ptr_, percpu_trusted_ptr_",
	[ARG_FUNC] = "func", [ARG_STACK] = "fp", [ARG_CONST_STR] = "map_value", [ARG_TIMER] = "map_value",
	[ARG_KPTR] = "map_value, ptr_", [ARG_DYNPTR] = "fp, dynptr_ptr",
};

static const char *last_line(void)
{
	static char line[256];
	char *end = strstr(log_buf, "\nprocessed "), *s;

	if (end)
		*end = 0;
	s = strrchr(log_buf, '\n');
	snprintf(line, sizeof(line), "%.255s", s ? s + 1 : log_buf);
	return line;
}

/* Whether a program of the type may call the helper at all: known before any argument is looked at. */
static bool kernel_allows(u32 type, u32 attach, u32 id)
{
	struct bpf_insn insns[] = { { .code = 0x85, .imm = (s32)id }, exit_insn };

	kernel_load(type, attach, insns, 2, true);
	return !strstr(log_buf, "program of this type cannot use helper");
}

/* Helpers that only kernels with CONFIG_BPF_KPROBE_OVERRIDE have. Whether the oracle is one: its kprobes say. */
static bool is_configured_out(const struct spec_helper *h)
{
	static int has = -1;

	if (!(h->flags & SPEC_HELPER_OVERRIDES) || oracle_bpf == oracle_skep)
		return false;
	if (has < 0)
		has = kernel_allows(BPF_PROG_TYPE_KPROBE, BPF_PERF_EVENT, h->id);
	return !has;
}

struct probe {
	const struct spec_prog *p;
	u32 attach;
	const struct spec_helper *h;
};

/* Calls the helper with argument N wrong (WRONG_NONE: left out), those in front of it right. false: cannot be made. */
static bool ask(const struct probe *q, u32 n, enum wrong w)
{
	struct call c;

	begin(&c);
	for (u32 k = 0; k < n; k++)
		if (!put_right(&c, q->h, k, map_fd))
			return false;
	put_wrong(&c, (u8)(n + 1), w);
	for (u32 k = n + 1; w != WRONG_NONE && k < 5; k++)
		put_right(&c, q->h, k, map_fd);
	finish(&c, q->p, q->attach, q->h->id);
	return true;
}

static void wrong(const struct probe *q, u32 n, const char *what)
{
	t_fail(__FILE__, __LINE__, "as %s attached as %s, argument %u: %s; the verifier: %s", q->p->name,
	       spec_attach(q->attach)->name, n + 1, what, last_line());
}

/* The verifier's complaint about a value of the wrong type for argument N. */
static void check_kind(const struct probe *q, u32 n)
{
	u32 base = ARG_BASE(q->h->arg[n]);
	bool number = base == ARG_SIZE || base == ARG_SIZE_OR_ZERO || base == ARG_ALLOC_SIZE;
	char want[160];

	if (!ask(q, n, number ? WRONG_STACK : WRONG_ONE))
		return;
	if (base == ARG_ANY) {
		snprintf(want, sizeof(want), "R%u type=", n + 1);
		if (strstr(log_buf, want))
			wrong(q, n, "any value");
		snprintf(want, sizeof(want), "R%u !read_ok", n + 1);
		if (n && ask(q, n, WRONG_NONE) && !strstr(log_buf, want))	/* R1 is the context from the start */
			wrong(q, n, "no such argument");
		return;
	}
	snprintf(want, sizeof(want), "R%u type=%s expected=%s\n", n + 1, number ? "fp" : "scalar", wants[base]);
	if (!strstr(log_buf, want))
		wrong(q, n, want);
}

static void check_null(const struct probe *q, u32 n)
{
	u32 base = ARG_BASE(q->h->arg[n]);
	char text[160];

	if (base == ARG_ANY || !ask(q, n, WRONG_NULL))
		return;
	if (base == ARG_SIZE || base == ARG_SIZE_OR_ZERO) {
		snprintf(text, sizeof(text), "R%u invalid zero-sized read", n + 1);
		if (!strstr(log_buf, text) != (base == ARG_SIZE_OR_ZERO))
			wrong(q, n, "size 0");
		return;
	}
	snprintf(text, sizeof(text), "R%u type=scalar expected=%s\n", n + 1, wants[base]);
	if (base != ARG_ALLOC_SIZE && !strstr(log_buf, text) != !!(q->h->arg[n] & ARG_MAYBE_NULL))
		wrong(q, n, "null");
}

static void check_written(const struct probe *q, u32 n)
{
	if (ARG_BASE(q->h->arg[n]) != ARG_MEM || !ask(q, n, WRONG_RDONLY))
		return;
	if (!strstr(log_buf, "write into map forbidden") != !(q->h->arg[n] & ARG_MEM_WRITE))
		wrong(q, n, "read or written");
}

/* As many arguments as the row has are enough. */
static void check_count(const struct probe *q)
{
	u32 n = 0;

	while (n < 5 && q->h->arg[n])
		n++;
	if (n < 5 && ask(q, n, WRONG_NONE) && strstr(log_buf, "!read_ok"))
		wrong(q, n, "one argument more");
}

static void check_gpl(const struct probe *q)
{
	struct call c;
	union skep_attr a = { .prog_type = q->p->type, .expected_attach_type = q->attach, .license = (uintptr_t)"MIT",
			      .insns = (uintptr_t)c.insn, .log_level = 1, .log_buf = (uintptr_t)log_buf,
			      .log_size = sizeof(log_buf),
			      .prog_flags = q->p->type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0 };
	long fd;

	c.cnt = 0;
	put(&c, (struct bpf_insn){ .code = 0x85, .imm = (s32)q->h->id });
	put(&c, mov(0, legal_r0(q->p, q->attach)));
	put(&c, exit_insn);
	a.insn_cnt = c.cnt;
	fd = oracle_bpf(BPF_PROG_LOAD, &a, sizeof(a));
	if (fd >= 0)
		close((int)fd);
	if (!(q->h->flags & SPEC_HELPER_GPL) != (fd >= 0 || !strstr(log_buf, "GPL-restricted")))
		wrong(q, 0, "GPL");
}

static void check(const struct probe *q)
{
	check_gpl(q);
	check_count(q);
	for (u32 n = 0; n < 5 && q->h->arg[n]; n++) {
		check_kind(q, n);
		check_null(q, n);
		check_written(q, n);
	}
}

/* Everywhere where the helper may be called: with each type, and each expected attach type that the type looks at. */
static u32 check_everywhere(u32 id)
{
	u32 places = 0;

	for (u32 t = 1; t < spec_nr_progs; t++) {
		if (!loads_alone(&spec_progs[t]))
			continue;
		for (u32 a = 0; a < spec_nr_attaches; a++) {
			struct probe q = { &spec_progs[t], a, spec_helper_for((s32)id, t, a) };

			if (spec_attach_at_load(t, a) != a || !spec_helper_allowed(q.h, t, a))
				continue;
			if (!(q.p->flags & SPEC_PROG_ATTACH) && a)
				break;
			if (q.h->flags & SPEC_HELPER_TARGET)
				continue;
			if (q.h->flags & SPEC_HELPER_SLEEPS && t != BPF_PROG_TYPE_SYSCALL)
				continue;
			check(&q);
			places++;
		}
	}
	return places;
}

static void make_maps(void)
{
	map_fd = kernel_map(BPF_MAP_TYPE_ARRAY, 4, 8, 1, 0);
	rodata_fd = kernel_map(BPF_MAP_TYPE_ARRAY, 4, 64, 1, BPF_F_RDONLY_PROG);
	CHECK(map_fd >= 0 && rodata_fd >= 0);
}

static void close_maps(void)
{
	close(map_fd);
	close(rodata_fd);
}

TEST(prototypes)
{
	u32 asked = 0;

	NEED_KERNEL();
	make_maps();
	for (u32 id = 1; id < spec_nr_helpers; id++) {
		t_row("prototype of %s", spec_helpers[id].name);
		if (is_configured_out(&spec_helpers[id]))
			continue;
		asked += !!check_everywhere(id);
	}
	t_row("prototypes that could be asked for");
	CHECK(asked >= 190);
	close_maps();
}

/* The same complaints from skep's verifier, for the helpers that it has. */
TEST(skep_prototypes)
{
	oracle_bpf = oracle_skep;
	make_maps();
	for (u32 id = 1; id < spec_nr_helpers; id++) {
		if (spec_helpers[id].st.state == SPEC_STUB)
			continue;
		t_row("skep: prototype of %s", spec_helpers[id].name);
		check_everywhere(id);
	}
	close_maps();
	oracle_bpf = t_kernel_bpf_call;
}

static void allowed(const struct spec_prog *p, u32 attach)
{
	t_row("%s: helpers of %s attached as %s", oracle_name(), p->name, spec_attach(attach)->name);
	for (u32 id = 1; id < spec_nr_helpers; id++)
		if (!is_configured_out(&spec_helpers[id]) &&
		    spec_helper_allowed(&spec_helpers[id], p->type, attach) != kernel_allows(p->type, attach, id))
			t_fail(__FILE__, __LINE__, "%s: the row says %d", spec_helpers[id].name,
			       spec_helper_allowed(&spec_helpers[id], p->type, attach));
}

TEST(helpers_per_type_and_attach_type)
{
	NEED_KERNEL();
	each_type(allowed);
}

TEST(skep_helpers_per_type_and_attach_type)
{
	oracle_bpf = oracle_skep;
	each_type(allowed);
	oracle_bpf = t_kernel_bpf_call;
}

/* In the calling process: CAP_BPF and CAP_NET_ADMIN are left. */
static int drop_perfmon(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { .effective = 1u << CAP_NET_ADMIN, .permitted = 1u << CAP_NET_ADMIN },
					       { .effective = 1u << (CAP_BPF - 32),
						 .permitted = 1u << (CAP_BPF - 32) } };

	return (int)syscall(SYS_capset, &h, d);
}

/* A set of helpers per program type. */
struct refusals {
	u8 id[BPF_PROG_TYPE_NETFILTER + 1][256];
};

static bool asked_without_perfmon(const struct spec_prog *p)
{
	return loads_alone(p) && !(p->flags & SPEC_PROG_PERFMON) && p->type != BPF_PROG_TYPE_SYSCALL;
}

/* expected_attach_type to ask with: the first that fits the type. */
static u32 some_attach(u32 type)
{
	u32 a = 0;

	while (spec_attach_at_load(type, a) != a)
		a++;
	return a;
}

static void ask_without_perfmon(int fd)
{
	static struct refusals r;

	if (drop_perfmon())
		_exit(1);
	for (u32 t = 1; t < spec_nr_progs; t++)
		for (u32 id = 1; asked_without_perfmon(&spec_progs[t]) && id < spec_nr_helpers; id++)
			r.id[t][id] = !kernel_allows(t, some_attach(t), id);
	_exit(write(fd, &r, sizeof(r)) != sizeof(r));
}

TEST(helpers_that_need_perfmon)
{
	static struct refusals r;
	int p[2], status;
	pid_t pid;

	NEED_KERNEL();
	NEED(!pipe(p));
	pid = fork();
	if (!pid)
		ask_without_perfmon(p[1]);
	NEED(pid > 0 && read(p[0], &r, sizeof(r)) == sizeof(r));
	NEED(waitpid(pid, &status, 0) == pid && !status);
	close(p[0]);
	close(p[1]);
	for (u32 id = 1; id < spec_nr_helpers; id++) {
		const struct spec_helper *h = &spec_helpers[id];

		t_row("%s and CAP_PERFMON", h->name);
		for (u32 t = 1; t < spec_nr_progs; t++) {
			if (!asked_without_perfmon(&spec_progs[t]) || !spec_helper_allowed(h, t, some_attach(t)))
				continue;
			if (r.id[t][id] != !!(h->flags & SPEC_HELPER_PERFMON))
				t_fail(__FILE__, __LINE__, "as %s the kernel %s it", spec_progs[t].name,
				       r.id[t][id] ? "refuses" : "allows");
		}
	}
}
