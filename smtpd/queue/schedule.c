/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/schedule.h"

#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"

#define ACTIVE_MAX 1000
#define LOOK_MS 60000
#define ERROR_RETRY_S 60
/* Items that wait in a destination's line and need not be read again. */
#define KEPT_MAX 1000
#define KEPT_OCTETS_MAX (64U << 10)	/* of each */

struct entry {
	int64_t next_try_s;
	uint64_t id;
};

struct kept {			/* in its own arena */
	struct arena *arena;
	struct queue_item item;
};

struct schedule {
	struct loop *loop;
	const struct deliver_env *env;
	struct loop_timer timer;
	struct entry *heap;	/* smallest next_try_s first */
	size_t len;
	size_t cap;
	struct table *active;	/* id -> schedule, or its wake mark */
	struct table *times;	/* id -> the entry's time that holds */
	struct table *kept;	/* id -> struct kept */
	bool is_paused;
	void (*on_quiet)(void *ctx);
	void *quiet_ctx;
};

static void look(void *arg);

/* ---- heap ---- */

static void
heap_swap(struct entry *a, struct entry *b)
{
	struct entry t = *a;

	*a = *b;
	*b = t;
}

static void
heap_push(struct schedule *s, uint64_t id, int64_t next_try_s)
{
	size_t i, up;

	if (s->len == s->cap) {
		s->cap = s->cap != 0 ? s->cap * 2 : 64;
		s->heap = realloc(s->heap, s->cap * sizeof(*s->heap));
		invariant(s->heap != NULL);
	}
	i = s->len++;
	s->heap[i] = (struct entry){ next_try_s, id };
	while (i > 0) {
		up = (i - 1) / 2;
		if (s->heap[up].next_try_s <= s->heap[i].next_try_s)
			break;
		heap_swap(&s->heap[up], &s->heap[i]);
		i = up;
	}
}

static void
heap_down(struct schedule *s, size_t i)
{
	size_t least, child;

	for (;; i = least) {
		least = i;
		for (child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < s->len && s->heap[child].next_try_s <
			    s->heap[least].next_try_s)
				least = child;
		if (least == i)
			return;
		heap_swap(&s->heap[least], &s->heap[i]);
	}
}

static void
heap_pop(struct schedule *s)
{
	s->heap[0] = s->heap[--s->len];
	heap_down(s, 0);
}

/* An entry that something later overruled is only skipped. */
static bool
is_current(const struct schedule *s, const struct entry *entry)
{
	return (uintptr_t)table_get_u64(s->times, entry->id) ==
	    (uintptr_t)entry->next_try_s + 1;
}

static void
enter(struct schedule *s, uint64_t id, int64_t next_try_s)
{
	table_put_u64(s->times, id, (void *)((uintptr_t)next_try_s + 1));
	heap_push(s, id, next_try_s);
}

/* ---- work ---- */

static void
arm(struct schedule *s)
{
	int64_t wait_s;

	if (s->is_paused || s->len == 0 ||
	    table_count(s->active) >= ACTIVE_MAX)
		return;
	wait_s = s->heap[0].next_try_s - when_wall_s();
	if (wait_s <= 0)
		loop_timer_start(&s->timer, 0);
	else
		loop_timer_start(&s->timer, wait_s > LOOK_MS / 1000 ?
		    LOOK_MS : (uint64_t)wait_s * 1000);
}

static void
keep(struct schedule *s, const struct queue_item *item, struct arena **arena)
{
	struct kept *kept;

	if (table_count(s->kept) >= KEPT_MAX ||
	    arena_used(*arena) > KEPT_OCTETS_MAX)
		return;
	kept = arena_new_of(*arena, struct kept);
	kept->arena = *arena;
	kept->item = *item;
	*arena = NULL;
	table_put_u64(s->kept, item->id, kept);
}

static void
on_done(void *ctx, const struct queue_item *item, enum deliver_end end,
    int64_t next_try_s, struct arena **arena)
{
	struct schedule *s = ctx;
	uint64_t id = item->id;
	bool is_woken = table_del_u64(s->active, id) != s;

	if (arena != NULL)
		keep(s, item, arena);
	/* Woken while it was worked on: again, at once. */
	if (is_woken && end == DELIVER_WAITS)
		schedule_set(s, id, when_wall_s());
	else if (end == DELIVER_WAITS)
		schedule_set(s, id, next_try_s);
	else
		arm(s);
	if (s->is_paused && table_count(s->active) == 0 &&
	    s->on_quiet != NULL)
		s->on_quiet(s->quiet_ctx);
}

static void
begin(struct schedule *s, struct arena *arena, const struct queue_item *item,
    int blob_fd)
{
	table_put_u64(s->active, item->id, s);
	deliver_item(s->env, arena, item, blob_fd, on_done, s);
}

static void
begin_stored(struct schedule *s, uint64_t id)
{
	struct kept *kept = table_del_u64(s->kept, id);
	struct arena *arena;
	struct err err = ERR_INIT;
	struct queue_item item;
	int rc;

	if (kept != NULL) {
		item = kept->item;
		begin(s, kept->arena, &item, -1);
		return;
	}
	arena = arena_new(8192);
	rc = queue_store_get(s->env->store, id, arena, &item, &err);
	if (rc == 0 && watch_wants(&item)) {
		watch_item(s->env->watch, &item);
		arena_free(&arena);
		return;
	}
	if (rc == 0 && !item.is_held) {
		begin(s, arena, &item, -1);
		return;
	}
	arena_free(&arena);
	if (rc == 0 || rc == ERR_NOTFOUND)
		return;
	ev_error(NULL, "queue.item.unreadable", EV_U64(queue_id, id),
	    EV_ERR(&err));
	enter(s, id, when_wall_s() + ERROR_RETRY_S);
}

static void
look(void *arg)
{
	struct schedule *s = arg;
	int64_t now = when_wall_s();
	struct entry entry;
	int started = 0;

	/* A few a round, so that others get their turn. */
	while (s->len != 0 && s->heap[0].next_try_s <= now && started < 32 &&
	    !s->is_paused && table_count(s->active) < ACTIVE_MAX) {
		entry = s->heap[0];
		heap_pop(s);
		if (!is_current(s, &entry))
			continue;
		table_del_u64(s->times, entry.id);
		if (table_get_u64(s->active, entry.id) == NULL)
			begin_stored(s, entry.id);
		started++;
	}
	arm(s);
}

void
schedule_accept(struct schedule *s, struct arena *arena,
    const struct queue_item *item, int blob_fd)
{
	bool is_watched = watch_wants(item);

	if (is_watched)
		watch_item(s->env->watch, item);
	else if (!item->is_held && !s->is_paused &&
	    table_count(s->active) < ACTIVE_MAX && item->next_try_s <=
	    when_wall_s()) {
		begin(s, arena, item, blob_fd);
		return;
	}
	if (!item->is_held && !is_watched)
		schedule_set(s, item->id, item->next_try_s);
	if (blob_fd != -1)
		(void)close(blob_fd);
	arena_free(&arena);
}

void
schedule_set(struct schedule *s, uint64_t id, int64_t next_try_s)
{
	if (next_try_s != QUEUE_NEVER)
		enter(s, id, next_try_s);
	arm(s);
}

void
schedule_wake(struct schedule *s, uint64_t id)
{
	if (table_get_u64(s->active, id) != NULL)
		table_put_u64(s->active, id, s->active);
	else
		schedule_set(s, id, when_wall_s());
}

void
schedule_forget(struct schedule *s, uint64_t id)
{
	struct kept *kept = table_del_u64(s->kept, id);
	struct arena *arena = kept != NULL ? kept->arena : NULL;

	arena_free(&arena);
	table_del_u64(s->times, id);
}

bool
schedule_is_active(const struct schedule *s, uint64_t id)
{
	return table_get_u64(s->active, id) != NULL;
}

size_t
schedule_active(const struct schedule *s)
{
	return table_count(s->active);
}

void
schedule_pause(struct schedule *s)
{
	s->is_paused = true;
	loop_timer_stop(&s->timer);
}

void
schedule_on_quiet(struct schedule *s, void (*cb)(void *ctx), void *ctx)
{
	s->on_quiet = cb;
	s->quiet_ctx = ctx;
}

static void
on_loaded(void *ctx, uint64_t id, int64_t next_try_s, bool is_held)
{
	struct schedule *s = ctx;

	if (!is_held && next_try_s != QUEUE_NEVER)
		enter(s, id, next_try_s);
}

int
schedule_load(struct schedule *s, struct err *err)
{
	int rc = queue_store_each(s->env->store, on_loaded, s, err);

	arm(s);
	return rc;
}

struct schedule *
schedule_new(struct loop *loop, const struct deliver_env *env)
{
	struct schedule *s = calloc(1, sizeof(*s));

	invariant(s != NULL);
	s->loop = loop;
	s->env = env;
	s->active = table_new();
	s->times = table_new();
	s->kept = table_new();
	loop_timer_init(&s->timer, loop, look, s);
	return s;
}
