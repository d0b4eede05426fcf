/* SPDX-License-Identifier: Apache-2.0 */
/* asm_fuzz.c - any text as a classic program: what is read is printed in every style and read again, the same; errors have a
 * line that is there. Seeds: test/fuzz/asm. */
#include <stdlib.h>
#include <string.h>

#include "vm/cbpf.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

static const enum cbpf_style styles[] = { CBPF_D, CBPF_DD, CBPF_DDD, CBPF_COMMA, CBPF_ASM };

/* Can the text of a style say all of it? Unknown codes have none; fields that mean nothing are not written. */
static bool sayable(const struct sock_filter *f, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		const struct cbpf_op *op = cbpf_op(f[i].code);
		bool no_k = op && (op->form == CBPF_NONE || op->form == CBPF_X || op->form == CBPF_RA || op->form == CBPF_LEN);

		if (!op || (no_k && f[i].k) || (!op->jump && (f[i].jt || f[i].jf)))
			return false;
		if (op->form == CBPF_JA && (u64)i + 1 + f[i].k >= n)
			return false;
		if (op->jump && (i + 1 + f[i].jt >= n || i + 1 + f[i].jf >= n))
			return false;
	}
	return true;
}

static void again(const struct sock_filter *f, u32 n, enum cbpf_style style)
{
	static struct sock_filter back[CBPF_MAX_INSNS];
	struct cbpf_text_error e;
	struct sbuf b = {};
	u32 got;

	cbpf_print(&b, f, n, style);
	if (cbpf_parse(b.s, b.len, NULL, 0, back, &got, NULL, &e) || got != n || memcmp(f, back, n * sizeof(*f)))
		abort();
	sbuf_free(&b);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct cbpf_name n80 = { "N", 80 };
	static struct sock_filter f[CBPF_MAX_INSNS];
	static u32 line[CBPF_MAX_INSNS];
	struct cbpf_text_error e;
	struct cbpf_reason why;
	char *text = malloc(size + 1);		/* exactly as long: reading past it is seen */
	u32 n, lines = 1;
	int err;

	if (!text)
		return 0;
	memcpy(text, data, size);
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	err = cbpf_parse(text, size, &n80, 1, f, &n, line, &e);
	if (err && (!e.text[0] || e.line < 1 || e.line > lines || e.col < 1))
		abort();
	if (!err) {
		cbpf_check(f, n, 0, &why);
		cbpf_check(f, n, CBPF_SECCOMP, &why);
		for (u32 i = 0; i < ARRAY_SIZE(styles); i++)
			if (sayable(f, n) || styles[i] == CBPF_DD || styles[i] == CBPF_DDD || styles[i] == CBPF_COMMA)
				again(f, n, styles[i]);
	}
	free(text);
	return 0;
}
