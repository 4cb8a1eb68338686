/* SPDX-License-Identifier: ISC */
#include "fetchd/get.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/when.h"
#include "fetchd/resolve.h"
#include "proto/dns_rdata.h"

#define PATH_MAX_OCTETS 1024
#define HOST_MAX_OCTETS 253

struct get {
	struct getter *getter;
	struct curl_slist *resolve;	/* until the call has it */
	size_t max_octets;
	uint64_t deadline_ms;
	char host[HOST_MAX_OCTETS + 1];
	char path[PATH_MAX_OCTETS + 1];
	get_done *done;
	void *ctx;
};

/* ---- the end ---- */

static void
finish(void *ctx, const struct http_answer *got)
{
	struct get *get = ctx;

	get->done(get->ctx, got);
	curl_slist_free_all(get->resolve);
	get->getter->running--;
	free(get);
}

static void
fail(struct get *get, const char *reason)
{
	struct http_answer got = { .reason = reason };

	finish(get, &got);
}

/* ---- the way there ---- */

/* The address that is connected to, whatever the name said. */
static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to,
    const char **reason_r)
{
	struct get *get = ctx;
	struct netaddr addr;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    netaddr_of_sockaddr(&to->addr, (socklen_t)to->addrlen, &addr,
	    NULL) != 0 ||
	    (!get->getter->is_private_ok && !netaddr_is_public(&addr))) {
		*reason_r = "not a public address";
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    to->protocol);
	return fd == -1 ? CURL_SOCKET_BAD : fd;
}

/* "host:443:192.0.2.1,[2001:db8::1]" of what may be connected to. */
static bool
set_addresses(struct get *get, const struct resolved *resolved)
{
	char text[NETADDR_TEXT_SIZE];
	const struct netaddr *addr;
	struct buf line;
	size_t i, n = 0;

	buf_init(&line, 4096);
	buf_addf(&line, "%s:%u:", get->host, (unsigned)get->getter->port);
	for (i = 0; i < resolved->len; i++) {
		addr = &resolved->addrs[i];
		if (!get->getter->is_private_ok && !netaddr_is_public(addr))
			continue;
		buf_addf(&line, addr->family == AF_INET6 ? "%s[%s]" : "%s%s",
		    n++ != 0 ? "," : "", netaddr_text(addr, text));
	}
	buf_add_char(&line, '\0');
	if (n != 0)
		get->resolve = curl_slist_append(NULL, buf_str(&line).p);
	buf_fini(&line);
	return n != 0;
}

static struct http_call *
make_call(struct get *get, uint64_t timeout_ms)
{
	char url[HOST_MAX_OCTETS + PATH_MAX_OCTETS + 32];
	struct http_call_settings settings = {
		.url = url, .protocol = "https", .resolve = get->resolve,
		.ca = &get->getter->ca, .body_max = get->max_octets,
		.timeout_ms = timeout_ms, .open = open_socket,
		.done = finish, .ctx = get,
	};

	(void)snprintf(url, sizeof(url), "https://%s:%u%s", get->host,
	    (unsigned)get->getter->port, get->path);
	get->resolve = NULL;
	return http_call_new(get->getter->curlloop, &settings);
}

static void
on_resolved(void *ctx, const struct resolved *resolved)
{
	struct get *get = ctx;
	uint64_t now_ms = when_mono_ms();
	struct http_call *call;

	if (resolved->len == 0) {
		fail(get, resolved->reason);
		return;
	}
	if (now_ms >= get->deadline_ms) {
		fail(get, "no answer in time");
		return;
	}
	if (!set_addresses(get, resolved)) {
		fail(get, "not a public address");
		return;
	}
	call = make_call(get, get->deadline_ms - now_ms);
	if (call == NULL)
		fail(get, "libcurl does not take the request");
	else
		http_call_start(call);
}

bool
get_is_path(struct str path)
{
	size_t i;

	if (path.len == 0 || path.len > PATH_MAX_OCTETS || path.p[0] != '/')
		return false;
	for (i = 0; i < path.len; i++)
		if (path.p[i] <= ' ' || path.p[i] >= 0x7f ||
		    strchr("#\\\"<>^`{|}", path.p[i]) != NULL)
			return false;
	return true;
}

int
get_start(struct getter *getter, struct str host, struct str path,
    size_t max_octets, uint64_t timeout_ms, get_done *done, void *ctx,
    struct err *err)
{
	struct get *get;

	/* "Host" has no dot at its end, nor has the certificate. */
	if (host.len > 1 && host.p[host.len - 1] == '.')
		host.len--;
	if (!dns_name_is_host(host) || host.len > HOST_MAX_OCTETS)
		return err_set(err, ERR_SYNTAX, "not a host name");
	if (!get_is_path(path))
		return err_set(err, ERR_SYNTAX, "not a path");
	if (getter->running >= GET_RUNNING_MAX)
		return err_set(err, ERR_TEMP, "%d documents are being got",
		    GET_RUNNING_MAX);
	get = calloc(1, sizeof(*get));
	invariant(get != NULL);
	getter->running++;
	get->getter = getter;
	get->done = done;
	get->ctx = ctx;
	if (timeout_ms == 0 || timeout_ms > GET_TIMEOUT_MAX_MS)
		timeout_ms = GET_TIMEOUT_MAX_MS;
	get->deadline_ms = when_mono_ms() + timeout_ms;
	get->max_octets = max_octets < GET_BODY_MAX ? max_octets :
	    GET_BODY_MAX;
	(void)snprintf(get->host, sizeof(get->host), "%.*s", STR_FMT(host));
	(void)snprintf(get->path, sizeof(get->path), "%.*s", STR_FMT(path));
	resolve_start(getter->dns, host, timeout_ms, on_resolved, get);
	return 0;
}
