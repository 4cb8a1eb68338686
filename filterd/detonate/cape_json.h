/* SPDX-License-Identifier: ISC */
/*
 * cape_json: what CAPEv2's apiv2 answers, as values. An answer is an object;
 * "error" is true, with "error_value", when the request failed, and false or
 * an empty list when it did not.
 *
 * Lifetime.   Values.
 * Ownership.  Nothing is kept.
 * Units.      Tenths of a point: "malscore" is 0.0 to 10.0.
 * Errors.     ERR_SYNTAX: not what such an answer looks like; ERR_DENIED: it
 *             says that the request failed, err why; ERR_NOTFOUND: it does not
 *             say what was asked for.
 * Blocking.   Never. Bounded by the size of the answer; jansson's depth.
 * Process.    detonated. Input is hostile.
 */
#ifndef DETONATE_CAPE_JSON_H
#define DETONATE_CAPE_JSON_H

#include "filterd/detonate/engine.h"

/* POST tasks/create/...: data.task_ids. */
int cape_read_created(struct str body, struct engine_task *task_r,
    struct err *err);

/*
 * GET tasks/search/..., tasks/list/...: data is a list of tasks. Of each
 * sample (each link) the newest that has not failed and has the mark among its
 * options ("a=b,mark"). ERR_NOTFOUND: none.
 */
int cape_read_found(struct str body, struct str mark,
    struct engine_task *task_r, struct err *err);

/* GET tasks/status/N/: data is the name of a state. */
int cape_read_status(struct str body, enum engine_state *state_r,
    struct err *err);

/* GET tasks/view/N/, tasks/get/iocs/N/, tasks/get/report/N/: malscore and
 * detections, in data or at the top. ERR_NOTFOUND: no malscore. */
int cape_read_report(struct str body, struct engine_report *report_r,
    struct err *err);

#endif
