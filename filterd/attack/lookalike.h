/* SPDX-License-Identifier: ISC */
/*
 * lookalike: domains that were chosen to be taken for others.
 *
 * What is known (our own domains, and those of partners) is given once; a
 * domain is then compared with all of them at once: by the skeleton of
 * Unicode's confusables, by one letter more, less or other (or two that
 * changed places), by words put before or behind, by being a label of
 * another domain, by another ending.
 *
 * Known domains have owners. Where the readers of a message are told, what
 * resembles a domain of somebody else is no pretence: short names are near
 * to many others, and they do not know that one.
 *
 * Lifetime.   lookalike_new() before the sandbox (ICU opens its tables) ->
 *             (lookalike_add()* -> lookalike_of()* -> lookalike_forget())*
 *             -> lookalike_free().
 * Ownership.  Domains are copied; results are views into them.
 * Units.      -
 * Errors.     None: what is no domain looks like nothing.
 * Blocking.   Never. A comparison costs time linear in the domain's length
 *             times its length, whatever number of domains is known.
 * RFC.        UTS 39 section 4, 5 (skeleton, mixed scripts).
 * Process.    scan worker.
 */
#ifndef ATTACK_LOOKALIKE_H
#define ATTACK_LOOKALIKE_H

#include "base/str.h"

#define LOOKALIKE_DOMAINS_MAX 20000U
#define LOOKALIKE_OWNERS_MAX 32U	/* of one message's readers */
#define LOOKALIKE_EVERYBODY 0U		/* owner of what all readers know */

enum lookalike_how {
	LOOKALIKE_NOTHING,
	LOOKALIKE_SAME,		/* one of ours, or below it */
	LOOKALIKE_OTHER_TLD,
	LOOKALIKE_WORD,		/* ours-login.example, login-ours.example */
	LOOKALIKE_LABEL,	/* ours.example.other.example */
	LOOKALIKE_TYPO,		/* one letter */
	LOOKALIKE_GLYPH,	/* same to the eye */
};

struct lookalike;

/* suffix_file: the public suffix list (NULL: the distribution's). NULL when
 * there is none, or ICU has no tables. */
struct lookalike *lookalike_new(const char *suffix_file, struct err *err);
void lookalike_free(struct lookalike **lookalike);

/* A known domain, in A-labels or UTF-8. False when it is none, or over the
 * limit. */
bool lookalike_add(struct lookalike *lookalike, struct str domain,
    uint64_t owner);

/* All known domains count: nothing is known of the readers. */
void lookalike_any_reader(struct lookalike *lookalike);

/* One of the readers has this domain: from the first on only their owners'
 * domains and everybody's count. Those over the limit are readers of nothing. */
void lookalike_reader(struct lookalike *lookalike, struct str domain);

/* No domain is known any more. */
void lookalike_forget(struct lookalike *lookalike);

/* What a domain (in A-labels or UTF-8) is taken for; *known_r is that one. */
enum lookalike_how lookalike_of(struct lookalike *lookalike,
    struct str domain, struct str *known_r);

/* Is it, or one above it, a known domain that its readers know? */
bool lookalike_is_known(struct lookalike *lookalike, struct str domain);

/* Was it registered by one owner, as far as the public suffixes tell? */
bool lookalike_is_one_org(struct lookalike *lookalike, struct str a,
    struct str b);

/* Does it mix alphabets so that it could be another? Japanese with Latin
 * letters is a usual mixture. */
bool lookalike_is_mixed(struct lookalike *lookalike, struct str domain);

#endif
