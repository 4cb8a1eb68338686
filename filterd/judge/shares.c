/* SPDX-License-Identifier: ISC */
#include "filterd/judge/shares.h"

#include "base/table.h"
#include "io/netaddr.h"

#define IPV4_OCTETS 4U
#define IPV6_OCTETS 8U

struct share {
	size_t count;
};

struct shares {
	struct table *networks;	/* octets -> struct share */
};

struct shares *
shares_new(void)
{
	struct shares *shares = calloc(1, sizeof(*shares));

	invariant(shares != NULL);
	shares->networks = table_new();
	return shares;
}

void
shares_free(struct shares **shares)
{
	struct share *share;
	struct str key;
	size_t cursor = 0;

	if (*shares == NULL)
		return;
	while ((share = table_next((*shares)->networks, &cursor, &key)) !=
	    NULL)
		free(share);
	table_free(&(*shares)->networks);
	free(*shares);
	*shares = NULL;
}

/* False: it is no address. The octets are addr's. */
static bool
network_of(struct str client, struct netaddr *addr, struct str *key_r)
{
	if (netaddr_parse(client, addr, NULL) != 0)
		return false;
	*key_r = str_make((const char *)addr->octets,
	    addr->family == AF_INET ? IPV4_OCTETS : IPV6_OCTETS);
	return true;
}

bool
shares_take(struct shares *shares, struct str client, size_t max)
{
	struct netaddr addr;
	struct share *share;
	struct str key;

	if (!network_of(client, &addr, &key))
		return true;
	share = table_get(shares->networks, key);
	if (share == NULL) {
		share = calloc(1, sizeof(*share));
		invariant(share != NULL);
		table_put(shares->networks, key, share);
	}
	if (share->count >= max)
		return false;
	share->count++;
	return true;
}

void
shares_give(struct shares *shares, struct str client)
{
	struct netaddr addr;
	struct share *share;
	struct str key;

	if (!network_of(client, &addr, &key))
		return;
	share = table_get(shares->networks, key);
	invariant(share != NULL && share->count != 0);
	if (--share->count == 0)
		free(table_del(shares->networks, key));
}
