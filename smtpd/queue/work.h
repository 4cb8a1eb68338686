/* SPDX-License-Identifier: ISC */
/*
 * work: one item while it is being worked on; what the files route.c,
 * local.c, away.c, keep.c, outcome.c and bounce.c share.
 *
 * Story. deliver.c asks route.c where each waiting recipient leads. A
 * recipient that leads elsewhere by a forward is replaced by a row of its
 * own, durably, before anything is sent, so that a repetition sends nothing
 * twice. Then local.c (mailboxes) and away.c (other hosts) work beside each
 * other; what goes into the quarantine is keep.c's alone. Each tells outcome.c what became of a recipient, which is written in
 * the commit of that round. When both are through, bounce.c reports to the
 * sender what he is to hear, and the item is removed or gets its next try.
 *
 * Lifetime.   From deliver_item() to its done callback.
 * Ownership.  Everything is in the arena.
 */
#ifndef QUEUE_WORK_H
#define QUEUE_WORK_H

#include "base/table.h"
#include "smtpd/queue/deliver.h"

/* One account a recipient leads to. */
struct target {
	uint64_t account;
	struct str address;
	uint64_t result;	/* enum mbox_result */
	struct str reason;
};

/* recipient index -> target index */
struct edge {
	size_t rcpt;
	size_t target;
};

/* Another address a recipient leads to. */
struct elsewhere {
	size_t rcpt;
	struct str address;
};

struct work {
	const struct deliver_env *env;
	struct arena *arena;
	struct queue_item item;
	int blob_fd;
	deliver_done *done;
	void *ctx;
	struct str trace;		/* Return-Path and the item's own */
	struct str grant;		/* for jobs elsewhere; see away.c */
	bool has_grant;
	bool is_junk;			/* so says the verdict */
	bool is_quarantined;		/* the same */
	bool is_for_admin;		/* who decides about that */

	/* route.c */
	bool *is_routed;		/* per recipient */
	struct str *refusals;		/* p NULL: not refused */
	bool *is_away;			/* goes to its own address elsewhere */
	struct edge *edges;
	size_t edges_len;
	size_t edges_cap;
	struct target *targets;
	size_t targets_len;
	size_t targets_cap;
	struct elsewhere *elsewhere;
	size_t elsewhere_len;
	size_t elsewhere_cap;
	struct table *by_account;	/* account -> target index + 1 */
	size_t next;			/* recipient or target to ask about */
	size_t asked_from;
	size_t asked_to;
	bool has_progress;

	size_t parts;			/* frames and jobs under way */
	bool is_blocked;		/* the item will be woken */
	int64_t not_before_s;		/* a dead destination's, or 0 */
	bool is_tried;			/* something was really tried */
};

/* A growing array in an arena. */
void *work_grown(struct arena *arena, void *old, size_t len, size_t size,
    size_t *cap);

bool work_rcpt_waits(const struct queue_rcpt *rcpt);

/* The blob's descriptor, opened when it is first needed; -1: unreadable. */
int work_blob(struct work *work);

/* route.c: ends in work_routed(), or in work_fail(). */
void work_route(struct work *work);
void work_routed(struct work *work);

/* All that waits is deferred for this reason. */
void work_fail(struct work *work, const char *reason);

/* local.c, away.c: start; each part that ends calls work_part_done(). */
void work_local(struct work *work);
void work_away(struct work *work);
void work_part_done(struct work *work);

/* keep.c: into the quarantine, instead of both. */
void work_keep(struct work *work);

/* outcome.c: of recipient number i. */
struct outcome {
	const char *status;
	struct str reason;
	struct str remote;
};
void outcome_delivered(struct work *work, size_t i);
void outcome_relayed(struct work *work, size_t i, struct str remote,
    bool has_dsn);
void outcome_deferred(struct work *work, size_t i, const struct outcome *why);
void outcome_failed(struct work *work, size_t i, const struct outcome *why);

/* The quarantine answers for it. Whoever is to hear of that, the recipient or
 * an administrator, is told here, in the same commit. */
void outcome_kept(struct work *work, size_t i);

/* Nothing of the recipient is left. */
void outcome_gone(struct work *work, size_t i);

/* bounce.c: report what is due, then call work_bounced(). */
void work_bounce(struct work *work);
void work_bounced(struct work *work, bool is_ok);

#endif
