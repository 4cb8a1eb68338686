/* SPDX-License-Identifier: ISC */
#include "filterd/virus/opened.h"

#include "filterd/attack/bytes.h"
#include "filterd/attack/zip.h"

/* libclamav does not come to files as small as this. */
#define NOTHING_OCTETS 5U
#define GZIP_MIN 18U

void
opened_begin(struct opened *opened)
{
	*opened = (struct opened){ .unopened = KIND_EMPTY };
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

/* Does it hold anything? is_partly_r: what is passed over in silence. An
 * encrypted member is told of. */
static bool
zip_holds(struct str file, bool *is_partly_r)
{
	struct zip_entry entry;
	bool has = false;
	struct zip zip;

	if (!zip_open(&zip, file))
		return false;
	while (zip_next(&zip, &entry)) {
		if (entry.is_folder || entry.octets <= NOTHING_OCTETS)
			continue;
		has = true;
		if (!entry.is_encrypted && !is_unpacked(entry.method))
			*is_partly_r = true;
	}
	return has;
}

/* RFC 1952 section 2.3.1: ISIZE. */
static bool
gzip_holds(struct str file)
{
	return file.len < GZIP_MIN || bytes_le32(file, file.len - 4) >
	    NOTHING_OCTETS;
}

static bool
holds(struct str file, enum attack_kind kind, bool *is_partly_r)
{
	switch (kind) {
	case KIND_ZIP:
	case KIND_JAR:
	case KIND_APK:
	case KIND_MSIX:
		return zip_holds(file, is_partly_r);
	case KIND_GZIP:
		return gzip_holds(file);
	case KIND_TAR:
	case KIND_TNEF:
		return false;
	default:
		return (kind_flags(kind) & KIND_ARCHIVES) != 0;
	}
}

/* ---- files come ---- */

void
opened_file(struct opened *opened, unsigned level, struct str file)
{
	enum attack_kind kind = KIND_DATA;

	/* Deeper than libclamav goes: it says so itself. */
	if (level >= OPENED_DEPTH_MAX)
		return;
	close_from(opened, level);
	if (opened->depth != 0)
		opened->layers[opened->depth - 1].is_waiting = false;
	/* Levels between have no file that was told of. */
	while (opened->depth < level)
		opened->layers[opened->depth++].is_waiting = false;
	(void)kind_of_structure(file, &kind);
	opened->layers[level].kind = kind;
	opened->layers[level].is_waiting = false;
	opened->depth = level + 1;
	opened->is_partly = false;
	opened->is_held = holds(file, kind, &opened->is_partly);
}

void
opened_scan(struct opened *opened)
{
	if (opened->depth == 0)
		return;
	opened->layers[opened->depth - 1].is_waiting = opened->is_held;
	if (opened->is_partly)
		note(opened, opened->layers[opened->depth - 1].kind);
	opened->is_held = false;
	opened->is_partly = false;
}

const char *
opened_end(struct opened *opened)
{
	close_from(opened, 0);
	return opened->unopened == KIND_EMPTY ? NULL :
	    kind_name(opened->unopened);
}
