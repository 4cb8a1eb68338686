/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "master/logfile.h"

#define HEAD "{\"ts\":\"2026-11-22T06:37:42.495Z\",\"level\":\"info\",\"process\":"

static char dir[] = "/tmp/hk-logfile-XXXXXX";
static struct logfile *log_file;

static int
setup(void **state)
{
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	log_file = logfile_open(dir, NULL);
	assert_non_null(log_file);
	log_to_fd(logfile_fd(log_file), "hikyakud");
	return 0;
}

static int
teardown(void **state)
{
	char path[64];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/log/hikyaku.log", dir);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	(void)rmdir(path);
	return rmdir(dir);
}

/* What the log holds after the child has written text. */
static void
written(const char *text, char *out, size_t size)
{
	struct loop *loop = loop_new();
	struct err err = ERR_INIT;
	char path[64];
	struct logpipe *pipe;
	int fd, log_fd;
	ssize_t n;

	assert_int_equal(ftruncate(logfile_fd(log_file), 0), 0);
	pipe = logpipe_open(log_file, loop, "smtpd", &fd, &err);
	assert_non_null(pipe);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	logpipe_free(&pipe);
	loop_free(&loop);
	(void)snprintf(path, sizeof(path), "%s/log/hikyaku.log", dir);
	log_fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(log_fd, out, size - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	(void)close(log_fd);
}

/* A line goes through as it is only when it is of the pipe's process. */
static void
test_lines(void **state)
{
	static const struct {
		const char *line;
		bool is_kept;
	} rows[] = {
		{ HEAD "\"smtpd\",\"pid\":1,\"event\":\"x\"}\n", true },
		{ HEAD "\"authd\",\"pid\":1,\"event\":\"x\"}\n", false },
		{ HEAD "\"smtpd2\",\"pid\":1}\n", false },
		{ "{\"ts\":\"x\",\"process\":\"smtpd\",\"pid\":1}\n", false },
		{ HEAD "\"smtpd\",\"pid\":1,\"event\":\"\t\"}\n", false },
		{ HEAD "\"smtpd\",\"pid\":1\n", false },
		{ "{\"ts\":\"}\n", false },
		{ "}\n", false },
	};
	char out[4096];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		written(rows[i].line, out, sizeof(out));
		assert_int_equal(strcmp(out, rows[i].line) == 0,
		    rows[i].is_kept);
		assert_int_equal(strstr(out, "process.stderr") != NULL,
		    !rows[i].is_kept);
	}
}

/* A grandchild that writes on and on does not hold the supervisor. */
static void
test_endless_writer(void **state)
{
	struct loop *loop = loop_new();
	struct err err = ERR_INIT;
	static char line[4096];
	struct logpipe *pipe;
	pid_t pid;
	int fd;

	(void)state;
	memset(line, '\n', sizeof(line));
	pipe = logpipe_open(log_file, loop, "smtpd", &fd, &err);
	assert_non_null(pipe);
	pid = fork();
	if (pid == 0) {
		(void)fcntl(fd, F_SETFL, 0);
		(void)alarm(20);
		for (;;)
			if (write(fd, line, sizeof(line)) == -1)
				_exit(0);
	}
	(void)close(fd);
	(void)usleep(100000);
	(void)alarm(10);
	logpipe_free(&pipe);
	(void)alarm(0);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	loop_free(&loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_endless_writer),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
