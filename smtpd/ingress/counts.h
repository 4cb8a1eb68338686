/* SPDX-License-Identifier: ISC */
/*
 * counts: what became of a message, for the figures: by the domains of its
 * recipients (of an account's message: the sender's), and for the
 * installation as a whole.
 *
 * Blocking.   Never.
 * Process.    smtpd.
 */
#ifndef INGRESS_COUNTS_H
#define INGRESS_COUNTS_H

#include "smtpd/ingress/message_int.h"

/* The message is answered with code. */
void counts_message(const struct message *message, unsigned code);

/* A recipient is refused in the dialogue; is_ours: its domain is. */
void counts_recipient(const struct session *session, struct str address,
    bool is_ours);

/* A stage of the message's way is over. */
void counts_stage(struct message *message, const char *stage);

#endif
