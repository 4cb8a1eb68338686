/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mailauth/authres.h"

static struct str
field_of(struct arena *arena, const struct authres_list *list)
{
	struct str text;
	struct buf out;

	buf_init(&out, 65536);
	authres_put_field(&out, list);
	assert_false(buf_failed(&out));
	text = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return text;
}

static void
test_write(void **state)
{
	struct arena *arena = arena_new(0);
	struct authres_list list = { .authserv_id = STR("mx.example.test") };
	struct dkim_results dkim = { .count = 1 };
	struct arc_result arc = { .result = MAILAUTH_PASS, .instance = 2,
	    .has_oldest_pass = true };
	struct authres *one;
	struct str text;
	struct buf out;

	(void)state;
	assert_true(str_eq(field_of(arena, &list),
	    STR("Authentication-Results: mx.example.test; none\r\n")));
	one = authres_add(&list, "spf", MAILAUTH_SOFTFAIL);
	authres_prop(one, "smtp.mailfrom", STR("a@x.test"));
	authres_prop(one, "smtp.helo", STR(""));
	dkim.v[0] = (struct dkim_result){ .result = MAILAUTH_FAIL,
	    .reason = STR("the body was changed"), .domain = STR("x.test"),
	    .selector = STR("s1"), .identity = STR("@x.test"),
	    .algorithm = STR("rsa-sha256"), .signature = STR("ab/cd+ef"),
	    .key_bits = 2048 };
	authres_add_dkim(&list, arena, &dkim);
	authres_add_arc(&list, arena, &arc);
	one = authres_add(&list, "dmarc", MAILAUTH_FAIL);
	authres_prop(one, "header.from", STR("x.test"));
	text = field_of(arena, &list);
	if (!str_eq(text, STR("Authentication-Results: mx.example.test; "
	    "spf=softfail smtp.mailfrom=a@x.test;\r\n"
	    " dkim=fail (2048-bit key) reason=\"the body was changed\" "
	    "header.d=x.test\r\n"
	    " header.s=s1 header.a=rsa-sha256 header.b=\"ab/cd+ef\"; "
	    "arc=pass (i=2)\r\n"
	    " header.oldest-pass=0; dmarc=fail header.from=x.test\r\n")))
		fail_msg("%.*s", STR_FMT(text));
	dkim.count = 0;
	list.count = 0;
	authres_add_dkim(&list, arena, &dkim);
	buf_init(&out, 4096);
	authres_put_payload(&out, &list);
	assert_true(str_eq(buf_str(&out), STR("mx.example.test; dkim=none")));
	buf_fini(&out);
	arena_free(&arena);
}

static const struct {
	const char *value;
	const char *want;	/* in the field */
} hostile[] = {
	{ "plain", "header.i=plain\r\n" },
	{ "a@x.test", "header.i=a@x.test\r\n" },
	{ "@x.test", "header.i=@x.test\r\n" },
	{ "a@", "header.i=\"a@\"\r\n" },
	{ "a@b@c", "header.i=\"a@b@c\"\r\n" },
	{ "a b", "header.i=\"a b\"\r\n" },
	{ "a;dkim=pass", "header.i=\"a;dkim=pass\"\r\n" },
	{ "a(b)", "header.i=\"a(b)\"\r\n" },
	{ "a\"b\\", "header.i=\"a\\\"b\\\\\"\r\n" },
	{ "a\r\nX: y", "header.i=\"a??X: y\"\r\n" },
	{ "a\x01\x7f", "header.i=\"a??\"\r\n" },
	{ "\xe6\x97\xa5@x.test", "header.i=\"???@x.test\"\r\n" },
	{ "\xff", "header.i=\"?\"\r\n" },
};

static void
test_hostile(void **state)
{
	struct arena *arena = arena_new(0);
	struct authres_list list = { .authserv_id = STR("mx") };
	struct authres *one;
	struct str field;
	char big[AUTHRES_VALUE_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(hostile); i++) {
		list.count = 0;
		one = authres_add(&list, "dkim", MAILAUTH_PASS);
		authres_prop(one, "header.i", str_of(hostile[i].value));
		field = field_of(arena, &list);
		if (!str_ends_nocase(field, str_of(hostile[i].want)))
			fail_msg("case %zu: %.*s", i, STR_FMT(field));
	}
	/* NUL, and UTF-8 where it may stand. */
	one->props[0].value = str_make("a\0b", 3);
	assert_true(str_ends_nocase(field_of(arena, &list),
	    STR("\"a?b\"\r\n")));
	list.has_utf8 = true;
	one->props[0].value = STR("\xe6\x97\xa5@x.test");
	assert_true(str_ends_nocase(field_of(arena, &list),
	    STR("\"\xe6\x97\xa5@x.test\"\r\n")));
	one->props[0].value = STR("\xe6\x97");
	assert_true(str_ends_nocase(field_of(arena, &list),
	    STR("\"??\"\r\n")));
	/* What no line can hold is left out; the list is never over full. */
	memset(big, 'x', sizeof(big));
	list.count = 0;
	one = authres_add(&list, "dkim", MAILAUTH_PASS);
	authres_prop(one, "header.i", str_make(big, sizeof(big)));
	assert_int_equal(one->prop_count, 0);
	authres_prop(one, "header.i", str_make(big, sizeof(big) - 1));
	assert_int_equal(one->prop_count, 1);
	for (i = 1; i < AUTHRES_MAX; i++)
		assert_non_null(authres_add(&list, "x", MAILAUTH_PASS));
	assert_null(authres_add(&list, "x", MAILAUTH_PASS));
	authres_prop(NULL, "x", STR("y"));
	arena_free(&arena);
}

static const struct {
	const char *value;
	const char *id;		/* NULL: ERR_SYNTAX */
	size_t count;
	const char *method, *result, *prop, *prop_value;	/* the first */
} fields[] = {
	/* RFC 8601 appendix B. */
	{ "example.org 1; none", "example.org", 0, NULL, NULL, NULL, NULL },
	{ " example.com;\r\n spf=pass smtp.mailfrom=example.net",
	    "example.com", 1, "spf", "pass", "smtp.mailfrom",
	    "example.net" },
	{ " example.com;\r\n auth=pass (cram-md5) smtp.auth=sender@"
	    "example.com;\r\n spf=pass smtp.mailfrom=example.com",
	    "example.com", 2, "auth", "pass", "smtp.auth",
	    "sender@example.com" },
	{ " foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) "
	    "/ 1 (One yay) = (wait for it) fail\r\n policy (A dot can go "
	    "here) . (like that) expired\r\n (this surprised me) = (as I "
	    "wasn't expecting it) 1362471462", "foo.example.net", 1, "dkim",
	    "fail", "policy.expired", "1362471462" },
	{ "\"a b\"; dkim=pass reason=\"x \\\"y\\\"\" header.i=\"a;b\"@x",
	    "a b", 1, "dkim", "pass", "header.i", "a;b@x" },
	{ "x; dkim=pass header.b=ab/cd+e=;", "x", 1, "dkim", "pass",
	    "header.b", "ab/cd+e=" },
	{ "x", "x", 0, NULL, NULL, NULL, NULL },
	{ "x;", "x", 0, NULL, NULL, NULL, NULL },
	{ "", NULL, 0, NULL, NULL, NULL, NULL },
	{ "(x", NULL, 0, NULL, NULL, NULL, NULL },
	{ "\"x", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x y; none", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x; none; spf=pass", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x; spf", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x; spf=", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x; spf=pass smtp.mailfrom", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x; spf=pass smtp=y", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x;; spf=pass", NULL, 0, NULL, NULL, NULL, NULL },
	{ "x; spf=pass) a.b=c", NULL, 0, NULL, NULL, NULL, NULL },
};

static void
test_read(void **state)
{
	struct arena *arena = arena_new(0);
	struct authres_list *list = arena_new_of(arena, struct authres_list);
	const struct authres *one = &list->v[0];
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(fields); i++) {
		rc = authres_parse(arena, str_of(fields[i].value), list,
		    NULL);
		if (rc != (fields[i].id != NULL ? 0 : ERR_SYNTAX))
			fail_msg("field %zu: %d", i, rc);
		if (fields[i].id == NULL)
			continue;
		assert_true(str_eq(list->authserv_id, str_of(fields[i].id)));
		assert_int_equal(list->count, fields[i].count);
		if (fields[i].count == 0)
			continue;
		assert_true(str_eq(one->method, str_of(fields[i].method)));
		assert_true(str_eq(one->result, str_of(fields[i].result)));
		assert_true(str_eq(one->props[0].name,
		    str_of(fields[i].prop)));
		assert_true(str_eq(one->props[0].value,
		    str_of(fields[i].prop_value)));
	}
	arena_free(&arena);
}

static void
test_id(void **state)
{
	struct arena *arena = arena_new(0);
	struct str rest;

	(void)state;
	assert_true(str_eq(authres_id(arena, STR(" (c) Mx.Test 1 ; a=b"),
	    &rest), STR("Mx.Test")));
	assert_true(str_eq(rest, STR(" a=b")));
	assert_true(str_eq(authres_id(arena, STR("mx"), &rest), STR("mx")));
	assert_null(rest.p);
	assert_null(authres_id(arena, STR("mx and more; a=b"), &rest).p);
	assert_null(authres_id(arena, STR(";"), &rest).p);
	arena_free(&arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
