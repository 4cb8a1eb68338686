/* SPDX-License-Identifier: ISC */
#include "mailauth/srs.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/rand.h"
#include "proto/dns_rdata.h"

#define HASH_OCTETS 6U		/* of base32: 30 bits */
#define DAY_OCTETS 2U		/* of base32: 1,024 days */
#define DAYS 1024
#define DAY_S 86400
#define INPUT_MAX 1024U
#define KEY_MIN 32U

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* ---- the parts ---- */

/* In lower case: hosts on the way may change the case. */
static void
add_lower(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_add_char(out, ascii_lower(s.p[i]));
}

/* Parts of signed text are set apart by NULs, which none of them holds. */
static void
make_hash(struct str key, const struct str *parts, size_t count,
    char hash_r[HASH_OCTETS])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	struct buf text;
	uint32_t bits;
	size_t i;

	invariant(key.len >= KEY_MIN && key.len <= INT32_MAX);
	buf_init(&text, INPUT_MAX * 4);
	for (i = 0; i < count; i++) {
		add_lower(&text, parts[i]);
		buf_add_char(&text, '\0');
	}
	invariant(!buf_failed(&text));
	invariant(HMAC(EVP_sha256(), key.p, (int)key.len,
	    (const unsigned char *)buf_str(&text).p, text.len, mac,
	    &len) != NULL && len >= 4);
	buf_fini(&text);
	bits = (uint32_t)mac[0] << 24 | (uint32_t)mac[1] << 16 |
	    (uint32_t)mac[2] << 8 | mac[3];
	for (i = 0; i < HASH_OCTETS; i++)
		hash_r[i] = base32[bits >> (27 - 5 * i) & 31];
}

/* By any of the keys; the time does not depend on where it differs. */
static bool
is_signed(const struct srs_keys *keys, struct str hash,
    const struct str *parts, size_t count)
{
	char want[HASH_OCTETS], got[HASH_OCTETS];
	bool is_equal = false;
	size_t i;

	if (hash.len != HASH_OCTETS)
		return false;
	for (i = 0; i < HASH_OCTETS; i++)
		got[i] = ascii_upper(hash.p[i]);
	for (i = 0; i < keys->count; i++) {
		make_hash(keys->keys[i], parts, count, want);
		is_equal |= rand_equal(want, got, HASH_OCTETS) != 0;
	}
	return is_equal;
}

static unsigned
day_of(int64_t now_s)
{
	int64_t day = now_s / DAY_S % DAYS;

	return (unsigned)(day < 0 ? day + DAYS : day);
}

/* Made up to SRS_DAYS ago, or tomorrow by a clock that is ahead. */
static bool
is_fresh(struct str text, int64_t now_s)
{
	unsigned age, day = 0;
	const char *at;
	size_t i;

	if (text.len != DAY_OCTETS)
		return false;
	for (i = 0; i < DAY_OCTETS; i++) {
		at = memchr(base32, ascii_upper(text.p[i]),
		    sizeof(base32) - 1);
		if (at == NULL)
			return false;
		day = day << 5 | (unsigned)(at - base32);
	}
	age = (day_of(now_s) - day + DAYS) % DAYS;
	return age <= SRS_DAYS || age == DAYS - 1;
}

/* "SRS0=", also with the other separators that are in use. */
static bool
begins_with(struct str local, struct str tag)
{
	return str_begins_nocase(local, tag) && local.len > tag.len &&
	    str_find(STR("=+-"), local.p[tag.len]) != STR_NPOS;
}

bool
srs_is_address(struct str local)
{
	return begins_with(local, STR("SRS0")) ||
	    begins_with(local, STR("SRS1"));
}

/* ---- forward ---- */

static int
put_local(struct arena *arena, const struct buf *out, struct str *local_r,
    struct err *err)
{
	if (buf_failed(out))
		return err_set(err, ERR_LIMIT,
		    "a rewritten sender of over %u octets", SRS_LOCAL_MAX);
	*local_r = arena_str(arena, buf_str(out));
	return 0;
}

static int
forward_0(struct arena *arena, struct str key, struct str local,
    struct str domain, int64_t now_s, struct str *local_r, struct err *err)
{
	unsigned day = day_of(now_s);
	char text[DAY_OCTETS] = { base32[day >> 5], base32[day & 31] };
	struct str parts[] = { STR("SRS0"), str_make(text, DAY_OCTETS),
		domain, local };
	char hash[HASH_OCTETS];
	struct buf out;
	int rc;

	make_hash(key, parts, 4, hash);
	buf_init(&out, SRS_LOCAL_MAX);
	buf_add_cstr(&out, "SRS0=");
	buf_add(&out, hash, sizeof(hash));
	buf_add_char(&out, '=');
	buf_add(&out, text, sizeof(text));
	buf_add_char(&out, '=');
	buf_add_str(&out, domain);
	buf_add_char(&out, '=');
	buf_add_str(&out, local);
	rc = put_local(arena, &out, local_r, err);
	buf_fini(&out);
	return rc;
}

static int
forward_1(struct arena *arena, struct str key, struct str host,
    struct str rest, struct str *local_r, struct err *err)
{
	struct str parts[] = { STR("SRS1"), host, rest };
	char hash[HASH_OCTETS];
	struct buf out;
	int rc;

	make_hash(key, parts, 3, hash);
	buf_init(&out, SRS_LOCAL_MAX);
	buf_add_cstr(&out, "SRS1=");
	buf_add(&out, hash, sizeof(hash));
	buf_add_char(&out, '=');
	buf_add_str(&out, host);
	buf_add_char(&out, '=');
	buf_add_str(&out, rest);
	rc = put_local(arena, &out, local_r, err);
	buf_fini(&out);
	return rc;
}

/* What follows "SRS1=": its hash, its host, what its SRS0 has after "SRS0".
 * False when that is not what it looks like. */
static bool
cut_srs1(struct str local, struct str *hash_r, struct str *host_r,
    struct str *rest_r)
{
	struct str rest = str_sub(local, 5, STR_NPOS);

	*rest_r = STR_NONE;
	*hash_r = str_cut(rest, '=', &rest);
	if (rest.p == NULL)
		return false;
	*host_r = str_cut(rest, '=', rest_r);
	return rest_r->len > 1 &&
	    str_find(STR("=+-"), rest_r->p[0]) != STR_NPOS &&
	    dns_name_is_host(*host_r);
}

int
srs_forward(struct arena *arena, const struct srs_keys *keys,
    struct str local, struct str domain, int64_t now_s, struct str *local_r,
    struct err *err)
{
	struct str hash, host, rest;

	*local_r = STR_NONE;
	invariant(keys->count != 0);
	if (local.len == 0 || !dns_name_is_host(domain))
		return err_set(err, ERR_SYNTAX,
		    "a sender that cannot be rewritten");
	if (local.len > INPUT_MAX || memchr(local.p, '\0', local.len) != NULL)
		return err_set(err, ERR_LIMIT, "a local part of %zu octets",
		    local.len);
	/* Its SRS0 leads back to the first forwarder: the others between
	 * are left out. */
	if (begins_with(local, STR("SRS1")) &&
	    cut_srs1(local, &hash, &host, &rest))
		return forward_1(arena, keys->keys[0], host, rest, local_r,
		    err);
	if (begins_with(local, STR("SRS0")) && local.len > 5)
		return forward_1(arena, keys->keys[0], domain,
		    str_sub(local, 4, STR_NPOS), local_r, err);
	return forward_0(arena, keys->keys[0], local, domain, now_s, local_r,
	    err);
}

/* ---- reverse ---- */

static int
reverse_0(struct arena *arena, const struct srs_keys *keys, struct str local,
    int64_t now_s, struct str *local_r, struct str *domain_r,
    struct err *err)
{
	struct str rest = str_sub(local, 5, STR_NPOS);
	struct str hash, parts[4] = { STR("SRS0") };
	size_t i;

	hash = str_cut(rest, '=', &rest);
	for (i = 1; i < 3 && rest.p != NULL; i++)
		parts[i] = str_cut(rest, '=', &rest);
	parts[3] = rest;
	if (parts[3].len == 0 || !dns_name_is_host(parts[2]))
		return err_set(err, ERR_SYNTAX, "malformed SRS0");
	if (!is_signed(keys, hash, parts, 4))
		return err_set(err, ERR_DENIED, "an SRS0 that is not ours");
	if (!is_fresh(parts[1], now_s))
		return err_set(err, ERR_DENIED, "an SRS0 that is too old");
	*local_r = arena_str(arena, parts[3]);
	*domain_r = arena_str(arena, parts[2]);
	return 0;
}

static int
reverse_1(struct arena *arena, const struct srs_keys *keys, struct str local,
    struct str *local_r, struct str *domain_r, struct err *err)
{
	struct str hash, parts[3] = { STR("SRS1") };

	if (!cut_srs1(local, &hash, &parts[1], &parts[2]))
		return err_set(err, ERR_SYNTAX, "malformed SRS1");
	if (!is_signed(keys, hash, parts, 3))
		return err_set(err, ERR_DENIED, "an SRS1 that is not ours");
	*local_r = arena_printf(arena, "SRS0%.*s", STR_FMT(parts[2]));
	*domain_r = arena_str(arena, parts[1]);
	return 0;
}

int
srs_reverse(struct arena *arena, const struct srs_keys *keys,
    struct str local, int64_t now_s, struct str *local_r,
    struct str *domain_r, struct err *err)
{
	*local_r = *domain_r = STR_NONE;
	if (!srs_is_address(local))
		return err_set(err, ERR_NOTFOUND, "not an SRS address");
	if (local.len > INPUT_MAX || memchr(local.p, '\0', local.len) != NULL)
		return err_set(err, ERR_SYNTAX, "a local part of %zu octets",
		    local.len);
	return begins_with(local, STR("SRS0")) ?
	    reverse_0(arena, keys, local, now_s, local_r, domain_r, err) :
	    reverse_1(arena, keys, local, local_r, domain_r, err);
}
