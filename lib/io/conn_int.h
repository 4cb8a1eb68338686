/* SPDX-License-Identifier: ISC */
/* conn_int: what conn.c, conn_stream.c and conn_tls.c share. */
#ifndef IO_CONN_INT_H
#define IO_CONN_INT_H

#include <netinet/in.h>

#include "io/conn.h"
#include "io/tls_int.h"

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

/* What came of reading or writing. */
enum io { IO_OK, IO_AGAIN, IO_EOF, IO_ERROR };

/* --- conn.c --- */

/*
 * Around whatever may call back: a conn that is freed between the two lives
 * until the last conn_leave(). Look at is_freed and is_ended after a callback.
 */
void conn_enter(struct conn *conn);
void conn_leave(struct conn *conn);

/* Close it and tell the owner, once, who may free it. */
void conn_end(struct conn *conn, enum conn_end why);

/* Wait for what the conn can do now. */
void conn_watch_update(struct conn *conn);

/* --- conn_stream.c --- */

/* Octets that have yet to be sent. */
size_t conn_unsent(const struct conn *conn);

/* Send what can be sent. False when the conn has ended. */
bool conn_flush(struct conn *conn);

/* Fill the input. True when something new is there. */
bool conn_fill(struct conn *conn);

/* Is there input that the kernel does not know of? */
bool conn_has_hidden_input(const struct conn *conn);

/* --- conn_tls.c --- */

/* What rc of an SSL call means; *wants_other: it waits for other. */
enum io conn_tls_result(struct conn *conn, int rc, bool *wants_other,
    int other);

/* Begin the TLS that is next: the output has been sent. */
void conn_tls_begin(struct conn *conn);

/* Go on with the handshake, which may end the conn. */
void conn_handshake(struct conn *conn);

#endif
