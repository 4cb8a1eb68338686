/* SPDX-License-Identifier: ISC */
/*
 * notice: mail that tells the owner of a mailbox how full it is. directoryd
 * says when (DIR_WARN), and is told when the notice is queued (DIR_WARNED);
 * until then it asks again, so that a crash forgets none.
 *
 * Blocking.   As own.h.
 */
#ifndef QUEUE_NOTICE_H
#define QUEUE_NOTICE_H

#include "ipc/ipc.h"
#include "smtpd/queue/deliver.h"

/* The header of a notice to address, the empty line included. subject: UTF-8;
 * the text below it is 8-bit. */
void notice_put_head(struct buf *buf, const struct deliver_env *env,
    struct str address, struct str subject);

/* A DIR_WARN frame. */
void notice_quota(const struct deliver_env *env, struct ipc_in *in);

#endif
