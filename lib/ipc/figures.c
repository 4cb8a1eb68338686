/* SPDX-License-Identifier: ISC */
#include "ipc/figures.h"

#include <stdio.h>

#include "base/table.h"
#include "io/loop.h"
#include "ipc/links.h"

#define FLUSH_MS 5000
#define GAUGES_MAX 16U
#define ROW_ROOM 32U

const unsigned figures_bounds_ms[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500,
	1000, 2000, 5000, 10000, 30000, 60000, 300000, 0 };

/* The figures of one domain. */
struct domain {
	struct table *counts;	/* name -> struct count */
};

struct count {
	uint64_t n;
};

struct gauge {
	char name[FIGURES_NAME_MAX + 1];
	bool is_time;
	uint64_t value;
};

struct figures {
	struct ipc_link *metricd;
	struct table *domains;
	size_t len;		/* counts of all domains */
	struct gauge gauges[GAUGES_MAX];
	size_t gauges_len;
	struct loop_timer timer;
	bool is_due;		/* the timer runs */
};

bool
figures_is_name(struct str name)
{
	size_t i;

	for (i = 0; i < name.len; i++)
		if (!((name.p[i] >= 'a' && name.p[i] <= 'z') ||
		    ascii_is_digit(name.p[i]) || name.p[i] == '.' ||
		    name.p[i] == '_' || name.p[i] == '-'))
			return false;
	return name.len != 0 && name.len <= FIGURES_NAME_MAX;
}

/* ---- send ---- */

/* False: there is no room; what was sent is forgotten. */
static bool
send_domain(struct figures *figures, struct str name, struct domain *domain)
{
	struct ipc_out *out = NULL;
	struct count *count;
	size_t cursor = 0;
	struct str key;

	while ((count = table_next(domain->counts, &cursor, &key)) != NULL) {
		if (out != NULL && ipc_room(out) < key.len + ROW_ROOM) {
			(void)ipc_send(out, -1);
			out = NULL;
		}
		if (out == NULL) {
			out = ipc_begin(figures->metricd, METRIC_COUNT);
			ipc_put_str(out, name);
		}
		ipc_put_str(out, key);
		ipc_put_u64(out, count->n);
		free(table_del(domain->counts, key));
		figures->len--;
	}
	return out == NULL || ipc_send(out, -1) == 0;
}

static void
send_gauges(struct figures *figures)
{
	struct ipc_out *out;
	size_t i;

	if (figures->gauges_len == 0)
		return;
	out = ipc_begin(figures->metricd, METRIC_GAUGE);
	for (i = 0; i < figures->gauges_len; i++) {
		ipc_put_str(out, str_of(figures->gauges[i].name));
		ipc_put_bool(out, figures->gauges[i].is_time);
		ipc_put_u64(out, figures->gauges[i].value);
	}
	(void)ipc_send(out, -1);
}

void
figures_flush(struct figures *figures)
{
	struct domain *domain;
	bool is_good = true;
	size_t cursor = 0;
	struct str key;

	if (!ipc_is_attached(figures->metricd))
		return;
	send_gauges(figures);
	while (is_good && (domain = table_next(figures->domains, &cursor,
	    &key)) != NULL) {
		is_good = send_domain(figures, key, domain);
		if (table_count(domain->counts) != 0)
			continue;
		(void)table_del(figures->domains, key);
		table_free(&domain->counts);
		free(domain);
	}
}

static void
wake(struct figures *figures)
{
	if (figures->is_due)
		return;
	figures->is_due = true;
	loop_timer_start(&figures->timer, FLUSH_MS);
}

static void
on_timer(void *arg)
{
	struct figures *figures = arg;

	figures->is_due = false;
	figures_flush(figures);
	if (figures->len != 0 || figures->gauges_len != 0)
		wake(figures);
}

/* ---- count ---- */

static struct count *
count_of(struct figures *figures, struct str name, struct str key)
{
	struct domain *domain = table_get(figures->domains, name);
	struct count *count;

	if (domain == NULL) {
		domain = calloc(1, sizeof(*domain));
		invariant(domain != NULL);
		domain->counts = table_new();
		table_put(figures->domains, name, domain);
	}
	count = table_get(domain->counts, key);
	if (count != NULL)
		return count;
	count = calloc(1, sizeof(*count));
	invariant(count != NULL);
	table_put(domain->counts, key, count);
	figures->len++;
	return count;
}

void
figures_count(struct figures *figures, struct str domain, struct str name,
    uint64_t count)
{
	if (figures->len >= FIGURES_MAX || !figures_is_name(name) ||
	    domain.len > FIGURES_DOMAIN_MAX || count == 0)
		return;
	count_of(figures, domain, name)->n += count;
	wake(figures);
}

void
figures_stage(struct figures *figures, const char *stage, uint64_t ms)
{
	char name[FIGURES_NAME_MAX + 1];
	size_t i = 0;

	while (figures_bounds_ms[i] != 0 && figures_bounds_ms[i] < ms)
		i++;
	if (figures_bounds_ms[i] != 0)
		(void)snprintf(name, sizeof(name), "stage.%s.%u", stage,
		    figures_bounds_ms[i]);
	else
		(void)snprintf(name, sizeof(name), "stage.%s.more", stage);
	figures_count(figures, STR(""), str_of(name), 1);
	(void)snprintf(name, sizeof(name), "stage.%s.sum", stage);
	figures_count(figures, STR(""), str_of(name), ms);
}

void
figures_gauge(struct figures *figures, const char *name, bool is_time,
    uint64_t value)
{
	struct gauge *gauge;
	size_t i = 0;

	while (i < figures->gauges_len &&
	    strcmp(figures->gauges[i].name, name) != 0)
		i++;
	invariant(i < GAUGES_MAX && figures_is_name(str_of(name)));
	gauge = &figures->gauges[i];
	(void)snprintf(gauge->name, sizeof(gauge->name), "%s", name);
	gauge->is_time = is_time;
	gauge->value = value;
	if (i == figures->gauges_len)
		figures->gauges_len++;
	wake(figures);
}

/* ---- life ---- */

struct figures *
figures_new(struct loop *loop, struct ipc_link *metricd)
{
	struct figures *figures = calloc(1, sizeof(*figures));

	invariant(figures != NULL);
	figures->metricd = metricd;
	figures->domains = table_new();
	loop_timer_init(&figures->timer, loop, on_timer, figures);
	return figures;
}

void
figures_free(struct figures **figures)
{
	struct figures *f = *figures;
	struct domain *domain;
	struct count *count;
	size_t cursor = 0, at;
	struct str key;

	if (f == NULL)
		return;
	figures_flush(f);
	loop_timer_fini(&f->timer);
	while ((domain = table_next(f->domains, &cursor, &key)) != NULL) {
		at = 0;
		while ((count = table_next(domain->counts, &at, &key)) != NULL)
			free(count);
		table_free(&domain->counts);
		free(domain);
	}
	table_free(&f->domains);
	free(f);
	*figures = NULL;
}
