/* SPDX-License-Identifier: ISC */
/*
 * message: a message that is read once for all its signatures. The header is
 * kept; the body is hashed while it streams by, in each form that some
 * signature asks for, and not kept.
 *
 * Easy case: one DKIM-Signature, relaxed: one canonical form, one hash. Hard
 * case: ten signatures with different l=: two canonical forms at the most,
 * each made once, and a hash for each length.
 *
 * Lifetime.   mailauth_message_new() -> mailauth_message_want()* ->
 *             mailauth_message_feed()* -> mailauth_message_end() ->
 *             dkim_verify(), arc_verify(), dkim_sign_begin(), ... ->
 *             mailauth_message_free().
 * Ownership.  What is fed is copied or hashed. Results of evaluations are in
 *             the arena given to those, or views into this.
 * Units.      Octets, lines with CRLF. At most DKIM_SIGNATURES_MAX
 *             DKIM-Signature fields are looked at, the topmost ones.
 * Errors.     ERR_LIMIT: header over 2 MB.
 * Blocking.   Never.
 * RFC.        6376 sections 3.7, 6.1.
 */
#ifndef MAILAUTH_MESSAGE_H
#define MAILAUTH_MESSAGE_H

#include "mailauth/canon.h"

#define DKIM_SIGNATURES_MAX 10U
#define MAILAUTH_HASH_OCTETS 32U	/* SHA-256 */

struct mailauth_message;

struct mailauth_message *mailauth_message_new(void);
void mailauth_message_free(struct mailauth_message **message);

/* Hash the body in that form too: for who is going to sign. Before the first
 * octet. */
void mailauth_message_want(struct mailauth_message *message,
    enum canon canon);

int mailauth_message_feed(struct mailauth_message *message, const void *data,
    size_t len, struct err *err);

/* The message is over. */
void mailauth_message_end(struct mailauth_message *message);

/* Its header, with the empty line if there was one. */
struct str mailauth_message_header(const struct mailauth_message *message);

#endif
