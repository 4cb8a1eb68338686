/* SPDX-License-Identifier: ISC */
#include "proto/imap_set.h"

static int
compare(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Put largest for "*" and the smaller end first; false: selects nothing. */
static bool
resolve(struct imap_range in, uint32_t largest, struct imap_range *out)
{
	uint32_t first = in.first != 0 ? in.first : largest;
	uint32_t last = in.last != 0 ? in.last : largest;

	if (first == 0 || last == 0)
		return false;
	out->first = first < last ? first : last;
	out->last = first < last ? last : first;
	return true;
}

/* Merge range into the last of out, or append it; they come sorted. */
static void
merge(struct imap_set *out, struct imap_range range)
{
	struct imap_range *last;

	if (out->n_ranges != 0) {
		last = &out->ranges[out->n_ranges - 1];
		if (range.first <= last->last ||
		    range.first - 1 == last->last) {
			if (range.last > last->last)
				last->last = range.last;
			return;
		}
	}
	out->ranges[out->n_ranges++] = range;
}

struct imap_set
imap_set_resolve(const struct imap_set *set, uint32_t largest,
    struct arena *arena)
{
	struct imap_set out = { .is_saved = set->is_saved };
	size_t i, n = 0;

	if (set->n_ranges == 0)
		return out;
	out.ranges = arena_alloc(arena, set->n_ranges * sizeof(*out.ranges));
	for (i = 0; i < set->n_ranges; i++)
		if (resolve(set->ranges[i], largest, &out.ranges[n]))
			n++;
	qsort(out.ranges, n, sizeof(*out.ranges), compare);
	/* Merging writes behind where it reads. */
	for (i = 0; i < n; i++)
		merge(&out, out.ranges[i]);
	return out;
}

size_t
imap_set_find(const struct imap_set *set, uint32_t number)
{
	size_t low = 0, high = set->n_ranges, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (set->ranges[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool
imap_set_has(const struct imap_set *resolved, uint32_t number)
{
	size_t i = imap_set_find(resolved, number);

	return i < resolved->n_ranges && number != 0 &&
	    resolved->ranges[i].first <= number;
}

uint32_t
imap_set_next(const struct imap_set *resolved, uint32_t number)
{
	size_t i = imap_set_find(resolved, number);

	if (i == resolved->n_ranges)
		return 0;
	return resolved->ranges[i].first > number ?
	    resolved->ranges[i].first : number;
}

uint32_t
imap_set_max(const struct imap_set *resolved)
{
	return resolved->n_ranges == 0 ? 0 :
	    resolved->ranges[resolved->n_ranges - 1].last;
}

void
imap_set_writer_init(struct imap_set_writer *writer, struct buf *out)
{
	*writer = (struct imap_set_writer){ .out = out };
}

static void
flush(struct imap_set_writer *writer)
{
	if (writer->last == 0)
		return;
	if (writer->has_output)
		buf_add_char(writer->out, ',');
	buf_add_u64(writer->out, writer->first);
	if (writer->last != writer->first) {
		buf_add_char(writer->out, ':');
		buf_add_u64(writer->out, writer->last);
	}
	writer->has_output = true;
	writer->last = 0;
}

void
imap_set_writer_add(struct imap_set_writer *writer, uint32_t number)
{
	if (writer->last == 0 || number == 0 || number - 1 != writer->last) {
		flush(writer);
		writer->first = number;
	}
	writer->last = number;
}

void
imap_set_writer_end(struct imap_set_writer *writer)
{
	flush(writer);
}
