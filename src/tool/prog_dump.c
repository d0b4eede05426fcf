/* SPDX-License-Identifier: Apache-2.0 */
/* prog_dump.c - skep prog dump xlated|jited: instructions behind the verifier, with source lines by BTF; machine code,
 * disassembled where libzydis was there at build time, else in hexadecimal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if __has_include(<Zydis/Zydis.h>) && defined(__x86_64__)
#include <Zydis/Zydis.h>
#define HAVE_ZYDIS 1
#endif

#include "spec/spec.h"
#include "tool/maps.h"
#include "tool/prog.h"
#include "vm/vm.h"

struct dump {
	struct bpf_prog_info i;
	struct bpf_insn *xlated;
	u8 *jited;
	struct bpf_func_info *funcs;
	struct bpf_line_info *lines;
	u32 *func_lens;
	struct btf *btf;
	bool opcodes;
};

static void *room(u64 n, u64 size, __u64 *to)
{
	void *p = n ? calloc(n, size) : NULL;

	*to = (u64)(uintptr_t)p;
	return p;
}

/* Two rounds: sizes, then contents. */
static int dump_load(int fd, struct dump *d)
{
	struct bpf_prog_info a = {}, b = {};
	u32 len = sizeof(a);

	if (bpf_obj_get_info_by_fd(fd, &a, &len))
		return -errno;
	b.xlated_prog_len = a.xlated_prog_len;
	b.jited_prog_len = a.jited_prog_len;
	b.nr_jited_func_lens = a.nr_jited_func_lens;
	d->xlated = room(a.xlated_prog_len, 1, &b.xlated_prog_insns);
	d->jited = room(a.jited_prog_len, 1, &b.jited_prog_insns);
	d->func_lens = room(a.nr_jited_func_lens, 4, &b.jited_func_lens);
	if (a.btf_id && a.func_info_rec_size && a.line_info_rec_size) {
		b.nr_func_info = a.nr_func_info;
		b.func_info_rec_size = sizeof(*d->funcs);
		d->funcs = room(a.nr_func_info, sizeof(*d->funcs), &b.func_info);
		b.nr_line_info = a.nr_line_info;
		b.line_info_rec_size = sizeof(*d->lines);
		d->lines = room(a.nr_line_info, sizeof(*d->lines), &b.line_info);
	}
	len = sizeof(b);
	if (bpf_obj_get_info_by_fd(fd, &b, &len))
		return -errno;
	d->i = b;
	d->btf = b.btf_id ? btf__load_from_kernel_by_id(b.btf_id) : NULL;
	if (libbpf_get_error(d->btf))
		d->btf = NULL;
	return 0;
}

static void dump_free(struct dump *d)
{
	btf__free(d->btf);
	free(d->xlated);
	free(d->jited);
	free(d->funcs);
	free(d->lines);
	free(d->func_lens);
}

/* ---- xlated ---- */
static const char *name_call(void *arg, const struct bpf_insn *in, char *buf, size_t n)
{
	const struct spec_helper *h = in->src_reg ? NULL : spec_helper(in->imm);

	if (in->src_reg == BPF_PSEUDO_CALL)
		snprintf(buf, n, "pc%+d", in->imm);
	else if (in->src_reg && in->imm >= 0 && (u32)in->imm < spec_nr_kfuncs)
		snprintf(buf, n, "%s", spec_kfuncs[in->imm].name);
	else
		snprintf(buf, n, "bpf_%s#%d", h && h->name ? h->name : "unknown", in->imm);
	return buf;
}

static const char *name_imm64(void *arg, const struct bpf_insn *in, u64 imm, char *buf, size_t n)
{
	if (in->src_reg == BPF_PSEUDO_MAP_FD)
		snprintf(buf, n, "map[id:%u]", (u32)in->imm);
	else if (in->src_reg == BPF_PSEUDO_MAP_VALUE)
		snprintf(buf, n, "map[id:%u][0]+%u", (u32)in->imm, (u32)in[1].imm);
	else if (in->src_reg == BPF_PSEUDO_FUNC)
		snprintf(buf, n, "subprog[%+d]", in->imm);
	else
		snprintf(buf, n, "0x%llx", (unsigned long long)imm);
	return buf;
}

/* "count_flows(ctx)" by BTF; the name alone where the prototype is missing. */
static void put_proto(const struct dump *d, u32 func, struct sbuf *out)
{
	const struct btf_type *t = btf__type_by_id(d->btf, func), *proto;
	const char *name = t ? btf__name_by_offset(d->btf, t->name_off) : NULL;

	proto = t ? btf__type_by_id(d->btf, t->type) : NULL;
	sbuf_printf(out, "%s", name ? name : "?");
	if (!proto || !btf_is_func_proto(proto))
		return;
	sbuf_puts(out, "(");
	for (u32 i = 0; i < btf_vlen(proto); i++) {
		const char *arg = btf__name_by_offset(d->btf, btf_params(proto)[i].name_off);

		sbuf_printf(out, "%s%s", i ? ", " : "", arg && *arg ? arg : "void");
	}
	sbuf_puts(out, ")");
}

static void xlated_headings(const struct dump *d, u32 insn)
{
	struct json *j = out_json();

	for (u32 i = 0; d->btf && i < d->i.nr_func_info; i++) {
		struct sbuf b = {};

		if (d->funcs[i].insn_off != insn)
			continue;
		put_proto(d, d->funcs[i].type_id, &b);
		if (opt.json)
			json_str(j, "proto", b.s);
		else
			printf("%s:\n", b.s);
		sbuf_free(&b);
	}
	for (u32 i = 0; d->btf && i < d->i.nr_line_info; i++) {
		const char *s;

		if (d->lines[i].insn_off != insn)
			continue;
		s = btf__name_by_offset(d->btf, d->lines[i].line_off);
		while (s && (*s == ' ' || *s == '\t'))
			s++;
		if (s && *s && opt.json)
			json_str(j, "src", s);
		else if (s && *s)
			printf("; %s\n", s);
	}
}

static void xlated_json_opcodes(const struct bpf_insn *in)
{
	struct json *j = out_json();

	json_obj(j, "opcodes");
	json_fmt(j, "code", "0x%02x", in->code);
	json_fmt(j, "src_reg", "0x%x", in->src_reg);
	json_fmt(j, "dst_reg", "0x%x", in->dst_reg);
	json_bytes(j, "off", &in->off, sizeof(in->off));
	json_bytes(j, "imm", &in->imm, sizeof(in->imm));
	json_end(j, '}');
}

static void xlated_insn(const struct dump *d, u32 at, bool wide)
{
	static const struct disasm_names names = { .call = name_call, .imm64 = name_imm64 };
	const struct bpf_insn *in = d->xlated + at;
	struct sbuf b = {};

	disasm_insn(&b, in, &names);
	if (opt.json) {
		json_obj(out_json(), NULL);
		xlated_headings(d, at);
		json_str(out_json(), "disasm", b.s);
		if (d->opcodes)
			xlated_json_opcodes(in);
		json_end(out_json(), '}');
	} else {
		xlated_headings(d, at);
		printf("%4u: %s\n", at, b.s);
		if (d->opcodes) {
			fputs("       ", stdout);
			print_hex(in, sizeof(*in) * (wide ? 2 : 1), " ");
			putchar('\n');
		}
	}
	sbuf_free(&b);
}

static int dump_xlated(const struct dump *d)
{
	u32 cnt = d->i.xlated_prog_len / sizeof(*d->xlated);

	if (!cnt)
		return fail(EXIT_FAILED, "the program's instructions may not be read");
	if (opt.json)
		json_arr(out_json(), NULL);
	for (u32 i = 0; i < cnt; i++) {
		bool wide = d->xlated[i].code == (BPF_LD | BPF_DW | BPF_IMM) && i + 1 < cnt;

		if (d->xlated[i].code == (BPF_LD | BPF_DW | BPF_IMM) && !wide)
			break;
		xlated_insn(d, i, wide);
		i += wide;
	}
	if (opt.json)
		json_end(out_json(), ']');
	return EXIT_OK;
}

/* ---- jited ---- */
/* One machine instruction at CODE; its length. TEXT: AT&T syntax, or bytes in hexadecimal. */
static u32 machine_insn(const u8 *code, u32 left, u32 pc, char *text, size_t size)
{
	u32 n = MIN(left, 8u);
#ifdef HAVE_ZYDIS
	ZydisDecoder dec;
	ZydisFormatter fmt;
	ZydisDecodedInstruction in;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];

	ZydisDecoderInit(&dec, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	ZydisFormatterInit(&fmt, ZYDIS_FORMATTER_STYLE_ATT);
	if (ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec, code, left, &in, ops)) &&
	    ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&fmt, &in, ops, in.operand_count_visible, text, size, pc, NULL)))
		return in.length;
	n = 1;
#endif
	text[0] = 0;
	for (u32 i = 0; i < n; i++)
		snprintf(text + strlen(text), size - strlen(text), "%s%02x", i ? " " : "", code[i]);
	return n;
}

static void jited_line(u32 pc, const u8 *code, u32 n, char *text, bool opcodes)
{
	struct json *j = out_json();
	char *sp = strchr(text, ' ');

	if (!opt.json) {
		printf("%4x:\t%s\n", pc, text);
		if (opcodes) {
			putchar('\t');
			print_hex(code, n, " ");
			putchar('\n');
		}
		return;
	}
	if (sp)
		*sp = 0;
	json_obj(j, NULL);
	json_fmt(j, "pc", "0x%x", pc);
	json_str(j, "operation", text);
	json_arr(j, "operands");
	json_str(j, NULL, sp ? sp + 1 : "");
	json_end(j, ']');
	if (opcodes)
		json_bytes(j, "opcodes", code, n);
	json_end(j, '}');
}

static void jited_func(const struct dump *d, u32 index, const u8 *code, u32 size)
{
	struct json *j = out_json();
	struct sbuf name = {};
	char text[160];
	u32 n;

	if (d->btf && index < d->i.nr_func_info)
		put_proto(d, d->funcs[index].type_id, &name);
	else
		sbuf_printf(&name, "%s", index ? "subprogram" : d->i.name);
	if (opt.json) {
		json_obj(j, NULL);
		json_str(j, "proto", name.s);
		json_str(j, "name", d->i.name);
		json_arr(j, "insns");
	} else {
		printf("%s:\n", name.s);
	}
	for (u32 pc = 0; pc < size; pc += n) {
		n = machine_insn(code + pc, size - pc, pc, text, sizeof(text));
		jited_line(pc, code + pc, n, text, d->opcodes);
	}
	if (opt.json) {
		json_end(j, ']');
		json_end(j, '}');
	}
	sbuf_free(&name);
}

static int dump_jited(const struct dump *d)
{
	u32 at = 0, n = d->func_lens ? d->i.nr_jited_func_lens : 0;

	if (!d->i.jited_prog_len)
		return fail(EXIT_FAILED, "the program has no machine code: it is interpreted");
	if (opt.json)
		json_arr(out_json(), NULL);
	for (u32 i = 0; i < n && at < d->i.jited_prog_len; at += d->func_lens[i++])
		jited_func(d, i, d->jited + at, MIN(d->func_lens[i], d->i.jited_prog_len - at));
	if (!n)
		jited_func(d, 0, d->jited, d->i.jited_prog_len);
	if (opt.json)
		json_end(out_json(), ']');
	return EXIT_OK;
}

static int dump_file(const char *path, const void *data, size_t n)
{
	FILE *f = fopen(path, "we");
	bool ok = f && fwrite(data, 1, n, f) == n;

	if ((f && fclose(f)) || !ok)
		return fail_errno(-errno, "%s", path);
	return EXIT_OK;
}

int prog_dump(int argc, char **argv)
{
	struct dump d = {};
	const char *file = NULL;
	bool jited;
	int fd, rc, err;

	if (!argc || (!is_prefix(argv[0], "xlated") && !is_prefix(argv[0], "jited")))
		return fail(EXIT_USAGE, "prog dump wants xlated or jited, then PROG");
	jited = is_prefix(argv[0], "jited");
	argc--;
	argv++;
	rc = handle_one(H_PROG, &argc, &argv, &fd);
	if (rc)
		return rc;
	for (; argc; argc--, argv++) {
		if (is_prefix(argv[0], "opcodes")) {
			d.opcodes = true;
		} else if (is_prefix(argv[0], "file") && argc > 1) {
			file = *++argv;
			argc--;
		} else {
			rc = fail(EXIT_USAGE, "prog dump: what is '%s'? see 'skep prog dump help'", argv[0]);
			break;
		}
	}
	err = rc ? 0 : dump_load(fd, &d);
	if (err)
		rc = fail_errno(err, "cannot read the program's info");
	else if (!rc && file)
		rc = dump_file(file, jited ? (void *)d.jited : (void *)d.xlated,
			       jited ? d.i.jited_prog_len : d.i.xlated_prog_len);
	else if (!rc)
		rc = jited ? dump_jited(&d) : dump_xlated(&d);
	dump_free(&d);
	close(fd);
	return rc;
}
