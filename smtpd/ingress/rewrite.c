/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/rewrite.h"

#include <unistd.h>

#include "base/file.h"
#include "mail/view.h"

#define BLOB_DEADLINE_MS 60000
#define CHUNK_OCTETS 65536U

struct piece {
	struct list node;
	struct str text;	/* p NULL: a range */
	uint64_t at;
	uint64_t len;
};

struct rewrite {
	struct message *message;
	struct arena *arena;
	struct list pieces;
	struct piece *piece;	/* that is being written; NULL: the end */
	uint64_t piece_at;
	struct sealed made;
	int write_fd;
	struct loop_timer turn;
	struct sealed *old_r;
	rewrite_done *done;
	void *ctx;
};

void
sealed_drop(const struct message *message, struct sealed *sealed)
{
	struct ipc_out *out;

	if (sealed->handle != 0) {
		out = ipc_begin(message_link(message, "blobd"), BLOB_DROP);
		ipc_put_u64(out, sealed->handle);
		(void)ipc_send(out, -1);
	}
	if (sealed->fd != -1)
		(void)close(sealed->fd);
	scan_free(&sealed->scan);
	*sealed = (struct sealed){ .fd = -1 };
}

const struct mail_summary *
sealed_summary(struct sealed *sealed)
{
	if (sealed->summary == NULL)
		sealed->summary = scan_end(sealed->scan);
	return sealed->summary;
}

void
rewrite_free(struct rewrite *rewrite)
{
	sealed_drop(rewrite->message, &rewrite->made);
	if (rewrite->write_fd != -1)
		(void)close(rewrite->write_fd);
	loop_timer_fini(&rewrite->turn);
	arena_free(&rewrite->arena);
	free(rewrite);
}

static void
end(struct rewrite *rewrite, int code)
{
	rewrite_done *done = rewrite->done;
	void *ctx = rewrite->ctx;

	rewrite_free(rewrite);
	done(ctx, code);
}

/* ---- seal ---- */

static void
on_sealed(void *ctx, int code, struct ipc_in *in)
{
	struct rewrite *rewrite = ctx;
	struct message *message = rewrite->message;
	struct sealed *made = &rewrite->made, old;
	struct str sha256;

	if (code != 0) {
		end(rewrite, ERR_TEMP);
		return;
	}
	made->octets = ipc_get_u64(in);
	sha256 = ipc_get_str(in);
	made->fd = ipc_take_fd(in);
	if (sha256.len != sizeof(made->sha256) ||
	    made->octets != scan_size(made->scan)) {
		end(rewrite, ERR_TEMP);
		return;
	}
	memcpy(made->sha256, sha256.p, sha256.len);
	old = message->sealed;
	message->sealed = *made;
	if (rewrite->old_r != NULL) {
		*rewrite->old_r = old;
		*made = (struct sealed){ .fd = -1 };
	} else {
		*made = old;		/* dropped at the end */
	}
	end(rewrite, 0);
}

static void
seal(struct rewrite *rewrite)
{
	struct ipc_out *out = ipc_begin(message_link(rewrite->message,
	    "blobd"), BLOB_SEAL);

	(void)close(rewrite->write_fd);
	rewrite->write_fd = -1;
	ipc_put_u64(out, rewrite->made.handle);
	(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_sealed, rewrite);
}

/* ---- write ---- */

static int
put(struct rewrite *rewrite, struct str s)
{
	scan_feed(rewrite->made.scan, s.p, s.len);
	return file_write(rewrite->write_fd, s, NULL);
}

static void
next_piece(struct rewrite *rewrite)
{
	struct list *next = rewrite->piece->node.next;

	rewrite->piece = next == &rewrite->pieces ? NULL :
	    list_entry(next, struct piece, node);
	rewrite->piece_at = 0;
}

/* The next octets of a range; *len_r 0: it is at its end. */
static int
put_range(struct rewrite *rewrite, size_t *len_r)
{
	const struct sealed *sealed = &rewrite->message->sealed;
	struct mail_view view = mail_view_of_fd(STR_NONE, sealed->fd,
	    sealed->octets);
	const struct piece *piece = rewrite->piece;
	static char chunk[CHUNK_OCTETS];
	uint64_t left = piece->len - rewrite->piece_at;

	if (mail_view_read(&view, piece->at + rewrite->piece_at, chunk,
	    left < sizeof(chunk) ? (size_t)left : sizeof(chunk), len_r,
	    NULL) != 0)
		return ERR_TEMP;
	rewrite->piece_at += *len_r;
	return put(rewrite, str_make(chunk, *len_r));
}

static void
on_turn(void *arg)
{
	struct rewrite *rewrite = arg;
	size_t total = 0, len;
	int rc = 0;

	while (rc == 0 && rewrite->piece != NULL &&
	    total < REWRITE_STEP_OCTETS) {
		len = 0;
		if (rewrite->piece->text.p != NULL)
			rc = put(rewrite, rewrite->piece->text);
		else
			rc = put_range(rewrite, &len);
		total += len;
		if (len == 0)
			next_piece(rewrite);
	}
	if (rc != 0)
		end(rewrite, rc);
	else if (rewrite->piece != NULL)
		loop_timer_start(&rewrite->turn, 0);
	else
		seal(rewrite);
}

static void
on_created(void *ctx, int code, struct ipc_in *in)
{
	struct rewrite *rewrite = ctx;

	if (code != 0) {
		end(rewrite, code == ERR_LIMIT ? ERR_LIMIT : ERR_TEMP);
		return;
	}
	rewrite->made.handle = ipc_get_u64(in);
	rewrite->write_fd = ipc_take_fd(in);
	on_turn(rewrite);
}

/* ---- begin ---- */

struct rewrite *
rewrite_new(struct message *message)
{
	struct rewrite *rewrite = calloc(1, sizeof(*rewrite));

	invariant(rewrite != NULL);
	rewrite->message = message;
	rewrite->arena = arena_new(0);
	list_init(&rewrite->pieces);
	rewrite->made = (struct sealed){ .fd = -1 };
	rewrite->write_fd = -1;
	loop_timer_init(&rewrite->turn,
	    message->session->ingress->child->loop, on_turn, rewrite);
	return rewrite;
}

void
rewrite_text(struct rewrite *rewrite, struct str text)
{
	struct piece *piece = arena_new_of(rewrite->arena, struct piece);

	piece->text = text.p != NULL ? text : STR("");
	list_add(&rewrite->pieces, &piece->node);
}

void
rewrite_range(struct rewrite *rewrite, uint64_t at, uint64_t len)
{
	struct piece *piece = arena_new_of(rewrite->arena, struct piece);

	piece->text = STR_NONE;
	piece->at = at;
	piece->len = len;
	list_add(&rewrite->pieces, &piece->node);
}

void
rewrite_run(struct rewrite *rewrite, struct sealed *old_r,
    rewrite_done *done, void *ctx)
{
	struct ipc_out *out = ipc_begin(message_link(rewrite->message,
	    "blobd"), BLOB_CREATE);

	rewrite->old_r = old_r;
	rewrite->done = done;
	rewrite->ctx = ctx;
	rewrite->made.scan = scan_new();
	rewrite->piece = list_first(&rewrite->pieces, struct piece, node);
	ipc_put_u64(out, rewrite->message->sealed.octets);
	(void)ipc_call(out, -1, BLOB_DEADLINE_MS, on_created, rewrite);
}
