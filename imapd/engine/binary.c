/* SPDX-License-Identifier: ISC */
#include "imapd/engine/binary.h"

#include "mail/text.h"

#define SLICE (48U << 10)

/* RFC 2045 section 6.4: what holds other parts is never encoded itself. */
static struct str
encoding_of(const struct mail_part *part)
{
	if (part == NULL || part->kind != MAIL_LEAF || part->encoding.p == NULL)
		return STR("");
	return part->encoding;
}

static void
rewind_to_start(struct binary *b)
{
	transfer_free(&b->transfer);
	b->transfer = transfer_new(b->encoding);
	buf_reset(&b->decoded);
	b->at = 0;
	b->done = 0;
}

int
binary_begin(struct binary *b, struct imap_message *m,
    const struct imap_section *section)
{
	struct mail_section where = {
		.what = MAIL_SECTION_BODY, .depth = section->n_part,
	};

	*b = (struct binary){ .view = &m->view };
	if (section->n_part > MAIL_PATH_MAX)
		return ERR_NOTFOUND;
	if (section->n_part != 0)
		memcpy(where.path, section->part,
		    section->n_part * sizeof(where.path[0]));
	if (summary_section(m->summary, &where, &b->range) != 0)
		return ERR_NOTFOUND;
	b->encoding = encoding_of(b->range.part);
	if (!transfer_is_known(b->encoding))
		return ERR_DENIED;
	buf_init(&b->decoded, 4 * SLICE);
	rewind_to_start(b);
	return 0;
}

void
binary_end(struct binary *b)
{
	if (b->transfer == NULL)
		return;
	transfer_free(&b->transfer);
	buf_fini(&b->decoded);
}

/* Decode the next slice; *is_last_r: there is no more. */
static int
decode(struct binary *b, bool *is_last_r)
{
	uint64_t size = mail_range_size(b->view, &b->range);
	char slice[SLICE];
	size_t len = 0;

	b->done += b->decoded.len;
	buf_reset(&b->decoded);
	if (b->at < size && mail_range_read(b->view, &b->range, b->at, slice,
	    sizeof(slice), &len, NULL) != 0)
		return ERR_CORRUPT;
	if (b->at < size && len == 0)
		return ERR_CORRUPT;
	b->at += len;
	*is_last_r = b->at >= size;
	transfer_feed(b->transfer, str_make(slice, len), *is_last_r,
	    &b->decoded);
	return buf_failed(&b->decoded) ? ERR_LIMIT : 0;
}

int
binary_measure(struct binary *b, bool *is_done_r)
{
	int ret = decode(b, is_done_r);

	if (ret != 0)
		return ret;
	if (str_find(buf_str(&b->decoded), '\0') != STR_NPOS)
		b->has_nul = true;
	b->size = b->done + b->decoded.len;
	if (*is_done_r)
		rewind_to_start(b);
	return 0;
}

int
binary_read(struct binary *b, uint64_t *from, uint64_t to, struct buf *out)
{
	uint64_t end = b->done + b->decoded.len;
	struct str part;
	bool is_last;

	if (*from >= end)
		return decode(b, &is_last);
	if (end > to)
		end = to;
	part = str_sub(buf_str(&b->decoded), (size_t)(*from - b->done),
	    (size_t)(end - *from));
	buf_add_str(out, part);
	*from = end;
	return 0;
}
