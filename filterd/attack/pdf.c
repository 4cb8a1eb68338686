/* SPDX-License-Identifier: ISC */
/*
 * PDF: its names, wherever they stand. The table of objects is not followed,
 * since readers repair files whose table is wrong: every object counts, those
 * packed in object streams too. The octets of other streams are passed over.
 * RFC. ISO 32000-1 sections 7.2, 7.3, 7.5.7, 12.6.
 */
#include "filterd/attack/inspect.h"

#include "base/buf.h"
#include "filterd/attack/bytes.h"
#include "filterd/attack/zip.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NAME_READ_MAX 64U
#define STRING_MAX 65536U
#define OBJECT_STREAM_MAX (4U << 20)

static const struct {
	const char *name;
	enum attack_trait trait;
} names[] = {
	{ "JavaScript", ATTACK_PDF_SCRIPT }, { "JS", ATTACK_PDF_SCRIPT },
	{ "Launch", ATTACK_PDF_LAUNCH }, { "OpenAction", ATTACK_PDF_ACTION },
	{ "AA", ATTACK_PDF_ACTION }, { "EmbeddedFile", ATTACK_PDF_FILE },
	{ "EmbeddedFiles", ATTACK_PDF_FILE }, { "RichMedia", ATTACK_PDF_FILE },
	{ "Encrypt", ATTACK_PDF_ENCRYPTED },
};

enum wanted {
	WANT_NOTHING,
	WANT_LINK,		/* after /URI */
	WANT_FILE,		/* after /F or /UF */
	WANT_LENGTH,		/* after /Length */
};

struct pdf {
	const struct inspected *file;
	struct str s;
	size_t at;
	bool is_inner;		/* in an object stream */
	enum wanted wanted;
	size_t no_string;	/* up to here a ( begins none */
	bool is_last_stream;	/* no "endstream" follows */
	/* of the object under way */
	bool is_packed;
	bool has_other_filter;
	bool is_object_stream;
	uint64_t length;
};

static bool
is_delimiter(char c)
{
	return c == '\0' || strchr(" \t\r\n\f()<>[]{}/%", c) != NULL;
}

static int
hex_digit(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "/J#61vaScript" is /JavaScript; is_escaped_r: a letter was written so. */
static size_t
read_name(struct pdf *pdf, char name[NAME_READ_MAX], bool *is_escaped_r)
{
	size_t len = 0;

	*is_escaped_r = false;
	while (pdf->at < pdf->s.len && !is_delimiter(pdf->s.p[pdf->at])) {
		char c = pdf->s.p[pdf->at++];
		int high = c == '#' && pdf->at + 1 < pdf->s.len ?
		    hex_digit(pdf->s.p[pdf->at]) : -1;
		int low = high >= 0 ? hex_digit(pdf->s.p[pdf->at + 1]) : -1;

		if (low >= 0) {
			c = (char)(high * 16 + low);
			*is_escaped_r |= ascii_is_alpha(c);
			pdf->at += 2;
		}
		if (len < NAME_READ_MAX)
			name[len++] = c;
	}
	return len;
}

static void
take_name(struct pdf *pdf)
{
	char octets[NAME_READ_MAX];
	bool is_escaped;
	struct str name = str_make(octets, 0);
	size_t i;

	name.len = read_name(pdf, octets, &is_escaped);
	pdf->wanted = str_eq(name, STR("URI")) ? WANT_LINK :
	    str_eq(name, STR("F")) || str_eq(name, STR("UF")) ? WANT_FILE :
	    str_eq(name, STR("Length")) ? WANT_LENGTH : WANT_NOTHING;
	if (str_eq(name, STR("FlateDecode")) || str_eq(name, STR("Fl")))
		pdf->is_packed = true;
	else if (name.len > 6 && str_ends_nocase(name, STR("Decode")))
		pdf->has_other_filter = true;
	if (str_eq(name, STR("ObjStm")))
		pdf->is_object_stream = true;
	for (i = 0; i < COUNT(names); i++) {
		if (!str_eq(name, str_of(names[i].name)))
			continue;
		inspect_note(pdf->file, names[i].trait);
		if (is_escaped)
			inspect_note(pdf->file, ATTACK_PDF_HIDDEN_NAME);
	}
}

/* ---- strings ---- */

static void
take_string(struct pdf *pdf, struct str text)
{
	struct name_look look;

	if (pdf->wanted == WANT_LINK) {
		url_list_add(pdf->file->of->urls, text, STR(""), 0);
	} else if (pdf->wanted == WANT_FILE) {
		look = names_look(text);
		if ((look.flags & NAME_IS_EXECUTABLE) != 0)
			attack_note(pdf->file->of->report,
			    ATTACK_ARCHIVE_EXECUTABLE, pdf->file->of->part,
			    text);
	}
	pdf->wanted = WANT_NOTHING;
}

/* One escape after its backslash. */
static char
read_escape(struct pdf *pdf)
{
	static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
	char c = pdf->s.p[pdf->at++];
	const char *known = c != '\0' ? strchr(from, c) : NULL;
	unsigned value = 0, digits;

	if (known != NULL)
		return to[known - from];
	if (c < '0' || c > '7')
		return c;
	pdf->at--;
	for (digits = 0; digits < 3 && pdf->at < pdf->s.len &&
	    pdf->s.p[pdf->at] >= '0' && pdf->s.p[pdf->at] <= '7'; digits++)
		value = value * 8 + (unsigned)(pdf->s.p[pdf->at++] - '0');
	return (char)value;
}

/* "(...)" with pairs inside. One that does not end soon is none: a lone
 * parenthesis between objects must not hide what follows. */
static void
take_literal(struct pdf *pdf)
{
	size_t begin = pdf->at, end = begin + STRING_MAX, depth = 1;
	struct buf text;

	if (begin < pdf->no_string)
		return;
	if (end > pdf->s.len)
		end = pdf->s.len;
	buf_init(&text, STRING_MAX);
	while (pdf->at < end) {
		char c = pdf->s.p[pdf->at++];

		depth += c == '(';
		depth -= c == ')';
		if (depth == 0)
			break;
		if (c == '\\' && pdf->at < end)
			c = read_escape(pdf);
		buf_add_char(&text, c);
	}
	if (depth == 0 && str_find_str(buf_str(&text), STR("endobj")) ==
	    STR_NPOS) {
		take_string(pdf, buf_str(&text));
	} else {
		pdf->no_string = pdf->at;
		pdf->at = begin;
	}
	buf_fini(&text);
}

static void
take_hexadecimal(struct pdf *pdf)
{
	char text[URL_KEPT_MAX];
	size_t len = 0, begin = pdf->at;
	int high = -1;

	if (pdf->wanted != WANT_LINK && pdf->wanted != WANT_FILE)
		return;
	while (pdf->at < pdf->s.len && pdf->at - begin < 4 * sizeof(text) &&
	    len < sizeof(text) && pdf->s.p[pdf->at] != '>') {
		int digit = hex_digit(pdf->s.p[pdf->at++]);

		if (digit < 0)
			continue;
		if (high >= 0)
			text[len++] = (char)(high * 16 + digit);
		high = high >= 0 ? -1 : digit;
	}
	take_string(pdf, str_make(text, len));
}

/* ---- streams ---- */

static void walk(struct pdf *pdf);

/* The objects of an object stream. */
static void
open_stream(struct pdf *pdf, struct str packed)
{
	struct inspection *of = pdf->file->of;
	struct pdf inner = { .file = pdf->file, .is_inner = true };
	struct buf objects;

	if (pdf->has_other_filter || of->unpacked_left < OBJECT_STREAM_MAX) {
		inspect_note(pdf->file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	buf_init(&objects, OBJECT_STREAM_MAX);
	if (!pdf->is_packed)
		buf_add_str(&objects, str_sub(packed, 0, OBJECT_STREAM_MAX));
	else if (!zip_inflate_raw(packed, 15, &objects) &&
	    objects.len == OBJECT_STREAM_MAX)
		inspect_note(pdf->file, ATTACK_CONTAINER_LIMIT);
	of->unpacked_left -= objects.len;
	inner.s = buf_str(&objects);
	walk(&inner);
	buf_fini(&objects);
}

/* After the word "stream". Its length is believed only where "endstream"
 * follows. */
static void
take_stream(struct pdf *pdf)
{
	size_t begin, end;

	if (bytes_is(pdf->s, pdf->at, STR("\r")))
		pdf->at++;
	if (bytes_is(pdf->s, pdf->at, STR("\n")))
		pdf->at++;
	begin = pdf->at;
	end = STR_NPOS;
	if (pdf->length < pdf->s.len - begin) {
		end = bytes_find(str_sub(pdf->s, 0,
		    begin + (size_t)pdf->length + 12),
		    begin + (size_t)pdf->length, STR("endstream"));
	}
	if (end == STR_NPOS && !pdf->is_last_stream)
		end = bytes_find(pdf->s, begin, STR("endstream"));
	pdf->is_last_stream = end == STR_NPOS;
	/* Cut off: what there is of it. */
	if (end == STR_NPOS && !pdf->is_object_stream)
		return;
	if (end == STR_NPOS)
		end = pdf->s.len;
	if (pdf->is_object_stream)
		open_stream(pdf, str_sub(pdf->s, begin, end - begin));
	pdf->at = end;
}

static void
begin_object(struct pdf *pdf)
{
	pdf->is_packed = pdf->has_other_filter = false;
	pdf->is_object_stream = false;
	pdf->length = 0;
	pdf->wanted = WANT_NOTHING;
}

static void
take_word(struct pdf *pdf)
{
	size_t begin = pdf->at - 1;
	struct str word;
	uint64_t value;

	while (pdf->at < pdf->s.len && !is_delimiter(pdf->s.p[pdf->at]))
		pdf->at++;
	word = str_sub(pdf->s, begin, pdf->at - begin);
	if (pdf->wanted == WANT_LENGTH &&
	    str_to_u64(word, UINT32_MAX, &value) == 0)
		pdf->length = value;
	/* "/Length 12 0 R": a number that is elsewhere. */
	if (str_eq(word, STR("R")))
		pdf->length = pdf->wanted == WANT_NOTHING ? pdf->length : 0;
	if (str_eq(word, STR("obj")))
		begin_object(pdf);
	else if (str_eq(word, STR("stream")) && !pdf->is_inner)
		take_stream(pdf);
	pdf->wanted = WANT_NOTHING;
}

static void
walk(struct pdf *pdf)
{
	while (pdf->at < pdf->s.len) {
		char c = pdf->s.p[pdf->at++];

		if (c == '/')
			take_name(pdf);
		else if (c == '(')
			take_literal(pdf);
		else if (c == '<' && !bytes_is(pdf->s, pdf->at, STR("<")))
			take_hexadecimal(pdf);
		else if (c == '<')
			pdf->at++;
		else if (!is_delimiter(c))
			take_word(pdf);
	}
}

void
inspect_pdf(const struct inspected *file)
{
	struct pdf pdf = { .file = file, .s = file->octets };

	walk(&pdf);
}
