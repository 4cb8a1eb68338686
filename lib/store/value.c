/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include "base/when.h"

static int
check_key(struct str key, struct err *err)
{
	if (key.len == 0 || !str_is_utf8(key))
		return err_set(err, ERR_SYNTAX, "impossible key of a value");
	if (key.len > STORE_KEY_MAX)
		return err_set(err, ERR_LIMIT, "key of a value too long");
	return 0;
}

int
store_value_get(struct store *store, struct str key, struct arena *arena,
    struct str *value_r, struct err *err)
{
	struct db_query *q;
	int ret = check_key(key, err);

	*value_r = STR_NONE;
	if (ret != 0)
		return ret;
	q = db_query(store->db, Q_VALUE_GET);
	db_bind_str(q, 2, key);
	db_bind_i64(q, 3, when_wall_s());
	if (db_first(q, err) == 0)
		*value_r = arena_str(arena, db_col_blob(q, 0));
	return db_end(&q, err);
}

int
store_value_put(struct store *store, struct str key, struct str value,
    int64_t until_s, struct err *err)
{
	struct db_query *q;
	bool is_own;
	int ret = check_key(key, err);

	if (ret == 0 && value.len > STORE_VALUE_MAX)
		ret = err_set(err, ERR_LIMIT, "value too long");
	if (ret == 0)
		ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	q = db_query(store->db, Q_VALUE_PUT);
	db_bind_str(q, 2, key);
	db_bind_i64(q, 3, until_s);
	db_bind_blob(q, 4, value);
	ret = db_run(&q, err);
	return op_end(store, is_own, ret, err);
}

int
store_value_delete(struct store *store, struct str key, struct err *err)
{
	struct db_query *q;
	bool is_own;
	int ret = check_key(key, err);

	if (ret == 0)
		ret = op_begin(store, &is_own, err);
	if (ret != 0)
		return ret;
	q = db_query(store->db, Q_VALUE_DELETE);
	db_bind_str(q, 2, key);
	ret = db_run(&q, err);
	if (ret == 0 && db_changes(store->db) == 0)
		ret = err_set(err, ERR_NOTFOUND, "no such value");
	return op_end(store, is_own, ret, err);
}

int
store_value_list(struct store *store, struct str prefix, size_t max,
    struct arena *arena, struct str **keys_r, size_t *count_r,
    struct err *err)
{
	/* U+10FFFF is behind every key. */
	char end[STORE_KEY_MAX + 4];
	struct db_query *q;
	int ret = check_key(prefix, err);

	*keys_r = NULL;
	*count_r = 0;
	if (ret != 0)
		return ret;
	memcpy(end, prefix.p, prefix.len);
	memcpy(end + prefix.len, "\xf4\x8f\xbf\xbf", 4);
	*keys_r = arena_alloc(arena, (max + 1) * sizeof(**keys_r));
	q = db_query(store->db, Q_VALUE_LIST);
	db_bind_str(q, 2, prefix);
	db_bind_str(q, 3, str_make(end, prefix.len + 4));
	db_bind_i64(q, 4, when_wall_s());
	db_bind_u64(q, 5, max);
	while (db_next(q) && *count_r < max)
		(*keys_r)[(*count_r)++] = arena_str(arena, db_col_str(q, 0));
	ret = db_end(&q, err);
	if (ret != 0)
		*count_r = 0;
	return ret;
}
