/* SPDX-License-Identifier: ISC */
/* A server's octets: the same answers in any split, text that is safe. */
#include <stddef.h>
#include <stdint.h>

#include "proto/smtp_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_text(const struct smtp_answer *answer)
{
	struct smtp_caps caps;
	struct buf out;
	struct str line;
	size_t i;

	buf_init(&out, 4096);
	smtp_answer_put(answer, 500, &out);
	line = buf_str(&out);
	invariant(line.len <= 500 && str_is_utf8(line));
	for (i = 0; i < line.len; i++)
		invariant((unsigned char)line.p[i] >= ' ');
	smtp_caps_read(buf_str(&answer->text), &caps);
	buf_fini(&out);
}

/* A number that depends on every answer, in splits of at most step. */
static uint64_t
run(struct str in, size_t step)
{
	enum smtp_answer_result result = SMTP_ANSWER_MORE;
	struct smtp_answer answer;
	uint64_t sum = 0;
	size_t used;

	smtp_answer_init(&answer);
	while (in.len != 0 && result != SMTP_ANSWER_BAD) {
		result = smtp_answer_feed(&answer, str_sub(in, 0, step),
		    &used);
		invariant(used != 0 || result == SMTP_ANSWER_BAD);
		in = str_sub(in, used, in.len);
		if (result != SMTP_ANSWER_DONE)
			continue;
		invariant(answer.code >= 200 && answer.code < 600);
		sum = sum * 31 + answer.code + answer.text.len;
		check_text(&answer);
	}
	smtp_answer_fini(&answer);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);

	invariant(run(in, 1) == run(in, size + 1));
	return 0;
}
