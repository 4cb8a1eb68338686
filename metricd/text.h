/* SPDX-License-Identifier: ISC */
/*
 * text: the installation's figures since metricd's start in the format that
 * Prometheus reads (text version 0.0.4): stages as histograms in seconds, all
 * other counts as one counter with a label, what is so now as gauges.
 *
 * Lifetime.   metric_text_new() -> metric_text_count(), metric_text_gauge()*,
 *             metric_text_put()* -> metric_text_free().
 * Ownership.  Names are copied. At most TEXT_NAMES_MAX of them are kept.
 * Blocking.   Never.
 * Process.    metricd.
 */
#ifndef METRICD_TEXT_H
#define METRICD_TEXT_H

#include "base/buf.h"

#define TEXT_NAMES_MAX 2000U

struct metric_text;

struct metric_text *metric_text_new(void);
void metric_text_free(struct metric_text **text);

void metric_text_count(struct metric_text *text, struct str name,
    uint64_t count);
void metric_text_gauge(struct metric_text *text, struct str name,
    bool is_time, uint64_t value);

void metric_text_put(const struct metric_text *text, int64_t now_s,
    struct buf *out);

#endif
