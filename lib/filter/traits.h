/* SPDX-License-Identifier: ISC */
/*
 * traits: what was found odd about a message, and whether that makes it
 * suspicious. Suspicious is not harmful: such a message goes on to be
 * watched while it is opened (detonation), others do not.
 *
 * Lifetime.   ATTACK_REPORT_INIT or all zero -> attack_note()*.
 * Ownership.  A report is a value.
 * Units.      Weights: 50 together are suspicious.
 * Errors.     None: what does not fit is counted, not kept.
 * Blocking.   Never.
 * Process.    scan worker; filterd and whoever shows a verdict.
 */
#ifndef FILTER_TRAITS_H
#define FILTER_TRAITS_H

#include "base/str.h"

#define ATTACK_SUSPICIOUS 50U
#define ATTACK_NOTES_MAX 64U
#define ATTACK_DETAIL_MAX 160U

enum attack_trait {
#define TRAIT(id, name, weight, is_decisive, en, ja) ATTACK_##id,
#include "filter/traits.def"
#undef TRAIT
	ATTACK_TRAIT_COUNT
};

/* Of the message itself, not of a part. */
#define ATTACK_NO_PART UINT16_MAX

struct attack_note {
	enum attack_trait trait;
	uint16_t part;			/* number, or ATTACK_NO_PART */
	char detail[ATTACK_DETAIL_MAX + 1];	/* UTF-8 on one line */
};

struct attack_report {
	uint64_t traits;		/* bit (1 << trait) */
	struct attack_note notes[ATTACK_NOTES_MAX];
	size_t notes_len;
	size_t notes_lost;		/* over the room above */
};

#define ATTACK_REPORT_INIT { .traits = 0 }

/* A trait of a part; detail is what shows it (a file name, a host), cleaned
 * and cut here. The same trait of the same part is noted once; of the message
 * itself once for each detail: each may be another link. */
void attack_note(struct attack_report *report, enum attack_trait trait,
    size_t part, struct str detail);

bool attack_has(const struct attack_report *report, enum attack_trait trait);

/* What a detail becomes: UTF-8 on one line, cut. */
void attack_clean_detail(struct str detail, char out[ATTACK_DETAIL_MAX + 1]);

/* Weights of all its traits, each once. */
unsigned attack_weight(const struct attack_report *report);

/* Heavy enough together, or one that is decisive. */
bool attack_is_suspicious(const struct attack_report *report);

const char *attack_trait_name(enum attack_trait trait);
unsigned attack_trait_weight(enum attack_trait trait);
bool attack_trait_is_decisive(enum attack_trait trait);

/* Of a link, which leads somewhere. */
bool attack_trait_is_link(enum attack_trait trait);

/* By its name; ERR_NOTFOUND. */
int attack_trait_of(struct str name, enum attack_trait *trait_r);

/* One line for people; language as in "ja", English for all others. */
const char *attack_trait_text(enum attack_trait trait, struct str language);

#endif
