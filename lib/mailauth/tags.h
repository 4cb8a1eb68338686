/* SPDX-License-Identifier: ISC */
/*
 * tags: the tag=value lists of DKIM: signatures, key records, ARC sets and
 * DMARC policies. Folding white space is allowed around names, values and
 * semicolons; a CR or LF counts as a blank, since a field's lines have been
 * told apart already and a record in the DNS has none.
 *
 * Lifetime.   Values; results are views into the text or live in the arena.
 * Units.      Octets. A list has at most TAGS_MAX tags, and a text of
 *             TAGS_OCTETS_MAX.
 * Errors.     ERR_SYNTAX: no tag list, or a tag comes twice. ERR_LIMIT.
 * Blocking.   Never. Time is linear in the text.
 * RFC.        6376 section 3.2; 8616 (UTF-8 in values).
 */
#ifndef MAILAUTH_TAGS_H
#define MAILAUTH_TAGS_H

#include "base/arena.h"

#define TAGS_MAX 64U
#define TAGS_OCTETS_MAX (64U << 10)

struct tag {
	struct str name;	/* case matters */
	struct str value;	/* without blanks at its ends */
	size_t at;		/* of value in the text: where it begins, with
				   the blanks after the equals sign */
	size_t end;		/* and where it ends: the semicolon */
};

struct tags {
	struct tag v[TAGS_MAX];
	size_t count;
};

/* The whole of text. */
int tags_parse(struct str text, struct tags *tags_r, struct err *err);

/* The tag of that name, or NULL. */
const struct tag *tags_find(const struct tags *tags, const char *name);

/* Its value; p is NULL without it, and never otherwise. */
struct str tags_get(const struct tags *tags, const char *name);

/* value without any white space; a view when it has none. */
struct str tags_squeeze(struct arena *arena, struct str value);

/* Decode base64 with white space anywhere, its padding may be missing. */
int tags_base64(struct arena *arena, struct str value, struct str *octets_r,
    struct err *err);

/* The next item of a list that is separated by colons, without blanks; false
 * when *rest is used up. Begin with *rest = the value. */
bool tags_next_item(struct str *rest, struct str *item_r);

/* Is item (ASCII case ignored) in the list? */
bool tags_list_has(struct str list, const char *item);

#endif
