/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/when.h"
#include "proto/imap_write.h"

static void
test_strings(void **state)
{
	static const struct {
		struct str in;
		const char *astring;
		const char *nstring;
	} cases[] = {
		{ { "abc", 3 }, "abc", "\"abc\"" },
		{ { "", 0 }, "\"\"", "\"\"" },
		{ { NULL, 0 }, "\"\"", "NIL" },
		{ { "nil", 3 }, "\"nil\"", "\"nil\"" },
		{ { "a b", 3 }, "\"a b\"", "\"a b\"" },
		{ { "a\"\\", 3 }, "\"a\\\"\\\\\"", "\"a\\\"\\\\\"" },
		{ { "a\r\nb", 4 }, "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
		{ { "\xc3\xa9", 2 }, "{2}\r\n\xc3\xa9", "{2}\r\n\xc3\xa9" },
		{ { "a\0b", 3 }, "{3}\r\na?b", "{3}\r\na?b" },
		{ { "\0", 1 }, "{1}\r\n?", "{1}\r\n?" },
		{ { "a]", 2 }, "\"a]\"", "\"a]\"" },
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 100);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		imap_put_astring(&out, cases[i].in);
		assert_true(str_eq(buf_str(&out), str_of(cases[i].astring)));
		buf_reset(&out);
		imap_put_nstring(&out, cases[i].in);
		assert_true(str_eq(buf_str(&out), str_of(cases[i].nstring)));
	}
	buf_fini(&out);
}

static void
test_utf7(void **state)
{
	static const struct {
		const char *utf8;
		const char *utf7;
	} cases[] = {
		{ "INBOX", "INBOX" },
		{ "a&b", "a&-b" },
		{ "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "&ZeVnLIqe-" },
		{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97", "~peter/mail/&U,BTFw-" },
		{ "\xc3\xa9&", "&AOk-&-" },
		{ "\xf0\x9f\x98\x80", "&2D3eAA-" },
		{ "a\tb", "a&AAk-b" },
		{ "", "" },
	};
	static const char *const bad[] = {
		"&", "&A", "a&", "&AGE-", "&AOk", "&AOk-&AOk-", "&AOl-",
		"&AOk--&!-", "&AO-", "&2D0-", "&3gA-", "&2D0AQQ-", "&AAA-",
		"\xc3\xa9", "a\tb", "&AOkA-", "&AOkAAA-", "&AO/-", "&A=-",
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 200);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		assert_int_equal(imap_add_utf7(&out, str_of(cases[i].utf8)),
		    0);
		assert_true(str_eq(buf_str(&out), str_of(cases[i].utf7)));
		buf_reset(&out);
		assert_int_equal(imap_add_unutf7(&out,
		    str_of(cases[i].utf7)), 0);
		assert_true(str_eq(buf_str(&out), str_of(cases[i].utf8)));
	}
	buf_reset(&out);
	for (i = 0; i < COUNT_OF(bad); i++)
		if (imap_add_unutf7(&out, str_of(bad[i])) != ERR_SYNTAX)
			fail_msg("%s", bad[i]);
	assert_int_equal(imap_add_utf7(&out, STR("\xff")), ERR_SYNTAX);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

static void
test_match(void **state)
{
	static const struct {
		const char *pattern;
		const char *name;
		bool want;
	} cases[] = {
		{ "", "", true }, { "", "a", false }, { "a", "a", true },
		{ "*", "", true }, { "*", "a/b", true }, { "%", "a/b", false },
		{ "%", "ab", true }, { "%/b", "a/b", true },
		{ "a/%", "a/b/c", false }, { "a/*", "a/b/c", true },
		{ "*b", "a/b/ab", true }, { "%b%", "abc", true },
		{ "%/%", "a/b/c", false }, { "*/c", "a/b/c", true },
		{ "*%/c", "a/b/c", true }, { "a*b%c", "aXb/bYc", true },
		{ "INBOX", "inbox", false }, { "a%", "a", true },
	};
	static char pattern[2048], name[2000];
	uint64_t from;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		if (imap_match(str_of(cases[i].pattern),
		    str_of(cases[i].name), '/') != cases[i].want)
			fail_msg("%s %s", cases[i].pattern, cases[i].name);
	/* The worst pattern is no catastrophe: bounded by the product. */
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = "%*a"[i % 3];
	pattern[sizeof(pattern) - 1] = 'b';
	memset(name, 'a', sizeof(name));
	from = when_mono_ms();
	assert_false(imap_match(str_make(pattern, sizeof(pattern)),
	    str_make(name, sizeof(name)), '/'));
	assert_true(when_mono_ms() - from < 2000);
}

static void
test_sets(void **state)
{
	static const struct {
		uint32_t in[8];
		const char *want;
	} cases[] = {
		{ { 0 }, "" },
		{ { 5, 0 }, "5" },
		{ { 1, 2, 3, 7, 9, 10, 0 }, "1:3,7,9:10" },
		{ { 3, 2, 1, 2, 0 }, "3,2,1:2" },
		{ { 4294967294U, 4294967295U, 0 }, "4294967294:4294967295" },
	};
	struct imap_set_writer writer;
	struct buf out;
	size_t i, j;

	(void)state;
	buf_init(&out, 200);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		imap_set_writer_init(&writer, &out);
		for (j = 0; cases[i].in[j] != 0; j++)
			imap_set_writer_add(&writer, cases[i].in[j]);
		imap_set_writer_end(&writer);
		assert_true(str_eq(buf_str(&out), str_of(cases[i].want)));
	}
	buf_fini(&out);
}

static void
test_resolve(void **state)
{
	struct imap_range in[] = { { 7, 9 }, { 0, 5 }, { 3, 1 }, { 4, 4 },
	    { 20, 20 } };
	struct imap_set set = { .ranges = in, .n_ranges = COUNT_OF(in) }, r;
	struct arena *arena = arena_new(0);

	(void)state;
	r = imap_set_resolve(&set, 6, arena);
	assert_int_equal(r.n_ranges, 2);
	assert_int_equal(r.ranges[0].first, 1);
	assert_int_equal(r.ranges[0].last, 9);
	assert_true(imap_set_has(&r, 1) && imap_set_has(&r, 9));
	assert_true(imap_set_has(&r, 20));
	assert_false(imap_set_has(&r, 10) || imap_set_has(&r, 0));
	assert_int_equal(imap_set_next(&r, 10), 20);
	assert_int_equal(imap_set_next(&r, 21), 0);
	assert_int_equal(imap_set_max(&r), 20);
	/* 20:* with 6 as the last is 6:20. */
	in[0] = (struct imap_range){ 20, 0 };
	set.n_ranges = 1;
	r = imap_set_resolve(&set, 6, arena);
	assert_int_equal(r.ranges[0].first, 6);
	r = imap_set_resolve(&set, 0, arena);
	assert_int_equal(r.n_ranges, 0);
	assert_int_equal(imap_set_max(&r), 0);
	arena_free(&arena);
}

static void
test_dates(void **state)
{
	static const struct {
		const char *in;
		int want;
		int64_t date_s;
		const char *out;
	} cases[] = {
		{ "17-Jul-1996 02:44:25 -0700", 0, 837596665,
		    "\"17-Jul-1996 09:44:25 +0000\"" },
		{ " 1-jan-1970 00:00:00 +0000", 0, 0,
		    "\" 1-Jan-1970 00:00:00 +0000\"" },
		{ "1-Jan-1970 00:00:00 +0000", 0, 0, NULL },
		{ "31-Dec-1969 23:59:59 +0000", 0, -1,
		    "\"31-Dec-1969 23:59:59 +0000\"" },
		{ "29-Feb-2024 12:00:00 +0900", 0, 1709175600,
		    "\"29-Feb-2024 03:00:00 +0000\"" },
		{ "29-Feb-2023 12:00:00 +0900", ERR_SYNTAX, 0, NULL },
		{ "31-Apr-2023 12:00:00 +0900", ERR_SYNTAX, 0, NULL },
		{ "01-Foo-2023 12:00:00 +0900", ERR_SYNTAX, 0, NULL },
		{ "01-Jan-2023 24:00:00 +0900", ERR_SYNTAX, 0, NULL },
		{ "01-Jan-2023 12:60:00 +0900", ERR_SYNTAX, 0, NULL },
		{ "01-Jan-2023 12:00:00 0900", ERR_SYNTAX, 0, NULL },
		{ "01-Jan-2023 12:00:00 +9900", ERR_SYNTAX, 0, NULL },
		{ "00-Jan-2023 12:00:00 +0000", ERR_SYNTAX, 0, NULL },
		{ "01-Jan-0000 12:00:00 +0000", ERR_SYNTAX, 0, NULL },
		{ "", ERR_SYNTAX, 0, NULL },
		{ "01-Jan-2023", ERR_SYNTAX, 0, NULL },
	};
	struct buf out;
	int64_t date_s;
	size_t i;

	(void)state;
	buf_init(&out, 100);
	for (i = 0; i < COUNT_OF(cases); i++) {
		date_s = 0;
		if (imap_parse_date_time(str_of(cases[i].in), &date_s) !=
		    cases[i].want)
			fail_msg("%s", cases[i].in);
		assert_int_equal(date_s, cases[i].date_s);
		if (cases[i].out == NULL)
			continue;
		buf_reset(&out);
		imap_put_date_time(&out, date_s);
		assert_true(str_eq(buf_str(&out), str_of(cases[i].out)));
	}
	assert_int_equal(imap_day(1970, 1, 1), 0);
	assert_int_equal(imap_day(2000, 3, 1), 11017);
	buf_fini(&out);
}

static void
test_pieces(void **state)
{
	struct str keyword = STR("$Junk");
	struct imap_flags flags = { IMAP_FLAG_SEEN | IMAP_FLAG_RECENT,
	    &keyword, 1 };
	struct buf out;

	(void)state;
	buf_init(&out, 200);
	imap_put_flags(&out, &flags);
	imap_put_address(&out, STR_NONE, STR("a"), STR("b c"));
	imap_put_mailbox(&out, STR("\xc3\xa9"), false);
	imap_put_mailbox(&out, STR("\xc3\xa9\""), true);
	imap_put_text(&out, STR("x\r\ny"));
	assert_true(str_eq(buf_str(&out), STR("(\\Seen \\Recent $Junk)"
	    "(NIL NIL \"a\" \"b c\")&AOk-\"\xc3\xa9\\\"\"x??y")));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_utf7),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
