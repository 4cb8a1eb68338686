/* SPDX-License-Identifier: ISC */
/*
 * Any text parses within its limits or is refused with a text and a place.
 * What parses is written again by the writers without surprises.
 */
#include "base/arena.h"
#include "proto/imap_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_set(const struct imap_set *set, struct arena *arena)
{
	struct imap_set r = imap_set_resolve(set, 100, arena);
	size_t i;

	invariant(r.n_ranges <= set->n_ranges);
	for (i = 0; i < r.n_ranges; i++) {
		invariant(r.ranges[i].first != 0);
		invariant(r.ranges[i].first <= r.ranges[i].last);
		invariant(i == 0 ||
		    r.ranges[i - 1].last + 1 < r.ranges[i].first);
		invariant(imap_set_has(&r, r.ranges[i].first));
		invariant(imap_set_next(&r, r.ranges[i].first) ==
		    r.ranges[i].first);
	}
	/* An empty mailbox has no "*". */
	(void)imap_set_resolve(set, 0, arena);
}

static void
check_fetch(const struct imap_fetch *fetch, struct arena *arena)
{
	struct buf out;
	size_t i;

	check_set(&fetch->set, arena);
	for (i = 0; i < fetch->n_sections; i++) {
		buf_init(&out, 1 << 20);
		imap_put_section(&out, &fetch->sections[i]);
		invariant(!buf_failed(&out) && out.len != 0);
		buf_fini(&out);
	}
}

static void
check_mailbox(const struct imap_mailbox *mailbox)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	imap_put_mailbox(&out, mailbox->name, false);
	invariant(!buf_failed(&out) && out.len != 0);
	buf_fini(&out);
	if (mailbox->is_valid)
		invariant(str_is_utf8(mailbox->name));
}

static void
check_command(const struct imap_command *cmd, struct arena *arena)
{
	size_t i;

	invariant(cmd->info != NULL && imap_is_tag(cmd->tag));
	switch (cmd->info->id) {
	case IMAP_FETCH:
		check_fetch(&cmd->u.fetch, arena);
		break;
	case IMAP_STORE:
		check_set(&cmd->u.store.set, arena);
		break;
	case IMAP_COPY:
	case IMAP_MOVE:
		check_set(&cmd->u.copy.set, arena);
		check_mailbox(&cmd->u.copy.mailbox);
		break;
	case IMAP_LIST:
	case IMAP_LSUB:
		for (i = 0; i < cmd->u.list.n_patterns; i++)
			(void)imap_match(cmd->u.list.patterns[i].name,
			    STR("a/b/c/INBOX"), '/');
		break;
	case IMAP_APPEND:
		check_mailbox(&cmd->u.append.mailbox);
		break;
	default:
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_parse_options options = { .is_utf8 = size % 2 == 1 };
	struct imap_problem problem;
	struct imap_command cmd;
	struct arena *arena;
	int ret;

	if (size > 70000)
		return 0;
	arena = arena_new(0);
	ret = imap_parse(str_make(data, size), &options, arena, &cmd,
	    &problem);
	if (ret == 0)
		check_command(&cmd, arena);
	else
		invariant(problem.text != NULL && problem.offset <= size);
	/* Memory is bounded by the text. */
	invariant(arena_used(arena) <= 65536 + size * 512);
	arena_free(&arena);
	return 0;
}
