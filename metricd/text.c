/* SPDX-License-Identifier: ISC */
#include "metricd/text.h"

#include "base/table.h"
#include "ipc/figures.h"

#define STAGES_MAX 64U
#define BOUNDS_MAX 32U

struct entry {
	bool is_gauge;
	bool is_time;
	uint64_t value;
};

struct metric_text {
	struct table *entries;	/* name -> struct entry */
};

/* A stage on its way into the text. */
struct stage {
	struct str name;
	uint64_t counts[BOUNDS_MAX];	/* by bound; the last: more */
	uint64_t sum_ms;
};

struct metric_text *
metric_text_new(void)
{
	struct metric_text *text = calloc(1, sizeof(*text));

	invariant(text != NULL);
	text->entries = table_new();
	return text;
}

void
metric_text_free(struct metric_text **text)
{
	struct entry *entry;
	struct str name;
	size_t cursor = 0;

	if (*text == NULL)
		return;
	while ((entry = table_next((*text)->entries, &cursor, &name)) != NULL)
		free(entry);
	table_free(&(*text)->entries);
	free(*text);
	*text = NULL;
}

static struct entry *
entry_of(struct metric_text *text, struct str name)
{
	struct entry *entry = table_get(text->entries, name);

	if (entry != NULL || table_count(text->entries) >= TEXT_NAMES_MAX)
		return entry;
	entry = calloc(1, sizeof(*entry));
	invariant(entry != NULL);
	table_put(text->entries, name, entry);
	return entry;
}

void
metric_text_count(struct metric_text *text, struct str name, uint64_t count)
{
	struct entry *entry = entry_of(text, name);

	if (entry != NULL)
		entry->value += count;
}

void
metric_text_gauge(struct metric_text *text, struct str name, bool is_time,
    uint64_t value)
{
	struct entry *entry = entry_of(text, name);

	if (entry != NULL)
		*entry = (struct entry){ .is_gauge = true,
		    .is_time = is_time, .value = value };
}

/* ---- stages ---- */

static size_t
bounds_len(void)
{
	size_t n = 0;

	while (figures_bounds_ms[n] != 0)
		n++;
	invariant(n < BOUNDS_MAX);
	return n;
}

/* "stage.NAME.BOUND"; false: it is none. */
static bool
split_stage(struct str name, struct str *stage_r, struct str *bound_r)
{
	size_t dot = str_rfind(name, '.');

	if (!str_begins(name, STR("stage.")) || dot <= 6)
		return false;
	*stage_r = str_sub(name, 6, dot - 6);
	*bound_r = str_sub(name, dot + 1, name.len);
	return true;
}

static void
add_to_stage(struct stage *stage, struct str bound, uint64_t value)
{
	uint64_t ms;
	size_t i;

	if (str_eq(bound, STR("sum"))) {
		stage->sum_ms = value;
	} else if (str_eq(bound, STR("more"))) {
		stage->counts[bounds_len()] = value;
	} else if (str_to_u64(bound, UINT32_MAX, &ms) == 0) {
		for (i = 0; figures_bounds_ms[i] != 0; i++)
			if (figures_bounds_ms[i] == ms)
				stage->counts[i] = value;
	}
}

static size_t
collect_stages(const struct metric_text *text, struct stage *stages)
{
	struct str name, stage, bound;
	struct entry *entry;
	size_t cursor = 0, len = 0, i;

	while ((entry = table_next(text->entries, &cursor, &name)) != NULL) {
		if (entry->is_gauge || !split_stage(name, &stage, &bound))
			continue;
		for (i = 0; i < len && !str_eq(stages[i].name, stage); i++)
			continue;
		if (i == STAGES_MAX)
			continue;
		if (i == len)
			stages[len++] = (struct stage){ .name = stage };
		add_to_stage(&stages[i], bound, entry->value);
	}
	return len;
}

static void
put_seconds(struct buf *out, uint64_t ms)
{
	buf_addf(out, "%llu.%03llu", (unsigned long long)(ms / 1000),
	    (unsigned long long)(ms % 1000));
}

static void
put_stage(struct buf *out, const struct stage *stage)
{
	uint64_t total = 0;
	size_t i;

	for (i = 0; figures_bounds_ms[i] != 0; i++) {
		total += stage->counts[i];
		buf_addf(out, "hikyaku_stage_seconds_bucket{stage=\"%.*s\","
		    "le=\"", STR_FMT(stage->name));
		put_seconds(out, figures_bounds_ms[i]);
		buf_addf(out, "\"} %llu\n", (unsigned long long)total);
	}
	total += stage->counts[i];
	buf_addf(out, "hikyaku_stage_seconds_bucket{stage=\"%.*s\","
	    "le=\"+Inf\"} %llu\n", STR_FMT(stage->name),
	    (unsigned long long)total);
	buf_addf(out, "hikyaku_stage_seconds_sum{stage=\"%.*s\"} ",
	    STR_FMT(stage->name));
	put_seconds(out, stage->sum_ms);
	buf_addf(out, "\nhikyaku_stage_seconds_count{stage=\"%.*s\"} %llu\n",
	    STR_FMT(stage->name), (unsigned long long)total);
}

/* ---- all ---- */

static void
put_stages(const struct metric_text *text, struct buf *out)
{
	struct stage stages[STAGES_MAX];
	size_t len = collect_stages(text, stages), i;

	if (len == 0)
		return;
	buf_add_cstr(out, "# HELP hikyaku_stage_seconds How long a stage of "
	    "a message's way took.\n"
	    "# TYPE hikyaku_stage_seconds histogram\n");
	for (i = 0; i < len; i++)
		put_stage(out, &stages[i]);
}

static void
put_counts(const struct metric_text *text, struct buf *out)
{
	struct str name, stage, bound;
	struct entry *entry;
	size_t cursor = 0;

	buf_add_cstr(out, "# HELP hikyaku_messages_total What became of "
	    "messages.\n# TYPE hikyaku_messages_total counter\n");
	while ((entry = table_next(text->entries, &cursor, &name)) != NULL)
		if (!entry->is_gauge && !split_stage(name, &stage, &bound))
			buf_addf(out, "hikyaku_messages_total{event=\"%.*s\"}"
			    " %llu\n", STR_FMT(name),
			    (unsigned long long)entry->value);
}

/* Names of metrics have no dots and no minus. */
static void
put_name(struct buf *out, struct str name)
{
	size_t i;

	buf_add_cstr(out, "hikyaku_");
	for (i = 0; i < name.len; i++)
		buf_add_char(out, name.p[i] == '.' || name.p[i] == '-' ?
		    '_' : name.p[i]);
}

static void
put_gauges(const struct metric_text *text, int64_t now_s, struct buf *out)
{
	const char *suffix;
	struct entry *entry;
	struct str name;
	size_t cursor = 0;
	int64_t value;

	while ((entry = table_next(text->entries, &cursor, &name)) != NULL) {
		if (!entry->is_gauge)
			continue;
		value = entry->is_time ? now_s - (int64_t)entry->value :
		    (int64_t)entry->value;
		suffix = entry->is_time ? "_age_seconds" : "";
		buf_add_cstr(out, "# TYPE ");
		put_name(out, name);
		buf_addf(out, "%s gauge\n", suffix);
		put_name(out, name);
		buf_addf(out, "%s %lld\n", suffix, (long long)value);
	}
}

void
metric_text_put(const struct metric_text *text, int64_t now_s,
    struct buf *out)
{
	put_counts(text, out);
	put_stages(text, out);
	put_gauges(text, now_s, out);
}
