/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/dsn.h"

static struct str
line_of(struct str text, const char *begin)
{
	size_t at = str_find_str(text, str_of(begin));
	struct str rest;

	if (at == STR_NPOS)
		fail_msg("no line %s in\n%.*s", begin, STR_FMT(text));
	return str_cut(str_sub(text, at, text.len), '\r',
	    &rest);
}

static void
expect(struct str text, const char *line)
{
	struct str got = line_of(text, line);

	if (!str_eq(got, str_of(line)))
		fail_msg("want %s\ngot  %.*s", line, STR_FMT(got));
}

static void
test_report(void **state)
{
	const struct dsn_rcpt rcpts[] = {
		{ .action = DSN_FAILED, .address = STR("bob@example.org"),
		  .orcpt = STR("rfc822;Bob+2BX@example.org"),
		  .status = STR("5.1.1"),
		  .remote = STR("mx.example.org [192.0.2.1]:25"),
		  .reason = STR("550 5.1.1 no such user") },
		{ .action = DSN_DELAYED, .address = STR("c@example.net"),
		  .status = STR("4.4.1"), .reason = STR("no answer"),
		  .retry_until_s = 1795754730 },
	};
	struct dsn dsn = { .hostname = STR("mail.example.test"),
		.to = STR("alice@example.test"), .envid = STR("QQ+3D1"),
		.arrived_s = 1795322730, .now_s = 1795322790,
		.returned = DSN_RETURN_HEADER, .rcpts_len = 2,
		.rcpts = rcpts };
	struct buf buf;
	struct str text;

	(void)state;
	buf_init(&buf, 100000);
	dsn_boundary(&dsn);
	dsn_begin(&buf, &dsn);
	buf_add_cstr(&buf, "Subject: x\r\n");
	dsn_end(&buf, &dsn);
	assert_false(buf_failed(&buf));
	text = buf_str(&buf);
	expect(text, "To: <alice@example.test>");
	expect(text, "Auto-Submitted: auto-replied");
	expect(text, "Content-Type: multipart/report; "
	    "report-type=delivery-status;");
	expect(text, "Content-Type: message/delivery-status");
	expect(text, "Original-Envelope-Id: QQ=1");
	expect(text, "Reporting-MTA: dns; mail.example.test");
	expect(text, "Original-Recipient: rfc822;Bob+X@example.org");
	expect(text, "Final-Recipient: rfc822; bob@example.org");
	expect(text, "Action: failed");
	expect(text, "Status: 5.1.1");
	expect(text, "Remote-MTA: dns; mx.example.org");
	expect(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user");
	expect(text, "Action: delayed");
	expect(text, "Diagnostic-Code: x-hikyaku; no answer");
	expect(text, "Will-Retry-Until: Fri, 27 Nov 2026 04:45:30 +0000");
	expect(text, "Content-Type: text/rfc822-headers");
	buf_fini(&buf);
}

/* Nothing from outside adds a field or ends a part. */
static void
test_hostile_text(void **state)
{
	const struct dsn_rcpt rcpt = { .action = DSN_FAILED,
		.address = STR("a\r\nX-Evil: 1@example.org"),
		.orcpt = STR("rfc822;a+0D+0AX-Evil: 2"),
		.status = STR("5.0.0\r\nX-Evil: 3"),
		.remote = STR("mx\r\nX-Evil: 4"),
		.reason = STR("550 no\r\n\r\n--x\r\nX-Evil: 5") };
	struct dsn dsn = { .hostname = STR("mail.example.test"),
		.to = STR("a@example.test\r\nX-Evil: 6"),
		.envid = STR("x+0D+0AX-Evil: 7+E9"), .rcpts_len = 1,
		.rcpts = &rcpt };
	struct str rest, line;
	struct buf buf;

	(void)state;
	buf_init(&buf, 100000);
	dsn_boundary(&dsn);
	dsn_begin(&buf, &dsn);
	for (rest = buf_str(&buf); rest.p != NULL;) {
		line = str_cut(rest, '\n', &rest);
		assert_false(str_begins_nocase(line, STR("X-Evil")));
		assert_false(str_begins(line, STR("Original-Envelope")) &&
		    str_has_8bit(line));
		assert_true(line.len == 0 || line.p[line.len - 1] == '\r');
	}
	buf_fini(&buf);
}

static void
test_utf8(void **state)
{
	const struct dsn_rcpt rcpt = { .action = DSN_FAILED,
		.address = STR("鈴木@例え.test"), .status = STR("5.6.7"),
		.reason = STR("SMTPUTF8 is not offered") };
	struct dsn dsn = { .hostname = STR("mail.example.test"),
		.to = STR("佐藤@例え.test"), .is_utf8 = true,
		.returned = DSN_RETURN_FULL, .rcpts_len = 1,
		.rcpts = &rcpt };
	struct buf buf;

	(void)state;
	buf_init(&buf, 100000);
	dsn_boundary(&dsn);
	dsn_begin(&buf, &dsn);
	expect(buf_str(&buf), "Final-Recipient: utf-8; 鈴木@例え.test");
	expect(buf_str(&buf),
	    "Content-Type: message/global-delivery-status");
	(void)line_of(buf_str(&buf), "Content-Type: message/global\r\n");
	buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
