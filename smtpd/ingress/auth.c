/* SPDX-License-Identifier: ISC */
/* auth: the AUTH exchange (RFC 4954). What is right or wrong, authd says. */
#include "proto/sasl.h"
#include "smtpd/ingress/session.h"

#define AUTH_DEADLINE_MS 60000
#define AUTH_FAILURES_MAX 3

static void
auth_over(struct session *session)
{
	session->auth = AUTH_NONE;
	session->has_auth_started = false;
}

void
auth_cancel(struct session *session)
{
	struct ipc_out *out;

	if (!session->has_auth_started)
		return;
	auth_over(session);
	out = ipc_begin(child_link(session->ingress->child, "authd"),
	    AUTH_CANCEL);
	ipc_put_u64(out, session->id);
	(void)ipc_send(out, -1);
}

static void
auth_succeeded(struct session *session)
{
	auth_over(session);
	loop_timer_stop(&session->login_timer);
	session->errors = 0;
	ev_put_str(session->ev, LOG_K_user, str_of(session->user));
	ev_info(session->ev, "smtp.auth.ok");
	session_reply(session, 235, "2.7.0", "authentication succeeded");
}

static void
auth_failed(struct session *session, unsigned code, const char *enhanced,
    const char *text)
{
	auth_over(session);
	ev_info(session->ev, "smtp.auth.failed", EV_U64(code, code));
	if (++session->auth_failures >= AUTH_FAILURES_MAX)
		session_bye(session, "4.7.0", "too many failed logins");
	else
		session_reply(session, code, enhanced, text);
}

static void
put_challenge(struct session *session, struct str data)
{
	struct buf buf;

	buf_init(&buf, 2 * SASL_LINE_MAX);
	sasl_put_challenge(&buf, "334 ", data);
	conn_put_str(session->conn, buf_str(&buf));
	buf_fini(&buf);
	session->is_busy = false;
	conn_pause(session->conn, false);
	conn_kick(session->conn);
}

static const struct {
	unsigned code;
	const char *enhanced;
	const char *text;
} failures[] = {
	[AUTH_S_FAILED] = { 535, "5.7.8", "wrong user name or password" },
	[AUTH_S_UNAVAILABLE] = { 454, "4.7.0", "try again later" },
	[AUTH_S_BAD] = { 501, "5.5.2", "malformed exchange" },
	[AUTH_S_NO_MECHANISM] = { 504, "5.5.4", "no such mechanism" },
};

static void
on_status(struct session *session, uint64_t status, struct ipc_in *in)
{
	struct str data = ipc_get_str(in), user;

	if (status == AUTH_S_CONTINUE) {
		session->auth = AUTH_WAITS_LINE;
		put_challenge(session, data);
		return;
	}
	session->has_auth_started = false;
	if (status == AUTH_S_OK) {
		session->account = ipc_get_u64(in);
		user = ipc_get_str(in);
		(void)snprintf(session->user, sizeof(session->user), "%.*s",
		    STR_FMT(user));
		if (data.len == 0) {
			auth_succeeded(session);
			return;
		}
		/* The mechanism's last words go as a challenge, which the
		 * client answers with an empty line (RFC 4954 section 4). */
		session->auth = AUTH_WAITS_LAST;
		put_challenge(session, data);
		return;
	}
	if (status > AUTH_S_NO_MECHANISM)
		status = AUTH_S_UNAVAILABLE;
	auth_failed(session, failures[status].code,
	    failures[status].enhanced, failures[status].text);
}

static void
on_answer(void *ctx, int code, struct ipc_in *in)
{
	struct session *session = ctx;

	if (!session_answered(session))
		return;
	if (code != 0) {
		session->has_auth_started = false;
		auth_failed(session, 454, "4.7.0", "try again later");
		return;
	}
	on_status(session, ipc_get_u64(in), in);
}

static void
ask(struct session *session, struct ipc_out *out)
{
	session->auth = AUTH_WAITS_ANSWER;
	session->has_auth_started = true;
	session_wait(session);
	(void)ipc_call(out, -1, AUTH_DEADLINE_MS, on_answer, session);
}

void
auth_begin(struct session *session, const struct smtp_command *cmd)
{
	struct ipc_out *out;
	struct buf initial;

	buf_init(&initial, SASL_LINE_MAX);
	if (cmd->has_initial &&
	    sasl_read_initial(cmd->initial, &initial) != SASL_LINE_DATA) {
		session_refuse(session, 501, "5.5.2", "not base64");
		buf_fini(&initial);
		return;
	}
	(void)snprintf(session->mechanism, sizeof(session->mechanism), "%.*s",
	    STR_FMT(cmd->arg));
	out = ipc_begin(child_link(session->ingress->child, "authd"),
	    AUTH_START);
	ipc_put_u64(out, session->id);
	ipc_put_str(out, STR("smtp"));
	ipc_put_str(out, cmd->arg);
	ipc_put_bool(out, cmd->has_initial);
	ipc_put_str(out, buf_str(&initial));
	ipc_put_bool(out, front_takes_logins(session->seat.listener,
	    session->conn));
	ipc_put_str(out, conn_remote(session->conn));
	ipc_put_str(out, str_of(front_service(session->seat.listener)));
	ipc_put_str(out, str_of(session->seat.listener->zone));
	ask(session, out);
	buf_wipe(&initial);
}

void
auth_line(struct session *session, struct str line)
{
	struct ipc_out *out;
	struct buf data;

	buf_init(&data, SASL_LINE_MAX);
	switch (sasl_read_line(line, &data)) {
	case SASL_LINE_DATA:
		if (session->auth == AUTH_WAITS_LAST) {
			auth_succeeded(session);
			break;
		}
		out = ipc_begin(child_link(session->ingress->child, "authd"),
		    AUTH_STEP);
		ipc_put_u64(out, session->id);
		ipc_put_str(out, buf_str(&data));
		ask(session, out);
		break;
	case SASL_LINE_CANCEL:
		session->account = 0;
		auth_cancel(session);
		auth_failed(session, 501, "5.7.0", "cancelled");
		break;
	case SASL_LINE_BAD:
	case SASL_LINE_LONG:
		session->account = 0;
		auth_cancel(session);
		auth_failed(session, 501, "5.5.2", "not base64");
		break;
	}
	buf_wipe(&data);
}
