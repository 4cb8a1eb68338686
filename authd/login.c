/* SPDX-License-Identifier: ISC */
#include "authd/authd.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/when.h"
#include "directory/directory.h"
#include "ipc/ticket.h"

#define DIRECTORY_MS 10000
#define NAME_SIZE 321

struct login {
	struct authd *authd;
	struct ipc_req *req;
	struct origin origin;
	struct secret secret;	/* account 0: there is none */
	struct buf password;	/* prepared; empty for a proof */
	struct buf data;	/* the mechanism's last words */
	char user[512];		/* as it was given, for the log */
	char name[NAME_SIZE];	/* canonical: what guesses are counted by */
	bool is_name_counted;
};

static void
reply_full(struct ipc_req *req, enum auth_status status, struct str data,
    uint64_t account, struct str user, struct str ticket)
{
	struct ipc_out *out = ipc_reply_begin(req);

	ipc_put_u64(out, (uint64_t)status);
	ipc_put_str(out, data);
	ipc_put_u64(out, account);
	ipc_put_str(out, user);
	ipc_put_str(out, ticket);
	ipc_reply_end(out, -1);
}

void
login_reply(struct ipc_req *req, enum auth_status status, struct str data)
{
	reply_full(req, status, data, 0, STR(""), STR(""));
}

static void
log_failed(const struct origin *origin, struct str user, const char *reason)
{
	ev_info(NULL, "auth.login.failed", EV_STR(user, user),
	    EV_CSTR(protocol, origin->protocol),
	    EV_CSTR(remote, origin->remote),
	    EV_CSTR(mechanism, origin->mechanism), EV_CSTR(reason, reason));
}

static void
login_free(struct login *login)
{
	password_buf_fini(&login->password);
	buf_fini(&login->data);
	explicit_bzero(login, sizeof(*login));
	free(login);
}

static void
refuse(struct login *login, enum auth_status status, const char *reason)
{
	log_failed(&login->origin, str_of(login->user), reason);
	login_reply(login->req, status, STR(""));
	login_free(login);
}

static void
take_back(struct login *login)
{
	struct authd *authd = login->authd;
	struct str name = str_of(login->name);

	if (login->origin.is_limited)
		rate_succeeded(authd->rate, str_of(login->origin.remote));
	if (!login->is_name_counted)
		return;
	rate_succeeded_name(authd->names, name);
	rate_succeeded_name(authd->names_day, name);
	login->is_name_counted = false;
}

/* ---- guesses ---- */

static bool
is_known_network(const struct authd *authd, const struct origin *origin,
    uint64_t account)
{
	unsigned char octets[RATE_NETWORK_OCTETS];

	return secrets_knows(authd->secrets, account,
	    rate_network(str_of(origin->remote), octets));
}

/* Is the name locked for whoever asks now? */
static bool
is_locked(const struct authd *authd, const struct origin *origin,
    struct str name, uint64_t account)
{
	return origin->is_limited && (
	    !rate_allows_name(authd->names, name) ||
	    !rate_allows_name(authd->names_day, name)) &&
	    !is_known_network(authd, origin, account);
}

static bool
is_login_locked(const struct login *login)
{
	return is_locked(login->authd, &login->origin, str_of(login->name),
	    login->secret.account);
}

/* One attempt more, until it is taken back. False: not counted. */
static bool
count_name(const struct authd *authd, const struct origin *origin,
    struct str name, uint64_t account)
{
	if (!origin->is_limited || is_known_network(authd, origin, account))
		return false;
	(void)rate_begin_name(authd->names, name);
	(void)rate_begin_name(authd->names_day, name);
	return true;
}

static void
remember_network(const struct login *login)
{
	unsigned char octets[RATE_NETWORK_OCTETS];
	struct err err = ERR_INIT;
	struct str network = rate_network(str_of(login->origin.remote),
	    octets);

	if (login->origin.is_limited && network.len != 0 &&
	    secrets_know(login->authd->secrets, login->secret.account,
	    network, &err) != 0)
		ev_warn(NULL, "auth.network.unwritten", EV_ERR(&err));
}

/* ---- who it is ---- */

/* The secret of a login name. ERR_NOTFOUND also for what is no address. */
static int
find_secret(struct authd *authd, struct str user, struct secret *secret_r)
{
	struct err err = ERR_INIT;
	struct str canon;
	int rc;

	memset(secret_r, 0, sizeof(*secret_r));
	arena_reset(authd->arena);
	if (user.len > 320 || directory_canon(authd->arena, user, &canon,
	    NULL) != 0)
		canon = STR("\x01");	/* asks the same, finds nothing */
	rc = secrets_find(authd->secrets, canon, secret_r, &err);
	if (rc != 0 && rc != ERR_NOTFOUND)
		ev_error(NULL, "auth.secrets.failed", EV_ERR(&err));
	if (rc != 0)
		secret_r->account = 0;
	return rc;
}

/* The name as guesses are counted by; all that is no address, together. */
static void
count_key(struct authd *authd, struct str user, char name_r[NAME_SIZE])
{
	struct str canon;

	arena_reset(authd->arena);
	if (user.len > 320 || directory_canon(authd->arena, user, &canon,
	    NULL) != 0)
		canon = STR("?");
	(void)snprintf(name_r, NAME_SIZE, "%.*s", STR_FMT(canon));
}

bool
login_keys(struct authd *authd, struct origin *origin, struct str user,
    struct hash_keys *keys_r)
{
	struct hash_keys fake;
	struct secret secret;
	char name[NAME_SIZE];
	int rc = find_secret(authd, user, &secret);

	count_key(authd, user, name);
	/* Both are computed, so that both take the same time. */
	hash_fake_keys(secrets_fake_key(authd->secrets), user, &fake);
	*keys_r = rc == 0 ? secret.keys : fake;
	/* While the name is locked no proof is right, or the mechanism's own
	 * answer would tell which one is; the salt stays as it was. */
	if (is_locked(authd, origin, str_of(name), secret.account)) {
		memcpy(keys_r->stored_key, fake.stored_key,
		    sizeof(fake.stored_key));
		memcpy(keys_r->server_key, fake.server_key,
		    sizeof(fake.server_key));
	} else if (!origin->is_name_counted) {
		/* Now, not at its end: else many begun at once would all
		 * come before the lock. */
		origin->is_name_counted = count_name(authd, origin,
		    str_of(name), secret.account);
	}
	explicit_bzero(&secret, sizeof(secret));
	return rc == 0 || rc == ERR_NOTFOUND;
}

static struct login *
login_new(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user)
{
	struct login *login = calloc(1, sizeof(*login));

	invariant(login != NULL);
	login->authd = authd;
	login->req = req;
	login->origin = *origin;
	login->is_name_counted = origin->is_name_counted;
	password_buf_init(&login->password);
	buf_init(&login->data, 8192);
	(void)snprintf(login->user, sizeof(login->user), "%.*s",
	    STR_FMT(user));
	count_key(authd, user, login->name);
	return login;
}

/* ---- the end: the account, and the ticket ---- */

static int
make_ticket(const struct login *login, struct str user, struct buf *ticket,
    struct err *err)
{
	int64_t now = when_wall_s();
	struct ticket t = {
		.account = login->secret.account, .issued_s = now,
		.expires_s = now + TICKET_LIFE_S,
		.session = login->origin.session, .serial = rand_u64(),
		.protocol = str_of(login->origin.protocol), .user = user,
	};

	return ticket_sign(&t, login->authd->ticket_key, ticket, err);
}

static void
succeed(struct login *login, struct str user)
{
	struct err err = ERR_INIT;
	struct buf ticket;

	buf_init(&ticket, TICKET_MAX);
	if (make_ticket(login, user, &ticket, &err) != 0) {
		buf_fini(&ticket);
		refuse(login, AUTH_S_UNAVAILABLE, err_text(&err));
		return;
	}
	remember_network(login);
	ev_info(NULL, "auth.login.ok", EV_STR(user, user),
	    EV_U64(account, login->secret.account),
	    EV_CSTR(protocol, login->origin.protocol),
	    EV_CSTR(remote, login->origin.remote),
	    EV_CSTR(mechanism, login->origin.mechanism));
	reply_full(login->req, AUTH_S_OK, buf_str(&login->data),
	    login->secret.account, user, buf_str(&ticket));
	buf_fini(&ticket);
	login_free(login);
}

static void
on_directory(void *ctx, int code, struct ipc_in *in)
{
	struct login *login = ctx;
	struct str address;
	uint64_t account;

	if (code != 0) {
		refuse(login, code == ERR_NOTFOUND ? AUTH_S_FAILED :
		    AUTH_S_UNAVAILABLE, code == ERR_NOTFOUND ?
		    "no such account" : "directoryd does not answer");
		return;
	}
	account = ipc_get_u64(in);
	(void)ipc_get_u64(in);
	address = ipc_get_str(in);
	if (account != login->secret.account)
		refuse(login, AUTH_S_FAILED, "secret of an older account");
	else if (!ipc_get_bool(in))
		refuse(login, AUTH_S_FAILED, "disabled");
	else if (!ipc_get_bool(in))
		refuse(login, AUTH_S_FAILED, "not by this service from this "
		    "zone");
	else
		succeed(login, address);
}

static void
ask_directory(struct login *login)
{
	struct ipc_out *out = ipc_begin(child_link(login->authd->child,
	    "directoryd"), DIR_LOGIN);

	ipc_put_str(out, str_of(login->secret.address));
	ipc_put_str(out, str_of(login->origin.service));
	ipc_put_str(out, str_of(login->origin.zone));
	(void)ipc_call(out, -1, DIRECTORY_MS, on_directory, login);
}

/* ---- passwords ---- */

static struct remember_key
memory_key(const struct login *login)
{
	return (struct remember_key){
		.account = login->secret.account,
		.changed_us = login->secret.changed_us,
		.address = str_of(login->secret.address),
		.mechanism = STR("password"),
		.protocol = str_of(login->origin.protocol),
		.remote = str_of(login->origin.remote),
		.password = buf_str(&login->password),
	};
}

static void
on_verified(void *ctx, int code, struct ipc_in *in)
{
	struct login *login = ctx;
	struct remember_key key;

	if (code != 0) {
		take_back(login);
		refuse(login, AUTH_S_UNAVAILABLE, "hash worker");
		return;
	}
	if (!ipc_get_bool(in) || login->secret.account == 0) {
		refuse(login, AUTH_S_FAILED, "wrong user or password");
		return;
	}
	take_back(login);
	key = memory_key(login);
	remember_add(login->authd->remember, &key);
	ask_directory(login);
}

static void
verify(struct login *login)
{
	struct authd *authd = login->authd;
	bool is_known = login->secret.account != 0;

	if (login->origin.is_limited && !rate_begin(authd->rate,
	    str_of(login->origin.remote))) {
		refuse(login, AUTH_S_UNAVAILABLE, "too many failures");
		return;
	}
	if (is_login_locked(login)) {
		refuse(login, AUTH_S_UNAVAILABLE, "too many failures for "
		    "this name");
		return;
	}
	login->is_name_counted = count_name(authd, &login->origin,
	    str_of(login->name), login->secret.account);
	if (hasher_verify(authd->hasher, buf_str(&login->password),
	    str_of(is_known ? login->secret.keys.argon2 : authd->dummy),
	    on_verified, login) != 0) {
		take_back(login);
		refuse(login, AUTH_S_UNAVAILABLE, "too many logins at once");
	}
}

void
login_password(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user, struct str password)
{
	struct login *login = login_new(authd, origin, req, user);
	struct remember_key key;
	int rc = find_secret(authd, user, &login->secret);

	if (rc != 0 && rc != ERR_NOTFOUND) {
		refuse(login, AUTH_S_UNAVAILABLE, "secrets.db");
		return;
	}
	/* What cannot be a password costs as much as a wrong one. */
	if (prep_password(authd->prep, password, &login->password, NULL) !=
	    0) {
		buf_reset(&login->password);
		buf_add_char(&login->password, '\x01');
	}
	key = memory_key(login);
	if (rc == 0 && remember_has(authd->remember, &key))
		ask_directory(login);
	else
		verify(login);
}

/* ---- proofs ---- */

void
login_proven(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user, struct str data)
{
	struct login *login = login_new(authd, origin, req, user);
	int rc = find_secret(authd, user, &login->secret);

	take_back(login);
	buf_add_str(&login->data, data);
	if (rc == 0 && is_login_locked(login))
		refuse(login, AUTH_S_UNAVAILABLE, "too many failures for "
		    "this name");
	else if (rc != 0)
		refuse(login, rc == ERR_NOTFOUND ? AUTH_S_FAILED :
		    AUTH_S_UNAVAILABLE, "secrets.db");
	else
		ask_directory(login);
}

void
login_unproven(struct authd *authd, const struct origin *origin,
    struct ipc_req *req, struct str user, enum auth_status status)
{
	struct login *login = login_new(authd, origin, req, user);

	if (status != AUTH_S_FAILED) {
		take_back(login);
		refuse(login, status, "exchange not finished");
		return;
	}
	(void)find_secret(authd, user, &login->secret);
	/* A lock says the same to a right proof and to a wrong one. */
	if (!login->is_name_counted && is_login_locked(login))
		refuse(login, AUTH_S_UNAVAILABLE, "too many failures for "
		    "this name");
	else
		refuse(login, status, "wrong user or password");
}
