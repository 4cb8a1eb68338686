/* SPDX-License-Identifier: ISC */
/*
 * conn: one octet stream to a peer (TCP or local socket, with or without TLS)
 * with bounded buffers and one deadline.
 *
 * Story. A front accepts a socket, makes a conn and gets on_input() whenever
 * new octets are there; it takes lines or octets, appends replies to the
 * output and returns. When the peer reads slowly the output fills; the front
 * asks conn_is_full(), stops producing and goes on in on_drained(). Input is not
 * read while the input buffer is full or conn_pause() holds it: that is the
 * back-pressure. An idle conn holds no buffer memory.
 *
 * Lifetime.   conn_new() -> callbacks -> conn_free(), allowed at any time, also
 *             from the callbacks. After on_end() nothing is called any more, but
 *             the owner still has to conn_free().
 * Ownership.  conn takes the descriptor over. Views of the input live until the
 *             next consume or return to the loop.
 * Units.      Octets; milliseconds.
 * Errors.     on_end(why), once.
 * Blocking.   Never.
 */
#ifndef IO_CONN_H
#define IO_CONN_H

#include "base/buf.h"
#include "io/loop.h"

struct conn;
struct tls;
struct tls_target;
struct tls_trust;

enum conn_end {
	CONN_EOF,		/* the peer closed; input may be left */
	CONN_ERROR,		/* reset, TLS failure */
	CONN_TIMEOUT,		/* the deadline passed */
	CONN_CLOSED,		/* conn_finish() has sent everything */
};

struct conn_ops {
	void (*on_input)(void *ctx);
	void (*on_drained)(void *ctx);		/* may be NULL */
	void (*on_tls)(void *ctx);		/* handshake done; may be NULL */
	void (*on_end)(void *ctx, enum conn_end why);
	/* The deadline has passed: say a last word and conn_finish(). NULL:
	 * on_end(CONN_TIMEOUT) at once. */
	void (*on_late)(void *ctx);
};

/* in_max bounds unread input, out_max is where conn_is_full() begins (the
 * hard limit is out_max + 64 KiB: past it the conn ends with CONN_ERROR). */
struct conn *conn_new(struct loop *loop, int fd, size_t in_max,
    size_t out_max, const struct conn_ops *ops, void *ctx);

/* From now on somebody else is called back (the login is over). */
void conn_set_ops(struct conn *conn, const struct conn_ops *ops, void *ctx);

/* Close at once, unsent output is lost; *conn becomes NULL. */
void conn_free(struct conn **conn);

/* Send what is in the output, close, then on_end(CONN_CLOSED). */
void conn_finish(struct conn *conn);

/* ---- input ---- */

/* Unread octets. */
struct str conn_input(struct conn *conn);
void conn_consume(struct conn *conn, size_t len);

enum conn_line {
	CONN_LINE,		/* line_r: without its line end */
	CONN_MORE,		/* no complete line yet */
	CONN_TOO_LONG,		/* over max octets without a line end */
};

/*
 * Take a line of at most max octets (line end not counted). A line ends with
 * LF; *has_cr_r tells whether CR stood before it (and was removed). The view
 * lives until the next call on this conn.
 */
enum conn_line conn_take_line(struct conn *conn, size_t max,
    struct str *line_r, bool *has_cr_r);

/* Do not read (true), or read again. on_input() is called again on resume
 * when unread octets are there. While paused the peer's end of input is not
 * told: pause while an answer is being waited for, so that it can be sent. */
void conn_pause(struct conn *conn, bool is_paused);

/* Call on_input() soon, as if new octets had come. */
void conn_kick(struct conn *conn);

/* ---- output ---- */

/* Append to the output; it is sent when the callbacks of this round are done. */
void conn_put(struct conn *conn, const void *data, size_t len);
void conn_put_str(struct conn *conn, struct str s);
void conn_putf(struct conn *conn, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

bool conn_is_full(const struct conn *conn);

/* ---- deadline ---- */

/* on_end(CONN_TIMEOUT) after ms, unless set anew; 0: no deadline. */
void conn_deadline(struct conn *conn, uint64_t ms);

/* ---- TLS ---- */

/*
 * Begin the handshake as server, after the output is sent. Unread input is
 * an injection attempt: false then, and nothing is begun (RFC 3207 section
 * 4.2, threats.md line 4).
 */
bool conn_start_tls(struct conn *conn, struct tls *tls);

/*
 * The same as client (io/tls_client.h), also right after conn_new() for TLS
 * from the first octet. ERR_SYNTAX when the server has said more than its
 * consent (threats.md line 5), ERR_NOTFOUND when no TLSA record is usable.
 */
int conn_start_tls_client(struct conn *conn, struct tls_trust *trust,
    const struct tls_target *target);

/* Would the certificate have done for a verified connection? */
bool conn_tls_is_verified(const struct conn *conn);

/* Why TLS failed, or why the certificate was not good; "" when neither. Also
 * from on_end(). */
const char *conn_tls_problem(const struct conn *conn);

bool conn_has_tls(const struct conn *conn);

/* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty without TLS. */
struct str conn_tls_text(struct conn *conn);
/* "TLSv1.3" and the cipher, for Received. NULL without TLS. */
const char *conn_tls_version(const struct conn *conn);
const char *conn_tls_cipher(const struct conn *conn);

/* ---- compression ---- */

/*
 * From here on both directions are raw deflate (RFC 4978), inside TLS where
 * there is TLS; what is in the output already goes out as it is. Unread input
 * was not compressed: false then, and nothing is begun.
 */
bool conn_start_deflate(struct conn *conn);
bool conn_has_deflate(const struct conn *conn);

/* The stream will be idle: give back what is only needed for speaking. */
void conn_rest(struct conn *conn);

/* ---- addresses ---- */

/* "192.0.2.1" or "2001:db8::1"; "local" for a local socket. */
struct str conn_remote(struct conn *conn);
uint16_t conn_remote_port(struct conn *conn);

int conn_fd(const struct conn *conn);

#endif
