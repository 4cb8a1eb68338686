/* SPDX-License-Identifier: ISC */
/*
 * preview: the first words of a message, RFC 8970.
 *
 * Lifetime.   preview_new() -> preview_step()* -> preview_free().
 * Units.      At most 200 characters, one line.
 * Blocking.   A step reads some 16 KiB; after 256 KiB what there is counts.
 */
#ifndef IMAPD_PREVIEW_H
#define IMAPD_PREVIEW_H

#include "imapd/engine/message.h"

struct preview;

struct preview *preview_new(const struct imap_message *m);
void preview_free(struct preview **preview);

/* True: preview_text() is all there will be. */
bool preview_step(struct preview *preview);

struct str preview_text(const struct preview *preview);

#endif
