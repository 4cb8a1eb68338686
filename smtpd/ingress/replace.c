/* SPDX-License-Identifier: ISC */
/*
 * replace: infected attachments are taken out of a message, and a notice in
 * the languages of its recipients stands in their place. Everything else stays
 * octet for octet. What is infected outside of attachments cannot be taken out:
 * then nothing is, and what becomes of the whole is asked.
 *
 * The numbers of the parts are filterd's, who read what strangers wrote: they
 * are looked up in our own summary.
 */
#include "smtpd/ingress/message_int.h"
#include "smtpd/ingress/rewrite.h"

#include "mail/charset.h"
#include "mail/view.h"

#define DIRECTORY_DEADLINE_MS 30000
#define LANGUAGES_MAX 1000U
#define RCPT_OVERHEAD 16
#define NAME_MAX_OCTETS 120U
#define NOTICE_MAX 4096U
#define BASE64_LINE 57U		/* octets that make 76 */

struct replacing {
	struct message *message;
	const struct mail_summary *summary;
	bool is_japanese;	/* somebody reads it */
	bool is_english;
};

/* ---- what can be taken out ---- */

static bool
is_in_message(const struct mail_summary *summary,
    const struct mail_part *part)
{
	size_t at = part->parent;

	for (; at != MAIL_PART_NONE; at = summary->parts[at].parent)
		if (summary->parts[at].kind == MAIL_MESSAGE)
			return true;
	return false;
}

/* A file, not what readers see as the message's text. */
static bool
is_attachment(const struct mail_summary *summary,
    const struct mail_part *part)
{
	if (part->kind != MAIL_LEAF && (part->flags & MAIL_PART_OPAQUE) == 0)
		return false;
	return !str_eq(part->type, STR("text")) ||
	    (part->disposition.p != NULL &&
	    str_eq(part->disposition, STR("attachment"))) ||
	    mail_param_get(&part->disposition_params, STR("filename")).p !=
	    NULL || mail_param_get(&part->params, STR("name")).p != NULL ||
	    is_in_message(summary, part);
}

/* In their order, each once: so that what stands between them is written
 * once. */
static bool
can_replace(const struct mail_summary *summary,
    const struct verdict *verdict)
{
	const struct mail_part *part;
	uint64_t end = 0;
	size_t i;

	for (i = 0; i < verdict->parts_len; i++) {
		if (verdict->parts[i].number >= summary->part_count)
			return false;
		part = &summary->parts[verdict->parts[i].number];
		if (!is_attachment(summary, part) || part->header_at < end ||
		    part->body_at + part->body_len > summary->size)
			return false;
		end = part->body_at + part->body_len;
	}
	return true;
}

/* ---- the notice ---- */

static struct str
file_name(struct arena *arena, const struct mail_part *part)
{
	struct str name = mail_param_decode(arena,
	    &part->disposition_params, STR("filename"));
	struct buf line;

	if (name.p == NULL || name.len == 0)
		name = mail_param_decode(arena, &part->params, STR("name"));
	if (name.p == NULL || name.len == 0)
		return STR("-");
	buf_init(&line, 2 * NAME_MAX_OCTETS);
	smtp_put_one_line(&line, name, NAME_MAX_OCTETS);
	name = arena_str(arena, buf_str(&line));
	buf_fini(&line);
	return name;
}

static void
put_japanese(struct buf *out, struct str file, struct str found)
{
	buf_add_cstr(out, "悪意のあるプログラム（ウイルス）が見つかったため、"
	    "この添付ファイルは取り除かれました。\r\n\r\n");
	buf_addf(out, "  ファイル名: %.*s\r\n  検出名: %.*s\r\n\r\n",
	    STR_FMT(file), STR_FMT(found));
	buf_add_cstr(out, "元のメールは管理者の隔離領域に保管されています。"
	    "必要な場合は管理者にお問い合わせください。\r\n");
}

static void
put_english(struct buf *out, struct str file, struct str found)
{
	buf_add_cstr(out, "An attachment was removed from this message, "
	    "because it is infected\r\nwith malicious software.\r\n\r\n");
	buf_addf(out, "  File:  %.*s\r\n  Found: %.*s\r\n\r\n", STR_FMT(file),
	    STR_FMT(found));
	buf_add_cstr(out, "The message is kept as it came in the quarantine "
	    "of your administrator.\r\nAsk there if you need it.\r\n");
}

static void
put_lines(struct buf *out, struct str text)
{
	struct str line;

	while (text.len != 0) {
		line = str_sub(text, 0, BASE64_LINE);
		text = str_sub(text, line.len, text.len);
		buf_add_base64(out, line.p, line.len);
		buf_add_cstr(out, "\r\n");
	}
}

/* base64: whatever stands around it may promise seven bits. */
static void
put_notice(const struct replacing *replacing, struct buf *out,
    const struct mail_part *part, struct str found)
{
	struct arena *arena = replacing->message->session->tx.arena;
	struct str file = file_name(arena, part);
	struct buf text;

	buf_init(&text, NOTICE_MAX);
	if (replacing->is_japanese)
		put_japanese(&text, file, found);
	if (replacing->is_japanese && replacing->is_english)
		buf_add_cstr(&text, "\r\n");
	if (replacing->is_english)
		put_english(&text, file, found);
	buf_add_cstr(out, "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Disposition: inline\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\n");
	put_lines(out, buf_str(&text));
	buf_fini(&text);
}

/* ---- the message without them ---- */

/* Fields of a message whose root is taken out, but those about the root. */
static int
put_own_fields(const struct replacing *replacing, struct buf *out,
    const struct mail_part *part)
{
	const struct sealed *sealed = &replacing->message->sealed;
	struct mail_view view = mail_view_of_fd(STR_NONE, sealed->fd,
	    sealed->octets);
	struct mail_range range = { .at = part->header_at,
		.len = part->header_len };
	struct arena *arena = arena_new(0);
	struct header_iter iter;
	struct header_field field;
	struct str header;
	int rc = mail_range_str(&view, &range, arena, HEADER_BLOCK_MAX,
	    &header, NULL);

	if (rc == 0) {
		header_iter_init(&iter, header);
		while (header_next_all(&iter, &field))
			if (!str_begins_nocase(field.name, STR("Content-")))
				buf_add_str(out, field.raw);
	}
	arena_free(&arena);
	return rc;
}

/* What takes the part's place, header and all. p NULL: it cannot be read. */
static struct str
substitute(const struct replacing *replacing, const struct mail_part *part,
    struct str found)
{
	struct str text = STR_NONE;
	struct buf out;

	buf_init(&out, HEADER_BLOCK_MAX + 4 * NOTICE_MAX);
	if (part->envelope == NULL || put_own_fields(replacing, &out,
	    part) == 0) {
		put_notice(replacing, &out, part, found);
		if (!buf_failed(&out))
			text = arena_str(
			    replacing->message->session->tx.arena,
			    buf_str(&out));
	}
	buf_fini(&out);
	return text;
}

static void
on_rewritten(void *ctx, int code)
{
	struct message *message = ctx;

	if (!message_answered(message))
		return;
	if (code != 0)
		message_answer(message, code == ERR_LIMIT ? 452 : 451,
		    code == ERR_LIMIT ? "4.3.1" : "4.3.0",
		    code == ERR_LIMIT ? "the disk is full" :
		    "try again later");
	else
		message_judge_again(message);
}

static void
replace(const struct replacing *replacing)
{
	struct message *message = replacing->message;
	const struct verdict *verdict = message->judged;
	struct rewrite *rewrite = rewrite_new(message);
	const struct mail_part *part;
	struct str text;
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < verdict->parts_len; i++) {
		part = &replacing->summary->parts[verdict->parts[i].number];
		text = substitute(replacing, part, verdict->parts[i].name);
		if (text.p == NULL) {
			rewrite_free(rewrite);
			message_answer(message, 451, "4.3.0",
			    "try again later");
			return;
		}
		rewrite_range(rewrite, at, part->header_at - at);
		rewrite_text(rewrite, text);
		at = part->body_at + part->body_len;
	}
	rewrite_range(rewrite, at, REWRITE_REST);
	ev_info(message->session->ev, "smtp.message.replaced",
	    EV_STR(virus, verdict->virus_name),
	    EV_U64(count, verdict->parts_len));
	session_wait(message->session);
	rewrite_run(rewrite, &message->original, on_rewritten, message);
}

/* ---- begin ---- */

static void
on_languages(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct replacing replacing = { .message = message,
		.summary = sealed_summary(&message->sealed) };

	if (!message_answered(message))
		return;
	while (code == 0 && ipc_more(in)) {
		if (str_begins(ipc_get_str(in), STR("ja")))
			replacing.is_japanese = true;
		else
			replacing.is_english = true;
	}
	/* Nobody knows: whoever reads it reads one of the two. */
	if (!replacing.is_japanese && !replacing.is_english)
		replacing.is_japanese = replacing.is_english = true;
	replace(&replacing);
}

static void
ask_languages(struct message *message)
{
	struct transaction *tx = &message->session->tx;
	struct ipc_out *out = ipc_begin(message_link(message, "directoryd"),
	    DIR_LANGUAGE);
	struct recipient *rcpt, *tmp;
	unsigned n = 0;

	list_each(rcpt, tmp, &tx->recipients, struct recipient, node) {
		if (n++ == LANGUAGES_MAX ||
		    ipc_room(out) < rcpt->address.len + RCPT_OVERHEAD)
			break;
		ipc_put_str(out, rcpt->address);
	}
	session_wait(message->session);
	(void)ipc_call(out, -1, DIRECTORY_DEADLINE_MS, on_languages,
	    message);
}

void
message_replace(struct message *message)
{
	if (can_replace(sealed_summary(&message->sealed), message->judged))
		ask_languages(message);
	else
		message_judge_again(message);
}
