/* SPDX-License-Identifier: ISC */
#include "io/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/deflate.h"
#include "io/tls_int.h"

#define READ_OCTETS 16384
#define OUT_SLACK_OCTETS 65536
#define LAST_WORD_MS 5000
#define EMPTY_ROUNDS_MAX 4	/* reads that unfold to nothing */

struct conn {
	struct loop *loop;
	const struct conn_ops *ops;
	void *ctx;
	int fd;
	struct loop_fd watch;
	struct loop_timer timer;
	struct loop_later later;	/* flush, and on_input() when kicked */
	struct buf in;
	struct buf out;
	struct deflate *deflate;
	struct buf wire;	/* of the output, compressed */
	size_t in_max;
	size_t out_max;
	SSL *ssl;
	struct tls *next_tls;	/* begins when the output is sent */
	SSL *next_ssl;		/* the same, as client */
	bool is_shaking;	/* handshake not done yet */
	bool tls_wants_write;	/* a read waits for writability */
	bool tls_wants_read;	/* a write waits for readability */
	bool is_paused;
	bool is_kicked;
	bool is_finishing;
	bool is_ended;
	bool was_full;
	bool has_eof;
	int depth;
	bool is_freed;
	char *tls_text;
	char problem[160];	/* why TLS failed */
	char remote[INET6_ADDRSTRLEN];
	uint16_t port;
};

static void on_later(void *arg);

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

static void
enter(struct conn *conn)
{
	conn->depth++;
}

static void
leave(struct conn *conn)
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

static void
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

	enter(conn);
	/* A client that does not read its last word gets no second one. */
	if (conn->ops->on_late != NULL && !conn->is_finishing &&
	    !conn->is_shaking) {
		loop_timer_start(&conn->timer, LAST_WORD_MS);
		conn->ops->on_late(conn->ctx);
	} else {
		conn_end(conn, CONN_TIMEOUT);
	}
	leave(conn);
}

/* Octets that have yet to be sent. */
static size_t
unsent(const struct conn *conn)
{
	return conn->out.len + conn->wire.len;
}

/* ---- what to wait for ---- */

static void
watch_update(struct conn *conn)
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
		if (unsent(conn) != 0)
			want |= conn->tls_wants_read ? LOOP_READ : LOOP_WRITE;
	}
	loop_fd_want(&conn->watch, want);
}

/* ---- octets ---- */

static bool
tls_is_next(const struct conn *conn)
{
	return conn->next_tls != NULL || conn->next_ssl != NULL;
}

enum io { IO_OK, IO_AGAIN, IO_EOF, IO_ERROR };

static enum io
tls_result(struct conn *conn, int rc, bool *wants_other, int other)
{
	int why = SSL_get_error(conn->ssl, rc);

	ERR_clear_error();
	*wants_other = why == other;
	switch (why) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
	case SSL_ERROR_WANT_ASYNC:
	case SSL_ERROR_WANT_ASYNC_JOB:
		return IO_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return IO_EOF;
	default:
		return IO_ERROR;
	}
}

static enum io
octets_read(struct conn *conn, char *p, size_t len, size_t *n_r)
{
	ssize_t n;
	int rc;

	if (conn->ssl != NULL) {
		rc = SSL_read_ex(conn->ssl, p, len, n_r);
		return rc == 1 ? IO_OK : tls_result(conn, rc,
		    &conn->tls_wants_write, SSL_ERROR_WANT_WRITE);
	}
	do
		n = read(conn->fd, p, len);
	while (n == -1 && errno == EINTR);
	if (n > 0) {
		*n_r = (size_t)n;
		return IO_OK;
	}
	if (n == 0)
		return IO_EOF;
	return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
}

static enum io
octets_write(struct conn *conn, struct str s, size_t *n_r)
{
	ssize_t n;
	int rc;

	if (conn->ssl != NULL) {
		rc = SSL_write_ex(conn->ssl, s.p, s.len, n_r);
		return rc == 1 ? IO_OK : tls_result(conn, rc,
		    &conn->tls_wants_read, SSL_ERROR_WANT_READ);
	}
	do
		n = send(conn->fd, s.p, s.len, MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	if (n >= 0) {
		*n_r = (size_t)n;
		return IO_OK;
	}
	return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
}

/* What goes to the socket next. */
static struct buf *
next_out(struct conn *conn)
{
	if (conn->deflate == NULL)
		return &conn->out;
	if (conn->wire.len == 0 && conn->out.len != 0)
		deflate_pack(conn->deflate, &conn->out, &conn->wire);
	return &conn->wire;
}

/* Send what can be sent. False when the conn has ended. */
static bool
flush(struct conn *conn)
{
	enum io got = IO_OK;
	struct buf *out;
	size_t n;

	while ((out = next_out(conn))->len != 0 && got == IO_OK) {
		got = octets_write(conn, buf_str(out), &n);
		if (got == IO_OK)
			buf_consume(out, n);
	}
	if (got == IO_ERROR || got == IO_EOF) {
		conn_end(conn, CONN_ERROR);
		return false;
	}
	if (unsent(conn) == 0) {
		buf_trim(&conn->out);
		buf_trim(&conn->wire);
		if (conn->is_finishing) {
			conn_end(conn, CONN_CLOSED);
			return false;
		}
	}
	return true;
}

/* Octets for the input, unfolded where they have to be. */
static enum io
stream_read(struct conn *conn, char *p, size_t len, size_t *n_r)
{
	unsigned rounds = 0;
	enum io got;
	size_t room, n;
	char *raw;

	if (conn->deflate == NULL)
		return octets_read(conn, p, len, n_r);
	for (;; rounds++) {
		if (deflate_unpack(conn->deflate, p, len, n_r) != 0)
			return IO_ERROR;
		if (*n_r != 0)
			return IO_OK;
		/* Octets can come for ever that mean nothing: others too. */
		if (rounds == EMPTY_ROUNDS_MAX) {
			conn_kick(conn);
			return IO_AGAIN;
		}
		raw = deflate_space(conn->deflate, &room);
		got = octets_read(conn, raw, room, &n);
		if (got != IO_OK)
			return got;
		deflate_came(conn->deflate, n);
	}
}

/* Is there input that the kernel does not know of? */
static bool
has_hidden_input(const struct conn *conn)
{
	return (conn->ssl != NULL && SSL_pending(conn->ssl) != 0) ||
	    (conn->deflate != NULL && deflate_has_more(conn->deflate));
}

/* Fill the input. True when something new is there. */
static bool
fill(struct conn *conn)
{
	bool is_new = false;
	enum io got;
	size_t room, n;
	char *p;

	while (conn->in.len < conn->in_max && !conn->is_paused) {
		room = conn->in_max - conn->in.len;
		if (room > READ_OCTETS)
			room = READ_OCTETS;
		p = buf_reserve(&conn->in, room);
		invariant(p != NULL);
		got = stream_read(conn, p, room, &n);
		if (got == IO_OK) {
			buf_grow(&conn->in, n);
			is_new = true;
			/* A short read: the kernel has no more just now, but
			 * TLS may still hold a record. */
			if (n < room && !has_hidden_input(conn))
				break;
			continue;
		}
		if (got == IO_EOF) {
			conn->has_eof = true;
		} else if (got == IO_ERROR) {
			conn_end(conn, CONN_ERROR);
			return false;
		}
		break;
	}
	return is_new;
}

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
	    has_hidden_input(conn))
		conn_kick(conn);
	if (!conn->has_eof || conn->is_paused)
		return;
	/* A client that only closed its sending side still gets replies. */
	if (unsent(conn) != 0)
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

/* ---- TLS ---- */

static void handshake(struct conn *conn);

static void
on_signed(void *arg)
{
	struct conn *conn = arg;

	enter(conn);
	if (conn->is_shaking && !conn->is_ended)
		handshake(conn);
	if (!conn->is_freed)
		watch_update(conn);
	leave(conn);
}

/* What the handshake failed of, if it has: for the log and for DSNs. */
static void
note_problem(struct conn *conn)
{
	long verify = SSL_get_verify_result(conn->ssl);
	unsigned long error = ERR_peek_error();
	const char *text = NULL;

	if (verify != X509_V_OK)
		text = X509_verify_cert_error_string(verify);
	else if (error != 0)
		text = ERR_reason_error_string(error);
	if (text != NULL)
		(void)snprintf(conn->problem, sizeof(conn->problem), "%s",
		    text);
}

static void
handshake(struct conn *conn)
{
	int rc = tls_handshake(conn->ssl);

	if (rc != 1) {
		note_problem(conn);
		if (tls_result(conn, rc, &conn->tls_wants_write,
		    SSL_ERROR_WANT_WRITE) != IO_AGAIN)
			conn_end(conn, CONN_ERROR);
		return;
	}
	note_problem(conn);
	conn->is_shaking = false;
	conn->tls_wants_write = false;
	if (conn->ops->on_tls != NULL)
		conn->ops->on_tls(conn->ctx);
	/* The client's first words may have come with the last flight. */
	if (!conn->is_freed && !conn->is_ended)
		conn_kick(conn);
}

static void
tls_begin(struct conn *conn)
{
	conn->is_shaking = true;
	if (conn->next_ssl != NULL) {
		conn->ssl = conn->next_ssl;
		conn->next_ssl = NULL;
	} else {
		conn->ssl = tls_session(conn->next_tls, conn->fd, on_signed,
		    conn);
		tls_free(&conn->next_tls);
	}
	handshake(conn);
}

bool
conn_start_tls(struct conn *conn, struct tls *tls)
{
	if (conn->in.len != 0)
		return false;
	tls_ref(tls);
	conn->next_tls = tls;
	loop_later(conn->loop, &conn->later);
	return true;
}

int
conn_start_tls_client(struct conn *conn, struct tls_trust *trust,
    const struct tls_target *target)
{
	int rc;

	if (conn->is_ended)
		return ERR_TEMP;
	if (conn->in.len != 0)
		return ERR_SYNTAX;
	rc = tls_client_session(trust, target, conn->fd, &conn->next_ssl);
	if (rc == 0)
		loop_later(conn->loop, &conn->later);
	return rc;
}

bool
conn_tls_is_verified(const struct conn *conn)
{
	return conn_has_tls(conn) && SSL_get_verify_result(conn->ssl) ==
	    X509_V_OK && SSL_get0_peer_certificate(conn->ssl) != NULL;
}

const char *
conn_tls_problem(const struct conn *conn)
{
	return conn->problem;
}

bool
conn_has_tls(const struct conn *conn)
{
	return conn->ssl != NULL && !conn->is_shaking;
}

const char *
conn_tls_version(const struct conn *conn)
{
	return conn_has_tls(conn) ? SSL_get_version(conn->ssl) : NULL;
}

const char *
conn_tls_cipher(const struct conn *conn)
{
	return conn_has_tls(conn) ? SSL_get_cipher_name(conn->ssl) : NULL;
}

struct str
conn_tls_text(struct conn *conn)
{
	if (conn->tls_text == NULL && conn_has_tls(conn) &&
	    asprintf(&conn->tls_text, "%s %s", conn_tls_version(conn),
	    conn_tls_cipher(conn)) == -1)
		conn->tls_text = NULL;
	return str_of(conn->tls_text);
}

/* ---- compression ---- */

bool
conn_start_deflate(struct conn *conn)
{
	if (conn->in.len != 0 || conn->deflate != NULL || conn->is_ended)
		return false;
	conn->deflate = deflate_new();
	buf_add_str(&conn->wire, buf_str(&conn->out));
	buf_reset(&conn->out);
	return true;
}

bool
conn_has_deflate(const struct conn *conn)
{
	return conn->deflate != NULL;
}

void
conn_rest(struct conn *conn)
{
	if (conn->deflate != NULL)
		deflate_rest(conn->deflate);
}

/* ---- events ---- */

static void
on_ready(void *arg, int what)
{
	struct conn *conn = arg;
	bool is_new;

	(void)what;
	enter(conn);
	if (conn->is_shaking) {
		handshake(conn);
	} else if (!tls_is_next(conn) || conn->out.len != 0) {
		if (conn->out.len != 0 && !flush(conn))
			goto out;
		give_drained(conn);
		if (conn->is_freed || conn->is_ended)
			goto out;
		if (tls_is_next(conn)) {
			loop_later(conn->loop, &conn->later);
			goto out;
		}
		is_new = fill(conn);
		if (!conn->is_freed && !conn->is_ended)
			give_input(conn, is_new);
	}
out:
	if (!conn->is_freed)
		watch_update(conn);
	leave(conn);
}

/* The round's callbacks are done: send, begin TLS, give kicked input. */
static void
on_later(void *arg)
{
	struct conn *conn = arg;
	bool is_kicked;

	enter(conn);
	if (conn->is_shaking || conn->is_ended || !flush(conn))
		goto out;
	if (tls_is_next(conn)) {
		if (conn->out.len == 0)
			tls_begin(conn);
		goto out;
	}
	give_drained(conn);
	is_kicked = conn->is_kicked;
	conn->is_kicked = false;
	if (is_kicked && !conn->is_freed && !conn->is_ended &&
	    !conn->is_paused) {
		(void)fill(conn);
		if (!conn->is_freed && !conn->is_ended)
			give_input(conn, conn->in.len != 0);
	}
out:
	if (!conn->is_freed)
		watch_update(conn);
	leave(conn);
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
	watch_update(conn);
	return conn;
}

void
conn_free(struct conn **connp)
{
	struct conn *conn = *connp;

	if (conn == NULL)
		return;
	*connp = NULL;
	enter(conn);
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
	leave(conn);
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
	watch_update(conn);
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
