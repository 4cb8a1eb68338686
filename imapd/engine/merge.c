/* SPDX-License-Identifier: ISC */
#include "imapd/engine/merge.h"

#include <stdlib.h>

void
merge_begin(struct merge *m, uint32_t *items, size_t count,
    int (*compare)(const void *ctx, uint32_t a, uint32_t b), const void *ctx)
{
	*m = (struct merge){
		.from = items, .count = count, .width = 1, .right = 1,
		.compare = compare, .ctx = ctx,
	};
	m->to = calloc(count + 1, sizeof(*m->to));
	invariant(m->to != NULL);
}

void
merge_end(struct merge *m)
{
	free(m->from);
	free(m->to);
	*m = (struct merge){ .from = NULL };
}

const uint32_t *
merge_result(const struct merge *m)
{
	return m->from;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The next pair of runs, or the next width. */
static void
next_runs(struct merge *m)
{
	uint32_t *swap;

	m->low += 2 * m->width;
	if (m->low >= m->count) {
		swap = m->from;
		m->from = m->to;
		m->to = swap;
		m->width *= 2;
		m->low = 0;
		m->at = 0;
	}
	m->left = m->low;
	m->right = least(m->low + m->width, m->count);
}

bool
merge_step(struct merge *m, size_t budget)
{
	size_t left_end, right_end;

	while (m->width < m->count) {
		left_end = least(m->low + m->width, m->count);
		right_end = least(m->low + 2 * m->width, m->count);
		while (m->left < left_end || m->right < right_end) {
			if (budget-- == 0)
				return false;
			if (m->right == right_end || (m->left < left_end &&
			    m->compare(m->ctx, m->from[m->left],
			    m->from[m->right]) <= 0))
				m->to[m->at++] = m->from[m->left++];
			else
				m->to[m->at++] = m->from[m->right++];
		}
		next_runs(m);
	}
	return true;
}
