/* SPDX-License-Identifier: ISC */
#include "webmail/front/session.h"

#define BODY_MAX XML_BODY_MAX
#define XML_BODY_MAX 16384
#define IN_MAX (HTTP_HEADER_MAX + BODY_MAX + 16)
#define OUT_MAX 65536
#define ANSWER_MAX 65536
#define REQUESTS_MAX 100
#define DIRECTORY_MS 5000
#define BYE_MS 5000

static void on_input(void *arg);
static void on_end(void *arg, enum conn_end why);
static void on_late(void *arg);
static void serve(struct session *session);

static const struct conn_ops conn_ops = {
	.on_input = on_input, .on_end = on_end, .on_late = on_late,
};

/* ---- life ---- */

static void
session_free(struct session *session)
{
	struct webmail *webmail = session->webmail;

	if (session->call != 0)
		ipc_cancel(child_link(webmail->child, session->server),
		    session->call);
	conn_free(&session->conn);
	list_del(&session->node);
	front_leave(&webmail->front, &session->seat);
	arena_free(&session->arena);
	ev_free(&session->ev);
	free(session);
	if (webmail->is_stopping && list_is_empty(&webmail->sessions))
		child_exit(webmail->child);
}

static void
finish(struct session *session)
{
	session->is_closing = true;
	conn_deadline(session->conn, BYE_MS);
	conn_finish(session->conn);
}

/* ---- answers ---- */

static void
send_response(struct session *session, struct http_response *response)
{
	struct buf out;

	response->is_head = str_eq(session->request.method, STR("HEAD"));
	response->keeps_alive = session->request.keeps_alive &&
	    response->status < 500 && !session->webmail->is_stopping &&
	    ++session->served < REQUESTS_MAX;
	buf_init(&out, ANSWER_MAX);
	http_put_response(&out, response);
	conn_put_str(session->conn, buf_str(&out));
	buf_fini(&out);
	ev_info(session->ev, "web.request.done",
	    EV_STR(request, session->request.path),
	    EV_U64(code, response->status));
	if (!response->keeps_alive)
		finish(session);
}

static void
send_status(struct session *session, unsigned status)
{
	struct http_response response = { .status = status };

	send_response(session, &response);
}

/* RFC 9110 section 15.5.6: with what there is. */
static void
send_no_route(struct session *session, unsigned status, const char *allow)
{
	struct http_response response = { .status = status };
	char field[64];

	if (allow != NULL) {
		(void)snprintf(field, sizeof(field), "Allow: %s%s\r\n",
		    allow, strcmp(allow, "GET") == 0 ? ", HEAD" : "");
		response.fields = field;
	}
	send_response(session, &response);
}

static void
send_page(struct session *session, bool is_known)
{
	const struct setup_page *page = session->page;
	struct http_response response = { .status = 200,
	    .content_type = page->content_type, .fields = page->fields };
	struct buf body;

	if (!is_known && page->put_unknown == NULL) {
		send_status(session, 404);
		return;
	}
	buf_init(&body, ANSWER_MAX / 2);
	if (is_known)
		page->put(&session->webmail->setup, &session->subject, &body);
	else
		page->put_unknown(&body);
	response.body = buf_str(&body);
	send_response(session, &response);
	buf_fini(&body);
}

/* ---- one request ---- */

/* The request is over: go on with what came behind it. */
static void
request_done(struct session *session)
{
	conn_consume(session->conn, session->used);
	session->used = 0;
	session->has_continued = false;
	arena_reset(session->arena);
	if (!session->is_closing)
		conn_deadline(session->conn, session->webmail->idle_ms);
}

static void
on_domain(void *ctx, int code, struct ipc_in *in)
{
	struct session *session = ctx;

	(void)in;
	session->call = 0;
	session->is_waiting = false;
	if (code == 0 || code == ERR_NOTFOUND)
		send_page(session, code == 0 && ipc_get_bool(in));
	else
		send_status(session, 503);
	request_done(session);
	conn_pause(session->conn, false);
	if (!session->is_closing)
		conn_kick(session->conn);
}

static void
ask_directory(struct session *session)
{
	struct ipc_out *out = ipc_begin(child_link(session->webmail->child,
	    "directoryd"), DIR_DOMAIN);

	ipc_put_str(out, session->subject.domain);
	session->is_waiting = true;
	session->server = "directoryd";
	conn_pause(session->conn, true);
	conn_deadline(session->conn, DIRECTORY_MS * 2);
	session->call = ipc_call(out, -1, DIRECTORY_MS, on_domain, session);
}

/* ---- what monitoring asks: on listeners of its own ---- */

static void
on_figures(void *ctx, int code, struct ipc_in *in)
{
	struct session *session = ctx;
	struct http_response response = { .status = 200,
	    .content_type = "text/plain; version=0.0.4; charset=utf-8" };

	session->call = 0;
	session->is_waiting = false;
	if (code == 0) {
		response.body = ipc_get_str(in);
		send_response(session, &response);
	} else {
		send_status(session, 503);
	}
	request_done(session);
	conn_pause(session->conn, false);
	if (!session->is_closing)
		conn_kick(session->conn);
}

static void
serve_figures(struct session *session)
{
	session->is_waiting = true;
	session->server = "metricd";
	conn_pause(session->conn, true);
	conn_deadline(session->conn, DIRECTORY_MS * 2);
	session->call = ipc_call(ipc_begin(child_link(session->webmail->child,
	    "metricd"), METRIC_TEXT), -1, DIRECTORY_MS, on_figures, session);
}

/* We answer: so hikyakud keeps its programs running. */
static void
serve_health(struct session *session)
{
	struct http_response response = { .status = 200,
	    .body = STR("ok\n") };

	send_response(session, &response);
	request_done(session);
}

struct metrics_page {
	void (*serve)(struct session *session);
};

static void
serve_metrics(struct session *session)
{
	static const struct metrics_page figures = { serve_figures };
	static const struct metrics_page health = { serve_health };
	static const struct http_route routes[] = {
		{ "GET", "/metrics", false, &figures },
		{ "GET", "/healthz", false, &health },
		{ NULL, NULL, false, NULL },
	};
	const struct http_route *route;
	const struct metrics_page *page;
	const char *allow;
	unsigned status;

	route = http_route_find(routes, &session->request, &status, &allow);
	if (route == NULL) {
		send_no_route(session, status, allow);
		request_done(session);
		return;
	}
	page = route->handler;
	page->serve(session);
}

static void
serve(struct session *session)
{
	struct http_request *request = &session->request;
	const struct http_route *route;
	const char *allow;
	unsigned status;

	memset(&session->subject, 0, sizeof(session->subject));
	route = http_route_find(setup_routes, request, &status, &allow);
	if (route == NULL) {
		send_no_route(session, status, allow);
		request_done(session);
		return;
	}
	session->page = route->handler;
	if (session->page->read(session->arena, request, &session->subject,
	    NULL) == 0) {
		ask_directory(session);
		return;
	}
	send_status(session, session->page->missing);
	request_done(session);
}

/* A client that waits before it sends the body. */
static void
say_continue(struct session *session)
{
	if (!session->request.expects_continue || session->has_continued)
		return;
	session->has_continued = true;
	conn_putf(session->conn, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void
on_input(void *arg)
{
	struct session *session = arg;
	unsigned status = 400;

	while (!session->is_closing && !session->is_waiting &&
	    conn_input(session->conn).len != 0) {
		arena_reset(session->arena);
		switch (http_request_read(session->arena,
		    conn_input(session->conn), BODY_MAX, &session->request,
		    &session->used, &status)) {
		case HTTP_MORE:
			say_continue(session);
			return;
		case HTTP_GOT:
			if (session->is_metrics)
				serve_metrics(session);
			else
				serve(session);
			break;
		case HTTP_BAD:
			session->request.keeps_alive = false;
			send_status(session, status);
			return;
		}
		if (conn_is_full(session->conn))
			return;
	}
}

static void
on_end(void *arg, enum conn_end why)
{
	struct session *session = arg;

	ev_debug(session->ev, "web.session.end", EV_U64(code, why));
	session_free(session);
}

/* Idle between requests is no error; in the middle of one it is. */
static void
on_late(void *arg)
{
	finish(arg);
}

/* ---- entry ---- */

void
session_new(struct webmail *webmail, const struct front_seat *seat, int fd,
    bool is_full)
{
	struct session *session = calloc(1, sizeof(*session));
	char id[32];

	invariant(session != NULL);
	session->webmail = webmail;
	session->seat = *seat;
	session->is_metrics = strcmp(seat->listener->protocol,
	    "metrics") == 0;
	session->arena = arena_new(0);
	list_add(&webmail->sessions, &session->node);
	session->conn = conn_new(webmail->child->loop, fd, IN_MAX, OUT_MAX,
	    &conn_ops, session);
	(void)snprintf(id, sizeof(id), "%llx",
	    (unsigned long long)++webmail->next_session);
	session->ev = ev_new(NULL);
	ev_put_str(session->ev, LOG_K_session, str_of(id));
	ev_put_str(session->ev, LOG_K_remote, conn_remote(session->conn));
	conn_deadline(session->conn, webmail->idle_ms);
	/* Before TLS there is nothing that could be said. */
	if (is_full)
		finish(session);
	else if (seat->listener->tls == FRONT_TLS_IMPLICIT)
		(void)conn_start_tls(session->conn, webmail->front.tls);
}

void
session_stop(struct session *session)
{
	if (!session->is_waiting && !session->is_closing)
		finish(session);
}
