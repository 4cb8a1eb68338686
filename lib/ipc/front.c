/* SPDX-License-Identifier: ISC */
#include "ipc/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "ipc/keyclient.h"

#define ACCEPTS_PER_ROUND 64
#define RETRY_MS 200
#define MINUTE_MS 60000
#define MALLOC_KEEPS_OCTETS (4 << 20)
#define CERT_MAX 262144
#define SOURCES_MAX 100000
#define SHARED_MAX 100000
#define WHATS 4

struct front_source {
	uint64_t open;
	uint64_t accepts;
	uint64_t counts[WHATS];
	size_t key_len;
	unsigned char key[16];
};

/* ---- TLS ---- */

static struct tls *
read_tls(struct front *front, int fd, struct err *err)
{
	static char pem[CERT_MAX];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(pem) &&
	    (n = pread(fd, pem + len, sizeof(pem) - len, (off_t)len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	return tls_new(str_make(pem, len), keyclient_sign,
	    child_link(front->child, "keyd"), err);
}

void
front_reload(struct front *front)
{
	int fd = child_take_fd(front->child, "file:tls_cert");
	struct err err = ERR_INIT;
	struct tls *tls;

	if (fd == -1)
		return;
	tls = read_tls(front, fd, &err);
	if (tls == NULL) {
		child_alert(front->child, "the new certificate does not "
		    "parse: the old one stays");
		return;
	}
	tls_free(&front->tls);
	front->tls = tls;
}

/* ---- sources ---- */

/* The network an address belongs to: IPv4 /32, IPv6 /56. */
static size_t
source_key(const struct sockaddr_storage *ss, unsigned char key[16])
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in4 = (const void *)ss;

	if (ss->ss_family == AF_INET) {
		memcpy(key, &in4->sin_addr, 4);
		return 4;
	}
	if (ss->ss_family == AF_INET6) {
		memcpy(key, &in6->sin6_addr, 7);
		return 7;
	}
	return 0;
}

static struct front_source *
source_get(struct front *front, const unsigned char *key, size_t len,
    size_t sources_max)
{
	struct front_source *source = table_get(front->sources,
	    str_make(key, len));

	if (source != NULL || table_count(front->sources) >= sources_max)
		return source;
	source = calloc(1, sizeof(*source));
	invariant(source != NULL);
	memcpy(source->key, key, len);
	source->key_len = len;
	table_put(front->sources, str_make(key, len), source);
	return source;
}

/*
 * The network's own account. When an attacker has filled the table with
 * networks, new ones share those of a /16 or a /32, so that the others are
 * not shut out.
 */
static struct front_source *
source_of(struct front *front, const struct sockaddr_storage *ss)
{
	struct front_source *source;
	unsigned char key[16];
	size_t len = source_key(ss, key);

	if (len == 0)
		return NULL;
	source = source_get(front, key, len, SOURCES_MAX);
	return source != NULL ? source : source_get(front, key,
	    len == 4 ? 2 : 4, SOURCES_MAX + SHARED_MAX);
}

/* A minute is over: rates begin anew, unused sources are forgotten. */
static void
on_minute(void *arg)
{
	struct front *front = arg;
	struct front_source *source;
	size_t cursor = 0;

	while ((source = table_next(front->sources, &cursor, NULL)) != NULL) {
		source->accepts = 0;
		memset(source->counts, 0, sizeof(source->counts));
		if (source->open != 0)
			continue;
		table_del(front->sources, str_make(source->key,
		    source->key_len));
		free(source);
	}
	loop_timer_start(&front->minute, MINUTE_MS);
}

bool
front_count(struct front_seat *seat, unsigned what, uint64_t n, uint64_t max)
{
	invariant(what < WHATS);
	if (seat->source == NULL || max == 0)
		return true;
	seat->source->counts[what] += n;
	return seat->source->counts[what] <= max;
}

void
front_leave(struct front *front, struct front_seat *seat)
{
	front->sessions--;
	if (seat->source != NULL)
		seat->source->open--;
	seat->source = NULL;
}

/* ---- accepting ---- */

static bool
take_seat(struct front_listener *l, const struct sockaddr_storage *ss,
    struct front_seat *seat)
{
	struct front *front = l->front;
	struct front_source *source = NULL;

	seat->listener = l;
	seat->source = NULL;
	front->sessions++;
	if (front->sessions > front->sessions_max)
		return false;
	if (!l->is_limited)
		return true;
	source = source_of(front, ss);
	seat->source = source;
	if (source == NULL)
		return ss->ss_family == AF_UNIX;
	source->open++;
	source->accepts++;
	return source->open <= front->per_source_max &&
	    source->accepts <= front->rate_max;
}

static bool
accept_one(struct front_listener *l)
{
	struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(ss);
	struct front *front = l->front;
	struct front_seat seat;
	bool has_room;
	int fd;

	fd = accept4(l->watch.fd, (void *)&ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			/* Leave it in the backlog; look again soon. */
			ev_warn(NULL, "front.accept.failed",
			    EV_CSTR(reason, strerror(errno)));
			loop_fd_want(&l->watch, 0);
			loop_timer_start(&front->retry, RETRY_MS);
			return false;
		}
		return errno == ECONNABORTED || errno == EINTR;
	}
	has_room = take_seat(l, &ss, &seat);
	front->on_accept(front->ctx, &seat, fd, !has_room);
	return true;
}

static void
on_listener(void *arg, int what)
{
	struct front_listener *l = arg;
	int i;

	(void)what;
	for (i = 0; i < ACCEPTS_PER_ROUND && !l->front->is_closed; i++)
		if (!accept_one(l))
			return;
}

static void
on_retry(void *arg)
{
	struct front *front = arg;
	struct front_listener *l, *tmp;

	if (front->is_closed)
		return;
	list_each(l, tmp, &front->listeners, struct front_listener, node)
		loop_fd_want(&l->watch, LOOP_READ);
}

/* ---- logins ---- */

const char *
front_service(const struct front_listener *listener)
{
	static const struct {
		const char *protocol;
		const char *implicit;
	} services[] = {
		{ "submission", "smtps" }, { "imap", "imaps" },
		{ "pop3", "pop3s" },
	};
	size_t i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (listener->tls == FRONT_TLS_IMPLICIT &&
		    strcmp(listener->protocol, services[i].protocol) == 0)
			return services[i].implicit;
	return listener->protocol;
}

bool
front_takes_logins(const struct front_listener *listener,
    const struct conn *conn)
{
	return conn_has_tls(conn) || listener->takes_clear_logins;
}

/* ---- start ---- */

/* "smtp starttls - loopback"; "clear" for "-": logins without TLS. */
static void
describe(struct front_listener *l, struct str text)
{
	struct str word, rest;

	word = str_cut(text, ' ', &rest);
	(void)snprintf(l->protocol, sizeof(l->protocol), "%.*s",
	    STR_FMT(word));
	word = str_cut(rest, ' ', &rest);
	l->tls = str_eq(word, STR("implicit")) ? FRONT_TLS_IMPLICIT :
	    str_eq(word, STR("starttls")) ? FRONT_TLS_STARTTLS :
	    FRONT_TLS_NONE;
	word = str_cut(rest, ' ', &rest);
	l->takes_clear_logins = str_eq(word, STR("clear"));
	(void)snprintf(l->zone, sizeof(l->zone), "%.*s", STR_FMT(rest));
	l->is_limited = !str_eq(rest, STR("loopback"));
}

static int
listener_add(struct front *front, struct str name, int fd, struct err *err)
{
	struct front_listener *l = calloc(1, sizeof(*l));
	char key[96];

	invariant(l != NULL);
	l->front = front;
	(void)snprintf(l->name, sizeof(l->name), "%.*s", STR_FMT(name));
	(void)snprintf(key, sizeof(key), "listener.%s", l->name);
	describe(l, child_config(front->child, key, ""));
	list_add(&front->listeners, &l->node);
	loop_fd_init(&l->watch, front->child->loop, fd, on_listener, l);
	loop_fd_want(&l->watch, LOOP_READ);
	if (l->tls != FRONT_TLS_NONE && front->tls == NULL)
		return err_set(err, ERR_NOTFOUND, "listener %s needs a "
		    "certificate", l->name);
	return 0;
}

int
front_start(struct front *front, struct child *child,
    const char *sessions_key,
    void (*on_accept)(void *ctx, const struct front_seat *seat, int fd,
    bool is_full), void *ctx, struct err *err)
{
	struct str name;
	int fd, rc = 0;

	/* Buffers come and go with each flush: keep their memory, instead of
	 * giving it back to the kernel and taking it again. */
	(void)mallopt(M_MMAP_THRESHOLD, MALLOC_KEEPS_OCTETS);
	(void)mallopt(M_TRIM_THRESHOLD, MALLOC_KEEPS_OCTETS);
	memset(front, 0, sizeof(*front));
	front->child = child;
	front->on_accept = on_accept;
	front->ctx = ctx;
	front->sessions_max = child_config_u64(child, sessions_key, 1000);
	front->per_source_max = child_config_u64(child,
	    "connections_per_address", 50);
	front->rate_max = child_config_u64(child, "rate_connections", 60);
	front->sources = table_new();
	list_init(&front->listeners);
	loop_timer_init(&front->minute, child->loop, on_minute, front);
	loop_timer_init(&front->retry, child->loop, on_retry, front);
	loop_timer_start(&front->minute, MINUTE_MS);
	fd = child_take_fd(child, "file:tls_cert");
	if (fd != -1 && (front->tls = read_tls(front, fd, err)) == NULL)
		return ERR_SYNTAX;
	while (rc == 0 &&
	    (fd = child_take_next_fd(child, "listen:", &name)) != -1)
		rc = listener_add(front, name, fd, err);
	return rc;
}

void
front_close(struct front *front)
{
	struct front_listener *l, *tmp;

	front->is_closed = true;
	list_each(l, tmp, &front->listeners, struct front_listener, node)
		loop_fd_want(&l->watch, 0);
}
