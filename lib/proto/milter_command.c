/* SPDX-License-Identifier: ISC */
#include "proto/milter_command.h"

#include "proto/milter_int.h"

/* ---- reading ---- */

static void
read_negotiate(struct milter_reader *reader, struct milter_command *command)
{
	command->kind = MILTER_C_NEGOTIATE;
	command->offered.version = milter_read_u32(reader);
	command->offered.actions = milter_read_u32(reader);
	command->offered.protocol = milter_read_u32(reader);
	/* Whatever a later version says beside it. */
	reader->rest = STR("");
}

static void
read_macros(struct milter_reader *reader, struct milter_command *command)
{
	command->kind = MILTER_C_MACROS;
	if (reader->rest.len == 0) {
		reader->has_failed = true;
		return;
	}
	command->rest = str_sub(reader->rest, 1, reader->rest.len);
	reader->rest = STR("");
}

static void
read_connect(struct milter_reader *reader, struct milter_command *command)
{
	command->name = milter_read_line(reader, MILTER_ADDRESS_MAX);
	if (reader->rest.len == 0) {
		reader->has_failed = true;
		return;
	}
	command->family = (enum milter_family)*reader->rest.p;
	reader->rest = str_sub(reader->rest, 1, reader->rest.len);
	if (command->family == MILTER_F_UNKNOWN)
		return;
	if (reader->rest.len < 2) {
		reader->has_failed = true;
		return;
	}
	reader->rest = str_sub(reader->rest, 2, reader->rest.len);
	command->address = milter_read_line(reader, MILTER_ADDRESS_MAX);
}

static void
read_name(struct milter_reader *reader, struct milter_command *command)
{
	command->name = milter_read_line(reader, MILTER_ADDRESS_MAX);
}

/* ESMTP parameters are nothing a verdict is made of. */
static void
read_path(struct milter_reader *reader, struct milter_command *command)
{
	command->path = milter_read_line(reader, MILTER_PATH_MAX);
	reader->rest = STR("");
}

static void
read_field(struct milter_reader *reader, struct milter_command *command)
{
	command->name = milter_read_str(reader, reader->rest.len);
	command->value = milter_read_str(reader, reader->rest.len);
}

static void
read_text(struct milter_reader *reader, struct milter_command *command)
{
	command->text = reader->rest;
	reader->rest = STR("");
}

static const struct {
	char command;
	enum milter_command_kind kind;
	enum milter_event event;
	void (*read)(struct milter_reader *reader,
	    struct milter_command *command);
} rows[] = {
	{ 'O', MILTER_C_NEGOTIATE, MILTER_EVENTS, read_negotiate },
	{ 'D', MILTER_C_MACROS, MILTER_EVENTS, read_macros },
	{ 'C', MILTER_C_EVENT, MILTER_E_CONNECT, read_connect },
	{ 'H', MILTER_C_EVENT, MILTER_E_HELO, read_name },
	{ 'M', MILTER_C_EVENT, MILTER_E_MAIL, read_path },
	{ 'R', MILTER_C_EVENT, MILTER_E_RCPT, read_path },
	{ 'T', MILTER_C_EVENT, MILTER_E_DATA, NULL },
	{ 'L', MILTER_C_EVENT, MILTER_E_HEADER, read_field },
	{ 'N', MILTER_C_EVENT, MILTER_E_EOH, NULL },
	{ 'B', MILTER_C_EVENT, MILTER_E_BODY, read_text },
	{ 'E', MILTER_C_EVENT, MILTER_E_EOB, read_text },
	{ 'U', MILTER_C_EVENT, MILTER_E_UNKNOWN, read_text },
	{ 'A', MILTER_C_ABORT, MILTER_EVENTS, NULL },
	{ 'Q', MILTER_C_QUIT, MILTER_EVENTS, NULL },
	{ 'K', MILTER_C_QUIT_NC, MILTER_EVENTS, NULL },
};

int
milter_command_read(const struct milter_frame *frame,
    struct milter_command *command_r, struct err *err)
{
	struct milter_reader reader = { .rest = frame->data };
	size_t i;

	memset(command_r, 0, sizeof(*command_r));
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].command == frame->command)
			break;
	if (i == sizeof(rows) / sizeof(rows[0]))
		return err_set(err, ERR_SYNTAX, "unknown command 0x%02x",
		    (unsigned)(unsigned char)frame->command);
	command_r->kind = rows[i].kind;
	command_r->event = rows[i].event;
	if (rows[i].read != NULL)
		rows[i].read(&reader, command_r);
	if (reader.has_failed || reader.rest.len != 0)
		return err_set(err, ERR_SYNTAX, "command '%c' is malformed",
		    frame->command);
	return 0;
}

bool
milter_macro_next(struct str *rest, struct milter_macro *macro_r)
{
	struct milter_reader reader = { .rest = *rest };

	if (rest->len == 0)
		return false;
	macro_r->name = milter_read_str(&reader, rest->len);
	macro_r->value = milter_read_str(&reader, rest->len);
	*rest = reader.has_failed ? STR("") : reader.rest;
	return !reader.has_failed;
}

/* ---- answers ---- */

void
milter_put_negotiated(struct buf *out, const struct milter_options *agreed)
{
	milter_put_negotiate(out, agreed);
}

void
milter_put_answer(struct buf *out, enum milter_answer_kind kind)
{
	static const char commands[] = {
		[MILTER_CONTINUE] = 'c', [MILTER_ACCEPT] = 'a',
		[MILTER_REJECT] = 'r', [MILTER_TEMPFAIL] = 't',
		[MILTER_DISCARD] = 'd', [MILTER_PROGRESS] = 'p',
	};

	invariant(kind < sizeof(commands) && commands[kind] != '\0');
	milter_frame_end(out, milter_frame_begin(out, commands[kind]));
}

void
milter_put_reply(struct buf *out, unsigned code, struct str enhanced,
    struct str text)
{
	size_t at = milter_frame_begin(out, 'y'), i;

	buf_addf(out, "%u %.*s ", code, STR_FMT(enhanced));
	for (i = 0; i < text.len && text.p[i] != '\0'; i++) {
		buf_add_char(out, text.p[i] == '\r' || text.p[i] == '\n' ?
		    ' ' : text.p[i]);
		if (text.p[i] == '%')
			buf_add_char(out, '%');
	}
	buf_add_char(out, '\0');
	milter_frame_end(out, at);
}

static void
put_field(struct buf *out, uint32_t index, struct str name, struct str value)
{
	milter_put_u32(out, index);
	buf_add_str(out, name);
	buf_add_char(out, '\0');
	milter_put_value(out, value);
}

void
milter_put_insheader(struct buf *out, const struct milter_options *agreed,
    uint32_t index, struct str name, struct str value)
{
	size_t at = milter_frame_begin(out, 'i');

	if ((agreed->protocol & MILTER_P_HDR_LEADSPC) == 0)
		value = str_trim(value);
	put_field(out, index, name, value);
	milter_frame_end(out, at);
}

void
milter_put_delheader(struct buf *out, uint32_t index, struct str name)
{
	size_t at = milter_frame_begin(out, 'm');

	put_field(out, index, name, STR(""));
	milter_frame_end(out, at);
}

void
milter_put_quarantine(struct buf *out, struct str reason)
{
	size_t at = milter_frame_begin(out, 'q');

	milter_put_line(out, reason);
	milter_frame_end(out, at);
}
