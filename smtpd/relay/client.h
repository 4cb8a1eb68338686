/* SPDX-License-Identifier: ISC */
/*
 * client: a connection to a next hop: dial, greeting, EHLO, STARTTLS, AUTH.
 * When it is ready a transaction (tx.h) may run on it, one after another.
 *
 * Easy case: connect, "220", EHLO, STARTTLS, "220", handshake, EHLO, ready().
 *
 * Hard case: the server refuses the handshake that nobody required. The client
 * ends with CLIENT_TLS_FAILED, and the owner makes another one for the same
 * hop with HOP_TLS_NONE; where a policy requires TLS it does not. Octets that
 * follow the "220" of STARTTLS end the client: somebody on the way wants them
 * to be read as the server's after the handshake.
 *
 * Lifetime.   client_new() -> ready -> transactions -> client_free(), allowed
 *             at any time; or failed, after which only client_free() is
 *             allowed.
 * Ownership.  The hop is copied. client_take() hands over the callbacks.
 * Errors.     failed(), once, with a verdict in the words of RELAY_RESULT.
 * Blocking.   Never (SCRAM costs milliseconds of computing).
 * RFC.        RFC 5321 sections 3.1, 3.2, 4.3; RFC 3207; RFC 4954.
 */
#ifndef RELAY_CLIENT_H
#define RELAY_CLIENT_H

#include "proto/smtp_answer.h"
#include "smtpd/relay/relay.h"

struct client;

enum client_end {
	CLIENT_UNREACHABLE,	/* no connection */
	CLIENT_REFUSED,		/* it said no before it was ready */
	CLIENT_TLS_FAILED,	/* STARTTLS or the handshake */
	CLIENT_BUSY,		/* 421 */
	CLIENT_LOST,		/* closed, timed out, garbage */
};

struct client_ops {
	void (*ready)(void *ctx);
	void (*failed)(void *ctx, enum client_end end,
	    const struct verdict *verdict);
};

struct client *client_new(struct relay *relay, const struct hop *hop,
    const struct client_ops *ops, void *ctx);
/* The same on a connected descriptor. */
struct client *client_new_fd(struct relay *relay, const struct hop *hop,
    int fd, const struct client_ops *ops, void *ctx);

/* Says QUIT where it may, and waits a moment for the answer. */
void client_free(struct client **client);

/* No more of that waiting. */
void client_byes_free(struct relay *relay);

/* It is in a state that nothing can be said in any more. */
void client_spoil(struct client *client);

/* Somebody else is called back from now on. */
void client_take(struct client *client, const struct client_ops *ops,
    void *ctx);

const struct hop *client_hop(const struct client *client);
const struct smtp_caps *client_caps(const struct client *client);
struct conn *client_conn(struct client *client);
const char *client_remote(const struct client *client);
struct str client_tls_text(struct client *client);

/* TLS, and the certificate was good by what the hop asks (or would do). */
bool client_is_verified(const struct client *client);

/* Transactions begun on it. */
unsigned client_uses(const struct client *client);
void client_count_use(struct client *client);

/* May another transaction run on it? */
bool client_is_good(const struct client *client);

/* ---- for transactions ---- */

/* One answer to something that was sent. */
typedef void client_answer(void *ctx, const struct smtp_answer *answer);

struct client_listener {
	client_answer *answer;
	void (*drained)(void *ctx);		/* may be NULL */
	/* The connection is over: the client is to be freed. */
	void (*lost)(void *ctx, enum client_end end,
	    const struct verdict *verdict);
};

/* From now on these hear; NULL: the client's own again. */
void client_listen(struct client *client,
    const struct client_listener *listener, void *ctx);

/* Wait so long for the next answer. */
void client_wait(struct client *client, uint64_t ms);

/* "host x said: 550 5.1.1 no" with its code; 5yz is RELAY_R_FAILED. */
void client_verdict(const struct client *client,
    const struct smtp_answer *answer, const char *command,
    struct verdict *verdict_r);

#endif
