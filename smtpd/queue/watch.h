/* SPDX-License-Identifier: ISC */
/*
 * watch: items whose suspicious content is opened first, where it can do no
 * harm (detonated). They wait here and take no place of those that are
 * delivered.
 *
 * Story. An item whose verdict says detonate is handed over by the schedule.
 * detonated is asked, a few hundred at a time; what it answers is put into the
 * item's verdict and its trace, the action becomes deliver or quarantine, and
 * with the commit the item goes on as one that came with that action. An
 * answer that is lost (detonated was restarted) is asked for again. When
 * detonate_time has passed since the item's arrival, detonate_unavailable
 * decides. All of it follows from what is stored with the item: after a
 * restart of queued it begins again, and the engines know what they have seen.
 *
 * Lifetime.   watch_new() -> watch_item()* -> watch_free().
 * Ownership.  Of an item only its number is kept.
 * Units.      Seconds.
 * Errors.     watch_release(): of the store.
 * Blocking.   Never, but for opening a blob.
 * Process.    queued.
 */
#ifndef QUEUE_WATCH_H
#define QUEUE_WATCH_H

#include "ipc/figures.h"
#include "smtpd/queue/store.h"

struct watch;

struct watch_env {
	struct loop *loop;
	struct queue_store *store;
	struct ipc_link *detonated;
	struct figures *figures;
	/* The item's verdict has changed: it goes on. */
	void (*done)(void *ctx, uint64_t id, int64_t next_try_s);
	/* It does harm: people are to hear of it. name may be empty. */
	void (*malicious)(void *ctx, const struct queue_item *item,
	    struct str name);
	void *ctx;
};

struct watch *watch_new(const struct watch_env *env);

/* No item is at its end, written but not committed. */
void watch_free(struct watch **watch);

/* From now on; what is under way goes by it as well. */
void watch_set_policy(struct watch *watch, uint64_t time_s,
    bool is_delivered_unseen);

/* Is it to be watched before anything else is done with it? */
bool watch_wants(const struct queue_item *item);

/* The item is on disk. */
void watch_item(struct watch *watch, const struct queue_item *item);

/* It is held, or gone: what comes of it is of no interest. */
void watch_forget(struct watch *watch, uint64_t id);

/* It goes on without having been opened: part of this round's commit. */
int watch_release(struct watch *watch, const struct queue_item *item,
    struct err *err);

/* What came of it is being written. */
bool watch_is_ending(const struct watch *watch, uint64_t id);

/* When the time of this item is over. */
int64_t watch_until_s(const struct watch *watch,
    const struct queue_item *item);

#endif
