# Programs of test/agent/farm: what the scripts there run, and watch, which traces them.
FARM_BIN := $(patsubst test/agent/farm/%.c,$B/farm/%,$(filter-out %.bpf.c %/watch.c,$(wildcard test/agent/farm/*.c)))
check test: farm
.PHONY: farm
farm: $(FARM_BIN) $B/farm/watch $B/farm/watch.bpf.o

$B/farm/watch: test/agent/farm/watch.c $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  FARM  $@")
	$Q$(CC) $(ALL_CFLAGS) $(WRAP) $< -Wl,--start-group $B/lib/libskep.a $(TOOL_LIBS) -Wl,--end-group $(ALL_LDFLAGS) -o $@

$B/farm/%.bpf.o: test/agent/farm/%.bpf.c
	@mkdir -p $(@D)
	$Q$(CLANG) -target bpf -g -O2 -idirafter /usr/include/$(shell $(CC) -print-multiarch) -c $< -o $@

$B/farm/%: test/agent/farm/%.c
	@mkdir -p $(@D)
	$(if $V,,@echo "  FARM  $@")
	$Q$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -g -Wall -Werror -pthread $< -o $@
