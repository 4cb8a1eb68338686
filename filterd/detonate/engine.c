/* SPDX-License-Identifier: ISC */
#include "filterd/detonate/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "io/netaddr.h"

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define CA_MAX (4U << 20)
#define TOKEN_MAX 256U
/* Requests without an answer before an operator hears of it. */
#define FAILURES_MAX 5U

static const struct engine_ops *const kinds[] = { &engine_cape };

/* ---- files ---- */

static int
read_file(const char *path, struct buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char part[16384];
	ssize_t n = 0;

	if (fd == -1)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "%s", path);
	while (!buf_failed(out) && (n = read(fd, part, sizeof(part))) > 0)
		buf_add(out, part, (size_t)n);
	(void)close(fd);
	if (n < 0 || buf_failed(out))
		return err_set(err, ERR_LIMIT, "%s cannot be read", path);
	return 0;
}

static int
read_ca(struct engine *engine, const char *path, struct err *err)
{
	int rc;

	buf_init(&engine->ca, CA_MAX);
	if (!engine->has_tls)
		return 0;
	rc = read_file(path[0] != '\0' ? path : SYSTEM_CA, &engine->ca, err);
	if (rc == 0 && str_find_str(buf_str(&engine->ca),
	    STR("-----BEGIN CERTIFICATE-----")) == STR_NPOS)
		rc = err_set(err, ERR_SYNTAX, "%s: no certificates in PEM",
		    path);
	return rc;
}

static int
read_token(struct engine *engine, const char *path, struct err *err)
{
	struct str line, rest;
	struct buf text;
	int rc = 0;

	if (path[0] == '\0')
		return 0;
	buf_init(&text, 4096);
	rc = read_file(path, &text, err);
	line = str_trim(str_cut(buf_str(&text), '\n', &rest));
	if (rc == 0 && (line.len == 0 || line.len > TOKEN_MAX ||
	    !str_is_printable(line)))
		rc = err_set(err, ERR_SYNTAX, "%s: want a token on the first "
		    "line", path);
	if (rc == 0)
		(void)snprintf(engine->authorization,
		    sizeof(engine->authorization), "Authorization: Token %.*s",
		    STR_FMT(line));
	buf_wipe(&text);
	return rc;
}

/* ---- where it is ---- */

/*
 * URLs name the host; libcurl looks nothing up, and hikyakud connects to the
 * address whatever they say.
 */
static int
place(struct engine *engine, struct str path, struct str host,
    struct str address, struct err *err)
{
	const char *scheme = engine->has_tls ? "https" : "http";
	uint64_t port = engine->has_tls ? 443 : 80;
	char text[NETADDR_TEXT_SIZE] = "127.0.0.1";
	struct str where, rest = STR_NONE;
	struct netaddr addr;

	if (str_begins(address, STR("unix:"))) {
		host = host.len != 0 ? host : STR("localhost");
	} else {
		where = str_cut(address, '@', &rest);
		if (netaddr_parse(where, &addr, NULL) != 0 ||
		    str_to_u64(rest, 65535, &port) != 0)
			return err_set(err, ERR_SYNTAX, "no address");
		(void)netaddr_text(&addr, text);
	}
	if (host.len == 0) {
		(void)snprintf(engine->base, sizeof(engine->base),
		    strchr(text, ':') != NULL ? "%s://[%s]:%u%.*s" :
		    "%s://%s:%u%.*s", scheme, text, (unsigned)port,
		    STR_FMT(path));
		return 0;
	}
	(void)snprintf(engine->base, sizeof(engine->base), "%s://%.*s:%u%.*s",
	    scheme, STR_FMT(host), (unsigned)port, STR_FMT(path));
	(void)snprintf(engine->place, sizeof(engine->place),
	    strchr(text, ':') != NULL ? "%.*s:%u:[%s]" : "%.*s:%u:%s",
	    STR_FMT(host), (unsigned)port, text);
	return 0;
}

/* ---- life ---- */

int
engine_read(struct engine *engine, struct str name, struct str settings,
    struct str ca, struct str token, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct str rest = settings, word[5];
	size_t i;
	int rc;

	for (i = 0; i < 5; i++)
		word[i] = rest.p != NULL ? str_cut(rest, ' ', &rest) :
		    STR_NONE;
	memset(engine, 0, sizeof(*engine));
	list_init(&engine->asks);
	list_init(&engine->waiting);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (str_eq(word[0], str_of(kinds[i]->name)))
			engine->ops = kinds[i];
	(void)snprintf(engine->name, sizeof(engine->name), "%.*s",
	    STR_FMT(name));
	(void)snprintf(engine->kind, sizeof(engine->kind), "%.*s",
	    STR_FMT(word[1]));
	engine->has_tls = str_eq(word[2], STR("verify"));
	rc = engine->ops == NULL || rest.p == NULL ?
	    err_set(err, ERR_SYNTAX, "no such engine") :
	    place(engine, word[3], word[4], rest, err);
	if (rc == 0)
		rc = read_ca(engine, arena_cstr(arena, ca), err);
	if (rc == 0)
		rc = read_token(engine, arena_cstr(arena, token), err);
	arena_free(&arena);
	return rc;
}

void
engine_open(struct engine *engine, struct loop *loop,
    struct curlloop *curlloop, struct ipc_link *master,
    void (*alert)(void *ctx, const char *what), void *ctx)
{
	engine->loop = loop;
	engine->curlloop = curlloop;
	engine->master = master;
	engine->alert = alert;
	engine->alert_ctx = ctx;
}

bool
engine_is_down(const struct engine *engine)
{
	return engine->failures >= FAILURES_MAX;
}

static void
engine_went_down(struct engine *engine, const struct http_answer *answer)
{
	char reason[64], what[192];

	if (answer->status != 0)
		(void)snprintf(reason, sizeof(reason), "HTTP status %u",
		    answer->status);
	else
		(void)snprintf(reason, sizeof(reason), "%s", answer->reason);
	ev_error(NULL, "detonate.engine.down", EV_CSTR(name, engine->name),
	    EV_CSTR(reason, reason));
	(void)snprintf(what, sizeof(what), "detonation %s cannot be asked "
	    "(%s): suspicious mail waits", engine->name, reason);
	engine->alert(engine->alert_ctx, what);
}

/* Without the right token an answer is of no use either. */
void
engine_heard(struct engine *engine, const struct http_answer *answer)
{
	bool was_down = engine_is_down(engine);

	if (answer->status == 0 || answer->status == 401 ||
	    answer->status == 403) {
		if (++engine->failures == FAILURES_MAX)
			engine_went_down(engine, answer);
		return;
	}
	engine->failures = 0;
	if (!was_down)
		return;
	ev_info(NULL, "detonate.engine.back", EV_CSTR(name, engine->name));
	engine->alert(engine->alert_ctx, "");
}
