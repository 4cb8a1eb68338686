/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/rig.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/dns_rdata.h"
#include "smtpd/relay/client.h"
#include "smtpd/relay/job.h"
#include "smtpd/relay/pool.h"
#include "smtpd/relay/sts.h"

/* ---- keys: made once ---- */

static EVP_PKEY *key;
static unsigned char spki[32];
static struct buf cert_pem;

static void
make_cert(void)
{
	X509 *cert = X509_new();
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	X509_EXTENSION *san;
	char *pem;
	long len;

	key = EVP_EC_gen("P-256");
	invariant(cert != NULL && bio != NULL && key != NULL);
	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN",
	    MBSTRING_ASC, (const unsigned char *)"mx", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
	    "DNS:mx.example.org");
	X509_add_ext(cert, san, -1);
	X509_EXTENSION_free(san);
	invariant(X509_sign(cert, key, EVP_sha256()) > 0);
	PEM_write_bio_X509(bio, cert);
	len = BIO_get_mem_data(bio, &pem);
	buf_init(&cert_pem, 65536);
	buf_add(&cert_pem, pem, (size_t)len);
	len = i2d_PUBKEY(key, &der);
	SHA256(der, (size_t)len, spki);
	OPENSSL_free(der);
	BIO_free(bio);
	X509_free(cert);
}

struct signature {
	struct loop_later later;
	struct tls_sign *sign;
	struct buf data;
};

static void
on_sign(void *ctx)
{
	struct signature *s = ctx;
	EVP_PKEY_CTX *pkey = EVP_PKEY_CTX_new(key, NULL);
	unsigned char sig[256];
	size_t len = sizeof(sig);

	invariant(EVP_PKEY_sign_init(pkey) == 1 && EVP_PKEY_sign(pkey, sig,
	    &len, (const unsigned char *)s->data.p, s->data.len) == 1);
	EVP_PKEY_CTX_free(pkey);
	tls_sign_done(s->sign, str_make(sig, len));
	buf_fini(&s->data);
	free(s);
}

static void
signer(void *ctx, struct tls_sign *sign, struct str id, unsigned operation,
    struct str data)
{
	struct rig *rig = ctx;
	struct signature *s = calloc(1, sizeof(*s));

	(void)id;
	(void)operation;
	invariant(s != NULL);
	s->sign = sign;
	buf_init(&s->data, 4096);
	buf_add_str(&s->data, data);
	loop_later_init(&s->later, on_sign, s);
	loop_later(rig->relay.loop, &s->later);
}

/* ---- mail hosts ---- */

struct host {
	struct list node;
	struct rig *rig;
	struct conn *conn;
	struct str script;	/* what is left of it */
	bool in_message;	/* chunks: its lines are no commands */
	uint64_t bdat;
	bool is_hanging;
};

static void
host_free(struct host *host)
{
	list_del(&host->node);
	conn_free(&host->conn);
	free(host);
}

/* One line of the client; false: not there yet. */
static bool
take_line(struct host *host, struct str *line_r)
{
	bool has_cr;

	if (conn_take_line(host->conn, 8192, line_r, &has_cr) != CONN_LINE)
		return false;
	buf_add_str(&host->rig->said, *line_r);
	buf_add_char(&host->rig->said, '\n');
	return true;
}

static bool
step_command(struct host *host, struct str want)
{
	struct str line, rest;

	if (!take_line(host, &line))
		return false;
	if (!str_begins(line, want)) {
		(void)fprintf(stderr, "want %.*s, got %.*s\n", STR_FMT(want),
		    STR_FMT(line));
		host->rig->fault = "a line that was not expected";
	}
	if (str_begins(line, STR("BDAT "))) {
		rest = str_sub(line, 5, line.len);
		(void)str_to_u64(str_cut(rest, ' ', &rest), 1 << 30,
		    &host->bdat);
	}
	return true;
}

static bool
step_data(struct host *host)
{
	struct str in = conn_input(host->conn);
	size_t at = str_find_str(in, STR("\r\n.\r\n"));

	if (at == STR_NPOS)
		return false;
	buf_add(&host->rig->data, in.p, at + 2);
	conn_consume(host->conn, at + 5);
	return true;
}

static bool
step_bdat(struct host *host)
{
	struct str in = conn_input(host->conn);

	if (in.len < host->bdat)
		return false;
	buf_add(&host->rig->data, in.p, (size_t)host->bdat);
	conn_consume(host->conn, (size_t)host->bdat);
	return true;
}

static void
put_raw(struct host *host, struct str text)
{
	size_t i;
	char c;

	for (i = 0; i < text.len; i++) {
		c = text.p[i];
		if (c == '\\' && i + 1 < text.len)
			c = text.p[++i] == 'r' ? '\r' : '\n';
		conn_put(host->conn, &c, 1);
	}
}

/* One step; false: wait. */
static bool
step(struct host *host, struct str line)
{
	struct str arg = str_sub(line, 2, line.len);

	switch (line.len != 0 ? line.p[0] : 'H') {
	case 'S':
		conn_put_str(host->conn, arg);
		conn_put_str(host->conn, STR("\r\n"));
		return true;
	case 'R':
		put_raw(host, arg);
		return true;
	case 'C':
		return step_command(host, arg);
	case 'D':
		return step_data(host);
	case 'B':
		return step_bdat(host);
	case 'T':
		(void)conn_start_tls(host->conn, host->rig->tls);
		return true;
	case 'X':
		conn_finish(host->conn);
		host->is_hanging = true;
		return true;
	default:
		host->is_hanging = true;
		return true;
	}
}

static void
run_script(void *ctx)
{
	struct host *host = ctx;
	struct str rest, line;
	bool is_tls;

	while (!host->is_hanging && host->script.p != NULL &&
	    host->script.len != 0) {
		line = str_cut(host->script, '\n', &rest);
		is_tls = line.len != 0 && line.p[0] == 'T';
		if (!step(host, line))
			return;
		host->script = rest;
		if (is_tls)
			return;	/* on_tls goes on */
	}
	/* At its end it takes what comes, as a client's QUIT. */
	if (!host->is_hanging)
		while (take_line(host, &line))
			;
}

/* The answer to one line: the next chunk. */
static void
put_chunk(struct host *host)
{
	struct str chunk;

	if (host->script.p == NULL) {
		(void)shutdown(conn_fd(host->conn), SHUT_WR);
		host->is_hanging = true;
		return;
	}
	chunk = str_cut(host->script, '\xfe', &host->script);
	host->in_message = str_begins(chunk, STR("354"));
	conn_put_str(host->conn, chunk);
}

static void
run_chunks(void *ctx)
{
	struct host *host = ctx;
	struct str line;

	while (!host->is_hanging && take_line(host, &line))
		if (!host->in_message || str_eq(line, STR(".")))
			put_chunk(host);
}

static void
on_host_end(void *ctx, enum conn_end why)
{
	(void)why;
	host_free(ctx);
}

static const struct conn_ops host_ops = {
	.on_input = run_script, .on_tls = run_script, .on_end = on_host_end,
};

static const struct conn_ops chunk_ops = {
	.on_input = run_chunks, .on_tls = run_chunks, .on_end = on_host_end,
};

static void
on_accept(void *ctx, int what)
{
	struct rig *rig = ctx;
	int fd = accept4(rig->listen_fd, NULL, NULL, SOCK_NONBLOCK);
	const char *script = "X";
	struct host *host;
	unsigned i;

	(void)what;
	if (fd == -1)
		return;
	for (i = 0; i <= rig->sessions && rig->scripts[i] != NULL; i++)
		script = rig->scripts[i];
	rig->sessions++;
	host = calloc(1, sizeof(*host));
	invariant(host != NULL);
	host->rig = rig;
	host->script = str_of(script);
	list_add(&rig->hosts, &host->node);
	host->conn = conn_new(rig->relay.loop, fd, 1 << 22, 1 << 20,
	    rig->chunks.p != NULL ? &chunk_ops : &host_ops, host);
	if (rig->chunks.p != NULL) {
		host->script = rig->chunks;
		put_chunk(host);
	} else {
		run_script(host);
	}
}

static void
open_listener(struct rig *rig)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);

	rig->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK |
	    SOCK_CLOEXEC, 0);
	invariant(bind(rig->listen_fd, (void *)&sin, len) == 0 &&
	    listen(rig->listen_fd, 100) == 0 &&
	    getsockname(rig->listen_fd, (void *)&sin, &len) == 0);
	rig->relay.port = ntohs(sin.sin_port);
	loop_fd_init(&rig->watch, rig->relay.loop, rig->listen_fd, on_accept,
	    rig);
	loop_fd_want(&rig->watch, LOOP_READ);
}

/* ---- dnsd ---- */

static void
put_name(struct buf *out, struct str name)
{
	unsigned char wire[DNS_NAME_WIRE_MAX];
	size_t len;

	invariant(dns_name_to_wire(name, wire, &len, NULL) == 0);
	buf_add(out, wire, len);
}

static void
put_tlsa(struct buf *out, struct str data)
{
	size_t i;

	for (i = 0; i < 5; i += 2)
		buf_add_char(out, (char)(data.p[i] - '0'));
	buf_add(out, spki, 32);
	if (str_ends_nocase(data, STR("bad")))
		out->p[out->start + out->len - 1] ^= 1;
}

static void
put_rdata(struct buf *out, struct str type, struct str data)
{
	struct netaddr addr;
	uint64_t preference = 0;
	struct str rest;

	if (str_eq(type, STR("MX"))) {
		(void)str_to_u64(str_cut(data, ' ', &rest), 65535,
		    &preference);
		buf_add_char(out, (char)(preference >> 8));
		buf_add_char(out, (char)preference);
		put_name(out, rest);
	} else if (str_eq(type, STR("TXT"))) {
		buf_add_char(out, (char)data.len);
		buf_add_str(out, data);
	} else if (str_eq(type, STR("TLSA"))) {
		put_tlsa(out, data);
	} else {
		invariant(netaddr_parse(data, &addr, NULL) == 0);
		buf_add(out, addr.octets, addr.family == AF_INET ? 4 : 16);
	}
}

static const char *
type_name(uint64_t type)
{
	return type == DNS_T_A ? "A" : type == DNS_T_AAAA ? "AAAA" :
	    type == DNS_T_MX ? "MX" : type == DNS_T_TXT ? "TXT" : "TLSA";
}

struct found {
	bool is_there, is_secure, is_failure;
	struct str data[32];
	struct str type;
	size_t len;
};

/* Lines are "name TYPE data" or "name TYPE * data". "PORT" in a name is the
 * port of the rig. */
static void
look_up(struct rig *rig, struct str name, const char *type, struct found *f)
{
	struct str rest = str_of(rig->zone), line, at, word;
	char port[16];
	struct str digits;

	(void)snprintf(port, sizeof(port), "_%u.", rig->relay.port);
	digits = str_of(port);
	f->type = str_of(type);
	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		at = str_cut(line, ' ', &line);
		if (str_begins(name, digits) && str_begins(at, STR("_PORT."))) {
			if (!str_eq(str_sub(name, digits.len, name.len),
			    str_sub(at, 6, at.len)))
				continue;
		} else if (!str_eq_nocase(at, name)) {
			continue;
		}
		f->is_there = true;
		word = str_cut(line, ' ', &line);
		if (!str_eq(word, str_of(type)))
			continue;
		if (str_begins(line, STR("*"))) {
			f->is_secure = true;
			line = str_sub(line, 2, line.len);
		}
		if (str_eq(line, STR("!")))
			f->is_failure = true;
		else if (!str_eq(line, STR("-")))
			f->data[f->len++] = line;
	}
}

static void
on_dns(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct rig *rig = ipc_link_ctx(link);
	struct str name = ipc_get_str(in);
	const char *type = type_name(ipc_get_u64(in));
	struct found found = { .is_there = false };
	struct ipc_out *out;
	struct buf rdata;
	size_t i;

	look_up(rig, name, type, &found);
	out = ipc_reply_begin(req);
	ipc_put_u64(out, found.is_failure ? 2 : found.is_there ? 0 : 3);
	/* A zone that is signed says so of what it has not, too. */
	ipc_put_bool(out, !found.is_failure && (found.is_secure ||
	    (found.len == 0 && str_find_str(str_of(rig->zone), STR("*")) !=
	    STR_NPOS)));
	ipc_put_bool(out, false);
	ipc_put_u64(out, 60);
	ipc_put_str(out, name);
	for (i = 0; i < found.len; i++) {
		buf_init(&rdata, 1024);
		put_rdata(&rdata, found.type, found.data[i]);
		ipc_put_str(out, buf_str(&rdata));
		buf_fini(&rdata);
	}
	ipc_reply_end(out, -1);
}

/* ---- fetchd ---- */

static void
on_fetch(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct rig *rig = ipc_link_ctx(link);
	struct ipc_out *out = ipc_reply_begin(req);

	(void)in;
	rig->fetches++;
	ipc_put_u64(out, rig->policy != NULL ? 200 : 0);
	ipc_put_str(out, STR("text/plain; charset=utf-8"));
	ipc_put_str(out, str_of(rig->policy));
	ipc_put_str(out, STR("no answer"));
	ipc_reply_end(out, -1);
}

/* ---- queued ---- */

static void
on_relay_ready(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)link;
	(void)req;
	(void)in;
}

static void
on_result(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	static const char *const names[] = { "sent", "temp", "failed" };
	struct rig *rig = ipc_link_ctx(link);
	struct str text;
	uint64_t n, result;

	(void)req;
	(void)ipc_get_u64(in);
	text = ipc_get_str(in);
	(void)snprintf(rig->remote, sizeof(rig->remote), "%.*s",
	    STR_FMT(text));
	while (ipc_more(in)) {
		n = ipc_get_u64(in);
		result = ipc_get_u64(in);
		invariant(result < 3);
		rig->has_dsn = ipc_get_bool(in);
		text = ipc_get_str(in);
		if (rig->results.len != 0)
			buf_add_char(&rig->results, ' ');
		buf_addf(&rig->results, "%llu:%s:%.*s",
		    (unsigned long long)n, names[result], STR_FMT(text));
		text = ipc_get_str(in);
		invariant(str_is_utf8(text) || text.len == 0);
		(void)snprintf(rig->reason, sizeof(rig->reason), "%.*s",
		    STR_FMT(text));
	}
}

static void
on_done(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct rig *rig = ipc_link_ctx(link);

	(void)req;
	(void)ipc_get_u64(in);
	rig->destination = ipc_get_u64(in);
	rig->is_done = true;
}

static void
on_push(void *ctx, unsigned type, struct ipc_in *in)
{
	struct rig *rig = ctx;

	job_push(&rig->relay, type, in);
}

void
rig_job(struct rig *rig, struct str message, const char *domain,
    const char *sender, uint64_t flags, const char *recipients)
{
	struct str rest = str_of(recipients), word;
	int fd = memfd_create("message", MFD_CLOEXEC);
	struct ipc_out *out;
	uint64_t n = 1;
	size_t i;

	invariant(fd != -1 && write(fd, message.p, message.len) ==
	    (ssize_t)message.len);
	for (i = 0; i < rest.len; i++)
		n += rest.p[i] == ' ';
	out = ipc_begin(rig->queued, RELAY_JOB);
	ipc_put_u64(out, 7);
	ipc_put_u64(out, 42);
	ipc_put_str(out, str_of(domain));
	ipc_put_str(out, str_of(sender));
	ipc_put_u64(out, flags);
	ipc_put_str(out, STR("e+20id"));
	ipc_put_str(out, STR("Received: x\r\n"));
	ipc_put_str(out, STR_NONE);
	ipc_put_u64(out, message.len);
	ipc_put_u64(out, n);
	ipc_put_str(out, rig->grant);
	invariant(ipc_send(out, fd) == 0);
	(void)close(fd);
	out = ipc_begin(rig->queued, RELAY_JOB_RCPTS);
	ipc_put_u64(out, 7);
	for (n = 0; rest.p != NULL; n++) {
		word = str_cut(rest, ' ', &rest);
		ipc_put_u64(out, n);
		ipc_put_str(out, word);
		ipc_put_u64(out, n == 0 ? QUEUE_N_SUCCESS | QUEUE_N_DELAY :
		    0);
		ipc_put_str(out, n == 0 ? STR("rfc822;x+2By@z") : STR_NONE);
	}
	invariant(ipc_send(out, -1) == 0);
	rig->is_done = false;
}

void
rig_wait(struct rig *rig)
{
	while (!rig->is_done)
		loop_once(rig->relay.loop);
}

/* ---- life ---- */

static struct ipc_link *
pair(struct rig *rig, const struct ipc_proto *proto,
    ipc_handler *const *handlers, struct ipc_link **server_r)
{
	struct ipc_link *client = ipc_client_new(rig->relay.loop, proto, rig);
	int fds[2];

	invariant(ipc_pair(fds, NULL) == 0);
	ipc_client_attach(client, fds[0]);
	*server_r = ipc_serve(rig->relay.loop, proto, fds[1], STR("relay"),
	    handlers, rig, NULL);
	return client;
}

void
rig_init(struct rig *rig)
{
	static ipc_handler *const queued_handlers[] = {
		[RELAY_READY] = on_relay_ready, [RELAY_RESULT] = on_result,
		[RELAY_DONE] = on_done, [RELAY_JOB] = NULL,
		[RELAY_JOB_RCPTS] = NULL,
	};
	static ipc_handler *const dns_handlers[] = { [DNS_QUERY] = on_dns };
	static ipc_handler *const fetch_handlers[] = {
		[FETCH_GET] = on_fetch };
	static const char *const no_scripts[] = { NULL };
	struct relay *relay = &rig->relay;

	memset(rig, 0, sizeof(*rig));
	if (key == NULL)
		make_cert();
	relay->loop = loop_new();
	relay->hostname = "relay.example.com";
	relay->allow_private = true;
	relay->timeouts = (struct relay_timeouts){ 2000, 500, 500, 2000, 500,
	    500, 500, 500, 500, 2000, 100, 60000 };
	relay->trust = tls_trust_new(buf_str(&cert_pem), NULL);
	list_init(&relay->jobs);
	list_init(&relay->byes);
	list_init(&rig->hosts);
	relay->queued = pair(rig, &ipc_relay, queued_handlers, &rig->queued);
	ipc_client_on(relay->queued, on_push, NULL);
	relay->dnsd = pair(rig, &ipc_dns, dns_handlers, &rig->dnsd);
	relay->fetchd = pair(rig, &ipc_fetch, fetch_handlers, &rig->fetchd);
	relay->pool = pool_new(relay);
	relay->sts = sts_new(relay);
	rig->tls = tls_new(buf_str(&cert_pem), signer, rig, NULL);
	rig->scripts = no_scripts;
	rig->zone = "";
	buf_init(&rig->data, 1 << 24);
	buf_init(&rig->said, 1 << 24);
	buf_init(&rig->results, 1 << 20);
	open_listener(rig);
}

void
rig_fini(struct rig *rig)
{
	struct host *host, *tmp;

	job_drop_all(&rig->relay);
	pool_free(&rig->relay.pool);
	sts_free(&rig->relay.sts);
	client_byes_free(&rig->relay);
	list_each(host, tmp, &rig->hosts, struct host, node)
		host_free(host);
	ipc_link_free(&rig->relay.queued);
	ipc_link_free(&rig->relay.dnsd);
	ipc_link_free(&rig->relay.fetchd);
	ipc_link_free(&rig->queued);
	ipc_link_free(&rig->dnsd);
	ipc_link_free(&rig->fetchd);
	loop_fd_fini(&rig->watch);
	(void)close(rig->listen_fd);
	tls_trust_free(&rig->relay.trust);
	tls_free(&rig->tls);
	buf_fini(&rig->data);
	buf_fini(&rig->said);
	buf_fini(&rig->results);
	loop_free(&rig->relay.loop);
}
