/* SPDX-License-Identifier: ISC */
/* zip (and what is made of it), rar, 7z, cab, tar, gzip. */
#include "filterd/attack/inspect.h"

#include <zlib.h>

#include "filterd/attack/bytes.h"
#include "filterd/attack/zip.h"

#define RAR_BLOCKS_MAX 5000U
#define TAR_OCTETS 512U

/* A name alone: what is encrypted shows no more. */
static void
note_member(const struct inspected *file, struct str name)
{
	struct name_look look = names_look(name);

	if ((look.flags & (NAME_IS_EXECUTABLE | NAME_IS_IMAGE_OF_DISK)) != 0)
		attack_note(file->of->report, ATTACK_ARCHIVE_EXECUTABLE,
		    file->of->part, name);
	if ((look.flags & NAME_IS_DOUBLE) != 0)
		attack_note(file->of->report, ATTACK_DOUBLE_EXTENSION,
		    file->of->part, name);
	if ((look.flags & NAME_HAS_BIDI) != 0)
		attack_note(file->of->report, ATTACK_BIDI_NAME,
		    file->of->part, name);
	if ((look.flags & NAME_IS_ARCHIVE) != 0)
		attack_note(file->of->report, ATTACK_ARCHIVE_NESTED,
		    file->of->part, name);
}

/* ---- zip ---- */

static void
open_member(const struct inspected *file, struct zip *zip,
    const struct zip_entry *entry)
{
	struct inspection *of = file->of;
	size_t max = INSPECT_MEMBER_MAX;
	struct buf member;

	if (of->files_left == 0 || of->unpacked_left == 0 ||
	    file->depth + 1 >= INSPECT_DEPTH_MAX) {
		note_member(file, entry->name);
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	if (max > of->unpacked_left)
		max = (size_t)of->unpacked_left;
	of->files_left--;
	buf_init(&member, max);
	if (zip_inflate(zip, entry, &member)) {
		of->unpacked_left -= member.len;
		if (member.len == max)
			inspect_note(file, ATTACK_CONTAINER_LIMIT);
		(void)inspect_file(of, buf_str(&member), entry->name,
		    CLAIM_NOTHING, file->depth + 1);
	} else {
		of->unpacked_left -= member.len;
		note_member(file, entry->name);
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
	}
	buf_fini(&member);
}

static void
finish_zip(const struct inspected *file, const struct zip *zip)
{
	if (zip->is_odd)
		inspect_note(file, ATTACK_ARCHIVE_ODD);
	if (zip->is_cut || zip->is_repaired)
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
}

void
inspect_zip(const struct inspected *file)
{
	struct zip_entry entry;
	struct zip zip;

	if (!zip_open(&zip, file->octets))
		return;
	while (zip_next(&zip, &entry)) {
		if (entry.is_encrypted) {
			inspect_note(file, ATTACK_ARCHIVE_ENCRYPTED);
			note_member(file, entry.name);
		} else if (!entry.is_folder) {
			open_member(file, &zip, &entry);
		}
	}
	finish_zip(file, &zip);
}

/* ---- rar ---- */

/* Version 4: crc, type, flags, size; "added" octets follow some. */
static bool
next_rar4(const struct inspected *file, uint64_t *at)
{
	struct str s = file->octets;
	unsigned type = bytes_has(s, *at, 7) ?
	    (unsigned char)s.p[*at + 2] : 0x7b;
	uint16_t flags = bytes_le16(s, *at + 3), size = bytes_le16(s, *at + 5);
	uint64_t added = 0;

	if (type == 0x7b || size < 7)
		return false;
	if (type == 0x73 && (flags & 0x80) != 0)
		inspect_note(file, ATTACK_ARCHIVE_ENCRYPTED);
	if (type == 0x74 || type == 0x7a || (flags & 0x8000) != 0)
		added = bytes_le32(s, *at + 7);
	if (type == 0x74) {
		size_t fixed = (flags & 0x100) != 0 ? 40 : 32;

		if ((flags & 0x100) != 0)
			added |= (uint64_t)bytes_le32(s, *at + 32) << 32;
		if ((flags & 0x04) != 0)
			inspect_note(file, ATTACK_ARCHIVE_ENCRYPTED);
		note_member(file, bytes_cut(s, *at + fixed,
		    bytes_le16(s, *at + 26)));
	}
	if (added > s.len)
		return false;
	*at += size + added;
	return true;
}

static uint64_t
read_vint(struct str s, uint64_t *at)
{
	uint64_t value = 0;
	unsigned shift;

	for (shift = 0; shift < 63 && bytes_has(s, *at, 1); shift += 7) {
		unsigned char c = (unsigned char)s.p[(*at)++];

		value |= (uint64_t)(c & 0x7f) << shift;
		if ((c & 0x80) == 0)
			break;
	}
	return value;
}

/* Version 5: a file header up to its name. */
static void
read_rar5_file(const struct inspected *file, struct str header, uint64_t at)
{
	uint64_t file_flags = read_vint(header, &at), len;

	(void)read_vint(header, &at);		/* unpacked size */
	(void)read_vint(header, &at);		/* attributes */
	at += (file_flags & 2) != 0 ? 4 : 0;	/* time */
	at += (file_flags & 4) != 0 ? 4 : 0;	/* CRC */
	(void)read_vint(header, &at);		/* compression */
	(void)read_vint(header, &at);		/* host */
	len = read_vint(header, &at);
	note_member(file, bytes_cut(header, at, len));
}

/* The extra area's record 1 is the encryption of the file. */
static bool
has_rar5_encryption(struct str extra)
{
	uint64_t at = 0;
	unsigned records;

	for (records = 0; records < 64 && at < extra.len; records++) {
		uint64_t size = read_vint(extra, &at), type_at = at;

		if (read_vint(extra, &type_at) == 1)
			return true;
		if (size == 0 || size > extra.len)
			return false;
		at += size;
	}
	return false;
}

static bool
next_rar5(const struct inspected *file, uint64_t *at)
{
	uint64_t begin = *at + 4, size = read_vint(file->octets, &begin);
	struct str header = bytes_cut(file->octets, begin, size);
	uint64_t place = 0, type = read_vint(header, &place);
	uint64_t flags = read_vint(header, &place);
	uint64_t extra = (flags & 1) != 0 ? read_vint(header, &place) : 0;
	uint64_t data = (flags & 2) != 0 ? read_vint(header, &place) : 0;

	if (header.len == 0 || type == 5 || data > file->octets.len)
		return false;
	if (type == 4 || (type == 2 && extra <= header.len &&
	    has_rar5_encryption(bytes_from(header, header.len - extra))))
		inspect_note(file, ATTACK_ARCHIVE_ENCRYPTED);
	if (type == 4)
		return false;	/* all further headers are encrypted */
	if (type == 2)
		read_rar5_file(file, header, place);
	*at = begin + size + data;
	return true;
}

void
inspect_rar(const struct inspected *file)
{
	bool is_five = bytes_is(file->octets, 6, STR("\001\0"));
	uint64_t at = is_five ? 8 : 7;
	size_t blocks;

	for (blocks = 0; blocks < RAR_BLOCKS_MAX; blocks++)
		if (!(is_five ? next_rar5 : next_rar4)(file, &at))
			return;
	inspect_note(file, ATTACK_CONTAINER_LIMIT);
}

/* ---- cab, tar ---- */

/* [MS-CAB] 2.4: 16 octets, then the name, a file after the other. */
void
inspect_cab(const struct inspected *file)
{
	struct str s = file->octets, name;
	uint64_t at = bytes_le32(s, 16);
	unsigned files = bytes_le16(s, 28);
	size_t end;

	while (files-- != 0) {
		name = str_sub(bytes_from(s, at + 16), 0, 257);
		end = str_find(name, '\0');
		if (end == STR_NPOS) {
			inspect_note(file, ATTACK_CONTAINER_LIMIT);
			return;
		}
		note_member(file, str_sub(name, 0, end));
		at += 16 + end + 1;
	}
}

static struct str
tar_text(struct str header, uint64_t at, uint64_t len)
{
	struct str text = bytes_cut(header, at, len);
	size_t end = str_find(text, '\0');

	return end == STR_NPOS ? text : str_sub(text, 0, end);
}

/* Digits of base 8; false for the binary form of files over 8 GiB. */
static bool
tar_size(struct str header, uint64_t *size_r)
{
	struct str text = str_trim(tar_text(header, 124, 12));
	size_t i;

	*size_r = 0;
	for (i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '7')
			return false;
		*size_r = *size_r * 8 + (uint64_t)(text.p[i] - '0');
	}
	return true;
}

/* Type L: the name of the next member, too long for its header. */
static void
open_tar_member(const struct inspected *file, struct str header,
    struct str member, struct str *long_name)
{
	struct str name = long_name->len != 0 ? *long_name :
	    tar_text(header, 0, 100);
	char type = header.p[156];

	*long_name = type == 'L' ? tar_text(member, 0, member.len) :
	    STR_NONE;
	if (type != '0' && type != '\0' && type != '7')
		return;
	if (file->of->files_left == 0 ||
	    file->depth + 1 >= INSPECT_DEPTH_MAX) {
		note_member(file, name);
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	file->of->files_left--;
	(void)inspect_file(file->of, member, name, CLAIM_NOTHING,
	    file->depth + 1);
}

void
inspect_tar(const struct inspected *file)
{
	struct str s = file->octets, header, long_name = STR_NONE;
	uint64_t at = 0, size;

	while ((header = bytes_cut(s, at, TAR_OCTETS)).len != 0 &&
	    header.p[0] != '\0') {
		if (!tar_size(header, &size) ||
		    !bytes_has(s, at + TAR_OCTETS, size)) {
			inspect_note(file, ATTACK_CONTAINER_LIMIT);
			return;
		}
		open_tar_member(file, header, bytes_cut(s, at + TAR_OCTETS,
		    size), &long_name);
		at += TAR_OCTETS + (size + TAR_OCTETS - 1) / TAR_OCTETS *
		    TAR_OCTETS;
	}
}

/* ---- 7z, gzip ---- */

/* The header at the end is packed itself more often than not; the coder of
 * AES stands in plain where it applies to it or to the files. No more is
 * read. */
void
inspect_7z(const struct inspected *file)
{
	uint64_t at = bytes_le64(file->octets, 12);
	uint64_t len = bytes_le64(file->octets, 20);
	struct str header;

	if (at > file->octets.len || len > file->octets.len) {
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	header = bytes_cut(file->octets, 32 + at, len);
	if (header.len == 0)
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
	else if (bytes_find(header, 0, STR("\x06\xf1\x07\x01")) != STR_NPOS)
		inspect_note(file, ATTACK_ARCHIVE_ENCRYPTED);
	else
		inspect_note(file, ATTACK_ARCHIVE_UNREAD);
}

/* The name it was packed under, or ours without the last extension. */
static struct str
name_in_gzip(const struct inspected *file)
{
	struct str s = file->octets;
	unsigned flags = s.len > 10 ? (unsigned char)s.p[3] : 0;
	uint64_t at = 10;
	size_t end;

	if ((flags & 4) != 0)
		at += 2U + bytes_le16(s, 10);
	s = str_sub(bytes_from(s, at), 0, NAMES_MAX);
	end = str_find(s, '\0');
	if ((flags & 8) != 0 && end != STR_NPOS)
		return str_sub(s, 0, end);
	end = str_rfind(file->name, '.');
	return end == STR_NPOS ? STR("") : str_sub(file->name, 0, end);
}

void
inspect_gzip(const struct inspected *file)
{
	struct inspection *of = file->of;
	struct buf member;

	if (of->files_left == 0 || of->unpacked_left < INSPECT_MEMBER_MAX ||
	    file->depth + 1 >= INSPECT_DEPTH_MAX) {
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
		return;
	}
	of->files_left--;
	buf_init(&member, INSPECT_MEMBER_MAX);
	if (!zip_inflate_raw(file->octets, MAX_WBITS + 16, &member))
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
	of->unpacked_left -= member.len;
	(void)inspect_file(of, buf_str(&member), name_in_gzip(file),
	    CLAIM_NOTHING, file->depth + 1);
	buf_fini(&member);
}
