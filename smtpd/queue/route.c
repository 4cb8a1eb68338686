/* SPDX-License-Identifier: ISC */
/* route: where each recipient leads now, directoryd says. */
#include "smtpd/queue/work.h"

#include "base/log.h"
#include "ipc/links.h"

#define ROUTE_BATCH 128
#define ROUTE_DEADLINE_MS 30000
#define REASON_MAX 200

static size_t
target_of(struct work *work, uint64_t account, struct str address)
{
	size_t known = (size_t)(uintptr_t)table_get_u64(work->by_account,
	    account);
	struct target *target;

	if (known != 0)
		return known - 1;
	work->targets = work_grown(work->arena, work->targets,
	    work->targets_len, sizeof(*work->targets), &work->targets_cap);
	target = &work->targets[work->targets_len++];
	*target = (struct target){ .account = account,
	    .address = arena_str(work->arena, address) };
	table_put_u64(work->by_account, account,
	    (void *)(uintptr_t)work->targets_len);
	return work->targets_len - 1;
}

static void
edge_add(struct work *work, size_t rcpt, size_t target)
{
	struct edge *edge;

	work->edges = work_grown(work->arena, work->edges, work->edges_len,
	    sizeof(*work->edges), &work->edges_cap);
	edge = &work->edges[work->edges_len++];
	edge->rcpt = rcpt;
	edge->target = target;
}

static void
elsewhere_add(struct work *work, size_t rcpt, struct str address)
{
	struct elsewhere *other;

	if (work->item.rcpts[rcpt].is_expanded)
		return;
	work->elsewhere = work_grown(work->arena, work->elsewhere,
	    work->elsewhere_len, sizeof(*work->elsewhere),
	    &work->elsewhere_cap);
	other = &work->elsewhere[work->elsewhere_len++];
	other->rcpt = rcpt;
	other->address = arena_str(work->arena, address);
}

static void
route_row(struct work *work, uint64_t index, uint64_t route,
    uint64_t account, struct str target)
{
	/* Rows for what was not asked are another process's mistake. */
	if (index < work->asked_from || index >= work->asked_to ||
	    route > DIR_R_REFUSED)
		return;
	work->is_routed[index] = true;
	work->has_progress = true;
	if (route == DIR_R_ACCOUNT)
		edge_add(work, index, target_of(work, account, target));
	else if (route == DIR_R_REFUSED)
		work->refusals[index] = arena_str(work->arena,
		    str_sub(target, 0, REASON_MAX));
	else if (str_eq(target, work->item.rcpts[index].address))
		work->is_away[index] = true;
	else
		elsewhere_add(work, index, target);
}

static void
on_routed(void *ctx, int code, struct ipc_in *in)
{
	struct work *work = ctx;
	uint64_t index, route, account;

	if (code != 0) {
		work_fail(work, "the directory does not answer");
		return;
	}
	work->has_progress = false;
	while (ipc_more(in)) {
		index = ipc_get_u64(in);
		route = ipc_get_u64(in);
		account = ipc_get_u64(in);
		route_row(work, index, route, account, ipc_get_str(in));
	}
	if (!work->has_progress) {
		work_fail(work, "the directory does not know a route");
		return;
	}
	/* What did not fit into the reply is asked for again. */
	for (work->next = work->asked_from; work->next < work->asked_to;
	    work->next++)
		if (!work->is_routed[work->next])
			break;
	work_route(work);
}

void
work_route(struct work *work)
{
	struct ipc_out *out;
	size_t asked = 0;

	while (work->next < work->item.rcpts_len &&
	    (work->is_routed[work->next] ||
	    !work_rcpt_waits(&work->item.rcpts[work->next])))
		work->next++;
	work->asked_from = work->next;
	if (work->next == work->item.rcpts_len) {
		work->next = 0;
		work_routed(work);
		return;
	}
	out = ipc_begin(work->env->directory, DIR_ROUTE);
	for (; work->next < work->item.rcpts_len && asked < ROUTE_BATCH;
	    work->next++) {
		if (work->is_routed[work->next] ||
		    !work_rcpt_waits(&work->item.rcpts[work->next]))
			continue;
		if (ipc_room(out) < work->item.rcpts[work->next].address.len +
		    32)
			break;
		ipc_put_u64(out, work->next);
		ipc_put_str(out, work->item.rcpts[work->next].address);
		asked++;
	}
	work->asked_to = work->next;
	(void)ipc_call(out, -1, ROUTE_DEADLINE_MS, on_routed, work);
}
