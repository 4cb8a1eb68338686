/* SPDX-License-Identifier: ISC */
/*
 * opened: was every container looked into? libclamav says nothing of one that
 * it cannot open (RAR without its module, Zstandard, LZMA alone, a zip packed
 * in a newer way) and calls it clean. It does tell of every file that it comes
 * to, so a container in which it came to none was not opened.
 *
 *     opened_begin(); for each file that libclamav comes to, in its order:
 *     opened_file(), and opened_scan() unless it knows the file from before;
 *     opened_end().
 *
 * A file that libclamav knows to be clean is not gone into again. What is
 * noted here must therefore keep it from knowing: see engine.c.
 *
 * Easy case.  A cab: its members come at the next level.
 * Hard cases. A zip with members of which some are skipped silently, since
 *             they are packed in another way, or directory and member say
 *             different things: its directory is read here, too. A kind that
 *             libclamav never opens: a file inside that it comes to is one
 *             that it took out of the middle of it. A RAR or a zip behind
 *             something else, as in a program that unpacks itself.
 * Not asked.  What may well hold nothing: an empty zip or gzip, tar, and
 *             winmail.dat. libclamav passes over files of up to 5 octets.
 *
 * Lifetime.   A value, of one scan.
 * Ownership.  Nothing is kept of a file.
 * Errors.     None.
 * Blocking.   Never. A file is walked once for marks, and a zip's directory.
 * Process.    scan worker.
 */
#ifndef VIRUS_OPENED_H
#define VIRUS_OPENED_H

#include "filterd/attack/kind.h"

#define OPENED_DEPTH_MAX 32U

struct opened {
	/* The files under way, outermost first. */
	struct {
		enum attack_kind kind;
		bool is_waiting;	/* for a file inside */
	} layers[OPENED_DEPTH_MAX];
	unsigned depth;
	enum { OPENED_HOLDS_NONE, OPENED_HOLDS, OPENED_CLOSED } newest;
	enum attack_kind newest_kind;
	bool has_inner;			/* a file inside another came */
	bool opens_rar;
	enum attack_kind unopened;	/* the first; KIND_EMPTY: none */
};

/* opens_rar: the scanner has its module for that. */
void opened_begin(struct opened *opened, bool opens_rar);

/* A file at a level; the outermost is at 0. */
void opened_file(struct opened *opened, unsigned level, struct str file);

/* It is gone into. */
void opened_scan(struct opened *opened);

/* The kind of a container that nobody has looked into, or not into all of
 * it; NULL: there is none. */
const char *opened_end(struct opened *opened);

#endif
