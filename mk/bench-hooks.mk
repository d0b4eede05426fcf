# make bench-hooks: what programs at system calls cost the traced process, beside the kernel's (as root, same objects) and
# strace; writes build/bench/hooks.json.
.PHONY: bench-hooks
bench: bench-hooks
HOOKS_CASES := enter both other ring
HOOKS_OBJS := $(HOOKS_CASES:%=$B/bench/hooks-%.o)

bench-hooks: $B/bench/hooks-skep $B/bench/hooks-kernel $B/bench/hooks-target $(HOOKS_OBJS) $B/bin/skep $B/lib/libskep-agent.so
	@scripts/bench-hooks.sh $B

$B/bench/hooks-skep: bench/hooks.c $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) $(WRAP) $< -Wl,--start-group $B/lib/libskep.a $(TOOL_LIBS) -Wl,--end-group $(ALL_LDFLAGS) -o $@

$B/bench/hooks-kernel: bench/hooks.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) -DKERNEL $< $(TOOL_LIBS) $(ALL_LDFLAGS) -o $@

$B/bench/hooks-target: bench/hooks_target.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) -O2 $(WARN) $< -o $@

$(HOOKS_OBJS): $B/bench/hooks-%.o: bench/hooks.bpf.c
	@mkdir -p $(@D)
	$Q$(CLANG) -target bpf -g -O2 -D$(shell echo $* | tr a-z A-Z) -idirafter /usr/include/$(shell $(CC) -print-multiarch) -c $< -o $@
