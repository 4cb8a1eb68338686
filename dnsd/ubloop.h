/* SPDX-License-Identifier: ISC */
/*
 * ubloop: our event loop as libunbound wants one, so that it resolves inside
 * the loop without a thread or a process of its own.
 *
 * Lifetime.   ubloop_new() -> ub_ctx_create_ub_event() -> ub_ctx_delete() ->
 *             ubloop_free().
 * Blocking.   Never.
 */
#ifndef DNSD_UBLOOP_H
#define DNSD_UBLOOP_H

#include <unbound-event.h>

#include "io/loop.h"

struct ub_event_base *ubloop_new(struct loop *loop);
void ubloop_free(struct ub_event_base **base);

#endif
