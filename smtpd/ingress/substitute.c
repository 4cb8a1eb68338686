/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/substitute.h"

#include "mail/charset.h"
#include "mail/header.h"
#include "proto/smtp.h"

#define NAME_MAX_OCTETS 120U
#define NOTICE_MAX 4096U
#define BASE64_LINE 57U		/* octets that make 76 */

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

bool
substitute_can(const struct mail_summary *summary,
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
put_notice(const struct substitution *s, struct buf *out,
    const struct mail_part *part, struct str found)
{
	struct str file = file_name(s->arena, part);
	struct buf text;

	buf_init(&text, NOTICE_MAX);
	if (s->is_japanese)
		put_japanese(&text, file, found);
	if (s->is_japanese && s->is_english)
		buf_add_cstr(&text, "\r\n");
	if (s->is_english)
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
put_own_fields(const struct substitution *s, struct buf *out,
    const struct mail_part *part)
{
	struct mail_range range = { .at = part->header_at,
		.len = part->header_len };
	struct arena *arena = arena_new(0);
	struct header_iter iter;
	struct header_field field;
	struct str header;
	int rc = mail_range_str(s->view, &range, arena, HEADER_BLOCK_MAX,
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
text_for(const struct substitution *s, const struct mail_part *part,
    struct str found)
{
	struct str text = STR_NONE;
	struct buf out;

	buf_init(&out, HEADER_BLOCK_MAX + 4 * NOTICE_MAX);
	if (part->envelope == NULL || put_own_fields(s, &out, part) == 0) {
		put_notice(s, &out, part, found);
		if (!buf_failed(&out))
			text = arena_str(s->arena, buf_str(&out));
	}
	buf_fini(&out);
	return text;
}

int
substitute(const struct substitution *s, substitute_put *put, void *ctx)
{
	const struct verdict_part *gone = s->verdict->parts;
	const struct mail_part *part;
	struct str text;
	uint64_t at = 0;
	size_t i;

	for (i = 0; i < s->verdict->parts_len; i++) {
		part = &s->summary->parts[gone[i].number];
		text = text_for(s, part, gone[i].name);
		if (text.p == NULL)
			return ERR_TEMP;
		put(ctx, STR_NONE, at, part->header_at - at);
		put(ctx, text, 0, 0);
		at = part->body_at + part->body_len;
	}
	put(ctx, STR_NONE, at, s->view->blob_size - at);
	return 0;
}
