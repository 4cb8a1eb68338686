/* SPDX-License-Identifier: ISC */
/*
 * job: one message for recipients of one domain, from RELAY_JOB to
 * RELAY_DONE.
 *
 * Story. The domain's next hops are tried in order. At the first that is
 * ready, the recipients are sent in transactions of up to 100; what it takes
 * or refuses for good is told to queued at once. Recipients that it puts off
 * are tried once more at the next host; what is left then is told as "try
 * again" with the last reason heard.
 *
 * Lifetime.   job_push() makes them; they end by themselves, or all at once
 *             when queued is gone (it will send them again).
 * Ownership.  The relay's list holds them.
 * Blocking.   Never.
 */
#ifndef RELAY_JOB_H
#define RELAY_JOB_H

#include "smtpd/relay/relay.h"

#define JOB_SESSIONS_MAX 2	/* hosts that a recipient is told to */
#define JOB_RCPTS_MAX 10000

/* A push of queued: RELAY_JOB or RELAY_JOB_RCPTS. */
void job_push(struct relay *relay, unsigned type, struct ipc_in *in);

/* Forget all jobs, results and all. */
void job_drop_all(struct relay *relay);

/* Forget those that no host is being told about. */
void job_drop_idle(struct relay *relay);

#endif
