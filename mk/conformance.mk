# make conformance: the kernel's verifier tests (linux-source package, unpacked for the time of the run) on kernel and skep.
conformance: $B/lib/libskep.a
	@scripts/conformance.sh $(abspath $B)
