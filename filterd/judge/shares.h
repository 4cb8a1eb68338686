/* SPDX-License-Identifier: ISC */
/*
 * shares: how many jobs a network has at work, so that none has them all. A
 * network: an IPv4 address, or the /64 of an IPv6 one.
 *
 * Lifetime.   shares_new() -> (shares_take() -> shares_give())* ->
 *             shares_free().
 * Errors.     None.
 * Blocking.   Never.
 * Process.    filterd.
 */
#ifndef JUDGE_SHARES_H
#define JUDGE_SHARES_H

#include "base/str.h"

struct shares;

struct shares *shares_new(void);
void shares_free(struct shares **shares);

/* One more for the client's network; false: it has max already. A client
 * that is no address ("local") has no limit. */
bool shares_take(struct shares *shares, struct str client, size_t max);

/* One that was taken is done. */
void shares_give(struct shares *shares, struct str client);

#endif
