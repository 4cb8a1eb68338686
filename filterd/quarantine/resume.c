/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/resume.h"

#include "base/log.h"

#define RESUME_MS 30000

struct resume {
	struct loop_timer timer;
	struct release_env *env;
	uint64_t at;		/* the entry under way, or the last one */
};

static void
rest(struct resume *resume)
{
	resume->at = 0;
	loop_timer_start(&resume->timer, RESUME_MS);
}

/* It is an entry like others again. */
static void
give_up(struct resume *resume)
{
	struct err err = ERR_INIT;

	if (quarantine_store_set_releasing(resume->env->store, resume->at,
	    false, &err) != 0)
		ev_warn(NULL, "quarantine.resume.failed",
		    EV_U64(entry, resume->at), EV_ERR(&err));
}

static void
on_released(void *ctx, int code, const struct err *err)
{
	struct resume *resume = ctx;

	(void)err;
	if (code != 0 && code != ERR_TEMP && code != ERR_NOTFOUND)
		give_up(resume);
	loop_timer_start(&resume->timer, 0);
}

/* The next one; those that somebody releases just now have their own end. */
static void
on_timer(void *ctx)
{
	struct resume *resume = ctx;
	struct err err = ERR_INIT;

	do {
		if (quarantine_store_next_releasing(resume->env->store,
		    resume->at, &resume->at, &err) != 0) {
			ev_warn(NULL, "quarantine.resume.failed",
			    EV_ERR(&err));
			resume->at = 0;
		}
	} while (resume->at != 0 &&
	    release_is_active(resume->env, resume->at));
	if (resume->at == 0)
		rest(resume);
	else
		release_resume(resume->env, resume->at, on_released, resume);
}

struct resume *
resume_new(struct loop *loop, struct release_env *env)
{
	struct resume *resume = calloc(1, sizeof(*resume));

	invariant(resume != NULL);
	resume->env = env;
	loop_timer_init(&resume->timer, loop, on_timer, resume);
	loop_timer_start(&resume->timer, 0);
	return resume;
}
