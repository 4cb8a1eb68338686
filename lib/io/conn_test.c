/* SPDX-License-Identifier: ISC */
/* conn against a peer in the same process: lines, limits, TLS with a key that
 * signs from outside the handshake, injection, deadlines. */
#include "base/test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/conn.h"
#include "io/tls.h"

static struct {
	struct loop *loop;
	struct conn *conn;
	int peer;
	int inputs;
	int ends;
	int tls_done;
	int drained;
	enum conn_end why;
} t;

static void
on_input(void *ctx)
{
	(void)ctx;
	t.inputs++;
}

static void
on_drained(void *ctx)
{
	(void)ctx;
	t.drained++;
}

static void
on_tls(void *ctx)
{
	(void)ctx;
	t.tls_done++;
}

static void
on_end(void *ctx, enum conn_end why)
{
	(void)ctx;
	t.ends++;
	t.why = why;
}

static const struct conn_ops ops = {
	.on_input = on_input, .on_drained = on_drained, .on_tls = on_tls,
	.on_end = on_end,
};

static void
connect_peer(size_t out_max)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0,
	    fds), 0);
	t.conn = conn_new(t.loop, fds[0], 1000, out_max, &ops, NULL);
	t.peer = fds[1];
}

static int
setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	t.loop = loop_new();
	connect_peer(4096);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	conn_free(&t.conn);
	(void)close(t.peer);
	loop_free(&t.loop);
	return 0;
}

static void
say(const char *text)
{
	assert_int_equal(write(t.peer, text, strlen(text)), strlen(text));
}

static void
test_lines(void **state)
{
	struct str line;
	bool has_cr;

	(void)state;
	say("one\r\ntwo\nthr");
	while (t.inputs == 0)
		loop_once(t.loop);
	assert_int_equal(conn_take_line(t.conn, 10, &line, &has_cr),
	    CONN_LINE);
	assert_true(str_eq(line, STR("one")) && has_cr);
	assert_int_equal(conn_take_line(t.conn, 10, &line, &has_cr),
	    CONN_LINE);
	assert_true(str_eq(line, STR("two")) && !has_cr);
	assert_int_equal(conn_take_line(t.conn, 10, &line, &has_cr),
	    CONN_MORE);
	say("ee is a long line");
	while (t.inputs < 2)
		loop_once(t.loop);
	assert_int_equal(conn_take_line(t.conn, 10, &line, &has_cr),
	    CONN_TOO_LONG);
}

static void
test_back_pressure(void **state)
{
	char block[65536] = { 0 };
	size_t sent = 0;
	ssize_t n;
	int i;

	(void)state;
	/* Unread input stops the reading at its bound. */
	while ((n = write(t.peer, block, sizeof(block))) > 0)
		sent += (size_t)n;
	for (i = 0; i < 5; i++)
		loop_once(t.loop);
	assert_int_equal(conn_input(t.conn).len, 1000);
	assert_true(sent > 1000);
	/* Output fills, and drains when the peer reads. */
	while (!conn_is_full(t.conn))
		conn_put(t.conn, block, 1000);
	conn_consume(t.conn, 1000);
	conn_pause(t.conn, true);
	while (t.drained == 0) {
		(void)!read(t.peer, block, sizeof(block));
		loop_once(t.loop);
	}
	assert_int_equal(t.ends, 0);
}

static void
test_finish_and_eof(void **state)
{
	char got[64];
	ssize_t n;

	(void)state;
	conn_put_str(t.conn, STR("bye\r\n"));
	conn_finish(t.conn);
	while (t.ends == 0)
		loop_once(t.loop);
	assert_int_equal(t.why, CONN_CLOSED);
	n = read(t.peer, got, sizeof(got));
	assert_true(str_eq(str_make(got, (size_t)n), STR("bye\r\n")));
	assert_int_equal(read(t.peer, got, sizeof(got)), 0);
}

/* A peer that has only closed its sending side gets the answer still due. */
static void
test_half_close(void **state)
{
	char got[64];

	(void)state;
	say("ask\r\n");
	assert_int_equal(shutdown(t.peer, SHUT_WR), 0);
	while (t.inputs == 0)
		loop_once(t.loop);
	conn_pause(t.conn, true);
	/* Readable for ever now, but paused: nothing ends. */
	assert_int_equal(t.ends, 0);
	conn_consume(t.conn, conn_input(t.conn).len);
	conn_put_str(t.conn, STR("answer\r\n"));
	conn_pause(t.conn, false);
	while (t.ends == 0)
		loop_once(t.loop);
	assert_int_equal(read(t.peer, got, sizeof(got)), 8);
}

static void
test_deadline(void **state)
{
	(void)state;
	conn_deadline(t.conn, 20);
	while (t.ends == 0)
		loop_once(t.loop);
	assert_int_equal(t.why, CONN_TIMEOUT);
}

/* ---- TLS ---- */

static EVP_PKEY *key;
static struct tls_sign *pending;
static unsigned char pending_data[64];
static size_t pending_len;

/* Keeps the request: the answer comes in a later round, as keyd's does. */
static void
sign_later(void *ctx, struct tls_sign *sign, struct str id,
    unsigned operation, struct str data)
{
	(void)ctx;
	assert_int_equal(id.len, 32);
	assert_int_equal(operation, 0);
	assert_true(data.len <= sizeof(pending_data));
	memcpy(pending_data, data.p, data.len);
	pending_len = data.len;
	pending = sign;
}

static void
sign_now(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
	struct tls_sign *sign = pending;
	unsigned char sig[256];
	size_t len = sizeof(sig);

	pending = NULL;
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, sig, &len, pending_data,
	    pending_len), 1);
	EVP_PKEY_CTX_free(ctx);
	tls_sign_done(sign, str_make(sig, len));
}

static struct tls *
make_tls(void)
{
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	struct err err = ERR_INIT;
	struct tls *tls;
	char *pem;
	long len;

	key = EVP_EC_gen("P-256");
	assert_non_null(key);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
	len = BIO_get_mem_data(bio, &pem);
	tls = tls_new(str_make(pem, (size_t)len), sign_later, NULL, &err);
	BIO_free(bio);
	X509_free(cert);
	assert_non_null(tls);
	return tls;
}

static void
test_tls_with_a_key_elsewhere(void **state)
{
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(client_ctx);
	struct tls *tls = make_tls();
	char got[16];
	int n = -1;

	(void)state;
	SSL_set_fd(client, t.peer);
	assert_true(conn_start_tls(t.conn, tls));
	while (t.tls_done == 0 || SSL_is_init_finished(client) == 0) {
		(void)SSL_connect(client);
		loop_once(t.loop);
		if (pending != NULL)
			sign_now();
		assert_int_equal(t.ends, 0);
	}
	assert_true(conn_has_tls(t.conn));
	assert_string_equal(conn_tls_version(t.conn), "TLSv1.3");
	assert_int_equal(SSL_write(client, "hello\n", 6), 6);
	while (t.inputs == 0)
		loop_once(t.loop);
	assert_true(str_eq(conn_input(t.conn), STR("hello\n")));
	conn_put_str(t.conn, STR("world"));
	while (n <= 0) {
		loop_once(t.loop);
		n = SSL_read(client, got, sizeof(got));
		if (n <= 0)
			conn_kick(t.conn);
	}
	assert_int_equal(n, 5);
	SSL_free(client);
	SSL_CTX_free(client_ctx);
	tls_free(&tls);
	EVP_PKEY_free(key);
}

/* The connection goes away while the signature is on its way. */
static void
test_tls_orphan(void **state)
{
	SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(client_ctx);
	struct tls *tls = make_tls();

	(void)state;
	SSL_set_fd(client, t.peer);
	assert_true(conn_start_tls(t.conn, tls));
	while (pending == NULL) {
		(void)SSL_connect(client);
		loop_once(t.loop);
	}
	conn_free(&t.conn);
	tls_free(&tls);
	sign_now();
	SSL_free(client);
	SSL_CTX_free(client_ctx);
	EVP_PKEY_free(key);
}

static void
test_tls_injection(void **state)
{
	struct tls *tls = make_tls();

	(void)state;
	say("STARTTLS\r\nMAIL FROM:<evil>\r\n");
	while (t.inputs == 0)
		loop_once(t.loop);
	conn_consume(t.conn, 10);
	assert_false(conn_start_tls(t.conn, tls));
	tls_free(&tls);
	EVP_PKEY_free(key);
}

static int
unread(void)
{
	int n = 0;

	assert_int_equal(ioctl(t.peer, SIOCOUTQ, &n), 0);
	return n;
}

/* Compressed octets that mean nothing hold up nobody else. */
static void
test_empty_blocks(void **state)
{
	char blocks[5000];
	size_t i;
	int n, before;

	(void)state;
	for (i = 0; i < sizeof(blocks); i += 5)
		memcpy(blocks + i, "\0\0\0\xff\xff", 5);
	assert_true(conn_start_deflate(t.conn));
	for (n = 0; n < 25; n++)
		assert_int_equal(write(t.peer, blocks, sizeof(blocks)),
		    sizeof(blocks));
	loop_once(t.loop);
	before = unread();
	assert_true(before > 50000);
	/* Nor are they forgotten. */
	for (n = 0; n < 10 && unread() != 0; n++)
		loop_once(t.loop);
	assert_int_equal(unread(), 0);
	assert_int_equal(t.inputs, 0);
	assert_int_equal(t.ends, 0);
}

/* What was compressed and did not fit the socket follows by itself. */
static void
test_compressed_rest(void **state)
{
	static char noise[60000];
	int small = 4096, n, rounds;
	size_t i, got = 0;
	char octets[4096];
	uint32_t x = 1;

	(void)state;
	conn_free(&t.conn);
	(void)close(t.peer);
	connect_peer(65536);
	assert_int_equal(setsockopt(conn_fd(t.conn), SOL_SOCKET, SO_SNDBUF,
	    &small, sizeof(small)), 0);
	assert_true(conn_start_deflate(t.conn));
	for (i = 0; i < sizeof(noise); i++) {
		x = x * 1664525U + 1013904223U;
		noise[i] = (char)(x >> 24);
	}
	conn_put(t.conn, noise, sizeof(noise));
	assert_int_equal(fcntl(t.peer, F_SETFL, O_NONBLOCK), 0);
	for (rounds = 0; rounds < 200 && got < sizeof(noise); rounds++) {
		loop_once(t.loop);
		while ((n = (int)read(t.peer, octets, sizeof(octets))) > 0)
			got += (size_t)n;
	}
	assert_true(got >= sizeof(noise));
	assert_int_equal(t.ends, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_back_pressure, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_finish_and_eof, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_half_close, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_deadline, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    test_tls_with_a_key_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tls_orphan, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_tls_injection, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_empty_blocks, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_compressed_rest, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
