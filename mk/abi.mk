# What tool, libraries and agent share in memory is stated in headers and tables: their digest is the version that `skep run` wants
# to find in the agent's file.
ABI_FILES := $(sort $(wildcard src/base/*.h src/spec/*.h src/spec/*.def src/vm/*.h src/map/*.h src/prog/*.h src/hook/*.h))

$B/gen/abi.h: $(ABI_FILES)
	@mkdir -p $(@D)
	$Qprintf '#define SKEP_ABI "%.16s"\n' "$$(cat $^ | sha256sum)" > $@

$B/obj/tool/agentlib.o $B/agent/agent/entry.o build/fuzz/obj/tool/agentlib.o: $B/gen/abi.h
$B/obj/tool/agentlib.o: private ALL_CFLAGS += -I$B/gen
$B/agent/agent/entry.o: private AGENT_CFLAGS += -I$B/gen
build/fuzz/obj/tool/agentlib.o: private FUZZ_CFLAGS += -I$B/gen
