/* SPDX-License-Identifier: ISC */
/* commands: what each verb does, by a table of verbs and where they hold. */
#include "smtpd/ingress/message.h"
#include "smtpd/ingress/milters.h"
#include "smtpd/ingress/session.h"

#include "base/when.h"
#include "mail/date.h"

/* What mail filters say to a client. False: nothing. */
static bool
is_refused(struct session *session, const struct milters_result *result)
{
	if (result->code == 0)
		return false;
	ev_info(session->ev, "smtp.milter.refused", EV_U64(code,
	    result->code), EV_CSTR(reason, result->text));
	if (result->is_bye)
		session_bye(session, result->enhanced, result->text);
	return true;
}

static void
on_greet(void *ctx, const struct milters_result *result)
{
	struct session *session = ctx;
	char text[300];

	if (!session_answered(session))
		return;
	if (is_refused(session, result)) {
		session_reply(session, result->code, result->enhanced,
		    result->text);
		session->is_closing = true;
		conn_finish(session->conn);
		return;
	}
	(void)snprintf(text, sizeof(text), "%.*s %s Hikyaku",
	    STR_FMT(session->ingress->hostname),
	    session->role == ROLE_LMTP ? "LMTP" : "ESMTP");
	session_reply(session, 220, NULL, text);
}

void
session_greet(struct session *session)
{
	session_wait(session);
	milters_ask(session->milters, MILTER_E_CONNECT, STR(""), on_greet,
	    session);
}

static bool
offers_tls(const struct session *session)
{
	return session->seat.listener->tls == FRONT_TLS_STARTTLS &&
	    !conn_has_tls(session->conn) &&
	    session->ingress->front.tls != NULL;
}

static bool
offers_auth(const struct session *session)
{
	return session->role == ROLE_SUBMISSION &&
	    front_takes_logins(session->seat.listener, session->conn);
}

unsigned
session_offers(const struct session *session)
{
	unsigned offered = SMTP_X_DSN | SMTP_X_UTF8;

	if (!session->has_ehlo)
		return 0;
	if (session->role != ROLE_LMTP && conn_has_tls(session->conn))
		offered |= SMTP_X_REQUIRETLS;
	if (session->role == ROLE_SUBMISSION)
		offered |= SMTP_X_FUTURERELEASE;
	return offered;
}

static void
put_hold_limits(struct buf *text)
{
	buf_addf(text, "\nFUTURERELEASE %u ", SMTP_HOLD_MAX_S);
	date_put_iso(text, when_wall_s() + SMTP_HOLD_MAX_S);
}

static void
put_extensions(const struct session *session, struct buf *text)
{
	unsigned offered = session_offers(session);

	buf_addf(text, "\nPIPELINING\nSIZE %llu\n8BITMIME\nSMTPUTF8\n"
	    "CHUNKING\nBINARYMIME\nDSN\nENHANCEDSTATUSCODES\n"
	    "LIMITS RCPTMAX=%llu",
	    (unsigned long long)session->ingress->message_max_octets,
	    (unsigned long long)session->ingress->recipients_max);
	if ((offered & SMTP_X_REQUIRETLS) != 0)
		buf_add_cstr(text, "\nREQUIRETLS");
	if ((offered & SMTP_X_FUTURERELEASE) != 0)
		put_hold_limits(text);
	if (offers_tls(session))
		buf_add_cstr(text, "\nSTARTTLS");
	if (offers_auth(session))
		buf_add_cstr(text, "\nAUTH PLAIN LOGIN SCRAM-SHA-256");
}

static void
on_hello(void *ctx, const struct milters_result *result)
{
	struct session *session = ctx;
	struct buf text;

	if (!session_answered(session))
		return;
	if (is_refused(session, result)) {
		session->helo[0] = '\0';
		session_refuse(session, result->code, result->enhanced,
		    result->text);
		return;
	}
	buf_init(&text, 1024);
	buf_add_str(&text, session->ingress->hostname);
	if (session->has_ehlo)
		put_extensions(session, &text);
	buf_add_char(&text, '\0');
	session_reply(session, 250, NULL, buf_str(&text).p);
	buf_fini(&text);
}

static void
do_hello(struct session *session, const struct smtp_command *cmd)
{
	session_reset(session);
	(void)snprintf(session->helo, sizeof(session->helo), "%.*s",
	    STR_FMT(cmd->arg));
	session->has_ehlo = cmd->verb != SMTP_HELO;
	session_wait(session);
	milters_ask(session->milters, MILTER_E_HELO, STR(""), on_hello,
	    session);
}

static void
do_rset(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	session_reset(session);
	session_reply(session, 250, "2.0.0", "ok");
}

static void
do_noop(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	session_reply(session, 250, "2.0.0", "ok");
}

static void
do_help(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	session_reply(session, 214, "2.0.0", "see RFC 5321");
}

/* RFC 5321 section 3.5.3: say neither yes nor no. */
static void
do_vrfy(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	session_reply(session, 252, "2.5.2", "send mail and see");
}

static void
do_expn(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	session_refuse(session, 502, "5.5.1", "not here");
}

static void
do_quit(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	session->is_closing = true;
	session_reply(session, 221, "2.0.0", "bye");
	conn_finish(session->conn);
}

static void
do_starttls(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	if (!offers_tls(session)) {
		session_refuse(session, 502, "5.5.1", "TLS is not offered");
		return;
	}
	/* Octets behind STARTTLS were sent in the clear by who knows whom:
	 * never read them after the handshake (CVE-2011-0411). */
	if (conn_input(session->conn).len != 0) {
		ev_warn(session->ev, "smtp.starttls.injection");
		session_bye(session, "5.5.1", "nothing may follow STARTTLS");
		return;
	}
	session_reply(session, 220, "2.0.0", "go ahead");
	(void)conn_start_tls(session->conn, session->ingress->front.tls);
}

static void
do_auth(struct session *session, const struct smtp_command *cmd)
{
	if (session->role != ROLE_SUBMISSION)
		session_refuse(session, 502, "5.5.1", "AUTH is not offered");
	else if (!offers_auth(session))
		session_refuse(session, 538, "5.7.11",
		    "AUTH only inside TLS");
	else if (session->account != 0 || session->tx.arena != NULL)
		session_refuse(session, 503, "5.5.1", "not now");
	else
		auth_begin(session, cmd);
}

static void
do_mail(struct session *session, const struct smtp_command *cmd)
{
	if (session->tx.arena != NULL)
		session_refuse(session, 503, "5.5.1", "one MAIL at a time");
	else if (session->role == ROLE_SUBMISSION && session->account == 0)
		session_refuse(session, 530, "5.7.0",
		    "authentication required");
	else
		envelope_mail(session, cmd);
}

static void
do_rcpt(struct session *session, const struct smtp_command *cmd)
{
	if (session->tx.arena == NULL)
		session_refuse(session, 503, "5.5.1", "MAIL comes first");
	else
		envelope_rcpt(session, cmd);
}

/* Why no message may come now, or NULL. */
static const char *
why_no_data(const struct session *session, unsigned *code_r)
{
	*code_r = 503;
	if (session->tx.arena == NULL)
		return "MAIL comes first";
	if (session->tx.recipients_len != 0)
		return NULL;
	if (session->role != ROLE_LMTP)
		*code_r = 554;
	return "no valid recipients";
}

static void
on_data(void *ctx, const struct milters_result *result)
{
	struct session *session = ctx;

	if (!session_answered(session))
		return;
	if (is_refused(session, result)) {
		session_reset(session);
		session_refuse(session, result->code, result->enhanced,
		    result->text);
		return;
	}
	message_begin(session);
}

static void
do_data(struct session *session, const struct smtp_command *cmd)
{
	unsigned code;
	const char *why = why_no_data(session, &code);

	(void)cmd;
	if (why != NULL)
		session_refuse(session, code, "5.5.1", why);
	else if (session->message != NULL)
		session_refuse(session, 503, "5.5.1",
		    "BDAT has begun, DATA cannot follow");
	else if ((session->tx.flags & QUEUE_F_BINARY) != 0)
		session_refuse(session, 503, "5.6.3",
		    "a binary message comes by BDAT");
	else {
		session_wait(session);
		milters_ask(session->milters, MILTER_E_DATA, STR(""),
		    on_data, session);
	}
}

/* The chunk's octets come in any case: a refusal is said behind them. */
static void
do_bdat(struct session *session, const struct smtp_command *cmd)
{
	unsigned code;
	const char *why = why_no_data(session, &code);

	if (session->message != NULL)
		message_chunk(session, cmd->chunk_octets, cmd->is_last);
	else
		message_begin_chunked(session, cmd->chunk_octets,
		    cmd->is_last, why != NULL ? code : 0, why);
}

/* IN_CHUNKS: also between two chunks of a message. */
enum { NEEDS_HELLO = 1, ONLY_SMTP = 2, ONLY_LMTP = 4, IN_CHUNKS = 8 };

static const struct {
	void (*run)(struct session *session, const struct smtp_command *cmd);
	int needs;
} verbs[SMTP_VERB_COUNT] = {
	[SMTP_EHLO] = { do_hello, ONLY_SMTP | IN_CHUNKS },
	[SMTP_HELO] = { do_hello, ONLY_SMTP | IN_CHUNKS },
	[SMTP_LHLO] = { do_hello, ONLY_LMTP | IN_CHUNKS },
	[SMTP_MAIL] = { do_mail, NEEDS_HELLO },
	[SMTP_RCPT] = { do_rcpt, NEEDS_HELLO },
	[SMTP_DATA] = { do_data, NEEDS_HELLO | IN_CHUNKS },
	[SMTP_BDAT] = { do_bdat, IN_CHUNKS },
	[SMTP_RSET] = { do_rset, IN_CHUNKS },
	[SMTP_NOOP] = { do_noop, IN_CHUNKS },
	[SMTP_QUIT] = { do_quit, IN_CHUNKS },
	[SMTP_VRFY] = { do_vrfy, 0 },
	[SMTP_EXPN] = { do_expn, 0 },
	[SMTP_HELP] = { do_help, 0 },
	[SMTP_STARTTLS] = { do_starttls, ONLY_SMTP },
	[SMTP_AUTH] = { do_auth, NEEDS_HELLO | ONLY_SMTP },
};

void
session_command(struct session *session, struct str line)
{
	struct smtp_refusal refusal = { .code = 0 };
	struct smtp_command cmd;
	int needs;

	if (smtp_parse(line, &cmd, &refusal) != 0 && cmd.verb == SMTP_BDAT) {
		/* What follows is a chunk of unknown length: never run it. */
		session_bye(session, refusal.enhanced, refusal.text);
		return;
	}
	if (refusal.code != 0) {
		session_refuse(session, refusal.code, refusal.enhanced,
		    refusal.text);
		return;
	}
	needs = verbs[cmd.verb].needs;
	if (verbs[cmd.verb].run == NULL ||
	    ((needs & ONLY_SMTP) != 0 && session->role == ROLE_LMTP) ||
	    ((needs & ONLY_LMTP) != 0 && session->role != ROLE_LMTP))
		session_refuse(session, 502, "5.5.1", "not offered");
	else if ((needs & NEEDS_HELLO) != 0 && session->helo[0] == '\0')
		session_refuse(session, 503, "5.5.1",
		    session->role == ROLE_LMTP ? "LHLO comes first" :
		    "EHLO comes first");
	else if ((needs & IN_CHUNKS) == 0 && session->message != NULL)
		session_refuse(session, 503, "5.5.1",
		    "the message is not complete");
	else
		verbs[cmd.verb].run(session, &cmd);
}
