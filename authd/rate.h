/* SPDX-License-Identifier: ISC */
/*
 * rate: failed logins of each source network (/32 or /56), or of each login
 * name, in the period under way.
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

struct rate *rate_new(uint64_t max, uint64_t period_ms);
void rate_free(struct rate **rate);
void rate_set_max(struct rate *rate, uint64_t max);

/* Count an attempt; false (and not counted): too many have failed. */
bool rate_begin(struct rate *rate, struct str remote);
void rate_succeeded(struct rate *rate, struct str remote);

/* The same by name. */
bool rate_begin_name(struct rate *rate, struct str name);
void rate_succeeded_name(struct rate *rate, struct str name);

/* May the next one begin? Counts nothing. */
bool rate_allows_name(struct rate *rate, struct str name);

/* The network of an address, as octets; empty for what is no IP address. */
#define RATE_NETWORK_OCTETS 16
struct str rate_network(struct str remote,
    unsigned char octets[RATE_NETWORK_OCTETS]);

#endif
