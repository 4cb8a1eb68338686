/* SPDX-License-Identifier: ISC */
/*
 * sender: who a message says it is from, as a person reads it: display names
 * that show another address or our own name, domains that look like others,
 * answers that go elsewhere.
 *
 * Lifetime.   sender_look() notes into the report.
 * Ownership.  None.
 * Units.      -
 * Errors.     None: a From that cannot be read shows nothing.
 * Blocking.   Never. Time is linear in the header.
 * Process.    scan worker.
 */
#ifndef ATTACK_SENDER_H
#define ATTACK_SENDER_H

#include "filterd/attack/lookalike.h"
#include "filter/traits.h"

#define SENDER_NAMES_MAX 1000U

struct sender_known {
	struct lookalike *domains;	/* ours and partners'; NULL: none */
	/* Names that stand for us: the organization, its brands, people whom
	 * orders come from; UTF-8. At most SENDER_NAMES_MAX are compared. */
	const struct str *names;
	size_t names_len;
};

/* The header block of a message. */
void sender_look(const struct sender_known *known, struct str header,
    struct attack_report *report);

#endif
