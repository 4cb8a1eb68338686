/* SPDX-License-Identifier: ISC */
#include "blob/holder.h"

#include <stdlib.h>

#include "base/log.h"

#define CHECKPOINT_PAGES 2000

struct after {
	struct list node;
	void (*done)(void *ctx, int code);
	void *ctx;
};

struct gone {
	struct list node;
	uint64_t id;
};

/* ---- the end of a round ---- */

static void
remove_links(struct blob_holder *holder, bool is_committed)
{
	struct gone *gone;

	while ((gone = list_first(&holder->gone, struct gone, node)) != NULL) {
		list_del(&gone->node);
		if (is_committed)
			blob_links_remove(&holder->links, gone->id);
		free(gone);
	}
}

/* What they begin belongs to the next round. */
static void
tell(struct blob_holder *holder, int code)
{
	struct after *after;
	struct list now;

	list_init(&now);
	while ((after = list_first(&holder->afters, struct after, node)) !=
	    NULL) {
		list_del(&after->node);
		list_add(&now, &after->node);
	}
	while ((after = list_first(&now, struct after, node)) != NULL) {
		list_del(&after->node);
		after->done(after->ctx, code);
		free(after);
	}
}

static void
checkpoint(struct blob_holder *holder)
{
	struct err err = ERR_INIT;

	if (!db_in_transaction(holder->db) &&
	    db_wal_pages(holder->db) >= CHECKPOINT_PAGES &&
	    db_checkpoint(holder->db, CHECKPOINT_PAGES, false, &err) != 0)
		ev_error(NULL, "holder.checkpoint.failed", EV_ERR(&err));
}

static void
on_commit(void *arg)
{
	struct blob_holder *holder = arg;
	struct err err = ERR_INIT;
	bool may_go_on;
	int code = 0;

	if (db_in_transaction(holder->db) &&
	    db_commit(holder->db, &err) != 0) {
		code = db_is_full(holder->db) ? ERR_LIMIT : ERR_TEMP;
		ev_error(NULL, "holder.commit.failed", EV_ERR(&err));
	}
	remove_links(holder, code == 0);
	may_go_on = holder->spec.ended(holder->spec.ctx, code) &&
	    (code == 0 || (!db_has_failed(holder->db) &&
	    !holder->has_new_epoch));
	holder->has_new_epoch = false;
	tell(holder, code);
	if (!may_go_on) {
		/* Begin again from what is there. */
		ev_error(NULL, "holder.restart");
		exit(1);
	}
	if (code == 0)
		checkpoint(holder);
}

void
blob_holder_after(struct blob_holder *holder,
    void (*done)(void *ctx, int code), void *ctx)
{
	struct after *after = calloc(1, sizeof(*after));

	invariant(after != NULL);
	after->done = done;
	after->ctx = ctx;
	list_add(&holder->afters, &after->node);
	loop_later(holder->loop, &holder->commit);
}

int
blob_holder_begin(struct blob_holder *holder, struct err *err)
{
	if (db_in_transaction(holder->db))
		return 0;
	loop_later(holder->loop, &holder->commit);
	return db_begin(holder->db, DB_SYNC_FULL, err);
}

/* ---- numbers and links ---- */

static int
next_epoch(struct blob_holder *holder, struct err *err)
{
	struct db_query *q = db_query(holder->db, holder->spec.epoch_get);
	uint64_t epoch = 0;
	int rc;

	if (db_next(q))
		epoch = db_col_u64(q, 0);
	if ((rc = db_end(&q, err)) != 0)
		return rc;
	epoch = blob_ids_epoch_after(epoch);
	if ((rc = blob_holder_begin(holder, err)) != 0)
		return rc;
	q = db_query(holder->db, holder->spec.epoch_set);
	db_bind_u64(q, 2, epoch);
	if ((rc = db_run(&q, err)) != 0)
		return rc;
	blob_ids_begin(&holder->ids, epoch);
	holder->has_new_epoch = true;
	return 0;
}

int
blob_holder_reserve(struct blob_holder *holder, uint64_t *id_r,
    struct err *err)
{
	uint64_t id;
	int rc;

	if (blob_ids_used_up(&holder->ids) &&
	    (rc = next_epoch(holder, err)) != 0)
		return rc;
	id = blob_ids_next(&holder->ids);
	if ((rc = blob_links_prepare(&holder->links, id, err)) != 0)
		return rc;
	*id_r = id;
	return 0;
}

void
blob_holder_unlink(struct blob_holder *holder, uint64_t id)
{
	struct gone *gone = calloc(1, sizeof(*gone));

	invariant(gone != NULL);
	gone->id = id;
	list_add(&holder->gone, &gone->node);
}

static bool
is_held(void *ctx, uint64_t id)
{
	struct blob_holder *holder = ctx;
	struct db_query *q = db_query(holder->db, holder->spec.row_of);
	bool is_there;

	db_bind_u64(q, 2, id);
	is_there = db_next(q);
	/* Unsure is there: a link more does no harm. */
	return db_end(&q, NULL) != 0 || is_there;
}

static void
sweep(struct blob_holder *holder)
{
	size_t removed = blob_links_sweep(&holder->links, is_held, holder);

	if (removed != 0)
		ev_info(NULL, "holder.links.swept", EV_U64(count, removed));
}

/* ---- life ---- */

int
blob_holder_open(struct blob_holder *holder, struct loop *loop,
    const char *path, int dir_fd, const struct blob_holder_spec *spec,
    struct err *err)
{
	int rc;

	*holder = (struct blob_holder){ .spec = *spec, .loop = loop };
	blob_links_init(&holder->links, dir_fd);
	list_init(&holder->afters);
	list_init(&holder->gone);
	loop_later_init(&holder->commit, on_commit, holder);
	holder->spec.options = NULL;	/* for opening only */
	if ((rc = db_open(&holder->db, path, spec->options, err)) != 0 ||
	    (rc = next_epoch(holder, err)) != 0 ||
	    (rc = db_commit(holder->db, err)) != 0)
		return rc;
	holder->has_new_epoch = false;
	sweep(holder);
	return 0;
}

void
blob_holder_close(struct blob_holder *holder)
{
	loop_later_fini(&holder->commit);
	db_close(&holder->db);
}
