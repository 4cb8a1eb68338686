/* SPDX-License-Identifier: ISC */
/*
 * milter: the connection of one session to one mail filter.
 *
 * smtpd may open no socket: hikyakud begins to connect and hands it over
 * (MASTER_CONNECT). Then the two sides negotiate. A command is written to
 * milter_out() and sent by milter_ask(), which tells each answer up to the
 * last; by milter_tell() when no answer will come.
 *
 * Hard case: the filter dies, says nonsense or nothing in time. That is told
 * once, as NULL in place of an answer, and the connection is over.
 *
 * Lifetime.   milter_new() -> milter_open() -> milter_ask()* -> milter_free().
 * Ownership.  Answers are views, good for the call.
 * Units.      Milliseconds.
 * Blocking.   Never. Callbacks come from the loop, never from these calls.
 * Process.    smtpd ingress.
 */
#ifndef INGRESS_MILTER_H
#define INGRESS_MILTER_H

#include "ipc/child.h"
#include "proto/milter.h"

enum milter_absent { MILTER_TEMPFAIL_ABSENT, MILTER_ACCEPT_ABSENT,
	MILTER_REJECT_ABSENT, MILTER_QUARANTINE_ABSENT };

struct milter_settings {
	char name[64];
	uint64_t connect_ms;
	uint64_t command_ms;
	uint64_t message_ms;
	enum milter_absent absent;
	char macros[256];	/* told at each stage, beside the usual ones */
};

struct milter;

/* An answer to what was asked; NULL: the connection is over. */
typedef void milter_answered(void *ctx, const struct milter_answer *answer);

/* It is ready (or, on false, never will be). */
typedef void milter_opened(void *ctx, bool is_open);

struct milter *milter_new(struct child *child,
    const struct milter_settings *settings, void *ctx);
void milter_free(struct milter **milter);

bool milter_is_open(const struct milter *milter);
void milter_open(struct milter *milter, milter_opened *opened);

/* Good while it is open. */
const struct milter_options *milter_agreed(const struct milter *milter);

/* Commands are written here. */
struct buf *milter_out(struct milter *milter);

/* Send what was written; there is room for more when it is not full. */
void milter_tell(struct milter *milter);
bool milter_is_full(const struct milter *milter);
void milter_drained(struct milter *milter, void (*drained)(void *ctx));

void milter_ask(struct milter *milter, enum milter_event event,
    milter_answered *answered);

/* Why it is over, for the log. */
const char *milter_problem(const struct milter *milter);

#endif
