/* SPDX-License-Identifier: ISC */
/*
 * authres: Authentication-Results: what we found out, told to who reads the
 * message later; and reading such a field.
 *
 * Writing. Values come from peers: nothing in them can end the line, the
 * value or the field. What is no token and no plain mailbox is quoted; control
 * characters and, unless has_utf8, octets over 127 become "?".
 *
 * Reading is for fields that are shown or removed, never for trusting them:
 * everybody can write one.
 *
 * Lifetime.   Values.
 * Ownership.  Views of what was given.
 * Units.      Octets; lines are folded at 78.
 * Errors.     authres_parse(): ERR_SYNTAX, ERR_LIMIT over AUTHRES_MAX results
 *             or AUTHRES_PROPS_MAX properties of one.
 * Blocking.   Never.
 * RFC.        8601; 8617 section 4.1.1 (ARC-Authentication-Results).
 */
#ifndef MAILAUTH_AUTHRES_H
#define MAILAUTH_AUTHRES_H

#include "base/arena.h"
#include "base/buf.h"
#include "mailauth/arc.h"
#include "mailauth/dkim.h"
#include "mailauth/result.h"

#define AUTHRES_MAX 64U
#define AUTHRES_PROPS_MAX 8U
#define AUTHRES_VALUE_MAX 320U	/* longer ones are left out: local@domain */

struct authres_prop {
	struct str name;		/* "smtp.mailfrom", "header.d" */
	struct str value;		/* unquoted */
};

/* One method's result. */
struct authres {
	struct str method;		/* "spf" */
	struct str result;		/* "pass" */
	struct str comment;		/* ours, such as "2048-bit key" */
	struct str reason;
	struct authres_prop props[AUTHRES_PROPS_MAX];
	size_t prop_count;
};

struct authres_list {
	struct str authserv_id;
	struct authres v[AUTHRES_MAX];
	size_t count;
	bool has_utf8;			/* values may be written as UTF-8 */
};

/* ---- collecting ---- */

/* A result without properties yet; NULL when the list is full. */
struct authres *authres_add(struct authres_list *list, const char *method,
    enum mailauth_result result);

/* An empty value adds nothing, nor does one over AUTHRES_VALUE_MAX or a
 * property too many. */
void authres_prop(struct authres *authres, const char *name,
    struct str value);

/* "dkim=" with header.d, header.i, header.s, header.a and header.b; without
 * a signature "dkim=none". The strings of results stay views. */
void authres_add_dkim(struct authres_list *list, struct arena *arena,
    const struct dkim_results *results);

/* "arc=" with header.oldest-pass. */
void authres_add_arc(struct authres_list *list, struct arena *arena,
    const struct arc_result *result);

/* ---- writing ---- */

/* Append "Authentication-Results: ID; ..." with its line end. */
void authres_put_field(struct buf *out, const struct authres_list *list);

/* Append "ID; spf=pass ..." without a line end: for an AAR. */
void authres_put_payload(struct buf *out, const struct authres_list *list);

/* ---- reading ---- */

/*
 * value: of the field, folded. Comments are dropped, other than a result's
 * own. has_utf8 stays false.
 */
int authres_parse(struct arena *arena, struct str value,
    struct authres_list *list_r, struct err *err);

/* The authserv-id alone (RFC 8601 section 5): p is NULL when it cannot be
 * told; such a field may be anybody's. *rest_r: what follows the semicolon
 * after it. */
struct str authres_id(struct arena *arena, struct str value,
    struct str *rest_r);

#endif
