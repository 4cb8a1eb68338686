/* SPDX-License-Identifier: ISC */
/*
 * keep: into the quarantine, by quarantined: what a filter does not want
 * delivered. A message has an entry for each recipient of ours, or, when the
 * administrator decides, for each domain. What our users send elsewhere is
 * their own domain's. An address is kept as it was given: where it leads is
 * looked at when it is released.
 */
#include "smtpd/queue/work.h"

#include "filter/verdict.h"
#include "ipc/links.h"
#include "mail/address.h"

#define KEEP_DEADLINE_MS 60000
/* Of one item: all items that are worked on fit into the link's window. */
#define FRAMES_MAX 4U
#define RCPT_OVERHEAD 48U
#define ENVELOPE_OVERHEAD 1536U

/* Recipients whose entry is one: a chain through keeping->next. */
struct owner {
	struct str name;
	bool is_for_admin;
	size_t first;
	size_t last;
};

struct keeping {
	struct work *work;
	struct owner **owners;
	size_t owners_len;
	size_t owner_at;	/* the next to send, and from whom on */
	size_t rcpt_at;
	size_t *next;		/* of each recipient; SIZE_MAX: the last */
	size_t frames;
};

/* A request under way: recipients of one owner. */
struct frame {
	struct keeping *keeping;
	size_t first;
	size_t len;
};

/* ---- whose it is ---- */

static struct str
lower(struct arena *arena, struct str s)
{
	char *text = arena_cstr(arena, s);
	size_t i;

	for (i = 0; i < s.len; i++)
		text[i] = ascii_lower(text[i]);
	return str_make(text, s.len);
}

/* In the form that quarantined knows owners by. */
static struct str
canonical(const struct work *work, struct str text, struct str *domain_r)
{
	struct address address;

	*domain_r = work->env->hostname;
	if (address_parse(work->arena, text, ADDRESS_UTF8 | ADDRESS_NULL |
	    ADDRESS_BARE_LOCAL | ADDRESS_DOTS, &address, NULL) != 0)
		return lower(work->arena, text);
	if (address.domain.len != 0)
		*domain_r = address.domain;
	return lower(work->arena, arena_printf(work->arena, "%.*s@%.*s",
	    STR_FMT(address.local), STR_FMT((*domain_r))));
}

/* Of recipient i. */
static struct str
owner_of(const struct work *work, size_t i, bool *is_for_admin_r)
{
	struct str domain, address;

	*is_for_admin_r = work->is_for_admin || work->is_away[i];
	address = canonical(work, work->is_away[i] ? work->item.sender :
	    work->item.rcpts[i].address, &domain);
	return *is_for_admin_r ? lower(work->arena, domain) : address;
}

static void
owner_add(struct keeping *keeping, struct table *known, size_t i)
{
	struct work *work = keeping->work;
	bool is_for_admin;
	struct str name = owner_of(work, i, &is_for_admin);
	struct owner *owner = table_get(known, name);

	keeping->next[i] = SIZE_MAX;
	if (owner != NULL) {
		keeping->next[owner->last] = i;
		owner->last = i;
		return;
	}
	owner = arena_new_of(work->arena, struct owner);
	*owner = (struct owner){ .name = name, .is_for_admin = is_for_admin,
	    .first = i, .last = i };
	(void)table_put(known, name, owner);
	keeping->owners[keeping->owners_len++] = owner;
}

/* ---- what became of it ---- */

static void fill(struct keeping *keeping);

static void
on_kept(void *ctx, int code, struct ipc_in *in)
{
	struct frame *frame = ctx;
	struct keeping *keeping = frame->keeping;
	struct outcome why = { .status = code == ERR_LIMIT ? "4.3.1" :
	    "4.3.0", .reason = code == ERR_LIMIT ?
	    STR("the quarantine has no room") :
	    STR("the quarantine does not answer") };
	size_t n, i = frame->first;

	(void)in;
	for (n = 0; n < frame->len; n++, i = keeping->next[i]) {
		if (code == 0)
			outcome_kept(keeping->work, i);
		else
			outcome_deferred(keeping->work, i, &why);
	}
	keeping->frames--;
	fill(keeping);
}

/* ---- frames ---- */

static void
put_envelope(struct ipc_out *out, const struct work *work,
    const struct owner *owner)
{
	const struct queue_item *item = &work->item;
	size_t others = item->trace.len + item->verdict.len +
	    item->sender.len + item->envid.len + owner->name.len +
	    ENVELOPE_OVERHEAD;

	ipc_put_u64(out, item->id);
	ipc_put_str(out, owner->name);
	ipc_put_bool(out, owner->is_for_admin);
	ipc_put_str(out, item->sender);
	ipc_put_u64(out, item->sender_account);
	ipc_put_u64(out, item->flags);
	ipc_put_str(out, item->envid);
	ipc_put_str(out, item->trace);
	ipc_put_str(out, item->verdict);
	/* A summary that does not fit is made again by who needs it. */
	ipc_put_str(out, others + item->summary.len <= IPC_PAYLOAD_MAX ?
	    item->summary : STR(""));
	ipc_put_u64(out, item->size_octets);
	ipc_put_str(out, item->sha256);
	ipc_put_str(out, item->client);
	ipc_put_u64(out, item->arrived_us);
}

/* The next recipients of the owner whose turn it is; at least one. */
static void
send_frame(struct keeping *keeping)
{
	struct work *work = keeping->work;
	const struct owner *owner = keeping->owners[keeping->owner_at];
	struct ipc_out *out = ipc_begin(work->env->quarantine,
	    QUARANTINE_KEEP);
	struct frame *frame = arena_new_of(work->arena, struct frame);
	const struct queue_rcpt *rcpt;

	frame->keeping = keeping;
	frame->first = keeping->rcpt_at;
	put_envelope(out, work, owner);
	while (keeping->rcpt_at != SIZE_MAX) {
		rcpt = &work->item.rcpts[keeping->rcpt_at];
		if (frame->len != 0 && ipc_room(out) < rcpt->address.len +
		    rcpt->orcpt.len + RCPT_OVERHEAD)
			break;
		ipc_put_u64(out, rcpt->n);
		ipc_put_str(out, rcpt->address);
		ipc_put_u64(out, rcpt->notify);
		ipc_put_str(out, rcpt->orcpt);
		frame->len++;
		keeping->rcpt_at = keeping->next[keeping->rcpt_at];
	}
	keeping->frames++;
	(void)ipc_call(out, work->blob_fd, KEEP_DEADLINE_MS, on_kept, frame);
}

/* As many requests as may be under way; the end when there are none. */
static void
fill(struct keeping *keeping)
{
	while (keeping->frames < FRAMES_MAX &&
	    keeping->owner_at < keeping->owners_len) {
		if (keeping->rcpt_at == SIZE_MAX)
			keeping->rcpt_at =
			    keeping->owners[keeping->owner_at]->first;
		send_frame(keeping);
		if (keeping->rcpt_at == SIZE_MAX)
			keeping->owner_at++;
	}
	if (keeping->frames == 0)
		work_part_done(keeping->work);
}

void
work_keep(struct work *work)
{
	struct keeping *keeping = arena_new_of(work->arena, struct keeping);
	size_t n = work->item.rcpts_len, i;
	struct table *known = table_new();

	work->parts = 1;
	work->is_tried = true;
	keeping->work = work;
	keeping->rcpt_at = SIZE_MAX;
	keeping->owners = arena_alloc(work->arena, (n + 1) *
	    sizeof(struct owner *));
	keeping->next = arena_alloc(work->arena, (n + 1) *
	    sizeof(*keeping->next));
	for (i = 0; i < n; i++)
		if (work_rcpt_waits(&work->item.rcpts[i]))
			owner_add(keeping, known, i);
	table_free(&known);
	fill(keeping);
}
