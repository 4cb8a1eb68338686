/* SPDX-License-Identifier: ISC */
#include "authd/mechanism.h"

#include <malloc.h>
#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include "authd/prep.h"
#include "base/rand.h"

#define USER_MAX 512
#define TLS_SSF 256

struct mechanism {
	sasl_conn_t *conn;
	sasl_callback_t callbacks[2];
	mechanism_keys *keys;
	void *ctx;
	char user[USER_MAX + 1];
	struct buf password;
	bool has_password;
	bool is_unavailable;
};

static const char *const names[] = { "PLAIN", "LOGIN", "SCRAM-SHA-256" };

/* libsasl's callbacks are pointers to functions of no type. */
#define CALLBACK(function) ((int (*)(void))(uintptr_t)(function))

const char *
mechanism_name(struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq_nocase(name, str_of(names[i])))
			return names[i];
	return NULL;
}

bool
mechanism_is_proof(const char *name)
{
	return strcmp(name, "SCRAM-SHA-256") == 0;
}

/* ---- what libsasl asks of us ---- */

/*
 * libsasl makes nonces with jrand48() from 48 bits that it reads of
 * /dev/urandom, which is not there in the sandbox. This stands in for the C
 * library's function, and every nonce is the kernel's.
 */
long
jrand48(unsigned short state[3])
{
	int32_t value;

	(void)state;
	rand_bytes(&value, sizeof(value));
	return value;
}

static void *
wiping_realloc(void *old, size_t size)
{
	void *p = malloc(size);
	size_t had = old != NULL ? malloc_usable_size(old) : 0;

	if (p == NULL || old == NULL)
		return p;
	memcpy(p, old, had < size ? had : size);
	explicit_bzero(old, had);
	free(old);
	return p;
}

static void
wiping_free(void *p)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static int
get_option(void *ctx, const char *plugin, const char *option,
    const char **result, unsigned *len)
{
	static const char *const options[][2] = {
		{ "mech_list", "PLAIN LOGIN SCRAM-SHA-256" },
		{ "auxprop_plugin", "hikyaku" },
		/* Never reached: our callback says yes or no first. */
		{ "pwcheck_method", "auxprop" },
		{ "log_level", "0" },
	};
	size_t i;

	(void)ctx;
	(void)plugin;
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(option, options[i][0]) != 0)
			continue;
		*result = options[i][1];
		if (len != NULL)
			*len = (unsigned)strlen(options[i][1]);
		return SASL_OK;
	}
	return SASL_FAIL;
}

/* Its texts may name users; what matters is logged by ourselves. */
static int
drop_log(void *ctx, int level, const char *message)
{
	(void)ctx;
	(void)level;
	(void)message;
	return SASL_OK;
}

/* No configuration files, and of the plugins only those of our mechanisms:
 * what is not loaded cannot be attacked. */
static int
verify_file(void *ctx, const char *file, sasl_verify_type_t type)
{
	static const char *const wanted[] = { "libplain.", "liblogin.",
	    "libscram." };
	const char *name = strrchr(file, '/');
	size_t i;

	(void)ctx;
	name = name != NULL ? name + 1 : file;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (strncmp(name, wanted[i], strlen(wanted[i])) == 0)
			return SASL_OK;
	return SASL_CONTINUE;
}

/* PLAIN and LOGIN: keep what is to be checked. "OK" is not the last word. */
static int
keep_password(sasl_conn_t *conn, void *ctx, const char *user,
    const char *password, unsigned len, struct propctx *props)
{
	struct mechanism *m = ctx;

	(void)conn;
	(void)props;
	if (strlen(user) > USER_MAX || len > PASSWORD_MAX)
		return SASL_BADAUTH;
	(void)snprintf(m->user, sizeof(m->user), "%s", user);
	buf_reset(&m->password);
	buf_add(&m->password, password, len);
	m->has_password = true;
	return SASL_OK;
}

/* ---- SCRAM keys ---- */

/* RFC 5803: "SCRAM-SHA-256$iterations:salt$stored key:server key". */
static void
format_keys(const struct hash_keys *keys, struct buf *out)
{
	buf_addf(out, "SCRAM-SHA-256$%llu:",
	    (unsigned long long)keys->iterations);
	buf_add_base64(out, keys->salt, sizeof(keys->salt));
	buf_add_char(out, '$');
	buf_add_base64(out, keys->stored_key, sizeof(keys->stored_key));
	buf_add_char(out, ':');
	buf_add_base64(out, keys->server_key, sizeof(keys->server_key));
}

/* The exchange that a plugin's call belongs to. */
static struct mechanism *
mechanism_of(sasl_server_params_t *params)
{
	sasl_callback_ft proc;
	void *ctx = NULL;

	if (params->utils->getcallback(params->utils->conn,
	    SASL_CB_SERVER_USERDB_CHECKPASS, &proc, &ctx) != SASL_OK)
		return NULL;
	return ctx;
}

static int
look_up(void *glob, sasl_server_params_t *params, unsigned flags,
    const char *user, unsigned len)
{
	const struct propval *wanted = params->utils->prop_get(
	    params->propctx);
	struct mechanism *m = mechanism_of(params);
	struct hash_keys keys;
	struct buf text;

	(void)glob;
	if (m == NULL || (flags & SASL_AUXPROP_AUTHZID) != 0)
		return SASL_OK;
	for (; wanted != NULL && wanted->name != NULL; wanted++) {
		if (strcmp(wanted->name, "*authPassword") != 0)
			continue;
		/* For the log, should the proof fail. */
		(void)snprintf(m->user, sizeof(m->user), "%.*s", (int)len,
		    user);
		if (!m->keys(m->ctx, str_make(user, len), &keys)) {
			m->is_unavailable = true;
			return SASL_UNAVAIL;
		}
		buf_init(&text, 512);
		format_keys(&keys, &text);
		buf_add_char(&text, '\0');
		(void)params->utils->prop_set(params->propctx, wanted->name,
		    buf_str(&text).p, (int)text.len - 1);
		explicit_bzero(text.p, text.cap);
		explicit_bzero(&keys, sizeof(keys));
		buf_fini(&text);
		/* The table has moved. */
		return SASL_OK;
	}
	return SASL_OK;
}

static int
auxprop_init(const sasl_utils_t *utils, int max_version, int *out_version,
    sasl_auxprop_plug_t **plug, const char *name)
{
	static char plug_name[] = "hikyaku";
	static sasl_auxprop_plug_t plugin = { .auxprop_lookup = look_up,
	    .name = plug_name };

	(void)utils;
	(void)name;
	if (max_version < SASL_AUXPROP_PLUG_VERSION)
		return SASL_BADVERS;
	*out_version = SASL_AUXPROP_PLUG_VERSION;
	*plug = &plugin;
	return SASL_OK;
}

/* ---- loading ---- */

static bool
has_mechanism(const char *name)
{
	struct mechanism *m = mechanism_new("smtp", NULL, NULL);
	const char *list = NULL;
	bool has = m != NULL && sasl_listmech(m->conn, NULL, " ", " ", " ",
	    &list, NULL, NULL) == SASL_OK;
	char word[32];

	(void)snprintf(word, sizeof(word), " %s ", name);
	has = has && strstr(list, word) != NULL;
	mechanism_free(&m);
	return has;
}

int
mechanism_load(struct err *err)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_GETOPT, CALLBACK(get_option), NULL },
		{ SASL_CB_LOG, CALLBACK(drop_log), NULL },
		{ SASL_CB_VERIFYFILE, CALLBACK(verify_file), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	size_t i;

	sasl_set_alloc(malloc, calloc, wiping_realloc, wiping_free);
	if (sasl_server_init(callbacks, "hikyaku") != SASL_OK ||
	    sasl_auxprop_add_plugin("hikyaku", auxprop_init) != SASL_OK)
		return err_set(err, ERR_TEMP, "libsasl does not start");
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!has_mechanism(names[i]))
			return err_set(err, ERR_NOTFOUND, "libsasl has no %s "
			    "(package libsasl2-modules)", names[i]);
	return 0;
}

/* ---- an exchange ---- */

struct mechanism *
mechanism_new(const char *protocol, mechanism_keys *keys, void *ctx)
{
	sasl_security_properties_t props = {
	    .security_flags = SASL_SEC_NOANONYMOUS };
	struct mechanism *m = calloc(1, sizeof(*m));
	sasl_ssf_t ssf = TLS_SSF;

	invariant(m != NULL);
	m->keys = keys;
	m->ctx = ctx;
	password_buf_init(&m->password);
	m->callbacks[0] = (sasl_callback_t){ SASL_CB_SERVER_USERDB_CHECKPASS,
	    CALLBACK(keep_password), m };
	m->callbacks[1] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (sasl_server_new(protocol, "localhost", NULL, NULL, NULL,
	    m->callbacks, SASL_SUCCESS_DATA, &m->conn) != SASL_OK ||
	    sasl_setprop(m->conn, SASL_SEC_PROPS, &props) != SASL_OK ||
	    sasl_setprop(m->conn, SASL_SSF_EXTERNAL, &ssf) != SASL_OK)
		mechanism_free(&m);
	return m;
}

void
mechanism_free(struct mechanism **m)
{
	if (*m == NULL)
		return;
	sasl_dispose(&(*m)->conn);
	password_buf_fini(&(*m)->password);
	free(*m);
	*m = NULL;
}

static enum mechanism_result
finish(struct mechanism *m)
{
	const void *user = NULL;

	if (m->has_password)
		return MECHANISM_PASSWORD;
	if (sasl_getprop(m->conn, SASL_USERNAME, &user) != SASL_OK ||
	    user == NULL || strlen(user) > USER_MAX)
		return MECHANISM_FAILED;
	(void)snprintf(m->user, sizeof(m->user), "%s", (const char *)user);
	return MECHANISM_PROVEN;
}

static enum mechanism_result
result_of(struct mechanism *m, int rc)
{
	if (m->is_unavailable)
		return MECHANISM_TEMP;
	switch (rc) {
	case SASL_OK:
		return finish(m);
	case SASL_CONTINUE:
		return MECHANISM_CONTINUE;
	case SASL_NOMECH:
		return MECHANISM_NONE;
	case SASL_BADPROT:
	case SASL_BADPARAM:
	case SASL_BUFOVER:
		return MECHANISM_BAD;
	case SASL_NOMEM:
	case SASL_TRYAGAIN:
	case SASL_UNAVAIL:
		return MECHANISM_TEMP;
	default:
		return MECHANISM_FAILED;
	}
}

enum mechanism_result
mechanism_start(struct mechanism *m, struct str name, bool has_initial,
    struct str initial, struct str *data_r)
{
	const char *known = mechanism_name(name), *out = NULL;
	unsigned out_len = 0;
	int rc;

	*data_r = STR_NONE;
	if (known == NULL)
		return MECHANISM_NONE;
	rc = sasl_server_start(m->conn, known, !has_initial ? NULL :
	    initial.p != NULL ? initial.p : "", (unsigned)initial.len, &out,
	    &out_len);
	if (out != NULL)
		*data_r = str_make(out, out_len);
	return result_of(m, rc);
}

enum mechanism_result
mechanism_step(struct mechanism *m, struct str response, struct str *data_r)
{
	const char *out = NULL;
	unsigned out_len = 0;
	int rc;

	rc = sasl_server_step(m->conn, response.p != NULL ? response.p : "",
	    (unsigned)response.len, &out, &out_len);
	*data_r = out != NULL ? str_make(out, out_len) : STR_NONE;
	return result_of(m, rc);
}

struct str
mechanism_user(const struct mechanism *m)
{
	return str_of(m->user);
}

struct str
mechanism_password(const struct mechanism *m)
{
	return buf_str(&m->password);
}
