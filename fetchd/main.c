/* SPDX-License-Identifier: ISC */
/*
 * fetchd: the only program that gets documents from the world, and the only
 * one a stranger's name can make connect somewhere over HTTPS.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "fetchd/get.h"
#include "ipc/child.h"

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"
#define CA_MAX (4U << 20)
#define ADDRESS_OCTETS (1ULL << 30)

struct fetchd {
	struct getter getter;
};

/* ---- FETCH_GET ---- */

struct asked {
	struct ipc_req *req;
	struct ev *ev;
};

static void
on_got(void *ctx, const struct http_answer *got)
{
	struct asked *asked = ctx;
	struct ipc_out *out = ipc_reply_begin(asked->req);

	ipc_put_u64(out, got->status);
	ipc_put_str(out, got->content_type);
	ipc_put_str(out, got->status != 0 ? got->body : STR_NONE);
	ipc_put_str(out, str_of(got->reason));
	ipc_reply_end(out, -1);
	ev_info(asked->ev, got->status != 0 ? "fetch.get.done" :
	    "fetch.get.failed", EV_U64(code, got->status),
	    EV_U64(bytes, got->body.len), EV_CSTR(reason, got->reason));
	ev_free(&asked->ev);
	free(asked);
}

static void
on_get(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct fetchd *fetchd = child_link_ctx(link);
	struct str host = ipc_get_str(in);
	struct str path = ipc_get_str(in);
	uint64_t max_octets = ipc_get_u64(in);
	uint64_t timeout_ms = ipc_get_u64(in);
	struct asked *asked = calloc(1, sizeof(*asked));
	struct err err = ERR_INIT;
	int rc;

	invariant(asked != NULL);
	asked->req = req;
	asked->ev = ev_new(NULL);
	ev_put_str(asked->ev, LOG_K_name, host);
	rc = get_start(&fetchd->getter, host, path, (size_t)max_octets,
	    timeout_ms, on_got, asked, &err);
	if (rc == 0)
		return;
	ipc_reply_err(req, rc, "%s", err_text(&err));
	ev_free(&asked->ev);
	free(asked);
}

/* ---- life ---- */

static int
read_ca(struct buf *ca, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char part[16384];
	ssize_t n = 0;

	if (fd == -1)
		return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND :
		    ERR_TEMP, "%s", path);
	while (!buf_failed(ca) && (n = read(fd, part, sizeof(part))) > 0)
		buf_add(ca, part, (size_t)n);
	(void)close(fd);
	if (n < 0 || buf_failed(ca) || str_find_str(buf_str(ca),
	    STR("-----BEGIN CERTIFICATE-----")) == STR_NPOS)
		return err_set(err, ERR_SYNTAX, "%s: no certificates in PEM",
		    path);
	return 0;
}

static int
prepare(struct child *child, struct err *err)
{
	struct fetchd *fetchd = child->ctx;
	struct str ca = child_config(child, "fetch_ca", "");
	struct arena *arena = arena_new(0);
	int rc;

	buf_init(&fetchd->getter.ca, CA_MAX);
	rc = read_ca(&fetchd->getter.ca, ca.len != 0 ?
	    arena_cstr(arena, ca) : SYSTEM_CA, err);
	arena_free(&arena);
	fetchd->getter.port = (uint16_t)child_config_u64(child, "fetch_port",
	    443);
	fetchd->getter.is_private_ok = child_config_u64(child,
	    "allow_private_targets", 0) != 0;
	if (rc == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		rc = err_set(err, ERR_TEMP, "libcurl does not start");
	fetchd->getter.curlloop = curlloop_new(child->loop,
	    http_call_finished);
	child->sandbox.user = "_hikyaku-fetchd";
	child->sandbox.groups = SB_CONNECT;
	child->sandbox.files_max = 512;
	child->sandbox.address_octets = ADDRESS_OCTETS;
	(void)child_enter_dir(child, "data/empty", 0);
	return rc;
}

static int
start(struct child *child, struct err *err)
{
	struct fetchd *fetchd = child->ctx;

	(void)err;
	fetchd->getter.dns = child_link(child, "dnsd");
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct child_call calls[] = {
		{ .server = "dnsd", .proto = &ipc_dns },
		{ .server = NULL },
	};
	static ipc_handler *const handlers[] = { [FETCH_GET] = on_get };
	static const struct child_serve serves[] = {
		{ .proto = &ipc_fetch, .handlers = handlers },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "fetchd", .ctx_size = sizeof(struct fetchd),
		.calls = calls, .serves = serves, .prepare = prepare,
		.start = start,
	};

	return child_main(argc, argv, &spec);
}
