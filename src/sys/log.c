/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - a log text into a client's buffer, with the kernel's rules: a buffer and its size come together; a text that
 * does not fit keeps its tail (its head with BPF_LOG_FIXED) and says -ENOSPC; the size needed is always told. */
#include <errno.h>
#include <limits.h>

#include "sys/sys.h"

#define LOG_LEVEL_MASK	15u		/* LEVEL1 | LEVEL2 | STATS | FIXED */
#define LOG_FIXED	8u

int sys_log_init(struct sys_log *l, u32 level, u64 ubuf, u32 size)
{
	*l = (struct sys_log){ .level = level, .ubuf = ubuf, .size = size };
	if (!ubuf != !size)
		return -EINVAL;
	if (ubuf && !level)
		return -EINVAL;
	if (level & ~LOG_LEVEL_MASK)
		return -EINVAL;
	return size > UINT_MAX >> 2 ? -EINVAL : 0;
}

int sys_log_finish(struct call *k, struct sys_log *l, const char *text, size_t len)
{
	size_t n;

	l->true_size = 0;
	if (!l->level)
		return 0;
	l->true_size = len ? MIN(len + 1, (size_t)UINT_MAX) : 0;
	if (!l->ubuf || !len)
		return 0;
	n = MIN(len, (size_t)l->size - 1);
	if (call_out(k, l->ubuf, l->level & LOG_FIXED ? text : text + len - n, n) ||
	    call_out(k, l->ubuf + n, "", 1))
		return -EFAULT;
	return n < len ? -ENOSPC : 0;
}
