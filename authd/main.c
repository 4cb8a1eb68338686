/* SPDX-License-Identifier: ISC */
#include <unistd.h>

#include "authd/authd.h"
#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "ipc/ticket.h"

#define TIDY_MS 30000
#define MINUTE_MS 60000
#define DAY_MS 86400000
#define LOG_PAGE 200
#define WORKER_ADDRESS_OCTETS (512ULL << 20)

static struct authd *
of(struct ipc_link *link)
{
	struct client *client = ipc_link_ctx(link);

	arena_reset(client->authd->arena);
	return client->authd;
}

/* ---- changes, from admind ---- */

struct change {
	struct authd *authd;
	struct ipc_req *req;
	char actor[64];
	struct secret secret;
};

static void
change_free(struct change *change)
{
	explicit_bzero(change, sizeof(*change));
	free(change);
}

static bool
take_octets(struct ipc_in *in, void *to, size_t size)
{
	struct str s = ipc_get_str(in);

	if (s.len == size)
		memcpy(to, s.p, size);
	return s.len == size;
}

/* The worker's answer as the secret's keys. */
static bool
take_keys(struct ipc_in *in, struct hash_keys *keys)
{
	struct str argon2 = ipc_get_str(in);

	if (argon2.len >= sizeof(keys->argon2))
		return false;
	(void)snprintf(keys->argon2, sizeof(keys->argon2), "%.*s",
	    STR_FMT(argon2));
	if (!take_octets(in, keys->salt, sizeof(keys->salt)))
		return false;
	keys->iterations = ipc_get_u64(in);
	return take_octets(in, keys->stored_key, sizeof(keys->stored_key)) &&
	    take_octets(in, keys->server_key, sizeof(keys->server_key));
}

static void
on_made(void *ctx, int code, struct ipc_in *in)
{
	struct change *change = ctx;
	struct err err = ERR_INIT;
	int rc = code;

	if (code != 0)
		err_set(&err, ERR_TEMP, "the hash worker died");
	else if (!take_keys(in, &change->secret.keys))
		rc = err_set(&err, ERR_CORRUPT, "the hash worker's answer");
	if (rc == 0) {
		change->secret.changed_us = when_wall_us();
		rc = secrets_set(change->authd->secrets,
		    str_of(change->actor), &change->secret, &err);
	}
	if (rc != 0) {
		ev_error(NULL, "auth.password.failed", EV_ERR(&err));
		ipc_reply_err(change->req, rc, "%s", err_text(&err));
	} else {
		ev_info(NULL, "auth.password.set",
		    EV_CSTR(actor, change->actor),
		    EV_U64(account, change->secret.account));
		remember_forget(change->authd->remember,
		    change->secret.account);
		ipc_reply_end(ipc_reply_begin(change->req), -1);
	}
	change_free(change);
}

static struct change *
change_new(struct authd *authd, struct ipc_req *req, struct str actor,
    uint64_t account, struct str address)
{
	struct change *change = calloc(1, sizeof(*change));

	invariant(change != NULL);
	change->authd = authd;
	change->req = req;
	change->secret.account = account;
	(void)snprintf(change->actor, sizeof(change->actor), "%.*s",
	    STR_FMT(actor));
	(void)snprintf(change->secret.address,
	    sizeof(change->secret.address), "%.*s", STR_FMT(address));
	return change;
}

static void
on_set_password(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct authd *authd = of(link);
	struct str actor = ipc_get_str(in), address, password;
	uint64_t account = ipc_get_u64(in);
	struct err err = ERR_INIT;
	struct change *change;
	struct buf prepared;
	int rc;

	address = ipc_get_str(in);
	password = ipc_get_str(in);
	password_buf_init(&prepared);
	rc = prep_password(authd->prep, password, &prepared, &err);
	explicit_bzero((char *)(uintptr_t)password.p, password.len);
	if (rc != 0 || account == 0 || address.len >= SECRETS_ADDRESS_MAX) {
		ipc_reply_err(req, ERR_SYNTAX, "%s", err_text(&err));
	} else {
		change = change_new(authd, req, actor, account, address);
		if (hasher_make(authd->hasher, buf_str(&prepared), on_made,
		    change) != 0) {
			ipc_reply_err(req, ERR_TEMP, "too many passwords are "
			    "being hashed: try again");
			change_free(change);
		}
	}
	password_buf_fini(&prepared);
}

static void
on_forget(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct authd *authd = of(link);
	struct str actor = ipc_get_str(in);
	uint64_t account = ipc_get_u64(in);
	struct err err = ERR_INIT;
	int rc = secrets_forget(authd->secrets, actor, account,
	    ipc_get_str(in), &err);

	remember_forget(authd->remember, account);
	if (rc != 0)
		ipc_reply_err(req, rc, "%s", err_text(&err));
	else
		ipc_reply_end(ipc_reply_begin(req), -1);
}

static void
on_log(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct authd *authd = of(link);
	uint64_t after = ipc_get_u64(in), limit = ipc_get_u64(in);
	struct secrets_log_line *lines = arena_alloc(authd->arena,
	    LOG_PAGE * sizeof(*lines));
	struct err err = ERR_INIT;
	struct ipc_out *out;
	size_t n = 0, i;
	int rc = secrets_log_read(authd->secrets, after, limit < LOG_PAGE ?
	    (size_t)limit : LOG_PAGE, authd->arena, lines, &n, &err);

	if (rc != 0) {
		ipc_reply_err(req, rc, "%s", err_text(&err));
		return;
	}
	out = ipc_reply_begin(req);
	for (i = 0; i < n && ipc_room(out) > 2048; i++) {
		ipc_put_u64(out, lines[i].id);
		ipc_put_u64(out, lines[i].when_us);
		ipc_put_str(out, lines[i].actor);
		ipc_put_str(out, lines[i].verb);
		ipc_put_str(out, lines[i].object);
	}
	ipc_reply_end(out, -1);
}

/* ---- links ---- */

static ipc_handler *const handlers[] = {
	[AUTH_START] = exchange_on_start,
	[AUTH_STEP] = exchange_on_step,
	[AUTH_CANCEL] = exchange_on_cancel,
	[AUTH_LOGIN] = exchange_on_login,
	[AUTH_SET_PASSWORD] = on_set_password,
	[AUTH_FORGET] = on_forget,
	[AUTH_LOG] = on_log,
};

#define FRONT_MAY (1U << AUTH_START | 1U << AUTH_STEP | 1U << AUTH_CANCEL | \
	1U << AUTH_LOGIN)
#define ADMIN_MAY (1U << AUTH_SET_PASSWORD | 1U << AUTH_FORGET | \
	1U << AUTH_LOG)

static void
on_client_gone(void *ctx, struct ipc_link *link)
{
	struct client *client = ctx;

	ipc_link_free(&link);
	exchange_end_all(client);
	table_free(&client->exchanges);
	list_del(&client->node);
	free(client);
}

static void
came(struct child *child, struct str peer, int fd)
{
	struct authd *authd = child->ctx;
	struct client *client = calloc(1, sizeof(*client));

	invariant(client != NULL);
	client->authd = authd;
	client->exchanges = table_new();
	list_init(&client->by_age);
	list_add(&authd->clients, &client->node);
	client->link = ipc_serve(child->loop, &ipc_auth, fd, peer, handlers,
	    client, on_client_gone);
	ipc_link_allow(client->link, str_eq(peer, STR("admind")) ? ADMIN_MAY :
	    FRONT_MAY);
}

static void
on_directory_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct authd *authd = ctx;

	if (type == DIR_CHANGED)
		remember_forget(authd->remember, ipc_get_u64(in));
}

/* mboxd is there, for the first time or again: it learns the key. */
static void
on_mboxd(void *ctx, struct ipc_link *link)
{
	unsigned char half[TICKET_KEY_OCTETS];
	struct authd *authd = ctx;
	struct err err = ERR_INIT;
	struct ipc_out *out;

	if (ticket_key_public(authd->ticket_key, half, &err) != 0) {
		ev_error(NULL, "auth.ticket.failed", EV_ERR(&err));
		return;
	}
	out = ipc_begin(link, MBOX_TICKET_KEY);
	ipc_put_str(out, str_make(half, sizeof(half)));
	if (ipc_send(out, -1) != 0)
		ev_warn(NULL, "auth.ticket.untold");
}

/* ---- life ---- */

static void
on_tidy(void *ctx)
{
	struct authd *authd = ctx;
	struct client *client, *tmp;

	list_each(client, tmp, &authd->clients, struct client, node)
		exchange_tidy(client);
	loop_timer_start(&authd->tidy, TIDY_MS);
}

/* Its peers see a lost link and ask again; hikyakud starts us anew. */
static void
on_worker_gone(void *ctx)
{
	struct authd *authd = ctx;

	ev_error(NULL, "auth.worker.died");
	secrets_close(&authd->secrets);
	_exit(1);
}

static void
read_config(struct authd *authd)
{
	rate_set_max(authd->rate, child_config_u64(authd->child,
	    "rate_auth_failures", 10));
	rate_set_max(authd->names, child_config_u64(authd->child,
	    "rate_account_failures", 5));
	rate_set_max(authd->names_day, child_config_u64(authd->child,
	    "rate_account_failures_day", 100));
	remember_set_life(authd->remember, child_config_u64(authd->child,
	    "remember_password", 300));
}

/* The workers' sandbox: nothing but memory and their socket. */
static struct hasher *
fork_workers(struct child *child, struct err *err)
{
	struct sandbox sandbox = {
		.user = "_hikyaku-authd", .files_max = 16,
		.root = child_dir(child, "data/empty"),
		.address_octets = WORKER_ADDRESS_OCTETS,
		.is_degraded_ok = child->sandbox.is_degraded_ok,
	};

	return hasher_fork((unsigned)child_config_u64(child, "workers_hash",
	    2), &sandbox, err);
}

static int
prepare(struct child *child, struct err *err)
{
	struct authd *authd = child->ctx;
	struct hash_keys warm;

	authd->child = child;
	child->sandbox.user = "_hikyaku-authd";
	child->sandbox.groups = SB_FILES | SB_MODES;
	child->sandbox.files_max = 256;
	authd->path = child_enter_dir(child, "data/secrets",
	    SB_READ | SB_WRITE);
	/* OpenSSL and ICU load what they need at first use. */
	memset(&warm, 0, sizeof(warm));
	hash_fake_keys(warm.stored_key, STR("warm"), &warm);
	authd->hasher = fork_workers(child, err);
	if (authd->hasher == NULL || mechanism_load(err) != 0)
		return ERR_TEMP;
	authd->prep = prep_open(err);
	authd->ticket_key = ticket_key_new(err);
	return authd->prep != NULL && authd->ticket_key != NULL ? 0 :
	    ERR_TEMP;
}

static int
start(struct child *child, struct err *err)
{
	struct authd *authd = child->ctx;
	char path[4096];

	list_init(&authd->clients);
	authd->arena = arena_new(65536);
	authd->rate = rate_new(10, MINUTE_MS);
	authd->names = rate_new(5, MINUTE_MS);
	authd->names_day = rate_new(100, DAY_MS);
	authd->remember = remember_new(300);
	read_config(authd);
	hash_dummy(authd->dummy);
	hasher_start(authd->hasher, child->loop, on_worker_gone, authd);
	loop_timer_init(&authd->tidy, child->loop, on_tidy, authd);
	loop_timer_start(&authd->tidy, TIDY_MS);
	(void)snprintf(path, sizeof(path), "%s/secrets.db", authd->path);
	return secrets_open(&authd->secrets, path, err);
}

static void
reload(struct child *child)
{
	read_config(child->ctx);
}

static void
stop(struct child *child)
{
	struct authd *authd = child->ctx;

	hasher_free(&authd->hasher);
	secrets_close(&authd->secrets);
	remember_free(&authd->remember);
	child_exit(child);
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "directoryd", .proto = &ipc_dir,
		    .push = on_directory_push },
		{ .server = "mboxd", .proto = &ipc_mbox,
		    .attached = on_mboxd },
		{ .server = NULL },
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_auth, .accept = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "authd", .ctx_size = sizeof(struct authd),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start, .reload = reload, .stop = stop,
	};

	return child_main(argc, argv, &spec);
}
