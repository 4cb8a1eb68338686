/* SPDX-License-Identifier: ISC */
/*
 * virus: what follows from what the scanner found.
 *
 * Easy case.  Our user sends something infected: refused in the dialogue.
 * Another.    A stranger's message has infected parts: the verdict names them
 *             and keeps its action; smtpd puts notices in their place and
 *             asks again about what is left (FILTER_F_WHOLE).
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
	bool replaces;			/* infected parts */
	enum verdict_action attachment;	/* else: QUARANTINE or REFUSE */
	enum verdict_action body;	/* what is infected otherwise */
	enum verdict_action encrypted;	/* DELIVER, QUARANTINE or REFUSE */
	enum verdict_action unscannable;
};

/* As hikyaku.conf has them. */
struct virus_config {
	struct str attachment;		/* "replace", "quarantine", "refuse" */
	struct str body;		/* "quarantine", "refuse" */
	struct str encrypted;		/* "deliver", "quarantine", "refuse" */
	struct str unscannable;
};

struct envelope;

void virus_policy_read(struct virus_policy *policy,
    const struct virus_config *config);

/* Something with a password beside something that could not be looked at: the
 * one that is treated more strictly counts, so that the other is no way around
 * it. locked, closed: what was found of each, empty: nothing. */
void virus_weigh(const struct virus_policy *policy, struct str locked,
    struct str closed, struct verdict *verdict);

/* verdict->virus and parts are set: a weightier action replaces the one that is there. */
void virus_judge(const struct virus_policy *policy,
    const struct envelope *envelope, struct arena *arena,
    struct verdict *verdict);

#endif
