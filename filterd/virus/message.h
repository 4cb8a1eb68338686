/* SPDX-License-Identifier: ISC */
/*
 * message: all there is to look at in one message.
 *
 * The message is given to the engine as it stands, and each part again
 * without its transfer encoding, as our own parser finds it: what another
 * parser does not see as a part is not passed over.
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

#include "filterd/virus/engine.h"

#define REPORT_PARTS_MAX 100U

struct report {
	struct finding whole;		/* the weightiest */
	struct {
		size_t part;		/* its number in the summary */
		struct finding finding;
	} parts[REPORT_PARTS_MAX];
	size_t parts_len;
};

/* dir: of the folder for unpacked parts. */
void message_scan(struct engine *engine, int fd, uint64_t size, int dir,
    uint64_t ms, struct report *report_r);

#endif
