# libskep-agent.so: what enters other people's processes. The sources of base..agent that it needs, compiled a second time
# without TLS, vector registers or libc; see src/agent/rt.h. scripts/agent-check.sh says what must hold of the result.
AGENT_LEAVE_OUT := src/base/host.c src/base/tls.c src/base/fault_sig.c src/prog/testrun.c $(filter-out \
	src/vm/code.c src/vm/interp.c src/vm/insn.c src/vm/ldabs.c src/vm/probe.c,$(wildcard src/vm/*.c))
AGENT_SRC := $(sort $(filter-out %_test.c %_fuzz.c %.bpf.c $(AGENT_LEAVE_OUT) src/agent/entry.c,\
	$(foreach d,base spec vm map prog hook agent,$(wildcard src/$d/*.c))))
AGENT_ASM := $(sort $(wildcard src/agent/*.S))
# entry last: its constructor runs after the others
AGENT_OBJ := $(AGENT_SRC:src/%.c=$B/agent/%.o) $(AGENT_ASM:src/%.S=$B/agent/%.o) $B/agent/gen/vmlinux_btf.o $B/agent/agent/entry.o
AGENT_WARN := $(WARN)
AGENT_CFLAGS := -std=gnu11 -D_GNU_SOURCE -DSKEP_AGENT -Isrc -Iinclude -fPIC -fvisibility=hidden -fno-strict-aliasing \
	-mgeneral-regs-only -fno-stack-protector -U_FORTIFY_SOURCE -fcf-protection=none -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables $(if $(findstring clang,$(CC)),,-fno-tree-loop-distribute-patterns) $(AGENT_WARN) $(OPT) -g $(EXTRA_CFLAGS)

all: $B/lib/libskep-agent.so

$B/agent/agent/rt_%.o: AGENT_CFLAGS += -fno-builtin -Wno-array-bounds

$B/agent/%.o: src/%.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  CC[A] $<")
	$Q$(CC) $(AGENT_CFLAGS) -MMD -MP -c $< -o $@

$B/agent/gen/vmlinux_btf.o: $B/gen/vmlinux_btf.c
	@mkdir -p $(@D)
	$Q$(CC) $(AGENT_CFLAGS) -MMD -MP -c $< -o $@

$B/agent/%.o: src/%.S
	@mkdir -p $(@D)
	$(if $V,,@echo "  AS[A] $<")
	$Q$(CC) $(AGENT_CFLAGS) -MMD -MP -c $< -o $@

$B/lib/libskep-agent.so: $(AGENT_OBJ) src/agent.map
	@mkdir -p $(@D)
	$(if $V,,@echo "  LINK  $@")
	$Q$(CC) -shared -nostdlib -Wl,--version-script=src/agent.map -Wl,-Bsymbolic -Wl,-z,defs -Wl,-z,now -Wl,--gc-sections \
		-Wl,-z,noexecstack -Wl,--hash-style=both -Wl,-soname,libskep-agent.so -o $@ $(AGENT_OBJ) -lgcc

# Tests of the agent's files run them in an ordinary program: all but entry, sigfault.c and the runtime, compiled as everything else.
AGENT_TEST_OBJ := $(patsubst src/%.c,$B/obj/%.o,$(filter src/agent/%,$(filter-out src/agent/rt_% src/agent/sigfault.c,$(AGENT_SRC))))
AGENT_TESTS := $(filter $B/test/src.agent.% $B/test/test.agent.%,$(TEST_BIN))

$B/agent/test.a: $(AGENT_TEST_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$Q$(AR) rcs $@ $^

$(AGENT_TESTS): $B/agent/test.a
$(AGENT_TESTS): private ALL_LDFLAGS += -Wl,--start-group $B/agent/test.a $B/lib/libskep.a -Wl,--end-group

# The runtime's own test links it beside libc: each of its symbols is called rtt_... there.
RT_OBJ := $(filter $B/agent/agent/rt_%,$(AGENT_OBJ))
$B/agent/rtt.o: $(RT_OBJ)
	$Qld -r -o $@.raw $^
	$Qnm --defined-only -g $@.raw | awk '{ print $$3, "rtt_" $$3 }' > $@.syms
	$Qobjcopy --redefine-syms=$@.syms $@.raw $@

$B/test/src.agent.rt_test: $B/agent/rtt.o
$B/test/src.agent.rt_test: private ALL_LDFLAGS += $B/agent/rtt.o

-include $(AGENT_OBJ:.o=.d) $(AGENT_TEST_OBJ:.o=.d)
