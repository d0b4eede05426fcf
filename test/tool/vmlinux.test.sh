#!/usr/bin/env bash
# vmlinux.test.sh - skep's own kernel types: as a header, in CO-RE, and in the memory that bpf_get_current_task() points to.
. "$(dirname "$0")/lib.sh"

cat > "$tmp/task.bpf.c" << 'EOF'
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
struct task_struct___other { long nonesuch; } __attribute__((preserve_access_index));
enum bpf_func_id___other { BPF_FUNC_get_stackid___other = 27 };
struct bpf_ringbuf___other {} __attribute__((preserve_access_index));
char LICENSE[] SEC("license") = "GPL";
SEC("syscall") int task(void *ctx)
{
	struct task_struct *t = (void *)bpf_get_current_task();
	struct task_struct___other *o = (void *)t;
	char comm[16], parent[16];

	BPF_CORE_READ_STR_INTO(&comm, t, comm);
	BPF_CORE_READ_STR_INTO(&parent, t, real_parent, comm);
	bpf_printk("self %d %d %s", BPF_CORE_READ(t, pid), BPF_CORE_READ(t, group_leader, tgid), comm);
	bpf_printk("parent %d %s", BPF_CORE_READ(t, real_parent, tgid), parent);
	bpf_printk("ids %u %u", BPF_CORE_READ(t, cred, uid.val), BPF_CORE_READ(t, real_cred, egid.val));
	bpf_printk("started %d", BPF_CORE_READ(t, start_boottime) > 0 && BPF_CORE_READ(t, start_time) < bpf_ktime_get_ns());
	bpf_printk("exists %d %d %d %d", bpf_core_field_exists(o->nonesuch), bpf_core_type_exists(struct bpf_ringbuf___other),
		   bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop),
		   bpf_core_enum_value_exists(enum bpf_func_id___other, BPF_FUNC_get_stackid___other));
	return 0;
}
EOF
run_tool run "$tmp/task.bpf.c"
same "a program with vmlinux.h compiles, loads and runs" 0 "$rc"
lines=$(sed 's/.*bpf_trace_printk: //' <<< "$err")
has "ids of the task, and its name" "$lines" "^self ([0-9]+) \1 skep$"
has "its parent" "$lines" "^parent $$ $(cat /proc/$$/comm)$"
has "its credentials" "$lines" "^ids $(id -u) $(id -g)$"
has "when it started" "$lines" '^started 1$'
has "what skep lacks does not exist, what it has does" "$lines" '^exists 0 1 1 0$'

cat > "$tmp/direct.bpf.c" << 'EOF'
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC("license") = "GPL";
SEC("syscall") int direct(void *ctx)
{
	struct task_struct *t = bpf_get_current_task_btf();
	char comm[8];

	for (int i = 0; i < 8; i++)
		comm[i] = t->comm[i];
	bpf_printk("self %d %d %s", t->pid, t->group_leader->tgid, comm);
	bpf_printk("parent %d ids %u", t->real_parent->tgid, t->cred->uid.val);
	bpf_printk("nobody %d", t->real_parent->real_parent->real_parent->pid);
	return 0;
}
EOF
run_tool run "$tmp/direct.bpf.c"
lines=$(sed 's/.*bpf_trace_printk: //' <<< "$err")
has "get_current_task_btf: members are read directly" "$lines" "^self ([0-9]+) \1 skep$"
has "and through other objects" "$lines" "^parent $$ ids $(id -u)$"
has "where nothing is, they read 0" "$lines" '^nobody 0$'
sed -i 's/t->pid/t->pids/' "$tmp/direct.bpf.c"
run_tool run "$tmp/direct.bpf.c"
has "a member that is not there does not compile" "$err" 'no member named'

# A program's own vmlinux.h wins.
mkdir "$tmp/own"
echo '#error own' > "$tmp/own/vmlinux.h"
run_tool run -I "$tmp/own" "$tmp/task.bpf.c"
has "a vmlinux.h of the program's wins" "$err" 'does not compile.*own'

run_tool btf dump file /sys/kernel/btf/vmlinux format c
has "btf dump file /sys/kernel/btf/vmlinux" "$out" '^struct task_struct \{'
printf '%s\n' "$out" > "$tmp/vmlinux.h"
echo '#include "vmlinux.h"' > "$tmp/h.c"
clang -target bpf -g -Wall -Werror -I "$tmp" -c "$tmp/h.c" -o "$tmp/h.o" 2> "$tmp/err"
same "the header compiles without a warning" "0 " "$? $(< "$tmp/err")"
fails "btf dump of a file that is not there" 1 'nowhere' btf dump file /nowhere
