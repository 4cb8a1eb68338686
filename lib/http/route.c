/* SPDX-License-Identifier: ISC */
#include "http/route.h"

static bool
is_path(const struct http_route *route, struct str path)
{
	struct str mine = str_of(route->path);

	return route->is_nocase ? str_eq_nocase(mine, path) :
	    str_eq(mine, path);
}

static bool
is_method(const struct http_route *route, struct str method)
{
	return str_eq(method, str_of(route->method)) ||
	    (str_eq(method, STR("HEAD")) &&
	    strcmp(route->method, "GET") == 0);
}

const struct http_route *
http_route_find(const struct http_route *routes,
    const struct http_request *request, unsigned *status_r,
    const char **allow_r)
{
	*status_r = 404;
	*allow_r = NULL;
	for (; routes->path != NULL; routes++) {
		if (!is_path(routes, request->path))
			continue;
		if (is_method(routes, request->method))
			return routes;
		*status_r = 405;
		*allow_r = routes->method;
	}
	return NULL;
}
