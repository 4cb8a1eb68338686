/* SPDX-License-Identifier: ISC */
/*
 * metricd: the figures: counts by domain and day, kept for years, and what
 * monitoring asks for now. It sees no mail and no address.
 */
#include <fcntl.h>
#include <jansson.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "ipc/child.h"
#include "ipc/figures.h"
#include "metricd/report.h"
#include "metricd/store.h"
#include "metricd/text.h"

#define COMMIT_MS 5000
#define SWEEP_MS 3600000
#define DAY_S 86400
#define DAY_ROWS_MAX 200000U	/* different figures of a day */
#define TEXT_MAX 60000U
#define COUNT_MAX (1ULL << 40)

struct metricd {
	struct child *child;
	char path[4096];
	struct metric_store *store;
	struct metric_text *text;
	struct table *seen;	/* domain NUL name of today */
	uint32_t seen_day;
	uint64_t days;		/* how many are kept */
	struct loop_timer commit;
	struct loop_timer sweep;
	bool is_due;
};

/* ---- what is told ---- */

/* The disk is full or has failed: begin again from what is there. */
static void
failed(const char *what, const struct err *err)
{
	ev_error(NULL, "metric.store.failed", EV_CSTR(status, what),
	    EV_ERR(err));
	exit(1);
}

static void
on_commit(void *arg)
{
	struct metricd *metricd = arg;
	struct err err = ERR_INIT;

	metricd->is_due = false;
	if (metric_store_commit(metricd->store, &err) != 0)
		failed("commit", &err);
}

static void
wake(struct metricd *metricd)
{
	if (metricd->is_due)
		return;
	metricd->is_due = true;
	loop_timer_start(&metricd->commit, COMMIT_MS);
}

/* A program that makes figures up must not fill the disk. */
static bool
has_room(struct metricd *metricd, uint32_t day, struct str domain,
    struct str name)
{
	char key[FIGURES_DOMAIN_MAX + FIGURES_NAME_MAX + 2];
	int len = snprintf(key, sizeof(key), "%.*s/%.*s", STR_FMT(domain),
	    STR_FMT(name));

	if (day != metricd->seen_day) {
		table_free(&metricd->seen);
		metricd->seen = table_new();
		metricd->seen_day = day;
	}
	if (table_get(metricd->seen, str_make(key, (size_t)len)) != NULL)
		return true;
	if (table_count(metricd->seen) >= DAY_ROWS_MAX)
		return false;
	table_put(metricd->seen, str_make(key, (size_t)len), metricd);
	return true;
}

static void
on_count(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct metricd *metricd = child_link_ctx(link);
	struct str domain = ipc_get_str(in), name;
	uint32_t day = report_day(when_wall_s());
	struct err err = ERR_INIT;
	uint64_t count;

	(void)req;
	if (domain.len > FIGURES_DOMAIN_MAX || !str_is_text(domain))
		return;
	while (ipc_more(in)) {
		name = ipc_get_str(in);
		count = ipc_get_u64(in);
		if (!figures_is_name(name) || count > COUNT_MAX ||
		    !has_room(metricd, day, domain, name))
			continue;
		if (domain.len == 0)
			metric_text_count(metricd->text, name, count);
		if (metric_store_add(metricd->store, domain, day, name,
		    count, &err) != 0)
			failed("write", &err);
	}
	wake(metricd);
}

static void
on_gauge(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct metricd *metricd = child_link_ctx(link);
	struct str name;
	uint64_t value;
	bool is_time;

	(void)req;
	while (ipc_more(in)) {
		name = ipc_get_str(in);
		is_time = ipc_get_bool(in);
		value = ipc_get_u64(in);
		if (figures_is_name(name) && value <= INT64_MAX)
			metric_text_gauge(metricd->text, name, is_time,
			    value);
	}
}

/* ---- what is asked ---- */

static void
on_text(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct metricd *metricd = child_link_ctx(link);
	struct ipc_out *out;
	struct buf text;

	(void)in;
	buf_init(&text, TEXT_MAX);
	metric_text_put(metricd->text, when_wall_s(), &text);
	if (buf_failed(&text)) {
		ipc_reply_err(req, ERR_LIMIT, "too many figures");
	} else {
		out = ipc_reply_begin(req);
		ipc_put_str(out, buf_str(&text));
		ipc_reply_end(out, -1);
	}
	buf_fini(&text);
}

static void
on_admin(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct metricd *metricd = child_link_ctx(link);
	struct str verb, args_text;
	struct err err = ERR_INIT;
	json_t *args, *result = NULL;
	struct ipc_out *out;
	char *text;

	(void)ipc_get_str(in);
	verb = ipc_get_str(in);
	args_text = ipc_get_str(in);
	args = json_loadb(args_text.p, args_text.len, 0, NULL);
	if (!json_is_object(args))
		(void)err_set(&err, ERR_SYNTAX, "arguments are no object");
	else
		(void)report_make(metricd->store, verb, args, when_wall_s(),
		    &result, &err);
	text = result != NULL ? json_dumps(result, JSON_COMPACT) : NULL;
	if (text == NULL) {
		ipc_reply_err(req, err.code != 0 ? err.code : ERR_TEMP, "%s",
		    err_text(&err));
	} else {
		out = ipc_reply_begin(req);
		ipc_put_str(out, str_of(text));
		ipc_reply_end(out, -1);
	}
	free(text);
	json_decref(result);
	json_decref(args);
}

static void
came(void *ctx, struct ipc_link *link)
{
	struct str peer = ipc_link_peer(link);
	uint64_t allowed = 1ULL << METRIC_COUNT | 1ULL << METRIC_GAUGE;

	(void)ctx;
	if (str_eq(peer, STR("webmail")))
		allowed = 1ULL << METRIC_TEXT;
	else if (str_eq(peer, STR("admind")))
		allowed = 1ULL << METRIC_ADMIN;
	ipc_link_allow(link, allowed);
}

/* ---- life ---- */

static void
on_sweep(void *arg)
{
	struct metricd *metricd = arg;
	struct err err = ERR_INIT;

	if (metric_store_sweep(metricd->store, report_day(when_wall_s() -
	    (int64_t)metricd->days * DAY_S), &err) != 0)
		failed("sweep", &err);
	wake(metricd);
	loop_timer_start(&metricd->sweep, SWEEP_MS);
}

static int
prepare(struct child *child, struct err *err)
{
	struct metricd *metricd = child->ctx;

	(void)err;
	metricd->child = child;
	/* The time zone's file is read now. */
	tzset();
	(void)report_day(when_wall_s());
	child->sandbox.user = "_hikyaku-metricd";
	child->sandbox.groups = SB_FILES;
	(void)snprintf(metricd->path, sizeof(metricd->path), "%s/figures.db",
	    child_enter_dir(child, "data/metrics", SB_READ | SB_WRITE));
	return 0;
}

static void
read_config(struct metricd *metricd)
{
	metricd->days = child_config_u64(metricd->child, "figures_days",
	    400);
	if (metricd->days == 0)
		metricd->days = 1;
}

static int
start(struct child *child, struct err *err)
{
	struct metricd *metricd = child->ctx;
	int rc = metric_store_open(&metricd->store, metricd->path, err);

	if (rc != 0)
		return rc;
	metricd->text = metric_text_new();
	metricd->seen = table_new();
	read_config(metricd);
	loop_timer_init(&metricd->commit, child->loop, on_commit, metricd);
	loop_timer_init(&metricd->sweep, child->loop, on_sweep, metricd);
	loop_timer_start(&metricd->sweep, COMMIT_MS);
	return 0;
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

static void
stop(struct child *child)
{
	struct metricd *metricd = child->ctx;

	on_commit(metricd);
	metric_store_close(&metricd->store);
	child_exit(child);
}

int
main(int argc, char **argv)
{
	static ipc_handler *const handlers[] = {
		[METRIC_COUNT] = on_count, [METRIC_GAUGE] = on_gauge,
		[METRIC_TEXT] = on_text, [METRIC_ADMIN] = on_admin,
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_metric, .handlers = handlers, .came = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "metricd", .ctx_size = sizeof(struct metricd),
		.serves = serves, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
