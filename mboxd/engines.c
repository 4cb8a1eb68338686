/* SPDX-License-Identifier: ISC */
#include "mboxd/engines.h"

/* The one place where engines are linked in; ends with NULL. */
static const struct engine *const engines[] = {
	&imap_engine,
	&pop3_engine,
	NULL,
};

const struct engine *
engine_find(struct str protocol)
{
	const struct engine *const *engine = engines;

	for (; *engine != NULL; engine++)
		if (str_eq(protocol, str_of((*engine)->protocol)))
			return *engine;
	return NULL;
}
