/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include "base/fault_int.h"
int fault_init(void) { return 0; }
u8 fault_ask(bool scoped) { return FAULT_KERNEL; }
int fault_copy_careful(void *dst, const void *src, size_t n, bool in) { return -EFAULT; }
