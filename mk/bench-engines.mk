# make bench-engines: the JIT on the programs of bench/engines/, beside the kernel's JIT (as root) and native code;
# writes build/bench/engines.json.
.PHONY: bench-engines
bench: bench-engines
ENGINE_PROGS := $(notdir $(basename $(sort $(wildcard bench/engines/[0-9]*.c))))
ENGINE_OBJS := $(foreach p,$(ENGINE_PROGS),$B/bench/engines.d/$p.kern.o $B/bench/engines.d/$p.native.so)

bench-engines: $B/bench/engines-skep $B/bench/engines-kernel $(ENGINE_OBJS)
	@scripts/bench-engines.sh $B

$B/bench/engines-skep: bench/engines.c $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) $(WRAP) $< -Wl,--start-group $B/lib/libskep.a $(TOOL_LIBS) -Wl,--end-group -ldl $(ALL_LDFLAGS) -o $@

$B/bench/engines-kernel: bench/engines.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) -DKERNEL -fvisibility=default -rdynamic $< $(TOOL_LIBS) -ldl $(ALL_LDFLAGS) -o $@

$B/bench/engines.d/%.kern.o: bench/engines/%.c bench/engines/common.h bench/engines/table.h
	@mkdir -p $(@D)
	$Q$(CLANG) -O2 -g -target bpf -mcpu=v3 -fno-builtin -DKERN -c $< -o $@

$B/bench/engines.d/%.native.so: bench/engines/%.c bench/engines/common.h bench/engines/table.h
	@mkdir -p $(@D)
	$Q$(CLANG) -O2 -fPIC -shared -DNATIVE $< -o $@
