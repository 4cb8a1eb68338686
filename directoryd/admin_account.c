/* SPDX-License-Identifier: ISC */
/* admin_account: the verbs on accounts, one at a time and imported. */
#include "directoryd/admin_int.h"

static json_t *
show_account(const struct directory_account *a)
{
	json_t *o = json_object();

	admin_set_text(o, "address", a->address);
	admin_set_u64(o, "id", a->id);
	admin_set_text(o, "name", a->name);
	admin_set_text(o, "plan", a->plan);
	admin_set_u64(o, "quota", a->quota_octets);
	if (a->has_quota)
		admin_set_u64(o, "own_quota", a->own_quota_octets);
	admin_set_u64(o, "used", a->used_octets);
	admin_set_u64(o, "messages", a->used_messages);
	json_object_set_new(o, "enabled", json_boolean(a->is_enabled));
	admin_set_text(o, "language", a->language);
	return o;
}

/* ---- accounts ---- */

/* name, quota, plan, language from args, where they are. */
static int
account_settings(struct admin_call *call, const json_t *args,
    struct directory_account *a, struct err *err)
{
	struct str quota = admin_arg_str(args, "quota");
	uint64_t unused;
	int rc = 0;

	if (admin_arg_has(args, "name"))
		a->name = admin_arg_str(args, "name");
	if (a->name.len > 255)
		return err_set(err, ERR_LIMIT, "name: over 255 octets");
	if (admin_arg_has(args, "language"))
		a->language = admin_arg_str(args, "language");
	if (admin_arg_has(args, "plan"))
		a->plan = admin_arg_str(args, "plan");
	if (a->plan.len != 0)
		rc = directory_plan_find(call->dir, a->plan, &unused, err);
	if (rc != 0 || quota.len == 0)
		return rc;
	a->has_quota = !str_eq(quota, STR("default"));
	return a->has_quota ? admin_arg_size(args, "quota", &a->own_quota_octets,
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
	rc = admin_arg_address(call, args, "address", &a->address, err);
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
		    admin_detail(call, args), err);
	admin_set_text(made, "address", a.address);
	admin_set_u64(made, "id", id);
	return rc;
}

int
admin_account_create(struct admin_call *call, struct err *err)
{
	return account_make(call, call->args, call->result, err);
}

/* Rows of an import: [{line, address, ...}]. Errors by line, none applied. */
int
admin_account_check(struct admin_call *call, struct err *err)
{
	const json_t *rows = json_object_get(call->args, "rows"), *row;
	json_t *errors = json_array(), *item;
	struct directory_account a;
	struct directory_domain d;
	uint64_t others = 0;
	size_t i;
	int rc;

	(void)admin_arg_count(call->args, "others", &others, NULL);
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
		admin_set_text(item, "reason", str_of(err_text(&why)));
		json_array_append_new(errors, item);
	}
	json_object_set_new(call->result, "errors", errors);
	return 0;
}

int
admin_account_import(struct admin_call *call, struct err *err)
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

int
admin_account_set(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	int rc = admin_arg_account(call, "address", &a, err);

	if (rc == 0)
		rc = account_settings(call, call->args, &a, err);
	if (rc == 0 && admin_arg_has(call->args, "enabled"))
		a.is_own_enabled = json_is_true(json_object_get(call->args,
		    "enabled"));
	if (rc == 0)
		rc = directory_account_set(call->dir, &a, err);
	if (rc == 0)
		rc = directory_log(call->dir, "account.set", a.address,
		    admin_detail(call, call->args), err);
	if (rc == 0)
		admin_changed(call, a.id, !a.is_own_enabled);
	return rc;
}

int
admin_account_delete(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	int rc = admin_arg_account(call, "address", &a, err);

	if (rc == 0)
		rc = directory_account_delete(call->dir, a.id, err);
	if (rc == 0)
		rc = directory_log(call->dir, "account.delete", a.address,
		    STR(""), err);
	if (rc == 0) {
		admin_changed(call, a.id, true);
		admin_set_u64(call->result, "id", a.id);
		admin_set_text(call->result, "address", a.address);
	}
	return rc;
}

/* authd has stored a new password: who is logged in must go. */
int
admin_account_password(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	int rc = admin_arg_account(call, "address", &a, err);

	if (rc == 0)
		rc = directory_log(call->dir, "account.password", a.address,
		    STR(""), err);
	if (rc == 0)
		admin_changed(call, a.id, true);
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
			    admin_json_text(rows[i].target));
	json_object_set_new(item, name, list);
}

int
admin_account_show(struct admin_call *call, struct err *err)
{
	struct directory_account a;
	json_t *item;
	int rc = admin_arg_account(call, "address", &a, err);

	if (rc != 0)
		return rc;
	item = show_account(&a);
	add_pairs(call, item, "forwards", DIRECTORY_FORWARD, a.address);
	add_pairs(call, item, "send_as", DIRECTORY_SEND_AS, a.address);
	json_object_set_new(call->result, "item", item);
	return 0;
}

int
admin_account_list(struct admin_call *call, struct err *err)
{
	struct directory_account *a = arena_alloc(call->arena,
	    PAGE * sizeof(*a));
	json_t *items = json_array();
	struct directory_domain d;
	uint64_t after = 0;
	char next[32];
	size_t n = 0, i;
	int rc = admin_arg_domain(call, "domain", &d, err);

	(void)admin_arg_count(call->args, "after", &after, NULL);
	if (rc == 0)
		rc = directory_account_list(call->dir, d.id, after, PAGE,
		    call->arena, a, &n, err);
	for (i = 0; rc == 0 && i < n; i++)
		json_array_append_new(items, show_account(&a[i]));
	json_object_set_new(call->result, "items", items);
	if (rc == 0 && n == PAGE) {
		(void)snprintf(next, sizeof(next), "%llu",
		    (unsigned long long)a[n - 1].id);
		admin_set_text(call->result, "next", str_of(next));
	}
	return rc;
}
