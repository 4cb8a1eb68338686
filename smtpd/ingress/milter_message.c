/* SPDX-License-Identifier: ISC */
/*
 * milter_message: the sealed message before each filter, and what the filters
 * have changed: envelope, fields on top, or a new blob.
 */
#include "smtpd/ingress/milters_int.h"

#include "mail/view.h"
#include "smtpd/ingress/rewrite.h"

#define CHUNK_OCTETS 65535U
#define FRONT_MAX 8192U
#define FIELD_ROOM 65000U	/* of one field that is told */

static void next_slot(struct milters *milters);
static void tell(struct milters *milters);

static struct milter_slot *
slot_of(struct milters *milters)
{
	return &milters->slots[milters->at];
}

static void
fail(struct milters *milters, unsigned code, const char *text)
{
	milters->result.code = code;
	(void)snprintf(milters->result.enhanced,
	    sizeof(milters->result.enhanced), "%s", code == 452 ? "4.3.1" :
	    "4.3.0");
	(void)snprintf(milters->result.text, sizeof(milters->result.text),
	    "%s", text);
	milters_end(milters);
}

/* ---- the slot's turn ---- */

static void
turn_end(struct milters *milters)
{
	milter_edits_fini(&milters->edits);
	arena_free(&milters->arena);
}

static void
refused(struct milters *milters)
{
	turn_end(milters);
	milters_end(milters);
}

static void
turn_next(struct milters *milters)
{
	turn_end(milters);
	milters->at++;
	next_slot(milters);
}

static int
read_at(struct milters *milters, uint64_t at, void *data, size_t len,
    size_t *len_r)
{
	struct message *message = milters->message;
	struct mail_view view = mail_view_of_fd(STR_NONE, message->sealed.fd,
	    message->sealed.octets);

	return mail_view_read(&view, at, data, len, len_r, NULL);
}

/* The header's length with the empty line; *text_len_r: without. */
static size_t
header_end(struct str s, size_t *text_len_r)
{
	size_t at;

	*text_len_r = 0;
	if (str_begins(s, STR("\r\n")))
		return 2;
	at = str_find_str(s, STR("\r\n\r\n"));
	*text_len_r = at == STR_NPOS ? s.len : at + 2;
	return at == STR_NPOS ? s.len : at + 4;
}

/* The header as it stands now: what filters put on top, then the blob's. */
static bool
read_header(struct milters *milters)
{
	struct str front = milters->message->front;
	size_t max = HEADER_BLOCK_MAX + 4, len, text_len, at = 0;
	char *p = malloc(front.len + max);
	struct str all;

	invariant(p != NULL);
	if (front.len != 0)
		memcpy(p, front.p, front.len);
	while (at < max) {
		if (read_at(milters, at, p + front.len + at, max - at,
		    &len) != 0) {
			free(p);
			return false;
		}
		if (len == 0)
			break;
		at += len;
	}
	milters->body_at = header_end(str_make(p + front.len, at),
	    &text_len);
	all = str_make(p, front.len + text_len);
	milters->header = arena_str(milters->arena, all);
	free(p);
	return true;
}

static void
turn_begin(struct milters *milters)
{
	milters->arena = arena_new(0);
	milter_edits_init(&milters->edits, milters->arena,
	    milters->session->ingress->message_max_octets);
	milters->has_headers = false;
	milters->skips_body = false;
	if (!read_header(milters)) {
		turn_end(milters);
		fail(milters, 451, "try again later");
		return;
	}
	header_iter_init(&milters->fields, milters->header);
	tell(milters);
}

static void
next_slot(struct milters *milters)
{
	struct milter_slot *slot;

	for (; milters->at < milters->slots_len; milters->at++) {
		slot = slot_of(milters);
		if (!milters_is_in(slot))
			continue;
		if (milter_is_open(slot->milter)) {
			turn_begin(milters);
			return;
		}
		if (!milters_absent(slot))
			break;
	}
	milters_end(milters);
}

/* ---- telling ---- */

static void
on_answer(void *ctx, const struct milter_answer *answer)
{
	struct milter_slot *slot = ctx;
	struct milters *milters = slot->milters;

	if (answer == NULL) {
		if (milters_absent(slot))
			turn_next(milters);
		else
			refused(milters);
		return;
	}
	if (answer->kind == MILTER_SKIP) {
		milters->has_headers |= milters->event == MILTER_E_HEADER;
		milters->skips_body |= milters->event == MILTER_E_BODY;
	}
	if (!milters_take(slot, answer))
		refused(milters);
	else if (!milters_is_in(slot))
		turn_next(milters);
	else
		tell(milters);
}

/* Send what was written. True: an answer is waited for. */
static bool
sent(struct milters *milters, enum milter_event event)
{
	struct milter *milter = slot_of(milters)->milter;

	milters->event = event;
	if (milter_has_answer(milter_agreed(milter), event)) {
		milter_ask(milter, event, on_answer);
		return true;
	}
	milter_tell(milter);
	return false;
}

static bool
tell_field(struct milters *milters)
{
	struct milter *milter = slot_of(milters)->milter;
	const struct milter_options *agreed = milter_agreed(milter);
	struct header_field field;

	if (milter_wants(agreed, MILTER_E_HEADER) &&
	    header_next_all(&milters->fields, &field)) {
		milter_put_header(milter_out(milter), agreed,
		    str_sub(field.name, 0, MILTER_NAME_MAX),
		    str_sub(field.value, 0, FIELD_ROOM));
		return sent(milters, MILTER_E_HEADER);
	}
	milters->has_headers = true;
	if (!milter_wants(agreed, MILTER_E_EOH))
		return false;
	milters_put_macros(slot_of(milters), MILTER_E_EOH);
	milter_put_eoh(milter_out(milter));
	return sent(milters, MILTER_E_EOH);
}

static void on_end_answer(void *ctx, const struct milter_answer *answer);

static void
tell_end(struct milters *milters)
{
	struct milter *milter = slot_of(milters)->milter;

	milters->event = MILTER_E_EOB;
	milters_put_macros(slot_of(milters), MILTER_E_EOB);
	milter_put_eob(milter_out(milter));
	milter_ask(milter, MILTER_E_EOB, on_end_answer);
}

/* A piece of the body, or its end. True: an answer is waited for. */
static bool
tell_body(struct milters *milters)
{
	struct milter *milter = slot_of(milters)->milter;
	static char chunk[CHUNK_OCTETS];
	size_t len = 0;

	if (!milters->skips_body && milter_wants(milter_agreed(milter),
	    MILTER_E_BODY) && read_at(milters, milters->body_at, chunk,
	    sizeof(chunk), &len) != 0) {
		turn_end(milters);
		fail(milters, 451, "try again later");
		return true;
	}
	if (len == 0) {
		tell_end(milters);
		return true;
	}
	milters->body_at += len;
	milter_put_body(milter_out(milter), str_make(chunk, len));
	return sent(milters, MILTER_E_BODY);
}

static void
on_drained(void *ctx)
{
	struct milter_slot *slot = ctx;

	if (milter_is_open(slot->milter))
		tell(slot->milters);
	else
		on_answer(slot, NULL);
}

static void
tell(struct milters *milters)
{
	struct milter *milter = slot_of(milters)->milter;
	bool is_waiting = false;

	while (!is_waiting) {
		if (milter_is_full(milter)) {
			milter_drained(milter, on_drained);
			return;
		}
		is_waiting = milters->has_headers ? tell_body(milters) :
		    tell_field(milters);
	}
}

/* ---- a new blob ---- */

static void
on_rewritten(void *ctx, int code)
{
	struct milters *milters = ctx;

	if (code != 0) {
		turn_end(milters);
		fail(milters, code == ERR_LIMIT ? 452 : 451,
		    code == ERR_LIMIT ? "the disk is full" :
		    "try again later");
		return;
	}
	milters->message->front = STR("");
	milters->message->is_edited = true;
	turn_next(milters);
}

static void
rewrite_begin(struct milters *milters, const struct milter_header *header,
    size_t body_at)
{
	struct rewrite *rewrite = rewrite_new(milters->message);
	struct milter_piece *piece, *tmp;

	list_each(piece, tmp, &header->pieces, struct milter_piece, node)
		rewrite_text(rewrite, piece->raw);
	rewrite_text(rewrite, STR("\r\n"));
	if (!milters->edits.has_body) {
		rewrite_range(rewrite, body_at, REWRITE_REST);
	} else {
		rewrite_text(rewrite, buf_str(&milters->edits.body));
		if (milters->edits.ends_with_cr)
			rewrite_text(rewrite, STR("\n"));
	}
	rewrite_run(rewrite, NULL, on_rewritten, milters);
}

/* ---- the end of a slot's turn ---- */

static struct str
canonical(struct milters *milters, struct str path, bool is_null_ok)
{
	struct arena *arena = milters->session->tx.arena;
	struct address address;
	struct str text;
	struct buf buf;

	if (is_null_ok && (path.len == 0 || str_eq(path, STR("<>"))))
		return STR("");
	if ((str_begins(path, STR("<")) ? address_parse_path(arena, path,
	    ADDRESS_DOTS | ADDRESS_UTF8, &address, NULL) :
	    address_parse(arena, path, ADDRESS_DOTS | ADDRESS_UTF8, &address,
	    NULL)) != 0)
		return STR_NONE;
	buf_init(&buf, 1024);
	address_put(&buf, &address);
	text = arena_str(arena, buf_str(&buf));
	buf_fini(&buf);
	return text;
}

static struct recipient *
find_recipient(struct transaction *tx, struct str address)
{
	struct recipient *rcpt, *tmp;

	list_each(rcpt, tmp, &tx->recipients, struct recipient, node)
		if (str_eq(rcpt->address, address))
			return rcpt;
	return NULL;
}

static void
add_recipient(struct milters *milters, struct str address)
{
	struct transaction *tx = &milters->session->tx;
	struct recipient *rcpt;

	if (find_recipient(tx, address) != NULL ||
	    tx->recipients_len >= milters->session->ingress->recipients_max)
		return;
	rcpt = arena_new_of(tx->arena, struct recipient);
	rcpt->address = address;
	rcpt->orcpt = STR("");
	list_add(&tx->recipients, &rcpt->node);
	tx->recipients_len++;
}

static void
del_recipient(struct milters *milters, struct str address)
{
	struct transaction *tx = &milters->session->tx;
	struct recipient *rcpt = find_recipient(tx, address);

	if (rcpt == NULL)
		return;
	list_del(&rcpt->node);
	tx->recipients_len--;
}

static void
edit_envelope(struct milters *milters, const struct milter_answer *edit)
{
	struct str address = canonical(milters, edit->address,
	    edit->kind == MILTER_CHGFROM);

	if (address.p == NULL) {
		ev_warn(milters->session->ev, "smtp.milter.address",
		    EV_CSTR(name, slot_of(milters)->settings.name),
		    EV_STR(address, edit->address));
		return;
	}
	if (edit->kind == MILTER_CHGFROM)
		milters->session->tx.sender = address;
	else if (edit->kind == MILTER_DELRCPT)
		del_recipient(milters, address);
	else
		add_recipient(milters, address);
}

/* What is not about the header or body. */
static void
edit_others(struct milters *milters)
{
	const struct milter_answer *answer;
	struct milter_edit *edit, *tmp;

	list_each(edit, tmp, &milters->edits.list, struct milter_edit, node) {
		answer = &edit->answer;
		switch (answer->kind) {
		case MILTER_CHGFROM:
		case MILTER_ADDRCPT:
		case MILTER_ADDRCPT_PAR:
		case MILTER_DELRCPT:
			edit_envelope(milters, answer);
			break;
		case MILTER_QUARANTINE:
			(void)snprintf(milters->quarantine,
			    sizeof(milters->quarantine), "milter %s: %.*s",
			    slot_of(milters)->settings.name,
			    STR_FMT(answer->text));
			break;
		default:
			break;
		}
	}
	/* Nobody is left to have it. */
	if (milters->session->tx.recipients_len == 0)
		milters->is_discarded = true;
}

/* The new fields, when they may stay in the trace; p NULL: they are too many. */
static struct str
front_of(struct milters *milters, const struct milter_header *header)
{
	struct milter_piece *piece, *tmp;
	struct str front = STR_NONE;
	struct buf buf;

	buf_init(&buf, FRONT_MAX);
	list_each(piece, tmp, &header->pieces, struct milter_piece, node)
		if (piece->is_new)
			buf_add_str(&buf, piece->raw);
	if (!buf_failed(&buf))
		front = arena_str(milters->session->tx.arena,
		    buf_str(&buf));
	buf_fini(&buf);
	return front;
}

static void
apply(struct milters *milters)
{
	struct message *message = milters->message;
	struct milter *milter = slot_of(milters)->milter;
	size_t front_len = message->front.len;
	struct milter_header header;
	struct str block, front, end;
	size_t body_at;

	edit_others(milters);
	if (milters->is_discarded) {
		turn_next(milters);
		return;
	}
	block = str_sub(milters->header, front_len, milters->header.len);
	milter_edits_apply(&milters->edits, milter_agreed(milter),
	    str_sub(milters->header, 0, front_len), block, &header);
	front = front_of(milters, &header);
	if (!header.is_changed && !milters->edits.has_body &&
	    front.p != NULL) {
		message->front = front;
		turn_next(milters);
		return;
	}
	/* Behind the empty line, if there is one. */
	body_at = block.len;
	end = STR("\r\n");
	if (body_at + end.len <= message->sealed.octets)
		body_at += end.len;
	rewrite_begin(milters, &header, body_at);
}

static void
on_end_answer(void *ctx, const struct milter_answer *answer)
{
	struct milter_slot *slot = ctx;
	struct milters *milters = slot->milters;
	struct err err = ERR_INIT;

	if (answer == NULL) {
		on_answer(slot, NULL);
	} else if (!milter_is_last(answer->kind)) {
		if (milter_edits_add(&milters->edits, answer, &err) != 0)
			ev_warn(milters->session->ev, "smtp.milter.limit",
			    EV_CSTR(name, slot->settings.name),
			    EV_ERR(&err));
		milters->has_too_much |= err.code != 0;
	} else {
		slot->has_tx = false;
		if (!milters_take(slot, answer))
			refused(milters);
		else if (milters->has_too_much)
			on_rewritten(milters, ERR_TEMP);
		else if (milters->is_discarded)
			turn_next(milters);
		else
			apply(milters);
	}
}

/* ---- entry ---- */

static void
on_data(void *ctx, const struct milters_result *result)
{
	struct milters *milters = ctx;

	milters->done = milters->message_done;
	milters->ctx = milters->message_ctx;
	if (result->code != 0) {
		milters_end(milters);
		return;
	}
	milters->at = 0;
	milters->has_too_much = false;
	milters->event = MILTER_E_HEADER;
	next_slot(milters);
}

void
milters_message(struct milters *milters, struct message *message,
    milters_done *done, void *ctx)
{
	static const struct milters_result nothing = { .code = 0 };

	if (milters == NULL) {
		done(ctx, &nothing);
		return;
	}
	milters->message = message;
	milters->message_done = done;
	milters->message_ctx = ctx;
	/* BDAT has no moment of its own for it. */
	if (milters->has_data)
		on_data(milters, &nothing);
	else
		milters_ask(milters, MILTER_E_DATA, STR("<>"), on_data,
		    milters);
}
