/* SPDX-License-Identifier: ISC */
/*
 * virus: what follows from what the scanner found.
 *
 * Easy case.  Infected: refused in the dialogue, whoever sends it, so that
 *             nobody hears of it who has nothing to do with it.
 * Hard case.  A message that ends the scanner twice: a stranger's is kept for
 *             an operator, our user hears that it could not be looked at.
 *
 * Ownership.  Texts live in the arena.
 * Errors.     None.
 * Blocking.   Never.
 * Process.    filterd.
 */
#ifndef JUDGE_VIRUS_H
#define JUDGE_VIRUS_H

#include "filter/verdict.h"

struct virus_policy {
	enum verdict_action encrypted;	/* DELIVER, QUARANTINE or REFUSE */
	enum verdict_action unscannable;
};

struct envelope;

/* As the configuration has them: "deliver", "quarantine", "refuse". */
void virus_policy_read(struct virus_policy *policy, struct str encrypted,
    struct str unscannable);

/* verdict->virus is set: a weightier action replaces the one that is there. */
void virus_judge(const struct virus_policy *policy,
    const struct envelope *envelope, struct arena *arena,
    struct verdict *verdict);

#endif
