/* SPDX-License-Identifier: ISC */
/*
 * curlloop: libcurl's multi interface on our loop.
 *
 * Lifetime.   curlloop_new() -> curlloop_add()*, as long as the program. done
 *             is called once for each handle that was added and not removed,
 *             never from inside curlloop_add().
 * Ownership.  Handles are the caller's; done may clean them up.
 * Blocking.   Never.
 */
#ifndef HTTP_CURLLOOP_H
#define HTTP_CURLLOOP_H

#include <curl/curl.h>

#include "io/loop.h"

struct curlloop;

/* ctx is the handle's CURLOPT_PRIVATE. The handle was removed already. */
typedef void curlloop_done(void *ctx, CURLcode result);

struct curlloop *curlloop_new(struct loop *loop, curlloop_done *done);

void curlloop_add(struct curlloop *curlloop, CURL *easy);
void curlloop_remove(struct curlloop *curlloop, CURL *easy);

#endif
