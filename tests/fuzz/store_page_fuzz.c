/* SPDX-License-Identifier: ISC */
/*
 * Packed rows of an account: the first octet chooses the decoder. What is
 * taken must be what its encoder writes.
 */
#include "store/page.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len);

static void
fuzz_page(struct str in)
{
	struct store_msg msgs[PAGE_MAX];
	struct buf buf;
	struct store_msg again[PAGE_MAX];
	size_t count;

	if (page_decode(in, msgs, &count, NULL) != 0)
		return;
	buf_init(&buf, PAGE_OCTETS_MAX);
	page_encode(msgs, count, &buf);
	/* Pages of form 1 are read, and written as form 2. */
	if (in.p[0] == 1)
		invariant(page_decode(buf_str(&buf), again, &count,
		    NULL) == 0 && again[0].uid == msgs[0].uid);
	else
		invariant(str_eq(buf_str(&buf), in));
	buf_fini(&buf);
}

static void
fuzz_ranges(struct str in)
{
	struct store_range *ranges;
	struct buf buf;
	size_t count;

	if (ranges_decode(in, NULL, &count, NULL) != 0)
		return;
	ranges = calloc(count + 1, sizeof(*ranges));
	invariant(ranges != NULL);
	invariant(ranges_decode(in, ranges, &count, NULL) == 0);
	buf_init(&buf, in.len + 64);
	ranges_encode(ranges, count, &buf);
	invariant(str_eq(buf_str(&buf), in));
	buf_fini(&buf);
	free(ranges);
}

static void
fuzz_ids(struct str in)
{
	uint64_t ids[IDS_MAX];
	struct buf buf;
	size_t count;

	if (ids_decode(in, ids, &count, NULL) != 0)
		return;
	buf_init(&buf, in.len + 64);
	ids_encode(ids, count, &buf);
	invariant(str_eq(buf_str(&buf), in));
	buf_fini(&buf);
}

static void
fuzz_refs(struct str in)
{
	uint16_t refs[REFS_BLOCK];
	unsigned char out[REFS_OCTETS];

	if (refs_decode(in, refs, NULL) != 0)
		return;
	refs_encode(refs, out);
	invariant(memcmp(out, in.p, sizeof(out)) == 0);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
	static void (*const decoders[])(struct str) = {
		fuzz_page, fuzz_ranges, fuzz_ids, fuzz_refs,
	};

	if (len == 0)
		return 0;
	decoders[data[0] % 4](str_make(data + 1, len - 1));
	return 0;
}
