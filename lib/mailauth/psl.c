/* SPDX-License-Identifier: ISC */
#include "mailauth/psl.h"

#include <libpsl.h>

struct psl {
	psl_ctx_t *list;
};

int
psl_open(const char *path, struct psl **psl_r, struct err *err)
{
	psl_ctx_t *list = path != NULL ? psl_load_file(path) :
	    psl_latest(NULL);
	struct psl *psl;

	*psl_r = NULL;
	if (list == NULL)
		return err_set(err, ERR_TEMP, "no public suffix list%s%s",
		    path != NULL ? " in " : "", path != NULL ? path : "");
	psl = calloc(1, sizeof(*psl));
	invariant(psl != NULL);
	psl->list = list;
	*psl_r = psl;
	return 0;
}

void
psl_close(struct psl **psl)
{
	if (*psl == NULL)
		return;
	psl_free((*psl)->list);
	free(*psl);
	*psl = NULL;
}

struct str
psl_org(const struct psl *psl, struct arena *arena, struct str domain)
{
	const char *org;
	char *name;
	size_t i;

	if (domain.len > 1 && domain.p[domain.len - 1] == '.')
		domain.len--;
	name = arena_cstr(arena, domain);
	for (i = 0; i < domain.len; i++)
		name[i] = ascii_lower(name[i]);
	org = psl_registrable_domain(psl->list, name);
	return str_of(org != NULL ? org : name);
}
