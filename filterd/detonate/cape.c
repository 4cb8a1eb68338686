/* SPDX-License-Identifier: ISC */
/*
 * cape: CAPEv2 by its REST interface, apiv2.
 *
 * submit() looks whether the engine has a task of ours for it already (by
 * our mark in the task's options, which says the file's SHA-256 and which
 * kind of name it had) and makes one only when it has not: an answer that
 * was lost is no second task. verdict() asks for the short views first; the
 * whole report can be long.
 */
#include <time.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/when.h"
#include "filterd/detonate/ask.h"
#include "filterd/detonate/cape_json.h"

#define SHORT_MS 30000
#define LONG_MS 120000
#define WAIT_MAX_MS 600000

enum step { FIND, CREATE, STATUS, VIEW, IOCS, REPORT };

struct engine_call {
	struct engine *engine;
	struct arena *arena;
	struct ask *ask;
	enum step step;
	struct thing *thing;
	struct str mark;
	struct engine_task task;
	size_t at;			/* of the task's ids */
	bool is_any_running;
	bool is_any_done;
	bool has_score;
	struct engine_answer answer;
	engine_done *done;
	void *ctx;
};

static void ask_step(struct engine_call *call);

/* What tells its tasks from others: of files the octets and the kind of their
 * name, which says what opens them; links of a day: what stands there may be
 * another thing tomorrow. It is kept from the search to the task. */
static struct str
mark_of(struct engine_call *call)
{
	char hash[65], kind[THING_NAME_MAX + 1];

	if (call->mark.len != 0)
		return call->mark;
	thing_hash_text(call->thing, hash);
	thing_kind(call->thing, kind);
	call->mark = call->thing->is_link ?
	    arena_printf(call->arena, "hikyaku=%.32s-%lld", hash,
	    (long long)(when_wall_s() / 86400)) :
	    arena_printf(call->arena, "hikyaku=%s-%s", hash, kind);
	return call->mark;
}

/* ---- the end ---- */

static void
cape_free(struct engine_call **call)
{
	struct engine_call *c = *call;
	struct arena *arena;

	*call = NULL;
	if (c == NULL)
		return;
	ask_free(&c->ask);
	thing_unref(&c->thing);
	arena = c->arena;	/* c lives in it */
	arena_free(&arena);
}

static void
finish(struct engine_call *call, enum engine_end end, const char *reason)
{
	call->answer.end = end;
	call->answer.reason = reason;
	call->done(call->ctx, &call->answer);
	cape_free(&call);
}

/* ---- answers ---- */

static void
took_found(struct engine_call *call, int rc, struct err *err)
{
	if (rc == 0 || rc == ERR_SYNTAX) {
		finish(call, rc == 0 ? ENGINE_OK : ENGINE_AGAIN,
		    err_text(err));
		return;
	}
	/* Nobody has it, or searching is switched off. */
	call->step = CREATE;
	ask_step(call);
}

static void
took_created(struct engine_call *call, int rc, struct err *err)
{
	finish(call, rc == 0 ? ENGINE_OK : rc == ERR_DENIED ?
	    ENGINE_REFUSED : ENGINE_AGAIN, err_text(err));
}

/* All of them are asked about: one that runs is waited for, and one that was
 * opened says something even when another could not be. */
static void
took_status(struct engine_call *call, enum engine_state state, int rc,
    struct err *err)
{
	if (rc == ERR_SYNTAX) {
		finish(call, ENGINE_AGAIN, err_text(err));
		return;
	}
	if (rc != 0 || state == ENGINE_LOST) {
		call->answer.state = ENGINE_LOST;
		finish(call, ENGINE_OK, NULL);
		return;
	}
	call->is_any_running |= state == ENGINE_RUNNING;
	call->is_any_done |= state == ENGINE_DONE;
	if (++call->at < call->task.len) {
		ask_step(call);
		return;
	}
	call->answer.state = call->is_any_running ? ENGINE_RUNNING :
	    call->is_any_done ? ENGINE_DONE : ENGINE_FAILED;
	finish(call, ENGINE_OK, NULL);
}

static void
took_report(struct engine_call *call, const struct engine_report *report,
    int rc)
{
	struct engine_report *worst = &call->answer.report;

	if (rc != 0 && call->step < REPORT) {
		call->step++;
		ask_step(call);
		return;
	}
	if (rc == 0 && (!call->has_score || report->score > worst->score))
		*worst = *report;
	call->has_score |= rc == 0;
	call->step = VIEW;
	if (++call->at < call->task.len) {
		ask_step(call);
		return;
	}
	finish(call, call->has_score ? ENGINE_OK : ENGINE_REFUSED,
	    "the report has no score");
}

static void
read_body(struct engine_call *call, struct str body)
{
	struct engine_report report;
	enum engine_state state = ENGINE_RUNNING;
	struct err err = ERR_INIT;
	int rc;

	switch (call->step) {
	case FIND:
		rc = cape_read_found(body, mark_of(call), &call->answer.task,
		    &err);
		took_found(call, rc, &err);
		break;
	case CREATE:
		rc = cape_read_created(body, &call->answer.task, &err);
		took_created(call, rc, &err);
		break;
	case STATUS:
		rc = cape_read_status(body, &state, &err);
		took_status(call, state, rc, &err);
		break;
	case VIEW:
	case IOCS:
	case REPORT:
		rc = cape_read_report(body, &report, &err);
		took_report(call, &report, rc);
		break;
	}
}

/* 404 of a short view or of a search says no more than an error in it. */
static bool
has_body(const struct engine_call *call, unsigned status)
{
	return status / 100 == 2 || (status == 404 && call->step != CREATE);
}

static void
on_answer(void *ctx, const struct http_answer *answer)
{
	struct engine_call *call = ctx;
	char reason[48];

	call->ask = NULL;
	if (answer->status == 0 && call->step >= VIEW &&
	    call->step < REPORT) {
		/* An answer that is too long, say; the connection is asked
		 * about again with the next one. */
		took_report(call, NULL, ERR_TEMP);
		return;
	}
	if (answer->status == 0) {
		/* A report stays as long as it is; what else is too long is
		 * no such answer. */
		finish(call, answer->is_too_large && call->step == REPORT ?
		    ENGINE_REFUSED : ENGINE_AGAIN, answer->reason);
		return;
	}
	if (has_body(call, answer->status)) {
		read_body(call, answer->body);
		return;
	}
	call->answer.wait_ms = answer->retry_after_s < WAIT_MAX_MS / 1000 ?
	    answer->retry_after_s * 1000 : WAIT_MAX_MS;
	(void)snprintf(reason, sizeof(reason), "HTTP status %u",
	    answer->status);
	/* Too large, or of a kind it does not take. */
	finish(call, answer->status == 413 || answer->status == 415 ||
	    answer->status == 400 ? ENGINE_REFUSED : ENGINE_AGAIN, reason);
}

/* ---- questions ---- */

static void
ask_path(struct engine_call *call, struct str path, size_t body_max,
    uint64_t timeout_ms)
{
	struct ask_request request = { .path = path, .body_max = body_max,
		.timeout_ms = timeout_ms };

	call->ask = ask_new(call->engine, &request, on_answer, call);
}

static struct str
bare_mark(struct engine_call *call)
{
	struct str mark = mark_of(call);

	return str_sub(mark, sizeof("hikyaku=") - 1, mark.len);
}

static void
ask_found(struct engine_call *call)
{
	struct str mark = bare_mark(call);
	char hash[65];

	thing_hash_text(call->thing, hash);
	ask_path(call, call->thing->is_link ?
	    arena_printf(call->arena, "/tasks/list/20/?category=url&"
	    "option=hikyaku%%3D%.*s", STR_FMT(mark)) :
	    arena_printf(call->arena, "/tasks/search/sha256/%s/", hash),
	    ASK_ANSWER_MAX, SHORT_MS);
}

/* application/x-www-form-urlencoded */
static struct str
link_form(struct engine_call *call)
{
	const char *p = call->thing->link;
	struct str mark = bare_mark(call);
	struct str form;
	struct buf out;

	buf_init(&out, 3 * THING_LINK_MAX + 200);
	buf_add_cstr(&out, "url=");
	for (; *p != '\0'; p++)
		if (ascii_is_alpha(*p) || ascii_is_digit(*p))
			buf_add_char(&out, *p);
		else
			buf_addf(&out, "%%%02X", (unsigned char)*p);
	buf_addf(&out, "&options=hikyaku%%3D%.*s", STR_FMT(mark));
	form = arena_str(call->arena, buf_str(&out));
	buf_fini(&out);
	return form;
}

static void
ask_create(struct engine_call *call)
{
	struct ask_request request = { .body_max = ASK_ANSWER_MAX,
		.timeout_ms = LONG_MS };

	if (call->thing->is_link) {
		request.path = STR("/tasks/create/url/");
		request.form = link_form(call);
	} else {
		request.path = STR("/tasks/create/file/");
		request.file = call->thing;
		request.options = mark_of(call);
	}
	call->ask = ask_new(call->engine, &request, on_answer, call);
}

static void
ask_step(struct engine_call *call)
{
	static const struct {
		const char *before;
		const char *after;
		size_t body_max;
		uint64_t timeout_ms;
	} paths[] = {
		[STATUS] = { "/tasks/status/", "/", ASK_ANSWER_MAX,
		    SHORT_MS },
		[VIEW] = { "/tasks/view/", "/", ASK_ANSWER_MAX, SHORT_MS },
		[IOCS] = { "/tasks/get/iocs/", "/", ASK_REPORT_MAX,
		    LONG_MS },
		[REPORT] = { "/tasks/get/report/", "/json/", ASK_REPORT_MAX,
		    LONG_MS },
	};

	if (call->step == FIND) {
		ask_found(call);
	} else if (call->step == CREATE) {
		ask_create(call);
	} else {
		ask_path(call, arena_printf(call->arena, "%s%llu%s",
		    paths[call->step].before,
		    (unsigned long long)call->task.ids[call->at],
		    paths[call->step].after), paths[call->step].body_max,
		    paths[call->step].timeout_ms);
	}
}

static struct engine_call *
call_new(struct engine *engine, enum step step, engine_done *done, void *ctx)
{
	struct arena *arena = arena_new(0);
	struct engine_call *call = arena_new_of(arena, struct engine_call);

	call->arena = arena;
	call->engine = engine;
	call->step = step;
	call->done = done;
	call->ctx = ctx;
	return call;
}

static struct engine_call *
cape_submit(struct engine *engine, struct thing *thing, engine_done *done,
    void *ctx)
{
	struct engine_call *call = call_new(engine, FIND, done, ctx);

	call->thing = thing_ref(thing);
	ask_step(call);
	return call;
}

static struct engine_call *
cape_poll(struct engine *engine, const struct engine_task *task,
    engine_done *done, void *ctx)
{
	struct engine_call *call = call_new(engine, STATUS, done, ctx);

	call->task = *task;
	ask_step(call);
	return call;
}

static struct engine_call *
cape_verdict(struct engine *engine, const struct engine_task *task,
    engine_done *done, void *ctx)
{
	struct engine_call *call = call_new(engine, VIEW, done, ctx);

	call->task = *task;
	ask_step(call);
	return call;
}

const struct engine_ops engine_cape = {
	.name = "cape", .submit = cape_submit, .poll = cape_poll,
	.verdict = cape_verdict, .call_free = cape_free,
};
