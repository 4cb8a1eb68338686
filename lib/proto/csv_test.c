/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "proto/csv.h"

/* All records as "field|field;field|field;", or "N!reason". */
static struct str
show(struct arena *arena, struct str in)
{
	struct str fields[4];
	struct err err = ERR_INIT;
	enum csv_result result;
	struct csv csv;
	struct buf out;
	size_t n = 0, i;
	struct str text;

	buf_init(&out, 4096);
	csv_init(&csv, in);
	while ((result = csv_next(&csv, arena, fields, 4, &n, &err)) ==
	    CSV_ROW) {
		for (i = 0; i < n; i++) {
			buf_add_cstr(&out, i != 0 ? "|" : "");
			buf_add_str(&out, fields[i]);
		}
		buf_add_char(&out, ';');
	}
	if (result == CSV_BAD)
		buf_addf(&out, "%u!%s", csv.line, err_text(&err));
	text = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return text;
}

static void
test_records(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "", "" },
		{ "\r\n\n", "" },
		{ "a,b\r\nc,d", "a|b;c|d;" },
		{ "a,b\nc,d\n", "a|b;c|d;" },
		{ "a,\n", "a|;" },
		{ ",,\n", "||;" },
		{ "\"a,b\",c\n", "a,b|c;" },
		{ "\"x \"\"y\"\"\"\n", "x \"y\";" },
		{ "\"\"\n", ";" },
		{ "\"two\r\nlines\",z\nn\n", "two\r\nlines|z;n;" },
		{ " a , b\n", " a | b;" },
		{ "a\n\"b", "a;2!a quote is not closed" },
		{ "a\"b\n", "1!a quote inside a field that is not quoted" },
		{ "\"a\"b\n", "1!text after a closing quote" },
		{ "a\rb\n", "1!a control character in a field" },
		{ "1,2,3,4\n1,2,3,4,5\n", "1|2|3|4;2!over 4 fields" },
		{ "\"a\n\n\"\n\"", "a\n\n;4!a quote is not closed" },
	};
	struct arena *arena = arena_new(0);
	struct str got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		got = show(arena, str_of(cases[i].in));
		assert_string_equal(got.p, cases[i].want);
	}
	arena_free(&arena);
}

static void
test_long_field(void **state)
{
	struct arena *arena = arena_new(0);
	struct str fields[2];
	struct err err = ERR_INIT;
	struct csv csv;
	struct buf in;
	size_t n, i;

	(void)state;
	buf_init(&in, 1 << 20);
	for (i = 0; i < CSV_FIELD_MAX; i++)
		buf_add_char(&in, 'x');
	csv_init(&csv, buf_str(&in));
	assert_int_equal(csv_next(&csv, arena, fields, 2, &n, &err), CSV_ROW);
	assert_int_equal(fields[0].len, CSV_FIELD_MAX);
	buf_add_char(&in, 'x');
	csv_init(&csv, buf_str(&in));
	assert_int_equal(csv_next(&csv, arena, fields, 2, &n, &err), CSV_BAD);
	assert_int_equal(err.code, ERR_LIMIT);
	buf_fini(&in);
	arena_free(&arena);
}

/* What is written is read back, whatever it is. */
static void
test_round_trip(void **state)
{
	static const char *const texts[] = { "", "a", "a,b", "\"", "a\r\nb",
	    " a ", "\"\"", "\xe5\xb1\xb1" };
	struct arena *arena = arena_new(0);
	struct str fields[16];
	struct err err = ERR_INIT;
	struct csv csv;
	struct buf out;
	size_t n, i;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(texts); i++) {
		buf_add_cstr(&out, i != 0 ? "," : "");
		csv_put(&out, str_of(texts[i]));
	}
	buf_add_cstr(&out, "\r\n");
	csv_init(&csv, buf_str(&out));
	assert_int_equal(csv_next(&csv, arena, fields, 16, &n, &err),
	    CSV_ROW);
	assert_int_equal(n, COUNT_OF(texts));
	for (i = 0; i < n; i++)
		assert_true(str_eq(fields[i], str_of(texts[i])));
	assert_int_equal(csv_next(&csv, arena, fields, 16, &n, &err),
	    CSV_END);
	buf_fini(&out);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_long_field),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
