/* SPDX-License-Identifier: ISC */
#include "filterd/virus/opened.h"

#include "filterd/attack/bytes.h"
#include "filterd/attack/zip.h"

/* libclamav does not come to files as small as this. */
#define NOTHING_OCTETS 5U
#define GZIP_MIN 18U

void
opened_begin(struct opened *opened, bool opens_rar)
{
	*opened = (struct opened){ .unopened = KIND_EMPTY,
	    .opens_rar = opens_rar };
}

static void
note(struct opened *opened, enum attack_kind kind)
{
	if (opened->unopened == KIND_EMPTY)
		opened->unopened = kind;
}

/* Files at this level and below are done with. */
static void
close_from(struct opened *opened, unsigned level)
{
	for (; opened->depth > level; opened->depth--)
		if (opened->layers[opened->depth - 1].is_waiting)
			note(opened, opened->layers[opened->depth - 1].kind);
}

/* ---- what a container holds, as far as it says ---- */

/* Methods of APPNOTE.TXT 4.4.5 that libclamav unpacks. */
static bool
is_unpacked(unsigned method)
{
	static const unsigned methods[] = { 0, 6, 8, 9, 12 };
	size_t i;

	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i] == method)
			return true;
	return false;
}

/* Members that are passed over in silence. Of an encrypted one it is told.
 * Where the directory is not found, those without sizes are. */
static bool
is_skipped(const struct zip *zip, const struct zip_entry *entry)
{
	bool is_behind = zip->is_shifted ||
	    !bytes_is(zip->file, 0, STR("PK"));

	return !entry->is_encrypted && (entry->is_askew ||
	    !is_unpacked(entry->method) ||
	    (is_behind ? entry->is_streamed : entry->is_lost));
}

static int
look_into_zip(struct str file)
{
	int look = OPENED_HOLDS_NONE;
	struct zip_entry entry;
	struct zip zip;

	if (!zip_open(&zip, file))
		return OPENED_HOLDS_NONE;
	while (zip_next(&zip, &entry)) {
		if (entry.is_folder || (entry.octets <= NOTHING_OCTETS &&
		    entry.packed_octets <= NOTHING_OCTETS))
			continue;
		if (is_skipped(&zip, &entry))
			return OPENED_CLOSED;
		if (entry.octets > NOTHING_OCTETS)
			look = OPENED_HOLDS;
	}
	/* What its directory does not tell of others may find. */
	return zip.is_cut || zip.is_repaired ? OPENED_CLOSED : look;
}

/* RFC 1952 section 2.3.1: ISIZE. */
static bool
gzip_holds(struct str file)
{
	return file.len < GZIP_MIN || bytes_le32(file, file.len - 4) >
	    NOTHING_OCTETS;
}

/* Kinds that libclamav 1.4 has no reader for. */
static bool
is_closed(enum attack_kind kind)
{
	static const enum attack_kind kinds[] = { KIND_ZSTD, KIND_LZMA,
		KIND_LZIP, KIND_LZ4, KIND_COMPRESS, KIND_ZOO, KIND_ACE,
		KIND_AR, KIND_RPM, KIND_VHDX, KIND_VMDK, KIND_QCOW,
		KIND_SQUASHFS, KIND_WIM };
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i] == kind)
			return true;
	return false;
}

static int
look_into(struct str file, enum attack_kind kind)
{
	if (is_closed(kind))
		return OPENED_CLOSED;
	switch (kind) {
	case KIND_ZIP:
	case KIND_JAR:
	case KIND_APK:
	case KIND_MSIX:
	case KIND_OOXML:
	case KIND_ODF:
		return look_into_zip(file);
	case KIND_GZIP:
		return gzip_holds(file) ? OPENED_HOLDS : OPENED_HOLDS_NONE;
	case KIND_TAR:
	case KIND_TNEF:
		return OPENED_HOLDS_NONE;
	default:
		return (kind_flags(kind) & KIND_ARCHIVES) != 0 ?
		    OPENED_HOLDS : OPENED_HOLDS_NONE;
	}
}

/* What libclamav opens by itself may hold an archive in pieces. */
static bool
is_opened(enum attack_kind kind)
{
	return (kind_flags(kind) & KIND_ARCHIVES) != 0 || kind == KIND_OLE ||
	    kind == KIND_MSI || kind == KIND_PDF || kind == KIND_ONENOTE ||
	    kind == KIND_CHM;
}

/* Programs find an archive that stands behind something else. */
static enum attack_kind
closed_behind(const struct opened *opened, struct str file,
    enum attack_kind kind)
{
	if (!opened->opens_rar && (kind == KIND_RAR ||
	    bytes_find(file, 0, STR("Rar!\032\007")) != STR_NPOS))
		return KIND_RAR;
	if (!is_opened(kind) && !bytes_is(file, 0, STR("PK")) &&
	    look_into_zip(file) == OPENED_CLOSED)
		return KIND_ZIP;
	return KIND_EMPTY;
}

/* ---- files come ---- */

void
opened_file(struct opened *opened, unsigned level, struct str file)
{
	enum attack_kind kind = KIND_DATA, behind;

	/* Deeper than libclamav goes: it says so itself. */
	if (level >= OPENED_DEPTH_MAX)
		return;
	close_from(opened, level);
	opened->has_inner |= level != 0;
	if (opened->depth != 0)
		opened->layers[opened->depth - 1].is_waiting = false;
	/* Levels between have no file that was told of. */
	while (opened->depth < level)
		opened->layers[opened->depth++].is_waiting = false;
	(void)kind_of_structure(file, &kind);
	opened->layers[level].kind = kind;
	opened->layers[level].is_waiting = false;
	opened->depth = level + 1;
	behind = closed_behind(opened, file, kind);
	opened->newest_kind = behind != KIND_EMPTY ? behind : kind;
	opened->newest = behind != KIND_EMPTY ? OPENED_CLOSED :
	    look_into(file, kind);
}

void
opened_scan(struct opened *opened)
{
	if (opened->depth == 0)
		return;
	if (opened->newest == OPENED_CLOSED)
		note(opened, opened->newest_kind);
	opened->layers[opened->depth - 1].is_waiting = opened->newest ==
	    OPENED_HOLDS;
	opened->newest = OPENED_HOLDS_NONE;
}

const char *
opened_end(struct opened *opened)
{
	close_from(opened, 0);
	return opened->unopened == KIND_EMPTY ? NULL :
	    kind_name(opened->unopened);
}
