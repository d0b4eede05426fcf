/* SPDX-License-Identifier: Apache-2.0 */
/* sbuf.h - growing text buffer (malloc). Not for hook paths. An allocation failure is sticky in .err. */
#ifndef SKEP_BASE_SBUF_H
#define SKEP_BASE_SBUF_H

#include <stdarg.h>

#include "base/def.h"

struct sbuf {
	char *s;		/* NUL-terminated when len > 0 */
	size_t len, cap;
	int err;		/* 0 or -ENOMEM */
};

void sbuf_printf(struct sbuf *b, const char *fmt, ...) __printf(2, 3);
void sbuf_vprintf(struct sbuf *b, const char *fmt, va_list ap) __printf(2, 0);
void sbuf_puts(struct sbuf *b, const char *s);
void sbuf_reset(struct sbuf *b);
void sbuf_free(struct sbuf *b);

#endif
