/* SPDX-License-Identifier: ISC */
/*
 * pop3d: POP3 clients up to their login; then octets go to and from mboxd.
 */
#include "base/rand.h"
#include "pop3d/front/session.h"

static void
on_accept(void *ctx, const struct front_seat *seat, int fd, bool is_full)
{
	session_new(ctx, seat, fd, is_full);
}

static void
on_mbox_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct pop3d *pop3d = ctx;
	uint64_t account = ipc_get_u64(in);
	struct session *session, *tmp;
	struct str reason;

	/* A maildrop is never parked: nothing to wake. */
	if (type != MBOX_END)
		return;
	reason = ipc_get_str(in);
	list_each(session, tmp, &pop3d->sessions, struct session, node)
		if (session->proxy != NULL &&
		    proxy_account(session->proxy) == account)
			session_end(session, reason);
}

static void
read_config(struct pop3d *pop3d)
{
	struct child *child = pop3d->child;

	pop3d->hostname = child_config(child, "hostname", "localhost");
	pop3d->login_ms = 1000 * child_config_u64(child, "timeout_login", 60);
	pop3d->idle_ms = 1000 * child_config_u64(child, "timeout_pop3", 600);
	pop3d->login_delay_s = child_config_u64(child, "pop3_login_delay",
	    0);
	pop3d->expire_days = child_config_u64(child, "pop3_expire",
	    UINT64_MAX);
}

static int
prepare(struct child *child, struct err *err)
{
	(void)err;
	child->sandbox.user = "_hikyaku-pop3d";
	child->sandbox.groups = SB_ACCEPT | SB_SOCKETPAIR;
	/* Client, stream, link, and the ends on their way. */
	child->sandbox.files_max = 1024 + 5 * child_config_u64(child,
	    "sessions_pop3d", 2000);
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct pop3d *pop3d = child->ctx;

	pop3d->child = child;
	list_init(&pop3d->sessions);
	pop3d->next_session = rand_u64() >> 16;
	read_config(pop3d);
	return front_start(&pop3d->front, child, "sessions_pop3d", on_accept,
	    pop3d, err);
}

static void
reload(struct child *child)
{
	struct pop3d *pop3d = child->ctx;

	read_config(pop3d);
	front_reload(&pop3d->front);
}

static void
stop(struct child *child)
{
	struct pop3d *pop3d = child->ctx;
	struct session *session, *tmp;

	pop3d->is_stopping = true;
	front_close(&pop3d->front);
	if (list_is_empty(&pop3d->sessions))
		child_exit(child);
	list_each(session, tmp, &pop3d->sessions, struct session, node)
		session_stop(session);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "authd", .proto = &ipc_auth },
		{ .server = "mboxd", .proto = &ipc_mbox,
		    .push = on_mbox_push },
		{ .server = "keyd", .proto = &ipc_key },
		{ .server = NULL },
	};
	static const struct child_spec spec = {
		.name = "pop3d", .ctx_size = sizeof(struct pop3d),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
