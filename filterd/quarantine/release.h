/* SPDX-License-Identifier: ISC */
/*
 * release: an entry goes on to its recipients.
 *
 * Story. The message is looked at again, by the signatures of today: what is
 * malicious, or ends the scanner, stays, unless an operator insists; so does
 * what an engine that opened it found malicious. What has a password or is
 * suspicious goes, since whoever releases it has decided that. The decision is
 * written: which recipients get it. Then the message is submitted to the queue
 * for those, and they are removed when the queue answers for it, the entry with
 * the last of them.
 *
 * The hard case: a crash, or a queue that does not answer, after the decision.
 * The marks are still there: resume.h takes it up again, for the same
 * recipients and therefore under the same key, for which the queue answers with
 * the item it made the first time. Recipients who come to the entry meanwhile
 * are not marked, and stay. Until it has ended there is no other release of
 * the entry, nor can it be deleted.
 *
 * Lifetime.   release_begin() or release_resume() -> done, once, maybe before
 *             they return.
 * Errors.     ERR_DENIED: it is harmful; ERR_NOTFOUND; ERR_CORRUPT: it cannot
 *             go; ERR_TEMP. The text is for whoever asked.
 * Blocking.   Never.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_RELEASE_H
#define QUARANTINE_RELEASE_H

#include "base/list.h"
#include "filterd/quarantine/tally.h"
#include "ipc/ipc.h"

struct release_env {
	struct quarantine_store *store;
	struct ipc_link *filter;	/* NULL: nothing is looked at here */
	struct ipc_link *queue;
	struct tally *tally;
	uint64_t budget_ms;		/* of a look */
	uint64_t next_tx;
	struct list active;		/* releases under way */
};

void release_env_init(struct release_env *env,
    struct quarantine_store *store, struct ipc_link *queue,
    struct tally *tally);

typedef void release_done(void *ctx, int code, const struct err *err);

/* is_forced: also when it is harmful. actor: for the log. */
void release_begin(struct release_env *env, uint64_t id, bool is_forced,
    struct str actor, release_done *done, void *ctx);

/* What was decided before goes on. */
void release_resume(struct release_env *env, uint64_t id,
    release_done *done, void *ctx);

/* Is it under way in this process? */
bool release_is_active(const struct release_env *env, uint64_t id);

#endif
