/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/session.h"

#include <unistd.h>

#include "ipc/figures.h"
#include "smtpd/ingress/message.h"
#include "smtpd/ingress/milters.h"

#define IN_MAX 65536
#define OUT_MAX 65536
#define ERRORS_MAX 10
#define DROPPED_MAX (1U << 20)
#define ERRORS_MAX_LOGIN 3

static void pump(void *arg);

/* ---- life ---- */

static void
session_free(struct session *session)
{
	struct ingress *ingress = session->ingress;

	session_reset(session);
	milters_free(&session->milters);
	loop_timer_fini(&session->login_timer);
	list_del(&session->node);
	front_leave(&ingress->front, &session->seat);
	conn_free(&session->conn);
	ev_free(&session->ev);
	free(session);
	if (ingress->is_stopping && list_is_empty(&ingress->sessions)) {
		figures_flush(ingress->figures);
		child_exit(ingress->child);
	}
}

static void
free_if_over(struct session *session)
{
	if (session->is_gone && session->answers == 0 && !session->is_pumping)
		session_free(session);
}

static void
on_end(void *arg, enum conn_end why)
{
	struct session *session = arg;

	if (why == CONN_TIMEOUT)
		ev_info(session->ev, "smtp.session.timeout");
	ev_debug(session->ev, "smtp.session.end", EV_U64(code, why));
	auth_cancel(session);
	message_client_gone(session->message);
	session->is_gone = true;
	free_if_over(session);
}

static void
on_tls(void *arg)
{
	struct session *session = arg;

	ev_put_str(session->ev, LOG_K_tls, conn_tls_text(session->conn));
	conn_deadline(session->conn, session->ingress->timeout_ms);
	/* RFC 3207 section 4.2: what was said before is forgotten. */
	session_reset(session);
	session->helo[0] = '\0';
	session->has_ehlo = false;
	if (session->seat.listener->tls == FRONT_TLS_IMPLICIT)
		session_greet(session);
}

static void
on_login_late(void *arg)
{
	struct session *session = arg;

	if (session->account == 0)
		session_bye(session, "4.4.2", "log in sooner");
}

static enum smtp_role
role_of(const struct front_listener *listener)
{
	if (strcmp(listener->protocol, "lmtp") == 0)
		return ROLE_LMTP;
	return strcmp(listener->protocol, "submission") == 0 ?
	    ROLE_SUBMISSION : ROLE_MX;
}

static const struct conn_ops conn_ops = {
	.on_input = pump, .on_drained = pump, .on_tls = on_tls,
	.on_end = on_end,
};

static void
session_log_fields(struct session *session)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)session->id);
	session->ev = ev_new(NULL);
	ev_put_str(session->ev, LOG_K_session, str_of(id));
	ev_put_str(session->ev, LOG_K_remote, conn_remote(session->conn));
	ev_put_str(session->ev, LOG_K_listener,
	    str_of(session->seat.listener->name));
}

void
session_new(struct ingress *ingress, const struct front_seat *seat, int fd,
    bool is_full)
{
	struct session *session = calloc(1, sizeof(*session));

	invariant(session != NULL);
	session->ingress = ingress;
	session->seat = *seat;
	session->id = ++ingress->next_session;
	session->role = role_of(seat->listener);
	list_add(&ingress->sessions, &session->node);
	list_init(&session->tx.recipients);
	line_init(&session->line, SMTP_AUTH_LINE_MAX, true);
	session->conn = conn_new(ingress->child->loop, fd, IN_MAX, OUT_MAX,
	    &conn_ops, session);
	session_log_fields(session);
	loop_timer_init(&session->login_timer, ingress->child->loop,
	    on_login_late, session);
	conn_deadline(session->conn, ingress->timeout_ms);
	if (is_full) {
		ev_info(session->ev, "smtp.session.refused");
		session_bye(session, "4.3.2", "too many connections");
		return;
	}
	session->milters = milters_new(session);
	if (session->role == ROLE_SUBMISSION)
		loop_timer_start(&session->login_timer, ingress->login_ms);
	if (seat->listener->tls == FRONT_TLS_IMPLICIT)
		(void)conn_start_tls(session->conn, ingress->front.tls);
	else
		session_greet(session);
}

void
session_stop(struct session *session)
{
	/* Between two chunks nothing has been promised. */
	if ((session->message == NULL ||
	    message_is_between_chunks(session->message)) &&
	    !session->is_busy)
		session_bye(session, "4.3.2", "this server is stopping");
}

/* ---- replies ---- */

static void
put_reply(struct session *session, unsigned code, const char *enhanced,
    const char *text)
{
	struct buf buf;

	if (session->is_gone)
		return;
	buf_init(&buf, 8192);
	smtp_put_reply(&buf, code, enhanced, str_of(text));
	conn_put_str(session->conn, buf_str(&buf));
	buf_fini(&buf);
	conn_deadline(session->conn, session->ingress->timeout_ms);
}

void
session_reply(struct session *session, unsigned code, const char *enhanced,
    const char *text)
{
	put_reply(session, code, enhanced, text);
	session_go_on(session);
}

void
session_go_on(struct session *session)
{
	session->is_busy = false;
	if (session->is_gone || session->is_closing)
		return;
	conn_pause(session->conn, false);
	if (session->ingress->is_stopping)
		session_stop(session);
	else
		conn_kick(session->conn);
}

void
session_refuse(struct session *session, unsigned code, const char *enhanced,
    const char *text)
{
	unsigned max = session->role == ROLE_SUBMISSION &&
	    session->account == 0 ? ERRORS_MAX_LOGIN : ERRORS_MAX;

	if (++session->errors > max) {
		ev_info(session->ev, "smtp.session.errors",
		    EV_U64(count, session->errors));
		session_bye(session, "4.7.0", "too many errors");
		return;
	}
	session_reply(session, code, enhanced, text);
}

void
session_bye(struct session *session, const char *enhanced, const char *text)
{
	char line[512];

	if (session->is_gone || session->is_closing)
		return;
	session->is_closing = true;
	(void)snprintf(line, sizeof(line), "%.*s %s",
	    STR_FMT(session->ingress->hostname), text);
	put_reply(session, 421, enhanced, line);
	conn_deadline(session->conn, 10000);
	conn_finish(session->conn);
}

void
session_wait(struct session *session)
{
	session->is_busy = true;
	session->answers++;
}

bool
session_answered(struct session *session)
{
	session->answers--;
	if (!session->is_gone)
		return true;
	free_if_over(session);
	return false;
}

void
session_reset(struct session *session)
{
	struct transaction *tx = &session->tx;

	message_abort(session);
	milters_reset(session->milters);
	arena_free(&tx->arena);
	*tx = (struct transaction){ .arena = NULL };
	list_init(&tx->recipients);
}

/* ---- input ---- */

/* One line, if there is one. False: no more for now. */
static bool
take_line(struct session *session)
{
	struct str in = conn_input(session->conn), line = STR_NONE;
	enum line_result got;
	size_t used = 0;

	got = line_next(&session->line, in, &line, &used);
	switch (got) {
	case LINE_DONE:
		/* The view stays good until the connection reads again. */
		conn_consume(session->conn, used);
		if (session->auth == AUTH_WAITS_LINE ||
		    session->auth == AUTH_WAITS_LAST)
			auth_line(session, line);
		else
			session_command(session, line);
		return true;
	case LINE_LONG:
		conn_consume(session->conn, used);
		session_refuse(session, 500, "5.5.2", "line too long");
		return true;
	case LINE_BAD_END:
		conn_consume(session->conn, used);
		session_bye(session, "5.5.2", "lines end with CR LF");
		return false;
	case LINE_MORE:
		conn_consume(session->conn, used);
		/* What follows an over-long line is dropped, not for ever. */
		session->dropped_octets = session->line.is_dropping ?
		    session->dropped_octets + used : 0;
		if (session->dropped_octets > DROPPED_MAX)
			session_bye(session, "5.5.2", "line too long");
		break;
	}
	return false;
}

static bool
can_go_on(const struct session *session)
{
	return !session->is_gone && !session->is_closing &&
	    !session->is_busy && !conn_is_full(session->conn);
}

static void
pump(void *arg)
{
	struct session *session = arg;

	if (session->is_pumping)
		return;
	session->is_pumping = true;
	while (can_go_on(session)) {
		if (message_wants_input(session->message)) {
			if (!message_input(session->message))
				break;
		} else if (!take_line(session)) {
			break;
		}
	}
	session->is_pumping = false;
	if (!session->is_gone)
		conn_pause(session->conn, session->is_busy);
	free_if_over(session);
}
