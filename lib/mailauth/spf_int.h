/* SPDX-License-Identifier: ISC */
/*
 * spf_int: what the files of SPF share: a record taken apart, the macros, and
 * the state of one evaluation.
 */
#ifndef MAILAUTH_SPF_INT_H
#define MAILAUTH_SPF_INT_H

#include "mailauth/spf.h"

#include "base/buf.h"

/* ---- the record (spf_record.c) ---- */

enum spf_mech {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
	SPF_MECH_COUNT
};

struct spf_term {
	enum spf_mech mech;
	enum mailauth_result result;	/* when it matches */
	struct str text;
	struct str spec;	/* domain-spec; p NULL: the current domain */
	struct netaddr net;	/* SPF_IP4, SPF_IP6 */
	unsigned cidr4;
	unsigned cidr6;
};

struct spf_record {
	struct spf_term *terms;
	size_t count;
	struct str redirect;	/* domain-specs; p NULL: none */
	struct str exp;
};

/* Does this TXT claim to be one? RFC 7208 section 4.5 */
bool spf_is_record(struct str txt);

/* All of it is checked; what it says is a view of text. ERR_SYNTAX,
 * ERR_LIMIT. */
int spf_record_parse(struct arena *arena, struct str text,
    struct spf_record *record_r, struct err *err);

/* ---- macros (spf_macro.c) ---- */

enum spf_place {
	SPF_IN_SPEC,		/* domain-spec: not %{c}, %{r}, %{t} */
	SPF_IN_TEXT,		/* macro-string, explain-string */
};

/* RFC 7208 section 7.1: macro-string, and for a spec its end. */
int spf_macro_check(struct str text, enum spf_place place, struct err *err);

/* Is it without macros? */
bool spf_macro_is_plain(struct str text);

struct spf;

enum spf_expand {
	SPF_EXPAND_DONE,
	SPF_EXPAND_WAIT,	/* %{p} wants answers */
	SPF_EXPAND_LONG,	/* over the maximum of out */
};

/* Append text, which passed spf_macro_check(), with its macros replaced. */
enum spf_expand spf_macro_expand(struct spf *spf, struct str text,
    struct str domain, struct buf *out);

/* ---- an evaluation (spf.c, spf_mech.c) ---- */

struct spf {
	struct arena *scratch;	/* freed at the end of each call */
	const struct spf_input *input;
	struct answers *answers;
	struct netaddr ip;	/* IPv4 taken out of its mapped form */
	struct str local;
	struct str domain;	/* of the sender: %{o} */
	unsigned lookups;
	unsigned voids;
	struct err err;		/* the first problem */
};

enum spf_match {
	SPF_NO,
	SPF_YES,
	SPF_TEMP,
	SPF_PERM,
	SPF_WAIT,
};

/* What check_host() of RFC 7208 section 4 came to. */
struct spf_found {
	enum mailauth_result result;
	struct str term;	/* p NULL: none matched */
	struct str domain;	/* of the record */
	struct str exp;		/* its domain-spec, p NULL */
};

enum mailauth_step spf_check_host(struct spf *spf, struct str domain,
    struct spf_found *found_r);

enum spf_match spf_match(struct spf *spf, struct str domain,
    const struct spf_term *term);

/* Ask what the terms from first on will want, if their names are known. */
void spf_ask_ahead(struct spf *spf, struct str domain,
    const struct spf_record *record, size_t first);

/* One more term that asks the DNS; false over the limit. */
bool spf_count_lookup(struct spf *spf);

/* The answer to a question about a name without escapes. */
const struct answer *spf_ask(struct spf *spf, struct str name,
    unsigned type);

/* Neither found nor not found: RFC 7208 section 4.4. */
bool spf_is_failure(const struct answer *answer);

/* A domain-spec as a name, cut to the 253 octets of a name. SPF_YES,
 * SPF_WAIT, SPF_PERM. */
enum spf_match spf_target(struct spf *spf, struct str domain, struct str spec,
    struct str *name_r);

/* RFC 7208 section 7.3, %{p}: SPF_WAIT, else SPF_YES with "unknown" or a
 * name. */
enum spf_match spf_validated_name(struct spf *spf, struct str domain,
    struct str *name_r);

/* The name in the form the DNS is asked with: RFC 1035 section 5.1. */
struct str spf_name_text(struct arena *arena, struct str name);

#endif
