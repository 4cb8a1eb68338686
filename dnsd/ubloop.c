/* SPDX-License-Identifier: ISC */
#include "dnsd/ubloop.h"

#include <sys/time.h>

struct ubloop {
	struct ub_event_base base;	/* first: libunbound knows only it */
	struct loop *loop;
};

struct ubevent {
	struct ub_event event;		/* first */
	struct loop *loop;
	struct loop_fd watch;
	struct loop_timer timer;
	bool has_watch;
	int fd;
	short bits;
	uint64_t timeout_ms;		/* 0: none */
	void (*cb)(int fd, short bits, void *arg);
	void *arg;
};

static struct ubevent *
event_of(struct ub_event *event)
{
	return (struct ubevent *)(void *)event;
}

static uint64_t
ms_of(const struct timeval *tv)
{
	uint64_t ms;

	if (tv == NULL)
		return 0;
	ms = (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000;
	/* No wait at all is still a wait. */
	return ms != 0 ? ms : 1;
}

static int
wants(const struct ubevent *event)
{
	int want = 0;

	if ((event->bits & UB_EV_READ) != 0)
		want |= LOOP_READ;
	if ((event->bits & UB_EV_WRITE) != 0)
		want |= LOOP_WRITE;
	return want;
}

static void
disarm(struct ubevent *event)
{
	if (event->has_watch)
		loop_fd_want(&event->watch, 0);
	loop_timer_stop(&event->timer);
}

/* libunbound may free the event in its callback: that comes last. */
static void
fire(struct ubevent *event, short bits)
{
	if ((event->bits & UB_EV_PERSIST) == 0)
		disarm(event);
	else if (event->timeout_ms != 0)
		loop_timer_start(&event->timer, event->timeout_ms);
	event->cb(event->fd, bits, event->arg);
}

static void
on_fd(void *ctx, int what)
{
	short bits = 0;

	if ((what & LOOP_READ) != 0)
		bits |= UB_EV_READ;
	if ((what & LOOP_WRITE) != 0)
		bits |= UB_EV_WRITE;
	fire(ctx, bits);
}

static void
on_timer(void *ctx)
{
	fire(ctx, UB_EV_TIMEOUT);
}

/* ---- an event's functions ---- */

static int
ubevent_del(struct ub_event *event)
{
	disarm(event_of(event));
	return 0;
}

static void
drop_watch(struct ubevent *event)
{
	if (event->has_watch)
		loop_fd_fini(&event->watch);
	event->has_watch = false;
}

static int
ubevent_add(struct ub_event *ub, struct timeval *tv)
{
	struct ubevent *event = event_of(ub);

	if (event->fd != -1 && !event->has_watch) {
		loop_fd_init(&event->watch, event->loop, event->fd, on_fd,
		    event);
		event->has_watch = true;
	}
	event->timeout_ms = ms_of(tv);
	if (event->has_watch)
		loop_fd_want(&event->watch, wants(event));
	if (event->timeout_ms != 0)
		loop_timer_start(&event->timer, event->timeout_ms);
	else
		loop_timer_stop(&event->timer);
	return 0;
}

static void
ubevent_add_bits(struct ub_event *event, short bits)
{
	disarm(event_of(event));
	event_of(event)->bits |= bits;
}

static void
ubevent_del_bits(struct ub_event *event, short bits)
{
	disarm(event_of(event));
	event_of(event)->bits &= (short)~bits;
}

static void
ubevent_set_fd(struct ub_event *event, int fd)
{
	disarm(event_of(event));
	drop_watch(event_of(event));
	event_of(event)->fd = fd;
}

static void
ubevent_free(struct ub_event *ub)
{
	struct ubevent *event = event_of(ub);

	drop_watch(event);
	loop_timer_fini(&event->timer);
	free(event);
}

static int
ubevent_add_timer(struct ub_event *ub, struct ub_event_base *base,
    void (*cb)(int, short, void *), void *arg, struct timeval *tv)
{
	struct ubevent *event = event_of(ub);

	(void)base;
	event->cb = cb;
	event->arg = arg;
	return ubevent_add(ub, tv);
}

/* libunbound's contract: signals are for its own daemon. */
static int
ubevent_no_signal(struct ub_event *event, struct timeval *tv)
{
	(void)event;
	(void)tv;
	return -1;
}

static int
ubevent_no_signal_del(struct ub_event *event)
{
	(void)event;
	return -1;
}

static void
ubevent_no_winsock(struct ub_event *event)
{
	(void)event;
}

static void
ubevent_no_wouldblock(struct ub_event *event, int bits)
{
	(void)event;
	(void)bits;
}

static struct ub_event_vmt event_vmt = {
	.add_bits = ubevent_add_bits, .del_bits = ubevent_del_bits,
	.set_fd = ubevent_set_fd, .free = ubevent_free,
	.add = ubevent_add, .del = ubevent_del,
	.add_timer = ubevent_add_timer, .del_timer = ubevent_del,
	.add_signal = ubevent_no_signal,
	.del_signal = ubevent_no_signal_del,
	.winsock_unregister_wsaevent = ubevent_no_winsock,
	.winsock_tcp_wouldblock = ubevent_no_wouldblock,
};

/* ---- the base's functions ---- */

static struct ub_event *
ubloop_event(struct ub_event_base *base, int fd, short bits,
    void (*cb)(int, short, void *), void *arg)
{
	struct ubevent *event = calloc(1, sizeof(*event));

	invariant(event != NULL);
	event->event.magic = UB_EVENT_MAGIC;
	event->event.vmt = &event_vmt;
	event->loop = ((struct ubloop *)(void *)base)->loop;
	event->fd = fd;
	event->bits = bits;
	event->cb = cb;
	event->arg = arg;
	loop_timer_init(&event->timer, event->loop, on_timer, event);
	return &event->event;
}

static struct ub_event *
ubloop_no_signal(struct ub_event_base *base, int fd,
    void (*cb)(int, short, void *), void *arg)
{
	(void)base;
	(void)fd;
	(void)cb;
	(void)arg;
	return NULL;
}

static struct ub_event *
ubloop_no_winsock(struct ub_event_base *base, void *wsaevent,
    void (*cb)(int, short, void *), void *arg)
{
	(void)base;
	(void)wsaevent;
	(void)cb;
	(void)arg;
	return NULL;
}

static void
ubloop_done(struct ub_event_base *base)
{
	free(base);
}

static int
ubloop_dispatch(struct ub_event_base *base)
{
	(void)base;
	return -1;
}

static int
ubloop_exit(struct ub_event_base *base, struct timeval *tv)
{
	(void)base;
	(void)tv;
	return -1;
}

static struct ub_event_base_vmt base_vmt = {
	.free = ubloop_done, .dispatch = ubloop_dispatch,
	.loopexit = ubloop_exit, .new_event = ubloop_event,
	.new_signal = ubloop_no_signal,
	.winsock_register_wsaevent = ubloop_no_winsock,
};

struct ub_event_base *
ubloop_new(struct loop *loop)
{
	struct ubloop *ubloop = calloc(1, sizeof(*ubloop));

	invariant(ubloop != NULL);
	ubloop->base.magic = UB_EVENT_MAGIC;
	ubloop->base.vmt = &base_vmt;
	ubloop->loop = loop;
	return &ubloop->base;
}

void
ubloop_free(struct ub_event_base **base)
{
	free(*base);
	*base = NULL;
}
