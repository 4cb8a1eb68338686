/* SPDX-License-Identifier: ISC */
/*
 * session: one MTA that asks us as its mail filter.
 *
 * Story. The MTA connects and negotiates, tells who its client is, then for
 * each message sender, recipients, header and body. All of it is collected in
 * a file in memory; only at the end there is something to say. filterd gets the
 * descriptor and the envelope, as from smtpd, and its verdict becomes answers:
 * the Authentication-Results in front, fields that claim to be ours deleted,
 * a reply, a quarantine. Junk cannot be delivered into a mailbox from here: it
 * gets "X-Spam-Flag: YES".
 *
 * The hard case: no verdict in time. The MTA hears TEMPFAIL, or, where
 * filter_unavailable says accept, CONTINUE, with a line in the log.
 *
 * Lifetime.   session_new() -> frees itself when connection and answers are
 *             over.
 * Units.      Octets, milliseconds.
 * Blocking.   Never.
 * Process.    milterd.
 */
#ifndef FILTERD_MILTER_SESSION_H
#define FILTERD_MILTER_SESSION_H

#include "ipc/figures.h"
#include "ipc/front.h"

struct milterd {
	struct child *child;
	struct front front;
	struct list sessions;
	struct figures *figures;
	struct str hostname;
	uint64_t message_max_octets;
	uint64_t budget_ms;
	bool accepts_unjudged;
	bool delivers_unopened;		/* detonate_unavailable */
	uint64_t next_session;
	bool is_stopping;
};

struct session;

void session_new(struct milterd *milterd, const struct front_seat *seat,
    int fd, bool is_full);

/* Close all, each when nothing of it is being judged. */
void sessions_stop(struct milterd *milterd);

#endif
