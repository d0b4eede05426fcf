# make bench: each bench-X writes build/bench/X.json (a list of cases: skep, kernel, native, peer, target).
.PHONY: bench bench-flows
bench: bench-flows

bench-flows: $B/bench/flows-skep $B/bench/flows-kernel $B/bench/flows.bpf.o
	@scripts/bench-flows.sh $B

$B/bench/flows-skep: bench/flows.c bench/flows_capture.c $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) -Ibench $(WRAP) $(filter %.c,$^) -Wl,--start-group $B/lib/libskep.a $(TOOL_LIBS) -Wl,--end-group $(ALL_LDFLAGS) -o $@

$B/bench/flows-kernel: bench/flows.c bench/flows_capture.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) -Ibench -DKERNEL $(filter %.c,$^) $(TOOL_LIBS) $(ALL_LDFLAGS) -o $@

$B/bench/flows.bpf.o: examples/flows.bpf.c
	@mkdir -p $(@D)
	$Q$(CLANG) -target bpf -g -O2 -idirafter /usr/include/$(shell $(CC) -print-multiarch) -c $< -o $@
