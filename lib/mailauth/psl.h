/* SPDX-License-Identifier: ISC */
/*
 * psl: the public suffix list, which says where one organization's names
 * begin: example.co.uk is one, co.uk is not.
 *
 * Lifetime.   psl_open() before the sandbox (it reads a file) -> psl_org()
 *             as often as wanted -> psl_close().
 * Ownership.  Results live in the arena.
 * Errors.     ERR_TEMP when no list could be read.
 * Blocking.   psl_open() reads the file; psl_org() never.
 * RFC.        RFC 7489 section 3.2.
 */
#ifndef MAILAUTH_PSL_H
#define MAILAUTH_PSL_H

#include "base/arena.h"

struct psl;

/* path NULL: the distribution's list (Debian: publicsuffix), or the one that
 * libpsl was built with when that is newer. */
int psl_open(const char *path, struct psl **psl_r, struct err *err);
void psl_close(struct psl **psl);

/*
 * The organizational domain of a name in A-labels, in lower case: the public
 * suffix and one label more. A public suffix is its own. Names under a top
 * level that the list does not know have it as their suffix.
 */
struct str psl_org(const struct psl *psl, struct arena *arena,
    struct str domain);

#endif
