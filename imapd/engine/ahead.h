/* SPDX-License-Identifier: ISC */
/*
 * ahead: blobs that a FETCH will read soon. While the files turn out not to
 * be in memory, those of the next messages are opened and asked of the disk
 * before their turn, so that many reads are under way in place of one.
 *
 * Lifetime.   Zero-initialised; ahead_end() closes what was not taken.
 * Ownership.  ahead_take() gives its descriptor away.
 * Units.      Octets.
 * Errors.     None: a file that cannot be opened now is tried in its turn.
 * Blocking.   Opens local files; never waits for their content.
 */
#ifndef IMAPD_AHEAD_H
#define IMAPD_AHEAD_H

#include "store/store.h"

#define AHEAD_MAX 256U
#define AHEAD_OCTETS_MAX (16U << 20)	/* asked for at a time */

struct ahead {
	struct {
		uint64_t message;
		int fd;
		uint32_t octets;
	} slots[AHEAD_MAX];		/* a ring */
	size_t first;
	size_t count;
	uint64_t octets;
	unsigned since_probe;		/* files taken since the last look */
	bool is_cold;
};

/* The descriptor of the message's blob, or -1: open it. Those that stand
 * before it are given up. */
int ahead_take(struct ahead *ahead, uint64_t message);

/* A blob was opened in its turn: look now and then whether it is in memory. */
void ahead_probe(struct ahead *ahead, int fd);

/* Is there room for another one, and is it worth while? */
bool ahead_wants(const struct ahead *ahead);
void ahead_add(struct ahead *ahead, struct store *store, uint64_t message,
    uint32_t octets);
void ahead_end(struct ahead *ahead);

#endif
