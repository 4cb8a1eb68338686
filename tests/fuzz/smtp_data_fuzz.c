/* SPDX-License-Identifier: ISC */
/*
 * The unframer gives the same body, verdict and end whatever the pieces, and
 * agrees with the obvious way to do it: find CRLF.CRLF first, look at the
 * octets between afterwards.
 */
#include "base/buf.h"
#include "proto/smtp_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	struct buf body;
	enum smtp_data_verdict verdict;
	bool is_ended;
	size_t used;
};

static void
run(struct str in, size_t step, uint64_t max, struct outcome *o)
{
	struct smtp_data d;
	struct str span;
	size_t used, have;

	buf_init(&o->body, in.len + 1);
	o->used = 0;
	o->is_ended = false;
	smtp_data_init(&d, max);
	for (have = 0; have < in.len && !o->is_ended;) {
		have = have + step < in.len ? have + step : in.len;
		while (o->used < have && !o->is_ended) {
			o->is_ended = smtp_data_next(&d, str_sub(in, o->used,
			    have - o->used), &span, &used) == SMTP_DATA_END;
			invariant(used != 0);
			o->used += used;
			buf_add_str(&o->body, span);
		}
	}
	o->verdict = d.verdict;
	invariant(o->body.len == d.size_octets && d.size_octets <= max);
}

/* Position behind the first CRLF.CRLF, or 0; a CRLF stands before in. */
static size_t
find_end(struct str in)
{
	size_t at;

	if (str_begins(in, STR(".\r\n")))
		return 3;
	at = str_find_str(in, STR("\r\n.\r\n"));
	return at == STR_NPOS ? 0 : at + 5;
}

static bool
has_bare(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			return true;
		if (s.p[i] == '\r' && i + 1 < s.len && s.p[i + 1] != '\n')
			return true;
	}
	return false;
}

static void
unstuff(struct str s, struct buf *out)
{
	bool is_start = true;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (!is_start || s.p[i] != '.')
			buf_add_char(out, s.p[i]);
		is_start = s.p[i] == '\n';
	}
}

static void
check_oracle(struct str in, uint64_t max, const struct outcome *o)
{
	size_t end = find_end(in);
	struct buf body;

	invariant(o->is_ended == (end != 0));
	if (end == 0)
		return;
	invariant(o->used == end);
	in = str_sub(in, 0, end - 3);
	buf_init(&body, in.len + 1);
	unstuff(in, &body);
	if (o->verdict == SMTP_DATA_OK) {
		invariant(!has_bare(in));
		invariant(str_eq(buf_str(&body), buf_str(&o->body)));
	} else
		invariant(has_bare(in) || body.len > max);
	buf_fini(&body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 3, 7, 63, 64, 65 };
	struct outcome whole, part;
	uint64_t max;
	struct str in;
	size_t i;

	if (size < 2)
		return 0;
	max = data[0] < 128 ? 1 << 20 : data[1] * 4;
	in = str_make(data + 1, size - 1);
	run(in, in.len, max, &whole);
	check_oracle(in, max, &whole);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		run(in, steps[i], max, &part);
		invariant(part.verdict == whole.verdict);
		invariant(part.is_ended == whole.is_ended);
		invariant(part.used == whole.used);
		invariant(str_eq(buf_str(&part.body), buf_str(&whole.body)));
		buf_fini(&part.body);
	}
	buf_fini(&whole.body);
	return 0;
}
