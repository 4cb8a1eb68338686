/* SPDX-License-Identifier: ISC */
/* conn_tls: how a conn comes to speak TLS, and what it says of it. */
#include "io/conn_int.h"

#include <openssl/err.h>

enum io
conn_tls_result(struct conn *conn, int rc, bool *wants_other, int other)
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

void
conn_handshake(struct conn *conn)
{
	int rc = tls_handshake(conn->ssl);

	if (rc != 1) {
		note_problem(conn);
		if (conn_tls_result(conn, rc, &conn->tls_wants_write,
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
on_signed(void *arg)
{
	struct conn *conn = arg;

	conn_enter(conn);
	if (conn->is_shaking && !conn->is_ended)
		conn_handshake(conn);
	if (!conn->is_freed)
		conn_watch_update(conn);
	conn_leave(conn);
}

void
conn_tls_begin(struct conn *conn)
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
	conn_handshake(conn);
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
