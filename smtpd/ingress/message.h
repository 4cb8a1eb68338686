/* SPDX-License-Identifier: ISC */
/*
 * message: the octets between DATA and its answer.
 *
 * Story. blobd makes a file; then 354. The octets stream through the unframer
 * (strict ends), hygiene (fields only we may write), into the file and past
 * the MIME scanner. At the end the checks that need the whole message are
 * made, the file is sealed, queued takes it, and the client hears 250 with
 * the queue's id. Whatever fails on the way is remembered and answered at the
 * end: the rest of the data is swallowed, never run as commands.
 *
 * Lifetime.   message_begin() -> message_input()* -> answers the client and
 *             frees itself.
 * Blocking.   Writes to a local file.
 */
#ifndef INGRESS_MESSAGE_H
#define INGRESS_MESSAGE_H

#include "smtpd/ingress/session.h"

void message_begin(struct session *session);

/* True between 354 and the end of data. NULL: false. */
bool message_wants_input(const struct message *message);

/* Take what is in the connection's input. False: nothing was there. */
bool message_input(struct message *message);

/* The connection is over: no answer is wanted. NULL is allowed. */
void message_client_gone(struct message *message);

#endif
