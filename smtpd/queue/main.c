/* SPDX-License-Identifier: ISC */
/*
 * queued: takes responsibility for messages, routes them and sees to it that
 * each recipient ends in exactly one way. It parses no message.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rand.h"
#include "ipc/child.h"
#include "ipc/figures.h"
#include "smtpd/queue/accept.h"
#include "smtpd/queue/admin.h"
#include "smtpd/queue/grants.h"
#include "smtpd/queue/notice.h"

struct queued {
	struct child *child;
	struct queue_store *store;
	struct deliver_env deliver;
	struct accept_env accept;
	struct queue_admin admin;
	struct schedule *schedule;
	struct remote *remote;
	struct watch *watch;
	const char *path;
	int dir_fd;
};

struct client {
	struct queued *queued;
	struct acceptor *acceptor;
};

/* ---- frames ---- */

static void
on_rcpts(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);

	(void)req;
	accept_rcpts(client->acceptor, in);
}

static void
on_submit(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);

	accept_submit(client->acceptor, req, in);
}

static void
on_abort(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);

	(void)req;
	accept_abort(client->acceptor, in);
}

static void
on_admin(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);

	queue_admin_run(&client->queued->admin, req, in);
}

static void
on_found(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);

	(void)req;
	found_take(client->queued->accept.found, in);
}

static ipc_handler *const handlers[] = {
	[QUEUE_RCPTS] = on_rcpts,
	[QUEUE_SUBMIT] = on_submit,
	[QUEUE_ABORT] = on_abort,
	[QUEUE_ADMIN] = on_admin,
	[QUEUE_FOUND] = on_found,
};

/* ---- clients ---- */

static void
on_client_gone(void *ctx, struct ipc_link *link)
{
	struct client *client = ctx;

	ipc_link_free(&link);
	acceptor_free(&client->acceptor);
	free(client);
}

static void
came(struct child *child, struct str peer, int fd)
{
	struct queued *queued = child->ctx;
	struct client *client = calloc(1, sizeof(*client));
	struct ipc_link *link;

	invariant(client != NULL);
	client->queued = queued;
	client->acceptor = acceptor_new(&queued->accept,
	    str_eq(peer, STR("quarantined")));
	link = ipc_serve(child->loop, &ipc_queue, fd, peer, handlers, client,
	    on_client_gone);
	ipc_link_allow(link, str_eq(peer, STR("admind")) ?
	    1ULL << QUEUE_ADMIN : 1ULL << QUEUE_RCPTS | 1ULL << QUEUE_SUBMIT |
	    1ULL << QUEUE_ABORT | 1ULL << QUEUE_FOUND);
}

static void
on_directory_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct queued *queued = ctx;

	if (type == DIR_WARN)
		notice_quota(&queued->deliver, in);
}

static void
relay_came(struct child *child, struct str peer, int fd)
{
	struct queued *queued = child->ctx;

	remote_client(queued->remote, peer, fd);
}

/* ---- life ---- */

static void
on_wake(void *ctx, uint64_t id)
{
	struct queued *queued = ctx;

	schedule_wake(queued->schedule, id);
}

static void
on_watched(void *ctx, uint64_t id, int64_t next_try_s)
{
	struct queued *queued = ctx;

	schedule_set(queued->schedule, id, next_try_s);
}

static void
on_malicious(void *ctx, const struct queue_item *item, struct str name)
{
	struct queued *queued = ctx;

	found_watched(queued->accept.found, item, name.len != 0 ? name :
	    STR("malicious"));
}

static void
on_bounce(void *ctx, struct arena *arena, const struct queue_item *item)
{
	struct queued *queued = ctx;

	schedule_accept(queued->schedule, arena, item, -1);
}

static int
prepare(struct child *child, struct err *err)
{
	static const char *const readers[] = { "_hikyaku-mail", NULL };
	struct queued *queued = child->ctx;

	queued->child = child;
	queued->dir_fd = open(child_dir(child, "data/queue"),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (queued->dir_fd == -1)
		return err_set_errno(err, ERR_TEMP, "data/queue");
	rand_bytes(queued->deliver.grant_secret,
	    sizeof(queued->deliver.grant_secret));
	child->sandbox.user = "_hikyaku-queued";
	child->sandbox.extra_groups = readers;
	child->sandbox.groups = SB_FILES | SB_MODES;
	child->sandbox.files_max = 65536;
	queued->path = child_enter_dir(child, "data/queue",
	    SB_READ | SB_WRITE);
	return 0;
}

/* keyd is there, for the first time or again: it learns the secret. */
static void
on_keyd(void *ctx, struct ipc_link *link)
{
	struct queued *queued = ctx;

	if (queued->store != NULL)
		grants_tell(queued->deliver.grant_secret, link);
}

static void
read_routes(struct queued *queued)
{
	struct child *child = queued->child;
	struct remote_settings settings = {
		.retry_first_s = queued->deliver.retry_first_s,
		.retry_last_s = queued->deliver.retry_last_s,
		.has_smart_host = child_config(child, "smart_host", "").len !=
		    0,
	};
	struct str key, value;
	size_t cursor = 0;

	remote_config(queued->remote, &settings);
	while (child_config_next(child, "route.", &cursor, &key, &value))
		if (str_ends_nocase(key, STR(".domain")))
			remote_route(queued->remote, value);
}

static void
read_config(struct queued *queued)
{
	struct child *child = queued->child;

	queued->deliver.is_discard = child_config_u64(child, "discard", 0);
	queued->deliver.retry_first_s = child_config_u64(child,
	    "queue_retry_first", 300);
	queued->deliver.retry_last_s = child_config_u64(child,
	    "queue_retry_last", 4000);
	queued->deliver.lifetime_s = child_config_u64(child,
	    "queue_lifetime", 432000);
	queued->deliver.delay_warning_s = child_config_u64(child,
	    "queue_delay_warning", 14400);
	queued->deliver.quota_grace_s = child_config_u64(child,
	    "quota_grace", 259200);
	queued->deliver.return_octets = child_config_u64(child,
	    "queue_return", 1 << 20);
	watch_set_policy(queued->watch,
	    child_config_u64(child, "detonate_time", 900),
	    str_eq(child_config(child, "detonate_unavailable", "quarantine"),
	    STR("deliver")));
	queued->deliver.hostname = child_config(child, "hostname",
	    "localhost");
	found_set(queued->accept.found, child_config_u64(child,
	    "virus_notices", 1) != 0);
	read_routes(queued);
}

static int
start(struct child *child, struct err *err)
{
	struct queued *queued = child->ctx;
	char path[4096];
	int rc;

	(void)snprintf(path, sizeof(path), "%s/queue.db", queued->path);
	rc = queue_store_open(&queued->store, child->loop, path,
	    queued->dir_fd, err);
	if (rc != 0)
		return rc;
	if (ipc_is_attached(child_link(child, "keyd")))
		on_keyd(queued, child_link(child, "keyd"));
	queued->deliver.store = queued->store;
	queued->deliver.directory = child_link(child, "directoryd");
	queued->deliver.mailboxes = child_link(child, "mboxd");
	queued->deliver.blobs = child_link(child, "blobd");
	queued->deliver.quarantine = child_link(child, "quarantined");
	queued->deliver.figures = figures_new(child->loop,
	    child_link(child, "metricd"));
	queued->deliver.accepted = on_bounce;
	queued->deliver.ctx = queued;
	queued->remote = remote_new(child->loop, on_wake, queued);
	queued->deliver.remote = queued->remote;
	queued->accept.found = found_new(&queued->deliver, true);
	queued->watch = watch_new(&(struct watch_env){
	    .loop = child->loop, .store = queued->store,
	    .detonated = child_link(child, "detonated"),
	    .figures = queued->deliver.figures,
	    .done = on_watched, .malicious = on_malicious,
	    .ctx = queued });
	queued->deliver.watch = queued->watch;
	read_config(queued);
	queued->schedule = schedule_new(child->loop, &queued->deliver);
	queued->accept.store = queued->store;
	queued->accept.blobs = child_link(child, "blobd");
	queued->accept.schedule = queued->schedule;
	queued->admin.store = queued->store;
	queued->admin.schedule = queued->schedule;
	queued->admin.remote = queued->remote;
	queued->admin.watch = queued->watch;
	return schedule_load(queued->schedule, err);
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

static void
on_last_commit(void *ctx, int code)
{
	struct queued *queued = ctx;

	/* The commit that calls us still uses the store: it ends with the
	 * process. */
	(void)code;
	figures_flush(queued->deliver.figures);
	child_exit(queued->child);
}

static void
on_quiet(void *ctx)
{
	struct queued *queued = ctx;

	queue_store_after(queued->store, on_last_commit, queued);
}

/* Deliveries under way come to their end; the rest is on disk. */
static void
stop(struct child *child)
{
	struct queued *queued = child->ctx;

	queued->accept.is_stopping = true;
	schedule_on_quiet(queued->schedule, on_quiet, queued);
	schedule_pause(queued->schedule);
	remote_stop(queued->remote);
	if (schedule_active(queued->schedule) == 0)
		on_quiet(queued);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir,
		    .push = on_directory_push },
		{ .server = "blobd", .proto = &ipc_blob },
		{ .server = "mboxd", .proto = &ipc_mbox },
		{ .server = "quarantined", .proto = &ipc_quarantine },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = "keyd", .proto = &ipc_key, .attached = on_keyd },
		{ .server = "detonated", .proto = &ipc_detonate },
		{ .server = NULL },
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_queue, .accept = came },
		{ .proto = &ipc_relay, .accept = relay_came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "queued", .ctx_size = sizeof(struct queued),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start, .reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
