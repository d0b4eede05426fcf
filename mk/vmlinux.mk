# skep's vmlinux BTF: src/spec/vmlinux.bpf.c -> .BTF -> build/gen/vmlinux_btf.c -> into the library (src/spec/vmlinux.h).
$B/gen/vmlinux.bpf.o: src/spec/vmlinux.bpf.c src/spec/ktypes.h
	@mkdir -p $(@D)
	$(if $V,,@echo "  BPF   $<")
	$Q$(CLANG) -target bpf -g -O2 -Wall -Werror -Isrc -DSKEP_ARCH_$(shell $(CC) -dumpmachine | cut -d- -f1) \
		-idirafter /usr/include/$(shell $(CC) -print-multiarch) -c $< -o $@

$B/gen/genvmlinux: scripts/genvmlinux.c $(wildcard src/spec/*.def) src/spec/uapi.h
	@mkdir -p $(@D)
	$(if $V,,@echo "  LINK  $@")
	$Q$(CC) $(ALL_CFLAGS) $< -l:libbpf.a -lelf -lz $(ALL_LDFLAGS) -o $@

$B/gen/vmlinux_btf.c: $B/gen/genvmlinux $B/gen/vmlinux.bpf.o
	$(if $V,,@echo "  GEN   $@")
	$QASAN_OPTIONS=detect_leaks=0 $< $B/gen/vmlinux.bpf.o > $@.tmp && mv $@.tmp $@

$(VMLINUX_OBJ): $B/gen/vmlinux_btf.c src/spec/vmlinux.h src/base/btf.h
	@mkdir -p $(@D)
	$(if $V,,@echo "  CC    $<")
	$Q$(CC) $(ALL_CFLAGS) -c $< -o $@
