/* SPDX-License-Identifier: ISC */
/*
 * mta_sts: the record that announces a domain's MTA-STS policy, and the
 * policy. Both come from strangers.
 *
 * Lifetime.   Results are views of the input; the list of patterns lives in
 *             the arena.
 * Units.      Seconds.
 * Errors.     ERR_SYNTAX: to be treated as if there were none (RFC 8461
 *             section 3.1, 3.2). ERR_LIMIT over MTA_STS_MX_MAX patterns.
 * Blocking.   Never.
 * RFC.        RFC 8461 sections 3.1, 3.2, 4.1.
 */
#ifndef PROTO_MTA_STS_H
#define PROTO_MTA_STS_H

#include "base/arena.h"

#define MTA_STS_MX_MAX 256
#define MTA_STS_AGE_MAX_S 31557600
#define MTA_STS_POLICY_MAX (48U << 10)

enum mta_sts_mode { MTA_STS_NONE, MTA_STS_TESTING, MTA_STS_ENFORCE };

struct mta_sts_policy {
	enum mta_sts_mode mode;
	uint64_t max_age_s;
	struct str *mx;
	size_t mx_len;
};

/* Does this TXT record claim to be one (several: there is none)? */
bool mta_sts_is_record(struct str txt);

/* "v=STSv1; id=20160831085700Z;" */
int mta_sts_record(struct str txt, struct str *id_r, struct err *err);

int mta_sts_policy(struct arena *arena, struct str body,
    struct mta_sts_policy *policy_r, struct err *err);

/* Our own policy: one MX host, a week. */
struct buf;
void mta_sts_put_policy(struct buf *out, enum mta_sts_mode mode,
    struct str mx);

/* "enforce"; ERR_SYNTAX. */
int mta_sts_mode_of(struct str text, enum mta_sts_mode *mode_r);

/* May mail go to this MX host? "*." stands for exactly one label. */
bool mta_sts_allows(const struct mta_sts_policy *policy, struct str host);

#endif
