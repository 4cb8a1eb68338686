/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/told.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/table.h"

/* Somebody who was told. */
struct once {
	int64_t at_s;
	uint64_t since;		/* found after that and not told */
};

struct told {
	struct table *addresses;	/* -> struct once */
};

static bool
is_recent(const struct once *once, int64_t now_s)
{
	return once->at_s + TOLD_EVERY_S > now_s;
}

static void
forget_old(struct told *told, int64_t now_s)
{
	struct once *once;
	struct str key;
	size_t cursor = 0;

	while ((once = table_next(told->addresses, &cursor, &key)) != NULL)
		if (!is_recent(once, now_s))
			free(table_del(told->addresses, key));
}

/* NULL: there are too many. */
static struct once *
add(struct told *told, struct str address, int64_t now_s)
{
	struct once *once;

	if (table_count(told->addresses) >= TOLD_MAX)
		forget_old(told, now_s);
	if (table_count(told->addresses) >= TOLD_MAX)
		return NULL;
	once = calloc(1, sizeof(*once));
	invariant(once != NULL);
	table_put(told->addresses, address, once);
	return once;
}

bool
told_is_due(struct told *told, struct str address, int64_t now_s,
    uint64_t *since_r)
{
	struct once *once = table_get(told->addresses, address);

	*since_r = 0;
	if (once != NULL && is_recent(once, now_s)) {
		once->since++;
		return false;
	}
	if (once == NULL)
		once = add(told, address, now_s);
	if (once == NULL)
		return false;
	*since_r = once->since;
	*once = (struct once){ .at_s = now_s };
	return true;
}

void
told_forget(struct told *told, struct str address)
{
	free(table_del(told->addresses, address));
}

struct told *
told_new(void)
{
	struct told *told = calloc(1, sizeof(*told));

	invariant(told != NULL);
	told->addresses = table_new();
	return told;
}

void
told_free(struct told **told)
{
	struct once *once;
	struct str key;
	size_t cursor = 0;

	if (*told == NULL)
		return;
	while ((once = table_next((*told)->addresses, &cursor, &key)) != NULL)
		free(once);
	table_free(&(*told)->addresses);
	free(*told);
	*told = NULL;
}
