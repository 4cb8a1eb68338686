/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "mailauth/tags.h"

static const struct {
	const char *text;
	int rc;
	size_t count;
	const char *a;		/* value of tag a, NULL: not there */
} cases[] = {
	{ "a=1", 0, 1, "1" },
	{ "a=1;", 0, 1, "1" },
	{ " a = 1 ; b=2 ; ", 0, 2, "1" },
	{ "a=1;\r\n\tb=2;\r\n c=x\r\n  y", 0, 3, "1" },
	{ "a=x \r\n y", 0, 1, "x \r\n y" },
	{ "a=", 0, 1, "" },
	{ "a=; b=", 0, 2, "" },
	{ "b=1=2; a=x:y", 0, 2, "x:y" },
	{ "A=1", 0, 1, NULL },
	{ "a1_b=1", 0, 1, NULL },
	{ "a=\xe6\x97\xa5", 0, 1, "\xe6\x97\xa5" },
	{ "", ERR_SYNTAX, 0, NULL },
	{ " ", ERR_SYNTAX, 0, NULL },
	{ ";", ERR_SYNTAX, 0, NULL },
	{ "a", ERR_SYNTAX, 0, NULL },
	{ "a=1;;b=2", ERR_SYNTAX, 0, NULL },
	{ "a=1; ;", ERR_SYNTAX, 0, NULL },
	{ "a=1; a=1", ERR_SYNTAX, 0, NULL },
	{ "=1", ERR_SYNTAX, 0, NULL },
	{ "1a=1", ERR_SYNTAX, 0, NULL },
	{ "a b=1", ERR_SYNTAX, 0, NULL },
	{ "a-b=1", ERR_SYNTAX, 0, NULL },
	{ "a=\x01", ERR_SYNTAX, 0, NULL },
	{ "a=\x7f", ERR_SYNTAX, 0, NULL },
	{ "a=\xff", ERR_SYNTAX, 0, NULL },
};

static void
test_parse(void **state)
{
	struct tags tags;
	struct str value;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		if (tags_parse(str_of(cases[i].text), &tags, NULL) !=
		    cases[i].rc)
			fail_msg("case %zu", i);
		if (cases[i].rc != 0)
			continue;
		assert_int_equal(tags.count, cases[i].count);
		value = tags_get(&tags, "a");
		assert_int_equal(value.p != NULL, cases[i].a != NULL);
		if (cases[i].a != NULL)
			assert_true(str_eq(value, str_of(cases[i].a)));
	}
}

/* What at and end cut out is what b= holds, blanks included. */
static void
test_places(void **state)
{
	struct str text = STR("v=1; b= x\r\n\ty ;h=a");
	const struct tag *tag;
	struct tags tags;

	(void)state;
	assert_int_equal(tags_parse(text, &tags, NULL), 0);
	tag = tags_find(&tags, "b");
	assert_true(str_eq(str_sub(text, tag->at, tag->end - tag->at),
	    STR(" x\r\n\ty ")));
	tag = tags_find(&tags, "h");
	assert_int_equal(tag->end, text.len);
	assert_null(tags_find(&tags, "c"));
}

static void
test_limits(void **state)
{
	struct tags tags;
	struct buf text;
	unsigned i;

	(void)state;
	buf_init(&text, TAGS_OCTETS_MAX + 10);
	for (i = 0; i < TAGS_MAX; i++)
		buf_addf(&text, "t%u=;", i);
	assert_int_equal(tags_parse(buf_str(&text), &tags, NULL), 0);
	assert_int_equal(tags.count, TAGS_MAX);
	buf_add_cstr(&text, "more=1");
	assert_int_equal(tags_parse(buf_str(&text), &tags, NULL), ERR_LIMIT);
	buf_reset(&text);
	buf_add_cstr(&text, "a=");
	while (text.len < TAGS_OCTETS_MAX)
		buf_add_char(&text, 'x');
	assert_int_equal(tags_parse(buf_str(&text), &tags, NULL), 0);
	buf_add_char(&text, 'x');
	assert_int_equal(tags_parse(buf_str(&text), &tags, NULL), ERR_LIMIT);
	buf_fini(&text);
}

static void
test_values(void **state)
{
	struct arena *arena = arena_new(0);
	struct str octets, item, rest = STR("a: b :\r\n\tC");

	(void)state;
	assert_int_equal(tags_base64(arena, STR("aGVs\r\n bG8="), &octets,
	    NULL), 0);
	assert_true(str_eq(octets, STR("hello")));
	assert_int_equal(tags_base64(arena, STR("aGVsbG8"), &octets, NULL),
	    0);
	assert_true(str_eq(octets, STR("hello")));
	assert_int_equal(tags_base64(arena, STR("aGVsb"), &octets, NULL),
	    ERR_SYNTAX);
	assert_int_equal(tags_base64(arena, STR("a*=="), &octets, NULL),
	    ERR_SYNTAX);
	assert_true(tags_next_item(&rest, &item));
	assert_true(str_eq(item, STR("a")));
	assert_true(tags_next_item(&rest, &item));
	assert_true(str_eq(item, STR("b")));
	assert_true(tags_next_item(&rest, &item));
	assert_true(str_eq(item, STR("C")));
	assert_false(tags_next_item(&rest, &item));
	assert_true(tags_list_has(STR("x : Y"), "y"));
	assert_false(tags_list_has(STR("x : Y"), "z"));
	arena_free(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
