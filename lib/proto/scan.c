/* SPDX-License-Identifier: ISC */
#include "proto/scan_int.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BLOCK 64

struct masks {
	uint64_t cr;
	uint64_t lf;
	uint64_t dot;
};

#ifdef __SSE2__
static uint64_t
mask_of(const __m128i v[4], char c)
{
	const __m128i want = _mm_set1_epi8(c);
	uint64_t mask = 0;
	unsigned i;

	for (i = 0; i < 4; i++)
		mask |= (uint64_t)(unsigned)_mm_movemask_epi8(
		    _mm_cmpeq_epi8(v[i], want)) << (16 * i);
	return mask;
}

static void
block_masks(const char *p, struct masks *masks)
{
	__m128i v[4];
	unsigned i;

	for (i = 0; i < 4; i++)
		v[i] = _mm_loadu_si128((const __m128i *)(const void *)
		    (p + 16 * i));
	masks->cr = mask_of(v, '\r');
	masks->lf = mask_of(v, '\n');
	masks->dot = mask_of(v, '.');
}
#else
static void
block_masks(const char *p, struct masks *masks)
{
	unsigned i;

	*masks = (struct masks){ 0, 0, 0 };
	for (i = 0; i < BLOCK; i++) {
		masks->cr |= (uint64_t)(p[i] == '\r') << i;
		masks->lf |= (uint64_t)(p[i] == '\n') << i;
		masks->dot |= (uint64_t)(p[i] == '.') << i;
	}
}
#endif

size_t
scan_clean(const char *p, size_t len, enum scan_at *at)
{
	uint64_t cr = *at == SCAN_CR, lf = *at == SCAN_BOL;
	struct masks m;
	size_t done;

	for (done = 0; len - done >= BLOCK; done += BLOCK) {
		block_masks(p + done, &m);
		/* Each LF stands after a CR, each CR before an LF. */
		if (m.lf != (m.cr << 1 | cr))
			break;
		if (((m.lf << 1 | lf) & m.dot) != 0)
			break;
		cr = m.cr >> (BLOCK - 1);
		lf = m.lf >> (BLOCK - 1);
	}
	if (done != 0)
		*at = cr != 0 ? SCAN_CR : lf != 0 ? SCAN_BOL : SCAN_TEXT;
	return done;
}
