/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/sts.h"

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "smtpd/relay/dns.h"

#define FETCH_MS 60000
#define FETCH_AGAIN_S 300

/* What is known of a domain. */
struct known {
	struct list node;		/* the longest unused first */
	struct arena *arena;		/* of the policy */
	struct str domain;
	struct str id;
	struct mta_sts_policy policy;
	int64_t expires_s;
	int64_t failed_s;		/* the last fetch; 0: it did not */
	char failed_id[33];
};

struct sts {
	struct relay *relay;
	struct table *known;
	struct list order;
};

struct sts_query {
	struct sts *sts;
	struct arena *arena;
	struct str domain, id;
	uint32_t call;
	struct ipc_link *link;		/* call is pending there */
	sts_done *done;
	void *ctx;
};

/* ---- what is known ---- */

static void
known_free(struct sts *sts, struct known *known)
{
	(void)table_del(sts->known, known->domain);
	list_del(&known->node);
	arena_free(&known->arena);
	free(known);
}

static struct known *
known_get(struct sts *sts, struct str domain)
{
	struct known *known = table_get(sts->known, domain);

	if (known == NULL)
		return NULL;
	list_del(&known->node);
	list_add(&sts->order, &known->node);
	return known;
}

/* With an empty arena: the policy that was there is gone. */
static struct known *
known_put(struct sts *sts, struct str domain)
{
	struct known *known = table_get(sts->known, domain);

	if (known != NULL)
		known_free(sts, known);
	if (table_count(sts->known) >= STS_DOMAINS_MAX)
		known_free(sts, list_entry(sts->order.next, struct known,
		    node));
	known = calloc(1, sizeof(*known));
	invariant(known != NULL);
	known->arena = arena_new(512);
	known->domain = arena_str(known->arena, domain);
	list_add(&sts->order, &known->node);
	(void)table_put(sts->known, known->domain, known);
	return known;
}

static bool
is_live(const struct known *known)
{
	return known != NULL && known->expires_s > when_wall_s();
}

static void
finish(struct sts_query *query)
{
	struct known *known = known_get(query->sts, query->domain);
	sts_done *done = query->done;
	void *ctx = query->ctx;

	query->link = NULL;
	sts_cancel(&query);
	done(ctx, is_live(known) && known->policy.mode != MTA_STS_NONE ?
	    &known->policy : NULL);
}

/* ---- the policy ---- */

static void
fetch_failed(struct sts_query *query, struct str reason)
{
	struct known *known = known_get(query->sts, query->domain);

	ev_warn(NULL, "relay.sts.failed", EV_STR(domain, query->domain),
	    EV_STR(reason, reason),
	    EV_CSTR(detail, is_live(known) ? "the policy we hold stays" :
	    "no policy"));
	if (known == NULL)
		known = known_put(query->sts, query->domain);
	known->failed_s = when_wall_s();
	(void)snprintf(known->failed_id, sizeof(known->failed_id), "%.*s",
	    STR_FMT(query->id));
	finish(query);
}

static void
keep(struct sts_query *query, struct str body)
{
	struct mta_sts_policy policy;
	struct err err = ERR_INIT;
	struct known *known;
	size_t i;

	if (mta_sts_policy(query->arena, body, &policy, &err) != 0) {
		fetch_failed(query, str_of(err_text(&err)));
		return;
	}
	known = known_put(query->sts, query->domain);
	known->id = arena_str(known->arena, query->id);
	known->policy = policy;
	known->policy.mx = arena_alloc(known->arena,
	    (policy.mx_len + 1) * sizeof(*policy.mx));
	for (i = 0; i < policy.mx_len; i++)
		known->policy.mx[i] = arena_str(known->arena, policy.mx[i]);
	known->expires_s = when_wall_s() + (int64_t)policy.max_age_s;
	finish(query);
}

static void
on_fetched(void *ctx, int code, struct ipc_in *in)
{
	struct sts_query *query = ctx;
	struct str type, body, reason;
	uint64_t status;

	query->link = NULL;
	if (code != 0) {
		fetch_failed(query, STR("fetchd did not answer"));
		return;
	}
	status = ipc_get_u64(in);
	type = ipc_get_str(in);
	body = ipc_get_str(in);
	reason = ipc_get_str(in);
	if (status != 200)
		fetch_failed(query, reason.len != 0 ? reason :
		    STR("the answer is not 200"));
	else if (!str_begins_nocase(type, STR("text/plain")))
		fetch_failed(query, STR("the policy is not text/plain"));
	else
		keep(query, body);
}

static void
fetch(struct sts_query *query)
{
	struct ipc_out *out = ipc_begin(query->sts->relay->fetchd, FETCH_GET);
	struct str domain = query->domain;

	ipc_put_str(out, arena_printf(query->arena, "mta-sts.%.*s",
	    STR_FMT(domain)));
	ipc_put_str(out, STR("/.well-known/mta-sts.txt"));
	ipc_put_u64(out, MTA_STS_POLICY_MAX);
	ipc_put_u64(out, FETCH_MS);
	query->link = query->sts->relay->fetchd;
	query->call = ipc_call(out, -1, FETCH_MS + 5000, on_fetched, query);
}

/* ---- the record ---- */

/* The id that the one record among these has; p NULL without. */
static struct str
find_id(struct sts_query *query, const struct dns_answer *answer)
{
	struct str id = STR_NONE, text;
	size_t i, records = 0;

	for (i = 0; i < answer->rdata_len; i++) {
		if (dns_rdata_txt(query->arena, answer->rdata[i], &text,
		    NULL) != 0 || !mta_sts_is_record(text))
			continue;
		records++;
		(void)mta_sts_record(text, &id, NULL);
	}
	return records == 1 ? id : STR_NONE;
}

static bool
is_too_soon(const struct known *known, struct str id)
{
	return known != NULL && known->failed_s != 0 &&
	    when_wall_s() < known->failed_s + FETCH_AGAIN_S &&
	    str_eq(str_of(known->failed_id), id);
}

static void
on_record(void *ctx, int code, struct ipc_in *in)
{
	struct sts_query *query = ctx;
	struct dns_answer answer;
	struct known *known;

	query->link = NULL;
	dns_read(code, in, &answer);
	query->id = find_id(query, &answer);
	if (query->id.p != NULL)
		query->id = arena_str(query->arena, query->id);
	known = known_get(query->sts, query->domain);
	if (query->id.p == NULL || is_too_soon(known, query->id) ||
	    (is_live(known) && str_eq(known->id, query->id)))
		finish(query);
	else
		fetch(query);
}

struct sts_query *
sts_find(struct sts *sts, struct str domain, sts_done *done, void *ctx)
{
	struct sts_query *query = calloc(1, sizeof(*query));

	invariant(query != NULL);
	query->sts = sts;
	query->arena = arena_new(0);
	query->domain = arena_str(query->arena, domain);
	query->done = done;
	query->ctx = ctx;
	query->link = sts->relay->dnsd;
	query->call = dns_ask(sts->relay, arena_printf(query->arena,
	    "_mta-sts.%.*s", STR_FMT(domain)), DNS_T_TXT, on_record, query);
	return query;
}

void
sts_cancel(struct sts_query **query)
{
	if (*query == NULL)
		return;
	if ((*query)->link != NULL)
		ipc_cancel((*query)->link, (*query)->call);
	arena_free(&(*query)->arena);
	free(*query);
	*query = NULL;
}

struct sts *
sts_new(struct relay *relay)
{
	struct sts *sts = calloc(1, sizeof(*sts));

	invariant(sts != NULL);
	sts->relay = relay;
	sts->known = table_new();
	list_init(&sts->order);
	return sts;
}

void
sts_free(struct sts **sts)
{
	struct known *known, *tmp;

	if (*sts == NULL)
		return;
	list_each(known, tmp, &(*sts)->order, struct known, node)
		known_free(*sts, known);
	table_free(&(*sts)->known);
	free(*sts);
	*sts = NULL;
}
