/* SPDX-License-Identifier: ISC */
/*
 * csv: records of comma-separated values, as spreadsheets write them.
 *
 *     a,"b ""x"" c",,d\r\n     four fields: a / b "x" c / empty / d
 *     "two\nlines",z\n         a quoted field may hold line ends
 *     \r\n                     an empty line is no record
 *
 * Lifetime.   csv_init() -> csv_next() until CSV_END or CSV_BAD.
 * Ownership.  Fields are in the arena, the input is looked at.
 * Units.      Lines count from 1, also inside quoted fields; a field has at
 *             most CSV_FIELD_MAX octets.
 * Errors.     CSV_BAD with the line (csv->line) and a reason; nothing after
 *             it can be trusted.
 * Blocking.   Never.
 * RFC.        RFC 4180; LF alone ends a line too.
 */
#ifndef PROTO_CSV_H
#define PROTO_CSV_H

#include "base/arena.h"

#define CSV_FIELD_MAX 65536

enum csv_result { CSV_ROW, CSV_END, CSV_BAD };

struct csv {
	struct str in;
	size_t at;
	unsigned line;		/* being read */
	unsigned row_line;	/* where the last record began */
};

void csv_init(struct csv *csv, struct str in);

/* The next record: at most max fields. */
enum csv_result csv_next(struct csv *csv, struct arena *arena,
    struct str *fields, size_t max, size_t *count_r, struct err *err);

/* Append field, quoted where it must be. */
struct buf;
void csv_put(struct buf *out, struct str field);

#endif
