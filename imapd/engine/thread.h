/* SPDX-License-Identifier: ISC */
/*
 * thread: messages as trees, by what they answer (REFERENCES) or by subject
 * alone (ORDEREDSUBJECT).
 *
 * Easy case: B names A's Message-ID in References: B stands under A.
 *
 * Hard case: References name messages that are not here: dummies take their
 * places, and vanish again where they hold nothing together; trees whose
 * subjects are the same become one. A forged cycle, or a chain beyond
 * THREAD_DEPTH_MAX, is not linked.
 *
 * Lifetime.   thread_new() -> thread_add()* -> thread_step()* until true ->
 *             thread_put() -> thread_free().
 * Units.      Message numbers, or what the caller's name_of() makes of them.
 * Errors.     thread_add(): ERR_LIMIT over 64 MiB of ids and subjects.
 * RFC.        RFC 5256 section 3 (THREAD algorithms), section 4.
 */
#ifndef IMAPD_THREAD_H
#define IMAPD_THREAD_H

#include "imapd/engine/message.h"
#include "imapd/engine/view.h"

#define THREAD_DEPTH_MAX 1000
#define THREAD_REFERENCES_MAX 50	/* the last ones count */

struct thread;

struct thread *thread_new(enum imap_thread kind);
void thread_free(struct thread **thread);

/* m has its summary. Numbers rise. */
int thread_add(struct thread *thread, uint32_t number,
    const struct store_msg *msg, const struct imap_message *m);

bool thread_step(struct thread *thread);

/* "(2)(3 6 (4 23)(44 7 96))" */
void thread_put(const struct thread *thread, const struct imap_view *view,
    bool is_uid, struct buf *out);

#endif
