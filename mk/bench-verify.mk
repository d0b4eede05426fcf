# make bench-verify: the verifier's time, states and memory beside the kernel's (build/bench/verify.json).
.PHONY: bench-verify
bench-verify: $B/lib/libskep.a
	@scripts/bench-verify.sh $B
