/* SPDX-License-Identifier: ISC */
/* Search trees keep to their depth and count, and each operator's arity. */
#include "base/arena.h"
#include "proto/imap_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count(const struct imap_search_key *key, unsigned depth)
{
	const struct imap_search_key *child;
	size_t n = 1, children = 0;

	invariant(depth <= IMAP_SEARCH_DEPTH_MAX + 1);
	invariant(key->op < IMAP_SEARCH_OP_COUNT);
	for (child = key->children; child != NULL; child = child->next) {
		n += count(child, depth + 1);
		children++;
	}
	if (key->op == IMAP_SEARCH_NOT)
		invariant(children == 1);
	else if (key->op == IMAP_SEARCH_OR)
		invariant(children == 2);
	else
		invariant(children == 0 || key->op == IMAP_SEARCH_AND);
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_problem problem;
	struct imap_command cmd;
	struct arena *arena;
	struct buf text;

	buf_init(&text, 100000);
	buf_add_cstr(&text, "a UID SEARCH ");
	buf_add(&text, data, size);
	arena = arena_new(0);
	if (imap_parse(buf_str(&text), NULL, arena, &cmd, &problem) == 0) {
		invariant(cmd.u.search.n_keys <= IMAP_SEARCH_KEYS_MAX + 2);
		invariant(count(cmd.u.search.key, 0) ==
		    cmd.u.search.n_keys);
	}
	arena_free(&arena);
	buf_fini(&text);
	return 0;
}
