/* SPDX-License-Identifier: Apache-2.0 */
/* preload.h - shared by the files of libskep-preload.so. */
#ifndef SKEP_FRONT_PRELOAD_H
#define SKEP_FRONT_PRELOAD_H

#include "base/def.h"

/* The function that this one stands before. Asked for at first use; the race is harmless. */
#define REAL(fn) ({								\
	static __typeof__(&fn) real_##fn;					\
	__typeof__(&fn) f_ = READ_ONCE(real_##fn);				\
	if (unlikely(!f_)) {							\
		f_ = (__typeof__(&fn))dlsym(RTLD_NEXT, #fn);			\
		WRITE_ONCE(real_##fn, f_);					\
	}									\
	f_; })

#define SKEP_STR_(x)	#x
#define SKEP_STR(x)	SKEP_STR_(x)
#define SYS_bpf_NR		321	/* x86-64, for assembly */
#define SYS_perf_event_open_NR	298

#endif
