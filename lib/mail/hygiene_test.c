/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "base/buf.h"
#include "mail/hygiene.h"

static int
collect(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)err;
	buf_add(ctx, data, len);
	return 0;
}

static struct hygiene *
filter(struct str in, size_t step, bool is_submission, struct buf *out)
{
	struct hygiene *h = hygiene_new(STR("mx.example.test"),
	    is_submission, collect, out);
	size_t at;

	buf_reset(out);
	for (at = 0; at < in.len; at += step)
		assert_int_equal(hygiene_feed(h, in.p + at,
		    step < in.len - at ? step : in.len - at, NULL), 0);
	assert_int_equal(hygiene_end(h, NULL), 0);
	return h;
}

static void
test_filter(void **state)
{
	static const struct {
		const char *in;
		const char *want;	/* NULL: unchanged */
		bool is_submission;
	} cases[] = {
		{ "", NULL, false }, { "\r\n", NULL, false },
		{ "A: b\r\n\r\nBcc: body\r\n", NULL, true },
		{ "no header at all", NULL, true },
		{ "Bcc: x\r\n\r\n", NULL, false },
		{ "Bcc: x\r\nA: b\r\n\r\n", "A: b\r\n\r\n", true },
		{ "A: b\r\nbCC : x,\r\n y\r\n\tz\r\nC: d\r\n\r\n",
		    "A: b\r\nC: d\r\n\r\n", true },
		{ "A: b\r\nResent-Bcc: x", "A: b\r\n", true },
		{ "Bcc", NULL, true }, { "Bcc\r\n x\r\n", NULL, true },
		{ "Bccc: x\r\n", NULL, true },
		{ "Return-Path: <a@b>\r\n x\r\nA: b\r\n\r\nReturn-Path: c",
		    "A: b\r\n\r\nReturn-Path: c", false },
		{ "return-path:<a>\nA: b\n\nx", "A: b\n\nx", false },
		{ "Authentication-Results: mx.example.test; spf=pass\r\n"
		    "A: b\r\nauthentication-results: other.test; spf=fail\r\n"
		    "AUTHENTICATION-RESULTS:\r\n (c (d)) MX.Example.TEST\r\n"
		    " 1; dkim=pass\r\n\r\nx",
		    "A: b\r\nauthentication-results: other.test; spf=fail\r\n"
		    "\r\nx", false },
		{ "Authentication-Results: mx.exam\"ple\".test; none\r\n\r\n",
		    "\r\n", false },
		{ "Authentication-Results: \"mx\".example.test; none\r\n\r\n",
		    "\r\n", false },
		{ "X-Hikyaku-Scan: clean\r\n\r\n", "\r\n", false },
		{ "X-Hikyaku-Detonation: clean\r\n\r\n", "\r\n", false },
		{ "X-Hikyaku-Released: x\r\n\r\n", "\r\n", false },
		{ "x-hikyaku-suspicious: a,\r\n b\r\nA: b\r\n\r\n",
		    "A: b\r\n\r\n", false },
		{ "Authentication-Results: \"mx.example.test\"; none\r\n\r\n",
		    "\r\n", false },
		{ "Authentication-Results: \"mx.exa\\mple.test\"; none\r\n\r\n",
		    "\r\n", false },
		{ "Authentication-Results: mx.example.test.; none\r\n\r\n",
		    "\r\n", false },
		{ "Authentication-Results: (mx.example.test; none\r\n\r\n",
		    "\r\n", false },
		{ "Authentication-Results: ; none\r\n\r\n", "\r\n", false },
		{ "Authentication-Results: amx.example.test; x\r\n\r\n", NULL,
		    false },
		{ " folded first\r\n\tBcc: y\r\n\r\n", NULL, true },
		{ "\rBcc: y\r\n\r\nb", NULL, true },
		{ "X: \xe9\xa3\x9b\r\n\r\n\0", NULL, false },
	};
	struct hygiene *h;
	struct buf out;
	struct str want;
	size_t i, step;

	(void)state;
	buf_init(&out, 1 << 20);
	for (i = 0; i < COUNT_OF(cases); i++) {
		want = str_of(cases[i].want != NULL ? cases[i].want :
		    cases[i].in);
		for (step = 1; step < 40; step++) {
			h = filter(str_of(cases[i].in), step,
			    cases[i].is_submission, &out);
			if (!str_eq(buf_str(&out), want))
				fail_msg("%s: %.*s", cases[i].in,
				    STR_FMT(buf_str(&out)));
			hygiene_free(&h);
		}
	}
	buf_fini(&out);
}

static void
test_notes(void **state)
{
	static const char in[] =
	    "Received: a\r\nreceived: b\r\n c\r\nDelivered-To: x@y\r\n"
	    "From: =?UTF-8?B?6aOb6ISa?=\r\n <a@b>\r\nfrom: c@d\r\n"
	    "Sender: s@t\r\nResent-From: r@s\r\nDate: now\r\n"
	    "Message-ID:  \r\nX: \xe9\r\n\r\nReceived: body\r\n";
	const struct hygiene_notes *notes;
	struct hygiene *h;
	struct buf out;
	size_t step;

	(void)state;
	buf_init(&out, 1 << 20);
	for (step = 1; step < 60; step++) {
		h = filter(str_of(in), step, true, &out);
		notes = hygiene_notes(h);
		assert_int_equal(notes->received, 2);
		assert_int_equal(notes->from.count, 2);
		assert_true(str_eq(notes->from.v[0],
		    STR(" =?UTF-8?B?6aOb6ISa?=\r\n <a@b>")));
		assert_true(str_eq(notes->from.v[1], STR(" c@d")));
		assert_int_equal(notes->sender.count, 1);
		assert_int_equal(notes->resent_from.count, 1);
		assert_int_equal(notes->resent_sender.count, 0);
		assert_true(str_eq(notes->delivered_to.v[0], STR(" x@y")));
		assert_true(notes->has_date);
		assert_false(notes->has_message_id);
		assert_true(notes->has_8bit);
		assert_true(notes->has_end);
		assert_int_equal(notes->header_octets, sizeof(in) - 1 - 16);
		hygiene_free(&h);
	}
	buf_fini(&out);
}

static int
feed_many(const char *head, const char *text, size_t n, struct buf *out)
{
	struct hygiene *h = hygiene_new(STR("mx"), true, collect, out);
	int rc;

	buf_reset(out);
	rc = hygiene_feed(h, head, strlen(head), NULL);
	while (rc == 0 && n-- > 0)
		rc = hygiene_feed(h, text, strlen(text), NULL);
	if (rc == 0)
		rc = hygiene_end(h, NULL);
	hygiene_free(&h);
	return rc;
}

static void
test_limits(void **state)
{
	static const char sixteen[] = "0123456789abcdef";
	struct buf out;

	(void)state;
	buf_init(&out, 8 << 20);
	assert_int_equal(feed_many("X: ", sixteen, 131071, &out), 0);
	assert_int_equal(out.len, 3 + 131071 * 16);
	assert_int_equal(feed_many("X: ", sixteen, 131072, &out), ERR_LIMIT);
	assert_int_equal(feed_many("", "A: b\r\n", 400000, &out), ERR_LIMIT);
	assert_int_equal(feed_many("From: ", sixteen, 17000, &out),
	    ERR_LIMIT);
	assert_int_equal(feed_many("Bcc: ", sixteen, 17000, &out), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(feed_many("Authentication-Results: ", sixteen,
	    17000, &out), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(feed_many("A: b\r\n\r\n", sixteen, 262144, &out), 0);
	assert_int_equal(out.len, 8 + 262144 * 16);
	buf_fini(&out);
}

static int
refuse(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)ctx;
	(void)data;
	(void)len;
	return err_set(err, ERR_TEMP, "no room");
}

static void
test_callback_error(void **state)
{
	struct hygiene *h = hygiene_new(STR("mx"), true, refuse, NULL);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(hygiene_feed(h, "A: b\r\n\r\nx", 9, &err), ERR_TEMP);
	assert_string_equal(err_text(&err), "no room");
	assert_int_equal(hygiene_feed(h, "x", 1, NULL), ERR_TEMP);
	assert_int_equal(hygiene_end(h, NULL), ERR_TEMP);
	hygiene_free(&h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_callback_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
