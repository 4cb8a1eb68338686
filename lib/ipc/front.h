/* SPDX-License-Identifier: ISC */
/*
 * front: what all programs with a network socket share: accepting on the
 * listeners that hikyakud hands over, the TLS settings with keyd as signer,
 * and the limits per source network (/32 or /56; none in zone loopback).
 *
 * Lifetime.   front_start() in the program's start; sessions take a seat with
 *             each accepted descriptor and give it back with front_leave().
 * Ownership.  The accepted descriptor is the callback's.
 * Errors.     A listener without a TLS certificate that needs one: ERR_NOTFOUND.
 * Blocking.   Never.
 */
#ifndef IPC_FRONT_H
#define IPC_FRONT_H

#include "io/conn.h"
#include "io/tls.h"
#include "ipc/child.h"

enum front_tls { FRONT_TLS_NONE, FRONT_TLS_STARTTLS, FRONT_TLS_IMPLICIT };

struct front_listener {
	struct list node;
	struct front *front;
	struct loop_fd watch;
	char name[64];
	char protocol[16];
	char zone[32];
	enum front_tls tls;
	bool is_limited;	/* zone is not loopback */
	bool takes_clear_logins;	/* passwords also without TLS */
};

/* What a source network has used. */
struct front_source;

/* One accepted connection's place. */
struct front_seat {
	const struct front_listener *listener;
	struct front_source *source;	/* NULL: not limited */
};

struct front {
	struct child *child;
	struct tls *tls;		/* NULL: no certificate */
	struct list listeners;
	struct loop_timer minute;
	struct loop_timer retry;
	struct table *sources;
	size_t sessions;
	size_t sessions_max;
	uint64_t per_source_max;
	uint64_t rate_max;
	bool is_closed;
	/* full: answer "too many" in the protocol's words and close. */
	void (*on_accept)(void *ctx, const struct front_seat *seat, int fd,
	    bool is_full);
	void *ctx;
};

/* sessions_key names the configuration's bound of sessions. */
int front_start(struct front *front, struct child *child,
    const char *sessions_key,
    void (*on_accept)(void *ctx, const struct front_seat *seat, int fd,
    bool is_full), void *ctx, struct err *err);

/* "imaps": what the listener is called in access grids (implicit TLS: with an
 * s; submission so: smtps). */
const char *front_service(const struct front_listener *listener);

/* May a password be given on this connection? */
bool front_takes_logins(const struct front_listener *listener,
    const struct conn *conn);

/* A session has ended. */
void front_leave(struct front *front, struct front_seat *seat);

/* Count n against the source's rate of this minute under `what` (0 to 3);
 * false: over max. */
bool front_count(struct front_seat *seat, unsigned what, uint64_t n,
    uint64_t max);

/* Take a renewed certificate (reload). */
void front_reload(struct front *front);

/* Accept nothing more. */
void front_close(struct front *front);

#endif
