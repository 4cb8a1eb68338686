/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/route.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/dns_rdata.h"

#define PASSWORD_MAX 1024

int
route_parse_host(struct arena *arena, struct str text, struct route *route_r,
    struct err *err)
{
	struct str host = text, port = STR_NONE;
	uint64_t number = 0;
	size_t at;

	route_r->has_mx = !str_begins(text, STR("["));
	if (route_r->has_mx) {
		host = str_cut(text, ':', &port);
	} else {
		at = str_find(text, ']');
		if (at == STR_NPOS)
			return err_set(err, ERR_SYNTAX, "%.*s: no ]",
			    STR_FMT(text));
		host = str_sub(text, 1, at - 1);
		port = str_sub(text, at + 1, text.len);
		if (port.len == 0)
			port = STR_NONE;
		else if (port.p[0] == ':')
			port = str_sub(port, 1, port.len);
		else
			return err_set(err, ERR_SYNTAX, "%.*s: no port",
			    STR_FMT(text));
		if (str_begins_nocase(host, STR("IPv6:")))
			host = str_sub(host, 5, host.len);
	}
	if (port.p != NULL && (str_to_u64(port, 65535, &number) != 0 ||
	    number == 0))
		return err_set(err, ERR_SYNTAX, "%.*s: port", STR_FMT(text));
	if (host.len == 0 || host.len > 253)
		return err_set(err, ERR_SYNTAX, "%.*s: host", STR_FMT(text));
	route_r->host = arena_str(arena, host);
	route_r->port = (uint16_t)number;
	return 0;
}

int
route_parse_tls(struct str text, struct route *route_r, struct err *err)
{
	static const struct {
		struct str name;
		enum hop_tls tls;
		bool is_implicit;
	} words[] = {
		{ { "may", 3 }, HOP_TLS_MAY, false },
		{ { "encrypt", 7 }, HOP_TLS_ENCRYPT, false },
		{ { "verify", 6 }, HOP_TLS_NAME, false },
		{ { "implicit", 8 }, HOP_TLS_NAME, true },
		{ { "", 0 }, HOP_TLS_NAME, false },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!str_eq(text, words[i].name))
			continue;
		route_r->tls = words[i].tls;
		route_r->is_implicit = words[i].is_implicit;
		return 0;
	}
	return err_set(err, ERR_SYNTAX, "%.*s: want may, encrypt, verify or "
	    "implicit", STR_FMT(text));
}

int
route_read_password(struct arena *arena, const char *path,
    const char **password_r, struct err *err)
{
	char text[PASSWORD_MAX + 1];
	struct str line, rest;
	ssize_t len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return err_set_errno(err, ERR_NOTFOUND, "%s", path);
	len = read(fd, text, sizeof(text));
	(void)close(fd);
	if (len < 0)
		return err_set_errno(err, ERR_TEMP, "%s", path);
	line = str_trim(str_cut(str_make(text, (size_t)len), '\n', &rest));
	if (line.len == 0 || line.len > PASSWORD_MAX ||
	    memchr(line.p, '\0', line.len) != NULL)
		return err_set(err, ERR_SYNTAX, "%s: no password", path);
	*password_r = arena_cstr(arena, line);
	return 0;
}

const struct route *
route_find(const struct relay *relay, struct str domain)
{
	const struct route *route;
	size_t i;

	for (i = 0; i < relay->routes_len; i++) {
		route = &relay->routes[i];
		if (route->domain.len == 0 ||
		    str_eq_nocase(route->domain, domain) ||
		    (route->domain.p[0] == '.' &&
		    str_ends_nocase(domain, route->domain)))
			return route;
	}
	return NULL;
}
