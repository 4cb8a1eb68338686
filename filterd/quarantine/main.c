/* SPDX-License-Identifier: ISC */
/*
 * quarantined: keeps what a filter does not want delivered until somebody
 * decides about it, or its time is over. It shows what such messages say, so
 * it has nothing but them: no network, no other folder.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "filterd/quarantine/admin.h"
#include "filterd/quarantine/keep.h"
#include "filterd/quarantine/resume.h"
#include "ipc/child.h"
#include "mail/charset.h"

struct quarantined {
	struct child *child;
	struct quarantine_store *store;
	struct keep_env keep;
	struct release_env release;
	struct admin_env admin;
	const char *path;
	int dir_fd;
	bool is_stopping;
};

/* ---- frames ---- */

static void
on_keep(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct quarantined *quarantined = child_link_ctx(link);

	if (quarantined->is_stopping)
		ipc_reply_err(req, ERR_TEMP, "stopping");
	else
		keep_request(&quarantined->keep, req, in);
}

static void
on_admin(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct quarantined *quarantined = child_link_ctx(link);

	quarantine_admin_run(&quarantined->admin, req, in);
}

static ipc_handler *const handlers[] = {
	[QUARANTINE_KEEP] = on_keep,
	[QUARANTINE_ADMIN] = on_admin,
};

static void
came(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	ipc_link_allow(link, str_eq(ipc_link_peer(link), STR("admind")) ?
	    1ULL << QUARANTINE_ADMIN : 1ULL << QUARANTINE_KEEP);
}

/* ---- life ---- */

static void
read_config(struct quarantined *quarantined)
{
	struct child *child = quarantined->child;
	struct quarantine_limits *limits = &quarantined->admin.limits;

	limits->owner_octets = child_config_u64(child, "quarantine_size",
	    1ULL << 30);
	limits->owner_entries = child_config_u64(child, "quarantine_messages",
	    10000);
	limits->total_octets = child_config_u64(child, "quarantine_total",
	    20ULL << 30);
	quarantine_store_limit(quarantined->store, limits);
	quarantined->release.budget_ms = child_config_u64(child,
	    "filter_budget", 30) * 1000;
	quarantined->release.filter = child_config_u64(child, "filter", 1) !=
	    0 ? child_link(child, "filterd") : NULL;
}

static int
prepare(struct child *child, struct err *err)
{
	static const char *const readers[] = { "_hikyaku-mail", NULL };
	struct quarantined *quarantined = child->ctx;

	quarantined->child = child;
	charset_init();
	quarantined->dir_fd = open(child_dir(child, "data/quarantine"),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (quarantined->dir_fd == -1)
		return err_set_errno(err, ERR_TEMP, "data/quarantine");
	child->sandbox.user = "_hikyaku-quarantined";
	child->sandbox.extra_groups = readers;
	child->sandbox.groups = SB_FILES | SB_MODES;
	child->sandbox.files_max = 65536;
	quarantined->path = child_enter_dir(child, "data/quarantine",
	    SB_READ | SB_WRITE);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct quarantined *quarantined = child->ctx;
	struct tally *tally;
	struct days *days;
	char path[4096];
	int rc;

	(void)snprintf(path, sizeof(path), "%s/quarantine.db",
	    quarantined->path);
	rc = quarantine_store_open(&quarantined->store, child->loop, path,
	    quarantined->dir_fd, err);
	if (rc != 0)
		return rc;
	days = days_new(child_link(child, "directoryd"));
	tally = tally_new(child->loop, child_link(child, "metricd"),
	    quarantined->store);
	quarantined->keep.store = quarantined->store;
	quarantined->keep.tally = tally;
	quarantined->keep.blobs = child_link(child, "blobd");
	release_env_init(&quarantined->release, quarantined->store,
	    child_link(child, "queued"), tally);
	quarantined->admin.store = quarantined->store;
	quarantined->admin.days = days;
	quarantined->admin.release = &quarantined->release;
	quarantined->admin.sweep = sweep_new(child->loop, quarantined->store,
	    days, tally);
	read_config(quarantined);
	resume_new(child->loop, &quarantined->release);
	return 0;
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

static void
on_last_commit(void *ctx, int code)
{
	struct quarantined *quarantined = ctx;

	(void)code;
	tally_flush(quarantined->keep.tally);
	child_exit(quarantined->child);
}

/* What is half done is done again by who asked for it. */
static void
stop(struct child *child)
{
	struct quarantined *quarantined = child->ctx;

	quarantined->is_stopping = true;
	quarantine_store_after(quarantined->store, on_last_commit,
	    quarantined);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir },
		{ .server = "blobd", .proto = &ipc_blob },
		{ .server = "filterd", .proto = &ipc_filter },
		{ .server = "queued", .proto = &ipc_queue },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = NULL },
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_quarantine, .handlers = handlers,
		    .came = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "quarantined", .ctx_size = sizeof(struct quarantined),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start, .reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
