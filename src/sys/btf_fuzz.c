/* SPDX-License-Identifier: Apache-2.0 */
/* btf_fuzz.c - libFuzzer: BTF_LOAD of arbitrary bytes; what is accepted types a map and a program. */
#include "sys/fuzz.h"

static char log_buf[64 << 10];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	fuzz_start();
	return 0;
}

static void use(int btf, const u8 *data, size_t size)
{
	static const struct bpf_insn ret0[] = { { 0xb7, 0, 0, 0, 0 }, { 0x95, 0, 0, 0, 0 } };
	struct bpf_func_info fi = { 0, data[size - 1] };
	struct bpf_line_info li = { 0, data[size - 2], data[size - 3], 0 };
	union skep_attr a = { 0 };
	long fd;

	a.map_type = BPF_MAP_TYPE_HASH;
	a.key_size = a.value_size = a.max_entries = 4;
	a.btf_fd = (u32)btf;
	a.btf_key_type_id = data[size - 1];
	a.btf_value_type_id = data[size - 2];
	fd = fuzz_bpf(BPF_MAP_CREATE, &a);
	if (fd >= 0)
		close((int)fd);
	memset(&a, 0, sizeof(a));
	a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	a.insns = FUZZ_PTR(ret0);
	a.insn_cnt = 2;
	a.license = FUZZ_PTR("GPL");
	a.prog_btf_fd = (u32)btf;
	a.func_info = FUZZ_PTR(&fi);
	a.func_info_cnt = 1;
	a.func_info_rec_size = sizeof(fi);
	a.line_info = FUZZ_PTR(&li);
	a.line_info_cnt = 1;
	a.line_info_rec_size = sizeof(li);
	fd = fuzz_bpf(BPF_PROG_LOAD, &a);
	if (fd >= 0)
		close((int)fd);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	union skep_attr a = { 0 };
	long fd;

	if (size < 4)
		return 0;
	a.btf = FUZZ_PTR(data);
	a.btf_size = (u32)size;
	if (data[size - 1] & 1) {
		a.btf_log_buf = FUZZ_PTR(log_buf);
		a.btf_log_size = sizeof(log_buf);
		a.btf_log_level = 1;
	}
	fd = fuzz_bpf(BPF_BTF_LOAD, &a);
	if (fd >= 0) {
		use((int)fd, data, size);
		close((int)fd);
	}
	fuzz_collect();
	return 0;
}
