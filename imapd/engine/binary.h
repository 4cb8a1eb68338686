/* SPDX-License-Identifier: ISC */
/*
 * binary: a part without its transfer encoding, for BINARY and BINARY.SIZE.
 *
 * How long it is stands in front of it, so a part is decoded twice: once to
 * count, once to be sent; each in slices, nothing of it is kept.
 *
 * Lifetime.   binary_begin() -> binary_measure()* -> binary_read()* ->
 *             binary_end(), which may be called at any time.
 * Units.      Octets after decoding, but for the slices: as stored.
 * Errors.     ERR_NOTFOUND: no such part. ERR_DENIED: an encoding nobody
 *             knows ([UNKNOWN-CTE]). Else those of the view.
 * RFC.        RFC 3516 section 4.2, RFC 9051 section 6.4.5.
 */
#ifndef IMAPD_BINARY_H
#define IMAPD_BINARY_H

#include "imapd/engine/message.h"
#include "proto/imap_parse.h"

struct binary {
	const struct mail_view *view;
	struct mail_range range;
	struct str encoding;
	struct transfer *transfer;
	struct buf decoded;
	uint64_t at;		/* in the part as stored */
	uint64_t done;		/* octets decoded before those in decoded */
	uint64_t size;		/* after binary_measure() */
	bool has_nul;
};

int binary_begin(struct binary *binary, struct imap_message *m,
    const struct imap_section *section);
void binary_end(struct binary *binary);

/* One slice of counting. */
int binary_measure(struct binary *binary, bool *is_done_r);

/* Append some octets from `from` to `to` to out; *from moves on. Calls ask
 * for rising places. */
int binary_read(struct binary *binary, uint64_t *from, uint64_t to,
    struct buf *out);

#endif
