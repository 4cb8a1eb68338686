/* SPDX-License-Identifier: ISC */
/* What an MTA tells, whole, cut and wrong; answers as the other side reads
 * them. */
#include "base/test.h"

#include "proto/milter_command.h"

#define TEXT(literal) { "" literal, sizeof(literal) - 1 }

static const struct {
	char command;
	struct str data;
	int rc;
	struct milter_command want;
} commands[] = {
	{ 'O', TEXT("\0\0\0\6\0\0\1\377\0\37\377\377"), 0,
	    { .kind = MILTER_C_NEGOTIATE, .event = MILTER_EVENTS } },
	{ 'O', TEXT("\0\0\0\7\0\0\0\1\0\0\0\0more"), 0,
	    { .kind = MILTER_C_NEGOTIATE, .event = MILTER_EVENTS } },
	{ 'D', TEXT("Cj\0mx\0"), 0, { .kind = MILTER_C_MACROS,
	    .event = MILTER_EVENTS, .rest = TEXT("j\0mx\0") } },
	{ 'C', TEXT("h\0004\0\0311.2.3.4\0"), 0, { .event = MILTER_E_CONNECT,
	    .name = TEXT("h"), .family = MILTER_F_INET,
	    .address = TEXT("1.2.3.4") } },
	{ 'C', TEXT("h\0U"), 0, { .event = MILTER_E_CONNECT,
	    .name = TEXT("h"), .family = MILTER_F_UNKNOWN } },
	{ 'H', TEXT("h\0"), 0, { .event = MILTER_E_HELO,
	    .name = TEXT("h") } },
	{ 'M', TEXT("<a@b>\0SIZE=1\0"), 0, { .event = MILTER_E_MAIL,
	    .path = TEXT("<a@b>") } },
	{ 'R', TEXT("<a@b>\0"), 0, { .event = MILTER_E_RCPT,
	    .path = TEXT("<a@b>") } },
	{ 'T', TEXT(""), 0, { .event = MILTER_E_DATA } },
	{ 'L', TEXT("A\0 b\n c\0"), 0, { .event = MILTER_E_HEADER,
	    .name = TEXT("A"), .value = TEXT(" b\n c") } },
	{ 'N', TEXT(""), 0, { .event = MILTER_E_EOH } },
	{ 'B', TEXT("a\0\r\n"), 0, { .event = MILTER_E_BODY,
	    .text = TEXT("a\0\r\n") } },
	{ 'E', TEXT("z"), 0, { .event = MILTER_E_EOB, .text = TEXT("z") } },
	{ 'U', TEXT("X\0"), 0, { .event = MILTER_E_UNKNOWN,
	    .text = TEXT("X\0") } },
	{ 'A', TEXT(""), 0, { .kind = MILTER_C_ABORT,
	    .event = MILTER_EVENTS } },
	{ 'Q', TEXT(""), 0, { .kind = MILTER_C_QUIT,
	    .event = MILTER_EVENTS } },
	{ 'K', TEXT(""), 0, { .kind = MILTER_C_QUIT_NC,
	    .event = MILTER_EVENTS } },

	{ 'O', TEXT("\0\0\0\6\0\0\1\377\0\37\377"), ERR_SYNTAX, { 0 } },
	{ 'D', TEXT(""), ERR_SYNTAX, { 0 } },
	{ 'C', TEXT("h\0"), ERR_SYNTAX, { 0 } },
	{ 'C', TEXT("h\0004\0"), ERR_SYNTAX, { 0 } },
	{ 'C', TEXT("h\0004\0\0311.2.3.4"), ERR_SYNTAX, { 0 } },
	{ 'H', TEXT("h"), ERR_SYNTAX, { 0 } },
	{ 'H', TEXT("a\nb\0"), ERR_SYNTAX, { 0 } },
	{ 'M', TEXT("<a@b>"), ERR_SYNTAX, { 0 } },
	{ 'M', TEXT("<a\r\n@b>\0"), ERR_SYNTAX, { 0 } },
	{ 'L', TEXT("A\0b"), ERR_SYNTAX, { 0 } },
	{ 'L', TEXT("A\0b\0c"), ERR_SYNTAX, { 0 } },
	{ 'N', TEXT("x"), ERR_SYNTAX, { 0 } },
	{ 'c', TEXT(""), ERR_SYNTAX, { 0 } },
};

static void
test_commands(void **state)
{
	struct milter_command got;
	struct milter_frame frame;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(commands); i++) {
		const struct milter_command *want = &commands[i].want;

		frame.command = commands[i].command;
		frame.data = commands[i].data;
		if (milter_command_read(&frame, &got, NULL) !=
		    commands[i].rc)
			fail_msg("command %zu", i);
		if (commands[i].rc != 0)
			continue;
		if (got.kind != want->kind || got.event != want->event ||
		    got.family != want->family ||
		    !str_eq(got.rest, want->rest) ||
		    !str_eq(got.name, want->name) ||
		    !str_eq(got.value, want->value) ||
		    !str_eq(got.path, want->path) ||
		    !str_eq(got.address, want->address) ||
		    !str_eq(got.text, want->text))
			fail_msg("command %zu", i);
	}
	frame.command = 'O';
	frame.data = commands[0].data;
	assert_int_equal(milter_command_read(&frame, &got, NULL), 0);
	assert_int_equal(got.offered.version, 6);
	assert_int_equal(got.offered.actions, 0x1ff);
	assert_int_equal(got.offered.protocol, 0x1fffff);
}

static void
test_macros(void **state)
{
	struct str rest = STR("j\0mx\0{x}\0\0broken\0y");
	struct milter_macro macro;

	(void)state;
	assert_true(milter_macro_next(&rest, &macro));
	assert_true(str_eq(macro.name, STR("j")) &&
	    str_eq(macro.value, STR("mx")));
	assert_true(milter_macro_next(&rest, &macro));
	assert_true(str_eq(macro.name, STR("{x}")) && macro.value.len == 0);
	assert_false(milter_macro_next(&rest, &macro));
	assert_false(milter_macro_next(&rest, &macro));
}

/* The frame that was written, as the MTA's side reads it. */
static void
read_back(struct buf *out, const struct milter_options *agreed,
    struct milter_answer *answer_r)
{
	struct milter_frame frame;
	size_t used;

	assert_int_equal(milter_frame_next(buf_str(out), 65535, &frame,
	    &used), MILTER_FRAME);
	assert_int_equal(used, out->len);
	assert_int_equal(milter_answer_read(&frame, agreed, MILTER_E_EOB,
	    answer_r, NULL), 0);
}

static void
test_answers(void **state)
{
	static const enum milter_answer_kind kinds[] = { MILTER_CONTINUE,
	    MILTER_ACCEPT, MILTER_REJECT, MILTER_TEMPFAIL, MILTER_DISCARD,
	    MILTER_PROGRESS };
	struct milter_options agreed = { .version = 6,
	    .actions = MILTER_A_ALL };
	struct milter_answer got;
	struct milter_reply reply;
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(kinds); i++) {
		buf_reset(&out);
		milter_put_answer(&out, kinds[i]);
		read_back(&out, &agreed, &got);
		assert_int_equal(got.kind, kinds[i]);
	}
	buf_reset(&out);
	milter_put_reply(&out, 550, STR("5.7.1"), STR("100% sure\r\nDATA"));
	read_back(&out, &agreed, &got);
	assert_int_equal(milter_reply_read(&got, &reply, NULL), 0);
	assert_int_equal(reply.code, 550);
	assert_string_equal(reply.enhanced, "5.7.1");
	assert_string_equal(reply.text, "100% sure  DATA");
	buf_reset(&out);
	milter_put_insheader(&out, &agreed, 3, STR("A"), STR(" b\r\n c"));
	read_back(&out, &agreed, &got);
	assert_int_equal(got.index, 3);
	assert_true(str_eq(got.name, STR("A")) &&
	    str_eq(got.value, STR("b\n c")));
	agreed.protocol = MILTER_P_HDR_LEADSPC;
	buf_reset(&out);
	milter_put_insheader(&out, &agreed, 0, STR("A"), STR(" b"));
	read_back(&out, &agreed, &got);
	assert_true(str_eq(got.value, STR(" b")));
	buf_reset(&out);
	milter_put_delheader(&out, 2, STR("A"));
	read_back(&out, &agreed, &got);
	assert_int_equal(got.kind, MILTER_CHGHEADER);
	assert_true(got.index == 2 && got.value.len == 0);
	buf_reset(&out);
	milter_put_quarantine(&out, STR("a\nb"));
	read_back(&out, &agreed, &got);
	assert_true(str_eq(got.text, STR("a b")));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
