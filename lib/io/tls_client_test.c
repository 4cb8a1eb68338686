/* SPDX-License-Identifier: ISC */
/* A client's TLS against a server in the same process: who is believed. */
#include "base/test.h"

#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/conn.h"
#include "io/tls_client.h"

static struct {
	EVP_PKEY *ca_key, *key;
	X509 *ca, *leaf;
	struct buf ca_pem;
	unsigned char spki[32];		/* SHA-256 of the leaf's key */
	unsigned char ca_whole[32];	/* SHA-256 of the authority */
} pki;

static struct {
	struct loop *loop;
	struct conn *conn;
	SSL *server;
	int done;
	int ends;
} t;

/* ---- certificates ---- */

static X509 *
make_cert(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *signer)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	X509_EXTENSION *ext;
	char san[100];

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer != NULL ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
	    (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer != NULL ?
	    X509_get_subject_name(issuer) : subject);
	if (issuer == NULL) {
		ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
		    "critical,CA:TRUE");
	} else {
		(void)snprintf(san, sizeof(san), "DNS:%s", name);
		ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
		    san);
	}
	assert_non_null(ext);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
	return cert;
}

static void
hash_spki(EVP_PKEY *key, unsigned char hash_r[32])
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(key, &der);

	SHA256(der, (size_t)len, hash_r);
	OPENSSL_free(der);
}

static int
setup_pki(void **state)
{
	unsigned char *der = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long len;

	(void)state;
	pki.ca_key = EVP_EC_gen("P-256");
	pki.key = EVP_EC_gen("P-256");
	pki.ca = make_cert(pki.ca_key, "Test Authority", NULL, pki.ca_key);
	pki.leaf = make_cert(pki.key, "mx.example.org", pki.ca, pki.ca_key);
	hash_spki(pki.key, pki.spki);
	len = i2d_X509(pki.ca, &der);
	SHA256(der, (size_t)len, pki.ca_whole);
	OPENSSL_free(der);
	PEM_write_bio_X509(bio, pki.ca);
	len = BIO_get_mem_data(bio, &pem);
	buf_init(&pki.ca_pem, 1 << 16);
	buf_add(&pki.ca_pem, pem, (size_t)len);
	BIO_free(bio);
	return 0;
}

static int
teardown_pki(void **state)
{
	(void)state;
	X509_free(pki.ca);
	X509_free(pki.leaf);
	EVP_PKEY_free(pki.ca_key);
	EVP_PKEY_free(pki.key);
	buf_fini(&pki.ca_pem);
	return 0;
}

/* ---- one handshake ---- */

static void
on_input(void *ctx)
{
	(void)ctx;
}

static void
on_tls(void *ctx)
{
	(void)ctx;
	t.done++;
}

static void
on_end(void *ctx, enum conn_end why)
{
	(void)ctx;
	(void)why;
	t.ends++;
}

static const struct conn_ops ops = {
	.on_input = on_input, .on_tls = on_tls, .on_end = on_end,
};

static SSL_CTX *
server_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_use_certificate(ctx, pki.leaf);
	SSL_CTX_use_PrivateKey(ctx, pki.key);
	SSL_CTX_add1_chain_cert(ctx, pki.ca);
	return ctx;
}

/* True: the handshake was good for the client. */
static bool
shake(struct tls_trust *trust, const struct tls_target *target,
    bool *is_verified_r, char *problem_r)
{
	SSL_CTX *ctx = server_context();
	int fds[2];

	memset(&t, 0, sizeof(t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	t.loop = loop_new();
	t.conn = conn_new(t.loop, fds[0], 1000, 4096, &ops, NULL);
	t.server = SSL_new(ctx);
	SSL_set_fd(t.server, fds[1]);
	SSL_set_accept_state(t.server);
	assert_int_equal(conn_start_tls_client(t.conn, trust, target), 0);
	while (t.done == 0 && t.ends == 0) {
		loop_once(t.loop);
		(void)SSL_do_handshake(t.server);
	}
	*is_verified_r = conn_tls_is_verified(t.conn);
	(void)snprintf(problem_r, 160, "%s", conn_tls_problem(t.conn));
	conn_free(&t.conn);
	SSL_free(t.server);
	(void)close(fds[1]);
	SSL_CTX_free(ctx);
	loop_free(&t.loop);
	return t.done != 0;
}

static struct tls_tlsa ee_good, ee_bad, ta_good, unusable;

static const struct {
	const char *what;
	enum tls_verify verify;
	const char *name, *other_name;
	const struct tls_tlsa *tlsa[2];
	bool is_trusted;	/* the client knows the authority */
	bool is_good, is_verified;
} cases[] = {
	{ "opportunistic, unknown", TLS_VERIFY_NONE, "mx.example.org", NULL,
	    { NULL }, false, true, false },
	{ "opportunistic, known", TLS_VERIFY_NONE, "mx.example.org", NULL,
	    { NULL }, true, true, true },
	{ "opportunistic, other name", TLS_VERIFY_NONE, "mx.example.net",
	    NULL, { NULL }, true, true, false },
	{ "name", TLS_VERIFY_NAME, "mx.example.org", NULL, { NULL }, true,
	    true, true },
	{ "name, other", TLS_VERIFY_NAME, "mx.example.net", NULL, { NULL },
	    true, false, false },
	{ "name, unknown authority", TLS_VERIFY_NAME, "mx.example.org", NULL,
	    { NULL }, false, false, false },
	{ "DANE-EE without any authority", TLS_VERIFY_DANE, "mx.example.org",
	    NULL, { &ee_good }, false, true, true },
	{ "DANE-EE, name does not matter", TLS_VERIFY_DANE, "else.example",
	    NULL, { &ee_good }, false, true, true },
	{ "DANE-EE of another key", TLS_VERIFY_DANE, "mx.example.org", NULL,
	    { &ee_bad }, true, false, false },
	{ "DANE-EE, one of two", TLS_VERIFY_DANE, "mx.example.org", NULL,
	    { &ee_bad, &ee_good }, false, true, true },
	{ "DANE-TA", TLS_VERIFY_DANE, "mx.example.org", NULL, { &ta_good },
	    false, true, true },
	{ "DANE-TA, other name", TLS_VERIFY_DANE, "mx.example.net", NULL,
	    { &ta_good }, false, false, false },
	{ "DANE-TA, second name", TLS_VERIFY_DANE, "mx.example.net",
	    "mx.example.org", { &ta_good }, false, true, true },
	{ "unusable record beside a good one", TLS_VERIFY_DANE,
	    "mx.example.org", NULL, { &unusable, &ee_good }, false, true,
	    true },
};

static void
test_verify(void **state)
{
	struct tls_trust *with = tls_trust_new(buf_str(&pki.ca_pem), NULL);
	struct tls_trust *without = tls_trust_new(STR_NONE, NULL);
	struct tls_tlsa list[2];
	char problem[160];
	bool is_good, is_verified;
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct tls_target target = { .verify = cases[i].verify,
		    .name = cases[i].name,
		    .other_name = cases[i].other_name, .tlsa = list };

		for (j = 0; j < 2 && cases[i].tlsa[j] != NULL; j++)
			list[target.tlsa_len++] = *cases[i].tlsa[j];
		is_good = shake(cases[i].is_trusted ? with : without, &target,
		    &is_verified, problem);
		if (is_good != cases[i].is_good ||
		    is_verified != cases[i].is_verified)
			fail_msg("%s: %d %d (%s)", cases[i].what, is_good,
			    is_verified, problem);
		assert_int_equal(problem[0] == '\0', is_verified);
	}
	tls_trust_free(&with);
	tls_trust_free(&without);
}

static void
test_usable(void **state)
{
	struct tls_trust *trust = tls_trust_new(STR_NONE, NULL);
	struct tls_target target = { .verify = TLS_VERIFY_DANE,
	    .name = "mx.example.org", .tlsa = &unusable, .tlsa_len = 1 };
	struct tls_tlsa tlsa = ee_good;
	int fds[2];

	(void)state;
	assert_true(tls_tlsa_is_usable(&ee_good));
	assert_false(tls_tlsa_is_usable(&unusable));
	tlsa.usage = 1;
	assert_false(tls_tlsa_is_usable(&tlsa));
	tlsa = ee_good;
	tlsa.data.len--;
	assert_false(tls_tlsa_is_usable(&tlsa));
	tlsa = ee_good;
	tlsa.selector = 2;
	assert_false(tls_tlsa_is_usable(&tlsa));
	tlsa = ee_good;
	tlsa.type = 3;
	assert_false(tls_tlsa_is_usable(&tlsa));
	assert_null(tls_trust_new(STR("-----BEGIN"), NULL));
	memset(&t, 0, sizeof(t));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	t.loop = loop_new();
	t.conn = conn_new(t.loop, fds[0], 1000, 4096, &ops, NULL);
	assert_int_equal(conn_start_tls_client(t.conn, trust, &target),
	    ERR_NOTFOUND);
	/* More than the consent: somebody else spoke (threats.md line 5). */
	assert_int_equal(write(fds[1], "250 x\r\n", 7), 7);
	while (conn_input(t.conn).len == 0)
		loop_once(t.loop);
	target.verify = TLS_VERIFY_NONE;
	assert_int_equal(conn_start_tls_client(t.conn, trust, &target),
	    ERR_SYNTAX);
	conn_free(&t.conn);
	(void)close(fds[1]);
	loop_free(&t.loop);
	tls_trust_free(&trust);
}

static int
setup(void **state)
{
	(void)setup_pki(state);
	ee_good = (struct tls_tlsa){ 3, 1, 1, str_make(pki.spki, 32) };
	ta_good = (struct tls_tlsa){ 2, 0, 1, str_make(pki.ca_whole, 32) };
	ee_bad = (struct tls_tlsa){ 3, 1, 1, str_make(pki.ca_whole, 32) };
	unusable = (struct tls_tlsa){ 3, 1, 9, str_make(pki.spki, 32) };
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verify),
		cmocka_unit_test(test_usable),
	};

	return cmocka_run_group_tests(tests, setup, teardown_pki);
}
