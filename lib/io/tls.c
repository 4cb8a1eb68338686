/* SPDX-License-Identifier: ISC */
/* The low-level key methods are deprecated in OpenSSL 3.0 but they are what
 * lets a key live elsewhere without writing a provider. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "io/tls_int.h"

#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

/* The same numbers as enum key_operation of ipc/values.h. */
enum { OP_ECDSA = 0, OP_RSA_PKCS1 = 1, OP_RSA_NONE = 2 };

struct tls {
	SSL_CTX *ctx;
	tls_signer *signer;
	void *signer_ctx;
	unsigned char key_id[SHA256_DIGEST_LENGTH];
	int refs;
};

/* One connection's side: what a signature has to wake. */
struct peer {
	struct tls *tls;
	void (*wake)(void *ctx);	/* NULL: the connection is gone */
	void *ctx;
	struct tls_sign *waiting;
	SSL *orphan;		/* freed when the signature comes */
};

struct tls_sign {
	struct peer *peer;
	bool is_done;
	size_t len;
	unsigned char data[1024];
};

static int peer_index = -1;
static int tls_index = -1;
static EC_KEY_METHOD *ec_method;
static RSA_METHOD *rsa_method;

/* The connection whose handshake runs now: the key methods get no context. */
static struct peer *running;

struct tls *
tls_ref(struct tls *tls)
{
	tls->refs++;
	return tls;
}

static void
tls_unref(struct tls *tls)
{
	if (--tls->refs > 0)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls);
}

/*
 * Ask the signer from inside the handshake's async job and pause until the
 * answer is there. Returns its length, 0 on failure.
 */
static size_t
sign_elsewhere(unsigned operation, struct str data, unsigned char *out,
    size_t out_size)
{
	struct peer *peer = running;
	struct tls_sign *sign;
	struct tls *tls;
	size_t len;

	if (peer == NULL || ASYNC_get_current_job() == NULL)
		return 0;
	tls = peer->tls;
	sign = calloc(1, sizeof(*sign));
	if (sign == NULL)
		return 0;
	sign->peer = peer;
	peer->waiting = sign;
	tls->signer(tls->signer_ctx, sign,
	    str_make(tls->key_id, sizeof(tls->key_id)), operation, data);
	while (!sign->is_done)
		if (ASYNC_pause_job() == 0)
			break;
	len = sign->len <= out_size ? sign->len : 0;
	memcpy(out, sign->data, len);
	peer->waiting = NULL;
	free(sign);
	return len;
}

void
tls_sign_done(struct tls_sign *sign, struct str signature)
{
	struct peer *peer = sign->peer;
	SSL *orphan = peer->orphan;

	if (signature.len <= sizeof(sign->data)) {
		if (signature.len != 0)
			memcpy(sign->data, signature.p, signature.len);
		sign->len = signature.len;
	}
	sign->is_done = true;
	if (orphan != NULL) {
		/* Let the job run to its end, then free both. */
		peer->orphan = NULL;
		(void)tls_handshake(orphan);
		ERR_clear_error();
		tls_session_free(&orphan);
		return;
	}
	peer->wake(peer->ctx);
}

static int
ec_sign(int type, const unsigned char *digest, int digest_len,
    unsigned char *sig, unsigned *sig_len, const BIGNUM *kinv,
    const BIGNUM *r, EC_KEY *key)
{
	size_t len;

	(void)type;
	(void)kinv;
	(void)r;
	len = sign_elsewhere(OP_ECDSA, str_make(digest, (size_t)digest_len),
	    sig, (size_t)ECDSA_size(key));
	*sig_len = (unsigned)len;
	return len != 0;
}

static int
rsa_private_encrypt(int len, const unsigned char *from, unsigned char *to,
    RSA *rsa, int padding)
{
	unsigned operation;
	size_t n;

	if (padding == RSA_PKCS1_PADDING)
		operation = OP_RSA_PKCS1;
	else if (padding == RSA_NO_PADDING)
		operation = OP_RSA_NONE;
	else
		return -1;
	n = sign_elsewhere(operation, str_make(from, (size_t)len), to,
	    (size_t)RSA_size(rsa));
	return n != 0 ? (int)n : -1;
}

static void
methods_init(void)
{
	if (ec_method != NULL)
		return;
	peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	tls_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	ec_method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	rsa_method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	invariant(ec_method != NULL && rsa_method != NULL);
	EC_KEY_METHOD_set_sign(ec_method, ec_sign, NULL, NULL);
	RSA_meth_set1_name(rsa_method, "remote key");
	RSA_meth_set_priv_enc(rsa_method, rsa_private_encrypt);
	RSA_meth_set_flags(rsa_method, RSA_FLAG_EXT_PKEY |
	    RSA_METHOD_FLAG_NO_CHECK);
}

/* A key with the certificate's public half whose signatures are remote. */
static EVP_PKEY *
remote_key(X509 *cert)
{
	EVP_PKEY *public = X509_get0_pubkey(cert);
	EVP_PKEY *remote = EVP_PKEY_new();
	EC_KEY *ec;
	RSA *rsa;

	if (public == NULL || remote == NULL) {
		EVP_PKEY_free(remote);
		return NULL;
	}
	if (EVP_PKEY_base_id(public) == EVP_PKEY_EC) {
		ec = EVP_PKEY_get1_EC_KEY(public);
		if (ec != NULL && EC_KEY_set_method(ec, ec_method) == 1 &&
		    EVP_PKEY_assign_EC_KEY(remote, ec) == 1)
			return remote;
		EC_KEY_free(ec);
	} else if (EVP_PKEY_base_id(public) == EVP_PKEY_RSA) {
		rsa = EVP_PKEY_get1_RSA(public);
		if (rsa != NULL && RSA_set_method(rsa, rsa_method) == 1 &&
		    EVP_PKEY_assign_RSA(remote, rsa) == 1)
			return remote;
		RSA_free(rsa);
	}
	EVP_PKEY_free(remote);
	return NULL;
}

static int
spki_id(EVP_PKEY *key, unsigned char id_r[32])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	if (len <= 0)
		return ERR_SYNTAX;
	SHA256(der, (size_t)len, id_r);
	OPENSSL_free(der);
	return 0;
}

int
tls_key_id(struct str pem, bool is_private, unsigned char id_r[32],
    struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	int rc = ERR_SYNTAX;

	invariant(bio != NULL);
	if (is_private) {
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	} else {
		cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (cert != NULL)
			key = X509_get_pubkey(cert);
	}
	if (key != NULL)
		rc = spki_id(key, id_r);
	X509_free(cert);
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return rc == 0 ? 0 : err_set(err, ERR_SYNTAX, "not a PEM %s",
	    is_private ? "private key" : "certificate");
}

static int
use_chain(struct tls *tls, struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL), *more;
	EVP_PKEY *key = NULL;
	int rc = ERR_SYNTAX;

	if (cert != NULL && (key = remote_key(cert)) != NULL &&
	    spki_id(key, tls->key_id) == 0 &&
	    SSL_CTX_use_certificate(tls->ctx, cert) == 1 &&
	    SSL_CTX_use_PrivateKey(tls->ctx, key) == 1)
		rc = 0;
	while (rc == 0 &&
	    (more = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(tls->ctx, more) != 1)
			X509_free(more);
	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(bio);
	ERR_clear_error();
	return rc;
}

struct tls *
tls_new(struct str chain_pem, tls_signer *signer, void *ctx, struct err *err)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	invariant(tls != NULL);
	methods_init();
	tls->refs = 1;
	tls->signer = signer;
	tls->signer_ctx = ctx;
	tls->ctx = SSL_CTX_new(TLS_server_method());
	invariant(tls->ctx != NULL);
	SSL_CTX_set_ex_data(tls->ctx, tls_index, tls);
	SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(tls->ctx, SSL_MODE_ASYNC |
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
	    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Tickets let clients resume; a session cache would only hold memory. */
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(tls->ctx, 1);
	if (use_chain(tls, chain_pem) != 0) {
		tls_free(&tls);
		err_set(err, ERR_SYNTAX,
		    "not a PEM chain with an EC or RSA key");
	}
	return tls;
}

void
tls_free(struct tls **tls)
{
	if (*tls == NULL)
		return;
	tls_unref(*tls);
	*tls = NULL;
}

int
tls_handshake(SSL *ssl)
{
	int rc;

	running = SSL_is_server(ssl) ? SSL_get_ex_data(ssl, peer_index) :
	    NULL;
	rc = SSL_do_handshake(ssl);
	running = NULL;
	return rc;
}

SSL *
tls_session(struct tls *tls, int fd, void (*wake)(void *ctx), void *ctx)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	SSL *ssl = SSL_new(tls->ctx);

	invariant(peer != NULL && ssl != NULL);
	peer->tls = tls;
	peer->wake = wake;
	peer->ctx = ctx;
	tls_ref(tls);
	SSL_set_ex_data(ssl, peer_index, peer);
	SSL_set_fd(ssl, fd);
	SSL_set_accept_state(ssl);
	return ssl;
}

void
tls_session_free(SSL **sslp)
{
	SSL *ssl = *sslp;
	struct peer *peer;

	if (ssl == NULL)
		return;
	*sslp = NULL;
	if (!SSL_is_server(ssl)) {
		SSL_free(ssl);
		return;
	}
	peer = SSL_get_ex_data(ssl, peer_index);
	if (peer->waiting != NULL) {
		/* No more octets may reach the descriptor's next owner. */
		SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
		peer->orphan = ssl;
		peer->wake = NULL;
		return;
	}
	SSL_free(ssl);
	tls_unref(peer->tls);
	free(peer);
}
