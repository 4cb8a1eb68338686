/* SPDX-License-Identifier: ISC */
/*
 * loop: one event loop a process, a small shim over libevent's core, so that
 * nothing else in the tree names libevent and tests can run on a clock of
 * their own (base/when.h).
 *
 * Lifetime.   loop_new() -> loop_run() -> loop_free(). Watches and timers are
 *             embedded in the caller's structs; _init makes them idle, _fini
 *             (allowed at any time, also from callbacks) ends them.
 * Ownership.  The loop owns nothing: descriptors stay the caller's.
 * Units.      Milliseconds.
 * Blocking.   loop_run() and loop_once() only.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <event2/event_struct.h>

#include "base/list.h"
#include "base/str.h"

struct loop;

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_fd {
	struct event ev;
	struct loop *loop;
	void (*cb)(void *ctx, int what);
	void *ctx;
	int fd;
	int want;
};

struct loop_timer {
	struct event ev;
	struct loop *loop;
	void (*cb)(void *ctx);
	void *ctx;
};

struct loop_later {
	struct list node;
	void (*cb)(void *ctx);
	void *ctx;
};

struct loop *loop_new(void);
void loop_free(struct loop **loop);

/* Run until loop_stop(). */
void loop_run(struct loop *loop);

/* Wait for at most one round of events. */
void loop_once(struct loop *loop);

/* Make loop_run() return after the callbacks of this round. */
void loop_stop(struct loop *loop);

/* Watch fd; nothing is wanted until loop_fd_want(). */
void loop_fd_init(struct loop_fd *watch, struct loop *loop, int fd,
    void (*cb)(void *ctx, int what), void *ctx);

/* Call back while fd is readable and/or writable (a mask; 0: not at all). */
void loop_fd_want(struct loop_fd *watch, int want);
void loop_fd_fini(struct loop_fd *watch);

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
    void (*cb)(void *ctx), void *ctx);

/* Call back once, after ms; a running timer is set anew. */
void loop_timer_start(struct loop_timer *timer, uint64_t ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_set(const struct loop_timer *timer);
void loop_timer_fini(struct loop_timer *timer);

/*
 * Call back when the callbacks of this round are done: for work that is
 * cheaper for many at once (a group commit). Asking twice is asking once.
 */
void loop_later_init(struct loop_later *later, void (*cb)(void *ctx),
    void *ctx);
void loop_later(struct loop *loop, struct loop_later *later);
void loop_later_fini(struct loop_later *later);

/* Call back when the process gets signal number signo. */
void loop_on_signal(struct loop *loop, int signo,
    void (*cb)(void *ctx, int signo), void *ctx);

/* After fork(): the child's loop must not share the parent's epoll. */
void loop_after_fork(struct loop *loop);

#endif
