/* SPDX-License-Identifier: ISC */
/*
 * request: one HTTP/1 request out of a connection's octets.
 *
 * Story. The caller hands over what has come so far. While the header is not
 * whole it hears HTTP_MORE. A whole header is looked at octet by octet first:
 * lines end with CRLF and nothing else, no NUL, no folded line; so that no
 * two readers can see two requests in it. llhttp parses it then. The body has a
 * Content-Length or there is none; a transfer coding is refused. A hard case:
 * a client that says "Expect: 100-continue" waits for us: expects_continue
 * is set with HTTP_MORE, and the caller answers it once.
 *
 * Lifetime.   Results are views of the input or in the arena.
 * Units.      Octets. A header has at most HTTP_HEADER_MAX and
 *             HTTP_FIELDS_MAX fields.
 * Errors.     HTTP_BAD with the status to answer; the connection is closed
 *             then, since nothing says where the next request begins.
 * Blocking.   Never.
 * RFC.        RFC 9112 sections 2 to 6; RFC 9110 sections 7.2, 10.1.1.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/arena.h"

#define HTTP_HEADER_MAX 16384
#define HTTP_FIELDS_MAX 64

struct http_field {
	struct str name;
	struct str value;
};

struct http_request {
	struct str method;
	struct str path;		/* percent-decoded; begins with a slash */
	struct str query;		/* as it came; p NULL: there was none */
	struct str host;		/* lower case, without the port */
	size_t fields_len;
	struct http_field fields[HTTP_FIELDS_MAX];
	struct str body;
	bool keeps_alive;
	bool expects_continue;
};

enum http_result { HTTP_MORE, HTTP_GOT, HTTP_BAD };

/* used_r: octets of the request, with HTTP_GOT; status_r: with HTTP_BAD. */
enum http_result http_request_read(struct arena *arena, struct str in,
    size_t body_max, struct http_request *request_r, size_t *used_r,
    unsigned *status_r);

/* The first field of that name; p NULL: none. */
struct str http_field_get(const struct http_request *request,
    struct str name);

#endif
