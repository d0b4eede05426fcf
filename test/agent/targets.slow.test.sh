#!/usr/bin/env bash
# Strangers' programs under attachments that come and go, for a second or two each. `make soak` has more of them, for longer.
timeout 500 scripts/agent-targets.sh "$SKEP_BUILD/bin/skep" 2 dash make git python gcc cxx signals musl timeout gdb
