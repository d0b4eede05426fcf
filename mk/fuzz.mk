# make fuzz: libFuzzer targets of the load path, under ASan and UBSan, FUZZ_SECONDS each. New inputs and crashes stay in
# build/fuzz/NAME; a crash fails the target.
FUZZ_SECONDS ?= 600
FUZZ_SRC := $(sort $(wildcard src/*/*_fuzz.c))
FUZZ_NAMES := $(patsubst %_fuzz.c,%,$(notdir $(FUZZ_SRC)))
FUZZ_BIN := $(FUZZ_NAMES:%=build/fuzz/%.fuzz)
FUZZ_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_CFLAGS := -std=gnu11 -D_GNU_SOURCE -Isrc -Iinclude -fno-strict-aliasing -pthread -O1 -g $(FUZZ_FLAGS) \
	-Wno-initializer-overrides -Wno-gnu-variable-sized-type-not-at-end
FUZZ_OBJ := $(LIB_SRC:src/%.c=build/fuzz/obj/%.o)
# targets outside of the library (src/tool) bring these along
FUZZ_TOOL_OBJ := $(patsubst src/%.c,build/fuzz/obj/%.o,$(filter-out %/main.c,$(TOOL_SRC)) src/agent/exec_file.c)

build/fuzz/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  FUZZ  $<")
	$Q$(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c $< -o $@

build/fuzz/libskep.a: $(FUZZ_OBJ) $(VMLINUX_OBJ)
	@rm -f $@
	$Q$(AR) rcs $@ $^

build/fuzz/libtool.a: $(FUZZ_TOOL_OBJ)
	@rm -f $@
	$Q$(AR) rcs $@ $^

define fuzz_rule
build/fuzz/$(patsubst %_fuzz.c,%,$(notdir $1)).fuzz: build/fuzz/obj/$(patsubst src/%.c,%.o,$1) build/fuzz/libskep.a $(if $(findstring src/tool,$1),build/fuzz/libtool.a)
	$$(if $$V,,@echo "  LINK  $$@")
	$$Q$$(CLANG) -fsanitize=fuzzer,address,undefined $$(WRAP) $$< $(if $(findstring src/tool,$1),build/fuzz/libtool.a) -Wl,--start-group build/fuzz/libskep.a $$(TOOL_LIBS) -Wl,--end-group -pthread -o $$@
endef
$(foreach t,$(FUZZ_SRC),$(eval $(call fuzz_rule,$t)))

.PHONY: fuzz-build
fuzz-build: $(FUZZ_BIN)
fuzz: fuzz-build
	@scripts/fuzz.sh $(FUZZ_SECONDS) $(FUZZ_NAMES)

-include $(FUZZ_OBJ:.o=.d)
