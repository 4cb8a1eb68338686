/* SPDX-License-Identifier: ISC */
#include "pop3d/front/session.h"

#include "proto/pop3.h"
#include "proto/sasl.h"

#define IN_MAX 16384
#define OUT_MAX 65536
#define ERRORS_MAX 5
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
session_free(struct session *session)
{
	struct pop3d *pop3d = session->pop3d;

	login_cancel(&session->login);
	proxy_free(&session->proxy);
	conn_free(&session->conn);
	list_del(&session->node);
	front_leave(&pop3d->front, &session->seat);
	arena_free(&session->arena);
	ev_free(&session->ev);
	free(session);
	if (pop3d->is_stopping && list_is_empty(&pop3d->sessions))
		child_exit(pop3d->child);
}

static void
reply_ok(struct session *session, const char *text)
{
	conn_putf(session->conn, "+OK %s\r\n",
	    pop3_text(session->lang, text));
}

static void
reply_err(struct session *session, const char *code, const char *text)
{
	struct buf buf;

	buf_init(&buf, 1024);
	pop3_put_err(&buf, code, str_of(pop3_text(session->lang, text)));
	conn_put_str(session->conn, buf_str(&buf));
	buf_fini(&buf);
}

static void
bye(struct session *session, const char *code, const char *text)
{
	if (session->is_closing)
		return;
	session->is_closing = true;
	reply_err(session, code, text);
	conn_deadline(session->conn, BYE_MS);
	conn_finish(session->conn);
}

static void
refuse(struct session *session, const char *text)
{
	if (++session->errors > ERRORS_MAX)
		bye(session, NULL, "too many errors");
	else
		reply_err(session, NULL, text);
}

static void
greet(struct session *session)
{
	conn_putf(session->conn, "+OK %.*s ready\r\n",
	    STR_FMT(session->pop3d->hostname));
}

/* ---- logged in ---- */

static void
take_back(struct session *session)
{
	session->conn = proxy_take_conn(session->proxy);
	proxy_free(&session->proxy);
	conn_set_ops(session->conn, &conn_ops, session);
	conn_pause(session->conn, false);
}

/* The engine answers PASS or AUTH itself: only it knows whether the maildrop
 * can be had (RFC 1939 section 4). */
static void
on_proxy_open(void *ctx)
{
	struct session *session = ctx;

	session->conn = NULL;
	ev_info(session->ev, "pop3.login.ok");
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
	ev_info(session->ev, "pop3.session.lost", EV_U64(code, why));
	take_back(session);
	if (why == PROXY_TOO_SOON)
		bye(session, "LOGIN-DELAY", "the last login was a moment ago");
	else if (why == PROXY_REFUSED)
		bye(session, "IN-USE", "too many sessions of this account");
	else
		bye(session, "SYS/TEMP", "try again later");
}

static void
on_proxy_idle(void *ctx)
{
	struct session *session = ctx;

	/* RFC 1939 section 3: close without entering the UPDATE state. */
	take_back(session);
	bye(session, NULL, "idle for too long");
}

static const struct proxy_ops proxy_ops = {
	.on_open = on_proxy_open, .on_end = on_proxy_end,
	.on_idle = on_proxy_idle,
};

static void
logged_in(struct session *session)
{
	struct buf hello;
	struct proxy_args args = {
		.loop = session->pop3d->child->loop,
		.broker = child_link(session->pop3d->child, "mboxd"),
		.conn = session->conn, .session = session->id,
		.protocol = "pop3", .ticket = session->ticket,
		.idle_ms = session->pop3d->idle_ms, .ops = &proxy_ops,
		.ctx = session,
	};

	buf_init(&hello, 64);
	pop3_put_hello(&hello, session->lang);
	args.hello = buf_str(&hello);
	session->proxy = proxy_open(&args);
	buf_fini(&hello);
}

/* ---- login ---- */

static const struct {
	const char *code;
	const char *text;
} failures[] = {
	[AUTH_S_FAILED] = { "AUTH", "wrong user name or password" },
	[AUTH_S_UNAVAILABLE] = { "SYS/TEMP", "try again later" },
	[AUTH_S_BAD] = { NULL, "malformed exchange" },
	[AUTH_S_NO_MECHANISM] = { NULL, "no such mechanism" },
};

static void
login_failed(struct session *session, const char *code, const char *text)
{
	ev_info(session->ev, "pop3.login.failed", EV_CSTR(reason, text));
	if (++session->failures >= FAILURES_MAX) {
		bye(session, code, text);
		return;
	}
	reply_err(session, code, text);
	conn_kick(session->conn);
}

static void
put_challenge(struct session *session, struct str data)
{
	struct buf buf;

	buf_init(&buf, 2 * SASL_LINE_MAX);
	sasl_put_challenge(&buf, "+ ", data);
	conn_put_str(session->conn, buf_str(&buf));
	buf_fini(&buf);
	session->waits_line = true;
	conn_kick(session->conn);
}

static void
on_result(void *ctx, const struct login_result *result)
{
	struct session *session = ctx;

	conn_pause(session->conn, false);
	if (result->status == AUTH_S_CONTINUE) {
		put_challenge(session, result->data);
		return;
	}
	if (result->status != AUTH_S_OK) {
		login_failed(session, failures[result->status].code,
		    failures[result->status].text);
		return;
	}
	session->ticket = arena_str(session->arena, result->ticket);
	ev_put_str(session->ev, LOG_K_user, result->user);
	if (result->data.len != 0) {
		session->waits_last = true;
		put_challenge(session, result->data);
		return;
	}
	logged_in(session);
}

static void
on_sasl_line(struct session *session, struct str line)
{
	enum sasl_line got;
	struct buf data;

	session->waits_line = false;
	buf_init(&data, SASL_LINE_MAX);
	got = sasl_read_line(line, &data);
	if (got == SASL_LINE_DATA && session->waits_last) {
		session->waits_last = false;
		logged_in(session);
	} else if (got == SASL_LINE_DATA) {
		login_step(&session->login, buf_str(&data));
		conn_pause(session->conn, true);
	} else {
		session->waits_last = false;
		session->ticket = STR_NONE;
		login_cancel(&session->login);
		login_failed(session, NULL, got == SASL_LINE_CANCEL ?
		    "cancelled" : "not base64");
	}
	buf_wipe(&data);
}

/* ---- commands ---- */

static bool
offers_tls(const struct session *session)
{
	return session->seat.listener->tls == FRONT_TLS_STARTTLS &&
	    !conn_has_tls(session->conn);
}

static void
do_capa(struct session *session, const struct pop3_command *cmd)
{
	struct buf text;

	(void)cmd;
	buf_init(&text, 1024);
	buf_add_cstr(&text, "+OK capabilities\r\n");
	if (offers_tls(session))
		buf_add_cstr(&text, "STLS\r\n");
	if (front_takes_logins(session->seat.listener, session->conn))
		buf_add_cstr(&text,
		    "USER\r\nSASL PLAIN LOGIN SCRAM-SHA-256\r\n");
	pop3_put_capabilities(&text, session->pop3d->login_delay_s,
	    session->pop3d->expire_days);
	conn_put_str(session->conn, buf_str(&text));
	buf_fini(&text);
}

/* RFC 6856: texts in another language; UTF-8 needs no other mode here. */
static void
do_lang(struct session *session, const struct pop3_command *cmd)
{
	enum pop3_lang lang = pop3_lang_of(cmd->arg);
	struct buf text;

	buf_init(&text, 1024);
	if (cmd->arg.len == 0) {
		pop3_put_langs(&text, session->lang);
	} else if (lang == POP3_LANGS) {
		refuse(session, "no such language");
	} else {
		session->lang = lang;
		buf_addf(&text, "+OK %s\r\n", pop3_lang_tag(lang));
	}
	conn_put_str(session->conn, buf_str(&text));
	buf_fini(&text);
}

static void
do_utf8(struct session *session, const struct pop3_command *cmd)
{
	(void)cmd;
	reply_ok(session, "UTF-8 from now on");
}

static void
do_stls(struct session *session, const struct pop3_command *cmd)
{
	(void)cmd;
	if (!offers_tls(session)) {
		refuse(session, "TLS is not offered");
		return;
	}
	if (conn_input(session->conn).len != 0) {
		ev_warn(session->ev, "pop3.stls.injection");
		bye(session, NULL, "nothing may follow STLS");
		return;
	}
	reply_ok(session, "begin TLS");
	(void)conn_start_tls(session->conn, session->pop3d->front.tls);
}

static bool
may_log_in(struct session *session)
{
	if (front_takes_logins(session->seat.listener, session->conn))
		return true;
	refuse(session, "only inside TLS");
	return false;
}

static void
do_user(struct session *session, const struct pop3_command *cmd)
{
	if (!may_log_in(session))
		return;
	arena_reset(session->arena);
	session->user = arena_str(session->arena, cmd->arg);
	reply_ok(session, "password, please");
}

static void
do_pass(struct session *session, const struct pop3_command *cmd)
{
	struct str user = session->user;

	if (!may_log_in(session))
		return;
	if (user.len == 0) {
		refuse(session, "USER comes first");
		return;
	}
	session->user = STR_NONE;
	login_plain(&session->login, user, cmd->arg);
	conn_pause(session->conn, true);
}

static void
do_auth(struct session *session, const struct pop3_command *cmd)
{
	struct buf initial;

	if (!may_log_in(session))
		return;
	buf_init(&initial, SASL_LINE_MAX);
	arena_reset(session->arena);
	if (cmd->arg.len == 0) {
		conn_putf(session->conn, "+OK\r\nPLAIN\r\nLOGIN\r\n"
		    "SCRAM-SHA-256\r\n.\r\n");
	} else if (cmd->has_initial && sasl_read_initial(cmd->initial,
	    &initial) != SASL_LINE_DATA) {
		refuse(session, "not base64");
	} else {
		login_start(&session->login, cmd->arg, cmd->has_initial,
		    buf_str(&initial));
		conn_pause(session->conn, true);
	}
	buf_wipe(&initial);
}

static void
do_quit(struct session *session, const struct pop3_command *cmd)
{
	(void)cmd;
	session->is_closing = true;
	reply_ok(session, "bye");
	conn_finish(session->conn);
}

static void (*const commands[POP3_VERB_COUNT])(struct session *session,
    const struct pop3_command *cmd) = {
	[POP3_CAPA] = do_capa,
	[POP3_STLS] = do_stls,
	[POP3_USER] = do_user,
	[POP3_PASS] = do_pass,
	[POP3_AUTH] = do_auth,
	[POP3_QUIT] = do_quit,
	[POP3_LANG] = do_lang,
	[POP3_UTF8] = do_utf8,
};

static void
on_command(struct session *session, struct str line)
{
	struct pop3_command cmd;
	const char *problem;

	if (pop3_parse(line, &cmd, &problem) != 0)
		refuse(session, problem);
	else if (commands[cmd.verb] == NULL)
		refuse(session, "not offered, or not before the login");
	else
		commands[cmd.verb](session, &cmd);
}

/* ---- input ---- */

static bool
can_go_on(const struct session *session)
{
	return !session->is_closing && !session->login.has_call &&
	    session->proxy == NULL;
}

/* One line. False: there is none. */
static bool
take_line(struct session *session)
{
	struct str line = STR_NONE;
	enum line_result got;
	size_t used;

	got = line_next(&session->line, conn_input(session->conn), &line,
	    &used);
	conn_consume(session->conn, used);
	if (got == LINE_MORE)
		return false;
	if (got != LINE_DONE)
		refuse(session, "line too long");
	else if (session->waits_line)
		on_sasl_line(session, line);
	else
		on_command(session, line);
	return true;
}

static void
on_input(void *arg)
{
	struct session *session = arg;

	if (session->is_running)
		return;
	session->is_running = true;
	while (can_go_on(session) && take_line(session))
		;
	session->is_running = false;
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

	ev_debug(session->ev, "pop3.session.end", EV_U64(code, why));
	session_free(session);
}

static void
on_late(void *arg)
{
	bye(arg, NULL, "log in sooner");
}

/* ---- entry ---- */

static void
login_init(struct session *session)
{
	session->login.authd = child_link(session->pop3d->child, "authd");
	session->login.session = session->id;
	session->login.protocol = "pop3";
	session->login.listener = session->seat.listener;
	session->login.conn = session->conn;
	session->login.on_result = on_result;
	session->login.ctx = session;
}

void
session_new(struct pop3d *pop3d, const struct front_seat *seat, int fd,
    bool is_full)
{
	struct session *session = calloc(1, sizeof(*session));
	char id[32];

	invariant(session != NULL);
	session->pop3d = pop3d;
	session->seat = *seat;
	session->id = ++pop3d->next_session;
	session->arena = arena_new(1024);
	list_add(&pop3d->sessions, &session->node);
	line_init(&session->line, POP3_AUTH_LINE_MAX, false);
	session->conn = conn_new(pop3d->child->loop, fd, IN_MAX, OUT_MAX,
	    &conn_ops, session);
	(void)snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)session->id);
	session->ev = ev_new(NULL);
	ev_put_str(session->ev, LOG_K_session, str_of(id));
	ev_put_str(session->ev, LOG_K_remote, conn_remote(session->conn));
	login_init(session);
	conn_deadline(session->conn, pop3d->login_ms);
	if (is_full)
		bye(session, "SYS/TEMP", "too many connections");
	else if (seat->listener->tls == FRONT_TLS_IMPLICIT)
		(void)conn_start_tls(session->conn, pop3d->front.tls);
	else
		greet(session);
}

void
session_stop(struct session *session)
{
	struct str reason = STR("this server is stopping");

	if (session->proxy == NULL)
		bye(session, "SYS/TEMP", "this server is stopping");
	else if (!proxy_stop(session->proxy, reason))
		session_end(session, reason);
}

void
session_end(struct session *session, struct str reason)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(reason));
	take_back(session);
	bye(session, "SYS/TEMP", text);
}
