/* SPDX-License-Identifier: ISC */
/*
 * An accepted envelope address, written again, parses to itself. A From that
 * is not ambiguous gives mailboxes that are envelope addresses.
 */
#include "mail_fuzz.h"

#include "mail/address.h"

static void
check_again(struct arena *arena, const struct address *address)
{
	struct address again;
	struct buf buf;

	buf_init(&buf, 4096);
	address_put(&buf, address);
	invariant(!buf_failed(&buf));
	/* A local part that needs quotes may grow over the limit by them. */
	if (buf.len <= ADDRESS_MAX && address->local.len < 30 &&
	    !address->is_null) {
		invariant(address_parse(arena, buf_str(&buf), ADDRESS_UTF8 |
		    ADDRESS_BARE_LOCAL, &again, NULL) == 0);
		invariant(address_eq(address, &again));
	}
	buf_fini(&buf);
}

static void
check_list(struct arena *arena, struct str in)
{
	struct mailbox_list list;
	struct address *v;
	size_t i, n;

	mailbox_list_parse(arena, in, &list);
	invariant(list.count <= ADDRESS_LIST_MAX);
	for (i = 0; i < list.count; i++)
		invariant(list.v[i].local.len + list.v[i].domain.len <=
		    in.len);
	if (address_from(arena, &in, 1, &v, &n, NULL) != 0)
		return;
	invariant(!list.is_odd && n == list.count && n != 0);
	for (i = 0; i < n; i++)
		check_again(arena, &v[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct str in = str_make(data, size);
	struct address address;
	unsigned flags;

	for (flags = 0; flags < 16; flags += 3)
		if (address_parse_path(arena, in, flags, &address,
		    NULL) == 0)
			check_again(arena, &address);
	if (address_parse(arena, in, ADDRESS_UTF8, &address, NULL) == 0)
		check_again(arena, &address);
	check_list(arena, in);
	arena_free(&arena);
	return 0;
}
