/* SPDX-License-Identifier: ISC */
/*
 * proxy: a logged-in session in its front: octets between the client's
 * connection and the account process, and the parking of idle sessions.
 *
 * Story. proxy_open() makes an octet stream and a session link (session.def),
 * sends the process's ends through the broker, and passes octets both ways,
 * with back-pressure both ways. When the session is idle the process offers
 * to park it at offsets (in, out): if nothing has gone beyond them the front
 * keeps the state, a few hundred octets, and drops stream and link. The next
 * octet from the client, or the broker's word that the account has changed
 * (proxy_wake()), opens both again with MBOX_RESUME.
 *
 * The hard case: the client speaks at the moment the process offers to park.
 * The octets are past `in`, so the offer is ignored; the process sees input
 * and goes on.
 *
 * Lifetime.   proxy_open() -> ops->on_end(), once -> proxy_free(), which
 *             closes the client's connection.
 * Ownership.  The connection is the proxy's.
 * Errors.     on_end(why). PROXY_REFUSED: the broker did not let it in, the
 *             connection is still good for an answer (proxy_take_conn()).
 * Blocking.   Never.
 */
#ifndef IPC_PROXY_H
#define IPC_PROXY_H

#include "io/conn.h"
#include "ipc/links.h"

struct proxy;

enum proxy_end {
	PROXY_CLIENT_GONE,
	PROXY_CLOSED,		/* the process ended the session: all is sent */
	PROXY_REFUSED,		/* not let in: limit of sessions, bad ticket */
	PROXY_UNAVAILABLE,	/* not let in: try again later */
	PROXY_TOO_SOON,		/* not let in: the last login was just now */
	PROXY_LOST,		/* the account process died */
};

struct proxy_ops {
	/* The session is served from now on: say so to the client. */
	void (*on_open)(void *ctx);
	void (*on_end)(void *ctx, enum proxy_end why);
	/* The client was silent for idle_ms: take the connection for a last
	 * word, or free. */
	void (*on_idle)(void *ctx);
};

struct proxy_args {
	struct loop *loop;
	struct ipc_link *broker;
	struct conn *conn;
	uint64_t session;
	const char *protocol;
	struct str ticket;
	struct str hello;	/* before the client's octets; may be empty */
	uint64_t idle_ms;	/* silence of the client that ends it */
	const struct proxy_ops *ops;
	void *ctx;
};

/* Unread input of the connection is passed on first. */
struct proxy *proxy_open(const struct proxy_args *args);
void proxy_free(struct proxy **proxy);

/* Take the connection back (after on_end, for a last word). */
struct conn *proxy_take_conn(struct proxy *proxy);

/* The account has changed: a parked session goes on. */
void proxy_wake(struct proxy *proxy);

/* Account of the session; 0 before it is open. */
uint64_t proxy_account(const struct proxy *proxy);
bool proxy_is_parked(const struct proxy *proxy);

/* The front stops: the process says a last word to the client. False: there
 * is none (opening or parked), the front says it. */
bool proxy_stop(struct proxy *proxy, struct str reason);

/* Put octets of the front's own between the session's (a keepalive); only
 * while parked. */
void proxy_say(struct proxy *proxy, struct str text);

#endif
