/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "proto/line.h"
#include "proto/sasl.h"
#include "proto/smtp.h"
#include "proto/smtp_chunk.h"
#include "proto/smtp_data.h"
#include "proto/smtp_params.h"

static void
test_commands(void **state)
{
	static const struct {
		const char *in;
		int want;
		enum smtp_verb verb;
		const char *arg;
		const char *path;
		unsigned code;
	} cases[] = {
		{ "EHLO mail.example.com", 0, SMTP_EHLO, "mail.example.com",
		    "", 0 },
		{ "helo [192.0.2.1] ", 0, SMTP_HELO, "[192.0.2.1]", "", 0 },
		{ "LHLO", ERR_SYNTAX, 0, "", "", 501 },
		{ "EHLO a b", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<>", 0, SMTP_MAIL, "", "", 0 },
		{ "mail from: <a@b>", 0, SMTP_MAIL, "", "a@b", 0 },
		{ "MAIL FROM:<\"a>b\"@c> SIZE=5", 0, SMTP_MAIL, "",
		    "\"a>b\"@c", 0 },
		{ "MAIL FROM:<\"a\\\"> b\"@c>", 0, SMTP_MAIL, "",
		    "\"a\\\"> b\"@c", 0 },
		{ "MAIL FROM:a@b", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a@b", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a@b>x", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a <b>@c>", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<\"a@b>", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a@b> SIZE=x", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a@b> SIZE=1 SIZE=1", ERR_SYNTAX, 0, "", "",
		    501 },
		{ "MAIL FROM:<a@b> BODY=9BIT", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a@b> X=1 x=2", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL FROM:<a@b> =1", ERR_SYNTAX, 0, "", "", 501 },
		{ "MAIL TO:<a@b>", ERR_SYNTAX, 0, "", "", 501 },
		{ "RCPT TO:<@x,@y:a@b>", 0, SMTP_RCPT, "", "a@b", 0 },
		{ "RCPT TO:<@x>", ERR_SYNTAX, 0, "", "", 501 },
		{ "RCPT TO:<Postmaster>", 0, SMTP_RCPT, "", "Postmaster", 0 },
		{ "RCPT TO:<>", ERR_SYNTAX, 0, "", "", 501 },
		{ "DATA", 0, SMTP_DATA, "", "", 0 },
		{ "DATA  ", 0, SMTP_DATA, "", "", 0 },
		{ "DATA x", ERR_SYNTAX, 0, "", "", 501 },
		{ "BDAT 10 LAST", 0, SMTP_BDAT, "", "", 0 },
		{ "BDAT 9223372036854775808", ERR_SYNTAX, 0, "", "", 501 },
		{ "BDAT -1", ERR_SYNTAX, 0, "", "", 501 },
		{ "BDAT 1 FIRST", ERR_SYNTAX, 0, "", "", 501 },
		{ "NOOP whatever", 0, SMTP_NOOP, "whatever", "", 0 },
		{ "VRFY", ERR_SYNTAX, 0, "", "", 501 },
		{ "EXPN list", 0, SMTP_EXPN, "list", "", 0 },
		{ "HELP", 0, SMTP_HELP, "", "", 0 },
		{ "STARTTLS", 0, SMTP_STARTTLS, "", "", 0 },
		{ "STARTTLS now", ERR_SYNTAX, 0, "", "", 501 },
		{ "AUTH PLAIN =", 0, SMTP_AUTH, "PLAIN", "", 0 },
		{ "AUTH", ERR_SYNTAX, 0, "", "", 501 },
		{ "AUTH PLAIN a b", ERR_SYNTAX, 0, "", "", 501 },
		{ "AUTH A/B", ERR_SYNTAX, 0, "", "", 501 },
		{ "BOGUS", ERR_SYNTAX, 0, "", "", 500 },
		{ "", ERR_SYNTAX, 0, "", "", 500 },
		{ "NOOP a\rb", ERR_SYNTAX, 0, "", "", 500 },
		{ "NOOP a\nb", ERR_SYNTAX, 0, "", "", 500 },
		{ "NOOP \x7f", ERR_SYNTAX, 0, "", "", 500 },
	};
	struct smtp_command cmd;
	struct smtp_refusal refusal;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		refusal = (struct smtp_refusal){ 0 };
		if (smtp_parse(str_of(cases[i].in), &cmd, &refusal) !=
		    cases[i].want)
			fail_msg("%s", cases[i].in);
		assert_int_equal(refusal.code, cases[i].code);
		if (cases[i].want != 0)
			continue;
		assert_int_equal(cmd.verb, cases[i].verb);
		assert_true(str_eq(cmd.arg, str_of(cases[i].arg)));
		assert_true(str_eq(cmd.path, str_of(cases[i].path)));
	}
}

static void
test_params(void **state)
{
	struct smtp_command cmd;
	struct smtp_refusal refusal;

	(void)state;
	assert_int_equal(smtp_parse(STR("MAIL FROM:<a@b> size=99999999999999"
	    "999999999 BODY=8bitmime AUTH=a+2Bb RET=HDRS SMTPUTF8"), &cmd,
	    &refusal), 0);
	assert_true(cmd.has_size && cmd.size_octets == UINT64_MAX);
	assert_int_equal(cmd.body, SMTP_BODY_8BITMIME);
	assert_true(cmd.has_auth && str_eq(cmd.auth, STR("a+2Bb")));
	assert_int_equal(cmd.n_params, 2);
	assert_true(str_eq(cmd.params[0].value, STR("HDRS")));
	assert_true(str_eq(cmd.params[1].name, STR("SMTPUTF8")));
	assert_null(cmd.params[1].value.p);
	assert_int_equal(smtp_parse(STR("BDAT 10 last"), &cmd, &refusal), 0);
	assert_true(cmd.is_last && cmd.chunk_octets == 10);
	/* A NUL anywhere, and what the offset points at. */
	assert_int_equal(smtp_parse(STR("NOOP \0x"), &cmd, &refusal),
	    ERR_SYNTAX);
	assert_int_equal(refusal.offset, 5);
}

static void
test_line_limits(void **state)
{
	static const struct {
		const char *begin;
		size_t len;
		int want;
	} cases[] = {
		{ "NOOP ", SMTP_LINE_MAX - 2, 0 },
		{ "NOOP ", SMTP_LINE_MAX - 1, ERR_LIMIT },
		{ "AUTH PLAIN ", SMTP_AUTH_LINE_MAX - 2, 0 },
		{ "AUTH PLAIN ", SMTP_AUTH_LINE_MAX - 1, ERR_LIMIT },
	};
	static char line[SMTP_AUTH_LINE_MAX];
	struct smtp_command cmd;
	struct smtp_refusal refusal;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		memset(line, 'A', sizeof(line));
		memcpy(line, cases[i].begin, strlen(cases[i].begin));
		assert_int_equal(smtp_parse(str_make(line, cases[i].len),
		    &cmd, &refusal), cases[i].want);
	}
}

static void
test_replies(void **state)
{
	static const struct {
		const char *enhanced;
		const char *text;
		const char *want;
	} cases[] = {
		{ NULL, "ok", "250 ok\r\n" },
		{ "2.0.0", "ok", "250 2.0.0 ok\r\n" },
		{ "2.0.0", "a\nb", "250-2.0.0 a\r\n250 2.0.0 b\r\n" },
		{ NULL, "a\r\nb\x01\xff", "250-a?\r\n250 b??\r\n" },
		{ NULL, "", "250 \r\n" },
	};
	static char huge[1200];
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		smtp_put_reply(&out, 250, cases[i].enhanced,
		    str_of(cases[i].text));
		assert_true(str_eq(buf_str(&out), str_of(cases[i].want)));
	}
	buf_reset(&out);
	memset(huge, 'x', sizeof(huge));
	smtp_put_reply(&out, 550, "5.0.0", str_make(huge, sizeof(huge)));
	assert_int_equal(out.len, 1200 + 3 * 12);
	buf_reset(&out);
	smtp_put_line(&out, 250, false, STR("SIZE 1\n250 x"));
	assert_true(str_eq(buf_str(&out), STR("250-SIZE 1?250 x\r\n")));
	buf_fini(&out);
}

static void
test_xtext(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_int_equal(smtp_add_unxtext(&out, STR("a+2Bb+3D")), 0);
	assert_true(str_eq(buf_str(&out), STR("a+b=")));
	assert_int_equal(smtp_add_unxtext(&out, STR("a=")), ERR_SYNTAX);
	assert_int_equal(smtp_add_unxtext(&out, STR("a+2")), ERR_SYNTAX);
	assert_int_equal(smtp_add_unxtext(&out, STR("+2b")), ERR_SYNTAX);
	assert_int_equal(out.len, 4);
	buf_fini(&out);
}

/* Feed in step octets at a time; the answer is a log of what came out. */
static void
cut_lines(struct str in, size_t step, bool is_strict, struct buf *log)
{
	static const char *const names[] = { "", "", "!long ", "!bad " };
	enum line_result result;
	struct line line;
	struct str text;
	size_t from = 0, have = 0, used;

	line_init(&line, 8, is_strict);
	while (have < in.len) {
		have = have + step < in.len ? have + step : in.len;
		do {
			result = line_next(&line,
			    str_sub(in, from, have - from), &text, &used);
			from += used;
			if (result == LINE_MORE)
				continue;
			buf_add_cstr(log, names[result]);
			buf_add_str(log, text);
			buf_add_char(log, '|');
		} while (result != LINE_MORE);
	}
}

static void
test_lines(void **state)
{
	static const struct {
		const char *in;
		bool is_strict;
		const char *want;
	} cases[] = {
		{ "a\r\nbc\r\n", true, "a|bc|" },
		{ "a\nbc\r\n", true, "!bad a|bc|" },
		{ "a\nbc\r\n", false, "a|bc|" },
		{ "123456\r\nx\r\n", true, "123456|x|" },
		{ "1234567\r\nx\r\n", true, "!long |x|" },
		{ "12345678901234567890\r\nx\r\n", true, "!long |x|" },
		{ "\r\n\r\n", true, "||" },
		{ "a\rb\r\n", true, "a\rb|" },
		{ "abc", true, "" },
	};
	struct buf log;
	size_t i, step;

	(void)state;
	buf_init(&log, 1000);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (step = 1; step < 24; step++) {
			buf_reset(&log);
			cut_lines(str_of(cases[i].in), step,
			    cases[i].is_strict, &log);
			assert_true(str_eq(buf_str(&log),
			    str_of(cases[i].want)));
		}
	buf_fini(&log);
}

static size_t
unframe(struct str in, size_t step, uint64_t max, struct buf *body,
    enum smtp_data_verdict *verdict_r)
{
	enum smtp_data_result result = SMTP_DATA_MORE;
	struct smtp_data d;
	struct str span;
	size_t at = 0, used;

	buf_reset(body);
	smtp_data_init(&d, max);
	while (at < in.len && result == SMTP_DATA_MORE) {
		result = smtp_data_next(&d, str_sub(in, at, step), &span,
		    &used);
		buf_add_str(body, span);
		at += used;
	}
	*verdict_r = d.verdict;
	assert_int_equal(d.size_octets, body->len);
	return result == SMTP_DATA_END ? at : 0;
}

static void
test_data(void **state)
{
	static const struct {
		const char *in;
		size_t want_used;	/* 0: it does not end */
		enum smtp_data_verdict verdict;
		const char *body;	/* NULL: whatever */
	} cases[] = {
		{ ".\r\nQUIT\r\n", 3, SMTP_DATA_OK, "" },
		{ "a\r\n.\r\nQUIT\r\n", 6, SMTP_DATA_OK, "a\r\n" },
		{ "..a\r\n.\r\n", 8, SMTP_DATA_OK, ".a\r\n" },
		{ ".a\r\n..\r\n.\r\n", 11, SMTP_DATA_OK, "a\r\n.\r\n" },
		{ "a.\r\n.\r\n", 7, SMTP_DATA_OK, "a.\r\n" },
		{ "\r\n.\r\n", 5, SMTP_DATA_OK, "\r\n" },
		{ "a\n.\nMAIL\r\n.\r\n", 13, SMTP_DATA_BAD_LINE_END, "a" },
		{ "a\n.\r\nMAIL\r\n.\r\n", 14, SMTP_DATA_BAD_LINE_END,
		    NULL },
		{ "a\r\n.\nMAIL\r\n.\r\n", 14, SMTP_DATA_BAD_LINE_END,
		    NULL },
		{ "a\r.\r\nMAIL\r\n.\r\n", 14, SMTP_DATA_BAD_LINE_END,
		    NULL },
		{ "a\r\n.\rMAIL\r\n.\r\n", 14, SMTP_DATA_BAD_LINE_END,
		    NULL },
		{ "a\r.\rMAIL\r\n.\r\n", 13, SMTP_DATA_BAD_LINE_END, NULL },
		{ "a\r\r\n.\r\nQ\r\n", 7, SMTP_DATA_BAD_LINE_END, NULL },
		{ "\n.\r\n.\r\n", 7, SMTP_DATA_BAD_LINE_END, "" },
		{ ".\n.\r\r\n.\r\n", 9, SMTP_DATA_BAD_LINE_END, NULL },
		{ "a\n.\n", 0, SMTP_DATA_BAD_LINE_END, NULL },
		{ "0123456789\r\n.\r\n", 15, SMTP_DATA_OK, NULL },
		{ "01234567890\r\n.\r\n", 16, SMTP_DATA_TOO_BIG,
		    "01234567890\r" },
		{ "abc", 0, SMTP_DATA_OK, "abc" },
	};
	enum smtp_data_verdict verdict;
	struct buf body;
	size_t i, step;

	(void)state;
	buf_init(&body, 100);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (step = 1; step < 20; step++) {
			assert_int_equal(unframe(str_of(cases[i].in), step,
			    12, &body, &verdict), cases[i].want_used);
			assert_int_equal(verdict, cases[i].verdict);
			if (cases[i].body != NULL)
				assert_true(str_eq(buf_str(&body),
				    str_of(cases[i].body)));
		}
	buf_fini(&body);
}

/* A dot, a bare CR and a bare LF at each place of a block are seen. */
static void
test_data_blocks(void **state)
{
	static const struct {
		const char *put;
		enum smtp_data_verdict verdict;
		size_t lost;		/* octets of it not in the body */
	} cases[] = {
		{ "\r\n..", SMTP_DATA_OK, 1 },
		{ "\r\n.x", SMTP_DATA_OK, 1 },
		{ "x.\r\n", SMTP_DATA_OK, 0 },
		{ "x\nxx", SMTP_DATA_BAD_LINE_END, 0 },
		{ "x\rxx", SMTP_DATA_BAD_LINE_END, 0 },
		{ "\n\r\n.", SMTP_DATA_BAD_LINE_END, 0 },
	};
	static char in[305];
	enum smtp_data_verdict verdict;
	struct buf body;
	size_t i, at;

	(void)state;
	buf_init(&body, 1000);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (at = 0; at < 290; at++) {
			memset(in, 'a', 300);
			memcpy(in + at, cases[i].put, 4);
			memcpy(in + 300, "\r\n.\r\n", 5);
			assert_int_equal(unframe(str_make(in, 305), 305,
			    1000, &body, &verdict), 305);
			assert_int_equal(verdict, cases[i].verdict);
			if (verdict == SMTP_DATA_OK)
				assert_int_equal(body.len,
				    302 - cases[i].lost);
		}
	buf_fini(&body);
}

static void
test_sasl(void **state)
{
	static char many[SASL_LINE_MAX + 4];
	struct buf out;

	(void)state;
	memset(many, 'A', sizeof(many));
	buf_init(&out, SASL_LINE_MAX);
	assert_int_equal(sasl_read_line(STR("*"), &out), SASL_LINE_CANCEL);
	assert_int_equal(sasl_read_line(STR(""), &out), SASL_LINE_DATA);
	assert_int_equal(sasl_read_line(STR("="), &out), SASL_LINE_BAD);
	assert_int_equal(sasl_read_initial(STR("="), &out), SASL_LINE_DATA);
	assert_int_equal(sasl_read_initial(STR(""), &out), SASL_LINE_BAD);
	assert_int_equal(sasl_read_line(STR("YWI"), &out), SASL_LINE_BAD);
	assert_int_equal(out.len, 0);
	assert_int_equal(sasl_read_line(STR("YWI="), &out), SASL_LINE_DATA);
	assert_true(str_eq(buf_str(&out), STR("ab")));
	assert_int_equal(sasl_read_line(str_make(many, SASL_LINE_MAX), &out),
	    SASL_LINE_DATA);
	assert_int_equal(sasl_read_line(str_make(many, sizeof(many)), &out),
	    SASL_LINE_LONG);
	buf_reset(&out);
	sasl_put_challenge(&out, "334 ", STR("ab"));
	assert_true(str_eq(buf_str(&out), STR("334 YWI=\r\n")));
	assert_true(sasl_is_mechanism(STR("SCRAM-SHA-256-PLUS")));
	assert_false(sasl_is_mechanism(STR("A-NAME-OVER-TWENTY-XX")));
	buf_fini(&out);
}

/* "MAIL FROM:<a@b> ..." with every extension offered but those in without. */
static int
mail_of(const char *params, unsigned offered, struct smtp_mail_params *mail,
    struct smtp_refusal *refusal)
{
	struct smtp_command cmd;
	static char line[4096];

	(void)snprintf(line, sizeof(line), "MAIL FROM:<a@b> %s", params);
	assert_int_equal(smtp_parse(str_of(line), &cmd, refusal), 0);
	return smtp_mail_params(&cmd, offered, 1795322730, mail, refusal);
}

static void
test_mail_extensions(void **state)
{
	static const struct {
		const char *in;
		unsigned code;		/* 0: good */
	} cases[] = {
		{ "RET=FULL ENVID=QQ+2B314 SMTPUTF8 REQUIRETLS", 0 },
		{ "ret=hdrs HOLDFOR=3600", 0 },
		{ "HOLDUNTIL=2026-11-23T09:00:00Z", 0 },
		{ "HOLDUNTIL=2026-11-23T09:00:00+09:00;C", 0 },
		{ "HOLDUNTIL=2026-11-23;C", 501 },
		{ "HOLDUNTIL=2027-11-23T09:00:00Z", 501 },
		{ "HOLDFOR=99999999", 501 },
		{ "HOLDFOR=1 HOLDUNTIL=2026-11-23T09:00:00Z", 501 },
		{ "HOLDFOR=-1", 501 },
		{ "RET=BODY", 501 },
		{ "RET", 501 },
		{ "ENVID=a+0Ab", 501 },
		{ "ENVID=a+4", 501 },
		{ "SMTPUTF8=1", 501 },
		{ "MT-PRIORITY=3", 555 },
	};
	struct smtp_mail_params mail;
	struct smtp_refusal refusal;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		refusal.code = 0;
		rc = mail_of(cases[i].in, ~0U, &mail, &refusal);
		if (rc != (cases[i].code != 0 ? ERR_SYNTAX : 0) ||
		    refusal.code != cases[i].code)
			fail_msg("%s: %u", cases[i].in, refusal.code);
	}
	assert_int_equal(mail_of("RET=FULL ENVID=x SMTPUTF8", ~0U, &mail,
	    &refusal), 0);
	assert_true(mail.is_utf8 && !mail.requires_tls);
	assert_int_equal(mail.ret, SMTP_RET_FULL);
	assert_true(str_eq(mail.envid, STR("x")));
	assert_int_equal(mail_of("HOLDFOR=60", ~0U, &mail, &refusal), 0);
	assert_int_equal(mail.hold_until_s, 1795322790);
	assert_int_equal(mail_of("HOLDFOR=60", SMTP_X_DSN, &mail, &refusal),
	    ERR_SYNTAX);
	assert_int_equal(refusal.code, 555);
}

static void
test_rcpt_extensions(void **state)
{
	static const struct {
		const char *in;
		int want;		/* notify, or -1 */
	} cases[] = {
		{ "NOTIFY=NEVER", SMTP_NOTIFY_NEVER },
		{ "notify=success,Failure", SMTP_NOTIFY_SUCCESS |
		    SMTP_NOTIFY_FAILURE },
		{ "NOTIFY=DELAY ORCPT=rfc822;a+2Bb@c", SMTP_NOTIFY_DELAY },
		{ "ORCPT=utf-8;\xe9\x88\xb4@c", 0 },
		{ "ORCPT=rfc822;\xe9\x88\xb4@c", -1 },
		{ "NOTIFY=NEVER,DELAY", -1 },
		{ "NOTIFY=", -1 },
		{ "NOTIFY=SUCCESS,", -1 },
		{ "NOTIFY=MAYBE", -1 },
		{ "ORCPT=a@b", -1 },
		{ "ORCPT=rfc822;", -1 },
		{ "ORCPT=rfc 822;a", -1 },
		{ "ORCPT=rfc822;a+0D+0Ab", -1 },
	};
	struct smtp_rcpt_params rcpt;
	struct smtp_refusal refusal;
	struct smtp_command cmd;
	char line[256];
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		(void)snprintf(line, sizeof(line), "RCPT TO:<a@b> %s",
		    cases[i].in);
		rc = smtp_parse(str_of(line), &cmd, &refusal);
		if (rc == 0)
			rc = smtp_rcpt_params(&cmd, SMTP_X_DSN, &rcpt,
			    &refusal);
		if (rc != (cases[i].want == -1 ? ERR_SYNTAX : 0) ||
		    (rc == 0 && (int)rcpt.notify != cases[i].want))
			fail_msg("%s", cases[i].in);
	}
}

/* The verdict of octets cut into chunks of n, LAST with the rest. */
static enum smtp_data_verdict
chunks_of(struct str in, size_t n, uint64_t max, bool is_binary,
    uint64_t *size_r)
{
	struct smtp_chunk chunk;
	struct str span;
	size_t len, used;

	smtp_chunk_init(&chunk, max, is_binary);
	do {
		len = in.len < n ? in.len : n;
		smtp_chunk_begin(&chunk, len, len == in.len);
		while (!smtp_chunk_next(&chunk, str_sub(in, 0, 1), &span,
		    &used))
			in = str_sub(in, used, in.len);
		in = str_sub(in, used, in.len);
	} while (in.len != 0);
	*size_r = chunk.size_octets;
	return chunk.verdict;
}

static void
test_chunks(void **state)
{
	static const struct {
		struct str in;
		bool is_binary;
		enum smtp_data_verdict want;
	} cases[] = {
		{ { "a: b\r\n\r\nc\r\n", 11 }, false, SMTP_DATA_OK },
		{ { "a: b\r\n.\r\nc", 10 }, false, SMTP_DATA_OK },
		{ { "", 0 }, false, SMTP_DATA_OK },
		{ { "a\nb", 3 }, false, SMTP_DATA_BAD_LINE_END },
		{ { "a\rb", 3 }, false, SMTP_DATA_BAD_LINE_END },
		{ { "a\r\r\n", 4 }, false, SMTP_DATA_BAD_LINE_END },
		{ { "a\r", 2 }, false, SMTP_DATA_BAD_LINE_END },
		{ { "a\r\0\n", 4 }, true, SMTP_DATA_OK },
	};
	uint64_t size;
	size_t i, n;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++)
		for (n = 1; n < 13; n++) {
			assert_int_equal(chunks_of(cases[i].in, n, 100,
			    cases[i].is_binary, &size), cases[i].want);
			if (cases[i].want == SMTP_DATA_OK)
				assert_int_equal(size, cases[i].in.len);
		}
	assert_int_equal(chunks_of(STR("0123456789"), 3, 9, false, &size),
	    SMTP_DATA_TOO_BIG);
	assert_int_equal(size, 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_line_limits),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_data_blocks),
		cmocka_unit_test(test_mail_extensions),
		cmocka_unit_test(test_rcpt_extensions),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_sasl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
