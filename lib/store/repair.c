/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/*
 * What a crash may leave: links whose rows were never committed, and, after a
 * crash of the machine, rows whose links were never flushed. Nobody was told
 * of either: the former are removed, the latter taken out with their delivery
 * keys, so that the queue delivers them again.
 */

/* --- links without rows -------------------------------------------- */

static int
link_check(struct store *store, int dir, const char *name, uint64_t from,
    uint64_t *removed, struct err *err)
{
	uint64_t id;
	bool has;
	int ret;

	/* A name that is no id was not made by us, and is left alone. */
	if (str_to_u64(str_of(name), INT64_MAX, &id) != 0 || id < from)
		return 0;
	ret = message_has(store, id, &has, err);
	if (ret != 0 || has)
		return ret;
	if (unlinkat(dir, name, 0) == 0)
		(*removed)++;
	return 0;
}

static int
links_check(struct store *store, uint64_t number, uint64_t from,
    uint64_t *removed, struct err *err)
{
	char path[STORE_LINK_PATH_SIZE];
	struct dirent *entry;
	DIR *dir = NULL;
	int fd, ret = 0;

	(void)snprintf(path, sizeof(path), "b/%llu",
	    (unsigned long long)number);
	fd = openat(store->dir_fd, path,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0)
		dir = fdopendir(fd);
	if (dir == NULL) {
		ret = err_set_errno(err, ERR_TEMP, "open %s", path);
		if (fd >= 0)
			(void)close(fd);
		return ret;
	}
	while (ret == 0 && (entry = readdir(dir)) != NULL)
		ret = link_check(store, dirfd(dir), entry->d_name, from,
		    removed, err);
	(void)closedir(dir);
	return ret;
}

/* --- rows without links -------------------------------------------- */

static int
rows_find(struct store *store, uint64_t from, struct ids *missing,
    struct err *err)
{
	struct db_query *q = db_query(store->db, Q_MESSAGE_IDS);
	uint64_t id;

	db_bind_u64(q, 2, from);
	while (db_next(q)) {
		id = db_col_u64(q, 0);
		if (!link_is_there(store, id, NULL))
			ids_push(missing, id);
	}
	return db_end(&q, err);
}

static int
ids_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
ids_have(const struct ids *ids, uint64_t id)
{
	return bsearch(&id, ids->v, ids->count, sizeof(id), ids_cmp) != NULL;
}

/* Memberships of the missing ones, by UID ranges of one. */
static int
box_clear(struct store *store, struct mbox *box, const struct ids *missing,
    struct err *err)
{
	struct arena *arena = arena_new(0);
	struct store_uids gone;
	struct store_range range;
	struct store_set set = { &range, 1 };
	struct ids uids = { .v = NULL };
	uint64_t modseq;
	uint32_t next;
	size_t i;
	int ret = box_need(store, box->info.id, MBOX_ALL, &box, err);

	for (i = 0; ret == 0 && i < box->count; i++)
		if (ids_have(missing, box->msgs[i].message))
			ids_push(&uids, box->msgs[i].uid);
	for (i = 0; ret == 0 && i < uids.count; i++) {
		next = 0;
		range.first = range.last = (uint32_t)uids.v[i];
		ret = store_expunge(store, box->info.id, &set, 0, 0, &next,
		    arena, &gone, &modseq, err);
	}
	free(uids.v);
	arena_free(&arena);
	return ret;
}

static int
row_remove(struct store *store, uint64_t id, struct err *err)
{
	static const unsigned statements[] = {
		Q_MESSAGE_DELETE, Q_DELIVERY_FORGET,
	};
	struct db_query *q;
	size_t i;
	int ret = 0;

	for (i = 0; i < sizeof(statements) / sizeof(statements[0]) && ret == 0;
	    i++) {
		q = db_query(store->db, statements[i]);
		db_bind_u64(q, 2, id);
		ret = db_run(&q, err);
	}
	return ret;
}

static int
rows_check(struct store *store, uint64_t from, uint64_t *removed,
    struct err *err)
{
	struct ids missing = { .v = NULL };
	size_t i;
	int ret = rows_find(store, from, &missing, err);

	if (ret == 0 && missing.count != 0)
		ret = boxes_load(store, err);
	for (i = 0; ret == 0 && missing.count != 0 && i < store->box_count;
	    i++)
		if (!store->boxes[i]->info.is_noselect)
			ret = box_clear(store, store->boxes[i], &missing,
			    err);
	for (i = 0; ret == 0 && i < missing.count; i++)
		ret = row_remove(store, missing.v[i], err);
	*removed += missing.count;
	free(missing.v);
	return ret;
}

int
repair_recent(struct store *store, struct err *err)
{
	const struct account *a = &store->account;
	uint64_t from = a->checked, removed = 0, number;
	uint64_t end = a->next_message + STORE_RESERVED_MAX;
	int ret = 0;

	for (number = from / STORE_LINKS_PER_DIR;
	    number <= end / STORE_LINKS_PER_DIR && ret == 0; number++)
		ret = links_check(store, number, from, &removed, err);
	if (ret == 0)
		ret = rows_check(store, from, &removed, err);
	return ret;
}

/* --- the whole account --------------------------------------------- */

static int
links_check_all(struct store *store, uint64_t *removed, struct err *err)
{
	struct dirent *entry;
	uint64_t number;
	DIR *dir = NULL;
	int fd, ret = 0;

	fd = openat(store->dir_fd, "b",
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		dir = fdopendir(fd);
	if (dir == NULL) {
		ret = err_set_errno(err, ERR_TEMP, "open b");
		if (fd >= 0)
			(void)close(fd);
		return ret;
	}
	while (ret == 0 && (entry = readdir(dir)) != NULL)
		if (str_to_u64(str_of(entry->d_name), INT64_MAX,
		    &number) == 0)
			ret = links_check(store, number, 0, removed, err);
	(void)closedir(dir);
	return ret;
}

/* Ids that some mailbox has; each once. */
static int
ids_in_boxes(struct store *store, struct table *seen, uint64_t *size_r,
    uint64_t *fixed, struct err *err)
{
	struct mbox *box;
	size_t i, j;
	int ret = boxes_load(store, err);

	*size_r = 0;
	for (i = 0; ret == 0 && i < store->box_count; i++) {
		box = store->boxes[i];
		if (box->info.is_noselect)
			continue;
		box_unload(box);
		ret = box_need(store, box->info.id, MBOX_ALL, &box, err);
		if (ret == 0 && box->is_dirty)
			(*fixed)++;
		for (j = 0; ret == 0 && j < box->count; j++)
			if (table_put_u64(seen, box->msgs[j].message,
			    store) == NULL)
				*size_r += box->msgs[j].size_octets;
	}
	return ret;
}

static int
counters_check(struct store *store, uint64_t *fixed, struct err *err)
{
	struct account *a = &store->account;
	struct table *seen = table_new();
	uint64_t size;
	int ret = ids_in_boxes(store, seen, &size, fixed, err);

	if (ret == 0 && (a->messages != table_count(seen) ||
	    a->size_octets != size)) {
		a->messages = table_count(seen);
		a->size_octets = size;
		a->sequence++;
		(*fixed)++;
	}
	if (ret == 0)
		store->is_changed = true;
	table_free(&seen);
	return ret;
}

int
store_repair(struct store *store, struct store_repair *done_r,
    struct err *err)
{
	int ret;

	*done_r = (struct store_repair){ .links_removed = 0 };
	if (table_count(store->reserved) != 0)
		return err_set(err, ERR_TEMP, "messages are on their way");
	ret = store_begin(store, STORE_FULL, err);
	if (ret != 0)
		return ret;
	ret = links_check_all(store, &done_r->links_removed, err);
	if (ret == 0)
		ret = rows_check(store, 0, &done_r->rows_removed, err);
	if (ret == 0)
		ret = boxes_flush(store, err);
	if (ret == 0)
		ret = counters_check(store, &done_r->counters_fixed, err);
	return op_end(store, true, ret, err);
}
