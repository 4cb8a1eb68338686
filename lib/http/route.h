/* SPDX-License-Identifier: ISC */
/*
 * route: which handler a request is for, by a table.
 *
 * Blocking.   Never.
 */
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/request.h"

struct http_route {
	const char *method;	/* GET also serves HEAD */
	const char *path;	/* whole */
	bool is_nocase;		/* clients write the path in any case */
	const void *handler;
};

/* NULL: status_r is 404, or 405 and allow_r the method there is. routes ends
 * with path NULL. */
const struct http_route *http_route_find(const struct http_route *routes,
    const struct http_request *request, unsigned *status_r,
    const char **allow_r);

#endif
