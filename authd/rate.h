/* SPDX-License-Identifier: ISC */
/*
 * rate: failed logins of each source network (/32 or /56) in this minute.
 *
 * An attempt is counted when it begins and taken back when it succeeds, so
 * that many at once do not slip through while none has failed yet.
 *
 * Lifetime.   rate_new() -> rate_begin() -> rate_succeeded() or nothing.
 * Units.      Addresses as text; what is no IP address is not limited.
 * Blocking.   Never. At most RATE_SOURCES_MAX sources are kept; when there are
 *             more, all share one count.
 */
#ifndef AUTHD_RATE_H
#define AUTHD_RATE_H

#include "base/str.h"

#define RATE_SOURCES_MAX 100000

struct rate;

struct rate *rate_new(uint64_t max_per_minute);
void rate_free(struct rate **rate);
void rate_set_max(struct rate *rate, uint64_t max_per_minute);

/* Count an attempt; false (and not counted): too many have failed. */
bool rate_begin(struct rate *rate, struct str remote);
void rate_succeeded(struct rate *rate, struct str remote);

#endif
