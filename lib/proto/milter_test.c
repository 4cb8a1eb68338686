/* SPDX-License-Identifier: ISC */
/* Commands octet by octet, answers whole and cut, what was not agreed. */
#include "base/test.h"

#include "proto/milter.h"

#define BYTES(literal) { "" literal, sizeof(literal) - 1 }

static const struct milter_options all = {
	.version = MILTER_VERSION, .actions = MILTER_A_ALL,
	.protocol = MILTER_P_ALL,
};

static const struct milter_options old = { .version = 2 };

/* ---- commands ---- */

static void
put_negotiate(struct buf *out)
{
	milter_put_negotiate(out, &all);
}

static void
put_macros(struct buf *out)
{
	static const struct milter_macro macros[] = {
		{ BYTES("j"), BYTES("mx") },
		{ BYTES("{auth_authen}"), BYTES("a\r\nb\0c") },
	};

	milter_put_macros(out, MILTER_E_MAIL, macros, 2);
}

static void
put_no_macros(struct buf *out)
{
	milter_put_macros(out, MILTER_E_EOB, NULL, 0);
}

static void
put_connect(struct buf *out)
{
	milter_put_connect(out, STR("c"), MILTER_F_INET6, 0x1234,
	    STR("::1"));
}

static void
put_connect_unknown(struct buf *out)
{
	milter_put_connect(out, STR("c"), MILTER_F_UNKNOWN, 25, STR("x"));
}

static void
put_connect_unix(struct buf *out)
{
	milter_put_connect(out, STR("c"), MILTER_F_UNIX, 0, STR("/s"));
}

static void
put_helo(struct buf *out)
{
	milter_put_helo(out, STR("h"));
}

static void
put_mail(struct buf *out)
{
	static const struct str params[] = { BYTES("SIZE=1"), BYTES("B") };

	milter_put_envelope(out, MILTER_E_MAIL, STR("<>"), params, 2);
}

static void
put_rcpt(struct buf *out)
{
	milter_put_envelope(out, MILTER_E_RCPT, STR("<a@b>"), NULL, 0);
}

static void
put_header(struct buf *out)
{
	milter_put_header(out, &all, STR("A"), STR(" b\r\n\tc\0d\re"));
}

static void
put_header_old(struct buf *out)
{
	milter_put_header(out, &old, STR("A"), STR(" \tb\n c "));
}

static void
put_body(struct buf *out)
{
	milter_put_body(out, STR("a\r\n\0"));
}

static void
put_unknown(struct buf *out)
{
	milter_put_unknown(out, STR("X"));
}

static const struct {
	void (*put)(struct buf *out);
	struct str want;
} commands[] = {
	{ put_negotiate, BYTES("\0\0\0\15O\0\0\0\6\0\0\1\377"
	    "\060\037\377\377") },
	{ put_macros, BYTES("\0\0\0\32DMj\0mx\0{auth_authen}\0a  b\0") },
	{ put_no_macros, BYTES("\0\0\0\2DE") },
	{ put_connect, BYTES("\0\0\0\12Cc\0006\x12\x34::1\0") },
	{ put_connect_unknown, BYTES("\0\0\0\4Cc\0U") },
	{ put_connect_unix, BYTES("\0\0\0\11Cc\0L\0\0/s\0") },
	{ put_helo, BYTES("\0\0\0\3Hh\0") },
	{ put_mail, BYTES("\0\0\0\15M<>\0SIZE=1\0B\0") },
	{ put_rcpt, BYTES("\0\0\0\7R<a@b>\0") },
	{ milter_put_data, BYTES("\0\0\0\1T") },
	{ put_header, BYTES("\0\0\0\15LA\0 b\n\tc d\re\0") },
	{ put_header_old, BYTES("\0\0\0\11LA\0b\n c \0") },
	{ milter_put_eoh, BYTES("\0\0\0\1N") },
	{ put_body, BYTES("\0\0\0\5Ba\r\n\0") },
	{ milter_put_eob, BYTES("\0\0\0\1E") },
	{ put_unknown, BYTES("\0\0\0\3UX\0") },
	{ milter_put_abort, BYTES("\0\0\0\1A") },
	{ milter_put_quit, BYTES("\0\0\0\1Q") },
	{ milter_put_quit_nc, BYTES("\0\0\0\1K") },
};

static void
test_commands(void **state)
{
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 4096);
	for (i = 0; i < COUNT_OF(commands); i++) {
		buf_reset(&out);
		/* Behind something else, and not at the front of its memory. */
		buf_add_cstr(&out, "before");
		buf_consume(&out, 3);
		commands[i].put(&out);
		buf_consume(&out, 3);
		if (!str_eq(buf_str(&out), commands[i].want))
			fail_msg("command %zu", i);
	}
	buf_fini(&out);
}

static void
test_full(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 6);
	milter_put_helo(&out, STR("too long"));
	assert_true(buf_failed(&out));
	buf_fini(&out);
}

/* ---- frames ---- */

static void
test_frames(void **state)
{
	struct str in = STR("\0\0\0\1c\0\0\0\3ha\0\0\0\0\0x");
	struct milter_frame frame;
	size_t used, cut;

	(void)state;
	for (cut = 0; cut < 5; cut++) {
		assert_int_equal(milter_frame_next(str_sub(in, 0, cut), 10,
		    &frame, &used), MILTER_MORE);
		assert_int_equal(used, 0);
	}
	assert_int_equal(milter_frame_next(in, 10, &frame, &used),
	    MILTER_FRAME);
	assert_int_equal(used, 5);
	assert_int_equal(frame.command, 'c');
	assert_int_equal(frame.data.len, 0);
	in = str_sub(in, 5, in.len);
	/* Exactly the limit, and one octet over it. */
	assert_int_equal(milter_frame_next(in, 2, &frame, &used),
	    MILTER_FRAME);
	assert_true(str_eq(frame.data, STR("a\0")));
	assert_int_equal(milter_frame_next(in, 1, &frame, &used), MILTER_BAD);
	/* A frame without a command. */
	in = str_sub(in, 7, in.len);
	assert_int_equal(milter_frame_next(in, 2, &frame, &used), MILTER_BAD);
	/* A length that lies is refused before its data has come. */
	assert_int_equal(milter_frame_next(STR("\377\377\377\377"),
	    milter_data_max(&all), &frame, &used), MILTER_BAD);
}

static void
test_data_max(void **state)
{
	struct milter_options options = all;

	(void)state;
	assert_int_equal(milter_data_max(NULL), 65535);
	assert_int_equal(milter_data_max(&old), 65535);
	assert_int_equal(milter_data_max(&all), 1048575);
	options.protocol = MILTER_P_MDS_256K;
	assert_int_equal(milter_data_max(&options), 262143);
}

/* ---- negotiation ---- */

static const struct {
	struct str data;
	int rc;
	uint32_t version;
	uint32_t protocol;
	const char *connect;	/* macros; NULL: not chosen */
	const char *eoh;
} negotiations[] = {
	{ BYTES("\0\0\0\6\0\0\0\1\0\0\0\0"), 0, 6, 0, NULL, NULL },
	{ BYTES("\0\0\0\2\0\0\0\0\0\0\0\177"), 0, 2, 0x7f, NULL, NULL },
	{ BYTES("\0\0\0\6\0\0\1\377\060\037\377\377\0\0\0\0j {x}\0"
	    "\0\0\0\6\0"), 0, 6, MILTER_P_ALL, "j {x}", "" },
	/* Versions we do not speak. */
	{ BYTES("\0\0\0\1\0\0\0\0\0\0\0\0"), ERR_SYNTAX, 0, 0, NULL, NULL },
	{ BYTES("\0\0\0\7\0\0\0\0\0\0\0\0"), ERR_SYNTAX, 0, 0, NULL, NULL },
	/* Rights that were not offered. */
	{ BYTES("\0\0\0\6\0\0\2\0\0\0\0\0"), ERR_SYNTAX, 0, 0, NULL, NULL },
	{ BYTES("\0\0\0\6\0\0\0\0\0\100\0\0"), ERR_SYNTAX, 0, 0, NULL,
	    NULL },
	/* Cut, a stage that is none, names without an end, a line end. */
	{ BYTES("\0\0\0\6\0\0\0\0\0\0\0"), ERR_SYNTAX, 0, 0, NULL, NULL },
	{ BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\7j\0"), ERR_SYNTAX, 0, 0,
	    NULL, NULL },
	{ BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j"), ERR_SYNTAX, 0, 0,
	    NULL, NULL },
	{ BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\0j\n\0"), ERR_SYNTAX, 0, 0,
	    NULL, NULL },
	{ BYTES("\0\0\0\6\0\0\0\0\0\0\0\0\0\0"), ERR_SYNTAX, 0, 0, NULL,
	    NULL },
};

static void
test_negotiation(void **state)
{
	struct milter_frame frame = { .command = 'O' };
	struct milter_options got;
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(negotiations); i++) {
		err_clear(&err);
		frame.data = negotiations[i].data;
		if (milter_negotiated(&frame, &all, &got, &err) !=
		    negotiations[i].rc)
			fail_msg("negotiation %zu: %s", i, err_text(&err));
		if (negotiations[i].rc != 0)
			continue;
		assert_int_equal(got.version, negotiations[i].version);
		assert_int_equal(got.protocol, negotiations[i].protocol);
		if (negotiations[i].connect == NULL) {
			assert_null(got.symbols[MILTER_S_CONNECT].p);
			continue;
		}
		assert_true(str_eq(got.symbols[MILTER_S_CONNECT],
		    str_of(negotiations[i].connect)));
		assert_non_null(got.symbols[MILTER_S_EOH].p);
		assert_true(str_eq(got.symbols[MILTER_S_EOH],
		    str_of(negotiations[i].eoh)));
		assert_null(got.symbols[MILTER_S_RCPT].p);
	}
	frame.command = 'c';
	frame.data = negotiations[0].data;
	assert_int_equal(milter_negotiated(&frame, &all, &got, NULL),
	    ERR_SYNTAX);
}

static void
test_wants(void **state)
{
	static const struct {
		enum milter_event event;
		uint32_t no;
		uint32_t no_reply;
	} cases[] = {
		{ MILTER_E_CONNECT, 0x1, 0x1000 },
		{ MILTER_E_HELO, 0x2, 0x2000 },
		{ MILTER_E_MAIL, 0x4, 0x4000 },
		{ MILTER_E_RCPT, 0x8, 0x8000 },
		{ MILTER_E_DATA, 0x200, 0x10000 },
		{ MILTER_E_HEADER, 0x20, 0x80 },
		{ MILTER_E_EOH, 0x40, 0x40000 },
		{ MILTER_E_BODY, 0x10, 0x80000 },
		{ MILTER_E_UNKNOWN, 0x100, 0x20000 },
	};
	struct milter_options options = { .version = 6 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		options.protocol = ~cases[i].no & ~cases[i].no_reply;
		assert_true(milter_wants(&options, cases[i].event));
		assert_true(milter_has_answer(&options, cases[i].event));
		options.protocol = cases[i].no | cases[i].no_reply;
		assert_false(milter_wants(&options, cases[i].event));
		assert_false(milter_has_answer(&options, cases[i].event));
	}
	options.protocol = UINT32_MAX;
	assert_true(milter_wants(&options, MILTER_E_EOB));
	assert_true(milter_has_answer(&options, MILTER_E_EOB));
	/* Commands that the version does not know. */
	assert_false(milter_wants(&old, MILTER_E_UNKNOWN));
	assert_false(milter_wants(&old, MILTER_E_DATA));
	assert_true(milter_wants(&old, MILTER_E_HEADER));
}

/* ---- answers ---- */

static const struct {
	char command;
	struct str data;
	enum milter_event event;
	int rc;
	struct milter_answer want;
} answers[] = {
	{ 'c', BYTES(""), MILTER_E_CONNECT, 0, { .kind = MILTER_CONTINUE } },
	{ 'a', BYTES(""), MILTER_E_HELO, 0, { .kind = MILTER_ACCEPT } },
	{ 'r', BYTES(""), MILTER_E_RCPT, 0, { .kind = MILTER_REJECT } },
	{ 't', BYTES(""), MILTER_E_DATA, 0, { .kind = MILTER_TEMPFAIL } },
	{ 'd', BYTES(""), MILTER_E_MAIL, 0, { .kind = MILTER_DISCARD } },
	{ 's', BYTES(""), MILTER_E_BODY, 0, { .kind = MILTER_SKIP } },
	{ 'f', BYTES(""), MILTER_E_CONNECT, 0,
	    { .kind = MILTER_CONN_FAIL } },
	{ '4', BYTES(""), MILTER_E_UNKNOWN, 0,
	    { .kind = MILTER_SHUTDOWN } },
	{ 'p', BYTES(""), MILTER_E_EOB, 0, { .kind = MILTER_PROGRESS } },
	{ 'y', BYTES("550 no\0"), MILTER_E_RCPT, 0,
	    { .kind = MILTER_REPLYCODE, .code = 550,
	    .text = BYTES("550 no") } },
	{ 'h', BYTES("X-A\0b\n c\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_ADDHEADER, .name = BYTES("X-A"),
	    .value = BYTES("b\n c") } },
	{ 'h', BYTES("X-A\0b\r\n\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_ADDHEADER, .name = BYTES("X-A"),
	    .value = BYTES("b") } },
	{ 'i', BYTES("\0\0\1\2X\0\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_INSHEADER, .index = 258, .name = BYTES("X") } },
	{ 'm', BYTES("\0\0\0\1Subject\0s\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_CHGHEADER, .index = 1,
	    .name = BYTES("Subject"), .value = BYTES("s") } },
	{ 'e', BYTES("<a@b>\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_CHGFROM, .address = BYTES("<a@b>") } },
	{ 'e', BYTES("<a@b>\0SIZE=1\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_CHGFROM, .address = BYTES("<a@b>"),
	    .params = BYTES("SIZE=1") } },
	{ '+', BYTES("<a@b>\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_ADDRCPT, .address = BYTES("<a@b>") } },
	{ '2', BYTES("<a@b>\0NOTIFY=NEVER\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_ADDRCPT_PAR, .address = BYTES("<a@b>"),
	    .params = BYTES("NOTIFY=NEVER") } },
	{ '-', BYTES("<a@b>\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_DELRCPT, .address = BYTES("<a@b>") } },
	{ 'b', BYTES("a\0\r\n"), MILTER_E_EOB, 0,
	    { .kind = MILTER_REPLBODY, .text = BYTES("a\0\r\n") } },
	{ 'q', BYTES("odd\0"), MILTER_E_EOB, 0,
	    { .kind = MILTER_QUARANTINE, .text = BYTES("odd") } },

	/* Not an answer; not to this command; with something behind it. */
	{ 'O', BYTES(""), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ '\0', BYTES(""), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'd', BYTES(""), MILTER_E_CONNECT, ERR_SYNTAX, { 0 } },
	{ 's', BYTES(""), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("X\0b\0"), MILTER_E_BODY, ERR_SYNTAX, { 0 } },
	{ 'c', BYTES("x"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ '+', BYTES("<a@b>\0x"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	/* Strings without an end. */
	{ 'h', BYTES("X\0b"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("X"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'i', BYTES("\0\0\1"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ '2', BYTES("<a@b>\0x"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	/* What would be a line of its own. */
	{ 'h', BYTES("X\0b\nBcc: c\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("X\0b\rc\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("X\0b\r\n\r\nc\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("X: y\0b\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("\0b\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'h', BYTES("X\303\244\0b\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ '+', BYTES("<a@b>\r\nX\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	{ 'q', BYTES("o\ndd\0"), MILTER_E_EOB, ERR_SYNTAX, { 0 } },
	/* Codes that say yes, or nothing. */
	{ 'y', BYTES("250 ok\0"), MILTER_E_RCPT, ERR_SYNTAX, { 0 } },
	{ 'y', BYTES("600 ok\0"), MILTER_E_RCPT, ERR_SYNTAX, { 0 } },
	{ 'y', BYTES("55\0"), MILTER_E_RCPT, ERR_SYNTAX, { 0 } },
	{ 'y', BYTES("5x0 no\0"), MILTER_E_RCPT, ERR_SYNTAX, { 0 } },
};

static void
check_answer(size_t i, const struct milter_answer *got)
{
	const struct milter_answer *want = &answers[i].want;

	if (got->kind != want->kind || got->index != want->index ||
	    got->code != want->code || !str_eq(got->name, want->name) ||
	    !str_eq(got->value, want->value) ||
	    !str_eq(got->address, want->address) ||
	    !str_eq(got->params, want->params) ||
	    !str_eq(got->text, want->text))
		fail_msg("answer %zu", i);
	assert_int_equal(milter_is_last(got->kind),
	    got->kind <= MILTER_SHUTDOWN);
}

static void
test_answers(void **state)
{
	struct milter_frame frame;
	struct milter_answer got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(answers); i++) {
		frame.command = answers[i].command;
		frame.data = answers[i].data;
		if (milter_answer_read(&frame, &all, answers[i].event, &got,
		    NULL) != answers[i].rc)
			fail_msg("answer %zu", i);
		if (answers[i].rc == 0)
			check_answer(i, &got);
	}
}

/* Each edit needs its own right. */
static void
test_rights(void **state)
{
	static const struct {
		char command;
		struct str data;
		uint32_t action;
	} cases[] = {
		{ 'h', BYTES("X\0b\0"), MILTER_A_ADDHDRS },
		{ 'i', BYTES("\0\0\0\1X\0b\0"), MILTER_A_ADDHDRS },
		{ 'm', BYTES("\0\0\0\1X\0b\0"), MILTER_A_CHGHDRS },
		{ 'e', BYTES("<>\0"), MILTER_A_CHGFROM },
		{ '+', BYTES("<>\0"), MILTER_A_ADDRCPT },
		{ '2', BYTES("<>\0"), MILTER_A_ADDRCPT_PAR },
		{ '-', BYTES("<>\0"), MILTER_A_DELRCPT },
		{ 'b', BYTES(""), MILTER_A_CHGBODY },
		{ 'q', BYTES("\0"), MILTER_A_QUARANTINE },
	};
	struct milter_options options = { .version = 6 };
	struct milter_frame frame;
	struct milter_answer got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		frame.command = cases[i].command;
		frame.data = cases[i].data;
		options.actions = cases[i].action;
		assert_int_equal(milter_answer_read(&frame, &options,
		    MILTER_E_EOB, &got, NULL), 0);
		options.actions = MILTER_A_ALL & ~cases[i].action;
		assert_int_equal(milter_answer_read(&frame, &options,
		    MILTER_E_EOB, &got, NULL), ERR_SYNTAX);
	}
	frame.command = 's';
	frame.data = STR("");
	assert_int_equal(milter_answer_read(&frame, &options, MILTER_E_BODY,
	    &got, NULL), ERR_SYNTAX);
}

static void
test_long_strings(void **state)
{
	struct milter_frame frame = { .command = 'h' };
	struct milter_answer got;
	struct buf data;
	size_t i, extra;

	(void)state;
	buf_init(&data, 4096);
	for (extra = 0; extra < 2; extra++) {
		buf_reset(&data);
		for (i = 0; i < MILTER_NAME_MAX + extra; i++)
			buf_add_char(&data, 'n');
		buf_add(&data, "\0v\0", 3);
		frame.data = buf_str(&data);
		assert_int_equal(milter_answer_read(&frame, &all,
		    MILTER_E_EOB, &got, NULL), extra == 0 ? 0 : ERR_SYNTAX);
	}
	buf_fini(&data);
}

/* ---- replies ---- */

static const struct {
	const char *in;
	int rc;
	const char *enhanced;
	const char *text;
} replies[] = {
	{ "550 5.1.1 no such user", 0, "5.1.1", "no such user" },
	{ "550", 0, "5.7.1", "" },
	{ "451 later", 0, "4.7.1", "later" },
	{ "550 4.1.1 odd", 0, "5.7.1", "4.1.1 odd" },
	{ "550 100%% sure %x", 0, "5.7.1", "100% sure %x" },
	{ "550-5.7.1 one\r\n550 5.7.1 two", 0, "5.7.1", "one two" },
	{ "550 no\r\n250 ok", ERR_SYNTAX, "", "" },
	{ "550-no\r\n451 ok", ERR_SYNTAX, "", "" },
	{ "550-no", ERR_SYNTAX, "", "" },
	{ "550_no", ERR_SYNTAX, "", "" },
};

static void
test_replies(void **state)
{
	struct milter_answer answer = { .kind = MILTER_REPLYCODE };
	struct milter_reply reply;
	uint64_t code;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(replies); i++) {
		answer.text = str_of(replies[i].in);
		assert_int_equal(str_to_u64(str_sub(answer.text, 0, 3), 599,
		    &code), 0);
		answer.code = (unsigned)code;
		if (milter_reply_read(&answer, &reply, NULL) !=
		    replies[i].rc)
			fail_msg("%s", replies[i].in);
		if (replies[i].rc != 0)
			continue;
		assert_int_equal(reply.code, code);
		assert_string_equal(reply.enhanced, replies[i].enhanced);
		assert_string_equal(reply.text, replies[i].text);
	}
}

static void
test_fields(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 256);
	milter_put_field(&out, &all, STR("A"), STR(" b\n c\r\n d"));
	assert_true(str_eq(buf_str(&out), STR("A: b\r\n c\r\n d\r\n")));
	buf_reset(&out);
	milter_put_field(&out, &old, STR("A"), STR("\n b"));
	assert_true(str_eq(buf_str(&out), STR("A: \r\n b\r\n")));
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_data_max),
		cmocka_unit_test(test_negotiation),
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_long_strings),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
