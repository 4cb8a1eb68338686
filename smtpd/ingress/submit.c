/* SPDX-License-Identifier: ISC */
/* submit: a message and its envelope: past the mail filters, on to the queue. */
#include "smtpd/ingress/message_int.h"
#include "smtpd/ingress/counts.h"
#include "smtpd/ingress/milters.h"

#include "base/when.h"
#include "mail/build.h"

#define SUBMIT_DEADLINE_MS 120000
#define RCPT_OVERHEAD 24
#define ENVELOPE_OVERHEAD 1024		/* numbers, tags, lengths */
#define TRACE_MAX 24576

/* False: the client has heard why it is not. */
static bool
is_submitted(struct message *message, int code)
{
	if (code == ERR_LIMIT)
		message_answer(message, 452, "4.3.1", "the disk is full");
	else if (code != 0)
		message_answer(message, 451, "4.3.0", "try again later");
	return code == 0;
}

static void
on_submitted(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	char text[64];
	uint64_t id;

	if (!message_answered(message) || !is_submitted(message, code))
		return;
	id = ipc_get_u64(in);
	ev_info(message->session->ev, "smtp.message.accepted",
	    EV_U64(queue_id, id), EV_U64(size, message->sealed.octets));
	(void)snprintf(text, sizeof(text), "queued as %llu",
	    (unsigned long long)id);
	message_answer(message, 250, "2.0.0", text);
}

static size_t
rcpt_room(const struct recipient *rcpt)
{
	return rcpt->address.len + rcpt->orcpt.len + RCPT_OVERHEAD;
}

/* One of the two items that a message may become. */
struct item {
	struct message *message;
	struct sealed *sealed;
	struct str verdict;
	struct str front;
	bool is_original;	/* for the administrator: no report is due */
	uint64_t tx_id;
};

static void
put_rcpt(const struct item *item, struct ipc_out *out,
    const struct recipient *rcpt)
{
	ipc_put_str(out, rcpt->address);
	ipc_put_u64(out, item->is_original ? (uint64_t)QUEUE_N_NEVER :
	    rcpt->notify);
	ipc_put_str(out, rcpt->orcpt);
}

/* Recipients that do not fit beside the rest go ahead in frames of their
 * own. Returns the first that is left. */
static struct list *
send_rcpts_ahead(const struct item *item, size_t room)
{
	struct transaction *tx = &item->message->session->tx;
	struct list *node, *left = tx->recipients.next;
	struct ipc_out *out = NULL;
	struct recipient *rcpt;
	size_t need = 0;

	for (node = left; node != &tx->recipients; node = node->next)
		need += rcpt_room(list_entry(node, struct recipient, node));
	while (need > room && left != &tx->recipients) {
		out = ipc_begin(message_link(item->message, "queued"),
		    QUEUE_RCPTS);
		ipc_put_u64(out, item->tx_id);
		for (; left != &tx->recipients; left = left->next) {
			rcpt = list_entry(left, struct recipient, node);
			if (ipc_room(out) < rcpt_room(rcpt))
				break;
			put_rcpt(item, out, rcpt);
			need -= rcpt_room(rcpt);
		}
		(void)ipc_send(out, -1);
	}
	return left;
}

static void
put_trace(struct message *message, struct buf *trace)
{
	struct session *session = message->session;
	const struct hygiene_notes *notes = hygiene_notes(message->hygiene);
	struct mail_date date = { .s = when_wall_s() };
	struct build_received received = {
		.helo = str_of(session->helo),
		.remote_ip = conn_remote(session->conn),
		.by = session->ingress->hostname,
		.is_lmtp = session->role == ROLE_LMTP,
		.has_esmtp = session->has_ehlo,
		.has_tls = conn_has_tls(session->conn),
		.has_auth = session->account != 0,
		.has_utf8 = (session->tx.flags & QUEUE_F_UTF8) != 0,
		.tls = conn_tls_text(session->conn),
		.date = date,
	};
	char id[64];

	(void)snprintf(id, sizeof(id), "%llx.%llx",
	    (unsigned long long)session->id,
	    (unsigned long long)when_wall_us());
	received.id = str_of(id);
	if (session->tx.recipients_len == 1)
		received.recipient = list_entry(session->tx.recipients.next,
		    struct recipient, node)->address;
	build_received(trace, &received);
	if (session->role != ROLE_SUBMISSION)
		return;
	/* RFC 6409 section 8.2 and 8.3. */
	if (!notes->has_date)
		build_date(trace, date);
	if (!notes->has_message_id)
		build_message_id(trace, str_of(id),
		    session->ingress->hostname);
}

static uint64_t
flags_of(const struct message *message)
{
	const struct session *session = message->session;
	uint64_t flags = session->tx.flags |
	    (session->account != 0 ? QUEUE_F_SUBMISSION : 0U);

	/* RFC 8689 section 4: REQUIRETLS is stronger than the field. */
	if (hygiene_notes(message->hygiene)->has_tls_optional &&
	    (flags & QUEUE_F_REQUIRETLS) == 0)
		flags |= QUEUE_F_TLS_OPTIONAL;
	return flags;
}

static void
submit(struct item *item, ipc_done *on_reply)
{
	struct message *message = item->message;
	struct session *session = message->session;
	struct list *left;
	struct buf trace, summary;
	struct ipc_out *out;
	size_t others;

	item->tx_id = ++session->ingress->next_tx;
	buf_init(&trace, TRACE_MAX);
	buf_init(&summary, IPC_PAYLOAD_MAX);
	/* RFC 8601 section 5: above our own Received. */
	buf_add_str(&trace, message->fields);
	put_trace(message, &trace);
	buf_add_str(&trace, item->front);
	others = trace.len + item->verdict.len + session->tx.sender.len +
	    session->tx.envid.len + ENVELOPE_OVERHEAD;
	/* A summary that does not fit is made by the account process. */
	if (summary_encode(sealed_summary(item->sealed), &summary) != 0 ||
	    summary.len > IPC_PAYLOAD_MAX - others)
		buf_reset(&summary);
	left = send_rcpts_ahead(item, IPC_PAYLOAD_MAX - others -
	    summary.len);
	out = ipc_begin(message_link(message, "queued"), QUEUE_SUBMIT);
	ipc_put_u64(out, item->tx_id);
	ipc_put_str(out, STR(""));	/* no key: a resend is a new message */
	ipc_put_str(out, session->tx.sender);
	ipc_put_u64(out, session->account);
	ipc_put_u64(out, flags_of(message));
	ipc_put_str(out, session->tx.envid);
	ipc_put_u64(out, item->is_original ? 0 : session->tx.hold_until_s);
	ipc_put_str(out, buf_str(&trace));
	ipc_put_str(out, item->verdict);
	ipc_put_str(out, buf_str(&summary));
	ipc_put_u64(out, item->sealed->octets);
	ipc_put_str(out, str_make(item->sealed->sha256, 32));
	ipc_put_str(out, conn_remote(session->conn));
	ipc_put_u64(out, session->tx.recipients_len);
	for (; left != &session->tx.recipients; left = left->next)
		put_rcpt(item, out, list_entry(left, struct recipient,
		    node));
	session_wait(session);
	(void)ipc_call(out, item->sealed->fd, SUBMIT_DEADLINE_MS, on_reply,
	    message);
	buf_fini(&trace);
	buf_fini(&summary);
}

static void
submit_message(struct message *message)
{
	struct item item = { .message = message, .sealed = &message->sealed,
	    .verdict = message->verdict, .front = message->front };

	submit(&item, on_submitted);
}

static void
on_original_submitted(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;

	if (!message_answered(message))
		return;
	if (!is_submitted(message, code))
		return;
	ev_info(message->session->ev, "smtp.message.original",
	    EV_U64(queue_id, ipc_get_u64(in)));
	sealed_drop(message, &message->original);
	submit_message(message);
}

/* What infected parts were taken out of goes to the administrator, first:
 * with a message that is accepted its original is kept. */
static void
submit_original(struct message *message)
{
	struct verdict verdict = *message->judged;
	struct item item = { .message = message,
	    .sealed = &message->original, .is_original = true };
	struct buf buf;

	verdict.action = VERDICT_QUARANTINE;
	verdict.holder = VERDICT_H_ADMIN;
	verdict.reason = arena_printf(message->session->tx.arena,
	    "infected: %.*s", STR_FMT(verdict.virus_name));
	buf_init(&buf, 2 * VERDICT_OCTETS_MAX);
	verdict_encode(&verdict, &buf);
	item.verdict = buf_str(&buf);
	submit(&item, on_original_submitted);
	buf_fini(&buf);
}

void
message_submit(struct message *message)
{
	if (message->original.fd != -1)
		submit_original(message);
	else
		submit_message(message);
}

/* ---- mail filters ---- */

/* The verdict, with what the filters have found. */
static void
hold(struct message *message, struct str reason)
{
	struct arena *arena = message->session->tx.arena;
	struct verdict *verdict = arena_new_of(arena, struct verdict);
	struct buf buf;

	if (message->known != NULL)
		*verdict = *message->known;
	verdict->action = VERDICT_QUARANTINE;
	verdict->holder = VERDICT_H_ADMIN;
	verdict->reason = reason;
	verdict->parts_len = 0;
	message->known = verdict;
	buf_init(&buf, 2 * VERDICT_OCTETS_MAX);
	verdict_encode(verdict, &buf);
	message->verdict = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
}

static void
on_filtered(void *ctx, const struct milters_result *result)
{
	struct message *message = ctx;
	struct session *session = message->session;
	struct milters *milters = session->milters;

	if (!message_answered(message))
		return;
	if (milters != NULL)
		counts_stage(message, "milters");
	if (result->is_bye) {
		session_bye(session, result->enhanced, result->text);
	} else if (result->code != 0) {
		message_answer(message, result->code, result->enhanced,
		    result->text);
	} else if (milters_discards(milters)) {
		ev_info(session->ev, "smtp.message.discarded",
		    EV_CSTR(reason, "milter"),
		    EV_STR(sender, session->tx.sender));
		message_answer(message, 250, "2.0.0", "accepted");
	} else {
		if (milters_quarantine(milters).len != 0)
			hold(message, milters_quarantine(milters));
		if (message->is_edited && session->ingress->has_filter)
			message_judge_edited(message);
		else
			message_submit(message);
	}
}

void
message_filter(struct message *message)
{
	if (message->session->ingress->has_filter)
		counts_stage(message, "judge");
	session_wait(message->session);
	milters_message(message->session->milters, message, on_filtered,
	    message);
}
