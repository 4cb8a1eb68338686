/* SPDX-License-Identifier: ISC */
#include "dnsd/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <unbound.h>
#include <unistd.h>

#include "dnsd/ubloop.h"

#define PENDING_MAX 1024
#define DEADLINE_MS 10000
#define CONF_MAX 65536
#define CLASS_IN 1

/* What the third argument of libunbound's callback means. */
enum { UB_INSECURE, UB_BOGUS, UB_SECURE };

struct resolver {
	struct loop *loop;
	struct ub_event_base *base;
	struct ub_ctx *ctx;
	size_t pending_len;	/* libunbound has not called back */
	struct list pending;
};

struct query {
	struct list node;
	struct resolver *resolver;
	struct loop_timer deadline;
	unsigned char wire[DNS_NAME_WIRE_MAX];
	size_t wire_len;
	unsigned type;
	resolver_done *done;	/* NULL: it was answered */
	void *ctx;
};

/* ---- settings ---- */

static int
read_file(const char *path, struct buf *text, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char part[4096];
	ssize_t n = 0;

	if (fd == -1)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "%s", path);
	while (!buf_failed(text) && (n = read(fd, part, sizeof(part))) > 0)
		buf_add(text, part, (size_t)n);
	(void)close(fd);
	if (buf_failed(text))
		return err_set(err, ERR_LIMIT, "%s is too large", path);
	return n == 0 ? 0 : err_set(err, ERR_TEMP, "read %s", path);
}

/* "address" or "address@port", as libunbound wants it too. */
static int
add_server(struct resolver_settings *settings, struct str text,
    struct err *err)
{
	struct str port, address = str_cut(text, '@', &port);
	struct netaddr addr;
	uint64_t number = 53;

	if (netaddr_parse(address, &addr, NULL) != 0 || (port.p != NULL &&
	    (str_to_u64(port, UINT16_MAX, &number) != 0 || number == 0)))
		return err_set(err, ERR_SYNTAX, "resolver: \"%.*s\" is no "
		    "address or address@port", STR_FMT(text));
	if (settings->servers_len == RESOLVER_SERVERS_MAX)
		return err_set(err, ERR_LIMIT, "resolver: over %d",
		    RESOLVER_SERVERS_MAX);
	(void)snprintf(settings->servers[settings->servers_len++],
	    sizeof(settings->servers[0]), "%.*s@%u", STR_FMT(address),
	    (unsigned)number);
	if (netaddr_is_loopback(&addr))
		settings->has_loopback = true;
	return 0;
}

void
resolver_settings_conf(struct resolver_settings *settings, struct str conf)
{
	struct str rest = conf, line, word;

	while (rest.p != NULL) {
		line = str_trim(str_cut(rest, '\n', &rest));
		if (!str_begins(line, STR("nameserver")))
			continue;
		word = str_trim(str_sub(line, 10, STR_NPOS));
		/* One that we cannot use (with a zone) leaves the others. */
		if (word.len != 0 && str_find(word, '@') == STR_NPOS)
			(void)add_server(settings, word, NULL);
	}
}

static int
read_servers(struct resolver_settings *settings, struct str servers,
    struct err *err)
{
	struct str rest = str_trim(servers), word;
	struct buf conf;
	int rc = 0;

	if (rest.len == 0) {
		buf_init(&conf, CONF_MAX);
		if (read_file("/etc/resolv.conf", &conf, NULL) == 0)
			resolver_settings_conf(settings, buf_str(&conf));
		buf_fini(&conf);
		return 0;
	}
	if (str_eq(rest, STR("root")))
		return 0;
	while (rc == 0 && rest.p != NULL) {
		word = str_cut(rest, ' ', &rest);
		if (word.len != 0)
			rc = add_server(settings, word, err);
	}
	return rc;
}

int
resolver_settings_read(struct resolver_settings *settings,
    struct str servers, const char *anchors_path, bool is_validating,
    struct err *err)
{
	int rc;

	memset(settings, 0, sizeof(*settings));
	buf_init(&settings->anchors, RESOLVER_ANCHORS_MAX);
	settings->is_validating = is_validating;
	rc = read_servers(settings, servers, err);
	if (rc == 0 && is_validating)
		rc = read_file(anchors_path, &settings->anchors, err);
	return rc;
}

/* ---- libunbound ---- */

static const struct {
	const char *name;
	const char *value;
} options[] = {
	{ "verbosity:", "0" },
	{ "use-syslog:", "no" },
	{ "hide-version:", "yes" },
	{ "msg-cache-size:", "16m" },
	{ "rrset-cache-size:", "32m" },
	{ "key-cache-size:", "8m" },
	{ "neg-cache-size:", "4m" },
	{ "cache-max-ttl:", "86400" },
	{ "cache-max-negative-ttl:", "900" },
	{ "infra-host-ttl:", "60" },
	{ "outgoing-range:", "512" },
	{ "num-queries-per-thread:", "1024" },
	{ "outgoing-num-tcp:", "32" },
	{ "edns-buffer-size:", "1232" },
	{ "harden-dnssec-stripped:", "yes" },
	/* Private zones are the business of the resolver we ask. */
	{ "unblock-lan-zones:", "yes" },
};

static int
fail(int code, const char *what, struct err *err)
{
	if (code == 0)
		return 0;
	return err_set(err, ERR_SYNTAX, "libunbound: %s: %s", what,
	    ub_strerror(code));
}

static int
set_option(struct ub_ctx *ctx, const char *name, const char *value,
    struct err *err)
{
	return fail(ub_ctx_set_option(ctx, name, value), name, err);
}

/* One record a line; comments begin with a semicolon. */
static int
add_anchors(struct ub_ctx *ctx, struct str text, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct str rest = text, line;
	size_t n = 0;
	int rc = 0;

	while (rc == 0 && rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		line = str_trim(str_cut(line, ';', &(struct str){ NULL, 0 }));
		if (line.len == 0 ||
		    memchr(line.p, '\0', line.len) != NULL)
			continue;
		rc = fail(ub_ctx_add_ta(ctx, arena_cstr(arena, line)),
		    "trust anchor", err);
		n++;
	}
	arena_free(&arena);
	if (rc == 0 && n == 0)
		rc = err_set(err, ERR_SYNTAX, "no trust anchor in the file");
	return rc;
}

static int
configure(struct ub_ctx *ctx, const struct resolver_settings *settings,
    struct err *err)
{
	size_t i;
	int rc = fail(ub_ctx_debugout(ctx, NULL), "log", err);

	for (i = 0; rc == 0 && i < sizeof(options) / sizeof(options[0]); i++)
		rc = set_option(ctx, options[i].name, options[i].value, err);
	if (rc == 0 && settings->has_loopback)
		rc = set_option(ctx, "do-not-query-localhost:", "no", err);
	for (i = 0; rc == 0 && i < settings->servers_len; i++)
		rc = fail(ub_ctx_set_fwd(ctx, settings->servers[i]),
		    settings->servers[i], err);
	if (rc == 0 && settings->is_validating)
		rc = add_anchors(ctx, buf_str(&settings->anchors), err);
	if (rc == 0 && !settings->is_validating)
		rc = set_option(ctx, "module-config:", "iterator", err);
	/*
	 * "test." belongs to whoever set the resolver up (RFC 6761 section
	 * 6.2 leaves it to private use). This also ends the configuration,
	 * so that a bad trust anchor is found now.
	 */
	if (rc == 0)
		rc = fail(ub_ctx_zone_remove(ctx, "test."),
		    "settings or trust anchor", err);
	return rc;
}

struct resolver *
resolver_new(struct loop *loop, const struct resolver_settings *settings,
    struct err *err)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	invariant(resolver != NULL);
	resolver->loop = loop;
	list_init(&resolver->pending);
	resolver->base = ubloop_new(loop);
	resolver->ctx = ub_ctx_create_ub_event(resolver->base);
	if (resolver->ctx == NULL)
		(void)err_set(err, ERR_TEMP, "libunbound does not start");
	else if (configure(resolver->ctx, settings, err) == 0)
		return resolver;
	resolver_free(&resolver);
	return NULL;
}

void
resolver_free(struct resolver **resolver)
{
	struct query *query, *tmp;

	if (*resolver == NULL)
		return;
	list_each(query, tmp, &(*resolver)->pending, struct query, node)
		query->done = NULL;
	/* What is pending is not called back any more. */
	if ((*resolver)->ctx != NULL)
		ub_ctx_delete((*resolver)->ctx);
	list_each(query, tmp, &(*resolver)->pending, struct query, node) {
		loop_timer_fini(&query->deadline);
		free(query);
	}
	ubloop_free(&(*resolver)->base);
	free(*resolver);
	*resolver = NULL;
}

/* ---- asking ---- */

static void
query_free(struct query *query)
{
	loop_timer_fini(&query->deadline);
	list_del(&query->node);
	query->resolver->pending_len--;
	free(query);
}

static void
give(struct query *query, const struct resolver_answer *answer)
{
	resolver_done *done = query->done;

	query->done = NULL;
	loop_timer_stop(&query->deadline);
	if (done != NULL)
		done(query->ctx, answer);
}

/* It stays pending until libunbound gives it up: that bounds what it does. */
static void
on_deadline(void *ctx)
{
	struct resolver_answer late = { .rcode = DNS_R_SERVFAIL,
	    .why = "no answer in time" };

	give(ctx, &late);
}

static void
give_packet(struct query *query, struct str packet, int security)
{
	struct resolver_answer given = { .rcode = DNS_R_SERVFAIL };
	struct arena *arena = arena_new(0);
	struct answer *records = arena_new_of(arena, struct answer);
	struct err err = ERR_INIT;

	if (answer_read(arena, packet, str_make(query->wire,
	    query->wire_len), query->type, records, &err) != 0) {
		given.why = err_text(&err);
	} else {
		given.rcode = records->rcode;
		given.is_secure = security == UB_SECURE;
		given.records = records;
	}
	if (given.rcode != DNS_R_NOERROR && given.rcode != DNS_R_NXDOMAIN) {
		given.rcode = DNS_R_SERVFAIL;
		given.is_secure = false;
		given.records = NULL;
	}
	give(query, &given);
	arena_free(&arena);
}

static void
on_answer(void *ctx, int rcode, void *packet, int packet_len, int security,
    char *why_bogus, int was_limited)
{
	struct query *query = ctx;
	struct resolver_answer failed = { .rcode = DNS_R_SERVFAIL,
	    .is_bogus = security == UB_BOGUS && rcode == 0,
	    .why = why_bogus };

	(void)was_limited;
	if (rcode != 0 || packet == NULL || packet_len < 0 ||
	    security == UB_BOGUS)
		give(query, &failed);
	else
		give_packet(query, str_make(packet, (size_t)packet_len),
		    security);
	query_free(query);
}

int
resolver_ask(struct resolver *resolver, struct str name, unsigned type,
    resolver_done *done, void *ctx, struct err *err)
{
	struct query *query;
	char text[DNS_NAME_WIRE_MAX * 4 + 1];
	int code;

	if (resolver->pending_len >= PENDING_MAX)
		return err_set(err, ERR_TEMP, "%d questions are waiting",
		    PENDING_MAX);
	if (name.len >= sizeof(text))
		return err_set(err, ERR_SYNTAX, "not a domain name");
	query = calloc(1, sizeof(*query));
	invariant(query != NULL);
	list_init(&query->node);
	if (dns_name_to_wire(name, query->wire, &query->wire_len, err) != 0) {
		free(query);
		return ERR_SYNTAX;
	}
	query->resolver = resolver;
	query->type = type;
	query->done = done;
	query->ctx = ctx;
	list_add(&resolver->pending, &query->node);
	resolver->pending_len++;
	loop_timer_init(&query->deadline, resolver->loop, on_deadline,
	    query);
	loop_timer_start(&query->deadline, DEADLINE_MS);
	(void)snprintf(text, sizeof(text), "%.*s", STR_FMT(name));
	code = ub_resolve_event(resolver->ctx, text, (int)type, CLASS_IN,
	    query, on_answer, NULL);
	if (code == 0)
		return 0;
	query_free(query);
	return err_set(err, ERR_TEMP, "libunbound: %s", ub_strerror(code));
}
