/* SPDX-License-Identifier: ISC */
#include "base/when.h"
#include "directory/directory_int.h"
#include "mail/address.h"

struct str
directory_local_of(struct str address, struct str *domain_r)
{
	size_t at = str_rfind(address, '@');

	if (at == STR_NPOS) {
		*domain_r = STR_NONE;
		return address;
	}
	*domain_r = str_sub(address, at + 1, address.len);
	return str_sub(address, 0, at);
}

/* ---- usage ---- */

static struct usage *
usage_of(struct directory *dir, uint64_t account)
{
	struct usage *usage = table_get_u64(dir->usage, account);

	if (usage != NULL)
		return usage;
	usage = calloc(1, sizeof(*usage));
	invariant(usage != NULL);
	usage->account = account;
	table_put_u64(dir->usage, account, usage);
	return usage;
}

/* ---- full mailboxes ---- */

static int
full_write(struct directory *dir, uint64_t account, int64_t since_s,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_FULL);

	/* Lost by a crash of the machine, it begins anew. */
	db_bind_u64(q, 2, account);
	db_bind_i64(q, 3, since_s);
	return db_run(&q, err);
}

int
directory_full_load(struct directory *dir, struct err *err)
{
	struct db_query *q = db_query(dir->db, FULL_LIST);
	struct full *full;

	dir->full = table_new();
	while (db_next(q)) {
		full = calloc(1, sizeof(*full));
		invariant(full != NULL);
		full->since_s = db_col_i64(q, 1);
		table_put_u64(dir->full, db_col_u64(q, 0), full);
	}
	return db_end(&q, err);
}

void
directory_full_free(struct directory *dir)
{
	struct full *full;
	size_t cursor = 0;

	if (dir->full == NULL)
		return;
	while ((full = table_next(dir->full, &cursor, NULL)) != NULL)
		free(full);
	table_free(&dir->full);
}

static int
full_end(struct directory *dir, uint64_t account, struct err *err)
{
	free(table_del_u64(dir->full, account));
	return full_write(dir, account, 0, err);
}

int
directory_full(struct directory *dir, uint64_t account, bool is_full,
    int64_t *since_s_r, struct err *err)
{
	struct full *full = table_get_u64(dir->full, account);

	*since_s_r = full != NULL ? full->since_s : 0;
	if (is_full == (full != NULL))
		return 0;
	if (!is_full)
		return full_end(dir, account, err);
	full = calloc(1, sizeof(*full));
	invariant(full != NULL);
	full->since_s = when_wall_s();
	table_put_u64(dir->full, account, full);
	*since_s_r = full->since_s;
	return full_write(dir, account, full->since_s, err);
}

/* Something was deleted from a full mailbox: its clock ends. */
static void
has_room(struct directory *dir, uint64_t account, uint64_t octets)
{
	struct full *full = table_get_u64(dir->full, account);

	if (full == NULL)
		return;
	if (octets < full->octets)
		(void)full_end(dir, account, NULL);
	else
		full->octets = octets;
}

void
directory_usage(struct directory *dir, uint64_t account, uint64_t octets,
    uint64_t messages, uint64_t sequence)
{
	struct usage *usage = usage_of(dir, account);

	/* Reports may overtake each other between the owner's processes. */
	if (sequence < usage->sequence)
		return;
	has_room(dir, account, octets);
	usage->octets = octets;
	usage->messages = messages;
	usage->sequence = sequence;
	if (!usage->is_dirty)
		dir->dirty++;
	usage->is_dirty = true;
}

int
directory_usage_flush(struct directory *dir, struct err *err)
{
	struct usage *usage;
	struct db_query *q;
	size_t cursor = 0;
	int rc;

	if (dir->dirty == 0)
		return 0;
	/* A lost write costs nothing: owners report again with each change. */
	if ((rc = db_begin(dir->db, DB_SYNC_NORMAL, err)) != 0)
		return rc;
	while ((usage = table_next(dir->usage, &cursor, NULL)) != NULL) {
		if (!usage->is_dirty)
			continue;
		q = db_query(dir->db, ACCOUNT_USAGE);
		db_bind_u64(q, 2, usage->account);
		db_bind_u64(q, 3, usage->octets);
		db_bind_u64(q, 4, usage->messages);
		db_bind_u64(q, 5, usage->sequence);
		db_push(&q);
		usage->is_dirty = false;
	}
	dir->dirty = 0;
	return db_commit(dir->db, err);
}

/* ---- warnings ---- */

static uint64_t
level_of(const struct directory_account *a)
{
	static const uint64_t levels[] = { 95, 90, 80 };
	size_t i;

	for (i = 0; a->quota_octets != 0 && i < 3; i++)
		if (a->used_octets >= a->quota_octets / 100 * levels[i])
			return levels[i];
	return 0;
}

/* Fallen by a twentieth below what was told: told again when it rises. */
static bool
has_fallen(const struct directory_account *a)
{
	return a->warned_percent >= 5 && a->used_octets <
	    a->quota_octets / 100 * (a->warned_percent - 5);
}

int
directory_warnings(struct directory *dir, struct arena *arena,
    struct directory_warning *warnings, size_t max, size_t *count_r,
    struct err *err)
{
	struct directory_account a;
	struct usage *usage;
	size_t cursor = 0, n = 0;
	uint64_t level;
	int rc = 0;

	while (dir->dirty != 0 && n < max && (rc == 0 || rc == ERR_NOTFOUND) &&
	    (usage = table_next(dir->usage, &cursor, NULL)) != NULL) {
		if (!usage->is_dirty)
			continue;
		rc = directory_account_get(dir, usage->account, arena, &a,
		    NULL);
		if (rc != 0)
			continue;
		level = level_of(&a);
		if (has_fallen(&a))
			rc = directory_warned(dir, a.id, level, err);
		else if (level > a.warned_percent)
			warnings[n++] = (struct directory_warning){ a,
			    level };
	}
	*count_r = n;
	return rc == ERR_NOTFOUND ? 0 : rc;
}

int
directory_warned(struct directory *dir, uint64_t account, uint64_t percent,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_WARNED);

	db_bind_u64(q, 2, account);
	db_bind_u64(q, 3, percent);
	return db_run(&q, err);
}

/* ---- accounts ---- */

static void
quota_of(struct db_query *q, struct directory_account *a)
{
	uint64_t plan = db_col_u64(q, 8), domain = db_col_u64(q, 9);

	a->has_quota = !db_col_is_null(q, 7);
	if (a->has_quota)
		a->own_quota_octets = db_col_u64(q, 7);
	a->quota_octets = a->has_quota ? a->own_quota_octets :
	    a->plan.len != 0 ? plan : domain;
}

static void
account_read(struct directory *dir, struct db_query *q, struct arena *arena,
    struct directory_account *a)
{
	const struct usage *usage;
	struct str domain;

	*a = (struct directory_account){ .id = db_col_u64(q, 0) };
	a->domain = db_col_u64(q, 1);
	a->tenant = db_col_u64(q, 2);
	a->local = arena_str(arena, db_col_str(q, 3));
	domain = db_col_str(q, 4);
	a->address = arena_printf(arena, "%.*s@%.*s", STR_FMT(a->local),
	    STR_FMT(domain));
	a->name = arena_str(arena, db_col_str(q, 5));
	if (!db_col_is_null(q, 6))
		a->plan = arena_str(arena, db_col_str(q, 6));
	quota_of(q, a);
	a->is_own_enabled = db_col_bool(q, 10);
	a->is_enabled = a->is_own_enabled && db_col_bool(q, 11);
	a->language = arena_str(arena, db_col_str(q, 12));
	a->used_octets = db_col_u64(q, 13);
	a->used_messages = db_col_u64(q, 14);
	a->message_octets = db_col_u64(q, 15);
	a->message_recipients = db_col_u64(q, 16);
	a->access = arena_str(arena, db_col_str(q, 18));
	a->stops_when_full = db_col_bool(q, 19);
	a->warned_percent = db_col_u64(q, 20);
	usage = table_get_u64(dir->usage, a->id);
	if (usage != NULL && usage->sequence >= db_col_u64(q, 17)) {
		a->used_octets = usage->octets;
		a->used_messages = usage->messages;
	}
}

int
directory_account_get(struct directory *dir, uint64_t id,
    struct arena *arena, struct directory_account *account_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_GET);

	db_bind_u64(q, 2, id);
	if (db_first(q, err) == 0)
		account_read(dir, q, arena, account_r);
	return db_end(&q, err);
}

int
directory_account_find(struct directory *dir, struct str address,
    struct arena *arena, struct directory_account *account_r,
    struct err *err)
{
	struct str domain, local = directory_local_of(address, &domain);
	struct db_query *q = db_query(dir->db, ACCOUNT_FIND);
	int rc;

	db_bind_str(q, 2, domain);
	db_bind_str(q, 3, local);
	if (db_first(q, NULL) == 0)
		account_read(dir, q, arena, account_r);
	rc = db_end(&q, NULL);
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "no account %.*s", STR_FMT(address));
	if (rc != 0)
		return err_set(err, rc, "account %.*s cannot be read",
		    STR_FMT(address));
	return 0;
}

static void
bind_plan_and_quota(struct db_query *q, int at,
    const struct directory_account *a)
{
	if (a->plan.len != 0)
		db_bind_str(q, at, a->plan);
	else
		db_bind_null(q, at);
	if (a->has_quota)
		db_bind_u64(q, at + 1, a->own_quota_octets);
	else
		db_bind_null(q, at + 1);
}

int
directory_account_add(struct directory *dir,
    const struct directory_account *account, uint64_t *id_r,
    struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_ADD);
	struct directory_account made;
	struct arena *arena;
	int rc;

	db_bind_u64(q, 2, account->domain);
	db_bind_str(q, 3, account->local);
	db_bind_str(q, 4, account->name);
	bind_plan_and_quota(q, 5, account);
	db_bind_u64(q, 7, account->is_own_enabled);
	db_bind_str(q, 8, account->language);
	rc = db_run(&q, NULL);
	if (rc == ERR_EXISTS)
		return err_set(err, rc, "account %.*s exists",
		    STR_FMT(account->address));
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc, "no plan %.*s",
		    STR_FMT(account->plan));
	if (rc != 0)
		return err_set(err, rc, "account was not written");
	arena = arena_new(0);
	rc = directory_account_find(dir, account->address, arena, &made, err);
	if (rc == 0)
		*id_r = made.id;
	arena_free(&arena);
	return rc;
}

int
directory_account_set(struct directory *dir,
    const struct directory_account *account, struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_SET);
	int rc;

	db_bind_u64(q, 2, account->id);
	db_bind_str(q, 3, account->name);
	bind_plan_and_quota(q, 4, account);
	db_bind_u64(q, 6, account->is_own_enabled);
	db_bind_str(q, 7, account->language);
	rc = db_run(&q, NULL);
	if (rc == ERR_NOTFOUND)
		err_set(err, rc, "no plan %.*s", STR_FMT(account->plan));
	else if (rc != 0)
		err_set(err, rc, "account was not written");
	return rc;
}

int
directory_account_delete(struct directory *dir, uint64_t id, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct directory_account account;
	struct usage *usage;
	struct db_query *q;
	int rc;

	rc = directory_account_get(dir, id, arena, &account, err);
	if (rc == 0) {
		q = db_query(dir->db, PAIR_DELETE_OWNED);
		db_bind_str(q, 2, account.address);
		rc = db_run(&q, err);
	}
	if (rc == 0) {
		q = db_query(dir->db, ACCOUNT_DELETE);
		db_bind_u64(q, 2, id);
		rc = db_run(&q, err);
	}
	arena_free(&arena);
	usage = rc == 0 ? table_del_u64(dir->usage, id) : NULL;
	if (usage != NULL && usage->is_dirty)
		dir->dirty--;
	free(usage);
	return rc;
}

int
directory_account_list(struct directory *dir, uint64_t domain,
    uint64_t after, size_t max, struct arena *arena,
    struct directory_account *accounts, size_t *count_r, struct err *err)
{
	struct db_query *q = db_query(dir->db, ACCOUNT_LIST);
	size_t n = 0;

	db_bind_u64(q, 2, domain);
	db_bind_u64(q, 3, after);
	db_bind_u64(q, 4, max);
	while (n < max && db_next(q))
		account_read(dir, q, arena, &accounts[n++]);
	*count_r = n;
	return db_end(&q, err);
}
