/* SPDX-License-Identifier: ISC */
/*
 * pool: the scan workers and what waits for them.
 *
 * Story. A generation of signatures is loaded; its first worker must find what
 * is inside an infected archive of our own; then it is the one that new
 * workers come from. Signatures that changed make a new generation, and until
 * that one has passed its test the old one goes on: there is no gap, and
 * signatures that find nothing are never used. A worker looks at a few
 * messages and is replaced: one that a message has taken over would see the
 * next ones. What found something that may do so is replaced at once.
 *
 * Hard case: a message that ends its worker, or that its worker could not look
 * at because files or memory failed it, is tried once more in another; the
 * second time that is its verdict. One that takes too long is SCAN_LIMIT, and
 * its worker is killed.
 *
 * Lifetime.   pool_new() -> pool_scan()* -> pool_free().
 * Ownership.  pool_scan() takes request and descriptor over; it copies the rest.
 * Units.      Milliseconds.
 * Errors.     A scan ends with ERR_TEMP when nobody could look at it in time.
 * Blocking.   Never, but for fork().
 * Process.    scand.
 */
#ifndef VIRUS_POOL_H
#define VIRUS_POOL_H

#include "filterd/virus/worker.h"
#include "io/loop.h"
#include "ipc/ipc.h"

#define POOL_WORKERS_MAX 64U

struct pool;

struct pool_settings {
	struct worker_env env;
	/* In a fresh child: generation_main(). */
	void (*generation)(const struct worker_env *env, int fd);
	unsigned workers;
	unsigned scans_max;	/* messages of one worker's life */
	uint64_t scan_ms;	/* that one message may take */
	/* Tell a generation what is known of us now (SCANNER_KNOW). */
	void (*tell)(void *ctx, struct ipc_link *generation);
	/* These signatures are used now; may be NULL. */
	void (*ready)(void *ctx, uint64_t signatures, uint64_t built_s);
	/* Something needs an operator. */
	void (*alert)(void *ctx, const char *what);
	void *ctx;
};

struct pool *pool_new(struct loop *loop, const struct pool_settings *settings);

/* Answers req (SCAN_MESSAGE), whose fields in holds. */
void pool_scan(struct pool *pool, struct ipc_req *req, struct ipc_in *in);

/* What is known of us has changed: workers from now on know it, and those
 * that do not are replaced when they have nothing to do. */
void pool_known(struct pool *pool);

/* End all of it; what waits hears ERR_TEMP. */
void pool_free(struct pool **pool);

/* The signatures may have changed. */
void pool_reload(struct pool *pool);

#endif
