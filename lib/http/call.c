/* SPDX-License-Identifier: ISC */
#include "http/call.h"

#define CONNECT_MAX_MS 15000L

struct http_call {
	struct curlloop *curlloop;
	CURL *easy;
	struct curl_slist *resolve;
	struct curl_slist *headers;
	struct buf body;
	size_t header_octets;
	const char *reason;	/* why we ended it ourselves */
	bool is_started;
	bool is_connected;
	http_call_open *open;
	http_call_done *done;
	void *ctx;
	char error[CURL_ERROR_SIZE];
};

/* ---- the end ---- */

void
http_call_free(struct http_call **call)
{
	struct http_call *c = *call;

	if (c == NULL)
		return;
	if (c->is_started)
		curlloop_remove(c->curlloop, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->resolve);
	curl_slist_free_all(c->headers);
	buf_fini(&c->body);
	free(c);
	*call = NULL;
}

static void
read_answer(struct http_call *call, struct http_answer *answer)
{
	char *content_type = NULL;
	curl_off_t retry_after_s = 0;
	long status = 0;

	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE,
	    &content_type);
	(void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER,
	    &retry_after_s);
	answer->status = status > 0 ? (unsigned)status : 0;
	answer->content_type = str_sub(str_of(content_type), 0, 255);
	answer->retry_after_s = retry_after_s > 0 ?
	    (uint64_t)retry_after_s : 0;
	answer->body = buf_str(&call->body);
	answer->reason = answer->status == 0 ? "no HTTP answer" : NULL;
}

void
http_call_finished(void *ctx, CURLcode result)
{
	struct http_call *call = ctx;
	struct http_answer answer = { .status = 0 };

	call->is_started = false;
	answer.is_too_large = buf_failed(&call->body);
	if (call->reason != NULL)
		answer.reason = call->reason;
	else if (result != CURLE_OK)
		answer.reason = call->error[0] != '\0' ? call->error :
		    curl_easy_strerror(result);
	else
		read_answer(call, &answer);
	call->done(call->ctx, &answer);
	http_call_free(&call);
}

/* ---- what libcurl asks while it works ---- */

static curl_socket_t
open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct http_call *call = ctx;

	return call->open(call->ctx, purpose, to, &call->reason);
}

static int
set_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct http_call *call = ctx;

	(void)fd;
	(void)purpose;
	return call->is_connected ? CURL_SOCKOPT_ALREADY_CONNECTED :
	    CURL_SOCKOPT_OK;
}

static size_t
take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = size * count;

	buf_add(&call->body, data, len);
	if (!buf_failed(&call->body))
		return len;
	call->reason = "the document is too large";
	return len + 1;
}

static size_t
take_header(char *data, size_t size, size_t count, void *ctx)
{
	struct http_call *call = ctx;
	size_t len = size * count;

	(void)data;
	call->header_octets += len;
	if (call->header_octets <= HTTP_CALL_HEADER_MAX)
		return len;
	call->reason = "the answer's header is too large";
	return len + 1;
}

/* ---- settings ---- */

static bool
set_safety(struct http_call *call, const struct http_call_settings *settings)
{
	CURL *easy = call->easy;

	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
	    settings->protocol) == 0 &&
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
	    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL) == 0;
}

static bool
set_authorities(struct http_call *call, const struct buf *ca)
{
	struct curl_blob blob;

	if (ca == NULL)
		return true;
	blob = (struct curl_blob){ ca->p + ca->start, ca->len,
	    CURL_BLOB_NOCOPY };
	return curl_easy_setopt(call->easy, CURLOPT_CAINFO_BLOB, &blob) == 0;
}

static bool
set_sockets(struct http_call *call)
{
	return curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETFUNCTION,
	    open_socket) == 0 &&
	    curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETDATA, call) == 0 &&
	    curl_easy_setopt(call->easy, CURLOPT_SOCKOPTFUNCTION,
	    set_socket) == 0 &&
	    curl_easy_setopt(call->easy, CURLOPT_SOCKOPTDATA, call) == 0;
}

static bool
set_request(struct http_call *call, const char *url, long timeout_ms)
{
	CURL *easy = call->easy;

	return curl_easy_setopt(easy, CURLOPT_URL, url) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_USERAGENT, "Hikyaku/"
	    PACKAGE_VERSION) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_RESOLVE, call->resolve) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	    timeout_ms < CONNECT_MAX_MS ? timeout_ms : CONNECT_MAX_MS) ==
	    0 &&
	    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header) ==
	    0 &&
	    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error) == 0 &&
	    curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == 0;
}

/* ---- life ---- */

struct http_call *
http_call_new(struct curlloop *curlloop,
    const struct http_call_settings *settings)
{
	struct http_call *call = calloc(1, sizeof(*call));

	invariant(call != NULL);
	call->curlloop = curlloop;
	call->resolve = settings->resolve;
	call->headers = settings->headers;
	call->is_connected = settings->is_connected;
	call->open = settings->open;
	call->done = settings->done;
	call->ctx = settings->ctx;
	buf_init(&call->body, settings->body_max);
	call->easy = curl_easy_init();
	if (call->easy == NULL || !set_safety(call, settings) ||
	    !set_authorities(call, settings->ca) || !set_sockets(call) ||
	    !set_request(call, settings->url, (long)settings->timeout_ms))
		http_call_free(&call);
	return call;
}

CURL *
http_call_easy(struct http_call *call)
{
	return call->easy;
}

void
http_call_start(struct http_call *call)
{
	call->is_started = true;
	curlloop_add(call->curlloop, call->easy);
}
