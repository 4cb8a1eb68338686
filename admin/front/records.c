/* SPDX-License-Identifier: ISC */
#include "admin/front/records.h"

#include <openssl/sha.h>

#include "admin/front/dnstext.h"
#include "proto/dns_rdata.h"

/* ---- what should be there ---- */

static const struct records_service all_services[] = {
	{ "_imaps", "imap", "implicit", 0 },
	{ "_imap", "imap", "starttls", 0 },
	{ "_pop3s", "pop3", "implicit", 0 },
	{ "_pop3", "pop3", "starttls", 0 },
	{ "_submissions", "submission", "implicit", 0 },
	{ "_submission", "submission", "starttls", 0 },
};

size_t
records_services(struct records_service *services, size_t max)
{
	size_t n = sizeof(all_services) / sizeof(all_services[0]);

	invariant(n <= max);
	memcpy(services, all_services, sizeof(all_services));
	return n;
}

void
records_listener(struct records_input *input, struct str protocol,
    uint64_t port, struct str tls)
{
	struct records_service *service;
	size_t i;

	for (i = 0; i < input->services_len; i++) {
		service = &input->services[i];
		if (service->port == 0 &&
		    str_eq(protocol, str_of(service->protocol)) &&
		    str_eq(tls, str_of(service->tls)))
			service->port = port;
	}
	if (input->web_port == 0 && str_eq(protocol, STR("web")) &&
	    str_eq(tls, STR("implicit")))
		input->web_port = port;
}

struct building {
	struct arena *arena;
	const struct records_input *input;
	struct record *records;
	size_t len;
};

static struct record *
add(struct building *b, enum record_kind kind, unsigned type,
    struct str name, struct str value, const char *purpose)
{
	struct record *record = &b->records[b->len++];

	invariant(b->len <= RECORDS_MAX);
	memset(record, 0, sizeof(*record));
	record->kind = kind;
	record->type = type;
	record->name = name;
	record->value = value;
	record->purpose = purpose;
	return record;
}

/* label.DOMAIN */
static struct str
below(const struct building *b, const char *label)
{
	return arena_printf(b->arena, "%s.%.*s", label,
	    STR_FMT(b->input->domain));
}

static void
add_txt(struct building *b, enum record_kind kind, struct str name,
    struct str text, const char *purpose, bool is_required)
{
	struct str value;
	struct buf out;

	buf_init(&out, 4096);
	dns_put_txt(&out, text);
	value = arena_str(b->arena, buf_str(&out));
	buf_fini(&out);
	add(b, kind, DNS_T_TXT, name, value, purpose)->is_required =
	    is_required;
}

static void
add_mail(struct building *b)
{
	const struct records_input *in = b->input;

	add(b, RECORD_ADDRESS, DNS_T_A, in->hostname, STR_NONE,
	    "the server's own address")->is_required = true;
	add(b, RECORD_ADDRESS, DNS_T_AAAA, in->hostname, STR_NONE,
	    "the server's own IPv6 address");
	add(b, RECORD_MX, DNS_T_MX, in->domain, arena_printf(b->arena,
	    "10 %.*s.", STR_FMT(in->hostname)),
	    "where mail goes")->is_required = true;
	add_txt(b, RECORD_SPF, in->domain, STR("v=spf1 mx -all"),
	    "SPF: only this server sends", true);
	/* A stricter policy asks for DKIM: forwarded mail passes no SPF. */
	add_txt(b, RECORD_DMARC, below(b, "_dmarc"), arena_printf(b->arena,
	    "v=DMARC1; p=none; rua=mailto:postmaster@%.*s",
	    STR_FMT(in->domain)), "DMARC: reports", true);
	add_txt(b, RECORD_TLSRPT, below(b, "_smtp._tls"),
	    arena_printf(b->arena, "v=TLSRPTv1; rua=mailto:postmaster@%.*s",
	    STR_FMT(in->domain)), "TLSRPT: reports about TLS", false);
}

static void
add_dkim(struct building *b)
{
	const struct records_key *key;
	size_t i;

	for (i = 0; i < b->input->keys_len && b->len < RECORDS_MAX / 2; i++) {
		key = &b->input->keys[i];
		add_txt(b, RECORD_DKIM, arena_printf(b->arena,
		    "%.*s._domainkey.%.*s", STR_FMT(key->selector),
		    STR_FMT(b->input->domain)), key->text, key->is_needed ?
		    "DKIM: the key that signs" :
		    "DKIM: a key that has signed", key->is_needed);
	}
}

/* RFC 7672 section 3.1: by the key, which a renewed certificate may keep. */
static void
add_tlsa(struct building *b)
{
	struct str value;
	struct buf out;

	if (b->input->key_id == NULL)
		return;
	buf_init(&out, 256);
	buf_add_cstr(&out, "3 1 1 ");
	buf_add_hex(&out, b->input->key_id, SHA256_DIGEST_LENGTH);
	value = arena_str(b->arena, buf_str(&out));
	buf_fini(&out);
	add(b, RECORD_TLSA, DNS_T_TLSA, arena_printf(b->arena,
	    "_25._tcp.%.*s", STR_FMT(b->input->hostname)), value,
	    "DANE: this server's key (in a signed zone only)");
}

/* The policy's digest: another policy has another id. */
static void
add_mta_sts(struct building *b)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct str policy, text;
	struct buf out;

	buf_init(&out, 4096);
	mta_sts_put_policy(&out, b->input->mta_sts_mode, b->input->hostname);
	policy = buf_str(&out);
	SHA256((const unsigned char *)policy.p, policy.len, digest);
	buf_reset(&out);
	buf_add_cstr(&out, "v=STSv1; id=");
	buf_add_hex(&out, digest, 8);
	buf_add_char(&out, ';');
	text = arena_str(b->arena, buf_str(&out));
	buf_fini(&out);
	add_txt(b, RECORD_MTA_STS, below(b, "_mta-sts"), text,
	    "MTA-STS: there is a policy", false);
}

static void
add_srv(struct building *b, const char *label, uint64_t port)
{
	struct str value = port == 0 ? STR("0 0 0 .") :
	    arena_printf(b->arena, "0 1 %llu %.*s.",
	    (unsigned long long)port, STR_FMT(b->input->hostname));

	add(b, RECORD_SRV, DNS_T_SRV, arena_printf(b->arena, "%s._tcp.%.*s",
	    label, STR_FMT(b->input->domain)), value, port == 0 ?
	    "mail programs: not offered" :
	    "mail programs: where the service is");
}

static void
add_web(struct building *b)
{
	static const struct {
		const char *label;
		const char *purpose;
	} names[] = {
		{ "autoconfig", "set-up of Thunderbird and others" },
		{ "autodiscover", "set-up of Outlook" },
		{ "mta-sts", "MTA-STS: where the policy is" },
	};
	struct str value = arena_printf(b->arena, "%.*s.",
	    STR_FMT(b->input->hostname));
	size_t i;

	if (b->input->web_port == 0)
		return;
	add_mta_sts(b);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		add(b, RECORD_ALIAS, DNS_T_CNAME, below(b, names[i].label),
		    value, names[i].purpose);
	add_srv(b, "_autodiscover", b->input->web_port);
}

size_t
records_build(struct arena *arena, const struct records_input *input,
    struct record *records)
{
	struct building b = { .arena = arena, .input = input,
	    .records = records };
	size_t i;

	add_mail(&b);
	add_dkim(&b);
	add_tlsa(&b);
	add_web(&b);
	for (i = 0; i < input->services_len; i++)
		add_srv(&b, input->services[i].label,
		    input->services[i].port);
	return b.len;
}

/* ---- what is there ---- */

const char *
record_state_name(enum record_state state)
{
	static const char *const names[] = { [RECORD_OK] = "ok",
	    [RECORD_OTHER] = "other", [RECORD_MISSING] = "missing",
	    [RECORD_DIFFERS] = "differs", [RECORD_INSECURE] = "insecure",
	    [RECORD_ERROR] = "error" };

	return names[state];
}

/* What stands after the first n words: preference, priority and weight are
 * the operator's. */
static struct str
after_words(struct str text, unsigned n)
{
	struct str rest = text;

	while (n-- > 0 && rest.p != NULL)
		(void)str_cut(rest, ' ', &rest);
	return rest;
}

/* How many of the reply's records are the wanted one. */
static size_t
count_same(const struct record *record, const struct record_reply *reply,
    unsigned words)
{
	struct str want = after_words(record->value, words);
	size_t i, n = 0;
	struct buf text;

	buf_init(&text, 262144);
	for (i = 0; i < reply->rdata_len; i++) {
		buf_reset(&text);
		dns_put_rdata(&text, record->type, reply->rdata[i]);
		n += str_eq_nocase(after_words(buf_str(&text), words), want);
	}
	buf_fini(&text);
	return n;
}

static enum record_state
judge_mx(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	size_t same = count_same(record, reply, 1);

	if (reply->rdata_len == 0)
		return RECORD_MISSING;
	if (same == 0)
		return RECORD_DIFFERS;
	if (same != reply->rdata_len)
		*detail_r = "other servers take mail too";
	return RECORD_OK;
}

static enum record_state
judge_srv(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	bool is_offered = !str_eq(record->value, STR("0 0 0 ."));

	(void)detail_r;
	if (reply->rdata_len == 0)
		return is_offered ? RECORD_MISSING : RECORD_OK;
	return count_same(record, reply, 2) == reply->rdata_len ? RECORD_OK :
	    RECORD_DIFFERS;
}

static enum record_state
judge_tlsa(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	if (reply->rdata_len == 0)
		return RECORD_MISSING;
	if (count_same(record, reply, 0) == 0) {
		*detail_r = "no record fits this server's key: mail from "
		    "servers that look at DANE does not come in";
		return RECORD_DIFFERS;
	}
	if (reply->is_secure)
		return RECORD_OK;
	*detail_r = "the zone is not signed, so it is not used";
	return RECORD_INSECURE;
}

/* The one TXT that begins like the wanted one; how many do. */
static size_t
find_txt(struct arena *arena, const struct record *record,
    const struct record_reply *reply, struct str *text_r)
{
	/* "v=NAME..." up to the first blank or semicolon. */
	struct str tag = str_sub(record->value, 1, STR_NPOS), text;
	size_t i, n = 0, end = 0;

	while (end < tag.len && strchr("; \"", tag.p[end]) == NULL)
		end++;
	tag = str_sub(tag, 0, end);
	for (i = 0; i < reply->rdata_len; i++) {
		if (dns_rdata_txt(arena, reply->rdata[i], &text, NULL) != 0 ||
		    !str_begins_nocase(text, tag) || (text.len > tag.len &&
		    strchr("; ", text.p[tag.len]) == NULL))
			continue;
		*text_r = text;
		n++;
	}
	return n;
}

static enum record_state
judge_txt(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	struct arena *arena = arena_new(0);
	enum record_state state = RECORD_MISSING;
	struct str text = STR_NONE;
	struct buf quoted;
	size_t n = find_txt(arena, record, reply, &text);

	buf_init(&quoted, 262144);
	dns_put_txt(&quoted, text);
	if (n > 1) {
		*detail_r = "several records: none of them counts";
		state = RECORD_DIFFERS;
	} else if (n == 1 && str_eq(buf_str(&quoted), record->value)) {
		state = RECORD_OK;
	} else if (n == 1) {
		state = record->kind == RECORD_MTA_STS ? RECORD_DIFFERS :
		    RECORD_OTHER;
	}
	if (n == 1 && state == RECORD_DIFFERS)
		*detail_r = "another id: senders keep the policy they know";
	buf_fini(&quoted);
	arena_free(&arena);
	return state;
}

/* RFC 6376 section 3.6.2.2: one record; its strings may be cut anywhere. */
static enum record_state
judge_dkim(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	struct arena *arena = arena_new(0);
	enum record_state state = RECORD_DIFFERS;
	struct str text = STR_NONE;
	struct buf quoted;

	buf_init(&quoted, 262144);
	if (reply->rdata_len == 0) {
		state = RECORD_MISSING;
	} else if (reply->rdata_len > 1) {
		*detail_r = "several records: none of them counts";
	} else if (dns_rdata_txt(arena, reply->rdata[0], &text, NULL) == 0) {
		dns_put_txt(&quoted, text);
		if (str_eq(buf_str(&quoted), record->value))
			state = RECORD_OK;
		else
			*detail_r = "another key, or other words about it";
	}
	buf_fini(&quoted);
	arena_free(&arena);
	return state;
}

static enum record_state
judge_alias(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	if (dns_name_eq(reply->canonical, record->value))
		return RECORD_OK;
	if (reply->rdata_len == 0)
		return RECORD_MISSING;
	*detail_r = "leads elsewhere, or has addresses of its own";
	return RECORD_OTHER;
}

static enum record_state
judge_address(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	(void)record;
	(void)detail_r;
	return reply->rdata_len == 0 ? RECORD_MISSING : RECORD_OK;
}

enum record_state
record_judge(const struct record *record, const struct record_reply *reply,
    const char **detail_r)
{
	static enum record_state (*const judges[])(const struct record *,
	    const struct record_reply *, const char **) = {
		[RECORD_ADDRESS] = judge_address, [RECORD_MX] = judge_mx,
		[RECORD_SPF] = judge_txt, [RECORD_DMARC] = judge_txt,
		[RECORD_MTA_STS] = judge_txt, [RECORD_TLSRPT] = judge_txt,
		[RECORD_TLSA] = judge_tlsa, [RECORD_SRV] = judge_srv,
		[RECORD_ALIAS] = judge_alias, [RECORD_DKIM] = judge_dkim,
	};

	*detail_r = NULL;
	if (reply->is_bogus) {
		*detail_r = "DNSSEC validation failed";
		return RECORD_ERROR;
	}
	if (reply->rcode != DNS_R_NOERROR &&
	    reply->rcode != DNS_R_NXDOMAIN) {
		*detail_r = "the DNS does not answer";
		return RECORD_ERROR;
	}
	return judges[record->kind](record, reply, detail_r);
}
