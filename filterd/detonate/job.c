/* SPDX-License-Identifier: ISC */
#include "filterd/detonate/job.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/when.h"

struct jobs {
	struct loop *loop;
	struct probes *probes;
	struct engine *engines;
	size_t engines_len;
	struct list running;
	struct list waiting;
	size_t running_len;
	struct loop_timer turn;
};

/* One thing at one engine. */
struct visit {
	struct probe_want want;
	struct job *job;
	size_t engine;
	enum detonation_result result;
};

struct job {
	struct list node;
	struct jobs *jobs;
	struct arena *arena;
	struct job_asked asked;
	bool is_running;
	struct loop_timer deadline;
	struct things things;
	struct visit *visits;
	size_t visits_len;
	size_t open;			/* visits that are not over */
	struct verdict_engine engines[VERDICT_ENGINES_MAX];
};

static void wait_turn(struct jobs *jobs);

/* ---- the end ---- */

static void
job_free(struct job *job)
{
	struct jobs *jobs = job->jobs;
	struct arena *arena = job->arena;	/* job lives in it */
	size_t i;

	for (i = 0; i < job->visits_len; i++)
		probe_forget(&job->visits[i].want);
	things_fini(&job->things);
	loop_timer_fini(&job->deadline);
	if (job->asked.blob_fd != -1)
		(void)close(job->asked.blob_fd);
	list_del(&job->node);
	jobs->running_len -= job->is_running;
	arena_free(&arena);
	wait_turn(jobs);
}

/* What outweighs what, of one engine and of all of them. */
static enum detonation_result
worse(enum detonation_result a, enum detonation_result b)
{
	static const unsigned weights[DETONATION_RESULTS] = {
		[DETONATION_CLEAN] = 0, [DETONATION_UNKNOWN] = 1,
		[DETONATION_LATE] = 2, [DETONATION_FAILED] = 3,
		[DETONATION_MALICIOUS] = 4,
	};

	return weights[a] > weights[b] ? a : b;
}

static void
answer(struct job *job, enum detonation_result result)
{
	struct ipc_out *out = ipc_reply_begin(job->asked.req);
	const struct jobs *jobs = job->jobs;
	size_t i;

	ipc_put_u64(out, result);
	for (i = 0; i < jobs->engines_len; i++) {
		const struct verdict_engine *engine = &job->engines[i];

		ipc_put_str(out, engine->engine);
		ipc_put_str(out, engine->kind);
		ipc_put_u64(out, engine->result);
		ipc_put_u64(out, engine->score);
		ipc_put_str(out, engine->name);
	}
	ipc_reply_end(out, -1);
	ev_info(NULL, "detonate.message.done",
	    EV_U64(queue_id, job->asked.queue_id),
	    EV_CSTR(status, verdict_detonation_name(result)),
	    EV_U64(count, job->things.len));
	job_free(job);
}

/* Visits that are over have put in what came of them. */
static void
end(struct job *job, bool is_late)
{
	enum detonation_result result = DETONATION_CLEAN;
	struct verdict_engine *engine;
	size_t i;

	for (i = 0; is_late && i < job->visits_len; i++) {
		if (job->visits[i].want.probe == NULL)
			continue;
		engine = &job->engines[job->visits[i].engine];
		engine->result = worse(engine->result,
		    probe_is_running(&job->visits[i].want) ?
		    DETONATION_LATE : DETONATION_FAILED);
	}
	for (i = 0; i < job->jobs->engines_len; i++)
		result = worse(result, job->engines[i].result);
	/* What nobody has opened is not clean. */
	if (job->things.is_cut)
		result = worse(result, DETONATION_UNKNOWN);
	answer(job, result);
}

static void
on_deadline(void *ctx)
{
	struct job *job = ctx;

	if (job->is_running) {
		end(job, true);
		return;
	}
	/* Its turn never came. */
	answer(job, DETONATION_LATE);
}

/* ---- what engines say ---- */

static void
on_visited(struct probe_want *want, enum detonation_result result,
    const struct engine_report *report)
{
	struct visit *visit = list_entry(want, struct visit, want);
	struct job *job = visit->job;
	struct verdict_engine *engine = &job->engines[visit->engine];

	job->open--;
	engine->result = worse(engine->result, result);
	if (report->score > engine->score) {
		engine->score = report->score;
		engine->name = arena_str(job->arena, str_of(report->found));
	}
	if (result == DETONATION_MALICIOUS) {
		/* The others need not be waited for: one is enough. */
		end(job, true);
		return;
	}
	if (job->open == 0)
		end(job, false);
}

/* ---- the beginning ---- */

static void
name_engines(struct job *job)
{
	const struct jobs *jobs = job->jobs;
	size_t i;

	for (i = 0; i < jobs->engines_len; i++)
		job->engines[i] = (struct verdict_engine){
		    .result = DETONATION_CLEAN,
		    .engine = str_of(jobs->engines[i].name),
		    .kind = str_of(jobs->engines[i].kind), .name = STR("") };
}

static void
visit_all(struct job *job)
{
	struct jobs *jobs = job->jobs;
	struct visit *visit;
	size_t i, j;

	job->visits = arena_alloc(job->arena, (job->things.len *
	    jobs->engines_len + 1) * sizeof(*job->visits));
	for (i = 0; i < jobs->engines_len; i++)
		for (j = 0; j < job->things.len; j++) {
			visit = &job->visits[job->visits_len++];
			visit->job = job;
			visit->engine = i;
			visit->want.done = on_visited;
			probe_want(jobs->probes, &jobs->engines[i],
			    job->things.all[j], &visit->want);
		}
	job->open = job->visits_len;
}

static void
start(struct job *job)
{
	struct verdict verdict;
	size_t i;

	job->is_running = true;
	job->jobs->running_len++;
	list_del(&job->node);
	list_add(&job->jobs->running, &job->node);
	if (verdict_decode(job->asked.verdict, job->arena, &verdict, NULL) ==
	    0)
		things_of_message(job->asked.blob_fd, job->asked.size,
		    &verdict, &job->things);
	/* Things that are to be sent have their own. */
	(void)close(job->asked.blob_fd);
	job->asked.blob_fd = -1;
	if (job->things.len != 0 && job->jobs->engines_len != 0) {
		visit_all(job);
		return;
	}
	for (i = 0; i < job->jobs->engines_len; i++)
		job->engines[i].result = DETONATION_UNKNOWN;
	answer(job, job->jobs->engines_len != 0 ? DETONATION_UNKNOWN :
	    DETONATION_FAILED);
}

/* One a round: reading a message takes its time. */
static void
on_turn(void *ctx)
{
	struct jobs *jobs = ctx;
	struct job *job = list_first(&jobs->waiting, struct job, node);

	if (job != NULL && jobs->running_len < JOBS_RUNNING_MAX)
		start(job);
	wait_turn(jobs);
}

static void
wait_turn(struct jobs *jobs)
{
	if (!list_is_empty(&jobs->waiting) &&
	    jobs->running_len < JOBS_RUNNING_MAX)
		loop_timer_start(&jobs->turn, 0);
}

static struct job *
find(struct list *list, uint64_t queue_id)
{
	struct job *job, *tmp;

	list_each(job, tmp, list, struct job, node)
		if (job->asked.queue_id == queue_id)
			return job;
	return NULL;
}

static void
set_deadline(struct job *job, uint64_t deadline_ms)
{
	uint64_t now = when_mono_ms();

	loop_timer_start(&job->deadline, deadline_ms > now ?
	    deadline_ms - now : 0);
}

/* queued has ended and asks again: what is under way goes on. */
static void
take_over(struct job *job, const struct job_asked *asked)
{
	ipc_reply_err(job->asked.req, ERR_TEMP, "asked again");
	job->asked.req = asked->req;
	(void)close(asked->blob_fd);
	set_deadline(job, asked->deadline_ms);
}

void
jobs_add(struct jobs *jobs, const struct job_asked *asked)
{
	struct job *job = find(&jobs->running, asked->queue_id);
	struct arena *arena;

	if (job == NULL)
		job = find(&jobs->waiting, asked->queue_id);
	if (job != NULL) {
		take_over(job, asked);
		return;
	}
	arena = arena_new(0);
	job = arena_new_of(arena, struct job);
	job->jobs = jobs;
	job->arena = arena;
	job->asked = *asked;
	job->asked.verdict = arena_str(arena, asked->verdict);
	name_engines(job);
	loop_timer_init(&job->deadline, jobs->loop, on_deadline, job);
	set_deadline(job, asked->deadline_ms);
	list_add(&jobs->waiting, &job->node);
	wait_turn(jobs);
}

/* ---- life ---- */

struct jobs *
jobs_new(struct loop *loop, struct probes *probes, struct engine *engines,
    size_t engines_len)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	invariant(jobs != NULL && engines_len <= VERDICT_ENGINES_MAX);
	jobs->loop = loop;
	jobs->probes = probes;
	jobs->engines = engines;
	jobs->engines_len = engines_len;
	list_init(&jobs->running);
	list_init(&jobs->waiting);
	loop_timer_init(&jobs->turn, loop, on_turn, jobs);
	return jobs;
}

static void
end_all(struct list *list)
{
	struct job *job;

	while ((job = list_first(list, struct job, node)) != NULL) {
		ipc_reply_err(job->asked.req, ERR_TEMP, "stopping");
		job_free(job);
	}
}

void
jobs_free(struct jobs **jobs)
{
	if (*jobs == NULL)
		return;
	end_all(&(*jobs)->waiting);
	end_all(&(*jobs)->running);
	loop_timer_fini(&(*jobs)->turn);
	free(*jobs);
	*jobs = NULL;
}
