/* SPDX-License-Identifier: ISC */
#include "base/when.h"
#include "directory/directory_int.h"
#include "mail/address.h"

#define CHECKPOINT_PAGES 1000

/* ---- life ---- */

int
directory_open(struct directory **dir_r, const char *path, struct err *err)
{
	struct db_options options = { .schema = &directory_schema,
	    .may_create = true, .busy_timeout_ms = 5000, .cache_kib = 32768 };
	struct directory *dir = calloc(1, sizeof(*dir));
	int rc;

	invariant(dir != NULL);
	rc = db_open(&dir->db, path, &options, err);
	if (rc != 0) {
		free(dir);
		return rc;
	}
	dir->usage = table_new();
	*dir_r = dir;
	rc = directory_full_load(dir, err);
	if (rc == 0)
		rc = directory_sender_load(dir, err);
	if (rc != 0)
		directory_close(dir_r);
	return rc;
}

void
directory_close(struct directory **dir)
{
	struct usage *usage;
	size_t cursor = 0;

	if (*dir == NULL)
		return;
	(void)directory_usage_flush(*dir, NULL);
	while ((usage = table_next((*dir)->usage, &cursor, NULL)) != NULL)
		free(usage);
	table_free(&(*dir)->usage);
	directory_full_free(*dir);
	explicit_bzero((*dir)->sender_keys, sizeof((*dir)->sender_keys));
	db_close(&(*dir)->db);
	free(*dir);
	*dir = NULL;
}

/* ---- changes ---- */

int
directory_begin(struct directory *dir, struct str actor, struct err *err)
{
	(void)snprintf(dir->actor, sizeof(dir->actor), "%.*s",
	    STR_FMT(actor));
	return db_begin(dir->db, DB_SYNC_FULL, err);
}

int
directory_commit(struct directory *dir, struct err *err)
{
	int rc = db_commit(dir->db, err);

	if (rc == 0 && db_wal_pages(dir->db) >= CHECKPOINT_PAGES)
		(void)db_checkpoint(dir->db, CHECKPOINT_PAGES, false, NULL);
	return rc;
}

void
directory_rollback(struct directory *dir)
{
	db_rollback(dir->db);
}

int
directory_log(struct directory *dir, const char *verb, struct str object,
    struct str detail, struct err *err)
{
	struct db_query *q = db_query(dir->db, LOG_ADD);

	db_bind_u64(q, 2, when_wall_us());
	db_bind_str(q, 3, str_of(dir->actor));
	db_bind_str(q, 4, str_of(verb));
	db_bind_str(q, 5, object);
	db_bind_str(q, 6, detail);
	return db_run(&q, err);
}

int
directory_log_read(struct directory *dir, uint64_t after, size_t max,
    struct arena *arena, struct directory_log_line *lines, size_t *count_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, LOG_READ);
	size_t n = 0;

	db_bind_u64(q, 2, after);
	db_bind_u64(q, 3, max);
	for (; n < max && db_next(q); n++) {
		lines[n].id = db_col_u64(q, 0);
		lines[n].when_us = db_col_u64(q, 1);
		lines[n].actor = arena_str(arena, db_col_str(q, 2));
		lines[n].verb = arena_str(arena, db_col_str(q, 3));
		lines[n].object = arena_str(arena, db_col_str(q, 4));
		lines[n].detail = arena_str(arena, db_col_str(q, 5));
	}
	*count_r = n;
	return db_end(&q, err);
}

/* ---- small helpers on statements ---- */

/* Run an INSERT and read its id back by a SELECT id WHERE name = ?2. */
static int
id_by_name(struct directory *dir, enum directory_statement find,
    struct str name, uint64_t *id_r, struct err *err)
{
	struct db_query *q = db_query(dir->db, find);

	db_bind_str(q, 2, name);
	if (db_first(q, err) == 0)
		*id_r = db_col_u64(q, 0);
	return db_end(&q, err);
}

static int
run_by_id(struct directory *dir, enum directory_statement statement,
    uint64_t id, struct err *err)
{
	struct db_query *q = db_query(dir->db, statement);

	db_bind_u64(q, 2, id);
	return db_run(&q, err);
}

/* ERR_EXISTS when the statement has a row. */
static int
refuse_used(struct db_query *q, const char *what, struct err *err)
{
	bool is_used = db_next(q);
	int rc = db_end(&q, err);

	if (rc == 0 && is_used)
		rc = err_set(err, ERR_EXISTS, "%s", what);
	return rc;
}

/* ---- tenants ---- */

int
directory_tenant_add(struct directory *dir, struct str name, uint64_t *id_r,
    struct err *err)
{
	struct db_query *q;
	int rc;

	if (name.len == 0 || name.len > 255 || !str_is_utf8(name))
		return err_set(err, ERR_SYNTAX, "a tenant needs a name of at "
		    "most 255 octets");
	q = db_query(dir->db, TENANT_ADD);
	db_bind_str(q, 2, name);
	rc = db_run(&q, NULL);
	if (rc == ERR_EXISTS)
		return err_set(err, rc, "tenant %.*s exists", STR_FMT(name));
	if (rc != 0)
		return err_set(err, rc, "tenant was not written");
	return id_by_name(dir, TENANT_FIND, name, id_r, err);
}

int
directory_tenant_find(struct directory *dir, struct str name, uint64_t *id_r,
    struct err *err)
{
	int rc = id_by_name(dir, TENANT_FIND, name, id_r, NULL);

	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "no tenant %.*s", STR_FMT(name));
	return rc;
}

int
directory_tenant_delete(struct directory *dir, uint64_t id, struct err *err)
{
	struct db_query *q = db_query(dir->db, TENANT_USED);
	int rc;

	db_bind_u64(q, 2, id);
	rc = refuse_used(q, "the tenant still has domains", err);
	return rc == 0 ? run_by_id(dir, TENANT_DELETE, id, err) : rc;
}

int
directory_tenant_list(struct directory *dir, struct str after, size_t max,
    struct arena *arena, struct str *names, size_t *count_r, struct err *err)
{
	struct db_query *q = db_query(dir->db, TENANT_LIST);
	size_t n = 0;

	db_bind_str(q, 2, after);
	db_bind_u64(q, 3, max);
	while (n < max && db_next(q))
		names[n++] = arena_str(arena, db_col_str(q, 0));
	*count_r = n;
	return db_end(&q, err);
}

/* ---- domains ---- */

static void
domain_read(struct db_query *q, struct arena *arena,
    struct directory_domain *d)
{
	d->id = db_col_u64(q, 0);
	d->tenant = db_col_u64(q, 1);
	d->name = arena_str(arena, db_col_str(q, 2));
	d->tenant_name = arena_str(arena, db_col_str(q, 3));
	d->mailbox_octets = db_col_u64(q, 4);
	d->ids_max = db_col_u64(q, 5);
	d->message_octets = db_col_u64(q, 6);
	d->message_recipients = db_col_u64(q, 7);
	d->is_enabled = db_col_bool(q, 8);
	d->access = arena_str(arena, db_col_str(q, 9));
	d->stops_when_full = db_col_bool(q, 10);
	d->dmarc_marks = db_col_bool(q, 11);
	d->filter_absent = (enum directory_absent)db_col_u32(q, 12);
	if (d->filter_absent > DIRECTORY_ABSENT_TEMPFAIL)
		db_query_corrupt(q, "filter_absent");
	d->quarantine_days = db_col_u64(q, 13);
	if (d->quarantine_days == 0 ||
	    d->quarantine_days > DIRECTORY_QUARANTINE_DAYS_MAX)
		db_query_corrupt(q, "quarantine_days");
	d->accounts = db_col_u64(q, 14);
}

int
directory_domain_add(struct directory *dir,
    const struct directory_domain *domain, uint64_t *id_r, struct err *err)
{
	struct db_query *q = db_query(dir->db, DOMAIN_ADD);
	int rc;

	db_bind_u64(q, 2, domain->tenant);
	db_bind_str(q, 3, domain->name);
	db_bind_u64(q, 4, domain->mailbox_octets);
	db_bind_u64(q, 5, domain->ids_max);
	db_bind_u64(q, 6, domain->message_octets);
	db_bind_u64(q, 7, domain->message_recipients);
	db_bind_u64(q, 8, domain->is_enabled);
	db_bind_str(q, 9, domain->access);
	db_bind_u64(q, 10, domain->stops_when_full);
	db_bind_u64(q, 11, domain->dmarc_marks);
	db_bind_u64(q, 12, (uint64_t)domain->filter_absent);
	db_bind_u64(q, 13, domain->quarantine_days != 0 ?
	    domain->quarantine_days : DIRECTORY_QUARANTINE_DAYS);
	rc = db_run(&q, NULL);
	if (rc == ERR_EXISTS)
		return err_set(err, rc, "domain %.*s exists",
		    STR_FMT(domain->name));
	if (rc != 0)
		return err_set(err, rc, "domain was not written");
	return id_by_name(dir, DOMAIN_FIND, domain->name, id_r, err);
}

static int
domain_get(struct directory *dir, enum directory_statement statement,
    struct str name, struct arena *arena, struct directory_domain *domain_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, statement);
	int rc;

	db_bind_str(q, 2, name);
	if (db_first(q, NULL) == 0)
		domain_read(q, arena, domain_r);
	rc = db_end(&q, NULL);
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "no domain %.*s", STR_FMT(name));
	if (rc != 0)
		return err_set(err, rc, "domain %.*s cannot be read",
		    STR_FMT(name));
	return 0;
}

int
directory_domain_find(struct directory *dir, struct str name,
    struct arena *arena, struct directory_domain *domain_r, struct err *err)
{
	return domain_get(dir, DOMAIN_FIND, name, arena, domain_r, err);
}

int
directory_domain_lookup(struct directory *dir, struct str name,
    struct arena *arena, struct directory_domain *domain_r, struct err *err)
{
	return domain_get(dir, DOMAIN_LOOKUP, name, arena, domain_r, err);
}

int
directory_domain_set(struct directory *dir,
    const struct directory_domain *domain, struct err *err)
{
	struct db_query *q = db_query(dir->db, DOMAIN_SET);

	db_bind_u64(q, 2, domain->id);
	db_bind_u64(q, 3, domain->mailbox_octets);
	db_bind_u64(q, 4, domain->ids_max);
	db_bind_u64(q, 5, domain->message_octets);
	db_bind_u64(q, 6, domain->message_recipients);
	db_bind_u64(q, 7, domain->is_enabled);
	db_bind_str(q, 8, domain->access);
	db_bind_u64(q, 9, domain->stops_when_full);
	db_bind_u64(q, 10, domain->dmarc_marks);
	db_bind_u64(q, 11, (uint64_t)domain->filter_absent);
	db_bind_u64(q, 12, domain->quarantine_days);
	return db_run(&q, err);
}

int
directory_domain_delete(struct directory *dir, uint64_t id, struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_COUNT);
	uint64_t count = 0;
	int rc;

	db_bind_u64(q, 2, id);
	if (db_next(q))
		count = db_col_u64(q, 0);
	rc = db_end(&q, err);
	if (rc == 0 && count != 0)
		rc = err_set(err, ERR_EXISTS, "the domain still has %llu "
		    "accounts", (unsigned long long)count);
	return rc == 0 ? run_by_id(dir, DOMAIN_DELETE, id, err) : rc;
}

int
directory_domain_list(struct directory *dir, struct str after, size_t max,
    struct arena *arena, struct directory_domain *domains, size_t *count_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, DOMAIN_LIST);
	size_t n = 0;

	db_bind_str(q, 2, after);
	db_bind_u64(q, 3, max);
	while (n < max && db_next(q))
		domain_read(q, arena, &domains[n++]);
	*count_r = n;
	return db_end(&q, err);
}

int
directory_domain_names(struct directory *dir, struct str after, size_t max,
    struct arena *arena, struct directory_domain *domains, size_t *count_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, DOMAIN_NAMES);
	size_t n = 0;

	db_bind_str(q, 2, after);
	db_bind_u64(q, 3, max);
	while (n < max && db_next(q)) {
		domains[n].name = arena_str(arena, db_col_str(q, 0));
		domains[n++].tenant = db_col_u64(q, 1);
	}
	*count_r = n;
	return db_end(&q, err);
}

/* ---- plans ---- */

int
directory_plan_put(struct directory *dir, const struct directory_plan *plan,
    struct err *err)
{
	struct db_query *q;

	if (plan->name.len == 0 || plan->name.len > 64 ||
	    !str_is_printable(plan->name) || !str_is_utf8(plan->name))
		return err_set(err, ERR_SYNTAX, "a plan needs a name of at "
		    "most 64 octets");
	q = db_query(dir->db, PLAN_PUT);
	db_bind_str(q, 2, plan->name);
	db_bind_u64(q, 3, plan->quota_octets);
	return db_run(&q, err);
}

int
directory_plan_find(struct directory *dir, struct str name,
    uint64_t *quota_r, struct err *err)
{
	int rc = id_by_name(dir, PLAN_FIND, name, quota_r, NULL);

	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "no plan %.*s", STR_FMT(name));
	return rc;
}

int
directory_plan_delete(struct directory *dir, struct str name,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, PLAN_USED);
	int rc;

	db_bind_str(q, 2, name);
	rc = refuse_used(q, "accounts still have the plan", err);
	if (rc != 0)
		return rc;
	q = db_query(dir->db, PLAN_DELETE);
	db_bind_str(q, 2, name);
	rc = db_run(&q, err);
	if (rc == 0 && db_changes(dir->db) == 0)
		rc = err_set(err, ERR_NOTFOUND, "no plan %.*s",
		    STR_FMT(name));
	return rc;
}

int
directory_plan_list(struct directory *dir, struct arena *arena,
    struct directory_plan *plans, size_t max, size_t *count_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, PLAN_LIST);
	size_t n = 0;

	db_bind_u64(q, 2, max);
	for (; n < max && db_next(q); n++) {
		plans[n].name = arena_str(arena, db_col_str(q, 0));
		plans[n].quota_octets = db_col_u64(q, 1);
	}
	*count_r = n;
	return db_end(&q, err);
}
