/* SPDX-License-Identifier: ISC */
/*
 * deliver: items that are being worked on now.
 *
 * Story. An item is routed (directoryd says to which accounts each recipient
 * leads), its accounts are delivered to in frames of up to 64, and when the
 * last answer is in, what is done is removed from the disk and the rest gets a
 * next try. A recipient with several accounts is done when all have the
 * message; an account that two recipients lead to gets it once. A repetition
 * after a crash delivers nothing twice, since mboxd keys each delivery by
 * item and address.
 *
 * Lifetime.   deliver_item() -> done callback, once, with how it ended.
 * Ownership.  The arena with the item is taken over.
 * Blocking.   Never.
 */
#ifndef QUEUE_DELIVER_H
#define QUEUE_DELIVER_H

#include "ipc/ipc.h"
#include "smtpd/queue/store.h"

struct deliver_env {
	struct queue_store *store;
	struct ipc_link *directory;
	struct ipc_link *mailboxes;
	bool is_discard;		/* accept and drop: for measuring */
	uint64_t retry_first_s;
	uint64_t retry_last_s;
	uint64_t lifetime_s;
};

enum deliver_end {
	DELIVER_GONE,		/* all recipients are done */
	DELIVER_WAITS,		/* next_try_s says until when */
};

typedef void deliver_done(void *ctx, uint64_t id, enum deliver_end end,
    int64_t next_try_s);

/* Work on an item. blob_fd (taken over; -1: opened here). */
void deliver_item(const struct deliver_env *env, struct arena *arena,
    const struct queue_item *item, int blob_fd, deliver_done *done,
    void *ctx);

#endif
