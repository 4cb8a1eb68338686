/* SPDX-License-Identifier: ISC */
/*
 * dns_rdata: what stands in a record, as DNS_QUERY hands it over: hostile
 * octets. Names are uncompressed there; a compression pointer, a trailing
 * octet or a length that lies is ERR_SYNTAX.
 *
 * Names as text. Without the last dot; the root is "." (so an MX to nowhere,
 * RFC 7505, has the exchange "."). A dot or backslash inside a label is
 * "\." or "\\", any octet outside 0x21 to 0x7e is \DDD (RFC 1035 section
 * 5.1): text never holds a blank or a control character. Case is kept.
 *
 * Lifetime.   Results are in the arena (dns_rdata_tlsa: a view of rdata).
 * Units.      Octets; a name has at most DNS_NAME_WIRE_MAX on the wire.
 * Errors.     ERR_SYNTAX.
 * Blocking.   Never.
 * RFC.        RFC 1035 sections 3.1, 3.3; RFC 3596; RFC 2782; RFC 6698
 *             section 2.1; RFC 7505.
 */
#ifndef PROTO_DNS_RDATA_H
#define PROTO_DNS_RDATA_H

#include "base/arena.h"
#include "io/netaddr.h"

#define DNS_NAME_WIRE_MAX 255
#define DNS_LABEL_MAX 63

/* For DNS_QUERY's type. */
enum dns_type {
	DNS_T_A = 1,
	DNS_T_CNAME = 5,
	DNS_T_PTR = 12,
	DNS_T_MX = 15,
	DNS_T_TXT = 16,
	DNS_T_AAAA = 28,
	DNS_T_SRV = 33,
	DNS_T_TLSA = 52,
};

/* DNS_QUERY's rcode. */
enum dns_rcode {
	DNS_R_NOERROR = 0,
	DNS_R_SERVFAIL = 2,
	DNS_R_NXDOMAIN = 3,
};

struct dns_mx {
	uint16_t preference;
	struct str exchange;	/* ".": takes no mail (RFC 7505) */
};

struct dns_srv {
	uint16_t priority;
	uint16_t weight;
	uint16_t port;
	struct str target;	/* ".": not offered */
};

struct dns_tlsa {
	uint8_t usage;		/* 0 to 3: PKIX-TA PKIX-EE DANE-TA DANE-EE */
	uint8_t selector;	/* 0: certificate, 1: public key */
	uint8_t matching;	/* 0: whole, 1: SHA-256, 2: SHA-512 */
	struct str data;	/* 32 and 64 octets for matching 1 and 2 */
};

int dns_rdata_a(struct str rdata, struct netaddr *addr_r, struct err *err);
int dns_rdata_aaaa(struct str rdata, struct netaddr *addr_r,
    struct err *err);
int dns_rdata_mx(struct arena *arena, struct str rdata, struct dns_mx *mx_r,
    struct err *err);
int dns_rdata_srv(struct arena *arena, struct str rdata,
    struct dns_srv *srv_r, struct err *err);

/* CNAME, PTR, NS: a name and nothing else. */
int dns_rdata_name(struct arena *arena, struct str rdata,
    struct str *name_r, struct err *err);

/* The strings of a TXT joined, as SPF, MTA-STS and TLSRPT want it. */
int dns_rdata_txt(struct arena *arena, struct str rdata, struct str *text_r,
    struct err *err);

/* Also refuses what no verifier can use: a digest of another length, or no
 * data at all. Usages, selectors and matchings over those known are kept. */
int dns_rdata_tlsa(struct str rdata, struct dns_tlsa *tlsa_r,
    struct err *err);

/* ---- names ---- */

/* Text to wire (DNS_NAME_WIRE_MAX octets); with or without the last dot. */
int dns_name_to_wire(struct str name, unsigned char *wire_r, size_t *len_r,
    struct err *err);

/* The name that wire begins with, as text, and how many octets it took. */
int dns_name_from_wire(struct arena *arena, struct str wire,
    struct str *name_r, size_t *used_r, struct err *err);

/* The same name: case and the last dot do not matter. Text without escapes. */
bool dns_name_eq(struct str a, struct str b);

/*
 * True for what may name a host: labels of letters, digits, hyphens (not at
 * an end) and underscores, and the last label not all digits (RFC 1123
 * section 2.1). Everything else an MX points to is not connected to.
 */
bool dns_name_is_host(struct str name);

#endif
