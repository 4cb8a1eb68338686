/* SPDX-License-Identifier: ISC */
/*
 * figures: what a program counts, on its way to metricd: added up here, sent
 * every few seconds.
 *
 *     figures_count(figures, domain, STR("received"), 1);
 *     figures_stage(figures, "judge", ms);
 *
 * Lifetime.   figures_new() -> figures_count(), figures_stage(),
 *             figures_gauge()* -> figures_free(), which sends what is left.
 * Ownership.  Names and domains are copied.
 * Units.      Milliseconds.
 * Errors.     None. While metricd is away figures wait, up to FIGURES_MAX
 *             different ones; over that new ones are not counted.
 * Blocking.   Never.
 * Process.    Whoever counts.
 */
#ifndef IPC_FIGURES_H
#define IPC_FIGURES_H

#include "ipc/ipc.h"

#define FIGURES_MAX 20000U
#define FIGURES_NAME_MAX 48U
#define FIGURES_DOMAIN_MAX 255U

struct figures;

struct figures *figures_new(struct loop *loop, struct ipc_link *metricd);
void figures_free(struct figures **figures);

/* domain: empty for the installation as a whole, which is counted on its own:
 * a message to two domains is one message. */
void figures_count(struct figures *figures, struct str domain,
    struct str name, uint64_t count);

/* Something took so long: "stage.NAME.BOUND", BOUND being the least of the
 * bounds that is not below ms, or "more"; and "stage.NAME.sum". */
void figures_stage(struct figures *figures, const char *stage, uint64_t ms);

/* What is so from now on; said again from time to time. */
void figures_gauge(struct figures *figures, const char *name, bool is_time,
    uint64_t value);

/* Send what there is now: before the process ends. */
void figures_flush(struct figures *figures);

/* The bounds of stages, ascending, ended by 0. */
extern const unsigned figures_bounds_ms[];

/* May a figure be called so? */
bool figures_is_name(struct str name);

#endif
