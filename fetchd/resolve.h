/* SPDX-License-Identifier: ISC */
/*
 * resolve: the addresses of a host, by way of dnsd.
 *
 * Lifetime.   resolve_start() -> done, once, never from inside it.
 * Errors.     No addresses and a reason.
 * Blocking.   Never.
 */
#ifndef FETCHD_RESOLVE_H
#define FETCHD_RESOLVE_H

#include "io/netaddr.h"
#include "ipc/ipc.h"

#define RESOLVE_MAX 16

struct resolved {
	size_t len;
	struct netaddr addrs[RESOLVE_MAX];
	const char *reason;	/* when there are none */
};

typedef void resolve_done(void *ctx, const struct resolved *resolved);

void resolve_start(struct ipc_link *dns, struct str host,
    uint64_t deadline_ms, resolve_done *done, void *ctx);

#endif
