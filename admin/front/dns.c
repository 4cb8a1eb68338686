/* SPDX-License-Identifier: ISC */
#include "admin/front/dns.h"

#include "admin/front/dnstext.h"

#define QUERY_MS 15000
/* An answer to the operator is one frame, and text is longer than rdata. */
#define RECORDS_OCTETS 40000
#define GET_OCTETS 8192
#define GET_MS 8000

static void
finish(struct ipc_req *req, json_t *result)
{
	struct ipc_out *out = ipc_reply_begin(req);
	char *text = json_dumps(result, JSON_COMPACT);

	invariant(text != NULL);
	ipc_put_str(out, str_of(text));
	ipc_reply_end(out, -1);
	free(text);
	json_decref(result);
}

static struct str
text_of(const json_t *args, const char *key)
{
	const json_t *value = json_object_get(args, key);

	return json_is_string(value) ? str_make(json_string_value(value),
	    json_string_length(value)) : STR_NONE;
}

/* ---- lookup ---- */

struct lookup {
	struct child *child;
	struct ipc_req *req;
	unsigned type;
};

static const char *
rcode_name(uint64_t rcode)
{
	switch (rcode) {
	case 0:
		return "NOERROR";
	case 3:
		return "NXDOMAIN";
	default:
		return "SERVFAIL";
	}
}

/* The rest of the reply, as text; *is_cut_r: more than fits. */
static json_t *
get_records(struct ipc_in *in, unsigned type, bool *is_cut_r)
{
	json_t *records = json_array();
	size_t octets = 0;
	struct str rdata;
	struct buf text;

	*is_cut_r = false;
	buf_init(&text, 4 * IPC_FRAME_MAX);
	while (ipc_more(in)) {
		rdata = ipc_get_str(in);
		buf_reset(&text);
		dns_put_rdata(&text, type, rdata);
		octets += text.len + 8;
		if (octets > RECORDS_OCTETS) {
			*is_cut_r = true;
			continue;
		}
		json_array_append_new(records, json_stringn(buf_str(&text).p,
		    text.len));
	}
	buf_fini(&text);
	return records;
}

static void
on_lookup(void *ctx, int code, struct ipc_in *in)
{
	struct lookup *lookup = ctx;
	struct ipc_link *link = child_link(lookup->child, "dnsd");
	struct str canonical;
	json_t *result;
	bool is_cut;

	if (code != 0) {
		ipc_reply_err(lookup->req, code, "dnsd: %.*s",
		    STR_FMT(ipc_last_error(link)));
		free(lookup);
		return;
	}
	result = json_object();
	json_object_set_new(result, "rcode", json_string(rcode_name(
	    ipc_get_u64(in))));
	json_object_set_new(result, "secure", json_boolean(ipc_get_bool(in)));
	json_object_set_new(result, "bogus", json_boolean(ipc_get_bool(in)));
	json_object_set_new(result, "ttl_s", json_integer(
	    (json_int_t)ipc_get_u64(in)));
	canonical = ipc_get_str(in);
	json_object_set_new(result, "canonical", json_stringn(
	    canonical.p != NULL ? canonical.p : "", canonical.len));
	json_object_set_new(result, "records", get_records(in, lookup->type,
	    &is_cut));
	json_object_set_new(result, "cut", json_boolean(is_cut));
	finish(lookup->req, json_pack("{s:o}", "item", result));
	free(lookup);
}

static void
run_lookup(struct child *child, struct ipc_req *req, const json_t *args)
{
	struct str type = text_of(args, "type");
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	struct ipc_out *out;

	invariant(lookup != NULL);
	lookup->child = child;
	lookup->req = req;
	lookup->type = type.len == 0 ? 1 : dns_type_of(type);
	if (lookup->type == 0) {
		ipc_reply_err(req, ERR_SYNTAX, "no record type \"%.*s\"",
		    STR_FMT(type));
		free(lookup);
		return;
	}
	out = ipc_begin(child_link(child, "dnsd"), DNS_QUERY);
	ipc_put_str(out, text_of(args, "name"));
	ipc_put_u64(out, lookup->type);
	(void)ipc_call(out, -1, QUERY_MS, on_lookup, lookup);
}

/* ---- https get ---- */

struct get {
	struct child *child;
	struct ipc_req *req;
};

/* JSON has no octets: what is no UTF-8 is not shown. */
static json_t *
json_of(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	return text != NULL ? text : json_string("?");
}

static void
on_got(void *ctx, int code, struct ipc_in *in)
{
	struct get *get = ctx;
	json_t *item;

	if (code != 0) {
		ipc_reply_err(get->req, code, "fetchd: %.*s", STR_FMT(
		    ipc_last_error(child_link(get->child, "fetchd"))));
		free(get);
		return;
	}
	item = json_object();
	json_object_set_new(item, "status", json_integer(
	    (json_int_t)ipc_get_u64(in)));
	json_object_set_new(item, "content_type", json_of(ipc_get_str(in)));
	json_object_set_new(item, "body", json_of(ipc_get_str(in)));
	json_object_set_new(item, "reason", json_of(ipc_get_str(in)));
	finish(get->req, json_pack("{s:o}", "item", item));
	free(get);
}

static void
run_get(struct child *child, struct ipc_req *req, const json_t *args)
{
	struct ipc_out *out = ipc_begin(child_link(child, "fetchd"),
	    FETCH_GET);
	struct get *get = calloc(1, sizeof(*get));

	invariant(get != NULL);
	get->child = child;
	get->req = req;
	ipc_put_str(out, text_of(args, "host"));
	ipc_put_str(out, text_of(args, "path"));
	ipc_put_u64(out, GET_OCTETS);
	ipc_put_u64(out, GET_MS);
	(void)ipc_call(out, -1, GET_MS + QUERY_MS, on_got, get);
}

/* ---- show, check ---- */

static void
run_show(struct child *child, struct ipc_req *req, const json_t *args)
{
	zone_run(child, req, args, false);
}

static void
run_check(struct child *child, struct ipc_req *req, const json_t *args)
{
	zone_run(child, req, args, true);
}

/* ---- dispatch ---- */

static const struct {
	const char *verb;
	void (*run)(struct child *child, struct ipc_req *req,
	    const json_t *args);
} verbs[] = {
	{ "lookup", run_lookup },
	{ "get", run_get },
	{ "show", run_show },
	{ "check", run_check },
};

void
dns_run(struct child *child, struct ipc_req *req, const char *verb,
    const json_t *args)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].verb, verb) == 0) {
			verbs[i].run(child, req, args);
			return;
		}
	ipc_reply_err(req, ERR_NOTFOUND, "no verb %s", verb);
}
