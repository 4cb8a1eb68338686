/* SPDX-License-Identifier: ISC */
#include "filterd/attack/names.h"

#include <unicode/utf8.h>

#include "base/buf.h"
#include "mail/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define RUNS NAME_IS_EXECUTABLE
#define SCRIPTS (NAME_IS_EXECUTABLE | NAME_IS_SCRIPT)
#define DISKS NAME_IS_IMAGE_OF_DISK
#define PACKS NAME_IS_ARCHIVE

static const struct {
	const char *extension;
	unsigned flags;
	enum name_claim claim;
} extensions[] = {
	/* What Windows runs when it is opened. */
	{ "exe", RUNS, CLAIM_NOTHING }, { "com", RUNS, CLAIM_NOTHING },
	{ "scr", RUNS, CLAIM_NOTHING }, { "pif", RUNS, CLAIM_NOTHING },
	{ "cpl", RUNS, CLAIM_NOTHING }, { "dll", RUNS, CLAIM_NOTHING },
	{ "ocx", RUNS, CLAIM_NOTHING }, { "sys", RUNS, CLAIM_NOTHING },
	{ "msi", RUNS, CLAIM_NOTHING }, { "msp", RUNS, CLAIM_NOTHING },
	{ "mst", RUNS, CLAIM_NOTHING }, { "msix", RUNS, CLAIM_NOTHING },
	{ "appx", RUNS, CLAIM_NOTHING }, { "msixbundle", RUNS, CLAIM_NOTHING },
	{ "appxbundle", RUNS, CLAIM_NOTHING },
	{ "appinstaller", RUNS, CLAIM_NOTHING },
	{ "application", RUNS, CLAIM_NOTHING },
	{ "gadget", RUNS, CLAIM_NOTHING }, { "msc", RUNS, CLAIM_NOTHING },
	{ "lnk", RUNS, CLAIM_NOTHING }, { "url", RUNS, CLAIM_NOTHING },
	{ "library-ms", RUNS, CLAIM_NOTHING },
	{ "search-ms", RUNS, CLAIM_NOTHING },
	{ "settingcontent-ms", RUNS, CLAIM_NOTHING },
	{ "scf", RUNS, CLAIM_NOTHING }, { "chm", RUNS, CLAIM_NOTHING },
	{ "hlp", RUNS, CLAIM_NOTHING }, { "inf", RUNS, CLAIM_NOTHING },
	{ "reg", RUNS, CLAIM_NOTHING }, { "diagcab", RUNS, CLAIM_NOTHING },
	{ "theme", RUNS, CLAIM_NOTHING }, { "themepack", RUNS, CLAIM_NOTHING },
	{ "rdp", RUNS, CLAIM_NOTHING }, { "xll", RUNS, CLAIM_NOTHING },
	{ "wll", RUNS, CLAIM_NOTHING }, { "ade", RUNS, CLAIM_NOTHING },
	{ "adp", RUNS, CLAIM_NOTHING }, { "jar", RUNS, CLAIM_NOTHING },
	{ "jnlp", RUNS, CLAIM_NOTHING }, { "class", RUNS, CLAIM_NOTHING },
	{ "apk", RUNS, CLAIM_NOTHING }, { "app", RUNS, CLAIM_NOTHING },
	{ "pkg", RUNS, CLAIM_NOTHING }, { "deb", RUNS, CLAIM_NOTHING },
	{ "rpm", RUNS, CLAIM_NOTHING }, { "run", RUNS, CLAIM_NOTHING },
	{ "elf", RUNS, CLAIM_NOTHING }, { "desktop", RUNS, CLAIM_NOTHING },
	{ "workflow", RUNS, CLAIM_NOTHING },
	{ "js", SCRIPTS, CLAIM_NOTHING }, { "jse", SCRIPTS, CLAIM_NOTHING },
	{ "vbs", SCRIPTS, CLAIM_NOTHING }, { "vbe", SCRIPTS, CLAIM_NOTHING },
	{ "vb", SCRIPTS, CLAIM_NOTHING }, { "wsf", SCRIPTS, CLAIM_NOTHING },
	{ "wsh", SCRIPTS, CLAIM_NOTHING }, { "wsc", SCRIPTS, CLAIM_NOTHING },
	{ "ws", SCRIPTS, CLAIM_NOTHING }, { "sct", SCRIPTS, CLAIM_NOTHING },
	{ "hta", SCRIPTS, CLAIM_NOTHING }, { "bat", SCRIPTS, CLAIM_NOTHING },
	{ "cmd", SCRIPTS, CLAIM_NOTHING }, { "ps1", SCRIPTS, CLAIM_NOTHING },
	{ "ps1xml", SCRIPTS, CLAIM_NOTHING },
	{ "psm1", SCRIPTS, CLAIM_NOTHING }, { "psd1", SCRIPTS, CLAIM_NOTHING },
	{ "psc1", SCRIPTS, CLAIM_NOTHING }, { "msh", SCRIPTS, CLAIM_NOTHING },
	{ "sh", SCRIPTS, CLAIM_NOTHING }, { "bash", SCRIPTS, CLAIM_NOTHING },
	{ "command", SCRIPTS, CLAIM_NOTHING },
	{ "scpt", SCRIPTS, CLAIM_NOTHING }, { "py", SCRIPTS, CLAIM_NOTHING },
	{ "pyw", SCRIPTS, CLAIM_NOTHING }, { "pl", SCRIPTS, CLAIM_NOTHING },
	{ "rb", SCRIPTS, CLAIM_NOTHING }, { "iqy", SCRIPTS, CLAIM_NOTHING },
	{ "slk", SCRIPTS, CLAIM_NOTHING }, { "xsl", SCRIPTS, CLAIM_NOTHING },
	{ "iso", DISKS, CLAIM_NOTHING }, { "img", DISKS, CLAIM_NOTHING },
	{ "udf", DISKS, CLAIM_NOTHING }, { "vhd", DISKS, CLAIM_NOTHING },
	{ "vhdx", DISKS, CLAIM_NOTHING }, { "vmdk", DISKS, CLAIM_NOTHING },
	{ "qcow2", DISKS, CLAIM_NOTHING },
	{ "dmg", DISKS, CLAIM_NOTHING }, { "wim", DISKS, CLAIM_NOTHING },
	{ "zip", PACKS, CLAIM_ARCHIVE }, { "rar", PACKS, CLAIM_ARCHIVE },
	{ "7z", PACKS, CLAIM_ARCHIVE }, { "cab", PACKS, CLAIM_ARCHIVE },
	{ "lzh", PACKS, CLAIM_ARCHIVE }, { "lha", PACKS, CLAIM_ARCHIVE },
	{ "gz", PACKS, CLAIM_ARCHIVE }, { "tgz", PACKS, CLAIM_ARCHIVE },
	{ "bz2", PACKS, CLAIM_ARCHIVE }, { "xz", PACKS, CLAIM_ARCHIVE },
	{ "zst", PACKS, CLAIM_ARCHIVE }, { "tar", PACKS, CLAIM_ARCHIVE },
	{ "lzma", PACKS, CLAIM_ARCHIVE }, { "lz", PACKS, CLAIM_ARCHIVE },
	{ "lz4", PACKS, CLAIM_ARCHIVE }, { "z", PACKS, CLAIM_ARCHIVE },
	{ "zoo", PACKS, CLAIM_ARCHIVE }, { "alz", PACKS, CLAIM_ARCHIVE },
	{ "egg", PACKS, CLAIM_ARCHIVE }, { "cpio", PACKS, CLAIM_ARCHIVE },
	{ "arj", PACKS, CLAIM_ARCHIVE }, { "ace", PACKS, CLAIM_ARCHIVE },
	{ "pdf", 0, CLAIM_PDF },
	{ "doc", 0, CLAIM_DOCUMENT }, { "docx", 0, CLAIM_DOCUMENT },
	{ "docm", 0, CLAIM_DOCUMENT }, { "dot", 0, CLAIM_DOCUMENT },
	{ "dotx", 0, CLAIM_DOCUMENT }, { "dotm", 0, CLAIM_DOCUMENT },
	{ "xls", 0, CLAIM_DOCUMENT }, { "xlsx", 0, CLAIM_DOCUMENT },
	{ "xlsm", 0, CLAIM_DOCUMENT }, { "xlsb", 0, CLAIM_DOCUMENT },
	{ "xlt", 0, CLAIM_DOCUMENT }, { "xltx", 0, CLAIM_DOCUMENT },
	{ "xltm", 0, CLAIM_DOCUMENT }, { "xlam", 0, CLAIM_DOCUMENT },
	{ "ppt", 0, CLAIM_DOCUMENT }, { "pptx", 0, CLAIM_DOCUMENT },
	{ "pptm", 0, CLAIM_DOCUMENT }, { "ppsx", 0, CLAIM_DOCUMENT },
	{ "pps", 0, CLAIM_DOCUMENT }, { "ppsm", 0, CLAIM_DOCUMENT },
	{ "rtf", 0, CLAIM_DOCUMENT }, { "odt", 0, CLAIM_DOCUMENT },
	{ "ods", 0, CLAIM_DOCUMENT }, { "odp", 0, CLAIM_DOCUMENT },
	{ "one", 0, CLAIM_DOCUMENT }, { "jtd", 0, CLAIM_DOCUMENT },
	{ "vsd", 0, CLAIM_DOCUMENT }, { "vsdx", 0, CLAIM_DOCUMENT },
	{ "txt", 0, CLAIM_TEXT }, { "csv", 0, CLAIM_TEXT },
	{ "log", 0, CLAIM_TEXT }, { "md", 0, CLAIM_TEXT },
	{ "json", 0, CLAIM_TEXT }, { "ics", 0, CLAIM_TEXT },
	{ "htm", 0, CLAIM_NOTHING }, { "html", 0, CLAIM_NOTHING },
	{ "jpg", 0, CLAIM_PICTURE }, { "jpeg", 0, CLAIM_PICTURE },
	{ "png", 0, CLAIM_PICTURE }, { "gif", 0, CLAIM_PICTURE },
	{ "bmp", 0, CLAIM_PICTURE }, { "tif", 0, CLAIM_PICTURE },
	{ "tiff", 0, CLAIM_PICTURE }, { "webp", 0, CLAIM_PICTURE },
	{ "heic", 0, CLAIM_PICTURE }, { "ico", 0, CLAIM_PICTURE },
	{ "mp3", 0, CLAIM_MEDIA }, { "mp4", 0, CLAIM_MEDIA },
	{ "m4a", 0, CLAIM_MEDIA }, { "wav", 0, CLAIM_MEDIA },
	{ "avi", 0, CLAIM_MEDIA }, { "mov", 0, CLAIM_MEDIA },
	{ "wmv", 0, CLAIM_MEDIA }, { "mkv", 0, CLAIM_MEDIA },
};

static const char *const without_macros[] = {
	"docx", "dotx", "xlsx", "xltx", "pptx", "ppsx", "potx", "rtf",
	"txt", "csv", "pdf", "jpg", "jpeg", "png", "gif", "odt", "ods",
};

static size_t
find_extension(struct str extension)
{
	size_t i;

	for (i = 0; i < COUNT(extensions); i++)
		if (str_eq(extension, str_of(extensions[i].extension)))
			break;
	return i;
}

/* ---- characters that are there to deceive ---- */

static bool
is_bidi(UChar32 c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The joiners between emoji and in Indic scripts are not counted. */
static bool
is_invisible(UChar32 c)
{
	return (c >= 0 && c < 0x20) || c == 0x7f || c == 0xad ||
	    c == 0x200b || (c >= 0x2060 && c <= 0x2064) || c == 0xfeff ||
	    c == 0x180e || c == 0x3164 || c == 0xffa0 || c == 0x115f ||
	    (c >= 0xe0000 && c <= 0xe007f);
}

static bool
is_blank(UChar32 c)
{
	return c == ' ' || c == '\t' || c == 0xa0 || c == 0x1680 ||
	    (c >= 0x2000 && c <= 0x200b) || c == 0x202f || c == 0x205f ||
	    c == 0x3000 || c == 0x2800;
}

static unsigned
flags_of_characters(struct str name)
{
	int32_t i = 0, len = (int32_t)name.len;
	const uint8_t *p = (const uint8_t *)name.p;
	size_t blanks = 0;
	unsigned flags = 0;

	while (i < len) {
		UChar32 c;

		U8_NEXT(p, i, len, c);
		blanks = is_blank(c) ? blanks + 1 : 0;
		if (blanks > NAMES_BLANKS_MAX && i < len)
			flags |= NAME_IS_PADDED;
		if (is_bidi(c))
			flags |= NAME_HAS_BIDI;
		if (is_invisible(c))
			flags |= NAME_HAS_INVISIBLE;
	}
	return flags;
}

/* ---- extensions ---- */

static struct str
trim_end(struct str name)
{
	while (name.len != 0 && (name.p[name.len - 1] == ' ' ||
	    name.p[name.len - 1] == '.' || name.p[name.len - 1] == '_'))
		name.len--;
	return name;
}

/* Of "a/b.pdf .exe": "exe"; *rest_r is "b.pdf". */
static struct str
last_extension(struct str name, struct str *rest_r)
{
	size_t dot;

	name = trim_end(name);
	dot = str_rfind(name, '.');
	if (dot == STR_NPOS) {
		*rest_r = STR_NONE;
		return STR_NONE;
	}
	*rest_r = trim_end(str_sub(name, 0, dot));
	return str_trim(str_sub(name, dot + 1, name.len));
}

/* The last component of a path, however its folders are divided. */
static struct str
base_of(struct str name)
{
	size_t slash = str_rfind(name, '/');
	size_t back;

	if (slash != STR_NPOS)
		name = str_sub(name, slash + 1, name.len);
	back = str_rfind(name, '\\');
	return back == STR_NPOS ? name : str_sub(name, back + 1, name.len);
}

static bool
is_shown_as_data(struct str rest)
{
	struct str before;
	size_t i = find_extension(last_extension(rest, &before));

	return i < COUNT(extensions) && extensions[i].claim != CLAIM_NOTHING;
}

static void
look_at_extension(struct str folded, struct name_look *look)
{
	struct str rest, extension = last_extension(base_of(folded), &rest);
	size_t i = find_extension(extension);

	if (extension.len <= NAMES_EXTENSION_MAX && extension.len != 0)
		memcpy(look->extension, extension.p, extension.len);
	if (i == COUNT(extensions))
		return;
	look->flags |= extensions[i].flags;
	look->claim = extensions[i].claim;
	if ((look->flags & (RUNS | DISKS)) != 0 && is_shown_as_data(rest))
		look->flags |= NAME_IS_DOUBLE;
}

static struct str
end_of(struct str name)
{
	size_t at;

	if (name.len <= NAMES_MAX)
		return name;
	at = name.len - NAMES_MAX;
	while (at < name.len && ((unsigned char)name.p[at] & 0xc0) == 0x80)
		at++;
	return str_sub(name, at, name.len);
}

struct name_look
names_look(struct str name)
{
	struct name_look look = { .flags = 0 };
	struct buf folded;

	name = end_of(name);
	look.flags = flags_of_characters(name);
	/* One octet can become 18 code points (U+FDFA). */
	buf_init(&folded, 32 * NAMES_MAX);
	text_fold(&folded, name);
	look_at_extension(buf_str(&folded), &look);
	buf_fini(&folded);
	return look;
}

enum name_claim
names_claim_of_type(struct str type, struct str subtype)
{
	static const struct {
		const char *type;
		const char *subtype;	/* NULL: any */
		enum name_claim claim;
	} claims[] = {
		{ "image", NULL, CLAIM_PICTURE }, { "audio", NULL, CLAIM_MEDIA },
		{ "video", NULL, CLAIM_MEDIA }, { "text", "plain", CLAIM_TEXT },
		{ "text", "csv", CLAIM_TEXT }, { "text", "calendar", CLAIM_TEXT },
		{ "application", "pdf", CLAIM_PDF },
		{ "application", "msword", CLAIM_DOCUMENT },
		{ "application", "rtf", CLAIM_DOCUMENT },
		{ "application", "vnd.ms-excel", CLAIM_DOCUMENT },
		{ "application", "vnd.ms-powerpoint", CLAIM_DOCUMENT },
		{ "application", "zip", CLAIM_ARCHIVE },
		{ "application", "x-zip-compressed", CLAIM_ARCHIVE },
	};
	size_t i;

	for (i = 0; i < COUNT(claims); i++)
		if (str_eq_nocase(type, str_of(claims[i].type)) &&
		    (claims[i].subtype == NULL ||
		    str_eq_nocase(subtype, str_of(claims[i].subtype))))
			return claims[i].claim;
	if (str_eq_nocase(type, STR("application")) &&
	    str_begins_nocase(subtype, STR("vnd.openxmlformats-")))
		return CLAIM_DOCUMENT;
	return CLAIM_NOTHING;
}

bool
names_is_without_macros(const struct name_look *look)
{
	size_t i;

	for (i = 0; i < COUNT(without_macros); i++)
		if (strcmp(look->extension, without_macros[i]) == 0)
			return true;
	return false;
}
