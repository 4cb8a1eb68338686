/* SPDX-License-Identifier: ISC */
/*
 * own: mail that the platform itself writes (reports, notices): from text in
 * memory to an item of the queue.
 *
 * The text becomes a blob, linked and flushed; then its envelope is added. What
 * has to happen with it or not at all is done by settle in the same commit,
 * so that a crash neither sends the mail twice nor forgets it.
 *
 * Lifetime.   own_submit() -> done, once.
 * Ownership.  The text is taken over.
 * Blocking.   Writes to a local file.
 */
#ifndef QUEUE_OWN_H
#define QUEUE_OWN_H

#include "base/buf.h"
#include "smtpd/queue/deliver.h"

struct own_mail {
	struct buf text;		/* the whole message */
	struct str to;
	uint64_t flags;			/* enum queue_flag */
	/* Changes of the store that belong to it; may be NULL. */
	void (*settle)(void *ctx);
	/* failure NULL: it is on disk, as item id. */
	void (*done)(void *ctx, uint64_t id, const char *failure);
	void *ctx;
};

void own_submit(const struct deliver_env *env, const struct own_mail *mail);

#endif
