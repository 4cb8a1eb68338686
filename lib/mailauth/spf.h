/* SPDX-License-Identifier: ISC */
/*
 * spf: may this host send mail in this domain's name?
 *
 * The easy case: MAIL FROM:<alice@example.org> from 192.0.2.1. The memo does
 * not know example.org TXT: MAILAUTH_WAIT. The caller asks, puts the answer
 * and calls again: "v=spf1 ip4:192.0.2.0/24 -all" matches, pass.
 *
 * A hard case: the record includes one that includes the first. Each round
 * is a term that asks the DNS; the eleventh ends the check with a permanent
 * error, and that also bounds the depth of includes and redirects. Names
 * that are not there are counted too: the third ends it.
 *
 * What the RFC leaves to us: the queries made for a term are void when the
 * term's own query (not those for the hosts behind an MX or a PTR) finds
 * nothing. Target names that the DNS cannot hold do not exist. Record terms
 * over SPF_TERMS_MAX are a permanent error. While one term waits for its
 * answer, the names of the terms after it are asked as well, as far as the
 * limit of ten allows.
 *
 * Lifetime.   spf_check_*() until MAILAUTH_DONE; the result lives in the
 *             arena. Nothing is allocated there before that.
 * Ownership.  The input is the caller's.
 * Units.      Names are octets without escapes, A-labels.
 * Errors.     As a result: temperror, permerror, with a text for the log.
 * Blocking.   Never.
 * RFC.        RFC 7208.
 */
#ifndef MAILAUTH_SPF_H
#define MAILAUTH_SPF_H

#include "mailauth/answers.h"
#include "mailauth/result.h"

/* RFC 7208 section 4.6.4. */
#define SPF_LOOKUPS_MAX 10U
#define SPF_VOIDS_MAX 2U
#define SPF_HOSTS_MAX 10U	/* names of an MX or PTR answer */

#define SPF_TERMS_MAX 1000U
#define SPF_EXPLANATION_MAX 500U

struct spf_input {
	struct netaddr ip;	/* the client's; ::ffff:0:0/96 is IPv4 */
	struct str helo;
	struct str local;	/* of MAIL FROM, without quotes */
	struct str domain;	/* of MAIL FROM; empty: the null sender */
	struct str receiver;	/* %{r}: our name; empty: "unknown" */
	int64_t now_s;		/* %{t} */
	bool wants_explanation;	/* one more question after a fail */
};

struct spf_result {
	enum mailauth_result result;
	struct str domain;	/* which was checked */
	/* The term that matched (or could not be tried, with temperror and
	 * permerror), as written: "ip4:192.0.2.0/24", "-all". p is NULL when
	 * none did. It stands in the record of record_domain. */
	struct str mechanism;
	struct str record_domain;
	/* What the domain's owner says about a fail: printable ASCII, by a
	 * stranger. p is NULL without. */
	struct str explanation;
	struct str problem;	/* temperror, permerror: for the log; ASCII */
	unsigned lookups;	/* terms that asked the DNS */
	unsigned voids;
};

/* The HELO identity (RFC 7208 section 2.3). */
enum mailauth_step spf_check_helo(struct arena *arena,
    const struct spf_input *input, struct answers *answers,
    struct spf_result *result_r);

/* The MAIL FROM identity; for the null sender postmaster@ the HELO name
 * (section 2.4). */
enum mailauth_step spf_check_mailfrom(struct arena *arena,
    const struct spf_input *input, struct answers *answers,
    struct spf_result *result_r);

#endif
