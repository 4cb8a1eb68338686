/* SPDX-License-Identifier: ISC */
/* Office documents: OOXML in zip, compound files, rich text, OneNote. */
#include "filterd/attack/inspect.h"

#include "filterd/attack/bytes.h"
#include "filterd/attack/cfb.h"
#include "filterd/attack/zip.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MEMBER_READ_MAX (2U << 20)
#define MEMBERS_READ_MAX 200U
#define STREAM_READ_MAX 65536U
#define STREAMS_READ_MAX 64U

/* ---- OOXML ---- */

static const struct {
	const char *part;	/* in the member's name, ASCII case ignored */
	enum attack_trait trait;
} ooxml_members[] = {
	{ "macrosheets/", ATTACK_OFFICE_XLM },
	{ "activex/", ATTACK_OFFICE_ACTIVEX },
};

static bool
holds(struct str text, const char *word)
{
	return kind_has_word(text, str_of(word));
}

/* A relationship that leads outside: what loads by itself, not a link that
 * a person follows. */
static void
look_at_relationship(const struct inspected *file, struct str element)
{
	if (!holds(element, "targetmode=\"external\"") &&
	    !holds(element, "targetmode='external'"))
		return;
	if (holds(element, "/attachedtemplate"))
		inspect_note(file, ATTACK_OFFICE_TEMPLATE);
	else if (holds(element, "/oleobject") || holds(element, "/frame") ||
	    holds(element, "/subdocument") ||
	    holds(element, "/externallinkpath") ||
	    holds(element, "mhtml:") || holds(element, "ms-msdt:"))
		inspect_note(file, ATTACK_OFFICE_EXTERNAL);
}

static struct str
attribute(struct str element, struct str name)
{
	size_t at = str_find_nocase(element, name);
	struct str rest;
	char quote;

	if (at == STR_NPOS || at + name.len >= element.len)
		return STR("");
	quote = element.p[at + name.len];
	if (quote != '"' && quote != '\'')
		return STR("");
	return str_cut(str_sub(element, at + name.len + 1, element.len),
	    quote, &rest);
}

static void
look_at_relationships(const struct inspected *file, struct str xml)
{
	size_t at = 0, end;

	while ((at = bytes_find(xml, at, STR("<Relationship "))) != STR_NPOS) {
		struct str element;

		end = bytes_find(xml, at, STR(">"));
		if (end == STR_NPOS)
			end = xml.len;
		element = str_sub(str_sub(xml, at, end - at), 0, 8192);
		look_at_relationship(file, element);
		if (holds(element, "/hyperlink\""))
			url_list_add(file->of->urls, attribute(element,
			    STR("Target=")), STR(""), 0);
		at = end;
	}
}

/* Field instructions may be cut into runs: the tags go before the search. */
static bool
has_dde(struct str xml)
{
	struct buf text;
	size_t at = 0, end;
	bool found;

	if (!holds(xml, "instrtext") && !holds(xml, "<w:fldsimple") &&
	    !holds(xml, "ddelink"))
		return false;
	if (holds(xml, "ddelink "))
		return true;
	buf_init(&text, MEMBER_READ_MAX);
	while ((at = bytes_find(xml, at, STR("<w:instrText"))) != STR_NPOS) {
		at = bytes_find(xml, at, STR(">"));
		end = at == STR_NPOS ? at : bytes_find(xml, at, STR("<"));
		if (end == STR_NPOS)
			break;
		buf_add_str(&text, str_sub(xml, at + 1, end - at - 1));
		at = end;
	}
	at = 0;
	while ((at = bytes_find(xml, at, STR("<w:fldSimple"))) != STR_NPOS) {
		end = bytes_find(xml, at, STR(">"));
		end = end == STR_NPOS ? xml.len : end;
		buf_add_str(&text, attribute(str_sub(xml, at, end - at),
		    STR("w:instr=")));
		at = end;
	}
	found = holds(buf_str(&text), "ddeauto") ||
	    holds(buf_str(&text), "dde ");
	buf_fini(&text);
	return found;
}

/* Macros, and whether the name owns up to them. */
static void
note_macro(const struct inspected *file)
{
	inspect_note(file, ATTACK_OFFICE_MACRO);
	if (names_is_without_macros(file->look))
		inspect_note(file, ATTACK_OFFICE_MACRO_HIDDEN);
}

static bool
is_read(struct str name)
{
	return str_ends_nocase(name, STR(".rels")) ||
	    str_eq_nocase(name, STR("word/document.xml")) ||
	    str_begins_nocase(name, STR("xl/externallinks/")) ||
	    str_eq_nocase(name, STR("[Content_Types].xml"));
}

static void
read_member(const struct inspected *file, struct zip *zip,
    const struct zip_entry *entry)
{
	size_t max = MEMBER_READ_MAX;
	struct buf xml;

	if (max > file->of->unpacked_left)
		max = (size_t)file->of->unpacked_left;
	buf_init(&xml, max);
	if (!zip_inflate(zip, entry, &xml) && max == 0)
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
	file->of->unpacked_left -= xml.len;
	if (str_ends_nocase(entry->name, STR(".rels")))
		look_at_relationships(file, buf_str(&xml));
	else if (str_eq_nocase(entry->name, STR("[Content_Types].xml"))) {
		if (holds(buf_str(&xml), "ms-office.vbaproject") ||
		    holds(buf_str(&xml), "macroenabled"))
			note_macro(file);
		if (holds(buf_str(&xml), "macrosheet"))
			inspect_note(file, ATTACK_OFFICE_XLM);
	} else if (has_dde(buf_str(&xml)))
		inspect_note(file, ATTACK_OFFICE_DDE);
	buf_fini(&xml);
}

/* An object's container; a program's name needs no container. */
static void
look_at_embedding(const struct inspected *file, struct zip *zip,
    const struct zip_entry *entry)
{
	size_t max = INSPECT_MEMBER_MAX;
	struct buf object;

	if (file->of->files_left == 0 ||
	    file->depth + 1 >= INSPECT_DEPTH_MAX) {
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	file->of->files_left--;
	if (max > file->of->unpacked_left)
		max = (size_t)file->of->unpacked_left;
	buf_init(&object, max);
	(void)zip_inflate(zip, entry, &object);
	file->of->unpacked_left -= object.len;
	/* ".bin" promises nothing. */
	(void)inspect_file(file->of, buf_str(&object), entry->name,
	    CLAIM_NOTHING, file->depth + 1);
	buf_fini(&object);
}

static void
look_at_member(const struct inspected *file, struct zip *zip,
    const struct zip_entry *entry, size_t *reads)
{
	size_t i;

	for (i = 0; i < COUNT(ooxml_members); i++)
		if (holds(entry->name, ooxml_members[i].part))
			inspect_note(file, ooxml_members[i].trait);
	if (holds(entry->name, "vbaproject.bin") ||
	    holds(entry->name, "vbadata.xml"))
		note_macro(file);
	if (entry->is_encrypted)
		inspect_note(file, ATTACK_OFFICE_ENCRYPTED);
	if (holds(entry->name, "/embeddings/"))
		look_at_embedding(file, zip, entry);
	else if (is_read(entry->name)) {
		if ((*reads)++ < MEMBERS_READ_MAX)
			read_member(file, zip, entry);
		else
			inspect_note(file, ATTACK_CONTAINER_LIMIT);
	}
}

void
inspect_ooxml(const struct inspected *file)
{
	struct zip_entry entry;
	struct zip zip;
	size_t reads = 0;

	if (!zip_open(&zip, file->octets))
		return;
	while (zip_next(&zip, &entry))
		look_at_member(file, &zip, &entry, &reads);
	if (zip.is_odd)
		inspect_note(file, ATTACK_ARCHIVE_ODD);
	if (zip.is_cut || zip.is_repaired)
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
}

/* ---- ODF ---- */

/* Its macros are a library of text; what is encrypted its manifest says. */
void
inspect_odf(const struct inspected *file)
{
	struct zip_entry entry;
	struct buf xml;
	struct zip zip;

	if (!zip_open(&zip, file->octets))
		return;
	buf_init(&xml, MEMBER_READ_MAX);
	while (zip_next(&zip, &entry)) {
		if (str_begins(entry.name, STR("Basic/")) ||
		    str_begins(entry.name, STR("Scripts/")))
			note_macro(file);
		if (!str_eq(entry.name, STR("META-INF/manifest.xml")) ||
		    xml.len != 0 || !zip_inflate(&zip, &entry, &xml))
			continue;
		if (holds(buf_str(&xml), "encryption-data"))
			inspect_note(file, ATTACK_OFFICE_ENCRYPTED);
	}
	buf_fini(&xml);
	inspect_zip(file);
}

/* ---- compound files ---- */

static const struct {
	const char *name;
	enum attack_trait trait;
} streams[] = {
	{ "_VBA_PROJECT", ATTACK_OFFICE_MACRO },
	{ "_VBA_PROJECT_CUR", ATTACK_OFFICE_MACRO },
	{ "Macros", ATTACK_OFFICE_MACRO },
	{ "\001Ole10Native", ATTACK_OFFICE_PACKAGE },
	{ "Equation Native", ATTACK_OFFICE_EQUATION },
	{ "EncryptedPackage", ATTACK_OFFICE_ENCRYPTED },
	{ "EncryptionInfo", ATTACK_OFFICE_ENCRYPTED },
	{ "EncryptedSummary", ATTACK_OFFICE_ENCRYPTED },
};

/* CLSIDs of equation editors: 0002CE02, 0002CE03-...-C000-...46. */
static bool
is_equation(struct str clsid)
{
	return clsid.len == 16 && (clsid.p[0] == 2 || clsid.p[0] == 3) &&
	    memcmp(clsid.p + 1, "\xce\x02\0\0\0\0\0\xc0\0\0\0\0\0\0F",
	    15) == 0;
}

/* [MS-XLS]: FILEPASS, and BOUNDSHEET8 of a macro sheet. */
static void
look_at_workbook(const struct inspected *file, struct str book)
{
	size_t at = 0;

	while (bytes_has(book, at, 4)) {
		uint16_t type = bytes_le16(book, at);
		uint16_t len = bytes_le16(book, at + 2);

		if (type == 0x2f)
			inspect_note(file, ATTACK_OFFICE_ENCRYPTED);
		if (type == 0x85 && bytes_has(book, at + 4, 6) &&
		    book.p[at + 4 + 5] == 1)
			inspect_note(file, ATTACK_OFFICE_XLM);
		at += 4U + len;
	}
}

/* [MS-DOC] 2.5.1: fEncrypted of the FIB. */
static void
look_at_document(const struct inspected *file, struct str fib)
{
	if ((bytes_le16(fib, 10) & 0x0100) != 0 &&
	    (bytes_le16(fib, 0) == 0xa5ec || bytes_le16(fib, 0) == 0xa5dc))
		inspect_note(file, ATTACK_OFFICE_ENCRYPTED);
}

static void
look_at_stream(const struct inspected *file, struct cfb *cfb,
    const struct cfb_entry *entry, size_t *reads)
{
	bool is_book = strcmp(entry->name, "Workbook") == 0 ||
	    strcmp(entry->name, "Book") == 0;
	struct buf start;
	size_t i;

	for (i = 0; i < COUNT(streams); i++)
		if (strcasecmp(entry->name, streams[i].name) == 0)
			inspect_note(file, streams[i].trait);
	if (is_equation(entry->clsid))
		inspect_note(file, ATTACK_OFFICE_EQUATION);
	if (!is_book && strcmp(entry->name, "WordDocument") != 0)
		return;
	if ((*reads)++ >= STREAMS_READ_MAX) {
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	buf_init(&start, is_book ? STREAM_READ_MAX : 64);
	cfb_read(cfb, entry, &start);
	(is_book ? look_at_workbook : look_at_document)(file,
	    buf_str(&start));
	buf_fini(&start);
}

void
inspect_ole(const struct inspected *file)
{
	size_t reads = 0;
	struct cfb_entry entry;
	struct cfb cfb;

	if (!cfb_open(&cfb, file->octets)) {
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	while (cfb_next(&cfb, &entry))
		look_at_stream(file, &cfb, &entry, &reads);
	if (cfb.is_broken)
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
	cfb_close(&cfb);
}

/* ---- rich text ---- */

static const struct {
	const char *word;
	enum attack_trait trait;
} rtf_words[] = {
	{ "objdata", ATTACK_RTF_OBJECT }, { "objemb", ATTACK_RTF_OBJECT },
	{ "objocx", ATTACK_OFFICE_ACTIVEX },
	{ "objupdate", ATTACK_RTF_UPDATE },
	{ "objautlink", ATTACK_RTF_UPDATE },
	{ "ddeauto", ATTACK_OFFICE_DDE },
};

/* Classes in the hexadecimal text of an object. */
static const struct {
	const char *name;	/* lower case */
	enum attack_trait trait;
} rtf_classes[] = {
	{ "equation.", ATTACK_OFFICE_EQUATION },
	{ "package", ATTACK_OFFICE_PACKAGE },
	{ "ole2link", ATTACK_RTF_UPDATE },
	{ "htmlfile", ATTACK_RTF_UPDATE },
};

static int
hex_digit(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What stands after \objdata, without the blanks, braces and words that are
 * put in between to hide it. */
static void
look_at_object(const struct inspected *file, struct str text)
{
	char object[1024];
	size_t i, len = 0;
	int high = -1;

	text = str_sub(text, 0, 16384);
	for (i = 0; i < text.len && len < sizeof(object); i++) {
		int digit = hex_digit(text.p[i]);

		if (text.p[i] == '\\') {
			while (i + 1 < text.len &&
			    (ascii_is_alpha(text.p[i + 1]) ||
			    ascii_is_digit(text.p[i + 1])))
				i++;
			continue;
		}
		if (digit < 0)
			continue;
		if (high >= 0)
			object[len++] = (char)(high * 16 + digit);
		high = high >= 0 ? -1 : digit;
	}
	for (i = 0; i < COUNT(rtf_classes); i++)
		if (holds(str_make(object, len), rtf_classes[i].name))
			inspect_note(file, rtf_classes[i].trait);
}

/* {\*\template http...}: from elsewhere. */
static bool
is_remote(struct str text)
{
	text = str_sub(text, 0, 512);
	text = str_sub(text, 0, str_find(text, '}'));
	return holds(text, "http") || holds(text, "\\\\\\\\") ||
	    holds(text, "\\u-") || holds(text, "\\u1");
}

static void
look_at_word(const struct inspected *file, struct str word, struct str after,
    size_t *objects)
{
	size_t i;

	for (i = 0; i < COUNT(rtf_words); i++)
		if (str_eq_nocase(word, str_of(rtf_words[i].word)))
			inspect_note(file, rtf_words[i].trait);
	if (str_eq_nocase(word, STR("objdata")) && (*objects)++ < 64)
		look_at_object(file, after);
	if (str_eq_nocase(word, STR("template")) && is_remote(after))
		inspect_note(file, ATTACK_OFFICE_TEMPLATE);
}

void
inspect_rtf(const struct inspected *file)
{
	struct str s = file->octets;
	size_t at = 0, from, objects = 0;

	while ((at = bytes_find(s, at, STR("\\"))) != STR_NPOS) {
		from = ++at;
		while (at < s.len && ascii_is_alpha(s.p[at]))
			at++;
		if (at == from)
			at++;	/* a control symbol */
		else
			look_at_word(file, str_sub(s, from, at - from),
			    bytes_from(s, at), &objects);
	}
	urls_of_text(file->of->urls, str_sub(s, 0, INSPECT_HTML_MAX));
}

/* ---- OneNote ---- */

/* [MS-ONESTORE] 2.6.13: guidHeader of a FileDataStoreObject; then the length,
 * 12 octets, the file. */
void
inspect_onenote(const struct inspected *file)
{
	static const char guid[] = "\xe7\x16\xe3\xbd\x65\x26\x11\x45"
	    "\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac";
	struct str s = file->octets, inside;
	size_t at = 0;

	while ((at = bytes_find(s, at, str_make(guid, 16))) != STR_NPOS) {
		uint64_t len = bytes_le64(s, at + 16);
		struct name_look look = { .flags = 0 };
		enum attack_kind kind;

		inside = bytes_from(s, at + 36);
		inside = str_sub(inside, 0, len > inside.len ? inside.len :
		    (size_t)len);
		at += 16;
		if (inside.len == 0)
			continue;
		if (file->of->files_left == 0) {
			inspect_note(file, ATTACK_CONTAINER_LIMIT);
			return;
		}
		file->of->files_left--;
		kind = kind_of(str_sub(inside, 0, 1U << 20), &look);
		if ((kind_flags(kind) & KIND_SHOWS) == 0)
			inspect_note(file, ATTACK_ONENOTE_FILE);
		if ((kind_flags(kind) & KIND_RUNS) != 0)
			inspect_note(file, ATTACK_ARCHIVE_EXECUTABLE);
	}
}
