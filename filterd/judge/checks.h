/* SPDX-License-Identifier: ISC */
/*
 * checks: all that is found out about one message, and the verdict from it.
 *
 * The message is fed as it is read. Then checks_run() makes the evaluations
 * side by side: each notes the names it misses in answers, so that one round
 * of the DNS serves all. It is called again with more answers until it is
 * done, and checks_verdict() says what follows.
 *
 * Lifetime.   checks_new() -> checks_feed()* -> checks_end() -> checks_run()*
 *             -> checks_verdict() -> checks_free(). The verdict lives in the
 *             arena.
 * Ownership.  The envelope's strings are the caller's and must stay.
 * Units.      Octets, seconds since 1970.
 * Errors.     ERR_LIMIT: the header is over HEADER_BLOCK_MAX.
 * Blocking.   Never.
 * Process.    filterd.
 */
#ifndef JUDGE_CHECKS_H
#define JUDGE_CHECKS_H

#include "filter/verdict.h"
#include "mailauth/answers.h"
#include "mailauth/psl.h"

struct envelope {
	struct str protocol;	/* smtp, submission, lmtp */
	struct str zone;
	struct str client;	/* an address, or "local" */
	struct str helo;
	struct str sender;	/* canonical; empty for <> */
	struct str hostname;	/* ours */
	uint64_t flags;		/* enum filter_flag */
	int64_t now_s;
	bool refuses_spf_fail;
	struct str arc_trusted;	/* sealers, separated by blanks */
	const struct psl *psl;	/* of RFC 7489; NULL: the tree walk */
};

struct checks;

/* Is there anything to find out about mail that comes so? */
bool checks_wanted(const struct envelope *envelope);

struct checks *checks_new(const struct envelope *envelope,
    struct arena *arena);
void checks_free(struct checks **checks);

int checks_feed(struct checks *checks, const void *data, size_t len,
    struct err *err);
void checks_end(struct checks *checks);

enum mailauth_step checks_run(struct checks *checks, struct answers *answers);

/* We have put answers that nobody gave: there was no time or no room. */
void checks_unasked(struct checks *checks);

void checks_verdict(struct checks *checks, struct verdict *verdict_r);

#endif
