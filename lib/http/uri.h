/* SPDX-License-Identifier: ISC */
/*
 * uri: percent-encoding, and the fields of a query.
 *
 * Lifetime.   Results are in the arena.
 * Errors.     ERR_SYNTAX for a broken escape, a NUL, or what is no UTF-8;
 *             ERR_NOTFOUND for a field that is not there.
 * Blocking.   Never.
 * RFC.        RFC 3986 section 2.1; application/x-www-form-urlencoded as the
 *             URL standard has it.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/arena.h"
#include "base/buf.h"

/* is_form: a plus is a blank. */
int uri_decode(struct arena *arena, struct str text, bool is_form,
    struct str *decoded_r, struct err *err);

/* The value of the first field of that name (ASCII case does not matter). */
int uri_query_get(struct arena *arena, struct str query, struct str name,
    struct str *value_r, struct err *err);

/* Everything but unreserved octets as %XX. */
void uri_put(struct buf *out, struct str text);

#endif
