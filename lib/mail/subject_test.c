/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/charset.h"
#include "mail/subject.h"

static const struct {
	const char *value;
	const char *base;
	bool is_reply;
} cases[] = {
	{ "hello", "hello", false },
	{ " Re: hello", "hello", true },
	{ "RE:Re: fw: FWD: hello", "hello", true },
	{ "Re[2]: hello", "hello", true },
	{ "Re [2] : hello", "hello", true },
	{ "[list] hello", "hello", false },
	{ "[list] Re: [other] hello", "hello", true },
	{ "[list]", "[list]", false },
	{ "[a][b]", "[b]", false },
	{ "hello (fwd)", "hello", true },
	{ "hello (fwd) (FWD) ", "hello", true },
	{ "[Fwd: hello]", "hello", true },
	{ "[fwd: [Fwd: Re: hello (fwd)]]", "hello", true },
	{ "a\t b\r\n  c", "a b c", false },
	{ "Regarding", "regarding", false },
	{ "Re", "re", false },
	{ "Re:", "", true },
	{ "", "", false },
	{ "=?utf-8?q?Re:_caf=C3=89?=", "caf\xc3\xa9", true },
	{ "\xef\xbc\xb2\xef\xbd\x85\xef\xbc\x9a\xe4\xbc\x9a", "\xe4\xbc\x9a",
	    true },
	{ "=?iso-2022-jp?B?UmU6IBskQjJxNUQbKEI=?=",
	    "\xe4\xbc\x9a\xe8\xad\xb0", true },
};

static void
test_base(void **state)
{
	struct arena *arena = arena_new(0);
	struct str base;
	bool is_reply;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		is_reply = subject_base(arena, str_of(cases[i].value), &base);
		if (!str_eq(base, str_of(cases[i].base)) ||
		    is_reply != cases[i].is_reply)
			fail_msg("\"%s\": \"%.*s\" %d", cases[i].value,
			    STR_FMT(base), is_reply);
	}
	arena_free(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base),
	};

	charset_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
