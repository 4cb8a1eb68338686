/* SPDX-License-Identifier: ISC */
/*
 * route: where mail of a domain goes when not to its MX: a `route` section of
 * hikyaku.conf, or the smart host for all the others.
 *
 * Lifetime.   Made once at start; passwords are read before the sandbox.
 * Ownership.  Everything lives in the arena.
 * Errors.     ERR_SYNTAX, ERR_NOTFOUND for a password file.
 * Blocking.   Reads password files.
 */
#ifndef RELAY_ROUTE_H
#define RELAY_ROUTE_H

#include "base/arena.h"
#include "smtpd/relay/relay.h"

struct route {
	struct str domain;	/* ".example.org": what is below; empty: all */
	struct str host;	/* a name, or an address without brackets */
	bool has_mx;		/* the name's MX records are followed */
	uint16_t port;		/* 0: relay_port, or 465 with implicit TLS */
	enum hop_tls tls;
	bool is_implicit;
	const char *user, *password;	/* NULL: no AUTH */
};

/*
 * "host", "host:port" (its MX), "[host]:port", "[192.0.2.1]",
 * "[IPv6:2001:db8::1]:587".
 */
int route_parse_host(struct arena *arena, struct str text,
    struct route *route_r, struct err *err);

/* may, encrypt, verify, implicit; empty is verify. */
int route_parse_tls(struct str text, struct route *route_r, struct err *err);

/* The first line of a file. */
int route_read_password(struct arena *arena, const char *path,
    const char **password_r, struct err *err);

/* The route of a domain; NULL: its MX. */
const struct route *route_find(const struct relay *relay, struct str domain);

#endif
