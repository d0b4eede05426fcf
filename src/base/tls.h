/* SPDX-License-Identifier: Apache-2.0 */
/* tls.h - what base..prog keep per thread. In libraries and the tool it is thread-local storage. The agent has none (it
 * must load into any libc): there it hangs on the stack that its code runs on, found by masking the stack pointer. */
#ifndef SKEP_BASE_TLS_H
#define SKEP_BASE_TLS_H

#include "base/def.h"

struct run;
struct task_mem;

/* Who a thread is, as the kernel last said: what its helpers need not ask again (asking costs, and a target's seccomp
 * filter may forbid it). Kept between runs only where `keep` is set, by the agent, because only it sees fork, setuid and
 * prctl: follow.c zeroes what these change. Filled by prog/task.c. */
struct who {
	bool keep;
	bool creds_known, comm_known;
	bool exiting;			/* in exit(2): exit_code is valid */
	s32 pid, tid;			/* getpid(), gettid(); 0: ask */
	s32 ppid;			/* where getppid() would say another's (the helper, for its target); 0: ask */
	u32 uid, gid;			/* real ones, valid with creds_known */
	s32 exit_code;
	char comm[16];
	u64 born;			/* CLOCK_BOOTTIME in ns when the agent saw this task begin (clone, fork); 0: it did not */
	struct task_mem *task;		/* where bpf_get_current_task() points (prog/task.h) */
};

/* One per thread, shared by all its nesting levels: code in a signal handler finds what it interrupted. */
struct tls {
	/* domain.h: this thread's identity, valid while base equals *domain.base */
	u64 domain_base, domain_word;
	u32 domain_token, domain_index;
	struct run *run;		/* prog.h: innermost run of this thread */
	u8 fault_scope;			/* fault.h */
	u8 chaining;			/* fault.c: in somebody else's handler */
	u32 prandom[4];			/* bpf_get_prandom_u32() */
	int err;			/* agent only: errno */
	u8 trusted;			/* agent only: may open files, allocate, take mutexes (agent/rt.h) */
	u8 helper;			/* agent only: runs in the helper process */
	u8 fault_how;			/* agent only: FAULT_DIRECT when a fault here is sure to reach our handler (fault.h) */
	u64 *hook_in;			/* hook/fire.c: where this thread says that it is inside; NULL: none yet */
	void *rseq;			/* struct rseq of the thread, NULL: none (agent only) */
	struct who who;
};

#define TLS_STACK	(64ul << 10)	/* AGENT_STACK */
#ifdef SKEP_AGENT
/* Not volatile: one function runs on one stack. */
static inline struct tls *tls(void)
{
	u64 sp;

	__asm__("mov %%rsp, %0" : "=r"(sp));
	return *(struct tls **)ALIGN_DOWN(sp, TLS_STACK);
}
#else
extern __thread struct tls tls_storage __attribute__((tls_model("initial-exec"), visibility("hidden")));
static inline struct tls *tls(void)
{
	return &tls_storage;
}
#endif

#endif
