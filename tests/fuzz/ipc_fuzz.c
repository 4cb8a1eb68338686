/* SPDX-License-Identifier: ISC */
/*
 * Octets of a broken or broken-into process on every link: the first octet
 * chooses the table, then frames (two octets of length each) are sent to a
 * server, or pushes and replies to a client that reads every field which the
 * signature promises.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/links.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS_MAX 64

static const struct ipc_proto *proto;

/* Read one run of fields. Returns where it ended. */
static const char *
read_run(const char *sig, struct ipc_in *in)
{
	while (*sig != '\0' && *sig != '(' && *sig != ')') {
		if (*sig == 'u')
			(void)ipc_get_u64(in);
		else if (*sig == 'i')
			(void)ipc_get_i64(in);
		else if (*sig == 'b')
			(void)ipc_get_bool(in);
		else if (*sig == 's')
			(void)str_is_utf8(ipc_get_str(in));
		while (*sig != '\0' && *sig != ' ' && *sig != ')')
			sig++;
		while (*sig == ' ')
			sig++;
	}
	return sig;
}

static void
read_all(const char *sig, struct ipc_in *in)
{
	sig = read_run(sig, in);
	while (*sig == '(' && ipc_more(in))
		(void)read_run(sig + 1, in);
	invariant(!ipc_more(in));
}

/* What gets here has passed the table's checks. */
static void
on_any(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	(void)link;
	(void)in;
	if (req != NULL)
		ipc_reply_err(req, ERR_NOTFOUND, "fuzz");
}

static void
on_push(void *ctx, unsigned type, struct ipc_in *in)
{
	(void)ctx;
	read_all(proto->rows[type].args, in);
}

static void
on_done(void *ctx, int code, struct ipc_in *in)
{
	const struct ipc_row *row = ctx;

	if (code == 0)
		read_all(row->reply, in);
}

static void
on_gone(void *ctx, struct ipc_link *link)
{
	(void)ctx;
	ipc_link_free(&link);
}

static void
on_line(void *ctx, struct str line)
{
	(void)ctx;
	(void)line;
}

/* Put fields of the right types, so that a call goes out. */
static void
put_fields(struct ipc_out *out, const char *sig)
{
	for (; *sig != '\0' && *sig != '('; sig++) {
		if (sig[1] != ':')
			continue;
		if (*sig == 'u')
			ipc_put_u64(out, 1);
		else if (*sig == 's')
			ipc_put_str(out, STR("x"));
		else if (*sig == 'b')
			ipc_put_bool(out, true);
		else if (*sig == 'i')
			ipc_put_i64(out, -1);
	}
}

static void
feed(int fd, const uint8_t *data, size_t size)
{
	size_t len;

	while (size > 2) {
		len = (size_t)data[0] << 8 | data[1];
		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		(void)send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		data += len;
		size -= len;
	}
}

static void
run_server(struct loop *loop, const uint8_t *data, size_t size)
{
	ipc_handler *handlers[ROWS_MAX];
	int fds[2];
	size_t i;

	for (i = 0; i < proto->rows_len; i++)
		handlers[i] = proto->rows[i].kind == IPC_K_PUSH ? NULL :
		    on_any;
	invariant(ipc_pair(fds, NULL) == 0);
	(void)ipc_serve(loop, proto, fds[0], STR("fuzz"), handlers, NULL,
	    on_gone);
	feed(fds[1], data, size);
	(void)close(fds[1]);
	for (i = 0; i < 3; i++)
		loop_once(loop);
}

static void
run_client(struct loop *loop, const uint8_t *data, size_t size)
{
	struct ipc_link *link = ipc_client_new(loop, proto, NULL);
	struct ipc_out *out;
	int fds[2];
	size_t i;

	ipc_client_on(link, on_push, NULL);
	invariant(ipc_pair(fds, NULL) == 0);
	ipc_client_attach(link, fds[0]);
	for (i = 0; i < proto->rows_len; i++) {
		if (proto->rows[i].kind != IPC_K_REQ ||
		    (proto->rows[i].fd & IPC_FD_IN) != 0)
			continue;
		out = ipc_begin(link, (unsigned)i);
		put_fields(out, proto->rows[i].args);
		/* The callback only reads the row. */
		(void)ipc_call(out, -1, 1000, on_done,
		    (void *)(uintptr_t)&proto->rows[i]);
	}
	feed(fds[1], data, size);
	(void)close(fds[1]);
	for (i = 0; i < 3; i++)
		loop_once(loop);
	ipc_link_free(&link);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct loop *loop;
	size_t n = 0;

	while (ipc_protos[n] != NULL)
		n++;
	if (size < 2)
		return 0;
	log_capture(on_line, NULL);
	proto = ipc_protos[data[0] % n];
	loop = loop_new();
	if ((data[0] & 0x80) != 0)
		run_client(loop, data + 1, size - 1);
	else
		run_server(loop, data + 1, size - 1);
	loop_free(&loop);
	return 0;
}
