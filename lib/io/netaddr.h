/* SPDX-License-Identifier: ISC */
/*
 * netaddr: one IP address, and whether it may be a stranger's wish to connect
 * to it.
 *
 * Lifetime.   Values.
 * Errors.     ERR_SYNTAX for text that is no address in its strict form: no
 *             leading zeros, no "0x7f.1", no zone, no brackets.
 * Blocking.   Never.
 * RFC.        RFC 6890 with the registries as they stand (IANA special-purpose
 *             addresses); RFC 5952 for the text.
 */
#ifndef IO_NETADDR_H
#define IO_NETADDR_H

#include <sys/socket.h>

#include "base/str.h"

#define NETADDR_TEXT_SIZE 48

struct netaddr {
	int family;		/* AF_INET or AF_INET6 */
	unsigned char octets[16];	/* the first four for AF_INET */
};

/* "192.0.2.1" or "2001:db8::1". */
int netaddr_parse(struct str text, struct netaddr *addr_r, struct err *err);

/* The text, in a buffer of NETADDR_TEXT_SIZE octets. */
const char *netaddr_text(const struct netaddr *addr, char *text_r);

bool netaddr_eq(const struct netaddr *a, const struct netaddr *b);

/*
 * An address of the public Internet: not private, loopback, link-local,
 * shared (100.64/10), multicast, documentation, and no form that carries an
 * IPv4 address inside (::ffff:0:0/96, 64:ff9b::/96, 2002::/16, Teredo).
 */
bool netaddr_is_public(const struct netaddr *addr);

bool netaddr_is_loopback(const struct netaddr *addr);

/* For connect(); the octets used of addr_r are returned. */
socklen_t netaddr_to_sockaddr(const struct netaddr *addr, uint16_t port,
    struct sockaddr_storage *addr_r);

/* ERR_SYNTAX for another family. port_r may be NULL. */
int netaddr_of_sockaddr(const struct sockaddr *sa, socklen_t len,
    struct netaddr *addr_r, uint16_t *port_r);

#endif
