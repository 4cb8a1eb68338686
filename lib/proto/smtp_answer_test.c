/* SPDX-License-Identifier: ISC */
/* Answers of servers, whole and one octet at a time; EHLO's extensions. */
#include "base/test.h"

#include "proto/smtp_answer.h"

static const struct {
	const char *in;
	enum smtp_answer_result want;
	unsigned code;
	const char *enhanced;
	const char *text;
} cases[] = {
	{ "250 ok\r\n", SMTP_ANSWER_DONE, 250, "", "ok" },
	{ "250 ok\n", SMTP_ANSWER_DONE, 250, "", "ok" },
	{ "250\r\n", SMTP_ANSWER_DONE, 250, "", "" },
	{ "250 \r\n", SMTP_ANSWER_DONE, 250, "", "" },
	{ "220-a\r\n220-b\r\n220 c\r\n", SMTP_ANSWER_DONE, 220, "",
	    "a\nb\nc" },
	{ "550 5.1.1 no\r\n", SMTP_ANSWER_DONE, 550, "5.1.1", "no" },
	{ "550-5.1.1 no\r\n550 5.1.1 such\r\n", SMTP_ANSWER_DONE, 550,
	    "5.1.1", "no\nsuch" },
	{ "550 5.1.1\r\n", SMTP_ANSWER_DONE, 550, "5.1.1", "" },
	/* Of another class, too long, cut short: ordinary text. */
	{ "550 4.1.1 no\r\n", SMTP_ANSWER_DONE, 550, "", "4.1.1 no" },
	{ "550 5.1.1234 n\r\n", SMTP_ANSWER_DONE, 550, "", "5.1.1234 n" },
	{ "550 5.1. no\r\n", SMTP_ANSWER_DONE, 550, "", "5.1. no" },
	{ "550 5..1 no\r\n", SMTP_ANSWER_DONE, 550, "", "5..1 no" },
	{ "550 5.1.1x\r\n", SMTP_ANSWER_DONE, 550, "", "5.1.1x" },
	{ "550 5", SMTP_ANSWER_MORE, 0, "", "" },
	{ "25", SMTP_ANSWER_MORE, 0, "", "" },
	{ "250-a\r\n", SMTP_ANSWER_MORE, 250, "", "a" },
	{ "\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "25\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "2x0 ok\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "+50 ok\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "199 ok\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "600 ok\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "2500 ok\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "250_ok\r\n", SMTP_ANSWER_BAD, 0, "", "" },
	{ "250-a\r\n251 b\r\n", SMTP_ANSWER_BAD, 250, "", "a" },
	{ "250-a\r\nhello\r\n", SMTP_ANSWER_BAD, 250, "", "a" },
	{ "HTTP/1.1 400 Bad\r\n", SMTP_ANSWER_BAD, 0, "", "" },
};

static enum smtp_answer_result
feed(struct smtp_answer *answer, struct str in, size_t step, size_t *used_r)
{
	enum smtp_answer_result result = SMTP_ANSWER_MORE;
	size_t used;

	*used_r = 0;
	while (*used_r < in.len && result == SMTP_ANSWER_MORE) {
		result = smtp_answer_feed(answer, str_sub(in, *used_r, step),
		    &used);
		*used_r += used;
	}
	return result;
}

static void
test_answers(void **state)
{
	struct smtp_answer answer;
	size_t i, step, used;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		for (step = 1; step < 100; step += 98) {
			smtp_answer_init(&answer);
			if (feed(&answer, str_of(cases[i].in), step, &used) !=
			    cases[i].want || answer.code != cases[i].code ||
			    !str_eq(buf_str(&answer.text),
			    str_of(cases[i].text)))
				fail_msg("%s", cases[i].in);
			assert_string_equal(answer.enhanced,
			    cases[i].enhanced);
			smtp_answer_fini(&answer);
		}
	}
}

static void
test_one_after_another(void **state)
{
	struct str in = STR("250 one\r\n354 5.0.0 two\r\n");
	struct smtp_answer answer;
	size_t used;

	(void)state;
	smtp_answer_init(&answer);
	assert_int_equal(smtp_answer_feed(&answer, in, &used),
	    SMTP_ANSWER_DONE);
	assert_int_equal(used, 9);
	in = str_sub(in, used, in.len);
	assert_int_equal(smtp_answer_feed(&answer, in, &used),
	    SMTP_ANSWER_DONE);
	assert_int_equal(answer.code, 354);
	assert_int_equal(used, in.len);
	smtp_answer_fini(&answer);
}

static void
test_bounds(void **state)
{
	struct smtp_answer answer;
	struct buf in;
	size_t used, i;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_add_cstr(&in, "250 ");
	while (in.len < SMTP_ANSWER_LINE_MAX - 1)
		buf_add_char(&in, 'x');
	buf_add_cstr(&in, "\r\n");
	smtp_answer_init(&answer);
	assert_int_equal(feed(&answer, buf_str(&in), 7, &used),
	    SMTP_ANSWER_DONE);
	smtp_answer_reset(&answer);
	buf_reset(&in);
	buf_add_cstr(&in, "250 ");
	while (in.len <= SMTP_ANSWER_LINE_MAX)
		buf_add_char(&in, 'x');
	assert_int_equal(feed(&answer, buf_str(&in), 7, &used),
	    SMTP_ANSWER_BAD);
	smtp_answer_reset(&answer);
	buf_reset(&in);
	for (i = 0; i < SMTP_ANSWER_LINES_MAX + 2; i++)
		buf_add_cstr(&in, "250-\r\n");
	assert_int_equal(feed(&answer, buf_str(&in), 4096, &used),
	    SMTP_ANSWER_BAD);
	smtp_answer_reset(&answer);
	buf_reset(&in);
	for (i = 0; i < 20; i++) {
		buf_add_cstr(&in, "250-");
		while (in.len % 1000 != 0)
			buf_add_char(&in, 'y');
		buf_add_cstr(&in, "\r\n");
	}
	assert_int_equal(feed(&answer, buf_str(&in), 4096, &used),
	    SMTP_ANSWER_BAD);
	smtp_answer_fini(&answer);
	buf_fini(&in);
}

static void
test_text(void **state)
{
	struct smtp_answer answer;
	struct buf out;
	size_t used;

	(void)state;
	buf_init(&out, 4096);
	smtp_answer_init(&answer);
	(void)smtp_answer_feed(&answer, STR("550-5.7.1 a\x01\x1b[2J\r\n"
	    "550 \xe9t\xc3\xa9\xff\r\n"), &used);
	smtp_answer_put(&answer, 200, &out);
	assert_true(str_eq(buf_str(&out),
	    STR("550 5.7.1 a  [2J ?t\xc3\xa9?")));
	buf_reset(&out);
	/* Never half a character. */
	smtp_put_one_line(&out, STR("ab\xc3\xa9"), 3);
	assert_true(str_eq(buf_str(&out), STR("ab")));
	smtp_answer_fini(&answer);
	buf_fini(&out);
}

static void
test_caps(void **state)
{
	struct smtp_caps caps;

	(void)state;
	smtp_caps_read(STR("mx.example.org greets you\npipelining\n"
	    "SIZE 1000\n8BITMIME\nSMTPUTF8\nDSN\nCHUNKING\nBINARYMIME\n"
	    "REQUIRETLS\nENHANCEDSTATUSCODES\nSTARTTLS\n"
	    "AUTH  CRAM-MD5 plain LOGIN SCRAM-SHA-256\n"
	    "LIMITS RCPTMAX=20 MAILMAX=5 X=y RCPTMAX\nXYZ 1 2\n"), &caps);
	assert_int_equal(caps.extensions, 4095);
	assert_int_equal(caps.mechanisms, 7);
	assert_int_equal(caps.size_octets, 1000);
	assert_int_equal(caps.rcpt_max, 20);
	assert_int_equal(caps.mail_max, 5);
	assert_string_equal(caps.name, "mx.example.org");
	smtp_caps_read(STR("x\nSIZE\nAUTH=PLAIN\nSIZE 99999999999999999999\n"
	    "STARTTLSX\n"), &caps);
	assert_int_equal(caps.extensions, SMTP_X_SIZE | SMTP_X_AUTH);
	assert_int_equal(caps.mechanisms, SMTP_M_PLAIN);
	assert_int_equal(caps.size_octets, 0);
	/* The greeting line is no keyword. */
	smtp_caps_read(STR("STARTTLS"), &caps);
	assert_int_equal(caps.extensions, 0);
	smtp_caps_read(STR_NONE, &caps);
	assert_string_equal(caps.name, "");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_one_after_another),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_caps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
