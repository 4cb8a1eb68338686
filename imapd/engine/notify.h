/* SPDX-License-Identifier: ISC */
/*
 * notify: what a client has asked to be told without asking (RFC 5465).
 *
 * Easy case: NOTIFY SET (SELECTED (MessageNew MessageExpunge)): between
 * commands the selected mailbox's changes are told as IDLE tells them.
 *
 * Hard case: other mailboxes. What they were like when last told is kept
 * here, by id; when the account has changed, each is compared, and STATUS,
 * or LIST with an OLDNAME, is said for what differs and was asked for. A
 * mailbox belongs to the first group that fits it.
 *
 * Lifetime.   notify_new() -> notify_tell()* -> notify_free().
 * Ownership.  The command's groups are copied.
 * RFC.        RFC 5465.
 */
#ifndef IMAPD_NOTIFY_H
#define IMAPD_NOTIFY_H

#include "imapd/engine/engine_int.h"

struct notify;

struct notify *notify_new(const struct imap_notify *asked,
    struct store *store);
void notify_free(struct notify **notify);

/* Events of the selected mailbox (enum imap_notify_event); 0: none. */
unsigned notify_selected(const struct notify *notify, bool *is_delayed_r);

/* What is fetched of new messages there, "(...)"; empty: nothing. */
struct str notify_items(const struct notify *notify);

/* Is it of the selected mailbox alone? */
bool notify_is_small(const struct notify *notify);

/* STATUS of all others that are watched. */
void notify_put_all(const struct notify *notify, struct imap_session *s);

/* What is new of the others. */
void notify_tell(struct notify *notify, struct imap_session *s);

#endif
