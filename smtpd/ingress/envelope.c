/* SPDX-License-Identifier: ISC */
/* envelope: MAIL and RCPT. Who may send what to whom, directoryd says. */
#include "smtpd/ingress/session.h"

#include "base/when.h"
#include "smtpd/ingress/counts.h"
#include "smtpd/ingress/milters.h"

#define DIR_DEADLINE_MS 20000
#define DUPLICATES_LOOKED_AT 1000
/* A transaction holds no more, however often a recipient is repeated. */
#define RCPT_OCTETS 1024
#define TX_OCTETS (1 << 20)

enum { COUNT_MESSAGES = 0, COUNT_RECIPIENTS = 1 };

/* ---- limits of an account ---- */

static bool
is_counted(const struct session *session)
{
	return session->account != 0 && session->seat.listener->is_limited;
}

static void
over_limit(struct session *session, const char *text)
{
	ev_warn(session->ev, "smtp.account.limited",
	    EV_U64(account, session->account), EV_CSTR(user, session->user));
	session_reply(session, 450, "4.7.1", text);
}

/* ---- MAIL ---- */

static bool
mail_params_ok(struct session *session, const struct smtp_command *cmd,
    struct smtp_mail_params *params_r)
{
	struct smtp_refusal refusal;

	if (smtp_mail_params(cmd, session_offers(session), when_wall_s(),
	    params_r, &refusal) != 0) {
		session_refuse(session, refusal.code, refusal.enhanced,
		    refusal.text);
		return false;
	}
	if (cmd->has_size &&
	    cmd->size_octets > session->ingress->message_max_octets) {
		session_refuse(session, 552, "5.3.4", "message too big");
		return false;
	}
	return true;
}

static uint64_t
flags_of(const struct smtp_command *cmd,
    const struct smtp_mail_params *params)
{
	static const uint64_t of_body[] = {
		[SMTP_BODY_NONE] = 0, [SMTP_BODY_7BIT] = 0,
		[SMTP_BODY_8BITMIME] = QUEUE_F_8BIT,
		[SMTP_BODY_BINARYMIME] = QUEUE_F_8BIT | QUEUE_F_BINARY,
	};
	static const uint64_t of_ret[] = {
		[SMTP_RET_NONE] = 0, [SMTP_RET_FULL] = QUEUE_F_RET_FULL,
		[SMTP_RET_HDRS] = QUEUE_F_RET_HDRS,
	};

	return of_body[cmd->body] | of_ret[params->ret] |
	    (params->is_utf8 ? (uint64_t)QUEUE_F_UTF8 : 0) |
	    (params->requires_tls ? (uint64_t)QUEUE_F_REQUIRETLS : 0);
}

/* What of the transaction the parameters say. */
static void
take_params(struct transaction *tx, const struct smtp_command *cmd,
    const struct smtp_mail_params *params)
{
	tx->flags = flags_of(cmd, params);
	tx->envid = arena_str(tx->arena, params->envid);
	tx->hold_until_s = params->has_hold ? params->hold_until_s : 0;
	tx->declared_octets = cmd->has_size ? cmd->size_octets : 0;
}

/* Mail filters have refused. */
static void
refuse_filtered(struct session *session, const struct milters_result *result)
{
	if (result->is_bye)
		session_bye(session, result->enhanced, result->text);
	else
		session_refuse(session, result->code, result->enhanced,
		    result->text);
}

static void
on_mail(void *ctx, const struct milters_result *result)
{
	struct session *session = ctx;

	if (!session_answered(session))
		return;
	if (result->code == 0) {
		session_reply(session, 250, "2.1.0", "ok");
		return;
	}
	ev_info(session->ev, "smtp.mail.refused",
	    EV_STR(sender, session->tx.sender), EV_U64(code, result->code),
	    EV_CSTR(reason, result->text));
	session_reset(session);
	refuse_filtered(session, result);
}

static void
mail_accept(struct session *session)
{
	struct transaction *tx = &session->tx;

	session_wait(session);
	milters_ask(session->milters, MILTER_E_MAIL, session->milters ==
	    NULL ? STR("<>") : arena_printf(tx->arena, "<%.*s>",
	    STR_FMT(tx->sender)), on_mail, session);
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	/* 0 is no limit. */
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
on_sender(void *ctx, int code, struct ipc_in *in)
{
	struct session *session = ctx;
	struct transaction *tx = &session->tx;
	uint64_t max_octets, max_recipients;

	if (!session_answered(session))
		return;
	if (code != 0) {
		session_reset(session);
		session_reply(session, 451, "4.3.0", "try again later");
		return;
	}
	max_octets = ipc_get_u64(in);
	max_recipients = ipc_get_u64(in);
	if (ipc_get_bool(in)) {
		session_reset(session);
		session_refuse(session, 552, "5.2.2",
		    "your mailbox is full: delete something first");
		return;
	}
	if (tx->sender.len != 0 && (!ipc_more(in) || !ipc_get_bool(in))) {
		ev_info(session->ev, "smtp.mail.refused",
		    EV_STR(sender, tx->sender));
		session_reset(session);
		session_refuse(session, 550, "5.7.1",
		    "you may not send as this address");
		return;
	}
	tx->max_octets = least(tx->max_octets, max_octets);
	tx->max_recipients = least(tx->max_recipients, max_recipients);
	if (tx->declared_octets > tx->max_octets) {
		session_reset(session);
		session_refuse(session, 552, "5.3.4", "message too big");
		return;
	}
	mail_accept(session);
}

static void
ask_sender(struct session *session)
{
	struct ipc_out *out = ipc_begin(child_link(session->ingress->child,
	    "directoryd"), DIR_SENDER);

	ipc_put_u64(out, session->account);
	if (session->tx.sender.len != 0)
		ipc_put_str(out, session->tx.sender);
	session_wait(session);
	(void)ipc_call(out, -1, DIR_DEADLINE_MS, on_sender, session);
}

/* RFC 6531 section 3.5: without SMTPUTF8 such an address is 5.6.7. */
static void
refuse_address(struct session *session, struct str path, const char *enhanced,
    const char *text)
{
	if (str_has_8bit(path) && str_is_utf8(path))
		session_refuse(session, 553, "5.6.7",
		    "this address needs SMTPUTF8 in MAIL");
	else
		session_refuse(session, 501, enhanced, text);
}

/* Canonical text of an address. */
static struct str
address_text(struct arena *arena, const struct address *address)
{
	struct buf buf;
	struct str text;

	buf_init(&buf, 1024);
	address_put(&buf, address);
	text = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
	return text;
}

void
envelope_mail(struct session *session, const struct smtp_command *cmd)
{
	struct transaction *tx = &session->tx;
	struct smtp_mail_params params;
	struct err err = ERR_INIT;
	struct address sender;
	struct arena *arena;

	if (!mail_params_ok(session, cmd, &params))
		return;
	if (!front_count(&session->seat, COUNT_MESSAGES, 1,
	    session->ingress->rate_messages)) {
		session_reply(session, 451, "4.7.0", "too many messages");
		return;
	}
	if (is_counted(session) &&
	    !limits_message(session->ingress->limits, session->account)) {
		over_limit(session, "this account has sent too many messages "
		    "this hour");
		return;
	}
	arena = arena_new(1024);
	if (cmd->path.len != 0 &&
	    address_parse(arena, cmd->path, ADDRESS_DOTS |
	    (params.is_utf8 ? ADDRESS_UTF8 : 0), &sender, &err) != 0) {
		arena_free(&arena);
		refuse_address(session, cmd->path, "5.1.7",
		    "bad sender address");
		return;
	}
	tx->arena = arena;
	if (cmd->path.len != 0)
		tx->sender = address_text(arena, &sender);
	take_params(tx, cmd, &params);
	tx->max_octets = session->ingress->message_max_octets;
	tx->max_recipients = session->ingress->recipients_max;
	if (session->account != 0)
		ask_sender(session);
	else
		mail_accept(session);
}

/* ---- RCPT ---- */

/* A RCPT being asked about. */
struct asked {
	struct session *session;
	struct arena *arena;	/* the transaction's */
	struct str address;
	struct smtp_rcpt_params params;
};

static bool
is_known(const struct transaction *tx, struct str address)
{
	struct recipient *it, *tmp;
	size_t n = 0;

	list_each(it, tmp, &tx->recipients, struct recipient, node)
		if (n++ >= DUPLICATES_LOOKED_AT)
			break;
		else if (str_eq(it->address, address))
			return true;
	return false;
}

static void
rcpt_refused(struct session *session, struct str address, unsigned code,
    const char *enhanced, const char *text)
{
	ev_info(session->ev, "smtp.rcpt.refused", EV_STR(recipient, address),
	    EV_U64(code, code), EV_CSTR(reason, text));
	session_refuse(session, code, enhanced, text);
}

static void
on_rcpt_filtered(void *ctx, const struct milters_result *result)
{
	const struct asked *asked = ctx;
	struct session *session = asked->session;
	struct transaction *tx = &session->tx;
	struct recipient *rcpt;

	if (!session_answered(session))
		return;
	if (result->code != 0) {
		ev_info(session->ev, "smtp.rcpt.refused",
		    EV_STR(recipient, asked->address),
		    EV_U64(code, result->code),
		    EV_CSTR(reason, result->text));
		refuse_filtered(session, result);
		return;
	}
	rcpt = arena_new_of(tx->arena, struct recipient);
	rcpt->address = asked->address;
	rcpt->notify = asked->params.notify;
	rcpt->orcpt = asked->params.orcpt;
	list_add(&tx->recipients, &rcpt->node);
	tx->recipients_len++;
	session_reply(session, 250, "2.1.5", "ok");
}

static void
rcpt_add(struct session *session, struct asked *asked)
{
	struct transaction *tx = &session->tx;

	if (is_known(tx, asked->address)) {
		session_reply(session, 250, "2.1.5", "ok");
		return;
	}
	session_wait(session);
	milters_ask(session->milters, MILTER_E_RCPT, session->milters ==
	    NULL ? STR("<>") : arena_printf(tx->arena, "<%.*s>",
	    STR_FMT(asked->address)), on_rcpt_filtered, asked);
}

static const struct {
	unsigned code;
	const char *enhanced;
	const char *text;
} refusals[] = {
	[DIR_V_REMOTE] = { 550, "5.7.1", "relaying denied" },
	[DIR_V_UNKNOWN] = { 550, "5.1.1", "no such user here" },
	[DIR_V_DISABLED] = { 550, "5.2.1", "mailbox disabled" },
	[DIR_V_FULL] = { 452, "4.2.2", "mailbox full" },
	[DIR_V_DENIED] = { 550, "5.7.1", "not allowed" },
	[DIR_V_FULL_LONG] = { 552, "5.2.2", "mailbox full" },
};

/* Limits of the recipient's domain. False: answered already. */
static bool
rcpt_limits_ok(struct session *session, struct str address,
    uint64_t max_octets, uint64_t max_recipients)
{
	struct transaction *tx = &session->tx;

	if (session->role == ROLE_MX && max_octets != tx->first_class) {
		/* Another size limit decides on its own: next transaction. */
		rcpt_refused(session, address, 452, "4.5.3",
		    "send to this recipient separately");
		return false;
	}
	tx->max_octets = least(tx->max_octets, max_octets);
	tx->max_recipients = least(tx->max_recipients, max_recipients);
	if (tx->declared_octets > tx->max_octets) {
		rcpt_refused(session, address, 552, "5.3.4",
		    "message too big for this recipient");
		return false;
	}
	if (tx->recipients_len >= tx->max_recipients) {
		rcpt_refused(session, address, 452, "4.5.3",
		    "too many recipients");
		return false;
	}
	return true;
}

/* The domain's wishes about filtering. False: another recipient wants it
 * otherwise, who comes in another transaction; answered already. */
static bool
rcpt_filter_ok(struct session *session, struct str address, uint64_t filter)
{
	struct transaction *tx = &session->tx;
	bool marks = (filter & DIR_F_DMARC_MARK) != 0;

	if (session->role == ROLE_MX && session->ingress->has_filter &&
	    marks != tx->dmarc_marks) {
		rcpt_refused(session, address, 452, "4.5.3",
		    "send to this recipient separately");
		return false;
	}
	if ((filter & DIR_F_ABSENT_ACCEPT) == 0 &&
	    ((filter & DIR_F_ABSENT_TEMPFAIL) != 0 ||
	    session->ingress->needs_verdict))
		tx->needs_verdict = true;
	return true;
}

/* What all recipients of a transaction share goes by the first. */
static void
first_rcpt(struct transaction *tx, uint64_t max_octets, uint64_t filter)
{
	if (tx->recipients_len != 0)
		return;
	tx->first_class = max_octets;
	tx->dmarc_marks = (filter & DIR_F_DMARC_MARK) != 0;
}

static void
on_rcpt(void *ctx, int code, struct ipc_in *in)
{
	struct asked *asked = ctx;
	struct session *session = asked->session;
	struct str address = asked->address;
	uint64_t verdict, max_octets, max_recipients, filter;

	if (!session_answered(session))
		return;
	if (code != 0) {
		session_reply(session, 451, "4.3.0", "try again later");
		return;
	}
	verdict = ipc_get_u64(in);
	(void)ipc_get_u64(in);
	max_octets = ipc_get_u64(in);
	max_recipients = ipc_get_u64(in);
	filter = ipc_get_u64(in);
	if (verdict > DIR_V_FULL_LONG)
		verdict = DIR_V_DENIED;
	if (verdict == DIR_V_REMOTE && session->account != 0)
		verdict = DIR_V_LOCAL;
	if (verdict != DIR_V_LOCAL) {
		counts_recipient(session, address, verdict != DIR_V_REMOTE);
		rcpt_refused(session, address, refusals[verdict].code,
		    refusals[verdict].enhanced, refusals[verdict].text);
		return;
	}
	first_rcpt(&session->tx, max_octets, filter);
	if (rcpt_limits_ok(session, address, max_octets, max_recipients) &&
	    rcpt_filter_ok(session, address, filter))
		rcpt_add(session, asked);
}

static void
ask_rcpt(struct session *session, struct str address,
    const struct smtp_rcpt_params *params)
{
	struct ipc_out *out = ipc_begin(child_link(session->ingress->child,
	    "directoryd"), DIR_RCPT);
	struct asked *asked = arena_new_of(session->tx.arena, struct asked);

	asked->session = session;
	asked->address = address;
	asked->params.notify = params->notify;
	asked->params.orcpt = arena_str(session->tx.arena, params->orcpt);
	ipc_put_u64(out, session->account);
	ipc_put_str(out, session->tx.sender);
	ipc_put_str(out, address);
	ipc_put_u64(out, session->tx.declared_octets);
	session_wait(session);
	(void)ipc_call(out, -1, DIR_DEADLINE_MS, on_rcpt, asked);
}

void
envelope_rcpt(struct session *session, const struct smtp_command *cmd)
{
	struct transaction *tx = &session->tx;
	struct smtp_rcpt_params params;
	struct smtp_refusal refusal;
	struct err err = ERR_INIT;
	struct address address;

	if (smtp_rcpt_params(cmd, session_offers(session), &params,
	    &refusal) != 0) {
		session_refuse(session, refusal.code, refusal.enhanced,
		    refusal.text);
		return;
	}
	if (tx->recipients_len >= session->ingress->recipients_max ||
	    arena_used(tx->arena) > TX_OCTETS +
	    session->ingress->recipients_max * RCPT_OCTETS) {
		session_reply(session, 452, "4.5.3", "too many recipients");
		return;
	}
	if (!front_count(&session->seat, COUNT_RECIPIENTS, 1,
	    session->ingress->rate_recipients)) {
		session_reply(session, 451, "4.7.0", "too many recipients");
		return;
	}
	if (is_counted(session) &&
	    !limits_recipient(session->ingress->limits, session->account)) {
		over_limit(session, "this account has written to too many "
		    "recipients today");
		return;
	}
	if (address_parse(tx->arena, cmd->path, ADDRESS_BARE_LOCAL |
	    ADDRESS_DOTS | ((tx->flags & QUEUE_F_UTF8) != 0 ? ADDRESS_UTF8 :
	    0), &address, &err) != 0) {
		refuse_address(session, cmd->path, "5.1.3",
		    "bad recipient address");
		return;
	}
	ask_rcpt(session, address_text(tx->arena, &address), &params);
}
