/* SPDX-License-Identifier: ISC */
#include "blob/ids.h"

#include "base/log.h"
#include "base/when.h"

#define BASE_S 1767225600	/* 2026-01-01 UTC */
#define SEQUENCE_BITS 22
/* Epochs were starts, counted from 1, of 27 bits each. */
#define OLD_EPOCHS (1U << 20)
#define OLD_SPAN 32U

uint64_t
blob_ids_epoch_after(uint64_t last)
{
	int64_t now = when_wall_s() - BASE_S;
	uint64_t next = last < OLD_EPOCHS ? (last + 1) * OLD_SPAN : last + 1;

	return now > 0 && (uint64_t)now > next ? (uint64_t)now : next;
}

void
blob_ids_begin(struct blob_ids *ids, uint64_t epoch)
{
	ids->epoch = epoch;
	ids->sequence = 0;
}

bool
blob_ids_used_up(const struct blob_ids *ids)
{
	return ids->sequence == (1U << SEQUENCE_BITS) - 1;
}

uint64_t
blob_ids_next(struct blob_ids *ids)
{
	invariant(!blob_ids_used_up(ids));
	return ids->epoch << SEQUENCE_BITS | ++ids->sequence;
}
