# make soak: what takes long. Strangers' programs under attachments that come and go, SOAK_SECONDS each.
SOAK_SECONDS ?= 60
.PHONY: soak-agent
soak: soak-agent
soak-agent: all
	@scripts/deps.sh build test soak
	@scripts/agent-targets.sh $B/bin/skep $(SOAK_SECONDS)
