/* SPDX-License-Identifier: ISC */
/*
 * session: one HTTPS connection: request after request, one at a time.
 *
 * Lifetime.   session_new() -> frees itself when the client is gone.
 * Process.    webmail front: no mail, no credential.
 * RFC.        RFC 9112 section 9 (connections).
 */
#ifndef WEBMAIL_FRONT_SESSION_H
#define WEBMAIL_FRONT_SESSION_H

#include "base/log.h"
#include "ipc/front.h"
#include "webmail/front/setup.h"

struct webmail {
	struct child *child;
	struct front front;
	struct setup setup;
	struct list sessions;
	uint64_t next_session;
	uint64_t idle_ms;
	bool is_stopping;
};

struct session {
	struct list node;
	struct webmail *webmail;
	struct front_seat seat;
	struct conn *conn;
	struct ev *ev;
	struct arena *arena;		/* of one request */
	struct http_request request;
	const struct setup_page *page;	/* being answered */
	struct setup_subject subject;
	uint32_t call;			/* to server; 0: none */
	const char *server;
	bool is_metrics;		/* on a listener for monitoring */
	size_t used;			/* octets of the request */
	unsigned served;
	bool has_continued;
	bool is_waiting;
	bool is_closing;
};

void session_new(struct webmail *webmail, const struct front_seat *seat,
    int fd, bool is_full);

/* Take no further request. */
void session_stop(struct session *session);

#endif
