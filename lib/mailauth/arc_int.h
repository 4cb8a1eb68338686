/* SPDX-License-Identifier: ISC */
/*
 * arc_int: the sets of a chain by instance, and how seals are hashed.
 */
#ifndef MAILAUTH_ARC_INT_H
#define MAILAUTH_ARC_INT_H

#include "mailauth/arc.h"
#include "mailauth/message_int.h"

struct arc_chain_set {
	const struct header_field *aar;
	struct sig *ams;
	struct sig *as;
	struct str results;
};

struct arc_chain {
	struct arc_chain_set sets[ARC_SETS_MAX + 1];	/* by instance */
	unsigned highest;
	bool is_odd;		/* a set without number, or a field twice */
};

void arc_chain_init(struct arc_chain *chain,
    const struct mailauth_message *message);

/* A field in its relaxed form, with its line end. */
void arc_hash_field(EVP_MD_CTX *md, struct str raw);

/* A set, in the order of RFC 8617 section 5.1.1, as far as it is there. */
void arc_hash_set(EVP_MD_CTX *md, const struct arc_chain_set *set);

#endif
