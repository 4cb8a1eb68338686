/* SPDX-License-Identifier: ISC */
/*
 * pool: connections that wait some seconds for the next message to the same
 * address under the same policy.
 *
 * Ownership.  A client put in belongs to the pool until it is taken.
 * Units.      At most POOL_MAX clients, POOL_USES_MAX transactions each.
 * Blocking.   Never.
 */
#ifndef RELAY_POOL_H
#define RELAY_POOL_H

#include "smtpd/relay/client.h"

#define POOL_MAX 200
#define POOL_USES_MAX 100

struct pool *pool_new(struct relay *relay);
void pool_free(struct pool **pool);

/* One that meets all that hop asks; NULL. Its callbacks are the taker's. */
struct client *pool_take(struct pool *pool, const struct hop *hop,
    const struct client_ops *ops, void *ctx);

/* *client becomes NULL. What cannot be used again is closed. */
void pool_put(struct pool *pool, struct client **client);

#endif
