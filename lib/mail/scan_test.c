/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/scan.h"

/* kind type/subtype header_at+header_len+body_len/lines, children indented by
 * brackets. */
static void
render(const struct mail_summary *sum, uint16_t i, struct buf *buf)
{
	const struct mail_part *part;
	uint16_t child;

	part = &sum->parts[i];
	buf_addf(buf, "%.*s/%.*s %d+%d+%d/%d%s", STR_FMT(part->type),
	    STR_FMT(part->subtype), (int)part->header_at,
	    (int)part->header_len, (int)part->body_len, (int)part->lines,
	    part->flags & MAIL_PART_OPAQUE ? " opaque" : "");
	if (part->child == MAIL_PART_NONE)
		return;
	buf_add_cstr(buf, " (");
	for (child = part->child; child != MAIL_PART_NONE;
	    child = sum->parts[child].next) {
		if (child != part->child)
			buf_add_cstr(buf, ", ");
		render(sum, child, buf);
	}
	buf_add_cstr(buf, ")");
}

static struct scan *
scan_of(struct str in, size_t step)
{
	struct scan *scan = scan_new();
	size_t at;

	for (at = 0; at < in.len; at += step)
		scan_feed(scan, in.p + at,
		    step < in.len - at ? step : in.len - at);
	return scan;
}

static void
encode(const struct mail_summary *sum, struct buf *buf)
{
	buf_reset(buf);
	assert_int_equal(summary_encode(sum, buf), 0);
}

/* Every split gives the same; encoding and decoding changes nothing. */
static void
check_all_ways(struct str in, const char *want)
{
	struct arena *arena = arena_new(0);
	struct mail_summary *decoded;
	const struct mail_summary *sum;
	struct buf whole, other, text;
	struct scan *scan;
	size_t step;

	buf_init(&whole, 1 << 20);
	buf_init(&other, 1 << 20);
	buf_init(&text, 1 << 20);
	scan = scan_of(in, in.len + 1);
	sum = scan_end(scan);
	assert_true(sum->size == in.len);
	render(sum, 0, &text);
	if (!str_eq(buf_str(&text), str_of(want)))
		fail_msg("%s\nwant %s\ngot  %.*s", in.p, want,
		    STR_FMT(buf_str(&text)));
	encode(sum, &whole);
	scan_free(&scan);
	for (step = 1; step < 8; step++) {
		scan = scan_of(in, step);
		encode(scan_end(scan), &other);
		assert_true(str_eq(buf_str(&whole), buf_str(&other)));
		scan_free(&scan);
	}
	assert_int_equal(summary_decode(buf_str(&whole), arena, &decoded,
	    NULL), 0);
	buf_reset(&text);
	render(decoded, 0, &text);
	assert_true(str_eq(buf_str(&text), str_of(want)));
	encode(decoded, &other);
	assert_true(str_eq(buf_str(&whole), buf_str(&other)));
	buf_fini(&whole);
	buf_fini(&other);
	buf_fini(&text);
	arena_free(&arena);
}

#define MULTI(b) "Content-Type: multipart/mixed; boundary=" b "\n\n"

static void
test_structure(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "", "text/plain 0+0+0/0" },
		{ "A: b\r\n\r\n", "text/plain 0+8+0/0" },
		{ "A: b", "text/plain 0+4+0/0" },
		{ "A: b\r\n\r\nx\r\ny", "text/plain 0+8+4/1" },
		{ "A: b\n\nx\ny\n", "text/plain 0+6+4/2" },
		{ "\r\nbody\r\n", "text/plain 0+2+6/1" },
		{ MULTI("x") "pre\n--x\n\none\n--x\n\ntwo\n\n--x--\nepi\n--x\n",
		    "multipart/mixed 0+43+37/11 (text/plain 51+1+3/0, "
		    "text/plain 60+1+4/1)" },
		{ MULTI("x") "--x\r\n\r\none\r\n--x--",
		    "multipart/mixed 0+43+17/3 (text/plain 48+2+3/0)" },
		/* No closing boundary; padding after a boundary. */
		{ MULTI("x") "--x \t \n\none",
		    "multipart/mixed 0+43+11/2 (text/plain 50+1+3/0)" },
		/* A boundary that another one begins with. */
		{ MULTI("x") "--xy\n--x\n\n-- x\n--x-\n--x--",
		    "multipart/mixed 0+43+25/5 (text/plain 52+1+9/1)" },
		{ MULTI("x") "--x\n" MULTI("xy")
		    "--xy\n\n1\n--xy--\n--x\n\n2\n--x--\n",
		    "multipart/mixed 0+43+76/11 (multipart/mixed 47+44+14/3 "
		    "(text/plain 96+1+1/0), text/plain 110+1+1/0)" },
		/* An outer boundary closes what is inside. */
		{ MULTI("x") "--x\n" MULTI("y") "--y\n\n1\n--x\n\n2\n--x--\n",
		    "multipart/mixed 0+43+67/10 (multipart/mixed 47+43+6/2 "
		    "(text/plain 94+1+1/0), text/plain 101+1+1/0)" },
		/* "--x--" opens a part of the inner multipart. */
		{ MULTI("x") "--x\n" MULTI("x--") "--x--\n\n1\n--x----\n"
		    "--x--\n",
		    "multipart/mixed 0+43+72/8 (multipart/mixed 47+45+16/3 "
		    "(text/plain 98+1+1/0))" },
		/* No parts at all; no boundary at all. */
		{ MULTI("x") "text\n",
		    "multipart/mixed 0+43+5/1 (text/plain 48+0+0/0)" },
		{ "Content-Type: multipart/mixed\n\n--\n",
		    "text/plain 0+31+3/1" },
		/* A boundary where a header should be. */
		{ MULTI("x") "--x\n--x\nA: b\n--x--\n",
		    "multipart/mixed 0+43+19/4 (text/plain 46+0+0/0, "
		    "text/plain 51+4+0/0)" },
		{ MULTI("x") "--x\n" MULTI("x--") "--x--\n--x\nA",
		    "multipart/mixed 0+43+60/5 (multipart/mixed 47+45+5/0 "
		    "(text/plain 97+0+0/0), text/plain 102+1+0/0)" },
		{ "Content-Type: message/rfc822\n\nSubject: in\n\nbody\n",
		    "message/rfc822 0+30+18/3 (text/plain 30+13+5/1)" },
		{ MULTI("x") "--x\nContent-Type: message/rfc822\n\n"
		    MULTI("y") "--y\n\n1\n--y--\n--x--\n",
		    "multipart/mixed 0+43+96/10 (message/rfc822 47+30+55/5 "
		    "(multipart/mixed 77+43+12/3 (text/plain 124+1+1/0)))" },
		{ "Content-Type: message/rfc822\n"
		    "Content-Transfer-Encoding: base64\n\nQUJD\n",
		    "application/octet-stream 0+64+5/1 opaque" },
		{ "Content-Type: multipart/digest; boundary=x\n\n--x\n\n"
		    "Subject: d\n\nb\n--x--\n",
		    "multipart/digest 0+44+25/6 (message/rfc822 48+1+13/2 "
		    "(text/plain 49+12+1/0))" },
		{ "Content-Type: multipart/mixed; boundary=\"1234567890"
		    "1234567890123456789012345678901234567890123456789012345"
		    "67890x\"\n\n", "application/octet-stream 0+115+0/0 opaque" },
		{ "Content-Type: text/html\nContent-Type: text/plain\n\n",
		    "text/html 0+50+0/0" },
		{ "Content-Type: junk\n\n", "text/plain 0+20+0/0" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		check_all_ways(str_of(cases[i].in), cases[i].want);
}

static const char sample[] =
    "Return-Path: <x@example.test>\r\n"
    "Date: Sun, 22 Nov 2026 04:45:30 +0900\r\n"
    "From: =?ISO-2022-JP?B?GyRCSHRVJhsoQg==?= <a@example.test>\r\n"
    "To: b@example.test,\r\n c@example.test\r\n"
    "Subject: =?UTF-8?B?6aOb6ISa?=\r\n"
    "Message-ID: <1@example.test>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=\"b\"\r\n"
    "\r\n"
    "--b\r\n"
    "Content-Type: text/plain; charset=ISO-2022-JP\r\n"
    "Content-Transfer-Encoding: 7bit\r\n"
    "\r\n"
    "\x1b$BHtU&\x1b(B\r\n"
    "\r\n--b\r\n"
    "Content-Type: application/pdf; name*=utf-8''%E9%A3%9B.pdf\r\n"
    "Content-Transfer-Encoding: BASE64\r\n"
    "Content-Disposition: attachment;\r\n filename*0*=utf-8''%E9;\r\n"
    " filename*1*=%A3%9B.pdf\r\n"
    "Content-ID: <pdf@x>\r\n"
    "Content-Description: d\r\n"
    "Content-Language: ja, en\r\n"
    "Content-Location: http://x/\r\n"
    "Content-MD5: abc==\r\n"
    "\r\n"
    "QUJD\r\n"
    "--b\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: inner\r\n"
    "From: in@example.test\r\n"
    "\r\n"
    "inner body\r\n"
    "--b--\r\n";

static void
test_fields(void **state)
{
	struct arena *arena = arena_new(0);
	const struct mail_envelope *env;
	const struct mail_part *part;
	struct mail_summary *sum;
	struct scan *scan;
	struct buf buf;

	(void)state;
	buf_init(&buf, SUMMARY_MAX);
	scan = scan_of(str_of(sample), 5);
	encode(scan_end(scan), &buf);
	scan_free(&scan);
	assert_int_equal(summary_decode(buf_str(&buf), arena, &sum, NULL), 0);
	assert_int_equal(sum->flags, SUMMARY_HAS_DATE);
	assert_int_equal(sum->zone_min, 540);
	assert_true(sum->sent_s == 1795290330);
	env = summary_envelope(sum);
	assert_true(str_eq(env->raw[MAIL_FIELD_TO],
	    STR(" b@example.test,\r\n c@example.test")));
	assert_null(env->raw[MAIL_FIELD_CC].p);
	assert_true(summary_has_field(sum, MAIL_FIELD_CC));
	assert_null(summary_field(sum, MAIL_FIELD_CC));
	assert_true(str_eq(summary_field(sum, MAIL_FIELD_MIME_VERSION)->raw,
	    STR("MIME-Version: 1.0\r\n")));
	assert_int_equal(summary_field(sum, MAIL_FIELD_DATE)->at, 31);
	assert_int_equal(sum->part_count, 5);
	assert_true(str_eq(mail_param_get(&sum->parts[1].params,
	    STR("charset")), STR("ISO-2022-JP")));
	part = &sum->parts[2];
	assert_true(str_eq(part->encoding, STR("base64")));
	assert_true(str_eq(part->disposition, STR("attachment")));
	assert_true(str_eq(mail_param_get(&part->disposition_params,
	    STR("filename*")), STR("utf-8''%E9%A3%9B.pdf")));
	assert_true(str_eq(part->id, STR("<pdf@x>")));
	assert_true(str_eq(part->description, STR("d")));
	assert_true(str_eq(part->language, STR("ja, en")));
	assert_true(str_eq(part->location, STR("http://x/")));
	assert_true(str_eq(part->md5, STR("abc==")));
	assert_null(part->envelope);
	assert_true(str_eq(sum->parts[4].envelope->raw[MAIL_FIELD_SUBJECT],
	    STR(" inner")));
	assert_ptr_equal(summary_text_part(sum, STR("plain")),
	    &sum->parts[1]);
	assert_null(summary_text_part(sum, STR("html")));
	assert_true(summary_has_attachment(sum));
	buf_fini(&buf);
	arena_free(&arena);
}

static void
test_sections(void **state)
{
	static const struct {
		const char *spec;
		int want;
		const char *begins;
		int64_t len;	/* -1: do not care */
	} cases[] = {
		{ "", 0, "Return-Path", sizeof(sample) - 1 },
		{ "HEADER", 0, "Return-Path", -1 },
		{ "header.fields", 0, "Return-Path", -1 },
		{ "TEXT", 0, "--b\r\nContent", -1 },
		{ "1", 0, "\x1b$B", 12 },
		{ "1.MIME", 0, "Content-Type: text", -1 },
		{ "1.HEADER", ERR_NOTFOUND, NULL, 0 },
		{ "1.1", ERR_NOTFOUND, NULL, 0 },
		{ "2", 0, "QUJD", 4 },
		{ "3", 0, "Subject: inner", -1 },
		{ "3.MIME", 0, "Content-Type: message", 32 },
		{ "3.HEADER", 0, "Subject: inner", 41 },
		{ "3.HEADER.FIELDS.NOT", 0, "Subject: inner", 41 },
		{ "3.TEXT", 0, "inner body", 10 },
		{ "3.1", 0, "inner body", 10 },
		{ "3.1.MIME", 0, "Subject: inner", 41 },
		{ "3.2", ERR_NOTFOUND, NULL, 0 },
		{ "3.1.1", ERR_NOTFOUND, NULL, 0 },
		{ "4", ERR_NOTFOUND, NULL, 0 },
		{ "MIME", ERR_SYNTAX, NULL, 0 },
		{ "0", ERR_SYNTAX, NULL, 0 },
		{ "1.", ERR_SYNTAX, NULL, 0 },
		{ "1..2", ERR_SYNTAX, NULL, 0 },
		{ ".1", ERR_SYNTAX, NULL, 0 },
		{ "TEXT.1", ERR_SYNTAX, NULL, 0 },
		{ "4294967296", ERR_SYNTAX, NULL, 0 },
	};
	struct scan *scan = scan_of(str_of(sample), 1000);
	const struct mail_summary *sum = scan_end(scan);
	struct mail_section section;
	struct mail_range range;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = mail_section_parse(str_of(cases[i].spec), &section);
		if (rc == 0)
			rc = summary_section(sum, &section, &range);
		if (rc != cases[i].want)
			fail_msg("%s: %d", cases[i].spec, rc);
		if (rc != 0)
			continue;
		if (!str_begins(str_of(sample + range.at),
		    str_of(cases[i].begins)))
			fail_msg("%s at %d", cases[i].spec, (int)range.at);
		if (cases[i].len != -1)
			assert_int_equal(range.len, cases[i].len);
		assert_int_equal(range.has_trace, section.depth == 0 &&
		    section.what != MAIL_SECTION_TEXT);
	}
	scan_free(&scan);
}

/* BODY[1] of a message without parts is its text, also inside another. */
static void
test_numbers(void **state)
{
	static const struct {
		const char *in;
		const char *numbers;
	} cases[] = {
		{ "A: b\n\nx", "1" },
		{ "Content-Type: message/rfc822\n\n\nx", "1,1.1" },
		{ "Content-Type: message/rfc822\n\n" MULTI("x")
		    "--x\n\n1\n--x\n\n2\n", "1,1,1.1,1.2" },
		{ MULTI("x") "--x\nContent-Type: message/rfc822\n\n"
		    "Content-Type: message/rfc822\n\n\nx\n--x\n\n2\n",
		    ",1,1.1,1.1.1,2" },
		{ MULTI("x") "--x\n" MULTI("y") "--y\n\n1\n--y\n\n2\n--x\n",
		    ",1,1.1,1.2,2" },
	};
	const struct mail_summary *sum;
	struct mail_section section;
	struct scan *scan;
	struct buf buf;
	size_t i, j, from;

	(void)state;
	buf_init(&buf, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&buf);
		scan = scan_of(str_of(cases[i].in), 1000);
		sum = scan_end(scan);
		for (j = 0; j < sum->part_count; j++) {
			if (j != 0)
				buf_add_char(&buf, ',');
			from = buf.len;
			summary_put_number(sum, &sum->parts[j], &buf);
			assert_int_equal(mail_section_parse(
			    str_sub(buf_str(&buf), from, buf.len),
			    &section), 0);
			/* The number of a multipart inside a message is the
			 * message's own. */
			if (sum->parts[j].kind != MAIL_MULTIPART)
				assert_ptr_equal(summary_part(sum,
				    section.path, section.depth),
				    &sum->parts[j]);
		}
		if (!str_eq(buf_str(&buf), str_of(cases[i].numbers)))
			fail_msg("%s: %.*s", cases[i].in,
			    STR_FMT(buf_str(&buf)));
		scan_free(&scan);
	}
	buf_fini(&buf);
}

/* A field that is not kept is known to be missing. */
static void
test_cache(void **state)
{
	struct scan *scan;
	const struct mail_summary *sum;
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 1 << 20);
	buf_add_cstr(&buf, "Subject: x\r\nReferences:");
	for (i = 0; i < 1000; i++)
		buf_addf(&buf, " <%zu@example.test>\r\n", i);
	buf_add_cstr(&buf, "List-Id: <l>\r\n\r\n");
	scan = scan_of(buf_str(&buf), 100);
	sum = scan_end(scan);
	assert_false(summary_has_field(sum, MAIL_FIELD_REFERENCES));
	assert_true(summary_has_field(sum, MAIL_FIELD_LIST_ID));
	assert_true(summary_has_field(sum, MAIL_FIELD_SUBJECT));
	assert_non_null(summary_field(sum, MAIL_FIELD_LIST_ID));
	scan_free(&scan);
	buf_reset(&buf);
	for (i = 0; i < HEADER_FIELDS_MAX; i++)
		buf_add_cstr(&buf, "X: y\r\n");
	buf_add_cstr(&buf, "Subject: unseen\r\n\r\n");
	scan = scan_of(buf_str(&buf), 100);
	sum = scan_end(scan);
	assert_false(summary_has_field(sum, MAIL_FIELD_SUBJECT));
	assert_true(sum->flags & SUMMARY_OVER_LIMIT);
	scan_free(&scan);
	assert_int_equal(mail_field_id(STR("MESSAGE-id")),
	    MAIL_FIELD_MESSAGE_ID);
	assert_int_equal(mail_field_id(STR("X-Unknown")), MAIL_FIELD_NONE);
	buf_fini(&buf);
}

/* What is too much for 48 KiB has no summary. */
static void
test_too_large(void **state)
{
	struct buf buf, out;
	struct scan *scan;
	size_t i;

	(void)state;
	buf_init(&buf, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_add_cstr(&buf, "To: ");
	for (i = 0; i < 3000; i++)
		buf_addf(&buf, "user%zu@example.test,\r\n ", i);
	buf_add_cstr(&buf, "x@y\r\n\r\n");
	scan = scan_of(buf_str(&buf), 1000);
	assert_int_equal(summary_encode(scan_end(scan), &out), ERR_LIMIT);
	assert_int_equal(out.len, 0);
	scan_free(&scan);
	buf_fini(&buf);
	buf_fini(&out);
}

/* Cutting a summary short or changing an octet never reads as another. */
static void
test_hostile(void **state)
{
	struct arena *arena = arena_new(0);
	struct mail_summary *decoded;
	struct scan *scan = scan_of(str_of(sample), 1000);
	struct buf buf;
	struct str in;
	size_t i;

	(void)state;
	buf_init(&buf, SUMMARY_MAX);
	encode(scan_end(scan), &buf);
	in = buf_str(&buf);
	for (i = 0; i < in.len; i++)
		assert_int_equal(summary_decode(str_sub(in, 0, i), arena,
		    &decoded, NULL), ERR_CORRUPT);
	buf_add_char(&buf, '\0');
	assert_int_equal(summary_decode(buf_str(&buf), arena, &decoded, NULL),
	    ERR_CORRUPT);
	buf_truncate(&buf, buf.len - 1);
	buf.p[buf.start] = SUMMARY_VERSION + 1;
	assert_int_equal(summary_decode(buf_str(&buf), arena, &decoded, NULL),
	    ERR_CORRUPT);
	scan_free(&scan);
	buf_fini(&buf);
	arena_free(&arena);
}

static void
add_many(struct buf *buf, const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf_add_cstr(buf, text);
}

static void
make_empty_parts(struct buf *buf, size_t n)
{
	buf_add_cstr(buf, MULTI("x"));
	add_many(buf, "--x\r\n", n);
}

static void
make_headers(struct buf *buf, size_t n)
{
	add_many(buf, "Content-Type: multipart/mixed; boundary=x\r\n", n / 8);
	add_many(buf, "Subject: x\r\n", n);
}

static void
make_deep(struct buf *buf, size_t n)
{
	size_t i;

	for (i = 0; i < n / 10; i++)
		buf_addf(buf, "Content-Type: multipart/mixed; boundary=%zu"
		    "\n\n--%zu\n", i, i);
}

static void
make_deep_messages(struct buf *buf, size_t n)
{
	add_many(buf, "Content-Type: message/rfc822\n\n", n / 10);
}

/* 49 boundaries of equal length and lines that differ in their last octet. */
static void
make_near_misses(struct buf *buf, size_t n)
{
	int i;

	for (i = 0; i < 49; i++)
		buf_addf(buf, "Content-Type: multipart/mixed; boundary="
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%02d\n\n"
		    "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa%02d\n",
		    i, i);
	add_many(buf, "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaxx\n",
	    n / 10);
}

static void
make_params(struct buf *buf, size_t n)
{
	buf_add_cstr(buf, "Content-Type: a/b");
	add_many(buf, "; p*1*=x", n);
}

static void
make_comments(struct buf *buf, size_t n)
{
	buf_add_cstr(buf, "Content-Type: ");
	add_many(buf, "(", n);
}

static uint64_t
time_scan(void (*make)(struct buf *buf, size_t n), size_t n)
{
	struct scan *scan;
	struct buf buf;
	uint64_t us, best = UINT64_MAX;
	int i;

	buf_init(&buf, 256 << 20);
	make(&buf, n);
	assert_false(buf_failed(&buf));
	for (i = 0; i < 3; i++) {
		us = test_cpu_us();
		scan = scan_of(buf_str(&buf), 65536);
		assert_true(scan_end(scan)->part_count <= SUMMARY_PARTS_MAX);
		scan_free(&scan);
		us = test_cpu_us() - us;
		best = us < best ? us : best;
	}
	buf_fini(&buf);
	return best;
}

/* Threats: linear time. Twice the input takes at most 2.5 times as long (and
 * a little, so that a busy machine does not matter). */
static void
test_linear(void **state)
{
	static void (*const makers[])(struct buf *, size_t) = {
		make_empty_parts, make_headers, make_deep,
		make_deep_messages, make_near_misses, make_params,
		make_comments,
	};
	uint64_t once, twice;
	int tries;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(makers); i++) {
		tries = 0;
		do {
			once = time_scan(makers[i], 100000);
			twice = time_scan(makers[i], 200000);
		} while (!test_is_linear(once, twice) &&
		    ++tries < TEST_LINEAR_TRIES);
		if (tries == TEST_LINEAR_TRIES)
			fail_msg("maker %zu: %d us, %d us", i, (int)once,
			    (int)twice);
	}
}

static void
test_limits(void **state)
{
	const struct mail_summary *sum;
	struct scan *scan;
	struct buf buf;

	(void)state;
	buf_init(&buf, 64 << 20);
	make_empty_parts(&buf, 1000000);
	scan = scan_of(buf_str(&buf), 65536);
	sum = scan_end(scan);
	assert_int_equal(sum->part_count, SUMMARY_PARTS_MAX);
	assert_true(sum->flags & SUMMARY_OVER_LIMIT);
	assert_int_equal(sum->parts[1999].flags, MAIL_PART_OPAQUE);
	assert_true(sum->parts[1999].body_at + sum->parts[1999].body_len ==
	    buf.len);
	scan_free(&scan);
	buf_reset(&buf);
	make_deep(&buf, 100000);
	scan = scan_of(buf_str(&buf), 65536);
	sum = scan_end(scan);
	assert_int_equal(sum->part_count, SUMMARY_DEPTH_MAX);
	assert_int_equal(sum->parts[49].depth, SUMMARY_DEPTH_MAX);
	assert_int_equal(sum->parts[49].flags, MAIL_PART_OPAQUE);
	scan_free(&scan);
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structure),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
