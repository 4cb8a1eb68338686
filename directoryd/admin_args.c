/* SPDX-License-Identifier: ISC */
#include "directoryd/admin_int.h"

#include "config/config.h"
#include "mail/address.h"

/* ---- arguments ---- */

struct str
admin_arg_str(const json_t *args, const char *name)
{
	const json_t *value = json_object_get(args, name);

	return json_is_string(value) ? str_make(json_string_value(value),
	    json_string_length(value)) : STR_NONE;
}

bool
admin_arg_has(const json_t *args, const char *name)
{
	return json_object_get(args, name) != NULL;
}

int
admin_need_str(const json_t *args, const char *name, struct str *value_r,
    struct err *err)
{
	*value_r = admin_arg_str(args, name);
	if (value_r->len == 0)
		return err_set(err, ERR_SYNTAX, "%s is missing", name);
	return 0;
}

/* A size such as "10G"; absent: unchanged. */
int
admin_arg_size(const json_t *args, const char *name, uint64_t *value,
    struct err *err)
{
	if (!admin_arg_has(args, name))
		return 0;
	if (config_parse_size(admin_arg_str(args, name), value) != 0 ||
	    *value > INT64_MAX)
		return err_set(err, ERR_SYNTAX, "%s: want a size such as "
		    "10G", name);
	return 0;
}

int
admin_arg_count(const json_t *args, const char *name, uint64_t *value,
    struct err *err)
{
	if (!admin_arg_has(args, name))
		return 0;
	if (str_to_u64(admin_arg_str(args, name), 1000000000, value) != 0)
		return err_set(err, ERR_SYNTAX, "%s: want a number", name);
	return 0;
}

int
admin_arg_address(struct admin_call *call, const json_t *args, const char *name,
    struct str *canon_r, struct err *err)
{
	struct str text, domain;
	int rc = admin_need_str(args, name, &text, err);

	if (rc == 0)
		rc = directory_canon(call->arena, text, canon_r, err);
	if (rc == 0 && (str_rfind(*canon_r, '@') == STR_NPOS ||
	    (domain = str_sub(*canon_r, str_rfind(*canon_r, '@') + 1,
	    canon_r->len)).len == 0))
		rc = err_set(err, ERR_SYNTAX, "%s: an address has a domain",
		    name);
	return rc;
}

int
admin_arg_domain(struct admin_call *call, const char *name,
    struct directory_domain *domain_r, struct err *err)
{
	struct str text, canon;
	int rc = admin_need_str(call->args, name, &text, err);

	if (rc == 0 && address_domain(call->arena, text, ADDRESS_UTF8,
	    &canon, NULL) != 0)
		rc = err_set(err, ERR_SYNTAX, "not a domain: %.*s",
		    STR_FMT(text));
	return rc == 0 ? directory_domain_find(call->dir, canon, call->arena,
	    domain_r, err) : rc;
}

int
admin_arg_account(struct admin_call *call, const char *name,
    struct directory_account *account_r, struct err *err)
{
	struct str address;
	int rc = admin_arg_address(call, call->args, name, &address, err);

	return rc == 0 ? directory_account_find(call->dir, address,
	    call->arena, account_r, err) : rc;
}

/* ---- results ---- */

json_t *
admin_json_text(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	return text != NULL ? text : json_string("?");
}

void
admin_set_text(json_t *object, const char *name, struct str s)
{
	json_object_set_new(object, name, admin_json_text(s));
}

void
admin_set_u64(json_t *object, const char *name, uint64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

void
admin_changed(struct admin_call *call, uint64_t account, bool ends_sessions)
{
	invariant(call->changes_len < ADMIN_CHANGES_MAX);
	call->changes[call->changes_len++] =
	    (struct admin_change){ account, ends_sessions };
}

/* The call's arguments as the log's detail. */
struct str
admin_detail(struct admin_call *call, const json_t *args)
{
	char *text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
	struct str copy;

	invariant(text != NULL);
	copy = arena_str(call->arena, str_of(text));
	free(text);
	return copy;
}
