/* SPDX-License-Identifier: ISC */
#include "http/curlloop.h"

struct curlloop {
	struct loop *loop;
	CURLM *multi;
	curlloop_done *done;
	struct loop_timer timer;
};

struct watch {
	struct curlloop *curlloop;
	struct loop_fd fd;
	curl_socket_t socket;
};

/* Handles that are finished, one by one: done may add and remove others. */
static void
reap(struct curlloop *curlloop)
{
	CURLMsg *message;
	CURL *easy;
	CURLcode result;
	void *ctx;
	int left;

	while ((message = curl_multi_info_read(curlloop->multi, &left)) !=
	    NULL) {
		if (message->msg != CURLMSG_DONE)
			continue;
		easy = message->easy_handle;
		result = message->data.result;
		ctx = NULL;
		(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &ctx);
		(void)curl_multi_remove_handle(curlloop->multi, easy);
		curlloop->done(ctx, result);
	}
}

static void
on_fd(void *ctx, int what)
{
	struct watch *watch = ctx;
	struct curlloop *curlloop = watch->curlloop;
	int events = 0, running;

	if ((what & LOOP_READ) != 0)
		events |= CURL_CSELECT_IN;
	if ((what & LOOP_WRITE) != 0)
		events |= CURL_CSELECT_OUT;
	/* The watch may be gone afterwards. */
	(void)curl_multi_socket_action(curlloop->multi, watch->socket,
	    events, &running);
	reap(curlloop);
}

static void
on_timer(void *ctx)
{
	struct curlloop *curlloop = ctx;
	int running;

	(void)curl_multi_socket_action(curlloop->multi, CURL_SOCKET_TIMEOUT,
	    0, &running);
	reap(curlloop);
}

static int
want_timer(CURLM *multi, long ms, void *ctx)
{
	struct curlloop *curlloop = ctx;

	(void)multi;
	if (ms < 0)
		loop_timer_stop(&curlloop->timer);
	else
		loop_timer_start(&curlloop->timer, (uint64_t)ms);
	return 0;
}

static struct watch *
watch_new(struct curlloop *curlloop, curl_socket_t socket)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	invariant(watch != NULL);
	watch->curlloop = curlloop;
	watch->socket = socket;
	loop_fd_init(&watch->fd, curlloop->loop, socket, on_fd, watch);
	return watch;
}

static void
watch_free(struct watch *watch)
{
	loop_fd_fini(&watch->fd);
	free(watch);
}

static int
want_socket(CURL *easy, curl_socket_t socket, int what, void *ctx,
    void *socket_ctx)
{
	struct curlloop *curlloop = ctx;
	struct watch *watch = socket_ctx;
	int want = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch != NULL)
			watch_free(watch);
		return 0;
	}
	if (watch == NULL) {
		watch = watch_new(curlloop, socket);
		(void)curl_multi_assign(curlloop->multi, socket, watch);
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		want |= LOOP_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		want |= LOOP_WRITE;
	loop_fd_want(&watch->fd, want);
	return 0;
}

struct curlloop *
curlloop_new(struct loop *loop, curlloop_done *done)
{
	struct curlloop *curlloop = calloc(1, sizeof(*curlloop));

	invariant(curlloop != NULL);
	curlloop->loop = loop;
	curlloop->done = done;
	loop_timer_init(&curlloop->timer, loop, on_timer, curlloop);
	curlloop->multi = curl_multi_init();
	invariant(curlloop->multi != NULL);
	(void)curl_multi_setopt(curlloop->multi, CURLMOPT_SOCKETFUNCTION,
	    want_socket);
	(void)curl_multi_setopt(curlloop->multi, CURLMOPT_SOCKETDATA,
	    curlloop);
	(void)curl_multi_setopt(curlloop->multi, CURLMOPT_TIMERFUNCTION,
	    want_timer);
	(void)curl_multi_setopt(curlloop->multi, CURLMOPT_TIMERDATA,
	    curlloop);
	return curlloop;
}

void
curlloop_add(struct curlloop *curlloop, CURL *easy)
{
	CURLMcode code = curl_multi_add_handle(curlloop->multi, easy);

	invariant(code == CURLM_OK);
}

void
curlloop_remove(struct curlloop *curlloop, CURL *easy)
{
	(void)curl_multi_remove_handle(curlloop->multi, easy);
}
