/* SPDX-License-Identifier: ISC */
/*
 * session: a POP3 client in the front: the AUTHORIZATION state, then a proxy
 * to the account process, which has the maildrop.
 *
 * Lifetime.   session_new() -> frees itself when the client is gone.
 * Process.    pop3d front: no mail, no credential is kept here.
 * RFC.        RFC 1939 section 4, RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034
 *             (AUTH), RFC 3206 (response codes), RFC 6856 (UTF8, LANG).
 */
#ifndef POP3_FRONT_SESSION_H
#define POP3_FRONT_SESSION_H

#include "base/arena.h"
#include "base/log.h"
#include "ipc/front.h"
#include "ipc/login.h"
#include "ipc/proxy.h"
#include "proto/line.h"
#include "proto/pop3.h"

struct pop3d {
	struct child *child;
	struct front front;
	struct list sessions;
	uint64_t next_session;
	uint64_t login_ms;
	uint64_t idle_ms;
	struct str hostname;
	uint64_t login_delay_s;		/* CAPA: LOGIN-DELAY */
	uint64_t expire_days;		/* CAPA: EXPIRE; UINT64_MAX: never */
	bool is_stopping;
};

struct session {
	struct list node;
	struct pop3d *pop3d;
	struct front_seat seat;
	struct ev *ev;
	uint64_t id;
	struct conn *conn;
	struct line line;
	struct login login;
	struct arena *arena;
	struct str user;	/* USER, until PASS */
	struct str ticket;
	struct proxy *proxy;
	enum pop3_lang lang;
	unsigned errors;
	unsigned failures;
	bool waits_line;	/* a SASL response */
	bool waits_last;
	bool is_running;
	bool is_closing;
};

void session_new(struct pop3d *pop3d, const struct front_seat *seat, int fd,
    bool is_full);
void session_stop(struct session *session);
void session_end(struct session *session, struct str reason);

#endif
