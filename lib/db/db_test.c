/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/when.h"
#include "db/db.h"

enum { T_ADD, T_GET, T_LIST, T_COUNT, T_CHILD, T_FAT, T_WRONG, T_MAX };

static const char *const statements[T_MAX] = {
	[T_ADD] = "INSERT INTO item VALUES (?1, ?2, ?3, ?4)",
	[T_GET] = "SELECT name, data FROM item WHERE owner = ?1 AND id = ?2",
	[T_LIST] = "SELECT id, name FROM item WHERE owner = ?1 ORDER BY id",
	[T_COUNT] = "SELECT count(*) FROM item WHERE owner = ?1",
	[T_CHILD] = "INSERT INTO child(owner, item) VALUES (?1, ?2)",
	[T_FAT] = "SELECT id, name, -1, data FROM item WHERE owner = ?1",
	[T_WRONG] = "SELECT nothing FROM nowhere WHERE owner = ?1",
};

static const char *const migrations[] = {
	("CREATE TABLE item(owner INTEGER NOT NULL, id INTEGER NOT NULL,"
	" name TEXT NOT NULL CHECK (name <> 'bad'), data BLOB,"
	" PRIMARY KEY (owner, id))"),
	("CREATE TABLE child(owner INTEGER NOT NULL, item INTEGER NOT NULL,"
	" FOREIGN KEY (owner, item) REFERENCES item(owner, id))"),
};

static const struct db_schema schema = {
	.name = "test", .application = 0x74657374,
	.migrations = migrations, .migration_count = 2,
	.statements = statements, .statement_count = T_MAX,
};

static const struct db_schema old_schema = {
	.name = "test", .application = 0x74657374,
	.migrations = migrations, .migration_count = 1,
	.statements = statements, .statement_count = T_MAX,
};

static const struct db_schema other_schema = {
	.name = "other", .application = 0x6f746872,
	.migrations = migrations, .migration_count = 2,
	.statements = statements, .statement_count = T_MAX,
};

static char dir[64];
static char path[128];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "db_test.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/t.db", dir);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {
		"t.db", "t.db-wal", "copy.db", "copy.db-wal",
	};
	char name[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(names); i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
		(void)unlink(name);
	}
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static struct db *
open_as(uint64_t owner)
{
	struct db_options options = {
		.schema = &schema, .owner = owner, .may_create = true,
	};
	struct err err = ERR_INIT;
	struct db *db;

	if (db_open(&db, path, &options, &err) != 0)
		fail_msg("open: %s", err_text(&err));
	return db;
}

static int
add(struct db *db, uint64_t id, const char *name, struct err *err)
{
	struct db_query *q = db_query(db, T_ADD);

	db_bind_u64(q, 2, id);
	db_bind_str(q, 3, str_of(name));
	db_bind_blob(q, 4, STR("\0x"));
	return db_run(&q, err);
}

static uint64_t
count(struct db *db)
{
	struct db_query *q = db_query(db, T_COUNT);
	uint64_t n;

	assert_int_equal(db_first(q, NULL), 0);
	n = db_col_u64(q, 0);
	assert_int_equal(db_end(&q, NULL), 0);
	return n;
}

static void
test_rows(void **state)
{
	struct db *db = open_as(7);
	struct db_query *q;
	struct err err = ERR_INIT;
	uint64_t seen = 0;

	(void)state;
	assert_int_equal(db_begin(db, DB_SYNC_NORMAL, &err), 0);
	assert_int_equal(add(db, 1, "one", &err), 0);
	assert_int_equal(add(db, 2, "", &err), 0);
	assert_int_equal(db_commit(db, &err), 0);
	assert_false(db_is_durable(db));
	assert_int_equal(db_sync(db, &err), 0);
	assert_true(db_is_durable(db));

	q = db_query(db, T_GET);
	db_bind_u64(q, 2, 1);
	assert_int_equal(db_first(q, &err), 0);
	assert_true(str_eq(db_col_str(q, 0), STR("one")));
	assert_true(str_eq(db_col_blob(q, 1), STR("\0x")));
	assert_int_equal(db_end(&q, &err), 0);
	assert_null(q);

	q = db_query(db, T_GET);
	db_bind_u64(q, 2, 9);
	assert_int_equal(db_first(q, NULL), ERR_NOTFOUND);
	assert_int_equal(db_end(&q, NULL), ERR_NOTFOUND);

	/* A statement inside its own rows. */
	q = db_query(db, T_LIST);
	while (db_next(q)) {
		struct db_query *inner = db_query(db, T_LIST);

		while (db_next(inner))
			seen += db_col_u64(inner, 0);
		assert_int_equal(db_end(&inner, &err), 0);
	}
	assert_int_equal(db_end(&q, &err), 0);
	assert_int_equal(seen, 6);
	db_close(&db);

	/* Another owner sees nothing of it. */
	db = open_as(8);
	assert_int_equal(count(db), 0);
	db_close(&db);
	assert_null(db);
}

static void
test_errors(void **state)
{
	struct db *db = open_as(7);
	struct db_query *q;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(db_begin(db, DB_SYNC_FULL, &err), 0);
	assert_int_equal(add(db, 1, "one", &err), 0);
	assert_int_equal(add(db, 1, "again", NULL), ERR_EXISTS);
	assert_int_equal(add(db, 2, "bad", NULL), ERR_SYNTAX);
	assert_int_equal(add(db, UINT64_MAX, "big", NULL), ERR_LIMIT);
	q = db_query(db, T_CHILD);
	db_bind_u64(q, 2, 55);
	assert_int_equal(db_run(&q, NULL), ERR_NOTFOUND);
	/* None of these spoils what was done before. */
	assert_int_equal(db_commit(db, &err), 0);
	assert_int_equal(count(db), 1);

	/* A pushed failure is the commit's. */
	assert_int_equal(db_begin(db, DB_SYNC_FULL, &err), 0);
	assert_int_equal(add(db, 3, "three", &err), 0);
	q = db_query(db, T_CHILD);
	db_bind_u64(q, 2, 55);
	db_push(&q);
	assert_int_equal(add(db, 4, "four", NULL), ERR_NOTFOUND);
	assert_int_equal(db_commit(db, NULL), ERR_NOTFOUND);
	assert_int_equal(count(db), 1);

	/* Columns of another kind than expected. */
	q = db_query(db, T_FAT);
	assert_true(db_next(q));
	assert_int_equal(db_col_u64(q, 2), 0);
	assert_false(db_next(q));
	assert_int_equal(db_end(&q, NULL), ERR_CORRUPT);
	q = db_query(db, T_FAT);
	assert_true(db_next(q));
	assert_int_equal(db_col_u64(q, 1), 0);
	assert_int_equal(db_end(&q, NULL), ERR_CORRUPT);

	q = db_query(db, T_WRONG);
	assert_false(db_next(q));
	assert_int_equal(db_end(&q, NULL), ERR_TEMP);
	assert_false(db_has_failed(db));
	db_close(&db);
}

static void
test_rollback(void **state)
{
	struct db *db = open_as(7);

	(void)state;
	assert_int_equal(db_begin(db, DB_SYNC_FULL, NULL), 0);
	assert_int_equal(add(db, 1, "one", NULL), 0);
	assert_true(db_in_transaction(db));
	db_rollback(db);
	assert_false(db_in_transaction(db));
	assert_int_equal(count(db), 0);
	assert_int_equal(db_begin(db, DB_SYNC_FULL, NULL), 0);
	assert_int_equal(add(db, 1, "one", NULL), 0);
	db_close(&db);
	db = open_as(7);
	assert_int_equal(count(db), 0);
	db_close(&db);
}

static void
test_versions(void **state)
{
	struct db_options options = {
		.schema = &schema, .owner = 1,
	};
	struct db *db;

	(void)state;
	assert_int_equal(db_open(&db, path, &options, NULL), ERR_NOTFOUND);
	assert_null(db);

	options.schema = &old_schema;
	options.may_create = true;
	assert_int_equal(db_open(&db, path, &options, NULL), 0);
	assert_int_equal(add(db, 1, "kept", NULL), 0);
	db_close(&db);

	/* Upwards, with what is in it, and never downwards. */
	options.schema = &schema;
	options.wants_check = true;
	assert_int_equal(db_open(&db, path, &options, NULL), 0);
	assert_int_equal(count(db), 1);
	db_close(&db);
	options.schema = &old_schema;
	assert_int_equal(db_open(&db, path, &options, NULL), ERR_CORRUPT);
	options.schema = &other_schema;
	assert_int_equal(db_open(&db, path, &options, NULL), ERR_CORRUPT);
}

static void
test_damage(void **state)
{
	struct db_options options = { .schema = &schema, .owner = 1 };
	struct db *db = open_as(1);
	int fd;

	(void)state;
	assert_int_equal(add(db, 1, "one", NULL), 0);
	assert_int_equal(db_checkpoint(db, 0, true, NULL), 0);
	assert_int_equal(db_wal_pages(db), 0);
	db_close(&db);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "garbage garbage garbage", 24, 0), 24);
	assert_int_equal(close(fd), 0);
	assert_int_equal(db_open(&db, path, &options, NULL), ERR_CORRUPT);
}

/* A second process is refused as long as the first lives. */
static void
test_one_owner(void **state)
{
	struct db *db = open_as(1);
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(add(db, 1, "one", NULL), 0);
	pid = fork();
	if (pid == 0) {
		struct db_options options = { .schema = &schema, .owner = 1 };
		struct db *second;

		_exit(db_open(&second, path, &options, NULL) == ERR_DENIED ?
		    0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	db_close(&db);
}

/* The disk is full in the middle: an error that says so, nothing half done,
 * and the connection goes on when there is room. */
static void
test_full(void **state)
{
	struct rlimit old, small = { 128 * 1024, 0 };
	struct db *db = open_as(1);
	struct err err = ERR_INIT;
	uint64_t i, done = 0;
	int ret = 0;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(add(db, 1, "before", &err), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (i = 2; i < 200 && ret == 0; i++) {
		ret = db_begin(db, DB_SYNC_FULL, NULL);
		assert_int_equal(ret, 0);
		ret = add(db, i, "more", NULL);
		if (ret == 0)
			ret = db_commit(db, NULL);
		else
			db_rollback(db);
		if (ret == 0)
			done++;
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(ret, ERR_TEMP);
	assert_true(db_is_full(db));
	assert_false(db_has_failed(db));
	assert_int_equal(count(db), done + 1);
	assert_int_equal(add(db, 1000, "after", &err), 0);
	assert_int_equal(db_check(db, &err), 0);
	db_close(&db);
	db = open_as(1);
	assert_int_equal(count(db), done + 2);
	db_close(&db);
}

static void
test_copy(void **state)
{
	struct db *db = open_as(1);
	struct err err = ERR_INIT;
	char copy[128];

	(void)state;
	(void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
	assert_int_equal(add(db, 1, "one", &err), 0);
	assert_int_equal(db_copy_to(db, copy, &err), 0);
	assert_int_equal(db_copy_to(db, copy, NULL), ERR_EXISTS);
	db_close(&db);
	(void)snprintf(path, sizeof(path), "%s", copy);
	db = open_as(1);
	assert_int_equal(count(db), 1);
	db_close(&db);
}

/* kill -9 between commits: all that was told is there. */
static void
test_kill(void **state)
{
	struct db_options options = { .schema = &schema, .owner = 1,
	    .may_create = true, .wants_check = true };
	struct db *db;
	uint64_t told = 0, n;
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		if (db_open(&db, path, &options, NULL) != 0)
			_exit(1);
		for (n = 1;; n++) {
			if (db_begin(db, DB_SYNC_NORMAL, NULL) != 0 ||
			    add(db, n, "x", NULL) != 0 ||
			    db_commit(db, NULL) != 0 ||
			    write(fds[1], &n, sizeof(n)) != sizeof(n))
				_exit(1);
		}
	}
	(void)close(fds[1]);
	while (told < 100)
		assert_int_equal(read(fds[0], &told, sizeof(told)),
		    sizeof(told));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (read(fds[0], &n, sizeof(n)) == sizeof(n))
		told = n;
	(void)close(fds[0]);
	assert_int_equal(db_open(&db, path, &options, NULL), 0);
	assert_false(db_is_durable(db));
	assert_true(count(db) >= told);
	db_close(&db);
}

/* Printed, never judged: creation from an image, and what a commit costs. */
static void
test_cost(void **state)
{
	struct db_options options = { .schema = &schema, .owner = 1,
	    .may_create = true };
	struct db_image *image;
	struct db *db;
	uint64_t begin, created = 0, opened = 0, committed = 0;
	char wal[160];
	int i;

	(void)state;
	(void)snprintf(wal, sizeof(wal), "%s-wal", path);
	assert_int_equal(db_image_new(&image, &schema, NULL), 0);
	options.image = image;
	for (i = 0; i < 50; i++) {
		begin = when_mono_us();
		assert_int_equal(db_open(&db, path, &options, NULL), 0);
		created += when_mono_us() - begin;
		begin = when_mono_us();
		assert_int_equal(db_begin(db, DB_SYNC_NORMAL, NULL), 0);
		assert_int_equal(add(db, 1, "x", NULL), 0);
		assert_int_equal(db_commit(db, NULL), 0);
		committed += when_mono_us() - begin;
		db_close(&db);
		begin = when_mono_us();
		assert_int_equal(db_open(&db, path, &options, NULL), 0);
		assert_int_equal(count(db), 1);
		db_close(&db);
		opened += when_mono_us() - begin;
		assert_int_equal(unlink(path), 0);
		assert_int_equal(unlink(wal), 0);
	}
	db_image_free(&image);
	assert_null(image);
	print_message("create %llu us, first commit %llu us, open+read+close "
	    "%llu us (%s)\n", (unsigned long long)created / 50,
	    (unsigned long long)committed / 50,
	    (unsigned long long)opened / 50, db_engine());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rollback, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_versions, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_owner, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
