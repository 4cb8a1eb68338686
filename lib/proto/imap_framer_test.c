/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "proto/imap_framer.h"

static const struct imap_limits limits = {
	.line_octets = 40,
	.literal_octets = 20,
	.swallow_octets = 100,
	.has_append = true,
};

static void
note(struct buf *log, const char *what, struct str s)
{
	buf_add_cstr(log, what);
	buf_add_str(log, s);
	buf_add_char(log, '|');
}

/* "odd" mailboxes are refused, so that both ways are tested. */
static void
on_append(struct imap_framer *f, struct buf *log)
{
	struct str text = imap_framer_text(f);

	note(log, f->append_is_sync ? "ask " : "ask+ ", text);
	if (str_find_str(text, STR("odd")) != STR_NPOS)
		imap_framer_refuse(f);
	else
		imap_framer_accept(f);
}

static void
act(struct imap_framer *f, enum imap_frame event, struct str data,
    struct buf *log)
{
	static const char *const names[] = { "", "line", "toobig" };
	struct str text = imap_framer_text(f);

	switch (event) {
	case IMAP_FRAME_MORE:
		break;
	case IMAP_FRAME_CONTINUE:
		note(log, "+", STR_NONE);
		break;
	case IMAP_FRAME_COMMAND:
		note(log, "", text);
		if (imap_framer_tail(f).len != text.len)
			note(log, "tail ", imap_framer_tail(f));
		if (str_ends_nocase(text, STR(" IDLE")))
			imap_framer_want_line(f, 8);
		break;
	case IMAP_FRAME_LINE:
		note(log, "line ", text);
		break;
	case IMAP_FRAME_APPEND:
		on_append(f, log);
		break;
	case IMAP_FRAME_DATA:
		buf_add_str(log, data);
		break;
	case IMAP_FRAME_REFUSE:
		buf_addf(log, "%s ", names[f->refusal]);
		note(log, "", imap_framer_tag(f));
		break;
	case IMAP_FRAME_CLOSE:
		note(log, "close", STR_NONE);
		break;
	}
}

static void
run(struct str in, size_t step, struct buf *log)
{
	enum imap_frame event = IMAP_FRAME_MORE;
	struct imap_framer f;
	struct str data;
	size_t at = 0, have = 0, used;

	imap_framer_init(&f, &limits);
	while (have < in.len && event != IMAP_FRAME_CLOSE) {
		have = have + step < in.len ? have + step : in.len;
		do {
			event = imap_framer_next(&f,
			    str_sub(in, at, have - at), &used, &data);
			at += used;
			act(&f, event, data, log);
		} while (event != IMAP_FRAME_MORE &&
		    event != IMAP_FRAME_CLOSE);
	}
	imap_framer_fini(&f);
}

#define LONG40 "0123456789012345678901234567890123456789"

static void
test_events(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "a NOOP\r\nb X\r\n", "a NOOP|b X|" },
		{ "a NOOP\nb X", "a NOOP|" },
		{ "\r\n", "|" },
		{ "a L {2}\r\nab {3+}\r\nabc\r\nb X\r\n",
		    "+|a L {2}\r\nab {3+}\r\nabc|b X|" },
		{ "a L {0}\r\n\r\n", "+|a L {0}\r\n|" },
		/* What looks like a literal but is none. */
		{ "a L \"{3}\"\r\na L {-1}\r\na L {}\r\na L {x}\r\n",
		    "a L \"{3}\"|a L {-1}|a L {}|a L {x}|" },
		/* Limits. */
		{ "a L {20+}\r\n01234567890123456789\r\n",
		    "a L {20+}\r\n01234567890123456789|" },
		{ "a L {21}\r\nb X\r\n", "toobig a|b X|" },
		{ "a L {21+}\r\n012345678901234567890 x\r\nb X\r\n",
		    "toobig a|b X|" },
		{ "a L {15}\r\n012345678901234 {6}\r\nb X\r\n",
		    "+|toobig a|b X|" },
		{ "a L {21+}\r\n012345678901234567890 {3+}\r\nabc\r\nb X\r\n",
		    "toobig a|b X|" },
		{ "a L {21+}\r\n012345678901234567890 {3}\r\nb X\r\n",
		    "toobig a|b X|" },
		{ "a L {101+}\r\nb X\r\n", "toobig a|close|" },
		{ "a L {4294967295}\r\nb X\r\n", "toobig a|b X|" },
		{ "a L {99999999999999999999}\r\nb X\r\n", "toobig a|b X|" },
		{ "a L {99999999999999999999+}\r\nb X\r\n",
		    "toobig a|close|" },
		{ "a " LONG40 "\r\nb X\r\n", "line a|b X|" },
		{ "a " LONG40 " {3+}\r\na\nb\r\nb X\r\n", "line a|b X|" },
		{ "a " LONG40 LONG40 LONG40 LONG40, "line a|close|" },
		{ LONG40 LONG40 "\r\nb X\r\n", "line |b X|" },
		/* APPEND. */
		{ "a APPEND in {5}\r\nhello\r\nb X\r\n",
		    "ask a APPEND in {5}|hello"
		    "a APPEND in {5}|tail |b X|" },
		{ "a append in (\\Seen) {5+}\r\nhello\r\n",
		    "ask+ a append in (\\Seen) {5+}|hello"
		    "a append in (\\Seen) {5+}|tail |" },
		{ "a APPEND {2}\r\nin {5}\r\nhello\r\n",
		    "+|ask a APPEND {2}\r\nin {5}|hello"
		    "a APPEND {2}\r\nin {5}|tail |" },
		{ "a APPEND in {0}\r\n\r\n",
		    "ask a APPEND in {0}|a APPEND in {0}|tail |" },
		{ "a APPEND in ~{2}\r\nhe\r\n",
		    "ask a APPEND in ~{2}|hea APPEND in ~{2}|tail |" },
		{ "a APPEND in {2}\r\nhe {3}\r\nabc x\r\n",
		    "ask a APPEND in {2}|heask a APPEND in {2} {3}|abc"
		    "a APPEND in {2} {3} x|tail  x|" },
		{ "a APPEND odd {5}\r\nb X\r\n",
		    "ask a APPEND odd {5}|b X|" },
		{ "a APPEND odd {5+}\r\nb X\r\n {2+}\r\n\r\nyy\r\nb X\r\n",
		    "ask+ a APPEND odd {5+}|b X|" },
		{ "a APPEND odd {500+}\r\nb X\r\n",
		    "ask+ a APPEND odd {500+}|close|" },
		/* Lines that are no commands. */
		{ "a IDLE\r\nDONE\r\nb X\r\n", "a IDLE|line DONE|b X|" },
		{ "a IDLE\r\n0123456789 {3+}\r\nb X\r\n",
		    "a IDLE|line |b X|" },
	};
	struct buf log;
	size_t i, step;

	(void)state;
	buf_init(&log, 4096);
	for (i = 0; i < COUNT_OF(cases); i++)
		for (step = 1; step < 60; step++) {
			buf_reset(&log);
			run(str_of(cases[i].in), step, &log);
			if (str_eq(buf_str(&log), str_of(cases[i].want)))
				continue;
			fail_msg("%s: step %zu: %.*s", cases[i].in, step,
			    STR_FMT(buf_str(&log)));
		}
	buf_fini(&log);
}

static void
test_front_takes_no_append(void **state)
{
	struct imap_framer f;
	struct str data;
	size_t used;

	(void)state;
	imap_framer_init(&f, &imap_limits_front);
	assert_true(imap_framer_is_idle(&f));
	assert_int_equal(imap_framer_next(&f, STR("a APPEND x {9000}\r\n"),
	    &used, &data), IMAP_FRAME_REFUSE);
	assert_int_equal(f.refusal, IMAP_REFUSAL_LITERAL);
	assert_true(imap_framer_is_idle(&f));
	assert_int_equal(imap_framer_next(&f, STR("b"), &used, &data),
	    IMAP_FRAME_MORE);
	assert_false(imap_framer_is_idle(&f));
	imap_framer_trim(&f);
	assert_int_equal(imap_framer_next(&f, STR(" X\r\n"), &used, &data),
	    IMAP_FRAME_COMMAND);
	assert_true(str_eq(imap_framer_text(&f), STR("b X")));
	imap_framer_trim(&f);
	assert_null(f.text.p);
	imap_framer_fini(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_front_takes_no_append),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
