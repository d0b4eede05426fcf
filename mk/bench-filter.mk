# make bench-filter: classic filters in nanoseconds per packet beside libpcap, the kernel (as root) and clang -O2; skep filter
# on a long capture beside tcpdump. Writes build/bench/filter.json.
.PHONY: bench-filter
bench: bench-filter
bench-filter: $B/bench/filter $B/bin/skep
	@CLANG=$(CLANG) scripts/bench-filter.sh $B

$B/bench/filter: bench/filter.c $B/lib/libskep.a
	@mkdir -p $(@D)
	$(if $V,,@echo "  BENCH $@")
	$Q$(CC) $(ALL_CFLAGS) $(WRAP) $< -Wl,--start-group $B/lib/libskep.a $(TOOL_LIBS) -Wl,--end-group -ldl $(ALL_LDFLAGS) -o $@
