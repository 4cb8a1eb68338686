/* SPDX-License-Identifier: ISC */
/*
 * sig_int: one signature field (DKIM-Signature, ARC-Message-Signature,
 * ARC-Seal): what it says, its key, and whether it holds.
 *
 * sig_new() never fails: a field that cannot be used has a result other than
 * MAILAUTH_NONE at once, with the reason, and nothing is asked for it.
 */
#ifndef MAILAUTH_SIG_INT_H
#define MAILAUTH_SIG_INT_H

#include "mail/header.h"
#include "mailauth/answers.h"
#include "mailauth/canon.h"
#include "mailauth/dkim_key.h"
#include "mailauth/result.h"
#include "mailauth/tags.h"

struct mailauth_message;

#define SIG_NAMES_MAX 1000U	/* entries of h= */
#define SIG_CLOCK_DRIFT_S 300

enum sig_kind {
	SIG_DKIM,
	SIG_AMS,
	SIG_AS,
};

struct sig {
	enum sig_kind kind;
	const struct header_field *field;
	struct tags tags;
	enum mailauth_result result;	/* NONE: still to be found out */
	struct str reason;
	enum dkim_algorithm algorithm;
	enum canon header_canon;
	enum canon body_canon;
	uint64_t body_limit;		/* BODY_WHOLE without l= */
	struct str domain;		/* A-labels, lower case */
	struct str selector;
	struct str identity;		/* i= of DKIM, or "@domain" */
	bool is_identity_exact;		/* its domain is d=, no subdomain */
	struct str names;		/* h= */
	struct str body_hash;		/* bh=, decoded */
	struct str signature;		/* b=, decoded */
	struct str signature_text;	/* b= without blanks */
	unsigned instance;		/* i= of ARC */
	enum mailauth_result chain;	/* cv= of ARC-Seal */
	uint64_t made_s;		/* 0: not said */
	uint64_t expires_s;		/* UINT64_MAX: not said */
	struct str key_name;
	unsigned key_bits;
	bool is_testing;
};

struct sig *sig_new(struct arena *arena, const struct header_field *field,
    enum sig_kind kind);

/* Is there an answer about its key? Otherwise it is noted as wanted. */
bool sig_ask(const struct sig *sig, struct answers *answers);

/* i= or cv= of an ARC field; 0: none that RFC 8617 allows. */
unsigned sig_instance(struct str value);

/* Append the field as it is hashed: without what b= holds, and without its
 * last line end. */
void sig_put_unsigned(struct buf *buf, enum canon canon, struct str raw,
    size_t from, size_t to);

/* The hash that a DKIM-Signature or ARC-Message-Signature signs. */
void sig_header_digest(const struct mailauth_message *message,
    struct str names, enum canon canon, struct str unsigned_field,
    unsigned char *digest_r);

/* Offsets of what b= holds in the raw field. */
void sig_hole(const struct sig *sig, size_t *from_r, size_t *to_r);

/*
 * A whole DKIM-Signature or ARC-Message-Signature, whose answer is there: the
 * result, put into sig too. now_s: the clock.
 */
enum mailauth_result sig_verify(struct sig *sig,
    const struct mailauth_message *message, struct answers *answers,
    int64_t now_s);

/* Only key and signature over a digest: for ARC-Seal. The reason may be in
 * arena. */
enum mailauth_result sig_verify_digest(struct sig *sig, struct arena *arena,
    struct answers *answers, const unsigned char *digest);

#endif
