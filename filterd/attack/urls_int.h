/* SPDX-License-Identifier: ISC */
/* url: one link, as a browser reads it. Private to this folder. */
#ifndef ATTACK_URLS_INT_H
#define ATTACK_URLS_INT_H

#include "base/arena.h"
#include "filterd/attack/urls.h"

/* False when it leads nowhere (mailto:, cid:, a place in the page). */
bool url_parse(struct arena *arena, struct str raw, struct url *url_r);

/* The host a text shows, lower case; "" when it shows none. */
struct str url_shown_host(struct arena *arena, struct str text);

#endif
