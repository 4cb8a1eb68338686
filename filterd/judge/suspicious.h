/* SPDX-License-Identifier: ISC */
/*
 * suspicious: what follows from what the scan worker found odd.
 *
 * Easy case.  A stranger's suspicious message: delivered with a field that
 *             names the traits, or as `suspicious` says.
 * Hard case.  One that is to be detonated but holds nothing that could be
 *             opened, like a spoofed name alone: it is marked.
 *
 * Mail of our own users is never held for it: the log says what was odd.
 *
 * Lifetime.   suspicion_read() fills one in; it lives in the arena.
 * Ownership.  Texts live in the arena.
 * Errors.     None: scand passes on what a worker said, so traits that are
 *             none are left out.
 * Blocking.   Never.
 * Process.    filterd.
 */
#ifndef JUDGE_SUSPICIOUS_H
#define JUDGE_SUSPICIOUS_H

#include "filter/verdict.h"

#define SUSPICION_ROWS_MAX 200U

struct envelope;

struct suspicion {
	bool is_suspicious;
	struct verdict_trait *traits;	/* SUSPICION_ROWS_MAX, or NULL */
	size_t traits_len;
	bool has_more;		/* was odd than is here */
};

/* DELIVER (mark), JUNK, QUARANTINE or DETONATE, as the configuration has it. */
enum verdict_action suspicion_action(struct str name);

/* One that scand tells (SCAN_W_TRAIT); true when it is one. Without a name:
 * there were more than it tells of. */
bool suspicion_add(struct suspicion *suspicion, struct arena *arena,
    uint64_t part, struct str name, struct str detail);

/* All were added: the weightiest first, each trait before any other's second
 * part. */
void suspicion_sort(struct suspicion *suspicion);

/* Of a stranger: into the verdict, with the action unless it has a weightier
 * one. */
void suspicion_judge(const struct suspicion *suspicion,
    enum verdict_action action, const struct envelope *envelope,
    struct verdict *verdict);

#endif
