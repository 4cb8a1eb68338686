/* SPDX-License-Identifier: ISC */
#include "proto/imap_write.h"

#include "proto/imap_parse_int.h"

/* Longer strings go as literals, which readers need not scan. */
#define QUOTED_MAX 1000

static bool
can_quote(struct str s)
{
	return s.len <= QUOTED_MAX && str_is_printable(s);
}

static void
put_quoted(struct buf *out, struct str s)
{
	char *to = buf_reserve(out, s.len * 2 + 2), *p = to;
	size_t i;

	if (to == NULL)
		return;
	*p++ = '"';
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*p++ = '\\';
		*p++ = s.p[i];
	}
	*p++ = '"';
	buf_grow(out, (size_t)(p - to));
}

void
imap_put_literal_size(struct buf *out, uint64_t len)
{
	buf_add_char(out, '{');
	buf_add_u64(out, len);
	buf_add_cstr(out, "}\r\n");
}

/* RFC 3501 section 9: CHAR8 has no NUL. */
static void
put_literal(struct buf *out, struct str s)
{
	struct str rest;

	imap_put_literal_size(out, s.len);
	while (s.len != 0) {
		buf_add_str(out, str_cut(s, '\0', &rest));
		if (rest.p != NULL)
			buf_add_char(out, '?');
		s = rest;
	}
}

void
imap_put_string(struct buf *out, struct str s)
{
	if (can_quote(s))
		put_quoted(out, s);
	else
		put_literal(out, s);
}

/* An astring that no reader takes for NIL or a list. */
static bool
can_be_atom(struct str s)
{
	size_t i;

	if (s.len == 0 || s.len > 100 || str_eq_nocase(s, STR("NIL")))
		return false;
	for (i = 0; i < s.len; i++)
		if (!ic_is_atom_char(s.p[i]))
			return false;
	return true;
}

void
imap_put_astring(struct buf *out, struct str s)
{
	if (can_be_atom(s))
		buf_add_str(out, s);
	else
		imap_put_string(out, s);
}

void
imap_put_nstring(struct buf *out, struct str s)
{
	if (s.p == NULL)
		buf_add_cstr(out, "NIL");
	else
		imap_put_string(out, s);
}

static void
put_utf8_name(struct buf *out, struct str name)
{
	size_t i;

	for (i = 0; i < name.len; i++)
		if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
			break;
	if (i != name.len)
		put_literal(out, name);
	else
		put_quoted(out, name);
}

void
imap_put_mailbox(struct buf *out, struct str name, bool is_utf8)
{
	struct buf utf7;

	if (is_utf8 && str_has_8bit(name)) {
		put_utf8_name(out, name);
		return;
	}
	buf_init(&utf7, name.len * 4 + 16);
	/* A stored name that is not UTF-8 is shown as it is. */
	if (imap_add_utf7(&utf7, name) == 0)
		imap_put_astring(out, buf_str(&utf7));
	else
		imap_put_astring(out, name);
	buf_fini(&utf7);
}

void
imap_put_text(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_add_char(out, s.p[i] >= 0x20 && s.p[i] < 0x7f ?
		    s.p[i] : '?');
}

void
imap_put_flags(struct buf *out, const struct imap_flags *flags)
{
	static const char *const names[] = { "\\Answered", "\\Flagged",
	    "\\Deleted", "\\Seen", "\\Draft", "\\Recent" };
	const char *space = "";
	size_t i;

	buf_add_char(out, '(');
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((flags->system & 1U << i) != 0) {
			buf_addf(out, "%s%s", space, names[i]);
			space = " ";
		}
	for (i = 0; i < flags->n_keywords; i++) {
		buf_add_cstr(out, space);
		buf_add_str(out, flags->keywords[i]);
		space = " ";
	}
	buf_add_char(out, ')');
}

static void
put_fields(struct buf *out, const struct imap_section *section)
{
	size_t i;

	buf_add_cstr(out, " (");
	for (i = 0; i < section->n_fields; i++) {
		if (i != 0)
			buf_add_char(out, ' ');
		imap_put_astring(out, section->fields[i]);
	}
	buf_add_char(out, ')');
}

static void
put_body(struct buf *out, const char *item, const struct imap_section *section)
{
	static const char *const kinds[] = {
		[IMAP_SECTION_ALL] = "",
		[IMAP_SECTION_HEADER] = "HEADER",
		[IMAP_SECTION_FIELDS] = "HEADER.FIELDS",
		[IMAP_SECTION_FIELDS_NOT] = "HEADER.FIELDS.NOT",
		[IMAP_SECTION_TEXT] = "TEXT",
		[IMAP_SECTION_MIME] = "MIME",
	};
	size_t i;

	buf_add_cstr(out, item);
	for (i = 0; i < section->n_part; i++) {
		if (i != 0)
			buf_add_char(out, '.');
		buf_add_u64(out, section->part[i]);
	}
	if (section->n_part != 0 && section->kind != IMAP_SECTION_ALL)
		buf_add_char(out, '.');
	buf_add_cstr(out, kinds[section->kind]);
	if (section->kind == IMAP_SECTION_FIELDS ||
	    section->kind == IMAP_SECTION_FIELDS_NOT)
		put_fields(out, section);
	buf_add_char(out, ']');
}

void
imap_put_section(struct buf *out, const struct imap_section *section)
{
	switch (section->form) {
	case IMAP_FORM_RFC822:
		buf_add_cstr(out, "RFC822");
		break;
	case IMAP_FORM_RFC822_HEADER:
		buf_add_cstr(out, "RFC822.HEADER");
		break;
	case IMAP_FORM_RFC822_TEXT:
		buf_add_cstr(out, "RFC822.TEXT");
		break;
	case IMAP_FORM_BODY:
		put_body(out, "BODY[", section);
		break;
	case IMAP_FORM_BINARY:
		put_body(out, "BINARY[", section);
		break;
	case IMAP_FORM_BINARY_SIZE:
		put_body(out, "BINARY.SIZE[", section);
		break;
	}
	if (section->is_partial) {
		buf_add_char(out, '<');
		buf_add_u64(out, section->first);
		buf_add_char(out, '>');
	}
}

void
imap_put_address(struct buf *out, struct str name, struct str local,
    struct str host)
{
	buf_add_char(out, '(');
	imap_put_nstring(out, name);
	buf_add_cstr(out, " NIL ");
	imap_put_nstring(out, local);
	buf_add_char(out, ' ');
	imap_put_nstring(out, host);
	buf_add_char(out, ')');
}
