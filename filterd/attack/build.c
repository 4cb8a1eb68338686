/* SPDX-License-Identifier: ISC */
#include "filterd/attack/build_int.h"

#include <zlib.h>

void
build_le(struct buf *out, uint64_t value, unsigned octets)
{
	for (; octets != 0; octets--, value >>= 8)
		buf_add_char(out, (char)(value & 255));
}

void
build_zeros(struct buf *out, size_t count)
{
	while (count-- != 0)
		buf_add_char(out, '\0');
}

void
build_deflated(struct buf *out, struct str text, bool is_bare)
{
	z_stream z = { .avail_in = (uInt)text.len };
	uLong room = compressBound(text.len) + 64;
	char *place = buf_reserve(out, room);

	invariant(place != NULL);
	invariant(deflateInit2(&z, 9, Z_DEFLATED, is_bare ? -15 : 15, 8,
	    Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = (Bytef *)(uintptr_t)text.p;
	z.next_out = (Bytef *)place;
	z.avail_out = (uInt)room;
	invariant(deflate(&z, Z_FINISH) == Z_STREAM_END);
	buf_grow(out, z.total_out);
	invariant(deflateEnd(&z) == Z_OK);
}

/* ---- zip ---- */

static void
put_fields(struct buf *out, bool is_packed, bool is_encrypted,
    size_t packed_len, size_t len, size_t name_len)
{
	build_le(out, 20, 2);
	build_le(out, is_encrypted, 2);
	build_le(out, is_packed ? 8 : 0, 2);
	build_zeros(out, 8);		/* time, date, CRC */
	build_le(out, packed_len, 4);
	build_le(out, len, 4);
	build_le(out, name_len, 2);
	build_le(out, 0, 2);
}

static void
put_member(struct buf *out, struct buf *directory, const struct member *m,
    struct str text)
{
	const char *local = m->local_name != NULL ? m->local_name : m->name;
	size_t at = out->len;
	struct buf packed;

	buf_init(&packed, 256U << 20);
	if (m->is_packed)
		build_deflated(&packed, text, true);
	else
		buf_add_str(&packed, text);
	buf_add(out, "PK\003\004", 4);
	put_fields(out, m->is_packed, m->is_encrypted, packed.len, text.len,
	    strlen(local));
	buf_add_cstr(out, local);
	buf_add_str(out, buf_str(&packed));
	buf_add(directory, "PK\001\002\024\0", 6);
	put_fields(directory, m->is_packed, m->is_encrypted, packed.len,
	    text.len, strlen(m->name));
	build_zeros(directory, 10);
	build_le(directory, at, 4);
	buf_add_cstr(directory, m->name);
	buf_fini(&packed);
}

static void
put_directory(struct buf *out, const struct buf *directory, size_t count)
{
	size_t at = out->len;

	buf_add_str(out, buf_str(directory));
	buf_add(out, "PK\005\006\0\0\0\0", 8);
	build_le(out, count, 2);
	build_le(out, count, 2);
	build_le(out, directory->len, 4);
	build_le(out, at, 4);
	build_le(out, 0, 2);
}

void
build_zip(struct buf *out, const struct member *members, size_t count)
{
	struct buf directory;
	size_t i;

	buf_init(&directory, 16U << 20);
	for (i = 0; i < count; i++)
		put_member(out, &directory, &members[i],
		    str_of(members[i].text));
	put_directory(out, &directory, count);
	buf_fini(&directory);
}

void
build_zip_of(struct buf *out, const char *name, struct str octets)
{
	struct member member = { .name = name, .is_packed = true };
	struct buf directory;

	buf_init(&directory, 65536);
	put_member(out, &directory, &member, octets);
	put_directory(out, &directory, 1);
	buf_fini(&directory);
}

void
build_zip_overlapping(struct buf *out, struct str octets, size_t count)
{
	struct member member = { .name = "a.dat", .is_packed = true };
	struct buf directory, all;
	size_t i;

	buf_init(&directory, 65536);
	buf_init(&all, 16U << 20);
	put_member(out, &directory, &member, octets);
	for (i = 0; i < count; i++)
		buf_add_str(&all, buf_str(&directory));
	put_directory(out, &all, count);
	buf_fini(&all);
	buf_fini(&directory);
}

/* ---- compound files ---- */

#define SECTOR 512U

static void
pad(struct buf *out)
{
	while (out->len % SECTOR != 0)
		buf_add_char(out, '\0');
}

static void
put_entry(struct buf *out, const struct stream *stream, size_t start)
{
	size_t i, len = strlen(stream->name);

	for (i = 0; i < 32; i++)
		build_le(out, i < len ? (unsigned char)stream->name[i] : 0, 2);
	build_le(out, 2 * len + 2, 2);
	buf_add_char(out, stream->type);
	buf_add_char(out, 1);
	build_le(out, UINT64_MAX, 8);
	build_le(out, UINT32_MAX, 4);
	if (stream->clsid != NULL)
		buf_add(out, stream->clsid, 16);
	else
		build_zeros(out, 16);
	build_zeros(out, 20);
	build_le(out, stream->content.len != 0 ? start : 0xfffffffe, 4);
	build_le(out, stream->content.len, 8);
}

static size_t
sectors(size_t octets)
{
	return (octets + SECTOR - 1) / SECTOR;
}

/* One sector for the table, then the directory, then the streams. */
void
build_cfb(struct buf *out, const struct stream *streams, size_t count)
{
	size_t directory = sectors(count * 128), next = 1 + directory, i, j;
	struct buf fat;

	buf_init(&fat, SECTOR);
	build_le(&fat, 0xfffffffd, 4);
	for (i = 1; i <= directory; i++)
		build_le(&fat, i == directory ? 0xfffffffe : i + 1, 4);
	for (i = 0; i < count; i++)
		for (j = sectors(streams[i].content.len); j != 0; j--)
			build_le(&fat, j == 1 ? 0xfffffffe :
			    fat.len / 4 + 1, 4);
	while (fat.len < SECTOR)
		build_le(&fat, UINT32_MAX, 4);

	buf_add(out, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	build_zeros(out, 16);
	build_le(out, 0x0003003e, 4);
	build_le(out, 0x0009fffe, 4);
	build_le(out, 6, 2);
	build_zeros(out, 10);
	build_le(out, 1, 4);		/* sectors of the table */
	build_le(out, 1, 4);		/* the directory's first */
	build_le(out, 0, 4);
	build_le(out, 4096, 4);
	build_le(out, 0xfffffffe, 4);
	build_le(out, 0, 4);
	build_le(out, 0xfffffffe, 4);
	build_le(out, 0, 4);
	build_le(out, 0, 4);		/* the table's first */
	while (out->len < SECTOR)
		build_le(out, UINT32_MAX, 4);
	buf_add_str(out, buf_str(&fat));
	for (i = 0; i < count; i++) {
		put_entry(out, &streams[i], next);
		next += sectors(streams[i].content.len);
	}
	pad(out);
	for (i = 0; i < count; i++) {
		buf_add_str(out, streams[i].content);
		pad(out);
	}
	buf_fini(&fat);
}

/* ---- shortcuts ---- */

static void
put_wide(struct buf *out, const char *text)
{
	size_t i, len = strlen(text);

	build_le(out, len, 2);
	for (i = 0; i < len; i++)
		build_le(out, (unsigned char)text[i], 2);
}

void
build_lnk(struct buf *out, const char *path, const char *arguments)
{
	build_le(out, 76, 4);
	buf_add(out, "\001\024\002\0\0\0\0\0\300\0\0\0\0\0\0F", 16);
	build_le(out, 0x08 | 0x20 | 0x80, 4);
	build_zeros(out, 52);
	put_wide(out, path);
	put_wide(out, arguments);
	build_le(out, 0, 4);
}

void
build_tar(struct buf *out, char type, const char *name, struct str octets)
{
	size_t at = out->len;

	buf_add_cstr(out, name);
	build_zeros(out, at + 124 - out->len);
	buf_addf(out, "%011zo", octets.len);
	build_zeros(out, 21);
	buf_add_char(out, type);
	build_zeros(out, 100);
	buf_add_cstr(out, "ustar");
	build_zeros(out, at + 512 - out->len);
	buf_add_str(out, octets);
	build_zeros(out, (512 - out->len % 512) % 512);
}
