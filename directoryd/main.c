/* SPDX-License-Identifier: ISC */
/*
 * directoryd: the only process on the directory: lookups for the mail
 * programs, and every change.
 */
#include "base/log.h"
#include "base/when.h"
#include "directory/access.h"
#include "directoryd/admin.h"
#include "ipc/child.h"

#define ROW_OCTETS 32		/* of a route, besides its text */
#define USAGE_FLUSH_MS 5000
#define FULL_MAX 60000		/* octets of a reply's rows */
#define LANGUAGES_MAX 1000U
#define WARNINGS_MAX 1000	/* of one flush of usage */
#define DOMAINS_PAGE 200	/* names of 255 octets fit a frame */

struct directoryd {
	struct child *child;
	struct directory *dir;
	struct loop_timer usage_timer;
	struct arena *arena;	/* of one request */
	const char *path;
	int64_t quota_grace_s;
	bool rewrites_senders;
	struct list clients;
};

struct client {
	struct list node;
	struct directoryd *d;
	struct ipc_link *link;
	bool wants_changes;
	bool wants_warnings;
	bool wants_domains;
};

static struct directoryd *
of(struct ipc_link *link)
{
	struct client *client = ipc_link_ctx(link);

	arena_reset(client->d->arena);
	return client->d;
}

static void
refuse(struct ipc_req *req, int code, const struct err *err)
{
	ipc_reply_err(req, code, "%s", err_text(err));
}

/* ---- RCPT ---- */

static bool
is_full(const struct directory_leaf *leaf, uint64_t size)
{
	return leaf->quota_octets != 0 && (leaf->used_octets >=
	    leaf->quota_octets || size > leaf->quota_octets -
	    leaf->used_octets);
}

/* A full mailbox asks senders to come again; after the grace they are told
 * that they need not. */
static enum dir_verdict
verdict_of_mailbox(struct directoryd *d, const struct directory_leaf *leaf,
    uint64_t size)
{
	bool is_now_full = is_full(leaf, size);
	struct err err = ERR_INIT;
	int64_t since_s;

	if (directory_full(d->dir, leaf->account, is_now_full, &since_s,
	    &err) != 0)
		ev_warn(NULL, "directory.full.unwritten", EV_ERR(&err));
	if (!is_now_full)
		return DIR_V_LOCAL;
	return when_wall_s() - since_s > d->quota_grace_s ? DIR_V_FULL_LONG :
	    DIR_V_FULL;
}

/* Who knows such an address may not use us to reach its owner: only what
 * has no sender itself comes back that way. */
static enum dir_verdict
verdict_of_return(struct str sender)
{
	return sender.len == 0 ? DIR_V_LOCAL : DIR_V_DENIED;
}

static enum dir_verdict
verdict_of(struct directoryd *d, const struct directory_leaf *leaves,
    size_t n, struct str sender, uint64_t size)
{
	enum dir_verdict verdict = DIR_V_UNKNOWN, mailbox;
	size_t i;

	/* One good target is enough; else the kindest reason. */
	for (i = 0; i < n; i++) {
		if (leaves[i].kind == DIRECTORY_LEAF_ACCOUNT) {
			mailbox = verdict_of_mailbox(d, &leaves[i], size);
			if (mailbox == DIR_V_LOCAL)
				return mailbox;
			if (verdict != DIR_V_FULL)
				verdict = mailbox;
		} else if (leaves[i].kind == DIRECTORY_LEAF_REMOTE)
			return DIR_V_LOCAL;
		else if (leaves[i].kind == DIRECTORY_LEAF_RETURN)
			return verdict_of_return(sender);
		else if (leaves[i].kind == DIRECTORY_LEAF_DISABLED &&
		    verdict == DIR_V_UNKNOWN)
			verdict = DIR_V_DISABLED;
	}
	return verdict;
}

/* enum dir_filter */
static uint64_t
filter_of(const struct directory_domain *domain)
{
	static const uint64_t absent[] = {
		[DIRECTORY_ABSENT_SERVER] = 0,
		[DIRECTORY_ABSENT_ACCEPT] = DIR_F_ABSENT_ACCEPT,
		[DIRECTORY_ABSENT_TEMPFAIL] = DIR_F_ABSENT_TEMPFAIL,
	};

	return absent[domain->filter_absent] |
	    (domain->dmarc_marks ? (uint64_t)DIR_F_DMARC_MARK : 0);
}

static void
on_rcpt(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	uint64_t sender_account = ipc_get_u64(in);
	struct str sender = ipc_get_str(in), recipient = ipc_get_str(in);
	struct directory_domain domain = { .tenant = 0 };
	enum dir_verdict verdict = DIR_V_REMOTE;
	struct directory_leaf *leaves;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	struct str canon;
	size_t n;
	int rc;

	(void)sender_account;
	rc = directory_canon_recipient(d->arena, recipient, &canon, &err);
	if (rc == 0) {
		rc = directory_domain_of(d->dir, canon, d->arena, &domain,
		    NULL);
		if (rc == 0 || str_rfind(canon, '@') == STR_NPOS) {
			rc = directory_resolve(d->dir, canon, d->arena,
			    &leaves, &n, &err);
			verdict = verdict_of(d, leaves, n, sender,
			    ipc_get_u64(in));
		} else if (rc == ERR_NOTFOUND) {
			rc = 0;
		}
	}
	if (rc != 0) {
		refuse(req, rc, &err);
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_u64(out, (uint64_t)verdict);
	ipc_put_u64(out, domain.tenant);
	ipc_put_u64(out, domain.message_octets);
	ipc_put_u64(out, domain.message_recipients);
	ipc_put_u64(out, filter_of(&domain));
	ipc_put_str(out, STR(""));
	ipc_reply_end(out, -1);
}

/* ---- senders ---- */

static void
on_sender(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	uint64_t id = ipc_get_u64(in);
	struct directory_account account;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int rc;

	rc = directory_account_get(d->dir, id, d->arena, &account, &err);
	if (rc != 0) {
		refuse(req, rc, &err);
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_u64(out, account.message_octets);
	ipc_put_u64(out, account.message_recipients);
	ipc_put_bool(out, account.stops_when_full &&
	    account.quota_octets != 0 &&
	    account.used_octets >= account.quota_octets);
	while (ipc_more(in))
		ipc_put_bool(out, account.is_enabled &&
		    directory_may_send_as(d->dir, id, ipc_get_str(in),
		    NULL) == 0);
	ipc_reply_end(out, -1);
}

/* ---- routes ---- */

static const struct {
	enum dir_route route;
	const char *reason;	/* NULL: the address */
} routes[] = {
	[DIRECTORY_LEAF_ACCOUNT] = { DIR_R_ACCOUNT, NULL },
	[DIRECTORY_LEAF_REMOTE] = { DIR_R_REMOTE, NULL },
	[DIRECTORY_LEAF_UNKNOWN] = { DIR_R_REFUSED, "no such user here" },
	[DIRECTORY_LEAF_DISABLED] = { DIR_R_REFUSED, "mailbox disabled" },
	[DIRECTORY_LEAF_LOOP] = { DIR_R_REFUSED,
	    "aliases and forwards go in circles or too deep" },
	[DIRECTORY_LEAF_RETURN] = { DIR_R_REMOTE, NULL },
};

static void
put_route(struct ipc_out *out, uint64_t index, enum dir_route route,
    uint64_t account, struct str text)
{
	ipc_put_u64(out, index);
	ipc_put_u64(out, (uint64_t)route);
	ipc_put_u64(out, account);
	ipc_put_str(out, text);
}

/* Rows of one recipient; false when they do not fit any more. What does not
 * fit into a frame of its own must not hold up who else gets the message. */
static bool
put_routes(struct ipc_out *out, uint64_t index,
    const struct directory_leaf *leaves, size_t n, bool is_first)
{
	struct str text;
	size_t need = 0, i;

	for (i = 0; i < n; i++) {
		text = str_of(routes[leaves[i].kind].reason);
		need += ROW_OCTETS + (text.p != NULL ? text.len :
		    leaves[i].address.len);
	}
	if (need > ipc_room(out) && is_first)
		put_route(out, index, DIR_R_REFUSED, 0,
		    STR("too many targets for one alias"));
	if (need > ipc_room(out))
		return is_first;
	for (i = 0; i < n; i++) {
		text = routes[leaves[i].kind].reason != NULL ?
		    str_of(routes[leaves[i].kind].reason) :
		    leaves[i].address;
		put_route(out, index, routes[leaves[i].kind].route,
		    leaves[i].account, text);
	}
	return true;
}

static void
on_route(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct directory_leaf *leaves, none = {
		.kind = DIRECTORY_LEAF_UNKNOWN };
	struct ipc_out *out = ipc_reply_begin(req);
	struct err err = ERR_INIT;
	bool is_first = true;
	uint64_t index;
	size_t n;
	int rc = 0;

	for (; ipc_more(in); is_first = false) {
		index = ipc_get_u64(in);
		rc = directory_resolve(d->dir, ipc_get_str(in), d->arena,
		    &leaves, &n, &err);
		if (rc == ERR_SYNTAX || (rc == 0 && n == 0)) {
			leaves = &none;
			n = 1;
			rc = 0;
			err_clear(&err);
		}
		if (rc != 0 || !put_routes(out, index, leaves, n,
		    is_first))
			break;
	}
	if (rc != 0)
		refuse(req, rc, &err);
	else
		ipc_reply_end(out, -1);
}

static void
on_forward(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct str via = ipc_get_str(in), sender = ipc_get_str(in);
	struct err err = ERR_INIT;
	struct ipc_out *out;

	if (d->rewrites_senders && directory_sender_for(d->dir, via, sender,
	    d->arena, &sender, &err) != 0)
		ev_info(NULL, "directory.sender.kept", EV_STR(sender, sender),
		    EV_ERR(&err));
	out = ipc_reply_begin(req);
	ipc_put_str(out, sender);
	ipc_reply_end(out, -1);
}

/* Of the first account that an address leads to. */
static struct str
language_of(struct directoryd *d, struct str address)
{
	struct directory_account account;
	struct directory_leaf *leaves;
	size_t n, i;

	if (directory_resolve(d->dir, address, d->arena, &leaves, &n,
	    NULL) != 0)
		return STR("");
	for (i = 0; i < n; i++)
		if (leaves[i].kind == DIRECTORY_LEAF_ACCOUNT &&
		    directory_account_get(d->dir, leaves[i].account, d->arena,
		    &account, NULL) == 0)
			return account.language;
	return STR("");
}

static void
on_language(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct ipc_out *out = ipc_reply_begin(req);
	unsigned n;

	for (n = 0; n < LANGUAGES_MAX && ipc_more(in); n++)
		ipc_put_str(out, language_of(d, ipc_get_str(in)));
	ipc_reply_end(out, -1);
}

/* ---- accounts ---- */

static void
on_login(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct str canon, name = ipc_get_str(in), service = ipc_get_str(in);
	struct directory_account account;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int rc;

	rc = directory_canon(d->arena, name, &canon, &err);
	if (rc == 0)
		rc = directory_account_find(d->dir, canon, d->arena, &account,
		    &err);
	if (rc != 0) {
		refuse(req, rc == ERR_SYNTAX ? ERR_NOTFOUND : rc, &err);
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_u64(out, account.id);
	ipc_put_u64(out, account.tenant);
	ipc_put_str(out, account.address);
	ipc_put_bool(out, account.is_enabled);
	ipc_put_bool(out, service.len == 0 || access_allows(account.access,
	    service, ipc_get_str(in)));
	ipc_reply_end(out, -1);
}

static void
on_domain(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct directory_domain domain;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int rc;

	rc = directory_domain_lookup(d->dir, ipc_get_str(in), d->arena,
	    &domain, &err);
	if (rc != 0) {
		refuse(req, rc, &err);
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_bool(out, domain.is_enabled);
	ipc_put_u64(out, domain.tenant);
	ipc_put_u64(out, domain.quarantine_days);
	ipc_reply_end(out, -1);
}

static void
on_domains(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct directory_domain domains[DOMAINS_PAGE];
	struct err err = ERR_INIT;
	struct ipc_out *out;
	size_t n, i;
	int rc = directory_domain_names(d->dir, ipc_get_str(in),
	    DOMAINS_PAGE, d->arena, domains, &n, &err);

	if (rc != 0) {
		refuse(req, rc, &err);
		return;
	}
	out = ipc_reply_begin(req);
	for (i = 0; i < n; i++) {
		ipc_put_str(out, domains[i].name);
		ipc_put_u64(out, domains[i].tenant);
	}
	ipc_reply_end(out, -1);
}

static void
on_account(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct directory_account account;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	int rc = directory_account_get(d->dir, ipc_get_u64(in), d->arena,
	    &account, &err);

	if (rc != 0) {
		refuse(req, rc, &err);
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_str(out, account.address);
	ipc_put_u64(out, account.tenant);
	ipc_put_u64(out, account.quota_octets);
	ipc_put_bool(out, account.is_enabled);
	ipc_put_str(out, account.language);
	ipc_reply_end(out, -1);
}

static void
on_usage(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	uint64_t account, octets, messages;

	(void)req;
	while (ipc_more(in)) {
		account = ipc_get_u64(in);
		octets = ipc_get_u64(in);
		messages = ipc_get_u64(in);
		directory_usage(d->dir, account, octets, messages,
		    ipc_get_u64(in));
	}
	if (!loop_timer_is_set(&d->usage_timer))
		loop_timer_start(&d->usage_timer, USAGE_FLUSH_MS);
}

static void
on_warned(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	uint64_t account = ipc_get_u64(in);
	struct err err = ERR_INIT;

	(void)req;
	if (directory_warned(d->dir, account, ipc_get_u64(in), &err) != 0)
		ev_warn(NULL, "directory.warned.unwritten", EV_ERR(&err));
}

static void
send_warning(struct directoryd *d, const struct directory_warning *warning)
{
	const struct directory_account *a = &warning->account;
	struct client *client, *tmp;
	struct ipc_out *out;

	list_each(client, tmp, &d->clients, struct client, node) {
		if (!client->wants_warnings)
			continue;
		out = ipc_begin(client->link, DIR_WARN);
		ipc_put_u64(out, a->id);
		ipc_put_str(out, a->address);
		ipc_put_str(out, a->language);
		ipc_put_u64(out, warning->percent);
		ipc_put_u64(out, a->used_octets);
		ipc_put_u64(out, a->quota_octets);
		(void)ipc_send(out, -1);
	}
}

static void
send_warnings(struct directoryd *d)
{
	struct directory_warning *warnings;
	struct err err = ERR_INIT;
	size_t n, i;

	arena_reset(d->arena);
	warnings = arena_alloc(d->arena, WARNINGS_MAX * sizeof(*warnings));
	if (directory_warnings(d->dir, d->arena, warnings, WARNINGS_MAX, &n,
	    &err) != 0)
		ev_warn(NULL, "directory.warnings.failed", EV_ERR(&err));
	for (i = 0; i < n; i++)
		send_warning(d, &warnings[i]);
}

static void
on_usage_timer(void *arg)
{
	struct directoryd *d = arg;
	struct err err = ERR_INIT;

	send_warnings(d);
	if (directory_usage_flush(d->dir, &err) != 0)
		ev_warn(NULL, "directory.usage.failed", EV_ERR(&err));
}

/* ---- changes ---- */

static void
tell_changes(struct directoryd *d, const struct admin_call *call)
{
	struct client *client, *tmp;
	struct ipc_out *out;
	size_t i;

	for (i = 0; i < call->changes_len; i++)
		list_each(client, tmp, &d->clients, struct client, node) {
			if (!client->wants_changes)
				continue;
			out = ipc_begin(client->link, DIR_CHANGED);
			ipc_put_u64(out, call->changes[i].account);
			ipc_put_bool(out, call->changes[i].ends_sessions);
			(void)ipc_send(out, -1);
		}
}

static void
tell_domains(struct directoryd *d, struct str noun, struct str verb)
{
	struct client *client, *tmp;

	if (!str_eq(noun, STR("domain")) || (!str_eq(verb, STR("create")) &&
	    !str_eq(verb, STR("delete"))))
		return;
	list_each(client, tmp, &d->clients, struct client, node)
		if (client->wants_domains)
			(void)ipc_send(ipc_begin(client->link,
			    DIR_DOMAINS_CHANGED), -1);
}

static void
on_admin(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct directoryd *d = of(link);
	struct admin_call call = { .dir = d->dir, .arena = d->arena };
	struct str noun, verb, text;
	struct err err = ERR_INIT;
	struct ipc_out *out;
	char *result;
	json_t *args;
	int rc;

	call.actor = ipc_get_str(in);
	noun = ipc_get_str(in);
	verb = ipc_get_str(in);
	text = ipc_get_str(in);
	args = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
	call.args = args;
	call.result = json_object();
	rc = json_is_object(args) ? admin_run(&call, noun, verb, &err) :
	    err_set(&err, ERR_SYNTAX, "arguments are no object");
	if (rc != 0) {
		refuse(req, rc, &err);
	} else {
		result = json_dumps(call.result, JSON_COMPACT);
		invariant(result != NULL);
		out = ipc_reply_begin(req);
		ipc_put_str(out, str_of(result));
		ipc_reply_end(out, -1);
		free(result);
		tell_changes(d, &call);
		tell_domains(d, noun, verb);
	}
	json_decref(args);
	json_decref(call.result);
}

static ipc_handler *const handlers[] = {
	[DIR_RCPT] = on_rcpt,
	[DIR_SENDER] = on_sender,
	[DIR_ROUTE] = on_route,
	[DIR_LOGIN] = on_login,
	[DIR_ACCOUNT] = on_account,
	[DIR_USAGE] = on_usage,
	[DIR_ADMIN] = on_admin,
	[DIR_WARNED] = on_warned,
	[DIR_WARN] = NULL,
	[DIR_CHANGED] = NULL,
	[DIR_DOMAIN] = on_domain,
	[DIR_FORWARD] = on_forward,
	[DIR_LANGUAGE] = on_language,
	[DIR_DOMAINS] = on_domains,
	[DIR_DOMAINS_CHANGED] = NULL,
};

/* ---- clients ---- */

static const struct {
	const char *peer;
	uint64_t allowed;
	bool wants_changes;
	bool wants_warnings;
} peers[] = {
	{ "smtpd", 1U << DIR_RCPT | 1U << DIR_SENDER | 1U << DIR_LANGUAGE,
	    false, false },
	{ "queued", 1U << DIR_ROUTE | 1U << DIR_WARNED | 1U << DIR_FORWARD |
	    1U << DIR_LANGUAGE, false, true },
	{ "authd", 1U << DIR_LOGIN, true, false },
	{ "mboxd", 1U << DIR_ACCOUNT | 1U << DIR_USAGE, true, false },
	{ "admind", 1U << DIR_ADMIN | 1U << DIR_LOGIN | 1U << DIR_DOMAIN,
	    false, false },
	{ "webmail", 1U << DIR_DOMAIN, false, false },
	{ "quarantined", 1U << DIR_DOMAIN, false, false },
	{ "scand", 1U << DIR_DOMAINS, false, false },
};

static void
on_client_gone(void *ctx, struct ipc_link *link)
{
	struct client *client = ctx;

	ipc_link_free(&link);
	list_del(&client->node);
	free(client);
}

static void
came(struct child *child, struct str peer, int fd)
{
	struct directoryd *d = child->ctx;
	struct client *client = calloc(1, sizeof(*client));
	uint64_t allowed = 0;
	size_t i;

	invariant(client != NULL);
	client->d = d;
	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (str_eq(peer, str_of(peers[i].peer))) {
			allowed = peers[i].allowed;
			client->wants_changes = peers[i].wants_changes;
			client->wants_warnings = peers[i].wants_warnings;
		}
	client->wants_domains = (allowed & 1U << DIR_DOMAINS) != 0;
	list_add(&d->clients, &client->node);
	client->link = ipc_serve(child->loop, &ipc_dir, fd, peer, handlers,
	    client, on_client_gone);
	ipc_link_allow(client->link, allowed);
}

/* ---- life ---- */

static int
prepare(struct child *child, struct err *err)
{
	struct directoryd *d = child->ctx;

	(void)err;
	d->child = child;
	child->sandbox.user = "_hikyaku-directoryd";
	child->sandbox.groups = SB_FILES | SB_MODES;
	child->sandbox.files_max = 256;
	d->path = child_enter_dir(child, "data/directory",
	    SB_READ | SB_WRITE);
	return 0;
}

static void
read_config(struct directoryd *d)
{
	d->quota_grace_s = (int64_t)child_config_u64(d->child, "quota_grace",
	    259200);
	d->rewrites_senders = child_config_u64(d->child, "rewrite_senders",
	    1) != 0;
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

static int
start(struct child *child, struct err *err)
{
	struct directoryd *d = child->ctx;
	char path[4096];

	list_init(&d->clients);
	d->arena = arena_new(65536);
	loop_timer_init(&d->usage_timer, child->loop, on_usage_timer, d);
	read_config(d);
	(void)snprintf(path, sizeof(path), "%s/directory.db", d->path);
	return directory_open(&d->dir, path, err);
}

static void
stop(struct child *child)
{
	struct directoryd *d = child->ctx;

	directory_close(&d->dir);
	child_exit(child);
}

int
main(int argc, char **argv)
{
	static const struct child_serve serves[] = {
		{ .proto = &ipc_dir, .accept = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "directoryd", .ctx_size = sizeof(struct directoryd),
		.serves = serves, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
