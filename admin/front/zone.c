/* SPDX-License-Identifier: ISC */
/*
 * `dns show` and `dns check`: directoryd says whether the domain is ours, keyd
 * which keys it has, hikyakud what listens; then each record is asked for by way of dnsd, all at
 * once, and the MTA-STS policy by way of fetchd.
 */
#include <jansson.h>

#include "admin/front/dkim.h"
#include "admin/front/dns.h"
#include "admin/front/dnstext.h"
#include "admin/front/records.h"
#include "base/when.h"
#include "mail/address.h"
#include "proto/dns_rdata.h"

#define STEP_MS 10000
#define QUERY_MS 15000
#define SERVICES_MAX 8
#define FOUND_MAX 4
#define FOUND_OCTETS 300
#define POLICY_OCTETS 4096
#define POLICY_PATH "/.well-known/mta-sts.txt"

struct zone {
	struct child *child;
	struct ipc_req *req;
	struct arena *arena;
	bool is_check;
	struct records_input input;
	struct records_service services[SERVICES_MAX];
	struct records_key keys[DKIM_ADMIN_KEYS_MAX];
	size_t records_len;
	struct record records[RECORDS_MAX];
	json_t *items[RECORDS_MAX];
	json_t *policy;			/* an item, or NULL */
	unsigned waiting;
};

/* One question about one record. */
struct asked {
	struct zone *zone;
	size_t index;
};

/* ---- the end ---- */

static void
zone_free(struct zone *zone)
{
	size_t i;

	for (i = 0; i < zone->records_len; i++)
		json_decref(zone->items[i]);
	json_decref(zone->policy);
	arena_free(&zone->arena);
	free(zone);
}

static void
fail(struct zone *zone, int code, const char *text)
{
	ipc_reply_err(zone->req, code, "%s", text);
	zone_free(zone);
}

static json_t *
json_of(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	return text != NULL ? text : json_string("?");
}

static json_t *
notes(const struct zone *zone)
{
	json_t *list = json_array();

	if (zone->input.keys_len == 0)
		json_array_append_new(list, json_string("DKIM: no key yet: "
		    "hikyaku dkim create"));
	if (zone->input.web_port != 0 && zone->input.web_port != 443)
		json_array_append_new(list, json_string("autoconfig and "
		    "MTA-STS want HTTPS on port 443"));
	return list;
}

static void
finish(struct zone *zone)
{
	json_t *items = json_array(), *result;
	struct ipc_out *out;
	char *text;
	size_t i;

	for (i = 0; i < zone->records_len; i++)
		if (zone->is_check ||
		    zone->records[i].kind != RECORD_ADDRESS)
			json_array_append(items, zone->items[i]);
	if (zone->policy != NULL)
		json_array_append(items, zone->policy);
	result = json_pack("{s:o, s:o, s:o}", "domain",
	    json_of(zone->input.domain), "items", items, "notes",
	    notes(zone));
	text = json_dumps(result, JSON_COMPACT);
	invariant(text != NULL);
	out = ipc_reply_begin(zone->req);
	ipc_put_str(out, str_of(text));
	ipc_reply_end(out, -1);
	free(text);
	json_decref(result);
	zone_free(zone);
}

static void
one_less(struct zone *zone)
{
	if (--zone->waiting == 0)
		finish(zone);
}

/* ---- items ---- */

static json_t *
item_new(const struct record *record)
{
	struct buf type;
	json_t *item;

	buf_init(&type, 64);
	dns_put_type(&type, record->type);
	item = json_pack("{s:o, s:o, s:o, s:s, s:b}",
	    "name", json_of(record->name), "type", json_of(buf_str(&type)),
	    "value", json_of(record->value), "purpose", record->purpose,
	    "required", record->is_required);
	buf_fini(&type);
	return item;
}

static void
item_judged(json_t *item, const char *state, const char *detail,
    json_t *found)
{
	json_object_set_new(item, "state", json_string(state));
	json_object_set_new(item, "detail", json_string(detail != NULL ?
	    detail : ""));
	json_object_set_new(item, "found", found);
}

/* Which question tells about the record: an alias by where it leads. */
static unsigned
query_type(const struct record *record)
{
	return record->kind == RECORD_ALIAS ? DNS_T_A : record->type;
}

/* The first few, cut short. */
static json_t *
found_of(unsigned type, const struct record_reply *reply)
{
	json_t *found = json_array();
	struct buf text;
	size_t i;

	buf_init(&text, 4 * IPC_FRAME_MAX);
	for (i = 0; i < reply->rdata_len && i < FOUND_MAX; i++) {
		buf_reset(&text);
		dns_put_rdata(&text, type, reply->rdata[i]);
		json_array_append_new(found, json_of(str_sub(buf_str(&text),
		    0, FOUND_OCTETS)));
	}
	buf_fini(&text);
	return found;
}

/* ---- questions ---- */

static void
read_reply(struct ipc_in *in, struct record_reply *reply)
{
	reply->rcode = ipc_get_u64(in);
	reply->is_secure = ipc_get_bool(in);
	reply->is_bogus = ipc_get_bool(in);
	(void)ipc_get_u64(in);
	reply->canonical = ipc_get_str(in);
	while (ipc_more(in) && reply->rdata_len < RECORDS_RDATA_MAX)
		reply->rdata[reply->rdata_len++] = ipc_get_str(in);
}

static void
on_reply(void *ctx, int code, struct ipc_in *in)
{
	struct asked *asked = ctx;
	struct zone *zone = asked->zone;
	const struct record *record = &zone->records[asked->index];
	struct record_reply reply = { .rcode = DNS_R_SERVFAIL };
	enum record_state state;
	const char *detail;

	if (code == 0)
		read_reply(in, &reply);
	state = record_judge(record, &reply, &detail);
	item_judged(zone->items[asked->index], record_state_name(state),
	    detail, found_of(query_type(record), &reply));
	free(asked);
	one_less(zone);
}

static void
ask_record(struct zone *zone, size_t index)
{
	const struct record *record = &zone->records[index];
	struct asked *asked = calloc(1, sizeof(*asked));
	struct ipc_out *out = ipc_begin(child_link(zone->child, "dnsd"),
	    DNS_QUERY);

	invariant(asked != NULL);
	asked->zone = zone;
	asked->index = index;
	ipc_put_str(out, record->name);
	ipc_put_u64(out, query_type(record));
	zone->waiting++;
	(void)ipc_call(out, -1, QUERY_MS, on_reply, asked);
}

static struct str
policy_host(const struct zone *zone)
{
	return arena_printf(zone->arena, "mta-sts.%.*s",
	    STR_FMT(zone->input.domain));
}

static void
on_policy(void *ctx, int code, struct ipc_in *in)
{
	struct zone *zone = ctx;
	uint64_t status = code == 0 ? ipc_get_u64(in) : 0;
	struct str body = STR_NONE, reason = STR("fetchd does not answer");
	json_t *found = json_array();
	const char *state = "missing";
	struct buf want;

	if (code == 0) {
		(void)ipc_get_str(in);
		body = ipc_get_str(in);
		reason = ipc_get_str(in);
	}
	buf_init(&want, POLICY_OCTETS);
	mta_sts_put_policy(&want, zone->input.mta_sts_mode,
	    zone->input.hostname);
	if (status == 200) {
		state = str_eq(buf_str(&want), body) ? "ok" : "differs";
		json_array_append_new(found, json_of(str_sub(body, 0,
		    FOUND_OCTETS)));
	}
	buf_fini(&want);
	item_judged(zone->policy, state, NULL, found);
	if (status == 0)
		json_object_set_new(zone->policy, "detail", json_of(reason));
	one_less(zone);
}

static void
ask_policy(struct zone *zone)
{
	struct ipc_out *out;

	if (zone->input.web_port == 0)
		return;
	zone->policy = json_pack("{s:o, s:s, s:s, s:s, s:b}", "name",
	    json_of(policy_host(zone)), "type", "HTTPS", "value",
	    POLICY_PATH, "purpose", "MTA-STS: the policy itself",
	    "required", 0);
	out = ipc_begin(child_link(zone->child, "fetchd"), FETCH_GET);
	ipc_put_str(out, policy_host(zone));
	ipc_put_str(out, STR(POLICY_PATH));
	ipc_put_u64(out, POLICY_OCTETS);
	ipc_put_u64(out, STEP_MS);
	zone->waiting++;
	(void)ipc_call(out, -1, QUERY_MS, on_policy, zone);
}

/* ---- the way there ---- */

static void
on_listeners(void *ctx, int code, struct ipc_in *in)
{
	struct zone *zone = ctx;
	struct str protocol, tls;
	uint64_t port;
	size_t i;

	if (code != 0) {
		fail(zone, code, "hikyakud does not answer");
		return;
	}
	while (ipc_more(in)) {
		(void)ipc_get_str(in);
		protocol = ipc_get_str(in);
		(void)ipc_get_str(in);
		port = ipc_get_u64(in);
		tls = ipc_get_str(in);
		(void)ipc_get_str(in);
		records_listener(&zone->input, protocol, port, tls);
	}
	zone->records_len = records_build(zone->arena, &zone->input,
	    zone->records);
	zone->waiting = 1;
	for (i = 0; i < zone->records_len; i++)
		zone->items[i] = item_new(&zone->records[i]);
	for (i = 0; zone->is_check && i < zone->records_len; i++)
		ask_record(zone, i);
	if (zone->is_check)
		ask_policy(zone);
	one_less(zone);
}

static void
on_keys(void *ctx, int code, struct ipc_in *in)
{
	struct dkim_admin_key keys[DKIM_ADMIN_KEYS_MAX];
	struct zone *zone = ctx;
	struct records_key *key;
	size_t i, count;

	if (code != 0) {
		fail(zone, code, "keyd does not answer");
		return;
	}
	count = dkim_read_keys(in, keys, DKIM_ADMIN_KEYS_MAX);
	for (i = 0; i < count; i++) {
		key = &zone->keys[i];
		key->selector = arena_str(zone->arena, keys[i].selector);
		key->text = arena_str(zone->arena, keys[i].record);
		key->is_needed = keys[i].is_signing ||
		    keys[i].active_s > when_wall_s();
	}
	zone->input.keys = zone->keys;
	zone->input.keys_len = count;
	(void)ipc_call(ipc_begin(child_master(zone->child),
	    MASTER_LISTENERS), -1, STEP_MS, on_listeners, zone);
}

static void
ask_keys(struct zone *zone)
{
	struct ipc_out *out = ipc_begin(child_link(zone->child, "keyd"),
	    KEY_DKIM_LIST);

	ipc_put_str(out, zone->input.domain);
	(void)ipc_call(out, -1, STEP_MS, on_keys, zone);
}

static void
on_domain(void *ctx, int code, struct ipc_in *in)
{
	struct zone *zone = ctx;

	(void)in;
	if (code == ERR_NOTFOUND)
		fail(zone, code, "no such domain");
	else if (code != 0)
		fail(zone, code, "directoryd does not answer");
	else
		ask_keys(zone);
}

static void
fill_input(struct zone *zone)
{
	const struct dns_admin *admin = zone->child->ctx;
	struct records_input *input = &zone->input;

	input->hostname = child_config(zone->child, "hostname", "localhost");
	input->mta_sts_mode = MTA_STS_TESTING;
	(void)mta_sts_mode_of(child_config(zone->child, "mta_sts_mode",
	    "testing"), &input->mta_sts_mode);
	input->key_id = admin->has_key ? admin->key_id : NULL;
	input->services = zone->services;
	input->services_len = records_services(zone->services, SERVICES_MAX);
}

void
zone_run(struct child *child, struct ipc_req *req, const json_t *args,
    bool is_check)
{
	const char *name = json_string_value(json_object_get(args,
	    "domain"));
	struct zone *zone = calloc(1, sizeof(*zone));
	struct ipc_out *out;

	invariant(zone != NULL);
	zone->child = child;
	zone->req = req;
	zone->is_check = is_check;
	zone->arena = arena_new(0);
	fill_input(zone);
	if (address_domain(zone->arena, str_of(name), ADDRESS_UTF8,
	    &zone->input.domain, NULL) != 0) {
		fail(zone, ERR_SYNTAX, "not a domain");
		return;
	}
	zone->input.domain = arena_str(zone->arena, zone->input.domain);
	out = ipc_begin(child_link(child, "directoryd"), DIR_DOMAIN);
	ipc_put_str(out, zone->input.domain);
	(void)ipc_call(out, -1, STEP_MS, on_domain, zone);
}
