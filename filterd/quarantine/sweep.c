/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/sweep.h"

#include "base/log.h"
#include "base/when.h"

#define SWEEP_FIRST_MS 0
#define SWEEP_MS 300000
#define SWEEP_RETRY_MS 30000
#define SWEEP_STEP 100

struct sweep {
	struct loop_timer timer;
	struct quarantine_store *store;
	struct days *days;
	struct tally *tally;
	struct arena *arena;	/* of the domain under way */
	struct str domain;	/* empty: none yet */
	int64_t last_s;
	char failure[200];
};

static void next_domain(struct sweep *sweep);

/* ---- the end of a sweep ---- */

static void
rest(struct sweep *sweep, uint64_t ms)
{
	arena_reset(sweep->arena);
	sweep->domain = STR("");
	loop_timer_start(&sweep->timer, ms);
}

static void
fail(struct sweep *sweep, const char *why)
{
	(void)snprintf(sweep->failure, sizeof(sweep->failure), "%s", why);
	ev_warn(NULL, "quarantine.sweep.failed", EV_CSTR(reason, why));
	rest(sweep, SWEEP_RETRY_MS);
}

static void
on_swept(void *ctx, int code)
{
	struct sweep *sweep = ctx;

	if (code != 0) {
		fail(sweep, "the changes were not written");
		return;
	}
	sweep->failure[0] = '\0';
	sweep->last_s = when_wall_s();
	tally_state(sweep->tally, sweep->last_s);
	rest(sweep, SWEEP_MS);
}

static void
finish(struct sweep *sweep)
{
	struct err err = ERR_INIT;

	if (quarantine_store_tidy(sweep->store, &err) != 0)
		fail(sweep, err_text(&err));
	else
		quarantine_store_after(sweep->store, on_swept, sweep);
}

/* ---- a domain ---- */

static void step(struct sweep *sweep);

static void
on_step(void *ctx, int code)
{
	struct sweep *sweep = ctx;

	if (code != 0)
		fail(sweep, "the changes were not written");
	else
		step(sweep);
}

static void
step(struct sweep *sweep)
{
	unsigned days = days_of(sweep->days, sweep->domain);
	struct err err = ERR_INIT;
	size_t count;

	if (quarantine_store_expire(sweep->store, sweep->domain,
	    when_wall_s() - (int64_t)days * QUARANTINE_DAY_S, SWEEP_STEP,
	    &count, &err) != 0) {
		fail(sweep, err_text(&err));
		return;
	}
	if (count == 0) {
		next_domain(sweep);
		return;
	}
	ev_info(NULL, "quarantine.entries.expired",
	    EV_STR(domain, sweep->domain), EV_U64(count, count));
	tally_count(sweep->tally, sweep->domain, "expired", count);
	quarantine_store_after(sweep->store, on_step, sweep);
}

static void
on_days(void *ctx, int code)
{
	struct sweep *sweep = ctx;

	/* What may be kept longer than it was is not deleted on a guess. */
	if (code != 0)
		fail(sweep, "the directory does not answer");
	else
		step(sweep);
}

static void
next_domain(struct sweep *sweep)
{
	struct err err = ERR_INIT;
	struct str domain;

	if (quarantine_store_next_domain(sweep->store, sweep->domain,
	    sweep->arena, &domain, &err) != 0) {
		fail(sweep, err_text(&err));
		return;
	}
	sweep->domain = domain;
	if (domain.len == 0)
		finish(sweep);
	else
		days_ask(sweep->days, &domain, 1, on_days, sweep);
}

static void
on_timer(void *ctx)
{
	next_domain(ctx);
}

/* ---- life ---- */

struct sweep *
sweep_new(struct loop *loop, struct quarantine_store *store,
    struct days *days, struct tally *tally)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));

	invariant(sweep != NULL);
	sweep->store = store;
	sweep->days = days;
	sweep->tally = tally;
	sweep->arena = arena_new(4096);
	sweep->domain = STR("");
	loop_timer_init(&sweep->timer, loop, on_timer, sweep);
	loop_timer_start(&sweep->timer, SWEEP_FIRST_MS);
	return sweep;
}

int64_t
sweep_last_s(const struct sweep *sweep)
{
	return sweep->last_s;
}

const char *
sweep_failure(const struct sweep *sweep)
{
	return sweep->failure;
}
