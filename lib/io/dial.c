/* SPDX-License-Identifier: ISC */
#include "io/dial.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct dial {
	int fd;
	int error;		/* what connect() said at once */
	struct loop_fd watch;
	struct loop_timer timer;
	struct loop_later later;
	dial_done *done;
	void *ctx;
};

void
dial_free(struct dial **dialp)
{
	struct dial *dial = *dialp;

	if (dial == NULL)
		return;
	*dialp = NULL;
	loop_timer_fini(&dial->timer);
	loop_later_fini(&dial->later);
	if (dial->fd != -1) {
		loop_fd_fini(&dial->watch);
		(void)close(dial->fd);
	}
	free(dial);
}

/* Tell how it ended; the dial is gone. */
static void
finish(struct dial *dial, const char *reason)
{
	dial_done *done = dial->done;
	void *ctx = dial->ctx;
	int fd = -1;

	if (reason == NULL) {
		fd = dial->fd;
		loop_fd_fini(&dial->watch);
		dial->fd = -1;
	}
	dial_free(&dial);
	done(ctx, fd, reason);
}

static void
on_writable(void *arg, int what)
{
	struct dial *dial = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)what;
	if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	finish(dial, error != 0 ? strerror(error) : NULL);
}

static void
on_late(void *arg)
{
	finish(arg, "connect timed out");
}

static void
on_failed(void *arg)
{
	struct dial *dial = arg;

	finish(dial, strerror(dial->error));
}

static void
start(struct dial *dial, const struct netaddr *to, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = netaddr_to_sockaddr(to, port, &ss);

	dial->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	if (dial->fd == -1) {
		dial->error = errno;
		return;
	}
	if (connect(dial->fd, (const void *)&ss, len) == -1 &&
	    errno != EINPROGRESS) {
		dial->error = errno;
		(void)close(dial->fd);
		dial->fd = -1;
	}
}

struct dial *
dial_new(struct loop *loop, const struct netaddr *to, uint16_t port,
    uint64_t deadline_ms, dial_done *done, void *ctx)
{
	struct dial *dial = calloc(1, sizeof(*dial));

	invariant(dial != NULL);
	dial->done = done;
	dial->ctx = ctx;
	loop_timer_init(&dial->timer, loop, on_late, dial);
	loop_later_init(&dial->later, on_failed, dial);
	start(dial, to, port);
	if (dial->fd == -1) {
		loop_later(loop, &dial->later);
		return dial;
	}
	loop_fd_init(&dial->watch, loop, dial->fd, on_writable, dial);
	loop_fd_want(&dial->watch, LOOP_WRITE);
	loop_timer_start(&dial->timer, deadline_ms);
	return dial;
}
