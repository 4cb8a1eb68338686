/* SPDX-License-Identifier: ISC */
/*
 * judge: a sealed message before filterd, and what follows from the verdict.
 * Without a verdict in time the message is put off, or accepted unfiltered
 * where all its recipients' domains say so.
 *
 * A verdict that names infected parts is not the last word: they are taken
 * out (replace.c), then filterd is asked again about the content that is
 * left. What can still not go its way goes as a whole: it is refused, or
 * quarantined as it came.
 */
#include "smtpd/ingress/message_int.h"

#include "base/when.h"

#define RCPT_OVERHEAD 16
#define FIELDS_MAX 8192U

/* What is done with a message, by the verdict's action. */
enum course { GO_ON, DROP, SAY };

static const enum course courses[VERDICT_ACTIONS] = {
	[VERDICT_DELIVER] = GO_ON,
	[VERDICT_JUNK] = GO_ON,		/* the queue acts on it */
	[VERDICT_QUARANTINE] = GO_ON,	/* the same */
	[VERDICT_DISCARD] = DROP,
	[VERDICT_TEMPFAIL] = SAY,
	[VERDICT_REFUSE] = SAY,
	[VERDICT_DETONATE] = GO_ON,	/* the queue acts on it */
};

static void
unjudged(struct message *message, const char *why)
{
	struct session *session = message->session;

	if (session->tx.needs_verdict) {
		ev_warn(session->ev, "smtp.message.unjudged",
		    EV_CSTR(reason, why));
		message_answer(message, 451, "4.7.1",
		    "it cannot be judged now, try again later");
		return;
	}
	ev_warn(session->ev, "smtp.message.unfiltered", EV_CSTR(reason, why),
	    EV_STR(sender, session->tx.sender));
	message_filter(message);
}

/* The verdict as it goes on, and its header fields. */
static void
keep(struct message *message, const struct verdict *verdict)
{
	struct session *session = message->session;
	struct arena *arena = session->tx.arena;
	struct buf buf;

	buf_init(&buf, FIELDS_MAX);
	verdict_put_fields(verdict, session->ingress->hostname, &buf);
	if (!buf_failed(&buf))
		message->fields = arena_str(arena, buf_str(&buf));
	buf_reset(&buf);
	verdict_encode(verdict, &buf);
	message->verdict = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
}

/* False: there is none that can be read. */
static bool
take_verdict(struct message *message, int code, struct ipc_in *in,
    struct verdict *verdict_r, struct err *err)
{
	if (code != 0) {
		(void)err_set(err, ERR_TEMP, "no verdict from filterd");
		return false;
	}
	return verdict_decode(ipc_get_str(in), message->session->tx.arena,
	    verdict_r, err) == 0;
}

/* What was found in it is told by mail as well. */
static void
tell(struct message *message, const struct verdict *verdict)
{
	struct session *session = message->session;
	struct recipient *rcpt, *tmp;
	struct ipc_out *out;

	if (verdict->action != VERDICT_REFUSE || !verdict->is_scanned ||
	    verdict->virus != SCAN_INFECTED)
		return;
	out = ipc_begin(message_link(message, "queued"), QUEUE_FOUND);
	ipc_put_u64(out, session->account != 0 ? QUEUE_V_OUT :
	    QUEUE_V_REFUSED);
	ipc_put_str(out, session->tx.sender);
	ipc_put_str(out, verdict->virus_name);
	list_each(rcpt, tmp, &session->tx.recipients, struct recipient,
	    node) {
		if (ipc_room(out) < rcpt->address.len + RCPT_OVERHEAD)
			break;
		ipc_put_str(out, rcpt->address);
	}
	(void)ipc_send(out, -1);
}

/* The verdict lives in the transaction, which ends with the answer. */
static void
say(struct message *message, const struct verdict *verdict)
{
	char enhanced[16], text[VERDICT_TEXT_MAX + 1];

	(void)snprintf(enhanced, sizeof(enhanced), "%.*s",
	    STR_FMT(verdict->enhanced));
	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(verdict->text));
	message_answer(message, verdict->code, enhanced, text);
}

/* For the figures. */
static void
known(struct message *message, const struct verdict *verdict)
{
	struct verdict *copy = arena_new_of(message->session->tx.arena,
	    struct verdict);

	*copy = *verdict;
	message->known = copy;
}

static void
act(struct message *message, const struct verdict *verdict)
{
	struct session *session = message->session;

	known(message, verdict);
	switch (courses[verdict->action]) {
	case GO_ON:
		keep(message, verdict);
		message_filter(message);
		break;
	case DROP:
		ev_info(session->ev, "smtp.message.discarded",
		    EV_STR(reason, verdict->reason),
		    EV_STR(sender, session->tx.sender));
		message_answer(message, 250, "2.0.0", "accepted");
		break;
	case SAY:
		tell(message, verdict);
		say(message, verdict);
		break;
	}
}

static void
on_judged(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct err err = ERR_INIT;
	struct verdict verdict;

	if (!message_answered(message))
		return;
	if (!take_verdict(message, code, in, &verdict, &err)) {
		unjudged(message, err_text(&err));
	} else if (verdict.parts_len != 0 &&
	    courses[verdict.action] == GO_ON) {
		message->judged = arena_new_of(message->session->tx.arena,
		    struct verdict);
		*message->judged = verdict;
		message_replace(message);
	} else {
		act(message, &verdict);
	}
}

/* It goes to the administrator as it came. */
static void
keep_original(struct message *message, struct str reason)
{
	struct verdict *judged = message->judged;

	if (message->original.fd != -1) {
		sealed_drop(message, &message->sealed);
		message->sealed = message->original;
		message->original = (struct sealed){ .fd = -1 };
	}
	judged->action = VERDICT_QUARANTINE;
	judged->holder = VERDICT_H_ADMIN;
	judged->reason = reason;
	judged->parts_len = 0;
	act(message, judged);
}

/* What nobody could open in what is left says so as well. */
static void
mark_rest(struct message *message, const struct verdict *rest)
{
	struct verdict mark = { .action = VERDICT_DELIVER,
		.is_scanned = rest->is_scanned, .virus = rest->virus,
		.virus_name = rest->virus_name };
	struct buf buf;

	buf_init(&buf, FIELDS_MAX);
	verdict_put_fields(&mark, message->session->ingress->hostname, &buf);
	if (!buf_failed(&buf))
		message->fields = arena_printf(message->session->tx.arena,
		    "%.*s%.*s", STR_FMT(message->fields), (int)buf.len,
		    buf_str(&buf).p);
	buf_fini(&buf);
}

/* What is odd is odd about what is left; who sent it was said before. */
static void
act_on_rest(struct message *message, const struct verdict *rest)
{
	struct verdict *judged = message->judged;

	if (rest->action == VERDICT_DETONATE)
		judged->when_clean = judged->action == VERDICT_JUNK ?
		    VERDICT_JUNK : rest->when_clean;
	if (judged->action == VERDICT_DELIVER ||
	    rest->action == VERDICT_DETONATE) {
		judged->action = rest->action;
		judged->reason = rest->reason;
	}
	judged->is_suspicious = rest->is_suspicious;
	judged->traits = rest->traits;
	judged->traits_len = rest->traits_len;
	judged->has_more_traits = rest->has_more_traits;
	known(message, judged);
	keep(message, judged);
	mark_rest(message, rest);
	message_filter(message);
}

/* What was looked at once is never accepted without a second look. */
static void
unjudged_later(struct message *message, const struct err *err)
{
	ev_warn(message->session->ev, "smtp.message.unjudged", EV_ERR(err));
	message_answer(message, 451, "4.7.1",
	    "it cannot be judged now, try again later");
}

static void
on_judged_again(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct err err = ERR_INIT;
	struct verdict verdict;

	if (!message_answered(message))
		return;
	if (!take_verdict(message, code, in, &verdict, &err)) {
		unjudged_later(message, &err);
	} else if (courses[verdict.action] != GO_ON) {
		act(message, &verdict);
	} else if (verdict.action == VERDICT_QUARANTINE) {
		keep_original(message, verdict.reason);
	} else if (message->original.fd != -1) {
		act_on_rest(message, &verdict);
	} else {
		/* Its parts stay, so this cannot be. */
		keep_original(message, STR("infected"));
	}
}

/* ---- after mail filters ---- */

/* What weighs more in the order of what becomes of a message. */
static unsigned
weight_of(enum verdict_action action)
{
	static const unsigned weights[VERDICT_ACTIONS] = {
		[VERDICT_DELIVER] = 0, [VERDICT_JUNK] = 1,
		[VERDICT_DETONATE] = 2, [VERDICT_QUARANTINE] = 3,
	};

	return weights[action];
}

/* What it is and holds is said of what the filters made of it, with its parts
 * as they are counted now; who sent it was said before. */
static void
act_on_edited(struct message *message, const struct verdict *edited)
{
	struct verdict merged = { .action = VERDICT_DELIVER };
	bool is_rest = message->original.fd != -1;

	if (message->known != NULL)
		merged = *message->known;
	/* What was to be opened may be gone; if not, it is said again. */
	if (merged.action == VERDICT_DETONATE)
		merged.action = merged.when_clean;
	if (edited->action == VERDICT_DETONATE)
		merged.when_clean = merged.action == VERDICT_JUNK ?
		    VERDICT_JUNK : edited->when_clean;
	if (weight_of(edited->action) > weight_of(merged.action) ||
	    (edited->action == merged.action &&
	    edited->holder == VERDICT_H_ADMIN)) {
		merged.action = edited->action;
		merged.holder = edited->holder;
		merged.reason = edited->reason;
	}
	is_rest &= merged.action != VERDICT_QUARANTINE;
	if (!is_rest) {
		merged.is_scanned = edited->is_scanned;
		merged.virus = edited->virus;
		merged.virus_name = edited->virus_name;
		merged.parts_len = 0;
	}
	merged.is_suspicious = edited->is_suspicious;
	merged.traits = edited->traits;
	merged.traits_len = edited->traits_len;
	merged.has_more_traits = edited->has_more_traits;
	known(message, &merged);
	keep(message, &merged);
	if (is_rest)
		mark_rest(message, edited);
}

/* A filter may have opened what was closed to us. */
static void
on_judged_edited(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct err err = ERR_INIT;
	struct verdict verdict;

	if (!message_answered(message))
		return;
	if (!take_verdict(message, code, in, &verdict, &err)) {
		unjudged_later(message, &err);
		return;
	}
	if (courses[verdict.action] != GO_ON) {
		act(message, &verdict);
		return;
	}
	act_on_edited(message, &verdict);
	message_submit(message);
}

static uint64_t
flags_of(const struct session *session)
{
	return (session->account != 0 ? (uint64_t)FILTER_F_AUTHENTICATED :
	    0) | (session->tx.dmarc_marks ? (uint64_t)FILTER_F_DMARC_MARK :
	    0);
}

/* As many as fit. */
static void
put_recipients(struct ipc_out *out, struct transaction *tx)
{
	struct recipient *rcpt, *tmp;

	ipc_put_u64(out, tx->recipients_len);
	list_each(rcpt, tmp, &tx->recipients, struct recipient, node) {
		if (ipc_room(out) < rcpt->address.len + RCPT_OVERHEAD)
			break;
		ipc_put_str(out, rcpt->address);
	}
}

static void
ask(struct message *message, uint64_t flags, ipc_done *on_reply)
{
	struct session *session = message->session;
	const struct ingress *ingress = session->ingress;
	struct ipc_out *out;
	char id[32];

	(void)snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)session->id);
	out = ipc_begin(message_link(message, "filterd"), FILTER_JUDGE);
	ipc_put_u64(out, when_mono_ms() + ingress->filter_budget_ms);
	ipc_put_u64(out, flags_of(session) | flags);
	ipc_put_u64(out, message->sealed.octets);
	ipc_put_str(out, str_of(id));
	ipc_put_str(out, str_of(session->seat.listener->protocol));
	ipc_put_str(out, str_of(session->seat.listener->zone));
	ipc_put_str(out, conn_remote(session->conn));
	ipc_put_str(out, str_of(session->helo));
	ipc_put_str(out, session->tx.sender);
	put_recipients(out, &session->tx);
	session_wait(session);
	(void)ipc_call(out, message->sealed.fd, ingress->filter_budget_ms,
	    on_reply, message);
}

void
message_judge(struct message *message)
{
	if (message->session->ingress->has_filter)
		ask(message, 0, on_judged);
	else
		message_filter(message);
}

void
message_judge_again(struct message *message)
{
	ask(message, FILTER_F_CONTENT_ONLY | FILTER_F_WHOLE,
	    on_judged_again);
}

void
message_judge_edited(struct message *message)
{
	ask(message, FILTER_F_CONTENT_ONLY | FILTER_F_WHOLE,
	    on_judged_edited);
}
