/* SPDX-License-Identifier: Apache-2.0 */
/* sockfilter.h - SO_ATTACH_FILTER and SO_ATTACH_BPF of this process's sockets, answered here: what the process reads from a
 * datagram socket goes through the filter first. Functions named after a system call return -1 and set errno, as libc's do.
 * Thread safe; not async-signal-safe, but a call inside of a handler of one that is under way goes to the kernel unfiltered.
 * What differs from the kernel is written down in doc/filter.md. */
#ifndef SKEP_SYS_SOCKFILTER_H
#define SKEP_SYS_SOCKFILTER_H

#include <sys/socket.h>

#include "base/def.h"

/* False: not about a filter; the kernel is to be asked. Else *ret is what the call returns (-1 and errno). */
bool sockf_setsockopt(int fd, int level, int name, const void *val, socklen_t len, int *ret);
bool sockf_getsockopt(int fd, int level, int name, void *val, socklen_t *len, int *ret);
/* False: no filter on FD. recv, recvfrom, read and readv are recvmsg as well. */
bool sockf_recvmsg(int fd, struct msghdr *m, int flags, ssize_t *ret);
bool sockf_any(void);			/* cheap: has any socket of this process a filter? */
u64 sockf_drops(int fd);		/* packets that the filter of FD dropped */

#endif
