/* SPDX-License-Identifier: ISC */
/*
 * mboxd: the broker. It schedules who owns an account and forks the processes
 * that do; it opens no mail itself.
 */
#include "mboxd/broker.h"

#include <signal.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/rand.h"
#include "ipc/ticket.h"

#define FDS_MAX 65536
#define STOP_MS 15000

/* ---- frames ---- */

static void
on_deliver(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct front *front = ipc_link_ctx(link);

	deliver_begin(front->broker, req, in);
}

static void
on_open(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	session_open(ipc_link_ctx(link), req, in);
}

static void
on_resume(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	session_resume(ipc_link_ctx(link), req, in);
}

static void
on_unpark(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)req;
	session_unpark(ipc_link_ctx(link), in);
}

static void
on_ticket_key(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct front *front = ipc_link_ctx(link);

	(void)req;
	session_ticket_key(front->broker, ipc_get_str(in));
}

static ipc_handler *const handlers[] = {
	[MBOX_DELIVER] = on_deliver,
	[MBOX_OPEN] = on_open,
	[MBOX_RESUME] = on_resume,
	[MBOX_UNPARK] = on_unpark,
	[MBOX_TICKET_KEY] = on_ticket_key,
	[MBOX_CHANGED] = NULL,
	[MBOX_END] = NULL,
};

/* ---- clients ---- */

#define ALLOW_FRONT (1ULL << MBOX_OPEN | 1ULL << MBOX_RESUME |	\
	1ULL << MBOX_UNPARK)

static const struct {
	const char *peer;
	uint64_t allowed;
} peers[] = {
	{ "queued", 1ULL << MBOX_DELIVER },
	{ "imapd", ALLOW_FRONT },
	{ "pop3d", ALLOW_FRONT },
	{ "authd", 1ULL << MBOX_TICKET_KEY },
};

static void
on_client_gone(void *ctx, struct ipc_link *link)
{
	struct front *front = ctx;

	list_del(&front->node);
	sessions_front_gone(front);
	ipc_link_free(&link);
	free(front);
}

static void
came(struct child *child, struct str peer, int fd)
{
	struct broker *broker = child->ctx;
	struct front *front;
	size_t i;

	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (str_eq(peer, str_of(peers[i].peer)))
			break;
	if (i == sizeof(peers) / sizeof(peers[0])) {
		ev_warn(NULL, "mbox.peer.unknown", EV_STR(peer, peer));
		(void)close(fd);
		return;
	}
	front = calloc(1, sizeof(*front));
	invariant(front != NULL);
	front->broker = broker;
	list_add(&broker->fronts, &front->node);
	front->link = ipc_serve(child->loop, &ipc_mbox, fd, peer, handlers,
	    front, on_client_gone);
	ipc_link_allow(front->link, peers[i].allowed);
}

/* ---- servers ---- */

static void
on_directory_push(void *ctx, unsigned type, struct ipc_in *in)
{
	uint64_t account;

	if (type != DIR_CHANGED)
		return;
	account = ipc_get_u64(in);
	acct_directory_changed(ctx, account, ipc_get_bool(in));
}

/* What was pushed in between is not known. */
static void
on_directory_attached(void *ctx, struct ipc_link *link)
{
	(void)link;
	acct_directory_changed(ctx, 0, false);
}

static void
on_blobd_attached(void *ctx, struct ipc_link *link)
{
	(void)link;
	kids_new_blobd(ctx);
}

/* ---- life ---- */

static const char *const mail_group[] = { "_hikyaku-mail", NULL };

static int
prepare(struct child *child, struct err *err)
{
	struct broker *broker = child->ctx;

	broker->child = child;
	broker->loop = child->loop;
	child->sandbox.user = "_hikyaku-mboxd";
	child->sandbox.extra_groups = mail_group;
	child->sandbox.groups = SB_FILES | SB_MODES | SB_FORK | SB_SOCKETPAIR |
	    SB_SANDBOX;
	child->sandbox.files_max = FDS_MAX;
	broker->family.accounts_dir = child_enter_dir(child, "data/accounts",
	    SB_READ | SB_WRITE);
	/* Algorithms are looked up once, while files may be read. */
	EVP_PKEY_free(ticket_key_new(err));
	state_key(broker->state_key, 0, broker->family.state_key);
	return sandbox_narrow_prepare(SB_FILES | SB_MODES, err);
}

static void
read_config(struct broker *broker)
{
	struct child *child = broker->child;
	struct family *family = &broker->family;

	family->message_max_octets = child_config_u64(child, "message_size",
	    50ULL << 20);
	family->park_after_s = child_config_u64(child, "park_after", 5);
	family->linger_s = child_config_u64(child, "account_linger", 30);
	broker->sessions_per_user = child_config_u64(child,
	    "sessions_per_user", 20);
	broker->pop3_login_delay_ms = 1000 * child_config_u64(child,
	    "pop3_login_delay", 0);
	family->pop3_expire_days = child_config_u64(child, "pop3_expire",
	    UINT64_MAX);
	family->pop3_login_delay_s = broker->pop3_login_delay_ms / 1000;
	broker->processes_max = (size_t)child_config_u64(child,
	    "processes_account", 2000);
	if (broker->processes_max == 0)
		broker->processes_max = 1;
}

static void
on_child_signal(void *ctx, int signo)
{
	(void)signo;
	kids_reap(ctx);
}

static void
on_stop_late(void *arg)
{
	struct broker *broker = arg;
	struct kid *kid, *tmp;
	unsigned i;

	for (i = 0; i < broker->workers_len; i++)
		if (broker->workers[i].pid != 0)
			(void)kill(broker->workers[i].pid, SIGKILL);
	list_each(kid, tmp, &broker->kids, struct kid, node)
		(void)kill(kid->pid, SIGKILL);
}

static void
init_lists(struct broker *broker)
{
	list_init(&broker->kids);
	list_init(&broker->idle);
	list_init(&broker->forgettable);
	list_init(&broker->starved);
	list_init(&broker->fronts);
	list_init(&broker->tickets_order);
	broker->accts = table_new();
	broker->tickets_used = table_new();
}

static int
start(struct child *child, struct err *err)
{
	struct broker *broker = child->ctx;
	struct str hostname = child_config(child, "hostname", "localhost");
	char *name = strndup(hostname.p, hostname.len);
	uint64_t workers = child_config_u64(child, "workers_bulk", 2);
	int rc;

	invariant(name != NULL);
	broker->family.hostname = str_of(name);
	broker->family.is_degraded_ok = child->sandbox.is_degraded_ok;
	rc = store_image_new(&broker->family.image, err);
	if (rc != 0)
		return rc;
	read_config(broker);
	rand_bytes(broker->state_key, sizeof(broker->state_key));
	rand_bytes(broker->cap_key, sizeof(broker->cap_key));
	init_lists(broker);
	broker->directory = child_link(child, "directoryd");
	broker->blobd = child_link(child, "blobd");
	usage_init(&broker->usage, child->loop, broker->directory);
	loop_timer_init(&broker->stop_timer, child->loop, on_stop_late,
	    broker);
	loop_on_signal(child->loop, SIGCHLD, on_child_signal, broker);
	broker->workers_len = workers == 0 ? 1 : workers > WORKERS_MAX ?
	    WORKERS_MAX : (unsigned)workers;
	kids_start_workers(broker);
	return 0;
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

/* Children finish what they have begun, flush and exit. */
static void
stop(struct child *child)
{
	struct broker *broker = child->ctx;

	if (broker->is_stopping)
		return;
	broker->is_stopping = true;
	usage_send(&broker->usage);
	loop_timer_start(&broker->stop_timer, STOP_MS);
	kids_stop(broker);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir,
		    .push = on_directory_push,
		    .attached = on_directory_attached },
		{ .server = "blobd", .proto = &ipc_blob,
		    .attached = on_blobd_attached },
		{ .server = NULL },
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_mbox, .accept = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "mboxd", .ctx_size = sizeof(struct broker),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start, .reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
