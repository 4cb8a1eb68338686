/* SPDX-License-Identifier: ISC */
/*
 * db: rows. One connection to one database; nothing of the engine shows.
 *
 * A program describes its database by a schema: numbered migrations and a
 * table of statements, enum id -> SQL in the common dialect. Parameter ?1 of
 * every statement is the owner (account or domain id; 0 where the database
 * has none) and is bound here from the connection, never by the caller, whose
 * own parameters begin at ?2. Statements are prepared once and kept.
 *
 *   q = db_query(db, DIR_ALIAS_FIND);
 *   db_bind_str(q, 2, name);
 *   while (db_next(q))
 *           use(db_col_u64(q, 0), db_col_str(q, 1));
 *   return db_end(&q, err);
 *
 * Binds and column getters do not fail: a wrong type, a NULL where none may
 * be or a value out of range is remembered, ends db_next(), and is what
 * db_end() returns.
 *
 * Lifetime.   db_open() -> (db_begin() -> db_run(), db_query() ->
 *             db_commit() or db_rollback())* -> db_close(). A query ends
 *             before the transaction it runs in does.
 * Ownership.  The db owns its connection and statements. Bound data is
 *             looked at until db_end() or db_run(), columns are views until
 *             the next db_next() or db_end().
 * Units.      Octets, milliseconds; pages of the log are of page_octets.
 * Errors.     ERR_EXISTS: a key is taken. ERR_NOTFOUND: no row, or a foreign
 *             key names none. ERR_SYNTAX: a CHECK or NOT NULL refused it.
 *             ERR_DENIED: another process has the database open. ERR_CORRUPT:
 *             the file or a value does not read back, or it is of a newer
 *             version. ERR_TEMP: everything else; db_is_full() tells a full
 *             disk from the rest. An error inside a transaction other than
 *             ERR_EXISTS, ERR_NOTFOUND, ERR_SYNTAX and ERR_CORRUPT of a
 *             column breaks the transaction: db_commit() rolls back and
 *             returns it.
 *             After an I/O error the db has failed: every call is ERR_TEMP
 *             until db_reopen(). A failed flush is final: what it covered may
 *             be lost, it is not retried, and db_reopen() refuses.
 *             A commit that failed may have happened: look, then act.
 * Blocking.   Everything reads and writes files; commits with DB_SYNC_FULL
 *             wait for the disk.
 * Process.    One owner process per database file at a time, one thread.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/str.h"

struct db;
struct db_query;
struct db_image;

struct db_schema {
	const char *name;		/* for error texts */
	uint32_t application;		/* marks the file; another is refused */
	const char *const *migrations;	/* SQL scripts; [0] makes version 1 */
	size_t migration_count;
	const char *const *statements;	/* by the schema's own enum */
	size_t statement_count;
	uint32_t page_octets;		/* of a new file; 0: 8192 */
};

enum db_sync {
	DB_SYNC_FULL,	/* a commit returns when it is on the disk */
	DB_SYNC_NORMAL,	/* a commit survives a crash of the process; syncfs()
			 * by the caller, db_sync() or a later FULL commit
			 * makes it survive a crash of the machine */
};

struct db_options {
	const struct db_schema *schema;
	const struct db_image *image;	/* to create from, looked at during
					 * db_open(); NULL: migrations */
	uint64_t owner;			/* bound to ?1 */
	bool may_create;		/* else a missing file: ERR_NOTFOUND */
	bool wants_check;		/* quick_check (after an unclean stop) */
	uint32_t busy_timeout_ms;
	uint32_t cache_kib;		/* page cache; 0: 2 MiB */
};

/* Open, create, migrate. path is copied. */
int db_open(struct db **db_r, const char *path,
    const struct db_options *options, struct err *err);

/* Close without a checkpoint; an open transaction is rolled back. */
void db_close(struct db **db);

/* Close and open again after a failure. All queries must have ended. */
int db_reopen(struct db *db, struct err *err);

/* True after an I/O error, until db_reopen(). */
bool db_has_failed(const struct db *db);

/* True when the last error was a full disk (or a quota or file size limit). */
bool db_is_full(const struct db *db);

/*
 * A database with the schema applied, in memory: creating a file from it is
 * one write. Made once per process, may be shared by any number of opens.
 */
int db_image_new(struct db_image **image_r, const struct db_schema *schema,
    struct err *err);
void db_image_free(struct db_image **image);

/* --- transactions -------------------------------------------------- */

/* Begin a writing transaction; not nested. */
int db_begin(struct db *db, enum db_sync sync, struct err *err);

/* Commit; on failure all is rolled back (see Errors). */
int db_commit(struct db *db, struct err *err);

/* Roll back; harmless without a transaction. */
void db_rollback(struct db *db);

bool db_in_transaction(const struct db *db);

/* --- statements ---------------------------------------------------- */

/* Start statement id, with ?1 bound. Never NULL. */
struct db_query *db_query(struct db *db, unsigned id);

void db_bind_u64(struct db_query *q, int index, uint64_t value);
void db_bind_i64(struct db_query *q, int index, int64_t value);
void db_bind_str(struct db_query *q, int index, struct str value);
void db_bind_blob(struct db_query *q, int index, struct str value);
void db_bind_null(struct db_query *q, int index);

/* Go to the next row; false at the end and after an error. */
bool db_next(struct db_query *q);

/* Columns of the current row, from 0. */
uint64_t db_col_u64(struct db_query *q, int column);
uint32_t db_col_u32(struct db_query *q, int column);
int64_t db_col_i64(struct db_query *q, int column);
bool db_col_bool(struct db_query *q, int column);
struct str db_col_str(struct db_query *q, int column);	/* UTF-8 text */
struct str db_col_blob(struct db_query *q, int column);
bool db_col_is_null(struct db_query *q, int column);

/* The caller found a value that cannot be: db_end() says ERR_CORRUPT. */
void db_query_corrupt(struct db_query *q, const char *what);

/* End a query: its first error, or 0. *q becomes NULL. */
int db_end(struct db_query **q, struct err *err);

/* Run to the end and end it: for statements without rows. */
int db_run(struct db_query **q, struct err *err);

/*
 * The same when nothing depends on the outcome before the commit: an engine
 * may send many of these together; a failure breaks the transaction and is
 * what db_commit() returns.
 */
void db_push(struct db_query **q);

/* Go to the only row: ERR_NOTFOUND without one. db_end() is still due. */
int db_first(struct db_query *q, struct err *err);

/* Rows changed by the last db_run(). */
uint64_t db_changes(const struct db *db);

/* --- durability ---------------------------------------------------- */

/* Flush all commits so far (after DB_SYNC_NORMAL). */
int db_sync(struct db *db, struct err *err);

/* The caller's syncfs() succeeded after the last commit. */
void db_note_synced(struct db *db);

/* True when every commit so far is on the disk. */
bool db_is_durable(const struct db *db);

/*
 * Copy the write-ahead log into the database when it holds at least min_pages
 * pages, which flushes both. Not inside a transaction. The owner calls it when
 * idle and when the log has grown: nothing else does. wants_empty cuts the
 * log to nothing (the next open is cheaper); else it keeps its blocks (the
 * next flushes are).
 */
int db_checkpoint(struct db *db, uint32_t min_pages, bool wants_empty,
    struct err *err);

/* Pages in the write-ahead log now. */
uint32_t db_wal_pages(const struct db *db);

/* quick_check of the whole file: ERR_CORRUPT with the first finding. */
int db_check(struct db *db, struct err *err);

/* A consistent copy into a new file, which must not exist (VACUUM INTO). */
int db_copy_to(struct db *db, const char *path, struct err *err);

/* The engine's name and run-time version, for logs and doctor. */
const char *db_engine(void);

#endif
