/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "mail/build.h"
#include "mail/charset.h"

static void
expect(struct buf *buf, const char *want)
{
	if (!str_eq(buf_str(buf), str_of(want)))
		fail_msg("want %s\ngot  %.*s", want, STR_FMT(buf_str(buf)));
	buf_reset(buf);
}

static void
test_received(void **state)
{
	struct build_received r = {
		.helo = STR("client.example.test"),
		.remote_name = STR("host.example.test"),
		.remote_ip = STR("2001:db8::1"),
		.by = STR("mx.example.test"),
		.has_esmtp = true, .has_tls = true, .has_auth = true,
		.tls = STR("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384"),
		.id = STR("4kQ1"), .recipient = STR("alice@example.test"),
		.date = { 1795322730, 540 },
	};
	struct buf buf;

	(void)state;
	buf_init(&buf, 10000);
	build_received(&buf, &r);
	expect(&buf, "Received: from client.example.test"
	    " (host.example.test [IPv6:2001:db8::1])\r\n"
	    " (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)"
	    " by mx.example.test\r\n"
	    " with ESMTPSA id 4kQ1 for <alice@example.test>;\r\n"
	    " Sun, 22 Nov 2026 13:45:30 +0900\r\n");
	r.remote_name = r.tls = r.recipient = r.id = STR_NONE;
	r.has_auth = false;
	r.is_lmtp = true;
	r.remote_ip = STR("192.0.2.1");
	build_received(&buf, &r);
	expect(&buf, "Received: from client.example.test ([192.0.2.1])"
	    " by mx.example.test\r\n"
	    " with LMTPS; Sun, 22 Nov 2026 13:45:30 +0900\r\n");
	buf_fini(&buf);
}

static void
test_with(void **state)
{
	static const struct {
		bool is_lmtp, has_esmtp, has_tls, has_auth, has_utf8;
		const char *want;
	} cases[] = {
		{ false, false, false, false, false, "with SMTP" },
		{ false, true, false, false, false, "with ESMTP;" },
		{ false, true, true, false, false, "with ESMTPS;" },
		{ false, true, false, true, false, "with ESMTPA;" },
		{ false, true, true, true, true, "with UTF8SMTPSA;" },
		{ true, true, false, false, false, "with LMTP;" },
		{ true, true, true, true, true, "with UTF8LMTPSA;" },
	};
	struct build_received r = { .by = STR("b") };
	struct buf buf;
	size_t i;

	(void)state;
	buf_init(&buf, 1000);
	for (i = 0; i < COUNT_OF(cases); i++) {
		r.is_lmtp = cases[i].is_lmtp;
		r.has_esmtp = cases[i].has_esmtp;
		r.has_tls = cases[i].has_tls;
		r.has_auth = cases[i].has_auth;
		r.has_utf8 = cases[i].has_utf8;
		buf_reset(&buf);
		build_received(&buf, &r);
		assert_true(str_find_str(buf_str(&buf),
		    str_of(cases[i].want)) != STR_NPOS);
	}
	buf_fini(&buf);
}

/* Peer text never makes a line of its own. */
static void
test_injection(void **state)
{
	static const char evil[] = "x\r\nBcc: y\r\n\r\nbody\n\r\x01\x7f";
	struct build_received r = {
		.helo = STR("x)\r\nEvil: y\n"), .remote_name = STR("a)b\r\n("),
		.remote_ip = STR("192.0.2.1"), .by = STR("mx"),
		.id = STR("1\r\n2"), .recipient = STR("a\n@b"),
	};
	struct buf buf;
	struct str s;
	size_t i;

	(void)state;
	buf_init(&buf, 10000);
	build_received(&buf, &r);
	build_return_path(&buf, str_of(evil));
	build_delivered_to(&buf, str_of(evil));
	build_message_id(&buf, str_of(evil), str_of(evil));
	build_field(&buf, "X", str_of(evil));
	s = buf_str(&buf);
	assert_true(str_find_str(s, STR("x)")) == STR_NPOS);
	assert_true(str_find_str(s, STR("a)b")) == STR_NPOS);
	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\r')
			assert_int_equal(s.p[i + 1], '\n');
		if (s.p[i] != '\n')
			continue;
		assert_int_equal(s.p[i - 1], '\r');
		assert_false(str_begins(str_sub(s, i + 1, 10), STR("Bcc")));
		assert_false(str_begins(str_sub(s, i + 1, 10), STR("Evil")));
		assert_false(str_begins(str_sub(s, i + 1, 10), STR("\r\n")));
	}
	buf_fini(&buf);
}

static void
test_simple(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1000);
	build_return_path(&buf, STR(""));
	expect(&buf, "Return-Path: <>\r\n");
	build_delivered_to(&buf, STR("a@b"));
	expect(&buf, "Delivered-To: a@b\r\n");
	build_date(&buf, (struct mail_date){ 0, -60 });
	expect(&buf, "Date: Wed, 31 Dec 1969 23:00:00 -0100\r\n");
	build_message_id(&buf, STR("1"), STR("h"));
	expect(&buf, "Message-ID: <1@h>\r\n");
	build_text(&buf, "Subject", STR("plain text"));
	expect(&buf, "Subject: plain text\r\n");
	build_text(&buf, "Subject", STR("\xe9\xa3\x9b\xe8\x84\x9a"));
	expect(&buf, "Subject: =?UTF-8?B?6aOb6ISa?=\r\n");
	buf_fini(&buf);
}

/* Long Japanese text: words of at most 75, lines of at most 78, and back. */
static void
test_long_text(void **state)
{
	struct build build;
	struct buf text, out, back;
	struct str rest, line;
	int i;

	(void)state;
	buf_init(&text, 10000);
	buf_init(&out, 10000);
	buf_init(&back, 10000);
	for (i = 0; i < 100; i++)
		buf_add_cstr(&text, "a\xe9\xa3\x9b\xf0\x9f\x93\xae");
	build_text(&out, "Subject", buf_str(&text));
	for (rest = buf_str(&out); rest.p != NULL && rest.len != 0;) {
		line = str_cut(rest, '\n', &rest);
		assert_true(line.len <= 79);
	}
	rfc2047_decode(&back, str_sub(buf_str(&out), 8, out.len));
	assert_true(str_eq(buf_str(&back), buf_str(&text)));
	buf_reset(&out);
	build_begin(&build, &out, "From");
	build_mailbox(&build, STR("a \"b\""), STR("a@b"));
	build_end(&build);
	expect(&out, "From: \"a \\\"b\\\"\" <a@b>\r\n");
	buf_fini(&text);
	buf_fini(&out);
	buf_fini(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_with),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
