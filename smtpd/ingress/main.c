/* SPDX-License-Identifier: ISC */
/*
 * smtpd: takes mail from the network: SMTP, submission and LMTP. It opens no
 * file and holds no key.
 */
#include "base/rand.h"
#include "ipc/figures.h"
#include "mail/charset.h"
#include "smtpd/ingress/session.h"

static void
on_accept(void *ctx, const struct front_seat *seat, int fd, bool is_full)
{
	session_new(ctx, seat, fd, is_full);
}

static void
read_config(struct ingress *ingress)
{
	struct child *child = ingress->child;

	ingress->hostname = child_config(child, "hostname", "localhost");
	ingress->message_max_octets = child_config_u64(child, "message_size",
	    50U << 20);
	ingress->recipients_max = child_config_u64(child,
	    "message_recipients", 1000);
	ingress->hops_max = child_config_u64(child, "message_hops", 30);
	ingress->rate_messages = child_config_u64(child, "rate_messages",
	    500);
	ingress->rate_recipients = child_config_u64(child,
	    "rate_recipients", 5000);
	if (ingress->limits == NULL)
		ingress->limits = limits_new(0, 0);
	limits_set(ingress->limits, child_config_u64(child,
	    "account_messages_hour", 600), child_config_u64(child,
	    "account_recipients_day", 10000));
	ingress->timeout_ms = 1000 * child_config_u64(child, "timeout_smtp",
	    300);
	ingress->has_filter = child_config_u64(child, "filter", 1) != 0;
	ingress->needs_verdict = !str_eq(child_config(child,
	    "filter_unavailable", "tempfail"), STR("accept"));
	ingress->filter_budget_ms = 1000 * child_config_u64(child,
	    "filter_budget", 30);
	ingress->login_ms = 1000 * child_config_u64(child, "timeout_login",
	    60);
}

static int
prepare(struct child *child, struct err *err)
{
	(void)err;
	charset_init();		/* for the names of attachments */
	child->sandbox.user = "_hikyaku-smtpd";
	child->sandbox.groups = SB_ACCEPT;
	child->sandbox.files_max = 1024 + 4 * child_config_u64(child,
	    "sessions_smtpd", 2000);
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct ingress *ingress = child->ctx;

	ingress->child = child;
	list_init(&ingress->sessions);
	/* Ids of exchanges are told to authd: not the same after a restart. */
	ingress->next_session = rand_u64() >> 16;
	ingress->figures = figures_new(child->loop, child_link(child,
	    "metricd"));
	read_config(ingress);
	return front_start(&ingress->front, child, "sessions_smtpd",
	    on_accept, ingress, err);
}

static void
reload(struct child *child)
{
	struct ingress *ingress = child->ctx;

	read_config(ingress);
	front_reload(&ingress->front);
}

static void
stop(struct child *child)
{
	struct ingress *ingress = child->ctx;
	struct session *session, *tmp;

	ingress->is_stopping = true;
	front_close(&ingress->front);
	figures_flush(ingress->figures);
	if (list_is_empty(&ingress->sessions))
		child_exit(child);
	list_each(session, tmp, &ingress->sessions, struct session, node)
		session_stop(session);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir },
		{ .server = "authd", .proto = &ipc_auth },
		{ .server = "blobd", .proto = &ipc_blob },
		{ .server = "queued", .proto = &ipc_queue },
		{ .server = "keyd", .proto = &ipc_key },
		{ .server = "filterd", .proto = &ipc_filter },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = NULL },
	};
	static const struct child_spec spec = {
		.name = "smtpd", .ctx_size = sizeof(struct ingress),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
