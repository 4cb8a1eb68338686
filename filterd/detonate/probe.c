/* SPDX-License-Identifier: ISC */
#include "filterd/detonate/probe.h"

#include "base/log.h"
#include "base/table.h"

#define POLL_LAST_MS 15000
#define AGAIN_LAST_MS 30000
#define LOST_MAX 5U
#define KEY_MAX 512U	/* all that is in it is shorter together */

struct probes {
	struct loop *loop;
	struct table *all;	/* key -> struct probe */
	uint64_t first_ms;
	unsigned score;
};

struct probe {
	struct probes *probes;
	struct engine *engine;
	struct thing *thing;
	struct list wants;
	struct engine_call *call;	/* NULL: waits for the timer */
	struct loop_timer timer;
	bool has_task;
	bool is_done;			/* the engine has opened it */
	struct engine_task task;
	unsigned lost;
	uint64_t poll_ms;
	uint64_t again_ms;
	char key[KEY_MAX];
};

/* ---- the end ---- */

static void
probe_free(struct probe *probe)
{
	(void)table_del(probe->probes->all, str_of(probe->key));
	if (probe->call != NULL)
		probe->engine->ops->call_free(&probe->call);
	loop_timer_fini(&probe->timer);
	thing_unref(&probe->thing);
	free(probe);
}

static void
end(struct probe *probe, enum detonation_result result,
    const struct engine_report *report)
{
	struct probe_want *want;
	struct list wants;

	list_init(&wants);
	while ((want = list_first(&probe->wants, struct probe_want, node)) !=
	    NULL) {
		list_del(&want->node);
		list_add(&wants, &want->node);
		want->probe = NULL;
	}
	probe_free(probe);
	/* One that is told may forget others of them. */
	while ((want = list_first(&wants, struct probe_want, node)) != NULL) {
		list_del(&want->node);
		want->done(want, result, report);
	}
}

static void
fail(struct probe *probe, const char *reason)
{
	static const struct engine_report nothing = { .score = 0 };

	ev_warn(NULL, "detonate.probe.failed",
	    EV_CSTR(name, probe->engine->name),
	    EV_CSTR(detail, probe->thing->is_link ? probe->thing->link :
	    probe->thing->name), EV_CSTR(reason, reason));
	end(probe, DETONATION_FAILED, &nothing);
}

/* ---- steps ---- */

static void
wait_again(struct probe *probe, const struct engine_answer *answer)
{
	uint64_t ms = probe->again_ms;

	ev_debug(NULL, "detonate.probe.again",
	    EV_CSTR(name, probe->engine->name),
	    EV_CSTR(reason, answer->reason));
	probe->again_ms = ms * 2 < AGAIN_LAST_MS ? ms * 2 : AGAIN_LAST_MS;
	loop_timer_start(&probe->timer, answer->wait_ms > ms ?
	    answer->wait_ms : ms);
}

static void
wait_poll(struct probe *probe)
{
	uint64_t ms = probe->poll_ms;

	probe->poll_ms = ms + ms / 2 < POLL_LAST_MS ? ms + ms / 2 :
	    POLL_LAST_MS;
	loop_timer_start(&probe->timer, ms);
}

static void
on_submitted(struct probe *probe, const struct engine_answer *answer)
{
	probe->task = answer->task;
	probe->has_task = true;
	probe->poll_ms = probe->probes->first_ms;
	ev_info(NULL, "detonate.probe.submitted",
	    EV_CSTR(name, probe->engine->name),
	    EV_CSTR(detail, probe->thing->is_link ? probe->thing->link :
	    probe->thing->name), EV_U64(size, probe->thing->size),
	    EV_U64(count, answer->task.len));
	/* It may have been done before. */
	loop_timer_start(&probe->timer, 0);
}

static void
on_polled(struct probe *probe, const struct engine_answer *answer)
{
	switch (answer->state) {
	case ENGINE_RUNNING:
		wait_poll(probe);
		break;
	case ENGINE_DONE:
		probe->is_done = true;
		loop_timer_start(&probe->timer, 0);
		break;
	case ENGINE_FAILED:
		fail(probe, "the engine could not open it");
		break;
	case ENGINE_LOST:
		probe->has_task = false;
		if (++probe->lost == LOST_MAX)
			fail(probe, "the engine loses it");
		else
			wait_again(probe, answer);
		break;
	}
}

static void
on_verdict(struct probe *probe, const struct engine_answer *answer)
{
	struct engine_report report = answer->report;
	bool is_bad = report.score >= probe->probes->score;

	ev_info(NULL, "detonate.probe.done",
	    EV_CSTR(name, probe->engine->name),
	    EV_CSTR(detail, probe->thing->is_link ? probe->thing->link :
	    probe->thing->name), EV_U64(count, report.score),
	    EV_CSTR(virus, report.found),
	    EV_CSTR(status, is_bad ? "malicious" : "clean"));
	end(probe, is_bad ? DETONATION_MALICIOUS : DETONATION_CLEAN,
	    &report);
}

static void
on_answer(void *ctx, const struct engine_answer *answer)
{
	struct probe *probe = ctx;

	probe->call = NULL;
	if (answer->end == ENGINE_REFUSED) {
		fail(probe, answer->reason);
		return;
	}
	if (answer->end == ENGINE_AGAIN) {
		wait_again(probe, answer);
		return;
	}
	probe->again_ms = probe->probes->first_ms;
	if (!probe->has_task)
		on_submitted(probe, answer);
	else if (!probe->is_done)
		on_polled(probe, answer);
	else
		on_verdict(probe, answer);
}

static void
step(void *ctx)
{
	struct probe *probe = ctx;
	const struct engine_ops *ops = probe->engine->ops;

	if (!probe->has_task)
		probe->call = ops->submit(probe->engine, probe->thing,
		    on_answer, probe);
	else if (!probe->is_done)
		probe->call = ops->poll(probe->engine, &probe->task,
		    on_answer, probe);
	else
		probe->call = ops->verdict(probe->engine, &probe->task,
		    on_answer, probe);
}

/* ---- who wants it ---- */

static struct probe *
probe_new(struct probes *probes, struct engine *engine, struct thing *thing,
    const char *key)
{
	struct probe *probe = calloc(1, sizeof(*probe));

	invariant(probe != NULL);
	probe->probes = probes;
	probe->engine = engine;
	probe->thing = thing_ref(thing);
	probe->again_ms = probes->first_ms;
	list_init(&probe->wants);
	(void)snprintf(probe->key, sizeof(probe->key), "%s", key);
	loop_timer_init(&probe->timer, probes->loop, step, probe);
	loop_timer_start(&probe->timer, 0);
	(void)table_put(probes->all, str_of(probe->key), probe);
	return probe;
}

void
probe_want(struct probes *probes, struct engine *engine, struct thing *thing,
    struct probe_want *want)
{
	char hash[65], kind[THING_NAME_MAX + 1], key[KEY_MAX];

	thing_hash_text(thing, hash);
	thing_kind(thing, kind);
	(void)snprintf(key, sizeof(key), "%s/%s/%s/%s", engine->name,
	    thing->is_link ? "link" : "file", hash, kind);
	want->probe = table_get(probes->all, str_of(key));
	if (want->probe == NULL)
		want->probe = probe_new(probes, engine, thing, key);
	list_init(&want->node);
	list_add(&want->probe->wants, &want->node);
}

void
probe_forget(struct probe_want *want)
{
	struct probe *probe = want->probe;

	list_del(&want->node);
	want->probe = NULL;
	if (probe != NULL && list_is_empty(&probe->wants))
		probe_free(probe);
}

bool
probe_is_running(const struct probe_want *want)
{
	return want->probe != NULL && want->probe->has_task;
}

/* ---- life ---- */

struct probes *
probes_new(struct loop *loop, uint64_t first_ms)
{
	struct probes *probes = calloc(1, sizeof(*probes));

	invariant(probes != NULL);
	probes->loop = loop;
	probes->all = table_new();
	probes->first_ms = first_ms;
	return probes;
}

void
probes_set_score(struct probes *probes, unsigned score)
{
	probes->score = score;
}

void
probes_free(struct probes **probes)
{
	if (*probes == NULL)
		return;
	invariant(table_count((*probes)->all) == 0);
	table_free(&(*probes)->all);
	free(*probes);
	*probes = NULL;
}
