/* SPDX-License-Identifier: ISC */
/*
 * host_blob: a session's blob on its way: asked for from blobd, written here,
 * sealed, linked. A reply may come when the session has forgotten the blob or
 * is gone: the call has its own life.
 */
#include "mboxd/process.h"

#include <unistd.h>

#include "base/file.h"

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

/* A file that was asked for before its blob is opened. */
struct host_spare {
	struct process *process;
	struct engine_host *host;	/* NULL: nobody waits any more */
	uint64_t handle;
	int fd;
	bool is_asked;		/* the answer is awaited */
	bool is_wanted;		/* and a blob is OPENING for it */
};

/* One that is sealed and linked without waiting. */
struct aside {
	struct host_asides *asides;
	uint64_t handle;
	uint64_t message;
	struct engine_aside result;
};

struct host_asides {
	struct process *process;
	struct engine_host *host;	/* NULL: nobody waits any more */
	struct aside **list;
	size_t count;
	size_t cap;
	size_t waiting;
	int error;
};

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

static void
blob_close(struct engine_host *host)
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

/* ---- a file for the next one ---- */

static void
spare_free(struct host_spare *spare)
{
	if (spare->fd != -1)
		(void)close(spare->fd);
	if (spare->handle != 0)
		drop(spare->process, spare->handle);
	free(spare);
}

static void
on_spare(void *ctx, int code, struct ipc_in *in)
{
	struct host_spare *spare = ctx;
	struct engine_host *host = spare->host;

	spare->is_asked = false;
	if (code == 0) {
		spare->handle = ipc_get_u64(in);
		spare->fd = ipc_take_fd(in);
	}
	if (host != NULL && code == 0 && !spare->is_wanted)
		return;
	if (host == NULL) {
		spare_free(spare);
		return;
	}
	host->spare = NULL;
	if (spare->is_wanted && code == 0) {
		host->blob.handle = spare->handle;
		host->blob.fd = spare->fd;
		host->blob.state = ENGINE_BLOB_OPEN;
		spare->handle = 0;
		spare->fd = -1;
	} else if (spare->is_wanted) {
		blob_fail(host, code);
	}
	if (spare->is_wanted)
		host_ready(host);
	spare_free(spare);
}

void
engine_blob_expect(struct engine_host *host)
{
	struct host_spare *spare;
	struct ipc_out *out;

	if (host->spare != NULL || !ipc_is_attached(host->process->blobs))
		return;
	spare = calloc(1, sizeof(*spare));
	invariant(spare != NULL);
	spare->process = host->process;
	spare->host = host;
	spare->fd = -1;
	spare->is_asked = true;
	host->spare = spare;
	out = ipc_begin(host->process->blobs, BLOB_CREATE);
	ipc_put_u64(out, 0);
	(void)ipc_call(out, -1, DEADLINE_MS, on_spare, spare);
}

/* True: the spare is, or will be, the blob that is opened. */
static bool
take_spare(struct engine_host *host)
{
	struct host_spare *spare = host->spare;

	if (spare == NULL)
		return false;
	if (spare->is_asked) {
		spare->is_wanted = true;
		host->blob.state = ENGINE_BLOB_OPENING;
		return true;
	}
	host->blob.handle = spare->handle;
	host->blob.fd = spare->fd;
	host->blob.state = ENGINE_BLOB_OPEN;
	host->spare = NULL;
	free(spare);
	return true;
}

static void
forget_spare(struct engine_host *host)
{
	struct host_spare *spare = host->spare;

	if (spare == NULL)
		return;
	host->spare = NULL;
	if (spare->is_asked)
		spare->host = NULL;	/* on_spare() frees it */
	else
		spare_free(spare);
}

void
engine_blob_open(struct engine_host *host, uint64_t size_hint)
{
	struct ipc_out *out;

	blob_close(host);
	if (take_spare(host))
		return;
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
	int rc;

	if (host->blob.state != ENGINE_BLOB_OPEN)
		return ERR_TEMP;
	rc = file_write(host->blob.fd, data, NULL);
	if (rc == 0)
		return 0;
	blob_fail(host, rc);
	return host->blob.error;
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
	blob_close(host);
	forget_spare(host);
}

/* ---- links without waiting ---- */

static void
asides_free(struct host_asides *asides)
{
	size_t i;

	for (i = 0; i < asides->count; i++)
		free(asides->list[i]);
	free(asides->list);
	free(asides);
}

static void
aside_done(struct aside *aside, struct ipc_in *in)
{
	struct str sha256;
	char path[STORE_LINK_PATH_SIZE];

	aside->result.size_octets = ipc_get_u64(in);
	sha256 = ipc_get_str(in);
	if (sha256.len == sizeof(aside->result.sha256))
		memcpy(aside->result.sha256, sha256.p, sha256.len);
	else
		aside->asides->error = ERR_TEMP;
	/* Nobody wants it any more: its message was given up before the link
	 * was made. */
	if (aside->asides->host == NULL) {
		store_link_path(aside->message, path);
		(void)unlinkat(store_dir_fd(aside->asides->process->store),
		    path, 0);
	}
}

static void
on_aside(void *ctx, int code, struct ipc_in *in)
{
	struct aside *aside = ctx;
	struct host_asides *asides = aside->asides;

	if (code == 0) {
		aside_done(aside, in);
	} else {
		asides->error = code;
		drop(asides->process, aside->handle);
	}
	if (--asides->waiting != 0)
		return;
	if (asides->host == NULL)
		asides_free(asides);
	else
		host_ready(asides->host);
}

static struct host_asides *
asides_of(struct engine_host *host)
{
	if (host->asides == NULL) {
		host->asides = calloc(1, sizeof(*host->asides));
		invariant(host->asides != NULL);
		host->asides->process = host->process;
		host->asides->host = host;
	}
	return host->asides;
}

static struct aside *
aside_new(struct host_asides *asides)
{
	struct aside *aside = calloc(1, sizeof(*aside)), **list;

	invariant(aside != NULL);
	if (asides->count == asides->cap) {
		asides->cap = asides->cap != 0 ? asides->cap * 2 : 16;
		list = realloc(asides->list, asides->cap * sizeof(*list));
		invariant(list != NULL);
		asides->list = list;
	}
	aside->asides = asides;
	asides->list[asides->count++] = aside;
	return aside;
}

void
engine_blob_put_aside(struct engine_host *host, uint64_t message)
{
	struct host_asides *asides = asides_of(host);
	struct aside *aside;
	struct ipc_out *out;

	if (host->blob.state != ENGINE_BLOB_OPEN) {
		asides->error = ERR_TEMP;
		return;
	}
	aside = aside_new(asides);
	aside->message = message;
	aside->handle = host->blob.handle;
	asides->waiting++;
	(void)close(host->blob.fd);
	host->blob = (struct host_blob){
		.state = ENGINE_BLOB_NONE, .fd = -1,
	};
	out = ipc_begin(host->process->blobs, BLOB_SEAL_LINK);
	ipc_put_u64(out, aside->handle);
	ipc_put_u64(out, host->process->account);
	ipc_put_u64(out, message);
	(void)ipc_call(out, -1, DEADLINE_MS, on_aside, aside);
}

const struct engine_aside *
engine_blob_aside(struct engine_host *host, size_t i)
{
	invariant(host->asides != NULL && i < host->asides->count);
	return &host->asides->list[i]->result;
}

enum engine_blob
engine_blob_asides(struct engine_host *host)
{
	if (host->asides == NULL)
		return ENGINE_BLOB_NONE;
	if (host->asides->waiting != 0)
		return ENGINE_BLOB_LINKING;
	if (host->asides->error == 0)
		return ENGINE_BLOB_LINKED;
	host->blob.error = host->asides->error;
	return ENGINE_BLOB_FAILED;
}

int
engine_blob_flush(struct engine_host *host)
{
	struct err err = ERR_INIT;

	if (engine_blob_asides(host) != ENGINE_BLOB_LINKED)
		return ERR_TEMP;
	/* What a failed flush has lost nobody knows: nothing may go on. */
	if (syncfs(host->process->env.fs_fd) == -1) {
		(void)err_set_errno(&err, ERR_TEMP, "syncfs");
		process_give_up(host->process, "syncfs", &err);
	}
	engine_blob_forget(host);
	return 0;
}

void
engine_blob_forget(struct engine_host *host)
{
	struct host_asides *asides = host->asides;

	if (asides == NULL)
		return;
	host->asides = NULL;
	if (asides->waiting != 0)
		asides->host = NULL;	/* on_aside() frees it */
	else
		asides_free(asides);
}
