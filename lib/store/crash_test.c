/* SPDX-License-Identifier: ISC */
/*
 * What a crash, a full disk or somebody else's mistake may do to an account,
 * told by a ledger outside of it.
 */
#include "base/test.h"

#include "store/store_int.h"
#include "store/store_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/when.h"

static const unsigned char sha256[32] = { 9 };

static int
add_one(struct store *store, uint64_t mailbox, size_t len,
    struct store_added *added, struct err *err)
{
	struct store_add add = {
		.mailbox = mailbox, .blob_octets = len, .sha256 = sha256,
	};
	int ret = store_reserve(store, &add.message, err);

	if (ret != 0)
		return ret;
	account_link(store, add.message, len);
	ret = store_add(store, &add, added, err);
	if (ret != 0)
		store_reserve_cancel(store, add.message);
	return ret;
}

/* One acknowledged message. */
struct ack {
	uint64_t message;
	uint32_t uid;
	uint32_t size;
};

static void
append_for_ever(int fd, enum store_sync sync)
{
	struct store *store = account_open(sync);
	uint64_t inbox = account_mailbox(store, "INBOX");
	struct store_added added;
	struct ack ack;
	uint32_t n;

	for (n = 0;; n++) {
		if (add_one(store, inbox, n % 100, &added, NULL) != 0)
			_exit(1);
		ack = (struct ack){ added.message, added.uid, n % 100 };
		if (write(fd, &ack, sizeof(ack)) != sizeof(ack))
			_exit(1);
	}
}

/* Run it, kill it after about want acks, and fill the ledger. */
static size_t
killed_run(struct ack *ledger, size_t count, size_t want, size_t max,
    enum store_sync sync)
{
	int fds[2], status;
	size_t end = count + want;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		append_for_ever(fds[1], sync);
	}
	(void)close(fds[1]);
	while (count < max && read(fds[0], &ledger[count],
	    sizeof(*ledger)) == sizeof(*ledger))
		if (++count == end)
			assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	(void)close(fds[0]);
	return count;
}

static uint32_t
check_ledger(const struct ack *ledger, size_t acked)
{
	struct store *store = account_open(STORE_FULL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	const struct store_msg *msgs, *msg;
	struct store_repair done;
	uint32_t uidnext;
	size_t count, i;
	int fd;

	assert_int_equal(store_messages(store, inbox, &msgs, &count, NULL),
	    0);
	assert_true(count >= acked);
	for (i = 0; i < acked; i++) {
		msg = store_msg_find(msgs, count, ledger[i].uid);
		assert_non_null(msg);
		assert_true(msg->message == ledger[i].message);
		assert_int_equal(msg->size_octets, ledger[i].size);
		assert_int_equal(store_blob_open(store, msg->message, &fd,
		    NULL), 0);
		assert_int_equal(close(fd), 0);
		/* Neither UIDs nor ids were given twice. */
		if (i > 0) {
			assert_true(ledger[i].uid > ledger[i - 1].uid);
			assert_true(ledger[i].message >
			    ledger[i - 1].message);
		}
	}
	uidnext = store_mailbox_by_id(store, inbox)->uidnext;
	assert_int_equal(store_repair(store, &done, NULL), 0);
	assert_int_equal(done.links_removed, 0);
	assert_int_equal(done.rows_removed, 0);
	assert_int_equal(done.counters_fixed, 0);
	store_close(&store);
	return uidnext;
}

static void
kill_rounds(enum store_sync sync, size_t each)
{
	static struct ack ledger[20000];
	size_t acked = 0, round;

	for (round = 0; round < 4; round++) {
		acked = killed_run(ledger, acked, each + 7 * round,
		    COUNT_OF(ledger), sync);
		assert_true(check_ledger(ledger, acked) > acked);
	}
}

static void
test_kill_full(void **state)
{
	(void)state;
	kill_rounds(STORE_FULL, 20);
}

static void
test_kill_normal(void **state)
{
	(void)state;
	kill_rounds(STORE_NORMAL, 60);
}

/* Links without rows go, and only those; rows without links go too, with
 * their delivery keys. */
static void
test_unclean(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), stray;
	struct store_add add = {
		.mailbox = inbox, .sha256 = sha256, .queue_id = 5,
		.recipient = STR("a@b"),
	};
	struct store_added kept, lost, found;
	char path[STORE_LINK_PATH_SIZE];
	const struct store_msg *msgs;
	struct store_usage usage;
	size_t count;

	(void)state;
	kept = account_add(store, inbox, 3, 0);
	assert_int_equal(store_reserve(store, &add.message, NULL), 0);
	account_link(store, add.message, 0);
	assert_int_equal(store_add(store, &add, &lost, NULL), 0);
	assert_int_equal(store_reserve(store, &stray, NULL), 0);
	account_link(store, stray, 9);
	store_link_path(lost.message, path);
	assert_int_equal(unlinkat(store_dir_fd(store), path, 0), 0);
	store_close(&store);	/* not flushed: not clean */

	store = account_open(STORE_FULL);
	assert_true(store_is_durable(store));
	assert_int_equal(store_messages(store, inbox, &msgs, &count, NULL),
	    0);
	assert_int_equal(count, 1);
	assert_true(msgs[0].message == kept.message);
	store_link_path(stray, path);
	assert_int_not_equal(faccessat(store_dir_fd(store), path, F_OK, 0),
	    0);
	assert_int_equal(store_delivery_find(store, 5, STR("a@b"), &found,
	    NULL), ERR_NOTFOUND);
	store_usage(store, &usage);
	assert_int_equal(usage.messages, 1);
	assert_int_equal(usage.size_octets, 3);
	/* What was on its way when the other died has room to arrive. */
	assert_int_equal(store_reserve(store, &add.message, NULL), 0);
	assert_true(add.message >= stray + STORE_RESERVED_MAX);
	store_reserve_cancel(store, add.message);
	store_close(&store);
}

static void
test_repair_all(void **state)
{
	struct store *store = account_open(STORE_FULL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	char path[STORE_LINK_PATH_SIZE];
	struct store_added added;
	struct store_repair done;
	int i, fd;

	(void)state;
	for (i = 0; i < 10; i++)
		added = account_add(store, inbox, 1, 0);
	store_close(&store);
	store = account_open(STORE_FULL);
	store_link_path(added.message, path);
	assert_int_equal(unlinkat(store_dir_fd(store), path, 0), 0);
	fd = openat(store_dir_fd(store), "b/0/99999", O_CREAT | O_WRONLY,
	    0440);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(store_repair(store, &done, NULL), 0);
	assert_int_equal(done.links_removed, 1);
	assert_int_equal(done.rows_removed, 1);
	assert_int_equal(store_mailbox_by_id(store, inbox)->messages, 9);
	assert_int_equal(store_repair(store, &done, NULL), 0);
	assert_int_equal(done.links_removed + done.rows_removed +
	    done.counters_fixed, 0);
	store_close(&store);
}

/* The machine died while the account was made: a database that is cut off,
 * but never was anybody's, is put aside. A later one is not. */
static void
test_unborn(void **state)
{
	struct store_options options = {
		.account = 7, .may_create = true, .sync = STORE_NORMAL,
	};
	struct store *store = account_open(STORE_NORMAL);
	char path[128], aside[128], wal[128];

	(void)state;
	store_close(&store);
	(void)snprintf(path, sizeof(path), "%s/mail.db", account_dir);
	(void)snprintf(aside, sizeof(aside), "%s/mail.db.unborn",
	    account_dir);
	(void)snprintf(wal, sizeof(wal), "%s/mail.db-wal", account_dir);
	assert_int_equal(truncate(path, 5000), 0);
	store = account_open(STORE_FULL);
	assert_int_equal(access(aside, F_OK), 0);
	(void)account_add(store, account_mailbox(store, "INBOX"), 1, 0);
	store_close(&store);
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(unlink(wal), 0);
	assert_int_equal(store_open(&store, account_dir, &options, NULL),
	    ERR_CORRUPT);
}

/* The disk fills up: the append fails whole, is told as that, deleting still
 * works, and all goes on when there is room. */
static void
test_full(void **state)
{
	struct store *store = account_open(STORE_FULL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	struct arena *arena = arena_new(0);
	struct rlimit old, small = { 256 * 1024, 0 };
	struct store_added added;
	struct store_uids gone;
	uint64_t modseq;
	uint32_t next = 0, uidnext;
	size_t done = 0;
	int ret = 0;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	while (ret == 0) {
		ret = add_one(store, inbox, 1, &added, NULL);
		done += ret == 0;
	}
	assert_int_equal(ret, ERR_TEMP);
	assert_true(store_is_disk_full(store));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_false(store_has_failed(store));
	assert_int_equal(store_mailbox_by_id(store, inbox)->messages, done);
	uidnext = store_mailbox_by_id(store, inbox)->uidnext;
	assert_int_equal(uidnext, done + 1);
	assert_int_equal(add_one(store, inbox, 1, &added, NULL), 0);
	assert_int_equal(added.uid, uidnext);
	assert_int_equal(store_expunge(store, inbox, NULL, 0, 0, &next, arena,
	    &gone, &modseq, NULL), 0);
	assert_int_equal(gone.count, done + 1);
	store_close(&store);
	arena_free(&arena);
}

/* Rows that somebody has tampered with are found out, not believed. */
static void
test_tampered(void **state)
{
	static const struct str pages[] = {
		{ "\1\1\1\2\2\x20\0\2\1", 9 },	/* a flag nobody knows */
		{ "\1\1\x63\2\2\0\0\2\1", 9 },	/* UID 99, over uidnext */
		{ "\1\2\1\2\2\0\0\2\1", 9 },	/* one is missing */
		{ "", 0 },
	};
	struct db_options options = { .schema = &store_schema, .owner = 7 };
	struct store *store = account_open(STORE_FULL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	const struct store_msg *msgs;
	struct db_query *q;
	struct db *db;
	char path[128];
	size_t count, i;

	(void)state;
	(void)account_add(store, inbox, 1, STORE_SEEN);
	store_close(&store);
	(void)snprintf(path, sizeof(path), "%s/mail.db", account_dir);
	for (i = 0; i < COUNT_OF(pages); i++) {
		assert_int_equal(db_open(&db, path, &options, NULL), 0);
		q = db_query(db, Q_PAGE_PUT);
		db_bind_u64(q, 2, PAGE_KEY(inbox, 1));
		db_bind_blob(q, 3, pages[i]);
		assert_int_equal(db_run(&q, NULL), 0);
		db_close(&db);
		store = account_open(STORE_FULL);
		assert_int_equal(store_messages(store, inbox, &msgs, &count,
		    NULL), ERR_CORRUPT);
		assert_null(msgs);
		/* The other mailboxes are not taken along. */
		assert_int_equal(store_messages(store,
		    account_mailbox(store, "Trash"), &msgs, &count, NULL), 0);
		store_close(&store);
	}
}

/* Bulk: many accounts, a commit each, one flush for all. */
static void
test_syncfs(void **state)
{
	struct store_options options = {
		.account = 1, .may_create = true, .sync = STORE_NORMAL,
	};
	struct store *stores[5];
	struct store_added added;
	char path[128];
	size_t i;
	int fd;

	(void)state;
	assert_int_equal(mkdir(account_dir, 0700), 0);
	fd = open(account_dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	for (i = 0; i < COUNT_OF(stores); i++) {
		(void)snprintf(path, sizeof(path), "%s/%zu", account_dir, i);
		options.account = i + 1;
		assert_int_equal(store_open(&stores[i], path, &options, NULL),
		    0);
		assert_int_equal(add_one(stores[i],
		    account_mailbox(stores[i], "INBOX"), 5, &added, NULL), 0);
		assert_false(store_is_durable(stores[i]));
	}
	assert_int_equal(syncfs(fd), 0);
	for (i = 0; i < COUNT_OF(stores); i++) {
		store_note_synced(stores[i]);
		assert_true(store_is_durable(stores[i]));
		store_close(&stores[i]);
		/* A clean stop: ids go on where they were. */
		(void)snprintf(path, sizeof(path), "%s/%zu", account_dir, i);
		options.account = i + 1;
		assert_int_equal(store_open(&stores[i], path, &options, NULL),
		    0);
		assert_int_equal(add_one(stores[i],
		    account_mailbox(stores[i], "INBOX"), 5, &added, NULL), 0);
		assert_int_equal(added.message, 2);
		assert_int_equal(added.uid, 2);
		store_close(&stores[i]);
	}
	assert_int_equal(close(fd), 0);
}

#define ACCOUNT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, account_setup, account_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ACCOUNT_TEST(test_kill_full),
		ACCOUNT_TEST(test_kill_normal),
		ACCOUNT_TEST(test_unclean),
		ACCOUNT_TEST(test_repair_all),
		ACCOUNT_TEST(test_unborn),
		ACCOUNT_TEST(test_full),
		ACCOUNT_TEST(test_tampered),
		ACCOUNT_TEST(test_syncfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
