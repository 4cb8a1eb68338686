/* SPDX-License-Identifier: ISC */
/* conn: its life, its events, and what its owner takes and puts. */
#include "io/conn_int.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/deflate.h"

#define OUT_SLACK_OCTETS 65536
#define LAST_WORD_MS 5000

/* ---- life ---- */

static void
set_remote(struct conn *conn)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	struct sockaddr_in6 *in6 = (void *)&ss;
	struct sockaddr_in *in4 = (void *)&ss;
	socklen_t len = sizeof(ss);

	(void)snprintf(conn->remote, sizeof(conn->remote), "local");
	if (getpeername(conn->fd, (void *)&ss, &len) == -1)
		return;
	if (ss.ss_family == AF_INET) {
		inet_ntop(AF_INET, &in4->sin_addr, conn->remote,
		    sizeof(conn->remote));
		conn->port = ntohs(in4->sin_port);
	} else if (ss.ss_family == AF_INET6) {
		/* An IPv4 client of a dual listener is shown as IPv4. */
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12],
			    conn->remote, sizeof(conn->remote));
		else
			inet_ntop(AF_INET6, &in6->sin6_addr, conn->remote,
			    sizeof(conn->remote));
		conn->port = ntohs(in6->sin6_port);
	}
}

void
conn_enter(struct conn *conn)
{
	conn->depth++;
}

void
conn_leave(struct conn *conn)
{
	if (--conn->depth == 0 && conn->is_freed)
		free(conn);
}

static void
conn_close_fd(struct conn *conn)
{
	if (conn->fd == -1)
		return;
	loop_fd_fini(&conn->watch);
	if (conn->ssl != NULL && !conn->is_shaking) {
		(void)SSL_shutdown(conn->ssl);
		ERR_clear_error();
	}
	tls_session_free(&conn->ssl);
	tls_session_free(&conn->next_ssl);
	(void)close(conn->fd);
	conn->fd = -1;
}

void
conn_end(struct conn *conn, enum conn_end why)
{
	if (conn->is_ended || conn->is_freed)
		return;
	conn->is_ended = true;
	loop_timer_stop(&conn->timer);
	loop_later_fini(&conn->later);
	conn_close_fd(conn);
	conn->ops->on_end(conn->ctx, why);
}

static void
on_deadline(void *arg)
{
	struct conn *conn = arg;

	conn_enter(conn);
	/* A client that does not read its last word gets no second one. */
	if (conn->ops->on_late != NULL && !conn->is_finishing &&
	    !conn->is_shaking) {
		loop_timer_start(&conn->timer, LAST_WORD_MS);
		conn->ops->on_late(conn->ctx);
	} else {
		conn_end(conn, CONN_TIMEOUT);
	}
	conn_leave(conn);
}

/* ---- what to wait for ---- */

void
conn_watch_update(struct conn *conn)
{
	int want = 0;

	if (conn->is_ended || conn->is_freed)
		return;
	if (conn->is_shaking) {
		/* Waiting for a signature: wake() goes on. */
		want = SSL_waiting_for_async(conn->ssl) ? 0 :
		    conn->tls_wants_write ? LOOP_WRITE : LOOP_READ;
	} else {
		if (!conn->is_paused && !conn->has_eof &&
		    conn->in.len < conn->in_max)
			want |= conn->tls_wants_write ? LOOP_WRITE :
			    LOOP_READ;
		if (conn_unsent(conn) != 0)
			want |= conn->tls_wants_read ? LOOP_READ : LOOP_WRITE;
	}
	loop_fd_want(&conn->watch, want);
}

/* ---- events ---- */

static void
give_input(struct conn *conn, bool is_new)
{
	if (is_new && !conn->is_finishing)
		conn->ops->on_input(conn->ctx);
	if (conn->is_freed || conn->is_ended)
		return;
	if (conn->in.len == 0)
		buf_trim(&conn->in);
	/* No event will come for it. */
	if (is_new && !conn->is_paused && conn->in.len < conn->in_max &&
	    conn_has_hidden_input(conn))
		conn_kick(conn);
	if (!conn->has_eof || conn->is_paused)
		return;
	/* A client that only closed its sending side still gets replies. */
	if (conn_unsent(conn) != 0)
		conn_finish(conn);
	else
		conn_end(conn, CONN_EOF);
}

static void
give_drained(struct conn *conn)
{
	if (!conn->was_full || conn->out.len > conn->out_max / 2)
		return;
	conn->was_full = false;
	if (conn->ops->on_drained != NULL && !conn->is_finishing)
		conn->ops->on_drained(conn->ctx);
}

static bool
tls_is_next(const struct conn *conn)
{
	return conn->next_tls != NULL || conn->next_ssl != NULL;
}

static void
on_ready(void *arg, int what)
{
	struct conn *conn = arg;
	bool is_new;

	(void)what;
	conn_enter(conn);
	if (conn->is_shaking) {
		conn_handshake(conn);
	} else if (!tls_is_next(conn) || conn_unsent(conn) != 0) {
		if (conn_unsent(conn) != 0 && !conn_flush(conn))
			goto out;
		give_drained(conn);
		if (conn->is_freed || conn->is_ended)
			goto out;
		if (tls_is_next(conn)) {
			loop_later(conn->loop, &conn->later);
			goto out;
		}
		is_new = conn_fill(conn);
		if (!conn->is_freed && !conn->is_ended)
			give_input(conn, is_new);
	}
out:
	if (!conn->is_freed)
		conn_watch_update(conn);
	conn_leave(conn);
}

/* The round's callbacks are done: send, begin TLS, give kicked input. */
static void
on_later(void *arg)
{
	struct conn *conn = arg;
	bool is_kicked;

	conn_enter(conn);
	if (conn->is_shaking || conn->is_ended || !conn_flush(conn))
		goto out;
	if (tls_is_next(conn)) {
		if (conn->out.len == 0)
			conn_tls_begin(conn);
		goto out;
	}
	give_drained(conn);
	is_kicked = conn->is_kicked;
	conn->is_kicked = false;
	if (is_kicked && !conn->is_freed && !conn->is_ended &&
	    !conn->is_paused) {
		(void)conn_fill(conn);
		if (!conn->is_freed && !conn->is_ended)
			give_input(conn, conn->in.len != 0);
	}
out:
	if (!conn->is_freed)
		conn_watch_update(conn);
	conn_leave(conn);
}

struct conn *
conn_new(struct loop *loop, int fd, size_t in_max, size_t out_max,
    const struct conn_ops *ops, void *ctx)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	int one = 1;

	invariant(conn != NULL);
	conn->loop = loop;
	conn->fd = fd;
	conn->ops = ops;
	conn->ctx = ctx;
	conn->in_max = in_max;
	conn->out_max = out_max;
	buf_init(&conn->in, SIZE_MAX / 4);
	buf_init(&conn->out, out_max + OUT_SLACK_OCTETS);
	buf_init(&conn->wire, 2 * (out_max + OUT_SLACK_OCTETS));
	set_remote(conn);
	if (conn->port != 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
		    sizeof(one));
	loop_fd_init(&conn->watch, loop, fd, on_ready, conn);
	loop_timer_init(&conn->timer, loop, on_deadline, conn);
	loop_later_init(&conn->later, on_later, conn);
	conn_watch_update(conn);
	return conn;
}

void
conn_free(struct conn **connp)
{
	struct conn *conn = *connp;

	if (conn == NULL)
		return;
	*connp = NULL;
	conn_enter(conn);
	conn_close_fd(conn);
	loop_timer_fini(&conn->timer);
	loop_later_fini(&conn->later);
	tls_free(&conn->next_tls);
	buf_fini(&conn->in);
	buf_fini(&conn->out);
	buf_fini(&conn->wire);
	deflate_free(&conn->deflate);
	free(conn->tls_text);
	conn->tls_text = NULL;
	conn->is_freed = true;
	conn->is_ended = true;
	conn_leave(conn);
}

void
conn_set_ops(struct conn *conn, const struct conn_ops *ops, void *ctx)
{
	conn->ops = ops;
	conn->ctx = ctx;
}

void
conn_finish(struct conn *conn)
{
	if (conn->is_ended)
		return;
	conn->is_finishing = true;
	loop_later(conn->loop, &conn->later);
}

/* ---- input ---- */

struct str
conn_input(struct conn *conn)
{
	return buf_str(&conn->in);
}

void
conn_consume(struct conn *conn, size_t len)
{
	buf_consume(&conn->in, len);
}

enum conn_line
conn_take_line(struct conn *conn, size_t max, struct str *line_r,
    bool *has_cr_r)
{
	struct str in = buf_str(&conn->in);
	size_t at = str_find(str_sub(in, 0, max + 2), '\n');

	if (at == STR_NPOS)
		return in.len >= max + 2 ? CONN_TOO_LONG : CONN_MORE;
	*has_cr_r = at > 0 && in.p[at - 1] == '\r';
	*line_r = str_sub(in, 0, at - *has_cr_r);
	/* The octets stay where they are until the buffer is written again. */
	buf_consume(&conn->in, at + 1);
	return line_r->len > max ? CONN_TOO_LONG : CONN_LINE;
}

void
conn_pause(struct conn *conn, bool is_paused)
{
	if (conn->is_paused == is_paused || conn->is_ended)
		return;
	conn->is_paused = is_paused;
	if (!is_paused)
		conn_kick(conn);
	conn_watch_update(conn);
}

void
conn_kick(struct conn *conn)
{
	if (conn->is_ended)
		return;
	conn->is_kicked = true;
	loop_later(conn->loop, &conn->later);
}

/* ---- output ---- */

void
conn_put(struct conn *conn, const void *data, size_t len)
{
	if (conn->is_ended)
		return;
	buf_add(&conn->out, data, len);
	if (buf_failed(&conn->out)) {
		/* The owner ignored conn_is_full(): end, but from the loop. */
		conn->out.has_failed = false;
		conn->is_finishing = true;
	}
	if (conn->out.len >= conn->out_max)
		conn->was_full = true;
	loop_later(conn->loop, &conn->later);
}

void
conn_put_str(struct conn *conn, struct str s)
{
	conn_put(conn, s.p, s.len);
}

void
conn_putf(struct conn *conn, const char *fmt, ...)
{
	char small[1024];
	va_list ap;
	char *large;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	invariant(n >= 0);
	if ((size_t)n < sizeof(small)) {
		conn_put(conn, small, (size_t)n);
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&large, fmt, ap);
	va_end(ap);
	invariant(n >= 0);
	conn_put(conn, large, (size_t)n);
	free(large);
}

bool
conn_is_full(const struct conn *conn)
{
	return conn->out.len >= conn->out_max;
}

void
conn_deadline(struct conn *conn, uint64_t ms)
{
	if (conn->is_ended)
		return;
	if (ms == 0)
		loop_timer_stop(&conn->timer);
	else
		loop_timer_start(&conn->timer, ms);
}

struct str
conn_remote(struct conn *conn)
{
	return str_of(conn->remote);
}

uint16_t
conn_remote_port(struct conn *conn)
{
	return conn->port;
}

int
conn_fd(const struct conn *conn)
{
	return conn->fd;
}
