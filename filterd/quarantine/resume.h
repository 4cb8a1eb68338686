/* SPDX-License-Identifier: ISC */
/*
 * resume: releases that were decided and did not end, because the program did
 * or the queue did not answer, go on: at the start, and every half minute.
 *
 * Lifetime.   resume_new() once; it lives as long as the program.
 * Errors.     Logged. What cannot go for good (its envelope) stays an entry
 *             as before the decision.
 * Blocking.   Never.
 * Process.    quarantined.
 */
#ifndef QUARANTINE_RESUME_H
#define QUARANTINE_RESUME_H

#include "filterd/quarantine/release.h"
#include "io/loop.h"

struct resume;

struct resume *resume_new(struct loop *loop, struct release_env *env);

#endif
