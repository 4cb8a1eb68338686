/* SPDX-License-Identifier: ISC */
/*
 * days: how long each domain's quarantine keeps mail. directoryd is asked
 * whenever it matters, so that a change holds for what is already there; what
 * it said last counts while it does not answer, and before that the preset,
 * which is also that of domains that are not (any more) served here.
 *
 * Lifetime.   days_new() -> days_ask() -> days_of().
 * Ownership.  Names are copied.
 * Units.      Days.
 * Errors.     ERR_TEMP: not all could be asked.
 * Blocking.   Never.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_DAYS_H
#define QUARANTINE_DAYS_H

#include "ipc/ipc.h"

#define QUARANTINE_DAYS 14U
#define QUARANTINE_DAY_S 86400

struct days;

struct days *days_new(struct ipc_link *directory);

/* Ask about domains; then done(ctx, code), never from inside. */
void days_ask(struct days *days, const struct str *domains, size_t len,
    void (*done)(void *ctx, int code), void *ctx);

unsigned days_of(const struct days *days, struct str domain);

#endif
