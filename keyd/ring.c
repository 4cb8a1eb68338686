/* SPDX-License-Identifier: ISC */
#include "keyd/ring.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"

#define MAGIC "HKDKIM1\n"
#define MAGIC_LEN 8U
#define HEAD_LEN 12U		/* length and check */
#define RECORD_VERSION 1
#define RECORD_MAX 8192U
#define RSA_BITS 2048

struct ring_domain {
	struct list keys;
	size_t count;
};

struct ring {
	int fd;
	uint64_t size;		/* octets that hold */
	bool is_damaged;
	bool has_tail;		/* octets after size, of a record not whole */
	struct table *domains;
	size_t count;
};

/* ---- octets ---- */

static void
put_number(struct buf *out, uint64_t value, unsigned octets)
{
	for (; octets > 0; octets--, value >>= 8)
		buf_add_char(out, (char)(value & 255));
}

static void
put_text(struct buf *out, struct str s, unsigned octets)
{
	put_number(out, s.len, octets);
	buf_add_str(out, s);
}

/* Take a number from the front; *rest becomes NULL when it is too short. */
static uint64_t
take_number(struct str *rest, unsigned octets)
{
	uint64_t value = 0;
	unsigned i;

	if (rest->p == NULL || rest->len < octets) {
		*rest = STR_NONE;
		return 0;
	}
	for (i = 0; i < octets; i++)
		value |= (uint64_t)(unsigned char)rest->p[i] << (8 * i);
	rest->p += octets;
	rest->len -= octets;
	return value;
}

static struct str
take_text(struct str *rest, unsigned octets)
{
	size_t len = (size_t)take_number(rest, octets);
	struct str text;

	if (rest->p == NULL || rest->len < len) {
		*rest = STR_NONE;
		return STR_NONE;
	}
	text = str_make(rest->p, len);
	rest->p += len;
	rest->len -= len;
	return text;
}

static void
check_of(struct str payload, unsigned char check_r[8])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	(void)SHA256((const unsigned char *)payload.p, payload.len, digest);
	memcpy(check_r, digest, 8);
}

/* ---- records ---- */

static bool
is_name(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (s.p[i] != '.' && s.p[i] != '-' && s.p[i] != '_' &&
		    !ascii_is_digit(s.p[i]) &&
		    !(s.p[i] >= 'a' && s.p[i] <= 'z'))
			return false;
	return s.len > 0 && s.len <= RING_NAME_MAX;
}

static void
put_record(struct buf *out, const struct ring_key *key)
{
	unsigned char check[8];
	struct buf payload;

	buf_init(&payload, RECORD_MAX);
	put_number(&payload, RECORD_VERSION, 1);
	put_number(&payload, key->algorithm, 1);
	put_number(&payload, (uint64_t)key->made_s, 8);
	put_number(&payload, (uint64_t)key->active_s, 8);
	put_text(&payload, key->domain, 1);
	put_text(&payload, key->selector, 1);
	put_text(&payload, key->der, 2);
	invariant(!buf_failed(&payload));
	put_number(out, payload.len, 4);
	check_of(buf_str(&payload), check);
	buf_add(out, check, sizeof(check));
	buf_add_str(out, buf_str(&payload));
	buf_wipe(&payload);
}

/* False: a record that checks out, and yet is none of ours. */
static bool
read_record(struct str payload, struct ring_key *key_r)
{
	struct str rest = payload;
	uint64_t version = take_number(&rest, 1);
	uint64_t algorithm = take_number(&rest, 1);

	memset(key_r, 0, sizeof(*key_r));
	key_r->made_s = (int64_t)take_number(&rest, 8);
	key_r->active_s = (int64_t)take_number(&rest, 8);
	key_r->domain = take_text(&rest, 1);
	key_r->selector = take_text(&rest, 1);
	key_r->der = take_text(&rest, 2);
	if (rest.p == NULL || rest.len != 0 || version != RECORD_VERSION ||
	    algorithm >= DKIM_ALGORITHM_COUNT || key_r->made_s < 0 ||
	    key_r->active_s < 0)
		return false;
	key_r->algorithm = (enum dkim_algorithm)algorithm;
	return is_name(key_r->domain) && is_name(key_r->selector) &&
	    key_r->der.len > 0;
}

/* ---- in memory ---- */

static struct str
copy(struct str s)
{
	char *p = malloc(s.len + 1);

	invariant(p != NULL);
	memcpy(p, s.p, s.len);
	return str_make(p, s.len);
}

static void
key_free(struct ring_key *key)
{
	EVP_PKEY_free(key->pkey);
	explicit_bzero((char *)(uintptr_t)key->der.p, key->der.len);
	free((char *)(uintptr_t)key->der.p);
	free((char *)(uintptr_t)key->domain.p);
	free((char *)(uintptr_t)key->selector.p);
	free(key);
}

/* A copy of what was read or made becomes part of the ring. */
static struct ring_key *
keep(struct ring *ring, const struct ring_key *from)
{
	struct ring_domain *domain = table_get(ring->domains, from->domain);
	struct ring_key *key = calloc(1, sizeof(*key));

	invariant(key != NULL);
	if (domain == NULL) {
		domain = calloc(1, sizeof(*domain));
		invariant(domain != NULL);
		list_init(&domain->keys);
		(void)table_put(ring->domains, from->domain, domain);
	}
	*key = *from;
	key->domain = copy(from->domain);
	key->selector = copy(from->selector);
	key->der = copy(from->der);
	list_add(&domain->keys, &key->node);
	domain->count++;
	ring->count++;
	return key;
}

struct list *
ring_keys(const struct ring *ring, struct str domain)
{
	struct ring_domain *found = table_get(ring->domains, domain);

	return found != NULL ? &found->keys : NULL;
}

static const struct ring_key *
find(const struct ring *ring, struct str domain, struct str selector)
{
	struct list *keys = ring_keys(ring, domain);
	struct ring_key *key, *tmp;

	if (keys == NULL)
		return NULL;
	list_each(key, tmp, keys, struct ring_key, node)
		if (str_eq(key->selector, selector))
			return key;
	return NULL;
}

/* ---- loading ---- */

/* The file as it is. */
static int
read_file(int fd, struct buf *out, struct err *err)
{
	struct stat st;
	ssize_t n;
	char *p;

	if (fstat(fd, &st) == -1)
		return err_set_errno(err, ERR_TEMP, "keyring");
	if (st.st_size > RING_OCTETS_MAX)
		return err_set(err, ERR_CORRUPT, "the keyring is too large");
	while (out->len < (size_t)st.st_size) {
		p = buf_reserve(out, (size_t)st.st_size - out->len);
		invariant(p != NULL);
		n = pread(fd, p, (size_t)st.st_size - out->len,
		    (off_t)out->len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(err, ERR_TEMP, "keyring");
		buf_grow(out, (size_t)n);
	}
	return 0;
}

/* The payload of the record that s begins with; p NULL: there is none, or it
 * does not check out. */
static struct str
payload_of(struct str s)
{
	unsigned char check[8];
	struct str payload, head = s;
	size_t len = (size_t)take_number(&head, 4);

	if (head.p == NULL || s.len < HEAD_LEN || len == 0 ||
	    len > RECORD_MAX || len > s.len - HEAD_LEN)
		return STR_NONE;
	payload = str_sub(s, HEAD_LEN, len);
	check_of(payload, check);
	return memcmp(check, head.p, sizeof(check)) == 0 ? payload : STR_NONE;
}

/*
 * Is rest what a crash left of one record? Then it is no longer than one, and
 * no other one begins in it: that one would have been written later.
 */
static bool
is_torn(struct str rest)
{
	size_t at;

	if (rest.len > HEAD_LEN + RECORD_MAX)
		return false;
	for (at = 1; at < rest.len; at++)
		if (payload_of(str_sub(rest, at, STR_NPOS)).p != NULL)
			return false;
	return true;
}

/* The records of rest, as far as they hold. */
static void
load_records(struct ring *ring, struct str rest)
{
	struct ring_key key;
	struct str payload;
	size_t len;

	while (rest.len > 0) {
		payload = payload_of(rest);
		if (payload.p == NULL) {
			ring->has_tail = is_torn(rest);
			ring->is_damaged = !ring->has_tail;
			return;
		}
		if (ring->count == RING_KEYS_MAX ||
		    !read_record(payload, &key) ||
		    find(ring, key.domain, key.selector) != NULL) {
			ring->is_damaged = true;
			return;
		}
		(void)keep(ring, &key);
		len = HEAD_LEN + payload.len;
		ring->size += len;
		rest = str_sub(rest, len, STR_NPOS);
	}
}

static int
write_at(const struct ring *ring, struct str data, uint64_t at,
    struct err *err)
{
	size_t done = 0;
	ssize_t n;

	while (done < data.len) {
		n = pwrite(ring->fd, data.p + done, data.len - done,
		    (off_t)(at + done));
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set_errno(err, ERR_TEMP, "keyring");
		done += (size_t)n;
	}
	return 0;
}

/* Less than the name of the format is a file that was just made. */
static int
load(struct ring *ring, struct err *err)
{
	struct str text;
	struct buf file;
	int rc;

	buf_init(&file, RING_OCTETS_MAX);
	rc = read_file(ring->fd, &file, err);
	text = buf_str(&file);
	if (rc == 0 && text.len < MAGIC_LEN &&
	    str_begins(STR(MAGIC), text)) {
		rc = write_at(ring, STR(MAGIC), 0, err);
		ring->size = MAGIC_LEN;
	} else if (rc == 0 && !str_begins(text, STR(MAGIC))) {
		rc = err_set(err, ERR_CORRUPT, "this is no keyring");
	} else if (rc == 0) {
		ring->size = MAGIC_LEN;
		load_records(ring, str_sub(text, MAGIC_LEN, STR_NPOS));
	}
	buf_wipe(&file);
	return rc;
}

struct ring *
ring_load(int fd, struct err *err)
{
	struct ring *ring = calloc(1, sizeof(*ring));

	invariant(ring != NULL);
	ring->fd = fd;
	ring->domains = table_new();
	if (load(ring, err) != 0)
		ring_free(&ring);
	return ring;
}

void
ring_free(struct ring **ring)
{
	struct ring_domain *domain;
	struct ring_key *key, *tmp;
	size_t cursor = 0;

	if (*ring == NULL)
		return;
	while ((domain = table_next((*ring)->domains, &cursor, NULL)) !=
	    NULL) {
		list_each(key, tmp, &domain->keys, struct ring_key, node) {
			list_del(&key->node);
			key_free(key);
		}
		free(domain);
	}
	table_free(&(*ring)->domains);
	if ((*ring)->fd != -1)
		(void)close((*ring)->fd);
	free(*ring);
	*ring = NULL;
}

bool
ring_has_tail(const struct ring *ring)
{
	return ring->has_tail;
}

bool
ring_is_damaged(const struct ring *ring)
{
	return ring->is_damaged;
}

size_t
ring_count(const struct ring *ring)
{
	return ring->count;
}

/* ---- making keys ---- */

static EVP_PKEY *
make_pkey(enum dkim_algorithm algorithm)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(
	    algorithm == DKIM_RSA_SHA256 ? EVP_PKEY_RSA : EVP_PKEY_ED25519,
	    NULL);
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
	    (algorithm == DKIM_RSA_SHA256 &&
	    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, RSA_BITS) != 1) ||
	    EVP_PKEY_keygen(ctx, &pkey) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return pkey;
}

static int
cut_tail(struct ring *ring, struct err *err)
{
	if (ring->has_tail && ftruncate(ring->fd, (off_t)ring->size) == -1)
		return err_set_errno(err, ERR_TEMP, "keyring");
	ring->has_tail = false;
	return 0;
}

/* Append it to the file; a piece of it that got there is cut off again, now
 * or before the next one. */
static int
append(struct ring *ring, const struct ring_key *key, struct err *err)
{
	struct buf record;
	int rc;

	buf_init(&record, RECORD_MAX + HEAD_LEN);
	put_record(&record, key);
	if (ring->size + record.len > RING_OCTETS_MAX)
		rc = err_set(err, ERR_LIMIT, "the keyring is full");
	else if ((rc = cut_tail(ring, err)) == 0) {
		rc = write_at(ring, buf_str(&record), ring->size, err);
		ring->has_tail = rc != 0;
	}
	if (rc == 0)
		ring->size += record.len;
	else
		(void)cut_tail(ring, NULL);
	buf_wipe(&record);
	return rc;
}

static int
check_new(const struct ring *ring, struct str domain, struct str selector,
    struct err *err)
{
	struct ring_domain *found = table_get(ring->domains, domain);

	if (ring->is_damaged)
		return err_set(err, ERR_CORRUPT, "the keyring is damaged");
	if (!is_name(domain) || !is_name(selector))
		return err_set(err, ERR_SYNTAX, "no domain or selector");
	if (find(ring, domain, selector) != NULL)
		return err_set(err, ERR_EXISTS, "there is such a selector");
	if (ring->count >= RING_KEYS_MAX || (found != NULL &&
	    found->count >= RING_DOMAIN_KEYS_MAX))
		return err_set(err, ERR_LIMIT, "too many keys");
	return 0;
}

int
ring_add(struct ring *ring, struct str domain, struct str selector,
    enum dkim_algorithm algorithm, int64_t now_s, int64_t active_s,
    const struct ring_key **key_r, struct err *err)
{
	struct ring_key key = { .domain = domain, .selector = selector,
	    .algorithm = algorithm, .made_s = now_s, .active_s = active_s };
	unsigned char *der = NULL;
	int rc, len;

	if ((rc = check_new(ring, domain, selector, err)) != 0)
		return rc;
	key.pkey = make_pkey(algorithm);
	len = key.pkey != NULL ? i2d_PrivateKey(key.pkey, &der) : -1;
	if (len <= 0) {
		EVP_PKEY_free(key.pkey);
		return err_set(err, ERR_TEMP, "no key can be made");
	}
	key.der = str_make(der, (size_t)len);
	rc = append(ring, &key, err);
	if (rc == 0)
		*key_r = keep(ring, &key);
	else
		EVP_PKEY_free(key.pkey);
	explicit_bzero(der, (size_t)len);
	OPENSSL_free(der);
	return rc;
}

/* ---- what a key is for ---- */

struct ring_key *
ring_signing(const struct ring *ring, struct str domain,
    enum dkim_algorithm algorithm, int64_t now_s)
{
	struct list *keys = ring_keys(ring, domain);
	struct ring_key *key, *tmp, *best = NULL;

	if (keys == NULL)
		return NULL;
	list_each(key, tmp, keys, struct ring_key, node)
		if (key->algorithm == algorithm && key->active_s <= now_s &&
		    (best == NULL || key->active_s >= best->active_s))
			best = key;
	return best;
}

/* Does a come after b, in the order in which they sign? A key made later
 * follows one that became active in the same second. */
static bool
is_after(const struct ring_key *a, const struct ring_key *b, bool stands_below)
{
	return a->active_s > b->active_s ||
	    (a->active_s == b->active_s && stands_below);
}

int64_t
ring_until(const struct ring *ring, const struct ring_key *key)
{
	struct list *keys = ring_keys(ring, key->domain);
	struct ring_key *other, *tmp;
	bool stands_below = false;
	int64_t until_s = 0;

	list_each(other, tmp, keys, struct ring_key, node) {
		if (other == key) {
			stands_below = true;
			continue;
		}
		if (other->algorithm == key->algorithm &&
		    is_after(other, key, stands_below) && (until_s == 0 ||
		    other->active_s + RING_GRACE_S < until_s))
			until_s = other->active_s + RING_GRACE_S;
	}
	return until_s;
}

EVP_PKEY *
ring_pkey(struct ring_key *key)
{
	const unsigned char *p = (const unsigned char *)key->der.p;

	if (key->pkey == NULL)
		key->pkey = d2i_AutoPrivateKey(NULL, &p, (long)key->der.len);
	ERR_clear_error();
	return key->pkey;
}
