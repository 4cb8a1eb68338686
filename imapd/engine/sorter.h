/* SPDX-License-Identifier: ISC */
/*
 * sorter: messages in the order that SORT asks for.
 *
 * Lifetime.   sorter_new() -> sorter_add()* -> sorter_step()* until true ->
 *             sorter_numbers() -> sorter_free().
 * Units.      Message numbers.
 * Errors.     sorter_add(): ERR_LIMIT over 64 MiB of keys.
 * RFC.        RFC 5256 sections 2.2 and 3, RFC 5957.
 */
#ifndef IMAPD_SORTER_H
#define IMAPD_SORTER_H

#include "imapd/engine/message.h"
#include "proto/imap_parse.h"

struct sorter;

struct sorter *sorter_new(const struct imap_search *search);
void sorter_free(struct sorter **sorter);

/* Are summaries needed? */
bool sorter_needs_summary(const struct imap_search *search);

/* m has its row and summary when they are needed. Numbers rise. */
int sorter_add(struct sorter *sorter, uint32_t number,
    const struct store_msg *msg, const struct imap_message *m);

bool sorter_step(struct sorter *sorter);

/* In their order; until sorter_free(). */
const uint32_t *sorter_numbers(struct sorter *sorter, size_t *count_r);

/* When a message was sent: Date, else INTERNALDATE (section 2.2). */
int64_t sorter_sent_s(const struct store_msg *msg,
    const struct mail_summary *summary);

#endif
