/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/charset.h"

#define HIKYAKU "\xe9\xa3\x9b\xe8\x84\x9a"	/* U+98DB U+811A */
#define ONE_KABU "\xe2\x91\xa0\xe3\x88\xb1"	/* U+2460 U+3231 */
#define HALF_A "\xef\xbd\xb1"			/* U+FF71 */

static void
test_convert(void **state)
{
	static const struct {
		const char *charset;
		const char *in;
		const char *want;
	} cases[] = {
		{ "UTF-8", HIKYAKU, HIKYAKU },
		{ "utf8", "a\xe9\xa3", "a\xef\xbf\xbd" },
		{ "ISO-2022-JP", "\x1b$BHt5S\x1b(B", HIKYAKU },
		{ "iso-2022-jp", "\x1b$B-!-j\x1b(B", ONE_KABU },
		{ "ISO-2022-JP-MS", "\x1b$B-!-j\x1b(B", ONE_KABU },
		{ "CP50221", "\x1b(I1\x1b(B", HALF_A },
		{ "ISO-2022-JP", "a\xb1z", "a" HALF_A "z" },
		{ "Shift_JIS", "\x94\xf2\x8b\x72", HIKYAKU },
		{ "Windows-31J", "\x87\x40\x87\x8a", ONE_KABU },
		{ "x-sjis", "\xb1", HALF_A },
		{ "CP932", "\\~", "\\~" },
		{ "EUC-JP", "\xc8\xf4\xb5\xd3", HIKYAKU },
		{ "eucJP-ms", "\xad\xa1\xad\xea", ONE_KABU },
		{ "UTF-7", "+mNuBGg-", HIKYAKU },
		{ "GB2312", "\xc4\xe3", "\xe4\xbd\xa0" },
		{ "gb18030", "\xc4\xe3", "\xe4\xbd\xa0" },
		{ "Big5", "\xa7\x41", "\xe4\xbd\xa0" },
		{ "ks_c_5601-1987", "\xb0\xa1", "\xea\xb0\x80" },
		{ "ISO-8859-1", "\xe9\x80", "\xc3\xa9\xe2\x82\xac" },
		{ "iso-8859-15", "\xa4", "\xe2\x82\xac" },
		{ "windows-1251", "\xc0", "\xd0\x90" },
		{ "koi8-r", "\xe1", "\xd0\x90" },
		/* Without a useful name. */
		{ "us-ascii", "plain", "plain" },
		{ "us-ascii", "x\x1b$BHt5S\x1b(B", "x" HIKYAKU },
		{ "us-ascii", HIKYAKU, HIKYAKU },
		{ "", "\xc8\xf4\xb5\xd3", HIKYAKU },
		{ "x-nobody", "\x94\xf2\x8b\x72", HIKYAKU },
		{ "", "caf\xe9", "caf\xc3\xa9" },
	};
	struct charset *charset;
	struct buf out;
	struct str in;
	size_t i, at, step;

	(void)state;
	charset_init();
	charset_init();
	buf_init(&out, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		in = str_of(cases[i].in);
		/* A guess needs to see what it judges. */
		for (step = cases[i].charset[0] == '\0' ||
		    cases[i].charset[0] == 'x' ? in.len : 1;
		    step <= in.len; step++) {
			buf_reset(&out);
			charset = charset_open(str_of(cases[i].charset));
			for (at = 0; at < in.len; at += step)
				charset_feed(charset, str_sub(in, at, step),
				    at + step >= in.len, &out);
			charset_close(&charset);
			if (!str_eq(buf_str(&out), str_of(cases[i].want)))
				fail_msg("%s step %zu: %.*s",
				    cases[i].charset, step,
				    STR_FMT(buf_str(&out)));
		}
	}
	buf_fini(&out);
}

static void
test_names(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 4);
	assert_true(charset_is_known(STR("utf-8")));
	assert_true(charset_is_known(STR(" US-ASCII ")));
	assert_true(charset_is_known(STR("iso-8859-2")));
	assert_false(charset_is_known(STR("")));
	assert_false(charset_is_known(STR("nonsense")));
	assert_false(charset_is_known(STR("../../etc/passwd")));
	assert_int_equal(charset_to_utf8(&out, STR("nonsense"), STR("a")),
	    ERR_NOTFOUND);
	/* The output's limit holds and is remembered. */
	assert_int_equal(charset_to_utf8(&out, STR("utf-8"),
	    STR("123456789")), 0);
	assert_true(buf_failed(&out));
	buf_fini(&out);
}

static void
test_rfc2047(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "plain", "plain" }, { "", "" },
		{ " =?UTF-8?B?6aOb6ISa?= ", HIKYAKU },
		{ "=?utf-8?q?=E9=A3=9B=e8=84=9a?=", HIKYAKU },
		{ "=?ISO-2022-JP?B?GyRCSHQ1UxsoQg==?=", HIKYAKU },
		{ "=?Shift_JIS?B?h0CHig==?=", ONE_KABU },
		{ "=?UTF-8*ja?B?6aOb6ISa?=", HIKYAKU },
		/* Blanks between words vanish, elsewhere they stay. */
		{ "a =?utf-8?q?b?= c =?utf-8?q?d?=\r\n =?utf-8?q?_e?= f",
		    "a b c d e f" },
		/* A character split between words; two charsets. */
		{ "=?UTF-8?B?6aM=?= =?UTF-8?B?m+iEmg==?=", HIKYAKU },
		{ "=?UTF-8?B?6aM?=\r\n =?utf-8?q?=9B=E8=84=9A?=", HIKYAKU },
		{ "=?ISO-2022-JP?B?GyRCSHQ=?= =?ISO-2022-JP?B?NVMbKEI=?=",
		    HIKYAKU },
		{ "=?UTF-8?B?6aOb?= =?EUC-JP?B?tdM=?=", HIKYAKU },
		/* Blanks inside, no padding, junk in base64. */
		{ "=?utf-8?q?a b?=", "a b" },
		{ "=?UTF-8?B?6aOb 6ISa?=", HIKYAKU },
		/* Not encoded words. */
		{ "=?", "=?" }, { "=?=?=?", "=?=?=?" },
		{ "=?utf-8?x?abc?=", "=?utf-8?x?abc?=" },
		{ "=?utf-8?q?abc", "=?utf-8?q?abc" },
		{ "=??q?abc?=", "=??q?abc?=" },
		{ "=?utf-8?q?=4?=", "=4" },
		/* Raw 8-bit and raw JIS. */
		{ HIKYAKU, HIKYAKU }, { "\xc8\xf4\xb5\xd3", HIKYAKU },
		{ "\x1b$BHt5S\x1b(B", HIKYAKU },
		/* Nothing makes a new line. */
		{ "=?utf-8?q?a=0D=0ABcc:_b=00?= x", "aBcc: b  x" },
		{ "a\r\n b\n\tc", "a b c" },
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		rfc2047_decode(&out, str_of(cases[i].in));
		if (!str_eq(buf_str(&out), str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].in,
			    STR_FMT(buf_str(&out)));
	}
	buf_fini(&out);
}

static uint64_t
time_decode(const char *piece, size_t n)
{
	struct buf in, out;
	uint64_t us, best = UINT64_MAX;
	int i;

	buf_init(&in, HEADER_FIELD_MAX);
	buf_init(&out, 8 * HEADER_FIELD_MAX);
	while (n-- > 0)
		buf_add_cstr(&in, piece);
	assert_false(buf_failed(&in));
	for (i = 0; i < 3; i++) {
		buf_reset(&out);
		us = test_cpu_us();
		rfc2047_decode(&out, buf_str(&in));
		us = test_cpu_us() - us;
		best = us < best ? us : best;
	}
	buf_fini(&in);
	buf_fini(&out);
	return best;
}

/* Threats: 100,000 "=?". Twice the input, at most 2.5 times the time. */
static void
test_linear(void **state)
{
	static const char *const pieces[] = {
		"=?", "=?a?q?", "=?utf-8?q?a?= ", "=?utf-8?q?a?= \xe9 ",
		"=?x-y?b?QQ?=", "\x1b$B",
	};
	uint64_t once, twice;
	int tries;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(pieces); i++) {
		tries = 0;
		do {
			once = time_decode(pieces[i], 6000);
			twice = time_decode(pieces[i], 12000);
		} while (!test_is_linear(once, twice) &&
		    ++tries < TEST_LINEAR_TRIES);
		if (tries == TEST_LINEAR_TRIES)
			fail_msg("%s: %d us, %d us", pieces[i], (int)once,
			    (int)twice);
	}
}

static void
test_params(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "a; filename*=utf-8''%E9%A3%9B%E8%84%9A.pdf",
		    HIKYAKU ".pdf" },
		{ "a; filename*0*=iso-2022-jp''%1B$BHt; filename*1=5S;"
		    " filename*2*=%1B%28B", HIKYAKU },
		{ "a; filename=\"=?UTF-8?B?6aOb6ISa?=\"", HIKYAKU },
		{ "a; filename=\"\xe9\xa3\x9b\xe8\x84\x9a\"", HIKYAKU },
		{ "a; filename=x; filename*=utf-8''%E9%A3%9B%E8%84%9A",
		    HIKYAKU },
		{ "a; filename*=plain%20text", "plain text" },
		{ "a; filename*=utf-8''a%0D%0Ab", "ab" },
		{ "a; name=x", NULL },
	};
	struct arena *arena = arena_new(0);
	struct mail_params params;
	struct str word, got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_true(header_disposition(arena, str_of(cases[i].in),
		    &word, &params));
		got = mail_param_decode(arena, &params, STR("filename"));
		if (cases[i].want == NULL)
			assert_null(got.p);
		else if (!str_eq(got, str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].in, STR_FMT(got));
	}
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_convert),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_rfc2047),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_params),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
