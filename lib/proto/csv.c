/* SPDX-License-Identifier: ISC */
#include "proto/csv.h"

#include "base/buf.h"

void
csv_init(struct csv *csv, struct str in)
{
	*csv = (struct csv){ .in = in, .line = 1, .row_line = 1 };
}

static int
peek(const struct csv *csv)
{
	return csv->at < csv->in.len ? (unsigned char)csv->in.p[csv->at] : -1;
}

/* Octets of a line end here: LF, CRLF; 0: there is none. */
static size_t
line_end(const struct csv *csv)
{
	if (peek(csv) == '\n')
		return 1;
	if (peek(csv) == '\r' && csv->at + 1 < csv->in.len &&
	    csv->in.p[csv->at + 1] == '\n')
		return 2;
	return 0;
}

/* RFC 4180 section 2, rule 7: "" inside stands for one quote. */
static int
read_quoted(struct csv *csv, struct arena *arena, struct str *field_r,
    struct err *err)
{
	size_t from = ++csv->at, n = 0, i;
	char *text;
	int c;

	while ((c = peek(csv)) != -1) {
		if (c == '"' && (csv->at + 1 >= csv->in.len ||
		    csv->in.p[csv->at + 1] != '"'))
			break;
		if (c == '"')
			csv->at++;
		if (c == '\n')
			csv->line++;
		csv->at++;
		if (++n > CSV_FIELD_MAX)
			return err_set(err, ERR_LIMIT, "a field over %d "
			    "octets", CSV_FIELD_MAX);
	}
	if (c == -1)
		return err_set(err, ERR_SYNTAX, "a quote is not closed");
	text = arena_alloc(arena, n + 1);
	for (i = 0; i < n; i++, from++) {
		text[i] = csv->in.p[from];
		if (text[i] == '"')
			from++;
	}
	*field_r = str_make(text, n);
	csv->at++;
	return 0;
}

static int
read_plain(struct csv *csv, struct arena *arena, struct str *field_r,
    struct err *err)
{
	size_t from = csv->at;
	int c;

	while ((c = peek(csv)) != -1 && c != ',' && line_end(csv) == 0) {
		if (c == '"' || c == '\r' || c == '\0')
			return err_set(err, ERR_SYNTAX, c == '"' ?
			    "a quote inside a field that is not quoted" :
			    "a control character in a field");
		csv->at++;
	}
	if (csv->at - from > CSV_FIELD_MAX)
		return err_set(err, ERR_LIMIT, "a field over %d octets",
		    CSV_FIELD_MAX);
	*field_r = arena_str(arena, str_sub(csv->in, from, csv->at - from));
	return 0;
}

static int
read_row(struct csv *csv, struct arena *arena, struct str *fields,
    size_t max, size_t *count_r, struct err *err)
{
	size_t n = 0;
	int rc;

	for (;;) {
		if (n == max)
			return err_set(err, ERR_LIMIT, "over %zu fields",
			    max);
		rc = peek(csv) == '"' ?
		    read_quoted(csv, arena, &fields[n], err) :
		    read_plain(csv, arena, &fields[n], err);
		if (rc != 0)
			return rc;
		n++;
		if (peek(csv) != ',')
			break;
		csv->at++;
	}
	if (peek(csv) != -1 && line_end(csv) == 0)
		return err_set(err, ERR_SYNTAX, "text after a closing quote");
	*count_r = n;
	return 0;
}

enum csv_result
csv_next(struct csv *csv, struct arena *arena, struct str *fields,
    size_t max, size_t *count_r, struct err *err)
{
	size_t end;

	while ((end = line_end(csv)) != 0) {
		csv->at += end;
		csv->line++;
	}
	if (peek(csv) == -1)
		return CSV_END;
	csv->row_line = csv->line;
	if (read_row(csv, arena, fields, max, count_r, err) != 0)
		return CSV_BAD;
	if ((end = line_end(csv)) != 0) {
		csv->at += end;
		csv->line++;
	}
	return CSV_ROW;
}

void
csv_put(struct buf *out, struct str field)
{
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < field.len; i++)
		if (strchr(",\"\r\n", field.p[i]) != NULL)
			is_quoted = true;
	/* A blank at an end is kept by quoting it, whoever reads it. */
	if (field.len != 0 && (field.p[0] == ' ' ||
	    field.p[field.len - 1] == ' '))
		is_quoted = true;
	if (!is_quoted) {
		buf_add_str(out, field);
		return;
	}
	buf_add_char(out, '"');
	for (i = 0; i < field.len; i++) {
		if (field.p[i] == '"')
			buf_add_char(out, '"');
		buf_add_char(out, field.p[i]);
	}
	buf_add_char(out, '"');
}
