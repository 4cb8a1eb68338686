/* SPDX-License-Identifier: ISC */
/*
 * deliver: items that are being worked on now: to mailboxes (local.c), to
 * other hosts (away.c), into the quarantine (keep.c), and reports to their
 * senders (bounce.c). work.h tells the story.
 *
 * A recipient with several accounts is done when all have the message; an
 * account that two recipients lead to gets it once. A repetition after a crash
 * delivers nothing twice, since mboxd keys each delivery by item and address,
 * and quarantined each entry by item and owner.
 * What another host took is written in the next commit: only a crash between
 * the two sends it again.
 *
 * Lifetime.   deliver_item() -> done callback, once, with how it ended.
 * Ownership.  The arena with the item is taken over.
 * Blocking.   Never, but for the write of a DSN into the page cache.
 */
#ifndef QUEUE_DELIVER_H
#define QUEUE_DELIVER_H

#include "ipc/grant.h"
#include "ipc/ipc.h"
#include "smtpd/queue/remote.h"
#include "smtpd/queue/store.h"
#include "smtpd/queue/watch.h"

struct figures;

struct deliver_env {
	struct queue_store *store;
	struct ipc_link *directory;
	struct ipc_link *mailboxes;
	struct ipc_link *blobs;
	struct ipc_link *quarantine;
	struct remote *remote;
	struct watch *watch;
	struct figures *figures;
	/* A new item of our own (a DSN) is on disk. Takes the arena. */
	void (*accepted)(void *ctx, struct arena *arena,
	    const struct queue_item *item);
	void *ctx;
	struct str hostname;
	unsigned char grant_secret[GRANT_SECRET_OCTETS];
	bool is_discard;		/* accept and drop: for measuring */
	uint64_t retry_first_s;
	uint64_t retry_last_s;
	uint64_t lifetime_s;
	uint64_t delay_warning_s;	/* 0: never */
	uint64_t quota_grace_s;		/* how long a full mailbox is tried */
	uint64_t return_octets;		/* a larger message is not returned whole */
};

enum deliver_end {
	DELIVER_GONE,		/* all recipients are done */
	DELIVER_WAITS,		/* next_try_s says until when; QUEUE_NEVER:
				 * until it is woken */
};

/* arena: NULL, or that of an item which waits and has not changed since it
 * was read: who will need it again takes it, and sets *arena NULL. */
typedef void deliver_done(void *ctx, const struct queue_item *item,
    enum deliver_end end, int64_t next_try_s, struct arena **arena);

/* Work on an item. blob_fd (taken over; -1: opened here). */
void deliver_item(const struct deliver_env *env, struct arena *arena,
    const struct queue_item *item, int blob_fd, deliver_done *done,
    void *ctx);

#endif
