/* SPDX-License-Identifier: ISC */
/*
 * From inside a scan worker: what somebody could do who has taken one over
 * with a message. Each attempt runs in a cell of its own, made as scand and
 * its generations make it (a process in scand's sandbox forks one that enters
 * the cell), with another worker beside it; it must fail or end its process,
 * hurt nobody else, and the slot must be good for the next worker.
 */
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filterd/virus/cell.h"
#include "filterd/virus/slots.h"
#include "proc/sandbox.h"

#define SLOT_OCTETS (8ULL << 20)
#define MEMORY_OCTETS (1ULL << 30)
#define BLOCK_OCTETS 65536

/* What the worker says, then scand. */
enum { EXIT_DENIED = 10, EXIT_DONE = 11, EXIT_NO_CELL = 12,
	EXIT_HURT = 13, EXIT_DIRTY = 14 };

static char top[] = "/tmp/hikyaku-escape-XXXXXX";
static const char *user;		/* NULL: we are not root */
static uid_t user_id = (uid_t)-1;
static gid_t group_id = (gid_t)-1;

/* Of the process that tries. */
static const char *root;		/* of scand's folder, as it sees it */
static pid_t neighbour;
static int cell;

static char *
in_root(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

/* ---- attempts: true when one worked ---- */

static bool
read_passwd(void)
{
	return open("/etc/passwd", O_RDONLY) != -1 ||
	    open("/proc/self/maps", O_RDONLY) != -1;
}

static bool
climb_out(void)
{
	return openat(cell, "../1/secret", O_RDONLY) != -1 ||
	    openat(cell, "../../signatures/ours.ndb", O_RDONLY) != -1 ||
	    openat(cell, "../../../../../etc/passwd", O_RDONLY) != -1;
}

static bool
read_neighbours_file(void)
{
	return open(in_root("unpack/1/secret"), O_RDONLY) != -1;
}

static bool
list_neighbours_folder(void)
{
	return open(in_root("unpack/1"), O_RDONLY | O_DIRECTORY) != -1;
}

static bool
write_beside(void)
{
	return open(in_root("unpack/1/new"), O_WRONLY | O_CREAT, 0600) != -1 ||
	    open(in_root("unpack/new"), O_WRONLY | O_CREAT, 0600) != -1 ||
	    mkdir(in_root("unpack/1/folder"), 0700) == 0;
}

static bool
remove_beside(void)
{
	return unlink(in_root("unpack/1/secret")) == 0 ||
	    rename(in_root("unpack/1/secret"), in_root("unpack/0/x")) == 0;
}

static bool
link_beside(void)
{
	return link(in_root("unpack/1/secret"), in_root("unpack/0/x")) == 0;
}

static bool
point_outside(void)
{
	return symlinkat("/etc/passwd", cell, "x") == 0;
}

static bool
change_signatures(void)
{
	return open(in_root("signatures/ours.ndb"), O_WRONLY) != -1 ||
	    open(in_root("signatures/new.ndb"), O_WRONLY | O_CREAT, 0600) !=
	    -1 || truncate(in_root("signatures/ours.ndb"), 0) == 0;
}

static bool
change_rights(void)
{
	return chmod(in_root("unpack/1"), 0) == 0 ||
	    chmod(in_root("unpack/1/secret"), 0) == 0 ||
	    fchmodat(AT_FDCWD, in_root("unpack/1"), 0, 0) == 0 ||
	    chmod(in_root("unpack/0"), 0) == 0 || fchmod(cell, 0) == 0;
}

static bool
change_owner(void)
{
	return chown(in_root("unpack/1"), getuid(), getgid()) == 0 ||
	    fchown(cell, getuid(), getgid()) == 0;
}

static bool
change_times(void)
{
	return utimensat(AT_FDCWD, in_root("unpack/1/secret"), NULL, 0) == 0;
}

static bool
make_sockets(void)
{
	static const int families[] = { AF_INET, AF_INET6, AF_UNIX,
	    AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG };
	size_t i;

	for (i = 0; i < COUNT_OF(families); i++)
		if (socket(families[i], SOCK_DGRAM, 0) != -1 ||
		    socket(families[i], SOCK_STREAM, 0) != -1)
			return true;
	return false;
}

/* Connect the one socket it has. */
static bool
connect_elsewhere(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	return connect(STDIN_FILENO, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool
make_a_pair(void)
{
	int fds[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0;
}

static bool
run_a_shell(void)
{
	char *argv[] = { (char *)(uintptr_t)"sh", NULL };

	(void)execv("/bin/sh", argv);
	return false;
}

static bool
run_a_file(void)
{
	char *argv[] = { (char *)(uintptr_t)"x", NULL };
	int fd = openat(cell, "x", O_RDWR | O_CREAT, 0700);

	if (write(fd, "\177ELF", 4) != 4)
		return true;
	(void)syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH);
	return false;
}

static bool
fork_a_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid != -1;
}

static bool
start_a_thread(void)
{
	return syscall(SYS_clone3, NULL, 0) != -1;
}

static bool
trace_others(void)
{
	return ptrace(PTRACE_ATTACH, neighbour, NULL, NULL) == 0 ||
	    ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
read_others_memory(void)
{
	char octet;
	struct iovec here = { &octet, 1 }, there = { &octet, 1 };

	return process_vm_readv(neighbour, &here, 1, &there, 1, 0) == 1;
}

static bool
take_others_descriptors(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, neighbour, 0);

	return pidfd != -1 && syscall(SYS_pidfd_getfd, pidfd, 0, 0) != -1;
}

static bool
kill_the_parent(void)
{
	return kill(getppid(), SIGKILL) == 0;
}

static bool
kill_the_neighbour(void)
{
	return kill(neighbour, SIGKILL) == 0;
}

static bool
kill_everybody(void)
{
	return kill(-1, SIGKILL) == 0 || kill(0, SIGKILL) == 0;
}

static bool
kill_a_thread_of_the_parent(void)
{
	return syscall(SYS_tgkill, getppid(), getppid(), SIGKILL) == 0;
}

static bool
kill_a_thread_of_the_neighbour(void)
{
	return syscall(SYS_tgkill, neighbour, neighbour, SIGKILL) == 0 ||
	    syscall(SYS_tkill, neighbour, SIGKILL) == 0;
}

static bool
queue_a_signal(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return syscall(SYS_rt_sigqueueinfo, neighbour, SIGKILL, &info) == 0;
}

/* A pipe that becomes readable signals its owner, whoever that is. */
static bool
signal_by_a_pipe(void)
{
	int fds[2];

	if (pipe2(fds, O_NONBLOCK) == -1)
		return false;
	if (fcntl(fds[0], F_SETOWN, neighbour) == -1)
		return false;
	(void)fcntl(fds[0], F_SETSIG, SIGKILL);
	(void)fcntl(fds[0], F_SETFL, O_ASYNC | O_NONBLOCK);
	return write(fds[1], "x", 1) == 1;
}

static bool
mount_something(void)
{
	return mount("none", in_root("unpack/0"), "tmpfs", 0, NULL) == 0 ||
	    umount2(in_root("unpack/1"), MNT_DETACH) == 0;
}

static bool
leave_the_root(void)
{
	return chroot("/") == 0;
}

static bool
make_a_namespace(void)
{
	return unshare(CLONE_NEWUSER) == 0;
}

static bool
enter_a_namespace(void)
{
	return setns(cell, 0) == 0;
}

static bool
become_root(void)
{
	return syscall(SYS_setresuid, 0, 0, 0) == 0;
}

static bool
get_capabilities(void)
{
	return syscall(SYS_capset, NULL, NULL) == 0;
}

static bool
use_io_uring(void)
{
	struct io_uring_params params = { .flags = 0 };

	return syscall(SYS_io_uring_setup, 4, &params) != -1;
}

static bool
load_bpf(void)
{
	char attr[128] = { 0 };

	return syscall(SYS_bpf, 0, attr, sizeof(attr)) != -1;
}

static bool
use_keys(void)
{
	return syscall(SYS_keyctl, 0, -3, 0) != -1;
}

static bool
add_a_key(void)
{
	return syscall(SYS_add_key, "user", "x", "y", 1, -3) != -1;
}

static bool
watch_events(void)
{
	char attr[128] = { 0 };

	return syscall(SYS_perf_event_open, attr, 0, -1, -1, 0) != -1;
}

static bool
handle_faults(void)
{
	return syscall(SYS_userfaultfd, 0) != -1;
}

static bool
compare_processes(void)
{
	return syscall(SYS_kcmp, getpid(), getppid(), 0, 0, 0) != -1;
}

static bool
attach_shared_memory(void)
{
	return syscall(SYS_shmget, 0, 4096, 01600) != -1;
}

static bool
map_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool
map_a_file_executable(void)
{
	int fd = openat(cell, "x", O_RDWR | O_CREAT, 0700);

	return fd != -1 && ftruncate(fd, 4096) == 0 && mmap(NULL, 4096,
	    PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) != MAP_FAILED;
}

static bool
make_executable_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && mprotect(p, 4096,
	    PROT_READ | PROT_EXEC) == 0;
}

static bool
make_executable_with_a_key(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && syscall(SYS_pkey_mprotect, p, 4096,
	    PROT_READ | PROT_EXEC, -1) == 0;
}

/* Then what is readable would be executable. */
static bool
change_personality(void)
{
	return personality(READ_IMPLIES_EXEC) != -1;
}

/* Numbers of another architecture mean other calls. */
static bool
call_as_32_bit(void)
{
#if defined(__x86_64__)
	long rc;

	__asm__ volatile ("int $0x80" : "=a" (rc) : "a" (20) : "memory");
	return rc > 0;
#else
	return false;
#endif
}

static bool
call_as_x32(void)
{
#if defined(__x86_64__)
	return syscall(0x40000000 | SYS_getpid) > 0;
#else
	return false;
#endif
}

static bool
raise_a_limit(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

static bool
become_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

/* ---- attempts to take more than there is ---- */

/* Until it is full; true when there is no end. */
static bool
fill(const char *name)
{
	static char block[BLOCK_OCTETS];
	int fd = openat(cell, name, O_WRONLY | O_CREAT | O_APPEND, 0600);
	uint64_t octets = 0;
	ssize_t n;

	while (octets <= SLOT_OCTETS &&
	    (n = write(fd, block, sizeof(block))) > 0)
		octets += (uint64_t)n;
	return octets == 0 || octets > SLOT_OCTETS;
}

static bool
fill_the_folder(void)
{
	return fill("full");
}

static bool
use_all_names(void)
{
	char name[32];
	unsigned i;
	int fd;

	for (i = 0; i < 30000; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		fd = openat(cell, name, O_WRONLY | O_CREAT, 0600);
		if (fd == -1)
			return i < 1000 || errno != ENOSPC;
		(void)close(fd);
	}
	return true;
}

/* Deeper than anybody sweeps at once, in a folder nobody may list, full. */
static bool
hide_deep(void)
{
	int dir = dup(cell), below;
	unsigned i;

	for (i = 0; i < 300; i++) {
		if (mkdirat(dir, "d", i % 50 == 49 ? 0300 : 0700) == -1)
			return false;
		below = openat(dir, "d", O_PATH | O_DIRECTORY);
		if (below == -1)
			return false;
		(void)close(dir);
		dir = below;
	}
	cell = dir;
	return fill("full");
}

static bool
grow_a_file(void)
{
	int fd = openat(cell, "large", O_WRONLY | O_CREAT, 0600);

	(void)signal(SIGXFSZ, SIG_IGN);
	return ftruncate(fd, 1LL << 40) == 0;
}

static bool
open_without_end(void)
{
	unsigned i;

	for (i = 0; i < 300; i++)
		if (openat(cell, ".", O_TMPFILE | O_RDWR, 0600) == -1)
			return errno != EMFILE;
	return true;
}

static bool
take_memory(void)
{
	return mmap(NULL, 2 * MEMORY_OCTETS, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool
take_memory_as_a_file(void)
{
	return memfd_create("x", 0) != -1;
}

/* ---- what has to work ---- */

static bool
do_its_work(void)
{
	int fd = openat(cell, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int named = openat(cell, "part", O_RDWR | O_CREAT | O_EXCL, 0600);
	const char *map;

	if (fd == -1 || named == -1 || write(fd, "abc", 3) != 3)
		return false;
	map = mmap(NULL, 3, PROT_READ, MAP_PRIVATE, fd, 0);
	return map != MAP_FAILED && memcmp(map, "abc", 3) == 0 &&
	    mkdirat(cell, "folder", 0700) == 0 &&
	    renameat(cell, "part", cell, "folder/part") == 0 &&
	    malloc(1 << 20) != NULL && write(STDIN_FILENO, "x", 1) == 1;
}

/* ---- cells ---- */

/* In scand's sandbox, as a generation forks a worker. */
static _Noreturn void
work(bool (*attempt)(void))
{
	struct err err = ERR_INIT;
	char folder[256];

	if (cell_open(in_root("unpack"), 0, folder, sizeof(folder), &cell,
	    &err) != 0 || cell_enter(cell, false, &err) != 0) {
		(void)fprintf(stderr, "%s\n", err_text(&err));
		_exit(EXIT_NO_CELL);
	}
	_exit(attempt() ? EXIT_DONE : EXIT_DENIED);
}

static int
run(bool (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		work(attempt);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return EXIT_NO_CELL;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? EXIT_DENIED : EXIT_HURT;
	return WEXITSTATUS(status);
}

static _Noreturn void
be_scand(bool (*attempt)(void), int link)
{
	struct sandbox_path paths[2] = { { user != NULL ? "/" : top,
	    SB_READ | SB_WRITE }, { NULL, 0 } };
	struct sandbox sandbox = { .groups = SB_FILES | SB_MODES | SB_FORK |
	    SB_SANDBOX | SB_SOCKETPAIR, .root = top, .paths = paths,
	    .user = user, .files_max = 4096,
	    .address_octets = MEMORY_OCTETS };
	struct err err = ERR_INIT;
	char text[128];
	int rc, status;

	(void)dup2(link, STDIN_FILENO);
	if (sandbox_enter(&sandbox, text, sizeof(text), &err) != 0) {
		(void)fprintf(stderr, "%s\n", err_text(&err));
		_exit(EXIT_NO_CELL);
	}
	if (getuid() == 0)
		_exit(EXIT_NO_CELL);
	root = user != NULL ? "" : top;
	neighbour = fork();
	if (neighbour == 0)
		for (;;)
			(void)poll(NULL, 0, -1);
	rc = run(attempt);
	if (waitpid(neighbour, &status, WNOHANG) != 0)
		rc = EXIT_HURT;
	(void)kill(neighbour, SIGKILL);
	(void)waitpid(neighbour, &status, 0);
	/* The slot is as good for the next worker. */
	if (rc == EXIT_DENIED && run(do_its_work) != EXIT_DONE)
		rc = EXIT_DIRTY;
	_exit(rc);
}

static int
try(bool (*attempt)(void))
{
	int fds[2], status;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	pid = fork();
	assert_true(pid != -1);
	if (pid == 0)
		be_scand(attempt, fds[1]);
	(void)close(fds[0]);
	(void)close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_HURT;
}

/* Sanitizers need some calls themselves: there the hardened build tells. */
enum { ALWAYS, HARDENED };

static const struct {
	const char *name;
	bool (*run)(void);
	int builds;
} attempts[] = {
	{ "read /etc/passwd", read_passwd, ALWAYS },
	{ "climb out", climb_out, ALWAYS },
	{ "read a neighbour's file", read_neighbours_file, ALWAYS },
	{ "list a neighbour's folder", list_neighbours_folder, ALWAYS },
	{ "write beside its folder", write_beside, ALWAYS },
	{ "remove what lies beside", remove_beside, ALWAYS },
	{ "link what lies beside", link_beside, ALWAYS },
	{ "point outside", point_outside, ALWAYS },
	{ "change signatures", change_signatures, ALWAYS },
	{ "change rights", change_rights, ALWAYS },
	{ "change owners", change_owner, ALWAYS },
	{ "change times", change_times, ALWAYS },
	{ "make sockets", make_sockets, ALWAYS },
	{ "connect its socket", connect_elsewhere, ALWAYS },
	{ "make a pair", make_a_pair, ALWAYS },
	{ "run a shell", run_a_shell, ALWAYS },
	{ "run a file of its own", run_a_file, ALWAYS },
	{ "fork", fork_a_child, HARDENED },
	{ "start a thread", start_a_thread, ALWAYS },
	{ "trace others", trace_others, ALWAYS },
	{ "read others' memory", read_others_memory, ALWAYS },
	{ "take others' descriptors", take_others_descriptors, ALWAYS },
	{ "kill the parent", kill_the_parent, HARDENED },
	{ "kill the neighbour", kill_the_neighbour, HARDENED },
	{ "kill everybody", kill_everybody, HARDENED },
	{ "tgkill the parent", kill_a_thread_of_the_parent, ALWAYS },
	{ "tgkill the neighbour", kill_a_thread_of_the_neighbour, ALWAYS },
	{ "queue a signal", queue_a_signal, ALWAYS },
	{ "signal by a pipe", signal_by_a_pipe, ALWAYS },
	{ "mount", mount_something, ALWAYS },
	{ "chroot", leave_the_root, ALWAYS },
	{ "unshare", make_a_namespace, ALWAYS },
	{ "setns", enter_a_namespace, ALWAYS },
	{ "become root", become_root, ALWAYS },
	{ "get capabilities", get_capabilities, ALWAYS },
	{ "io_uring", use_io_uring, ALWAYS },
	{ "bpf", load_bpf, ALWAYS },
	{ "keyctl", use_keys, ALWAYS },
	{ "add_key", add_a_key, ALWAYS },
	{ "perf events", watch_events, ALWAYS },
	{ "userfaultfd", handle_faults, ALWAYS },
	{ "kcmp", compare_processes, ALWAYS },
	{ "shared memory", attach_shared_memory, ALWAYS },
	{ "map executable", map_executable, ALWAYS },
	{ "map a file executable", map_a_file_executable, ALWAYS },
	{ "make executable later", make_executable_later, ALWAYS },
	{ "pkey_mprotect", make_executable_with_a_key, ALWAYS },
	{ "personality", change_personality, ALWAYS },
	{ "32-bit calls", call_as_32_bit, ALWAYS },
	{ "x32 calls", call_as_x32, ALWAYS },
	{ "raise a limit", raise_a_limit, HARDENED },
	{ "become dumpable", become_dumpable, HARDENED },
	{ "fill the folder", fill_the_folder, ALWAYS },
	{ "use all names", use_all_names, ALWAYS },
	{ "hide deep", hide_deep, ALWAYS },
	{ "grow a file", grow_a_file, ALWAYS },
	{ "open without end", open_without_end, ALWAYS },
	{ "take memory", take_memory, HARDENED },
	{ "take memory as a file", take_memory_as_a_file, ALWAYS },
};

static bool
is_tried(int builds)
{
#ifdef HK_SANITIZE
	return builds == ALWAYS;
#else
	return builds == ALWAYS || builds == HARDENED;
#endif
}

static void
test_attempts(void **state)
{
	static const char *const whats[] = {
		[EXIT_DONE] = "worked", [EXIT_NO_CELL] = "had no cell",
		[EXIT_HURT] = "hurt somebody",
		[EXIT_DIRTY] = "left a slot that is good for nothing",
	};
	unsigned failed = 0;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(attempts); i++) {
		if (!is_tried(attempts[i].builds))
			continue;
		rc = try(attempts[i].run);
		if (rc == EXIT_DENIED)
			continue;
		print_error("%s: %s (%d)\n", attempts[i].name, rc >=
		    EXIT_DONE && rc <= EXIT_DIRTY ? whats[rc] : "?", rc);
		failed++;
	}
	assert_int_equal(failed, 0);
}

static void
test_work(void **state)
{
	(void)state;
	assert_int_equal(try(do_its_work), EXIT_DONE);
}

/* ---- scand's folder ---- */

static void
make_file(const char *name, bool is_users)
{
	char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", top, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd != -1 && write(fd, "x", 1) == 1);
	if (is_users && user != NULL)
		assert_int_equal(fchown(fd, user_id, group_id), 0);
	assert_int_equal(fchmod(fd, is_users ? 0600 : 0644), 0);
	(void)close(fd);
}

static void
be_somebody(void)
{
	static const char *const names[] = { "_hikyaku-scand", "nobody" };
	const struct passwd *found = NULL;
	size_t i;

	for (i = 0; i < COUNT_OF(names) && found == NULL; i++) {
		user = names[i];
		found = getpwnam(user);
	}
	assert_non_null(found);
	user_id = found->pw_uid;
	group_id = found->pw_gid;
}

static int
setup(void **state)
{
	struct err err = ERR_INIT;
	char path[256];
	unsigned i;

	(void)state;
	if (geteuid() == 0)
		be_somebody();
	assert_int_equal(chmod(top, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/signatures", top);
	assert_int_equal(mkdir(path, 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/unpack", top);
	assert_int_equal(mkdir(path, 0755), 0);
	make_file("signatures/ours.ndb", false);
	if (slots_begin(&err) != 0)
		fail_msg("%s", err_text(&err));
	for (i = 0; i < 2; i++)
		if (slots_make(path, i, SLOT_OCTETS, user_id, group_id,
		    &err) != 0)
			fail_msg("%s", err_text(&err));
	if (slots_end(&err) != 0)
		fail_msg("%s", err_text(&err));
	make_file("unpack/1/secret", true);
	return 0;
}

/* The mounts ended with the process that ran the tests. */
static void
remove_folders(void)
{
	static const char *const names[] = { "unpack/0", "unpack/1",
	    "unpack", "signatures/ours.ndb", "signatures", "" };
	char path[256];
	size_t i;

	for (i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		if (unlink(path) == -1)
			(void)rmdir(path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_attempts),
	};
	int status;
	pid_t pid;

	if (mkdtemp(top) == NULL || (pid = fork()) == -1)
		return 1;
	if (pid == 0)
		return cmocka_run_group_tests(tests, setup, NULL);
	(void)waitpid(pid, &status, 0);
	remove_folders();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
