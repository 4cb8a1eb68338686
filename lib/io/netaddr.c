/* SPDX-License-Identifier: ISC */
#include "io/netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

struct range {
	unsigned char octets[16];
	unsigned bits;
};

/* What the IANA registries keep from the public, by prefix. */
static const struct range special_v4[] = {
	{ { 0 }, 8 },			/* this network */
	{ { 10 }, 8 },			/* private */
	{ { 100, 64 }, 10 },		/* shared, behind a carrier's NAT */
	{ { 127 }, 8 },			/* loopback */
	{ { 169, 254 }, 16 },		/* link-local, clouds' metadata */
	{ { 172, 16 }, 12 },		/* private */
	{ { 192, 0, 0 }, 24 },		/* IETF protocols */
	{ { 192, 0, 2 }, 24 },		/* documentation */
	{ { 192, 88, 99 }, 24 },	/* 6to4 relays */
	{ { 192, 168 }, 16 },		/* private */
	{ { 198, 18 }, 15 },		/* benchmarks */
	{ { 198, 51, 100 }, 24 },	/* documentation */
	{ { 203, 0, 113 }, 24 },	/* documentation */
	{ { 224 }, 4 },			/* multicast */
	{ { 240 }, 4 },			/* reserved, broadcast */
};

/* Public is what lies in 2000::/3 and in none of these. */
static const struct range global_v6 = { { 0x20 }, 3 };
static const struct range special_v6[] = {
	{ { 0x20, 0x01 }, 23 },		/* IETF protocols, Teredo, ORCHID */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 },	/* documentation */
	{ { 0x20, 0x02 }, 16 },		/* 6to4: an IPv4 address inside */
	{ { 0x3f, 0xff }, 20 },		/* documentation */
};

static bool
is_in(const struct netaddr *addr, const struct range *range)
{
	unsigned whole = range->bits / 8, rest = range->bits % 8;
	unsigned mask = 0xffU << (8 - rest);

	if (memcmp(addr->octets, range->octets, whole) != 0)
		return false;
	return rest == 0 ||
	    ((addr->octets[whole] ^ range->octets[whole]) & mask & 0xff) == 0;
}

bool
netaddr_is_public(const struct netaddr *addr)
{
	bool is_v4 = addr->family == AF_INET;
	const struct range *range = is_v4 ? special_v4 : special_v6;
	size_t len = is_v4 ? sizeof(special_v4) / sizeof(special_v4[0]) :
	    sizeof(special_v6) / sizeof(special_v6[0]);
	size_t i;

	if (!is_v4 && (addr->family != AF_INET6 || !is_in(addr, &global_v6)))
		return false;
	for (i = 0; i < len; i++)
		if (is_in(addr, &range[i]))
			return false;
	return true;
}

bool
netaddr_is_loopback(const struct netaddr *addr)
{
	static const unsigned char one[16] = { [15] = 1 };

	if (addr->family == AF_INET)
		return addr->octets[0] == 127;
	return addr->family == AF_INET6 &&
	    memcmp(addr->octets, one, sizeof(one)) == 0;
}

bool
netaddr_eq(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family && memcmp(a->octets, b->octets,
	    a->family == AF_INET ? 4 : 16) == 0;
}

int
netaddr_parse(struct str text, struct netaddr *addr_r, struct err *err)
{
	char copy[NETADDR_TEXT_SIZE];

	memset(addr_r, 0, sizeof(*addr_r));
	if (text.len == 0 || text.len >= sizeof(copy) ||
	    memchr(text.p, '\0', text.len) != NULL)
		return err_set(err, ERR_SYNTAX, "no IP address");
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	addr_r->family = strchr(copy, ':') != NULL ? AF_INET6 : AF_INET;
	if (inet_pton(addr_r->family, copy, addr_r->octets) != 1)
		return err_set(err, ERR_SYNTAX, "no IP address");
	return 0;
}

const char *
netaddr_text(const struct netaddr *addr, char *text_r)
{
	if (inet_ntop(addr->family, addr->octets, text_r,
	    NETADDR_TEXT_SIZE) == NULL)
		text_r[0] = '\0';
	return text_r;
}

socklen_t
netaddr_to_sockaddr(const struct netaddr *addr, uint16_t port,
    struct sockaddr_storage *addr_r)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	memset(addr_r, 0, sizeof(*addr_r));
	if (addr->family == AF_INET) {
		in.sin_port = htons(port);
		memcpy(&in.sin_addr, addr->octets, 4);
		memcpy(addr_r, &in, sizeof(in));
		return sizeof(in);
	}
	in6.sin6_port = htons(port);
	memcpy(&in6.sin6_addr, addr->octets, 16);
	memcpy(addr_r, &in6, sizeof(in6));
	return sizeof(in6);
}

int
netaddr_of_sockaddr(const struct sockaddr *sa, socklen_t len,
    struct netaddr *addr_r, uint16_t *port_r)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	uint16_t port;

	memset(addr_r, 0, sizeof(*addr_r));
	if (len >= sizeof(in) && sa->sa_family == AF_INET) {
		memcpy(&in, sa, sizeof(in));
		memcpy(addr_r->octets, &in.sin_addr, 4);
		port = in.sin_port;
	} else if (len >= sizeof(in6) && sa->sa_family == AF_INET6) {
		memcpy(&in6, sa, sizeof(in6));
		memcpy(addr_r->octets, &in6.sin6_addr, 16);
		port = in6.sin6_port;
	} else {
		return ERR_SYNTAX;
	}
	addr_r->family = sa->sa_family;
	if (port_r != NULL)
		*port_r = ntohs(port);
	return 0;
}
