/* SPDX-License-Identifier: ISC */
/*
 * dnsd: the only program that speaks DNS. It resolves and validates for the
 * others, who get one RRset an answer.
 */
#include "base/buf.h"
#include "base/log.h"
#include "dnsd/resolver.h"
#include "ipc/child.h"

#define SYSTEM_ANCHORS "/usr/share/dns/root.key"
#define ADDRESS_OCTETS (1ULL << 30)

struct dnsd {
	struct resolver_settings settings;
	struct resolver *resolver;
};

/* ---- DNS_QUERY ---- */

/* Pseudo types and those that ask for more than one RRset. */
static bool
is_type(uint64_t type)
{
	return type != 0 && type != 41 && type < 65536 &&
	    (type < 128 || type > 255);
}

struct asked {
	struct ipc_req *req;
	char name[128];		/* its beginning, for the log */
	unsigned type;
};

/* As many rdata as fit the frame, in their order. */
static void
put_records(struct ipc_out *out, const struct answer *records)
{
	size_t i;

	for (i = 0; i < records->rdata_len; i++)
		if (ipc_room(out) > records->rdata[i].len + 16)
			ipc_put_str(out, records->rdata[i]);
}

static void
on_answer(void *ctx, const struct resolver_answer *answer)
{
	const struct answer *records = answer->records;
	struct asked *asked = ctx;
	struct ipc_out *out;

	if (answer->is_bogus)
		ev_warn(NULL, "dns.answer.bogus", EV_CSTR(name, asked->name),
		    EV_U64(code, asked->type),
		    EV_CSTR(reason, answer->why));
	out = ipc_reply_begin(asked->req);
	ipc_put_u64(out, answer->rcode);
	ipc_put_bool(out, answer->is_secure);
	ipc_put_bool(out, answer->is_bogus);
	ipc_put_u64(out, records != NULL ? records->ttl_s : 0);
	ipc_put_str(out, records != NULL ? records->canonical : STR_NONE);
	if (records != NULL && records->rcode == DNS_R_NOERROR)
		put_records(out, records);
	ipc_reply_end(out, -1);
	free(asked);
}

static void
on_query(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct dnsd *dnsd = child_link_ctx(link);
	struct str name = ipc_get_str(in);
	uint64_t type = ipc_get_u64(in);
	struct err err = ERR_INIT;
	struct asked *asked;
	int rc;

	if (!is_type(type)) {
		ipc_reply_err(req, ERR_SYNTAX, "type %llu cannot be asked "
		    "for", (unsigned long long)type);
		return;
	}
	asked = calloc(1, sizeof(*asked));
	invariant(asked != NULL);
	asked->req = req;
	asked->type = (unsigned)type;
	(void)snprintf(asked->name, sizeof(asked->name), "%.*s",
	    STR_FMT(name));
	rc = resolver_ask(dnsd->resolver, name, (unsigned)type, on_answer,
	    asked, &err);
	if (rc == 0)
		return;
	ipc_reply_err(req, rc, "%s", err_text(&err));
	free(asked);
}

/* ---- life ---- */

static int
prepare(struct child *child, struct err *err)
{
	struct dnsd *dnsd = child->ctx;
	struct str anchors = child_config(child, "dns_trust_anchor", "");
	struct arena *arena = arena_new(0);
	int rc;

	rc = resolver_settings_read(&dnsd->settings,
	    child_config(child, "resolver", ""), anchors.len != 0 ?
	    arena_cstr(arena, anchors) : SYSTEM_ANCHORS,
	    child_config_u64(child, "dnssec", 1) != 0, err);
	arena_free(&arena);
	child->sandbox.user = "_hikyaku-dnsd";
	child->sandbox.groups = SB_CONNECT;
	child->sandbox.files_max = 2048;
	child->sandbox.address_octets = ADDRESS_OCTETS;
	(void)child_enter_dir(child, "data/empty", 0);
	return rc;
}

static int
start(struct child *child, struct err *err)
{
	struct dnsd *dnsd = child->ctx;
	struct buf text;
	size_t i;

	dnsd->resolver = resolver_new(child->loop, &dnsd->settings, err);
	if (dnsd->resolver == NULL)
		return err->code;
	buf_init(&text, 4096);
	for (i = 0; i < dnsd->settings.servers_len; i++)
		buf_addf(&text, "%s%s", i != 0 ? " " : "",
		    dnsd->settings.servers[i]);
	ev_info(NULL, "dns.resolver.ready", EV_STR(detail, text.len != 0 ?
	    buf_str(&text) : STR("authoritative servers")));
	buf_fini(&text);
	return 0;
}

int
main(int argc, char **argv)
{
	static ipc_handler *const handlers[] = { [DNS_QUERY] = on_query };
	static const struct child_serve serves[] = {
		{ .proto = &ipc_dns, .handlers = handlers },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "dnsd", .ctx_size = sizeof(struct dnsd),
		.serves = serves, .prepare = prepare, .start = start,
	};

	return child_main(argc, argv, &spec);
}
