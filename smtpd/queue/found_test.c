/* SPDX-License-Identifier: ISC */
/* Notices about what was found: who is due when, and what each reads. */
#include "base/test.h"

#include "smtpd/queue/found_text.h"
#include "smtpd/queue/told.h"

#define NOW_S 1800000000

static void
test_once_an_hour(void **state)
{
	static const struct {
		int64_t after_s;
		const char *address;
		bool is_due;
		uint64_t since;
	} steps[] = {
		{ 0, "a@b.test", true, 0 },
		{ 0, "a@b.test", false, 0 },
		{ 1, "c@b.test", true, 0 },
		{ TOLD_EVERY_S - 1, "a@b.test", false, 0 },
		{ TOLD_EVERY_S, "a@b.test", true, 2 },
		{ TOLD_EVERY_S, "c@b.test", false, 0 },
		{ TOLD_EVERY_S + 1, "a@b.test", false, 0 },
		{ TOLD_EVERY_S + 1, "c@b.test", true, 1 },
		{ 9 * TOLD_EVERY_S, "a@b.test", true, 1 },
		{ 19 * TOLD_EVERY_S, "a@b.test", true, 0 },
	};
	struct told *told = told_new();
	uint64_t since;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(told_is_due(told, str_of(steps[i].address),
		    NOW_S + steps[i].after_s, &since), steps[i].is_due);
		assert_int_equal(since, steps[i].since);
	}
	told_free(&told);
	assert_null(told);
	told_free(&told);
}

static void
test_not_told_after_all(void **state)
{
	struct told *told = told_new();
	uint64_t since;

	(void)state;
	assert_true(told_is_due(told, STR("a"), NOW_S, &since));
	told_forget(told, STR("a"));
	told_forget(told, STR("nobody"));
	assert_true(told_is_due(told, STR("a"), NOW_S, &since));
	told_free(&told);
}

static bool
is_due_as(struct told *told, unsigned n, int64_t now_s)
{
	char address[32];
	uint64_t since;

	(void)snprintf(address, sizeof(address), "%u@b.test", n);
	return told_is_due(told, str_of(address), now_s, &since);
}

static void
test_too_many(void **state)
{
	struct told *told = told_new();
	unsigned n;

	(void)state;
	for (n = 0; n < TOLD_MAX; n++)
		assert_true(is_due_as(told, n, NOW_S + (n == 0 ? 0 : 10)));
	/* Who is remembered stays so; for others there is no room ... */
	assert_false(is_due_as(told, 1, NOW_S + 20));
	assert_false(is_due_as(told, TOLD_MAX, NOW_S + 20));
	/* ... until somebody's hour is over. */
	assert_true(is_due_as(told, TOLD_MAX, NOW_S + TOLD_EVERY_S));
	assert_false(is_due_as(told, TOLD_MAX + 1, NOW_S + TOLD_EVERY_S));
	assert_true(is_due_as(told, 1, NOW_S + TOLD_EVERY_S + 10));
	told_free(&told);
}

/* ---- what they read ---- */

#define MANY "1@b.test", "2@b.test", "3@b.test", "4@b.test", "5@b.test", \
	"6@b.test", "7@b.test"

static const struct {
	enum queue_found kind;
	bool is_admin, is_japanese;
	uint64_t since;
	const char *recipients[8];
	const char *subject, *has[3], *has_not;
} texts[] = {
	{ QUEUE_V_REFUSED, false, false, 0, { "x@b.test", "r@b.test" },
	    "An infected message was refused", { "Sender: <s@c.test>",
	    "Recipient: r@b.test\r\n", "Found: Bad.Thing\r\n" },
	    "x@b.test" },
	{ QUEUE_V_REFUSED, false, false, 0, { "r@b.test" },
	    "An infected message was refused", { "refused" }, "since" },
	{ QUEUE_V_QUARANTINED, true, false, 12, { "x@b.test", "y@b.test" },
	    "An infected message was quarantined", { "x@b.test", "y@b.test",
	    "\r\n\r\n12 more were found since the last notice.\r\n" },
	    "(+" },
	{ QUEUE_V_QUARANTINED, true, true, 12, { "x@b.test", "y@b.test" },
	    "ウイルスを検出し、メールを隔離しました", { "宛先: x@b.test",
	    "差出人: <s@c.test>",
	    "前回の通知以降、ほかに 12 通から検出されています。\r\n" },
	    "Recipient" },
	{ QUEUE_V_REPLACED, true, false, 0, { MANY },
	    "An infected attachment was removed", { "1@b.test", "5@b.test",
	    "Recipient: (+2)\r\n" }, "6@b.test" },
	{ QUEUE_V_REPLACED, true, true, 1, { "x@b.test" },
	    "ウイルスを検出し、添付ファイルを取り除きました", {
	    "検出名: Bad.Thing", "ほかに 1 通" }, "more" },
	{ QUEUE_V_OUT, false, false, 1, { "x@b.test", "y@b.test" },
	    "An infected message was not sent", { "x@b.test", "y@b.test",
	    "\r\n1 more was found" }, "通" },
	{ QUEUE_V_OUT, false, true, 0, { MANY },
	    "ウイルスを検出し、メールの送信を拒否しました", {
	    "パスワードの変更", "5@b.test", "宛先: (+2)" }, "前回" },
};

static void
test_texts(void **state)
{
	struct str recipients[8];
	struct found_event event = { .sender = STR("s@c.test"),
	    .name = STR("Bad.Thing"), .recipients = recipients };
	struct found_reader reader = { .address = STR("r@b.test") };
	struct buf text;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		event.kind = texts[i].kind;
		reader.is_admin = texts[i].is_admin;
		reader.since = texts[i].since;
		for (n = 0; n < 8 && texts[i].recipients[n] != NULL; n++)
			recipients[n] = str_of(texts[i].recipients[n]);
		event.recipients_len = n;
		assert_string_equal(found_subject(event.kind,
		    texts[i].is_japanese), texts[i].subject);
		buf_init(&text, 1 << 16);
		found_put_text(&text, &event, &reader, texts[i].is_japanese);
		buf_add(&text, "", 1);
		for (n = 0; n < 3 && texts[i].has[n] != NULL; n++)
			assert_non_null(strstr(buf_str(&text).p,
			    texts[i].has[n]));
		assert_null(strstr(buf_str(&text).p, texts[i].has_not));
		buf_fini(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once_an_hour),
		cmocka_unit_test(test_not_told_after_all),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
