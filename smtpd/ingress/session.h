/* SPDX-License-Identifier: ISC */
/*
 * session: one SMTP or LMTP client.
 *
 * Story. Lines come in; each is parsed (proto/smtp.h) and handed to the table
 * in commands.c. A command that has to ask another process (RCPT asks
 * directoryd, AUTH authd, DATA blobd) sets session->busy; pipelined lines wait
 * in the input until session_reply() clears it. After DATA the octets go to
 * message.c until it has answered.
 *
 * The hard case: the client leaves while we wait for an answer. The session
 * is then only marked is_gone; the last answer (session_answered()) frees it.
 * A message that queued takes responsibility for after that is delivered: the
 * client will send it again, which is the at-least-once of SMTP.
 *
 * Lifetime.   session_new() -> ... -> frees itself when connection and answers
 *             are over.
 * Units.      Octets, milliseconds.
 * Process.    smtpd ingress.
 * RFC.        RFC 5321, RFC 2033 (LMTP), RFC 2920 (PIPELINING), RFC 1870
 *             (SIZE), RFC 6152 (8BITMIME), RFC 2034, RFC 3207, RFC 4954,
 *             RFC 6409 (submission), RFC 3030 (CHUNKING), RFC 3461 (DSN),
 *             RFC 6531 (SMTPUTF8), RFC 8689 (REQUIRETLS), RFC 4865
 *             (FUTURERELEASE), RFC 9422 (LIMITS).
 */
#ifndef INGRESS_SESSION_H
#define INGRESS_SESSION_H

#include "base/arena.h"
#include "base/log.h"
#include "ipc/front.h"
#include "mail/address.h"
#include "proto/line.h"
#include "proto/smtp.h"
#include "proto/smtp_params.h"
#include "smtpd/ingress/limits.h"

struct message;
struct milters;

struct figures;

struct ingress {
	struct child *child;
	struct front front;
	struct list sessions;
	struct str hostname;
	uint64_t message_max_octets;
	uint64_t recipients_max;
	uint64_t hops_max;
	uint64_t rate_messages;
	uint64_t rate_recipients;
	struct limits *limits;		/* of accounts */
	struct figures *figures;
	uint64_t timeout_ms;
	uint64_t login_ms;
	bool has_filter;
	bool needs_verdict;	/* filter_unavailable = tempfail */
	uint64_t filter_budget_ms;
	uint64_t next_session;
	uint64_t next_tx;
	bool is_stopping;
};

enum smtp_role { ROLE_MX, ROLE_SUBMISSION, ROLE_LMTP };

struct recipient {
	struct list node;
	struct str address;	/* canonical */
	uint64_t notify;	/* enum queue_notify */
	struct str orcpt;	/* as the client gave it, or empty */
};

/* From MAIL to the end of data. */
struct transaction {
	struct arena *arena;	/* NULL: no MAIL yet */
	struct str sender;	/* canonical; empty for <> */
	uint64_t flags;		/* enum queue_flag, but SUBMISSION */
	struct str envid;	/* RFC 3461; empty: none */
	uint64_t hold_until_s;	/* RFC 4865; 0: not held */
	uint64_t declared_octets;
	uint64_t max_octets;	/* least of the recipients' */
	uint64_t max_recipients;
	struct list recipients;
	size_t recipients_len;
	uint64_t first_class;	/* size class of the first recipient */
	bool dmarc_marks;	/* what its domain says, and so all do */
	bool needs_verdict;	/* a recipient wants no mail without one */
};

enum auth_state { AUTH_NONE, AUTH_WAITS_LINE, AUTH_WAITS_ANSWER,
	AUTH_WAITS_LAST };

struct session {
	struct list node;
	struct ingress *ingress;
	struct front_seat seat;
	struct conn *conn;
	struct ev *ev;
	enum smtp_role role;
	uint64_t id;
	struct line line;
	size_t dropped_octets;	/* of an over-long line */
	struct loop_timer login_timer;

	char helo[256];
	bool has_ehlo;		/* EHLO or LHLO, not HELO */
	uint64_t account;	/* 0: not authenticated */
	char user[256];
	char mechanism[32];	/* of AUTH, as the client wrote it */

	enum auth_state auth;
	bool has_auth_started;	/* authd knows of an exchange */
	unsigned auth_failures;
	unsigned errors;

	struct transaction tx;
	struct message *message;	/* from DATA until its answer */
	struct milters *milters;	/* NULL: the listener has none */

	int answers;		/* calls under way whose ctx we are */
	bool is_busy;		/* a command waits for an answer */
	bool is_gone;		/* the connection is over */
	bool is_closing;
	bool is_pumping;
};

void session_new(struct ingress *ingress, const struct front_seat *seat,
    int fd, bool is_full);

/* Say 421 and close, when no message is on its way. */
void session_stop(struct session *session);

/* ---- for the commands ---- */

void session_reply(struct session *session, unsigned code,
    const char *enhanced, const char *text);

/* Nothing is to be said yet: read on. */
void session_go_on(struct session *session);

/* session_reply() for a client's mistake: too many end the session. */
void session_refuse(struct session *session, unsigned code,
    const char *enhanced, const char *text);

/* 421 with text, then close. */
void session_bye(struct session *session, const char *enhanced,
    const char *text);

/* Begin and end waiting for another process. session_answered() is false when
 * the session is gone: it may have been freed, touch nothing. */
void session_wait(struct session *session);
bool session_answered(struct session *session);

/* Forget the transaction (RSET, after data, EHLO). */
void session_reset(struct session *session);

/* SMTP_X_*: what EHLO offered. */
unsigned session_offers(const struct session *session);

/* commands.c */
void session_command(struct session *session, struct str line);
void session_greet(struct session *session);

/* auth.c */
void auth_begin(struct session *session, const struct smtp_command *cmd);
void auth_line(struct session *session, struct str line);
void auth_cancel(struct session *session);

/* envelope.c */
void envelope_mail(struct session *session, const struct smtp_command *cmd);
void envelope_rcpt(struct session *session, const struct smtp_command *cmd);

#endif
