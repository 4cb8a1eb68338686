/* SPDX-License-Identifier: ISC */
/*
 * The framer gives the same events whatever the pieces, keeps within its
 * limits, and consumes everything or closes.
 */
#include "base/buf.h"
#include "proto/imap_framer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct imap_limits limits = {
	.line_octets = 120,
	.literal_octets = 60,
	.swallow_octets = 200,
	.has_append = true,
};

static void
note(struct buf *out, const char *what, struct str s)
{
	buf_add_cstr(out, what);
	buf_add_str(out, s);
	buf_add_char(out, '\n');
}

static void
on_command(struct imap_framer *f, struct buf *out)
{
	struct str text = imap_framer_text(f);

	note(out, "command ", text);
	note(out, "tail ", imap_framer_tail(f));
	invariant(text.len <= limits.line_octets + limits.literal_octets);
	if (str_ends_nocase(text, STR(" IDLE")))
		imap_framer_want_line(f, 30);
}

static void
on_append(struct imap_framer *f, struct buf *out)
{
	note(out, "append ", imap_framer_text(f));
	buf_addf(out, "%llu %d %d %u\n", (unsigned long long)f->append_octets,
	    f->append_is_sync, f->append_is_binary, f->append_count);
	if (f->append_octets % 3 == 0)
		imap_framer_refuse(f);
	else
		imap_framer_accept(f);
}

static void
act(struct imap_framer *f, enum imap_frame event, struct str data,
    struct buf *out)
{
	switch (event) {
	case IMAP_FRAME_MORE:
		break;
	case IMAP_FRAME_CONTINUE:
		buf_add_cstr(out, "continue\n");
		break;
	case IMAP_FRAME_COMMAND:
		on_command(f, out);
		break;
	case IMAP_FRAME_LINE:
		note(out, "line ", imap_framer_text(f));
		break;
	case IMAP_FRAME_APPEND:
		on_append(f, out);
		break;
	case IMAP_FRAME_DATA:
		invariant(data.len != 0);
		buf_add_str(out, data);
		break;
	case IMAP_FRAME_REFUSE:
		buf_addf(out, "refuse %d ", (int)f->refusal);
		note(out, "", imap_framer_tag(f));
		break;
	case IMAP_FRAME_CLOSE:
		buf_add_cstr(out, "close\n");
		break;
	}
}

static void
run(struct str in, size_t step, struct buf *out)
{
	enum imap_frame event = IMAP_FRAME_MORE;
	struct imap_framer f;
	struct str data;
	size_t at = 0, have = 0, used;

	buf_init(out, 1 << 24);
	imap_framer_init(&f, &limits);
	while (have < in.len && event != IMAP_FRAME_CLOSE) {
		have = have + step < in.len ? have + step : in.len;
		do {
			event = imap_framer_next(&f, str_sub(in, at,
			    have - at), &used, &data);
			at += used;
			act(&f, event, data, out);
			invariant(!buf_failed(&f.text));
		} while (event != IMAP_FRAME_MORE &&
		    event != IMAP_FRAME_CLOSE);
		invariant(at == have || event == IMAP_FRAME_CLOSE);
	}
	imap_framer_trim(&f);
	imap_framer_fini(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t steps[] = { 1, 2, 5, 41 };
	struct str in = str_make(data, size);
	struct buf whole, part;
	size_t i;

	run(in, size, &whole);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		run(in, steps[i], &part);
		invariant(str_eq(buf_str(&whole), buf_str(&part)));
		buf_fini(&part);
	}
	buf_fini(&whole);
	return 0;
}
