/* SPDX-License-Identifier: ISC */
/*
 * A pattern is a machine with a state for each of its octets; all the states
 * it can be in are followed at once, so that no pattern makes the work more
 * than its length times the name's.
 */
#include "proto/imap_write.h"

#define WORDS (IMAP_PATTERN_OCTETS_MAX / 64 + 1)

struct states {
	uint64_t bits[WORDS];
};

static bool
is_wildcard(struct str pattern, size_t i)
{
	return i < pattern.len && (pattern.p[i] == '*' || pattern.p[i] == '%');
}

/* Be at i, and behind it when a wildcard there may take nothing. */
static void
enter(struct states *states, struct str pattern, size_t i)
{
	for (;; i++) {
		uint64_t bit = (uint64_t)1 << (i % 64);

		if ((states->bits[i / 64] & bit) != 0)
			return;
		states->bits[i / 64] |= bit;
		if (!is_wildcard(pattern, i))
			return;
	}
}

/* From state i over octet c. */
static void
step(struct states *next, struct str pattern, size_t i, char c,
    char delimiter)
{
	if (i == pattern.len)
		return;
	if (pattern.p[i] == '*' || (pattern.p[i] == '%' && c != delimiter))
		enter(next, pattern, i);
	else if (pattern.p[i] == c && pattern.p[i] != '%')
		enter(next, pattern, i + 1);
}

static bool
step_all(struct states *now, struct str pattern, char c, char delimiter)
{
	struct states next = { { 0 } };
	bool is_alive = false;
	uint64_t left;
	size_t w, words = pattern.len / 64 + 1;

	for (w = 0; w < words; w++)
		for (left = now->bits[w]; left != 0; left &= left - 1)
			step(&next, pattern, w * 64 +
			    (size_t)__builtin_ctzll(left), c, delimiter);
	for (w = 0; w < words; w++) {
		now->bits[w] = next.bits[w];
		is_alive |= next.bits[w] != 0;
	}
	return is_alive;
}

bool
imap_match(struct str pattern, struct str name, char delimiter)
{
	struct states now = { { 0 } };
	size_t i;

	if (pattern.len > IMAP_PATTERN_OCTETS_MAX)
		return false;
	enter(&now, pattern, 0);
	for (i = 0; i < name.len; i++)
		if (!step_all(&now, pattern, name.p[i], delimiter))
			return false;
	return (now.bits[pattern.len / 64] >> (pattern.len % 64) & 1) != 0;
}
