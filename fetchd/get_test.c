/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "fetchd/get.h"

static void
test_path(void **state)
{
	static const struct {
		const char *path;
		bool is_good;
	} cases[] = {
		{ "/", true },
		{ "/.well-known/mta-sts.txt", true },
		{ "/a?b=c&d=%20", true },
		{ "", false },
		{ "a", false },
		{ "@evil.test/", false },
		{ ":80/", false },
		{ "/a b", false },
		{ "/a\r\nX: y", false },
		{ "/a\tb", false },
		{ "/a#b", false },
		{ "/a\\b", false },
		{ "/\xe3\x81\x82", false },
		{ "/\x7f", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		if (get_is_path(str_of(cases[i].path)) != cases[i].is_good)
			fail_msg("%s", cases[i].path);
	assert_false(get_is_path(str_make("/a\0b", 4)));
}

static void
unexpected(void *ctx, const struct http_answer *got)
{
	(void)ctx;
	(void)got;
	fail();
}

/* What is refused before anybody is asked. */
static void
test_refused(void **state)
{
	static const struct {
		const char *host;
		const char *path;
		size_t running;
		int want;
	} cases[] = {
		{ "127.0.0.1", "/", 0, ERR_SYNTAX },
		{ "0x7f.1", "/", 0, ERR_SYNTAX },
		{ "2130706433", "/", 0, ERR_SYNTAX },
		{ "[::1]", "/", 0, ERR_SYNTAX },
		{ "a@b.test", "/", 0, ERR_SYNTAX },
		{ "a.test:80", "/", 0, ERR_SYNTAX },
		{ "a.test/x", "/", 0, ERR_SYNTAX },
		{ "", "/", 0, ERR_SYNTAX },
		{ ".", "/", 0, ERR_SYNTAX },
		{ "a.test", "x", 0, ERR_SYNTAX },
		{ "a.test", "/", GET_RUNNING_MAX, ERR_TEMP },
	};
	struct getter getter = { .port = 443 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		getter.running = cases[i].running;
		if (get_start(&getter, str_of(cases[i].host),
		    str_of(cases[i].path), 100, 1000, unexpected, NULL,
		    NULL) != cases[i].want)
			fail_msg("%s", cases[i].host);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
