/* SPDX-License-Identifier: ISC */
#include "blob/round.h"

#include <stdlib.h>

struct after {
	struct list node;
	void (*done)(void *ctx, int code);
	void *ctx;
};

struct gone {
	struct list node;
	uint64_t id;
};

void
blob_round_init(struct blob_round *round, const struct blob_links *links)
{
	round->links = links;
	list_init(&round->afters);
	list_init(&round->gone);
}

void
blob_round_after(struct blob_round *round, void (*done)(void *ctx, int code),
    void *ctx)
{
	struct after *after = calloc(1, sizeof(*after));

	invariant(after != NULL);
	after->done = done;
	after->ctx = ctx;
	list_add(&round->afters, &after->node);
}

void
blob_round_unlink(struct blob_round *round, uint64_t id)
{
	struct gone *gone = calloc(1, sizeof(*gone));

	invariant(gone != NULL);
	gone->id = id;
	list_add(&round->gone, &gone->node);
}

void
blob_round_unlinks(struct blob_round *round, bool is_committed)
{
	struct gone *gone;

	while ((gone = list_first(&round->gone, struct gone, node)) != NULL) {
		list_del(&gone->node);
		if (is_committed)
			blob_links_remove(round->links, gone->id);
		free(gone);
	}
}

void
blob_round_tell(struct blob_round *round, int code)
{
	struct after *after;
	struct list now;

	list_init(&now);
	while ((after = list_first(&round->afters, struct after, node)) !=
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
