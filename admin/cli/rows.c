/* SPDX-License-Identifier: ISC */
#include "admin/cli/rows.h"

#include "admin/cli/cli.h"
#include "base/table.h"
#include "mail/charset.h"
#include "proto/csv.h"

#define COLUMNS_MAX 32
#define ADDRESSES_MAX 100

enum column { ADDRESS, PASSWORD, NAME, QUOTA, PLAN, ALIASES, FORWARDS,
    COLUMNS };

static const char *const names[COLUMNS] = {
	[ADDRESS] = "address", [PASSWORD] = "password", [NAME] = "name",
	[QUOTA] = "quota", [PLAN] = "plan", [ALIASES] = "aliases",
	[FORWARDS] = "forwards",
};

void
rows_error(json_t *errors, json_int_t line, const char *reason)
{
	json_array_append_new(errors, json_pack("{s:I, s:s}", "line", line,
	    "reason", reason));
}

/* ---- encoding ---- */

/* A converter's mark for what it cannot read: U+FFFD, of ICU also SUB. */
static bool
has_mark(struct str line)
{
	return str_find_str(line, STR("\xef\xbf\xbd")) != STR_NPOS ||
	    str_find(line, '\x1a') != STR_NPOS;
}

/* Lines that do not read in the encoding. */
static void
find_malformed(struct str text, bool is_converted, json_t *errors)
{
	struct str rest = text, line;
	json_int_t n = 0;

	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		n++;
		if (!str_is_utf8(line) || (is_converted && has_mark(line)))
			rows_error(errors, n, "not in the encoding that "
			    "--encoding says (UTF-8 without it)");
	}
}

int
rows_decode(struct str file, struct str encoding, struct buf *text,
    json_t *errors, struct err *err)
{
	bool is_utf8 = encoding.len == 0 ||
	    str_eq_nocase(encoding, STR("UTF-8")) ||
	    str_eq_nocase(encoding, STR("UTF8"));

	if (is_utf8) {
		if (str_begins(file, STR("\xef\xbb\xbf")))
			file = str_sub(file, 3, file.len);
		buf_add_str(text, file);
	} else {
		charset_init();
		if (!charset_is_known(encoding))
			return err_set(err, ERR_SYNTAX, "--encoding %.*s: no "
			    "such encoding", STR_FMT(encoding));
		(void)charset_to_utf8(text, encoding, file);
	}
	if (buf_failed(text))
		return err_set(err, ERR_LIMIT, "the file is too large");
	find_malformed(buf_str(text), !is_utf8, errors);
	return json_array_size(errors) == 0 ? 0 : ERR_SYNTAX;
}

/* ---- header ---- */

static int
find_column(struct str name)
{
	int i;

	for (i = 0; i < COLUMNS; i++)
		if (str_eq_nocase(str_trim(name), str_of(names[i])))
			return i;
	return -1;
}

static int
read_header(const struct str *fields, size_t n, int *columns,
    struct err *err)
{
	bool seen[COLUMNS] = { false };
	size_t i;

	for (i = 0; i < n; i++) {
		columns[i] = find_column(fields[i]);
		if (columns[i] == -1)
			return err_set(err, ERR_SYNTAX, "no such column: "
			    "\"%.*s\" (there are address, password, name, "
			    "quota, plan, aliases, forwards)",
			    STR_FMT(fields[i]));
		if (seen[columns[i]])
			return err_set(err, ERR_SYNTAX, "column %s is there "
			    "twice", names[columns[i]]);
		seen[columns[i]] = true;
	}
	return seen[ADDRESS] ? 0 : err_set(err, ERR_SYNTAX, "the header has "
	    "no column \"address\"");
}

/* ---- rows ---- */

struct reading {
	struct table *seen;	/* addresses and aliases, lower case */
	json_t *rows;
	json_t *errors;
	struct arena *arena;
	json_int_t line;
};

static struct str
lower(struct arena *arena, struct str s)
{
	char *copy = arena_cstr(arena, s);
	size_t i;

	for (i = 0; i < s.len; i++)
		copy[i] = ascii_lower(copy[i]);
	return str_make(copy, s.len);
}

/* An address that an earlier line has, too? */
static int
claim(struct reading *r, struct str address, struct err *err)
{
	struct str key = lower(r->arena, address);
	uintptr_t first = (uintptr_t)table_get(r->seen, key);

	if (first != 0)
		return err_set(err, ERR_EXISTS, "%.*s is on line %llu too",
		    STR_FMT(address), (unsigned long long)first);
	(void)table_put(r->seen, key, (void *)(uintptr_t)r->line);
	return 0;
}

static int
add_addresses(struct reading *r, json_t *row, enum column column,
    struct str text, struct err *err)
{
	json_t *list = json_array();
	size_t i = 0, from;
	struct str word;
	int rc = 0;

	json_object_set_new(row, names[column], list);
	while (rc == 0 && i < text.len) {
		if (strchr("; \t\r\n", text.p[i]) != NULL) {
			i++;
			continue;
		}
		for (from = i; i < text.len &&
		    strchr("; \t\r\n", text.p[i]) == NULL; i++)
			;
		word = str_sub(text, from, i - from);
		if (json_array_size(list) >= ADDRESSES_MAX)
			return err_set(err, ERR_LIMIT, "over %d %s",
			    ADDRESSES_MAX, names[column]);
		if (column == ALIASES)
			rc = claim(r, word, err);
		json_array_append_new(list, json_stringn(word.p, word.len));
	}
	return rc;
}

static int
add_field(struct reading *r, json_t *row, int column, struct str field,
    struct err *err)
{
	if (column == ALIASES || column == FORWARDS)
		return add_addresses(r, row, (enum column)column, field, err);
	if (column != PASSWORD)
		field = str_trim(field);
	if (field.len == 0)
		return 0;
	if (column == PASSWORD && check_password(field, err) != 0)
		return ERR_SYNTAX;
	if (column == ADDRESS && (str_find(field, '@') == STR_NPOS ||
	    field.len > 320))
		return err_set(err, ERR_SYNTAX, "not an address");
	if (column == ADDRESS && claim(r, field, err) != 0)
		return ERR_EXISTS;
	json_object_set_new(row, names[column], json_stringn(field.p,
	    field.len));
	return 0;
}

static void
add_row(struct reading *r, const int *columns, size_t columns_len,
    const struct str *fields, size_t n)
{
	json_t *row = json_pack("{s:I}", "line", r->line);
	struct err err = ERR_INIT;
	size_t i;
	int rc = 0;

	if (n != columns_len)
		rc = err_set(&err, ERR_SYNTAX, "%zu fields, the header has "
		    "%zu", n, columns_len);
	for (i = 0; rc == 0 && i < n; i++)
		rc = add_field(r, row, columns[i], fields[i], &err);
	if (rc == 0 && json_object_get(row, "address") == NULL)
		rc = err_set(&err, ERR_SYNTAX, "address is missing");
	if (rc == 0)
		json_array_append(r->rows, row);
	else
		rows_error(r->errors, r->line, err_text(&err));
	json_decref(row);
}

static int
read_records(struct reading *r, struct csv *csv, struct err *err)
{
	struct str fields[COLUMNS_MAX];
	int columns[COLUMNS_MAX];
	size_t columns_len = 0, n;
	enum csv_result result;
	int rc = 0;

	while (rc == 0 && (result = csv_next(csv, r->arena, fields,
	    COLUMNS_MAX, &n, err)) != CSV_END) {
		r->line = csv->row_line;
		if (result == CSV_BAD) {
			r->line = csv->line;
			return ERR_SYNTAX;
		}
		if (columns_len == 0) {
			rc = read_header(fields, n, columns, err);
			columns_len = n;
		} else if (json_array_size(r->rows) >= ROWS_MAX) {
			rc = err_set(err, ERR_LIMIT, "over %d accounts",
			    ROWS_MAX);
		} else {
			add_row(r, columns, columns_len, fields, n);
		}
	}
	return rc == 0 && columns_len == 0 ? err_set(err, ERR_SYNTAX,
	    "the file is empty") : rc;
}

int
rows_read(struct str text, json_t *rows, json_t *errors)
{
	struct reading r = { .seen = table_new(), .rows = rows,
	    .errors = errors, .arena = arena_new(65536), .line = 1 };
	struct err err = ERR_INIT;
	struct csv csv;
	int rc;

	csv_init(&csv, text);
	rc = read_records(&r, &csv, &err);
	if (rc != 0)
		rows_error(errors, r.line, err_text(&err));
	table_free(&r.seen);
	arena_free(&r.arena);
	return rc;
}

/* ---- order ---- */

void
rows_domain(const json_t *row, char *to, size_t size)
{
	struct str address = str_of(json_string_value(json_object_get(row,
	    "address")));
	struct str domain = str_sub(address, str_rfind(address, '@') + 1,
	    address.len);
	size_t i;

	for (i = 0; i < domain.len && i + 1 < size; i++)
		to[i] = ascii_lower(domain.p[i]);
	to[i] = '\0';
}

static int
compare_rows(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	json_int_t m, n;
	char p[256], q[256];
	int order;

	rows_domain(*x, p, sizeof(p));
	rows_domain(*y, q, sizeof(q));
	order = strcmp(p, q);
	m = json_integer_value(json_object_get(*x, "line"));
	n = json_integer_value(json_object_get(*y, "line"));
	return order != 0 ? order : (m > n) - (m < n);
}

void
rows_sort(json_t *rows)
{
	size_t n = json_array_size(rows), i;
	json_t **sorted;

	if (n < 2)
		return;
	sorted = calloc(n, sizeof(json_t *));
	invariant(sorted != NULL);
	for (i = 0; i < n; i++)
		sorted[i] = json_incref(json_array_get(rows, i));
	qsort(sorted, n, sizeof(json_t *), compare_rows);
	json_array_clear(rows);
	for (i = 0; i < n; i++)
		json_array_append_new(rows, sorted[i]);
	free(sorted);
}
