/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/days.h"

#include "base/arena.h"
#include "base/table.h"
#include "ipc/links.h"

#define ASK_MS 10000
#define DAYS_MAX 90U

struct days {
	struct ipc_link *directory;
	struct table *known;	/* domain -> days */
};

struct asking {
	struct days *days;
	struct arena *arena;	/* holds this too */
	size_t waiting;
	int code;
	void (*done)(void *ctx, int code);
	void *ctx;
};

struct question {
	struct asking *asking;
	struct str domain;
};

struct days *
days_new(struct ipc_link *directory)
{
	struct days *days = calloc(1, sizeof(*days));

	invariant(days != NULL);
	days->directory = directory;
	days->known = table_new();
	return days;
}

static void
learn(struct days *days, struct str domain, uint64_t count)
{
	if (count == 0 || count > DAYS_MAX)
		count = QUARANTINE_DAYS;
	(void)table_put(days->known, domain, (void *)(uintptr_t)count);
}

static void
on_domain(void *ctx, int code, struct ipc_in *in)
{
	struct question *question = ctx;
	struct asking *asking = question->asking;
	struct arena *arena = asking->arena;

	if (code == 0) {
		(void)ipc_get_bool(in);
		(void)ipc_get_u64(in);
		learn(asking->days, question->domain, ipc_get_u64(in));
	} else if (code == ERR_NOTFOUND) {
		learn(asking->days, question->domain, QUARANTINE_DAYS);
	} else {
		asking->code = ERR_TEMP;
	}
	if (--asking->waiting != 0)
		return;
	asking->done(asking->ctx, asking->code);
	arena_free(&arena);
}

void
days_ask(struct days *days, const struct str *domains, size_t len,
    void (*done)(void *ctx, int code), void *ctx)
{
	struct arena *arena = arena_new(1024);
	struct asking *asking = arena_new_of(arena, struct asking);
	struct question *question;
	struct ipc_out *out;
	size_t i;

	invariant(len != 0);
	asking->days = days;
	asking->arena = arena;
	asking->waiting = len;
	asking->done = done;
	asking->ctx = ctx;
	for (i = 0; i < len; i++) {
		question = arena_new_of(arena, struct question);
		question->asking = asking;
		question->domain = arena_str(arena, domains[i]);
		out = ipc_begin(days->directory, DIR_DOMAIN);
		ipc_put_str(out, domains[i]);
		(void)ipc_call(out, -1, ASK_MS, on_domain, question);
	}
}

unsigned
days_of(const struct days *days, struct str domain)
{
	uintptr_t known = (uintptr_t)table_get(days->known, domain);

	return known != 0 ? (unsigned)known : QUARANTINE_DAYS;
}
