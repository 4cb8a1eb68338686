/* SPDX-License-Identifier: ISC */
/*
 * A filter's octets, or an MTA's. The first two octets choose what was agreed and which
 * event is answered. No field, address or reply may carry a line of its own.
 */
#include <stddef.h>
#include <stdint.h>

#include "mail/header.h"
#include "proto/milter_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_field(const struct milter_options *agreed,
    const struct milter_answer *answer)
{
	struct header_iter iter;
	struct header_field field;
	struct buf out;

	buf_init(&out, 1 << 20);
	milter_put_field(&out, agreed, answer->name, answer->value);
	invariant(!buf_failed(&out));
	header_iter_init(&iter, buf_str(&out));
	invariant(header_next(&iter, &field));
	invariant(str_eq(field.name, answer->name));
	invariant(field.raw.len == out.len);
	buf_reset(&out);
	milter_put_header(&out, agreed, answer->name, answer->value);
	invariant(!buf_failed(&out));
	buf_fini(&out);
}

static void
check_reply(const struct milter_answer *answer)
{
	struct milter_reply reply;

	if (milter_reply_read(answer, &reply, NULL) != 0)
		return;
	invariant(reply.code >= 400 && reply.code < 600);
	invariant((unsigned)(reply.enhanced[0] - '0') == reply.code / 100);
	invariant(str_is_text(str_of(reply.text)));
}

static void
check_answer(const struct milter_frame *frame,
    const struct milter_options *agreed, enum milter_event event)
{
	struct milter_answer answer;

	if (milter_answer_read(frame, agreed, event, &answer, NULL) != 0)
		return;
	invariant(milter_is_last(answer.kind) || event == MILTER_E_EOB ||
	    answer.kind == MILTER_PROGRESS);
	invariant(str_is_text(answer.address) && str_is_text(answer.params));
	if (answer.name.len != 0)
		check_field(agreed, &answer);
	if (answer.kind == MILTER_REPLYCODE)
		check_reply(&answer);
}

static void
check_command(const struct milter_frame *frame)
{
	struct milter_command command;
	struct milter_macro macro;

	if (milter_command_read(frame, &command, NULL) != 0)
		return;
	invariant(str_is_text(command.path) && str_is_text(command.address));
	invariant(command.kind != MILTER_C_EVENT ||
	    command.event < MILTER_EVENTS);
	while (milter_macro_next(&command.rest, &macro))
		invariant(str_find(macro.name, '\0') == STR_NPOS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct milter_options offered = { .version = MILTER_VERSION,
	    .actions = MILTER_A_ALL, .protocol = MILTER_P_ALL };
	struct milter_options agreed = offered, got;
	struct milter_frame frame;
	struct str in;
	size_t used;

	if (size < 2)
		return 0;
	agreed.actions = data[0] * 3U & MILTER_A_ALL;
	agreed.protocol = (data[0] & 1) != 0 ? MILTER_P_ALL : 0;
	in = str_make(data + 2, size - 2);
	while (milter_frame_next(in, milter_data_max(&agreed), &frame,
	    &used) == MILTER_FRAME) {
		invariant(used != 0 && used <= in.len);
		if (milter_negotiated(&frame, &offered, &got, NULL) == 0)
			agreed = got;
		check_command(&frame);
		check_answer(&frame, &agreed, data[1] % MILTER_EVENTS);
		in = str_sub(in, used, in.len);
	}
	return 0;
}
