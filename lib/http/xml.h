/* SPDX-License-Identifier: ISC */
/*
 * xml: reading a small document without its dangers, and writing text into
 * one.
 *
 * Reading is by expat: a document type, and with it every entity of its own,
 * ends it at once; depth, size and the text kept are bounded.
 *
 * Lifetime.   Results are in the arena.
 * Errors.     ERR_SYNTAX, ERR_LIMIT.
 * Blocking.   Never.
 * RFC.        XML 1.0 section 2.
 */
#ifndef HTTP_XML_H
#define HTTP_XML_H

#include "base/arena.h"
#include "base/buf.h"

#define XML_DOCUMENT_MAX 16384
#define XML_TEXT_MAX 1024

/* An element whose text is wanted; namespaces are not looked at. */
struct xml_wanted {
	const char *name;	/* local name, exact */
	struct str text;	/* of its first occurrence; p NULL: none */
};

int xml_read(struct arena *arena, struct str document,
    struct xml_wanted *wanted, size_t wanted_len, struct err *err);

/* Text for content and for attributes in double quotes. What XML cannot
 * hold becomes U+FFFD. */
void xml_put(struct buf *out, struct str text);

/* <name>text</name> and a line end, indented by depth blanks. */
void xml_put_element(struct buf *out, unsigned depth, const char *name,
    struct str text);

#endif
