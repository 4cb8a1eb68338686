/* SPDX-License-Identifier: ISC */
/* Messages made fit for stricter hops: what is decoded stays the same. */
#include "base/test.h"

#include "mail/downgrade.h"
#include "mail/text.h"

#define E "\xc3\xa9"
#define TEXT "From: a@example.org\r\nMIME-Version: 1.0\r\n" \
    "Content-Type: text/plain; charset=utf-8\r\n"
#define MULTI "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; " \
    "boundary=b\r\n"

struct result {
	enum downgrade_result code;
	bool has_utf8_header;
	struct buf text;
};

static void
run(struct str message, enum downgrade_to to, size_t step, struct result *r)
{
	struct mail_view view = mail_view_of_memory(STR("X: t\r\n"), message);
	struct downgrade *d = downgrade_new(&view, to);
	struct err err = ERR_INIT;
	bool is_end = false;

	buf_init(&r->text, 1 << 24);
	do
		r->code = downgrade_prepare(d, step, &err);
	while (r->code == DOWNGRADE_MORE);
	r->has_utf8_header = downgrade_has_utf8_header(d);
	while (r->code == DOWNGRADE_READY && !is_end)
		assert_int_equal(downgrade_read(d, step, &r->text, &is_end,
		    &err), 0);
	if (r->code == DOWNGRADE_READY) {
		struct buf again;

		buf_init(&again, 1 << 24);
		downgrade_rewind(d);
		for (is_end = false; !is_end;)
			assert_int_equal(downgrade_read(d, 1 << 20, &again,
			    &is_end, &err), 0);
		assert_true(str_eq(buf_str(&again), buf_str(&r->text)));
		buf_fini(&again);
		assert_true(str_begins(buf_str(&r->text), STR("X: t\r\n")));
		buf_consume(&r->text, 6);
	}
	downgrade_free(&d);
}

/* All leaves decoded, one after the other, with their types. */
static void
decode(struct str message, struct buf *out)
{
	struct scan *scan = scan_new();
	const struct mail_summary *sum;
	struct transfer *t;
	size_t i;

	scan_feed(scan, message.p, message.len);
	sum = scan_end(scan);
	for (i = 0; i < sum->part_count; i++) {
		const struct mail_part *part = &sum->parts[i];
		struct str type = part->type, sub = part->subtype;

		buf_addf(out, "[%u %.*s/%.*s]", part->depth, STR_FMT(type),
		    STR_FMT(sub));
		if (part->kind != MAIL_LEAF)
			continue;
		t = transfer_new(part->encoding);
		transfer_feed(t, str_sub(message, (size_t)part->body_at,
		    (size_t)part->body_len), true, out);
		transfer_free(&t);
	}
	scan_free(&scan);
}

static void
check_lines(struct str text, bool is_7bit)
{
	size_t i, line = 0;

	for (i = 0; i < text.len; i++) {
		assert_int_not_equal(text.p[i], '\0');
		if (is_7bit)
			assert_true((unsigned char)text.p[i] < 0x80);
		line = text.p[i] == '\n' ? 0 : line + 1;
		assert_true(line <= DOWNGRADE_LINE_MAX + 1);
		assert_int_equal(text.p[i] == '\n', i > 0 &&
		    text.p[i - 1] == '\r');
	}
}

static const struct {
	const char *name;
	const char *message;
	enum downgrade_result want;
	const char *holds;	/* in the result */
	bool is_same;		/* nothing had to change */
} cases[] = {
	{ "ASCII", TEXT "\r\nhello\r\n", DOWNGRADE_READY, "", true },
	{ "text", TEXT "Content-Transfer-Encoding: 8bit\r\n\r\nol" E " =\r\n"
	    ".dot\r\nblank at the end \r\n", DOWNGRADE_READY,
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "ol=C3=A9 =3D\r\n.dot\r\nblank at the end=20\r\n", false },
	{ "no last line end", TEXT "\r\nmore text and caf" E, DOWNGRADE_READY,
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\nmore text and caf=C3=A9",
	    false },
	{ "blank at the very end", TEXT "\r\nlong enough for qp " E " ",
	    DOWNGRADE_READY, "=C3=A9=20", false },
	{ "mostly 8 bit", TEXT "Content-Transfer-Encoding: 8bit\r\n\r\n"
	    E E E E E "\r\n", DOWNGRADE_READY,
	    "Content-Transfer-Encoding: base64\r\n\r\nw6nDqcOpw6nDqQ0K",
	    false },
	{ "not MIME", "Subject: x\r\n\r\nsome text and " E "\r\n",
	    DOWNGRADE_READY, "Subject: x\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=unknown-8bit\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n", false },
	{ "8bit label, 7bit content", TEXT
	    "content-transfer-encoding: 8BIT\r\n\r\nhello\r\n",
	    DOWNGRADE_READY, "Content-Transfer-Encoding: 7bit\r\n\r\nhello",
	    false },
	{ "multipart", MULTI "Content-Transfer-Encoding: 8bit\r\n\r\n"
	    "preamble " E "\r\n--b\r\nContent-Type: text/plain\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n\r\nthis is one " E "\r\n"
	    "--b\r\nContent-Type: application/x\r\n\r\n" E "\r\n"
	    "--b\r\n\r\nASCII stays\r\n--b--\r\nend " E "\r\n",
	    DOWNGRADE_READY, "Content-Transfer-Encoding: 7bit\r\n\r\n"
	    "preamble ??\r\n--b\r\nContent-Type: text/plain\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "this is one =C3=A9\r\n--b\r\nContent-Type: application/x\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nw6k=\r\n"
	    "--b\r\n\r\nASCII stays\r\n--b--\r\nend ??\r\n", false },
	{ "no boundary out of a soft line break", MULTI "\r\n--b\r\n"
	    "Content-Type: text/plain\r\n\r\n" E
	    "123456789012345678901234567890123456789012345678901234567890"
	    "123456789--b\r\n--b--\r\n", DOWNGRADE_READY,
	    "=\r\n=2D-b\r\n--b--", false },
	{ "header cut by a boundary", MULTI "\r\n--b\r\nContent-Type: "
	    "multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: 8bit"
	    "\r\n--b--\r\n", DOWNGRADE_READY, "", true },
	{ "message inside", MULTI "\r\n--b\r\nContent-Type: message/rfc822"
	    "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" TEXT
	    "Content-Transfer-Encoding: 8bit\r\n\r\nsome inner " E " text"
	    "\r\n--b--\r\n", DOWNGRADE_READY,
	    "message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
	    "From: a@example.org\r\n", false },
	{ "quoted-printable with 8 bit", TEXT
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
	    "a=3Db and something raw: " E "\r\n", DOWNGRADE_READY,
	    "a=3Db and something raw: =C3=A9\r\n", false },
	{ "base64 stays", MULTI "\r\n--b\r\nContent-Transfer-Encoding: "
	    "base64\r\n\r\nw6k=\r\n--b--\r\n", DOWNGRADE_READY, "", true },
	{ "message/partial", "MIME-Version: 1.0\r\nContent-Type: "
	    "message/partial; id=x; number=1\r\n\r\nx: " E "\r\n",
	    DOWNGRADE_IMPOSSIBLE, "", false },
	{ "unknown encoding", TEXT "Content-Transfer-Encoding: x-uu\r\n\r\n"
	    E "\r\n", DOWNGRADE_IMPOSSIBLE, "", false },
	{ "empty", "", DOWNGRADE_READY, "", true },
	{ "header only", "Subject: " E "\r\n\r\n", DOWNGRADE_READY, "",
	    true },
};

static void
test_cases(void **state)
{
	struct buf before, after;
	struct result r;
	struct str message;
	size_t i, step;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		for (step = 1; step < 100000; step *= 300) {
			message = str_of(cases[i].message);
			run(message, DOWNGRADE_7BIT, step, &r);
			if (r.code != cases[i].want)
				fail_msg("%s: %d", cases[i].name, r.code);
			if (r.code != DOWNGRADE_READY) {
				buf_fini(&r.text);
				continue;
			}
			if (str_find_str(buf_str(&r.text),
			    str_of(cases[i].holds)) == STR_NPOS)
				fail_msg("%s: %.*s", cases[i].name,
				    (int)r.text.len, r.text.p);
			if (cases[i].is_same !=
			    str_eq(buf_str(&r.text), message))
				fail_msg("%s: same?", cases[i].name);
			buf_init(&before, 1 << 20);
			buf_init(&after, 1 << 20);
			decode(message, &before);
			decode(buf_str(&r.text), &after);
			if (!str_eq(buf_str(&before), buf_str(&after)))
				fail_msg("%s: content", cases[i].name);
			buf_fini(&before);
			buf_fini(&after);
			if (!r.has_utf8_header)
				check_lines(buf_str(&r.text), true);
			buf_fini(&r.text);
		}
	}
}

/* Everything a text can hold, in lengths around the line limits. */
static void
test_random(void **state)
{
	static const char alphabet[] = "aaaa==  \t..\xc3\xa9\xff\x01";
	struct buf message, before, after;
	struct result r;
	unsigned seed = 1, n = 0;
	size_t i, len;
	int round;

	(void)state;
	for (round = 0; round < 300; round++) {
		buf_init(&message, 1 << 20);
		buf_init(&before, 1 << 20);
		buf_init(&after, 1 << 20);
		buf_add_cstr(&message, round % 3 == 0 ? TEXT "\r\n" :
		    "MIME-Version: 1.0\r\nContent-Type: image/x\r\n\r\n");
		len = (size_t)round % 170;
		for (i = 0; i < len; i++) {
			seed = seed * 1103515245 + 12345;
			n = seed >> 16;
			if (n % 23 == 0)
				buf_add_cstr(&message, "\r\n");
			else
				buf_add_char(&message, alphabet[n %
				    (sizeof(alphabet) - 1)]);
		}
		run(buf_str(&message), DOWNGRADE_7BIT, 1 + n % 50, &r);
		assert_int_equal(r.code, DOWNGRADE_READY);
		check_lines(buf_str(&r.text), true);
		decode(buf_str(&message), &before);
		decode(buf_str(&r.text), &after);
		assert_true(str_eq(buf_str(&before), buf_str(&after)));
		buf_fini(&r.text);
		buf_fini(&message);
		buf_fini(&before);
		buf_fini(&after);
	}
}

static void
test_binary(void **state)
{
	struct buf message, before, after;
	struct result r;
	size_t i;

	(void)state;
	buf_init(&message, 1 << 20);
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	buf_add_cstr(&message, MULTI "Content-Transfer-Encoding: binary\r\n"
	    "\r\n--b\r\nContent-Type: image/png\r\n"
	    "Content-Transfer-Encoding: binary\r\n\r\n");
	buf_add(&message, "\0\r\n\n\r\x89png\n", 11);
	buf_add_cstr(&message, "\r\n--b\r\n\r\n" E " stays 8bit\r\n--b\r\n"
	    "\r\n");
	for (i = 0; i < 2000; i++)
		buf_add_char(&message, 'x');
	buf_add_cstr(&message, "\r\n--b--\r\n");
	run(buf_str(&message), DOWNGRADE_8BIT, 1 << 16, &r);
	assert_int_equal(r.code, DOWNGRADE_READY);
	check_lines(buf_str(&r.text), false);
	assert_int_not_equal(str_find_str(buf_str(&r.text),
	    STR("--b\r\n\r\n" E " stays 8bit\r\n--b")), STR_NPOS);
	assert_int_not_equal(str_find_str(buf_str(&r.text),
	    STR("Content-Transfer-Encoding: 8bit\r\n\r\n--b")), STR_NPOS);
	decode(buf_str(&message), &before);
	decode(buf_str(&r.text), &after);
	assert_true(str_eq(buf_str(&before), buf_str(&after)));
	buf_fini(&message);
	buf_fini(&before);
	buf_fini(&after);
	buf_fini(&r.text);
}

static void
test_utf8_header(void **state)
{
	static const struct {
		const char *message;
		bool want;
	} headers[] = {
		{ TEXT "\r\n" E E "\r\n", false },
		{ "Subject: " E "\r\n\r\nx\r\n", true },
		{ MULTI "\r\n--b\r\nContent-Disposition: attachment; "
		    "filename=\"" E "\"\r\n\r\nx\r\n--b--\r\n", true },
	};
	struct result r;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(headers); i++) {
		run(str_of(headers[i].message), DOWNGRADE_8BIT, 1000, &r);
		assert_int_equal(r.has_utf8_header, headers[i].want);
		buf_fini(&r.text);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_utf8_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
