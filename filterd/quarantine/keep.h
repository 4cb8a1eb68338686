/* SPDX-License-Identifier: ISC */
/*
 * keep: a message comes into the quarantine.
 *
 * Story. A request carries the blob's descriptor and the envelope for one
 * owner. Unless its entry is there, blobd links the blob and flushes it; then
 * the entry is added, and when the round's commit is on disk queued hears of
 * it and forgets the recipients. A repetition adds nothing.
 *
 * Lifetime.   keep_request() answers by itself.
 * Ownership.  Takes the request and its descriptor over.
 * Errors.     Answered: ERR_LIMIT (the disk is full), ERR_TEMP, ERR_SYNTAX.
 * Blocking.   Reads up to 64 KiB of the blob, for From and Subject.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_KEEP_H
#define QUARANTINE_KEEP_H

#include "filterd/quarantine/tally.h"
#include "ipc/ipc.h"

struct keep_env {
	struct quarantine_store *store;
	struct ipc_link *blobs;
	struct tally *tally;
};

void keep_request(const struct keep_env *env, struct ipc_req *req,
    struct ipc_in *in);

#endif
