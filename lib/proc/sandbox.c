/* SPDX-License-Identifier: ISC */
#include "proc/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Debian 12's header knows ABI 2; the later rights are kernel constants. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define FS_IOCTL_DEV (1ULL << 15)

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE_1 (LANDLOCK_ACCESS_FS_WRITE_FILE |			\
	LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |	\
	LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG)
#define FS_ALL_1 (LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1)

/* ---- system calls ---- */

/*
 * A call outside the profile. A fault that a tracer injects shows as a call
 * that does not exist, which must not kill: sanitizer builds only refuse, so
 * that the fault tests run on them.
 */
#ifdef HK_SANITIZE
#define OUTSIDE SCMP_ACT_ERRNO(ENOSYS)
#define SIGNAL_OUTSIDE (SECCOMP_RET_ERRNO | EPERM)
#else
#define OUTSIDE SCMP_ACT_KILL_PROCESS
#define SIGNAL_OUTSIDE SECCOMP_RET_KILL_PROCESS
#endif

struct call_group {
	int group;		/* 0: everybody */
	const char *calls;	/* separated by spaces */
};

static const struct call_group call_groups[] = {
	{ 0, "read write readv writev close fstat newfstatat lseek munmap "
	    "mremap brk madvise rt_sigaction rt_sigprocmask rt_sigreturn "
	    "sigaltstack futex clock_gettime clock_getres clock_nanosleep "
	    "nanosleep gettimeofday getpid gettid getuid geteuid getgid "
	    "getegid getppid exit exit_group epoll_create1 epoll_ctl "
	    "epoll_wait epoll_pwait poll ppoll eventfd2 recvmsg sendmsg "
	    "recvfrom sendto shutdown getrandom fcntl dup restart_syscall "
	    "sched_yield getrusage uname sysinfo rseq set_robust_list "
	    "ftruncate pread64 pwrite64 getsockopt "
	    "sched_getaffinity times timerfd_create timerfd_settime "
	    "membarrier tgkill mlock munlock pipe2" },
	{ SB_ACCEPT, "accept4 accept getsockname getpeername setsockopt" },
	/* socket itself by allow_sockets(). */
	{ SB_CONNECT, "connect bind getsockname getpeername "
	    "setsockopt" },
	{ SB_SOCKETPAIR, "socketpair setsockopt" },
	{ SB_FILES, "openat openat2 open unlink unlinkat mkdir mkdirat "
	    "rename renameat renameat2 link linkat fsync fdatasync syncfs "
	    "fallocate getdents64 statfs fstatfs statx stat lstat access "
	    "faccessat faccessat2 flock readlink "
	    "readlinkat getcwd umask rmdir copy_file_range preadv2 "
	    "sync_file_range fadvise64" },
	{ SB_MEMFILES, "memfd_create" },
	{ SB_MODES, "chmod fchmod fchmodat chown fchown fchownat lchown "
	    "utimensat utime utimes" },
	{ SB_FORK, "clone clone3 fork vfork wait4 waitid kill "
	    "pidfd_open pidfd_send_signal prlimit64 setpriority close_range "
	    "set_tid_address setsid" },
	{ SB_THREADS, "clone clone3 set_tid_address arch_prctl" },
	{ SB_SANDBOX, "landlock_create_ruleset landlock_add_rule "
	    "landlock_restrict_self seccomp prctl" },
#ifdef HK_SANITIZE
	{ 0, "openat open readlink readlinkat prctl getdents64 "
	    "clone wait4 kill ptrace prlimit64 gettid process_vm_readv "
	    "set_tid_address sched_setaffinity stat access setsockopt" },
#endif
};

/* Probes of libc and OpenSSL: answered, not killed. */
static const char *const refused[] = {
	"openat", "open", "openat2", "access", "faccessat2", "stat", "statx",
	"readlink", "readlinkat", "prlimit64", "ioctl", "prctl", "socket",
	"getcwd", "mlock2", "uname", "getdents64", "mincore",
	"chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat",
	"lchown", "utimensat", "utime", "utimes", "memfd_create",
};

static int
allow(scmp_filter_ctx ctx, const char *calls)
{
	struct str rest = str_of(calls), name;
	char cname[64];
	int nr, rc = 0;

	while (rc == 0 && rest.p != NULL && rest.len != 0) {
		name = str_cut(rest, ' ', &rest);
		(void)snprintf(cname, sizeof(cname), "%.*s", STR_FMT(name));
		nr = seccomp_syscall_resolve_name(cname);
		if (nr >= 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
	}
	return rc;
}

/* Memory may be mapped, but never executable. */
static int
allow_memory(scmp_filter_ctx ctx)
{
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect),
		    1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

/*
 * Outbound programs make sockets of the Internet only. Landlock knows nothing
 * of UDP; other families are refused, since libraries probe.
 */
static int
allow_sockets(scmp_filter_ctx ctx)
{
	int family, rc = 0;

	for (family = 0; rc == 0 && family < AF_MAX; family++)
		rc = seccomp_rule_add(ctx, family == AF_INET ||
		    family == AF_INET6 ? SCMP_ACT_ALLOW :
		    SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0));
	return rc;
}

static bool
is_allowed(int wanted, const char *call)
{
	char list[1024], one[64];
	size_t i;

	if (strcmp(call, "socket") == 0)
		return (wanted & SB_CONNECT) != 0;
	(void)snprintf(one, sizeof(one), " %s ", call);
	for (i = 0; i < sizeof(call_groups) / sizeof(call_groups[0]); i++) {
		if (call_groups[i].group != 0 && (call_groups[i].group & wanted) == 0)
			continue;
		(void)snprintf(list, sizeof(list), " %s ", call_groups[i].calls);
		if (strstr(list, one) != NULL)
			return true;
	}
	return false;
}

/* The filter of these groups; to be released. NULL: err tells. */
static scmp_filter_ctx
filter_new(int wanted, struct err *err)
{
	scmp_filter_ctx ctx = seccomp_init(OUTSIDE);
	int rc = 0, nr;
	size_t i;

	if (ctx == NULL) {
		(void)err_set(err, ERR_TEMP, "seccomp_init");
		return NULL;
	}
	for (i = 0; rc == 0 && i < sizeof(call_groups) / sizeof(call_groups[0]); i++)
		if (call_groups[i].group == 0 || (call_groups[i].group & wanted) != 0)
			rc = allow(ctx, call_groups[i].calls);
	if (rc == 0)
		rc = allow_memory(ctx);
	if (rc == 0 && (wanted & SB_CONNECT) != 0)
		rc = allow_sockets(ctx);
	for (i = 0; rc == 0 && i < sizeof(refused) / sizeof(refused[0]);
	    i++) {
		nr = seccomp_syscall_resolve_name(refused[i]);
		if (nr >= 0 && !is_allowed(wanted, refused[i]))
			rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES), nr,
			    0);
	}
	if (rc == 0)
		return ctx;
	seccomp_release(ctx);
	(void)err_set(err, ERR_DENIED, "seccomp: %s", strerror(-rc));
	return NULL;
}

/* A filter that children will want, as the kernel takes it. */
static struct {
	int groups;
	struct sock_fprog program;
} ready;

static int
enter_seccomp(int wanted, struct err *err)
{
	scmp_filter_ctx ctx;
	int rc;

	if (ready.program.filter != NULL && ready.groups == wanted) {
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
		    &ready.program) == -1)
			return err_set_errno(err, ERR_DENIED, "seccomp");
		return 0;
	}
	if ((ctx = filter_new(wanted, err)) == NULL)
		return ERR_DENIED;
	rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0)
		return err_set(err, ERR_DENIED, "seccomp: %s", strerror(-rc));
	return 0;
}

/*
 * One's own threads may be signalled (abort() does), nobody else's, not by
 * way of a descriptor's owner either. A filter of its own, since the process
 * is not known when one is made beforehand.
 */
static int
own_signals_only(struct err *err)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 0, 7),
		/* The kernel looks at these 32 bits of a pid. */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 5, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETOWN, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETOWN_EX, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, F_SETSIG, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SIGNAL_OUTSIDE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == -1)
		return err_set_errno(err, ERR_DENIED, "seccomp");
	return 0;
}

/* The program that libseccomp makes, by way of a file in memory. */
static int
program_read(int fd, struct sock_fprog *program, struct err *err)
{
	off_t size = lseek(fd, 0, SEEK_END);
	size_t len = size > 0 ? (size_t)size : 0;

	if (len == 0 || len / sizeof(struct sock_filter) > BPF_MAXINSNS)
		return err_set(err, ERR_TEMP, "seccomp export");
	program->filter = malloc(len);
	invariant(program->filter != NULL);
	if (pread(fd, program->filter, len, 0) != (ssize_t)len) {
		free(program->filter);
		program->filter = NULL;
		return err_set_errno(err, ERR_TEMP, "seccomp export");
	}
	program->len = (unsigned short)(len / sizeof(struct sock_filter));
	return 0;
}

int
sandbox_narrow_prepare(int groups, struct err *err)
{
	scmp_filter_ctx ctx = filter_new(groups, err);
	int fd, rc;

	if (ctx == NULL)
		return ERR_DENIED;
	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd == -1 || seccomp_export_bpf(ctx, fd) != 0) {
		rc = err_set_errno(err, ERR_TEMP, "seccomp export");
	} else {
		free(ready.program.filter);
		ready.program.filter = NULL;
		rc = program_read(fd, &ready.program, err);
		ready.groups = groups;
	}
	if (fd != -1)
		(void)close(fd);
	seccomp_release(ctx);
	return rc;
}

/* ---- Landlock ---- */

static int
landlock_abi(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t
handled_rights(int abi)
{
	uint64_t rights = FS_ALL_1;

	if (abi >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		rights |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 5)
		rights |= FS_IOCTL_DEV;
	return rights;
}

static uint64_t
granted_rights(int abi, int rights)
{
	uint64_t granted = 0;

	if ((rights & SB_READ) != 0)
		granted |= FS_READ;
	if ((rights & SB_WRITE) != 0) {
		granted |= FS_WRITE_1;
		if (abi >= 2)
			granted |= LANDLOCK_ACCESS_FS_REFER;
		if (abi >= 3)
			granted |= LANDLOCK_ACCESS_FS_TRUNCATE;
	}
	return granted;
}

/* Kernels before some ABI do not know the later fields: size tells them. */
struct ruleset_attr {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

static int
ruleset_new(int abi, int groups_wanted, struct err *err)
{
	struct ruleset_attr attr = { .fs = handled_rights(abi) };
	size_t size = sizeof(attr.fs);
	int fd;

	if (abi >= 4) {
		/* TCP bind and connect. */
		attr.net = (groups_wanted & SB_CONNECT) != 0 ? 1 : 3;
		size = offsetof(struct ruleset_attr, scoped);
	}
	if (abi >= 6) {
		/* Abstract sockets, and signals but to our own children. */
		attr.scoped = (groups_wanted & SB_FORK) != 0 ? 1 : 3;
		size = sizeof(attr);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd == -1)
		return err_set_errno(err, ERR_DENIED, "landlock ruleset");
	return fd;
}

static int
rule_add(int ruleset, int abi, int dir, int rights, struct err *err)
{
	struct landlock_path_beneath_attr attr = {
		.allowed_access = granted_rights(abi, rights),
		.parent_fd = dir,
	};

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
	    &attr, 0) == -1)
		return err_set_errno(err, ERR_DENIED, "landlock rule");
	return 0;
}

static int
restrict_self(int ruleset, struct err *err)
{
	int rc = 0;

	if (syscall(SYS_landlock_restrict_self, ruleset, 0) == -1)
		rc = err_set_errno(err, ERR_DENIED, "landlock");
	(void)close(ruleset);
	return rc;
}

static int
enter_landlock(const struct sandbox *sandbox, int abi, struct err *err)
{
	const struct sandbox_path *path = sandbox->paths;
	int ruleset = ruleset_new(abi, sandbox->groups, err);
	int dir, rc = 0;

	if (ruleset < 0)
		return ruleset;
	for (; rc == 0 && path != NULL && path->path != NULL; path++) {
		dir = open(path->path, O_PATH | O_CLOEXEC);
		if (dir == -1) {
			rc = err_set_errno(err, ERR_TEMP, "%s", path->path);
			break;
		}
		rc = rule_add(ruleset, abi, dir, path->rights, err);
		(void)close(dir);
	}
	if (rc != 0) {
		(void)close(ruleset);
		return rc;
	}
	return restrict_self(ruleset, err);
}

/* ---- identity and limits ---- */

#define EXTRA_GROUPS_MAX 8

static int
limit(int resource, uint64_t value, struct err *err)
{
	struct rlimit rl = { value, value }, had;

	/* Not more than is allowed: a container may lack the right to raise
	 * a hard limit. */
	if (getrlimit((__rlimit_resource_t)resource, &had) == 0 &&
	    had.rlim_max != RLIM_INFINITY && rl.rlim_max > had.rlim_max &&
	    setrlimit((__rlimit_resource_t)resource, &rl) == -1)
		rl.rlim_cur = rl.rlim_max = had.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &rl) == -1)
		return err_set_errno(err, ERR_TEMP, "setrlimit");
	return 0;
}

static int
set_limits(const struct sandbox *sandbox, struct err *err)
{
	int rc = limit(RLIMIT_CORE, 0, err);

	if (rc == 0 && sandbox->files_max != 0)
		rc = limit(RLIMIT_NOFILE, sandbox->files_max, err);
#ifndef HK_SANITIZE
	if (rc == 0 && sandbox->address_octets != 0)
		rc = limit(RLIMIT_AS, sandbox->address_octets, err);
	if (rc == 0 && (sandbox->groups & (SB_FORK | SB_THREADS)) == 0)
		rc = limit(RLIMIT_NPROC, 0, err);
#endif
	return rc;
}

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t extra[EXTRA_GROUPS_MAX];
	size_t extra_len;
};

static int
find_identity(const struct sandbox *sandbox, struct identity *id,
    struct err *err)
{
	const char *const *name = sandbox->extra_groups;
	const struct passwd *pw = getpwnam(sandbox->user);
	const struct group *gr;

	if (pw == NULL)
		return err_set(err, ERR_NOTFOUND, "no user %s",
		    sandbox->user);
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	if (sandbox->group != NULL) {
		if ((gr = getgrnam(sandbox->group)) == NULL)
			return err_set(err, ERR_NOTFOUND, "no group %s",
			    sandbox->group);
		id->gid = gr->gr_gid;
	}
	for (; name != NULL && *name != NULL; name++) {
		if ((gr = getgrnam(*name)) == NULL)
			return err_set(err, ERR_NOTFOUND, "no group %s",
			    *name);
		invariant(id->extra_len < EXTRA_GROUPS_MAX);
		id->extra[id->extra_len++] = gr->gr_gid;
	}
	return 0;
}

static int
drop_identity(const struct identity *id, struct err *err)
{
	int cap;

	for (cap = 0; cap < 64; cap++)
		(void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	if (setgroups(id->extra_len, id->extra) == -1 ||
	    setresgid(id->gid, id->gid, id->gid) == -1 ||
	    setresuid(id->uid, id->uid, id->uid) == -1)
		return err_set_errno(err, ERR_TEMP, "drop to uid %u",
		    (unsigned)id->uid);
	/* Must not come back. */
	if (id->uid != 0 && setuid(0) == 0)
		return err_set(err, ERR_TEMP, "root came back");
	return 0;
}

static int
enter_root(const char *root, struct err *err)
{
	if (chroot(root) == -1 || chdir("/") == -1)
		return err_set_errno(err, ERR_TEMP, "chroot %s", root);
	return 0;
}

/* Append a word to the text that doctor shows. */
static void
note(char *text, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
note(char *text, size_t size, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;

	if (len != 0 && len + 1 < size) {
		text[len++] = ' ';
		text[len] = '\0';
	}
	va_start(ap, fmt);
	(void)vsnprintf(text + len, size - len, fmt, ap);
	va_end(ap);
}

static int
enter_identity(const struct sandbox *sandbox, char *text, size_t size,
    struct err *err)
{
	struct identity id = { .extra_len = 0 };
	int rc = 0;

	if (geteuid() != 0)
		return 0;
	if (sandbox->user != NULL)
		rc = find_identity(sandbox, &id, err);
	if (rc == 0 && sandbox->root != NULL) {
		rc = enter_root(sandbox->root, err);
		note(text, size, "chroot");
	}
	if (rc == 0 && sandbox->user != NULL) {
		rc = drop_identity(&id, err);
		note(text, size, "uid");
	}
	return rc;
}

int
sandbox_enter(const struct sandbox *sandbox, char *text_r, size_t text_size,
    struct err *err)
{
	struct err why = ERR_INIT;
	int abi = landlock_abi(), rc;

	text_r[0] = '\0';
	if ((rc = set_limits(sandbox, err)) != 0 ||
	    (rc = enter_identity(sandbox, text_r, text_size, err)) != 0)
		return rc;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return err_set_errno(err, ERR_TEMP, "prctl");
	if (abi < 1)
		rc = err_set(&why, ERR_DENIED, "this kernel has no Landlock");
	else
		rc = enter_landlock(sandbox, abi, &why);
	if (rc == 0)
		note(text_r, text_size, "landlock-%d", abi);
	if (rc != 0 && !sandbox->is_degraded_ok)
		return err_set(err, rc, "%s", err_text(&why));
	err_clear(&why);
	rc = (sandbox->groups & SB_FORK) == 0 ? own_signals_only(&why) : 0;
	if (rc == 0)
		rc = enter_seccomp(sandbox->groups, &why);
	if (rc == 0)
		note(text_r, text_size, "seccomp");
	if (rc != 0 && !sandbox->is_degraded_ok)
		return err_set(err, rc, "%s", err_text(&why));
	return 0;
}

int
sandbox_narrow(const int *dirs, size_t dirs_len, int rights, int groups,
    bool is_degraded_ok, struct err *err)
{
	int abi = landlock_abi(), ruleset, rc = 0;
	size_t i;

	if (abi < 1)
		return is_degraded_ok ? 0 : err_set(err, ERR_DENIED,
		    "this kernel has no Landlock");
	ruleset = ruleset_new(abi, groups, err);
	if (ruleset < 0)
		return ruleset;
	for (i = 0; rc == 0 && i < dirs_len; i++)
		rc = rule_add(ruleset, abi, dirs[i], rights, err);
	if (rc == 0)
		rc = restrict_self(ruleset, err);
	else
		(void)close(ruleset);
	if (rc == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		rc = err_set_errno(err, ERR_TEMP, "prctl");
	if (rc == 0 && (groups & SB_FORK) == 0)
		rc = own_signals_only(err);
	if (rc == 0)
		rc = enter_seccomp(groups, err);
	return rc;
}
