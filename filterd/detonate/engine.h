/* SPDX-License-Identifier: ISC */
/*
 * engine: somebody who opens what is suspicious where it can do no harm, and
 * says what it did. What speaks to one kind of engine is one table of
 * functions (cape.c); all that others know of it is here.
 *
 * Easy case.  submit() gives a task, poll() says running a few times, then
 *             done, verdict() gives the score.
 * Hard case.  The engine answers 500, or the connection is cut while a file
 *             goes there: ENGINE_AGAIN. The next submit() finds the task
 *             that was made all the same and makes no second one. An engine
 *             that has lost the task says ENGINE_LOST: submit() again.
 *
 * Lifetime.   engine_read() before the sandbox -> engine_open(); then as long
 *             as the program. submit(), poll(), verdict() -> done, once, never
 *             from inside it, or call_free() before that.
 * Ownership.  The thing and the task outlive the call; strings of an answer
 *             live until done returns.
 * Units.      Scores are tenths of a point of ten points; milliseconds.
 * Errors.     enum engine_end. What an engine says is hostile input.
 * Blocking.   Never.
 * Process.    detonated.
 */
#ifndef DETONATE_ENGINE_H
#define DETONATE_ENGINE_H

#include "filterd/detonate/thing.h"
#include "http/call.h"
#include "ipc/ipc.h"

#define ENGINE_NAME_SIZE 33
#define ENGINE_TASKS_MAX 8U	/* an archive becomes several */
#define ENGINE_FOUND_MAX 200U
#define ENGINE_ASKS_MAX 8U	/* requests to one engine at a time */

enum engine_end {
	ENGINE_OK,
	ENGINE_AGAIN,		/* it cannot now */
	ENGINE_REFUSED,		/* it never will */
};

enum engine_state {
	ENGINE_RUNNING,
	ENGINE_DONE,
	ENGINE_FAILED,		/* it could not be opened */
	ENGINE_LOST,		/* it does not know the task (any more) */
};

struct engine_task {
	uint64_t ids[ENGINE_TASKS_MAX];
	size_t len;
};

struct engine_report {
	unsigned score;
	char found[ENGINE_FOUND_MAX + 1];	/* UTF-8 on one line */
};

struct engine_answer {
	enum engine_end end;
	const char *reason;		/* but of ENGINE_OK */
	uint64_t wait_ms;		/* of ENGINE_AGAIN: what it asks for */
	struct engine_task task;	/* submit() */
	enum engine_state state;	/* poll() */
	struct engine_report report;	/* verdict() */
};

typedef void engine_done(void *ctx, const struct engine_answer *answer);

struct engine;
struct engine_call;

struct engine_ops {
	const char *name;	/* as in "engine = ..." */
	struct engine_call *(*submit)(struct engine *engine,
	    struct thing *thing, engine_done *done, void *ctx);
	struct engine_call *(*poll)(struct engine *engine,
	    const struct engine_task *task, engine_done *done, void *ctx);
	struct engine_call *(*verdict)(struct engine *engine,
	    const struct engine_task *task, engine_done *done, void *ctx);
	void (*call_free)(struct engine_call **call);
};

struct engine {
	const struct engine_ops *ops;
	char name[ENGINE_NAME_SIZE];
	char kind[ENGINE_NAME_SIZE];
	char base[600];			/* of its URLs */
	char place[400];		/* for CURLOPT_RESOLVE; "": none */
	char authorization[300];	/* header field; "": none */
	bool has_tls;
	struct buf ca;
	struct loop *loop;
	struct curlloop *curlloop;
	struct ipc_link *master;	/* who makes its connections */
	struct list asks;		/* ask.c: under way */
	struct list waiting;
	size_t asks_len;
	unsigned failures;		/* requests without an answer, in row */
	void (*alert)(void *ctx, const char *what);
	void *alert_ctx;
};

/*
 * One block: settings is "cape virtual none /apiv2 HOST ADDRESS@PORT"; ca and
 * token name files that are read here. ERR_SYNTAX, ERR_NOTFOUND, ERR_TEMP.
 */
int engine_read(struct engine *engine, struct str name, struct str settings,
    struct str ca, struct str token, struct err *err);

/* alert is told when the engine cannot be reached for long, and, with "",
 * when it can again. */
void engine_open(struct engine *engine, struct loop *loop,
    struct curlloop *curlloop, struct ipc_link *master,
    void (*alert)(void *ctx, const char *what), void *ctx);

/* For ask.c: what became of a request. */
void engine_heard(struct engine *engine, const struct http_answer *answer);

/* It has not been of use for a while. */
bool engine_is_down(const struct engine *engine);

extern const struct engine_ops engine_cape;

#endif
