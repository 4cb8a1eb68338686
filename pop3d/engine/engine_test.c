/* SPDX-License-Identifier: ISC */
/* C:/S: dialogues with the POP3 engine, whole and one octet at a time. */
#include "base/test.h"

#include "base/when.h"
#include "mboxd/engine_test.h"

static struct test_account *account;
static struct engine_host *host;

static const struct str mails[] = {
	{ "Subject: one\r\n\r\nfirst\r\n.dot\r\n", 28 },
	{ "Subject: two\r\n\r\na\r\nb\r\nc\r\n", 25 },
	{ "Subject: three\r\n\r\nno end", 24 },
};

static int
setup(void **state)
{
	size_t i;

	(void)state;
	account = test_account_new();
	for (i = 0; i < COUNT_OF(mails); i++)
		(void)test_deliver(account, STR("INBOX"), STR("T: x\r\n"),
		    mails[i], 0, 1700000000, true);
	host = test_host_new(account, &pop3_engine, STR_NONE);
	assert_non_null(host);
	test_host_feed(host, STR("\x01""en\r\n"));
	test_run(account);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	test_host_free(&host);
	test_account_free(&account);
	return 0;
}

static void
expect(struct str want)
{
	struct str got = test_host_output(host);

	if (!str_eq(got, want))
		fail_msg("got \"%.*s\", want \"%.*s\"", STR_FMT(got),
		    STR_FMT(want));
	test_host_take(host, got.len);
}

static void
say(const char *text, bool is_whole)
{
	size_t i;

	if (is_whole) {
		test_host_feed(host, str_of(text));
		test_run(account);
		return;
	}
	for (i = 0; text[i] != '\0'; i++) {
		test_host_feed(host, str_make(text + i, 1));
		test_run(account);
	}
}

static const struct {
	const char *ask;
	const char *answer;
} dialogue[] = {
	{ "", "+OK 3 messages, 95 octets\r\n" },
	{ "STAT\r\n", "+OK 3 95\r\n" },
	{ "LIST\r\n", "+OK 3 messages\r\n1 34\r\n2 31\r\n3 30\r\n.\r\n" },
	{ "LIST 2\r\n", "+OK 2 31\r\n" },
	{ "LIST 4\r\n", "-ERR no such message\r\n" },
	/* Lines that begin with a dot are stuffed; the trace comes first. */
	{ "RETR 1\r\n", "+OK 34 octets\r\nT: x\r\nSubject: one\r\n\r\n"
	    "first\r\n..dot\r\n.\r\n" },
	{ "RETR 3\r\n", "+OK 30 octets\r\nT: x\r\nSubject: three\r\n\r\n"
	    "no end\r\n.\r\n" },
	{ "TOP 2 0\r\n", "+OK 31 octets\r\nT: x\r\nSubject: two\r\n\r\n"
	    ".\r\n" },
	{ "TOP 2 2\r\n", "+OK 31 octets\r\nT: x\r\nSubject: two\r\n\r\n"
	    "a\r\nb\r\n.\r\n" },
	{ "DELE 2\r\n", "+OK deleted\r\n" },
	{ "RETR 2\r\n", "-ERR no such message\r\n" },
	{ "STAT\r\n", "+OK 2 64\r\n" },
	{ "RSET\r\n", "+OK 3 95\r\n" },
	{ "NOOP\r\nSTAT\r\n", "+OK still here\r\n+OK 3 95\r\n" },
	{ "CAPA\r\n", "+OK capabilities\r\nTOP\r\nUIDL\r\nPIPELINING\r\n"
	    "RESP-CODES\r\nAUTH-RESP-CODE\r\nUTF8 USER\r\nLANG\r\n"
	    "EXPIRE NEVER\r\nIMPLEMENTATION Hikyaku\r\n.\r\n" },
	{ "LANG\r\n", "+OK languages\r\nen English\r\nja 日本語\r\n.\r\n" },
	{ "LANG xx\r\n", "-ERR no such language\r\n" },
	{ "LANG ja-JP\r\n", "+OK ja\r\n" },
	{ "LIST 9\r\n", "-ERR そのメッセージはありません\r\n" },
	{ "LANG *\r\n", "+OK en\r\n" },
	{ "USER x\r\n", "-ERR not offered, or not after the login\r\n" },
};

static void
talk(bool is_whole)
{
	size_t i;

	for (i = 0; i < COUNT_OF(dialogue); i++) {
		say(dialogue[i].ask, is_whole);
		expect(str_of(dialogue[i].answer));
	}
}

static void
test_whole(void **state)
{
	(void)state;
	talk(true);
}

static void
test_octets(void **state)
{
	(void)state;
	talk(false);
}

/* Output that is full after every octet gives the same answers. */
static void
test_small_slices(void **state)
{
	(void)state;
	account->slice_calls = 2;
	talk(true);
}

static void
test_quit_deletes(void **state)
{
	const struct store_msg *msgs;
	size_t n;

	(void)state;
	say("RETR 3\r\nDELE 1\r\nDELE 2\r\nQUIT\r\n", true);
	assert_true(test_host_is_over(host));
	assert_int_equal(store_messages(account->store, store_mailbox_by_role(
	    account->store, STORE_ROLE_INBOX)->id, &msgs, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(msgs[0].uid, 3);
	assert_true((msgs[0].flags & STORE_SEEN) != 0);
}

/* Without QUIT nothing is deleted (RFC 1939 section 3). */
static void
test_leaving_deletes_nothing(void **state)
{
	const struct store_msg *msgs;
	size_t n;

	(void)state;
	say("DELE 1\r\n", true);
	test_host_free(&host);
	assert_int_equal(store_messages(account->store, store_mailbox_by_role(
	    account->store, STORE_ROLE_INBOX)->id, &msgs, &n, NULL), 0);
	assert_int_equal(n, 3);
}

static void
test_too_many_errors(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 11; i++)
		say("FROB\r\n", true);
	assert_true(test_host_is_over(host));
}

static void
test_numbers_stay(void **state)
{
	struct store_range range = { 1, 1 };
	struct store_set set = { &range, 1 };
	struct store_uids gone;
	struct arena *arena = arena_new(0);
	uint64_t modseq;
	uint32_t next = 0;

	(void)state;
	/* Somebody else expunges message 1. */
	assert_int_equal(store_expunge(account->store, store_mailbox_by_role(
	    account->store, STORE_ROLE_INBOX)->id, &set, 0, 0, &next, arena,
	    &gone, &modseq, NULL), 0);
	test_host_take(host, test_host_output(host).len);
	say("UIDL 2\r\n", true);
	assert_true(str_begins(test_host_output(host), STR("+OK 2 ")));
	assert_true(str_ends_nocase(test_host_output(host),
	    STR(".2\r\n")));
	arena_free(&arena);
}

/* The front's word decides the language of the greeting; a client cannot
 * say it again. */
static void
test_hello(void **state)
{
	(void)state;
	test_host_free(&host);
	host = test_host_new(account, &pop3_engine, STR_NONE);
	say("\x01ja\r\n", true);
	expect(STR("+OK 3 通、95 オクテット\r\n"));
	say("\x01""en\r\n", true);
	assert_true(str_begins(test_host_output(host), STR("-ERR ")));
}

static uint64_t clock_us = 1000000;

static uint64_t
fake_clock(void)
{
	return clock_us;
}

static struct engine_host *
second(const char *greeting)
{
	struct engine_host *other = test_host_new(account, &pop3_engine,
	    STR_NONE);

	test_host_feed(other, STR("\x01""en\r\n"));
	test_run(account);
	if (!str_begins(test_host_output(other), str_of(greeting)))
		fail_msg("%.*s", STR_FMT(test_host_output(other)));
	return other;
}

/* RFC 1939 section 8: one session has the maildrop. Who has said nothing for
 * a minute loses it, and deletes nothing. */
static void
test_exclusive(void **state)
{
	struct engine_host *other;

	(void)state;
	when_set_mono(fake_clock);
	say("DELE 1\r\n", true);
	other = second("-ERR [IN-USE] ");
	assert_true(test_host_is_over(other));
	test_host_free(&other);
	clock_us += 61ULL * 1000000;
	other = second("+OK 3 messages");
	test_host_take(host, test_host_output(host).len);
	say("QUIT\r\n", true);
	assert_true(str_begins(test_host_output(host),
	    STR("-ERR [IN-USE]")));
	assert_true(test_host_is_over(host));
	test_host_free(&host);
	test_host_free(&other);
	/* Free again, and nothing was deleted. */
	other = second("+OK 3 messages");
	test_host_free(&other);
	when_set_mono(NULL);
}

static size_t
left_after(uint64_t days, const char *words)
{
	const struct store_msg *msgs;
	size_t n;

	test_host_free(&host);
	account->pop3_expire_days = days;
	host = test_host_new(account, &pop3_engine, STR_NONE);
	say("\x01""en\r\n", true);
	say(words, true);
	assert_int_equal(store_messages(account->store, store_mailbox_by_role(
	    account->store, STORE_ROLE_INBOX)->id, &msgs, &n, NULL), 0);
	return n;
}

/* EXPIRE: the mails are of 2023. */
static void
test_expire(void **state)
{
	(void)state;
	assert_int_equal(left_after(UINT64_MAX, "RETR 1\r\nQUIT\r\n"), 3);
	assert_int_equal(left_after(30000, "RETR 2\r\nQUIT\r\n"), 3);
	/* What earlier sessions fetched is read, and old enough. */
	assert_int_equal(left_after(30, "STAT\r\nQUIT\r\n"), 1);
	assert_int_equal(left_after(0, "STAT\r\nQUIT\r\n"), 1);
	assert_int_equal(left_after(0, "RETR 1\r\nQUIT\r\n"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(test_octets, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_small_slices, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_quit_deletes, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_leaving_deletes_nothing,
		    setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_errors, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_numbers_stay, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_hello, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exclusive, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_expire, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
