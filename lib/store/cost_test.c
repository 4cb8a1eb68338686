/* SPDX-License-Identifier: ISC */
/*
 * What things cost, printed and never judged. 5,000 messages, or as many as
 * STORE_COST says: the marks of the design are for 50,000.
 */
#include "base/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/when.h"
#include "db/db.h"
#include "store/store_test.h"

static const unsigned char sha256[32] = { 9 };
static size_t messages = 5000;
static uint64_t begin_us;

static void
start(void)
{
	begin_us = when_mono_us();
}

static void
told(const char *what, size_t count)
{
	uint64_t us = when_mono_us() - begin_us;

	print_message("%-34s %8.2f ms, %7.2f us each of %zu\n", what,
	    (double)us / 1000, (double)us / (double)count, count);
}

/* A link to one file, as blobd makes them. */
static void
link_cheaply(struct store *store, uint64_t message)
{
	char path[STORE_LINK_PATH_SIZE];
	int fd;

	store_link_path(message, path);
	if (linkat(store_dir_fd(store), "blob", store_dir_fd(store), path,
	    0) == 0)
		return;
	(void)unlinkat(store_dir_fd(store), "blob", 0);
	fd = openat(store_dir_fd(store), "blob", O_CREAT | O_WRONLY, 0440);
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(linkat(store_dir_fd(store), "blob",
	    store_dir_fd(store), path, 0), 0);
}

static void
fill(struct store *store, uint64_t mailbox)
{
	static char summary[1200], trace[300];
	struct store_add add = {
		.mailbox = mailbox, .sha256 = sha256, .date_s = 1700000000,
		.summary = { summary, sizeof(summary) },
		.trace = { trace, sizeof(trace) },
	};
	struct store_added added;
	size_t i;

	for (i = 0; i < messages; i++) {
		if (i % 64 == 0)
			assert_int_equal(store_begin(store, STORE_NORMAL,
			    NULL), 0);
		add.date_s += 60;
		assert_int_equal(store_reserve(store, &add.message, NULL), 0);
		link_cheaply(store, add.message);
		assert_int_equal(store_add(store, &add, &added, NULL), 0);
		if (i % 64 == 63 || i + 1 == messages)
			assert_int_equal(store_commit(store, NULL), 0);
	}
}

static void
cost_flags(struct store *store, uint64_t inbox, struct arena *arena)
{
	struct store_flag_change change = { .flags = STORE_SEEN };
	struct store_flag_result result;
	uint32_t next = 0;

	change.op = STORE_FLAGS_ADD;
	start();
	assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
	assert_int_equal(store_flags(store, inbox, NULL, &change, 0, &next,
	    arena, &result, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	told("STORE 1:* +FLAGS \\Seen, NORMAL", messages);
	assert_int_equal(result.changed.count, messages);
	change.op = STORE_FLAGS_REMOVE;
	start();
	assert_int_equal(store_flags(store, inbox, NULL, &change, 0, &next,
	    arena, &result, NULL), 0);
	told("STORE 1:* -FLAGS \\Seen, FULL", messages);
}

static void
cost_reading(struct store *store, uint64_t inbox)
{
	const struct store_msg *msgs;
	struct store_reader *reader;
	struct store_message m;
	size_t count, i, octets = 0;

	start();
	assert_int_equal(store_messages(store, inbox, &msgs, &count, NULL),
	    0);
	told("load a mailbox", count);
	assert_int_equal(count, messages);
	start();
	reader = store_reader_begin(store);
	for (i = 0; i < count; i++) {
		assert_int_equal(store_reader_get(reader, msgs[i].message, &m,
		    NULL), 0);
		octets += m.summary.len;
	}
	store_reader_end(&reader);
	told("read all summaries", count);
	assert_int_equal(octets, messages * 1200);
}

static void
cost_copy(struct store *store, uint64_t inbox, struct arena *arena)
{
	struct store_copied copied;
	uint32_t next = 0;
	uint64_t target;

	assert_int_equal(store_mailbox_create(store, STR("Copy"),
	    STORE_ROLE_NONE, &target, NULL), 0);
	start();
	assert_int_equal(store_copy(store, inbox, NULL, target, 0, &next,
	    arena, &copied, NULL), 0);
	told("COPY 1:*, FULL", messages);
	assert_int_equal(copied.to.count, messages);
	start();
	assert_int_equal(store_mailbox_delete(store, STR("Copy"), NULL), 0);
	told("delete the copies' mailbox, FULL", messages);
}

static void
cost_expunge(struct store *store, uint64_t inbox, struct arena *arena)
{
	struct store_uids gone;
	uint64_t modseq;
	uint32_t next = 0;
	bool has_more = true;

	start();
	assert_int_equal(store_expunge(store, inbox, NULL, 0, 0, &next, arena,
	    &gone, &modseq, NULL), 0);
	told("EXPUNGE all, FULL", messages);
	start();
	while (has_more)
		assert_int_equal(store_tidy(store, INT64_MAX, 0, &has_more,
		    NULL), 0);
	told("purge and unlink", messages);
}

static void
test_large_mailbox(void **state)
{
	struct store *store = account_open(STORE_FULL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	struct arena *arena = arena_new(0);

	(void)state;
	start();
	fill(store, inbox);
	told("link and add, 64 a commit", messages);
	store_note_synced(store);
	store_close(&store);
	store = account_open(STORE_FULL);
	inbox = account_mailbox(store, "INBOX");
	cost_reading(store, inbox);
	cost_flags(store, inbox, arena);
	cost_copy(store, inbox, arena);
	cost_expunge(store, inbox, arena);
	store_close(&store);
	arena_free(&arena);
}

/* A delivery to an account that nobody has open, as a bulk worker does it. */
static void
test_cold_delivery(void **state)
{
	struct store_options options = {
		.account = 7, .may_create = true, .sync = STORE_NORMAL,
	};
	struct store_add add = {
		.sha256 = sha256, .recipient = STR("alice@example.test"),
		.summary = STR("summary"), .trace = STR("Received: x\r\n"),
	};
	struct store_added added;
	struct db_image *image;
	struct store *store;
	size_t i, rounds = 200;

	(void)state;
	assert_int_equal(store_image_new(&image, NULL), 0);
	options.image = image;
	for (i = 0; i < rounds; i++) {
		if (i < 2)
			start();
		assert_int_equal(store_open(&store, account_dir, &options,
		    NULL), 0);
		if (i == 0)
			told("create", 1);
		add.mailbox = store_mailbox_by_role(store,
		    STORE_ROLE_INBOX)->id;
		add.queue_id = i + 1;
		assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
		assert_int_equal(store_reserve(store, &add.message, NULL), 0);
		link_cheaply(store, add.message);
		assert_int_equal(store_add(store, &add, &added, NULL), 0);
		assert_int_equal(store_commit(store, NULL), 0);
		store_note_synced(store);
		assert_int_equal(store_checkpoint(store, 128, NULL), 0);
		store_close(&store);
	}
	told("open, deliver one, close", rounds - 1);

	assert_int_equal(store_open(&store, account_dir, &options, NULL), 0);
	start();
	for (i = 0; i < rounds; i++) {
		add.queue_id = rounds + i + 1;
		assert_int_equal(store_reserve(store, &add.message, NULL), 0);
		link_cheaply(store, add.message);
		assert_int_equal(store_add(store, &add, &added, NULL), 0);
	}
	told("deliver one, NORMAL, warm", rounds);
	store_note_synced(store);
	assert_int_equal(store_checkpoint(store, 0, NULL), 0);
	start();
	for (i = 0; i < 10; i++) {
		store_close(&store);
		assert_int_equal(store_open(&store, account_dir, &options,
		    NULL), 0);
	}
	told("open and close alone", 10);
	store_close(&store);
	db_image_free(&image);
}

#define ACCOUNT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, account_setup, account_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ACCOUNT_TEST(test_large_mailbox),
		ACCOUNT_TEST(test_cold_delivery),
	};
	const char *want = getenv("STORE_COST");
	uint64_t n;

	if (want != NULL && str_to_u64(str_of(want), 1000000, &n) == 0 &&
	    n > 0)
		messages = (size_t)n;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
