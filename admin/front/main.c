/* SPDX-License-Identifier: ISC */
/*
 * admind: the door for operators. It owns DIR/run/control.sock, lets in only
 * root and the user who started the instance (SO_PEERCRED), and asks the
 * programs that know; so none of them has to talk to an outsider.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/front/dns.h"
#include "admin/front/job.h"
#include "base/log.h"
#include "io/tls.h"

#define CLIENTS_MAX 64
#define CLIENT_IDLE_MS 600000
#define ACCEPT_RETRY_MS 1000
#define CERT_MAX 262144

struct admind {
	struct dns_admin dns;		/* first */
	struct child *child;
	struct loop_fd watch;
	struct loop_timer retry;
	struct list clients;
	size_t clients_len;
	int fd;
	uid_t owner;
};

struct client {
	struct list node;
	struct admind *admind;
	struct ipc_link *link;
	struct loop_timer idle;
	char actor[32];
};

static void
client_free(struct client *client)
{
	struct admind *admind = client->admind;

	loop_timer_fini(&client->idle);
	ipc_link_free(&client->link);
	list_del(&client->node);
	admind->clients_len--;
	if (admind->fd != -1)
		loop_fd_want(&admind->watch, LOOP_READ);
	free(client);
}

static void
on_client_gone(void *ctx, struct ipc_link *link)
{
	(void)link;
	client_free(ctx);
}

static void
on_idle(void *ctx)
{
	client_free(ctx);
}

static void
on_run(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);

	loop_timer_start(&client->idle, CLIENT_IDLE_MS);
	job_run(client->admind->child, str_of(client->actor), req, in);
}

static ipc_handler *const handlers[] = { [CONTROL_RUN] = on_run };

/* ---- accepting ---- */

/* May this peer command the instance? */
static bool
is_operator(const struct admind *admind, int fd, uid_t *uid_r)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1 ||
	    len != sizeof(cred))
		return false;
	*uid_r = cred.uid;
	return cred.uid == 0 || cred.uid == admind->owner;
}

static void
client_new(struct admind *admind, int fd)
{
	struct client *client;
	uid_t uid = (uid_t)-1;

	if (!is_operator(admind, fd, &uid)) {
		ev_warn(NULL, "admin.client.refused", EV_U64(uid, uid));
		(void)close(fd);
		return;
	}
	client = calloc(1, sizeof(*client));
	invariant(client != NULL);
	client->admind = admind;
	(void)snprintf(client->actor, sizeof(client->actor), "uid %u",
	    (unsigned)uid);
	list_add(&admind->clients, &client->node);
	admind->clients_len++;
	loop_timer_init(&client->idle, admind->child->loop, on_idle, client);
	loop_timer_start(&client->idle, CLIENT_IDLE_MS);
	client->link = ipc_serve(admind->child->loop, &ipc_control, fd,
	    str_of(client->actor), handlers, client, on_client_gone);
}

static void
on_accept(void *ctx, int what)
{
	struct admind *admind = ctx;
	int fd;

	(void)what;
	while (admind->clients_len < CLIENTS_MAX) {
		fd = accept4(admind->fd, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd == -1 && errno == EAGAIN)
			return;
		if (fd == -1)
			break;
		client_new(admind, fd);
	}
	/* Full, or out of descriptors: the rest wait in the backlog. */
	loop_fd_want(&admind->watch, 0);
	loop_timer_start(&admind->retry, ACCEPT_RETRY_MS);
}

static void
on_retry(void *ctx)
{
	struct admind *admind = ctx;

	loop_fd_want(&admind->watch, LOOP_READ);
}

/* ---- life ---- */

/* The public half of the server's key, for TLSA records. */
static void
read_certificate(struct child *child)
{
	static char pem[CERT_MAX];
	struct admind *admind = child->ctx;
	int fd = child_take_fd(child, "file:tls_cert");
	size_t len = 0;
	ssize_t n;

	if (fd == -1)
		return;
	while (len < sizeof(pem) && (n = pread(fd, pem + len,
	    sizeof(pem) - len, (off_t)len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	admind->dns.has_key = tls_key_id(str_make(pem, len), false,
	    admind->dns.key_id, NULL) == 0;
}

static int
prepare(struct child *child, struct err *err)
{
	(void)err;
	read_certificate(child);
	child->sandbox.user = "_hikyaku-admind";
	child->sandbox.groups = SB_ACCEPT;
	child->sandbox.files_max = CLIENTS_MAX + 64;
	(void)child_enter_dir(child, "data/empty", 0);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct admind *admind = child->ctx;

	admind->child = child;
	list_init(&admind->clients);
	admind->owner = (uid_t)child_config_u64(child, "owner_uid", 0);
	admind->fd = child_take_fd(child, "listen:control");
	if (admind->fd == -1)
		return err_set(err, ERR_NOTFOUND, "no control socket");
	loop_timer_init(&admind->retry, child->loop, on_retry, admind);
	loop_fd_init(&admind->watch, child->loop, admind->fd, on_accept,
	    admind);
	loop_fd_want(&admind->watch, LOOP_READ);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir },
		{ .server = "authd", .proto = &ipc_auth },
		{ .server = "queued", .proto = &ipc_queue },
		{ .server = "quarantined", .proto = &ipc_quarantine },
		{ .server = "dnsd", .proto = &ipc_dns },
		{ .server = "fetchd", .proto = &ipc_fetch },
		{ .server = "metricd", .proto = &ipc_metric },
		{ .server = "keyd", .proto = &ipc_key },
		{ .server = NULL },
	};
	static const struct child_spec spec = {
		.name = "admind", .ctx_size = sizeof(struct admind),
		.calls = calls, .prepare = prepare, .start = start,
		.reload = read_certificate,
	};

	return child_main(argc, argv, &spec);
}
