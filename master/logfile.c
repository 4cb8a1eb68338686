/* SPDX-License-Identifier: ISC */
#include "master/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

#define LINE_MAX_OCTETS 8192
#define STAMP_OCTETS 31	/* up to the end of the time */
#define LEVEL_OCTETS 11	/* ","level":" */
#define PIPE_OCTETS (1 << 20)
#define DRAIN_READS (2 * PIPE_OCTETS / LINE_MAX_OCTETS)

struct logfile {
	char path[4096];
	int fd;
};

struct logpipe {
	struct logfile *log;
	struct loop_fd watch;
	struct buf line;
	const char *process;
	int pid;
	int fd;
};

struct logfile *
logfile_open(const char *dir, struct err *err)
{
	struct logfile *log = calloc(1, sizeof(*log));

	invariant(log != NULL);
	(void)snprintf(log->path, sizeof(log->path), "%s/log/hikyaku.log",
	    dir);
	log->fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
	    0640);
	if (log->fd == -1) {
		err_set_errno(err, ERR_TEMP, "%s", log->path);
		free(log);
		return NULL;
	}
	return log;
}

void
logfile_reopen(struct logfile *log)
{
	int fd = open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
	    0640);

	if (fd == -1)
		return;
	(void)dup3(fd, log->fd, O_CLOEXEC);
	(void)close(fd);
}

int
logfile_fd(const struct logfile *log)
{
	return log->fd;
}

/*
 * A line as lib/base/log makes it: one object, nothing but printable text,
 * and of the process that the pipe belongs to.
 */
static bool
is_log_line(const char *process, struct str line)
{
	char mine[64];
	struct str rest;
	size_t i;

	if (!str_begins(line, STR("{\"ts\":\"")) ||
	    line.p[line.len - 1] != '}')
		return false;
	/* The time, then the level, then whose line it is. */
	rest = str_sub(line, STAMP_OCTETS, line.len);
	if (!str_begins(rest, STR("\",\"level\":\"")))
		return false;
	(void)str_cut(str_sub(rest, LEVEL_OCTETS, rest.len), '"', &rest);
	(void)snprintf(mine, sizeof(mine), ",\"process\":\"%s\",\"pid\":",
	    process);
	if (!str_begins(rest, str_of(mine)))
		return false;
	for (i = 0; i < line.len; i++)
		if ((unsigned char)line.p[i] < 0x20)
			return false;
	return str_is_utf8(line);
}

static void
line_write(struct logpipe *pipe, struct str line)
{
	ssize_t n;

	if (line.len == 0)
		return;
	if (!is_log_line(pipe->process, line)) {
		ev_error(NULL, "process.stderr", EV_CSTR(peer, pipe->process),
		    EV_U64(peer_pid, pipe->pid), EV_STR(detail, line));
		return;
	}
	/* The newline stands right behind the line. */
	n = write(pipe->log->fd, line.p, line.len + 1);
	(void)n;
}

static void
lines_write(struct logpipe *pipe)
{
	struct str in = buf_str(&pipe->line);
	size_t at;

	while ((at = str_find(in, '\n')) != STR_NPOS) {
		line_write(pipe, str_sub(in, 0, at));
		in = str_sub(in, at + 1, in.len);
	}
	buf_consume(&pipe->line, pipe->line.len - in.len);
	if (pipe->line.len < LINE_MAX_OCTETS)
		return;
	ev_error(NULL, "process.stderr", EV_CSTR(peer, pipe->process),
	    EV_U64(peer_pid, pipe->pid), EV_STR(detail,
	    buf_str(&pipe->line)));
	buf_reset(&pipe->line);
}

/* True when there may be more. */
static bool
read_some(struct logpipe *pipe)
{
	char *p = buf_reserve(&pipe->line, LINE_MAX_OCTETS);
	ssize_t n;

	invariant(p != NULL);
	do
		n = read(pipe->fd, p, LINE_MAX_OCTETS);
	while (n == -1 && errno == EINTR);
	if (n <= 0) {
		if (n == 0)
			loop_fd_want(&pipe->watch, 0);
		return false;
	}
	buf_grow(&pipe->line, (size_t)n);
	lines_write(pipe);
	return true;
}

static void
on_pipe(void *arg, int what)
{
	int i;

	(void)what;
	for (i = 0; i < 16; i++)
		if (!read_some(arg))
			return;
}

struct logpipe *
logpipe_open(struct logfile *log, struct loop *loop, const char *process,
    int *write_fd_r, struct err *err)
{
	struct logpipe *pipe;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		err_set_errno(err, ERR_TEMP, "pipe");
		return NULL;
	}
	(void)fcntl(fds[0], F_SETPIPE_SZ, PIPE_OCTETS);
	pipe = calloc(1, sizeof(*pipe));
	invariant(pipe != NULL);
	pipe->log = log;
	pipe->process = process;
	pipe->fd = fds[0];
	buf_init(&pipe->line, LINE_MAX_OCTETS * 2);
	loop_fd_init(&pipe->watch, loop, pipe->fd, on_pipe, pipe);
	loop_fd_want(&pipe->watch, LOOP_READ);
	*write_fd_r = fds[1];
	return pipe;
}

void
logpipe_set_pid(struct logpipe *pipe, int pid)
{
	pipe->pid = pid;
}

void
logpipe_free(struct logpipe **pipep)
{
	struct logpipe *pipe = *pipep;
	int i;

	if (pipe == NULL)
		return;
	*pipep = NULL;
	/* No more than the pipe holds: a child of the child may still write. */
	for (i = 0; i < DRAIN_READS && read_some(pipe); i++)
		;
	loop_fd_fini(&pipe->watch);
	(void)close(pipe->fd);
	buf_fini(&pipe->line);
	free(pipe);
}
