/* SPDX-License-Identifier: ISC */
#include "filterd/detonate/ask.h"

#include <unistd.h>

#include "base/arena.h"
#include "ipc/links.h"

#define CONNECT_MS 15000

struct ask {
	struct list node;	/* of the engine: under way, or waiting */
	struct engine *engine;
	struct arena *arena;
	struct ask_request request;
	bool is_running;
	uint32_t dial;		/* call to hikyakud; 0: none */
	int fd;			/* until libcurl has it */
	struct loop_fd watch;
	struct loop_timer timer;
	struct http_call *call;
	curl_mime *mime;
	int file_fd;
	uint64_t file_at;
	http_call_done *done;
	void *ctx;
};

static void start_waiting(struct engine *engine);

/* ---- the end ---- */

static void
disconnect(struct ask *ask)
{
	loop_fd_fini(&ask->watch);
	if (ask->fd != -1)
		(void)close(ask->fd);
	ask->fd = -1;
}

void
ask_free(struct ask **ask)
{
	struct ask *a = *ask;
	struct engine *engine;
	struct arena *arena;

	*ask = NULL;
	if (a == NULL)
		return;
	engine = a->engine;
	arena = a->arena;	/* a lives in it */
	if (a->dial != 0)
		ipc_cancel(engine->master, a->dial);
	http_call_free(&a->call);
	disconnect(a);
	curl_mime_free(a->mime);
	if (a->file_fd != -1)
		(void)close(a->file_fd);
	loop_timer_fini(&a->timer);
	list_del(&a->node);
	engine->asks_len -= a->is_running;
	thing_unref(&a->request.file);
	arena_free(&arena);
	start_waiting(engine);
}

static void
finish(void *ctx, const struct http_answer *answer)
{
	struct ask *ask = ctx;

	/* It frees itself. */
	ask->call = NULL;
	engine_heard(ask->engine, answer);
	ask->done(ask->ctx, answer);
	ask_free(&ask);
}

static void
fail(struct ask *ask, const char *reason)
{
	struct http_answer answer = { .reason = reason };

	finish(ask, &answer);
}

/* ---- the request ---- */

static curl_socket_t
give_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to,
    const char **reason_r)
{
	struct ask *ask = ctx;
	int fd = ask->fd;

	(void)to;
	if (purpose != CURLSOCKTYPE_IPCXN || fd == -1) {
		*reason_r = "one connection only";
		return CURL_SOCKET_BAD;
	}
	ask->fd = -1;
	return fd;
}

static size_t
read_file(char *out, size_t size, size_t count, void *ctx)
{
	struct ask *ask = ctx;
	ssize_t n = pread(ask->file_fd, out, size * count,
	    (off_t)ask->file_at);

	if (n < 0)
		return CURL_READFUNC_ABORT;
	ask->file_at += (uint64_t)n;
	return (size_t)n;
}

static int
seek_file(void *ctx, curl_off_t offset, int origin)
{
	struct ask *ask = ctx;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	ask->file_at = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static bool
add_options(struct ask *ask)
{
	struct str options = ask->request.options;
	curl_mimepart *part;

	if (options.len == 0)
		return true;
	part = curl_mime_addpart(ask->mime);
	return part != NULL && curl_mime_name(part, "options") == 0 &&
	    curl_mime_data(part, options.p, options.len) == 0;
}

static bool
add_file(struct ask *ask)
{
	CURL *easy = http_call_easy(ask->call);
	struct thing *thing = ask->request.file;
	curl_mimepart *part;

	if (thing_open(thing, &ask->file_fd, NULL) != 0)
		return false;
	ask->mime = curl_mime_init(easy);
	part = ask->mime != NULL ? curl_mime_addpart(ask->mime) : NULL;
	return part != NULL && curl_mime_name(part, "file") == 0 &&
	    curl_mime_filename(part, thing->name) == 0 &&
	    curl_mime_type(part, "application/octet-stream") == 0 &&
	    curl_mime_data_cb(part, (curl_off_t)thing->size, read_file,
	    seek_file, NULL, ask) == 0 && add_options(ask) &&
	    curl_easy_setopt(easy, CURLOPT_MIMEPOST, ask->mime) == 0;
}

static bool
add_form(struct ask *ask)
{
	CURL *easy = http_call_easy(ask->call);

	return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE,
	    (long)ask->request.form.len) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS,
	    ask->request.form.p) == 0;
}

static struct curl_slist *
headers_of(const struct engine *engine)
{
	struct curl_slist *list = NULL;

	if (engine->authorization[0] != '\0')
		list = curl_slist_append(list, engine->authorization);
	list = curl_slist_append(list, "Accept: application/json");
	/* No waiting for "100 Continue". */
	return curl_slist_append(list, "Expect:");
}

static void
start_call(struct ask *ask)
{
	struct engine *engine = ask->engine;
	struct http_call_settings settings = {
		.protocol = engine->has_tls ? "https" : "http",
		.url = arena_printf(ask->arena, "%s%.*s", engine->base,
		    STR_FMT(ask->request.path)).p,
		.resolve = engine->place[0] == '\0' ? NULL :
		    curl_slist_append(NULL, engine->place),
		.headers = headers_of(engine),
		.ca = engine->has_tls ? &engine->ca : NULL,
		.body_max = ask->request.body_max,
		.timeout_ms = ask->request.timeout_ms,
		.is_connected = true, .open = give_socket, .done = finish,
		.ctx = ask,
	};
	bool ok;

	ask->call = http_call_new(engine->curlloop, &settings);
	ok = ask->call != NULL;
	if (ok && ask->request.file != NULL)
		ok = add_file(ask);
	else if (ok && ask->request.form.len != 0)
		ok = add_form(ask);
	if (ok) {
		http_call_start(ask->call);
		return;
	}
	http_call_free(&ask->call);
	fail(ask, "the request cannot be made");
}

/* ---- the connection ---- */

static void
on_late(void *ctx)
{
	fail(ctx, "no connection in time");
}

/* Connected, or it has failed: then libcurl's first write says so. */
static void
on_writable(void *ctx, int what)
{
	struct ask *ask = ctx;

	(void)what;
	loop_fd_fini(&ask->watch);
	loop_timer_stop(&ask->timer);
	start_call(ask);
}

static void
on_dialled(void *ctx, int code, struct ipc_in *in)
{
	struct ask *ask = ctx;

	ask->dial = 0;
	if (code != 0) {
		fail(ask, "no connection");
		return;
	}
	ask->fd = ipc_take_fd(in);
	loop_fd_init(&ask->watch, ask->engine->loop, ask->fd, on_writable,
	    ask);
	loop_fd_want(&ask->watch, LOOP_WRITE);
	loop_timer_start(&ask->timer, CONNECT_MS);
}

static void
start(struct ask *ask)
{
	struct engine *engine = ask->engine;
	struct ipc_out *out = ipc_begin(engine->master, MASTER_CONNECT);

	ask->is_running = true;
	engine->asks_len++;
	list_del(&ask->node);
	list_add(&engine->asks, &ask->node);
	ipc_put_str(out, str_of(engine->name));
	ask->dial = ipc_call(out, -1, CONNECT_MS, on_dialled, ask);
}

static void
start_waiting(struct engine *engine)
{
	struct ask *ask;

	while (engine->asks_len < ENGINE_ASKS_MAX && (ask =
	    list_first(&engine->waiting, struct ask, node)) != NULL)
		start(ask);
}

struct ask *
ask_new(struct engine *engine, const struct ask_request *request,
    http_call_done *done, void *ctx)
{
	struct arena *arena = arena_new(0);
	struct ask *ask = arena_new_of(arena, struct ask);

	ask->arena = arena;
	ask->engine = engine;
	ask->request = *request;
	ask->request.path = arena_str(arena, request->path);
	ask->request.form = arena_str(arena, request->form);
	if (request->file != NULL)
		ask->request.file = thing_ref(request->file);
	ask->fd = -1;
	ask->file_fd = -1;
	ask->done = done;
	ask->ctx = ctx;
	/* Idle until there is a socket. */
	loop_fd_init(&ask->watch, engine->loop, -1, on_writable, ask);
	loop_timer_init(&ask->timer, engine->loop, on_late, ask);
	list_add(&engine->waiting, &ask->node);
	start_waiting(engine);
	return ask;
}
