/* SPDX-License-Identifier: ISC */
/* A command line parses or is refused with a text; answers are one line. */
#include "base/buf.h"
#include "proto/pop3.h"
#include "proto/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_answer(struct str text)
{
	struct buf out;
	struct str s;

	buf_init(&out, text.len + 64);
	pop3_put_err(&out, "IN-USE", text);
	s = buf_str(&out);
	invariant(!buf_failed(&out) && str_find(s, '\n') == s.len - 1);
	invariant(str_is_text(str_sub(s, 0, s.len - 2)));
	buf_fini(&out);
}

static void
check_sasl(struct str text)
{
	struct buf out;

	buf_init(&out, SASL_LINE_MAX);
	if (sasl_read_line(text, &out) != SASL_LINE_DATA)
		invariant(out.len == 0);
	else
		invariant(out.len <= text.len);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = str_make(data, size);
	struct pop3_command cmd;
	const char *problem;

	if (pop3_parse(line, &cmd, &problem) != 0)
		invariant(problem[0] != '\0');
	else
		invariant(cmd.verb < POP3_VERB_COUNT && cmd.legal != 0 &&
		    (!cmd.has_number || cmd.number != 0));
	check_answer(line);
	check_sasl(line);
	return 0;
}
