/* SPDX-License-Identifier: ISC */
/*
 * host_blob: a session's blob on its way: asked for from blobd, written here,
 * sealed, linked. A reply may come when the session has forgotten the blob or
 * is gone: the call has its own life.
 */
#include "mboxd/process.h"

#include <errno.h>
#include <unistd.h>

#define DEADLINE_MS 60000

struct blob_call {
	struct process *process;
	struct engine_host *host;	/* NULL: nobody waits any more */
};

enum engine_blob
engine_blob_state(struct engine_host *host)
{
	return host->blob.state;
}

int
engine_blob_error(struct engine_host *host)
{
	return host->blob.error;
}

uint64_t
engine_blob_size(struct engine_host *host)
{
	return host->blob.size_octets;
}

const unsigned char *
engine_blob_sha256(struct engine_host *host)
{
	return host->blob.sha256;
}

/* ---- calls ---- */

static struct blob_call *
call_new(struct engine_host *host, enum engine_blob state)
{
	struct blob_call *call = calloc(1, sizeof(*call));

	invariant(call != NULL && host->blob.call == NULL);
	call->process = host->process;
	call->host = host;
	host->blob.call = call;
	host->blob.state = state;
	return call;
}

/* The session that waits, or NULL; the call is over. */
static struct engine_host *
call_end(struct blob_call *call, int code)
{
	struct engine_host *host = call->host;

	free(call);
	if (host == NULL)
		return NULL;
	host->blob.call = NULL;
	if (code != 0) {
		host->blob.state = ENGINE_BLOB_FAILED;
		host->blob.error = code;
	}
	host_ready(host);
	return host;
}

static void
blob_fail(struct engine_host *host, int code)
{
	host->blob.state = ENGINE_BLOB_FAILED;
	host->blob.error = code;
}

static void
drop(struct process *process, uint64_t handle)
{
	struct ipc_out *out = ipc_begin(process->blobs, BLOB_DROP);

	ipc_put_u64(out, handle);
	(void)ipc_send(out, -1);
}

/* ---- open and write ---- */

static void
on_created(void *ctx, int code, struct ipc_in *in)
{
	struct blob_call *call = ctx;
	struct process *process = call->process;
	struct engine_host *host = call_end(call, code);
	uint64_t handle;

	if (code != 0)
		return;
	handle = ipc_get_u64(in);
	if (host == NULL) {
		drop(process, handle);
		return;
	}
	host->blob.handle = handle;
	host->blob.fd = ipc_take_fd(in);
	host->blob.state = ENGINE_BLOB_OPEN;
}

void
engine_blob_open(struct engine_host *host, uint64_t size_hint)
{
	struct ipc_out *out;

	engine_blob_close(host);
	if (!ipc_is_attached(host->process->blobs)) {
		blob_fail(host, ERR_TEMP);
		return;
	}
	out = ipc_begin(host->process->blobs, BLOB_CREATE);
	ipc_put_u64(out, size_hint);
	(void)ipc_call(out, -1, DEADLINE_MS, on_created,
	    call_new(host, ENGINE_BLOB_OPENING));
}

int
engine_blob_write(struct engine_host *host, struct str data)
{
	ssize_t n;

	if (host->blob.state != ENGINE_BLOB_OPEN)
		return ERR_TEMP;
	while (data.len != 0) {
		n = write(host->blob.fd, data.p, data.len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			blob_fail(host, errno == ENOSPC || errno == EDQUOT ?
			    ERR_LIMIT : ERR_TEMP);
			return host->blob.error;
		}
		data = str_sub(data, (size_t)n, data.len);
	}
	return 0;
}

/* ---- seal and link ---- */

static void
on_sealed(void *ctx, int code, struct ipc_in *in)
{
	struct engine_host *host = call_end(ctx, code);
	struct str sha256;

	if (code != 0 || host == NULL)
		return;
	host->blob.size_octets = ipc_get_u64(in);
	sha256 = ipc_get_str(in);
	if (sha256.len != sizeof(host->blob.sha256)) {
		blob_fail(host, ERR_TEMP);
		return;
	}
	memcpy(host->blob.sha256, sha256.p, sha256.len);
	host->blob.fd = ipc_take_fd(in);
	host->blob.state = ENGINE_BLOB_SEALED;
}

void
engine_blob_seal(struct engine_host *host)
{
	struct ipc_out *out;

	if (host->blob.state != ENGINE_BLOB_OPEN)
		return;
	(void)close(host->blob.fd);
	host->blob.fd = -1;
	out = ipc_begin(host->process->blobs, BLOB_SEAL);
	ipc_put_u64(out, host->blob.handle);
	(void)ipc_call(out, -1, DEADLINE_MS, on_sealed,
	    call_new(host, ENGINE_BLOB_SEALING));
}

static void
on_linked(void *ctx, int code, struct ipc_in *in)
{
	struct engine_host *host = call_end(ctx, code);

	(void)in;
	if (code == 0 && host != NULL)
		host->blob.state = ENGINE_BLOB_LINKED;
}

void
engine_blob_link(struct engine_host *host, uint64_t message)
{
	struct ipc_out *out;

	if (host->blob.state != ENGINE_BLOB_SEALED &&
	    host->blob.state != ENGINE_BLOB_LINKED)
		return;
	out = ipc_begin(host->process->blobs, BLOB_LINK);
	ipc_put_bool(out, true);
	ipc_put_u64(out, host->process->account);
	ipc_put_u64(out, message);
	(void)ipc_call(out, host->blob.fd, DEADLINE_MS, on_linked,
	    call_new(host, ENGINE_BLOB_LINKING));
}

void
engine_blob_close(struct engine_host *host)
{
	struct host_blob *blob = &host->blob;

	if (blob->call != NULL)
		blob->call->host = NULL;
	if (blob->handle != 0)
		drop(host->process, blob->handle);
	if (blob->fd != -1)
		(void)close(blob->fd);
	*blob = (struct host_blob){ .state = ENGINE_BLOB_NONE, .fd = -1 };
}
