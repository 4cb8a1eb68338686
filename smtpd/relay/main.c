/* SPDX-License-Identifier: ISC */
/*
 * relay: takes messages out into the world. It speaks with hostile servers;
 * it holds one message of each job by its descriptor, opens no file, and knows
 * of the rest of the house only what queued, dnsd and fetchd tell it.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/child.h"
#include "mail/charset.h"
#include "smtpd/relay/job.h"
#include "smtpd/relay/pool.h"
#include "smtpd/relay/route.h"
#include "smtpd/relay/signer.h"
#include "smtpd/relay/sts.h"

#define SLOTS 300
#define FILES_MAX (1024 + 8 * SLOTS)
#define ADDRESS_OCTETS (512ULL << 20)
#define TRUST_MAX (16U << 20)
#define ROUTES_MAX 1000
#define STOP_MS 15000

struct program {
	struct relay relay;
	struct arena *arena;
	struct route routes[ROUTES_MAX + 1];
	size_t routes_len;
	struct loop_timer stop_timer;
};

static const struct relay_timeouts timeouts = {
	.connect = 30000, .greeting = 300000, .hello = 300000, .tls = 120000,
	.mail = 300000, .rcpt = 300000, .data = 120000, .block = 180000,
	.end = 600000, .idle = 5000, .quit = 5000, .job = 30 * 60000,
};

/* ---- configuration ---- */

static struct str
setting(struct program *p, const char *prefix, const char *name)
{
	char key[128];

	(void)snprintf(key, sizeof(key), "%s%s", prefix, name);
	return child_config(p->relay.child, key, "");
}

/* A route whose keys begin with prefix ("route.0.", "smart_host_"). */
static int
read_route(struct program *p, const char *prefix, struct str domain,
    struct str host, struct err *err)
{
	struct route *route = &p->routes[p->routes_len];
	struct str user = setting(p, prefix, "user");
	struct str file = setting(p, prefix, "password_file");
	struct str dir = child_config(p->relay.child, "directory", "");
	int rc;

	route->domain = arena_str(p->arena, domain);
	rc = route_parse_host(p->arena, host, route, err);
	if (rc == 0)
		rc = route_parse_tls(setting(p, prefix, "tls"), route, err);
	if (rc == 0 && user.len != 0) {
		route->user = arena_cstr(p->arena, user);
		rc = route_read_password(p->arena, arena_printf(p->arena,
		    "%.*s%s%.*s", STR_FMT(file.p != NULL && file.len != 0 &&
		    file.p[0] == '/' ? STR_NONE : dir), "/",
		    STR_FMT(file)).p, &route->password, err);
	}
	if (rc == 0)
		p->routes_len++;
	return rc;
}

static int
read_routes(struct program *p, struct err *err)
{
	struct str key, value, smart;
	size_t cursor = 0;
	char prefix[96];
	int rc = 0;

	while (rc == 0 && child_config_next(p->relay.child, "route.", &cursor,
	    &key, &value)) {
		if (!str_ends_nocase(key, STR(".domain")) ||
		    p->routes_len == ROUTES_MAX)
			continue;
		(void)snprintf(prefix, sizeof(prefix), "%.*s",
		    (int)(key.len - 6), key.p);
		rc = read_route(p, prefix, value, setting(p, prefix, "host"),
		    err);
	}
	smart = child_config(p->relay.child, "smart_host", "");
	if (rc == 0 && smart.len != 0)
		rc = read_route(p, "smart_host_", STR_NONE, smart, err);
	p->relay.routes = p->routes;
	p->relay.routes_len = p->routes_len;
	return rc;
}

static void
read_config(struct relay *relay)
{
	relay->hostname = child_config(relay->child, "hostname",
	    "localhost").p;
	relay->port = (uint16_t)child_config_u64(relay->child, "relay_port",
	    25);
	relay->allow_private = child_config_u64(relay->child,
	    "allow_private_targets", 0) != 0;
}

/* The authorities that are believed; the sandbox opens no file. */
static int
read_trust(struct relay *relay, struct err *err)
{
	const char *path = child_config(relay->child, "relay_ca",
	    "/etc/ssl/certs/ca-certificates.crt").p;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t len;

	if (fd == -1 || fstat(fd, &st) == -1 || st.st_size > TRUST_MAX) {
		/* Mail goes on; only what has to be verified cannot. */
		ev_warn(NULL, "relay.trust.unreadable", EV_CSTR(path, path));
		if (fd != -1)
			(void)close(fd);
		relay->trust = tls_trust_new(STR_NONE, err);
		return 0;
	}
	text = malloc((size_t)st.st_size + 1);
	invariant(text != NULL);
	len = read(fd, text, (size_t)st.st_size);
	(void)close(fd);
	relay->trust = tls_trust_new(str_make(text, len > 0 ? (size_t)len :
	    0), err);
	free(text);
	return relay->trust != NULL ? 0 : ERR_SYNTAX;
}

/* ---- life ---- */

static int
prepare(struct child *child, struct err *err)
{
	static const char *const readers[] = { "_hikyaku-mail", NULL };
	struct program *p = child->ctx;
	int rc;

	p->relay.child = child;
	p->arena = arena_new(0);
	charset_init();
	read_config(&p->relay);
	if ((rc = read_trust(&p->relay, err)) != 0 ||
	    (rc = read_routes(p, err)) != 0)
		return rc;
	child->sandbox.user = "_hikyaku-relay";
	child->sandbox.extra_groups = readers;
	child->sandbox.groups = SB_CONNECT;
	child->sandbox.files_max = FILES_MAX;
	child->sandbox.address_octets = ADDRESS_OCTETS;
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static void
ready(struct relay *relay)
{
	struct ipc_out *out = ipc_begin(relay->queued, RELAY_READY);

	ipc_put_u64(out, SLOTS);
	(void)ipc_send(out, -1);
}

static int
start(struct child *child, struct err *err)
{
	struct program *p = child->ctx;
	struct relay *relay = &p->relay;

	(void)err;
	relay->loop = child->loop;
	relay->timeouts = timeouts;
	list_init(&relay->jobs);
	list_init(&relay->byes);
	relay->queued = child_link(child, "queued");
	relay->dnsd = child_link(child, "dnsd");
	relay->fetchd = child_link(child, "fetchd");
	relay->keyd = child_link(child, "keyd");
	relay->signatures = signatures_new();
	relay->pool = pool_new(relay);
	relay->sts = sts_new(relay);
	if (ipc_is_attached(relay->queued))
		ready(relay);
	return 0;
}

static void
on_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct program *p = ctx;

	job_push(&p->relay, type, in);
}

static void
on_attached(void *ctx, struct ipc_link *link)
{
	struct program *p = ctx;

	(void)link;
	if (p->relay.loop != NULL && !p->relay.is_stopping)
		ready(&p->relay);
}

/* A new queued knows nothing of these jobs and will send them again. */
static void
on_gone(void *ctx, struct ipc_link *link)
{
	struct program *p = ctx;

	(void)link;
	if (p->relay.loop != NULL)
		job_drop_all(&p->relay);
}

static void
reload(struct child *child)
{
	struct program *p = child->ctx;

	read_config(&p->relay);
}

static void
on_stop_late(void *ctx)
{
	struct program *p = ctx;

	child_exit(p->relay.child);
}

static void
on_quiet(struct relay *relay)
{
	child_exit(relay->child);
}

/* What a host is being told comes to its end; the rest is tried again. */
static void
stop(struct child *child)
{
	struct program *p = child->ctx;

	p->relay.is_stopping = true;
	pool_free(&p->relay.pool);
	p->relay.pool = pool_new(&p->relay);
	job_drop_idle(&p->relay);
	if (p->relay.jobs_len == 0) {
		child_exit(child);
		return;
	}
	p->relay.on_quiet = on_quiet;
	loop_timer_init(&p->stop_timer, child->loop, on_stop_late, p);
	loop_timer_start(&p->stop_timer, STOP_MS);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "queued", .proto = &ipc_relay, .push = on_push,
		    .gone = on_gone, .attached = on_attached },
		{ .server = "dnsd", .proto = &ipc_dns },
		{ .server = "fetchd", .proto = &ipc_fetch },
		{ .server = "keyd", .proto = &ipc_key },
		{ .server = NULL },
	};
	static const struct child_spec spec = {
		.name = "relay", .ctx_size = sizeof(struct program),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
