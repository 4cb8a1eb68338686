/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/rand.h"
#include "mailauth/canon.h"

static void
collect(void *ctx, const void *data, size_t len)
{
	struct buf *out = ctx;

	buf_add(out, data, len);
}

/* Fed in pieces of step octets. */
static void
run_body(enum canon canon, struct str in, size_t step, struct buf *out)
{
	struct canon_body body;
	size_t at;

	buf_reset(out);
	canon_body_init(&body, canon, collect, out);
	for (at = 0; at < in.len; at += step)
		canon_body_feed(&body, in.p + at,
		    in.len - at < step ? in.len - at : step);
	canon_body_end(&body);
	assert_false(buf_failed(out));
}

static const struct {
	const char *in;
	const char *simple;
	const char *relaxed;
} bodies[] = {
	/* RFC 6376 section 3.4.3 and 3.4.4: nothing at all. */
	{ "", "\r\n", "" },
	{ "\r\n", "\r\n", "" },
	{ "\r\n\r\n\r\n", "\r\n", "" },
	{ " \t\r\n \r\n", " \t\r\n \r\n", "" },
	{ " ", " \r\n", "" },
	/* Section 3.4.5: the example. */
	{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	{ "a", "a\r\n", "a\r\n" },
	{ "a\r\n", "a\r\n", "a\r\n" },
	{ "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n" },
	{ "a  b\t\tc \t d\r\n", "a  b\t\tc \t d\r\n", "a b c d\r\n" },
	{ "a \r\n\r\n b", "a \r\n\r\n b\r\n", "a\r\n\r\n b\r\n" },
	/* A CR or LF alone is an octet like others. */
	{ "a\rb\r\n", "a\rb\r\n", "a\rb\r\n" },
	{ "a\r\r\n", "a\r\r\n", "a\r\r\n" },
	{ "a\nb\n", "a\nb\n\r\n", "a\nb\n\r\n" },
	{ "a \r b\r\n", "a \r b\r\n", "a \r b\r\n" },
	{ "a\r", "a\r\r\n", "a\r\r\n" },
	{ "\r", "\r\r\n", "\r\r\n" },
	{ "\r\n\r", "\r\n\r\r\n", "\r\n\r\r\n" },
	{ "a\r\n\t \r\n\r\nb \r\n \r\n", "a\r\n\t \r\n\r\nb \r\n \r\n",
	    "a\r\n\r\n\r\nb\r\n" },
};

static void
test_body(void **state)
{
	struct buf out;
	size_t i, step;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(bodies); i++)
		for (step = 1; step < 12; step++) {
			run_body(CANON_SIMPLE, str_of(bodies[i].in), step,
			    &out);
			if (!str_eq(buf_str(&out), str_of(bodies[i].simple)))
				fail_msg("simple %zu by %zu: %.*s", i, step,
				    STR_FMT(buf_str(&out)));
			run_body(CANON_RELAXED, str_of(bodies[i].in), step,
			    &out);
			if (!str_eq(buf_str(&out), str_of(bodies[i].relaxed)))
				fail_msg("relaxed %zu by %zu: %.*s", i, step,
				    STR_FMT(buf_str(&out)));
		}
	buf_fini(&out);
}

/* Bodies of few different octets, where all states meet: the same octet by
 * octet, in pieces and whole; and a canonical body stays as it is. */
static void
test_body_random(void **state)
{
	static const char octets[] = "a \t\r\n\r\nb";
	char body[1500];
	struct buf whole, pieces;
	unsigned n, canon;
	size_t i;

	(void)state;
	buf_init(&whole, 8192);
	buf_init(&pieces, 8192);
	for (n = 0; n < 400; n++) {
		for (i = 0; i < sizeof(body); i++)
			body[i] = octets[rand_u64() % (sizeof(octets) - 1)];
		canon = n % 2;
		run_body(canon, str_make(body, sizeof(body)), sizeof(body),
		    &whole);
		run_body(canon, str_make(body, sizeof(body)), 1, &pieces);
		assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
		run_body(canon, str_make(body, sizeof(body)),
		    1 + (size_t)(rand_u64() % 700), &pieces);
		assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
		run_body(canon, buf_str(&whole), 64, &pieces);
		assert_true(str_eq(buf_str(&whole), buf_str(&pieces)));
	}
	buf_fini(&whole);
	buf_fini(&pieces);
}

/* What is held back costs no memory and no more than linear time. */
static void
test_body_empty_lines(void **state)
{
	struct canon_body body;
	struct buf out;
	unsigned i;

	(void)state;
	buf_init(&out, 64);
	canon_body_init(&body, CANON_RELAXED, collect, &out);
	canon_body_feed(&body, "a", 1);
	for (i = 0; i < 1000000; i++)
		canon_body_feed(&body, " \r\n", 3);
	canon_body_end(&body);
	assert_true(str_eq(buf_str(&out), STR("a\r\n")));
	buf_fini(&out);
}

static const struct {
	const char *raw;
	const char *simple;
	const char *relaxed;
} headers[] = {
	/* RFC 6376 section 3.4.5. */
	{ "A: X\r\n", "A: X\r\n", "a:X\r\n" },
	{ "B : Y\t\r\n\tZ  \r\n", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ "SUBJect: AbC\r\n", "SUBJect: AbC\r\n", "subject:AbC\r\n" },
	{ "Subject:\r\n a\r\n", "Subject:\r\n a\r\n", "subject:a\r\n" },
	{ "Subject: a\r\n \r\n\tb \t\r\n", "Subject: a\r\n \r\n\tb \t\r\n",
	    "subject:a b\r\n" },
	{ "X:\r\n", "X:\r\n", "x:\r\n" },
	{ "X: a:b\r\n", "X: a:b\r\n", "x:a:b\r\n" },
	{ "X: a", "X: a\r\n", "x:a\r\n" },
	{ "X: a\rb\r\n", "X: a\rb\r\n", "x:a\rb\r\n" },
	{ "X: \xe6\x97\xa5 \r\n", "X: \xe6\x97\xa5 \r\n",
	    "x:\xe6\x97\xa5\r\n" },
};

static void
test_header(void **state)
{
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(headers); i++) {
		buf_reset(&out);
		canon_header(&out, CANON_SIMPLE, str_of(headers[i].raw));
		assert_true(str_eq(buf_str(&out), str_of(headers[i].simple)));
		buf_reset(&out);
		canon_header(&out, CANON_RELAXED, str_of(headers[i].raw));
		if (!str_eq(buf_str(&out), str_of(headers[i].relaxed)))
			fail_msg("%zu: %.*s", i, STR_FMT(buf_str(&out)));
	}
	buf_fini(&out);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_body_random),
		cmocka_unit_test(test_body_empty_lines),
		cmocka_unit_test(test_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
