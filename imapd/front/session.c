/* SPDX-License-Identifier: ISC */
#include "imapd/front/session.h"

#include "proto/imap_capability.h"
#include "proto/imap_parse.h"
#include "proto/sasl.h"

#define IN_MAX 16384
#define OUT_MAX 65536
#define ERRORS_MAX 3
#define FAILURES_MAX 3
#define BYE_MS 10000

static void on_input(void *arg);
static void on_tls(void *arg);
static void on_end(void *arg, enum conn_end why);
static void on_late(void *arg);

static const struct conn_ops conn_ops = {
	.on_input = on_input, .on_tls = on_tls, .on_end = on_end,
	.on_late = on_late,
};

/* ---- life ---- */

static void
login_state_free(struct session *session)
{
	struct login_state *login = session->login;

	if (login == NULL)
		return;
	session->login = NULL;
	login_cancel(&login->login);
	imap_framer_fini(&login->framer);
	arena_free(&login->arena);
	free(login);
}

static void
session_free(struct session *session)
{
	struct imapd *imapd = session->imapd;

	login_state_free(session);
	proxy_free(&session->proxy);
	conn_free(&session->conn);
	list_del(&session->node);
	front_leave(&imapd->front, &session->seat);
	ev_free(&session->ev);
	free(session);
	if (imapd->is_stopping && list_is_empty(&imapd->sessions))
		child_exit(imapd->child);
}

static void
put(struct session *session, const char *text)
{
	conn_put(session->conn, text, strlen(text));
}

static void
bye(struct session *session, const char *text)
{
	if (session->is_closing)
		return;
	session->is_closing = true;
	conn_putf(session->conn, "* BYE %s\r\n", text);
	conn_deadline(session->conn, BYE_MS);
	conn_finish(session->conn);
}

/* ---- replies ---- */

static void
put_capability(struct session *session)
{
	bool has_tls = conn_has_tls(session->conn);

	put(session, IMAP_CAPABILITY_FRONT);
	if (front_takes_logins(session->seat.listener, session->conn))
		put(session, " AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256");
	else
		put(session, " LOGINDISABLED");
	if (!has_tls && session->seat.listener->tls == FRONT_TLS_STARTTLS)
		put(session, " STARTTLS");
}

static void
greet(struct session *session)
{
	put(session, "* OK [CAPABILITY ");
	put_capability(session);
	conn_putf(session->conn, "] %.*s ready\r\n",
	    STR_FMT(session->imapd->hostname));
}

static void
reply(struct session *session, struct str tag, const char *text)
{
	if (tag.len == 0)
		tag = STR("*");
	conn_put_str(session->conn, tag);
	conn_putf(session->conn, " %s\r\n", text);
}

/* A client's mistake: a few are forgiven. */
static void
refuse(struct session *session, struct str tag, const char *text)
{
	reply(session, tag, text);
	if (++session->login->errors >= ERRORS_MAX)
		bye(session, "too many errors");
}

static struct str
kept_tag(struct session *session)
{
	return str_of(session->login->tag);
}

/* ---- logged in ---- */

static void
on_proxy_open(void *ctx)
{
	struct session *session = ctx;
	struct conn *conn = session->conn;
	struct ev *ev = session->ev;

	/* The connection is the proxy's, which keeps it while it is open. */
	conn_putf(conn, "%s OK [CAPABILITY " IMAP_CAPABILITY_SESSION
	    "] logged in\r\n", session->login->tag);
	session->conn = NULL;
	login_state_free(session);
	ev_info(ev, "imap.login.ok");
}

/* The connection comes back for a last word. */
static void
take_back(struct session *session)
{
	session->conn = proxy_take_conn(session->proxy);
	proxy_free(&session->proxy);
	conn_set_ops(session->conn, &conn_ops, session);
	conn_pause(session->conn, false);
}

static void
on_proxy_end(void *ctx, enum proxy_end why)
{
	struct session *session = ctx;

	if (why == PROXY_CLIENT_GONE || why == PROXY_CLOSED) {
		session->conn = NULL;
		session_free(session);
		return;
	}
	ev_info(session->ev, "imap.session.lost", EV_U64(code, why));
	take_back(session);
	if (session->login != NULL)
		reply(session, kept_tag(session), why == PROXY_REFUSED ?
		    "NO [LIMIT] too many sessions of this account" :
		    "NO [UNAVAILABLE] try again later");
	bye(session, why == PROXY_REFUSED ? "[LIMIT] too many sessions" :
	    "[UNAVAILABLE] the session was lost, connect again");
}

static void
on_proxy_idle(void *ctx)
{
	struct session *session = ctx;

	take_back(session);
	bye(session, "idle for too long");
}

static const struct proxy_ops proxy_ops = {
	.on_open = on_proxy_open, .on_end = on_proxy_end,
	.on_idle = on_proxy_idle,
};

static void
logged_in(struct session *session)
{
	struct proxy_args args = {
		.loop = session->imapd->child->loop,
		.broker = child_link(session->imapd->child, "mboxd"),
		.conn = session->conn, .session = session->id,
		.protocol = "imap", .ticket = session->login->ticket,
		.idle_ms = session->imapd->idle_ms, .ops = &proxy_ops,
		.ctx = session,
	};

	session->proxy = proxy_open(&args);
}

/* ---- login ---- */

static void
login_failed(struct session *session, const char *text)
{
	ev_info(session->ev, "imap.login.failed", EV_CSTR(reason, text));
	reply(session, kept_tag(session), text);
	if (++session->login->failures >= FAILURES_MAX)
		bye(session, "too many failed logins");
	else
		conn_kick(session->conn);
}

static const char *const failures[] = {
	[AUTH_S_FAILED] =
	    "NO [AUTHENTICATIONFAILED] wrong user name or password",
	[AUTH_S_UNAVAILABLE] = "NO [UNAVAILABLE] try again later",
	[AUTH_S_BAD] = "BAD malformed exchange",
	[AUTH_S_NO_MECHANISM] = "NO [CANNOT] no such mechanism",
};

static void
put_challenge(struct session *session, struct str data)
{
	struct buf buf;

	buf_init(&buf, 2 * SASL_LINE_MAX);
	sasl_put_challenge(&buf, "+ ", data);
	conn_put_str(session->conn, buf_str(&buf));
	buf_fini(&buf);
	session->login->waits_line = true;
	imap_framer_want_line(&session->login->framer, SASL_LINE_MAX);
	conn_pause(session->conn, false);
	conn_kick(session->conn);
}

static void
on_result(void *ctx, const struct login_result *result)
{
	struct session *session = ctx;
	struct login_state *login = session->login;

	conn_pause(session->conn, false);
	if (result->status == AUTH_S_CONTINUE) {
		put_challenge(session, result->data);
		return;
	}
	if (result->status != AUTH_S_OK) {
		login_failed(session, failures[result->status]);
		return;
	}
	login->ticket = arena_str(login->arena, result->ticket);
	ev_put_str(session->ev, LOG_K_user, result->user);
	if (result->data.len != 0) {
		/* The mechanism's last words; the client answers with an
		 * empty line (RFC 3501 section 6.2.2). */
		login->waits_last = true;
		put_challenge(session, result->data);
		return;
	}
	logged_in(session);
}

/* No more input until authd has answered. */
static void
wait_for_authd(struct session *session)
{
	conn_pause(session->conn, true);
}

static void
on_sasl_line(struct session *session, struct str line)
{
	struct login_state *login = session->login;
	enum sasl_line got;
	struct buf data;

	login->waits_line = false;
	buf_init(&data, SASL_LINE_MAX);
	got = sasl_read_line(line, &data);
	if (got == SASL_LINE_DATA && login->waits_last) {
		login->waits_last = false;
		logged_in(session);
	} else if (got == SASL_LINE_DATA) {
		login_step(&login->login, buf_str(&data));
		wait_for_authd(session);
	} else {
		login->waits_last = false;
		login->ticket = STR_NONE;
		login_cancel(&login->login);
		login_failed(session, got == SASL_LINE_CANCEL ?
		    "BAD cancelled" : "BAD not base64");
	}
	buf_wipe(&data);
}

/* ---- commands ---- */

static void
do_capability(struct session *session, const struct imap_command *cmd)
{
	put(session, "* CAPABILITY ");
	put_capability(session);
	put(session, "\r\n");
	reply(session, cmd->tag, "OK done");
}

static void
do_noop(struct session *session, const struct imap_command *cmd)
{
	reply(session, cmd->tag, "OK done");
}

static void
do_id(struct session *session, const struct imap_command *cmd)
{
	put(session, "* ID (\"name\" \"Hikyaku\")\r\n");
	reply(session, cmd->tag, "OK done");
}

static void
do_logout(struct session *session, const struct imap_command *cmd)
{
	session->is_closing = true;
	put(session, "* BYE logging out\r\n");
	reply(session, cmd->tag, "OK done");
	conn_deadline(session->conn, BYE_MS);
	conn_finish(session->conn);
}

static void
do_starttls(struct session *session, const struct imap_command *cmd)
{
	if (conn_has_tls(session->conn) ||
	    session->seat.listener->tls != FRONT_TLS_STARTTLS) {
		refuse(session, cmd->tag, "BAD TLS is not offered");
		return;
	}
	/* See smtpd: what follows in the clear is never read after it. */
	if (conn_input(session->conn).len != 0) {
		ev_warn(session->ev, "imap.starttls.injection");
		bye(session, "nothing may follow STARTTLS");
		return;
	}
	reply(session, cmd->tag, "OK begin TLS");
	(void)conn_start_tls(session->conn, session->imapd->front.tls);
}

static bool
may_log_in(struct session *session, const struct imap_command *cmd)
{
	struct login_state *login = session->login;

	if (!front_takes_logins(session->seat.listener, session->conn)) {
		refuse(session, cmd->tag,
		    "NO [PRIVACYREQUIRED] only inside TLS");
		return false;
	}
	if (cmd->tag.len >= sizeof(login->tag)) {
		refuse(session, cmd->tag, "BAD tag too long");
		return false;
	}
	(void)snprintf(login->tag, sizeof(login->tag), "%.*s",
	    STR_FMT(cmd->tag));
	return true;
}

static void
do_login(struct session *session, const struct imap_command *cmd)
{
	if (!may_log_in(session, cmd))
		return;
	login_plain(&session->login->login, cmd->u.login.user,
	    cmd->u.login.password);
	wait_for_authd(session);
}

static void
do_authenticate(struct session *session, const struct imap_command *cmd)
{
	struct buf initial;

	if (!may_log_in(session, cmd))
		return;
	buf_init(&initial, SASL_LINE_MAX);
	if (cmd->u.authenticate.has_initial &&
	    sasl_read_initial(cmd->u.authenticate.initial, &initial) !=
	    SASL_LINE_DATA) {
		refuse(session, cmd->tag, "BAD not base64");
	} else {
		login_start(&session->login->login,
		    cmd->u.authenticate.mechanism,
		    cmd->u.authenticate.has_initial, buf_str(&initial));
		wait_for_authd(session);
	}
	buf_wipe(&initial);
}

static const struct {
	enum imap_command_id id;
	void (*run)(struct session *session, const struct imap_command *cmd);
} commands[] = {
	{ IMAP_CAPABILITY, do_capability },
	{ IMAP_NOOP, do_noop },
	{ IMAP_ID, do_id },
	{ IMAP_LOGOUT, do_logout },
	{ IMAP_STARTTLS, do_starttls },
	{ IMAP_LOGIN, do_login },
	{ IMAP_AUTHENTICATE, do_authenticate },
};

static void
on_command(struct session *session, struct str text)
{
	struct imap_problem problem;
	struct imap_command cmd;
	char line[300];
	size_t i;

	arena_reset(session->login->arena);
	if (imap_parse(text, NULL, session->login->arena, &cmd, &problem) !=
	    0) {
		(void)snprintf(line, sizeof(line), "BAD %s", problem.text);
		refuse(session, cmd.tag, line);
		return;
	}
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].id == cmd.info->id) {
			commands[i].run(session, &cmd);
			return;
		}
	refuse(session, cmd.tag, "BAD log in first");
}

/* ---- input ---- */

static void
on_refusal(struct session *session)
{
	struct imap_framer *framer = &session->login->framer;

	refuse(session, imap_framer_tag(framer),
	    framer->refusal == IMAP_REFUSAL_LITERAL ?
	    "NO [TOOBIG] literal too large" : "BAD line too long");
}

/* True when the loop may go on with more input. */
static bool
on_frame(struct session *session, enum imap_frame frame)
{
	struct imap_framer *framer = &session->login->framer;

	switch (frame) {
	case IMAP_FRAME_CONTINUE:
		put(session, "+ OK\r\n");
		return true;
	case IMAP_FRAME_COMMAND:
		on_command(session, imap_framer_text(framer));
		break;
	case IMAP_FRAME_LINE:
		on_sasl_line(session, imap_framer_text(framer));
		break;
	case IMAP_FRAME_REFUSE:
		on_refusal(session);
		break;
	case IMAP_FRAME_CLOSE:
		on_refusal(session);
		bye(session, "too much");
		break;
	case IMAP_FRAME_MORE:
	case IMAP_FRAME_APPEND:
	case IMAP_FRAME_DATA:
		return false;
	}
	return !session->is_closing && session->login != NULL &&
	    !session->login->login.has_call && session->proxy == NULL;
}

static void
on_input(void *arg)
{
	struct session *session = arg;
	struct login_state *login = session->login;
	enum imap_frame frame;
	struct str data;
	size_t used;

	if (login == NULL || login->is_running || login->login.has_call ||
	    session->proxy != NULL || session->is_closing)
		return;
	login->is_running = true;
	do {
		frame = imap_framer_next(&login->framer,
		    conn_input(session->conn), &used, &data);
		conn_consume(session->conn, used);
	} while (on_frame(session, frame));
	if (session->login != NULL)
		session->login->is_running = false;
}

static void
on_tls(void *arg)
{
	struct session *session = arg;

	ev_put_str(session->ev, LOG_K_tls, conn_tls_text(session->conn));
	if (session->seat.listener->tls == FRONT_TLS_IMPLICIT)
		greet(session);
}

static void
on_end(void *arg, enum conn_end why)
{
	struct session *session = arg;

	ev_debug(session->ev, "imap.session.end", EV_U64(code, why));
	session_free(session);
}

static void
on_late(void *arg)
{
	bye(arg, "log in sooner");
}

/* ---- entry ---- */

static void
session_log_fields(struct session *session)
{
	char id[32];

	(void)snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)session->id);
	session->ev = ev_new(NULL);
	ev_put_str(session->ev, LOG_K_session, str_of(id));
	ev_put_str(session->ev, LOG_K_remote, conn_remote(session->conn));
}

static struct login_state *
login_state_new(struct session *session)
{
	struct login_state *login = calloc(1, sizeof(*login));

	invariant(login != NULL);
	imap_framer_init(&login->framer, &imap_limits_front);
	login->arena = arena_new(4096);
	login->login.authd = child_link(session->imapd->child, "authd");
	login->login.session = session->id;
	login->login.protocol = "imap";
	login->login.listener = session->seat.listener;
	login->login.conn = session->conn;
	login->login.on_result = on_result;
	login->login.ctx = session;
	return login;
}

void
session_new(struct imapd *imapd, const struct front_seat *seat, int fd,
    bool is_full)
{
	struct session *session = calloc(1, sizeof(*session));

	invariant(session != NULL);
	session->imapd = imapd;
	session->seat = *seat;
	session->id = ++imapd->next_session;
	list_add(&imapd->sessions, &session->node);
	session->conn = conn_new(imapd->child->loop, fd, IN_MAX, OUT_MAX,
	    &conn_ops, session);
	session_log_fields(session);
	session->login = login_state_new(session);
	conn_deadline(session->conn, imapd->login_ms);
	if (is_full)
		bye(session, "[LIMIT] too many connections");
	else if (seat->listener->tls == FRONT_TLS_IMPLICIT)
		(void)conn_start_tls(session->conn, imapd->front.tls);
	else
		greet(session);
}

void
session_stop(struct session *session)
{
	if (session->proxy == NULL)
		bye(session, "this server is stopping");
	else if (!proxy_stop(session->proxy, STR("this server is stopping")))
		session_end(session, STR("this server is stopping"));
}

void
session_wake(struct session *session)
{
	proxy_wake(session->proxy);
}

void
session_end(struct session *session, struct str reason)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(reason));
	take_back(session);
	bye(session, text);
}

void
session_keepalive(struct session *session)
{
	if (session->proxy != NULL && proxy_is_parked(session->proxy))
		proxy_say(session->proxy, STR("* OK still here\r\n"));
}
