/* SPDX-License-Identifier: ISC */
/*
 * found: mail that tells people what the scanner has found: the recipients
 * of incoming mail (its sender, of outgoing mail) and the administrators of
 * their domains. A recipient whose attachment was replaced has the notice in
 * the message itself.
 *
 * Easy case.  One infected message: each hears of it, in their language.
 * Hard case.  A thousand in an hour: each hears of the first; the next notice
 *             to them says how many there were since. What is not mailed is
 *             in the log.
 *
 * Lifetime.   found_new() -> found_tell()*, as long as the program.
 * Ownership.  What is told about is copied.
 * Errors.     None: who cannot be told now is logged, and not told.
 * Blocking.   As own.h.
 * Process.    queued.
 */
#ifndef QUEUE_FOUND_H
#define QUEUE_FOUND_H

#include "smtpd/queue/deliver.h"
#include "smtpd/queue/found_text.h"

struct found;

/* is_told: false: nobody is told. */
struct found *found_new(const struct deliver_env *env, bool is_told);
void found_set(struct found *found, bool is_told);

void found_tell(struct found *found, const struct found_event *event);

/* An item that was accepted, if something was found in it. */
void found_item(struct found *found, const struct queue_item *item);

/* An item that did harm when it was opened. */
void found_watched(struct found *found, const struct queue_item *item,
    struct str name);

/* A QUEUE_FOUND frame: of what was refused. */
void found_take(struct found *found, struct ipc_in *in);

#endif
