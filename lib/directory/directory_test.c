/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/when.h"
#include "directory/access.h"
#include "directory/directory.h"

static struct directory *dir;
static struct arena *arena;
static char folder[] = "/tmp/hikyaku-directory-XXXXXX";
static uint64_t domain_id;

static uint64_t
add_account(const char *local)
{
	struct directory_account a = { .domain = domain_id,
	    .local = str_of(local), .is_own_enabled = true,
	    .language = STR("ja"), .name = STR("") };
	uint64_t id = 0;

	a.address = arena_printf(arena, "%s@example.test", local);
	assert_int_equal(directory_account_add(dir, &a, &id, NULL), 0);
	return id;
}

static void
pair(enum directory_pair kind, const char *owner, const char *target,
    bool keeps_copy)
{
	assert_int_equal(directory_pair_add(dir, kind, str_of(owner),
	    str_of(target), keeps_copy, NULL), 0);
}

static int
setup(void **state)
{
	struct directory_domain d = { .name = STR("example.test"),
	    .mailbox_octets = 1000, .is_enabled = true };
	struct err err = ERR_INIT;
	char path[128];

	(void)state;
	arena = arena_new(0);
	(void)snprintf(path, sizeof(path), "%s/directory.db", folder);
	if (directory_open(&dir, path, &err) != 0)
		fail_msg("%s", err_text(&err));
	assert_int_equal(directory_begin(dir, STR("test"), NULL), 0);
	assert_int_equal(directory_tenant_add(dir, STR("t"), &d.tenant,
	    NULL), 0);
	assert_int_equal(directory_domain_add(dir, &d, &domain_id, NULL), 0);
	(void)add_account("alice");
	(void)add_account("bob");
	(void)add_account("carol");
	pair(DIRECTORY_ALIAS, "sales@example.test", "alice@example.test",
	    false);
	pair(DIRECTORY_ALIAS, "sales@example.test", "bob@example.test",
	    false);
	pair(DIRECTORY_ALIAS, "all@example.test", "sales@example.test",
	    false);
	pair(DIRECTORY_ALIAS, "all@example.test", "alice@example.test",
	    false);
	pair(DIRECTORY_ALIAS, "ring1@example.test", "ring2@example.test",
	    false);
	pair(DIRECTORY_ALIAS, "ring2@example.test", "ring1@example.test",
	    false);
	pair(DIRECTORY_ALIAS, "out@example.test", "x@elsewhere.test", false);
	pair(DIRECTORY_FORWARD, "carol@example.test", "bob@example.test",
	    true);
	pair(DIRECTORY_ADMIN, "example.test", "alice@example.test", false);
	pair(DIRECTORY_SEND_AS, "bob@example.test", "boss@elsewhere.test",
	    false);
	assert_int_equal(directory_commit(dir, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	char path[128];

	(void)state;
	directory_close(&dir);
	arena_free(&arena);
	(void)snprintf(path, sizeof(path), "%s/directory.db", folder);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/directory.db-wal", folder);
	(void)unlink(path);
	return 0;
}

static void
test_domain_names(void **state)
{
	static const char *const names[] = { "b.names.test", "a.names.test",
	    "c.names.test" };
	struct directory_domain d = { .mailbox_octets = 1000 }, found[2];
	uint64_t id;
	size_t i, n;

	(void)state;
	assert_int_equal(directory_begin(dir, STR("test"), NULL), 0);
	assert_int_equal(directory_tenant_add(dir, STR("names"), &d.tenant,
	    NULL), 0);
	for (i = 0; i < COUNT_OF(names); i++) {
		d.name = str_of(names[i]);
		assert_int_equal(directory_domain_add(dir, &d, &id, NULL),
		    0);
	}
	assert_int_equal(directory_commit(dir, NULL), 0);
	/* Pages, by the last name of the one before. */
	assert_int_equal(directory_domain_names(dir, STR(""), 2, arena,
	    found, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_true(str_eq(found[0].name, STR("a.names.test")));
	assert_true(str_eq(found[1].name, STR("b.names.test")));
	assert_int_equal(found[1].tenant, d.tenant);
	assert_int_equal(directory_domain_names(dir, found[1].name, 2, arena,
	    found, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_true(str_eq(found[0].name, STR("c.names.test")));
	assert_true(str_eq(found[1].name, STR("example.test")));
	assert_int_not_equal(found[1].tenant, d.tenant);
	assert_int_equal(directory_domain_names(dir, found[1].name, 2, arena,
	    found, &n, NULL), 0);
	assert_int_equal(n, 0);
}

static void
test_canon(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* NULL: refused */
	} cases[] = {
		{ "Alice@EXAMPLE.test", "alice@example.test" },
		{ "\"alice\"@example.test", "alice@example.test" },
		{ "Postmaster", "postmaster" },
		{ "a b@example.test", NULL },
		{ "a@b@example.test", NULL },
		{ "@example.test", NULL },
		{ "a@", NULL },
		{ "", NULL },
		{ "a\r\nb@example.test", NULL },
	};
	struct str canon;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = directory_canon(arena, str_of(cases[i].in), &canon,
		    NULL);
		assert_int_equal(rc, cases[i].want != NULL ? 0 : ERR_SYNTAX);
		if (rc == 0)
			assert_true(str_eq(canon, str_of(cases[i].want)));
	}
	/* What mail is for may be UTF-8; what is made here may not. */
	assert_int_equal(directory_canon(arena,
	    STR("jos\xc3\xa9@example.test"), &canon, NULL), ERR_SYNTAX);
	assert_int_equal(directory_canon_recipient(arena,
	    STR("Jos\xc3\xa9@b\xc3\xbc" "cher.test"), &canon, NULL), 0);
	assert_true(str_eq(canon, STR("jos\xc3\xa9@xn--bcher-kva.test")));
}

/* The leaves as one line: kind letter and address, sorted as found. */
static void
describe(const char *address, char *text, size_t size)
{
	static const char letters[] = { 'A', 'R', 'U', 'D', 'L' };
	struct directory_leaf *leaves;
	size_t n, i, len = 0;

	assert_int_equal(directory_resolve(dir, str_of(address), arena,
	    &leaves, &n, NULL), 0);
	text[0] = '\0';
	for (i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%c:%.*s",
		    i != 0 ? " " : "", letters[leaves[i].kind],
		    STR_FMT(leaves[i].address));
}

static void
test_resolve(void **state)
{
	static const struct {
		const char *address;
		const char *want;
	} cases[] = {
		{ "alice@example.test", "A:alice@example.test" },
		{ "ALICE+tag@example.test", "A:alice@example.test" },
		{ "sales@example.test",
		    "A:alice@example.test A:bob@example.test" },
		/* Each account once, however many ways lead to it. */
		{ "all@example.test",
		    "A:alice@example.test A:bob@example.test" },
		{ "carol@example.test",
		    "A:bob@example.test A:carol@example.test" },
		{ "nobody@example.test", "U:nobody@example.test" },
		{ "nobody+x@example.test", "U:nobody@example.test" },
		{ "out@example.test", "R:x@elsewhere.test" },
		{ "x@elsewhere.test", "R:x@elsewhere.test" },
		/* What case means there, they know. */
		{ "Xx@Elsewhere.Test", "R:Xx@elsewhere.test" },
		{ "postmaster@example.test", "A:alice@example.test" },
		{ "abuse@example.test", "A:alice@example.test" },
		{ "postmaster", "A:alice@example.test" },
		{ "ring1@example.test", "" },
	};
	char text[512];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		describe(cases[i].address, text, sizeof(text));
		assert_string_equal(text, cases[i].want);
	}
}

static void
test_long_chains_end(void **state)
{
	char from[64], to[64], text[512];
	int i;

	(void)state;
	for (i = 0; i < 30; i++) {
		(void)snprintf(from, sizeof(from), "c%d@example.test", i);
		(void)snprintf(to, sizeof(to), "c%d@example.test", i + 1);
		pair(DIRECTORY_ALIAS, from, to, false);
	}
	describe("c0@example.test", text, sizeof(text));
	assert_string_equal(text, "L:c11@example.test");
	describe("c28@example.test", text, sizeof(text));
	assert_string_equal(text, "U:c30@example.test");
}

static void
test_send_as(void **state)
{
	static const struct {
		const char *account;
		const char *address;
		int want;
	} cases[] = {
		{ "alice", "alice@example.test", 0 },
		{ "alice", "Alice+x@example.test", 0 },
		{ "alice", "sales@example.test", 0 },
		{ "alice", "all@example.test", 0 },
		{ "alice", "postmaster@example.test", 0 },
		{ "alice", "bob@example.test", ERR_DENIED },
		{ "alice", "x@elsewhere.test", ERR_DENIED },
		/* Carol's mail comes to Bob; her name does not. */
		{ "bob", "carol@example.test", ERR_DENIED },
		{ "bob", "boss@elsewhere.test", 0 },
		{ "carol", "sales@example.test", ERR_DENIED },
		{ "alice", "not an address", ERR_SYNTAX },
	};
	struct directory_account a;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(directory_account_find(dir, arena_printf(
		    arena, "%s@example.test", cases[i].account), arena, &a,
		    NULL), 0);
		if (directory_may_send_as(dir, a.id,
		    str_of(cases[i].address), NULL) != cases[i].want)
			fail_msg("%s as %s", cases[i].account,
			    cases[i].address);
	}
}

static void
test_quota_and_usage(void **state)
{
	struct directory_account a;

	(void)state;
	assert_int_equal(directory_account_find(dir,
	    STR("alice@example.test"), arena, &a, NULL), 0);
	assert_int_equal(a.quota_octets, 1000);
	a.plan = STR("3G");
	assert_int_equal(directory_account_set(dir, &a, NULL), 0);
	directory_usage(dir, a.id, 500, 5, 7);
	/* An older report does not win. */
	directory_usage(dir, a.id, 100, 1, 6);
	assert_int_equal(directory_account_get(dir, a.id, arena, &a, NULL),
	    0);
	assert_true(a.quota_octets == 3ULL << 30 && a.used_octets == 500);
	a.has_quota = true;
	a.own_quota_octets = 42;
	assert_int_equal(directory_account_set(dir, &a, NULL), 0);
	assert_int_equal(directory_usage_flush(dir, NULL), 0);
	assert_int_equal(directory_account_get(dir, a.id, arena, &a, NULL),
	    0);
	assert_int_equal(a.quota_octets, 42);
	a.plan = STR("no such plan");
	assert_int_equal(directory_account_set(dir, &a, NULL), ERR_NOTFOUND);
}

static void
test_access(void **state)
{
	static const struct {
		const char *grid;
		const char *service;
		const char *zone;
		bool want;
	} cases[] = {
		{ "", "imap", "internet", true },
		{ "imaps:*", "imaps", "internet", true },
		{ "imaps:*", "imap", "internet", false },
		{ "pop3:closed imaps:a,b", "imaps", "b", true },
		{ "pop3:closed imaps:a,b", "imaps", "closed", false },
		{ "*:closed", "pop3", "closed", true },
		{ "*:closed", "pop3", "internet", false },
		{ ACCESS_CLOSED_NETWORK, "submission", "closed", true },
		{ ACCESS_CLOSED_NETWORK, "submission", "internet", false },
		{ ACCESS_CLOSED_NETWORK, "smtps", "internet", true },
		{ ACCESS_CLOSED_NETWORK, "pop3s", "internet", false },
	};
	static const char *const bad[] = { "imap", "imap:", "mail:closed",
		"imap:a,,b", "imap:a b", "imap:a;b", ":closed" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(access_check(str_of(cases[i].grid), NULL),
		    0);
		if (access_allows(str_of(cases[i].grid),
		    str_of(cases[i].service), str_of(cases[i].zone)) !=
		    cases[i].want)
			fail_msg("%s %s %s", cases[i].grid,
			    cases[i].service, cases[i].zone);
	}
	for (i = 0; i < COUNT_OF(bad); i++)
		if (access_check(str_of(bad[i]), NULL) != ERR_SYNTAX)
			fail_msg("%s", bad[i]);
}

static uint64_t
alice(void)
{
	struct directory_account a;

	assert_int_equal(directory_account_find(dir,
	    STR("alice@example.test"), arena, &a, NULL), 0);
	return a.id;
}

/* When a mailbox became full is kept, over a restart too, until it is not. */
static void
test_full_clock(void **state)
{
	int64_t since_s, first_s;
	char path[128];
	uint64_t id;

	(void)state;
	id = alice();
	assert_int_equal(directory_full(dir, id, false, &since_s, NULL),
	    0);
	assert_int_equal(since_s, 0);
	assert_int_equal(directory_full(dir, id, true, &first_s, NULL), 0);
	assert_true(first_s > 0);
	directory_close(&dir);
	(void)snprintf(path, sizeof(path), "%s/directory.db", folder);
	assert_int_equal(directory_open(&dir, path, NULL), 0);
	assert_int_equal(directory_full(dir, id, true, &since_s, NULL), 0);
	assert_int_equal(since_s, first_s);
	directory_usage(dir, id, 900, 9, 1);
	assert_int_equal(directory_full(dir, id, true, &since_s, NULL), 0);
	assert_int_equal(since_s, first_s);
	/* Something was deleted: the clock begins anew when it is full. */
	directory_usage(dir, id, 800, 8, 2);
	assert_int_equal(directory_full(dir, id, false, &since_s, NULL),
	    0);
	assert_int_equal(since_s, 0);
}

static void
test_warnings(void **state)
{
	static const struct {
		uint64_t used;
		uint64_t want;		/* percent told; 0: nothing */
	} steps[] = {
		{ 700, 0 }, { 810, 80 }, { 850, 0 }, { 960, 95 },
		{ 920, 0 }, { 970, 0 }, { 100, 0 }, { 900, 90 },
	};
	struct directory_warning warnings[4];
	uint64_t id = alice();
	size_t i, n;

	(void)state;
	for (i = 0; i < COUNT_OF(steps); i++) {
		directory_usage(dir, id, steps[i].used, 1, i + 1);
		assert_int_equal(directory_warnings(dir, arena, warnings, 4,
		    &n, NULL), 0);
		assert_int_equal(n, steps[i].want != 0);
		if (n != 0) {
			assert_int_equal(warnings[0].percent, steps[i].want);
			assert_int_equal(directory_warned(dir,
			    id, warnings[0].percent, NULL), 0);
		}
		assert_int_equal(directory_usage_flush(dir, NULL), 0);
	}
}

static void
test_rollback_leaves_no_log(void **state)
{
	struct directory_log_line lines[10];
	size_t n;

	(void)state;
	assert_int_equal(directory_begin(dir, STR("uid 7"), NULL), 0);
	assert_int_equal(directory_log(dir, "x.y", STR("z"), STR(""), NULL),
	    0);
	directory_rollback(dir);
	assert_int_equal(directory_log_read(dir, 0, 10, arena, lines, &n,
	    NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(directory_begin(dir, STR("uid 7"), NULL), 0);
	assert_int_equal(directory_log(dir, "x.y", STR("z"), STR(""), NULL),
	    0);
	assert_int_equal(directory_commit(dir, NULL), 0);
	assert_int_equal(directory_log_read(dir, 0, 10, arena, lines, &n,
	    NULL), 0);
	assert_int_equal(n, 1);
	assert_true(str_eq(lines[0].actor, STR("uid 7")));
}

static void
test_ids_are_not_reused(void **state)
{
	uint64_t first = add_account("temp"), second;

	(void)state;
	assert_int_equal(directory_account_delete(dir, first, NULL), 0);
	second = add_account("temp");
	assert_true(second > first);
}

/* ---- senders of what is sent on ---- */

static uint64_t now_us;

static uint64_t
fake_wall(void)
{
	return now_us;
}

static struct str
sender_for(const char *via, const char *sender, int want)
{
	struct str got;

	assert_int_equal(directory_sender_for(dir, str_of(via),
	    str_of(sender), arena, &got, NULL), want);
	return got;
}

static void
assert_return(struct str address, const char *sender)
{
	struct directory_leaf *leaves;
	size_t n;

	assert_int_equal(directory_resolve(dir, address, arena, &leaves, &n,
	    NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(leaves[0].kind, sender != NULL ?
	    DIRECTORY_LEAF_RETURN : DIRECTORY_LEAF_UNKNOWN);
	if (sender != NULL && !str_eq(leaves[0].address, str_of(sender)))
		fail_msg("%.*s", STR_FMT(leaves[0].address));
}

static void
test_senders(void **state)
{
	static const char *const kept[][2] = {
		{ "alice@example.test", "bob@example.test" },
		{ "alice@example.test", "" },
		{ "alice@elsewhere.test", "x@remote.test" },
		{ "postmaster", "x@remote.test" },
		{ "alice@example.test", "x@[192.0.2.1]" },
	};
	struct str got;
	size_t i;

	(void)state;
	got = sender_for("alice@example.test", "X.y@remote.test", 0);
	assert_true(str_begins(got, STR("SRS0=")));
	assert_true(str_ends_nocase(got, STR("=remote.test=X.y@example.test")));
	assert_return(got, "X.y@remote.test");
	assert_return(sender_for("alice@example.test",
	    "\"a b\"@remote.test", 0), "\"a b\"@remote.test");
	/* The domain's name is not in the hash, its octets are. */
	assert_return(STR("SRS0=AAAAAA=AA=remote.test=x@example.test"), NULL);
	for (i = 0; i < COUNT_OF(kept); i++) {
		(void)directory_sender_for(dir, str_of(kept[i][0]),
		    str_of(kept[i][1]), arena, &got, NULL);
		assert_true(str_eq(got, str_of(kept[i][1])));
	}
	got = sender_for("alice@example.test", "a2345678901234567890123456789"
	    "01234567@example.org.test", ERR_LIMIT);
	assert_true(str_begins(got, STR("a2345")));
}

/* A key goes on counting for longer than what it signed. */
static void
test_sender_keys(void **state)
{
	const uint64_t day_us = UINT64_C(86400000000);
	struct str first, second;
	char path[128];

	(void)state;
	now_us = when_wall_us();
	when_set_wall(fake_wall);
	first = sender_for("alice@example.test", "x@remote.test", 0);
	now_us += 20 * day_us;
	assert_return(first, "x@remote.test");
	now_us += 2 * day_us;
	assert_return(first, NULL);
	/* Over 90 days: the next one is signed by a new key. */
	now_us += 67 * day_us;
	first = sender_for("alice@example.test", "x@remote.test", 0);
	now_us += 2 * day_us;
	second = sender_for("alice@example.test", "x@remote.test", 0);
	assert_return(first, "x@remote.test");
	assert_return(second, "x@remote.test");
	/* Both are on disk. */
	directory_close(&dir);
	(void)snprintf(path, sizeof(path), "%s/directory.db", folder);
	assert_int_equal(directory_open(&dir, path, NULL), 0);
	assert_return(first, "x@remote.test");
	assert_return(second, "x@remote.test");
	when_set_wall(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_domain_names, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_canon, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resolve, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_long_chains_end, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_send_as, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_quota_and_usage, setup,
		    teardown),
		cmocka_unit_test(test_access),
		cmocka_unit_test_setup_teardown(test_full_clock, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_warnings, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_rollback_leaves_no_log,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids_are_not_reused,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_senders, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_sender_keys, setup,
		    teardown),
	};
	int rc;

	if (mkdtemp(folder) == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	(void)rmdir(folder);
	return rc;
}
