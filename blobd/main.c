/* SPDX-License-Identifier: ISC */
/*
 * blobd: makes, seals, links and flushes blobs. It is the only process that
 * owns blob files, and it parses none of them.
 */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/table.h"
#include "blob/layout.h"
#include "blobd/flush.h"
#include "blobd/link.h"
#include "blobd/stage.h"
#include "ipc/child.h"

#define HANDLES_MAX 4096	/* staged files of one client */
#define HANDLES_ACCOUNT 128	/* of an account process: there are many */

struct blobd {
	struct child *child;
	struct stage *stage;
	struct linker *linker;
	struct flush *flush;
	int stage_fd;
	int data_fd;
	int proc_fd;		/* our own /proc/self/fd */
	bool has_alerted;
};

/* What a client may link into. */
enum bound { BOUND_NONE, BOUND_QUEUE, BOUND_QUARANTINE, BOUND_ACCOUNT,
    BOUND_ANY_ACCOUNT };

struct client {
	struct blobd *blobd;
	struct ipc_link *link;
	struct table *files;	/* handle -> struct stage_file */
	uint64_t next_handle;
	enum bound bound;
	uint64_t account;
};

/* A seal in progress: the client may leave meanwhile. */
struct sealing {
	struct ipc_req *req;
	struct stage_file *file;
	struct client *client;	/* NULL: gone */
	uint64_t handle;
	bool has_link;		/* BLOB_SEAL_LINK: as this, then forget it */
	uint64_t account;
	uint64_t id;
	struct loop_later later;
	struct loop *loop;
};

/* A link request whose flushes are not all done. */
struct linking {
	struct ipc_req *req;
	size_t waiting;
	int code;
};

/* ---- create, drop ---- */

static void
on_create(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	struct blobd *blobd = client->blobd;
	struct err err = ERR_INIT;
	struct stage_file *file;
	struct ipc_out *out;
	int fd;

	(void)in;
	if (flush_has_failed(blobd->flush)) {
		ipc_reply_err(req, ERR_TEMP, "a flush has failed");
		return;
	}
	if (table_count(client->files) >= (client->bound == BOUND_ACCOUNT ?
	    HANDLES_ACCOUNT : HANDLES_MAX)) {
		ipc_reply_err(req, ERR_TEMP, "too many files");
		return;
	}
	file = stage_file_new(blobd->stage, &fd, &err);
	if (file == NULL) {
		ipc_reply_err(req, err.code, "%s", err_text(&err));
		return;
	}
	client->next_handle++;
	table_put_u64(client->files, client->next_handle, file);
	out = ipc_reply_begin(req);
	ipc_put_u64(out, client->next_handle);
	ipc_reply_end(out, fd);
	(void)close(fd);
}

static void
on_drop(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	struct stage_file *file = table_del_u64(client->files,
	    ipc_get_u64(in));

	(void)req;
	stage_file_free(&file);
}

/* ---- seal ---- */

static int
link_sealed(const struct sealing *sealing, struct err *err)
{
	/* Who left while a large file was hashed wants no link. */
	if (sealing->client == NULL)
		return err_set(err, ERR_TEMP, "the client has gone");
	return linker_link(sealing->client->blobd->linker,
	    sealing->file->read_fd, sealing->account, sealing->id, NULL,
	    err);
}

static void
seal_finish(struct sealing *sealing, int code, struct err *err)
{
	struct stage_file *file = sealing->file;
	struct ipc_out *out;

	loop_later_fini(&sealing->later);
	if (code == 0 && sealing->has_link)
		code = link_sealed(sealing, err);
	if (code != 0) {
		ipc_reply_err(sealing->req, code, "%s", err_text(err));
	} else {
		out = ipc_reply_begin(sealing->req);
		ipc_put_u64(out, file->size_octets);
		ipc_put_str(out, str_make(file->sha256, 32));
		ipc_reply_end(out, sealing->has_link ? -1 : file->read_fd);
	}
	/* The client may have left while a large file was hashed. */
	if (sealing->client == NULL || sealing->has_link)
		stage_file_free(&sealing->file);
	else
		table_put_u64(sealing->client->files, sealing->handle, file);
	free(sealing);
}

static void
seal_step(void *arg)
{
	struct sealing *sealing = arg;
	struct err err = ERR_INIT;

	if (ipc_req_link(sealing->req) == NULL)
		sealing->client = NULL;
	switch (stage_seal_step(sealing->file, &err)) {
	case STAGE_MORE:
		loop_later(sealing->loop, &sealing->later);
		break;
	case STAGE_DONE:
		seal_finish(sealing, 0, &err);
		break;
	case STAGE_FAILED:
		seal_finish(sealing, ERR_TEMP, &err);
		break;
	}
}

/* Begin to seal the client's file; NULL: answered. */
static struct sealing *
seal_begin(struct client *client, struct ipc_req *req, uint64_t handle)
{
	struct stage_file *file = table_get_u64(client->files, handle);
	struct err err = ERR_INIT;
	struct sealing *sealing;
	int rc;

	if (file == NULL || file->is_sealed) {
		ipc_reply_err(req, ERR_NOTFOUND, "no such open file");
		return NULL;
	}
	if ((rc = stage_seal(file, &err)) != 0) {
		ipc_reply_err(req, rc, "%s", err_text(&err));
		return NULL;
	}
	sealing = calloc(1, sizeof(*sealing));
	invariant(sealing != NULL);
	sealing->req = req;
	sealing->file = file;
	sealing->client = client;
	sealing->handle = handle;
	sealing->loop = client->blobd->child->loop;
	loop_later_init(&sealing->later, seal_step, sealing);
	/* Ours until it is done: the client cannot drop it meanwhile. */
	table_del_u64(client->files, handle);
	return sealing;
}

static void
on_seal(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct sealing *sealing = seal_begin(ipc_link_ctx(link), req,
	    ipc_get_u64(in));

	if (sealing != NULL)
		seal_step(sealing);
}

static bool
may_link(const struct client *client, uint64_t account)
{
	switch (client->bound) {
	case BOUND_QUEUE:
		return account == BLOB_HOLDER_QUEUE;
	case BOUND_QUARANTINE:
		return account == BLOB_HOLDER_QUARANTINE;
	case BOUND_ACCOUNT:
		return account == client->account;
	case BOUND_ANY_ACCOUNT:
		return account != BLOB_HOLDER_QUEUE &&
		    account != BLOB_HOLDER_QUARANTINE;
	case BOUND_NONE:
		break;
	}
	return false;
}

static void
on_seal_link(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	uint64_t handle = ipc_get_u64(in);
	uint64_t account = ipc_get_u64(in);
	uint64_t id = ipc_get_u64(in);
	struct sealing *sealing;

	if (flush_has_failed(client->blobd->flush)) {
		ipc_reply_err(req, ERR_TEMP, "a flush has failed");
		return;
	}
	if (!may_link(client, account)) {
		ipc_reply_err(req, ERR_DENIED, "not your holder");
		return;
	}
	sealing = seal_begin(client, req, handle);
	if (sealing == NULL)
		return;
	sealing->has_link = true;
	sealing->account = account;
	sealing->id = id;
	seal_step(sealing);
}

/* ---- link ---- */

static void
linking_done(struct linking *linking)
{
	if (--linking->waiting > 0)
		return;
	if (linking->code != 0)
		ipc_reply_err(linking->req, linking->code, "flush");
	else
		ipc_reply_end(ipc_reply_begin(linking->req), -1);
	free(linking);
}

static void
on_flushed(void *ctx, int code)
{
	struct linking *linking = ctx;

	if (code != 0)
		linking->code = code;
	linking_done(linking);
}

/* One link, and its flush when wanted. */
static int
link_one(struct client *client, struct linking *linking, int blob_fd,
    bool is_flushed, uint64_t account, uint64_t id, struct err *err)
{
	int dir = -1, rc, blob_dup, dir_dup;

	if (!may_link(client, account))
		return err_set(err, ERR_DENIED, "not your holder");
	rc = linker_link(client->blobd->linker, blob_fd, account, id, &dir,
	    err);
	if (rc != 0 || !is_flushed)
		return rc;
	blob_dup = fcntl(blob_fd, F_DUPFD_CLOEXEC, 3);
	dir_dup = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	if (blob_dup == -1 || dir_dup == -1) {
		if (blob_dup != -1)
			(void)close(blob_dup);
		if (dir_dup != -1)
			(void)close(dir_dup);
		return err_set_errno(err, ERR_TEMP, "dup");
	}
	linking->waiting++;
	flush_add(client->blobd->flush, blob_dup, dir_dup, on_flushed,
	    linking);
	return 0;
}

static void
on_link(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *client = ipc_link_ctx(link);
	int blob_fd = ipc_take_fd(in), rc;
	bool is_flushed = ipc_get_bool(in);
	struct linking *linking;
	struct err err = ERR_INIT;
	uint64_t account, id;

	rc = flush_has_failed(client->blobd->flush) ? ERR_TEMP :
	    linker_check(blob_fd, &err);
	linking = calloc(1, sizeof(*linking));
	invariant(linking != NULL);
	linking->req = req;
	linking->waiting = 1;
	while (rc == 0 && ipc_more(in)) {
		account = ipc_get_u64(in);
		id = ipc_get_u64(in);
		rc = link_one(client, linking, blob_fd, is_flushed, account,
		    id, &err);
	}
	if (rc != 0) {
		linking->code = rc;
		ev_warn(NULL, "blob.link.failed",
		    EV_STR(peer, ipc_link_peer(link)), EV_ERR(&err));
	}
	(void)close(blob_fd);
	linking_done(linking);
}

/* ---- clients ---- */

static void on_attach(struct ipc_link *link, struct ipc_req *req,
    struct ipc_in *in);

static ipc_handler *const handlers[] = {
	[BLOB_CREATE] = on_create,
	[BLOB_SEAL] = on_seal,
	[BLOB_SEAL_LINK] = on_seal_link,
	[BLOB_DROP] = on_drop,
	[BLOB_LINK] = on_link,
	[BLOB_ATTACH] = on_attach,
};

static void
client_free(struct client *client)
{
	struct stage_file *file;
	size_t cursor = 0;

	while ((file = table_next(client->files, &cursor, NULL)) != NULL)
		stage_file_free(&file);
	table_free(&client->files);
	free(client);
}

static void
on_client_gone(void *ctx, struct ipc_link *link)
{
	struct client *client = ctx;

	ipc_link_free(&link);
	client_free(client);
}

static struct client *
client_new(struct blobd *blobd, enum bound bound, uint64_t account)
{
	struct client *client = calloc(1, sizeof(*client));

	invariant(client != NULL);
	client->blobd = blobd;
	client->bound = bound;
	client->account = account;
	client->files = table_new();
	return client;
}

static void
serve(struct client *client, int fd, struct str peer, uint64_t allowed)
{
	client->link = ipc_serve(client->blobd->child->loop, &ipc_blob, fd,
	    peer, handlers, client, on_client_gone);
	ipc_link_allow(client->link, allowed);
}

#define ALLOW_ALL_BUT_ATTACH (1ULL << BLOB_CREATE | 1ULL << BLOB_SEAL |	\
	1ULL << BLOB_SEAL_LINK | 1ULL << BLOB_DROP | 1ULL << BLOB_LINK)

static void
on_attach(struct ipc_link *link, struct ipc_req *req, struct ipc_in *in)
{
	struct client *broker = ipc_link_ctx(link);
	uint64_t account = ipc_get_u64(in);
	struct client *client;

	if (account == BLOB_HOLDER_QUARANTINE) {
		ipc_reply_err(req, ERR_DENIED, "not an account");
		return;
	}
	client = client_new(broker->blobd, account != 0 ? BOUND_ACCOUNT :
	    BOUND_ANY_ACCOUNT, account);
	serve(client, ipc_take_fd(in), account != 0 ? STR("account process") :
	    STR("bulk worker"), ALLOW_ALL_BUT_ATTACH);
	ipc_reply_end(ipc_reply_begin(req), -1);
}

static const struct {
	const char *peer;
	enum bound bound;
	uint64_t allowed;
} peers[] = {
	{ "smtpd", BOUND_NONE, 1ULL << BLOB_CREATE | 1ULL << BLOB_SEAL |
	    1ULL << BLOB_DROP },
	{ "queued", BOUND_QUEUE, ALLOW_ALL_BUT_ATTACH },
	/* It holds what others have made. */
	{ "quarantined", BOUND_QUARANTINE, 1ULL << BLOB_LINK },
	{ "mboxd", BOUND_NONE, 1ULL << BLOB_ATTACH },
};

/* hikyakud sent a link: the peer's name says what it may do. */
static void
came(struct child *child, struct str peer, int fd)
{
	size_t i;

	for (i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		if (!str_eq(peer, str_of(peers[i].peer)))
			continue;
		serve(client_new(child->ctx, peers[i].bound, 0), fd, peer,
		    peers[i].allowed);
		return;
	}
	ev_warn(NULL, "blob.peer.unknown", EV_STR(peer, peer));
	(void)close(fd);
}

/* ---- life ---- */

static const char *const mail_group[] = { "_hikyaku-mail", NULL };

static int
prepare(struct child *child, struct err *err)
{
	struct blobd *blobd = child->ctx;

	blobd->child = child;
	/* A lease that somebody breaks signals its holder. */
	(void)signal(SIGIO, SIG_IGN);
	blobd->data_fd = open(child_dir(child, "data"),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	blobd->stage_fd = open(child_dir(child, "data/stage"),
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (blobd->data_fd == -1 || blobd->stage_fd == -1)
		return err_set_errno(err, ERR_TEMP, "data/stage");
	blobd->proc_fd = open("/proc/self/fd",
	    O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (blobd->proc_fd == -1)
		return err_set_errno(err, ERR_TEMP, "/proc/self/fd");
	blobd->linker = linker_open(blobd->data_fd, blobd->proc_fd);
	child->sandbox.user = "_hikyaku-blobd";
	child->sandbox.extra_groups = mail_group;
	child->sandbox.groups = SB_FILES | SB_MODES | SB_THREADS;
	child->sandbox.files_max = 65536;
	(void)child_enter_dir(child, "data", SB_READ | SB_WRITE);
	return 0;
}

static int
start(struct child *child, struct err *err)
{
	struct blobd *blobd = child->ctx;

	blobd->stage = stage_open(blobd->stage_fd, blobd->proc_fd,
	    (unsigned)child_config_u64(child, "disk_floor", 5));
	blobd->flush = flush_new(child->loop, blobd->data_fd, err);
	return blobd->flush != NULL ? 0 : ERR_TEMP;
}

int
main(int argc, char **argv)
{
	static const struct child_serve serves[] = {
		{ .proto = &ipc_blob, .accept = came },
		{ .proto = NULL },
	};
	static const struct child_spec spec = {
		.name = "blobd", .ctx_size = sizeof(struct blobd),
		.serves = serves, .prepare = prepare, .start = start,
	};

	return child_main(argc, argv, &spec);
}
