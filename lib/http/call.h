/* SPDX-License-Identifier: ISC */
/*
 * call: one HTTP request by libcurl, with bounds on all that comes back.
 *
 * No redirect, no proxy, no cookie, no compression, no connection that is
 * kept; TLS 1.2 or later with a certificate that is valid for the URL's host.
 * Header and body are cut off while they come. The host is never looked up:
 * settings.resolve or an address in the URL says where it is, and the caller
 * opens each socket.
 *
 * Lifetime.   http_call_new() -> http_call_easy(), for a body -> start -> done,
 *             once, never from inside it; the call is gone when done returns.
 *             http_call_free() at any time before that: done is not called.
 * Ownership.  The lists of the settings are taken over; its texts are copied,
 *             but for ca, which outlives the call.
 * Units.      Octets, milliseconds.
 * Errors.     status 0 and a reason.
 * Blocking.   Never.
 * RFC.        RFC 9110, RFC 9112 by libcurl.
 */
#ifndef HTTP_CALL_H
#define HTTP_CALL_H

#include "base/buf.h"
#include "http/curlloop.h"

#define HTTP_CALL_HEADER_MAX (32U << 10)

struct http_call;

struct http_answer {
	unsigned status;	/* of HTTP; 0: there was no answer */
	struct str content_type;
	struct str body;
	uint64_t retry_after_s;	/* what the server asks for, or 0 */
	bool is_too_large;	/* with status 0: over body_max */
	const char *reason;	/* with status 0 */
};

/* The answer's strings live until it returns. */
typedef void http_call_done(void *ctx, const struct http_answer *answer);

/* A socket to where libcurl wants to go, or CURL_SOCKET_BAD and why. */
typedef curl_socket_t http_call_open(void *ctx, curlsocktype purpose,
    struct curl_sockaddr *to, const char **reason_r);

struct http_call_settings {
	const char *url;
	const char *protocol;		/* "https" or "http", no other */
	struct curl_slist *resolve;	/* "host:port:address" */
	struct curl_slist *headers;	/* NULL: libcurl's own */
	const struct buf *ca;		/* PEM; NULL with "http" */
	size_t body_max;
	uint64_t timeout_ms;
	http_call_open *open;
	/* What open gives is connected, or about to be. */
	bool is_connected;
	http_call_done *done;
	void *ctx;
};

/* NULL: libcurl does not take it (the lists are freed). */
struct http_call *http_call_new(struct curlloop *curlloop,
    const struct http_call_settings *settings);

/* For what is sent: CURLOPT_POSTFIELDS, CURLOPT_MIMEPOST. */
CURL *http_call_easy(struct http_call *call);

void http_call_start(struct http_call *call);
void http_call_free(struct http_call **call);

/* For curlloop_new(): all handles of that loop are of calls. */
void http_call_finished(void *ctx, CURLcode result);

#endif
