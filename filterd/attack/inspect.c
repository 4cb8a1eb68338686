/* SPDX-License-Identifier: ISC */
#include "filterd/attack/inspect.h"

/* What a kind means by itself, and who reads on. */
static const struct {
	enum attack_kind kind;
	int trait;		/* -1: none */
	void (*inspect)(const struct inspected *);
} readers[] = {
	{ KIND_PE, ATTACK_EXECUTABLE, NULL },
	{ KIND_DOS, ATTACK_EXECUTABLE, NULL },
	{ KIND_ELF, ATTACK_EXECUTABLE, NULL },
	{ KIND_MACHO, ATTACK_EXECUTABLE, NULL },
	{ KIND_JAVA, ATTACK_EXECUTABLE, NULL },
	{ KIND_JAR, ATTACK_EXECUTABLE, NULL },
	{ KIND_APK, ATTACK_EXECUTABLE, NULL },
	{ KIND_MSI, ATTACK_INSTALLER, NULL },
	{ KIND_MSIX, ATTACK_INSTALLER, NULL },
	{ KIND_LNK, ATTACK_SHORTCUT, inspect_lnk },
	{ KIND_URL_FILE, ATTACK_SHORTCUT, NULL },
	{ KIND_CHM, ATTACK_HELP_FILE, NULL },
	{ KIND_SCRIPT, ATTACK_SCRIPT, NULL },
	{ KIND_HTA, ATTACK_SCRIPT, NULL },
	{ KIND_ZIP, -1, inspect_zip }, { KIND_ODF, -1, inspect_odf },
	{ KIND_OOXML, -1, inspect_ooxml }, { KIND_RAR, -1, inspect_rar },
	{ KIND_CAB, -1, inspect_cab }, { KIND_TAR, -1, inspect_tar },
	{ KIND_SEVENZIP, -1, inspect_7z }, { KIND_GZIP, -1, inspect_gzip },
	{ KIND_OLE, -1, inspect_ole }, { KIND_PDF, -1, inspect_pdf },
	{ KIND_RTF, -1, inspect_rtf }, { KIND_ONENOTE, -1, inspect_onenote },
	{ KIND_HTML, -1, inspect_html }, { KIND_SVG, -1, inspect_svg },
};

static const struct {
	unsigned flag;
	enum attack_trait trait;
} name_traits[] = {
	{ NAME_IS_DOUBLE, ATTACK_DOUBLE_EXTENSION },
	{ NAME_HAS_BIDI, ATTACK_BIDI_NAME },
	{ NAME_IS_PADDED, ATTACK_PADDED_NAME },
	{ NAME_HAS_INVISIBLE, ATTACK_INVISIBLE_NAME },
};

void
inspect_note(const struct inspected *file, enum attack_trait trait)
{
	attack_note(file->of->report, trait, file->of->part, file->name);
}

static void
note_name(const struct inspected *file)
{
	size_t i;

	for (i = 0; i < sizeof(name_traits) / sizeof(name_traits[0]); i++)
		if ((file->look->flags & name_traits[i].flag) != 0)
			inspect_note(file, name_traits[i].trait);
	if ((file->look->flags & NAME_IS_EXECUTABLE) != 0)
		inspect_note(file, file->depth == 0 ? ATTACK_EXECUTABLE_NAME :
		    ATTACK_ARCHIVE_EXECUTABLE);
	if ((file->look->flags & NAME_IS_IMAGE_OF_DISK) != 0)
		inspect_note(file, ATTACK_DISK_IMAGE);
}

void
inspect_name(struct inspection *inspection, struct str name)
{
	struct name_look look = names_look(name);
	struct inspected file = { .of = inspection, .name = name,
		.look = &look };

	note_name(&file);
}

/* An archive; what runs, or is a disk, has a trait of its own. */
static bool
is_archive_alone(enum attack_kind kind)
{
	return (kind_flags(kind) & (KIND_ARCHIVES | KIND_RUNS |
	    KIND_IMAGES_DISK)) == KIND_ARCHIVES;
}

static void
read_kind(const struct inspected *file, enum attack_kind kind)
{
	bool is_read = false;
	size_t i;

	for (i = 0; i < sizeof(readers) / sizeof(readers[0]); i++) {
		if (readers[i].kind != kind)
			continue;
		if (readers[i].trait >= 0)
			inspect_note(file, (enum attack_trait)readers[i].trait);
		if (readers[i].inspect == NULL)
			continue;
		readers[i].inspect(file);
		is_read = true;
	}
	if (!is_read && is_archive_alone(kind))
		inspect_note(file, ATTACK_ARCHIVE_UNREAD);
}

enum attack_kind
inspect_file(struct inspection *inspection, struct str octets,
    struct str name, enum name_claim claim, unsigned depth)
{
	struct name_look look = names_look(name);
	struct inspected file = { .of = inspection, .octets = octets,
		.name = name, .look = &look, .depth = depth };
	enum attack_kind kind = kind_of(octets, &look);

	note_name(&file);
	if (kind_is_disguised(kind, look.claim) ||
	    kind_is_disguised(kind, claim))
		inspect_note(&file, ATTACK_TYPE_MISMATCH);
	if (depth != 0 && (kind_flags(kind) & KIND_ARCHIVES) != 0)
		inspect_note(&file, ATTACK_ARCHIVE_NESTED);
	if ((kind_flags(kind) & KIND_IMAGES_DISK) != 0)
		inspect_note(&file, ATTACK_DISK_IMAGE);
	read_kind(&file, kind);
	return kind;
}
