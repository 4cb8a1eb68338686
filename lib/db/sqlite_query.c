/* SPDX-License-Identifier: ISC */
#include "db/sqlite_int.h"

#include <limits.h>

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

/*
 * The kept query of a statement, or one for a single use while that one is
 * busy (a statement that is run again inside its own rows).
 */
static struct db_query *
query_take(struct db *db, unsigned id)
{
	struct db_query *q = db->kept[id];

	if (q != NULL && !q->is_busy)
		return q;
	q = must(calloc(1, sizeof(*q)));
	q->db = db;
	if (db->kept[id] == NULL) {
		db->kept[id] = q;
		q->is_kept = true;
	}
	return q;
}

static void
query_prepare(struct db_query *q, unsigned id)
{
	struct db *db = q->db;
	unsigned flags = q->is_kept ? SQLITE_PREPARE_PERSISTENT : 0;

	if (q->stmt != NULL)
		return;
	if (sqlite3_prepare_v3(db->conn, db->schema->statements[id], -1, flags,
	    &q->stmt, NULL) != SQLITE_OK)
		(void)sqlite_fail(db, sqlite3_extended_errcode(db->conn),
		    &q->err, db->schema->statements[id]);
}

/* A transaction that is broken runs nothing more: the engine may have rolled
 * it back already, and what follows would be committed alone. */
static bool
query_refuse(struct db_query *q)
{
	struct db *db = q->db;

	if (db->state != DB_OK)
		(void)err_set(&q->err, ERR_TEMP, "%s: not open after an error",
		    db->schema->name);
	else if (db->in_transaction && db->broken.code != 0)
		q->err = db->broken;
	return q->err.code != 0;
}

struct db_query *
db_query(struct db *db, unsigned id)
{
	struct db_query *q;

	invariant(id < db->schema->statement_count);
	q = query_take(db, id);
	q->is_busy = true;
	q->has_row = false;
	db->open_queries++;
	err_clear(&q->err);
	if (query_refuse(q))
		return q;
	query_prepare(q, id);
	if (q->err.code != 0)
		return q;
	/* A change outside of a transaction is its own, and a durable one. */
	if (!db->in_transaction && db->sync != DB_SYNC_FULL &&
	    !sqlite3_stmt_readonly(q->stmt))
		(void)sqlite_set_sync(db, DB_SYNC_FULL, &q->err);
	if (sqlite3_bind_parameter_count(q->stmt) > 0)
		(void)sqlite3_bind_int64(q->stmt, 1,
		    (sqlite3_int64)db->options.owner);
	return q;
}

/* --- parameters ---------------------------------------------------- */

static void
bound(struct db_query *q, int rc)
{
	if (rc != SQLITE_OK)
		(void)err_set(&q->err, ERR_TEMP, "%s: bind: %s",
		    q->db->schema->name, sqlite3_errstr(rc));
}

void
db_bind_i64(struct db_query *q, int index, int64_t value)
{
	invariant(index >= 2);
	if (q->err.code == 0)
		bound(q, sqlite3_bind_int64(q->stmt, index, value));
}

void
db_bind_u64(struct db_query *q, int index, uint64_t value)
{
	if (value > INT64_MAX)
		(void)err_set(&q->err, ERR_LIMIT, "%s: number over 2^63",
		    q->db->schema->name);
	db_bind_i64(q, index, (int64_t)value);
}

void
db_bind_str(struct db_query *q, int index, struct str value)
{
	invariant(index >= 2);
	if (q->err.code == 0)
		bound(q, sqlite3_bind_text64(q->stmt, index,
		    value.p != NULL ? value.p : "", value.len, SQLITE_STATIC,
		    SQLITE_UTF8));
}

void
db_bind_blob(struct db_query *q, int index, struct str value)
{
	invariant(index >= 2);
	if (q->err.code == 0)
		bound(q, sqlite3_bind_blob64(q->stmt, index,
		    value.p != NULL ? value.p : "", value.len,
		    SQLITE_STATIC));
}

void
db_bind_null(struct db_query *q, int index)
{
	invariant(index >= 2);
	if (q->err.code == 0)
		bound(q, sqlite3_bind_null(q->stmt, index));
}

/* --- rows ---------------------------------------------------------- */

static void
step_failed(struct db_query *q)
{
	struct db *db = q->db;
	int rc = sqlite3_extended_errcode(db->conn);
	int code = sqlite_fail(db, rc, &q->err, sqlite3_sql(q->stmt));
	bool is_mild = (rc & 0xff) == SQLITE_CONSTRAINT;

	if (!db->in_transaction || db->broken.code != 0)
		return;
	if (!is_mild || sqlite3_get_autocommit(db->conn))
		(void)err_set(&db->broken, code, "%s", err_text(&q->err));
}

bool
db_next(struct db_query *q)
{
	q->has_row = false;
	if (q->err.code != 0)
		return false;
	switch (sqlite3_step(q->stmt)) {
	case SQLITE_ROW:
		q->has_row = true;
		return true;
	case SQLITE_DONE:
		return false;
	default:
		step_failed(q);
		return false;
	}
}

void
db_query_corrupt(struct db_query *q, const char *what)
{
	(void)err_set(&q->err, ERR_CORRUPT, "%s: %s", q->db->schema->name,
	    what);
}

/* True when the column is there and of that type. */
static bool
column_is(struct db_query *q, int column, int type)
{
	invariant(q->has_row && column >= 0 &&
	    column < sqlite3_data_count(q->stmt));
	if (sqlite3_column_type(q->stmt, column) == type)
		return true;
	(void)err_set(&q->err, ERR_CORRUPT, "%s: column %d of \"%.100s\"",
	    q->db->schema->name, column, sqlite3_sql(q->stmt));
	return false;
}

int64_t
db_col_i64(struct db_query *q, int column)
{
	if (!column_is(q, column, SQLITE_INTEGER))
		return 0;
	return sqlite3_column_int64(q->stmt, column);
}

static uint64_t
col_max(struct db_query *q, int column, uint64_t max)
{
	int64_t value = db_col_i64(q, column);

	if (value >= 0 && (uint64_t)value <= max)
		return (uint64_t)value;
	db_query_corrupt(q, "a number out of range");
	return 0;
}

uint64_t
db_col_u64(struct db_query *q, int column)
{
	return col_max(q, column, INT64_MAX);
}

uint32_t
db_col_u32(struct db_query *q, int column)
{
	return (uint32_t)col_max(q, column, UINT32_MAX);
}

bool
db_col_bool(struct db_query *q, int column)
{
	return col_max(q, column, 1) == 1;
}

struct str
db_col_str(struct db_query *q, int column)
{
	const void *p;
	struct str s;

	if (!column_is(q, column, SQLITE_TEXT))
		return STR_NONE;
	p = sqlite3_column_text(q->stmt, column);
	s = str_make(p, (size_t)sqlite3_column_bytes(q->stmt, column));
	if (str_is_utf8(s))
		return s;
	db_query_corrupt(q, "text that is not UTF-8");
	return STR_NONE;
}

struct str
db_col_blob(struct db_query *q, int column)
{
	const void *p;

	if (!column_is(q, column, SQLITE_BLOB))
		return STR_NONE;
	p = sqlite3_column_blob(q->stmt, column);
	return str_make(p, (size_t)sqlite3_column_bytes(q->stmt, column));
}

bool
db_col_is_null(struct db_query *q, int column)
{
	invariant(q->has_row);
	return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

int
db_end(struct db_query **qp, struct err *err)
{
	struct db_query *q = *qp;
	int code = q->err.code;

	*qp = NULL;
	if (code != 0)
		(void)err_set(err, code, "%s", err_text(&q->err));
	q->db->open_queries--;
	q->is_busy = false;
	q->has_row = false;
	if (q->is_kept && q->stmt == NULL)
		return code;
	if (q->is_kept) {
		/* Its error, if any, has been seen. */
		(void)sqlite3_reset(q->stmt);
		(void)sqlite3_clear_bindings(q->stmt);
		return code;
	}
	(void)sqlite3_finalize(q->stmt);
	free(q);
	return code;
}

int
db_run(struct db_query **q, struct err *err)
{
	while (db_next(*q))
		;
	return db_end(q, err);
}

void
db_push(struct db_query **q)
{
	struct db *db = (*q)->db;
	struct err err = ERR_INIT;

	invariant(db->in_transaction);
	if (db_run(q, &err) != 0 && db->broken.code == 0)
		db->broken = err;
}

int
db_first(struct db_query *q, struct err *err)
{
	if (!db_next(q) && q->err.code == 0)
		(void)err_set(&q->err, ERR_NOTFOUND, "%s: no row",
		    q->db->schema->name);
	if (q->err.code == 0)
		return 0;
	return err_set(err, q->err.code, "%s", err_text(&q->err));
}

uint64_t
db_changes(const struct db *db)
{
	return (uint64_t)sqlite3_changes64(db->conn);
}
