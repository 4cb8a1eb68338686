/* SPDX-License-Identifier: ISC */
/*
 * ring: the keys with which domains sign their mail, in one file that only
 * grows. keyd opens it before its sandbox and can open nothing afterwards; so
 * nothing is ever rewritten, and what a key is for follows from the records:
 * of a domain's keys of one algorithm the one that became active last signs;
 * the ones before it stay published for RING_GRACE_S after that.
 *
 * The file. Eight octets that name the format, then records: the length of
 * what follows (4 octets, little-endian), its check (8 octets of its
 * SHA-256), and that much: version, algorithm, made, active from, domain,
 * selector, private key (DER).
 *
 * Easy case: ring_load(), ring_signing(), ring_add(). Hard case: power was
 * lost while a record was written: it is not whole, nobody was told of it,
 * and the next one takes its place. A record that does not check out and has
 * another one behind it is damage: what stands before it is used, and the file
 * is not touched any more (is_damaged).
 *
 * Lifetime.   ring_load() -> ... -> ring_free().
 * Ownership.  The ring owns the descriptor and the keys.
 * Units.      Seconds since 1970.
 * Errors.     ERR_EXISTS: the domain has that selector already. ERR_LIMIT:
 *             too many keys. ERR_CORRUPT: not our file, or is_damaged.
 *             ERR_TEMP: the disk.
 * Blocking.   ring_add() makes a key (RSA: some 100 ms) and waits for the
 *             disk: the descriptor was opened with O_DSYNC.
 * Process.    keyd.
 */
#ifndef KEYD_RING_H
#define KEYD_RING_H

#include "base/list.h"
#include "mailauth/dkim_key.h"

#define RING_GRACE_S (7 * 86400)
#define RING_KEYS_MAX 100000U
#define RING_DOMAIN_KEYS_MAX 64U
#define RING_OCTETS_MAX (256U << 20)
#define RING_NAME_MAX 253U

struct ring_key {
	struct list node;	/* of its domain, in the order of the file */
	struct str domain;
	struct str selector;
	enum dkim_algorithm algorithm;
	int64_t made_s;
	int64_t active_s;	/* signs from then on */
	struct str der;
	EVP_PKEY *pkey;		/* once it was needed; see ring_pkey() */
};

struct ring;

/* fd is taken over, also when it fails. An empty file becomes a ring. */
struct ring *ring_load(int fd, struct err *err);
void ring_free(struct ring **ring);

bool ring_is_damaged(const struct ring *ring);

/* The last record is not whole: it goes when the next one is written. */
bool ring_has_tail(const struct ring *ring);
size_t ring_count(const struct ring *ring);

/* Make a key pair. When it returns 0 it is on disk. */
int ring_add(struct ring *ring, struct str domain, struct str selector,
    enum dkim_algorithm algorithm, int64_t now_s, int64_t active_s,
    const struct ring_key **key_r, struct err *err);

/* The domain's keys, as struct ring_key by node; NULL: it has none. */
struct list *ring_keys(const struct ring *ring, struct str domain);

/* What signs now, or NULL. */
struct ring_key *ring_signing(const struct ring *ring, struct str domain,
    enum dkim_algorithm algorithm, int64_t now_s);

/* Until when its record has to be published; 0: no end yet. */
int64_t ring_until(const struct ring *ring, const struct ring_key *key);

/* The key pair itself, the ring's own; NULL: it does not parse. */
EVP_PKEY *ring_pkey(struct ring_key *key);

#endif
