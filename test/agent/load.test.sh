#!/usr/bin/env bash
# libskep-agent.so in programs nobody prepared: it loads into glibc and musl, with and without an environment, leaves output,
# exit status, descriptors and signals as they are, and satisfies scripts/agent-check.sh.
set -u
cd "$(dirname "$0")/../.." || exit 1
agent=$(realpath "$SKEP_BUILD/lib/libskep-agent.so")
tmp=$(mktemp -d "${SHM:-/dev/shm}/skep-test-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
export SKEP_DIR=$tmp/dir
ok()     { echo "ok - load: $1"; }
not_ok() { echo "not ok - load: $1"; }
same()   { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1: wanted '$2', got '$3'"; fi; }

same "nothing needed, exported, relocated by name, thread-local or in vector registers" "" "$(scripts/agent-check.sh "$agent")"

# pair NAME COMMAND...: the same output and status with and without the agent
pair() {
	local name=$1 want got
	shift
	want=$(timeout 20 "$@" 2>&1; echo "exit status $?")
	got=$(LD_PRELOAD=$agent timeout 20 "$@" 2>&1; echo "exit status $?")
	same "$name" "$want" "$got"
}
pair "sh" sh -c 'echo out; echo err >&2; exit 3'
pair "ls" ls -la /etc/hostname
pair "sh with a pipe and a subshell" sh -c 'for i in 1 2 3; do (echo $i; false) | cat; done; ls /nonexistent'
pair "python3 with threads" python3 -c 'import threading; t = [threading.Thread(target=lambda: None) for _ in range(8)]; [x.start() for x in t]; [x.join() for x in t]; print("done")'
pair "python3 with a subprocess" python3 -c 'import subprocess; print(subprocess.run(["echo", "sub"], capture_output=True).stdout)'
pair "death by a signal" sh -c 'kill -SEGV $$'

cat > "$tmp/see.c" <<'C'
/* What a process can see of itself that an agent might change: descriptors, signals, alternate stack, its own threads. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void list(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	printf("%s: %d\n", dir, n);
	if (d)
		closedir(d);
}

int main(int argc, char **argv, char **envp)
{
	struct { void *h; unsigned long flags; void *r; unsigned long mask; } k;
	char line[200];
	stack_t ss;
	FILE *f;
	int n = 0;

	list("/proc/self/fd");
	list("/proc/self/task");
	for (int s = 1; s < 65; s++)
		if (!syscall(SYS_rt_sigaction, s, NULL, &k, 8L))
			printf("%d: %p %lx %lx\n", s, k.h, k.flags, k.mask);
	sigaltstack(NULL, &ss);
	printf("altstack %d\n", ss.ss_flags);
	f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f))
		if ((!strncmp(line, "Sig", 3) && line[3] != 'Q') || !strncmp(line, "Shd", 3) || !strncmp(line, "Seccomp:", 8) || !strncmp(line, "Name", 4))
			fputs(line, stdout);
	while (envp[n])
		n++;
	printf("argc %d\n", argc);
	return n ? 4 : 5;
}
C
cc -o "$tmp/see" "$tmp/see.c" || exit 1
pair "what a glibc program sees of itself" "$tmp/see" a b
if command -v musl-gcc > /dev/null; then
	musl-gcc -o "$tmp/see.musl" "$tmp/see.c" || exit 1
	pair "what a musl program sees of itself" "$tmp/see.musl" a b
	same "musl with nothing in the environment but the agent" "4" \
		"$(env -i LD_PRELOAD="$agent" SKEP_DIR="$SKEP_DIR" timeout 20 "$tmp/see.musl" > /dev/null; echo $?)"
else
	not_ok "musl-gcc is not installed (scripts/deps.sh test)"
fi
same "glibc with nothing in the environment but the agent" "4" \
	"$(env -i LD_PRELOAD="$agent" SKEP_DIR="$SKEP_DIR" timeout 20 "$tmp/see" > /dev/null; echo $?)"
big=$(head -c 100000 /dev/zero | tr '\0' x)
same "a large environment" "4" "$(A=$big B=$big C=$big LD_PRELOAD=$agent timeout 20 "$tmp/see" > /dev/null; echo $?)"
same "a directory that cannot be opened changes nothing" "hi 0" \
	"$(SKEP_DIR=/proc/none LD_PRELOAD=$agent timeout 20 sh -c 'echo hi' 2>&1; )$(echo " $?")"
