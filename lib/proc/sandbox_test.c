/* SPDX-License-Identifier: ISC */
/*
 * Each attack is tried in a child of its own that has entered a sandbox: it
 * must fail with an error or end the child with SIGSYS, and what the profile
 * allows must go on working.
 */
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc/sandbox.h"

#define EXIT_DENIED 10
#define EXIT_DONE 11

static char dir[] = "/tmp/hikyaku-sandbox-XXXXXX";

/* ---- attacks: true when it worked ---- */

static bool
open_passwd(void)
{
	return open("/etc/passwd", O_RDONLY) != -1;
}

static bool
open_outside_for_writing(void)
{
	return open("/tmp/hikyaku-escape", O_WRONLY | O_CREAT, 0600) != -1;
}

static bool
run_a_shell(void)
{
	char *argv[] = { (char *)(uintptr_t)"sh", NULL };

	(void)execv("/bin/sh", argv);
	return false;
}

static bool
make_a_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) != -1;
}

static bool
make_a_local_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) != -1;
}

static bool
make_a_raw_link_socket(void)
{
	return socket(AF_PACKET, SOCK_DGRAM, 0) != -1;
}

static bool
listen_on_tcp(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd != -1 && listen(fd, 1) == 0;
}

static bool
ask_by_udp(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
	    .sin_port = htons(9),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int fd6 = socket(AF_INET6, SOCK_STREAM, 0);

	return fd != -1 && (fd6 != -1 || errno == EAFNOSUPPORT) &&
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static bool
trace_the_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
kill_the_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool
use_io_uring(void)
{
	char params[512] = { 0 };

	return syscall(SYS_io_uring_setup, 4, params) != -1;
}

static bool
mount_something(void)
{
	return mount("none", dir, "tmpfs", 0, NULL) == 0;
}

static bool
use_keyring(void)
{
	return syscall(SYS_keyctl, 0, -3, 0) != -1;
}

static bool
load_bpf(void)
{
	char attr[128] = { 0 };

	return syscall(SYS_bpf, 0, attr, sizeof(attr)) != -1;
}

static bool
make_memory_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool
become_root_again(void)
{
	return getuid() != 0 && setuid(0) == 0;
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
write_inside(void)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	return fd != -1 && write(fd, "x", 1) == 1 && fsync(fd) == 0;
}

static bool
allocate_and_send(void)
{
	void *p = malloc(1 << 20);

	return p != NULL && write(STDERR_FILENO, "", 0) == 0;
}

/* ---- running one ---- */

static int
try(const struct sandbox *sandbox, bool (*attack)(void))
{
	struct err err = ERR_INIT;
	char text[128];
	int status;
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		if (sandbox_enter(sandbox, text, sizeof(text), &err) != 0) {
			(void)fprintf(stderr, "%s\n", err_text(&err));
			_exit(1);
		}
		_exit(attack() ? EXIT_DONE : EXIT_DENIED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGSYS);
		return EXIT_DENIED;
	}
	return WEXITSTATUS(status);
}

static void
test_attacks(void **state)
{
	static const struct {
		const char *name;
		bool (*run)(void);
	} attacks[] = {
		{ "open", open_passwd },
		{ "create", open_outside_for_writing },
		{ "exec", run_a_shell },
		{ "socket", make_a_socket },
		{ "ptrace", trace_the_parent },
		{ "kill", kill_the_parent },
		{ "io_uring", use_io_uring },
		{ "mount", mount_something },
		{ "keyctl", use_keyring },
		{ "bpf", load_bpf },
		{ "exec memory", make_memory_executable },
		{ "setuid", become_root_again },
	};
	static const struct sandbox front = { .groups = SB_ACCEPT,
	    .files_max = 64 };
	struct sandbox_path paths[2] = { { dir, SB_READ | SB_WRITE },
	    { NULL, 0 } };
	struct sandbox files = { .groups = SB_FILES, .paths = paths,
	    .files_max = 64 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(attacks); i++) {
		if (try(&front, attacks[i].run) != EXIT_DENIED)
			fail_msg("a front could: %s", attacks[i].name);
		if (try(&files, attacks[i].run) != EXIT_DENIED)
			fail_msg("a program with files could: %s",
			    attacks[i].name);
	}
#ifndef HK_SANITIZE
	/* The sanitizers' own threads and symbolizer need clone. */
	assert_int_equal(try(&front, fork_a_child), EXIT_DENIED);
#endif
	(void)fork_a_child;
}

static void
test_what_is_allowed(void **state)
{
	struct sandbox_path paths[2] = { { dir, SB_READ | SB_WRITE },
	    { NULL, 0 } };
	struct sandbox files = { .groups = SB_FILES, .paths = paths,
	    .files_max = 64 };
	struct sandbox front = { .groups = SB_ACCEPT, .files_max = 64 };

	(void)state;
	assert_int_equal(try(&files, write_inside), EXIT_DONE);
	assert_int_equal(try(&files, allocate_and_send), EXIT_DONE);
	assert_int_equal(try(&front, allocate_and_send), EXIT_DONE);
	assert_int_equal(try(&front, write_inside), EXIT_DENIED);
}

static void
test_outbound(void **state)
{
	struct sandbox outbound = { .groups = SB_CONNECT, .files_max = 64 };

	(void)state;
	assert_int_equal(try(&outbound, ask_by_udp), EXIT_DONE);
	assert_int_equal(try(&outbound, allocate_and_send), EXIT_DONE);
	assert_int_equal(try(&outbound, make_a_local_socket), EXIT_DENIED);
	assert_int_equal(try(&outbound, make_a_raw_link_socket),
	    EXIT_DENIED);
	assert_int_equal(try(&outbound, listen_on_tcp), EXIT_DENIED);
	assert_int_equal(try(&outbound, open_passwd), EXIT_DENIED);
}

static bool
narrowed_escape(void)
{
	char path[160];
	int inner;

	(void)snprintf(path, sizeof(path), "%s/inner", dir);
	(void)mkdir(path, 0700);
	inner = open(path, O_PATH | O_DIRECTORY);
	if (inner == -1 || sandbox_narrow(&inner, 1, SB_READ | SB_WRITE,
	    SB_FILES, false, NULL) != 0)
		_exit(1);
	/* Inside still works, the sibling that was allowed before does not. */
	if (openat(inner, "file", O_WRONLY | O_CREAT, 0600) == -1)
		_exit(2);
	return write_inside();
}

static void
test_narrow(void **state)
{
	struct sandbox_path paths[2] = { { dir, SB_READ | SB_WRITE },
	    { NULL, 0 } };
	struct sandbox broker = { .groups = SB_FILES | SB_FORK | SB_SANDBOX,
	    .paths = paths, .files_max = 64 };

	(void)state;
	assert_int_equal(try(&broker, narrowed_escape), EXIT_DENIED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attacks),
		cmocka_unit_test(test_what_is_allowed),
		cmocka_unit_test(test_outbound),
		cmocka_unit_test(test_narrow),
	};

	if (mkdtemp(dir) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
