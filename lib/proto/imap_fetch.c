/* SPDX-License-Identifier: ISC */
#include "proto/imap_parse_int.h"

#define FAST (IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE)

/* RFC 3501 section 6.4.5: the macros stand alone. */
static const struct imap_word macros[] = {
	IMAP_WORD("ALL", FAST | IMAP_FETCH_ENVELOPE),
	IMAP_WORD("FAST", FAST),
	IMAP_WORD("FULL", FAST | IMAP_FETCH_ENVELOPE | IMAP_FETCH_BODY),
	IMAP_WORD_END,
};

static const struct imap_word items[] = {
	IMAP_WORD("UID", IMAP_FETCH_UID),
	IMAP_WORD("FLAGS", IMAP_FETCH_FLAGS),
	IMAP_WORD("INTERNALDATE", IMAP_FETCH_INTERNALDATE),
	IMAP_WORD("RFC822.SIZE", IMAP_FETCH_SIZE),
	IMAP_WORD("ENVELOPE", IMAP_FETCH_ENVELOPE),
	IMAP_WORD("BODY", IMAP_FETCH_BODY),
	IMAP_WORD("BODYSTRUCTURE", IMAP_FETCH_BODYSTRUCTURE),
	IMAP_WORD("MODSEQ", IMAP_FETCH_MODSEQ),
	IMAP_WORD("EMAILID", IMAP_FETCH_EMAILID),
	IMAP_WORD("THREADID", IMAP_FETCH_THREADID),
	IMAP_WORD("SAVEDATE", IMAP_FETCH_SAVEDATE),
	IMAP_WORD("PREVIEW", IMAP_FETCH_PREVIEW),
	IMAP_WORD_END,
};

/* Items that are sections under an old name. */
static const struct {
	struct str name;
	struct imap_section section;
} old_sections[] = {
	{ { "RFC822", 6 }, { .form = IMAP_FORM_RFC822 } },
	{ { "RFC822.HEADER", 13 }, { .form = IMAP_FORM_RFC822_HEADER,
	    .kind = IMAP_SECTION_HEADER, .is_peek = true } },
	{ { "RFC822.TEXT", 11 }, { .form = IMAP_FORM_RFC822_TEXT,
	    .kind = IMAP_SECTION_TEXT } },
};

static const struct {
	struct str name;
	enum imap_section_kind kind;
	bool has_fields;
	bool needs_part;
} section_texts[] = {
	{ { "HEADER", 6 }, IMAP_SECTION_HEADER, false, false },
	{ { "HEADER.FIELDS", 13 }, IMAP_SECTION_FIELDS, true, false },
	{ { "HEADER.FIELDS.NOT", 17 }, IMAP_SECTION_FIELDS_NOT, true, false },
	{ { "TEXT", 4 }, IMAP_SECTION_TEXT, false, false },
	{ { "MIME", 4 }, IMAP_SECTION_MIME, false, true },
};

/* RFC 3501 section 9: header-list */
static int
header_list(struct imap_cursor *c, struct imap_section *section)
{
	struct str name, *place;

	if (ic_space(c) != 0 ||
	    ic_expect(c, '(', "Header list expected") != 0)
		return ERR_SYNTAX;
	do {
		if (section->n_fields == IMAP_FIELDS_MAX)
			return ic_fail_code(c, ERR_LIMIT,
			    "Too many header names");
		if (ic_astring(c, &name) != 0)
			return ERR_SYNTAX;
		place = ic_push(c, &section->fields, &section->n_fields,
		    sizeof(name));
		*place = name;
	} while (ic_accept(c, ' '));
	return ic_expect(c, ')', "Header list not closed");
}

/* RFC 3501 section 9: section-text, section-msgtext */
static int
section_text(struct imap_cursor *c, struct imap_section *section)
{
	struct str name = ic_name(c);
	size_t i;

	for (i = 0; i < sizeof(section_texts) / sizeof(section_texts[0]); i++)
		if (str_eq_nocase(name, section_texts[i].name))
			break;
	if (i == sizeof(section_texts) / sizeof(section_texts[0]) ||
	    (section_texts[i].needs_part && section->n_part == 0))
		return ic_fail(c, "Unknown body section");
	section->kind = section_texts[i].kind;
	return section_texts[i].has_fields ? header_list(c, section) : 0;
}

/* RFC 3501 section 9: section-part; what follows the last dot is text. */
static int
section_spec(struct imap_cursor *c, struct imap_section *section)
{
	uint32_t number, *place;

	while (ascii_is_digit(ic_peek(c))) {
		if (section->n_part == IMAP_PART_DEPTH_MAX)
			return ic_fail_code(c, ERR_LIMIT,
			    "Body section too deep");
		if (ic_u32(c, 1, &number) != 0)
			return ERR_SYNTAX;
		place = ic_push(c, &section->part, &section->n_part,
		    sizeof(number));
		*place = number;
		if (!ic_accept(c, '.'))
			return 0;
	}
	if (section->n_part == 0 && ic_peek(c) == ']')
		return 0;
	return section_text(c, section);
}

/* RFC 3501 section 9: "<" number "." nz-number ">" */
static int
partial(struct imap_cursor *c, struct imap_section *section)
{
	if (!ic_accept(c, '<'))
		return 0;
	section->is_partial = true;
	if (ic_u32(c, 0, &section->first) != 0 ||
	    ic_expect(c, '.', "Invalid partial") != 0 ||
	    ic_u32(c, 1, &section->count) != 0)
		return ERR_SYNTAX;
	return ic_expect(c, '>', "Invalid partial");
}

static int
add_section(struct imap_cursor *c, struct imap_fetch *fetch,
    const struct imap_section *section)
{
	struct imap_section *place;

	if (fetch->n_sections == IMAP_SECTIONS_MAX)
		return ic_fail_code(c, ERR_LIMIT, "Too many body sections");
	place = ic_push(c, &fetch->sections, &fetch->n_sections,
	    sizeof(*section));
	*place = *section;
	if (!section->is_peek)
		fetch->sets_seen = true;
	return 0;
}

static const struct {
	struct str name;
	enum imap_section_form form;
	bool is_peek;
} bracketed[] = {
	{ { "BODY", 4 }, IMAP_FORM_BODY, false },
	{ { "BODY.PEEK", 9 }, IMAP_FORM_BODY, true },
	{ { "BINARY", 6 }, IMAP_FORM_BINARY, false },
	{ { "BINARY.PEEK", 11 }, IMAP_FORM_BINARY, true },
	{ { "BINARY.SIZE", 11 }, IMAP_FORM_BINARY_SIZE, true },
};

/* After "BODY[" and the like. RFC 9051 section 9: only part numbers stand in
 * the brackets of BINARY, and BINARY.SIZE has no partial. */
static int
body_section(struct imap_cursor *c, struct imap_fetch *fetch, struct str name)
{
	struct imap_section section = { .form = IMAP_FORM_BODY };
	size_t i;
	int ret;

	for (i = 0; i < sizeof(bracketed) / sizeof(bracketed[0]); i++)
		if (str_eq_nocase(name, bracketed[i].name))
			break;
	if (i == sizeof(bracketed) / sizeof(bracketed[0]))
		return ic_fail(c, "Unknown FETCH item");
	section.form = bracketed[i].form;
	section.is_peek = bracketed[i].is_peek;
	ret = section_spec(c, &section);
	if (ret == 0 && section.form != IMAP_FORM_BODY &&
	    section.kind != IMAP_SECTION_ALL)
		ret = ic_fail(c, "Part number expected");
	if (ret == 0)
		ret = ic_expect(c, ']', "Body section not closed");
	if (ret == 0 && section.form != IMAP_FORM_BINARY_SIZE)
		ret = partial(c, &section);
	return ret != 0 ? ret : add_section(c, fetch, &section);
}

/* RFC 8970 section 3.1: PREVIEW [SP "(" "LAZY" ")"]. What follows PREVIEW
 * as a modifier of the command looks alike but is no word LAZY. */
static int
preview(struct imap_cursor *c)
{
	struct str lazy = STR(" (LAZY)");

	if (str_begins_nocase(str_sub(c->text, c->at, lazy.len), lazy))
		c->at += lazy.len;
	return 0;
}

static int
fetch_item(struct imap_cursor *c, struct imap_fetch *fetch)
{
	struct str name = ic_name(c);
	unsigned bit;
	size_t i;

	if (ic_accept(c, '['))
		return body_section(c, fetch, name);
	bit = ic_word_bit(items, name);
	fetch->items |= bit;
	if (bit != 0)
		return bit == IMAP_FETCH_PREVIEW ? preview(c) : 0;
	for (i = 0; i < sizeof(old_sections) / sizeof(old_sections[0]); i++)
		if (str_eq_nocase(name, old_sections[i].name))
			return add_section(c, fetch,
			    &old_sections[i].section);
	return ic_fail(c, "Unknown FETCH item");
}

static int
fetch_list(struct imap_cursor *c, struct imap_fetch *fetch)
{
	int ret;

	do {
		ret = fetch_item(c, fetch);
	} while (ret == 0 && ic_accept(c, ' '));
	return ret != 0 ? ret : ic_expect(c, ')', "FETCH list not closed");
}

int
ic_fetch_items(struct imap_cursor *c, struct imap_fetch *fetch)
{
	size_t from = c->at;

	if (ic_accept(c, '('))
		return fetch_list(c, fetch);
	fetch->items = ic_word_bit(macros, ic_name(c));
	if (fetch->items != 0)
		return 0;
	c->at = from;
	return fetch_item(c, fetch);
}

/* RFC 9394 section 4: partial-range */
int
ic_partial(struct imap_cursor *c, struct imap_partial *partial_r)
{
	uint32_t first, last;

	partial_r->is_last = ic_accept(c, '-');
	if (ic_u32(c, 1, &first) != 0 ||
	    ic_expect(c, ':', "Range expected") != 0)
		return ERR_SYNTAX;
	if (ic_accept(c, '-') != partial_r->is_last)
		return ic_fail(c, "Range of mixed signs");
	if (ic_u32(c, 1, &last) != 0)
		return ERR_SYNTAX;
	partial_r->first = first < last ? first : last;
	partial_r->last = first < last ? last : first;
	return 0;
}

static int
fetch_modifier(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_fetch *fetch = &cmd->u.fetch;
	struct str name = ic_name(c);

	if (str_eq_nocase(name, STR("CHANGEDSINCE"))) {
		fetch->has_changedsince = true;
		fetch->items |= IMAP_FETCH_MODSEQ;
		return ic_space(c) != 0 ? ERR_SYNTAX :
		    ic_u64(c, &fetch->changedsince);
	}
	if (str_eq_nocase(name, STR("VANISHED"))) {
		fetch->has_vanished = true;
		return 0;
	}
	if (str_eq_nocase(name, STR("PARTIAL")) && cmd->is_uid)
		return ic_space(c) != 0 ? ERR_SYNTAX :
		    ic_partial(c, &fetch->partial);
	return ic_fail(c, "Unknown FETCH modifier");
}

/* RFC 4466 section 2.4: fetch-modifiers */
static int
fetch_modifiers(struct imap_cursor *c, struct imap_command *cmd)
{
	const struct imap_fetch *fetch = &cmd->u.fetch;
	int ret;

	if (!ic_accept(c, ' ') || ic_is_end(c))
		return 0;
	if (ic_expect(c, '(', "List expected") != 0)
		return ERR_SYNTAX;
	do {
		ret = fetch_modifier(c, cmd);
	} while (ret == 0 && ic_accept(c, ' '));
	if (ret != 0)
		return ret;
	/* RFC 7162 section 3.2.6 */
	if (fetch->has_vanished && (!cmd->is_uid || !fetch->has_changedsince))
		return ic_fail(c, "VANISHED needs UID FETCH CHANGEDSINCE");
	return ic_expect(c, ')', "FETCH modifiers not closed");
}

/* RFC 3501 section 6.4.5: FETCH; section 6.4.8: UID FETCH gives UIDs. */
int
ic_parse_fetch(struct imap_cursor *c, struct imap_command *cmd)
{
	struct imap_fetch *fetch = &cmd->u.fetch;
	int ret;

	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	ret = ic_set(c, &fetch->set);
	if (ret != 0)
		return ret;
	if (ic_space(c) != 0)
		return ERR_SYNTAX;
	ret = ic_fetch_items(c, fetch);
	if (ret == 0)
		ret = fetch_modifiers(c, cmd);
	if (cmd->is_uid)
		fetch->items |= IMAP_FETCH_UID;
	return ret;
}
