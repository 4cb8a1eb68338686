/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "mail/header.h"

static void
test_fields(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* name=value, one a field */
	} cases[] = {
		{ "A: 1\r\nB: 2\r\n\r\nC: 3\r\n", "A= 1;B= 2;" },
		{ "A: 1\nB:2\n\nC: 3\n", "A= 1;B=2;" },
		{ "A: 1\r\n 2\r\n\t3\r\nB:\r\n", "A= 1\r\n 2\r\n\t3;B=;" },
		{ "A \t: 1\r\n", "A= 1;" },
		{ " lost\r\nA: 1\r\n", "A= 1;" },
		{ "no colon\r\n more: 1\r\nA: 1\r\n", "A= 1;" },
		{ "A b: 1\r\nC: 2\r\n", "C= 2;" },
		{ ": 1\r\nC: 2\r\n", "C= 2;" },
		{ "A: 1\r\n \r\nB: 2\r\n", "A= 1\r\n ;B= 2;" },
		{ "A: 1\rB: 2\r\n", "A= 1\rB: 2;" },
		{ "A: 1", "A= 1;" },
		{ "", "" }, { "\r\nA: 1", "" }, { "\r", "" },
	};
	struct header_iter iter;
	struct header_field field;
	char got[200];
	size_t i, len;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		len = 0;
		got[0] = '\0';
		header_iter_init(&iter, str_of(cases[i].in));
		while (header_next(&iter, &field))
			len += (size_t)snprintf(got + len, sizeof(got) - len,
			    "%.*s=%.*s;", STR_FMT(field.name),
			    STR_FMT(field.value));
		assert_string_equal(got, cases[i].want);
	}
	assert_true(header_find(STR("A: 1\r\nsubject: x\r\n"),
	    STR("Subject"), &field));
	assert_int_equal(field.at, 6);
	assert_false(header_find(STR("A: 1\r\n"), STR("B"), &field));
}

static void
test_unfold(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ " x ", "x" }, { " a\r\n b\r\n\tc", "a b\tc" },
		{ " a\n b", "a b" }, { "a\rb", "a b" }, { "", "" },
	};
	struct arena *arena = arena_new(0);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		assert_true(str_eq(header_unfold(arena,
		    str_of(cases[i].in)), str_of(cases[i].want)));
	assert_true(str_eq(header_unfold(arena, str_make("a\0b", 3)),
	    STR("a b")));
	arena_free(&arena);
}

static void
test_content_type(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* NULL: none */
	} cases[] = {
		{ " Text/PLAIN; Charset=\"ISO-2022-JP\"",
		    "text/plain charset=ISO-2022-JP" },
		{ "text/plain", "text/plain" },
		{ "text/plain;", "text/plain" },
		{ "(c) text (c) / (c) html (c) ; (c) a (c) = (c) b (c)",
		    "text/html a=b" },
		{ "a/b; x=\"q\\\"\\\\;\"; y=2", "a/b x=q\"\\; y=2" },
		{ "a/b;\r\n x=1;\r\n\ty=2", "a/b x=1 y=2" },
		{ "a/b; name=two words.pdf; z=1",
		    "a/b name=two words.pdf z=1" },
		{ "a/b; x=1; x=2", "a/b x=1" },
		{ "a/b; x; y=1; =3; z", "a/b y=1" },
		/* RFC 2231 section 3 and 4. */
		{ "a/b; u*0=\"ftp://\"; u*1=\"cs/\"", "a/b u=ftp://cs/" },
		{ "a/b; u*1=b; u*0=a; u*3=x", "a/b u=ab" },
		{ "a/b; t*=us-ascii'en-us'This%20is", "a/b t*=us-ascii'en-us'"
		    "This%20is" },
		{ "a/b; t*0*=utf-8''%e6; t*1*=%97%a5; t*2=\" x\"",
		    "a/b t*=utf-8''%e6%97%a5%20x" },
		{ "a/b; t*0=x; t*1*=%41", "a/b t*=''x%41" },
		{ "a/b; t*1=x", "a/b" },
		{ "text", NULL }, { "", NULL }, { "/plain", NULL },
		{ "text/", NULL }, { "text/;x=y", NULL },
		{ "a/b; x=\"open", "a/b x=open" },
		{ "a/b; x=", "a/b x=" },
	};
	struct arena *arena = arena_new(0);
	struct content_type ct;
	char got[300];
	size_t i, j, len;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		if (!header_content_type(arena, str_of(cases[i].in), &ct)) {
			assert_null(cases[i].want);
			continue;
		}
		len = (size_t)snprintf(got, sizeof(got), "%.*s/%.*s",
		    STR_FMT(ct.type), STR_FMT(ct.subtype));
		for (j = 0; j < ct.params.count; j++)
			len += (size_t)snprintf(got + len, sizeof(got) - len,
			    " %.*s=%.*s", STR_FMT(ct.params.v[j].name),
			    STR_FMT(ct.params.v[j].value));
		assert_non_null(cases[i].want);
		assert_string_equal(got, cases[i].want);
	}
	arena_free(&arena);
}

static void
test_limits(void **state)
{
	struct arena *arena = arena_new(0);
	struct header_iter iter;
	struct header_field field;
	struct content_type ct;
	struct buf buf;
	size_t i, n = 0;

	(void)state;
	buf_init(&buf, 16 << 20);
	for (i = 0; i < 100000; i++)
		buf_add_cstr(&buf, "X: y\r\n");
	header_iter_init(&iter, buf_str(&buf));
	while (header_next(&iter, &field))
		n++;
	assert_int_equal(n, HEADER_FIELDS_MAX);
	buf_reset(&buf);
	buf_add_cstr(&buf, "a/b");
	for (i = 0; i < 1000; i++)
		buf_addf(&buf, "; p*%zu*=x", i);
	assert_true(header_content_type(arena, buf_str(&buf), &ct));
	assert_int_equal(ct.params.count, 1);
	assert_int_equal(ct.params.v[0].value.len, HEADER_PARAMS_MAX);
	buf_reset(&buf);
	buf_add_cstr(&buf, "X: ");
	for (i = 0; i < HEADER_FIELD_MAX; i++)
		buf_add_cstr(&buf, "0123456789abcdef");
	header_iter_init(&iter, buf_str(&buf));
	assert_true(header_next(&iter, &field));
	assert_int_equal(field.value.len, HEADER_FIELD_MAX);
	buf_fini(&buf);
	arena_free(&arena);
}

static void
test_disposition(void **state)
{
	struct arena *arena = arena_new(0);
	struct mail_params params;
	struct str word;

	(void)state;
	assert_true(header_disposition(arena, STR(" Attachment;\r\n"
	    " filename=\"=?UTF-8?B?6aOb6ISa?=.pdf\""), &word, &params));
	assert_true(str_eq(word, STR("attachment")));
	assert_true(str_eq(mail_param_get(&params, STR("filename")),
	    STR("=?UTF-8?B?6aOb6ISa?=.pdf")));
	assert_false(header_disposition(arena, STR(" "), &word, &params));
	assert_true(str_eq(header_token(arena, STR(" (c) BASE64 \r\n")),
	    STR("base64")));
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_unfold),
		cmocka_unit_test(test_content_type),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_disposition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
