/* SPDX-License-Identifier: ISC */
#include "io/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/err.h"

#define RAW_OCTETS 8192U
#define WIRE_OCTETS 16384U
/* A window of 4 KiB: enough for answers, and small. */
#define OUT_WINDOW_BITS (-12)
#define OUT_MEMORY_LEVEL 5
/* What the other side looks back to is its own choice. */
#define IN_WINDOW_BITS (-15)

struct deflate {
	z_stream in;
	z_stream out;
	bool has_out;
	bool was_full;		/* the last unpack left no room */
	uint64_t came;
	uint64_t given;
	char raw[RAW_OCTETS];
};

struct deflate *
deflate_new(void)
{
	struct deflate *d = calloc(1, sizeof(*d));

	invariant(d != NULL);
	invariant(inflateInit2(&d->in, IN_WINDOW_BITS) == Z_OK);
	return d;
}

void
deflate_free(struct deflate **deflate)
{
	if (*deflate == NULL)
		return;
	deflate_rest(*deflate);
	(void)inflateEnd(&(*deflate)->in);
	free(*deflate);
	*deflate = NULL;
}

void
deflate_rest(struct deflate *d)
{
	if (d->has_out)
		(void)deflateEnd(&d->out);
	d->has_out = false;
}

static void
begin_out(struct deflate *d)
{
	if (d->has_out)
		return;
	d->out = (z_stream){ .zalloc = Z_NULL };
	invariant(deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED,
	    OUT_WINDOW_BITS, OUT_MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
	d->has_out = true;
}

/* RFC 4978 section 4: all that was said can be read. */
void
deflate_pack(struct deflate *d, struct buf *plain, struct buf *wire)
{
	struct str in = buf_str(plain);
	char *p;

	begin_out(d);
	d->out.next_in = (Bytef *)(uintptr_t)in.p;
	d->out.avail_in = (uInt)in.len;
	do {
		p = buf_reserve(wire, WIRE_OCTETS);
		if (p == NULL)
			break;
		d->out.next_out = (Bytef *)p;
		d->out.avail_out = WIRE_OCTETS;
		invariant(deflate(&d->out, Z_SYNC_FLUSH) != Z_STREAM_ERROR);
		buf_grow(wire, WIRE_OCTETS - d->out.avail_out);
	} while (d->out.avail_out == 0);
	buf_consume(plain, in.len - d->out.avail_in);
}

char *
deflate_space(struct deflate *d, size_t *room_r)
{
	invariant(d->in.avail_in == 0);
	*room_r = sizeof(d->raw);
	return d->raw;
}

void
deflate_came(struct deflate *d, size_t len)
{
	d->in.next_in = (Bytef *)d->raw;
	d->in.avail_in = (uInt)len;
	d->came += len;
}

bool
deflate_has_more(const struct deflate *d)
{
	return d->in.avail_in != 0 || d->was_full;
}

int
deflate_unpack(struct deflate *d, char *p, size_t len, size_t *len_r)
{
	int ret;

	*len_r = 0;
	if (!deflate_has_more(d))
		return 0;
	d->in.next_out = (Bytef *)p;
	d->in.avail_out = (uInt)len;
	ret = inflate(&d->in, Z_SYNC_FLUSH);
	*len_r = len - d->in.avail_out;
	d->was_full = d->in.avail_out == 0;
	d->given += *len_r;
	/* Z_BUF_ERROR: there was nothing to do. */
	if (ret != Z_OK && ret != Z_BUF_ERROR)
		return ERR_CORRUPT;
	return d->given > DEFLATE_FREE_OCTETS + d->came * DEFLATE_RATIO ?
	    ERR_LIMIT : 0;
}
