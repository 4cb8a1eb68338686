/* SPDX-License-Identifier: ISC */
/*
 * structure: ENVELOPE, BODY and BODYSTRUCTURE from a summary.
 *
 * Ownership.  Appends to out; the arena holds what is unfolded on the way.
 * Errors.     buf_failed().
 * Blocking.   Never. Depth is the summary's (50).
 * RFC.        3501 section 7.4.2, 9 (envelope, body).
 */
#ifndef IMAPD_STRUCTURE_H
#define IMAPD_STRUCTURE_H

#include "mail/summary.h"

void structure_put_envelope(struct buf *out, const struct mail_envelope *env,
    struct arena *arena);

/* is_extended: BODYSTRUCTURE. */
void structure_put_body(struct buf *out, const struct mail_summary *summary,
    bool is_extended, struct arena *arena);

#endif
