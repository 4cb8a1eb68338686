/* SPDX-License-Identifier: ISC */
/* What is asked of a summary: fields, parts by number, sections. */
#include "mail/summary.h"

static const struct str field_names[] = {
#define MAIL_FIELD(id, name) [MAIL_FIELD_##id] = { name, sizeof(name) - 1 },
#include "mail/fields.def"
#undef MAIL_FIELD
};

_Static_assert(MAIL_FIELD_COUNT <= 64, "fields_missing has 64 bits");

enum mail_field_id
mail_field_id(struct str name)
{
	unsigned i;

	for (i = 0; i < MAIL_FIELD_COUNT; i++)
		if (field_names[i].len == name.len &&
		    (field_names[i].p[0] | 32) == (name.p[0] | 32) &&
		    str_eq_nocase(field_names[i], name))
			return (enum mail_field_id)i;
	return MAIL_FIELD_NONE;
}

struct str
mail_field_name(enum mail_field_id id)
{
	invariant(id < MAIL_FIELD_COUNT);
	return field_names[id];
}

bool
summary_has_field(const struct mail_summary *summary, enum mail_field_id id)
{
	return id < MAIL_FIELD_COUNT &&
	    (summary->fields_missing & (1ULL << id)) == 0;
}

const struct mail_field *
summary_field(const struct mail_summary *summary, enum mail_field_id id)
{
	size_t i;

	for (i = 0; i < summary->field_count; i++)
		if (summary->fields[i].id == id)
			return &summary->fields[i];
	return NULL;
}

const struct mail_envelope *
summary_envelope(const struct mail_summary *summary)
{
	return summary->parts[0].envelope;
}

static bool
is_attachment(const struct mail_part *part)
{
	return part->disposition.p != NULL &&
	    str_eq(part->disposition, STR("attachment"));
}

const struct mail_part *
summary_text_part(const struct mail_summary *summary, struct str subtype)
{
	const struct mail_part *part;
	size_t i;

	for (i = 0; i < summary->part_count; i++) {
		part = &summary->parts[i];
		if (part->kind == MAIL_LEAF && !is_attachment(part) &&
		    str_eq(part->type, STR("text")) &&
		    (subtype.len == 0 || str_eq(part->subtype, subtype)))
			return part;
	}
	return NULL;
}

/* RFC 8621 section 4.1.4: what is neither body text nor shown inside it. */
bool
summary_has_attachment(const struct mail_summary *summary)
{
	const struct mail_part *part;
	size_t i;

	for (i = 0; i < summary->part_count; i++) {
		part = &summary->parts[i];
		if (is_attachment(part) || part->kind == MAIL_MESSAGE)
			return true;
		if (part->kind != MAIL_LEAF || part->id.p != NULL)
			continue;
		if (!str_eq(part->type, STR("text")) && i != 0 &&
		    !str_eq(part->subtype, STR("pgp-signature")) &&
		    !str_eq(part->subtype, STR("pkcs7-signature")))
			return true;
	}
	return false;
}

static const struct {
	struct str word;
	enum mail_section_what what;
} section_words[] = {
	{ { "HEADER", 6 }, MAIL_SECTION_HEADER },
	{ { "HEADER.FIELDS", 13 }, MAIL_SECTION_HEADER },
	{ { "HEADER.FIELDS.NOT", 17 }, MAIL_SECTION_HEADER },
	{ { "TEXT", 4 }, MAIL_SECTION_TEXT },
	{ { "MIME", 4 }, MAIL_SECTION_MIME },
};

static int
parse_word(struct str word, struct mail_section *section)
{
	size_t i;

	for (i = 0; i < sizeof(section_words) / sizeof(section_words[0]); i++)
		if (str_eq_nocase(word, section_words[i].word))
			break;
	if (i == sizeof(section_words) / sizeof(section_words[0]))
		return ERR_SYNTAX;
	section->what = section_words[i].what;
	/* RFC 9051 section 6.4.5: MIME must be prefixed by a number. */
	return section->what == MAIL_SECTION_MIME && section->depth == 0 ?
	    ERR_SYNTAX : 0;
}

int
mail_section_parse(struct str spec, struct mail_section *section_r)
{
	struct str rest = spec, number;
	uint64_t value;
	int rc;

	section_r->what = MAIL_SECTION_BODY;
	section_r->depth = 0;
	if (spec.len == 0)
		return 0;
	while (rest.p != NULL) {
		if (rest.len == 0 || !ascii_is_digit(rest.p[0]))
			return parse_word(rest, section_r);
		number = str_cut(rest, '.', &rest);
		rc = str_to_u64(number, UINT32_MAX, &value);
		if (rc != 0 || value == 0 || number.p[0] == '0')
			return ERR_SYNTAX;
		if (section_r->depth == MAIL_PATH_MAX)
			return ERR_LIMIT;
		section_r->path[section_r->depth++] = (uint32_t)value;
	}
	return 0;
}

static const struct mail_part *
nth_child(const struct mail_summary *summary, const struct mail_part *part,
    uint32_t n)
{
	uint16_t i = part->child;

	if (n > part->children)
		return NULL;
	while (--n > 0 && i != MAIL_PART_NONE)
		i = summary->parts[i].next;
	return i != MAIL_PART_NONE ? &summary->parts[i] : NULL;
}

/*
 * RFC 3501 section 6.4.5: every message has a part 1; a number under a
 * message/rfc822 counts in the message inside it. is_root: part is the root
 * of a message whose own number has not been asked for yet.
 */
const struct mail_part *
summary_part(const struct mail_summary *summary, const uint32_t *path,
    size_t depth)
{
	const struct mail_part *part = &summary->parts[0];
	bool is_root = true;
	size_t i;

	for (i = 0; i < depth && part != NULL; i++) {
		if (!is_root && part->kind == MAIL_MESSAGE) {
			part = &summary->parts[part->child];
			is_root = true;
		}
		if (part->kind == MAIL_MULTIPART)
			part = nth_child(summary, part, path[i]);
		else if (!is_root || path[i] != 1)
			return NULL;
		is_root = false;
	}
	return part;
}

static int
message_section(const struct mail_part *root, enum mail_section_what what,
    struct mail_range *range_r)
{
	bool is_header = what == MAIL_SECTION_HEADER;

	range_r->part = root;
	range_r->at = is_header ? root->header_at : root->body_at;
	range_r->len = is_header ? root->header_len : root->body_len;
	return 0;
}

static int
part_section(const struct mail_summary *summary,
    const struct mail_section *section, struct mail_range *range_r)
{
	const struct mail_part *part = summary_part(summary, section->path,
	    section->depth);

	if (part == NULL)
		return ERR_NOTFOUND;
	range_r->part = part;
	if (section->what == MAIL_SECTION_BODY) {
		range_r->at = part->body_at;
		range_r->len = part->body_len;
	} else if (section->what == MAIL_SECTION_MIME) {
		range_r->at = part->header_at;
		range_r->len = part->header_len;
	} else if (part->kind == MAIL_MESSAGE) {
		return message_section(&summary->parts[part->child],
		    section->what, range_r);
	} else {
		return ERR_NOTFOUND;
	}
	return 0;
}

int
summary_section(const struct mail_summary *summary,
    const struct mail_section *section, struct mail_range *range_r)
{
	*range_r = (struct mail_range){ .has_trace = false };
	if (section->depth != 0)
		return part_section(summary, section, range_r);
	range_r->has_trace = section->what != MAIL_SECTION_TEXT;
	if (section->what != MAIL_SECTION_BODY)
		return message_section(&summary->parts[0], section->what,
		    range_r);
	range_r->len = summary->size;
	return 0;
}

/* Position of part among its siblings, from 1. */
static uint32_t
number_of(const struct mail_summary *summary, const struct mail_part *part)
{
	uint16_t i = summary->parts[part->parent].child;
	uint32_t n = 1;

	while (&summary->parts[i] != part) {
		i = summary->parts[i].next;
		n++;
	}
	return n;
}

static bool
is_message_root(const struct mail_summary *summary,
    const struct mail_part *part)
{
	return part->parent == MAIL_PART_NONE ||
	    summary->parts[part->parent].kind == MAIL_MESSAGE;
}

void
summary_put_number(const struct mail_summary *summary,
    const struct mail_part *part, struct buf *buf)
{
	uint32_t path[2 * SUMMARY_DEPTH_MAX];
	size_t depth = 0;

	/* The root of a message has a number only when it is no multipart:
	 * then it is the message's part 1. */
	for (;;) {
		if (!is_message_root(summary, part))
			path[depth++] = number_of(summary, part);
		else if (part->kind != MAIL_MULTIPART)
			path[depth++] = 1;
		if (part->parent == MAIL_PART_NONE)
			break;
		part = &summary->parts[part->parent];
	}
	while (depth > 0) {
		buf_add_u64(buf, path[--depth]);
		if (depth > 0)
			buf_add_char(buf, '.');
	}
}
