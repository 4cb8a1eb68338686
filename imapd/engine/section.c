/* SPDX-License-Identifier: ISC */
#include "imapd/engine/section.h"

/* What a header block may have for its fields to be picked from it. */
#define BLOCK_MAX (HEADER_BLOCK_MAX + STORE_TRACE_MAX)

static bool
wants_field(const struct imap_section *section, struct str name)
{
	size_t i;

	for (i = 0; i < section->n_fields; i++)
		if (section->fields[i].len == name.len &&
		    str_eq_nocase(section->fields[i], name))
			return section->kind == IMAP_SECTION_FIELDS;
	return section->kind == IMAP_SECTION_FIELDS_NOT;
}

bool
section_is_summed(const struct imap_section *section,
    const struct mail_summary *summary)
{
	size_t i;

	if (section->kind != IMAP_SECTION_FIELDS || section->n_part != 0)
		return false;
	for (i = 0; i < section->n_fields; i++)
		if (!summary_has_field(summary,
		    mail_field_id(section->fields[i])))
			return false;
	return true;
}

/* A field that ends with the header may lack its line end. */
static void
put_field(struct buf *out, struct str raw)
{
	buf_add_str(out, raw);
	if (raw.len != 0 && raw.p[raw.len - 1] != '\n')
		buf_add(out, "\r\n", 2);
}

static void
put_block(struct buf *out, struct str block,
    const struct imap_section *section)
{
	struct header_iter iter;
	struct header_field field;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field))
		if (wants_field(section, field.name))
			put_field(out, field.raw);
}

static void
put_summed(struct buf *out, const struct mail_summary *summary,
    const struct imap_section *section)
{
	const struct mail_field *field;
	size_t i;

	for (i = 0; i < summary->field_count; i++) {
		field = &summary->fields[i];
		if (wants_field(section, mail_field_name(field->id)))
			put_field(out, field->raw);
	}
}

/* RFC 3501 section 6.4.5: the empty line is there in every case. */
static void
finish_fields(struct imap_message *m, struct buf *out,
    struct section *section_r)
{
	buf_add(out, "\r\n", 2);
	section_r->kind = SECTION_TEXT;
	section_r->text = arena_str(m->arena, buf_str(out));
	buf_fini(out);
}

static int
find_fields(struct imap_message *m, const struct imap_section *section,
    struct section *section_r, struct err *err)
{
	struct str block;
	struct buf out;
	int ret;

	buf_init(&out, 2 * BLOCK_MAX);
	if (section_is_summed(section, m->summary)) {
		put_block(&out, m->row.trace, section);
		put_summed(&out, m->summary, section);
		finish_fields(m, &out, section_r);
		return 0;
	}
	if (section_r->range.len > HEADER_BLOCK_MAX)
		section_r->range.len = HEADER_BLOCK_MAX;
	ret = mail_range_str(&m->view, &section_r->range, m->arena, BLOCK_MAX,
	    &block, err);
	if (ret != 0)
		return ret;
	put_block(&out, block, section);
	finish_fields(m, &out, section_r);
	return 0;
}

static enum mail_section_what
what_of(enum imap_section_kind kind)
{
	switch (kind) {
	case IMAP_SECTION_ALL:
		return MAIL_SECTION_BODY;
	case IMAP_SECTION_TEXT:
		return MAIL_SECTION_TEXT;
	case IMAP_SECTION_MIME:
		return MAIL_SECTION_MIME;
	case IMAP_SECTION_HEADER:
	case IMAP_SECTION_FIELDS:
	case IMAP_SECTION_FIELDS_NOT:
		break;
	}
	return MAIL_SECTION_HEADER;
}

int
section_find(struct imap_message *m, const struct imap_section *section,
    struct section *section_r, struct err *err)
{
	struct mail_section where = {
		.what = what_of(section->kind), .depth = section->n_part,
	};

	*section_r = (struct section){ .kind = SECTION_NIL };
	if (section->n_part > MAIL_PATH_MAX)
		return 0;
	if (section->n_part != 0)
		memcpy(where.path, section->part,
		    section->n_part * sizeof(where.path[0]));
	if (summary_section(m->summary, &where, &section_r->range) != 0)
		return 0;
	section_r->kind = SECTION_RANGE;
	if (section->kind == IMAP_SECTION_FIELDS ||
	    section->kind == IMAP_SECTION_FIELDS_NOT)
		return find_fields(m, section, section_r, err);
	return 0;
}
