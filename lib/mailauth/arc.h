/* SPDX-License-Identifier: ISC */
/*
 * arc: what hosts that passed a message on say they found out about it, each
 * sealing what those before it said.
 *
 * Verifying. NONE: there is no chain. PASS: every set from 1 to the newest is
 * there once, the newest ARC-Message-Signature holds and so do all seals.
 * Everything else is FAIL for good, a silent DNS included (RFC 8617 section
 * 5.2.1). A chain that passes says who sealed it, not that the sealers are to
 * be believed: that is the caller's decision, from sets.
 *
 * Sealing is three steps, since the seal signs the message signature:
 *
 *     sealing = arc_seal_begin(..., digest)    sign digest
 *     arc_seal_message(sealing, signature, digest)    sign digest
 *     arc_seal_end(sealing, signature, out)
 *
 * A hard case: a chain that fails is sealed once more with cv=fail, over the
 * new set alone, since what was there may be ambiguous; and never again after
 * that.
 *
 * Lifetime.   Results and sealings live as long as the message.
 * Ownership.  As the message.
 * Units.      Instances from 1 to 50.
 * Errors.     ERR_DENIED: there may be no more sets. ERR_SYNTAX as in
 *             mailauth/dkim.h.
 * Blocking.   Never.
 * RFC.        8617.
 */
#ifndef MAILAUTH_ARC_H
#define MAILAUTH_ARC_H

#include "mailauth/answers.h"
#include "mailauth/dkim_key.h"
#include "mailauth/message.h"
#include "mailauth/result.h"

#define ARC_SETS_MAX 50U

struct arc_set {
	struct str domain;		/* of its seal: d= */
	struct str selector;
	struct str results;		/* its ARC-Authentication-Results after
					   "i=N;": folded and hostile */
};

struct arc_result {
	enum mailauth_result result;	/* NONE, PASS, FAIL */
	struct str reason;		/* our words; or empty */
	unsigned instance;		/* the highest that stands there */
	bool may_seal;			/* neither cv=fail nor 50 sets yet */
	bool is_temporary;		/* FAIL since the DNS gave no answer */
	bool has_oldest_pass;		/* PASS, and it was found out: */
	unsigned oldest_pass;		/* the first set since which nothing
					   changed; 0: nothing ever did */
	struct arc_set sets[ARC_SETS_MAX];	/* when PASS: by instance - 1 */
};

/* WAIT: all keys that are missing have been noted as wanted. */
enum mailauth_step arc_verify(const struct mailauth_message *message,
    struct answers *answers, int64_t now_s, struct arc_result *result_r);

/* Only what stands there, without checking it: instance and may_seal; result
 * is NONE. */
void arc_look(const struct mailauth_message *message,
    struct arc_result *result_r);

struct arc_seal {
	struct str domain;
	struct str selector;
	enum dkim_algorithm algorithm;
	int64_t now_s;
	struct str names;		/* h= of the message signature; empty:
					   what ought to be signed */
	struct str results;		/* "mx.example.org; spf=pass ...": see
					   authres_put_payload() */
	bool has_long_lines;		/* no blank in any value: as the
					   published suite signs */
};

struct arc_sealing;

/* The message was read with mailauth_message_want(RELAXED). chain: what
 * arc_verify() said. */
struct arc_sealing *arc_seal_begin(const struct mailauth_message *message,
    const struct arc_result *chain, const struct arc_seal *seal,
    unsigned char digest_r[MAILAUTH_HASH_OCTETS], struct err *err);

/* signature: of the first digest. */
void arc_seal_message(struct arc_sealing *sealing, struct str signature,
    unsigned char digest_r[MAILAUTH_HASH_OCTETS]);

/* signature: of the second. Appends ARC-Seal, ARC-Message-Signature and
 * ARC-Authentication-Results, which go to the top of the message. */
void arc_seal_end(struct arc_sealing *sealing, struct str signature,
    struct buf *out);

#endif
