/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/table.h"
#include "base/when.h"

static void
test_str_to_u64(void **state)
{
	static const struct {
		const char *in;
		uint64_t max;
		int want;
		uint64_t value;
	} cases[] = {
		{ "0", 10, 0, 0 },
		{ "10", 10, 0, 10 },
		{ "11", 10, ERR_LIMIT, 0 },
		{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, ERR_LIMIT, 0 },
		{ "", 10, ERR_SYNTAX, 0 },
		{ "-1", 10, ERR_SYNTAX, 0 },
		{ " 1", 10, ERR_SYNTAX, 0 },
		{ "1x", 10, ERR_SYNTAX, 0 },
	};
	uint64_t value;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		value = 0;
		assert_int_equal(str_to_u64(str_of(cases[i].in), cases[i].max,
		    &value), cases[i].want);
		assert_true(value == cases[i].value);
	}
}

static void
test_str_utf8(void **state)
{
	static const struct {
		const char *in;
		bool want;
	} cases[] = {
		{ "", true }, { "a", true }, { "\xc3\xa9", true },
		{ "\xe9\xa3\x9b\xe8\x84\x9a", true },
		{ "\xf0\x9f\x93\xae", true }, { "\xc0\xaf", false },
		{ "\xed\xa0\x80", false }, { "\xf4\x90\x80\x80", false },
		{ "\xe9\xa3", false }, { "\x80", false }, { "\xff", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(str_is_utf8(str_of(cases[i].in)),
		    cases[i].want);
	assert_false(str_is_utf8(str_make("a\0b", 3)));
	for (i = 0; i < 20; i++) {
		char text[20] = "abcdefghijklmnopqrs";

		assert_false(str_has_8bit(str_make(text, sizeof(text))));
		text[i] = '\x80';
		assert_true(str_has_8bit(str_make(text, sizeof(text))));
		assert_false(str_has_8bit(str_make(text, i)));
	}
}

static void
test_str_find(void **state)
{
	struct str s = STR("Content-Type: text/plain"), rest;

	(void)state;
	assert_int_equal(str_find(s, ':'), 12);
	assert_int_equal(str_rfind(s, 't'), 17);
	assert_int_equal(str_find_nocase(s, STR("TEXT")), 14);
	assert_true(str_find_str(s, STR("TEXT")) == STR_NPOS);
	assert_true(str_eq(str_cut(s, ':', &rest), STR("Content-Type")));
	assert_true(str_eq(str_trim(rest), STR("text/plain")));
	(void)str_cut(rest, '!', &rest);
	assert_null(rest.p);
	assert_true(str_ends_nocase(s, STR("PLAIN")));
	assert_int_equal(str_sub(s, 100, 5).len, 0);
}

static void
test_buf_limits(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	buf_add_cstr(&buf, "12345");
	buf_addf(&buf, "%d", 67890);
	assert_false(buf_failed(&buf));
	assert_true(str_eq(buf_str(&buf), STR("1234567890")));
	buf_add_char(&buf, 'x');
	assert_true(buf_failed(&buf));
	assert_int_equal(buf.len, 10);
	buf_reset(&buf);
	buf_add_cstr(&buf, "abc");
	buf_consume(&buf, 2);
	buf_add_cstr(&buf, "defghijkl");
	assert_true(str_eq(buf_str(&buf), STR("cdefghijkl")));
	buf_fini(&buf);
}

static void
test_buf_base64(void **state)
{
	static const struct {
		const char *plain;
		const char *coded;
	} cases[] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	static const char *const bad[] = {
		"Z", "Zg=", "Zg=a", "Z===", "====", "Zm9v!!!!", "Zm9v\n",
	};
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 100);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&buf);
		buf_add_base64(&buf, cases[i].plain, strlen(cases[i].plain));
		assert_true(str_eq(buf_str(&buf), str_of(cases[i].coded)));
		buf_reset(&buf);
		assert_int_equal(buf_add_unbase64(&buf,
		    str_of(cases[i].coded)), 0);
		assert_true(str_eq(buf_str(&buf), str_of(cases[i].plain)));
	}
	for (i = 0; i < COUNT_OF(bad); i++) {
		buf_reset(&buf);
		assert_int_equal(buf_add_unbase64(&buf, str_of(bad[i])),
		    ERR_SYNTAX);
		assert_int_equal(buf.len, 0);
	}
	buf_fini(&buf);
}

/* Each entry once, while each is deleted, whatever the seed: runs of slots go
 * over the end of some tables. */
static void
test_table_walk(void **state)
{
	static int values[6];
	struct table *table;
	size_t cursor, i, n;
	unsigned seen;
	struct str key;
	int *value;

	(void)state;
	for (n = 0; n < 2000; n++) {
		table = table_new();
		for (i = 0; i < 6; i++)
			table_put_u64(table, i, &values[i]);
		cursor = 0;
		seen = 0;
		while ((value = table_next(table, &cursor, &key)) != NULL) {
			assert_int_equal(seen & 1U << (value - values), 0);
			seen |= 1U << (value - values);
			if ((n & 1) == 0)
				assert_ptr_equal(table_del(table, key), value);
		}
		assert_int_equal(seen, 0x3f);
		assert_null(table_next(table, &cursor, &key));
		assert_int_equal(table_count(table), (n & 1) == 0 ? 0 : 6);
		table_free(&table);
	}
}

static void
test_table(void **state)
{
	static char values[5000];
	struct table *table = table_new();
	struct str key;
	size_t cursor = 0, seen = 0;
	uint64_t i;
	char name[64];

	(void)state;
	for (i = 0; i < 5000; i++)
		assert_null(table_put_u64(table, i, &values[i]));
	for (i = 0; i < 5000; i += 2)
		assert_ptr_equal(table_del_u64(table, i), &values[i]);
	for (i = 0; i < 5000; i++)
		assert_ptr_equal(table_get_u64(table, i),
		    i % 2 != 0 ? &values[i] : NULL);
	while (table_next(table, &cursor, &key) != NULL)
		seen++;
	assert_int_equal(seen, 2500);
	assert_int_equal(table_count(table), 2500);
	(void)snprintf(name, sizeof(name), "%s",
	    "a key that does not fit into a slot at all");
	assert_null(table_put(table, str_of(name), &values[0]));
	assert_ptr_equal(table_put(table, str_of(name), &values[1]),
	    &values[0]);
	assert_ptr_equal(table_del(table, str_of(name)), &values[1]);
	table_free(&table);
	assert_null(table);
}

static void
test_siphash(void **state)
{
	/* The vector of appendix A of the SipHash paper. */
	unsigned char key[16], in[15];
	size_t i;

	(void)state;
	for (i = 0; i < 16; i++)
		key[i] = (unsigned char)i;
	for (i = 0; i < 15; i++)
		in[i] = (unsigned char)i;
	assert_true(siphash(key, in, 15) == 0xa129ca6149be45e5ULL);
}

static void
test_arena(void **state)
{
	struct arena *arena = arena_new(0);
	struct err err = ERR_INIT;
	unsigned char *p;
	size_t i;

	(void)state;
	for (i = 1; i < 3000; i += 7) {
		p = arena_alloc(arena, i);
		assert_true(((uintptr_t)p & 15) == 0);
		assert_int_equal(p[i - 1], 0);
		memset(p, 0xff, i);
	}
	arena_reset(arena);
	p = arena_alloc(arena, 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	assert_null(arena_alloc_max(arena, 11, 8, 10, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	assert_true(str_eq(arena_printf(arena, "%d-%s", 7, "x"), STR("7-x")));
	arena_free(&arena);
}

struct item {
	int n;
	struct list node;
};

static void
test_list(void **state)
{
	struct item items[3] = { { .n = 0 }, { .n = 1 }, { .n = 2 } };
	struct item *it, *tmp;
	struct list list;
	int want = 0;

	(void)state;
	list_init(&list);
	assert_true(list_is_empty(&list));
	list_add(&list, &items[1].node);
	list_add(&list, &items[2].node);
	list_push(&list, &items[0].node);
	list_each(it, tmp, &list, struct item, node) {
		assert_int_equal(it->n, want++);
		list_del(&it->node);
	}
	assert_int_equal(want, 3);
	assert_null(list_first(&list, struct item, node));
}

static char last_line[8192];

static void
keep_line(void *ctx, struct str line)
{
	(void)ctx;
	(void)snprintf(last_line, sizeof(last_line), "%.*s", STR_FMT(line));
}

static uint64_t
fixed_wall(void)
{
	return 1700000000123456ULL;
}

static void
test_log(void **state)
{
	struct ev *ev = ev_new(NULL), *child = ev_new(ev);
	char big[600];

	(void)state;
	when_set_wall(fixed_wall);
	log_capture(keep_line, NULL);
	ev_put_str(ev, LOG_K_user, STR("a\"b\\\n\xff\xe9\xa3\x9b\x01"));
	ev_info(child, "smtp.test.ok", EV_U64(count, 7),
	    EV_CSTR(reason, "why"));
	assert_non_null(strstr(last_line,
	    "{\"ts\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\""));
	assert_non_null(strstr(last_line, "\"event\":\"smtp.test.ok\","
	    "\"user\":\"a\\\"b\\\\\\n\xef\xbf\xbd\xe9\xa3\x9b\\u0001\","
	    "\"count\":7,\"reason\":\"why\"}"));
	/* Values are cut, and a line stays one write of the pipe. */
	memset(big, '\1', sizeof(big));
	ev_warn(child, "smtp.test.big",
	    EV_STR(reason, str_make(big, sizeof(big))),
	    EV_STR(detail, str_make(big, sizeof(big))));
	assert_true(strlen(last_line) < 4000);
	assert_int_equal(last_line[strlen(last_line) - 1], '}');
	log_capture(NULL, NULL);
	when_set_wall(NULL);
	ev_free(&child);
	ev_free(&ev);
}

static void
test_err(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_LIMIT, "first %d", 1), ERR_LIMIT);
	assert_int_equal(err_set(&err, ERR_TEMP, "second"), ERR_TEMP);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err_text(&err), "first 1");
	assert_string_equal(err_code_name(ERR_CORRUPT), "corrupt");
	assert_true(rand_equal("ab", "ab", 2));
	assert_false(rand_equal("ab", "ac", 2));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_to_u64),
		cmocka_unit_test(test_str_utf8),
		cmocka_unit_test(test_str_find),
		cmocka_unit_test(test_buf_limits),
		cmocka_unit_test(test_buf_base64),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_walk),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_err),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
