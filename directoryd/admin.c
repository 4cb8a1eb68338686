/* SPDX-License-Identifier: ISC */
#include "directory/access.h"
#include "directoryd/admin_int.h"

#include "mail/address.h"

static const struct str absent[] = {
	[DIRECTORY_ABSENT_SERVER] = { "default", 7 },
	[DIRECTORY_ABSENT_ACCEPT] = { "accept", 6 },
	[DIRECTORY_ABSENT_TEMPFAIL] = { "tempfail", 8 },
};

static json_t *
show_domain(const struct directory_domain *d)
{
	json_t *o = json_object();

	admin_set_text(o, "name", d->name);
	admin_set_text(o, "tenant", d->tenant_name);
	admin_set_u64(o, "mailbox_size", d->mailbox_octets);
	admin_set_u64(o, "ids", d->ids_max);
	admin_set_u64(o, "accounts", d->accounts);
	admin_set_u64(o, "message_size", d->message_octets);
	admin_set_u64(o, "message_recipients", d->message_recipients);
	admin_set_text(o, "access", d->access);
	json_object_set_new(o, "stops_when_full",
	    json_boolean(d->stops_when_full));
	admin_set_text(o, "dmarc", d->dmarc_marks ? STR("mark") :
	    STR("honour"));
	admin_set_text(o, "filter_unavailable", absent[d->filter_absent]);
	admin_set_u64(o, "quarantine_days", d->quarantine_days);
	json_object_set_new(o, "enabled", json_boolean(d->is_enabled));
	return o;
}

/* ---- tenants ---- */

static int
tenant_create(struct admin_call *call, struct err *err)
{
	struct str name;
	uint64_t id;
	int rc = admin_need_str(call->args, "name", &name, err);

	if (rc == 0)
		rc = directory_tenant_add(call->dir, name, &id, err);
	if (rc == 0)
		rc = directory_log(call->dir, "tenant.create", name,
		    STR(""), err);
	admin_set_text(call->result, "name", name);
	return rc;
}

static int
tenant_delete(struct admin_call *call, struct err *err)
{
	struct str name;
	uint64_t id;
	int rc = admin_need_str(call->args, "name", &name, err);

	if (rc == 0)
		rc = directory_tenant_find(call->dir, name, &id, err);
	if (rc == 0)
		rc = directory_tenant_delete(call->dir, id, err);
	return rc == 0 ? directory_log(call->dir, "tenant.delete", name,
	    STR(""), err) : rc;
}

static int
tenant_list(struct admin_call *call, struct err *err)
{
	json_t *items = json_array(), *item;
	struct str names[PAGE];
	size_t n, i;
	int rc;

	rc = directory_tenant_list(call->dir, admin_arg_str(call->args, "after"),
	    PAGE, call->arena, names, &n, err);
	for (i = 0; rc == 0 && i < n; i++) {
		item = json_object();
		admin_set_text(item, "name", names[i]);
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE)
		admin_set_text(call->result, "next", names[n - 1]);
	return rc;
}

/* ---- domains ---- */

static int
domain_filter(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	struct str dmarc = admin_arg_str(call->args, "dmarc");
	struct str when = admin_arg_str(call->args, "filter_unavailable");
	size_t i;

	if (admin_arg_has(call->args, "dmarc")) {
		d->dmarc_marks = str_eq(dmarc, STR("mark"));
		if (!d->dmarc_marks && !str_eq(dmarc, STR("honour")))
			return err_set(err, ERR_SYNTAX, "dmarc: want honour "
			    "or mark");
	}
	if (!admin_arg_has(call->args, "filter_unavailable"))
		return 0;
	for (i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
		if (str_eq(when, absent[i])) {
			d->filter_absent = (enum directory_absent)i;
			return 0;
		}
	return err_set(err, ERR_SYNTAX, "filter_unavailable: want default, "
	    "accept or tempfail");
}

static int
domain_quarantine(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	int rc = admin_arg_count(call->args, "quarantine_days",
	    &d->quarantine_days, err);

	if (rc == 0 && admin_arg_has(call->args, "quarantine_days") &&
	    (d->quarantine_days == 0 ||
	    d->quarantine_days > DIRECTORY_QUARANTINE_DAYS_MAX))
		rc = err_set(err, ERR_SYNTAX, "quarantine_days: want 1 to "
		    "%u", DIRECTORY_QUARANTINE_DAYS_MAX);
	return rc;
}

static int
domain_policy(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	struct str access = admin_arg_str(call->args, "access");
	struct str when_full = admin_arg_str(call->args, "when_full");

	if (admin_arg_has(call->args, "when_full")) {
		d->stops_when_full = str_eq(when_full, STR("stop"));
		if (!d->stops_when_full && !str_eq(when_full, STR("send")))
			return err_set(err, ERR_SYNTAX, "when_full: want send "
			    "or stop");
	}
	if (!admin_arg_has(call->args, "access"))
		return 0;
	if (str_eq(access, STR("closed-network")))
		access = STR(ACCESS_CLOSED_NETWORK);
	else if (str_eq(access, STR("open")))
		access = STR("");
	d->access = access;
	return access_check(access, err);
}

static int
domain_limits(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	int rc = admin_arg_size(call->args, "mailbox_size", &d->mailbox_octets,
	    err);

	if (rc == 0)
		rc = admin_arg_count(call->args, "ids", &d->ids_max, err);
	if (rc == 0)
		rc = admin_arg_size(call->args, "message_size", &d->message_octets,
		    err);
	if (rc == 0)
		rc = admin_arg_count(call->args, "message_recipients",
		    &d->message_recipients, err);
	/* The closest model of this product, one to one. */
	if (rc == 0 && str_eq(admin_arg_str(call->args, "preset"), STR("compat"))) {
		d->message_octets = 15 << 20;
		d->message_recipients = 1000;
		d->stops_when_full = true;
		d->access = STR(ACCESS_CLOSED_NETWORK);
	} else if (rc == 0 && admin_arg_has(call->args, "preset")) {
		rc = err_set(err, ERR_SYNTAX, "preset: want compat");
	}
	if (rc == 0)
		rc = domain_filter(call, d, err);
	if (rc == 0)
		rc = domain_quarantine(call, d, err);
	return rc == 0 ? domain_policy(call, d, err) : rc;
}

/* The tenant named, or one named after the domain, made when missing. */
static int
domain_tenant(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	struct str name = admin_arg_str(call->args, "tenant");
	int rc;

	if (name.len != 0)
		return directory_tenant_find(call->dir, name, &d->tenant,
		    err);
	rc = directory_tenant_find(call->dir, d->name, &d->tenant, NULL);
	return rc == ERR_NOTFOUND ? directory_tenant_add(call->dir, d->name,
	    &d->tenant, err) : rc;
}

static int
domain_create(struct admin_call *call, struct err *err)
{
	struct directory_domain d = { .is_enabled = true };
	struct str text;
	uint64_t id;
	int rc = admin_need_str(call->args, "name", &text, err);

	if (rc == 0 && (address_domain(call->arena, text, ADDRESS_UTF8,
	    &d.name, NULL) != 0 || d.name.p[0] == '['))
		rc = err_set(err, ERR_SYNTAX, "not a domain: %.*s",
		    STR_FMT(text));
	if (rc == 0)
		rc = domain_limits(call, &d, err);
	if (rc == 0)
		rc = domain_tenant(call, &d, err);
	if (rc == 0)
		rc = directory_domain_add(call->dir, &d, &id, err);
	if (rc == 0)
		rc = directory_log(call->dir, "domain.create", d.name,
		    admin_detail(call, call->args), err);
	admin_set_text(call->result, "name", d.name);
	return rc;
}

static int
domain_set(struct admin_call *call, struct err *err)
{
	struct directory_domain d;
	int rc = admin_arg_domain(call, "name", &d, err);

	if (rc == 0)
		rc = domain_limits(call, &d, err);
	if (rc == 0 && admin_arg_has(call->args, "enabled"))
		d.is_enabled = json_is_true(json_object_get(call->args,
		    "enabled"));
	if (rc == 0)
		rc = directory_domain_set(call->dir, &d, err);
	return rc == 0 ? directory_log(call->dir, "domain.set", d.name,
	    admin_detail(call, call->args), err) : rc;
}

static int
domain_delete(struct admin_call *call, struct err *err)
{
	struct directory_domain d;
	int rc = admin_arg_domain(call, "name", &d, err);

	if (rc == 0)
		rc = directory_domain_delete(call->dir, d.id, err);
	return rc == 0 ? directory_log(call->dir, "domain.delete", d.name,
	    STR(""), err) : rc;
}

static int
domain_show(struct admin_call *call, struct err *err)
{
	struct directory_domain d;
	int rc = admin_arg_domain(call, "name", &d, err);

	if (rc == 0)
		json_object_set_new(call->result, "item", show_domain(&d));
	return rc;
}

static int
domain_list(struct admin_call *call, struct err *err)
{
	struct directory_domain *d = arena_alloc(call->arena,
	    PAGE * sizeof(*d));
	json_t *items = json_array();
	size_t n, i;
	int rc;

	rc = directory_domain_list(call->dir, admin_arg_str(call->args, "after"),
	    PAGE, call->arena, d, &n, err);
	for (i = 0; rc == 0 && i < n; i++)
		json_array_append_new(items, show_domain(&d[i]));
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE)
		admin_set_text(call->result, "next", d[n - 1].name);
	return rc;
}

/* ---- pairs: aliases, forwards, send-as, administrators ---- */

struct pair_verb {
	enum directory_pair kind;
	const char *owner;	/* argument names */
	const char *target;
	const char *add;	/* names in the log */
	const char *del;
};

static const struct pair_verb alias_verb = { DIRECTORY_ALIAS, "address",
	"target", "alias.create", "alias.delete" };
static const struct pair_verb forward_verb = { DIRECTORY_FORWARD, "address",
	"target", "forward.create", "forward.delete" };
static const struct pair_verb grant_verb = { DIRECTORY_SEND_AS, "address",
	"send_as", "account.grant", "account.revoke" };
static const struct pair_verb admin_verb = { DIRECTORY_ADMIN, "domain",
	"address", "admin.grant", "admin.revoke" };

/* The owner in canonical form, and that it is what it should be. */
static int
pair_owner(struct admin_call *call, const struct pair_verb *v,
    struct str *owner_r, struct err *err)
{
	struct directory_account account;
	struct directory_domain domain;
	int rc;

	if (v->kind == DIRECTORY_ADMIN) {
		rc = admin_arg_domain(call, v->owner, &domain, err);
		*owner_r = domain.name;
		return rc;
	}
	rc = admin_arg_address(call, call->args, v->owner, owner_r, err);
	if (rc != 0)
		return rc;
	if (v->kind != DIRECTORY_ALIAS)
		return directory_account_find(call->dir, *owner_r,
		    call->arena, &account, err);
	rc = directory_domain_of(call->dir, *owner_r, call->arena, &domain,
	    err);
	if (rc == 0 && directory_account_find(call->dir, *owner_r,
	    call->arena, &account, NULL) == 0)
		rc = err_set(err, ERR_EXISTS, "%.*s is an account",
		    STR_FMT(*owner_r));
	return rc;
}

static int
pair_target(struct admin_call *call, const struct pair_verb *v,
    struct str *target_r, struct err *err)
{
	struct directory_account account;
	int rc = admin_arg_address(call, call->args, v->target, target_r, err);

	if (rc == 0 && v->kind == DIRECTORY_ADMIN)
		rc = directory_account_find(call->dir, *target_r,
		    call->arena, &account, err);
	return rc;
}

static int
pair_add(struct admin_call *call, const struct pair_verb *v, struct err *err)
{
	struct str owner, target;
	int rc = pair_owner(call, v, &owner, err);

	if (rc == 0)
		rc = pair_target(call, v, &target, err);
	if (rc == 0)
		rc = directory_pair_add(call->dir, v->kind, owner, target,
		    json_is_true(json_object_get(call->args, "keep_copy")),
		    err);
	return rc == 0 ? directory_log(call->dir, v->add, owner,
	    admin_detail(call, call->args), err) : rc;
}

static int
pair_del(struct admin_call *call, const struct pair_verb *v, struct err *err)
{
	struct str owner, target = STR_NONE;
	int rc;

	if (v->kind == DIRECTORY_ALIAS)
		rc = admin_arg_address(call, call->args, v->owner, &owner, err);
	else
		rc = pair_owner(call, v, &owner, err);
	if (rc == 0 && admin_arg_has(call->args, v->target))
		rc = admin_arg_address(call, call->args, v->target, &target, err);
	if (rc == 0)
		rc = directory_pair_delete(call->dir, v->kind, owner, target,
		    err);
	return rc == 0 ? directory_log(call->dir, v->del, owner,
	    admin_detail(call, call->args), err) : rc;
}

static int
pair_list(struct admin_call *call, const struct pair_verb *v,
    struct err *err)
{
	struct directory_pair_row *rows = arena_alloc(call->arena,
	    PAGE * sizeof(*rows));
	struct directory_pair_row after = {
		.owner = admin_arg_str(call->args, "after"),
		.target = admin_arg_str(call->args, "after_target"),
	};
	json_t *items = json_array(), *item;
	struct str owner = admin_arg_str(call->args, v->owner);
	size_t n = 0, i;
	int rc = 0;

	if (owner.len != 0 && v->kind != DIRECTORY_ADMIN)
		rc = directory_canon(call->arena, owner, &owner, err);
	if (after.owner.p == NULL)
		after.owner = STR("");
	if (after.target.p == NULL)
		after.target = STR("");
	if (rc == 0)
		rc = directory_pair_list(call->dir, v->kind, owner, &after,
		    PAGE, call->arena, rows, &n, err);
	for (i = 0; rc == 0 && i < n; i++) {
		item = json_object();
		admin_set_text(item, v->owner, rows[i].owner);
		admin_set_text(item, v->target, rows[i].target);
		if (v->kind == DIRECTORY_FORWARD)
			json_object_set_new(item, "keep_copy",
			    json_boolean(rows[i].keeps_copy));
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE) {
		admin_set_text(call->result, "next", rows[n - 1].owner);
		admin_set_text(call->result, "next_target", rows[n - 1].target);
	}
	return rc;
}

#define PAIR_VERBS(noun, add, del)					\
	static int noun##_##add(struct admin_call *call, struct err *err) \
	{								\
		return pair_add(call, &noun##_verb, err);		\
	}								\
	static int noun##_##del(struct admin_call *call, struct err *err) \
	{								\
		return pair_del(call, &noun##_verb, err);		\
	}								\
	static int noun##_list(struct admin_call *call, struct err *err) \
	{								\
		return pair_list(call, &noun##_verb, err);		\
	}

PAIR_VERBS(alias, create, delete)
PAIR_VERBS(forward, create, delete)
PAIR_VERBS(admin, grant, revoke)
PAIR_VERBS(grant, add, delete)

/* ---- plans, log ---- */

static int
plan_put(struct admin_call *call, struct err *err)
{
	struct directory_plan plan = { .quota_octets = 0 };
	int rc = admin_need_str(call->args, "name", &plan.name, err);

	if (rc == 0 && !admin_arg_has(call->args, "quota"))
		rc = err_set(err, ERR_SYNTAX, "quota is missing");
	if (rc == 0)
		rc = admin_arg_size(call->args, "quota", &plan.quota_octets, err);
	if (rc == 0)
		rc = directory_plan_put(call->dir, &plan, err);
	return rc == 0 ? directory_log(call->dir, "plan.set", plan.name,
	    admin_detail(call, call->args), err) : rc;
}

static int
plan_delete(struct admin_call *call, struct err *err)
{
	struct str name;
	int rc = admin_need_str(call->args, "name", &name, err);

	if (rc == 0)
		rc = directory_plan_delete(call->dir, name, err);
	return rc == 0 ? directory_log(call->dir, "plan.delete", name,
	    STR(""), err) : rc;
}

static int
plan_list(struct admin_call *call, struct err *err)
{
	struct directory_plan plans[PLANS_MAX];
	json_t *items = json_array(), *item;
	size_t n = 0, i;
	int rc = directory_plan_list(call->dir, call->arena, plans,
	    PLANS_MAX, &n, err);

	for (i = 0; rc == 0 && i < n; i++) {
		item = json_object();
		admin_set_text(item, "name", plans[i].name);
		admin_set_u64(item, "quota", plans[i].quota_octets);
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	return rc;
}

static int
log_list(struct admin_call *call, struct err *err)
{
	struct directory_log_line *lines = arena_alloc(call->arena,
	    PAGE * sizeof(*lines));
	json_t *items = json_array(), *item;
	uint64_t after = 0;
	char next[32];
	size_t n = 0, i;
	int rc;

	(void)admin_arg_count(call->args, "after", &after, NULL);
	rc = directory_log_read(call->dir, after, PAGE, call->arena, lines,
	    &n, err);
	for (i = 0; rc == 0 && i < n; i++) {
		item = json_object();
		admin_set_u64(item, "id", lines[i].id);
		admin_set_u64(item, "when_us", lines[i].when_us);
		admin_set_text(item, "actor", lines[i].actor);
		admin_set_text(item, "verb", lines[i].verb);
		admin_set_text(item, "object", lines[i].object);
		admin_set_text(item, "detail", str_sub(lines[i].detail, 0, 300));
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE) {
		(void)snprintf(next, sizeof(next), "%llu",
		    (unsigned long long)lines[n - 1].id);
		admin_set_text(call->result, "next", str_of(next));
	}
	return rc;
}

/* ---- dispatch ---- */

static const struct {
	const char *noun;
	const char *verb;
	int (*run)(struct admin_call *call, struct err *err);
	bool is_change;
} verbs[] = {
	{ "tenant", "create", tenant_create, true },
	{ "tenant", "delete", tenant_delete, true },
	{ "tenant", "list", tenant_list, false },
	{ "domain", "create", domain_create, true },
	{ "domain", "set", domain_set, true },
	{ "domain", "delete", domain_delete, true },
	{ "domain", "show", domain_show, false },
	{ "domain", "list", domain_list, false },
	{ "account", "create", admin_account_create, true },
	{ "account", "check", admin_account_check, false },
	{ "account", "import", admin_account_import, true },
	{ "account", "set", admin_account_set, true },
	{ "account", "delete", admin_account_delete, true },
	{ "account", "password", admin_account_password, true },
	{ "account", "show", admin_account_show, false },
	{ "account", "list", admin_account_list, false },
	{ "account", "grant", grant_add, true },
	{ "account", "revoke", grant_delete, true },
	{ "account", "grants", grant_list, false },
	{ "alias", "create", alias_create, true },
	{ "alias", "delete", alias_delete, true },
	{ "alias", "list", alias_list, false },
	{ "forward", "create", forward_create, true },
	{ "forward", "delete", forward_delete, true },
	{ "forward", "list", forward_list, false },
	{ "admin", "grant", admin_grant, true },
	{ "admin", "revoke", admin_revoke, true },
	{ "admin", "list", admin_list, false },
	{ "plan", "set", plan_put, true },
	{ "plan", "delete", plan_delete, true },
	{ "plan", "list", plan_list, false },
	{ "log", "list", log_list, false },
};

static int
run_change(struct admin_call *call, size_t i, struct err *err)
{
	int rc = directory_begin(call->dir, call->actor, err);

	if (rc != 0)
		return rc;
	rc = verbs[i].run(call, err);
	if (rc == 0)
		return directory_commit(call->dir, err);
	directory_rollback(call->dir);
	return rc;
}

int
admin_run(struct admin_call *call, struct str noun, struct str verb,
    struct err *err)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (str_eq(noun, str_of(verbs[i].noun)) &&
		    str_eq(verb, str_of(verbs[i].verb)))
			return verbs[i].is_change ? run_change(call, i, err) :
			    verbs[i].run(call, err);
	return err_set(err, ERR_SYNTAX, "no such verb: %.*s %.*s",
	    STR_FMT(noun), STR_FMT(verb));
}
