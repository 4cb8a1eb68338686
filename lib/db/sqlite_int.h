/* SPDX-License-Identifier: ISC */
/*
 * sqlite_int: what the files of the SQLite engine share.
 *
 * The settings and why: one process owns the file, so locking_mode is
 * EXCLUSIVE (no -shm file, a second opener fails, and the WAL-reset bug of
 * two checkpointing connections cannot happen); nothing checkpoints but
 * db_checkpoint(); closing leaves the log as it is.
 */
#ifndef DB_SQLITE_INT_H
#define DB_SQLITE_INT_H

#include <sqlite3.h>

#include "db/db.h"

enum { DB_PAGE_OCTETS = 8192, DB_FRAME_HEADER_OCTETS = 24 };

enum db_state {
	DB_OK,
	DB_FAILED,	/* I/O error: db_reopen() may help */
	DB_FLUSH_LOST,	/* a flush failed: nothing may be retried */
};

struct db_query {
	struct db *db;
	sqlite3_stmt *stmt;
	struct err err;		/* the first thing that went wrong */
	bool is_kept;		/* in db->kept, not made for one use */
	bool is_busy;
	bool has_row;
};

struct db {
	sqlite3 *conn;
	const struct db_schema *schema;
	struct db_query **kept;		/* by statement id */
	struct db_options options;
	char *path;
	enum db_state state;
	enum db_sync sync;		/* as the connection is set now */
	struct err broken;		/* why the transaction cannot commit */
	unsigned open_queries;
	uint32_t wal_pages;
	bool in_transaction;
	bool is_full;
	bool is_durable;
	bool is_file_unsynced;		/* written from an image, no flush yet */
};

/* Turn the connection's last error into a code; notes failure and fullness. */
int sqlite_fail(struct db *db, int rc, struct err *err, const char *what);

/* Open the connection with every setting; nothing of the schema yet. */
int sqlite_connect(struct db *db, struct err *err);

/* Finalise all and close the connection. */
void sqlite_disconnect(struct db *db);

/* Bring the schema up to date, refuse what is newer or foreign. */
int sqlite_migrate(struct db *db, struct err *err);

/* Run SQL text without parameters or rows. */
int sqlite_exec(struct db *db, const char *sql, struct err *err);

/* The one number a PRAGMA answers. */
int sqlite_number(struct db *db, const char *sql, int64_t *value_r,
    struct err *err);

/* The page size a schema asks for. */
uint32_t sqlite_page_octets(const struct db_schema *schema);

/* Set synchronous when it differs; not inside a transaction. */
int sqlite_set_sync(struct db *db, enum db_sync sync, struct err *err);

/* Write a new file from the image. */
int sqlite_image_write(const struct db_image *image, const char *path,
    struct err *err);

/* Flush the main file when it was written from an image. */
int sqlite_sync_file(struct db *db, struct err *err);

#endif
