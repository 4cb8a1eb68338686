/* SPDX-License-Identifier: ISC */
/*
 * message: all there is to look at in one message.
 *
 * The message is given to the engine as it stands, and each part again
 * without its transfer encoding, as our own parser finds it: what another
 * parser does not see as a part is not passed over. What is odd about it and
 * its parts is looked for in the same octets (filterd/attack).
 *
 * Lifetime.   message_scan() fills report in.
 * Ownership.  Values.
 * Units.      Octets, milliseconds.
 * Errors.     None: what cannot be read or unpacked is SCAN_LIMIT.
 * Blocking.   Yes, for up to ms and what the part under way takes.
 * Process.    scan worker.
 */
#ifndef VIRUS_MESSAGE_H
#define VIRUS_MESSAGE_H

#include "filterd/attack/attack.h"
#include "filterd/virus/engine.h"

#define REPORT_PARTS_MAX 100U
#define SCAN_READERS_MAX 32U

struct report {
	struct finding whole;		/* the weightiest */
	struct {
		size_t part;		/* its number in the summary */
		struct finding finding;
	} parts[REPORT_PARTS_MAX];
	size_t parts_len;
	/* The first of each, whatever weighs more: SCAN_CLEAN: none. */
	struct finding locked;		/* SCAN_ENCRYPTED */
	struct finding closed;		/* SCAN_LIMIT */
	struct attack_report odd;
};

struct scan_tools {
	struct engine *engine;
	struct attack *attack;
	int dir;		/* of the folder for unpacked parts */
};

struct scan_order {
	int fd;
	uint64_t size;
	uint64_t flags;		/* enum scan_flag */
	uint64_t ms;
	struct str readers[SCAN_READERS_MAX];	/* domains; none: anybody */
	size_t readers_len;
};

void message_scan(const struct scan_tools *tools,
    const struct scan_order *order, struct report *report_r);

#endif
