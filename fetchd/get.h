/* SPDX-License-Identifier: ISC */
/*
 * get: one document over HTTPS.
 *
 * Story. The host's addresses come from dnsd; those that are not public are
 * struck out; libcurl gets the rest and nothing else to connect to, and each
 * socket it opens is looked at again. The rest is http/call.h.
 *
 * Lifetime.   get_start() -> done, once, never from inside it.
 * Units.      Octets, milliseconds.
 * Errors.     status 0 and a reason; ERR_SYNTAX, ERR_LIMIT from get_start().
 * Blocking.   Never.
 * RFC.        RFC 9110, RFC 9112 by libcurl; RFC 8461 section 3.3 is what it
 *             is for.
 */
#ifndef FETCHD_GET_H
#define FETCHD_GET_H

#include "http/call.h"
#include "ipc/ipc.h"

#define GET_BODY_MAX (48U << 10)
#define GET_TIMEOUT_MAX_MS 60000
#define GET_RUNNING_MAX 64

struct getter {
	struct curlloop *curlloop;	/* of http_call_finished() */
	struct ipc_link *dns;
	struct buf ca;		/* PEM certificates that are trusted */
	uint16_t port;
	bool is_private_ok;
	size_t running;
};

typedef void get_done(void *ctx, const struct http_answer *got);

int get_start(struct getter *getter, struct str host, struct str path,
    size_t max_octets, uint64_t timeout_ms, get_done *done, void *ctx,
    struct err *err);

/* Origin-form of a request: one slash, then printable without blanks. */
bool get_is_path(struct str path);

#endif
