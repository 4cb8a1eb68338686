/* SPDX-License-Identifier: ISC */
/*
 * dial: one attempt at an outgoing TCP connection.
 *
 * Lifetime.   dial_new() -> done, once, or dial_free() before it. The dial is
 *             gone when done is called.
 * Ownership.  The descriptor given to done is the callee's.
 * Units.      Milliseconds.
 * Errors.     fd -1 and the reason as text.
 * Blocking.   Never; done is not called from inside dial_new().
 */
#ifndef IO_DIAL_H
#define IO_DIAL_H

#include "io/loop.h"
#include "io/netaddr.h"

struct dial;

typedef void dial_done(void *ctx, int fd, const char *reason);

struct dial *dial_new(struct loop *loop, const struct netaddr *to,
    uint16_t port, uint64_t deadline_ms, dial_done *done, void *ctx);

/* Give up; done will not be called. NULL is allowed. */
void dial_free(struct dial **dial);

#endif
