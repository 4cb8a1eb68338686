/* SPDX-License-Identifier: ISC */
#include "directoryd/admin.h"

#include "config/config.h"
#include "mail/address.h"

#define PAGE 100
#define BATCH_MAX 100
#define PLANS_MAX 200
#define LIST_MAX 200

/* ---- arguments ---- */

static struct str
arg_str(const json_t *args, const char *name)
{
	const json_t *value = json_object_get(args, name);

	return json_is_string(value) ? str_make(json_string_value(value),
	    json_string_length(value)) : STR_NONE;
}

static bool
arg_has(const json_t *args, const char *name)
{
	return json_object_get(args, name) != NULL;
}

static int
need_str(const json_t *args, const char *name, struct str *value_r,
    struct err *err)
{
	*value_r = arg_str(args, name);
	if (value_r->len == 0)
		return err_set(err, ERR_SYNTAX, "%s is missing", name);
	return 0;
}

/* A size such as "10G"; absent: unchanged. */
static int
arg_size(const json_t *args, const char *name, uint64_t *value,
    struct err *err)
{
	if (!arg_has(args, name))
		return 0;
	if (config_parse_size(arg_str(args, name), value) != 0 ||
	    *value > INT64_MAX)
		return err_set(err, ERR_SYNTAX, "%s: want a size such as "
		    "10G", name);
	return 0;
}

static int
arg_count(const json_t *args, const char *name, uint64_t *value,
    struct err *err)
{
	if (!arg_has(args, name))
		return 0;
	if (str_to_u64(arg_str(args, name), 1000000000, value) != 0)
		return err_set(err, ERR_SYNTAX, "%s: want a number", name);
	return 0;
}

static int
arg_address(struct admin_call *call, const json_t *args, const char *name,
    struct str *canon_r, struct err *err)
{
	struct str text, domain;
	int rc = need_str(args, name, &text, err);

	if (rc == 0)
		rc = directory_canon(call->arena, text, canon_r, err);
	if (rc == 0 && (str_rfind(*canon_r, '@') == STR_NPOS ||
	    (domain = str_sub(*canon_r, str_rfind(*canon_r, '@') + 1,
	    canon_r->len)).len == 0))
		rc = err_set(err, ERR_SYNTAX, "%s: an address has a domain",
		    name);
	return rc;
}

static int
arg_domain(struct admin_call *call, const char *name,
    struct directory_domain *domain_r, struct err *err)
{
	struct str text, canon;
	int rc = need_str(call->args, name, &text, err);

	if (rc == 0 && address_domain(call->arena, text, ADDRESS_UTF8,
	    &canon, NULL) != 0)
		rc = err_set(err, ERR_SYNTAX, "not a domain: %.*s",
		    STR_FMT(text));
	return rc == 0 ? directory_domain_find(call->dir, canon, call->arena,
	    domain_r, err) : rc;
}

static int
arg_account(struct admin_call *call, const char *name,
    struct directory_account *account_r, struct err *err)
{
	struct str address;
	int rc = arg_address(call, call->args, name, &address, err);

	return rc == 0 ? directory_account_find(call->dir, address,
	    call->arena, account_r, err) : rc;
}

/* ---- results ---- */

static json_t *
json_text(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	return text != NULL ? text : json_string("?");
}

static void
set_text(json_t *object, const char *name, struct str s)
{
	json_object_set_new(object, name, json_text(s));
}

static void
set_u64(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

static json_t *
show_domain(const struct directory_domain *d)
{
	json_t *o = json_object();

	set_text(o, "name", d->name);
	set_text(o, "tenant", d->tenant_name);
	set_u64(o, "mailbox_size", d->mailbox_octets);
	set_u64(o, "ids", d->ids_max);
	set_u64(o, "accounts", d->accounts);
	set_u64(o, "message_size", d->message_octets);
	set_u64(o, "message_recipients", d->message_recipients);
	json_object_set_new(o, "enabled", json_boolean(d->is_enabled));
	return o;
}

static json_t *
show_account(const struct directory_account *a)
{
	json_t *o = json_object();

	set_text(o, "address", a->address);
	set_u64(o, "id", a->id);
	set_text(o, "name", a->name);
	set_text(o, "plan", a->plan);
	set_u64(o, "quota", a->quota_octets);
	if (a->has_quota)
		set_u64(o, "own_quota", a->own_quota_octets);
	set_u64(o, "used", a->used_octets);
	set_u64(o, "messages", a->used_messages);
	json_object_set_new(o, "enabled", json_boolean(a->is_enabled));
	set_text(o, "language", a->language);
	return o;
}

static void
changed(struct admin_call *call, uint64_t account, bool ends_sessions)
{
	invariant(call->changes_len < ADMIN_CHANGES_MAX);
	call->changes[call->changes_len++] =
	    (struct admin_change){ account, ends_sessions };
}

/* The call's arguments as the log's detail. */
static struct str
detail(struct admin_call *call, const json_t *args)
{
	char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	struct str copy;

	invariant(text != NULL);
	copy = arena_str(call->arena, str_of(text));
	free(text);
	return copy;
}

/* ---- tenants ---- */

static int
tenant_create(struct admin_call *call, struct err *err)
{
	struct str name;
	uint64_t id;
	int rc = need_str(call->args, "name", &name, err);

	if (rc == 0)
		rc = directory_tenant_add(call->dir, name, &id, err);
	if (rc == 0)
		rc = directory_log(call->dir, "tenant.create", name,
		    STR(""), err);
	set_text(call->result, "name", name);
	return rc;
}

static int
tenant_delete(struct admin_call *call, struct err *err)
{
	struct str name;
	uint64_t id;
	int rc = need_str(call->args, "name", &name, err);

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

	rc = directory_tenant_list(call->dir, arg_str(call->args, "after"),
	    PAGE, call->arena, names, &n, err);
	for (i = 0; rc == 0 && i < n; i++) {
		item = json_object();
		set_text(item, "name", names[i]);
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE)
		set_text(call->result, "next", names[n - 1]);
	return rc;
}

/* ---- domains ---- */

static int
domain_limits(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	int rc = arg_size(call->args, "mailbox_size", &d->mailbox_octets,
	    err);

	if (rc == 0)
		rc = arg_count(call->args, "ids", &d->ids_max, err);
	if (rc == 0)
		rc = arg_size(call->args, "message_size", &d->message_octets,
		    err);
	if (rc == 0)
		rc = arg_count(call->args, "message_recipients",
		    &d->message_recipients, err);
	/* The closest model of this product, one to one. */
	if (rc == 0 && str_eq(arg_str(call->args, "preset"), STR("compat"))) {
		d->message_octets = 15 << 20;
		d->message_recipients = 1000;
	} else if (rc == 0 && arg_has(call->args, "preset")) {
		rc = err_set(err, ERR_SYNTAX, "preset: want compat");
	}
	return rc;
}

/* The tenant named, or one named after the domain, made when missing. */
static int
domain_tenant(struct admin_call *call, struct directory_domain *d,
    struct err *err)
{
	struct str name = arg_str(call->args, "tenant");
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
	int rc = need_str(call->args, "name", &text, err);

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
		    detail(call, call->args), err);
	set_text(call->result, "name", d.name);
	return rc;
}

static int
domain_set(struct admin_call *call, struct err *err)
{
	struct directory_domain d;
	int rc = arg_domain(call, "name", &d, err);

	if (rc == 0)
		rc = domain_limits(call, &d, err);
	if (rc == 0 && arg_has(call->args, "enabled"))
		d.is_enabled = json_is_true(json_object_get(call->args,
		    "enabled"));
	if (rc == 0)
		rc = directory_domain_set(call->dir, &d, err);
	return rc == 0 ? directory_log(call->dir, "domain.set", d.name,
	    detail(call, call->args), err) : rc;
}

static int
domain_delete(struct admin_call *call, struct err *err)
{
	struct directory_domain d;
	int rc = arg_domain(call, "name", &d, err);

	if (rc == 0)
		rc = directory_domain_delete(call->dir, d.id, err);
	return rc == 0 ? directory_log(call->dir, "domain.delete", d.name,
	    STR(""), err) : rc;
}

static int
domain_show(struct admin_call *call, struct err *err)
{
	struct directory_domain d;
	int rc = arg_domain(call, "name", &d, err);

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

	rc = directory_domain_list(call->dir, arg_str(call->args, "after"),
	    PAGE, call->arena, d, &n, err);
	for (i = 0; rc == 0 && i < n; i++)
		json_array_append_new(items, show_domain(&d[i]));
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE)
		set_text(call->result, "next", d[n - 1].name);
	return rc;
}

/* ---- accounts ---- */

/* name, quota, plan, language from args, where they are. */
static int
account_settings(struct admin_call *call, const json_t *args,
    struct directory_account *a, struct err *err)
{
	struct str quota = arg_str(args, "quota");
	uint64_t unused;
	int rc = 0;

	if (arg_has(args, "name"))
		a->name = arg_str(args, "name");
	if (a->name.len > 255)
		return err_set(err, ERR_LIMIT, "name: over 255 octets");
	if (arg_has(args, "language"))
		a->language = arg_str(args, "language");
	if (arg_has(args, "plan"))
		a->plan = arg_str(args, "plan");
	if (a->plan.len != 0)
		rc = directory_plan_find(call->dir, a->plan, &unused, err);
	if (rc != 0 || quota.len == 0)
		return rc;
	a->has_quota = !str_eq(quota, STR("default"));
	return a->has_quota ? arg_size(args, "quota", &a->own_quota_octets,
	    err) : 0;
}

/* What a new account named by args would be; the domain and its room. */
static int
account_plan_new(struct admin_call *call, const json_t *args,
    struct directory_account *a, struct directory_domain *d,
    uint64_t others, struct err *err)
{
	struct directory_account there;
	size_t at;
	int rc;

	*a = (struct directory_account){ .is_own_enabled = true,
	    .language = STR("ja") };
	rc = arg_address(call, args, "address", &a->address, err);
	if (rc != 0)
		return rc;
	rc = directory_domain_of(call->dir, a->address, call->arena, d, err);
	if (rc != 0)
		return rc;
	rc = directory_domain_find(call->dir, d->name, call->arena, d, err);
	if (rc != 0)
		return rc;
	at = str_rfind(a->address, '@');
	a->local = str_sub(a->address, 0, at);
	a->domain = d->id;
	if (str_find(a->local, '+') != STR_NPOS)
		return err_set(err, ERR_SYNTAX, "%.*s: a + stands before a "
		    "tag", STR_FMT(a->address));
	if (directory_account_find(call->dir, a->address, call->arena,
	    &there, NULL) == 0)
		return err_set(err, ERR_EXISTS, "account %.*s exists",
		    STR_FMT(a->address));
	if (d->ids_max != 0 && d->accounts + others >= d->ids_max)
		return err_set(err, ERR_LIMIT, "%.*s has its %llu ids",
		    STR_FMT(d->name), (unsigned long long)d->ids_max);
	return account_settings(call, args, a, err);
}

/* Aliases and forwards come as arrays of addresses. */
static int
account_extras(struct admin_call *call, const json_t *args,
    struct str address, bool is_dry, struct err *err)
{
	static const struct {
		const char *name;
		enum directory_pair kind;
	} lists[] = {
		{ "aliases", DIRECTORY_ALIAS },
		{ "forwards", DIRECTORY_FORWARD },
	};
	struct directory_domain domain;
	struct directory_account account;
	struct str canon;
	const json_t *list, *value;
	size_t i, j;
	int rc = 0;

	for (i = 0; i < 2; i++) {
		list = json_object_get(args, lists[i].name);
		json_array_foreach(list, j, value) {
			rc = directory_canon(call->arena,
			    str_of(json_string_value(value)), &canon, err);
			if (rc != 0)
				return rc;
			if (lists[i].kind == DIRECTORY_ALIAS) {
				rc = directory_domain_of(call->dir, canon,
				    call->arena, &domain, err);
				if (rc == 0 && directory_account_find(
				    call->dir, canon, call->arena, &account,
				    NULL) == 0)
					rc = err_set(err, ERR_EXISTS,
					    "%.*s is an account",
					    STR_FMT(canon));
			}
			if (rc == 0 && !is_dry)
				rc = directory_pair_add(call->dir,
				    lists[i].kind,
				    lists[i].kind == DIRECTORY_ALIAS ?
				    canon : address,
				    lists[i].kind == DIRECTORY_ALIAS ?
				    address : canon, false, err);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

static int
account_make(struct admin_call *call, const json_t *args, json_t *made,
    struct err *err)
{
	struct directory_account a;
	struct directory_domain d;
	uint64_t id = 0;
	int rc = account_plan_new(call, args, &a, &d, 0, err);

	if (rc == 0)
		rc = directory_account_add(call->dir, &a, &id, err);
	if (rc == 0)
		rc = account_extras(call, args, a.address, false, err);
	if (rc == 0)
		rc = directory_log(call->dir, "account.create", a.address,
		    detail(call, args), err);
	set_text(made, "address", a.address);
	set_u64(made, "id", id);
	return rc;
}

static int
account_create(struct admin_call *call, struct err *err)
{
	return account_make(call, call->args, call->result, err);
}

/* Rows of an import: [{line, address, ...}]. Errors by line, none applied. */
static int
account_check(struct admin_call *call, struct err *err)
{
	const json_t *rows = json_object_get(call->args, "rows"), *row;
	json_t *errors = json_array(), *item;
	struct directory_account a;
	struct directory_domain d;
	uint64_t others = 0;
	size_t i;
	int rc;

	(void)arg_count(call->args, "others", &others, NULL);
	if (json_array_size(rows) > BATCH_MAX)
		return err_set(err, ERR_LIMIT, "over %d rows", BATCH_MAX);
	json_array_foreach(rows, i, row) {
		struct err why = ERR_INIT;

		rc = account_plan_new(call, row, &a, &d, others + i, &why);
		if (rc == 0)
			rc = account_extras(call, row, a.address, true, &why);
		if (rc == 0)
			continue;
		item = json_object();
		json_object_set(item, "line", json_object_get(row, "line"));
		set_text(item, "reason", str_of(err_text(&why)));
		json_array_append_new(errors, item);
	}
	json_object_set_new(call->result, "errors", errors);
	return 0;
}

static int
account_import(struct admin_call *call, struct err *err)
{
	const json_t *rows = json_object_get(call->args, "rows"), *row;
	json_t *items = json_array(), *made;
	size_t i;
	int rc = 0;

	json_object_set_new(call->result, "items", items);
	if (json_array_size(rows) > BATCH_MAX)
		return err_set(err, ERR_LIMIT, "over %d rows", BATCH_MAX);
	json_array_foreach(rows, i, row) {
		made = json_object();
		json_array_append_new(items, made);
		if ((rc = account_make(call, row, made, err)) != 0)
			break;
	}
	return rc;
}

static int
account_set(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	int rc = arg_account(call, "address", &a, err);

	if (rc == 0)
		rc = account_settings(call, call->args, &a, err);
	if (rc == 0 && arg_has(call->args, "enabled"))
		a.is_own_enabled = json_is_true(json_object_get(call->args,
		    "enabled"));
	if (rc == 0)
		rc = directory_account_set(call->dir, &a, err);
	if (rc == 0)
		rc = directory_log(call->dir, "account.set", a.address,
		    detail(call, call->args), err);
	if (rc == 0)
		changed(call, a.id, !a.is_own_enabled);
	return rc;
}

static int
account_delete(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	int rc = arg_account(call, "address", &a, err);

	if (rc == 0)
		rc = directory_account_delete(call->dir, a.id, err);
	if (rc == 0)
		rc = directory_log(call->dir, "account.delete", a.address,
		    STR(""), err);
	if (rc == 0) {
		changed(call, a.id, true);
		set_u64(call->result, "id", a.id);
		set_text(call->result, "address", a.address);
	}
	return rc;
}

/* authd has stored a new password: who is logged in must go. */
static int
account_password(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	int rc = arg_account(call, "address", &a, err);

	if (rc == 0)
		rc = directory_log(call->dir, "account.password", a.address,
		    STR(""), err);
	if (rc == 0)
		changed(call, a.id, true);
	return rc;
}

static void
add_pairs(struct admin_call *call, json_t *item, const char *name,
    enum directory_pair kind, struct str owner)
{
	struct directory_pair_row *rows = arena_alloc(call->arena,
	    LIST_MAX * sizeof(*rows));
	json_t *list = json_array();
	size_t n = 0, i;

	if (directory_pair_list(call->dir, kind, owner, NULL, LIST_MAX,
	    call->arena, rows, &n, NULL) == 0)
		for (i = 0; i < n; i++)
			json_array_append_new(list,
			    json_text(rows[i].target));
	json_object_set_new(item, name, list);
}

static int
account_show(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	json_t *item;
	int rc = arg_account(call, "address", &a, err);

	if (rc != 0)
		return rc;
	item = show_account(&a);
	add_pairs(call, item, "forwards", DIRECTORY_FORWARD, a.address);
	add_pairs(call, item, "send_as", DIRECTORY_SEND_AS, a.address);
	json_object_set_new(call->result, "item", item);
	return 0;
}

static int
account_list(struct admin_call *call, struct err *err)
{
	struct directory_account *a = arena_alloc(call->arena,
	    PAGE * sizeof(*a));
	json_t *items = json_array();
	struct directory_domain d;
	uint64_t after = 0;
	char next[32];
	size_t n = 0, i;
	int rc = arg_domain(call, "domain", &d, err);

	(void)arg_count(call->args, "after", &after, NULL);
	if (rc == 0)
		rc = directory_account_list(call->dir, d.id, after, PAGE,
		    call->arena, a, &n, err);
	for (i = 0; rc == 0 && i < n; i++)
		json_array_append_new(items, show_account(&a[i]));
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE) {
		(void)snprintf(next, sizeof(next), "%llu",
		    (unsigned long long)a[n - 1].id);
		set_text(call->result, "next", str_of(next));
	}
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
		rc = arg_domain(call, v->owner, &domain, err);
		*owner_r = domain.name;
		return rc;
	}
	rc = arg_address(call, call->args, v->owner, owner_r, err);
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
	int rc = arg_address(call, call->args, v->target, target_r, err);

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
	    detail(call, call->args), err) : rc;
}

static int
pair_del(struct admin_call *call, const struct pair_verb *v, struct err *err)
{
	struct str owner, target = STR_NONE;
	int rc;

	if (v->kind == DIRECTORY_ALIAS)
		rc = arg_address(call, call->args, v->owner, &owner, err);
	else
		rc = pair_owner(call, v, &owner, err);
	if (rc == 0 && arg_has(call->args, v->target))
		rc = arg_address(call, call->args, v->target, &target, err);
	if (rc == 0)
		rc = directory_pair_delete(call->dir, v->kind, owner, target,
		    err);
	return rc == 0 ? directory_log(call->dir, v->del, owner,
	    detail(call, call->args), err) : rc;
}

static int
pair_list(struct admin_call *call, const struct pair_verb *v,
    struct err *err)
{
	struct directory_pair_row *rows = arena_alloc(call->arena,
	    PAGE * sizeof(*rows));
	struct directory_pair_row after = {
		.owner = arg_str(call->args, "after"),
		.target = arg_str(call->args, "after_target"),
	};
	json_t *items = json_array(), *item;
	struct str owner = arg_str(call->args, v->owner);
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
		set_text(item, v->owner, rows[i].owner);
		set_text(item, v->target, rows[i].target);
		if (v->kind == DIRECTORY_FORWARD)
			json_object_set_new(item, "keep_copy",
			    json_boolean(rows[i].keeps_copy));
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE) {
		set_text(call->result, "next", rows[n - 1].owner);
		set_text(call->result, "next_target", rows[n - 1].target);
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
	int rc = need_str(call->args, "name", &plan.name, err);

	if (rc == 0 && !arg_has(call->args, "quota"))
		rc = err_set(err, ERR_SYNTAX, "quota is missing");
	if (rc == 0)
		rc = arg_size(call->args, "quota", &plan.quota_octets, err);
	if (rc == 0)
		rc = directory_plan_put(call->dir, &plan, err);
	return rc == 0 ? directory_log(call->dir, "plan.set", plan.name,
	    detail(call, call->args), err) : rc;
}

static int
plan_delete(struct admin_call *call, struct err *err)
{
	struct str name;
	int rc = need_str(call->args, "name", &name, err);

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
		set_text(item, "name", plans[i].name);
		set_u64(item, "quota", plans[i].quota_octets);
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

	(void)arg_count(call->args, "after", &after, NULL);
	rc = directory_log_read(call->dir, after, PAGE, call->arena, lines,
	    &n, err);
	for (i = 0; rc == 0 && i < n; i++) {
		item = json_object();
		set_u64(item, "id", lines[i].id);
		set_u64(item, "when_us", lines[i].when_us);
		set_text(item, "actor", lines[i].actor);
		set_text(item, "verb", lines[i].verb);
		set_text(item, "object", lines[i].object);
		set_text(item, "detail", str_sub(lines[i].detail, 0, 300));
		json_array_append_new(items, item);
	}
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE) {
		(void)snprintf(next, sizeof(next), "%llu",
		    (unsigned long long)lines[n - 1].id);
		set_text(call->result, "next", str_of(next));
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
	{ "account", "create", account_create, true },
	{ "account", "check", account_check, false },
	{ "account", "import", account_import, true },
	{ "account", "set", account_set, true },
	{ "account", "delete", account_delete, true },
	{ "account", "password", account_password, true },
	{ "account", "show", account_show, false },
	{ "account", "list", account_list, false },
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
