/* SPDX-License-Identifier: ISC */
#include "ipc/proxy.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"

#define OPEN_DEADLINE_MS 30000
#define STREAM_MAX 65536
#define STREAM_SNDBUF (1 << 20)	/* the kernel may give less */
#define PREFIX_MAX 32768
#define STATE_MAX 8192

enum proxy_state { P_OPENING, P_RUNNING, P_PARKED, P_ENDED };

struct proxy {
	struct proxy_args args;
	char *ticket;
	size_t ticket_len;
	char hello[32];
	char *state;		/* parked */
	size_t state_len;
	enum proxy_state now;
	uint64_t account;
	struct conn *client;
	struct conn *back;
	struct ipc_link *link;
	uint64_t in;		/* octets given to the process */
	uint64_t out;		/* octets taken from it */
	char *compress_answer;	/* SESSION_COMPRESS came */
	uint64_t compress_out;
	bool has_end;		/* SESSION_END came */
	uint64_t end_out;
	uint32_t call;
	bool has_call;
	bool was_open;
	bool wants_wake;	/* the account changed while we were opening */
	int stream_fd;		/* the process's end, until it is let in */
	struct loop_later later;	/* unavailable, told from the loop */
};

static void connect_back(struct proxy *proxy);

/* ---- ends ---- */

static void
drop_back(struct proxy *proxy)
{
	if (proxy->has_call)
		ipc_cancel(proxy->args.broker, proxy->call);
	proxy->has_call = false;
	conn_free(&proxy->back);
	ipc_link_free(&proxy->link);
	if (proxy->stream_fd != -1)
		(void)close(proxy->stream_fd);
	proxy->stream_fd = -1;
}

static void
end(struct proxy *proxy, enum proxy_end why)
{
	struct ipc_out *out;

	if (proxy->now == P_ENDED)
		return;
	if (proxy->now == P_PARKED) {
		out = ipc_begin(proxy->args.broker, MBOX_UNPARK);
		ipc_put_u64(out, proxy->args.session);
		ipc_put_u64(out, proxy->account);
		(void)ipc_send(out, -1);
	}
	proxy->now = P_ENDED;
	drop_back(proxy);
	proxy->args.ops->on_end(proxy->args.ctx, why);
}

/* ---- octets ---- */

static void
check_end(struct proxy *proxy)
{
	if (!proxy->has_end || proxy->out < proxy->end_out ||
	    proxy->now == P_ENDED)
		return;
	/* All the process said is in the client's output: let it drain. */
	drop_back(proxy);
	conn_finish(proxy->client);
}

/* Is all said that comes before the answer to COMPRESS? Octets of the client
 * that came before it were not compressed: that is the end. */
static bool
check_compress(struct proxy *proxy)
{
	if (proxy->compress_answer == NULL ||
	    proxy->out < proxy->compress_out)
		return true;
	conn_put_str(proxy->client, str_of(proxy->compress_answer));
	free(proxy->compress_answer);
	proxy->compress_answer = NULL;
	if (conn_start_deflate(proxy->client))
		return true;
	end(proxy, PROXY_CLIENT_GONE);
	return false;
}

/* Up to where the stream may be passed on now. */
static struct str
passable(struct proxy *proxy)
{
	struct str in = conn_input(proxy->back);

	return proxy->compress_answer == NULL ? in :
	    str_sub(in, 0, proxy->compress_out - proxy->out);
}

static void
pass_to_client(struct proxy *proxy)
{
	struct str in = passable(proxy);

	if (in.len != 0 && !conn_is_full(proxy->client)) {
		conn_put_str(proxy->client, in);
		proxy->out += in.len;
		conn_consume(proxy->back, in.len);
	}
	if (!check_compress(proxy))
		return;
	conn_pause(proxy->back, conn_is_full(proxy->client));
	check_end(proxy);
}

static void
pass_to_back(struct proxy *proxy)
{
	struct str in = conn_input(proxy->client);

	if (proxy->now == P_RUNNING && in.len != 0 &&
	    !conn_is_full(proxy->back)) {
		conn_put_str(proxy->back, in);
		proxy->in += in.len;
		conn_consume(proxy->client, in.len);
		conn_deadline(proxy->client, proxy->args.idle_ms);
	}
	conn_pause(proxy->client, proxy->now != P_RUNNING ||
	    conn_is_full(proxy->back));
}

static void
on_client_input(void *arg)
{
	struct proxy *proxy = arg;

	if (proxy->now == P_PARKED) {
		conn_pause(proxy->client, true);
		connect_back(proxy);
	} else if (proxy->now == P_RUNNING && proxy->back != NULL) {
		pass_to_back(proxy);
	}
}

static void
on_client_drained(void *arg)
{
	struct proxy *proxy = arg;

	if (proxy->back != NULL && proxy->now == P_RUNNING)
		pass_to_client(proxy);
}

static void
on_client_end(void *arg, enum conn_end why)
{
	end(arg, why == CONN_CLOSED ? PROXY_CLOSED : PROXY_CLIENT_GONE);
}

static void
on_client_late(void *arg)
{
	struct proxy *proxy = arg;

	proxy->args.ops->on_idle(proxy->args.ctx);
}

static const struct conn_ops client_ops = {
	.on_input = on_client_input, .on_drained = on_client_drained,
	.on_end = on_client_end, .on_late = on_client_late,
};

static void
on_back_input(void *arg)
{
	pass_to_client(arg);
}

static void
on_back_drained(void *arg)
{
	pass_to_back(arg);
}

static void
on_back_end(void *arg, enum conn_end why)
{
	struct proxy *proxy = arg;

	(void)why;
	/* With SESSION_END before it, the rest is being sent. */
	if (!proxy->has_end)
		end(proxy, PROXY_LOST);
}

static const struct conn_ops back_ops = {
	.on_input = on_back_input, .on_drained = on_back_drained,
	.on_end = on_back_end,
};

/* ---- what the process says beside the stream ---- */

static void
on_park(struct proxy *proxy, struct ipc_in *in)
{
	uint64_t at_in = ipc_get_u64(in), at_out = ipc_get_u64(in);
	struct str state = ipc_get_str(in);
	struct ipc_out *out;

	/* Something is on its way: it will be offered again. */
	if (at_in != proxy->in || at_out != proxy->out ||
	    conn_input(proxy->client).len != 0 || state.len > STATE_MAX ||
	    proxy->has_end)
		return;
	out = ipc_begin(proxy->link, SESSION_PARKED);
	if (ipc_send(out, -1) != 0)
		return;
	free(proxy->state);
	proxy->state = malloc(state.len + 1);
	invariant(proxy->state != NULL);
	memcpy(proxy->state, state.p, state.len);
	proxy->state_len = state.len;
	proxy->now = P_PARKED;
	conn_rest(proxy->client);
	conn_pause(proxy->client, false);
}

static void
on_compress(struct proxy *proxy, struct ipc_in *in)
{
	uint64_t out = ipc_get_u64(in);
	struct str answer = ipc_get_str(in);

	if (proxy->compress_answer != NULL || out < proxy->out ||
	    conn_has_deflate(proxy->client) || answer.len > STATE_MAX) {
		end(proxy, PROXY_LOST);
		return;
	}
	proxy->compress_out = out;
	proxy->compress_answer = strndup(answer.p, answer.len);
	invariant(proxy->compress_answer != NULL);
	pass_to_client(proxy);
}

static void
on_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct proxy *proxy = ctx;

	if (type == SESSION_PARK) {
		on_park(proxy, in);
		if (proxy->now == P_PARKED)
			drop_back(proxy);
		if (proxy->now == P_PARKED && proxy->wants_wake)
			connect_back(proxy);
	} else if (type == SESSION_COMPRESS) {
		on_compress(proxy, in);
	} else if (type == SESSION_END) {
		proxy->has_end = true;
		proxy->end_out = ipc_get_u64(in);
		check_end(proxy);
	}
}

/* ---- opening ---- */

static void
send_stream(struct proxy *proxy)
{
	struct str typed = str_sub(conn_input(proxy->client), 0, PREFIX_MAX);
	struct ipc_out *out = ipc_begin(proxy->link, SESSION_STREAM);
	struct buf prefix;

	buf_init(&prefix, PREFIX_MAX + sizeof(proxy->hello));
	buf_add_cstr(&prefix, proxy->hello);
	proxy->hello[0] = '\0';
	buf_add_str(&prefix, typed);
	ipc_put_str(out, buf_str(&prefix));
	(void)ipc_send(out, proxy->stream_fd);
	buf_fini(&prefix);
	conn_consume(proxy->client, typed.len);
	(void)close(proxy->stream_fd);
	proxy->stream_fd = -1;
}

static void
let_in(struct proxy *proxy)
{
	proxy->now = P_RUNNING;
	proxy->in = 0;
	proxy->out = 0;
	free(proxy->state);
	proxy->state = NULL;
	if (!proxy->was_open) {
		proxy->was_open = true;
		free(proxy->ticket);
		proxy->ticket = NULL;
		proxy->args.ops->on_open(proxy->args.ctx);
	}
	send_stream(proxy);
	conn_deadline(proxy->client, proxy->args.idle_ms);
	conn_pause(proxy->client, false);
}

static void
on_opened(void *ctx, int code, struct ipc_in *in)
{
	struct proxy *proxy = ctx;

	proxy->has_call = false;
	if (code == ERR_DENIED) {
		end(proxy, PROXY_REFUSED);
		return;
	}
	if (code != 0) {
		end(proxy, code == ERR_LIMIT ? PROXY_TOO_SOON :
		    PROXY_UNAVAILABLE);
		return;
	}
	if (!proxy->was_open)
		proxy->account = ipc_get_u64(in);
	let_in(proxy);
}

static void
ask_broker(struct proxy *proxy, int link_fd)
{
	struct ipc_out *out;

	if (proxy->state == NULL) {
		out = ipc_begin(proxy->args.broker, MBOX_OPEN);
		ipc_put_u64(out, proxy->args.session);
		ipc_put_str(out, str_of(proxy->args.protocol));
		ipc_put_str(out, str_make(proxy->ticket, proxy->ticket_len));
		ipc_put_str(out, conn_remote(proxy->client));
		ipc_put_bool(out, conn_has_tls(proxy->client));
	} else {
		out = ipc_begin(proxy->args.broker, MBOX_RESUME);
		ipc_put_u64(out, proxy->args.session);
		ipc_put_u64(out, proxy->account);
		ipc_put_str(out, str_make(proxy->state, proxy->state_len));
		ipc_put_str(out, conn_remote(proxy->client));
	}
	proxy->has_call = true;
	proxy->call = ipc_call(out, link_fd, OPEN_DEADLINE_MS, on_opened,
	    proxy);
}

/* No descriptors. Our owner may not know us yet, so it is told later. */
static void
on_unavailable(void *arg)
{
	end(arg, PROXY_UNAVAILABLE);
}

static void
connect_back(struct proxy *proxy)
{
	int stream[2], link[2];

	proxy->now = P_OPENING;
	proxy->wants_wake = false;
	proxy->has_end = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    stream) == -1) {
		loop_later(proxy->args.loop, &proxy->later);
		return;
	}
	if (ipc_pair(link, NULL) != 0) {
		(void)close(stream[0]);
		(void)close(stream[1]);
		loop_later(proxy->args.loop, &proxy->later);
		return;
	}
	/* Room for the process to go on while we write. */
	(void)setsockopt(stream[1], SOL_SOCKET, SO_SNDBUF,
	    &(int){ STREAM_SNDBUF }, sizeof(int));
	proxy->stream_fd = stream[1];
	proxy->back = conn_new(proxy->args.loop, stream[0], STREAM_MAX,
	    STREAM_MAX, &back_ops, proxy);
	proxy->link = ipc_client_new(proxy->args.loop, &ipc_session, proxy);
	ipc_client_on(proxy->link, on_push, NULL);
	ipc_client_attach(proxy->link, link[0]);
	ask_broker(proxy, link[1]);
	(void)close(link[1]);
}

struct proxy *
proxy_open(const struct proxy_args *args)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));

	invariant(proxy != NULL);
	proxy->args = *args;
	proxy->client = args->conn;
	proxy->stream_fd = -1;
	loop_later_init(&proxy->later, on_unavailable, proxy);
	proxy->ticket = malloc(args->ticket.len + 1);
	invariant(proxy->ticket != NULL);
	memcpy(proxy->ticket, args->ticket.p, args->ticket.len);
	proxy->ticket_len = args->ticket.len;
	(void)snprintf(proxy->hello, sizeof(proxy->hello), "%.*s",
	    STR_FMT(args->hello));
	conn_set_ops(proxy->client, &client_ops, proxy);
	conn_pause(proxy->client, true);
	connect_back(proxy);
	return proxy;
}

void
proxy_free(struct proxy **proxyp)
{
	struct proxy *proxy = *proxyp;

	if (proxy == NULL)
		return;
	*proxyp = NULL;
	loop_later_fini(&proxy->later);
	drop_back(proxy);
	conn_free(&proxy->client);
	free(proxy->ticket);
	free(proxy->state);
	free(proxy->compress_answer);
	free(proxy);
}

struct conn *
proxy_take_conn(struct proxy *proxy)
{
	struct conn *conn = proxy->client;

	proxy->client = NULL;
	return conn;
}

void
proxy_wake(struct proxy *proxy)
{
	if (proxy->now == P_PARKED)
		connect_back(proxy);
	else if (proxy->now != P_ENDED)
		proxy->wants_wake = true;
}

bool
proxy_stop(struct proxy *proxy, struct str reason)
{
	struct ipc_out *out;

	if (proxy->now != P_RUNNING || proxy->has_end)
		return false;
	out = ipc_begin(proxy->link, SESSION_STOP);
	ipc_put_str(out, reason);
	return ipc_send(out, -1) == 0;
}

uint64_t
proxy_account(const struct proxy *proxy)
{
	return proxy->account;
}

bool
proxy_is_parked(const struct proxy *proxy)
{
	return proxy->now == P_PARKED;
}

void
proxy_say(struct proxy *proxy, struct str text)
{
	if (proxy->now == P_PARKED)
		conn_put_str(proxy->client, text);
}
