/* SPDX-License-Identifier: ISC */
/*
 * ask: one HTTP request to an engine. hikyakud makes the connection; a few
 * requests are under way at a time, the others wait.
 *
 * Lifetime.   ask_new() -> done, once, never from inside it; the ask is gone
 *             when done returns. ask_free() before that: done is not called.
 * Ownership.  The request's strings are copied; the thing is referenced.
 * Units.      Octets, milliseconds.
 * Errors.     As http/call.h.
 * Blocking.   Decoding a thing that is sent.
 * Process.    detonated.
 */
#ifndef DETONATE_ASK_H
#define DETONATE_ASK_H

#include "filterd/detonate/engine.h"

#define ASK_REPORT_MAX (16U << 20)
#define ASK_ANSWER_MAX (1U << 20)

struct ask;

struct ask_request {
	struct str path;	/* below the engine's base, with its query */
	struct thing *file;	/* sent as "file" (multipart); NULL: none */
	struct str options;	/* sent beside the file; empty: none */
	struct str form;	/* sent as it stands; empty: none */
	size_t body_max;
	uint64_t timeout_ms;
};

struct ask *ask_new(struct engine *engine, const struct ask_request *request,
    http_call_done *done, void *ctx);
void ask_free(struct ask **ask);

#endif
