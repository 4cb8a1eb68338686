/* SPDX-License-Identifier: ISC */
/* exchange: SASL exchanges of the fronts, by their own session numbers. */
#include "authd/authd.h"
#include "base/log.h"
#include "base/table.h"
#include "base/when.h"

#define EXCHANGE_MS 120000
#define EXCHANGES_MAX 20000

struct exchange {
	struct list node;
	struct client *client;
	struct mechanism *mechanism;
	struct origin origin;
	uint64_t began_ms;
	bool is_counted;	/* an attempt that has not failed yet */
};

static void
exchange_free(struct exchange *x)
{
	struct authd *authd = x->client->authd;

	/* Given up is not failed. */
	if (x->is_counted)
		rate_succeeded(authd->rate, str_of(x->origin.remote));
	(void)table_del_u64(x->client->exchanges, x->origin.session);
	list_del(&x->node);
	mechanism_free(&x->mechanism);
	authd->exchanges--;
	free(x);
}

void
exchange_end_all(struct client *client)
{
	struct exchange *x;

	while ((x = list_first(&client->by_age, struct exchange, node)) !=
	    NULL)
		exchange_free(x);
}

void
exchange_tidy(struct client *client)
{
	uint64_t now = when_mono_ms();
	struct exchange *x;

	while ((x = list_first(&client->by_age, struct exchange, node)) !=
	    NULL && now - x->began_ms > EXCHANGE_MS)
		exchange_free(x);
}

/* ---- steps ---- */

static bool
find_keys(void *ctx, struct str user, struct hash_keys *keys_r)
{
	struct exchange *x = ctx;

	return login_keys(x->client->authd, &x->origin, user, keys_r);
}

static const enum auth_status statuses[] = {
	[MECHANISM_CONTINUE] = AUTH_S_CONTINUE,
	[MECHANISM_PASSWORD] = AUTH_S_OK,
	[MECHANISM_PROVEN] = AUTH_S_OK,
	[MECHANISM_FAILED] = AUTH_S_FAILED,
	[MECHANISM_BAD] = AUTH_S_BAD,
	[MECHANISM_NONE] = AUTH_S_NO_MECHANISM,
	[MECHANISM_TEMP] = AUTH_S_UNAVAILABLE,
};

/* Answer one step; the exchange is over unless it goes on. */
static void
stepped(struct exchange *x, struct ipc_req *req,
    enum mechanism_result result, struct str data)
{
	struct authd *authd = x->client->authd;
	struct origin origin = x->origin;

	if (result == MECHANISM_CONTINUE) {
		login_reply(req, AUTH_S_CONTINUE, data);
		return;
	}
	origin.is_limited = x->is_counted;
	if (result == MECHANISM_PASSWORD) {
		origin.is_limited = x->origin.is_limited;
		login_password(authd, &origin, req,
		    mechanism_user(x->mechanism),
		    mechanism_password(x->mechanism));
	} else if (result == MECHANISM_PROVEN) {
		x->is_counted = false;
		login_proven(authd, &origin, req,
		    mechanism_user(x->mechanism), data);
	} else {
		x->is_counted = false;
		login_unproven(authd, &origin, req,
		    mechanism_user(x->mechanism), statuses[result]);
	}
	exchange_free(x);
}

static void
wipe(struct str s)
{
	explicit_bzero((char *)(uintptr_t)s.p, s.len);
}

static void
set_origin(struct origin *origin, uint64_t session, struct str protocol,
    struct str remote, struct str service, struct str zone)
{
	memset(origin, 0, sizeof(*origin));
	origin->session = session;
	origin->mechanism = "PLAIN";
	(void)snprintf(origin->protocol, sizeof(origin->protocol), "%.*s",
	    STR_FMT(protocol));
	(void)snprintf(origin->remote, sizeof(origin->remote), "%.*s",
	    STR_FMT(remote));
	(void)snprintf(origin->service, sizeof(origin->service), "%.*s",
	    STR_FMT(service));
	(void)snprintf(origin->zone, sizeof(origin->zone), "%.*s",
	    STR_FMT(zone));
	origin->is_limited = !str_eq(zone, STR("loopback"));
}

static struct exchange *
exchange_new(struct client *client, const struct origin *origin)
{
	struct exchange *x = calloc(1, sizeof(*x));

	invariant(x != NULL);
	x->client = client;
	x->origin = *origin;
	x->began_ms = when_mono_ms();
	x->mechanism = mechanism_new(origin->protocol, find_keys, x);
	(void)table_put_u64(client->exchanges, origin->session, x);
	list_add(&client->by_age, &x->node);
	client->authd->exchanges++;
	return x;
}

/* A proof takes no hash worker; its attempts are counted here. */
static bool
may_begin(struct exchange *x)
{
	if (!mechanism_is_proof(x->origin.mechanism) ||
	    !x->origin.is_limited)
		return true;
	x->is_counted = rate_begin(x->client->authd->rate,
	    str_of(x->origin.remote));
	return x->is_counted;
}

static void
begin(struct client *client, const struct origin *origin,
    struct ipc_req *req, bool has_initial, struct str initial)
{
	struct exchange *old = table_get_u64(client->exchanges,
	    origin->session);
	enum mechanism_result result;
	struct exchange *x;
	struct str data;

	if (old != NULL)
		exchange_free(old);
	if (client->authd->exchanges >= EXCHANGES_MAX) {
		login_reply(req, AUTH_S_UNAVAILABLE, STR(""));
		return;
	}
	x = exchange_new(client, origin);
	if (x->mechanism == NULL || !may_begin(x)) {
		login_reply(req, AUTH_S_UNAVAILABLE, STR(""));
		exchange_free(x);
		return;
	}
	result = mechanism_start(x->mechanism, str_of(origin->mechanism),
	    has_initial, initial, &data);
	stepped(x, req, result, data);
}

/* ---- requests ---- */

void
exchange_on_start(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	uint64_t session = ipc_get_u64(in);
	struct str protocol = ipc_get_str(in), name = ipc_get_str(in);
	bool has_initial = ipc_get_bool(in), has_tls;
	struct str initial = ipc_get_str(in), remote, service, zone;
	struct origin origin;

	has_tls = ipc_get_bool(in);
	remote = ipc_get_str(in);
	service = ipc_get_str(in);
	zone = ipc_get_str(in);
	set_origin(&origin, session, protocol, remote, service,
	    zone);
	origin.mechanism = mechanism_name(name);
	/* Without TLS there are no mechanisms. */
	if (origin.mechanism == NULL || !has_tls)
		login_reply(req, AUTH_S_NO_MECHANISM, STR(""));
	else
		begin(client, &origin, req, has_initial, initial);
	wipe(initial);
}

void
exchange_on_step(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	struct exchange *x = table_get_u64(client->exchanges,
	    ipc_get_u64(in));
	struct str response = ipc_get_str(in), data;
	enum mechanism_result result;

	/* Forgotten meanwhile: too old, or authd was restarted. */
	if (x == NULL) {
		login_reply(req, AUTH_S_UNAVAILABLE, STR(""));
	} else {
		result = mechanism_step(x->mechanism, response, &data);
		stepped(x, req, result, data);
	}
	wipe(response);
}

void
exchange_on_cancel(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	struct exchange *x = table_get_u64(client->exchanges,
	    ipc_get_u64(in));

	(void)req;
	if (x != NULL)
		exchange_free(x);
}

void
exchange_on_login(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	uint64_t session = ipc_get_u64(in);
	struct str protocol = ipc_get_str(in), user = ipc_get_str(in);
	struct str password = ipc_get_str(in), remote, service, zone;
	bool has_tls = ipc_get_bool(in);
	struct origin origin;

	remote = ipc_get_str(in);
	service = ipc_get_str(in);
	zone = ipc_get_str(in);
	set_origin(&origin, session, protocol, remote, service,
	    zone);
	if (!has_tls)
		login_reply(req, AUTH_S_NO_MECHANISM, STR(""));
	else
		login_password(client->authd, &origin, req, user, password);
	wipe(password);
}
