/* SPDX-License-Identifier: ISC */
/* commands: what each verb does, by a table of verbs and where they hold. */
#include "smtpd/ingress/message.h"
#include "smtpd/ingress/session.h"

void
session_greet(struct session *session)
{
	char text[300];

	(void)snprintf(text, sizeof(text), "%.*s %s Hikyaku",
	    STR_FMT(session->ingress->hostname),
	    session->role == ROLE_LMTP ? "LMTP" : "ESMTP");
	session_reply(session, 220, NULL, text);
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
	    conn_has_tls(session->conn);
}

static void
do_hello(struct session *session, const struct smtp_command *cmd)
{
	struct buf text;

	session_reset(session);
	(void)snprintf(session->helo, sizeof(session->helo), "%.*s",
	    STR_FMT(cmd->arg));
	session->has_ehlo = cmd->verb != SMTP_HELO;
	buf_init(&text, 1024);
	buf_add_str(&text, session->ingress->hostname);
	if (session->has_ehlo) {
		buf_addf(&text, "\nPIPELINING\nSIZE %llu\n8BITMIME\n"
		    "ENHANCEDSTATUSCODES",
		    (unsigned long long)session->ingress->message_max_octets);
		if (offers_tls(session))
			buf_add_cstr(&text, "\nSTARTTLS");
		if (offers_auth(session))
			buf_add_cstr(&text,
			    "\nAUTH PLAIN LOGIN SCRAM-SHA-256");
	}
	buf_add_char(&text, '\0');
	session_reply(session, 250, NULL, buf_str(&text).p);
	buf_fini(&text);
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
	else if (!conn_has_tls(session->conn))
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

static void
do_data(struct session *session, const struct smtp_command *cmd)
{
	(void)cmd;
	if (session->tx.arena == NULL)
		session_refuse(session, 503, "5.5.1", "MAIL comes first");
	else if (session->tx.recipients_len == 0)
		session_refuse(session, session->role == ROLE_LMTP ? 503 :
		    554, "5.5.1", "no valid recipients");
	else
		message_begin(session);
}

enum { NEEDS_HELLO = 1, ONLY_SMTP = 2, ONLY_LMTP = 4 };

static const struct {
	void (*run)(struct session *session, const struct smtp_command *cmd);
	int needs;
} verbs[SMTP_VERB_COUNT] = {
	[SMTP_EHLO] = { do_hello, ONLY_SMTP },
	[SMTP_HELO] = { do_hello, ONLY_SMTP },
	[SMTP_LHLO] = { do_hello, ONLY_LMTP },
	[SMTP_MAIL] = { do_mail, NEEDS_HELLO },
	[SMTP_RCPT] = { do_rcpt, NEEDS_HELLO },
	[SMTP_DATA] = { do_data, NEEDS_HELLO },
	[SMTP_BDAT] = { NULL, 0 },	/* CHUNKING is not offered */
	[SMTP_RSET] = { do_rset, 0 },
	[SMTP_NOOP] = { do_noop, 0 },
	[SMTP_QUIT] = { do_quit, 0 },
	[SMTP_VRFY] = { do_vrfy, 0 },
	[SMTP_EXPN] = { do_expn, 0 },
	[SMTP_HELP] = { do_help, 0 },
	[SMTP_STARTTLS] = { do_starttls, ONLY_SMTP },
	[SMTP_AUTH] = { do_auth, NEEDS_HELLO | ONLY_SMTP },
};

void
session_command(struct session *session, struct str line)
{
	struct smtp_refusal refusal;
	struct smtp_command cmd;
	int needs;

	if (smtp_parse(line, &cmd, &refusal) != 0) {
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
	else
		verbs[cmd.verb].run(session, &cmd);
}
