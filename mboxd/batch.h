/* SPDX-License-Identifier: ISC */
/*
 * batch: deliveries that wait together are made together: links for all,
 * one transaction an account, one syncfs() for everything, then the answers.
 *
 * Story. ACCOUNT_DELIVER frames are kept by batch_add(). batch_run() reserves
 * a message id in each account, asks blobd for all links, adds the rows and
 * commits them without a flush, and flushes once. A recipient whose delivery
 * key is known was delivered before, by a process that died before it could
 * say so: its link is made again and it is reported as delivered.
 *
 * Lifetime.   batch_init() -> (batch_add()* -> batch_run())* -> batch_fini().
 * Ownership.  The batch owns the frames' copies and descriptors; stores are
 *             the caller's, by batch_env.open.
 * Errors.     Each recipient has its own result. A failed flush is final:
 *             nothing more may be reported by this process.
 * Blocking.   Waits for blobd and the disk.
 * Process.    Bulk worker, account process.
 */
#ifndef MBOXD_BATCH_H
#define MBOXD_BATCH_H

#include "base/list.h"
#include "ipc/links.h"
#include "ipc/values.h"
#include "store/store.h"

struct batch_row;

/* An account whose store is open. */
struct batch_account {
	struct list node;	/* the caller's */
	struct list touched;	/* of this run */
	struct store *store;	/* NULL after a failure */
	uint64_t account;
	struct batch_row *first;	/* its rows of this run */
	struct batch_row **last;
};

struct batch_env {
	void *ctx;
	/* The account opened, or NULL, with the result and why. It must stay
	 * until the end of the run. */
	struct batch_account *(*open)(void *ctx, uint64_t account,
	    enum mbox_result *result_r, const char **reason_r);
	/* To blobd; NULL: there is none now. */
	struct ipc_link *(*blobs)(void *ctx);
	int fs_fd;		/* for syncfs() */
};

struct batch {
	const struct batch_env *env;
	struct list jobs;
	struct list touched;	/* struct batch_account of the last run */
	size_t rows_len;
};

void batch_init(struct batch *batch, const struct batch_env *env);
void batch_fini(struct batch *batch);

/* Keep an ACCOUNT_DELIVER frame. */
void batch_add(struct batch *batch, struct ipc_req *req, struct ipc_in *in);

bool batch_is_empty(const struct batch *batch);

enum batch_end {
	BATCH_DONE,
	BATCH_AGAIN,		/* blobd is not there: nothing was done yet */
	BATCH_FLUSH_LOST,
};

/* Deliver and answer all. Afterwards batch->touched lists the accounts that
 * were changed, until the next run. Without may_wait all is answered, also
 * when there is no blobd. */
enum batch_end batch_run(struct batch *batch, bool may_wait, struct err *err);

#endif
