/* SPDX-License-Identifier: ISC */
/*
 * judge: a sealed message before filterd, and what follows from the verdict.
 * Without a verdict in time the message is put off, or accepted unfiltered
 * where all its recipients' domains say so.
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
keep(struct message *message, struct str octets,
    const struct verdict *verdict)
{
	struct session *session = message->session;
	struct arena *arena = session->tx.arena;
	struct buf fields;

	buf_init(&fields, FIELDS_MAX);
	verdict_put_fields(verdict, session->ingress->hostname, &fields);
	if (!buf_failed(&fields))
		message->fields = arena_str(arena, buf_str(&fields));
	buf_fini(&fields);
	message->verdict = arena_str(arena, octets);
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

static void
on_judged(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct session *session = message->session;
	struct err err = ERR_INIT;
	struct verdict verdict;
	struct str octets;

	if (!message_answered(message))
		return;
	if (code != 0) {
		unjudged(message, "no verdict from filterd");
		return;
	}
	octets = ipc_get_str(in);
	if (verdict_decode(octets, session->tx.arena, &verdict, &err) != 0) {
		unjudged(message, err_text(&err));
		return;
	}
	switch (courses[verdict.action]) {
	case GO_ON:
		keep(message, octets, &verdict);
		message_filter(message);
		break;
	case DROP:
		ev_info(session->ev, "smtp.message.discarded",
		    EV_STR(reason, verdict.reason),
		    EV_STR(sender, session->tx.sender));
		message_answer(message, 250, "2.0.0", "accepted");
		break;
	case SAY:
		say(message, &verdict);
		break;
	}
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

void
message_judge(struct message *message)
{
	struct session *session = message->session;
	const struct ingress *ingress = session->ingress;
	struct ipc_out *out;
	char id[32];

	if (!ingress->has_filter) {
		message_filter(message);
		return;
	}
	(void)snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)session->id);
	out = ipc_begin(message_link(message, "filterd"), FILTER_JUDGE);
	ipc_put_u64(out, when_mono_ms() + ingress->filter_budget_ms);
	ipc_put_u64(out, flags_of(session));
	ipc_put_u64(out, message->blob_octets);
	ipc_put_str(out, str_of(id));
	ipc_put_str(out, str_of(session->seat.listener->protocol));
	ipc_put_str(out, str_of(session->seat.listener->zone));
	ipc_put_str(out, conn_remote(session->conn));
	ipc_put_str(out, str_of(session->helo));
	ipc_put_str(out, session->tx.sender);
	put_recipients(out, &session->tx);
	session_wait(session);
	(void)ipc_call(out, message->read_fd, ingress->filter_budget_ms,
	    on_judged, message);
}
