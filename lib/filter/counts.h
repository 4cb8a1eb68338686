/* SPDX-License-Identifier: ISC */
/*
 * counts: what became of a message and what was found about it, as figures.
 *
 * Errors.     None.
 * Blocking.   Never.
 * Process.    smtpd, milterd.
 */
#ifndef FILTER_COUNTS_H
#define FILTER_COUNTS_H

#include "filter/verdict.h"
#include "ipc/figures.h"

/* A message answered with code, for domain (empty: the installation as a
 * whole); is_out: an account's. verdict: NULL: nobody has judged it. */
void counts_add(struct figures *figures, struct str domain, bool is_out,
    unsigned code, const struct verdict *verdict);

/* STR_NONE: it has none. */
struct str counts_domain(struct str address);

#endif
