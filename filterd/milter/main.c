/* SPDX-License-Identifier: ISC */
/*
 * milterd: filterd for other MTAs (Postfix, Sendmail, ...), as a mail filter
 * they speak the milter protocol with. It collects messages and asks filterd;
 * it opens no file and judges nothing itself.
 */
#include "filterd/milter/session.h"

#define ADDRESS_OCTETS (4ULL << 30)	/* messages are kept in memory */

static void
on_accept(void *ctx, const struct front_seat *seat, int fd, bool is_full)
{
	session_new(ctx, seat, fd, is_full);
}

static void
read_config(struct milterd *milterd)
{
	struct child *child = milterd->child;

	milterd->hostname = child_config(child, "hostname", "localhost");
	milterd->message_max_octets = child_config_u64(child,
	    "message_size", 50U << 20);
	milterd->budget_ms = 1000 * child_config_u64(child, "filter_budget",
	    30);
	milterd->accepts_unjudged = str_eq(child_config(child,
	    "filter_unavailable", "tempfail"), STR("accept"));
	milterd->delivers_unopened = str_eq(child_config(child,
	    "detonate_unavailable", "quarantine"), STR("deliver"));
}

static int
prepare(struct child *child, struct err *err)
{
	(void)err;
	child->sandbox.user = "_hikyaku-milterd";
	child->sandbox.groups = SB_ACCEPT | SB_MEMFILES;
	child->sandbox.files_max = 256 + 3 * child_config_u64(child,
	    "sessions_milterd", 500);
	child->sandbox.address_octets = ADDRESS_OCTETS;
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct milterd *milterd = child->ctx;

	milterd->child = child;
	list_init(&milterd->sessions);
	milterd->figures = figures_new(child->loop, child_link(child,
	    "metricd"));
	read_config(milterd);
	return front_start(&milterd->front, child, "sessions_milterd",
	    on_accept, milterd, err);
}

static void
reload(struct child *child)
{
	struct milterd *milterd = child->ctx;

	read_config(milterd);
	front_reload(&milterd->front);
}

static void
stop(struct child *child)
{
	struct milterd *milterd = child->ctx;

	milterd->is_stopping = true;
	front_close(&milterd->front);
	figures_flush(milterd->figures);
	if (list_is_empty(&milterd->sessions))
		child_exit(child);
	sessions_stop(milterd);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "filterd", .proto = &ipc_filter },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = NULL },
	};
	static const struct child_spec spec = {
		.name = "milterd", .ctx_size = sizeof(struct milterd),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
