/* SPDX-License-Identifier: ISC */
/*
 * hasher: the pool of forked workers that compute hashes, so that authd itself
 * never waits 150 ms, and so that no more are computed at once than the
 * configuration says.
 *
 * A worker has its own sandbox, no file and no secret: it is given a password
 * (and a hash) and answers. It ends when authd does.
 *
 * Lifetime.   hasher_fork() before authd's sandbox -> hasher_start() with its
 *             loop -> hasher_make(), hasher_verify() -> hasher_free().
 * Ownership.  Passwords are copied into frames that are wiped.
 * Errors.     ERR_LIMIT: too many wait already; ERR_TEMP: a worker died, after
 *             which gone is called, once.
 * Blocking.   Never.
 * Process.    authd.
 */
#ifndef AUTHD_HASHER_H
#define AUTHD_HASHER_H

#include "authd/hash.h"
#include "ipc/links.h"
#include "proc/sandbox.h"

#define HASHER_WORKERS_MAX 32
/* How many may wait for one worker: about two and a half seconds. */
#define HASHER_QUEUE 16

struct hasher;

/* sandbox: what every worker enters. */
struct hasher *hasher_fork(unsigned workers, const struct sandbox *sandbox,
    struct err *err);
void hasher_start(struct hasher *hasher, struct loop *loop,
    void (*gone)(void *ctx), void *ctx);
void hasher_free(struct hasher **hasher);

/* done gets HASH_MAKE's or HASH_VERIFY's reply. ERR_LIMIT: not begun. */
int hasher_make(struct hasher *hasher, struct str password, ipc_done *done,
    void *ctx);
int hasher_verify(struct hasher *hasher, struct str password,
    struct str argon2, ipc_done *done, void *ctx);

#endif
