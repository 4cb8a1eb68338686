/* SPDX-License-Identifier: ISC */
/*
 * imapd: IMAP clients up to their login; then octets go to and from mboxd.
 */
#include "base/rand.h"
#include "imapd/front/session.h"

#define KEEPALIVE_MS 240000

static void
on_accept(void *ctx, const struct front_seat *seat, int fd, bool is_full)
{
	session_new(ctx, seat, fd, is_full);
}

static void
on_keepalive(void *arg)
{
	struct imapd *imapd = arg;
	struct session *session, *tmp;

	list_each(session, tmp, &imapd->sessions, struct session, node)
		session_keepalive(session);
	loop_timer_start(&imapd->keepalive, KEEPALIVE_MS);
}

static void
on_mbox_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct imapd *imapd = ctx;
	uint64_t account = ipc_get_u64(in);
	struct str reason = type == MBOX_END ? ipc_get_str(in) : STR_NONE;
	struct session *session, *tmp;

	list_each(session, tmp, &imapd->sessions, struct session, node) {
		if (session->proxy == NULL ||
		    proxy_account(session->proxy) != account)
			continue;
		if (type == MBOX_END)
			session_end(session, reason);
		else if (type == MBOX_CHANGED)
			session_wake(session);
	}
}

static void
read_config(struct imapd *imapd)
{
	struct child *child = imapd->child;

	imapd->hostname = child_config(child, "hostname", "localhost");
	imapd->login_ms = 1000 * child_config_u64(child, "timeout_login", 60);
	imapd->idle_ms = 1000 * child_config_u64(child, "timeout_imap", 1800);
}

static int
prepare(struct child *child, struct err *err)
{
	(void)err;
	child->sandbox.user = "_hikyaku-imapd";
	child->sandbox.groups = SB_ACCEPT | SB_SOCKETPAIR;
	/* Client, stream, link, and the ends on their way. */
	child->sandbox.files_max = 1024 + 5 * child_config_u64(child,
	    "sessions_imapd", 12000);
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct imapd *imapd = child->ctx;

	imapd->child = child;
	list_init(&imapd->sessions);
	imapd->next_session = rand_u64() >> 16;
	read_config(imapd);
	loop_timer_init(&imapd->keepalive, child->loop, on_keepalive, imapd);
	loop_timer_start(&imapd->keepalive, KEEPALIVE_MS);
	return front_start(&imapd->front, child, "sessions_imapd", on_accept,
	    imapd, err);
}

static void
reload(struct child *child)
{
	struct imapd *imapd = child->ctx;

	read_config(imapd);
	front_reload(&imapd->front);
}

static void
stop(struct child *child)
{
	struct imapd *imapd = child->ctx;
	struct session *session, *tmp;

	imapd->is_stopping = true;
	front_close(&imapd->front);
	if (list_is_empty(&imapd->sessions))
		child_exit(child);
	list_each(session, tmp, &imapd->sessions, struct session, node)
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
		.name = "imapd", .ctx_size = sizeof(struct imapd),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
