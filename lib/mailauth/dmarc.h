/* SPDX-License-Identifier: ISC */
/*
 * dmarc: does an authenticated name stand behind the From: that people see,
 * and what does that name's owner want done when none does?
 *
 * The easy case: From: alice@example.org, signed with d=example.org, and
 * _dmarc.example.org says p=reject. The names are equal: pass.
 *
 * A hard case: From: news@a.b.example.org, signed with d=mail.example.org,
 * nothing at _dmarc.a.b.example.org. The tree walk asks for records at
 * a.b.example.org, b.example.org, example.org and org at once and finds one
 * at example.org: the organizational domain of From:, whose sp= is the
 * policy. mail.example.org lies below it and is walked too; it comes to
 * example.org as well: aligned, pass.
 *
 * Two methods. DMARC_TREE_WALK is the successor's (draft-ietf-dmarc-dmarcbis,
 * RFC 9989): sp=, np=, psd=, t=, no pct=. DMARC_PSL is RFC 7489: the public
 * suffix list, sp=, pct=. Both take records leniently: what is not as it
 * should be has its default, of a tag that stands twice the first counts.
 *
 * Lifetime.   dmarc_check() until MAILAUTH_DONE; the result lives in the
 *             arena. Nothing is allocated there before that.
 * Ownership.  The input is the caller's.
 * Units.      Names are A-labels.
 * Errors.     As a result: temperror when the DNS fails where it matters or
 *             an aligned name's own check ended so; permerror when From: does
 *             not name exactly one domain (what then happens is local
 *             policy: no disposition is wanted).
 * Blocking.   Never.
 * RFC.        RFC 7489 sections 3.1, 6.3, 6.6; RFC 9989.
 */
#ifndef MAILAUTH_DMARC_H
#define MAILAUTH_DMARC_H

#include "mailauth/answers.h"
#include "mailauth/psl.h"
#include "mailauth/result.h"

#define DMARC_WALK_MAX 8U	/* questions of one tree walk */

/* In the order of their strength. Stored: numbers are never given again. */
enum dmarc_policy {
	DMARC_P_NONE,
	DMARC_P_QUARANTINE,
	DMARC_P_REJECT,
	DMARC_POLICY_COUNT
};

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

/* A tag that asks for a policy. */
struct dmarc_request {
	bool is_there;
	bool is_valid;
	enum dmarc_policy policy;	/* DMARC_P_NONE unless valid */
};

struct dmarc_record {
	struct dmarc_request p;
	struct dmarc_request sp;
	struct dmarc_request np;
	bool is_dkim_strict;	/* adkim=s */
	bool is_spf_strict;	/* aspf=s */
	bool is_testing;	/* t=y */
	enum dmarc_psd psd;
	unsigned pct;		/* 0 to 100 */
	/* As they stand there; p NULL: not there. */
	struct str fo;
	struct str rf;
	struct str ri;
	struct str rua;
	struct str ruf;
};

/* What SPF or one signature came to. */
struct dmarc_identity {
	struct str domain;	/* p NULL: there was none */
	enum mailauth_result result;
};

enum dmarc_method { DMARC_TREE_WALK, DMARC_PSL };

struct dmarc_input {
	enum dmarc_method method;
	const struct psl *psl;		/* for DMARC_PSL */
	/* The domains of all addresses of From:. */
	const struct str *from;
	size_t from_count;
	/* No From:, several of them, or one that readers could take for
	 * another (mail/address.h, address_from()). */
	bool is_from_broken;
	/* Of MAIL FROM, for the null sender of HELO. */
	struct dmarc_identity spf;
	const struct dmarc_identity *dkim;
	size_t dkim_count;
	unsigned sample;		/* a random number under 100: pct= */
};

#define DMARC_NO_SIGNATURE ((size_t)-1)

struct dmarc_result {
	/* none (no record), pass, fail, temperror, permerror */
	enum mailauth_result result;
	enum dmarc_policy policy;	/* as published for this From: */
	/* What the owner wants done with this message: nothing when it did
	 * not fail; the next weaker policy while it is only tested (t=y) or
	 * when pct= leaves the message out. */
	enum dmarc_policy disposition;
	bool is_testing;
	bool is_sampled_out;
	struct str from_domain;		/* p NULL: not one */
	struct str org_domain;		/* p NULL: no record, or not known */
	struct str record_domain;	/* whose record it is; p NULL: none */
	struct dmarc_record record;
	bool is_spf_aligned;		/* and SPF passed */
	size_t dkim_aligned;		/* the first that passed, an index */
	struct str problem;		/* for the log; ASCII */
};

enum mailauth_step dmarc_check(struct arena *arena,
    const struct dmarc_input *input, struct answers *answers,
    struct dmarc_result *result_r);

/* A record; ERR_NOTFOUND for text that is none. Views of text. */
int dmarc_record_parse(struct str text, struct dmarc_record *record_r);

/* "none", "quarantine", "reject" */
const char *dmarc_policy_name(enum dmarc_policy policy);

#endif
