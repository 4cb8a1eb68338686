/* SPDX-License-Identifier: ISC */
/* conn_stream: a conn's octets from and to its socket. */
#include "io/conn_int.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/deflate.h"

#define READ_OCTETS 16384
#define EMPTY_ROUNDS_MAX 4	/* reads that unfold to nothing */

/* ---- the socket ---- */

static enum io
octets_read(struct conn *conn, char *p, size_t len, size_t *n_r)
{
	ssize_t n;
	int rc;

	if (conn->ssl != NULL) {
		rc = SSL_read_ex(conn->ssl, p, len, n_r);
		return rc == 1 ? IO_OK : conn_tls_result(conn, rc,
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
		return rc == 1 ? IO_OK : conn_tls_result(conn, rc,
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

/* ---- output ---- */

size_t
conn_unsent(const struct conn *conn)
{
	return conn->out.len + conn->wire.len;
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

bool
conn_flush(struct conn *conn)
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
	if (conn_unsent(conn) == 0) {
		buf_trim(&conn->out);
		buf_trim(&conn->wire);
		if (conn->is_finishing) {
			conn_end(conn, CONN_CLOSED);
			return false;
		}
	}
	return true;
}

/* ---- input ---- */

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

bool
conn_has_hidden_input(const struct conn *conn)
{
	return (conn->ssl != NULL && SSL_pending(conn->ssl) != 0) ||
	    (conn->deflate != NULL && deflate_has_more(conn->deflate));
}

bool
conn_fill(struct conn *conn)
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
			if (n < room && !conn_has_hidden_input(conn))
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
