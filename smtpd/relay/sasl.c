/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/sasl.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/rand.h"
#include "proto/smtp_answer.h"

#define DIGEST SHA256_DIGEST_LENGTH
#define MESSAGE_MAX 4096

struct sasl {
	void (*first)(struct sasl *sasl, struct buf *out);
	int (*step)(struct sasl *sasl, struct str in, struct buf *out);
	const char *name;
	const char *user, *password;
	unsigned steps;
	bool is_done;
	/* SCRAM */
	char nonce[64];
	struct buf first_bare;
	unsigned char server_key[DIGEST];
	struct buf auth_message;
};

/* ---- PLAIN and LOGIN ---- */

/* RFC 4616: authorization identity (none), NUL, user, NUL, password. */
static void
plain_first(struct sasl *sasl, struct buf *out)
{
	struct buf text;

	buf_init(&text, MESSAGE_MAX);
	buf_add_char(&text, '\0');
	buf_add_cstr(&text, sasl->user);
	buf_add_char(&text, '\0');
	buf_add_cstr(&text, sasl->password);
	buf_add_char(out, ' ');
	buf_add_base64(out, text.p, text.len);
	buf_wipe(&text);
	sasl->is_done = true;
}

static int
plain_step(struct sasl *sasl, struct str in, struct buf *out)
{
	(void)sasl;
	(void)in;
	(void)out;
	return ERR_SYNTAX;
}

static void
login_first(struct sasl *sasl, struct buf *out)
{
	(void)sasl;
	(void)out;
}

/* Whatever the prompts say: the name, then the password. */
static int
login_step(struct sasl *sasl, struct str in, struct buf *out)
{
	const char *word = sasl->steps == 1 ? sasl->user : sasl->password;

	(void)in;
	if (sasl->steps > 2)
		return ERR_SYNTAX;
	buf_add_base64(out, word, strlen(word));
	sasl->is_done = sasl->steps == 2;
	return 0;
}

/* ---- SCRAM ---- */

/* RFC 5802 section 5.1: "," and "=" of a name are "=2C" and "=3D". */
static void
put_name(struct buf *out, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ',')
			buf_add_cstr(out, "=2C");
		else if (*name == '=')
			buf_add_cstr(out, "=3D");
		else
			buf_add_char(out, *name);
	}
}

static void
scram_first(struct sasl *sasl, struct buf *out)
{
	struct buf text;

	buf_add_cstr(&sasl->first_bare, "n=");
	put_name(&sasl->first_bare, sasl->user);
	buf_add_cstr(&sasl->first_bare, ",r=");
	buf_add_cstr(&sasl->first_bare, sasl->nonce);
	buf_init(&text, MESSAGE_MAX);
	buf_add_cstr(&text, "n,,");
	buf_add_str(&text, buf_str(&sasl->first_bare));
	buf_add_char(out, ' ');
	buf_add_base64(out, text.p, text.len);
	buf_fini(&text);
}

static void
hmac(const unsigned char key[DIGEST], struct str data,
    unsigned char out[DIGEST])
{
	unsigned len = DIGEST;

	invariant(HMAC(EVP_sha256(), key, DIGEST,
	    (const unsigned char *)data.p, data.len, out, &len) != NULL);
}

/* The value of attribute name at the front of *rest. */
static int
take(struct str *rest, char name, struct str *value_r)
{
	struct str field = str_cut(*rest, ',', rest);

	if (field.len < 2 || field.p[0] != name || field.p[1] != '=')
		return ERR_SYNTAX;
	*value_r = str_sub(field, 2, field.len);
	return 0;
}

static int
salted_password(struct sasl *sasl, struct str salt64, struct str count,
    unsigned char out[DIGEST])
{
	uint64_t iterations;
	struct buf salt;
	int rc;

	if (str_to_u64(count, SASL_ITERATIONS_MAX, &iterations) != 0 ||
	    iterations == 0)
		return ERR_LIMIT;
	buf_init(&salt, MESSAGE_MAX);
	rc = buf_add_unbase64(&salt, salt64);
	if (rc == 0 && (salt.len == 0 || PKCS5_PBKDF2_HMAC(sasl->password,
	    (int)strlen(sasl->password), (const unsigned char *)salt.p,
	    (int)salt.len, (int)iterations, EVP_sha256(), DIGEST, out) != 1))
		rc = ERR_SYNTAX;
	buf_fini(&salt);
	return rc;
}

static void
put_proof(struct sasl *sasl, const unsigned char salted[DIGEST],
    struct buf *out)
{
	unsigned char client_key[DIGEST], stored[DIGEST], sign[DIGEST];
	size_t i;

	hmac(salted, STR("Client Key"), client_key);
	hmac(salted, STR("Server Key"), sasl->server_key);
	SHA256(client_key, DIGEST, stored);
	hmac(stored, buf_str(&sasl->auth_message), sign);
	for (i = 0; i < DIGEST; i++)
		sign[i] ^= client_key[i];
	buf_add_base64(out, sign, DIGEST);
	OPENSSL_cleanse(client_key, DIGEST);
	OPENSSL_cleanse(stored, DIGEST);
}

/* "r=NONCE,s=SALT,i=COUNT" */
static int
scram_challenge(struct sasl *sasl, struct str in, struct buf *out)
{
	struct str rest = in, nonce, salt, count;
	unsigned char salted[DIGEST];
	struct buf text;
	int rc;

	if (take(&rest, 'r', &nonce) != 0 || take(&rest, 's', &salt) != 0 ||
	    take(&rest, 'i', &count) != 0 ||
	    !str_begins(nonce, str_of(sasl->nonce)) ||
	    nonce.len == strlen(sasl->nonce))
		return ERR_SYNTAX;
	if ((rc = salted_password(sasl, salt, count, salted)) != 0)
		return rc;
	buf_init(&text, MESSAGE_MAX);
	buf_add_cstr(&text, "c=biws,r=");
	buf_add_str(&text, nonce);
	buf_add_str(&sasl->auth_message, buf_str(&sasl->first_bare));
	buf_add_char(&sasl->auth_message, ',');
	buf_add_str(&sasl->auth_message, in);
	buf_add_char(&sasl->auth_message, ',');
	buf_add_str(&sasl->auth_message, buf_str(&text));
	buf_add_cstr(&text, ",p=");
	put_proof(sasl, salted, &text);
	OPENSSL_cleanse(salted, sizeof(salted));
	buf_add_base64(out, text.p, text.len);
	rc = buf_failed(&text) || buf_failed(&sasl->auth_message) ?
	    ERR_LIMIT : 0;
	buf_fini(&text);
	return rc;
}

/* "v=SIGNATURE" */
static int
scram_verify(struct sasl *sasl, struct str in)
{
	unsigned char want[DIGEST];
	struct str rest = in, value;
	struct buf got;
	int rc = ERR_DENIED;

	if (take(&rest, 'v', &value) != 0)
		return ERR_DENIED;
	hmac(sasl->server_key, buf_str(&sasl->auth_message), want);
	buf_init(&got, MESSAGE_MAX);
	if (buf_add_unbase64(&got, value) == 0 && got.len == DIGEST &&
	    rand_equal(got.p, want, DIGEST))
		rc = 0;
	buf_fini(&got);
	sasl->is_done = rc == 0;
	return rc;
}

static int
scram_step(struct sasl *sasl, struct str in, struct buf *out)
{
	struct buf text;
	int rc;

	buf_init(&text, MESSAGE_MAX);
	rc = buf_add_unbase64(&text, in);
	if (rc == 0 && sasl->steps == 1)
		rc = scram_challenge(sasl, buf_str(&text), out);
	else if (rc == 0 && sasl->steps == 2)
		rc = scram_verify(sasl, buf_str(&text));
	else
		rc = ERR_SYNTAX;
	buf_fini(&text);
	return rc;
}

/* ---- both ---- */

static const struct {
	unsigned bit;
	const char *name;
	void (*first)(struct sasl *sasl, struct buf *out);
	int (*step)(struct sasl *sasl, struct str in, struct buf *out);
} mechanisms_known[] = {
	{ SMTP_M_SCRAM_SHA_256, "SCRAM-SHA-256", scram_first, scram_step },
	{ SMTP_M_PLAIN, "PLAIN", plain_first, plain_step },
	{ SMTP_M_LOGIN, "LOGIN", login_first, login_step },
};

struct sasl *
sasl_new(unsigned mechanisms, const char *user, const char *password)
{
	unsigned char random[24];
	struct sasl *sasl;
	struct buf nonce;
	size_t i;

	for (i = 0; i < 3; i++)
		if ((mechanisms & mechanisms_known[i].bit) != 0)
			break;
	if (i == 3)
		return NULL;
	sasl = calloc(1, sizeof(*sasl));
	invariant(sasl != NULL);
	sasl->name = mechanisms_known[i].name;
	sasl->first = mechanisms_known[i].first;
	sasl->step = mechanisms_known[i].step;
	sasl->user = user;
	sasl->password = password;
	buf_init(&sasl->first_bare, MESSAGE_MAX);
	buf_init(&sasl->auth_message, 3 * MESSAGE_MAX);
	rand_bytes(random, sizeof(random));
	buf_init(&nonce, sizeof(sasl->nonce));
	buf_add_hex(&nonce, random, sizeof(random));
	(void)snprintf(sasl->nonce, sizeof(sasl->nonce), "%.*s",
	    (int)nonce.len, nonce.p);
	buf_fini(&nonce);
	return sasl;
}

void
sasl_free(struct sasl **sasl)
{
	if (*sasl == NULL)
		return;
	buf_fini(&(*sasl)->first_bare);
	buf_wipe(&(*sasl)->auth_message);
	OPENSSL_cleanse(*sasl, sizeof(**sasl));
	free(*sasl);
	*sasl = NULL;
}

void
sasl_set_nonce(struct sasl *sasl, const char *nonce)
{
	(void)snprintf(sasl->nonce, sizeof(sasl->nonce), "%s", nonce);
}

void
sasl_first(struct sasl *sasl, struct buf *out)
{
	buf_add_cstr(out, sasl->name);
	sasl->first(sasl, out);
}

int
sasl_step(struct sasl *sasl, struct str base64, struct buf *out)
{
	sasl->steps++;
	return sasl->step(sasl, base64, out);
}

bool
sasl_is_done(const struct sasl *sasl)
{
	return sasl->is_done;
}
