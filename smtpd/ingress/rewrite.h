/* SPDX-License-Identifier: ISC */
/*
 * rewrite: an edit inside the message: a new blob, with a new summary, in
 * place of the sealed one.
 *
 * What it is to hold is listed first, texts and ranges of the present blob in
 * their order. Then the file is made, written in steps between which others
 * have their turn, and sealed.
 *
 * Lifetime.   rewrite_new() -> rewrite_text(), rewrite_range()* ->
 *             rewrite_run() -> done, once; the rewrite is gone by then.
 * Ownership.  Texts stay the caller's until done. old_r of rewrite_run()
 *             is the caller's: sealed_drop().
 * Units.      Octets of the present blob.
 * Errors.     done's code: 0; ERR_LIMIT: the disk is full; ERR_TEMP. After
 *             an error the message is as it was.
 * Blocking.   Reads and writes of local files, REWRITE_STEP_OCTETS at a time.
 * Process.    smtpd.
 */
#ifndef INGRESS_REWRITE_H
#define INGRESS_REWRITE_H

#include "smtpd/ingress/message_int.h"

#define REWRITE_STEP_OCTETS (256U << 10)

/* Up to the end of the blob. */
#define REWRITE_REST UINT64_MAX

struct rewrite;

typedef void rewrite_done(void *ctx, int code);

struct rewrite *rewrite_new(struct message *message);

/* One that is not run. */
void rewrite_free(struct rewrite *rewrite);

void rewrite_text(struct rewrite *rewrite, struct str text);
void rewrite_range(struct rewrite *rewrite, uint64_t at, uint64_t len);

/* old_r: what the message had before, with its summary; NULL: let it go. The
 * message must stay until done. */
void rewrite_run(struct rewrite *rewrite, struct sealed *old_r,
    rewrite_done *done, void *ctx);

#endif
