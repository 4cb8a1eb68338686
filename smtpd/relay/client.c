/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/client.h"

#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/when.h"
#include "io/dial.h"
#include "smtpd/relay/sasl.h"

#define IN_MAX 16384
#define OUT_MAX (256U << 10)

struct client {
	struct relay *relay;
	struct arena *arena;
	struct hop hop;
	char remote[HOP_TEXT_SIZE];
	const struct client_ops *ops;
	void *ctx;
	const struct client_listener *listener;
	void *listener_ctx;
	struct dial *dial;
	struct conn *conn;
	struct smtp_answer answer;
	struct smtp_caps caps;
	struct sasl *sasl;
	void (*handler)(struct client *client);
	uint64_t started_ms;
	unsigned uses;
	bool is_helo;		/* HELO was enough for it */
	bool is_shaking;	/* TLS has begun and is not there yet */
	bool is_ready;
	bool is_over;		/* failed or lost was called */
	int depth;
	bool is_freed;
};

static void say_hello(struct client *client);

void
verdict_set(struct verdict *verdict, enum relay_result result,
    const char *status, const char *fmt, ...)
{
	va_list ap;

	verdict->result = result;
	(void)snprintf(verdict->status, sizeof(verdict->status), "%s",
	    status);
	va_start(ap, fmt);
	(void)vsnprintf(verdict->reason, sizeof(verdict->reason), fmt, ap);
	va_end(ap);
}

void
hop_text(const struct hop *hop, char text_r[HOP_TEXT_SIZE])
{
	char address[NETADDR_TEXT_SIZE];

	(void)snprintf(text_r, HOP_TEXT_SIZE, "%.*s [%s]:%u",
	    STR_FMT(hop->host), netaddr_text(&hop->address, address),
	    hop->port);
}

/* ---- the end ---- */

/* A callback may free the client: it lives until the last one has returned. */
static void
enter(struct client *client)
{
	client->depth++;
}

static void
leave(struct client *client)
{
	if (--client->depth != 0 || !client->is_freed)
		return;
	smtp_answer_fini(&client->answer);
	arena_free(&client->arena);
	free(client);
}

/* A server that is being said good-bye to. */
struct bye {
	struct list node;
	struct conn *conn;
};

static void
bye_over(void *ctx)
{
	struct bye *bye = ctx;

	list_del(&bye->node);
	conn_free(&bye->conn);
	free(bye);
}

static void
on_bye_end(void *ctx, enum conn_end why)
{
	(void)why;
	bye_over(ctx);
}

/* QUIT, and wait a moment for the answer: RFC 5321 section 4.1.1.10. */
static void
say_bye(struct client *client)
{
	static const struct conn_ops ops = {
		.on_input = bye_over, .on_end = on_bye_end,
	};
	struct bye *bye = malloc(sizeof(*bye));

	invariant(bye != NULL);
	list_init(&bye->node);
	list_add(&client->relay->byes, &bye->node);
	bye->conn = client->conn;
	client->conn = NULL;
	conn_set_ops(bye->conn, &ops, bye);
	conn_put_str(bye->conn, STR("QUIT\r\n"));
	conn_deadline(bye->conn, client->relay->timeouts.quit);
}

void
client_byes_free(struct relay *relay)
{
	struct bye *bye, *tmp;

	list_each(bye, tmp, &relay->byes, struct bye, node)
		bye_over(bye);
}

void
client_spoil(struct client *client)
{
	client->is_ready = false;
}

void
client_free(struct client **clientp)
{
	struct client *client = *clientp;

	if (client == NULL)
		return;
	*clientp = NULL;
	enter(client);
	if (client_is_good(client) && client->listener == NULL)
		say_bye(client);
	dial_free(&client->dial);
	conn_free(&client->conn);
	sasl_free(&client->sasl);
	client->is_freed = true;
	client->is_over = true;
	leave(client);
}

static void
end(struct client *client, enum client_end why, const struct verdict *verdict)
{
	if (client->is_over)
		return;
	client->is_over = true;
	dial_free(&client->dial);
	if (client->conn != NULL)
		conn_deadline(client->conn, 0);
	ev_info(NULL, "relay.ended", EV_U64(queue_id, client->hop.queue_id),
	    EV_CSTR(remote, client->remote),
	    EV_CSTR(reason, verdict->reason));
	if (client->listener != NULL)
		client->listener->lost(client->listener_ctx, why, verdict);
	else
		client->ops->failed(client->ctx, why, verdict);
}

static void
end_temp(struct client *client, enum client_end why, const char *status,
    const char *reason)
{
	struct verdict verdict;

	verdict_set(&verdict, RELAY_R_TEMP, status, "%s: %s", client->remote,
	    reason);
	end(client, why, &verdict);
}

void
client_verdict(const struct client *client, const struct smtp_answer *answer,
    const char *command, struct verdict *verdict_r)
{
	char text[RELAY_REASON_MAX + 1];
	struct str line;
	struct buf buf;

	buf_init(&buf, sizeof(text));
	smtp_answer_put(answer, RELAY_REASON_MAX / 2, &buf);
	line = buf_str(&buf);
	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(line));
	buf_fini(&buf);
	/* The words alone: a report's Diagnostic-Code is made of them. */
	ev_info(NULL, "relay.refused", EV_CSTR(remote, client->remote),
	    EV_CSTR(request, command), EV_U64(code, answer->code),
	    EV_CSTR(reason, text));
	verdict_set(verdict_r, answer->code >= 500 ? RELAY_R_FAILED :
	    RELAY_R_TEMP, "", "%s", text);
	if (answer->enhanced[0] != '\0' && answer->code >= 400)
		(void)snprintf(verdict_r->status, sizeof(verdict_r->status),
		    "%s", answer->enhanced);
	else
		(void)snprintf(verdict_r->status, sizeof(verdict_r->status),
		    "%c.0.0", answer->code >= 500 ? '5' : '4');
}

/* It said no. More than 4yz only where the caller says so. */
static void
end_refused(struct client *client, const char *command)
{
	struct verdict verdict;

	client_verdict(client, &client->answer, command, &verdict);
	if (client->answer.code == 421) {
		end(client, CLIENT_BUSY, &verdict);
		return;
	}
	/* RFC 7504: 521 is for ever; any other greeting may be a mistake. */
	if (client->answer.code != 521) {
		verdict.result = RELAY_R_TEMP;
		verdict.status[0] = '4';
	}
	end(client, CLIENT_REFUSED, &verdict);
}

/* ---- sending ---- */

static void
command(struct client *client, void (*handler)(struct client *client),
    uint64_t ms, const char *line)
{
	client->handler = handler;
	conn_put(client->conn, line, strlen(line));
	conn_put(client->conn, "\r\n", 2);
	conn_deadline(client->conn, ms);
}

static void
ready(struct client *client)
{
	struct str tls = client_tls_text(client);

	sasl_free(&client->sasl);
	client->is_ready = true;
	client->handler = NULL;
	conn_deadline(client->conn, 0);
	ev_info(NULL, "relay.connect", EV_U64(queue_id, client->hop.queue_id),
	    EV_CSTR(remote, client->remote),
	    EV_STR(tls, tls), EV_CSTR(policy, client->hop.policy),
	    EV_CSTR(detail, !conn_has_tls(client->conn) ? "plain text" :
	    client_is_verified(client) ? "verified" : "not verified"),
	    EV_U64(ms, when_mono_ms() - client->started_ms));
	client->ops->ready(client->ctx);
}

/* ---- AUTH ---- */

static void
on_auth(struct client *client)
{
	struct verdict verdict;
	struct buf out;

	if (client->answer.code == 235) {
		if (sasl_is_done(client->sasl)) {
			ready(client);
			return;
		}
		end_temp(client, CLIENT_REFUSED, "4.7.0",
		    "the server did not prove that it knows the password");
		return;
	}
	if (client->answer.code != 334) {
		client_verdict(client, &client->answer, "AUTH", &verdict);
		/* Our configuration, not the message, is to blame. */
		verdict.result = RELAY_R_TEMP;
		verdict.status[0] = '4';
		end(client, client->answer.code == 421 ? CLIENT_BUSY :
		    CLIENT_REFUSED, &verdict);
		return;
	}
	buf_init(&out, 8192);
	if (sasl_step(client->sasl, buf_str(&client->answer.text), &out) != 0)
		end_temp(client, CLIENT_REFUSED, "4.7.0",
		    "broken AUTH exchange");
	else {
		buf_add_char(&out, '\0');
		command(client, on_auth, client->relay->timeouts.mail,
		    out.p);
	}
	buf_wipe(&out);
}

static void
authenticate(struct client *client)
{
	unsigned mechanisms = client->caps.mechanisms;
	struct buf out;

	/* Passwords themselves go only to who has proved a name. */
	if (!client_is_verified(client) || client->hop.tls < HOP_TLS_NAME)
		mechanisms &= SMTP_M_SCRAM_SHA_256;
	client->sasl = sasl_new(mechanisms, client->hop.user,
	    client->hop.password);
	if (client->sasl == NULL) {
		end_temp(client, CLIENT_REFUSED, "4.7.0",
		    "no way to authenticate that is safe on this connection");
		return;
	}
	buf_init(&out, 8192);
	buf_add_cstr(&out, "AUTH ");
	sasl_first(client->sasl, &out);
	buf_add_char(&out, '\0');
	command(client, on_auth, client->relay->timeouts.mail, out.p);
	buf_wipe(&out);
}

/* ---- STARTTLS ---- */

static bool
is_tls_required(const struct client *client)
{
	return client->hop.tls >= HOP_TLS_ENCRYPT;
}

static void
tls_failed(struct client *client, const char *reason)
{
	client->relay->tls_failures++;
	/* What TLSRPT (RFC 8460) will count; a policy decides what follows. */
	ev_warn(NULL, "relay.tls.failed",
	    EV_U64(queue_id, client->hop.queue_id),
	    EV_CSTR(remote, client->remote), EV_CSTR(policy, client->hop.policy), EV_CSTR(reason, reason),
	    EV_U64(count, client->relay->tls_failures));
	end_temp(client, CLIENT_TLS_FAILED, "4.7.5", reason);
}

static void
begin_tls(struct client *client)
{
	static const enum tls_verify verify[] = {
		[HOP_TLS_NONE] = TLS_VERIFY_NONE,
		[HOP_TLS_MAY] = TLS_VERIFY_NONE,
		[HOP_TLS_ENCRYPT] = TLS_VERIFY_NONE,
		[HOP_TLS_NAME] = TLS_VERIFY_NAME,
		[HOP_TLS_DANE] = TLS_VERIFY_DANE,
	};
	struct tls_target target = {
		.verify = verify[client->hop.tls],
		.name = client->hop.host.p,
		.other_name = client->hop.other_name.p,
		.tlsa = client->hop.tlsa, .tlsa_len = client->hop.tlsa_len,
	};
	int rc = conn_start_tls_client(client->conn, client->relay->trust,
	    &target);

	client->handler = NULL;
	client->is_shaking = true;
	conn_deadline(client->conn, client->relay->timeouts.tls);
	if (rc == ERR_SYNTAX)
		tls_failed(client, "octets followed the answer to STARTTLS");
	else if (rc != 0)
		tls_failed(client, "no usable TLSA record");
}

static void
on_starttls(struct client *client)
{
	if (client->answer.code == 220) {
		begin_tls(client);
	} else if (client->answer.code == 421) {
		end_refused(client, "STARTTLS");
	} else if (is_tls_required(client)) {
		tls_failed(client, "STARTTLS was refused");
	} else if (client->hop.user != NULL) {
		authenticate(client);
	} else {
		ready(client);
	}
}

/* ---- hello ---- */

static void
after_hello(struct client *client)
{
	bool has_tls = conn_has_tls(client->conn);

	if (!has_tls && client->hop.tls != HOP_TLS_NONE &&
	    (client->caps.extensions & SMTP_X_STARTTLS) != 0)
		command(client, on_starttls, client->relay->timeouts.data,
		    "STARTTLS");
	else if (!has_tls && is_tls_required(client))
		tls_failed(client, "TLS is required and not offered");
	else if (client->hop.user != NULL)
		authenticate(client);
	else
		ready(client);
}

static void
on_helo(struct client *client)
{
	if (client->answer.code != 250) {
		end_refused(client, "HELO");
		return;
	}
	client->is_helo = true;
	after_hello(client);
}

static void
on_ehlo(struct client *client)
{
	struct verdict verdict;
	char line[300];

	memset(&client->caps, 0, sizeof(client->caps));
	/* After TLS, EHLO has worked before (RFC 3207 section 4.2). */
	if (client->answer.code >= 500 && client->answer.code != 521 &&
	    !conn_has_tls(client->conn)) {
		(void)snprintf(line, sizeof(line), "HELO %s",
		    client->relay->hostname);
		command(client, on_helo, client->relay->timeouts.hello, line);
		return;
	}
	if (client->answer.code != 250) {
		end_refused(client, "EHLO");
		return;
	}
	smtp_caps_read(buf_str(&client->answer.text), &client->caps);
	if (strcasecmp(client->caps.name, client->relay->hostname) == 0 &&
	    strcmp(client->relay->hostname, "localhost") != 0) {
		verdict_set(&verdict, RELAY_R_FAILED, "5.4.6",
		    "%.200s calls itself by our own name: mail loops",
		    client->remote);
		end(client, CLIENT_REFUSED, &verdict);
		return;
	}
	after_hello(client);
}

static void
say_hello(struct client *client)
{
	char line[300];

	(void)snprintf(line, sizeof(line), "EHLO %s",
	    client->relay->hostname);
	command(client, on_ehlo, client->relay->timeouts.hello, line);
}

static void
on_greeting(struct client *client)
{
	if (client->answer.code / 100 != 2)
		end_refused(client, "greeting");
	else
		say_hello(client);
}

/* ---- the connection ---- */

/* One whole answer. */
static void
take_answer(struct client *client)
{
	if (client->listener != NULL)
		client->listener->answer(client->listener_ctx,
		    &client->answer);
	else if (client->handler != NULL)
		client->handler(client);
	else if (client->answer.code == 421)
		end_refused(client, "nothing");
	else
		end_temp(client, CLIENT_LOST, "4.5.0", "an answer to nothing");
}

static void
on_input(void *ctx)
{
	struct client *client = ctx;
	enum smtp_answer_result result = SMTP_ANSWER_DONE;
	struct str in;
	size_t used;

	enter(client);
	while (!client->is_over && result == SMTP_ANSWER_DONE &&
	    (in = conn_input(client->conn)).len != 0) {
		result = smtp_answer_feed(&client->answer, in, &used);
		conn_consume(client->conn, used);
		if (result == SMTP_ANSWER_BAD)
			end_temp(client, CLIENT_LOST, "4.5.0",
			    "an answer that is no SMTP");
		else if (result == SMTP_ANSWER_DONE)
			take_answer(client);
	}
	leave(client);
}

static void
on_drained(void *ctx)
{
	struct client *client = ctx;

	enter(client);
	if (!client->is_over && client->listener != NULL &&
	    client->listener->drained != NULL)
		client->listener->drained(client->listener_ctx);
	leave(client);
}

static void
on_tls(void *ctx)
{
	struct client *client = ctx;

	enter(client);
	if (client->hop.is_testing && !conn_tls_is_verified(client->conn)) {
		client->relay->tls_failures++;
		ev_warn(NULL, "relay.tls.failed",
		    EV_U64(queue_id, client->hop.queue_id),
		    EV_CSTR(remote, client->remote),
		    EV_CSTR(policy, "sts-testing"),
		    EV_CSTR(reason, conn_tls_problem(client->conn)),
		    EV_U64(count, client->relay->tls_failures));
	}
	client->is_shaking = false;
	smtp_answer_reset(&client->answer);
	if (client->hop.is_implicit) {
		client->handler = on_greeting;
		conn_deadline(client->conn, client->relay->timeouts.greeting);
	} else {
		say_hello(client);
	}
	leave(client);
}

static void
on_end(void *ctx, enum conn_end why)
{
	struct client *client = ctx;
	const char *problem = conn_tls_problem(client->conn);

	enter(client);
	if (!client->is_over && client->is_shaking)
		tls_failed(client, problem[0] != '\0' ? problem :
		    "the handshake was not finished");
	else if (why == CONN_TIMEOUT)
		end_temp(client, CLIENT_LOST, "4.4.2", "timed out");
	else
		end_temp(client, CLIENT_LOST, "4.4.2",
		    "closed the connection");
	leave(client);
}

static const struct conn_ops conn_ops = {
	.on_input = on_input, .on_drained = on_drained, .on_tls = on_tls,
	.on_end = on_end,
};

static void
use_fd(struct client *client, int fd)
{
	client->conn = conn_new(client->relay->loop, fd, IN_MAX, OUT_MAX,
	    &conn_ops, client);
	client->handler = on_greeting;
	if (client->hop.is_implicit)
		begin_tls(client);
	else
		conn_deadline(client->conn, client->relay->timeouts.greeting);
}

static void
on_dialled(void *ctx, int fd, const char *reason)
{
	struct client *client = ctx;

	enter(client);
	client->dial = NULL;
	if (fd == -1)
		end_temp(client, CLIENT_UNREACHABLE, "4.4.1", reason);
	else
		use_fd(client, fd);
	leave(client);
}

/* The hop's strings end with NUL in the copy: OpenSSL wants that. */
static void
copy_hop(struct client *client, const struct hop *hop)
{
	size_t i;

	client->hop = *hop;
	client->hop.host = arena_str(client->arena, hop->host);
	if (hop->other_name.p != NULL)
		client->hop.other_name = arena_str(client->arena,
		    hop->other_name);
	client->hop.tlsa = arena_alloc(client->arena,
	    (hop->tlsa_len + 1) * sizeof(*hop->tlsa));
	for (i = 0; i < hop->tlsa_len; i++) {
		client->hop.tlsa[i] = hop->tlsa[i];
		client->hop.tlsa[i].data = arena_str(client->arena,
		    hop->tlsa[i].data);
	}
	hop_text(hop, client->remote);
}

static struct client *
make(struct relay *relay, const struct hop *hop,
    const struct client_ops *ops, void *ctx)
{
	struct client *client = calloc(1, sizeof(*client));

	invariant(client != NULL);
	client->relay = relay;
	client->arena = arena_new(1024);
	client->ops = ops;
	client->ctx = ctx;
	client->started_ms = when_mono_ms();
	smtp_answer_init(&client->answer);
	copy_hop(client, hop);
	return client;
}

struct client *
client_new(struct relay *relay, const struct hop *hop,
    const struct client_ops *ops, void *ctx)
{
	struct client *client = make(relay, hop, ops, ctx);

	client->dial = dial_new(relay->loop, &hop->address, hop->port,
	    relay->timeouts.connect, on_dialled, client);
	return client;
}

struct client *
client_new_fd(struct relay *relay, const struct hop *hop, int fd,
    const struct client_ops *ops, void *ctx)
{
	struct client *client = make(relay, hop, ops, ctx);

	use_fd(client, fd);
	return client;
}

/* ---- asking ---- */

void
client_take(struct client *client, const struct client_ops *ops, void *ctx)
{
	client->ops = ops;
	client->ctx = ctx;
}

void
client_listen(struct client *client, const struct client_listener *listener,
    void *ctx)
{
	client->listener = listener;
	client->listener_ctx = ctx;
}

void
client_wait(struct client *client, uint64_t ms)
{
	conn_deadline(client->conn, ms);
}

const struct hop *
client_hop(const struct client *client)
{
	return &client->hop;
}

const struct smtp_caps *
client_caps(const struct client *client)
{
	return &client->caps;
}

struct conn *
client_conn(struct client *client)
{
	return client->conn;
}

const char *
client_remote(const struct client *client)
{
	return client->remote;
}

struct str
client_tls_text(struct client *client)
{
	return conn_tls_text(client->conn);
}

bool
client_is_verified(const struct client *client)
{
	return client->conn != NULL && conn_tls_is_verified(client->conn);
}

unsigned
client_uses(const struct client *client)
{
	return client->uses;
}

void
client_count_use(struct client *client)
{
	client->uses++;
}

bool
client_is_good(const struct client *client)
{
	return client->is_ready && !client->is_over;
}
