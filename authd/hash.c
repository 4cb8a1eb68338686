/* SPDX-License-Identifier: ISC */
#include "authd/hash.h"

#include <argon2.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/rand.h"

#define ARGON2_PASSES 3
#define ARGON2_KIB 65536
#define ARGON2_LANES 1

static int
make_argon2(struct str password, char *encoded, struct err *err)
{
	unsigned char salt[HASH_SALT_OCTETS];
	int rc;

	rand_bytes(salt, sizeof(salt));
	rc = argon2id_hash_encoded(ARGON2_PASSES, ARGON2_KIB, ARGON2_LANES,
	    password.p, password.len, salt, sizeof(salt), HASH_KEY_OCTETS,
	    encoded, HASH_ARGON2_MAX);
	return rc == ARGON2_OK ? 0 : err_set(err, ERR_TEMP, "argon2: %s",
	    argon2_error_message(rc));
}

void
hash_hmac(const unsigned char key[HASH_KEY_OCTETS], const void *data,
    size_t len, unsigned char mac_r[HASH_KEY_OCTETS])
{
	unsigned mac_len = HASH_KEY_OCTETS;

	invariant(HMAC(EVP_sha256(), key, HASH_KEY_OCTETS, data, len, mac_r,
	    &mac_len) != NULL && mac_len == HASH_KEY_OCTETS);
}

/* RFC 5802 section 3: SaltedPassword, then the two keys. */
static int
make_scram(struct str password, struct hash_keys *keys, struct err *err)
{
	unsigned char salted[HASH_KEY_OCTETS], client[HASH_KEY_OCTETS];
	unsigned len = HASH_KEY_OCTETS;
	int ok;

	rand_bytes(keys->salt, sizeof(keys->salt));
	keys->iterations = HASH_SCRAM_ITERATIONS;
	ok = PKCS5_PBKDF2_HMAC(password.p, (int)password.len, keys->salt,
	    sizeof(keys->salt), HASH_SCRAM_ITERATIONS, EVP_sha256(),
	    sizeof(salted), salted) == 1;
	if (ok) {
		hash_hmac(salted, "Client Key", 10, client);
		hash_hmac(salted, "Server Key", 10, keys->server_key);
		ok = EVP_Digest(client, sizeof(client), keys->stored_key,
		    &len, EVP_sha256(), NULL) == 1;
	}
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return ok ? 0 : err_set(err, ERR_TEMP, "PBKDF2 failed");
}

int
hash_make(struct str password, struct hash_keys *keys_r, struct err *err)
{
	int rc = make_argon2(password, keys_r->argon2, err);

	return rc == 0 ? make_scram(password, keys_r, err) : rc;
}

bool
hash_verify(struct str password, const char *argon2)
{
	return argon2id_verify(argon2, password.p, password.len) ==
	    ARGON2_OK;
}

/* Base64 without padding, as encoded hashes have it. */
static void
add_bare_base64(struct buf *out, const void *data, size_t len)
{
	buf_add_base64(out, data, len);
	while (out->len != 0 && out->p[out->start + out->len - 1] == '=')
		buf_truncate(out, out->len - 1);
}

void
hash_dummy(char argon2_r[HASH_ARGON2_MAX])
{
	unsigned char salt[HASH_SALT_OCTETS], hash[HASH_KEY_OCTETS];
	struct buf out;

	rand_bytes(salt, sizeof(salt));
	rand_bytes(hash, sizeof(hash));
	buf_init(&out, HASH_ARGON2_MAX);
	buf_addf(&out, "$argon2id$v=19$m=%d,t=%d,p=%d$", ARGON2_KIB,
	    ARGON2_PASSES, ARGON2_LANES);
	add_bare_base64(&out, salt, sizeof(salt));
	buf_add_char(&out, '$');
	add_bare_base64(&out, hash, sizeof(hash));
	invariant(!buf_failed(&out));
	(void)snprintf(argon2_r, HASH_ARGON2_MAX, "%.*s",
	    STR_FMT(buf_str(&out)));
	buf_fini(&out);
}

void
hash_fake_keys(const unsigned char key[HASH_KEY_OCTETS], struct str user,
    struct hash_keys *keys_r)
{
	unsigned char mac[HASH_KEY_OCTETS];
	struct buf text;

	memset(keys_r, 0, sizeof(*keys_r));
	buf_init(&text, 4096);
	buf_add_cstr(&text, "salt ");
	buf_add_str(&text, str_sub(user, 0, 2000));
	hash_hmac(key, buf_str(&text).p, text.len, mac);
	memcpy(keys_r->salt, mac, sizeof(keys_r->salt));
	keys_r->iterations = HASH_SCRAM_ITERATIONS;
	buf_fini(&text);
	/* Nobody has a password for these. */
	rand_bytes(keys_r->stored_key, sizeof(keys_r->stored_key));
	rand_bytes(keys_r->server_key, sizeof(keys_r->server_key));
}
