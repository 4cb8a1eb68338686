/* SPDX-License-Identifier: ISC */
/*
 * substitute: what a message is made of when notices stand in the place of
 * some of its attachments: texts of ours, and ranges of the message between
 * them, octet for octet.
 *
 * Ownership.  Texts live in the arena.
 * Units.      Octets of the blob.
 * Errors.     ERR_TEMP: a header cannot be read, or is too large.
 * Blocking.   Reads headers of the blob.
 * Process.    smtpd. The message and the verdict's numbers are hostile.
 * RFC.        2045, 2183.
 */
#ifndef INGRESS_SUBSTITUTE_H
#define INGRESS_SUBSTITUTE_H

#include "filter/verdict.h"
#include "mail/view.h"

struct substitution {
	const struct mail_summary *summary;	/* of the blob, by us */
	const struct mail_view *view;		/* of the blob, no trace */
	const struct verdict *verdict;		/* names the parts */
	struct arena *arena;
	bool is_japanese;	/* somebody reads it */
	bool is_english;
};

/* Are they all attachments, in their order and each once, so that what stands
 * between them is written once? */
bool substitute_can(const struct mail_summary *summary,
    const struct verdict *verdict);

/* A text; p NULL: len octets of the blob from at, which may be none. */
typedef void substitute_put(void *ctx, struct str text, uint64_t at,
    uint64_t len);

/* What the message is made of, in its order. substitute_can() has said yes. */
int substitute(const struct substitution *s, substitute_put *put, void *ctx);

#endif
