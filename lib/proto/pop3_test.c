/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "proto/pop3.h"

static void
test_commands(void **state)
{
	static const struct {
		const char *in;
		int want;
		enum pop3_verb verb;
		const char *arg;
		uint32_t number;
		uint32_t lines;
	} cases[] = {
		{ "USER alice@example.com", 0, POP3_USER,
		    "alice@example.com", 0, 0 },
		{ "pass  a b ", 0, POP3_PASS, " a b ", 0, 0 },
		{ "PASS", ERR_SYNTAX, 0, "", 0, 0 },
		{ "STAT", 0, POP3_STAT, "", 0, 0 },
		{ "STAT ", 0, POP3_STAT, "", 0, 0 },
		{ "STAT 1", ERR_SYNTAX, 0, "", 0, 0 },
		{ "LIST", 0, POP3_LIST, "", 0, 0 },
		{ "LIST 12", 0, POP3_LIST, "", 12, 0 },
		{ "LIST 0", ERR_SYNTAX, 0, "", 0, 0 },
		{ "LIST 1 2", ERR_SYNTAX, 0, "", 0, 0 },
		{ "RETR", ERR_SYNTAX, 0, "", 0, 0 },
		{ "RETR -1", ERR_SYNTAX, 0, "", 0, 0 },
		{ "RETR 99999999999", 0, POP3_RETR, "", UINT32_MAX, 0 },
		{ "DELE 3", 0, POP3_DELE, "", 3, 0 },
		{ "TOP 1 0", 0, POP3_TOP, "", 1, 0 },
		{ "TOP 1  20", 0, POP3_TOP, "", 1, 20 },
		{ "TOP 1", ERR_SYNTAX, 0, "", 0, 0 },
		{ "UIDL", 0, POP3_UIDL, "", 0, 0 },
		{ "CAPA", 0, POP3_CAPA, "", 0, 0 },
		{ "STLS", 0, POP3_STLS, "", 0, 0 },
		{ "AUTH", 0, POP3_AUTH, "", 0, 0 },
		{ "AUTH PLAIN", 0, POP3_AUTH, "PLAIN", 0, 0 },
		{ "AUTH PLAIN = x", ERR_SYNTAX, 0, "", 0, 0 },
		{ "UTF8", 0, POP3_UTF8, "", 0, 0 },
		{ "LANG *", 0, POP3_LANG, "*", 0, 0 },
		{ "XTND", ERR_SYNTAX, 0, "", 0, 0 },
		{ "", ERR_SYNTAX, 0, "", 0, 0 },
		{ "NOOP\tx", ERR_SYNTAX, 0, "", 0, 0 },
		{ "USER a\nDELE 1", ERR_SYNTAX, 0, "", 0, 0 },
	};
	struct pop3_command cmd;
	const char *problem;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		if (pop3_parse(str_of(cases[i].in), &cmd, &problem) !=
		    cases[i].want)
			fail_msg("%s", cases[i].in);
		if (cases[i].want != 0) {
			assert_true(problem[0] != '\0');
			continue;
		}
		assert_int_equal(cmd.verb, cases[i].verb);
		assert_true(str_eq(cmd.arg, str_of(cases[i].arg)));
		assert_int_equal(cmd.number, cases[i].number);
		assert_int_equal(cmd.has_number, cases[i].number != 0);
		assert_int_equal(cmd.lines, cases[i].lines);
		assert_true(cmd.legal != 0);
	}
}

static void
test_answers(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 200);
	pop3_put_ok(&out, STR(""));
	pop3_put_ok(&out, STR("2 320"));
	pop3_put_err(&out, NULL, STR("no\r\n+OK"));
	pop3_put_err(&out, "IN-USE", STR("locked"));
	assert_true(str_eq(buf_str(&out), STR("+OK\r\n+OK 2 320\r\n"
	    "-ERR no??+OK\r\n-ERR [IN-USE] locked\r\n")));
	buf_fini(&out);
}

static void
test_dotstuff(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "", ".\r\n" },
		{ "a\r\n", "a\r\n.\r\n" },
		{ "a", "a\r\n.\r\n" },
		{ ".\r\n..\r\n", "..\r\n...\r\n.\r\n" },
		{ "a\n.\nb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r.\rb", "a\r\n..\r\nb\r\n.\r\n" },
		{ "a\r", "a\r\n.\r\n" },
		{ "\r\r\n", "\r\n\r\n.\r\n" },
		{ "x.\r\ny.z", "x.\r\ny.z\r\n.\r\n" },
	};
	struct dotstuff dotstuff;
	struct buf out;
	size_t i, at, step;

	(void)state;
	buf_init(&out, 200);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (step = 1; step < 12; step++) {
			struct str in = str_of(cases[i].in);

			buf_reset(&out);
			dotstuff_init(&dotstuff);
			for (at = 0; at < in.len; at += step)
				dotstuff_add(&dotstuff,
				    str_sub(in, at, step), &out);
			dotstuff_end(&dotstuff, &out);
			assert_true(str_eq(buf_str(&out),
			    str_of(cases[i].want)));
		}
	buf_fini(&out);
}

static void
test_top(void **state)
{
	static const char mail[] = "A: b\r\nC: d\r\n\r\none\r\ntwo\r\n";
	static const struct {
		const char *in;
		uint32_t lines;
		size_t want;
		bool is_done;
	} cases[] = {
		{ mail, 0, 14, true },
		{ mail, 1, 19, true },
		{ mail, 2, 24, true },
		{ mail, 3, 24, false },
		{ "A: b\n\nx\ny\n", 1, 8, true },
		{ "\r\nx\r\n", 0, 2, true },
		{ "no body", 0, 7, false },
	};
	struct pop3_top top;
	size_t i, j, taken;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct str in = str_of(cases[i].in);

		pop3_top_init(&top, cases[i].lines);
		assert_int_equal(pop3_top_take(&top, in), cases[i].want);
		assert_int_equal(top.is_done, cases[i].is_done);
		pop3_top_init(&top, cases[i].lines);
		for (j = taken = 0; j < in.len; j++)
			taken += pop3_top_take(&top, str_sub(in, j, 1));
		assert_int_equal(taken, cases[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_dotstuff),
		cmocka_unit_test(test_top),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
