/* SPDX-License-Identifier: ISC */
/*
 * keyd: holds the private keys and only signs. The server's key comes as an
 * open descriptor from hikyakud, the domains' keys (ring.h) are in a file that
 * stays open; after that it can open nothing.
 */
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rand.h"
#include "io/tls.h"
#include "ipc/child.h"
#include "keyd/dkim.h"

#define KEY_FILE_MAX 65536
#define SIGNATURE_MAX 1024

struct keyd {
	struct dkim_keys dkim;		/* first: see dkim.h */
	EVP_PKEY *key;
	unsigned char id[32];
};

/* ---- keys ---- */

static size_t
read_all(int fd, char *p, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size && (n = pread(fd, p + len, size - len,
	    (off_t)len)) > 0)
		len += (size_t)n;
	return len;
}

static int
load_key(struct keyd *keyd, int fd, struct err *err)
{
	static char pem[KEY_FILE_MAX];
	size_t len = read_all(fd, pem, sizeof(pem));
	EVP_PKEY *key;
	BIO *bio;
	int rc;

	(void)close(fd);
	rc = tls_key_id(str_make(pem, len), true, keyd->id, err);
	if (rc == 0) {
		bio = BIO_new_mem_buf(pem, (int)len);
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		BIO_free(bio);
		invariant(key != NULL);
		EVP_PKEY_free(keyd->key);
		keyd->key = key;
	}
	explicit_bzero(pem, sizeof(pem));
	return rc;
}

/* ---- signing ---- */

static int
set_padding(EVP_PKEY_CTX *ctx, uint64_t operation)
{
	switch (operation) {
	case KEY_O_ECDSA:
		return 1;
	case KEY_O_RSA_PKCS1:
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING);
	case KEY_O_RSA_NONE:
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING);
	default:
		return 0;
	}
}

/* Octets of the signature, 0 when it cannot be made. */
static size_t
sign(const struct keyd *keyd, uint64_t operation, struct str data,
    unsigned char *out)
{
	bool is_ec = EVP_PKEY_base_id(keyd->key) == EVP_PKEY_EC;
	EVP_PKEY_CTX *ctx;
	size_t len = SIGNATURE_MAX;

	if (is_ec != (operation == KEY_O_ECDSA))
		return 0;
	ctx = EVP_PKEY_CTX_new(keyd->key, NULL);
	if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
	    set_padding(ctx, operation) != 1 ||
	    EVP_PKEY_sign(ctx, out, &len, (const unsigned char *)data.p,
	    data.len) != 1)
		len = 0;
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return len;
}

static void
on_sign(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct keyd *keyd = child_link_ctx(link);
	struct str id = ipc_get_str(in);
	uint64_t operation = ipc_get_u64(in);
	struct str data = ipc_get_str(in);
	unsigned char signature[SIGNATURE_MAX];
	struct ipc_out *out;
	size_t len;

	if (keyd->key == NULL || id.len != sizeof(keyd->id) ||
	    memcmp(id.p, keyd->id, id.len) != 0) {
		ipc_reply_err(req, ERR_NOTFOUND, "no such key");
		return;
	}
	len = sign(keyd, operation, data, signature);
	if (len == 0) {
		ipc_reply_err(req, ERR_SYNTAX, "cannot sign that");
		return;
	}
	out = ipc_reply_begin(req);
	ipc_put_str(out, str_make(signature, len));
	ipc_reply_end(out, -1);
}

/* ---- life ---- */

/*
 * Keep the key out of swap. What is allocated later may be locked too only
 * where the limit of an ordinary user, which holds after the uid is dropped,
 * does not make those allocations fail.
 */
static void
lock_memory(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	bool is_unlimited = setrlimit(RLIMIT_MEMLOCK, &all) == 0;

	(void)mlockall(is_unlimited ? MCL_CURRENT | MCL_FUTURE :
	    MCL_CURRENT);
}

static int
prepare(struct child *child, struct err *err)
{
	int fd = child_take_fd(child, "file:tls_key");

	if (fd == -1)
		return err_set(err, ERR_NOTFOUND, "no private key");
	if (dkim_open(child, err) != 0) {
		(void)close(fd);
		return err->code;
	}
	child->sandbox.user = "_hikyaku-keyd";
	(void)child_enter_dir(child, "data/empty", 0);
	child->sandbox.files_max = 64;
	lock_memory();
	return load_key(child->ctx, fd, err);
}

/* ---- clients ---- */

#define ALLOW_TLS (1ULL << KEY_SIGN)
#define ALLOW_KEYS (1ULL << KEY_DKIM_CREATE | 1ULL << KEY_DKIM_LIST)
#define ALLOW_MAIL (1ULL << KEY_DKIM_FIND | 1ULL << KEY_DKIM_SIGN)

static const struct {
	const char *peer;
	uint64_t allowed;
} peers[] = {
	{ "smtpd", ALLOW_TLS },
	{ "imapd", ALLOW_TLS },
	{ "pop3d", ALLOW_TLS },
	{ "webmail", ALLOW_TLS },
	{ "admind", ALLOW_KEYS },
	{ "queued", 1ULL << KEY_SECRET },
	{ "relay", ALLOW_MAIL },
};

static void
came(void *ctx, struct ipc_link *link)
{
	struct str peer = ipc_link_peer(link);
	uint64_t allowed = 0;
	size_t i;

	(void)ctx;
	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (str_eq(peer, str_of(peers[i].peer)))
			allowed = peers[i].allowed;
	ipc_link_allow(link, allowed);
}

static void
reload(struct child *child)
{
	int fd = child_take_fd(child, "file:tls_key");
	struct err err = ERR_INIT;

	if (fd != -1 && load_key(child->ctx, fd, &err) != 0)
		child_alert(child, "the new private key does not parse: the "
		    "old one stays");
}

int
main(int argc, char **argv)
{
	static ipc_handler *const handlers[] = {
		[KEY_SIGN] = on_sign,
		[KEY_SECRET] = dkim_on_secret,
		[KEY_DKIM_CREATE] = dkim_on_create,
		[KEY_DKIM_LIST] = dkim_on_list,
		[KEY_DKIM_FIND] = dkim_on_find,
		[KEY_DKIM_SIGN] = dkim_on_sign,
	};
	static const struct child_serve serves[] = {
		{ .proto = &ipc_key, .handlers = handlers, .came = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "keyd", .ctx_size = sizeof(struct keyd),
		.serves = serves, .prepare = prepare, .start = dkim_start,
		.reload = reload,
	};

	return child_main(argc, argv, &spec);
}
