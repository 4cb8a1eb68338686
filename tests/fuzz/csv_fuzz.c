/* SPDX-License-Identifier: ISC */
/* Any records that are read, written again, read back as the same. */
#include "base/buf.h"
#include "proto/csv.h"

#define FIELDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_row(struct arena *arena, const struct str *fields, size_t n)
{
	struct str again[FIELDS_MAX];
	struct csv csv;
	struct buf out;
	size_t m = 0, i;

	/* One empty field alone is an empty line, which is no record. */
	if (n == 1 && fields[0].len == 0)
		return;
	buf_init(&out, 1 << 24);
	for (i = 0; i < n; i++) {
		if (i != 0)
			buf_add_char(&out, ',');
		csv_put(&out, fields[i]);
	}
	csv_init(&csv, buf_str(&out));
	invariant(csv_next(&csv, arena, again, FIELDS_MAX, &m, NULL) ==
	    CSV_ROW);
	invariant(m == n);
	for (i = 0; i < n; i++)
		invariant(str_eq(fields[i], again[i]));
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct str fields[FIELDS_MAX];
	struct csv csv;
	size_t n, rows = 0;

	csv_init(&csv, str_make(data, size));
	while (rows++ < 1000 && csv_next(&csv, arena, fields, FIELDS_MAX, &n,
	    NULL) == CSV_ROW) {
		invariant(n >= 1 && n <= FIELDS_MAX);
		invariant(csv.row_line <= csv.line);
		check_row(arena, fields, n);
	}
	arena_free(&arena);
	return 0;
}
