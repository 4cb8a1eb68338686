/* SPDX-License-Identifier: ISC */
#include "authd/secrets.h"

#include "base/rand.h"
#include "base/when.h"
#include "db/db.h"

#define CHECKPOINT_PAGES 500
#define KNOWN_LIFE_S (90 * 86400)
#define KNOWN_FRESH_S 86400
#define KNOWN_MAX 32

enum statement { SETTING_GET, SETTING_PUT, FIND, CLEAR_ADDRESS, PUT, DELETE,
    LOG_ADD, LOG_READ, KNOWN_GET, KNOWN_PUT, KNOWN_TRIM, KNOWN_DELETE,
    STATEMENTS };

static const char *const statements[STATEMENTS] = {
	[SETTING_GET] = "SELECT value FROM setting WHERE name = ?2",
	[SETTING_PUT] = "INSERT INTO setting (name, value) VALUES (?2, ?3)",
	[FIND] = "SELECT account, changed_us, address, argon2, salt, "
	    "iterations, stored_key, server_key FROM secret "
	    "WHERE address = ?2",
	[CLEAR_ADDRESS] = "DELETE FROM secret WHERE address = ?2 AND "
	    "account <> ?3",
	[PUT] = "INSERT INTO secret (account, address, argon2, salt, "
	    "iterations, stored_key, server_key, changed_us) "
	    "VALUES (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
	    "ON CONFLICT (account) DO UPDATE SET address = excluded.address, "
	    "argon2 = excluded.argon2, salt = excluded.salt, "
	    "iterations = excluded.iterations, "
	    "stored_key = excluded.stored_key, "
	    "server_key = excluded.server_key, "
	    "changed_us = excluded.changed_us",
	[DELETE] = "DELETE FROM secret WHERE account = ?2",
	[LOG_ADD] = "INSERT INTO oplog (when_us, actor, verb, object) "
	    "VALUES (?2, ?3, ?4, ?5)",
	[LOG_READ] = "SELECT id, when_us, actor, verb, object FROM oplog "
	    "WHERE id > ?2 ORDER BY id LIMIT ?3",
	[KNOWN_GET] = "SELECT last_s FROM known WHERE account = ?2 "
	    "AND network = ?3",
	[KNOWN_PUT] = "INSERT INTO known (account, network, last_s) "
	    "VALUES (?2, ?3, ?4) ON CONFLICT (account, network) "
	    "DO UPDATE SET last_s = excluded.last_s",
	[KNOWN_TRIM] = "DELETE FROM known WHERE account = ?2 AND "
	    "(last_s < ?3 OR network NOT IN (SELECT network FROM known "
	    "WHERE account = ?2 ORDER BY last_s DESC LIMIT ?4))",
	[KNOWN_DELETE] = "DELETE FROM known WHERE account = ?2",
};

static const char *const migrations[] = {
	"CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) "
	" WITHOUT ROWID;"
	"CREATE TABLE secret (account INTEGER PRIMARY KEY, "
	" address TEXT NOT NULL UNIQUE, argon2 TEXT NOT NULL, "
	" salt BLOB NOT NULL, iterations INTEGER NOT NULL, "
	" stored_key BLOB NOT NULL, server_key BLOB NOT NULL, "
	" changed_us INTEGER NOT NULL);"
	"CREATE TABLE oplog (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	" when_us INTEGER NOT NULL, actor TEXT NOT NULL, "
	" verb TEXT NOT NULL, object TEXT NOT NULL);",

	"CREATE TABLE known (account INTEGER NOT NULL, "
	" network BLOB NOT NULL, last_s INTEGER NOT NULL, "
	" PRIMARY KEY (account, network)) WITHOUT ROWID;",
};

static const struct db_schema schema = {
	.name = "secrets", .application = 0x686b7365,	/* "hkse" */
	.migrations = migrations,
	.migration_count = sizeof(migrations) / sizeof(migrations[0]),
	.statements = statements, .statement_count = STATEMENTS,
};

struct secrets {
	struct db *db;
	unsigned char fake_key[HASH_KEY_OCTETS];
};

/* ---- life ---- */

static int
read_fake_key(struct secrets *secrets, struct err *err)
{
	struct db_query *q = db_query(secrets->db, SETTING_GET);
	struct str value;

	db_bind_str(q, 2, STR("fake_key"));
	if (db_first(q, err) == 0) {
		value = db_col_blob(q, 0);
		if (value.len == HASH_KEY_OCTETS)
			memcpy(secrets->fake_key, value.p, value.len);
		else
			db_query_corrupt(q, "fake_key");
	}
	return db_end(&q, err);
}

static int
load_fake_key(struct secrets *secrets, struct err *err)
{
	struct db_query *q;
	int rc = read_fake_key(secrets, NULL);

	if (rc != ERR_NOTFOUND)
		return rc == 0 ? 0 : err_set(err, (enum err_code)rc,
		    "secrets.db does not read");
	rand_bytes(secrets->fake_key, sizeof(secrets->fake_key));
	q = db_query(secrets->db, SETTING_PUT);
	db_bind_str(q, 2, STR("fake_key"));
	db_bind_blob(q, 3, str_make(secrets->fake_key, HASH_KEY_OCTETS));
	return db_run(&q, err);
}

int
secrets_open(struct secrets **secrets_r, const char *path, struct err *err)
{
	struct db_options options = { .schema = &schema, .may_create = true,
	    .busy_timeout_ms = 5000, .cache_kib = 8192 };
	struct secrets *secrets = calloc(1, sizeof(*secrets));
	int rc;

	invariant(secrets != NULL);
	rc = db_open(&secrets->db, path, &options, err);
	if (rc == 0)
		rc = load_fake_key(secrets, err);
	if (rc != 0) {
		secrets_close(&secrets);
		return rc;
	}
	*secrets_r = secrets;
	return 0;
}

void
secrets_close(struct secrets **secrets)
{
	if (*secrets == NULL)
		return;
	if ((*secrets)->db != NULL)
		db_close(&(*secrets)->db);
	explicit_bzero(*secrets, sizeof(**secrets));
	free(*secrets);
	*secrets = NULL;
}

const unsigned char *
secrets_fake_key(const struct secrets *secrets)
{
	return secrets->fake_key;
}

/* ---- rows ---- */

static void
copy_octets(struct db_query *q, int column, void *to, size_t size)
{
	struct str value = db_col_blob(q, column);

	if (value.len != size)
		db_query_corrupt(q, "the length of a key");
	else
		memcpy(to, value.p, size);
}

static void
copy_text(struct db_query *q, int column, char *to, size_t size)
{
	struct str value = db_col_str(q, column);

	if (value.len >= size)
		db_query_corrupt(q, "the length of a text");
	else
		(void)snprintf(to, size, "%.*s", STR_FMT(value));
}

int
secrets_find(struct secrets *secrets, struct str address,
    struct secret *secret_r, struct err *err)
{
	struct db_query *q = db_query(secrets->db, FIND);
	struct hash_keys *keys = &secret_r->keys;

	memset(secret_r, 0, sizeof(*secret_r));
	db_bind_str(q, 2, address);
	if (db_first(q, err) == 0) {
		secret_r->account = db_col_u64(q, 0);
		secret_r->changed_us = db_col_u64(q, 1);
		copy_text(q, 2, secret_r->address, sizeof(secret_r->address));
		copy_text(q, 3, keys->argon2, sizeof(keys->argon2));
		copy_octets(q, 4, keys->salt, sizeof(keys->salt));
		keys->iterations = db_col_u64(q, 5);
		copy_octets(q, 6, keys->stored_key, sizeof(keys->stored_key));
		copy_octets(q, 7, keys->server_key, sizeof(keys->server_key));
	}
	return db_end(&q, err);
}

/* ---- changes ---- */

static int
log_add(struct secrets *secrets, struct str actor, struct str verb,
    struct str object, struct err *err)
{
	struct db_query *q = db_query(secrets->db, LOG_ADD);

	db_bind_u64(q, 2, when_wall_us());
	db_bind_str(q, 3, actor);
	db_bind_str(q, 4, verb);
	db_bind_str(q, 5, object);
	return db_run(&q, err);
}

static int
finish(struct secrets *secrets, int rc, struct err *err)
{
	if (rc != 0) {
		db_rollback(secrets->db);
		return rc;
	}
	rc = db_commit(secrets->db, err);
	if (rc == 0 && db_wal_pages(secrets->db) >= CHECKPOINT_PAGES)
		(void)db_checkpoint(secrets->db, CHECKPOINT_PAGES, false,
		    NULL);
	return rc;
}

/* An address that another account had is this one's now. */
static int
clear_address(struct secrets *secrets, const struct secret *secret,
    struct err *err)
{
	struct db_query *q = db_query(secrets->db, CLEAR_ADDRESS);

	db_bind_str(q, 2, str_of(secret->address));
	db_bind_u64(q, 3, secret->account);
	return db_run(&q, err);
}

static int
put(struct secrets *secrets, const struct secret *secret, struct err *err)
{
	const struct hash_keys *keys = &secret->keys;
	struct db_query *q = db_query(secrets->db, PUT);

	db_bind_u64(q, 2, secret->account);
	db_bind_str(q, 3, str_of(secret->address));
	db_bind_str(q, 4, str_of(keys->argon2));
	db_bind_blob(q, 5, str_make(keys->salt, sizeof(keys->salt)));
	db_bind_u64(q, 6, keys->iterations);
	db_bind_blob(q, 7, str_make(keys->stored_key,
	    sizeof(keys->stored_key)));
	db_bind_blob(q, 8, str_make(keys->server_key,
	    sizeof(keys->server_key)));
	db_bind_u64(q, 9, secret->changed_us);
	return db_run(&q, err);
}

int
secrets_set(struct secrets *secrets, struct str actor,
    const struct secret *secret, struct err *err)
{
	int rc = db_begin(secrets->db, DB_SYNC_FULL, err);

	if (rc != 0)
		return rc;
	rc = clear_address(secrets, secret, err);
	if (rc == 0)
		rc = put(secrets, secret, err);
	if (rc == 0)
		rc = log_add(secrets, actor, STR("password.set"),
		    str_of(secret->address), err);
	return finish(secrets, rc, err);
}

int
secrets_forget(struct secrets *secrets, struct str actor, uint64_t account,
    struct str address, struct err *err)
{
	struct db_query *q;
	int rc = db_begin(secrets->db, DB_SYNC_FULL, err);

	if (rc != 0)
		return rc;
	q = db_query(secrets->db, KNOWN_DELETE);
	db_bind_u64(q, 2, account);
	rc = db_run(&q, err);
	if (rc == 0) {
		q = db_query(secrets->db, DELETE);
		db_bind_u64(q, 2, account);
		rc = db_run(&q, err);
	}
	if (rc == 0)
		rc = log_add(secrets, actor, STR("password.forget"), address,
		    err);
	return finish(secrets, rc, err);
}

/* ---- known networks ---- */

static int64_t
known_since(struct secrets *secrets, uint64_t account, struct str network)
{
	struct db_query *q = db_query(secrets->db, KNOWN_GET);
	int64_t last_s = 0;

	db_bind_u64(q, 2, account);
	db_bind_blob(q, 3, network);
	if (db_next(q))
		last_s = db_col_i64(q, 0);
	return db_end(&q, NULL) == 0 ? last_s : 0;
}

bool
secrets_knows(struct secrets *secrets, uint64_t account, struct str network)
{
	return account != 0 && network.len != 0 && known_since(secrets,
	    account, network) > when_wall_s() - KNOWN_LIFE_S;
}

int
secrets_know(struct secrets *secrets, uint64_t account, struct str network,
    struct err *err)
{
	int64_t now = when_wall_s();
	struct db_query *q;
	int rc;

	if (known_since(secrets, account, network) > now - KNOWN_FRESH_S)
		return 0;
	/* A crash of the machine may forget it: no harm. */
	if ((rc = db_begin(secrets->db, DB_SYNC_NORMAL, err)) != 0)
		return rc;
	q = db_query(secrets->db, KNOWN_PUT);
	db_bind_u64(q, 2, account);
	db_bind_blob(q, 3, network);
	db_bind_i64(q, 4, now);
	rc = db_run(&q, err);
	if (rc == 0) {
		q = db_query(secrets->db, KNOWN_TRIM);
		db_bind_u64(q, 2, account);
		db_bind_i64(q, 3, now - KNOWN_LIFE_S);
		db_bind_u64(q, 4, KNOWN_MAX);
		rc = db_run(&q, err);
	}
	return finish(secrets, rc, err);
}

/* ---- log ---- */

int
secrets_log_read(struct secrets *secrets, uint64_t after, size_t max,
    struct arena *arena, struct secrets_log_line *lines, size_t *count_r,
    struct err *err)
{
	struct db_query *q = db_query(secrets->db, LOG_READ);
	size_t n = 0;

	db_bind_u64(q, 2, after);
	db_bind_u64(q, 3, max);
	for (; n < max && db_next(q); n++) {
		lines[n].id = db_col_u64(q, 0);
		lines[n].when_us = db_col_u64(q, 1);
		lines[n].actor = arena_str(arena, db_col_str(q, 2));
		lines[n].verb = arena_str(arena, db_col_str(q, 3));
		lines[n].object = arena_str(arena, db_col_str(q, 4));
	}
	*count_r = n;
	return db_end(&q, err);
}
