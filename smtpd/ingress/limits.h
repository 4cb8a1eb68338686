/* SPDX-License-Identifier: ISC */
/*
 * limits: how much one account may send: messages an hour, recipients a day.
 * A stolen password then does bounded harm, and its owner's inbound mail goes
 * on. Each smtpd process counts for itself; a restart forgets.
 *
 * Lifetime.   limits_new() -> limits_message(), limits_recipient() ->
 *             limits_free().
 * Units.      Monotonic time.
 * Blocking.   Never. At most LIMITS_ACCOUNTS_MAX accounts are counted; when
 *             there are more, those that sent nothing for a day go first.
 */
#ifndef INGRESS_LIMITS_H
#define INGRESS_LIMITS_H

#include "base/str.h"

#define LIMITS_ACCOUNTS_MAX 100000

struct limits;

struct limits *limits_new(uint64_t messages_hour, uint64_t recipients_day);
void limits_free(struct limits **limits);
void limits_set(struct limits *limits, uint64_t messages_hour,
    uint64_t recipients_day);

/* Count one; false (and not counted): the account has had its share. */
bool limits_message(struct limits *limits, uint64_t account);
bool limits_recipient(struct limits *limits, uint64_t account);

#endif
