/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

#include "mail/text.h"

#define HIKYAKU "\xe9\xa3\x9b\xe8\x84\x9a"
/* Half-width and full-width katakana "ka" + dakuten = "ga". */
#define HALF_GA "\xef\xbd\xb6\xef\xbe\x9e"
#define GA "\xe3\x82\xac"
#define WIDE_AB "\xef\xbc\xa1\xef\xbd\x82"	/* U+FF21 U+FF42 */
#define WAVE_DASH "\xe3\x80\x9c"
#define WIDE_TILDE "\xef\xbd\x9e"

static void
test_transfer(void **state)
{
	static const struct {
		const char *encoding;
		const char *in;
		const char *want;
	} cases[] = {
		{ "", "a=41\r\n", "a=41\r\n" },
		{ "x-unknown", "a", "a" },
		{ "base64", "6aOb\r\n6ISa\r\n", HIKYAKU },
		{ "base64", "YQ", "a" }, { "base64", "YQ==YQ==", "a" },
		{ "BASE64", "!Y.W J\tj", "abc" },
		{ "quoted-printable", "=E9=a3=9B=\r\n=e8=84=9a", HIKYAKU },
		{ "quoted-printable", "a b  \t\r\nc \n", "a b\r\nc\n" },
		{ "quoted-printable", "a= \t\r\nb=\nc", "abc" },
		{ "quoted-printable", "a=zz=4", "a=zz=4" },
		{ "quoted-printable", "a=", "a" },
		{ "quoted-printable", "a \r\rb", "a \r\rb" },
	};
	struct transfer *t;
	struct buf out;
	struct str in;
	size_t i, at, step;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		in = str_of(cases[i].in);
		for (step = 1; step < 6; step++) {
			buf_reset(&out);
			t = transfer_new(str_of(cases[i].encoding));
			for (at = 0; at < in.len; at += step)
				transfer_feed(t, str_sub(in, at, step),
				    at + step >= in.len, &out);
			transfer_free(&t);
			if (!str_eq(buf_str(&out), str_of(cases[i].want)))
				fail_msg("%s: %.*s", cases[i].in,
				    STR_FMT(buf_str(&out)));
		}
	}
	assert_true(transfer_is_known(STR("Base64")));
	assert_true(transfer_is_known(STR("")));
	assert_false(transfer_is_known(STR("x-uuencode")));
	buf_fini(&out);
}

static void
test_html(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "plain", "plain" },
		{ "<p>a<b>b</b>c</p>d", "\nabc\nd" },
		{ "a<br/>b<BR>c", "a\nb\nc" },
		{ "x<!-- <p>no</p> - -->y", "xy" },
		{ "<style>p { a: b }</style>t<SCRIPT>1<2</p></script >u",
		    "tu" },
		{ "<a title=\"a>b\">c</a>", "c" },
		{ "&lt;&amp;&gt;&#65;&#x98db;&#33050;&nbsp;&bogus; & &",
		    "<&>A" HIKYAKU " &bogus & &" },
		{ "a < b <3", "a < b <3" },
		{ "&#0;&#xd800;&#99999999;", "\xef\xbf\xbd\xef\xbf\xbd"
		    "\xef\xbf\xbd" },
		{ "<p", "" },
	};
	struct html_text *html;
	struct buf out;
	struct str in;
	size_t i, at, step;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		in = str_of(cases[i].in);
		for (step = 1; step < 9; step++) {
			buf_reset(&out);
			html = html_text_new();
			for (at = 0; at < in.len; at += step)
				html_text_feed(html, str_sub(in, at, step),
				    at + step >= in.len, &out);
			html_text_free(&html);
			if (!str_eq(buf_str(&out), str_of(cases[i].want)))
				fail_msg("%s: %.*s", cases[i].in,
				    STR_FMT(buf_str(&out)));
		}
	}
	buf_fini(&out);
}

static void
test_fold(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "ABC xyz", "abc xyz" }, { HIKYAKU, HIKYAKU },
		{ WIDE_AB, "ab" }, { HALF_GA, GA },
		{ "x" HALF_GA "y", "x" GA "y" },
		{ WAVE_DASH WIDE_TILDE, "~~" },
		{ "E\xcc\x81t\xc3\x89", "\xc3\xa9t\xc3\xa9" },
		{ "Stra\xc3\x9f" "e", "strasse" },
		{ "\xef\xac\x81", "fi" }, { "", "" },
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		text_fold(&out, str_of(cases[i].in));
		if (!str_eq(buf_str(&out), str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].in,
			    STR_FMT(buf_str(&out)));
	}
	assert_true(text_contains(STR("Re: " HALF_GA " X"), STR(GA " x")));
	assert_false(text_contains(STR("Re: X"), STR(GA)));
	buf_fini(&out);
}

static void
expect_as_icu(const UChar *in, int32_t len, const UNormalizer2 *nfkc)
{
	UErrorCode status = U_ZERO_ERROR;
	char utf8[64], want[256];
	UChar out[64];
	int32_t utf8_len, want_len, out_len, i;
	struct buf got;

	u_strToUTF8(utf8, sizeof(utf8), &utf8_len, in, len, &status);
	out_len = unorm2_normalize(nfkc, in, len, out, 64, &status);
	for (i = 0; i < out_len; i++)
		out[i] = out[i] == 0x301c ? '~' : out[i] == 0x2212 ? '-' :
		    out[i] == 0x2016 ? 0x2225 : out[i];
	u_strToUTF8(want, sizeof(want), &want_len, out, out_len, &status);
	assert_true(U_SUCCESS(status));
	buf_init(&got, 1000);
	text_fold(&got, str_make(utf8, (size_t)utf8_len));
	if (!str_eq(buf_str(&got), str_make(want, (size_t)want_len)))
		fail_msg("U+%04X", in[0]);
	buf_fini(&got);
}

/* What needs no table folds as the table would, also before a mark. */
static void
test_fold_all(void **state)
{
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *nfkc = unorm2_getNFKCCasefoldInstance(&status);
	unsigned c;

	(void)state;
	for (c = 1; c < 0xfffe; c++) {
		if (c >= 0xd800 && c < 0xe000)
			continue;
		expect_as_icu((const UChar[]){ (UChar)c }, 1, nfkc);
		expect_as_icu((const UChar[]){ (UChar)c, 0x3099 }, 2, nfkc);
		expect_as_icu((const UChar[]){ 0x30ab, (UChar)c, 0x301 }, 3,
		    nfkc);
		expect_as_icu((const UChar[]){ 'A', (UChar)c, 'E' }, 3, nfkc);
	}
}

static uint64_t
search(struct str text, const struct str *needles, size_t count, size_t step)
{
	struct text_search *s = text_search_new(needles, count);
	uint64_t found;
	size_t at;

	for (at = 0; at < text.len; at += step)
		text_search_feed(s, str_sub(text, at, step));
	text_search_break(s);
	found = text_search_found(s);
	text_search_free(&s);
	return found;
}

static void
test_search(void **state)
{
	const struct str needles[] = {
		STR("HELLO"), STR(HIKYAKU), STR(GA), STR("not there"),
		STR("caf\xc3\xa9"), STR(""),
	};
	static const struct {
		const char *text;
		uint64_t want;
	} cases[] = {
		{ "", 32 }, { "hello", 33 }, { "hel\nlo", 32 },
		{ "say Hello to " HIKYAKU, 35 }, { HALF_GA, 36 },
		{ "CAFE\xcc\x81", 48 }, { "cafe x", 32 },
		{ "xx" HIKYAKU HIKYAKU "hello", 35 },
	};
	size_t i, step;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		for (step = 1; step < 10; step++)
			assert_true(search(str_of(cases[i].text), needles,
			    COUNT_OF(needles), step) == cases[i].want);
}

/* Long runs without ASCII, and matches on every seam. */
static void
test_search_long(void **state)
{
	const struct str needle[] = { STR(HIKYAKU GA) };
	struct buf text;
	size_t i, n;

	(void)state;
	buf_init(&text, 1 << 20);
	for (n = 4000; n < 4100; n += 7) {
		buf_reset(&text);
		for (i = 0; i < n; i++)
			buf_add_cstr(&text, "\xe8\x84\x9a");
		assert_true(search(buf_str(&text), needle, 1, 1000) == 0);
		buf_add_cstr(&text, HIKYAKU HALF_GA);
		for (i = 0; i < n; i++)
			buf_add_cstr(&text, "\xe8\x84\x9a");
		assert_true(search(buf_str(&text), needle, 1, 16384) == 1);
		assert_true(search(buf_str(&text), needle, 1, 999) == 1);
	}
	buf_fini(&text);
}

static const char sample[] =
    "Subject: =?ISO-2022-JP?B?GyRCSHQ1UxsoQg==?=\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
    "\x1b$BHt5S\x1b(B plain\r\n"
    "--b\r\nContent-Type: text/html; charset=Shift_JIS\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    "<b>=94=F2</b>=8Br<script>hidden</script>\r\n"
    "--b\r\nContent-Type: application/pdf\r\n"
    "Content-Disposition: attachment; filename*=utf-8''%E9%A3%9B.pdf\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: inner subject\r\n\r\ninner body\r\n"
    "--b--\r\n";

static void
test_message(void **state)
{
	static const struct {
		unsigned what;
		const char *want;	/* | for a break */
	} cases[] = {
		{ MAIL_TEXT_HEADER, "X: y\r\nSubject: " HIKYAKU "\r\n"
		    "Content-Type: multipart/mixed; boundary=b\r\n|" },
		{ MAIL_TEXT_BODY, HIKYAKU " plain|" HIKYAKU "|"
		    "Subject: inner subject\r\n|inner body|" },
		{ MAIL_TEXT_FILE_NAMES, "\xe9\xa3\x9b.pdf\r\n|" },
		{ 0, "" },
	};
	struct mail_view view = mail_view_of_memory(STR("X: y\r\n"),
	    str_of(sample));
	struct scan *scan = scan_new();
	const struct mail_summary *sum;
	enum mail_text_result result;
	struct mail_text *text;
	struct buf out, step_out;
	size_t i, max;

	(void)state;
	scan_feed(scan, sample, sizeof(sample) - 1);
	sum = scan_end(scan);
	buf_init(&out, 10000);
	buf_init(&step_out, 10000);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (max = 1; max < 100; max += 7) {
			text = mail_text_new(&view, sum, cases[i].what);
			buf_reset(&out);
			do {
				buf_reset(&step_out);
				result = mail_text_step(text, max, &step_out,
				    NULL);
				buf_add_str(&out, buf_str(&step_out));
				if (result == MAIL_TEXT_BREAK)
					buf_add_char(&out, '|');
			} while (result != MAIL_TEXT_DONE);
			mail_text_free(&text);
			if (!str_eq(buf_str(&out), str_of(cases[i].want)))
				fail_msg("%zu: %.*s", max,
				    STR_FMT(buf_str(&out)));
		}
	buf_fini(&out);
	buf_fini(&step_out);
	scan_free(&scan);
}

static void
test_message_search(void **state)
{
	static const struct {
		const char *needle;
		unsigned what;
		bool want;
	} cases[] = {
		{ HIKYAKU, MAIL_TEXT_HEADER, true },
		{ HIKYAKU, MAIL_TEXT_BODY, true },
		{ "HIDDEN", MAIL_TEXT_BODY, false },
		{ "secret", MAIL_TEXT_BODY, false },
		{ "Inner Subject", MAIL_TEXT_BODY, true },
		{ "inner subject\r\ninner", MAIL_TEXT_BODY, false },
		{ ".PDF", MAIL_TEXT_BODY | MAIL_TEXT_FILE_NAMES, true },
	};
	struct mail_view view = mail_view_of_memory(STR(""), str_of(sample));
	struct scan *scan = scan_new();
	const struct mail_summary *sum;
	struct text_search *s;
	struct mail_text *text;
	struct str needle;
	size_t i, max;
	bool is_done;

	(void)state;
	scan_feed(scan, sample, sizeof(sample) - 1);
	sum = scan_end(scan);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (max = 1; max < 3000; max *= 3) {
			needle = str_of(cases[i].needle);
			s = text_search_new(&needle, 1);
			text = mail_text_new(&view, sum, cases[i].what);
			do
				assert_int_equal(mail_text_search_step(text,
				    s, max, &is_done, NULL), 0);
			while (!is_done);
			assert_int_equal(text_search_found(s),
			    cases[i].want);
			mail_text_free(&text);
			text_search_free(&s);
		}
	scan_free(&scan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_fold_all),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_search_long),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_message_search),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
