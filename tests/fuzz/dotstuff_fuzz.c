/* SPDX-License-Identifier: ISC */
/*
 * What is stuffed comes back from the unframer as the same text with its
 * line ends made CRLF, whatever the pieces; TOP takes the same octets too.
 */
#include "base/buf.h"
#include "proto/pop3.h"
#include "proto/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
stuff(struct str in, size_t step, struct buf *out)
{
	struct dotstuff dotstuff;
	size_t i;

	buf_init(out, in.len * 3 + 16);
	dotstuff_init(&dotstuff);
	for (i = 0; i < in.len; i += step)
		dotstuff_add(&dotstuff, str_sub(in, i, step), out);
	dotstuff_end(&dotstuff, out);
	invariant(!buf_failed(out));
}

/* With every CR, LF and CRLF made CRLF, and one at the end. */
static void
canonical(struct str in, struct buf *out)
{
	size_t i;

	buf_init(out, in.len * 2 + 2);
	for (i = 0; i < in.len; i++) {
		if (in.p[i] != '\r' && in.p[i] != '\n') {
			buf_add_char(out, in.p[i]);
			continue;
		}
		if (in.p[i] == '\r' && i + 1 < in.len && in.p[i + 1] == '\n')
			i++;
		buf_add_cstr(out, "\r\n");
	}
	if (out->len != 0 && buf_str(out).p[out->len - 1] != '\n')
		buf_add_cstr(out, "\r\n");
}

static void
unstuff(struct str in, struct buf *out)
{
	struct smtp_data d;
	enum smtp_data_result result = SMTP_DATA_MORE;
	struct str span;
	size_t used, at = 0;

	buf_init(out, in.len + 1);
	smtp_data_init(&d, UINT64_MAX);
	while (result == SMTP_DATA_MORE) {
		invariant(at < in.len);
		result = smtp_data_next(&d, str_sub(in, at, in.len), &span,
		    &used);
		buf_add_str(out, span);
		at += used;
	}
	invariant(d.verdict == SMTP_DATA_OK && at == in.len);
}

static void
check_top(struct str in, uint32_t lines)
{
	struct pop3_top whole, single;
	size_t i, taken;

	pop3_top_init(&whole, lines);
	pop3_top_init(&single, lines);
	taken = pop3_top_take(&whole, in);
	invariant(taken == in.len || whole.is_done);
	for (i = 0; i < in.len; i++)
		if (pop3_top_take(&single, str_sub(in, i, 1)) == 0)
			break;
	invariant(i == taken);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_make(data, size);
	struct buf whole, part, want, got;
	size_t step;

	stuff(in, size + 1, &whole);
	for (step = 1; step < 70; step = step * 3 - 1 + (step == 1)) {
		stuff(in, step, &part);
		invariant(str_eq(buf_str(&whole), buf_str(&part)));
		buf_fini(&part);
	}
	canonical(in, &want);
	unstuff(buf_str(&whole), &got);
	invariant(str_eq(buf_str(&want), buf_str(&got)));
	check_top(in, size != 0 ? data[0] % 5 : 0);
	buf_fini(&whole);
	buf_fini(&want);
	buf_fini(&got);
	return 0;
}
