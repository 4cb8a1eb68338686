/* SPDX-License-Identifier: ISC */
/*
 * webmail: the HTTPS front. So far it tells mail programs how to reach their
 * mailbox and other servers the MTA-STS policy.
 */
#include "base/rand.h"
#include "webmail/front/session.h"

#define LISTENERS_MS 10000

static void
on_accept(void *ctx, const struct front_seat *seat, int fd, bool is_full)
{
	session_new(ctx, seat, fd, is_full);
}

/* ---- settings ---- */

static void
read_config(struct webmail *webmail)
{
	struct child *child = webmail->child;

	webmail->setup.hostname = child_config(child, "hostname",
	    "localhost");
	webmail->setup.mta_sts_mode = MTA_STS_TESTING;
	(void)mta_sts_mode_of(child_config(child, "mta_sts_mode", "testing"),
	    &webmail->setup.mta_sts_mode);
	webmail->idle_ms = 1000 * child_config_u64(child, "timeout_web", 30);
}

static void
on_listeners(void *ctx, int code, struct ipc_in *in)
{
	struct webmail *webmail = ctx;
	struct str protocol, tls;
	uint64_t port;

	if (code != 0)
		return;
	webmail->setup.services_len = 0;
	while (ipc_more(in)) {
		(void)ipc_get_str(in);
		protocol = ipc_get_str(in);
		(void)ipc_get_str(in);
		port = ipc_get_u64(in);
		tls = ipc_get_str(in);
		(void)ipc_get_str(in);
		setup_add(&webmail->setup, protocol, port, tls);
	}
}

static void
ask_listeners(struct webmail *webmail)
{
	(void)ipc_call(ipc_begin(child_master(webmail->child),
	    MASTER_LISTENERS), -1, LISTENERS_MS, on_listeners, webmail);
}

/* ---- life ---- */

static int
prepare(struct child *child, struct err *err)
{
	(void)err;
	child->sandbox.user = "_hikyaku-webmail";
	child->sandbox.groups = SB_ACCEPT;
	child->sandbox.files_max = 256 + 2 * child_config_u64(child,
	    "sessions_webmail", 2000);
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct webmail *webmail = child->ctx;

	webmail->child = child;
	list_init(&webmail->sessions);
	webmail->next_session = rand_u64() >> 16;
	read_config(webmail);
	ask_listeners(webmail);
	return front_start(&webmail->front, child, "sessions_webmail",
	    on_accept, webmail, err);
}

static void
reload(struct child *child)
{
	struct webmail *webmail = child->ctx;

	read_config(webmail);
	ask_listeners(webmail);
	front_reload(&webmail->front);
}

static void
stop(struct child *child)
{
	struct webmail *webmail = child->ctx;
	struct session *session, *tmp;

	webmail->is_stopping = true;
	front_close(&webmail->front);
	if (list_is_empty(&webmail->sessions))
		child_exit(child);
	list_each(session, tmp, &webmail->sessions, struct session, node)
		session_stop(session);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir },
		{ .server = "keyd", .proto = &ipc_key },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = NULL },
	};
	static const struct child_spec spec = {
		.name = "webmail", .ctx_size = sizeof(struct webmail),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
