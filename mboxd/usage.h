/* SPDX-License-Identifier: ISC */
/*
 * usage: figures of accounts on their way to the directory: children push them
 * to the broker after a commit, which sends the last of each account, many at
 * a time.
 *
 * Process.    usage_push_*: children; struct usage: the broker.
 */
#ifndef MBOXD_USAGE_H
#define MBOXD_USAGE_H

#include "base/table.h"
#include "ipc/links.h"
#include "store/store.h"

struct usage_push {
	struct ipc_link *link;
	struct ipc_out *out;
};

/* No other frame of the link may be begun before usage_push_end(). */
void usage_push_begin(struct usage_push *push, struct ipc_link *link);
void usage_push_add(struct usage_push *push, const struct store *store);
void usage_push_end(struct usage_push *push);

struct usage {
	struct ipc_link *directory;
	struct table *waiting;	/* account -> struct store_usage */
	struct loop_timer timer;
};

void usage_init(struct usage *usage, struct loop *loop,
    struct ipc_link *directory);

/* New figures; sent within a second. */
void usage_note(struct usage *usage, uint64_t account,
    const struct store_usage *figures);

/* Send what waits. */
void usage_send(struct usage *usage);

#endif
