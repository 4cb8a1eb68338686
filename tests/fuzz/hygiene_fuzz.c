/* SPDX-License-Identifier: ISC */
/*
 * Every split gives the same output and the same notes; a second pass drops
 * nothing more; the reader of headers finds no field that had to go. The
 * first octet chooses the split, its lowest bit submission.
 */
#include "mail_fuzz.h"

#include "mail/hygiene.h"

static int
collect(void *ctx, const void *data, size_t len, struct err *err)
{
	(void)err;
	buf_add(ctx, data, len);
	return 0;
}

static struct hygiene *
run(struct str in, size_t step, bool is_submission, struct buf *out)
{
	struct hygiene *h = hygiene_new(STR("mx.test"), is_submission,
	    collect, out);
	size_t at;

	for (at = 0; at < in.len; at += step)
		invariant(hygiene_feed(h, in.p + at, step < in.len - at ?
		    step : in.len - at, NULL) == 0);
	invariant(hygiene_end(h, NULL) == 0);
	return h;
}

static void
same_note(const struct hygiene_note *a, const struct hygiene_note *b)
{
	size_t i;

	invariant(a->count == b->count);
	for (i = 0; i < a->count && i < HYGIENE_NOTES_MAX; i++)
		same_str(a->v[i], b->v[i]);
}

static void
same_notes(const struct hygiene_notes *a, const struct hygiene_notes *b)
{
	same_note(&a->from, &b->from);
	same_note(&a->sender, &b->sender);
	same_note(&a->resent_from, &b->resent_from);
	same_note(&a->resent_sender, &b->resent_sender);
	same_note(&a->delivered_to, &b->delivered_to);
	invariant(a->received == b->received && a->dropped == b->dropped);
	invariant(a->header_octets == b->header_octets);
	invariant(a->has_date == b->has_date && a->has_8bit == b->has_8bit);
	invariant(a->has_message_id == b->has_message_id);
	invariant(a->has_end == b->has_end);
}

/* The filter and the reader agree on what a field is. */
static void
check_clean(struct str out, const struct hygiene_notes *notes,
    bool is_submission)
{
	struct header_field field;
	struct header_iter iter;
	size_t from = 0;

	header_iter_init(&iter, out);
	while (header_next(&iter, &field)) {
		invariant(!str_eq_nocase(field.name, STR("Return-Path")));
		invariant(!is_submission ||
		    !str_eq_nocase(field.name, STR("Bcc")));
		if (!str_eq_nocase(field.name, STR("From")))
			continue;
		if (from < HYGIENE_NOTES_MAX && from < notes->from.count)
			same_str(field.value, notes->from.v[from]);
		from++;
	}
	invariant(iter.count == HEADER_FIELDS_MAX ||
	    from == notes->from.count);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hygiene *whole, *split, *second;
	struct buf out, other;
	bool is_submission;
	struct str in;
	size_t step;

	if (size == 0 || size > HEADER_FIELD_MAX)
		return 0;
	is_submission = (data[0] & 1) != 0;
	step = (size_t)data[0] / 2 + 1;
	in = str_make(data + 1, size - 1);
	buf_init(&out, size);
	buf_init(&other, size);
	whole = run(in, in.len + 1, is_submission, &out);
	split = run(in, step, is_submission, &other);
	invariant(str_eq(buf_str(&out), buf_str(&other)));
	same_notes(hygiene_notes(whole), hygiene_notes(split));
	invariant(hygiene_notes(whole)->dropped != 0 ||
	    str_eq(buf_str(&out), in));
	check_clean(buf_str(&out), hygiene_notes(whole), is_submission);
	buf_reset(&other);
	second = run(buf_str(&out), step, is_submission, &other);
	invariant(str_eq(buf_str(&out), buf_str(&other)));
	hygiene_free(&whole);
	hygiene_free(&split);
	hygiene_free(&second);
	buf_fini(&out);
	buf_fini(&other);
	return 0;
}
