/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/address.h"

static void
test_path(void **state)
{
	static const struct {
		const char *in;
		unsigned flags;
		int want;
		const char *put;	/* address_put() of it */
	} cases[] = {
		{ "<a@b.example>", 0, 0, "a@b.example" },
		{ "<A@B.Example>", 0, 0, "A@b.example" },
		{ "<>", ADDRESS_NULL, 0, "" },
		{ "<>", 0, ERR_SYNTAX, NULL },
		{ "<Postmaster>", ADDRESS_BARE_LOCAL, 0, "Postmaster" },
		{ "<Postmaster>", 0, ERR_SYNTAX, NULL },
		{ "<@x.example,@y.example:a@b>", 0, 0, "a@b" },
		{ "<@x.example:a@b", 0, ERR_SYNTAX, NULL },
		{ "<@:a@b>", 0, ERR_SYNTAX, NULL },
		{ "<\"a b\"@c>", 0, 0, "\"a b\"@c" },
		{ "<\"ab\"@c>", 0, 0, "ab@c" },
		{ "<\"a\\\"b\\\\\"@c>", 0, 0, "\"a\\\"b\\\\\"@c" },
		{ "<\"a\"b@c>", 0, ERR_SYNTAX, NULL },
		{ "<\"a\r\nb\"@c>", 0, ERR_SYNTAX, NULL },
		{ "<\"a@c>", 0, ERR_SYNTAX, NULL },
		{ "<a..b@docomo.example>", 0, ERR_SYNTAX, NULL },
		{ "<a..b@docomo.example>", ADDRESS_DOTS, 0,
		    "\"a..b\"@docomo.example" },
		{ "<.a@b>", 0, ERR_SYNTAX, NULL },
		{ "<a.@b>", 0, ERR_SYNTAX, NULL },
		{ "<a b@c>", 0, ERR_SYNTAX, NULL },
		{ "<a@b@c>", 0, ERR_SYNTAX, NULL },
		{ "<a%b@c>", 0, 0, "a%b@c" },
		{ "<a@[192.0.2.1]>", 0, 0, "a@[192.0.2.1]" },
		{ "<a@[192.0.2.256]>", 0, ERR_SYNTAX, NULL },
		{ "<a@[IPv6:2001:DB8::0:1]>", 0, 0, "a@[ipv6:2001:db8::1]" },
		{ "<a@[IPv6:192.0.2.1]>", 0, ERR_SYNTAX, NULL },
		{ "<a@[]>", 0, ERR_SYNTAX, NULL },
		{ "<a@b.>", 0, ERR_SYNTAX, NULL },
		{ "<a@-b>", 0, ERR_SYNTAX, NULL },
		{ "<a@b-.c>", 0, ERR_SYNTAX, NULL },
		{ "<a@>", 0, ERR_SYNTAX, NULL },
		{ "<\xe9\xa3\x9b@b>", 0, ERR_SYNTAX, NULL },
		{ "<\xe9\xa3\x9b@b>", ADDRESS_UTF8, 0, "\xe9\xa3\x9b@b" },
		{ "<\xe9\xa3@b>", ADDRESS_UTF8, ERR_SYNTAX, NULL },
		/* An internationalised domain is compared as A-labels. */
		{ "<a@\xe6\x97\xa5\xe6\x9c\xac.jp>", ADDRESS_UTF8, 0,
		    "a@xn--wgv71a.jp" },
	};
	struct arena *arena = arena_new(0);
	struct address address;
	struct buf buf;
	size_t i;
	int rc;

	(void)state;
	buf_init(&buf, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = address_parse_path(arena, str_of(cases[i].in),
		    cases[i].flags, &address, NULL);
		if (rc != cases[i].want)
			fail_msg("%s: %d", cases[i].in, rc);
		if (rc != 0)
			continue;
		buf_reset(&buf);
		address_put(&buf, &address);
		if (!str_eq(buf_str(&buf), str_of(cases[i].put)))
			fail_msg("%s: %.*s", cases[i].in,
			    STR_FMT(buf_str(&buf)));
	}
	buf_fini(&buf);
	arena_free(&arena);
}

static void
test_path_limits(void **state)
{
	static const struct {
		size_t local, domain;
		int want;
	} cases[] = {
		{ 64, 10, 0 }, { 65, 10, ERR_LIMIT }, { 10, 243, 0 },
		{ 64, 189, 0 }, { 64, 190, ERR_LIMIT },
		{ 1, 256, ERR_LIMIT },
	};
	struct arena *arena = arena_new(0);
	struct address address;
	char text[600];
	size_t i, j, len;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		memset(text, 'a', cases[i].local);
		len = cases[i].local;
		text[len++] = '@';
		for (j = 0; j < cases[i].domain; j++)
			text[len++] = j % 60 == 59 &&
			    j + 1 < cases[i].domain ? '.' : 'd';
		assert_int_equal(address_parse(arena, str_make(text, len), 0,
		    &address, NULL), cases[i].want);
	}
	arena_free(&arena);
}

static void
test_tag(void **state)
{
	struct str tag;

	(void)state;
	assert_true(str_eq(address_split_tag(STR("alice+list"), &tag),
	    STR("alice")));
	assert_true(str_eq(tag, STR("list")));
	assert_true(str_eq(address_split_tag(STR("a+b+c"), &tag), STR("a")));
	assert_true(str_eq(tag, STR("b+c")));
	assert_true(str_eq(address_split_tag(STR("alice"), &tag),
	    STR("alice")));
	assert_null(tag.p);
	assert_true(str_eq(address_split_tag(STR("+x"), &tag), STR("+x")));
	assert_null(tag.p);
	assert_true(str_eq(address_split_tag(STR("a+"), &tag), STR("a")));
	assert_non_null(tag.p);
	assert_int_equal(tag.len, 0);
}

/* name|local|domain of each, G{ and G} for groups; ! when odd. */
static void
render(const struct mailbox_list *list, struct buf *buf)
{
	const struct mailbox *m;
	size_t i;

	for (i = 0; i < list->count; i++) {
		m = &list->v[i];
		if (i != 0)
			buf_add_cstr(buf, "; ");
		if (m->kind == MAILBOX_GROUP_BEGIN)
			buf_addf(buf, "G{%.*s", STR_FMT(m->name));
		else if (m->kind == MAILBOX_GROUP_END)
			buf_add_cstr(buf, "G}");
		else
			buf_addf(buf, "%.*s|%.*s|%.*s", STR_FMT(m->name),
			    STR_FMT(m->local), STR_FMT(m->domain));
	}
	if (list->is_odd)
		buf_add_cstr(buf, " !");
}

static void
test_list(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "a@b", "|a|b" },
		{ " a@b , c@d\r\n ,, e@f ", "|a|b; |c|d; |e|f" },
		{ "Alice <a@b>", "Alice|a|b" },
		{ "\"Doe, J.\" <j@d>", "Doe, J.|j|d" },
		{ "J. R. Doe <j@d>", "J. R. Doe|j|d" },
		{ "a@b (Alice \\) (nested))", "Alice \\) (nested)|a|b" },
		{ "=?UTF-8?B?6aOb6ISa?= <a@b>", "=?UTF-8?B?6aOb6ISa?=|a|b" },
		{ "\xe9\xa3\x9b\xe8\x84\x9a <a@b>",
		    "\xe9\xa3\x9b\xe8\x84\x9a|a|b" },
		{ "Team: a@b, C <c@d>;", "G{Team; |a|b; C|c|d; G}" },
		{ "undisclosed-recipients:;", "G{undisclosed-recipients; G}" },
		{ "Team: a@b", "G{Team; |a|b; G} !" },
		{ "<@x,@y:a@b>", "|a|b !" },
		{ "\"a b\"@c", "|a b|c" },
		{ "a@[192.0.2.1]", "|a|[192.0.2.1]" },
		{ "a@b <c@d>", "a@b|c|d !" },
		{ "Alice a@b", "Alice|a|b !" },
		{ "<a@b> trailing", "|a|b; |trailing| !" },
		{ "<a@b", "|a|b !" },
		{ "<a@b@c>", "|a|b !" },
		{ "root", "|root| !" },
		{ "<>", "|| !" },
		{ "", "" },
		{ ",,,", "" },
		{ "\"open <a@b>", "|open <a@b>| !" },
		{ "a(x)@b", "x|a|b !" },
		{ "a . b @ c . d", "a.|b|c.d !" },
		{ "a; b@c", "|a|; |b|c !" },
		{ "a@b <", "a@b|| !" },
	};
	struct arena *arena = arena_new(0);
	struct mailbox_list list;
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 10000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&buf);
		mailbox_list_parse(arena, str_of(cases[i].in), &list);
		render(&list, &buf);
		if (!str_eq(buf_str(&buf), str_of(cases[i].want)))
			fail_msg("%s: %.*s", cases[i].in,
			    STR_FMT(buf_str(&buf)));
	}
	buf_fini(&buf);
	arena_free(&arena);
}

static void
test_list_limit(void **state)
{
	struct arena *arena = arena_new(0);
	struct mailbox_list list;
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 1 << 20);
	for (i = 0; i < 10000; i++)
		buf_addf(&buf, "u%zu@example.test, ", i);
	mailbox_list_parse(arena, buf_str(&buf), &list);
	assert_int_equal(list.count, ADDRESS_LIST_MAX);
	assert_true(list.is_cut);
	assert_true(str_eq(list.v[999].local, STR("u999")));
	buf_fini(&buf);
	arena_free(&arena);
}

static uint64_t
time_list(const char *piece, size_t n)
{
	struct mailbox_list list;
	struct arena *arena;
	struct buf in;
	uint64_t us, best = UINT64_MAX;
	int i;

	buf_init(&in, 8 << 20);
	while (n-- > 0)
		buf_add_cstr(&in, piece);
	for (i = 0; i < 3; i++) {
		arena = arena_new(0);
		us = test_cpu_us();
		mailbox_list_parse(arena, buf_str(&in), &list);
		us = test_cpu_us() - us;
		arena_free(&arena);
		best = us < best ? us : best;
	}
	buf_fini(&in);
	return best;
}

/* Threats: 10,000 addresses. Twice the input, at most 2.5 times the time. */
static void
test_linear(void **state)
{
	static const char *const pieces[] = {
		"a@b, ", "(", "\"", "<", "@", ":;", "a ", "a.", "\"a\"",
		"<@a:", ",",
	};
	uint64_t once, twice;
	int tries;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(pieces); i++) {
		tries = 0;
		do {
			once = time_list(pieces[i], 100000);
			twice = time_list(pieces[i], 200000);
		} while (!test_is_linear(once, twice) &&
		    ++tries < TEST_LINEAR_TRIES);
		if (tries == TEST_LINEAR_TRIES)
			fail_msg("%s: %d us, %d us", pieces[i], (int)once,
			    (int)twice);
	}
}

/* Threats: From twice, empty, group, encoded-word address, route, comment. */
static void
test_from(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* NULL: ambiguous */
	} cases[] = {
		{ "Alice <Alice@Example.TEST>", "Alice@example.test" },
		{ "alice@example.test (Alice)", "alice@example.test" },
		{ "a@b, c@d", "a@b c@d" },
		{ "\"bob@example.test\" <a@b>", "a@b" },
		{ "", NULL }, { " ", NULL }, { "<>", NULL },
		{ "G: a@b;", NULL }, { "G:;", NULL },
		{ "=?utf-8?q?a=40b?=@c", NULL },
		{ "<=?utf-8?q?a?=@c>", NULL },
		{ "<@x:a@b>", NULL }, { "a(c)@b", NULL }, { "a@(c)b", NULL },
		{ "a@b <c@d>", NULL }, { "a@b c@d", NULL },
		{ "<a@b> <c@d>", NULL }, { "a@b\0c@d", "a@b" },
		{ "<a@b", NULL }, { "\"a@b", NULL }, { "a@b@c", NULL },
		{ "a", NULL }, { "a@b_.-", NULL }, { "\"x\"y@b", NULL },
		{ "\"a\x01\"@b", NULL }, { "a@b;", NULL },
	};
	struct arena *arena = arena_new(0);
	struct address *v;
	struct str value[2];
	struct buf buf;
	size_t i, j, n;
	int rc;

	(void)state;
	buf_init(&buf, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		value[0] = str_of(cases[i].in);
		rc = address_from(arena, value, 1, &v, &n, NULL);
		if (rc != (cases[i].want == NULL ? ERR_SYNTAX : 0))
			fail_msg("%s: %d", cases[i].in, rc);
		if (rc != 0)
			continue;
		buf_reset(&buf);
		for (j = 0; j < n; j++) {
			buf_add_cstr(&buf, j != 0 ? " " : "");
			address_put(&buf, &v[j]);
		}
		assert_true(str_eq(buf_str(&buf), str_of(cases[i].want)));
	}
	value[0] = value[1] = STR("a@b");
	assert_int_equal(address_from(arena, value, 2, &v, &n, NULL),
	    ERR_SYNTAX);
	assert_int_equal(address_from(arena, value, 0, &v, &n, NULL),
	    ERR_SYNTAX);
	value[0] = str_make("a@b\0c", 5);
	assert_int_equal(address_from(arena, value, 1, &v, &n, NULL),
	    ERR_SYNTAX);
	buf_fini(&buf);
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_path_limits),
		cmocka_unit_test(test_tag),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_limit),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
