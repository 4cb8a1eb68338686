/* SPDX-License-Identifier: ISC */
#include "db/sqlite_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is linked must be at least what was compiled against and tested. */
#define SQLITE_FLOOR 3040000

struct db_image {
	const struct db_schema *schema;
	unsigned char *data;
	size_t len;
};

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- settings ------------------------------------------------------ */

uint32_t
sqlite_page_octets(const struct db_schema *schema)
{
	return schema->page_octets != 0 ? schema->page_octets :
	    DB_PAGE_OCTETS;
}

static int
on_wal_commit(void *ctx, sqlite3 *conn, const char *name, int pages)
{
	struct db *db = ctx;

	(void)conn;
	(void)name;
	db->wal_pages = pages > 0 ? (uint32_t)pages : 0;
	db->is_durable = db->sync == DB_SYNC_FULL;
	return SQLITE_OK;
}

static void
set_switches(sqlite3 *conn)
{
	static const struct {
		int what;
		int value;
	} switches[] = {
		{ SQLITE_DBCONFIG_ENABLE_FKEY, 1 },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
		{ SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1 },
		{ SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		(void)sqlite3_db_config(conn, switches[i].what,
		    switches[i].value, NULL);
}

int
sqlite_number(struct db *db, const char *sql, int64_t *value_r,
    struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc, ret = 0;

	rc = sqlite3_prepare_v2(db->conn, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*value_r = sqlite3_column_int64(stmt, 0);
	else
		ret = sqlite_fail(db, sqlite3_extended_errcode(db->conn), err,
		    sql);
	(void)sqlite3_finalize(stmt);
	return ret;
}

/* An empty file takes page_size; EXCLUSIVE comes before WAL, so that the
 * index of the log is on the heap. */
static int
set_pragmas(struct db *db, struct err *err)
{
	char sql[512];
	uint32_t cache_kib = db->options.cache_kib;

	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA page_size=%u;"
	    "PRAGMA locking_mode=EXCLUSIVE;"
	    "PRAGMA journal_mode=WAL;"
	    "PRAGMA synchronous=FULL;"
	    "PRAGMA wal_autocheckpoint=0;"
	    "PRAGMA cell_size_check=ON;"
	    "PRAGMA mmap_size=0;"
	    "PRAGMA temp_store=MEMORY;"
	    "PRAGMA cache_size=-%u;",
	    sqlite_page_octets(db->schema), cache_kib != 0 ? cache_kib : 2048);
	db->sync = DB_SYNC_FULL;
	return sqlite_exec(db, sql, err);
}

/* Pages in the log that an earlier owner left. */
static void
count_wal(struct db *db)
{
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;

	db->wal_pages = 0;
	if (sqlite3_file_control(db->conn, "main",
	    SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK &&
	    file != NULL && file->pMethods != NULL &&
	    file->pMethods->xFileSize(file, &size) == SQLITE_OK)
		db->wal_pages = (uint32_t)(size /
		    (sqlite_page_octets(db->schema) +
		    DB_FRAME_HEADER_OCTETS));
}

static int
open_failed(struct db *db, struct err *err)
{
	int rc = db->conn == NULL ? SQLITE_NOMEM :
	    sqlite3_extended_errcode(db->conn);

	if ((rc & 0xff) == SQLITE_BUSY)
		return err_set(err, ERR_DENIED, "%s: busy", db->path);
	if (db->conn == NULL)
		return err_set(err, ERR_TEMP, "%s: out of memory", db->path);
	return sqlite_fail(db, rc, err, "open");
}

int
sqlite_connect(struct db *db, struct err *err)
{
	struct err cause = ERR_INIT;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;

	if (db->options.may_create)
		flags |= SQLITE_OPEN_CREATE;
	if (sqlite3_open_v2(db->path, &db->conn, flags, NULL) != SQLITE_OK)
		return open_failed(db, err);
	set_switches(db->conn);
	(void)sqlite3_busy_timeout(db->conn,
	    (int)db->options.busy_timeout_ms);
	if (set_pragmas(db, &cause) != 0) {
		if ((sqlite3_errcode(db->conn) & 0xff) == SQLITE_BUSY)
			return open_failed(db, err);
		return err_set(err, cause.code, "%s", err_text(&cause));
	}
	(void)sqlite3_wal_hook(db->conn, on_wal_commit, db);
	count_wal(db);
	return 0;
}

void
sqlite_disconnect(struct db *db)
{
	size_t i;

	invariant(db->open_queries == 0);
	for (i = 0; i < db->schema->statement_count; i++) {
		if (db->kept[i] == NULL)
			continue;
		(void)sqlite3_finalize(db->kept[i]->stmt);
		free(db->kept[i]);
		db->kept[i] = NULL;
	}
	/* Nothing is left open, so that this cannot fail. */
	(void)sqlite3_close(db->conn);
	db->conn = NULL;
}

/* --- migrations ---------------------------------------------------- */

static int
apply_migrations(struct db *db, size_t from, struct err *err)
{
	const struct db_schema *schema = db->schema;
	char sql[128];
	size_t i;
	int ret = 0;

	for (i = from; i < schema->migration_count && ret == 0; i++)
		ret = sqlite_exec(db, schema->migrations[i], err);
	if (ret != 0)
		return ret;
	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA application_id=%d; PRAGMA user_version=%zu",
	    (int)schema->application, schema->migration_count);
	return sqlite_exec(db, sql, err);
}

int
sqlite_migrate(struct db *db, struct err *err)
{
	const struct db_schema *schema = db->schema;
	int64_t version = 0, application = 0, tables = 0;
	int ret;

	ret = sqlite_number(db, "PRAGMA user_version", &version, err);
	if (ret == 0)
		ret = sqlite_number(db, "PRAGMA application_id", &application,
		    err);
	if (ret == 0 && application == 0)
		ret = sqlite_number(db, "SELECT count(*) FROM sqlite_schema",
		    &tables, err);
	if (ret != 0)
		return ret;
	if (application != (int32_t)schema->application &&
	    (application != 0 || tables != 0))
		return err_set(err, ERR_CORRUPT, "%s is no %s database",
		    db->path, schema->name);
	if (version < 0 || (size_t)version > schema->migration_count)
		return err_set(err, ERR_CORRUPT,
		    "%s is of version %lld, newer than this program's %zu",
		    db->path, (long long)version, schema->migration_count);
	if ((size_t)version == schema->migration_count && application != 0)
		return 0;

	ret = db_begin(db, DB_SYNC_FULL, err);
	if (ret != 0)
		return ret;
	ret = apply_migrations(db, (size_t)version, err);
	if (ret != 0) {
		db_rollback(db);
		return ret;
	}
	return db_commit(db, err);
}

/* --- image --------------------------------------------------------- */

static int
image_fill(struct db *db, struct db_image *image, struct err *err)
{
	sqlite3_int64 len = 0;
	unsigned char *data;
	char sql[64];
	int ret;

	(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%u",
	    sqlite_page_octets(db->schema));
	ret = sqlite_exec(db, sql, err);
	if (ret == 0)
		ret = apply_migrations(db, 0, err);
	if (ret != 0)
		return ret;
	data = sqlite3_serialize(db->conn, "main", &len, 0);
	if (data == NULL || len < 100)
		return err_set(err, ERR_TEMP, "%s: no image",
		    db->schema->name);
	/* File format 1.3 and 1.4: 2 in octets 18 and 19 means WAL. */
	data[18] = 2;
	data[19] = 2;
	image->data = data;
	image->len = (size_t)len;
	return 0;
}

int
db_image_new(struct db_image **image_r, const struct db_schema *schema,
    struct err *err)
{
	struct db_image *image = must(calloc(1, sizeof(*image)));
	struct db db = { .schema = schema };
	int ret;

	image->schema = schema;
	if (sqlite3_open_v2(":memory:", &db.conn, SQLITE_OPEN_READWRITE |
	    SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX |
	    SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
		ret = err_set(err, ERR_TEMP, "%s: memory", schema->name);
	else
		ret = image_fill(&db, image, err);
	(void)sqlite3_close(db.conn);
	if (ret != 0)
		db_image_free(&image);
	*image_r = image;
	return ret;
}

void
db_image_free(struct db_image **image)
{
	if (*image == NULL)
		return;
	sqlite3_free((*image)->data);
	free(*image);
	*image = NULL;
}

static int
write_all(int fd, const unsigned char *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * The name appears when the content is whole, so that a crash of the process
 * leaves no half database. A crash of the machine may: the file is flushed
 * with the first commit that claims to be.
 */
int
sqlite_image_write(const struct db_image *image, const char *path,
    struct err *err)
{
	char temp[4096];
	int fd, n, ret = 0;

	n = snprintf(temp, sizeof(temp), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return err_set(err, ERR_LIMIT, "path too long");
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd < 0)
		return err_set_errno(err, ERR_TEMP, "create %s", temp);
	if (write_all(fd, image->data, image->len) != 0)
		ret = err_set_errno(err, ERR_TEMP, "write %s", temp);
	if (close(fd) != 0 && ret == 0)
		ret = err_set_errno(err, ERR_TEMP, "close %s", temp);
	if (ret == 0 && rename(temp, path) != 0)
		ret = err_set_errno(err, ERR_TEMP, "rename %s", temp);
	if (ret != 0)
		(void)unlink(temp);
	return ret;
}

/* --- open and close ------------------------------------------------ */

static int
create_file(struct db *db, struct err *err)
{
	struct stat st;
	int ret;

	if (stat(db->path, &st) == 0)
		return 0;
	if (errno != ENOENT)
		return err_set_errno(err, ERR_TEMP, "stat %s", db->path);
	if (!db->options.may_create)
		return err_set(err, ERR_NOTFOUND, "no %s", db->path);
	if (db->options.image == NULL)
		return 0;
	invariant(db->options.image->schema == db->schema);
	ret = sqlite_image_write(db->options.image, db->path, err);
	if (ret != 0 && (errno == ENOSPC || errno == EDQUOT ||
	    errno == EFBIG))
		db->is_full = true;
	return ret;
}

static int
open_all(struct db *db, struct err *err)
{
	int ret;

	db->state = DB_OK;
	/* Whoever had it before may have died without a flush. */
	db->is_file_unsynced = true;
	ret = create_file(db, err);
	if (ret == 0)
		ret = sqlite_connect(db, err);
	db->is_durable = ret == 0 && db->wal_pages == 0;
	if (ret == 0)
		ret = sqlite_migrate(db, err);
	if (ret == 0 && db->options.wants_check)
		ret = db_check(db, err);
	return ret;
}

int
db_open(struct db **db_r, const char *path, const struct db_options *options,
    struct err *err)
{
	const struct db_schema *schema = options->schema;
	struct db *db;
	int ret;

	*db_r = NULL;
	invariant(options->owner <= INT64_MAX);
	if (sqlite3_libversion_number() < SQLITE_FLOOR)
		return err_set(err, ERR_TEMP, "SQLite %s is too old",
		    sqlite3_libversion());
	db = must(calloc(1, sizeof(*db)));
	db->schema = schema;
	db->options = *options;
	db->path = must(strdup(path));
	db->kept = must(calloc(schema->statement_count + 1,
	    sizeof(struct db_query *)));
	ret = open_all(db, err);
	if (ret != 0)
		db_close(&db);
	/* db_reopen() makes nothing new, and the image may go. */
	if (ret == 0) {
		db->options.may_create = false;
		db->options.image = NULL;
	}
	*db_r = db;
	return ret;
}

void
db_close(struct db **dbp)
{
	struct db *db = *dbp;

	if (db == NULL)
		return;
	db_rollback(db);
	sqlite_disconnect(db);
	free(db->kept);
	free(db->path);
	free(db);
	*dbp = NULL;
}

int
db_reopen(struct db *db, struct err *err)
{
	int ret;

	if (db->state == DB_FLUSH_LOST)
		return err_set(err, ERR_TEMP, "%s: a flush has failed",
		    db->schema->name);
	db_rollback(db);
	sqlite_disconnect(db);
	ret = open_all(db, err);
	if (ret != 0)
		db->state = DB_FAILED;
	return ret;
}
