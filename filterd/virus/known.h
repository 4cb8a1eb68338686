/* SPDX-License-Identifier: ISC */
/*
 * known: what scand knows of us, so that its workers can tell who pretends to
 * be us: the domains that the directory serves, and partners and names out of
 * the configuration.
 *
 * Story. The directory is asked for its domains in pages; when the last came
 * and they are others than before, the tables that new generations begin with
 * are made anew, and changed() says so. directoryd tells when a domain came or
 * went; many changes in a row are one question every gap_ms.
 *
 * Lifetime.   known_new() -> known_*()* -> known_free().
 * Ownership.  The attack tables are the caller's; texts are copied.
 * Units.      Milliseconds.
 * Errors.     None: without the directory what was known stays known.
 * Blocking.   Never.
 * Process.    scand.
 */
#ifndef VIRUS_KNOWN_H
#define VIRUS_KNOWN_H

#include "base/str.h"
#include "io/loop.h"
#include "ipc/ipc.h"

struct attack;
struct known;

struct known_settings {
	struct loop *loop;
	struct ipc_link *directory;
	struct attack *attack;
	uint64_t gap_ms;	/* between two questions, at least */
	void (*changed)(void *ctx);
	void *ctx;
};

struct known *known_new(const struct known_settings *settings);
void known_free(struct known **known);

/* As the configuration has them: domains separated by blanks, names by
 * commas. */
void known_configure(struct known *known, struct str partners,
    struct str names);

/* The directory's domains may have changed. */
void known_ask(struct known *known);

/* Say all of it to a generation (SCANNER_KNOW). */
void known_tell(const struct known *known, struct ipc_link *generation);

#endif
