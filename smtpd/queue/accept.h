/* SPDX-License-Identifier: ISC */
/*
 * accept: taking responsibility for a message.
 *
 * A submission is answered when its blob is linked into the queue and flushed
 * (blobd) and its envelope is committed; submissions that come together share
 * both flushes.
 *
 * Lifetime.   A struct acceptor per client link; freed when the client goes.
 *             What has been asked of blobd goes on without it.
 * Errors.     ERR_LIMIT: disk full; ERR_TEMP.
 */
#ifndef QUEUE_ACCEPT_H
#define QUEUE_ACCEPT_H

#include "smtpd/queue/found.h"
#include "smtpd/queue/schedule.h"

struct acceptor;

struct accept_env {
	struct queue_store *store;
	struct ipc_link *blobs;
	struct schedule *schedule;
	struct found *found;
	bool is_stopping;
};

/* may_key: the client may submit again under a key. */
struct acceptor *acceptor_new(const struct accept_env *env, bool may_key);
void acceptor_free(struct acceptor **acceptor);

/* The three frames of the queue table. */
void accept_rcpts(struct acceptor *acceptor, struct ipc_in *in);
void accept_submit(struct acceptor *acceptor, struct ipc_req *req,
    struct ipc_in *in);
void accept_abort(struct acceptor *acceptor, struct ipc_in *in);

#endif
