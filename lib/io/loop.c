/* SPDX-License-Identifier: ISC */
#include "io/loop.h"

#include <event2/event.h>

#define SIGNALS_MAX 8

struct loop_signal {
	struct event ev;
	void (*cb)(void *ctx, int signo);
	void *ctx;
};

struct loop {
	struct event_base *base;
	struct list later;
	bool is_stopping;
	size_t signals_len;
	struct loop_signal signals[SIGNALS_MAX];
};

struct loop *
loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();

	invariant(loop != NULL && config != NULL);
	/* Deadlines need no more than the coarse clock's precision. */
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK |
	    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop->base == NULL)
		fatal("cannot make an event loop");
	list_init(&loop->later);
	return loop;
}

void
loop_free(struct loop **loop)
{
	size_t i;

	if (*loop == NULL)
		return;
	for (i = 0; i < (*loop)->signals_len; i++)
		event_del(&(*loop)->signals[i].ev);
	event_base_free((*loop)->base);
	free(*loop);
	*loop = NULL;
}

static void
run_later(struct loop *loop)
{
	struct loop_later *later;
	struct list now;

	/* What they ask for again runs after the next round. */
	list_init(&now);
	while ((later = list_first(&loop->later, struct loop_later, node))
	    != NULL) {
		list_del(&later->node);
		list_add(&now, &later->node);
	}
	while ((later = list_first(&now, struct loop_later, node)) != NULL) {
		list_del(&later->node);
		later->cb(later->ctx);
	}
}

void
loop_once(struct loop *loop)
{
	int flags = EVLOOP_ONCE;

	if (!list_is_empty(&loop->later))
		flags |= EVLOOP_NONBLOCK;
	(void)event_base_loop(loop->base, flags);
	run_later(loop);
}

void
loop_run(struct loop *loop)
{
	while (!loop->is_stopping)
		loop_once(loop);
}

void
loop_stop(struct loop *loop)
{
	loop->is_stopping = true;
	event_base_loopbreak(loop->base);
}

void
loop_after_fork(struct loop *loop)
{
	if (event_reinit(loop->base) != 0)
		fatal("cannot renew the event loop");
}

static void
on_fd(evutil_socket_t fd, short events, void *arg)
{
	struct loop_fd *watch = arg;
	int what = 0;

	(void)fd;
	if ((events & EV_READ) != 0)
		what |= LOOP_READ;
	if ((events & EV_WRITE) != 0)
		what |= LOOP_WRITE;
	watch->cb(watch->ctx, what);
}

void
loop_fd_init(struct loop_fd *watch, struct loop *loop, int fd,
    void (*cb)(void *ctx, int what), void *ctx)
{
	watch->loop = loop;
	watch->fd = fd;
	watch->cb = cb;
	watch->ctx = ctx;
	watch->want = 0;
}

void
loop_fd_want(struct loop_fd *watch, int want)
{
	short events = EV_PERSIST;

	if (want == watch->want)
		return;
	if (watch->want != 0)
		event_del(&watch->ev);
	watch->want = want;
	if (want == 0)
		return;
	if ((want & LOOP_READ) != 0)
		events |= EV_READ;
	if ((want & LOOP_WRITE) != 0)
		events |= EV_WRITE;
	event_assign(&watch->ev, watch->loop->base, watch->fd, events, on_fd,
	    watch);
	event_add(&watch->ev, NULL);
}

void
loop_fd_fini(struct loop_fd *watch)
{
	loop_fd_want(watch, 0);
	watch->fd = -1;
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct loop_timer *timer = arg;

	(void)fd;
	(void)events;
	timer->cb(timer->ctx);
}

void
loop_timer_init(struct loop_timer *timer, struct loop *loop,
    void (*cb)(void *ctx), void *ctx)
{
	timer->loop = loop;
	timer->cb = cb;
	timer->ctx = ctx;
	event_assign(&timer->ev, loop->base, -1, 0, on_timer, timer);
}

void
loop_timer_start(struct loop_timer *timer, uint64_t ms)
{
	struct timeval tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000 * 1000);
	event_add(&timer->ev, &tv);
}

void
loop_timer_stop(struct loop_timer *timer)
{
	event_del(&timer->ev);
}

bool
loop_timer_is_set(const struct loop_timer *timer)
{
	return event_pending(&timer->ev, EV_TIMEOUT, NULL) != 0;
}

void
loop_timer_fini(struct loop_timer *timer)
{
	event_del(&timer->ev);
}

void
loop_later_init(struct loop_later *later, void (*cb)(void *ctx), void *ctx)
{
	list_init(&later->node);
	later->cb = cb;
	later->ctx = ctx;
}

void
loop_later(struct loop *loop, struct loop_later *later)
{
	if (list_is_empty(&later->node))
		list_add(&loop->later, &later->node);
}

void
loop_later_fini(struct loop_later *later)
{
	list_del(&later->node);
}

static void
on_signal(evutil_socket_t signo, short events, void *arg)
{
	struct loop_signal *sig = arg;

	(void)events;
	sig->cb(sig->ctx, (int)signo);
}

void
loop_on_signal(struct loop *loop, int signo,
    void (*cb)(void *ctx, int signo), void *ctx)
{
	struct loop_signal *sig;

	invariant(loop->signals_len < SIGNALS_MAX);
	sig = &loop->signals[loop->signals_len++];
	sig->cb = cb;
	sig->ctx = ctx;
	event_assign(&sig->ev, loop->base, signo, EV_SIGNAL | EV_PERSIST,
	    on_signal, sig);
	event_add(&sig->ev, NULL);
}
