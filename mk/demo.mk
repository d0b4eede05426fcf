# make demo: packages, build, and the main job on the example capture.
.PHONY: demo
demo:
	@scripts/deps.sh build
	@$(MAKE) --no-print-directory $B/bin/skep $B/lib/libskep-agent.so
	@scripts/demo.sh $B/bin/skep
