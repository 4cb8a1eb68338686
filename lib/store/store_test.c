/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "store/store_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/when.h"

static const unsigned char sha256[32] = { 9 };

static void
assert_links(struct store *store, uint64_t message, bool is_there)
{
	char path[STORE_LINK_PATH_SIZE];

	store_link_path(message, path);
	assert_int_equal(faccessat(store_dir_fd(store), path, F_OK, 0) == 0,
	    is_there);
}

/* uid:flags of all messages of a mailbox, blank between. */
static void
assert_flags(struct store *store, uint64_t mailbox, const char *want)
{
	const struct store_msg *msgs;
	char text[1000] = "", one[40];
	size_t count, i, len = 0;

	assert_int_equal(store_messages(store, mailbox, &msgs, &count, NULL),
	    0);
	for (i = 0; i < count; i++) {
		(void)snprintf(one, sizeof(one), "%s%u:%x",
		    i != 0 ? " " : "", msgs[i].uid, msgs[i].flags);
		(void)snprintf(text + len, sizeof(text) - len, "%s", one);
		len += strlen(one);
	}
	if (strcmp(text, want) != 0)
		fail_msg("\"%s\" is not \"%s\"", text, want);
}

/* --- owner --------------------------------------------------------- */

static void
test_busy(void **state)
{
	struct store_options options = { .account = 7 };
	struct store *store, *second;
	int status = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(store_open(&store, account_dir, &options, NULL),
	    ERR_NOTFOUND);
	store = account_open(STORE_FULL);
	assert_int_equal(store_open(&second, account_dir, &options, NULL),
	    ERR_DENIED);
	pid = fork();
	if (pid == 0)
		_exit(store_open(&second, account_dir, &options, NULL) ==
		    ERR_DENIED ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	store_close(&store);
	/* The directory is this account's. */
	options.account = 8;
	assert_int_equal(store_open(&store, account_dir, &options, NULL),
	    ERR_CORRUPT);
	options.account = 7;
	assert_int_equal(store_open(&store, account_dir, &options, NULL), 0);
	store_close(&store);
}

/* --- adding -------------------------------------------------------- */

static void
test_add(void **state)
{
	struct store *store = account_open(STORE_FULL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	struct arena *arena = arena_new(0);
	struct str keywords[] = { STR("$Junk"), STR("Work") };
	struct store_add add = {
		.mailbox = inbox, .blob_octets = 100, .sha256 = sha256,
		.flags = STORE_FLAGGED, .trace = STR("Received: x\r\n"),
		.summary = STR("sum\0mary"), .keywords = keywords,
		.keyword_count = 2, .date_s = -5, .sent_s = 17,
	};
	const struct store_msg *msgs;
	struct store_message message;
	struct store_added added;
	struct store_usage usage;
	size_t count;
	int fd;

	(void)state;
	assert_int_equal(store_add(store, &add, &added, NULL), ERR_SYNTAX);
	assert_int_equal(store_reserve(store, &add.message, NULL), 0);
	assert_int_equal(store_add(store, &add, &added, NULL), ERR_NOTFOUND);
	account_link(store, add.message, 99);
	assert_int_equal(store_add(store, &add, &added, NULL), ERR_SYNTAX);
	add.blob_octets = 99;
	add.mailbox = 99;
	assert_int_equal(store_add(store, &add, &added, NULL), ERR_NOTFOUND);
	add.mailbox = inbox;
	add.flags = 0x80;
	assert_int_equal(store_add(store, &add, &added, NULL), ERR_SYNTAX);
	add.flags = STORE_FLAGGED;
	assert_int_equal(store_add(store, &add, &added, NULL), 0);
	assert_int_equal(added.uid, 1);
	assert_true(added.message == add.message);
	assert_true(store_is_durable(store));
	/* The same id is not added twice. */
	assert_int_equal(store_add(store, &add, &added, NULL), ERR_SYNTAX);
	store_close(&store);

	store = account_open(STORE_FULL);
	assert_int_equal(store_messages(store, inbox, &msgs, &count, NULL),
	    0);
	assert_int_equal(count, 1);
	assert_int_equal(msgs[0].uid, 1);
	assert_int_equal(msgs[0].flags, STORE_FLAGGED);
	assert_int_equal(msgs[0].keywords, 3);
	assert_int_equal(msgs[0].size_octets, 99 + 13);
	assert_true(msgs[0].date_s == -5);
	assert_true(msgs[0].modseq <= store_modseq(store));
	assert_ptr_equal(store_msg_find(msgs, count, 1), msgs);
	assert_null(store_msg_find(msgs, count, 2));
	assert_int_equal(store_message(store, add.message, arena, &message,
	    NULL), 0);
	assert_true(str_eq(message.trace, add.trace));
	assert_true(str_eq(message.summary, add.summary));
	assert_memory_equal(message.sha256, sha256, 32);
	assert_int_equal(message.blob_octets, 99);
	assert_true(message.thread == message.id);
	assert_int_equal(store_message(store, 4711, arena, &message, NULL),
	    ERR_NOTFOUND);
	store_usage(store, &usage);
	assert_int_equal(usage.size_octets, 99 + 13);
	assert_int_equal(usage.messages, 1);
	assert_int_equal(store_blob_open(store, add.message, &fd, NULL), 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 99);
	assert_int_equal(close(fd), 0);
	assert_int_equal(store_blob_open(store, 4711, &fd, NULL),
	    ERR_NOTFOUND);
	assert_int_equal(store_set_summary(store, add.message, STR("new"),
	    NULL), 0);
	assert_int_equal(store_set_summary(store, 4711, STR("new"), NULL),
	    ERR_NOTFOUND);
	store_close(&store);
	arena_free(&arena);
}

static void
test_quota(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	struct store_add add = {
		.mailbox = inbox, .blob_octets = 100, .sha256 = sha256,
		.max_octets = 250, .max_messages = 3,
	};
	static const struct {
		size_t len;
		int want;
	} cases[] = {
		{ 100, 0 }, { 151, ERR_LIMIT }, { 150, 0 }, { 1, ERR_LIMIT },
		{ 0, 0 }, { 0, ERR_LIMIT },	/* the fourth message */
	};
	struct store_added added;
	struct store_usage usage;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		add.blob_octets = cases[i].len;
		assert_int_equal(store_reserve(store, &add.message, NULL), 0);
		account_link(store, add.message, cases[i].len);
		assert_int_equal(store_add(store, &add, &added, NULL),
		    cases[i].want);
		if (cases[i].want == 0)
			continue;
		store_reserve_cancel(store, add.message);
		assert_links(store, add.message, false);
	}
	store_usage(store, &usage);
	assert_int_equal(usage.size_octets, 250);
	assert_int_equal(usage.messages, 3);
	store_close(&store);
}

static void
test_delivery_key(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	struct store_add add = {
		.mailbox = inbox, .blob_octets = 5, .sha256 = sha256,
		.queue_id = 77, .recipient = STR("a@example.test"),
	};
	struct arena *arena = arena_new(0);
	struct store_range all = { 1, UINT32_MAX };
	struct store_set set = { &all, 1 };
	struct store_added first, again;
	struct store_uids gone;
	uint64_t modseq;
	uint32_t next = 0;
	bool has_more = true;

	(void)state;
	assert_int_equal(store_delivery_find(store, 77, add.recipient, &again,
	    NULL), ERR_NOTFOUND);
	assert_int_equal(store_reserve(store, &add.message, NULL), 0);
	account_link(store, add.message, 5);
	assert_int_equal(store_add(store, &add, &first, NULL), 0);
	assert_false(store_is_durable(store));
	store_close(&store);

	/* Replayed by another owner: the earlier message, no second copy. */
	store = account_open(STORE_NORMAL);
	assert_int_equal(store_reserve(store, &add.message, NULL), 0);
	assert_true(add.message > first.message);
	account_link(store, add.message, 5);
	assert_int_equal(store_add(store, &add, &again, NULL), ERR_EXISTS);
	assert_true(again.message == first.message);
	assert_int_equal(again.uid, first.uid);
	assert_int_equal(again.uidvalidity, first.uidvalidity);
	assert_links(store, add.message, false);
	assert_flags(store, inbox, "1:0");

	/* Another recipient is another delivery. */
	add.recipient = STR("b@example.test");
	assert_int_equal(store_reserve(store, &add.message, NULL), 0);
	account_link(store, add.message, 5);
	assert_int_equal(store_add(store, &add, &again, NULL), 0);
	assert_flags(store, inbox, "1:0 2:0");

	/* Keys outlive the message; its id is not asked for again. */
	assert_int_equal(store_expunge(store, inbox, &set, 0, 0, &next, arena,
	    &gone, &modseq, NULL), 0);
	while (has_more)
		assert_int_equal(store_tidy(store, INT64_MAX, 0, &has_more,
		    NULL), 0);
	assert_int_equal(store_delivery_find(store, 77, add.recipient, &again,
	    NULL), 0);
	assert_int_equal(again.message, 0);

	/* A discard is remembered too. */
	assert_int_equal(store_delivery_note(store, 78, STR("c@x"), NULL), 0);
	assert_int_equal(store_delivery_note(store, 78, STR("c@x"), NULL), 0);
	assert_int_equal(store_delivery_find(store, 78, STR("c@x"), &again,
	    NULL), 0);
	/* And all are forgotten after their time. */
	has_more = true;
	while (has_more)
		assert_int_equal(store_tidy(store, 0, INT64_MAX, &has_more,
		    NULL), 0);
	assert_int_equal(store_delivery_find(store, 78, STR("c@x"), &again,
	    NULL), ERR_NOTFOUND);
	store_close(&store);
	arena_free(&arena);
}

/* --- groups -------------------------------------------------------- */

static void
test_group(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), last;
	struct store_added added;

	(void)state;
	assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
	(void)account_add(store, inbox, 1, 0);
	(void)account_add(store, inbox, 2, STORE_SEEN);
	assert_flags(store, inbox, "1:0 2:1");
	assert_int_equal(store_commit(store, NULL), 0);

	assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
	added = account_add(store, inbox, 3, 0);
	assert_flags(store, inbox, "1:0 2:1 3:0");
	store_rollback(store);
	assert_flags(store, inbox, "1:0 2:1");
	assert_int_equal(store_mailbox_by_id(store, inbox)->messages, 2);
	assert_int_equal(store_mailbox_by_id(store, inbox)->unseen, 1);
	/* The id stays given, the link is the caller's to take back. */
	store_reserve_cancel(store, added.message);
	assert_links(store, added.message, false);
	last = added.message;
	added = account_add(store, inbox, 3, 0);
	assert_true(added.message > last);
	assert_int_equal(added.uid, 3);

	/* A refusal in a group leaves the rest of it alone. */
	assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
	(void)account_add(store, inbox, 4, 0);
	assert_int_equal(store_mailbox_create(store, STR("INBOX"),
	    STORE_ROLE_NONE, NULL, NULL), ERR_EXISTS);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_flags(store, inbox, "1:0 2:1 3:0 4:0");
	store_note_synced(store);
	assert_true(store_is_durable(store));
	store_close(&store);
}

/* --- flags --------------------------------------------------------- */

static void
change_flags(struct store *store, uint64_t mailbox, uint32_t from,
    uint32_t to, enum store_flag_op op, uint8_t flags,
    struct arena *arena, struct store_flag_result *result)
{
	struct store_range range = { from, to };
	struct store_set set = { &range, 1 };
	struct store_flag_change change = { .op = op, .flags = flags };
	uint32_t next = 0;

	assert_int_equal(store_flags(store, mailbox, &set, &change, 0, &next,
	    arena, result, NULL), 0);
	assert_int_equal(next, 0);
}

static void
test_flags(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), modseq;
	struct arena *arena = arena_new(0);
	struct store_range ranges[] = { { 1, 2 }, { 4, UINT32_MAX } };
	struct store_range bad[] = { { 3, 4 }, { 4, 5 } };
	struct store_set set = { ranges, 2 }, bad_set = { bad, 2 };
	struct store_flag_change change = {
		.op = STORE_FLAGS_ADD, .flags = STORE_ANSWERED,
		.has_unchangedsince = true,
	};
	struct store_flag_result result;
	uint32_t next = 0;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		(void)account_add(store, inbox, 1, 0);
	modseq = store_modseq(store);
	change_flags(store, inbox, 2, 3, STORE_FLAGS_ADD,
	    STORE_SEEN | STORE_DELETED, arena, &result);
	assert_int_equal(result.changed.count, 2);
	assert_int_equal(result.changed.uids[0], 2);
	assert_true(result.modseq > modseq);
	assert_flags(store, inbox, "1:0 2:9 3:9 4:0 5:0");
	assert_int_equal(store_mailbox_by_id(store, inbox)->unseen, 3);
	assert_int_equal(store_mailbox_by_id(store, inbox)->deleted, 2);
	assert_true(store_mailbox_by_id(store, inbox)->highestmodseq ==
	    result.modseq);

	/* Nothing changes: no modseq either. */
	change_flags(store, inbox, 2, 3, STORE_FLAGS_ADD, STORE_SEEN, arena,
	    &result);
	assert_int_equal(result.changed.count, 0);
	assert_int_equal(result.modseq, 0);

	change_flags(store, inbox, 3, 4, STORE_FLAGS_SET, STORE_DRAFT, arena,
	    &result);
	assert_flags(store, inbox, "1:0 2:9 3:10 4:10 5:0");
	change_flags(store, inbox, 1, 9, STORE_FLAGS_REMOVE,
	    STORE_DELETED | STORE_DRAFT, arena, &result);
	assert_int_equal(result.changed.count, 3);
	assert_flags(store, inbox, "1:0 2:1 3:0 4:0 5:0");

	/* UNCHANGEDSINCE: 2 and 4 are younger than modseq. */
	change.unchangedsince = modseq;
	assert_int_equal(store_flags(store, inbox, &set, &change, 0, &next,
	    arena, &result, NULL), 0);
	assert_int_equal(result.modified.count, 2);
	assert_int_equal(result.modified.uids[0], 2);
	assert_int_equal(result.modified.uids[1], 4);
	assert_flags(store, inbox, "1:2 2:1 3:0 4:0 5:2");

	assert_int_equal(store_flags(store, inbox, &bad_set, &change, 0,
	    &next, arena, &result, NULL), ERR_SYNTAX);

	/* In slices of two. */
	change.has_unchangedsince = false;
	change.flags = STORE_FLAGGED;
	for (i = 0; i == 0 || next != 0; i++)
		assert_int_equal(store_flags(store, inbox, NULL, &change, 2,
		    &next, arena, &result, NULL), 0);
	assert_int_equal(i, 3);
	assert_flags(store, inbox, "1:6 2:5 3:4 4:4 5:6");
	store_close(&store);
	store = account_open(STORE_NORMAL);
	assert_flags(store, inbox, "1:6 2:5 3:4 4:4 5:6");
	store_close(&store);
	arena_free(&arena);
}

static void
test_recent(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	uint32_t first;

	(void)state;
	(void)account_add(store, inbox, 1, 0);
	(void)account_add(store, inbox, 1, 0);
	assert_int_equal(store_mailbox_by_id(store, inbox)->recent_uid, 1);
	assert_int_equal(store_recent_take(store, inbox, &first, NULL), 0);
	assert_int_equal(first, 1);
	assert_int_equal(store_recent_take(store, inbox, &first, NULL), 0);
	assert_int_equal(first, 3);
	(void)account_add(store, inbox, 1, 0);
	assert_int_equal(store_mailbox_by_id(store, inbox)->recent_uid, 3);
	store_close(&store);
}

/* --- expunge, copy, move ------------------------------------------- */

static void
assert_vanished(struct store *store, uint64_t mailbox, uint64_t since,
    const char *want)
{
	struct arena *arena = arena_new(0);
	struct store_set set;
	char text[200] = "";
	size_t i, len = 0;

	assert_int_equal(store_vanished(store, mailbox, since, arena, &set,
	    NULL), 0);
	for (i = 0; i < set.count; i++) {
		(void)snprintf(text + len, sizeof(text) - len, "%s%u:%u",
		    i != 0 ? "," : "", set.ranges[i].first,
		    set.ranges[i].last);
		len = strlen(text);
	}
	if (strcmp(text, want) != 0)
		fail_msg("vanished \"%s\" is not \"%s\"", text, want);
	arena_free(&arena);
}

static void
expunge(struct store *store, uint64_t mailbox, uint32_t from, uint32_t to,
    uint8_t only, size_t want)
{
	struct arena *arena = arena_new(0);
	struct store_range range = { from, to };
	struct store_set set = { &range, 1 };
	struct store_uids gone;
	uint64_t modseq;
	uint32_t next = 0;

	assert_int_equal(store_expunge(store, mailbox, &set, only, 0, &next,
	    arena, &gone, &modseq, NULL), 0);
	assert_int_equal(gone.count, want);
	assert_int_equal(modseq != 0, want != 0);
	arena_free(&arena);
}

static void
test_expunge(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), since;
	struct arena *arena = arena_new(0);
	struct store_added added[6], back;
	struct store_hidden *hidden;
	struct store_usage usage;
	bool has_more = true;
	size_t count, i;

	(void)state;
	for (i = 0; i < 6; i++)
		added[i] = account_add(store, inbox, 10,
		    i % 2 ? STORE_DELETED : 0);
	since = store_modseq(store);
	expunge(store, inbox, 1, 4, STORE_DELETED, 2);
	assert_flags(store, inbox, "1:0 3:0 5:0 6:8");
	expunge(store, inbox, 1, 4, STORE_DELETED, 0);
	expunge(store, inbox, 3, 3, 0, 1);
	assert_flags(store, inbox, "1:0 5:0 6:8");
	assert_vanished(store, inbox, since, "2:4");
	assert_vanished(store, inbox, store_modseq(store) - 1, "3:3");
	assert_vanished(store, inbox, store_modseq(store), "");
	store_usage(store, &usage);
	assert_int_equal(usage.size_octets, 30);
	assert_int_equal(usage.messages, 3);

	/* Hidden for a while, with its blob, and then gone. */
	assert_int_equal(store_hidden_list(store, 10, arena, &hidden, &count,
	    NULL), 0);
	assert_int_equal(count, 3);
	assert_true(hidden[0].message == added[2].message);
	assert_int_equal(store_tidy(store, hidden[0].expunged_s - 10, 0,
	    &has_more, NULL), 0);
	assert_links(store, added[1].message, true);
	assert_int_equal(store_restore(store, added[3].message, inbox, &back,
	    NULL), 0);
	assert_int_equal(back.uid, 7);
	assert_int_equal(store_restore(store, added[3].message, inbox, &back,
	    NULL), ERR_NOTFOUND);
	assert_flags(store, inbox, "1:0 5:0 6:8 7:1");
	has_more = true;
	while (has_more)
		assert_int_equal(store_tidy(store, INT64_MAX, 0, &has_more,
		    NULL), 0);
	assert_links(store, added[0].message, true);
	assert_links(store, added[1].message, false);
	assert_links(store, added[2].message, false);
	assert_links(store, added[3].message, true);
	assert_int_equal(store_hidden_list(store, 10, arena, &hidden, &count,
	    NULL), 0);
	assert_int_equal(count, 0);

	/* The UIDs of the last ones are not given again. */
	expunge(store, inbox, 1, UINT32_MAX, 0, 4);
	store_close(&store);
	store = account_open(STORE_NORMAL);
	assert_flags(store, inbox, "");
	assert_int_equal(account_add(store, inbox, 1, 0).uid, 8);
	store_close(&store);
	arena_free(&arena);
}

/* More tombstones than are kept apart. */
static void
test_many_tombstones(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), since;
	uint32_t uid;

	(void)state;
	assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
	for (uid = 1; uid <= 1500; uid++)
		(void)account_add(store, inbox, 0, 0);
	since = store_modseq(store);
	for (uid = 1; uid <= 1500; uid += 2)
		expunge(store, inbox, uid, uid, 0, 1);
	for (uid = 2; uid <= 1500; uid += 2)
		expunge(store, inbox, uid, uid, 0, 1);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_vanished(store, inbox, since, "1:1500");
	assert_vanished(store, inbox, store_modseq(store) - 1, "1500:1500");
	store_close(&store);
}

static void
test_copy(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	uint64_t trash = account_mailbox(store, "Trash");
	struct arena *arena = arena_new(0);
	struct store_range range = { 1, UINT32_MAX };
	struct store_set set = { &range, 1 };
	struct store_flag_change change = { .op = STORE_FLAGS_ADD };
	struct store_flag_result result;
	const struct store_msg *msgs;
	struct store_copied copied;
	struct store_usage usage;
	struct store_added added;
	unsigned bit, other;
	uint32_t next = 0;
	bool has_more = true;
	size_t count;

	(void)state;
	added = account_add(store, inbox, 10, STORE_SEEN);
	(void)account_add(store, inbox, 20, 0);
	assert_int_equal(store_keyword(store, inbox, STR("Work"), true, &bit,
	    NULL), 0);
	assert_int_equal(store_keyword(store, trash, STR("Else"), true,
	    &other, NULL), 0);
	change.keywords = UINT64_C(1) << bit;
	assert_int_equal(store_flags(store, inbox, NULL, &change, 0, &next,
	    arena, &result, NULL), 0);
	assert_int_equal(store_copy(store, inbox, &set, trash, 0, &next,
	    arena, &copied, NULL), 0);
	assert_int_equal(copied.from.count, 2);
	assert_int_equal(copied.to.uids[1], 2);
	assert_flags(store, trash, "1:1 2:0");
	/* The keyword has another bit there. */
	assert_int_equal(store_messages(store, trash, &msgs, &count, NULL),
	    0);
	assert_int_equal(msgs[0].keywords, 2);
	assert_true(msgs[0].message == added.message);
	assert_true(msgs[0].date_s == 1700000000);
	/* It takes no space. */
	store_usage(store, &usage);
	assert_int_equal(usage.size_octets, 30);
	assert_int_equal(usage.messages, 2);

	/* Into the same mailbox: what it makes is not copied again. */
	assert_int_equal(store_copy(store, inbox, &set, inbox, 1, &next,
	    arena, &copied, NULL), 0);
	assert_int_equal(next, 0);
	assert_flags(store, inbox, "1:1 2:0 3:1 4:0");

	/* The message lives as long as one mailbox has it. */
	expunge(store, inbox, 1, UINT32_MAX, 0, 4);
	while (has_more)
		assert_int_equal(store_tidy(store, INT64_MAX, 0, &has_more,
		    NULL), 0);
	assert_links(store, added.message, true);
	assert_int_equal(store_mailbox_delete(store, STR("Trash"), NULL), 0);
	store_usage(store, &usage);
	assert_int_equal(usage.size_octets, 0);
	assert_int_equal(usage.messages, 0);
	has_more = true;
	while (has_more)
		assert_int_equal(store_tidy(store, INT64_MAX, 0, &has_more,
		    NULL), 0);
	assert_links(store, added.message, false);
	store_close(&store);
	arena_free(&arena);
}

static void
test_move(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), since;
	uint64_t trash = account_mailbox(store, "Trash");
	struct arena *arena = arena_new(0);
	struct store_range range = { 2, 4 };
	struct store_set set = { &range, 1 };
	struct store_copied copied;
	struct store_usage usage;
	uint32_t next = 0;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		(void)account_add(store, inbox, 10, (uint8_t)i);
	since = store_modseq(store);
	/* Two slices. */
	assert_int_equal(store_move(store, inbox, &set, trash, 2, &next,
	    arena, &copied, NULL), 0);
	assert_int_equal(next, 4);
	assert_flags(store, inbox, "1:0 4:3 5:4");
	assert_flags(store, trash, "1:1 2:2");
	assert_int_equal(store_move(store, inbox, &set, trash, 2, &next,
	    arena, &copied, NULL), 0);
	assert_int_equal(copied.from.count, 1);
	assert_int_equal(copied.from.uids[0], 4);
	assert_int_equal(copied.to.uids[0], 3);
	while (next != 0)
		assert_int_equal(store_move(store, inbox, &set, trash, 2,
		    &next, arena, &copied, NULL), 0);
	assert_vanished(store, inbox, since, "2:4");
	store_usage(store, &usage);
	assert_int_equal(usage.messages, 5);
	/* Within one mailbox: new UIDs. */
	range.first = 1;
	assert_int_equal(store_move(store, trash, &set, trash, 0, &next,
	    arena, &copied, NULL), 0);
	assert_flags(store, trash, "4:1 5:2 6:3");
	assert_int_equal(store_move(store, trash, &set, 999, 0, &next, arena,
	    &copied, NULL), ERR_NOTFOUND);
	store_close(&store);
	arena_free(&arena);
}

static void
test_reader(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX"), ids[50];
	struct store_reader *reader;
	struct store_message m;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(ids); i++)
		ids[i] = account_add(store, inbox, i, 0).message;
	reader = store_reader_begin(store);
	for (i = 0; i < COUNT_OF(ids); i++) {
		assert_int_equal(store_reader_get(reader, ids[i], &m, NULL),
		    0);
		assert_int_equal(m.blob_octets, i);
	}
	for (i = COUNT_OF(ids); i-- > 0;) {
		assert_int_equal(store_reader_get(reader, ids[i], &m, NULL),
		    0);
		assert_int_equal(m.blob_octets, i);
		assert_true(str_eq(m.summary, STR("summary")));
	}
	/* Twice, ahead, nowhere, and on. */
	assert_int_equal(store_reader_get(reader, ids[0], &m, NULL), 0);
	assert_int_equal(store_reader_get(reader, ids[40], &m, NULL), 0);
	assert_int_equal(store_reader_get(reader, ids[49] + 9, &m, NULL),
	    ERR_NOTFOUND);
	assert_int_equal(store_reader_get(reader, 0, &m, NULL), ERR_NOTFOUND);
	assert_int_equal(store_reader_get(reader, ids[3], &m, NULL), 0);
	assert_int_equal(m.blob_octets, 3);
	store_reader_end(&reader);
	assert_null(reader);
	store_close(&store);
}

static void
test_values(void **state)
{
	struct store *store = account_open(STORE_FULL);
	struct arena *arena = arena_new(0);
	struct str value, *keys;
	size_t count;

	(void)state;
	assert_int_equal(store_value_put(store, STR("sieve/a"), STR("x\0y"),
	    0, NULL), 0);
	assert_int_equal(store_value_put(store, STR("sieve/b"), STR_NONE, 0,
	    NULL), 0);
	assert_int_equal(store_value_put(store, STR("sieve0"), STR("z"), 0,
	    NULL), 0);
	assert_int_equal(store_value_put(store, STR("old"), STR("z"), 1,
	    NULL), 0);
	assert_int_equal(store_value_put(store, STR("\xff"), STR("z"), 1,
	    NULL), ERR_SYNTAX);
	assert_int_equal(store_value_get(store, STR("sieve/a"), arena, &value,
	    NULL), 0);
	assert_true(str_eq(value, STR("x\0y")));
	assert_int_equal(store_value_get(store, STR("old"), arena, &value,
	    NULL), ERR_NOTFOUND);
	assert_int_equal(store_value_list(store, STR("sieve/"), 9, arena,
	    &keys, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_true(str_eq(keys[1], STR("sieve/b")));
	assert_int_equal(store_value_delete(store, STR("sieve/a"), NULL), 0);
	assert_int_equal(store_value_delete(store, STR("sieve/a"), NULL),
	    ERR_NOTFOUND);
	store_close(&store);
	arena_free(&arena);
}

#define ACCOUNT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, account_setup, account_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ACCOUNT_TEST(test_busy),
		ACCOUNT_TEST(test_add),
		ACCOUNT_TEST(test_quota),
		ACCOUNT_TEST(test_delivery_key),
		ACCOUNT_TEST(test_group),
		ACCOUNT_TEST(test_flags),
		ACCOUNT_TEST(test_recent),
		ACCOUNT_TEST(test_expunge),
		ACCOUNT_TEST(test_many_tombstones),
		ACCOUNT_TEST(test_copy),
		ACCOUNT_TEST(test_move),
		ACCOUNT_TEST(test_reader),
		ACCOUNT_TEST(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
