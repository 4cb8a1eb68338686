/* SPDX-License-Identifier: ISC */
/*
 * probe: one thing at one engine, from its submission to what came of it.
 *
 * Story. The thing is submitted; its task is polled, at first soon, later
 * every quarter of a minute; when it is done its verdict is asked for. What
 * the engine cannot do now is tried again, with growing waits, for as long as
 * somebody waits for it. Two messages with the same attachment share one
 * probe, when its names end alike: an engine opens it by its name.
 *
 * Lifetime.   probe_want() -> done, once, never from inside it, or
 *             probe_forget() before that. A probe that nobody waits for ends.
 * Ownership.  A want is the caller's, embedded in what it keeps.
 * Units.      Milliseconds.
 * Errors.     enum detonation_result.
 * Blocking.   Never.
 * Process.    detonated.
 */
#ifndef DETONATE_PROBE_H
#define DETONATE_PROBE_H

#include "filterd/detonate/engine.h"

struct probe;
struct probes;	/* all that are under way */

struct probe_want {
	struct list node;
	struct probe *probe;	/* NULL: over */
	/* What came of it: clean, malicious or failed. */
	void (*done)(struct probe_want *want, enum detonation_result result,
	    const struct engine_report *report);
};

/* score: tenths of a point from which a report is malicious. first_ms: until
 * a task is polled, or what failed is tried again, for the first time. */
struct probes *probes_new(struct loop *loop, uint64_t first_ms);
void probes_free(struct probes **probes);
void probes_set_score(struct probes *probes, unsigned score);

/* want->done is set. */
void probe_want(struct probes *probes, struct engine *engine,
    struct thing *thing, struct probe_want *want);

/* Harmless for a want that is over. */
void probe_forget(struct probe_want *want);

/* The engine has a task of it: it is only slow. */
bool probe_is_running(const struct probe_want *want);

#endif
