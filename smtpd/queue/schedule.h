/* SPDX-License-Identifier: ISC */
/*
 * schedule: when each item is tried next.
 *
 * In memory an item that waits is an entry in a heap by time and its place in
 * a table (under 100 octets); the rest is on disk. At most ACTIVE_MAX items are worked on at a time; more that are due
 * wait in the heap.
 *
 * Lifetime.   schedule_new() -> schedule_load() -> schedule_free().
 * Units.      Wall-clock seconds for what is on disk; the timer re-reads the
 *             clock at least once a minute, so a jump does no harm.
 * Blocking.   Reads an item from the database before it is worked on.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "smtpd/queue/deliver.h"

struct schedule;

struct schedule *schedule_new(struct loop *loop,
    const struct deliver_env *env);

/* Take over what is on disk. */
int schedule_load(struct schedule *schedule, struct err *err);

/* A new item, committed: worked on at once if there is room. Takes arena and
 * descriptor. */
void schedule_accept(struct schedule *schedule, struct arena *arena,
    const struct queue_item *item, int blob_fd);

/* Try the item at next_try_s (QUEUE_NEVER: not by itself). */
void schedule_set(struct schedule *schedule, uint64_t id,
    int64_t next_try_s);

/* Something it waited for is there: try it at once, or once more when it is
 * being worked on. */
void schedule_wake(struct schedule *schedule, uint64_t id);
void schedule_forget(struct schedule *schedule, uint64_t id);

/* Is the item being worked on now? */
bool schedule_is_active(const struct schedule *schedule, uint64_t id);
size_t schedule_active(const struct schedule *schedule);

/* Start nothing new (stop). */
void schedule_pause(struct schedule *schedule);

/* Called when the last active item is done, after schedule_pause(). */
void schedule_on_quiet(struct schedule *schedule, void (*cb)(void *ctx),
    void *ctx);

#endif
