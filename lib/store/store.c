/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/when.h"

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

void *
array_grow(void *array, size_t *cap, size_t count, size_t size)
{
	if (count < *cap)
		return array;
	*cap = *cap != 0 ? *cap * 2 : 8;
	return must(reallocarray(array, *cap, size));
}

void
ids_push(struct ids *ids, uint64_t id)
{
	ids->v = array_grow(ids->v, &ids->cap, ids->count, sizeof(*ids->v));
	ids->v[ids->count++] = id;
}

static void
ids_free(struct ids *ids)
{
	free(ids->v);
	*ids = (struct ids){ .v = NULL };
}

/* --- the account's row --------------------------------------------- */

static int
account_load(struct store *store, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_ACCOUNT_GET);
	struct account *a = &store->account;
	uint64_t next_message;

	if (db_first(q, err) != 0)
		return db_end(&q, err);
	next_message = db_col_u64(q, 0);
	/* An id that was given to somebody stays given after a rollback. */
	if (next_message > a->next_message)
		a->next_message = next_message;
	store->written_next = next_message;
	a->next_mailbox = db_col_u64(q, 1);
	a->next_uidvalidity = db_col_u64(q, 2);
	a->modseq = db_col_u64(q, 3);
	a->size_octets = db_col_u64(q, 4);
	a->messages = db_col_u64(q, 5);
	a->sequence = db_col_u64(q, 6);
	a->checked = db_col_u64(q, 7);
	return db_end(&q, err);
}

static int
account_put(struct store *store, struct err *err)
{
	struct db_query *q = db_query(store->db, Q_ACCOUNT_PUT);
	const struct account *a = &store->account;

	db_bind_u64(q, 2, a->next_message);
	db_bind_u64(q, 3, a->next_mailbox);
	db_bind_u64(q, 4, a->next_uidvalidity);
	db_bind_u64(q, 5, a->modseq);
	db_bind_u64(q, 6, a->size_octets);
	db_bind_u64(q, 7, a->messages);
	db_bind_u64(q, 8, a->sequence);
	db_bind_u64(q, 9, a->checked);
	return db_run(&q, err);
}

void
store_usage(const struct store *store, struct store_usage *usage_r)
{
	usage_r->size_octets = store->account.size_octets;
	usage_r->messages = store->account.messages;
	usage_r->sequence = store->account.sequence;
}

uint64_t
store_modseq(const struct store *store)
{
	return store->account.modseq;
}

uint64_t
store_next_modseq(struct store *store)
{
	store->is_changed = true;
	return ++store->account.modseq;
}

uint64_t
store_account(const struct store *store)
{
	return store->options.account;
}

int
store_dir_fd(const struct store *store)
{
	return store->dir_fd;
}

bool
store_has_failed(const struct store *store)
{
	return store->is_flush_lost || db_has_failed(store->db);
}

bool
store_is_disk_full(const struct store *store)
{
	return store->is_full || db_is_full(store->db);
}

/* --- flushing ------------------------------------------------------ */

static int
flush_dir(struct store *store, const char *path, struct err *err)
{
	int fd = openat(store->dir_fd, path,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	/* A sandbox may hide the parent. Whoever made the directory flushes
	 * it; and the file systems we know flush it with its child. */
	if (fd < 0 && errno == EACCES && strcmp(path, "..") == 0)
		return 0;
	if (fd < 0 || fsync(fd) != 0) {
		store->is_flush_lost = true;
		ret = err_set_errno(err, ERR_TEMP, "flush %s", path);
	}
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

/* Names are on the disk only when their directory is. */
static int
flush_links(struct store *store, struct err *err)
{
	char path[STORE_LINK_PATH_SIZE];
	size_t i;
	int ret = 0;

	for (i = 0; i < store->dirs.count && ret == 0; i++) {
		(void)snprintf(path, sizeof(path), "b/%llu",
		    (unsigned long long)store->dirs.v[i]);
		ret = flush_dir(store, path, err);
	}
	if (ret == 0 && store->needs_top_flush) {
		ret = flush_dir(store, "b", err);
		if (ret == 0)
			ret = flush_dir(store, ".", err);
		if (ret == 0)
			ret = flush_dir(store, "..", err);
	}
	if (ret != 0)
		return ret;
	store->dirs.count = 0;
	store->needs_top_flush = false;
	return 0;
}

/* All that was committed is on the disk. */
static void
now_durable(struct store *store)
{
	if (table_count(store->reserved) == 0)
		store->account.checked = store->account.next_message;
	if (store->owner_state == OWNER_NEW)
		owner_mark(store, OWNER_OPEN);
}

int
store_sync(struct store *store, struct err *err)
{
	int ret;

	if (store->is_flush_lost)
		return err_set(err, ERR_TEMP, "a flush has failed");
	invariant(!store->is_group);
	ret = flush_links(store, err);
	if (ret == 0)
		ret = db_sync(store->db, err);
	if (ret == 0)
		now_durable(store);
	return ret;
}

void
store_note_synced(struct store *store)
{
	if (store_has_failed(store))
		return;
	store->dirs.count = 0;
	store->needs_top_flush = false;
	db_note_synced(store->db);
	now_durable(store);
}

bool
store_is_durable(const struct store *store)
{
	return db_is_durable(store->db) && store->dirs.count == 0 &&
	    !store->is_flush_lost;
}

/* --- groups -------------------------------------------------------- */

int
store_begin(struct store *store, enum store_sync sync, struct err *err)
{
	int ret;

	invariant(!store->is_group && store->readers == 0);
	if (store->is_flush_lost)
		return err_set(err, ERR_TEMP, "a flush has failed");
	store->is_full = false;
	ret = db_begin(store->db, sync == STORE_FULL ? DB_SYNC_FULL :
	    DB_SYNC_NORMAL, err);
	if (ret != 0)
		return ret;
	err_clear(&store->spoilt);
	store->sync = sync;
	store->is_group = true;
	return 0;
}

/* Forget what memory has and the rows have not. */
static void
forget(struct store *store)
{
	size_t i;

	for (i = 0; i < store->added.count; i++)
		(void)table_put_u64(store->reserved, store->added.v[i],
		    store);
	store->added.count = 0;
	store->garbage.count = 0;
	store->refs.is_loaded = false;
	store->refs.is_dirty = false;
	store->is_changed = false;
	boxes_drop(store);
	if (!db_has_failed(store->db) && account_load(store, NULL) != 0)
		store->is_flush_lost = true;
}

void
store_rollback(struct store *store)
{
	if (!store->is_group)
		return;
	db_rollback(store->db);
	store->is_group = false;
	if (store->is_changed || store->spoilt.code != 0)
		forget(store);
	err_clear(&store->spoilt);
}

static int
flush_rows(struct store *store, struct err *err)
{
	int ret = 0;

	if (store->spoilt.code != 0)
		return err_set(err, store->spoilt.code, "%s",
		    err_text(&store->spoilt));
	if (!store->is_changed)
		return 0;
	ret = boxes_flush(store, err);
	if (ret == 0)
		ret = refs_flush(store, err);
	if (ret == 0)
		ret = garbage_flush(store, err);
	if (ret == 0)
		ret = account_put(store, err);
	return ret;
}

int
store_commit(struct store *store, struct err *err)
{
	int ret;

	invariant(store->is_group && store->readers == 0);
	ret = flush_rows(store, err);
	if (ret == 0 && store->sync == STORE_FULL)
		ret = flush_links(store, err);
	if (ret == 0)
		ret = db_commit(store->db, err);
	if (ret != 0) {
		/* db_commit() may have rolled back: memory goes in any case. */
		store->is_changed = true;
		store_rollback(store);
		return ret;
	}
	if (store->is_changed)
		store->written_next = store->account.next_message;
	store->is_group = false;
	store->is_changed = false;
	store->added.count = 0;
	if (store_is_durable(store))
		now_durable(store);
	return 0;
}

int
op_begin(struct store *store, bool *is_own_r, struct err *err)
{
	*is_own_r = !store->is_group;
	if (!store->is_group)
		return store_begin(store, store->options.sync, err);
	if (store->spoilt.code != 0)
		return err_set(err, store->spoilt.code, "%s",
		    err_text(&store->spoilt));
	return 0;
}

int
store_spoil(struct store *store, const struct err *err, int code)
{
	if (store->spoilt.code == 0)
		(void)err_set(&store->spoilt, code, "%s",
		    err != NULL ? err_text(err) : "a change failed");
	return code;
}

int
op_end(struct store *store, bool is_own, int ret, struct err *err)
{
	if (is_own && ret == 0)
		return store_commit(store, err);
	if (is_own)
		store_rollback(store);
	else if (ret == ERR_TEMP || ret == ERR_CORRUPT)
		(void)store_spoil(store, err, ret);
	return ret;
}

/* --- open and close ------------------------------------------------ */

int
store_image_new(struct db_image **image_r, struct err *err)
{
	return db_image_new(image_r, &store_schema, err);
}

int
make_dir(struct store *store, int at_fd, const char *name, bool *is_new_r,
    struct err *err)
{
	mode_t mask = umask(0);
	int ret = mkdirat(at_fd, name, 0770);
	int saved = errno;

	(void)umask(mask);
	*is_new_r = ret == 0;
	if (ret == 0 || saved == EEXIST)
		return 0;
	errno = saved;
	store->is_full = saved == ENOSPC || saved == EDQUOT;
	return err_set_errno(err, ERR_TEMP, "mkdir %s", name);
}

static int
open_dir(struct store *store, struct err *err)
{
	bool is_new = false;
	int ret = 0;

	if (store->options.may_create)
		ret = make_dir(store, AT_FDCWD, store->path, &is_new, err);
	if (ret != 0)
		return ret;
	store->dir_fd = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "open %s", store->path);
	ret = owner_take(store, err);
	if (ret != 0)
		return ret;
	if (store->options.may_create)
		ret = make_dir(store, store->dir_fd, "b", &is_new, err);
	/* Nobody knows what an earlier owner has left unflushed. */
	store->needs_top_flush = is_new || store->is_unclean;
	return ret;
}

static int
open_db(struct store *store, struct err *err)
{
	struct db_options options = {
		.schema = &store_schema,
		.image = store->options.image,
		.owner = store->options.account,
		.may_create = store->options.may_create,
		/* A file that was cut off may still open. */
		.wants_check = store->is_unclean &&
		    store->owner_state == OWNER_NEW,
		.busy_timeout_ms = 100,
	};
	struct err first = ERR_INIT;
	char path[4096];
	int n, ret;

	n = snprintf(path, sizeof(path), "%s/mail.db", store->path);
	if (n < 0 || (size_t)n >= sizeof(path))
		return err_set(err, ERR_LIMIT, "path too long");
	ret = db_open(&store->db, path, &options, &first);
	if (ret != ERR_CORRUPT || store->owner_state != OWNER_NEW ||
	    !store->options.may_create) {
		if (ret != 0)
			(void)err_set(err, ret, "%s", err_text(&first));
		return ret;
	}
	/* The machine died while the account was being made: nothing of it
	 * was ever acknowledged. It is kept aside all the same. */
	if (renameat(store->dir_fd, "mail.db", store->dir_fd,
	    "mail.db.unborn") != 0)
		return err_set_errno(err, ERR_TEMP, "rename mail.db");
	(void)unlinkat(store->dir_fd, "mail.db-wal", 0);
	return db_open(&store->db, path, &options, err);
}

static int
create_rows(struct store *store, struct err *err)
{
	bool is_own;
	int ret;

	if (!store->options.may_create)
		return err_set(err, ERR_CORRUPT, "no row of account %llu",
		    (unsigned long long)store->options.account);
	ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	store->account = (struct account){
		.next_message = store->account.next_message + 1,
		.next_mailbox = 1,
		.next_uidvalidity = (uint64_t)when_wall_s() & UINT32_MAX,
		.sequence = 1,
		.checked = 1,
	};
	store->are_boxes_loaded = true;
	store->is_changed = true;
	ret = mailboxes_create_first(store, err);
	return op_end(store, is_own, ret, err);
}

/*
 * The last owner died: it may have handed out ids that it did not write down,
 * and a link for one of them may still be on its way from blobd. They are
 * skipped, and that is written down before the first new one is given.
 */
static int
after_unclean(struct store *store, struct err *err)
{
	int ret = store_begin(store, STORE_NORMAL, err);

	if (ret != 0)
		return ret;
	ret = repair_recent(store, err);
	store->account.next_message += STORE_RESERVED_MAX;
	store->is_changed = true;
	return op_end(store, true, ret, err);
}

static int
open_all(struct store *store, struct err *err)
{
	struct err none = ERR_INIT;
	int ret = open_dir(store, err);

	if (ret == 0)
		ret = open_db(store, err);
	if (ret != 0)
		return ret;
	ret = account_load(store, &none);
	if (ret == ERR_NOTFOUND)
		return create_rows(store, err);
	if (ret != 0)
		return err_set(err, ret, "%s", err_text(&none));
	if (store->is_unclean)
		ret = after_unclean(store, err);
	/* A process that talks to clients begins with what cannot vanish. */
	if (ret == 0 && store->options.sync == STORE_FULL &&
	    !store_is_durable(store))
		ret = store_sync(store, err);
	return ret;
}

int
store_open(struct store **store_r, const char *path,
    const struct store_options *options, struct err *err)
{
	struct store *store = must(calloc(1, sizeof(*store)));
	int ret;

	*store_r = NULL;
	store->options = *options;
	store->path = must(strdup(path));
	store->dir_fd = -1;
	store->owner_fd = -1;
	store->by_id = table_new();
	store->reserved = table_new();
	ret = open_all(store, err);
	if (ret != 0) {
		/* What is left to put right stays so marked. */
		store->owner_state = 0;
		store_close(&store);
	}
	*store_r = store;
	return ret;
}

/* The mark of a clean stop: all is flushed and no id is on its way. */
static void
leave(struct store *store)
{
	if (store->db == NULL || store->owner_state != OWNER_OPEN)
		return;
	if (store_has_failed(store) || !store_is_durable(store) ||
	    table_count(store->reserved) != 0 || store->needs_top_flush ||
	    store->written_next != store->account.next_message)
		return;
	owner_mark(store, OWNER_SHUT);
}

void
store_close(struct store **storep)
{
	struct store *store = *storep;

	if (store == NULL)
		return;
	store_rollback(store);
	leave(store);
	boxes_drop(store);
	if (store->db != NULL)
		db_close(&store->db);
	if (store->owner_fd >= 0)
		(void)close(store->owner_fd);
	if (store->dir_fd >= 0)
		(void)close(store->dir_fd);
	table_free(&store->by_id);
	table_free(&store->reserved);
	ids_free(&store->garbage);
	ids_free(&store->added);
	ids_free(&store->dirs);
	free(store->boxes);
	free(store->path);
	free(store);
	*storep = NULL;
}
