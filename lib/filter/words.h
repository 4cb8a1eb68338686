/* SPDX-License-Identifier: ISC */
/*
 * words: why a message is where it is, in words for people.
 *
 * Ownership.  Texts live in the arena or the verdict.
 * Errors.     None.
 * Blocking.   Never.
 * Process.    quarantined, and whoever shows a verdict.
 */
#ifndef FILTER_WORDS_H
#define FILTER_WORDS_H

#include "filter/verdict.h"

/* "an archive or document with a password (Heuristics.Encrypted.Zip)",
 * "suspicious: it has macros", or what a mail filter said. */
struct str verdict_words(const struct verdict *verdict, struct arena *arena);

/* Of the scan alone; empty when it found nothing. */
struct str verdict_scan_words(enum scan_result result, struct str name,
    struct arena *arena);

#endif
