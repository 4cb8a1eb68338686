/* SPDX-License-Identifier: ISC */
/* Any message made 7-bit: bodies hold no octet over 127 and no long line,
 * and the leaves decode to what they were. */
#include <stddef.h>
#include <stdint.h>

#include "mail/downgrade.h"
#include "mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode(struct str message, struct buf *out)
{
	struct scan *scan = scan_new();
	const struct mail_summary *sum;
	struct transfer *t;
	size_t i;

	scan_feed(scan, message.p, message.len);
	sum = scan_end(scan);
	for (i = 0; i < sum->part_count; i++) {
		const struct mail_part *part = &sum->parts[i];

		if (part->kind != MAIL_LEAF)
			continue;
		t = transfer_new(part->encoding);
		transfer_feed(t, str_sub(message, (size_t)part->body_at,
		    (size_t)part->body_len), true, out);
		transfer_free(&t);
		buf_add_char(out, '|');
	}
	scan_free(&scan);
}

static void
check(struct str in, struct str out)
{
	struct buf before, after;

	buf_init(&before, 1 << 24);
	buf_init(&after, 1 << 24);
	decode(in, &before);
	decode(out, &after);
	invariant(str_eq(buf_str(&before), buf_str(&after)));
	buf_fini(&before);
	buf_fini(&after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mail_view view = mail_view_of_memory(STR_NONE,
	    str_make(data, size));
	struct downgrade *d = downgrade_new(&view, DOWNGRADE_7BIT);
	enum downgrade_result result;
	bool is_end = false;
	struct buf out;

	buf_init(&out, 1 << 24);
	do
		result = downgrade_prepare(d, 1 + size / 3, NULL);
	while (result == DOWNGRADE_MORE);
	invariant(result != DOWNGRADE_FAILED);
	while (result == DOWNGRADE_READY && !is_end)
		invariant(downgrade_read(d, 100, &out, &is_end, NULL) == 0);
	if (result == DOWNGRADE_READY)
		check(str_make(data, size), buf_str(&out));
	buf_fini(&out);
	downgrade_free(&d);
	return 0;
}
