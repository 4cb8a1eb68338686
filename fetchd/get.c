/* SPDX-License-Identifier: ISC */
#include "fetchd/get.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/when.h"
#include "fetchd/resolve.h"
#include "proto/dns_rdata.h"

#define PATH_MAX_OCTETS 1024
#define HOST_MAX_OCTETS 253
#define CONNECT_MAX_MS 15000L

struct get {
	struct getter *getter;
	CURL *easy;
	struct curl_slist *resolve;
	struct buf body;
	size_t header_octets;
	const char *reason;	/* why we ended it ourselves */
	uint64_t deadline_ms;
	char host[HOST_MAX_OCTETS + 1];
	char path[PATH_MAX_OCTETS + 1];
	char error[CURL_ERROR_SIZE];
	get_done *done;
	void *ctx;
};

/* ---- the end ---- */

static void
get_free(struct get *get)
{
	curl_easy_cleanup(get->easy);
	curl_slist_free_all(get->resolve);
	buf_fini(&get->body);
	get->getter->running--;
	free(get);
}

static void
finish(struct get *get, const struct got *got)
{
	get->done(get->ctx, got);
	get_free(get);
}

static void
fail(struct get *get, const char *reason)
{
	struct got got = { .reason = reason };

	finish(get, &got);
}

void
get_finished(void *ctx, CURLcode result)
{
	struct get *get = ctx;
	struct got got = { .body = buf_str(&get->body) };
	char *content_type = NULL;
	long status = 0;

	if (get->reason != NULL || result != CURLE_OK) {
		fail(get, get->reason != NULL ? get->reason :
		    get->error[0] != '\0' ? get->error :
		    curl_easy_strerror(result));
		return;
	}
	(void)curl_easy_getinfo(get->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(get->easy, CURLINFO_CONTENT_TYPE,
	    &content_type);
	got.status = status > 0 ? (unsigned)status : 0;
	got.content_type = str_sub(str_of(content_type), 0, 255);
	got.reason = got.status == 0 ? "no HTTP answer" : NULL;
	finish(get, &got);
}

/* ---- what libcurl asks while it works ---- */

/* The address that is connected to, whatever the name said. */
static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct get *get = ctx;
	struct netaddr addr;
	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    netaddr_of_sockaddr(&to->addr, (socklen_t)to->addrlen, &addr,
	    NULL) != 0 ||
	    (!get->getter->is_private_ok && !netaddr_is_public(&addr))) {
		get->reason = "not a public address";
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    to->protocol);
	return fd == -1 ? CURL_SOCKET_BAD : fd;
}

static size_t
take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct get *get = ctx;
	size_t len = size * count;

	buf_add(&get->body, data, len);
	if (!buf_failed(&get->body))
		return len;
	get->reason = "the document is too large";
	return len + 1;
}

static size_t
take_header(char *data, size_t size, size_t count, void *ctx)
{
	struct get *get = ctx;
	size_t len = size * count;

	(void)data;
	get->header_octets += len;
	if (get->header_octets <= GET_HEADER_MAX)
		return len;
	get->reason = "the answer's header is too large";
	return len + 1;
}

/* ---- settings ---- */

static bool
set_safety(struct get *get)
{
	struct buf *ca = &get->getter->ca;
	struct curl_blob blob = { ca->p + ca->start, ca->len,
	    CURL_BLOB_NOCOPY };
	CURL *easy = get->easy;

	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == 0 &&
	    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_PROXY, "") == 0 &&
	    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*") == 0 &&
	    curl_easy_setopt(easy, CURLOPT_NETRC,
	    (long)CURL_NETRC_IGNORED) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_SSLVERSION,
	    (long)CURL_SSLVERSION_TLSv1_2) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION,
	    open_socket) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, get) == 0;
}

static bool
set_request(struct get *get, const char *url, long timeout_ms)
{
	CURL *easy = get->easy;

	return curl_easy_setopt(easy, CURLOPT_URL, url) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, "Hikyaku/"
	    PACKAGE_VERSION) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_RESOLVE, get->resolve) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    timeout_ms < CONNECT_MAX_MS ? timeout_ms : CONNECT_MAX_MS) ==
	    0 &&
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, get) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) ==
	    0 &&
	    curl_easy_setopt(easy, CURLOPT_HEADERDATA, get) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, get->error) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_PRIVATE, get) == 0;
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

/* ---- the way there ---- */

static void
on_resolved(void *ctx, const struct resolved *resolved)
{
	struct get *get = ctx;
	uint64_t now_ms = when_mono_ms();
	char url[HOST_MAX_OCTETS + PATH_MAX_OCTETS + 32];

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
	(void)snprintf(url, sizeof(url), "https://%s:%u%s", get->host,
	    (unsigned)get->getter->port, get->path);
	if (get->easy == NULL || !set_safety(get) || !set_request(get, url,
	    (long)(get->deadline_ms - now_ms))) {
		fail(get, "libcurl does not take the request");
		return;
	}
	curlloop_add(get->getter->curlloop, get->easy);
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
	get->easy = curl_easy_init();
	get->done = done;
	get->ctx = ctx;
	if (timeout_ms == 0 || timeout_ms > GET_TIMEOUT_MAX_MS)
		timeout_ms = GET_TIMEOUT_MAX_MS;
	get->deadline_ms = when_mono_ms() + timeout_ms;
	buf_init(&get->body, max_octets < GET_BODY_MAX ? max_octets :
	    GET_BODY_MAX);
	(void)snprintf(get->host, sizeof(get->host), "%.*s", STR_FMT(host));
	(void)snprintf(get->path, sizeof(get->path), "%.*s", STR_FMT(path));
	resolve_start(getter->dns, host, timeout_ms, on_resolved, get);
	return 0;
}
