/* SPDX-License-Identifier: ISC */
/*
 * report: the figures of days as an operator asks for them.
 *
 * "show": a row a day: what is looked at most, and under "figures" everything.
 * "stages": a row a day and stage: how many, and what half, nine of ten and
 * 99 of 100 took at the most, in milliseconds.
 *
 * Ownership.  The result is the caller's.
 * Errors.     ERR_SYNTAX: arguments or verb; those of the store.
 * Blocking.   Reads a file.
 * Process.    metricd.
 */
#ifndef METRICD_REPORT_H
#define METRICD_REPORT_H

#include <jansson.h>

#include "metricd/store.h"

#define REPORT_DAYS_MAX 3650

/* args: domain (else the installation), days (else 7), after: a day. */
int report_make(struct metric_store *store, struct str verb,
    const json_t *args, int64_t now_s, json_t **result_r, struct err *err);

/* The day of a moment in the server's time zone: 20261122. */
uint32_t report_day(int64_t s);

#endif
