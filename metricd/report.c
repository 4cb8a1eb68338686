/* SPDX-License-Identifier: ISC */
#include "metricd/report.h"

#include <time.h>

#include "ipc/figures.h"

#define DAYS 7
#define DAYS_A_PAGE 10
#define DAY_S 86400
#define FIGURES_A_ROW 100
#define BOUNDS_MAX 32U

/* What every row has, also when it is 0. */
static const char *const columns[] = { "received", "refused", "deferred",
	"sent", "virus", "suspicious", "detonated", "quarantined", NULL };

uint32_t
report_day(int64_t s)
{
	time_t when = (time_t)s;
	struct tm tm;

	if (localtime_r(&when, &tm) == NULL)
		return 0;
	return (uint32_t)(tm.tm_year + 1900) * 10000 +
	    (uint32_t)(tm.tm_mon + 1) * 100 + (uint32_t)tm.tm_mday;
}

static json_t *
day_text(uint32_t day)
{
	return json_sprintf("%04u-%02u-%02u", day / 10000, day / 100 % 100,
	    day % 100);
}

/* ---- rows of days ---- */

struct report {
	json_t *items;
	json_t *row;		/* the last, borrowed */
	uint32_t day;		/* whose it is */
	struct str domain;
};

static void
begin_day(struct report *report, uint32_t day)
{
	json_t *row = json_object();
	size_t i;

	json_object_set_new(row, "day", day_text(day));
	json_object_set_new(row, "domain", json_stringn(report->domain.p,
	    report->domain.len));
	for (i = 0; columns[i] != NULL; i++)
		json_object_set_new(row, columns[i], json_integer(0));
	json_object_set_new(row, "figures", json_object());
	json_array_append_new(report->items, row);
	report->row = row;
	report->day = day;
}

static void
set_column(json_t *row, const char *name, uint64_t count)
{
	size_t i;

	for (i = 0; columns[i] != NULL; i++)
		if (strcmp(columns[i], name) == 0)
			json_object_set_new(row, name,
			    json_integer((json_int_t)count));
}

static void
on_figure(void *ctx, uint32_t day, struct str name, uint64_t count)
{
	struct report *report = ctx;
	char text[FIGURES_NAME_MAX + 1];
	json_t *figures;

	if (str_begins(name, STR("stage.")))
		return;
	if (day != report->day)
		begin_day(report, day);
	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
	set_column(report->row, text, count);
	figures = json_object_get(report->row, "figures");
	if (json_object_size(figures) < FIGURES_A_ROW)
		json_object_set_new(figures, text,
		    json_integer((json_int_t)count));
}

/* ---- rows of stages ---- */

struct stages {
	json_t *items;
	uint32_t day;
	char name[FIGURES_NAME_MAX + 1];	/* "": none yet */
	uint64_t counts[BOUNDS_MAX];
	uint64_t more;
	uint64_t sum_ms;
};

/* The bound under which so many of a hundred were; null: over all of them. */
static json_t *
percentile(const struct stages *stages, uint64_t total, unsigned of_100)
{
	uint64_t below = 0;
	size_t i;

	for (i = 0; figures_bounds_ms[i] != 0; i++) {
		below += stages->counts[i];
		if (below * 100 >= total * of_100)
			return json_integer(figures_bounds_ms[i]);
	}
	return json_null();
}

static void
end_stage(struct stages *stages)
{
	uint64_t total = stages->more;
	json_t *row;
	size_t i;

	for (i = 0; figures_bounds_ms[i] != 0; i++)
		total += stages->counts[i];
	if (stages->name[0] == '\0' || total == 0)
		return;
	row = json_object();
	json_object_set_new(row, "day", day_text(stages->day));
	json_object_set_new(row, "stage", json_string(stages->name));
	json_object_set_new(row, "count", json_integer((json_int_t)total));
	json_object_set_new(row, "mean_ms", json_integer(
	    (json_int_t)(stages->sum_ms / total)));
	json_object_set_new(row, "p50_ms", percentile(stages, total, 50));
	json_object_set_new(row, "p90_ms", percentile(stages, total, 90));
	json_object_set_new(row, "p99_ms", percentile(stages, total, 99));
	json_array_append_new(stages->items, row);
}

static void
add_bound(struct stages *stages, struct str bound, uint64_t count)
{
	uint64_t ms = 0;
	size_t i;

	if (str_eq(bound, STR("more"))) {
		stages->more = count;
	} else if (str_eq(bound, STR("sum"))) {
		stages->sum_ms = count;
	} else if (str_to_u64(bound, UINT32_MAX, &ms) == 0) {
		for (i = 0; figures_bounds_ms[i] != 0; i++)
			if (figures_bounds_ms[i] == ms)
				stages->counts[i] = count;
	}
}

/* Rows come by day and name, so those of a stage stand together. */
static void
on_stage(void *ctx, uint32_t day, struct str name, uint64_t count)
{
	struct stages *stages = ctx;
	size_t dot = str_rfind(name, '.');
	struct str stage;

	if (!str_begins(name, STR("stage.")) || dot <= 6)
		return;
	stage = str_sub(name, 6, dot - 6);
	if (day != stages->day || !str_eq(stage, str_of(stages->name))) {
		end_stage(stages);
		*stages = (struct stages){ .items = stages->items,
		    .day = day };
		(void)snprintf(stages->name, sizeof(stages->name), "%.*s",
		    STR_FMT(stage));
	}
	add_bound(stages, str_sub(name, dot + 1, name.len), count);
}

/* ---- entry ---- */

/* A number that came as a number or as text. */
static bool
arg_number(const json_t *args, const char *key, uint64_t max,
    uint64_t *value_r)
{
	const json_t *value = json_object_get(args, key);

	if (value == NULL)
		return true;
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*value_r = (uint64_t)json_integer_value(value);
		return *value_r <= max;
	}
	return json_is_string(value) && str_to_u64(
	    str_of(json_string_value(value)), max, value_r) == 0;
}

int
report_make(struct metric_store *store, struct str verb, const json_t *args,
    int64_t now_s, json_t **result_r, struct err *err)
{
	const char *domain = json_string_value(json_object_get(args,
	    "domain"));
	struct report report = { .domain = domain != NULL ? str_of(domain) :
	    STR("") };
	struct stages stages = { .day = 0 };
	uint64_t days = DAYS, ago = 0, last;
	uint32_t from, to;
	json_t *items;
	int rc;

	*result_r = NULL;
	if (!arg_number(args, "days", REPORT_DAYS_MAX, &days) || days == 0 ||
	    !arg_number(args, "after", REPORT_DAYS_MAX, &ago))
		return err_set(err, ERR_SYNTAX, "days: 1 to %d",
		    REPORT_DAYS_MAX);
	last = ago + DAYS_A_PAGE < days ? ago + DAYS_A_PAGE : days;
	to = report_day(now_s - (int64_t)ago * DAY_S);
	from = report_day(now_s - (int64_t)(last - 1) * DAY_S);
	items = json_array();
	report.items = stages.items = items;
	if (str_eq(verb, STR("show"))) {
		rc = metric_store_each(store, report.domain, from, to,
		    on_figure, &report, err);
	} else if (str_eq(verb, STR("stages"))) {
		rc = metric_store_each(store, STR(""), from, to, on_stage,
		    &stages, err);
		end_stage(&stages);
	} else {
		rc = err_set(err, ERR_SYNTAX, "no such verb");
	}
	if (rc != 0) {
		json_decref(items);
		return rc;
	}
	*result_r = json_object();
	json_object_set_new(*result_r, "items", items);
	if (last < days)
		json_object_set_new(*result_r, "next", json_sprintf("%llu",
		    (unsigned long long)last));
	return 0;
}
