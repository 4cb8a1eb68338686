/* SPDX-License-Identifier: ISC */
#include "filterd/attack/zip.h"

#include <zlib.h>

#include "filterd/attack/bytes.h"

#define LOCAL_OCTETS 30U
#define CENTRAL_OCTETS 46U
#define END_OCTETS 22U
#define END_BACK_MAX (65535U + END_OCTETS)
#define LOCAL_MARK STR("PK\003\004")
#define CENTRAL_MARK STR("PK\001\002")
#define END_MARK STR("PK\005\006")
#define END64_MARK STR("PK\006\006")
#define LOCATOR64_MARK STR("PK\006\007")
#define LOCATOR64_OCTETS 20U
/* A member of an archive in an archive without directories comes twice. */
#define READ_TIMES_MAX 4U

/* ---- where the directory is ---- */

/* The last end record before an offset. */
static size_t
find_end(struct str file, size_t before)
{
	size_t lowest = file.len > END_BACK_MAX ? file.len - END_BACK_MAX : 0;
	size_t at;

	if (file.len < END_OCTETS)
		return STR_NPOS;
	if (before > file.len - END_OCTETS + 1)
		before = file.len - END_OCTETS + 1;
	for (at = before; at-- > lowest;)
		if (bytes_is(file, at, END_MARK))
			return at;
	return STR_NPOS;
}

/* Size and offset of the directory, as the end record or the one of the
 * 64-bit form has it. */
static void
read_end(struct str file, size_t end, uint64_t *size_r, uint64_t *at_r,
    size_t *end_r)
{
	uint64_t at64;

	*size_r = bytes_le32(file, end + 12);
	*at_r = bytes_le32(file, end + 16);
	*end_r = end;
	if (end < LOCATOR64_OCTETS || (*size_r != UINT32_MAX &&
	    *at_r != UINT32_MAX) ||
	    !bytes_is(file, end - LOCATOR64_OCTETS, LOCATOR64_MARK))
		return;
	at64 = bytes_le64(file, end - LOCATOR64_OCTETS + 8);
	if (!bytes_is(file, at64, END64_MARK))
		return;
	*size_r = bytes_le64(file, at64 + 40);
	*at_r = bytes_le64(file, at64 + 48);
	*end_r = (size_t)at64;
}

/* The directory stands just before its end record; its offset says how much
 * stands in front of the archive (a program that unpacks itself). */
static bool
fits(struct zip *zip, size_t end)
{
	uint64_t size, at;
	size_t before;

	read_end(zip->file, end, &size, &at, &before);
	if (size == 0 && at == 0 && before == 0) {
		zip->at = end;
		return true;
	}
	if (size <= before && before - size >= at &&
	    bytes_is(zip->file, before - size, CENTRAL_MARK)) {
		zip->at = (size_t)(before - size);
		zip->base = zip->at - at;
		zip->is_shifted |= zip->base != 0;
		return true;
	}
	if (!bytes_is(zip->file, at, CENTRAL_MARK))
		return false;
	zip->at = (size_t)at;
	zip->is_odd = true;
	return true;
}

static bool
find_directory(struct zip *zip)
{
	size_t end = STR_NPOS;

	while ((end = find_end(zip->file, end)) != STR_NPOS) {
		if (fits(zip, end))
			return true;
		zip->is_shifted = true;
	}
	return false;
}

bool
zip_open(struct zip *zip, struct str file)
{
	*zip = (struct zip){ .file = file };
	if (find_directory(zip))
		return true;
	if (!bytes_is(file, 0, LOCAL_MARK))
		return false;
	zip->is_repaired = true;
	zip->at = 0;
	return true;
}

/* ---- entries ---- */

/* The 64-bit sizes and offset in field 1 of the extra fields, in the order
 * of what is all ones in the header. */
static void
read_extra64(struct str extra, struct zip_entry *entry, uint64_t *local)
{
	uint64_t *wanted[] = { &entry->octets, &entry->packed_octets, local };
	size_t i, at = 0, place;

	while (bytes_has(extra, at, 4) && bytes_le16(extra, at) != 1)
		at += 4U + bytes_le16(extra, at + 2);
	if (!bytes_has(extra, at, 4))
		return;
	place = at + 4;
	for (i = 0; i < 3; i++) {
		if (*wanted[i] != UINT32_MAX)
			continue;
		*wanted[i] = bytes_le64(extra, place);
		place += 8;
	}
}

static void
finish(struct zip_entry *entry)
{
	/* The other flags of encryption mean nothing to anybody without it. */
	entry->is_encrypted = (entry->flags & 1U) != 0;
	entry->is_folder = entry->name.len != 0 &&
	    entry->name.p[entry->name.len - 1] == '/';
}

/* Flag 8: the sizes stand after the data; 0x2000: masked, which nobody asks. */
static bool
is_askew(struct str local, const struct zip_entry *entry)
{
	return bytes_le16(local, 8) != entry->method ||
	    (bytes_le16(local, 6) & 0x2000U) != 0 ||
	    (!entry->is_streamed &&
	    bytes_le32(local, 18) != entry->packed_octets);
}

static bool
next_central(struct zip *zip, struct zip_entry *entry)
{
	struct str file = zip->file, local_name;
	size_t at = zip->at, name_len = bytes_le16(file, at + 28);
	size_t extra_len = bytes_le16(file, at + 30);
	uint64_t local = bytes_le32(file, at + 42);

	if (!bytes_is(file, at, CENTRAL_MARK) ||
	    !bytes_has(file, at, CENTRAL_OCTETS + name_len + extra_len))
		return false;
	entry->flags = bytes_le16(file, at + 8);
	entry->method = bytes_le16(file, at + 10);
	entry->packed_octets = bytes_le32(file, at + 20);
	entry->octets = bytes_le32(file, at + 24);
	entry->is_askew = entry->packed_octets == UINT32_MAX;
	entry->name = bytes_cut(file, at + CENTRAL_OCTETS, name_len);
	read_extra64(bytes_cut(file, at + CENTRAL_OCTETS + name_len,
	    extra_len), entry, &local);
	local = local > UINT64_MAX - zip->base ? UINT64_MAX :
	    local + zip->base;
	zip->at += CENTRAL_OCTETS + name_len + extra_len +
	    bytes_le16(file, at + 32);

	if (!bytes_is(file, local, LOCAL_MARK)) {
		zip->is_odd = true;
		entry->is_lost = true;
	} else {
		entry->is_streamed = (bytes_le16(file, local + 6) & 8U) != 0;
		entry->is_askew |= is_askew(bytes_from(file, local), entry);
		local_name = bytes_cut(file, local + LOCAL_OCTETS,
		    bytes_le16(file, local + 26));
		zip->is_odd |= !str_eq(local_name, entry->name);
		/* Encrypted by either: no one can read it as it stands. */
		entry->flags |= bytes_le16(file, local + 6) & 1U;
		entry->data_at = local + LOCAL_OCTETS + local_name.len +
		    bytes_le16(file, local + 28);
		entry->is_askew |= !bytes_has(file, entry->data_at,
		    entry->packed_octets);
	}
	finish(entry);
	return true;
}

static bool
next_local(struct zip *zip, struct zip_entry *entry)
{
	struct str file = zip->file;
	size_t at = bytes_find(file, zip->at, LOCAL_MARK);

	if (at == STR_NPOS || !bytes_has(file, at, LOCAL_OCTETS))
		return false;
	entry->flags = bytes_le16(file, at + 6);
	entry->method = bytes_le16(file, at + 8);
	entry->packed_octets = bytes_le32(file, at + 18);
	entry->octets = bytes_le32(file, at + 22);
	entry->name = bytes_cut(file, at + LOCAL_OCTETS,
	    bytes_le16(file, at + 26));
	entry->data_at = at + LOCAL_OCTETS + entry->name.len +
	    bytes_le16(file, at + 28);
	/* A size of 0 may be told after the data (flag 8). */
	if ((entry->flags & 8U) != 0 && entry->packed_octets == 0)
		entry->packed_octets = entry->data_at < file.len ?
		    file.len - entry->data_at : 0;
	zip->at = at + LOCAL_OCTETS + entry->name.len;
	finish(entry);
	return true;
}

bool
zip_next(struct zip *zip, struct zip_entry *entry_r)
{
	*entry_r = (struct zip_entry){ .data_at = 0 };
	if (zip->entries == ZIP_ENTRIES_MAX) {
		zip->is_cut = true;
		return false;
	}
	if (!(zip->is_repaired ? next_local(zip, entry_r) :
	    next_central(zip, entry_r))) {
		zip->is_cut |= !zip->is_repaired &&
		    !bytes_is(zip->file, zip->at, END_MARK) &&
		    !bytes_is(zip->file, zip->at, END64_MARK) &&
		    !bytes_is(zip->file, zip->at, STR("PK\005\005"));
		return false;
	}
	zip->entries++;
	if (zip->is_repaired)
		return true;
	if (entry_r->packed_octets > zip->file.len - zip->packed_octets) {
		zip->is_odd = zip->is_cut = true;
		return false;
	}
	zip->packed_octets += entry_r->packed_octets;
	return true;
}

/* ---- members ---- */

/* used_r: octets of packed that were looked at. */
static bool
inflate_octets(struct str packed, int window_bits, struct buf *out,
    size_t *used_r)
{
	z_stream z = { .avail_in = 0 };
	int status = Z_OK;
	char slice[8192];

	*used_r = 0;
	if (packed.len > UINT32_MAX ||
	    inflateInit2(&z, window_bits) != Z_OK)
		return false;
	/* zlib only reads what next_in points to. */
	z.next_in = (Bytef *)(uintptr_t)packed.p;
	z.avail_in = (uInt)packed.len;
	while (status == Z_OK && out->len < out->max) {
		size_t room = out->max - out->len;

		z.next_out = (Bytef *)slice;
		z.avail_out = room < sizeof(slice) ? (uInt)room :
		    (uInt)sizeof(slice);
		room = z.avail_out;
		status = inflate(&z, Z_NO_FLUSH);
		buf_add(out, slice, room - z.avail_out);
	}
	(void)inflateEnd(&z);
	*used_r = packed.len - z.avail_in;
	return status == Z_STREAM_END;
}

bool
zip_inflate_raw(struct str packed, int window_bits, struct buf *out)
{
	size_t used;

	return inflate_octets(packed, window_bits, out, &used);
}

/* Local headers may name the same octets again and again, and these may
 * unpack to nothing: what is read of them is bounded as well. */
static bool
inflate_member(struct zip *zip, struct str packed, struct buf *out)
{
	uint64_t left = (uint64_t)zip->file.len * READ_TIMES_MAX -
	    zip->read_octets;
	size_t used;
	bool ok;

	if (packed.len > left) {
		packed = str_sub(packed, 0, (size_t)left);
		zip->is_cut = true;
	}
	ok = inflate_octets(packed, -MAX_WBITS, out, &used);
	zip->read_octets += used;
	return ok || out->len != 0;
}

bool
zip_inflate(struct zip *zip, const struct zip_entry *entry, struct buf *out)
{
	struct str packed = bytes_from(zip->file, entry->data_at);

	if (entry->data_at == 0 || entry->is_encrypted)
		return false;
	packed = str_sub(packed, 0, entry->packed_octets > SIZE_MAX ?
	    SIZE_MAX : (size_t)entry->packed_octets);
	if (entry->method == 8)
		return inflate_member(zip, packed, out);
	if (entry->method != 0)
		return false;
	buf_add_str(out, str_sub(packed, 0, out->max - out->len));
	return true;
}
