/* SPDX-License-Identifier: ISC */
/*
 * session: an IMAP client in the front: from the greeting to the login, then
 * a proxy to the account process (ipc/proxy.h).
 *
 * Lifetime.   session_new() -> frees itself when the client is gone.
 * Process.    imapd front: no mail, no credential is kept here.
 * RFC.        RFC 3501 sections 6.1, 6.2; RFC 2971 (ID), RFC 4959 (SASL-IR),
 *             RFC 5530 (response codes), RFC 7888 (LITERAL+), RFC 8314.
 */
#ifndef IMAP_FRONT_SESSION_H
#define IMAP_FRONT_SESSION_H

#include "base/arena.h"
#include "base/log.h"
#include "base/table.h"
#include "ipc/front.h"
#include "ipc/login.h"
#include "ipc/proxy.h"
#include "proto/imap_framer.h"

struct imapd {
	struct child *child;
	struct front front;
	struct list sessions;
	struct loop_timer keepalive;
	uint64_t next_session;
	uint64_t login_ms;
	uint64_t idle_ms;
	struct str hostname;
	bool is_stopping;
};

/* What a session needs until it is logged in. */
struct login_state {
	struct imap_framer framer;
	struct login login;
	char tag[64];
	unsigned errors;
	unsigned failures;
	bool waits_line;	/* the next line is a SASL response */
	bool waits_last;	/* ... after the mechanism's last words */
	bool is_running;	/* inside the input loop */
	struct str ticket;
	struct arena *arena;
};

struct session {
	struct list node;
	struct imapd *imapd;
	struct front_seat seat;
	struct ev *ev;
	uint64_t id;
	struct conn *conn;		/* NULL: the proxy's */
	struct login_state *login;	/* NULL: logged in */
	struct proxy *proxy;
	bool is_closing;
};

void session_new(struct imapd *imapd, const struct front_seat *seat, int fd,
    bool is_full);
void session_stop(struct session *session);

/* The broker says that the account changed, or that its sessions must end. */
void session_wake(struct session *session);
void session_end(struct session *session, struct str reason);

/* A word to a parked client, so that nothing on the way forgets it. */
void session_keepalive(struct session *session);

#endif
