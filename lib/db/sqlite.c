/* SPDX-License-Identifier: ISC */
#include "db/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

const char *
db_engine(void)
{
	static char name[32];

	(void)snprintf(name, sizeof(name), "SQLite %s", sqlite3_libversion());
	return name;
}

/* What a result code means for the caller. */
static int
code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		if (rc == SQLITE_CONSTRAINT_UNIQUE ||
		    rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
		    rc == SQLITE_CONSTRAINT_ROWID)
			return ERR_EXISTS;
		if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
			return ERR_NOTFOUND;
		return ERR_SYNTAX;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		return ERR_CORRUPT;
	default:
		return ERR_TEMP;
	}
}

/*
 * A write that found no room is as harmless as SQLITE_FULL: the transaction
 * is undone and the connection good. Only ENOSPC is reported as FULL by the
 * engine; a quota or a file size limit comes as an I/O error.
 */
static bool
is_no_room(struct db *db, int rc)
{
	static const int files[] = {
		SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_FCNTL_FILE_POINTER,
	};
	sqlite3_file *file;
	size_t i;
	int os;

	if (rc == SQLITE_FULL)
		return true;
	if (rc != SQLITE_IOERR_WRITE && rc != SQLITE_IOERR_TRUNCATE)
		return false;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		file = NULL;
		os = 0;
		if (sqlite3_file_control(db->conn, "main", files[i],
		    &file) == SQLITE_OK && file != NULL &&
		    file->pMethods != NULL)
			(void)file->pMethods->xFileControl(file,
			    SQLITE_FCNTL_LAST_ERRNO, &os);
		if (os == EFBIG || os == EDQUOT || os == ENOSPC)
			return true;
	}
	return false;
}

static void
note_failure(struct db *db, int rc)
{
	db->is_full = is_no_room(db, rc);
	if (db->is_full)
		return;
	if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC)
		db->state = DB_FLUSH_LOST;
	else if (db->state == DB_OK && ((rc & 0xff) == SQLITE_IOERR ||
	    (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CORRUPT))
		db->state = DB_FAILED;
}

int
sqlite_fail(struct db *db, int rc, struct err *err, const char *what)
{
	int code = code_of(rc);

	note_failure(db, rc);
	err_set(err, code, "%s: %s: %s (%d)", db->schema->name, what,
	    db->is_full ? "no room" : sqlite3_errmsg(db->conn), rc);
	return code;
}

int
sqlite_exec(struct db *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->conn, sql, NULL, NULL, NULL);

	if (rc != SQLITE_OK)
		return sqlite_fail(db, sqlite3_extended_errcode(db->conn), err,
		    "exec");
	return 0;
}

/* Gone, failed or never opened: the answer to every call. */
static int
refuse(const struct db *db, struct err *err)
{
	if (db->state == DB_OK)
		return 0;
	return err_set(err, ERR_TEMP, "%s: %s", db->schema->name,
	    db->state == DB_FLUSH_LOST ? "a flush has failed" :
	    "an I/O error; not reopened yet");
}

int
sqlite_set_sync(struct db *db, enum db_sync sync, struct err *err)
{
	int ret;

	if (db->sync == sync)
		return 0;
	ret = sqlite_exec(db, sync == DB_SYNC_FULL ?
	    "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err);
	if (ret == 0)
		db->sync = sync;
	return ret;
}

int
db_begin(struct db *db, enum db_sync sync, struct err *err)
{
	int ret = refuse(db, err);

	invariant(!db->in_transaction);
	if (ret != 0)
		return ret;
	db->is_full = false;
	ret = sqlite_set_sync(db, sync, err);
	if (ret != 0)
		return ret;
	ret = sqlite_exec(db, "BEGIN IMMEDIATE", err);
	if (ret != 0)
		return ret;
	err_clear(&db->broken);
	db->in_transaction = true;
	return 0;
}

void
db_rollback(struct db *db)
{
	if (!db->in_transaction)
		return;
	invariant(db->open_queries == 0);
	db->in_transaction = false;
	err_clear(&db->broken);
	if (db->conn != NULL && !sqlite3_get_autocommit(db->conn))
		(void)sqlite3_exec(db->conn, "ROLLBACK", NULL, NULL, NULL);
}

int
db_commit(struct db *db, struct err *err)
{
	int ret = refuse(db, err);

	invariant(db->in_transaction);
	invariant(db->open_queries == 0);
	if (ret == 0 && db->broken.code != 0)
		ret = err_set(err, db->broken.code, "%s", err_text(&db->broken));
	/* What the log's commits stand on has to be there before them. */
	if (ret == 0 && db->sync == DB_SYNC_FULL)
		ret = sqlite_sync_file(db, err);
	if (ret == 0)
		ret = sqlite_exec(db, "COMMIT", err);
	if (ret != 0)
		db_rollback(db);
	db->in_transaction = false;
	return ret;
}

bool
db_in_transaction(const struct db *db)
{
	return db->in_transaction;
}

bool
db_has_failed(const struct db *db)
{
	return db->state != DB_OK;
}

bool
db_is_full(const struct db *db)
{
	return db->is_full;
}

/* --- durability ---------------------------------------------------- */

static int
sync_file(struct db *db, int op, struct err *err)
{
	sqlite3_file *file = NULL;
	int rc;

	rc = sqlite3_file_control(db->conn, "main", op, &file);
	if (rc == SQLITE_OK && file != NULL && file->pMethods != NULL)
		rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	if (rc == SQLITE_OK)
		return 0;
	/* The connection has not seen this error, so its text says nothing. */
	db->state = DB_FLUSH_LOST;
	return err_set(err, ERR_TEMP, "%s: flush failed (%d)",
	    db->schema->name, rc);
}

int
sqlite_sync_file(struct db *db, struct err *err)
{
	int ret;

	if (!db->is_file_unsynced)
		return 0;
	ret = sync_file(db, SQLITE_FCNTL_FILE_POINTER, err);
	if (ret == 0)
		db->is_file_unsynced = false;
	return ret;
}

int
db_sync(struct db *db, struct err *err)
{
	int ret = refuse(db, err);

	if (ret != 0 || db->is_durable)
		return ret;
	ret = sqlite_sync_file(db, err);
	if (ret == 0)
		ret = sync_file(db, SQLITE_FCNTL_JOURNAL_POINTER, err);
	if (ret == 0)
		db->is_durable = true;
	return ret;
}

void
db_note_synced(struct db *db)
{
	if (db->state != DB_OK)
		return;
	db->is_durable = true;
	db->is_file_unsynced = false;
}

bool
db_is_durable(const struct db *db)
{
	return db->is_durable;
}

uint32_t
db_wal_pages(const struct db *db)
{
	return db->wal_pages;
}

int
db_checkpoint(struct db *db, uint32_t min_pages, bool wants_empty,
    struct err *err)
{
	int mode = wants_empty ? SQLITE_CHECKPOINT_TRUNCATE :
	    SQLITE_CHECKPOINT_PASSIVE;
	int ret = refuse(db, err), rc;

	invariant(!db->in_transaction);
	if (ret != 0 || db->wal_pages < min_pages || db->wal_pages == 0)
		return ret;
	rc = sqlite3_wal_checkpoint_v2(db->conn, NULL, mode, NULL, NULL);
	if (rc != SQLITE_OK)
		return sqlite_fail(db, sqlite3_extended_errcode(db->conn), err,
		    "checkpoint");
	db->wal_pages = 0;
	db->is_durable = true;
	db->is_file_unsynced = false;
	return 0;
}

int
db_check(struct db *db, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	const char *text = NULL;
	int ret = refuse(db, err);

	if (ret != 0)
		return ret;
	if (sqlite3_prepare_v2(db->conn, "PRAGMA quick_check(1)", -1, &stmt,
	    NULL) != SQLITE_OK)
		return sqlite_fail(db, sqlite3_extended_errcode(db->conn), err,
		    "quick_check");
	if (sqlite3_step(stmt) == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(stmt, 0);
	if (text == NULL)
		ret = sqlite_fail(db, sqlite3_extended_errcode(db->conn), err,
		    "quick_check");
	else if (strcmp(text, "ok") != 0)
		ret = err_set(err, ERR_CORRUPT, "%s: %s", db->schema->name,
		    text);
	(void)sqlite3_finalize(stmt);
	return ret;
}

static int
flush_path(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int ret = 0;

	if (fd < 0 || fsync(fd) != 0)
		ret = err_set_errno(err, ERR_TEMP, "fsync %s", path);
	if (fd >= 0)
		(void)close(fd);
	return ret;
}

int
db_copy_to(struct db *db, const char *path, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int ret = refuse(db, err), rc;

	invariant(!db->in_transaction);
	if (ret != 0)
		return ret;
	if (access(path, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "%s is there", path);
	rc = sqlite3_prepare_v2(db->conn, "VACUUM INTO ?1", -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
	if (rc == SQLITE_OK && sqlite3_step(stmt) != SQLITE_DONE)
		rc = sqlite3_extended_errcode(db->conn);
	if (rc != SQLITE_OK)
		ret = sqlite_fail(db, rc, err, "copy");
	(void)sqlite3_finalize(stmt);
	return ret != 0 ? ret : flush_path(path, err);
}
