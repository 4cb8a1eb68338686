/* SPDX-License-Identifier: ISC */
/*
 * subject: the base subject, by which SORT and THREAD compare messages.
 *
 * The value is decoded and folded (text_fold()) first, so that "Ｒｅ：" is
 * "re:"; then "re:", "fwd:", "[list]" and "(fwd)" go away as the RFC says.
 *
 * Ownership.  The base is in the caller's arena.
 * Errors.     None: an odd subject is its own base.
 * Blocking.   Never.
 * RFC.        RFC 5256 section 2.1.
 */
#ifndef MAIL_SUBJECT_H
#define MAIL_SUBJECT_H

#include "base/arena.h"

/* value: a raw Subject field. True: it says that it is a reply or forward. */
bool subject_base(struct arena *arena, struct str value, struct str *base_r);

#endif
