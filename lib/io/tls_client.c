/* SPDX-License-Identifier: ISC */
#include "io/tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "io/tls_int.h"

struct tls_trust {
	SSL_CTX *strict;	/* for verified connections */
	SSL_CTX *lenient;	/* any TLS is better than none (RFC 7435) */
};

static SSL_CTX *
context_new(int level)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	invariant(ctx != NULL);
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_security_level(ctx, level);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	invariant(SSL_CTX_dane_enable(ctx) == 1);
	return ctx;
}

static int
add_authorities(X509_STORE *store, struct str pem, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(pem.p != NULL ? pem.p : "", (int)pem.len);
	size_t count = 0;
	X509 *cert;

	invariant(bio != NULL);
	while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		(void)X509_STORE_add_cert(store, cert);
		X509_free(cert);
		count++;
	}
	BIO_free(bio);
	ERR_clear_error();
	return count != 0 || pem.len == 0 ? 0 :
	    err_set(err, ERR_SYNTAX, "no PEM certificate");
}

struct tls_trust *
tls_trust_new(struct str ca_pem, struct err *err)
{
	struct tls_trust *trust = calloc(1, sizeof(*trust));
	X509_STORE *store;

	invariant(trust != NULL);
	trust->strict = context_new(2);
	trust->lenient = context_new(0);
	store = SSL_CTX_get_cert_store(trust->strict);
	if (add_authorities(store, ca_pem, err) != 0) {
		tls_trust_free(&trust);
		return NULL;
	}
	SSL_CTX_set1_cert_store(trust->lenient, store);
	return trust;
}

void
tls_trust_free(struct tls_trust **trust)
{
	if (*trust == NULL)
		return;
	SSL_CTX_free((*trust)->strict);
	SSL_CTX_free((*trust)->lenient);
	free(*trust);
	*trust = NULL;
}

bool
tls_tlsa_is_usable(const struct tls_tlsa *tlsa)
{
	static const size_t lengths[] = { 0, 32, 64 };

	if (tlsa->usage != 2 && tlsa->usage != 3)
		return false;
	if (tlsa->selector > 1 || tlsa->type > 2)
		return false;
	return tlsa->type == 0 ? tlsa->data.len != 0 :
	    tlsa->data.len == lengths[tlsa->type];
}

static bool
is_address(const char *name)
{
	unsigned char octets[16];

	return inet_pton(AF_INET, name, octets) == 1 ||
	    inet_pton(AF_INET6, name, octets) == 1;
}

/* RFC 7672 section 3.1.1: names and dates mean nothing with DANE-EE. */
static int
use_dane(SSL *ssl, const struct tls_target *target)
{
	const struct tls_tlsa *tlsa;
	size_t usable = 0, i;

	if (target->name == NULL || SSL_dane_enable(ssl, target->name) != 1)
		return ERR_NOTFOUND;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (target->other_name != NULL)
		(void)SSL_add1_host(ssl, target->other_name);
	for (i = 0; i < target->tlsa_len; i++) {
		tlsa = &target->tlsa[i];
		if (tls_tlsa_is_usable(tlsa) && SSL_dane_tlsa_add(ssl,
		    tlsa->usage, tlsa->selector, tlsa->type,
		    (const unsigned char *)tlsa->data.p,
		    tlsa->data.len) == 1)
			usable++;
	}
	return usable != 0 ? 0 : ERR_NOTFOUND;
}

static void
use_name(SSL *ssl, const char *name)
{
	if (name == NULL)
		return;
	if (is_address(name)) {
		(void)X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl),
		    name);
		return;
	}
	/* What the macro SSL_set_tlsext_host_name() does, but its cast. */
	(void)SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
	    TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	(void)SSL_set1_host(ssl, name);
}

int
tls_client_session(struct tls_trust *trust, const struct tls_target *target,
    int fd, SSL **ssl_r)
{
	SSL *ssl = SSL_new(target->verify == TLS_VERIFY_NONE ?
	    trust->lenient : trust->strict);
	int rc = 0;

	invariant(ssl != NULL);
	if (target->verify == TLS_VERIFY_DANE)
		rc = use_dane(ssl, target);
	else
		use_name(ssl, target->name);
	SSL_set_verify(ssl, target->verify == TLS_VERIFY_NONE ?
	    SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	SSL_set_fd(ssl, fd);
	SSL_set_connect_state(ssl);
	ERR_clear_error();
	if (rc != 0)
		SSL_free(ssl);
	*ssl_r = rc == 0 ? ssl : NULL;
	return rc;
}
