/* SPDX-License-Identifier: ISC */
#include "filterd/attack/kind.h"

#include "filterd/attack/bytes.h"
#include "filterd/attack/cfb.h"
#include "filterd/attack/zip.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MARK(literal) { "" literal, sizeof(literal) - 1 }
/* Readers of PDF look so far for its mark. */
#define PDF_MARK_WITHIN 1024U
#define TEXT_LOOK 65536U

static const struct {
	const char *name;
	unsigned flags;
} kinds[] = {
#define KIND(id, name, flags) [KIND_##id] = { name, flags },
#include "filterd/attack/kinds.def"
#undef KIND
};

const char *
kind_name(enum attack_kind kind)
{
	return kinds[kind].name;
}

unsigned
kind_flags(enum attack_kind kind)
{
	return kinds[kind].flags;
}

/* ---- marks at fixed places ---- */

static const struct {
	uint32_t at;
	struct str mark;
	enum attack_kind kind;
} marks[] = {
	{ 0, MARK("\177ELF"), KIND_ELF },
	{ 0, MARK("\xfe\xed\xfa\xce"), KIND_MACHO },
	{ 0, MARK("\xfe\xed\xfa\xcf"), KIND_MACHO },
	{ 0, MARK("\xce\xfa\xed\xfe"), KIND_MACHO },
	{ 0, MARK("\xcf\xfa\xed\xfe"), KIND_MACHO },
	{ 0, MARK("L\0\0\0\001\024\002\0\0\0\0\0\300\0\0\0\0\0\0F"), KIND_LNK },
	{ 0, MARK("ITSF"), KIND_CHM },
	{ 0, MARK("%PDF-"), KIND_PDF },
	{ 0, MARK("{\\rt"), KIND_RTF },
	{ 0, MARK("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29"
	    "\x96\xd3"), KIND_ONENOTE },
	{ 0, MARK("\xa1\x2f\xff\x43\xd9\xef\x76\x4c\x9e\xe2\x10\xea\x57\x22"
	    "\x76\x5f"), KIND_ONENOTE },
	{ 0, MARK("Rar!\032\007"), KIND_RAR },
	{ 0, MARK("7z\xbc\xaf\x27\x1c"), KIND_SEVENZIP },
	{ 0, MARK("MSCF\0\0\0\0"), KIND_CAB },
	{ 0, MARK("\037\213"), KIND_GZIP },
	{ 0, MARK("\xfd""7zXZ\0"), KIND_XZ },
	{ 0, MARK("\x28\xb5\x2f\xfd"), KIND_ZSTD },
	{ 0, MARK("LZIP\001"), KIND_LZIP },
	{ 0, MARK("\x04\x22\x4d\x18"), KIND_LZ4 },
	{ 0, MARK("\x02\x21\x4c\x18"), KIND_LZ4 },
	{ 7, MARK("**ACE**"), KIND_ACE },
	{ 20, MARK("\xdc\xa7\xc4\xfd"), KIND_ZOO },
	{ 0, MARK("ALZ\001"), KIND_ALZ }, { 0, MARK("EGGA\0\001"), KIND_EGG },
	{ 0, MARK("!<arch>\n"), KIND_AR },
	{ 0, MARK("\xed\xab\xee\xdb"), KIND_RPM },
	{ 0, MARK("\x78\x9f\x3e\x22"), KIND_TNEF },
	{ 0, MARK("vhdxfile"), KIND_VHDX }, { 0, MARK("conectix\0"), KIND_VHD },
	{ 0, MARK("MSWIM\0\0\0"), KIND_WIM },
	{ 0, MARK("KDMV\001\0\0\0"), KIND_VMDK },
	{ 0, MARK("KDMV\002\0\0\0"), KIND_VMDK },
	{ 0, MARK("KDMV\003\0\0\0"), KIND_VMDK },
	{ 0, MARK("QFI\xfb"), KIND_QCOW },
	{ 0, MARK("\x89PNG\r\n\032\n"), KIND_PICTURE },
	{ 0, MARK("\xff\xd8\xff"), KIND_PICTURE },
	{ 0, MARK("GIF87a"), KIND_PICTURE }, { 0, MARK("GIF89a"), KIND_PICTURE },
	{ 0, MARK("II*\0"), KIND_PICTURE }, { 0, MARK("MM\0*"), KIND_PICTURE },
	{ 0, MARK("\0\0\001\0"), KIND_PICTURE },
	{ 8, MARK("WEBP"), KIND_PICTURE }, { 8, MARK("WAVE"), KIND_MEDIA },
	{ 8, MARK("AVI "), KIND_MEDIA }, { 0, MARK("ID3"), KIND_MEDIA },
	{ 0, MARK("OggS"), KIND_MEDIA }, { 0, MARK("fLaC"), KIND_MEDIA },
	{ 0, MARK("\x1a\x45\xdf\xa3"), KIND_MEDIA },
	{ 0, MARK("\x30\x26\xb2\x75\x8e\x66\xcf\x11"), KIND_MEDIA },
	/* A descriptor stands in sector 16 or soon after it. */
	{ 32769, MARK("CD001"), KIND_ISO }, { 34817, MARK("CD001"), KIND_ISO },
	{ 37633, MARK("CD001"), KIND_ISO },
	{ 32769, MARK("BEA01"), KIND_UDF }, { 34817, MARK("BEA01"), KIND_UDF },
	{ 32769, MARK("NSR02"), KIND_UDF }, { 32769, MARK("NSR03"), KIND_UDF },
	{ 257, MARK("ustar"), KIND_TAR },
};

static bool
by_marks(struct str file, enum attack_kind *kind_r)
{
	size_t i;

	for (i = 0; i < COUNT(marks); i++) {
		if (!bytes_is(file, marks[i].at, marks[i].mark))
			continue;
		*kind_r = marks[i].kind;
		return true;
	}
	return false;
}

/* ---- structure ---- */

static bool
by_dos(struct str file, enum attack_kind *kind_r)
{
	if (!bytes_is(file, 0, STR("MZ")) && !bytes_is(file, 0, STR("ZM")))
		return false;
	if (file.len < 28)
		return false;
	*kind_r = bytes_is(file, bytes_le32(file, 60), STR("PE\0\0")) ?
	    KIND_PE : KIND_DOS;
	return true;
}

/* CAFEBABE is a class file with a version over 44, else a fat Mach-O, whose
 * count of architectures is small. */
static bool
by_babe(struct str file, enum attack_kind *kind_r)
{
	if (!bytes_is(file, 0, STR("\xca\xfe\xba\xbe")) || file.len < 8)
		return false;
	*kind_r = (unsigned char)file.p[7] >= 44 ? KIND_JAVA : KIND_MACHO;
	return true;
}

static bool
by_cfb(struct str file, enum attack_kind *kind_r)
{
	static const char installer[] =
	    "\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0F";
	struct cfb_entry entry;
	struct cfb cfb;

	if (!cfb_is(file))
		return false;
	*kind_r = KIND_OLE;
	if (!cfb_open(&cfb, file))
		return true;
	if (cfb_next(&cfb, &entry) && entry.clsid.len == 16 &&
	    (memcmp(entry.clsid.p, installer, 16) == 0 ||
	    (entry.clsid.p[0] == '\x86' &&
	    memcmp(entry.clsid.p + 1, installer + 1, 15) == 0)))
		*kind_r = KIND_MSI;
	cfb_close(&cfb);
	return true;
}

static const struct {
	const char *name;
	bool is_prefix;
	enum attack_kind kind;
} members[] = {
	{ "[Content_Types].xml", false, KIND_OOXML },
	{ "AndroidManifest.xml", false, KIND_APK },
	{ "AppxManifest.xml", false, KIND_MSIX },
	{ "AppxMetadata/", true, KIND_MSIX },
	{ "META-INF/MANIFEST.MF", false, KIND_JAR },
	{ "META-INF/manifest.xml", false, KIND_ODF },
};

/* A later row of the enum's runners outweighs a document. */
static enum attack_kind
kind_of_member(struct str name, enum attack_kind kind)
{
	size_t i;

	for (i = 0; i < COUNT(members); i++) {
		struct str want = str_of(members[i].name);

		if (!(members[i].is_prefix ? str_begins(name, want) :
		    str_eq_nocase(name, want)))
			continue;
		/* A package for Windows has content types too. */
		if (kind == KIND_ZIP ||
		    (kinds[members[i].kind].flags & KIND_RUNS) != 0)
			return members[i].kind;
	}
	return kind;
}

static bool
by_zip(struct str file, enum attack_kind *kind_r)
{
	struct zip_entry entry;
	struct zip zip;

	if (!bytes_is(file, 0, STR("PK")) || !zip_open(&zip, file))
		return false;
	*kind_r = KIND_ZIP;
	while (zip_next(&zip, &entry))
		*kind_r = kind_of_member(entry.name, *kind_r);
	return true;
}

/* "-lh5-" at 2, or a level 3 header. */
static bool
by_lha(struct str file, enum attack_kind *kind_r)
{
	if (!bytes_is(file, 2, STR("-l")) || !bytes_has(file, 0, 21) ||
	    (file.p[4] != 'h' && file.p[4] != 'z') || file.p[6] != '-')
		return false;
	*kind_r = KIND_LHA;
	return true;
}

/* The main header of ARJ: its size, and the type of what it heads. */
static bool
by_arj(struct str file, enum attack_kind *kind_r)
{
	unsigned size = bytes_le16(file, 2);

	if (!bytes_is(file, 0, STR("\x60\xea")) || size < 30 ||
	    size > 2600 || !bytes_is(file, 10, STR("\2")))
		return false;
	*kind_r = KIND_ARJ;
	return true;
}

/* Do digits of this base follow the mark? */
static bool
has_digits(struct str file, size_t from, size_t to, bool is_hex)
{
	size_t i;

	for (i = from; i < to && i < file.len; i++) {
		char c = ascii_lower(file.p[i]);

		if (!(c >= '0' && c <= '7') && !(is_hex &&
		    (c == '8' || c == '9' || (c >= 'a' && c <= 'f'))))
			return false;
	}
	return i == to;
}

/* cpio(5): headers of text; or the old binary ones, in either order of
 * octets, with a name of sane length. */
static bool
by_cpio(struct str file, enum attack_kind *kind_r)
{
	unsigned size = bytes_le16(file, 20);

	if ((bytes_is(file, 0, STR("070701")) ||
	    bytes_is(file, 0, STR("070702"))) &&
	    has_digits(file, 6, 110, true)) {
		*kind_r = KIND_CPIO;
		return true;
	}
	if (bytes_is(file, 0, STR("070707")) &&
	    has_digits(file, 6, 76, false)) {
		*kind_r = KIND_CPIO;
		return true;
	}
	if (bytes_is(file, 0, STR("\x71\xc7")))
		size = (size & 0xff) << 8 | size >> 8;
	else if (!bytes_is(file, 0, STR("\xc7\x71")))
		return false;
	if (size == 0 || size > 4096)
		return false;
	*kind_r = KIND_CPIO;
	return true;
}

/* A file of LZMA alone has no mark: its dictionary is a power of two or one
 * and a half of it, and its size is not known or not absurd. */
static bool
by_lzma(struct str file, enum attack_kind *kind_r)
{
	uint32_t dictionary = bytes_le32(file, 1), low;

	if (!bytes_has(file, 0, 14) || (unsigned char)file.p[0] >= 225 ||
	    dictionary < 4096 || file.p[13] != '\0')
		return false;
	low = dictionary & (0U - dictionary);
	if (dictionary != low && dictionary != low * 3)
		return false;
	if (!bytes_is(file, 5, STR("\xff\xff\xff\xff\xff\xff\xff\xff")) &&
	    !bytes_is(file, 10, STR("\0\0\0")))
		return false;
	*kind_r = KIND_LZMA;
	return true;
}

/* compress(1): at most 16 bits, no flags that nobody has. Zstandard may begin
 * with a frame to skip. What begins with letters has more to it: text does,
 * too. */
static bool
by_squeezed(struct str file, enum attack_kind *kind_r)
{
	if (bytes_is(file, 0, STR("\037\235")) && bytes_has(file, 2, 1) &&
	    (file.p[2] & 0x60) == 0 && (file.p[2] & 0x1f) >= 9 &&
	    (file.p[2] & 0x1f) <= 16)
		*kind_r = KIND_COMPRESS;
	else if (bytes_is(file, 1, STR("\x2a\x4d\x18")) &&
	    (file.p[0] & 0xf0) == 0x50)
		*kind_r = KIND_ZSTD;
	else if (bytes_is(file, 0, STR("BZh")) &&
	    (bytes_is(file, 4, STR("1AY&SY")) ||
	    bytes_is(file, 4, STR("\x17\x72\x45\x38\x50\x90"))))
		*kind_r = KIND_BZIP2;
	else if (bytes_is(file, 0, STR("hsqs")) &&
	    bytes_le16(file, 28) == 4)
		*kind_r = KIND_SQUASHFS;
	else if (bytes_is(file, 0, STR("ISc(")) && bytes_has(file, 7, 1) &&
	    (unsigned char)file.p[7] < ' ')
		*kind_r = KIND_CAB;
	else
		return false;
	return true;
}

/* The boot sector of a FAT or NTFS volume, or a table of partitions. */
static bool
by_disk(struct str file, enum attack_kind *kind_r)
{
	struct str end = file.len >= 512 ?
	    str_sub(file, file.len - 512, 512) : STR_NONE;

	if (bytes_is(end, 0, STR("koly")))
		*kind_r = KIND_DMG;
	else if (bytes_is(end, 0, STR("conectix")))
		*kind_r = KIND_VHD;
	else if (bytes_is(file, 510, STR("\x55\xaa")) &&
	    (bytes_is(file, 54, STR("FAT")) || bytes_is(file, 82, STR("FAT")) ||
	    bytes_is(file, 3, STR("NTFS    ")) ||
	    bytes_is(file, 3, STR("EXFAT   ")) ||
	    bytes_is(file, 512, STR("EFI PART"))))
		*kind_r = KIND_IMG;
	else
		return false;
	return true;
}

/* ISO base media files: the box ftyp comes first. */
static bool
by_media(struct str file, enum attack_kind *kind_r)
{
	if (bytes_is(file, 0, STR("BM")) && file.len > 26 &&
	    bytes_le32(file, 6) == 0) {
		*kind_r = KIND_PICTURE;
		return true;
	}
	/* Enhanced metafiles, which office programs put into documents. */
	if (bytes_is(file, 0, STR("\001\0\0\0")) &&
	    bytes_is(file, 40, STR(" EMF"))) {
		*kind_r = KIND_PICTURE;
		return true;
	}
	if (!bytes_is(file, 4, STR("ftyp")))
		return false;
	*kind_r = bytes_is(file, 8, STR("hei")) ||
	    bytes_is(file, 8, STR("avi")) || bytes_is(file, 8, STR("mif")) ?
	    KIND_PICTURE : KIND_MEDIA;
	return true;
}

/* ---- text ---- */

bool
kind_has_word(struct str text, struct str word)
{
	char low = ascii_lower(word.p[0]), high = ascii_upper(word.p[0]);
	size_t i;

	for (i = 0; i + word.len <= text.len; i++)
		if ((text.p[i] == low || text.p[i] == high) &&
		    strncasecmp(text.p + i, word.p, word.len) == 0)
			return true;
	return false;
}

static bool
has_word_of(struct str text, const char *const *words, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (kind_has_word(text, str_of(words[i])))
			return true;
	return false;
}

/* Without a byte order mark and blanks; the beginning only. */
static struct str
text_start(struct str file)
{
	file = str_sub(file, 0, TEXT_LOOK);
	if (bytes_is(file, 0, STR("\xef\xbb\xbf")))
		file = bytes_from(file, 3);
	while (file.len != 0 && strchr(" \t\r\n\f", file.p[0]) != NULL &&
	    file.p[0] != '\0')
		file = bytes_from(file, 1);
	return file;
}

/* Every octet one that text has, in an encoding of one or more octets; a
 * UTF-16 text by its mark. */
static bool
is_text(struct str file)
{
	size_t i;

	file = str_sub(file, 0, TEXT_LOOK);
	if (bytes_is(file, 0, STR("\xff\xfe")) ||
	    bytes_is(file, 0, STR("\xfe\xff")))
		return true;
	for (i = 0; i < file.len; i++) {
		unsigned char c = (unsigned char)file.p[i];

		if (c < 0x20 && strchr("\t\n\r\f\b\033\032", c) == NULL)
			return false;
		if (c == 0)
			return false;
	}
	return true;
}

/* Words that no document needs and that the Windows Script Host, a shell or
 * PowerShell does. */
static const char *const script_words[] = {
	"wscript.shell", "wscript.createobject", "new activexobject",
	"scripting.filesystemobject", "shell.application",
	"powershell -", "powershell.exe", "invoke-expression",
	"invoke-webrequest", "[system.convert]::frombase64string",
	"-executionpolicy", "mshta http", "@echo off",
};

static bool
is_script_text(struct str text, const struct name_look *look)
{
	if (str_begins(text, STR("#!")) ||
	    (look->flags & NAME_IS_SCRIPT) != 0 ||
	    str_begins(text, STR("#@~^")) ||
	    str_begins_nocase(text, STR("@echo off")) ||
	    str_begins_nocase(text, STR("<job")) ||
	    str_begins_nocase(text, STR("<package")) ||
	    str_begins_nocase(text, STR("<scriptlet")) ||
	    str_begins(text, STR("ID;P")))
		return true;
	/* Prose may name such words: a name that promises text is believed. */
	return look->claim != CLAIM_TEXT && look->extension[0] != '\0' &&
	    strcmp(look->extension, "eml") != 0 &&
	    has_word_of(text, script_words, COUNT(script_words));
}

static const char *const html_starts[] = {
	"<!doctype html", "<html", "<head", "<body", "<script", "<meta",
	"<title", "<iframe", "<table", "<div", "<a ", "<p>", "<img", "<style",
	"<center", "<font", "<br", "<!--",
};

static bool
begins_with_of(struct str text, const char *const *starts, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (str_begins_nocase(text, str_of(starts[i])))
			return true;
	return false;
}

static bool
by_markup(struct str text, const struct name_look *look,
    enum attack_kind *kind_r)
{
	bool is_xml = str_begins_nocase(text, STR("<?xml")) ||
	    str_begins_nocase(text, STR("<!doctype svg")) ||
	    str_begins_nocase(text, STR("<!--"));

	if (kind_has_word(text, STR("<hta:application")) ||
	    strcmp(look->extension, "hta") == 0) {
		*kind_r = KIND_HTA;
		return true;
	}
	if (str_begins_nocase(text, STR("<svg")) ||
	    (is_xml && kind_has_word(text, STR("<svg")) &&
	    !kind_has_word(text, STR("<html")))) {
		*kind_r = KIND_SVG;
		return true;
	}
	if (is_xml && (kind_has_word(text, STR("<scriptlet")) ||
	    kind_has_word(text, STR("<job")) ||
	    kind_has_word(text, STR("ms:script")) ||
	    kind_has_word(text, STR("msxsl:script")))) {
		*kind_r = KIND_SCRIPT;
		return true;
	}
	if (begins_with_of(text, html_starts, COUNT(html_starts)) ||
	    kind_has_word(text, STR("<html")) ||
	    kind_has_word(text, STR("<script")) ||
	    str_begins_nocase(str_of(look->extension), STR("htm")) ||
	    str_begins_nocase(str_of(look->extension), STR("xht"))) {
		*kind_r = KIND_HTML;
		return true;
	}
	*kind_r = KIND_XML;
	return is_xml;
}

static enum attack_kind
by_text(struct str file, const struct name_look *look)
{
	struct str text = text_start(file);
	enum attack_kind kind;

	if (str_begins_nocase(text, STR("[InternetShortcut]")) ||
	    str_begins_nocase(text, STR("[{000214A0")))
		return KIND_URL_FILE;
	if (by_markup(text, look, &kind))
		return kind;
	if (is_script_text(text, look))
		return KIND_SCRIPT;
	return KIND_TEXT;
}

bool
kind_of_structure(struct str file, enum attack_kind *kind_r)
{
	static bool (*const structures[])(struct str, enum attack_kind *) = {
		by_dos, by_cfb, by_zip, by_babe, by_lha, by_arj, by_cpio,
		by_squeezed, by_marks, by_media, by_disk, by_lzma,
	};
	size_t i;

	for (i = 0; i < COUNT(structures); i++)
		if (structures[i](file, kind_r))
			return true;
	return false;
}

enum attack_kind
kind_of(struct str file, const struct name_look *look)
{
	enum attack_kind kind;

	if (file.len == 0)
		return KIND_EMPTY;
	if (kind_of_structure(file, &kind))
		return kind;
	/* What a reader of PDF still takes for one, whatever stands first. */
	if (bytes_find(str_sub(file, 0, PDF_MARK_WITHIN + 5), 0,
	    STR("%PDF-")) != STR_NPOS)
		return KIND_PDF;
	return is_text(file) ? by_text(file, look) : KIND_DATA;
}

/* ---- promises ---- */

bool
kind_is_disguised(enum attack_kind kind, enum name_claim claim)
{
	unsigned flags = kinds[kind].flags;

	if (claim == CLAIM_NOTHING)
		return false;
	if ((flags & (KIND_RUNS | KIND_IMAGES_DISK)) != 0)
		return true;
	if (claim == CLAIM_ARCHIVE || claim == CLAIM_DOCUMENT)
		return kind == KIND_HTML && claim == CLAIM_ARCHIVE;
	/* A PDF or a picture that is a page, an archive, a document. */
	if (claim == CLAIM_TEXT)
		return kind == KIND_OLE || kind == KIND_OOXML ||
		    kind == KIND_ONENOTE;
	if (kind == KIND_PDF && claim == CLAIM_PDF)
		return false;
	if (kind == KIND_SVG && claim == CLAIM_PICTURE)
		return false;
	return (flags & (KIND_ACTS | KIND_ARCHIVES)) != 0;
}
