/* SPDX-License-Identifier: ISC */
/*
 * Columns of a table: "key" or "key:kind" separated by spaces; kind says how
 * a number is shown: size (octets), when (microseconds since 1970), age
 * (milliseconds).
 */
#include <stdarg.h>
#include <wchar.h>

#include "admin/cli/cli.h"

#define CELL_MAX 1024
#define COLUMNS_MAX 16

int
cli_fail(const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fflush(stdout);
	(void)fputs("hikyaku: ", stderr);
	print_safe(str_of(text), stderr);
	(void)fputc('\n', stderr);
	return 1;
}

int
cli_usage(const char *fmt, ...)
{
	va_list ap;

	(void)fputs("hikyaku: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputs("\n(hikyaku --help, hikyaku NOUN --help)\n", stderr);
	return 2;
}

void
print_safe(struct str text, FILE *to)
{
	size_t i;
	unsigned char c;

	for (i = 0; i < text.len; i++) {
		c = (unsigned char)text.p[i];
		/* C0, DEL, and C1 as UTF-8 has it (0xc2 0x80 to 0x9f). */
		if (c < 0x20 || c == 0x7f) {
			(void)fputc('?', to);
		} else if (c == 0xc2 && i + 1 < text.len &&
		    (unsigned char)text.p[i + 1] < 0xa0) {
			(void)fputc('?', to);
			i++;
		} else {
			(void)fputc(c, to);
		}
	}
}

/* C1 controls, DEL and what reverses the order of what is shown: a terminal
 * acts on them. Returns the octets of it, 0: it is something else. */
static size_t
acts(struct str text, size_t i, unsigned *code_r)
{
	unsigned char a = (unsigned char)text.p[i], b, c;

	if (a == 0x7f) {
		*code_r = a;
		return 1;
	}
	if (a < 0xc2 || i + 1 == text.len)
		return 0;
	b = (unsigned char)text.p[i + 1];
	if (a == 0xc2 && b < 0xa0) {
		*code_r = b;
		return 2;
	}
	if (a != 0xe2 || i + 2 >= text.len)
		return 0;
	c = (unsigned char)text.p[i + 2];
	*code_r = 0x2000U | (unsigned)(b & 0x3f) << 6 | (c & 0x3fU);
	return (*code_r >= 0x200e && *code_r <= 0x200f) ||
	    (*code_r >= 0x202a && *code_r <= 0x202e) ||
	    (*code_r >= 0x2066 && *code_r <= 0x2069) ? 3 : 0;
}

/* They stand in strings only, where JSON may write them as escapes. */
void
print_json(const json_t *json)
{
	char *dumped = json_dumps(json, JSON_INDENT(2) | JSON_ENCODE_ANY);
	struct str text;
	unsigned code;
	size_t i, len;

	invariant(dumped != NULL);
	text = str_of(dumped);
	for (i = 0; i < text.len; i += len != 0 ? len : 1) {
		len = acts(text, i, &code);
		if (len != 0)
			(void)printf("\\u%04x", code);
		else
			(void)fputc(text.p[i], stdout);
	}
	(void)fputc('\n', stdout);
	free(dumped);
}

/* ---- values ---- */

void
format_size(uint64_t octets, char *to, size_t size)
{
	static const char units[] = "KMGTP";
	uint64_t tenths;
	size_t unit = 0;

	if (octets < 1024) {
		(void)snprintf(to, size, "%llu", (unsigned long long)octets);
		return;
	}
	while (octets >= 1024 * 1024 && unit + 2 < sizeof(units)) {
		octets /= 1024;
		unit++;
	}
	tenths = octets * 10 / 1024;
	if (tenths % 10 == 0)
		(void)snprintf(to, size, "%llu%c",
		    (unsigned long long)(tenths / 10), units[unit]);
	else
		(void)snprintf(to, size, "%llu.%u%c",
		    (unsigned long long)(tenths / 10),
		    (unsigned)(tenths % 10), units[unit]);
}

static void
format_when(uint64_t us, char *to, size_t size)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(to, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(to, size, "?");
}

static void
format_age(uint64_t ms, char *to, size_t size)
{
	unsigned long long s = ms / 1000;

	if (s < 120)
		(void)snprintf(to, size, "%llus", s);
	else if (s < 7200)
		(void)snprintf(to, size, "%llum", s / 60);
	else if (s < 172800)
		(void)snprintf(to, size, "%lluh", s / 3600);
	else
		(void)snprintf(to, size, "%llud", s / 86400);
}

static void
format_number(json_int_t number, struct str kind, char *to, size_t size)
{
	uint64_t value = (uint64_t)number;

	if (str_eq(kind, STR("size")) && value == 0)
		(void)snprintf(to, size, "-");
	else if (str_eq(kind, STR("size")))
		format_size(value, to, size);
	else if (str_eq(kind, STR("when")))
		format_when(value, to, size);
	else if (str_eq(kind, STR("age")))
		format_age(value, to, size);
	else
		(void)snprintf(to, size, "%lld", (long long)number);
}

static void
format_array(const json_t *list, char *to, size_t size)
{
	const json_t *value;
	size_t i, at = 0;
	int n;

	to[0] = '\0';
	json_array_foreach(list, i, value) {
		n = snprintf(to + at, size - at, "%s%s", at != 0 ? " " : "",
		    json_is_string(value) ? json_string_value(value) : "?");
		if (n < 0 || (size_t)n >= size - at)
			return;
		at += (size_t)n;
	}
}

static void
format_value(const json_t *value, struct str kind, char *to, size_t size)
{
	if (json_is_integer(value))
		format_number(json_integer_value(value), kind, to, size);
	else if (json_is_boolean(value))
		(void)snprintf(to, size, json_is_true(value) ? "yes" : "no");
	else if (json_is_array(value))
		format_array(value, to, size);
	else if (json_is_string(value))
		(void)snprintf(to, size, "%s", json_string_value(value));
	else
		to[0] = '\0';
	if (to[0] == '\0')
		(void)snprintf(to, size, "-");
}

/* Columns on the screen: Japanese names are two a letter. */
static int
width_of(const char *text)
{
	size_t left = strlen(text), n;
	mbstate_t state = { 0 };
	int width = 0, w;
	wchar_t c;

	while (left > 0) {
		n = mbrtowc(&c, text, left, &state);
		if (n == 0 || n > left)
			return width + (int)left;
		w = wcwidth(c);
		width += w > 0 ? w : 1;
		text += n;
		left -= n;
	}
	return width;
}

/* ---- tables ---- */

struct column {
	char key[32];
	struct str kind;
	int width;
};

static size_t
read_columns(const char *text, struct column *columns)
{
	struct str rest = str_of(text), word, kind;
	size_t n = 0;

	while (rest.p != NULL && n < COLUMNS_MAX) {
		word = str_cut(str_cut(rest, ' ', &rest), ':', &kind);
		columns[n].kind = kind;
		(void)snprintf(columns[n].key, sizeof(columns[n].key),
		    "%.*s", STR_FMT(word));
		columns[n].width = (int)word.len;
		n++;
	}
	return n;
}

/* The head of a column: its key without the unit, in capitals. */
static void
head_of(const char *key, char *to, size_t size)
{
	size_t i, len = strlen(key);

	if (len > 3 && strcmp(key + len - 3, "_us") == 0)
		len -= 3;
	if (len > 3 && strcmp(key + len - 3, "_ms") == 0)
		len -= 3;
	for (i = 0; i < len && i + 1 < size; i++)
		to[i] = key[i] == '_' ? ' ' : ascii_upper(key[i]);
	to[i] = '\0';
}

static void
put_cell(const char *text, int width, bool is_last)
{
	int pad = width - width_of(text);

	print_safe(str_of(text), stdout);
	if (!is_last)
		(void)fprintf(stdout, "%*s", pad > 0 ? pad + 2 : 2, "");
}

static void
put_row(const json_t *item, const struct column *columns, size_t n)
{
	char cell[CELL_MAX];
	size_t i;

	for (i = 0; i < n; i++) {
		if (item == NULL)
			head_of(columns[i].key, cell, sizeof(cell));
		else
			format_value(json_object_get(item, columns[i].key),
			    columns[i].kind, cell, sizeof(cell));
		put_cell(cell, columns[i].width, i + 1 == n);
	}
	(void)fputc('\n', stdout);
}

void
print_items(const struct cli *cli, json_t *items, const char *text)
{
	struct column columns[COLUMNS_MAX];
	size_t n = read_columns(text, columns), i, j;
	char cell[CELL_MAX];
	const json_t *item;
	int width;

	if (cli->parsed.is_json) {
		print_json(items);
		return;
	}
	json_array_foreach(items, i, item)
		for (j = 0; j < n; j++) {
			format_value(json_object_get(item, columns[j].key),
			    columns[j].kind, cell, sizeof(cell));
			width = width_of(cell);
			if (width > columns[j].width)
				columns[j].width = width;
		}
	put_row(NULL, columns, n);
	json_array_foreach(items, i, item)
		put_row(item, columns, n);
}

void
print_item(const struct cli *cli, json_t *item, const char *text)
{
	struct column columns[COLUMNS_MAX];
	size_t n = read_columns(text, columns), i;
	char cell[CELL_MAX];

	if (cli->parsed.is_json) {
		print_json(item);
		return;
	}
	for (i = 0; i < n; i++) {
		(void)fprintf(stdout, "%-20s ", columns[i].key);
		format_value(json_object_get(item, columns[i].key),
		    columns[i].kind, cell, sizeof(cell));
		print_safe(str_of(cell), stdout);
		(void)fputc('\n', stdout);
	}
}
