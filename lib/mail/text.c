/* SPDX-License-Identifier: ISC */
/* Walks a message and gives out its text, a slice at a time. */
#include "mail/text.h"

#include "mail/charset.h"

#define CHUNK_OCTETS (16U << 10)

enum text_place {
	AT_TOP_HEADER,
	AT_PART,	/* begin of parts[next] */
	IN_BODY,	/* inside the body of part */
	AT_END,
};

struct mail_text {
	struct mail_view view;
	const struct mail_summary *summary;
	unsigned what;
	enum text_place place;
	size_t next;
	const struct mail_part *part;
	uint64_t at;		/* in the body of part */
	uint64_t read;		/* octets of the message so far */
	int failed;
	struct transfer *transfer;
	struct charset *charset;
	struct html_text *html;
	struct buf octets;	/* transfer encoding undone */
	struct buf utf8;	/* before HTML is stripped */
};

struct mail_text *
mail_text_new(const struct mail_view *view,
    const struct mail_summary *summary, unsigned what)
{
	struct mail_text *text = calloc(1, sizeof(*text));

	invariant(text != NULL);
	text->view = *view;
	text->summary = summary;
	text->what = what;
	buf_init(&text->octets, 4 * CHUNK_OCTETS);
	buf_init(&text->utf8, 64 * CHUNK_OCTETS);
	return text;
}

static void
body_end(struct mail_text *text)
{
	transfer_free(&text->transfer);
	charset_close(&text->charset);
	if (text->html != NULL)
		html_text_free(&text->html);
}

void
mail_text_free(struct mail_text **text)
{
	if (*text == NULL)
		return;
	body_end(*text);
	buf_fini(&(*text)->octets);
	buf_fini(&(*text)->utf8);
	free(*text);
	*text = NULL;
}

const struct mail_part *
mail_text_part(const struct mail_text *text)
{
	return text->part;
}

static void
put_header(struct str block, struct buf *out)
{
	struct header_iter iter;
	struct header_field field;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field)) {
		buf_add_str(out, field.name);
		buf_add_cstr(out, ": ");
		rfc2047_decode(out, field.value);
		buf_add_cstr(out, "\r\n");
	}
}

/* A header counts as one slice: it is at most 2 MB. */
static int
read_header(struct mail_text *text, const struct mail_part *part,
    bool has_trace, struct buf *out, struct err *err)
{
	struct mail_range range = {
		.has_trace = has_trace, .at = part->header_at,
		.len = part->header_len < HEADER_BLOCK_MAX ?
		    part->header_len : HEADER_BLOCK_MAX,
	};
	struct arena *arena = arena_new(0);
	struct str block;
	int rc;

	rc = mail_range_str(&text->view, &range, arena,
	    text->view.trace.len + HEADER_BLOCK_MAX, &block, err);
	if (rc == 0 && has_trace) {
		put_header(str_sub(block, 0, text->view.trace.len), out);
		block = str_sub(block, text->view.trace.len, block.len);
	}
	if (rc == 0)
		put_header(block, out);
	text->read += mail_range_size(&text->view, &range);
	text->failed = rc;
	arena_free(&arena);
	return rc;
}

static void
put_name(const struct mail_part *part, struct buf *out)
{
	struct arena *arena = arena_new(0);
	struct str name;

	name = mail_param_decode(arena, &part->disposition_params,
	    STR("filename"));
	if (name.p == NULL)
		name = mail_param_decode(arena, &part->params, STR("name"));
	if (name.len != 0) {
		buf_add_str(out, name);
		buf_add_cstr(out, "\r\n");
	}
	arena_free(&arena);
}

/* RFC 2045 section 5.2: charset counts for text alone. */
static void
body_begin(struct mail_text *text)
{
	const struct mail_part *part = text->part;

	text->place = IN_BODY;
	text->at = 0;
	text->transfer = transfer_new(part->encoding);
	text->charset = charset_open(mail_param_get(&part->params,
	    STR("charset")));
	if (str_eq(part->subtype, STR("html")))
		text->html = html_text_new();
}

static enum mail_text_result
at_part(struct mail_text *text, struct buf *out, struct err *err)
{
	const struct mail_part *part;

	if (text->next == text->summary->part_count) {
		text->place = AT_END;
		return MAIL_TEXT_DONE;
	}
	part = text->part = &text->summary->parts[text->next++];
	if ((text->what & MAIL_TEXT_BODY) && part->envelope != NULL &&
	    part->parent != MAIL_PART_NONE &&
	    read_header(text, part, false, out, err) != 0)
		return MAIL_TEXT_FAILED;
	if (text->what & MAIL_TEXT_FILE_NAMES)
		put_name(part, out);
	if ((text->what & MAIL_TEXT_BODY) && part->kind == MAIL_LEAF &&
	    str_eq(part->type, STR("text")))
		body_begin(text);
	return out->len != 0 ? MAIL_TEXT_BREAK : MAIL_TEXT_MORE;
}

static void
put_text(struct mail_text *text, struct str raw, bool is_last,
    struct buf *out)
{
	buf_reset(&text->octets);
	buf_reset(&text->utf8);
	transfer_feed(text->transfer, raw, is_last, &text->octets);
	charset_feed(text->charset, buf_str(&text->octets), is_last,
	    text->html != NULL ? &text->utf8 : out);
	if (text->html != NULL)
		html_text_feed(text->html, buf_str(&text->utf8), is_last,
		    out);
}

static enum mail_text_result
in_body(struct mail_text *text, size_t max, struct buf *out, struct err *err)
{
	uint64_t left = text->part->body_len - text->at;
	char chunk[CHUNK_OCTETS];
	size_t len, want = max < sizeof(chunk) ? max : sizeof(chunk);

	if (want > left)
		want = (size_t)left;
	text->failed = mail_view_read_blob(&text->view,
	    text->part->body_at + text->at, chunk, want, &len, err);
	if (text->failed != 0)
		return MAIL_TEXT_FAILED;
	text->at += len;
	text->read += len;
	/* A summary that promises more than there is ends here too. */
	left = len < want || len == 0 ? 0 : left - len;
	put_text(text, str_make(chunk, len), left == 0, out);
	if (left != 0)
		return MAIL_TEXT_MORE;
	body_end(text);
	text->place = AT_PART;
	return MAIL_TEXT_BREAK;
}

static enum mail_text_result
one_step(struct mail_text *text, size_t max, struct buf *out, struct err *err)
{
	switch (text->place) {
	case AT_TOP_HEADER:
		text->place = AT_PART;
		if (!(text->what & MAIL_TEXT_HEADER))
			return MAIL_TEXT_MORE;
		return read_header(text, &text->summary->parts[0], true, out,
		    err) == 0 ? MAIL_TEXT_BREAK : MAIL_TEXT_FAILED;
	case AT_PART:
		return at_part(text, out, err);
	case IN_BODY:
		return in_body(text, max, out, err);
	case AT_END:
		break;
	}
	return MAIL_TEXT_DONE;
}

enum mail_text_result
mail_text_step(struct mail_text *text, size_t max, struct buf *out,
    struct err *err)
{
	struct buf piece;
	enum mail_text_result result;

	/* Empty steps cost no octets: take them together. */
	buf_init(&piece, SIZE_MAX / 4);
	do
		result = one_step(text, max != 0 ? max : 1, &piece, err);
	while (result == MAIL_TEXT_MORE && piece.len == 0 &&
	    text->place != IN_BODY);
	buf_add_str(out, buf_str(&piece));
	buf_fini(&piece);
	return result;
}

int
mail_text_search_step(struct mail_text *text, struct text_search *search,
    size_t max, bool *is_done_r, struct err *err)
{
	uint64_t stop = text->read + max;
	enum mail_text_result result;
	struct buf out;

	buf_init(&out, SIZE_MAX / 4);
	do {
		buf_reset(&out);
		result = mail_text_step(text, max, &out, err);
		text_search_feed(search, buf_str(&out));
		if (result != MAIL_TEXT_MORE)
			text_search_break(search);
		*is_done_r = result == MAIL_TEXT_DONE ||
		    text_search_is_done(search);
	} while (result != MAIL_TEXT_FAILED && !*is_done_r &&
	    text->read < stop);
	buf_fini(&out);
	return result == MAIL_TEXT_FAILED ? text->failed : 0;
}
