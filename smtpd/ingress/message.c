/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/message_int.h"

#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "smtpd/ingress/counts.h"

#define WRITE_OCTETS 65536
#define BLOB_DEADLINE_MS 60000
/* A client that sends slower than this, on average, is cut. */
#define RATE_GRACE_MS 120000
#define RATE_OCTETS_PER_S 256
#define CHUNK_OVER_MAX (1U << 20)

struct ipc_link *
message_link(const struct message *message, const char *server)
{
	return child_link(message->session->ingress->child, server);
}

/* ---- end ---- */

static void
message_free(struct message *message)
{
	struct session *session = message->session;

	sealed_drop(message, &message->sealed);
	sealed_drop(message, &message->original);
	if (message->write_fd != -1)
		(void)close(message->write_fd);
	hygiene_free(&message->hygiene);
	buf_fini(&message->out);
	session->message = NULL;
	free(message);
}

/* Answer: once, or at the end once a recipient in LMTP (RFC 2033 section
 * 4.2); DATA that is refused before any data has come is one command. */
void
message_answer(struct message *message, unsigned code, const char *enhanced,
    const char *text)
{
	struct session *session = message->session;
	bool is_whole = message->is_chunked ? message->chunk.is_last :
	    message->started_ms != 0;
	size_t n = session->role == ROLE_LMTP && is_whole ?
	    session->tx.recipients_len : 1;
	struct buf buf;

	counts_message(message, code);
	if (code == 250 && message->stage_ms != 0)
		counts_stage(message, "queue");
	if (code != 250)
		ev_info(session->ev, "smtp.message.refused",
		    EV_U64(code, code), EV_CSTR(reason, text),
		    EV_STR(sender, session->tx.sender));
	buf_init(&buf, 1 << 20);
	while (n-- > 1)
		smtp_put_reply(&buf, code, enhanced, str_of(text));
	conn_put_str(session->conn, buf_str(&buf));
	buf_fini(&buf);
	message_free(message);
	session_reset(session);
	session_reply(session, code, enhanced, text);
}

static void
fail(struct message *message, unsigned code, const char *enhanced,
    const char *text)
{
	if (message->code != 0)
		return;
	message->code = code;
	message->enhanced = enhanced;
	message->text = text;
}

static void
answer_failure(struct message *message)
{
	message_answer(message, message->code, message->enhanced, message->text);
}

bool
message_answered(struct message *message)
{
	struct session *session = message->session;

	if (session->is_gone)
		message_free(message);
	return session_answered(session);
}

void
message_client_gone(struct message *message)
{
	/* With a call under way its answer cleans up. */
	if (message != NULL && message->session->answers == 0)
		message_free(message);
}

/* ---- seal ---- */

static void
on_sealed(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct str sha256;

	if (!message_answered(message))
		return;
	if (code != 0) {
		message_answer(message, 451, "4.3.0", "try again later");
		return;
	}
	message->sealed.octets = ipc_get_u64(in);
	sha256 = ipc_get_str(in);
	message->sealed.fd = ipc_take_fd(in);
	if (sha256.len != sizeof(message->sealed.sha256) ||
	    message->sealed.octets != scan_size(message->sealed.scan)) {
		message_answer(message, 451, "4.3.0", "try again later");
		return;
	}
	memcpy(message->sealed.sha256, sha256.p, sha256.len);
	counts_stage(message, "seal");
	message_judge(message);
}

static void
seal(struct message *message)
{
	struct ipc_out *out = ipc_begin(message_link(message, "blobd"),
	    BLOB_SEAL);

	(void)close(message->write_fd);
	message->write_fd = -1;
	ipc_put_u64(out, message->sealed.handle);
	session_wait(message->session);
	(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_sealed, message);
}

/* ---- who it says it is from (RFC 6409 section 6.1, send-as) ---- */

static void
on_from(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;

	if (!message_answered(message))
		return;
	if (code != 0) {
		message_answer(message, 451, "4.3.0", "try again later");
		return;
	}
	(void)ipc_get_u64(in);
	(void)ipc_get_u64(in);
	(void)ipc_get_bool(in);		/* MAIL has been answered so */
	while (ipc_more(in))
		if (!ipc_get_bool(in)) {
			message_answer(message, 550, "5.7.1",
			    "you may not send as the address in From or "
			    "Sender");
			return;
		}
	seal(message);
}

/* The mailboxes of one kind of field. False: no reader agrees on them. */
static bool
put_identities(struct message *message, struct ipc_out *out,
    const struct hygiene_note *note, bool is_required)
{
	struct arena *arena = message->session->tx.arena;
	struct address *addresses;
	struct buf buf;
	size_t n, i;

	if (note->count == 0 && !is_required)
		return true;
	if (note->count > HYGIENE_NOTES_MAX || address_from(arena, note->v,
	    note->count, &addresses, &n, NULL) != 0)
		return false;
	buf_init(&buf, 1024);
	for (i = 0; i < n; i++) {
		buf_reset(&buf);
		address_put(&buf, &addresses[i]);
		ipc_put_str(out, buf_str(&buf));
	}
	buf_fini(&buf);
	return true;
}

static void
check_identities(struct message *message)
{
	const struct hygiene_notes *notes = hygiene_notes(message->hygiene);
	struct ipc_out *out;

	if (message->session->account == 0) {
		seal(message);
		return;
	}
	out = ipc_begin(message_link(message, "directoryd"), DIR_SENDER);
	ipc_put_u64(out, message->session->account);
	if (!put_identities(message, out, &notes->from, true) ||
	    !put_identities(message, out, &notes->sender, false) ||
	    !put_identities(message, out, &notes->resent_from, false) ||
	    !put_identities(message, out, &notes->resent_sender, false)) {
		message_answer(message, 550, "5.7.1",
		    "From is missing, doubled or cannot be told");
		return;
	}
	session_wait(message->session);
	(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_from, message);
}

/* ---- data ---- */

static int
flush_out(struct message *message, struct err *err)
{
	int rc = file_write(message->write_fd, buf_str(&message->out), err);

	if (rc == 0)
		buf_reset(&message->out);
	return rc;
}

/* What hygiene lets through: to the file, and past the scanner. */
static int
take_clean(void *ctx, const void *data, size_t len, struct err *err)
{
	struct message *message = ctx;
	const char *p = data;
	size_t n;
	int rc = 0;

	scan_feed(message->sealed.scan, data, len);
	while (rc == 0 && len != 0) {
		n = WRITE_OCTETS - message->out.len;
		if (n > len)
			n = len;
		buf_add(&message->out, p, n);
		p += n;
		len -= n;
		if (message->out.len == WRITE_OCTETS &&
		    flush_out(message, err) != 0) {
			rc = err->code;
			if (rc == ERR_LIMIT)
				fail(message, 452, "4.3.1",
				    "the disk is full");
			else
				fail(message, 451, "4.3.0",
				    "try again later");
		}
	}
	return rc;
}

static void
take_span(struct message *message, struct str span)
{
	struct err err = ERR_INIT;

	if (message->code != 0 || span.len == 0)
		return;
	/* A limit of the header; a failed write has said so already. */
	if (hygiene_feed(message->hygiene, span.p, span.len, &err) != 0)
		fail(message, 552, "5.3.4", "header too big");
}

static void
check_verdict(struct message *message)
{
	const struct session *session = message->session;
	const struct hygiene_notes *notes = hygiene_notes(message->hygiene);
	struct err err = ERR_INIT;

	switch (message->is_chunked ? message->chunk.verdict :
	    message->data.verdict) {
	case SMTP_DATA_OK:
		break;
	case SMTP_DATA_BAD_LINE_END:
		fail(message, 550, "5.6.11",
		    "a line ends with a bare CR or LF");
		break;
	case SMTP_DATA_TOO_BIG:
		fail(message, 552, "5.3.4", "message too big");
		break;
	}
	if (message->code == 0 &&
	    hygiene_end(message->hygiene, &err) != 0)
		fail(message, 552, "5.3.4", "header too big");
	if (message->code == 0 && flush_out(message, &err) != 0)
		fail(message, err.code == ERR_LIMIT ? 452 : 451,
		    err.code == ERR_LIMIT ? "4.3.1" : "4.3.0",
		    err.code == ERR_LIMIT ? "the disk is full" :
		    "try again later");
	if (notes->received > session->ingress->hops_max)
		fail(message, 554, "5.4.6", "too many hops: a mail loop");
}

static void
end_of_data(struct message *message)
{
	message->is_open = false;
	message->stage_ms = message->started_ms;
	counts_stage(message, "data");
	check_verdict(message);
	if (message->code != 0)
		answer_failure(message);
	else
		check_identities(message);
}

bool
message_wants_input(const struct message *message)
{
	return message != NULL && message->is_open;
}

static bool
is_too_slow(const struct message *message)
{
	uint64_t ms = when_mono_ms() - message->started_ms;

	return ms > RATE_GRACE_MS && (message->data.size_octets +
	    message->data.dropped_octets + message->chunk.size_octets +
	    message->chunk.dropped_octets) * 1000 / ms < RATE_OCTETS_PER_S;
}

/* The next piece of what comes. True: that was its end. */
static bool
next_piece(struct message *message, struct str in, struct str *span_r,
    size_t *used_r)
{
	if (message->is_chunked)
		return smtp_chunk_next(&message->chunk, in, span_r, used_r);
	return smtp_data_next(&message->data, in, span_r, used_r) ==
	    SMTP_DATA_END;
}

/* RFC 3030 section 2: each chunk is answered. */
static void
end_of_chunk(struct message *message)
{
	struct session *session = message->session;
	char text[64];

	message->is_open = false;
	if (message->chunk.is_last && message->code == 0) {
		end_of_data(message);
		return;
	}
	if (message->chunk.verdict != SMTP_DATA_OK)
		check_verdict(message);
	if (message->code != 0) {
		answer_failure(message);
		return;
	}
	(void)snprintf(text, sizeof(text), "%llu octets so far",
	    (unsigned long long)message->chunk.size_octets);
	session_reply(session, 250, "2.0.0", text);
}

bool
message_input(struct message *message)
{
	struct session *session = message->session;
	struct str in = conn_input(session->conn), span;
	bool is_end = message->is_chunked && message->chunk.left_octets == 0;
	size_t used, total = 0;

	if (in.len == 0 && !is_end)
		return false;
	while (total < in.len || is_end) {
		is_end = next_piece(message, str_sub(in, total, in.len),
		    &span, &used);
		take_span(message, span);
		total += used;
		if (is_end)
			break;
	}
	conn_consume(session->conn, total);
	conn_deadline(session->conn, session->ingress->timeout_ms);
	if (is_end && message->is_chunked)
		end_of_chunk(message);
	else if (is_end)
		end_of_data(message);
	else if (is_too_slow(message))
		session_bye(session, "4.4.2", "too slow");
	return true;
}

/* ---- begin ---- */

static void
on_created(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;

	if (!message_answered(message))
		return;
	if (code == ERR_LIMIT)
		fail(message, 452, "4.3.1", "the disk is full");
	else if (code != 0)
		fail(message, 451, "4.3.0", "try again later");
	if (code != 0 && !message->is_chunked) {
		answer_failure(message);
		return;
	}
	if (code == 0) {
		message->sealed.handle = ipc_get_u64(in);
		message->write_fd = ipc_take_fd(in);
	}
	message->is_open = true;
	message->started_ms = when_mono_ms();
	if (!message->is_chunked) {
		session_reply(message->session, 354, NULL,
		    "end with <CR><LF>.<CR><LF>");
		return;
	}
	session_go_on(message->session);
	/* A chunk without octets: no input will call us. */
	if (message->chunk.left_octets == 0)
		(void)message_input(message);
}

static struct message *
message_new(struct session *session)
{
	struct message *message = calloc(1, sizeof(*message));

	invariant(message != NULL);
	message->session = session;
	message->write_fd = -1;
	message->sealed.fd = -1;
	message->original.fd = -1;
	smtp_data_init(&message->data, session->tx.max_octets);
	smtp_chunk_init(&message->chunk, session->tx.max_octets,
	    (session->tx.flags & QUEUE_F_BINARY) != 0);
	message->hygiene = hygiene_new(session->ingress->hostname,
	    session->role == ROLE_SUBMISSION, take_clean, message);
	message->sealed.scan = scan_new();
	buf_init(&message->out, WRITE_OCTETS);
	session->message = message;
	return message;
}

static void
ask_for_file(struct message *message)
{
	struct ipc_out *out = ipc_begin(message_link(message, "blobd"),
	    BLOB_CREATE);

	ipc_put_u64(out, message->session->tx.declared_octets);
	session_wait(message->session);
	(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_created, message);
}

void
message_begin(struct session *session)
{
	ask_for_file(message_new(session));
}

/* ---- chunks ---- */

/* Room for what may still come; a chunk far over it is not worth reading. */
static bool
is_hopeless(const struct message *message, uint64_t octets)
{
	uint64_t room = message->chunk.max_octets -
	    message->chunk.size_octets;

	return octets > room && octets - room > CHUNK_OVER_MAX;
}

static void
chunk_begin(struct message *message, uint64_t octets, bool is_last)
{
	if (is_hopeless(message, octets)) {
		session_bye(message->session, "5.3.4",
		    "the chunk is far too big");
		return;
	}
	smtp_chunk_begin(&message->chunk, octets, is_last);
}

void
message_chunk(struct session *session, uint64_t octets, bool is_last)
{
	struct message *message = session->message;

	chunk_begin(message, octets, is_last);
	message->is_open = true;
}

void
message_begin_chunked(struct session *session, uint64_t octets, bool is_last,
    unsigned code, const char *why)
{
	struct message *message = message_new(session);

	message->is_chunked = true;
	message->started_ms = when_mono_ms();
	if (code != 0) {
		message->chunk.max_octets =
		    session->ingress->message_max_octets;
		fail(message, code, "5.5.1", why);
		session->errors++;
	}
	chunk_begin(message, octets, is_last);
	if (session->is_closing)
		return;
	if (code != 0)
		message->is_open = true;
	else
		ask_for_file(message);
}

bool
message_is_between_chunks(const struct message *message)
{
	return message->is_chunked && !message->is_open;
}

void
message_abort(struct session *session)
{
	if (session->message != NULL)
		message_free(session->message);
}
