/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/hosts.h"

#include "base/log.h"
#include "base/rand.h"
#include "smtpd/relay/dns.h"
#include "smtpd/relay/sts.h"

#define ADDRESSES_MAX 8		/* of one family of one host */
#define TLSA_MAX 32

enum { V6, V4, FAMILIES };

struct entry {
	unsigned preference;
	uint32_t order;		/* random among equals */
	struct str name;
};

/* The host whose addresses are being given out. */
struct current {
	struct str name;
	struct netaddr addresses[FAMILIES][ADDRESSES_MAX];
	size_t len[FAMILIES], at[FAMILIES];
	unsigned pending;
	bool is_insecure, has_temp, has_private;
	struct str canonical;
	bool has_asked_canonical;
	struct hop hop;			/* but for the address */
};

struct hosts {
	struct relay *relay;
	struct arena *arena;
	struct str domain;
	uint64_t flags;
	const struct route *route;
	bool is_started, is_literal, mx_is_secure;
	struct entry entries[DNS_RDATA_MAX];
	size_t entries_len, entry;
	struct current now;
	unsigned tries, turn;
	struct mta_sts_policy policy;
	bool has_policy;
	struct sts_query *sts;
	uint32_t calls[FAMILIES];	/* pending at dnsd; 0: not */
	struct verdict why;
	struct loop_later later;
	hosts_done *done;
	void *ctx;
};

static void advance(struct hosts *hosts);

/* What is only temporarily in the way hides what is so for good. */
static void
note(struct hosts *hosts, enum relay_result result, const char *status,
    const char *what, struct str name)
{
	if (hosts->why.result == RELAY_R_TEMP && result != RELAY_R_TEMP)
		return;
	verdict_set(&hosts->why, result, status, "%.*s: %s", STR_FMT(name),
	    what);
}

static void
give(struct hosts *hosts, const struct hop *hop)
{
	hosts_done *done = hosts->done;

	hosts->done = NULL;
	done(hosts->ctx, hop, &hosts->why);
}

/* ---- TLS that is asked ---- */

static void
set_policy(struct hosts *hosts)
{
	struct hop *hop = &hosts->now.hop;
	bool is_optional = (hosts->flags & QUEUE_F_TLS_OPTIONAL) != 0;
	bool is_match = hosts->has_policy &&
	    mta_sts_allows(&hosts->policy, hosts->now.name);

	hop->tls = HOP_TLS_MAY;
	hop->policy = "none";
	hop->is_name_trusted = hosts->mx_is_secure || is_match;
	if (hosts->route != NULL) {
		hop->tls = hosts->route->tls;
		hop->is_implicit = hosts->route->is_implicit;
		hop->user = hosts->route->user;
		hop->password = hosts->route->password;
		hop->is_name_trusted = true;
		hop->policy = "config";
	} else if (hosts->has_policy && !is_optional &&
	    hosts->policy.mode == MTA_STS_ENFORCE) {
		hop->tls = HOP_TLS_NAME;
		hop->policy = "sts";
	} else if (hosts->has_policy && !is_optional) {
		hop->is_testing = true;
		hop->policy = "sts-testing";
	}
	if ((hosts->flags & QUEUE_F_REQUIRETLS) != 0 &&
	    hop->tls < HOP_TLS_NAME) {
		hop->tls = HOP_TLS_NAME;
		hop->policy = "requiretls";
	}
}

/* RFC 8461 section 4.2; DANE comes before it (section 2). */
static bool
is_forbidden(struct hosts *hosts)
{
	if (!hosts->has_policy || hosts->now.hop.tls == HOP_TLS_DANE ||
	    (hosts->flags & QUEUE_F_TLS_OPTIONAL) != 0 ||
	    mta_sts_allows(&hosts->policy, hosts->now.name))
		return false;
	hosts->relay->tls_failures++;
	ev_warn(NULL, "relay.tls.failed", EV_STR(remote, hosts->now.name),
	    EV_STR(domain, hosts->domain),
	    EV_CSTR(policy, hosts->policy.mode == MTA_STS_ENFORCE ? "sts" :
	    "sts-testing"),
	    EV_CSTR(reason, "the MTA-STS policy does not name this host"),
	    EV_U64(count, hosts->relay->tls_failures));
	if (hosts->policy.mode != MTA_STS_ENFORCE)
		return false;
	note(hosts, RELAY_R_TEMP, "4.7.5",
	    "the domain's MTA-STS policy does not name this host",
	    hosts->now.name);
	return true;
}

/* ---- TLSA ---- */

static void ask_tlsa(struct hosts *hosts, struct str base);

static void
host_done(struct hosts *hosts, bool is_usable)
{
	if (!is_usable || is_forbidden(hosts))
		memset(hosts->now.len, 0, sizeof(hosts->now.len));
	advance(hosts);
}

static void
use_tlsa(struct hosts *hosts, const struct dns_answer *answer,
    struct str base)
{
	struct hop *hop = &hosts->now.hop;
	struct dns_tlsa record;
	size_t i;

	hop->tlsa = arena_alloc(hosts->arena, TLSA_MAX * sizeof(*hop->tlsa));
	for (i = 0; i < answer->rdata_len && hop->tlsa_len < TLSA_MAX; i++) {
		struct tls_tlsa *tlsa = &hop->tlsa[hop->tlsa_len];

		if (dns_rdata_tlsa(answer->rdata[i], &record, NULL) != 0)
			continue;
		*tlsa = (struct tls_tlsa){ record.usage, record.selector,
		    record.matching, arena_str(hosts->arena, record.data) };
		hop->tlsa_len += tls_tlsa_is_usable(tlsa);
	}
	/* RFC 7672 section 2.2: none usable: encrypt, whoever it is. */
	if (hop->tlsa_len == 0) {
		if (hop->tls < HOP_TLS_ENCRYPT) {
			hop->tls = HOP_TLS_ENCRYPT;
			hop->policy = "dane-unusable";
		}
		return;
	}
	hop->tls = HOP_TLS_DANE;
	hop->is_testing = false;
	hop->policy = "dane";
	hop->host = arena_str(hosts->arena, base);
	hop->other_name = arena_str(hosts->arena, hosts->domain);
}

static void
on_tlsa(void *ctx, int code, struct ipc_in *in)
{
	struct hosts *hosts = ctx;
	struct dns_answer answer;
	bool was_canonical = hosts->now.has_asked_canonical;
	struct str base = was_canonical ? hosts->now.canonical :
	    hosts->now.name;

	hosts->calls[V6] = 0;
	hosts->now.has_asked_canonical = false;
	dns_read(code, in, &answer);
	if (!dns_is_known(&answer)) {
		/* RFC 7672 section 2.1.2: not to be had is not absent. */
		note(hosts, RELAY_R_TEMP, "4.7.5", "its TLSA records cannot "
		    "be looked up", hosts->now.name);
		host_done(hosts, false);
		return;
	}
	if (answer.is_secure && answer.rdata_len != 0)
		use_tlsa(hosts, &answer, base);
	else if (was_canonical) {
		ask_tlsa(hosts, hosts->now.name);
		return;
	}
	host_done(hosts, true);
}

static void
ask_tlsa(struct hosts *hosts, struct str base)
{
	hosts->calls[V6] = dns_ask(hosts->relay, arena_printf(hosts->arena,
	    "_%u._tcp.%.*s", hosts->now.hop.port, STR_FMT(base)), DNS_T_TLSA,
	    on_tlsa, hosts);
}

/* ---- addresses ---- */

static void
after_addresses(struct hosts *hosts)
{
	struct current *now = &hosts->now;

	if (now->len[V6] + now->len[V4] == 0) {
		if (now->has_temp)
			note(hosts, RELAY_R_TEMP, "4.4.3",
			    "its address cannot be looked up", now->name);
		else
			note(hosts, RELAY_R_FAILED, "5.4.4",
			    now->has_private ? "only private addresses" :
			    "no address", now->name);
		advance(hosts);
		return;
	}
	/* RFC 7672 section 2.1: the whole chain must be signed. */
	if (hosts->route != NULL || !hosts->mx_is_secure ||
	    now->is_insecure ||
	    (hosts->flags & QUEUE_F_TLS_OPTIONAL) != 0) {
		host_done(hosts, true);
	} else if (now->has_temp) {
		/* Section 2.1.2: who spoils one answer must not thereby
		 * make the host one without DANE. */
		note(hosts, RELAY_R_TEMP, "4.4.3",
		    "its address cannot be looked up", now->name);
		host_done(hosts, false);
	} else if (now->canonical.len != 0 &&
	    !dns_name_eq(now->canonical, now->name)) {
		now->has_asked_canonical = true;
		ask_tlsa(hosts, now->canonical);
	} else {
		ask_tlsa(hosts, now->name);
	}
}

static void
add_address(struct hosts *hosts, int family, const struct netaddr *addr)
{
	struct current *now = &hosts->now;
	size_t at, n = now->len[family];

	if (!hosts->relay->allow_private && !netaddr_is_public(addr)) {
		now->has_private = true;
		return;
	}
	if (n == ADDRESSES_MAX)
		return;
	/* In any order: a place among those before it. */
	at = (size_t)(rand_u64() % (n + 1));
	now->addresses[family][n] = now->addresses[family][at];
	now->addresses[family][at] = *addr;
	now->len[family]++;
}

static void
on_addresses(struct hosts *hosts, int family, int code, struct ipc_in *in)
{
	struct dns_answer answer;
	struct netaddr addr;
	size_t i;
	int rc;

	hosts->calls[family] = 0;
	dns_read(code, in, &answer);
	if (dns_is_known(&answer))
		hosts->now.is_insecure |= !answer.is_secure;
	else
		hosts->now.has_temp = true;
	if (answer.canonical.len != 0 && answer.rdata_len != 0)
		hosts->now.canonical = arena_str(hosts->arena,
		    answer.canonical);
	for (i = 0; i < answer.rdata_len; i++) {
		rc = family == V6 ?
		    dns_rdata_aaaa(answer.rdata[i], &addr, NULL) :
		    dns_rdata_a(answer.rdata[i], &addr, NULL);
		if (rc == 0)
			add_address(hosts, family, &addr);
	}
	if (--hosts->now.pending == 0)
		after_addresses(hosts);
}

static void
on_aaaa(void *ctx, int code, struct ipc_in *in)
{
	on_addresses(ctx, V6, code, in);
}

static void
on_a(void *ctx, int code, struct ipc_in *in)
{
	on_addresses(ctx, V4, code, in);
}

/* Resolve the next host, or take its address as it stands. */
static void
begin_host(struct hosts *hosts, struct str name)
{
	struct current *now = &hosts->now;
	struct netaddr addr;

	memset(now, 0, sizeof(*now));
	now->name = name;
	now->hop.host = name;
	now->hop.port = hosts->relay->port;
	if (hosts->route != NULL && hosts->route->port != 0)
		now->hop.port = hosts->route->port;
	else if (hosts->route != NULL && hosts->route->is_implicit)
		now->hop.port = 465;
	set_policy(hosts);
	if (netaddr_parse(name, &addr, NULL) == 0) {
		now->is_insecure = true;
		add_address(hosts, addr.family == AF_INET6 ? V6 : V4, &addr);
		after_addresses(hosts);
		return;
	}
	now->pending = FAMILIES;
	hosts->calls[V6] = dns_ask(hosts->relay, name, DNS_T_AAAA, on_aaaa,
	    hosts);
	hosts->calls[V4] = dns_ask(hosts->relay, name, DNS_T_A, on_a, hosts);
}

/* The next address, the families in turn. */
static bool
take_address(struct hosts *hosts)
{
	struct current *now = &hosts->now;
	int i, family;

	for (i = 0; i < FAMILIES; i++) {
		family = (int)(hosts->turn++ % FAMILIES);
		if (now->at[family] == now->len[family])
			continue;
		now->hop.address = now->addresses[family][now->at[family]++];
		return true;
	}
	return false;
}

static void
advance(struct hosts *hosts)
{
	struct entry *entry;

	if (hosts->tries < HOSTS_TRIES_MAX && take_address(hosts)) {
		hosts->tries++;
		give(hosts, &hosts->now.hop);
		return;
	}
	if (hosts->tries == HOSTS_TRIES_MAX ||
	    hosts->entry == hosts->entries_len ||
	    hosts->entry == HOSTS_MX_MAX) {
		give(hosts, NULL);
		return;
	}
	entry = &hosts->entries[hosts->entry++];
	hosts->turn = V6;
	begin_host(hosts, entry->name);
}

/* ---- the domain ---- */

static void
on_policy(void *ctx, const struct mta_sts_policy *policy)
{
	struct hosts *hosts = ctx;
	size_t i;

	hosts->sts = NULL;
	if (policy != NULL) {
		hosts->has_policy = true;
		hosts->policy = *policy;
		hosts->policy.mx = arena_alloc(hosts->arena,
		    (policy->mx_len + 1) * sizeof(*policy->mx));
		for (i = 0; i < policy->mx_len; i++)
			hosts->policy.mx[i] = arena_str(hosts->arena,
			    policy->mx[i]);
	}
	advance(hosts);
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->preference != y->preference)
		return x->preference < y->preference ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
add_entry(struct hosts *hosts, unsigned preference, struct str name)
{
	hosts->entries[hosts->entries_len++] = (struct entry){ preference,
	    (uint32_t)rand_u64(), arena_str(hosts->arena, name) };
}

/*
 * RFC 5321 section 5.1: when we are among the hosts, only better ones may
 * have it. True: mail would loop.
 */
static bool
cut_at_ourselves(struct hosts *hosts)
{
	struct str ours = str_of(hosts->relay->hostname);
	size_t i, n = 0;
	unsigned limit = 65536;

	if (str_eq(ours, STR("localhost")))
		return false;
	for (i = 0; i < hosts->entries_len; i++)
		if (dns_name_eq(hosts->entries[i].name, ours) &&
		    hosts->entries[i].preference < limit)
			limit = hosts->entries[i].preference;
	while (n < hosts->entries_len && hosts->entries[n].preference < limit)
		n++;
	hosts->entries_len = n;
	return n == 0;
}

static void
end_failed(struct hosts *hosts, const char *status, const char *reason)
{
	hosts->entries_len = 0;
	verdict_set(&hosts->why, RELAY_R_FAILED, status, "%.*s: %s",
	    STR_FMT(hosts->domain), reason);
	give(hosts, NULL);
}

static void
read_mx(struct hosts *hosts, const struct dns_answer *answer)
{
	struct dns_mx mx;
	size_t i;

	for (i = 0; i < answer->rdata_len; i++)
		if (dns_rdata_mx(hosts->arena, answer->rdata[i], &mx, NULL) ==
		    0 && dns_name_is_host(mx.exchange))
			add_entry(hosts, mx.preference, mx.exchange);
	qsort(hosts->entries, hosts->entries_len, sizeof(hosts->entries[0]),
	    compare_entries);
}

static bool
is_null_mx(struct hosts *hosts, const struct dns_answer *answer)
{
	struct dns_mx mx;

	return answer->rdata_len == 1 && dns_rdata_mx(hosts->arena,
	    answer->rdata[0], &mx, NULL) == 0 &&
	    str_eq(mx.exchange, STR("."));
}

static void
on_mx(void *ctx, int code, struct ipc_in *in)
{
	struct hosts *hosts = ctx;
	struct dns_answer answer;
	struct str name = hosts->route != NULL ? hosts->route->host :
	    hosts->domain;

	hosts->calls[V4] = 0;
	dns_read(code, in, &answer);
	hosts->mx_is_secure = answer.is_secure;
	if (!dns_is_known(&answer)) {
		verdict_set(&hosts->why, RELAY_R_TEMP, "4.4.3",
		    "%.*s: its mail hosts cannot be looked up",
		    STR_FMT(name));
		give(hosts, NULL);
		return;
	}
	if (answer.rcode == DNS_R_NXDOMAIN) {
		end_failed(hosts, "5.1.2", "there is no such domain");
		return;
	}
	if (is_null_mx(hosts, &answer)) {
		end_failed(hosts, "5.1.10", "takes no mail (null MX)");
		return;
	}
	if (answer.rdata_len == 0)
		add_entry(hosts, 0, name);	/* implicit MX */
	else
		read_mx(hosts, &answer);
	if (hosts->entries_len == 0)
		end_failed(hosts, "5.4.4", "its MX records name no host");
	else if (cut_at_ourselves(hosts))
		end_failed(hosts, "5.4.6", "mail for it loops back to us");
	else if (hosts->route == NULL &&
	    (hosts->flags & QUEUE_F_TLS_OPTIONAL) == 0)
		hosts->sts = sts_find(hosts->relay->sts, hosts->domain,
		    on_policy, hosts);
	else
		advance(hosts);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]": RFC 5321 section 4.1.3. */
static void
start_literal(struct hosts *hosts)
{
	struct str text = str_sub(hosts->domain, 1, hosts->domain.len - 2);
	struct netaddr addr;

	if (str_begins_nocase(text, STR("IPv6:")))
		text = str_sub(text, 5, text.len);
	if (netaddr_parse(text, &addr, NULL) != 0) {
		end_failed(hosts, "5.1.2", "not an address");
		return;
	}
	add_entry(hosts, 0, text);
	advance(hosts);
}

static void
start(struct hosts *hosts)
{
	struct str name = hosts->domain;

	hosts->is_started = true;
	if (hosts->route != NULL && !hosts->route->has_mx) {
		add_entry(hosts, 0, hosts->route->host);
		advance(hosts);
		return;
	}
	if (hosts->route != NULL)
		name = hosts->route->host;
	else if (hosts->domain.len > 2 && hosts->domain.p[0] == '[') {
		start_literal(hosts);
		return;
	}
	hosts->calls[V4] = dns_ask(hosts->relay, name, DNS_T_MX, on_mx,
	    hosts);
}

static void
on_later(void *ctx)
{
	struct hosts *hosts = ctx;

	if (hosts->is_started)
		advance(hosts);
	else
		start(hosts);
}

void
hosts_next(struct hosts *hosts, hosts_done *done, void *ctx)
{
	hosts->done = done;
	hosts->ctx = ctx;
	loop_later(hosts->relay->loop, &hosts->later);
}

struct hosts *
hosts_new(struct relay *relay, struct str domain, uint64_t flags)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));

	invariant(hosts != NULL);
	hosts->relay = relay;
	hosts->arena = arena_new(0);
	hosts->domain = arena_str(hosts->arena, domain);
	hosts->flags = flags;
	hosts->route = route_find(relay, domain);
	verdict_set(&hosts->why, RELAY_R_FAILED, "5.4.4", "%.*s: no host "
	    "to send to", STR_FMT(domain));
	loop_later_init(&hosts->later, on_later, hosts);
	return hosts;
}

void
hosts_free(struct hosts **hostsp)
{
	struct hosts *hosts = *hostsp;
	int i;

	if (hosts == NULL)
		return;
	*hostsp = NULL;
	loop_later_fini(&hosts->later);
	sts_cancel(&hosts->sts);
	for (i = 0; i < FAMILIES; i++)
		if (hosts->calls[i] != 0)
			ipc_cancel(hosts->relay->dnsd, hosts->calls[i]);
	arena_free(&hosts->arena);
	free(hosts);
}
