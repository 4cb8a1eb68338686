/* SPDX-License-Identifier: ISC */
#include "imapd/engine/search_result.h"

#include "proto/imap_write.h"

void
result_init(struct search_result *result)
{
	*result = (struct search_result){ .ranges = NULL };
}

void
result_fini(struct search_result *result)
{
	free(result->ranges);
	result->ranges = NULL;
}

void
result_add(struct search_result *r, uint32_t number, uint64_t modseq)
{
	if (r->count++ == 0)
		r->first_modseq = modseq;
	r->last_modseq = modseq;
	if (modseq > r->modseq)
		r->modseq = modseq;
	if (r->n_ranges != 0 && r->ranges[r->n_ranges - 1].last + 1 == number) {
		r->ranges[r->n_ranges - 1].last = number;
		return;
	}
	if (r->n_ranges == r->cap) {
		r->cap = r->cap != 0 ? r->cap * 2 : 16;
		r->ranges = realloc(r->ranges, r->cap * sizeof(*r->ranges));
		invariant(r->ranges != NULL);
	}
	r->ranges[r->n_ranges++] = (struct imap_range){ number, number };
}

bool
result_is_enough(const struct search_result *result, unsigned returns)
{
	return result->count != 0 && (returns & IMAP_RETURN_MIN) != 0 &&
	    (returns & ~(unsigned)(IMAP_RETURN_MIN | IMAP_RETURN_SAVE)) == 0;
}

static uint32_t
first_of(const struct search_result *result)
{
	return result->ranges[0].first;
}

static uint32_t
last_of(const struct search_result *result)
{
	return result->ranges[result->n_ranges - 1].last;
}

/* RFC 5267 section 3: of SORT it is the first and the last in its order. */
static uint32_t
min_of(const struct search_result *result, const struct result_form *form)
{
	return form->numbers != NULL ? form->numbers[0] : first_of(result);
}

static uint32_t
max_of(const struct search_result *result, const struct result_form *form)
{
	return form->numbers != NULL ? form->numbers[form->count - 1] :
	    last_of(result);
}

/* What the client knows message number by. */
static uint32_t
name_of(const struct imap_view *view, bool is_uid, uint32_t number)
{
	return is_uid ? view->uids[number - 1] : number;
}

/* Those at positions first to last (from 1) as a set. */
static void
put_set(struct buf *out, const struct search_result *result,
    const struct imap_view *view, const struct result_form *form,
    uint64_t first, uint64_t last)
{
	bool is_uid = form->is_uid;
	struct imap_set_writer writer;
	uint64_t at = 1;
	uint32_t n;
	size_t i;

	imap_set_writer_init(&writer, out);
	for (; form->numbers != NULL && at <= form->count && at <= last; at++)
		if (at >= first)
			imap_set_writer_add(&writer, name_of(view, is_uid,
			    form->numbers[at - 1]));
	for (i = 0; form->numbers == NULL && i < result->n_ranges && at <= last; i++)
		for (n = result->ranges[i].first;
		    n <= result->ranges[i].last && at <= last; n++, at++)
			if (at >= first)
				imap_set_writer_add(&writer,
				    name_of(view, is_uid, n));
	imap_set_writer_end(&writer);
}

/* RFC 9394 section 3.1 */
static void
put_partial(struct buf *out, const struct search_result *result,
    const struct imap_view *view, const struct result_form *form)
{
	const char *sign = form->partial.is_last ? "-" : "";
	uint64_t first = form->partial.first, last = form->partial.last;

	buf_addf(out, " PARTIAL (%s%llu:%s%llu ", sign,
	    (unsigned long long)first, sign, (unsigned long long)last);
	if (form->partial.is_last) {
		last = result->count >= first ? result->count + 1 - first : 0;
		first = result->count >= form->partial.last ?
		    result->count + 1 - form->partial.last : 1;
	}
	if (first > last || first > result->count)
		buf_add_cstr(out, "NIL");
	else
		put_set(out, result, view, form, first, last);
	buf_add_char(out, ')');
}

/* RFC 4731 section 3.2: of MIN and MAX alone it is theirs. */
static uint64_t
modseq_of(const struct search_result *result, unsigned returns)
{
	if ((returns & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT |
	    IMAP_RETURN_PARTIAL)) != 0)
		return result->modseq;
	if ((returns & IMAP_RETURN_MAX) == 0)
		return result->first_modseq;
	if ((returns & IMAP_RETURN_MIN) == 0 ||
	    result->last_modseq > result->first_modseq)
		return result->last_modseq;
	return result->first_modseq;
}

static void
put_item(struct buf *out, const char *name, uint64_t value)
{
	buf_add_cstr(out, name);
	buf_add_u64(out, value);
}

static void
put_found(struct buf *out, const struct search_result *result,
    const struct imap_view *view, const struct result_form *form)
{
	unsigned returns = form->returns;

	if ((returns & IMAP_RETURN_MIN) != 0)
		put_item(out, " MIN ", name_of(view, form->is_uid,
		    min_of(result, form)));
	if ((returns & IMAP_RETURN_MAX) != 0)
		put_item(out, " MAX ", name_of(view, form->is_uid,
		    max_of(result, form)));
	if ((returns & IMAP_RETURN_ALL) != 0) {
		buf_add_cstr(out, " ALL ");
		put_set(out, result, view, form, 1, UINT64_MAX);
	}
	if (form->has_modseq)
		put_item(out, " MODSEQ ", modseq_of(result, returns));
}

void
result_put(struct buf *out, const struct search_result *result,
    const struct imap_view *view, const struct result_form *form)
{
	buf_add_cstr(out, "* ESEARCH (TAG ");
	imap_put_string(out, form->tag);
	buf_add_cstr(out, form->is_uid ? ") UID" : ")");
	if (result->count != 0)
		put_found(out, result, view, form);
	if ((form->returns & IMAP_RETURN_COUNT) != 0)
		put_item(out, " COUNT ", result->count);
	if ((form->returns & IMAP_RETURN_PARTIAL) != 0)
		put_partial(out, result, view, form);
	buf_add_cstr(out, "\r\n");
}

/* RFC 5182 section 2.1 and 2.4: SAVE of MIN and MAX keeps just these. */
void
result_save(const struct search_result *result, struct imap_view *view,
    unsigned returns)
{
	const unsigned ends = IMAP_RETURN_MIN | IMAP_RETURN_MAX;
	struct imap_range pair[2];
	size_t n = 0;

	if ((returns & ends) == 0 || result->count == 0 ||
	    (returns & ~(ends | IMAP_RETURN_SAVE)) != 0) {
		view_save(view, result->ranges, result->n_ranges);
		return;
	}
	if ((returns & IMAP_RETURN_MIN) != 0)
		pair[n++] = (struct imap_range){ first_of(result),
		    first_of(result) };
	if ((returns & IMAP_RETURN_MAX) != 0 &&
	    (n == 0 || last_of(result) != first_of(result)))
		pair[n++] = (struct imap_range){ last_of(result),
		    last_of(result) };
	view_save(view, pair, n);
}
