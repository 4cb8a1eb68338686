/* SPDX-License-Identifier: ISC */
/*
 * message: the octets between DATA and its answer.
 *
 * Story. blobd makes a file; then 354 (BDAT: the first chunk is read). The octets stream through the unframer
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

/*
 * The first BDAT, and the next ones. Each chunk is answered; the last one as
 * the end of data is. A chunk that is refused (code not 0, or an earlier
 * failure) is read and dropped, then the refusal is said and the transaction
 * is over.
 */
void message_begin_chunked(struct session *session, uint64_t octets,
    bool is_last, unsigned code, const char *why);
void message_chunk(struct session *session, uint64_t octets, bool is_last);
bool message_is_between_chunks(const struct message *message);

/* Forget a message whose chunks are not all there (RSET, EHLO, the end). No
 * call may be under way. */
void message_abort(struct session *session);

/* True between 354 (BDAT) and the end of data (of the chunk). NULL: false. */
bool message_wants_input(const struct message *message);

/* Take what is in the connection's input. False: nothing was there. */
bool message_input(struct message *message);

/* The connection is over: no answer is wanted. NULL is allowed. */
void message_client_gone(struct message *message);

#endif
