# skep: the kernel side of eBPF in user space. Outputs under build/. `make help` lists the targets.
SHELL := /bin/bash
MAKEFLAGS += --no-builtin-rules
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
PREFIX ?= /usr/local
SAN ?=
V ?=
Q := $(if $V,,@)
comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

san_asan := -fsanitize=address -fno-omit-frame-pointer
# null: gcc tests the flags of the addq that makes a TLS address, which ld relaxes to a leaq that sets none
san_ubsan := -fsanitize=undefined -fno-sanitize-recover=undefined -fno-sanitize=null
san_tsan := -fsanitize=thread $(if $(findstring clang,$(CC)),,-Wno-tsan)
SANFLAGS := $(foreach s,$(subst $(comma), ,$(SAN)),$(san_$(s)))

OPT ?= -O2
CFLAGS ?= $(OPT) -g
WARN := -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers  \
	-Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
WARN += $(if $(findstring clang,$(CC)),-Wno-initializer-overrides -Wno-gnu-variable-sized-type-not-at-end,)
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Isrc -Iinclude -fPIC -fvisibility=hidden \
	-fno-strict-aliasing -pthread $(WARN) $(CFLAGS) $(SANFLAGS) $(EXTRA_CFLAGS)
ALL_LDFLAGS := -pthread $(SANFLAGS) $(LDFLAGS)
# What a statically linked libbpf calls that skep answers (sys/wrap.c); skep.pc hands the same flags to embedders.
WRAP_SYMS := syscall epoll_ctl epoll_wait mmap mmap64 ioctl statfs statfs64 mkdir unlink rmdir access faccessat \
	open open64 fopen fopen64 close
WRAP := $(addprefix -Wl$(comma)--wrap=,$(WRAP_SYMS))

LIB_DIRS := base spec vm map prog hook verify sys
LIB_SRC := $(sort $(filter-out %_test.c %_fuzz.c %.bpf.c,$(foreach d,$(LIB_DIRS),$(wildcard src/$d/*.c)) \
	src/agent/site_table.c))
VMLINUX_OBJ := $B/obj/gen/vmlinux_btf.o
LIB_OBJ := $(LIB_SRC:src/%.c=$B/obj/%.o) $(VMLINUX_OBJ)
TOOL_SRC := $(sort $(filter-out %_test.c %_fuzz.c,$(wildcard src/tool/*.c)))
TOOL_OBJ := $(TOOL_SRC:src/%.c=$B/obj/%.o) $B/obj/agent/exec_file.o
PRELOAD_SRC := $(sort $(filter-out %_test.c,$(wildcard src/front/preload*.c)))
PRELOAD_OBJ := $(PRELOAD_SRC:src/%.c=$B/obj/%.o)
FRONT_SRC := $(sort $(filter-out %_test.c %_fuzz.c $(PRELOAD_SRC),$(wildcard src/front/*.c)))
FRONT_OBJ := $(FRONT_SRC:src/%.c=$B/obj/%.o)
TEST_SRC := $(sort $(wildcard src/*/*_test.c) $(wildcard test/*/*_test.c))
TEST_BIN := $(patsubst %.c,$B/test/%,$(subst /,.,$(TEST_SRC)))
# libzydis disassembles machine code (prog dump jited); without it that is hexadecimal.
TOOL_LIBS := -l:libbpf.a -lpcap -lelf -lz $(if $(wildcard /usr/include/Zydis/Zydis.h),-lZydis)

.PHONY: all help deps demo check test lint install clean soak fuzz conformance cov

all: $B/bin/skep $B/lib/libskep.so $B/lib/libskep.a $B/lib/libskep-preload.so

help:
	@echo "make            build/bin/skep, build/lib/libskep.so, libskep.a, libskep-preload.so, libskep-agent.so"
	@echo "make deps       install missing Debian packages (as root; else names them)"
	@echo "make demo       deps, build, and the main example"
	@echo "make check      fast tests (under a minute)      make test   everything"
	@echo "make lint       layer order, clang-format, clang-tidy, cppcheck, file and function sizes"
	@echo "make bench      all benchmarks: build/bench/*.json"
	@echo "make soak       long forms: strangers' programs traced for a minute each (SOAK_SECONDS=60)"
	@echo "make fuzz       libFuzzer targets (FUZZ_SECONDS=600 each)"
	@echo "make install    PREFIX=$(PREFIX) DESTDIR="
	@echo "SAN=asan,ubsan | tsan builds under build/san-*; OPT=-O0 and CC=clang work too"

$B/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  CC    $<")
	$Q$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# On the way of every hooked call: vector stores that are read back by halves cost more than they save.
$B/obj/hook/fire.o: ALL_CFLAGS += -mgeneral-regs-only

$B/lib/libskep.a: $(LIB_OBJ)
	@mkdir -p $(@D)
	@rm -f $@
	$(if $V,,@echo "  AR    $@")
	$Q$(AR) rcs $@ $^

$B/lib/libskep.so: $(LIB_OBJ) src/libskep.map
	@mkdir -p $(@D)
	$(if $V,,@echo "  LINK  $@")
	$Q$(CC) -shared -Wl,-soname,libskep.so.0 -Wl,--version-script=src/libskep.map -Wl,-z,defs -o $@ $(LIB_OBJ) $(ALL_LDFLAGS)
	@ln -sf libskep.so $(@D)/libskep.so.0

$B/lib/libskep-preload.so: $(PRELOAD_OBJ) $(LIB_OBJ) src/preload.map
	@mkdir -p $(@D)
	$(if $V,,@echo "  LINK  $@")
	$Q$(CC) -shared -Wl,--version-script=src/preload.map -Wl,-z,defs -o $@ $(PRELOAD_OBJ) $(LIB_OBJ) $(ALL_LDFLAGS) -ldl

$B/bin/skep: $(TOOL_OBJ) $(FRONT_OBJ) $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  LINK  $@")
	$Q$(CC) $(WRAP) -o $@ $(TOOL_OBJ) $(FRONT_OBJ) -Wl,--start-group $B/lib/libskep.a $(TOOL_LIBS) -Wl,--end-group $(ALL_LDFLAGS)

# Tests: one program per *_test.c. They may use libbpf over skep, as an embedder would.
define test_rule
$B/test/$(subst /,.,$(basename $1)): $1 $(wildcard $(dir $1)*.h) test/lib/t.c test/lib/t.h $B/lib/libskep.a
	@mkdir -p $$(@D)
	$$(if $$V,,@echo "  TEST  $1")
	$$Q$$(CC) $$(ALL_CFLAGS) -Itest/lib -MMD -MP -MF $$@.d $$(WRAP) $1 test/lib/t.c -Wl,--start-group $B/lib/libskep.a $$(TOOL_LIBS) -Wl,--end-group $$(ALL_LDFLAGS) -o $$@
endef
$(foreach t,$(TEST_SRC),$(eval $(call test_rule,$t)))
TEST_BIN := $(foreach t,$(TEST_SRC),$B/test/$(subst /,.,$(basename $t)))

deps:
	@scripts/deps.sh

check: all $(TEST_BIN)
	@test/run.sh --fast $B

test: deps
	@$(MAKE) --no-print-directory all $(TEST_BIN:$B/%=$B/%)
	@test/run.sh $B

lint:
	@scripts/lint.sh

clean:
	rm -rf build

-include $(wildcard mk/*.mk)
-include $(LIB_OBJ:.o=.d) $(TOOL_OBJ:.o=.d) $(PRELOAD_OBJ:.o=.d) $(FRONT_OBJ:.o=.d) $(wildcard $B/test/*.d)
