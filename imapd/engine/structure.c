/* SPDX-License-Identifier: ISC */
#include "imapd/engine/structure.h"

#include "mail/address.h"
#include "proto/imap_write.h"

/* --- ENVELOPE ------------------------------------------------------ */

static void
put_text(struct buf *out, struct str raw, struct arena *arena)
{
	if (raw.p == NULL)
		buf_add(out, "NIL", 3);
	else
		imap_put_string(out, header_unfold(arena, raw));
}

/* RFC 3501 section 7.4.2: a NIL host would begin a group. */
static void
put_mailbox(struct buf *out, const struct mailbox *m)
{
	static const struct str none = { "", 0 };

	switch (m->kind) {
	case MAILBOX_GROUP_BEGIN:
		imap_put_address(out, STR_NONE, m->name.p != NULL ? m->name :
		    none, STR_NONE);
		break;
	case MAILBOX_GROUP_END:
		imap_put_address(out, STR_NONE, STR_NONE, STR_NONE);
		break;
	case MAILBOX_ADDRESS:
		imap_put_address(out, m->name, m->local.p != NULL ?
		    m->local : none, m->domain.p != NULL ? m->domain : none);
		break;
	}
}

/* False: there is no address, nothing is written. */
static bool
put_addresses(struct buf *out, struct str raw, struct arena *arena)
{
	struct mailbox_list list;
	size_t i;

	if (raw.p == NULL)
		return false;
	mailbox_list_parse(arena, raw, &list);
	if (list.count == 0)
		return false;
	buf_add_char(out, '(');
	for (i = 0; i < list.count; i++)
		put_mailbox(out, &list.v[i]);
	buf_add_char(out, ')');
	return true;
}

/* Append once more what stands at [from, from + len). */
static void
put_again(struct buf *out, size_t from, size_t len)
{
	char *p = buf_reserve(out, len);

	if (p == NULL)
		return;
	memcpy(p, buf_str(out).p + from, len);
	buf_grow(out, len);
}

static void
put_nil_or_addresses(struct buf *out, struct str raw, struct arena *arena)
{
	buf_add_char(out, ' ');
	if (!put_addresses(out, raw, arena))
		buf_add(out, "NIL", 3);
}

void
structure_put_envelope(struct buf *out, const struct mail_envelope *env,
    struct arena *arena)
{
	const struct str *raw = env->raw;
	size_t from, len;

	buf_add_char(out, '(');
	put_text(out, raw[MAIL_FIELD_DATE], arena);
	buf_add_char(out, ' ');
	put_text(out, raw[MAIL_FIELD_SUBJECT], arena);
	from = out->len;
	put_nil_or_addresses(out, raw[MAIL_FIELD_FROM], arena);
	len = out->len - from;
	/* Sender and Reply-To are From's when they are not there. */
	buf_add_char(out, ' ');
	if (!put_addresses(out, raw[MAIL_FIELD_SENDER], arena))
		put_again(out, from + 1, len - 1);
	buf_add_char(out, ' ');
	if (!put_addresses(out, raw[MAIL_FIELD_REPLY_TO], arena))
		put_again(out, from + 1, len - 1);
	put_nil_or_addresses(out, raw[MAIL_FIELD_TO], arena);
	put_nil_or_addresses(out, raw[MAIL_FIELD_CC], arena);
	put_nil_or_addresses(out, raw[MAIL_FIELD_BCC], arena);
	buf_add_char(out, ' ');
	put_text(out, raw[MAIL_FIELD_IN_REPLY_TO], arena);
	buf_add_char(out, ' ');
	put_text(out, raw[MAIL_FIELD_MESSAGE_ID], arena);
	buf_add_char(out, ')');
}

/* --- BODY and BODYSTRUCTURE ---------------------------------------- */

struct structure {
	struct buf *out;
	const struct mail_summary *summary;
	struct arena *arena;
	bool is_extended;
};

static void put_part(struct structure *st, const struct mail_part *part);

static void
put_params(struct buf *out, const struct mail_params *params)
{
	size_t i;

	if (params->count == 0) {
		buf_add(out, "NIL", 3);
		return;
	}
	for (i = 0; i < params->count; i++) {
		buf_add_char(out, i == 0 ? '(' : ' ');
		imap_put_string(out, params->v[i].name);
		buf_add_char(out, ' ');
		imap_put_string(out, params->v[i].value);
	}
	buf_add_char(out, ')');
}

static void
put_disposition(struct buf *out, const struct mail_part *part)
{
	if (part->disposition.p == NULL) {
		buf_add(out, " NIL", 4);
		return;
	}
	buf_add(out, " (", 2);
	imap_put_string(out, part->disposition);
	buf_add_char(out, ' ');
	put_params(out, &part->disposition_params);
	buf_add_char(out, ')');
}

/* body-fld-lang: NIL, a string, or a list. */
static void
put_language(struct structure *st, struct str language)
{
	struct str rest = language, tag;
	bool is_first = true;

	if (str_trim(language).len == 0) {
		buf_add(st->out, " NIL", 4);
		return;
	}
	while (rest.p != NULL) {
		tag = header_unfold(st->arena, str_cut(rest, ',', &rest));
		if (tag.len == 0)
			continue;
		buf_add_cstr(st->out, is_first ? " (" : " ");
		imap_put_string(st->out, tag);
		is_first = false;
	}
	buf_add_cstr(st->out, is_first ? " NIL" : ")");
}

/* What both kinds of extension data end with. */
static void
put_extension(struct structure *st, const struct mail_part *part)
{
	put_disposition(st->out, part);
	put_language(st, part->language);
	buf_add_char(st->out, ' ');
	put_text(st->out, part->location, st->arena);
}

static void
put_multipart(struct structure *st, const struct mail_part *part)
{
	uint16_t i;

	for (i = part->child; i != MAIL_PART_NONE;
	    i = st->summary->parts[i].next)
		put_part(st, &st->summary->parts[i]);
	buf_add_char(st->out, ' ');
	imap_put_string(st->out, part->subtype);
	if (!st->is_extended)
		return;
	buf_add_char(st->out, ' ');
	put_params(st->out, &part->params);
	put_extension(st, part);
}

/* Readers expect more after these types than a leaf has. */
static bool
is_composite_type(const struct mail_part *part)
{
	return str_eq(part->type, STR("multipart")) ||
	    (str_eq(part->type, STR("message")) &&
	    str_eq(part->subtype, STR("rfc822")));
}

static void
put_type(struct structure *st, const struct mail_part *part)
{
	if (part->kind == MAIL_LEAF && is_composite_type(part)) {
		buf_add_cstr(st->out, "\"application\" \"octet-stream\"");
		return;
	}
	imap_put_string(st->out, part->type);
	buf_add_char(st->out, ' ');
	imap_put_string(st->out, part->subtype);
}

static void
put_single(struct structure *st, const struct mail_part *part)
{
	struct buf *out = st->out;
	const struct mail_part *inner;

	put_type(st, part);
	buf_add_char(out, ' ');
	put_params(out, &part->params);
	buf_add_char(out, ' ');
	put_text(out, part->id, st->arena);
	buf_add_char(out, ' ');
	put_text(out, part->description, st->arena);
	buf_add_char(out, ' ');
	imap_put_string(out, part->encoding.len != 0 ? part->encoding :
	    STR("7bit"));
	buf_add_char(out, ' ');
	buf_add_u64(out, part->body_len);
	if (part->kind == MAIL_MESSAGE) {
		inner = &st->summary->parts[part->child];
		buf_add_char(out, ' ');
		structure_put_envelope(out, inner->envelope, st->arena);
		buf_add_char(out, ' ');
		put_part(st, inner);
	}
	if (part->kind == MAIL_MESSAGE || str_eq(part->type, STR("text"))) {
		buf_add_char(out, ' ');
		buf_add_u64(out, part->lines);
	}
	if (!st->is_extended)
		return;
	buf_add_char(out, ' ');
	put_text(out, part->md5, st->arena);
	put_extension(st, part);
}

static void
put_part(struct structure *st, const struct mail_part *part)
{
	buf_add_char(st->out, '(');
	if (part->kind == MAIL_MULTIPART)
		put_multipart(st, part);
	else
		put_single(st, part);
	buf_add_char(st->out, ')');
}

void
structure_put_body(struct buf *out, const struct mail_summary *summary,
    bool is_extended, struct arena *arena)
{
	struct structure st = {
		.out = out, .summary = summary, .arena = arena,
		.is_extended = is_extended,
	};

	put_part(&st, &summary->parts[0]);
}
