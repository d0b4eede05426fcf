/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c - BPF C to an object file by clang, an outside program.
 *
 * "vmlinux.h" is skep's own, unless the program brings one: clang finds it in a folder that exists only as an overlay.
 * clang's messages go to stderr as they are; the first error is also what the one-line message says. Which clang:
 * $CLANG, else "clang", else the newest "clang-N" found. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sbuf.h"
#include "tool/compile.h"
#include "tool/libbpf.h"
#include "tool/vmlinux.h"

extern char **environ;

#define MAX_ARGS 64

#if defined(__x86_64__)
#define ARCH_DEFINE	"-D__TARGET_ARCH_x86"
#define MULTIARCH	"/usr/include/x86_64-linux-gnu"
#elif defined(__aarch64__)
#define ARCH_DEFINE	"-D__TARGET_ARCH_arm64"
#define MULTIARCH	"/usr/include/aarch64-linux-gnu"
#endif

/* Is there an executable NAME (a path, or in $PATH)? */
static bool have(const char *name)
{
	const char *path = getenv("PATH");
	char *copy, *save = NULL, full[4096];
	bool found = false;

	if (strchr(name, '/'))
		return !access(name, X_OK);
	copy = strdup(path ? path : "/usr/bin:/bin");
	for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir && !found; dir = strtok_r(NULL, ":", &save)) {
		snprintf(full, sizeof(full), "%s/%s", dir, name);
		found = !access(full, X_OK);
	}
	free(copy);
	return found;
}

const char *compile_find_clang(void)
{
	const char *env = getenv("CLANG");
	static char name[16];

	if (env && *env)
		return have(env) ? env : NULL;
	if (have("clang"))
		return "clang";
	for (int v = 25; v >= 11; v--) {
		snprintf(name, sizeof(name), "clang-%d", v);
		if (have(name))
			return name;
	}
	return NULL;
}

struct args {
	const char *v[MAX_ARGS];
	u32 n;
};

/* The folder OVERLAY with vmlinux.h in it: two memory files, which clang inherits. */
#define OVERLAY	"/skep-include"
struct overlay {
	int header, map;
	char map_path[32];
};

static void arg(struct args *a, const char *s)
{
	if (a->n < MAX_ARGS - 1)
		a->v[a->n++] = s;
}

static int overlay_make(struct overlay *o)
{
	o->map = -1;
	o->header = vmlinux_fd_header();
	if (o->header < 0)
		return o->header;
	o->map = memfd_create("overlay", 0);
	if (o->map < 0 ||
	    dprintf(o->map, "{'version':0,'roots':[{'type':'directory','name':'" OVERLAY "','contents':"
		    "[{'type':'file','name':'vmlinux.h','external-contents':'/proc/self/fd/%d'}]}]}\n", o->header) < 0)
		return -errno;
	snprintf(o->map_path, sizeof(o->map_path), "/proc/self/fd/%d", o->map);
	return 0;
}

static void overlay_close(struct overlay *o)
{
	if (o->header >= 0)
		close(o->header);
	if (o->map >= 0)
		close(o->map);
}

static void build_args(struct args *a, const char *clang, const char *path, const struct cc_opts *cc, const struct overlay *o)
{
	static const char *const fixed[] = { "-target", "bpf", "-g", "-O2", "-Wall", ARCH_DEFINE };

	arg(a, clang);
	for (u32 i = 0; i < ARRAY_SIZE(fixed); i++)
		arg(a, fixed[i]);
	for (u32 i = 0; i < cc->include.n; i++) {
		arg(a, "-I");
		arg(a, cc->include.s[i]);
	}
	for (u32 i = 0; i < cc->define.n; i++) {
		arg(a, "-D");
		arg(a, cc->define.s[i]);
	}
	/* Debian keeps asm/ in the multiarch folder, which -target bpf does not search. */
	if (!access(MULTIARCH, F_OK)) {
		arg(a, "-idirafter");
		arg(a, MULTIARCH);
	}
	arg(a, "-ivfsoverlay");
	arg(a, o->map_path);
	arg(a, "-idirafter");
	arg(a, OVERLAY);
	if (isatty(STDERR_FILENO) && color(STDERR_FILENO))
		arg(a, "-fcolor-diagnostics");
	arg(a, "-c");
	arg(a, path);
	arg(a, "-o");
	arg(a, "-");
	a->v[a->n] = NULL;
}

/* Copies what clang says to stderr, keeps it in TEXT. */
static void relay(int fd, struct sbuf *text)
{
	char b[4096];
	ssize_t n;

	while ((n = read(fd, b, sizeof(b) - 1)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		fwrite(b, 1, (size_t)n, stderr);
		b[n] = 0;
		sbuf_puts(text, b);
	}
}

/* clang's first error: "file.c:3:1: unknown type name 'x'". Without it, the exit status. */
static int explain(const char *clang, const char *path, struct sbuf *text, int status)
{
	char *e = text->len ? strstr(text->s, "error: ") : NULL, *line = e, *end;

	while (line && line > text->s && line[-1] != '\n')
		line--;
	end = e ? strchr(e, '\n') : NULL;
	if (end)
		*end = 0;
	if (e && !strchr(text->s, '\033'))
		return fail(EXIT_FAILED, "%s does not compile: %.*s%s", path, (int)(e - line), line, e + 7);
	if (WIFSIGNALED(status))
		return fail(EXIT_FAILED, "%s: %s was killed by signal %d", path, clang, WTERMSIG(status));
	return fail(EXIT_FAILED, "%s does not compile (%s, exit status %d)", path, clang, WEXITSTATUS(status));
}

static int spawn(const struct args *a, int out_fd, int err_fd, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	int err;

	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, err_fd, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&fa, out_fd, STDOUT_FILENO);
	err = posix_spawnp(pid, a->v[0], &fa, NULL, (char *const *)a->v, environ);
	posix_spawn_file_actions_destroy(&fa);
	return -err;
}

static int run(const struct args *a, const char *path, int out_fd)
{
	struct sbuf text = {};
	int p[2], status = 0, rc;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC))
		return fail_errno(-errno, "pipe");
	rc = spawn(a, out_fd, p[1], &pid);
	close(p[1]);
	if (rc) {
		close(p[0]);
		return fail_errno(rc, "cannot start %s", a->v[0]);
	}
	relay(p[0], &text);
	close(p[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		rc = explain(a->v[0], path, &text, status);
	sbuf_free(&text);
	return rc;
}

int compile_c(const char *path, const struct cc_opts *cc, int out_fd)
{
	const char *clang = compile_find_clang();
	struct overlay o;
	struct args a = {};
	int rc;

	if (!clang)
		return fail(EXIT_ENV, "%s needs clang, which is not installed: apt-get install clang, or give a compiled .bpf.o",
			    path);
	rc = overlay_make(&o);
	build_args(&a, clang, path, cc, &o);
	rc = rc ? fail_errno(rc, "no room for vmlinux.h") : run(&a, path, out_fd);
	overlay_close(&o);
	return rc;
}
