/* SPDX-License-Identifier: ISC */
#include "mboxd/usage.h"

#define ROW_OCTETS 45
#define SEND_MS 500

void
usage_push_begin(struct usage_push *push, struct ipc_link *link)
{
	push->link = link;
	push->out = NULL;
}

void
usage_push_add(struct usage_push *push, const struct store *store)
{
	struct store_usage figures;

	if (push->out != NULL && ipc_room(push->out) < ROW_OCTETS)
		usage_push_end(push);
	if (push->out == NULL)
		push->out = ipc_begin(push->link, ACCOUNT_CHANGED);
	store_usage(store, &figures);
	ipc_put_u64(push->out, store_account(store));
	ipc_put_u64(push->out, store_modseq(store));
	ipc_put_u64(push->out, figures.size_octets);
	ipc_put_u64(push->out, figures.messages);
	ipc_put_u64(push->out, figures.sequence);
}

void
usage_push_end(struct usage_push *push)
{
	if (push->out != NULL)
		(void)ipc_send(push->out, -1);
	push->out = NULL;
}

static void
on_timer(void *arg)
{
	usage_send(arg);
}

void
usage_init(struct usage *usage, struct loop *loop, struct ipc_link *directory)
{
	usage->directory = directory;
	usage->waiting = table_new();
	loop_timer_init(&usage->timer, loop, on_timer, usage);
}

void
usage_note(struct usage *usage, uint64_t account,
    const struct store_usage *figures)
{
	struct store_usage *kept = table_get_u64(usage->waiting, account);

	if (kept == NULL) {
		kept = calloc(1, sizeof(*kept));
		invariant(kept != NULL);
		(void)table_put_u64(usage->waiting, account, kept);
	}
	/* An owner before this one may be heard later. */
	if (figures->sequence >= kept->sequence)
		*kept = *figures;
	if (!loop_timer_is_set(&usage->timer))
		loop_timer_start(&usage->timer, SEND_MS);
}

/* One frame's worth; false: it could not be sent and is kept. */
static bool
send_some(struct usage *usage)
{
	uint64_t ids[IPC_PAYLOAD_MAX / ROW_OCTETS];
	struct ipc_out *out = ipc_begin(usage->directory, DIR_USAGE);
	struct store_usage *kept;
	size_t cursor = 0, n = 0;
	struct str key;

	while (n < sizeof(ids) / sizeof(ids[0]) && (kept = table_next(
	    usage->waiting, &cursor, &key)) != NULL) {
		memcpy(&ids[n], key.p, sizeof(ids[n]));
		ipc_put_u64(out, ids[n++]);
		ipc_put_u64(out, kept->size_octets);
		ipc_put_u64(out, kept->messages);
		ipc_put_u64(out, kept->sequence);
	}
	if (ipc_send(out, -1) != 0)
		return false;
	while (n > 0)
		free(table_del_u64(usage->waiting, ids[--n]));
	return true;
}

void
usage_send(struct usage *usage)
{
	while (table_count(usage->waiting) != 0)
		if (!send_some(usage)) {
			loop_timer_start(&usage->timer, SEND_MS);
			return;
		}
}
