/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "store/store_test.h"

static void
test_canon(void **state)
{
	static const struct {
		const char *in;
		int want;
		const char *out;
	} cases[] = {
		{ "INBOX", 0, "INBOX" },
		{ "inbox", 0, "INBOX" },
		{ "iNbOx/a", 0, "INBOX/a" },
		{ "inboxes", 0, "inboxes" },
		{ "a/inbox", 0, "a/inbox" },
		{ "a/b/", 0, "a/b" },
		{ "e\xcc\x81t\xc3\xa9", 0, "\xc3\xa9t\xc3\xa9" },
		{ "\xe9\xa3\x9b\xe8\x84\x9a", 0, "\xe9\xa3\x9b\xe8\x84\x9a" },
		/* Combining voice mark: one letter in NFC. */
		{ "\xe3\x81\x8b\xe3\x82\x99", 0, "\xe3\x81\x8c" },
		{ "", ERR_SYNTAX, NULL },
		{ "/", ERR_SYNTAX, NULL },
		{ "/a", ERR_SYNTAX, NULL },
		{ "a//b", ERR_SYNTAX, NULL },
		{ "a//", ERR_SYNTAX, NULL },
		{ ".", ERR_SYNTAX, NULL },
		{ "a/../b", ERR_SYNTAX, NULL },
		{ "a\nb", ERR_SYNTAX, NULL },
		{ "a\x7f", ERR_SYNTAX, NULL },
		{ "a\xc2\x85", ERR_SYNTAX, NULL },
		{ "a\xe2\x80\xa8", ERR_SYNTAX, NULL },
		{ "#news", ERR_SYNTAX, NULL },
		{ "\xff", ERR_SYNTAX, NULL },
		{ "\xc0\xaf", ERR_SYNTAX, NULL },
	};
	struct arena *arena = arena_new(0);
	char deep[2 * STORE_DEPTH_MAX + 2], wide[STORE_NAME_MAX + 2];
	struct str out;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		if (store_name_canon(str_of(cases[i].in), arena, &out,
		    NULL) != cases[i].want ||
		    !str_eq(out, str_of(cases[i].out)))
			fail_msg("case %zu: %.*s", i, STR_FMT(out));
	}
	memset(deep, 'a', sizeof(deep));
	for (i = 1; i < sizeof(deep); i += 2)
		deep[i] = '/';
	assert_int_equal(store_name_canon(str_make(deep,
	    2 * STORE_DEPTH_MAX - 1), arena, &out, NULL), 0);
	assert_int_equal(store_name_canon(str_make(deep,
	    2 * STORE_DEPTH_MAX + 1), arena, &out, NULL), ERR_LIMIT);
	memset(wide, 'a', sizeof(wide));
	assert_int_equal(store_name_canon(str_make(wide, STORE_LEVEL_MAX),
	    arena, &out, NULL), 0);
	assert_int_equal(store_name_canon(str_make(wide,
	    STORE_LEVEL_MAX + 1), arena, &out, NULL), ERR_LIMIT);
	assert_int_equal(store_name_canon(str_make(wide, sizeof(wide)),
	    arena, &out, NULL), ERR_LIMIT);
	assert_int_equal(store_name_canon(str_make("a\0b", 3), arena, &out,
	    NULL), ERR_SYNTAX);
	arena_free(&arena);
}

/* All names, in order, one string. */
static void
assert_names(struct store *store, const char *want)
{
	const struct store_mailbox *const *list;
	struct buf buf;
	size_t count, i;

	assert_int_equal(store_mailbox_list(store, &list, &count, NULL), 0);
	buf_init(&buf, 10000);
	for (i = 0; i < count; i++) {
		if (i != 0)
			buf_add_char(&buf, ' ');
		buf_add_str(&buf, list[i]->name);
		if (list[i]->is_noselect)
			buf_add_char(&buf, '-');
		if (list[i]->has_children)
			buf_add_char(&buf, '+');
	}
	if (!str_eq(buf_str(&buf), str_of(want)))
		fail_msg("%.*s\nis not %s", STR_FMT(buf_str(&buf)), want);
	buf_fini(&buf);
}

static void
test_first(void **state)
{
	struct store *store = account_open(STORE_FULL);
	const struct store_mailbox *box;
	uint32_t uidvalidity;

	(void)state;
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash");
	box = store_mailbox_by_role(store, STORE_ROLE_TRASH);
	assert_non_null(box);
	assert_true(str_eq(box->name, STR("Trash")));
	assert_true(box->is_subscribed);
	assert_int_equal(box->uidnext, 1);
	uidvalidity = box->uidvalidity;
	assert_true(uidvalidity != 0);
	assert_true(store_is_durable(store));
	store_close(&store);
	store = account_open(STORE_FULL);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash");
	box = store_mailbox_by_name(store, STR("Trash"));
	assert_int_equal(box->uidvalidity, uidvalidity);
	store_close(&store);
}

static void
test_tree(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t id, other, low;
	uint32_t uidvalidity;

	(void)state;
	assert_int_equal(store_mailbox_create(store, STR("a/b/c"),
	    STORE_ROLE_NONE, &id, NULL), 0);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash a+ a/b+ "
	    "a/b/c");
	assert_int_equal(store_mailbox_create(store, STR("a/b"),
	    STORE_ROLE_NONE, &other, NULL), ERR_EXISTS);
	assert_int_equal(store_mailbox_create(store, STR("a-x"),
	    STORE_ROLE_NONE, &other, NULL), 0);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash a+ a/b+ "
	    "a/b/c a-x");

	/* One with children stays as a name, and comes back as another. */
	low = account_mailbox(store, "a/b");
	uidvalidity = store_mailbox_by_id(store, low)->uidvalidity;
	assert_int_equal(store_mailbox_delete(store, STR("a/b"), NULL), 0);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash a+ a/b-+ "
	    "a/b/c a-x");
	assert_int_equal(store_mailbox_delete(store, STR("a/b"), NULL),
	    ERR_DENIED);
	assert_int_equal(store_mailbox_create(store, STR("a/b"),
	    STORE_ROLE_NONE, &other, NULL), 0);
	assert_true(other > id);
	assert_true(store_mailbox_by_id(store, other)->uidvalidity >
	    uidvalidity);
	assert_null(store_mailbox_by_id(store, low));

	/* A name that was only there for its children goes with the last. */
	assert_int_equal(store_mailbox_delete(store, STR("a/b"), NULL), 0);
	assert_int_equal(store_mailbox_delete(store, STR("a/b/c"), NULL), 0);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash a a-x");

	assert_int_equal(store_mailbox_delete(store, STR("INBOX"), NULL),
	    ERR_DENIED);
	assert_int_equal(store_mailbox_delete(store, STR("nix"), NULL),
	    ERR_NOTFOUND);
	store_close(&store);
	store = account_open(STORE_NORMAL);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash a a-x");
	store_close(&store);
}

static void
test_rename(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t id, inbox;
	struct store_added added;
	const struct store_msg *msgs;
	size_t count;

	(void)state;
	assert_int_equal(store_mailbox_create(store, STR("a/b/c"),
	    STORE_ROLE_NONE, &id, NULL), 0);
	assert_int_equal(store_subscribe(store, STR("a/b/c"), true, NULL), 0);
	assert_int_equal(store_mailbox_create(store, STR("ab"),
	    STORE_ROLE_NONE, NULL, NULL), 0);
	assert_int_equal(store_mailbox_rename(store, STR("a"), STR("a/z"),
	    NULL), ERR_DENIED);
	assert_int_equal(store_mailbox_rename(store, STR("a"), STR("ab"),
	    NULL), ERR_EXISTS);
	assert_int_equal(store_mailbox_rename(store, STR("q"), STR("r"),
	    NULL), ERR_NOTFOUND);
	assert_int_equal(store_mailbox_rename(store, STR("a"), STR("x/y"),
	    NULL), 0);
	assert_names(store, "Archive Drafts INBOX Junk Sent Trash ab x+ x/y+ "
	    "x/y/b+ x/y/b/c");
	assert_int_equal(account_mailbox(store, "x/y/b/c"), id);
	assert_true(store_mailbox_by_id(store, id)->is_subscribed);

	/* INBOX stays, its messages go. */
	inbox = account_mailbox(store, "INBOX");
	added = account_add(store, inbox, 10, STORE_SEEN);
	assert_int_equal(store_mailbox_create(store, STR("INBOX/sub"),
	    STORE_ROLE_NONE, NULL, NULL), 0);
	assert_int_equal(store_mailbox_rename(store, STR("INBOX"),
	    STR("Old"), NULL), 0);
	assert_names(store, "Archive Drafts INBOX+ INBOX/sub Junk Old Sent "
	    "Trash ab x+ x/y+ x/y/b+ x/y/b/c");
	assert_int_equal(store_messages(store, inbox, &msgs, &count, NULL),
	    0);
	assert_int_equal(count, 0);
	assert_int_equal(store_messages(store, account_mailbox(store, "Old"),
	    &msgs, &count, NULL), 0);
	assert_int_equal(count, 1);
	assert_int_equal(msgs[0].message, added.message);
	assert_int_equal(msgs[0].flags, STORE_SEEN);
	store_close(&store);
}

static void
test_subscriptions(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	struct arena *arena = arena_new(0);
	struct str *names;
	size_t count, i;

	(void)state;
	assert_int_equal(store_subscribe(store, STR("not/there"), true, NULL),
	    0);
	assert_int_equal(store_subscribe(store, STR("not/there"), true, NULL),
	    0);
	assert_int_equal(store_subscribe(store, STR("Junk"), false, NULL), 0);
	assert_false(store_mailbox_by_name(store, STR("Junk"))->
	    is_subscribed);
	/* A subscription outlives its mailbox. */
	assert_int_equal(store_mailbox_delete(store, STR("Sent"), NULL), 0);
	store_close(&store);
	store = account_open(STORE_NORMAL);
	assert_int_equal(store_subscription_list(store, arena, &names, &count,
	    NULL), 0);
	assert_int_equal(count, 6);
	for (i = 0; i < count; i++)
		if (str_eq(names[i], STR("Sent")))
			break;
	assert_true(i < count);
	store_close(&store);
	arena_free(&arena);
}

static void
test_roles(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t sent;

	(void)state;
	assert_int_equal(store_mailbox_create(store, STR("Gesendet"),
	    STORE_ROLE_NONE, &sent, NULL), 0);
	assert_int_equal(store_mailbox_set_role(store, sent, STORE_ROLE_SENT,
	    NULL), 0);
	assert_int_equal(store_mailbox_by_role(store, STORE_ROLE_SENT)->id,
	    sent);
	assert_int_equal(store_mailbox_by_name(store, STR("Sent"))->role,
	    STORE_ROLE_NONE);
	assert_int_equal(store_mailbox_set_role(store, sent,
	    STORE_ROLE_INBOX, NULL), ERR_DENIED);
	assert_int_equal(store_mailbox_set_role(store, 999,
	    STORE_ROLE_NONE, NULL), ERR_NOTFOUND);
	store_close(&store);
}

static void
test_keywords(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	uint64_t inbox = account_mailbox(store, "INBOX");
	const struct str *names;
	unsigned bit, i;
	char name[16];

	(void)state;
	assert_int_equal(store_keyword(store, inbox, STR("$Forwarded"), false,
	    &bit, NULL), ERR_NOTFOUND);
	assert_int_equal(store_keyword(store, inbox, STR("a b"), true, &bit,
	    NULL), ERR_SYNTAX);
	assert_int_equal(store_keyword(store, inbox, STR("\\Seen"), true,
	    &bit, NULL), ERR_SYNTAX);
	assert_int_equal(store_keyword(store, inbox, STR_NONE, true, &bit,
	    NULL), ERR_SYNTAX);
	for (i = 0; i < STORE_KEYWORD_COUNT; i++) {
		(void)snprintf(name, sizeof(name), "Kw%u", i);
		assert_int_equal(store_keyword(store, inbox, str_of(name),
		    true, &bit, NULL), 0);
		assert_int_equal(bit, i);
	}
	assert_int_equal(store_keyword(store, inbox, STR("one-more"), true,
	    &bit, NULL), ERR_LIMIT);
	store_close(&store);
	store = account_open(STORE_NORMAL);
	assert_int_equal(store_keyword(store, inbox, STR("kW17"), false, &bit,
	    NULL), 0);
	assert_int_equal(bit, 17);
	names = store_keyword_names(store, inbox);
	assert_true(str_eq(names[17], STR("Kw17")));
	assert_null(store_keyword_names(store, 999));
	store_close(&store);
}

static void
test_many(void **state)
{
	struct store *store = account_open(STORE_NORMAL);
	char name[32];
	unsigned i;
	int ret = 0;

	(void)state;
	assert_int_equal(store_begin(store, STORE_NORMAL, NULL), 0);
	for (i = 0; ret == 0; i++) {
		(void)snprintf(name, sizeof(name), "m%05u", i);
		ret = store_mailbox_create(store, str_of(name),
		    STORE_ROLE_NONE, NULL, NULL);
	}
	assert_int_equal(ret, ERR_LIMIT);
	assert_int_equal(i - 1, STORE_MAILBOX_MAX - 6);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_non_null(store_mailbox_by_name(store, STR("m00000")));
	store_close(&store);
}

#define ACCOUNT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, account_setup, account_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_canon),
		ACCOUNT_TEST(test_first),
		ACCOUNT_TEST(test_tree),
		ACCOUNT_TEST(test_rename),
		ACCOUNT_TEST(test_subscriptions),
		ACCOUNT_TEST(test_roles),
		ACCOUNT_TEST(test_keywords),
		ACCOUNT_TEST(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
