/* SPDX-License-Identifier: ISC */
#include "http/xml.h"

#include <expat.h>

#define DEPTH_MAX 32

struct reading {
	XML_Parser parser;
	struct arena *arena;
	struct xml_wanted *wanted;
	size_t wanted_len;
	struct xml_wanted *inside;	/* the element being read, or NULL */
	unsigned inside_depth;
	unsigned depth;
	struct buf text;
	int rc;
};

static void
stop(struct reading *r, int rc)
{
	if (r->rc == 0)
		r->rc = rc;
	(void)XML_StopParser(r->parser, XML_FALSE);
}

/* Without its prefix. */
static struct str
local_name(const char *name)
{
	struct str s = str_of(name);
	size_t colon = str_rfind(s, ':');

	return colon == STR_NPOS ? s : str_sub(s, colon + 1, STR_NPOS);
}

static void
on_start(void *ctx, const char *name, const char **attributes)
{
	struct reading *r = ctx;
	struct str local = local_name(name);
	size_t i;

	(void)attributes;
	if (++r->depth > DEPTH_MAX) {
		stop(r, ERR_LIMIT);
		return;
	}
	for (i = 0; r->inside == NULL && i < r->wanted_len; i++)
		if (r->wanted[i].text.p == NULL &&
		    str_eq(local, str_of(r->wanted[i].name))) {
			r->inside = &r->wanted[i];
			r->inside_depth = r->depth;
			buf_reset(&r->text);
		}
}

static void
on_end(void *ctx, const char *name)
{
	struct reading *r = ctx;

	(void)name;
	if (r->inside != NULL && r->depth == r->inside_depth) {
		r->inside->text = arena_str(r->arena,
		    str_trim(buf_str(&r->text)));
		r->inside = NULL;
	}
	r->depth--;
}

static void
on_text(void *ctx, const char *text, int len)
{
	struct reading *r = ctx;

	if (r->inside == NULL)
		return;
	buf_add(&r->text, text, (size_t)len);
	if (buf_failed(&r->text))
		stop(r, ERR_LIMIT);
}

/* A document type is where entities, and attacks, come from. */
static void
on_doctype(void *ctx, const char *name, const char *system_id,
    const char *public_id, int has_subset)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_subset;
	stop(ctx, ERR_SYNTAX);
}

int
xml_read(struct arena *arena, struct str document, struct xml_wanted *wanted,
    size_t wanted_len, struct err *err)
{
	struct reading r = { .arena = arena, .wanted = wanted,
	    .wanted_len = wanted_len };
	int rc = 0;

	if (document.len > XML_DOCUMENT_MAX)
		return err_set(err, ERR_LIMIT, "a large document");
	/* Encodings: what expat itself knows (UTF-8, UTF-16, Latin-1). */
	r.parser = XML_ParserCreate(NULL);
	invariant(r.parser != NULL);
	buf_init(&r.text, XML_TEXT_MAX);
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	if (XML_Parse(r.parser, document.p != NULL ? document.p : "",
	    (int)document.len, 1) != XML_STATUS_OK)
		rc = err_set(err, r.rc != 0 ? (enum err_code)r.rc :
		    ERR_SYNTAX, "not the XML that is wanted");
	XML_ParserFree(r.parser);
	buf_fini(&r.text);
	return rc;
}

static const char *
escape_of(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

/* U+FFFE and U+FFFF are UTF-8 but no XML. */
static bool
is_noncharacter(struct str text, size_t at)
{
	return str_begins(str_sub(text, at, 3), STR("\xef\xbf\xbe")) ||
	    str_begins(str_sub(text, at, 3), STR("\xef\xbf\xbf"));
}

void
xml_put(struct buf *out, struct str text)
{
	bool is_utf8 = str_is_utf8(text);
	const char *escape;
	size_t i;
	char c;

	for (i = 0; i < text.len; i++) {
		c = text.p[i];
		escape = escape_of(c);
		if (escape != NULL) {
			buf_add_cstr(out, escape);
		} else if (((unsigned char)c < 0x20 && c != '\t' &&
		    c != '\n') || (c & 0x80 && !is_utf8)) {
			buf_add_cstr(out, "\xef\xbf\xbd");
		} else if (is_noncharacter(text, i)) {
			buf_add_cstr(out, "\xef\xbf\xbd");
			i += 2;
		} else {
			buf_add_char(out, c);
		}
	}
}

void
xml_put_element(struct buf *out, unsigned depth, const char *name,
    struct str text)
{
	buf_addf(out, "%*s<%s>", (int)depth, "", name);
	xml_put(out, text);
	buf_addf(out, "</%s>\n", name);
}
