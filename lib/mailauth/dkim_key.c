/* SPDX-License-Identifier: ISC */
#include "mailauth/dkim_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "mailauth/tags.h"

#define ED25519_OCTETS 32U
#define SIGNATURE_MAX 2048U

static const char *const algorithm_names[DKIM_ALGORITHM_COUNT] = {
	[DKIM_RSA_SHA256] = "rsa-sha256",
	[DKIM_ED25519_SHA256] = "ed25519-sha256",
};

const char *
dkim_algorithm_name(enum dkim_algorithm algorithm)
{
	invariant((unsigned)algorithm < DKIM_ALGORITHM_COUNT);
	return algorithm_names[algorithm];
}

int
dkim_algorithm_of(struct str name, enum dkim_algorithm *algorithm_r)
{
	unsigned i;

	for (i = 0; i < DKIM_ALGORITHM_COUNT; i++) {
		if (!str_eq_nocase(name, str_of(algorithm_names[i])))
			continue;
		*algorithm_r = i;
		return 0;
	}
	return ERR_SYNTAX;
}

struct str
dkim_key_name(struct arena *arena, struct str selector, struct str domain)
{
	return arena_printf(arena, "%.*s._domainkey.%.*s", STR_FMT(selector),
	    STR_FMT(domain));
}

/* ---- reading ---- */

/* A SubjectPublicKeyInfo, or the RSAPublicKey inside one (RFC 6376 section
 * 3.6.1 means the first, its erratum 3017 the second): both are about. */
static EVP_PKEY *
rsa_of(struct str der)
{
	const unsigned char *begin = (const unsigned char *)der.p, *p = begin;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &p, (long)der.len);

	if (pkey == NULL) {
		p = begin;
		pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)der.len);
	}
	if (pkey != NULL && (p != begin + der.len ||
	    EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	ERR_clear_error();
	return pkey;
}

/* A modulus of 3072 bits may have an exponent as long, which makes a hundred
 * signatures cost seconds. */
static bool
is_cheap(EVP_PKEY *pkey)
{
	BIGNUM *exponent = NULL;
	bool ok;

	ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E,
	    &exponent) == 1 &&
	    BN_num_bits(exponent) <= (int)DKIM_RSA_EXPONENT_BITS_MAX;
	BN_free(exponent);
	return ok;
}

static EVP_PKEY *
ed25519_of(struct str octets)
{
	if (octets.len != ED25519_OCTETS)
		return NULL;
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
	    (const unsigned char *)octets.p, octets.len);
}

static int
set_key(struct dkim_key *key, struct str octets, struct err *err)
{
	key->pkey = key->algorithm == DKIM_RSA_SHA256 ? rsa_of(octets) :
	    ed25519_of(octets);
	if (key->pkey == NULL)
		return err_set(err, ERR_SYNTAX, "the key does not parse");
	if (key->algorithm == DKIM_RSA_SHA256 && !is_cheap(key->pkey)) {
		dkim_key_fini(key);
		return err_set(err, ERR_DENIED, "the key's exponent is too "
		    "large");
	}
	key->bits = key->algorithm == DKIM_RSA_SHA256 ?
	    (unsigned)EVP_PKEY_get_bits(key->pkey) : 256;
	return 0;
}

/* RFC 6376 section 3.6.1: what the other tags say about the key's use. */
static int
check_use(const struct tags *tags, struct dkim_key *key, struct err *err)
{
	struct str version = tags_get(tags, "v");
	struct str hashes = tags_get(tags, "h");
	struct str services = tags_get(tags, "s");
	struct str kind = tags_get(tags, "k");
	struct str flags = tags_get(tags, "t");

	if (version.p != NULL && (tags->v[0].value.p != version.p ||
	    !str_eq(version, STR("DKIM1"))))
		return err_set(err, ERR_SYNTAX, "no record of DKIM1");
	if (kind.p == NULL || str_eq_nocase(kind, STR("rsa")))
		key->algorithm = DKIM_RSA_SHA256;
	else if (str_eq_nocase(kind, STR("ed25519")))
		key->algorithm = DKIM_ED25519_SHA256;
	else
		return err_set(err, ERR_DENIED, "unknown kind of key");
	if (hashes.p != NULL && !tags_list_has(hashes, "sha256"))
		return err_set(err, ERR_DENIED, "the key is not for SHA-256");
	if (services.p != NULL && !tags_list_has(services, "*") &&
	    !tags_list_has(services, "email"))
		return err_set(err, ERR_DENIED, "the key is not for mail");
	key->is_testing = flags.p != NULL && tags_list_has(flags, "y");
	key->is_exact = flags.p != NULL && tags_list_has(flags, "s");
	return 0;
}

static int
parse_tags(const struct tags *tags, struct arena *arena,
    struct dkim_key *key, struct err *err)
{
	struct str octets, text = tags_get(tags, "p");
	int rc;

	if ((rc = check_use(tags, key, err)) != 0)
		return rc;
	if (text.p == NULL)
		return err_set(err, ERR_SYNTAX, "the record has no key");
	if (text.len == 0)
		return err_set(err, ERR_NOTFOUND, "the key was revoked");
	if ((rc = tags_base64(arena, text, &octets, err)) != 0)
		return rc;
	return set_key(key, octets, err);
}

int
dkim_key_parse(struct str record, struct dkim_key *key_r, struct err *err)
{
	struct arena *arena = arena_new(0);
	struct tags *tags = arena_new_of(arena, struct tags);
	int rc;

	memset(key_r, 0, sizeof(*key_r));
	rc = tags_parse(record, tags, err);
	if (rc == 0)
		rc = parse_tags(tags, arena, key_r, err);
	arena_free(&arena);
	return rc;
}

void
dkim_key_fini(struct dkim_key *key)
{
	EVP_PKEY_free(key->pkey);
	key->pkey = NULL;
}

/* ---- signatures ---- */

static bool
verify_rsa(EVP_PKEY *pkey, const unsigned char *digest, struct str signature)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool ok;

	ok = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_verify(ctx, (const unsigned char *)signature.p,
	    signature.len, digest, 32) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

/* RFC 8463 section 3: Ed25519 over the hash, which it takes as a message. */
static bool
verify_ed25519(EVP_PKEY *pkey, const unsigned char *digest,
    struct str signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	ok = ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestVerify(ctx, (const unsigned char *)signature.p,
	    signature.len, digest, 32) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

bool
dkim_key_verify(const struct dkim_key *key, const unsigned char *digest,
    struct str signature)
{
	bool ok = key->algorithm == DKIM_RSA_SHA256 ?
	    verify_rsa(key->pkey, digest, signature) :
	    verify_ed25519(key->pkey, digest, signature);

	ERR_clear_error();
	return ok;
}

int
dkim_key_algorithm(EVP_PKEY *pkey, enum dkim_algorithm *algorithm_r)
{
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_RSA:
		*algorithm_r = DKIM_RSA_SHA256;
		return 0;
	case EVP_PKEY_ED25519:
		*algorithm_r = DKIM_ED25519_SHA256;
		return 0;
	default:
		return ERR_SYNTAX;
	}
}

static bool
sign_rsa(EVP_PKEY *pkey, const unsigned char *digest, unsigned char *out,
    size_t *len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	bool ok;

	ok = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
	    EVP_PKEY_sign(ctx, out, len, digest, 32) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static bool
sign_ed25519(EVP_PKEY *pkey, const unsigned char *digest, unsigned char *out,
    size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok;

	ok = ctx != NULL &&
	    EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
	    EVP_DigestSign(ctx, out, len, digest, 32) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

int
dkim_key_sign(EVP_PKEY *pkey, const unsigned char *digest,
    struct buf *signature, struct err *err)
{
	unsigned char out[SIGNATURE_MAX];
	enum dkim_algorithm algorithm;
	size_t len = sizeof(out);
	bool ok;

	ok = dkim_key_algorithm(pkey, &algorithm) == 0 &&
	    (algorithm == DKIM_RSA_SHA256 ?
	    sign_rsa(pkey, digest, out, &len) :
	    sign_ed25519(pkey, digest, out, &len));
	ERR_clear_error();
	if (!ok)
		return err_set(err, ERR_TEMP, "cannot sign with that key");
	buf_add(signature, out, len);
	return 0;
}

/* ---- writing ---- */

int
dkim_key_put_record(EVP_PKEY *pkey, struct buf *out, struct err *err)
{
	unsigned char raw[ED25519_OCTETS], *der = NULL;
	enum dkim_algorithm algorithm;
	size_t raw_len = sizeof(raw);
	int len;

	if (dkim_key_algorithm(pkey, &algorithm) != 0)
		return err_set(err, ERR_SYNTAX, "no key for DKIM");
	if (algorithm == DKIM_ED25519_SHA256) {
		if (EVP_PKEY_get_raw_public_key(pkey, raw, &raw_len) != 1)
			return err_set(err, ERR_TEMP, "no public half");
		buf_add_cstr(out, "v=DKIM1; k=ed25519; p=");
		buf_add_base64(out, raw, raw_len);
		return 0;
	}
	len = i2d_PUBKEY(pkey, &der);
	if (len <= 0)
		return err_set(err, ERR_TEMP, "no public half");
	buf_add_cstr(out, "v=DKIM1; k=rsa; p=");
	buf_add_base64(out, der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}
