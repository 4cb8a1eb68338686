/* SPDX-License-Identifier: ISC */
/* engines: the protocols that an account process speaks. */
#ifndef MBOXD_ENGINES_H
#define MBOXD_ENGINES_H

#include "mboxd/engine.h"

/* NULL: no such engine. */
const struct engine *engine_find(struct str protocol);

#endif
