/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/date.h"

static void
test_parse(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* in IMAP form; NULL: refused */
	} cases[] = {
		{ "Sun, 22 Nov 2026 04:45:30 +0900",
		    "22-Nov-2026 04:45:30 +0900" },
		{ "Mon, 7 Feb 1994 21:52:25 -0800 (PST)",
		    " 7-Feb-1994 21:52:25 -0800" },
		{ "7 Feb 94 21:52 GMT", " 7-Feb-1994 21:52:00 +0000" },
		{ "22 Nov 26 1:02:03 JST", "22-Nov-2026 01:02:03 +0900" },
		{ "22 Nov 126 01:02:03 +0000", "22-Nov-2026 01:02:03 +0000" },
		{ "Sun Nov 22 04:45:30 2026", "22-Nov-2026 04:45:30 +0000" },
		{ "Sun Nov 22 04:45:30 EST 2026",
		    "22-Nov-2026 04:45:30 -0500" },
		{ "2026-11-22T04:45:30Z", "22-Nov-2026 04:45:30 +0000" },
		{ "2026-11-22 04:45:30.123+09:00",
		    "22-Nov-2026 04:45:30 +0900" },
		{ "Sunday, 22-Nov-26 04:45:30 GMT",
		    "22-Nov-2026 04:45:30 +0000" },
		{ "22 (day) Nov (month) 2026 (year) 04:45:30 +0000",
		    "22-Nov-2026 04:45:30 +0000" },
		{ "\r\n Sun, 22 Nov\r\n 2026 04:45:30\r\n +0900",
		    "22-Nov-2026 04:45:30 +0900" },
		{ "29 Feb 2024 00:00:00 +0000", "29-Feb-2024 00:00:00 +0000" },
		{ "31 Dec 2016 23:59:60 +0000", " 1-Jan-2017 00:00:00 +0000" },
		{ "22 Nov 2026 04:45:30 +9999", "22-Nov-2026 04:45:30 +0000" },
		{ "22 Nov 2026 4:45:30 PM +0000",
		    "22-Nov-2026 16:45:30 +0000" },
		{ "22 Nov 2026", "22-Nov-2026 00:00:00 +0000" },
		{ "29 Feb 2023 00:00:00 +0000", NULL },
		{ "31 Nov 2026 00:00:00 +0000", NULL },
		{ "22 Nov 2026 24:00:00 +0000", NULL },
		{ "22 Nov 2026 00:61:00 +0000", NULL },
		{ "22 Foo 2026 00:00:00 +0000", NULL },
		{ "99999999999999999999", NULL },
		{ "", NULL }, { "(((", NULL }, { "Sun,", NULL },
	};
	struct mail_date date;
	struct buf buf;
	size_t i;
	int rc;

	(void)state;
	buf_init(&buf, 100);
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = date_parse(str_of(cases[i].in), &date);
		if (rc != (cases[i].want == NULL ? ERR_SYNTAX : 0))
			fail_msg("%s: %d", cases[i].in, rc);
		if (rc != 0)
			continue;
		buf_reset(&buf);
		date_put_imap(&buf, date);
		if (!str_eq(buf_str(&buf), str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].in,
			    STR_FMT(buf_str(&buf)));
	}
	buf_fini(&buf);
}

static void
test_put(void **state)
{
	static const struct {
		struct mail_date in;
		const char *rfc5322;
		const char *iso;
	} cases[] = {
		{ { 0, 0 }, "Thu, 01 Jan 1970 00:00:00 +0000",
		    "1970-01-01T00:00:00Z" },
		{ { -1, 0 }, "Wed, 31 Dec 1969 23:59:59 +0000",
		    "1969-12-31T23:59:59Z" },
		{ { 1795322730, 540 }, "Sun, 22 Nov 2026 13:45:30 +0900",
		    "2026-11-22T04:45:30Z" },
		{ { 951782400, -210 }, "Mon, 28 Feb 2000 20:30:00 -0330",
		    "2000-02-29T00:00:00Z" },
	};
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 100);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&buf);
		date_put_rfc5322(&buf, cases[i].in);
		assert_true(str_eq(buf_str(&buf),
		    str_of(cases[i].rfc5322)));
		buf_reset(&buf);
		date_put_iso(&buf, cases[i].in.s);
		assert_true(str_eq(buf_str(&buf), str_of(cases[i].iso)));
	}
	buf_fini(&buf);
}

static void
test_imap(void **state)
{
	static const char *const good[] = {
		"22-Nov-2026 04:45:30 +0900", " 1-Jan-1970 00:00:00 -1200",
		"29-feb-2024 23:59:59 +0000",
	};
	static const char *const bad[] = {
		"1-Jan-1970 00:00:00 +0000", " 1-Jan-1970 00:00:00",
		"22-Nov-26 04:45:30 +0900", "22-Nov-2026 04:45:30 +0900 ",
		"22-Nov-2026 4:45:30 +0900", "30-Feb-2024 00:00:00 +0000",
		"22 Nov 2026 04:45:30 +0900", "", " ", "22-No",
	};
	struct mail_date date, again;
	struct mail_day day;
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 100);
	for (i = 0; i < COUNT_OF(good); i++) {
		assert_int_equal(date_parse_imap(str_of(good[i]), &date), 0);
		buf_reset(&buf);
		date_put_imap(&buf, date);
		assert_true(str_eq_nocase(buf_str(&buf), str_of(good[i])));
		assert_int_equal(date_parse(buf_str(&buf), &again), 0);
		assert_true(again.s == date.s);
	}
	for (i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(date_parse_imap(str_of(bad[i]), &date),
		    ERR_SYNTAX);
	buf_fini(&buf);
	assert_int_equal(date_parse_imap_day(STR("1-Feb-1994"), &day), 0);
	assert_int_equal(date_days_of(day), 8797);
	assert_int_equal(date_parse_imap_day(STR("01-Feb-1994"), &day), 0);
	assert_int_equal(date_parse_imap_day(STR("1-Feb-94"), &day),
	    ERR_SYNTAX);
	assert_int_equal(date_parse_imap_day(STR("1-Feb-1994x"), &day),
	    ERR_SYNTAX);
}

static void
test_days(void **state)
{
	int64_t days;
	struct mail_day day;

	(void)state;
	for (days = -800000; days < 3000000; days += 13) {
		day = date_day_of(days);
		assert_true(date_days_of(day) == days);
		assert_true(day.month >= 1 && day.month <= 12);
		assert_true(day.day >= 1 && day.day <= 31);
	}
	assert_int_equal(date_local_days((struct mail_date){ -1, 0 }), -1);
	assert_int_equal(date_local_days((struct mail_date){ -1, 1 }), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_imap),
		cmocka_unit_test(test_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
