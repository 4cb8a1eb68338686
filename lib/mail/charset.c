/* SPDX-License-Identifier: ISC */
#include "mail/charset.h"

#include <unicode/uclean.h>
#include <unicode/ucnv.h>
#include <unicode/udata.h>
#include <unicode/uidna.h>
#include <unicode/unorm2.h>

#define NAME_MAX_OCTETS 40U
#define CHUNK_OCTETS 4096U

/* "ASCII" in this table means: look at the text. */
#define GUESS "guess"
#define ISO_2022_JP "ISO_2022,locale=ja,version=4"
#define WINDOWS_31J "ibm-943_P15A-2003"
#define EUC_JP "euc-jp-2007"
#define WINDOWS_1252 "ibm-5348_P100-1997"

/* Names as they stand in mail, lower case, without "-", "_", " " and ":". */
static const struct {
	const char *alias;
	const char *icu;
} aliases[] = {
	{ "", GUESS }, { "usascii", GUESS }, { "ascii", GUESS },
	{ "ansix3.41968", GUESS }, { "unknown8bit", GUESS },
	{ "8bit", GUESS }, { "7bit", GUESS }, { "xunknown", GUESS },
	{ "unknown", GUESS }, { "default", GUESS }, { "autodetect", GUESS },
	{ "utf8", "UTF-8" }, { "unicode11utf8", "UTF-8" },
	{ "utf8mb4", "UTF-8" }, { "xutf8", "UTF-8" }, { "utf", "UTF-8" },
	{ "utf7", "UTF-7" }, { "unicode11utf7", "UTF-7" },
	{ "iso2022jp", ISO_2022_JP }, { "iso2022jp1", ISO_2022_JP },
	{ "iso2022jp2", ISO_2022_JP }, { "iso2022jp3", ISO_2022_JP },
	{ "iso2022jp2004", ISO_2022_JP }, { "iso2022jpms", ISO_2022_JP },
	{ "iso2022jpext", ISO_2022_JP }, { "csiso2022jp", ISO_2022_JP },
	{ "cp50220", ISO_2022_JP }, { "cp50221", ISO_2022_JP },
	{ "cp50222", ISO_2022_JP }, { "xwindowsiso2022jp", ISO_2022_JP },
	{ "jis", ISO_2022_JP }, { "jis7", ISO_2022_JP },
	{ "shiftjis", WINDOWS_31J }, { "sjis", WINDOWS_31J },
	{ "xsjis", WINDOWS_31J }, { "mskanji", WINDOWS_31J },
	{ "csshiftjis", WINDOWS_31J }, { "windows31j", WINDOWS_31J },
	{ "cswindows31j", WINDOWS_31J }, { "cp932", WINDOWS_31J },
	{ "ms932", WINDOWS_31J }, { "windows932", WINDOWS_31J },
	{ "sjiswin", WINDOWS_31J }, { "sjis2004", WINDOWS_31J },
	{ "shiftjis2004", WINDOWS_31J }, { "shiftjisx0213", WINDOWS_31J },
	{ "eucjp", EUC_JP }, { "xeucjp", EUC_JP }, { "eucjpms", EUC_JP },
	{ "eucjpwin", EUC_JP }, { "cp51932", EUC_JP }, { "ujis", EUC_JP },
	{ "cseucpkdfmtjapanese", EUC_JP }, { "eucjis2004", EUC_JP },
	{ "gb2312", "gb18030" }, { "gb231280", "gb18030" },
	{ "gbk", "gb18030" }, { "xgbk", "gb18030" }, { "cp936", "gb18030" },
	{ "ms936", "gb18030" }, { "windows936", "gb18030" },
	{ "euccn", "gb18030" }, { "gb18030", "gb18030" },
	{ "chinesesimplified", "gb18030" }, { "hzgb2312", "HZ" },
	{ "hz", "HZ" }, { "iso2022cn", "ISO-2022-CN" },
	{ "iso2022kr", "ISO-2022-KR" },
	{ "big5", "windows-950-2000" }, { "xbig5", "windows-950-2000" },
	{ "cp950", "windows-950-2000" }, { "csbig5", "windows-950-2000" },
	{ "windows950", "windows-950-2000" },
	{ "big5hkscs", "ibm-1375_P100-2008" },
	{ "euckr", "windows-949-2000" }, { "xeuckr", "windows-949-2000" },
	{ "ksc56011987", "windows-949-2000" },
	{ "ksc5601", "windows-949-2000" }, { "cp949", "windows-949-2000" },
	{ "ksx1001", "windows-949-2000" }, { "uhc", "windows-949-2000" },
	{ "windows949", "windows-949-2000" },
	{ "cseuckr", "windows-949-2000" },
	{ "iso88591", WINDOWS_1252 }, { "88591", WINDOWS_1252 },
	{ "latin1", WINDOWS_1252 }, { "l1", WINDOWS_1252 },
	{ "iso88591windows3.1latin1", WINDOWS_1252 },
	{ "cp1252", WINDOWS_1252 }, { "windows1252", WINDOWS_1252 },
	{ "ansi", WINDOWS_1252 }, { "win1252", WINDOWS_1252 },
	{ "windows1251", "windows-1251" }, { "win1251", "windows-1251" },
	{ "cp1251", "windows-1251" }, { "koi8r", "KOI8-R" },
	{ "koi8u", "KOI8-U" }, { "tis620", "windows-874" },
	{ "iso885911", "windows-874" }, { "iso88599", "windows-1254" },
	{ "iso88598i", "iso-8859-8" }, { "iso88598e", "iso-8859-8" },
	{ "iso88596i", "iso-8859-6" }, { "macintosh", "macintosh" },
};

/* Opened at the start so that their tables are read before the sandbox. */
static const char *const others[] = {
	"iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-5", "iso-8859-6",
	"iso-8859-7", "iso-8859-8", "iso-8859-10", "iso-8859-13",
	"iso-8859-14", "iso-8859-15", "windows-1250", "windows-1251",
	"windows-1253", "windows-1254", "windows-1255", "windows-1256",
	"windows-1257", "windows-1258", "UTF-16", "UTF-16LE", "UTF-16BE",
	"UTF-32", "ibm-437", "ibm-850", "ibm-852", "ibm-866", "KOI8-R",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct charset {
	UConverter *from;
	UConverter *to;
	bool is_guess;		/* not decided yet */
	bool is_fresh;
	UChar pivot[256];
	UChar *pivot_from;
	UChar *pivot_to;
	char held[8];		/* incomplete UTF-8 while guessing */
	size_t held_len;
};

/* Without what writers vary in; empty when it is no name. */
static void
normalise(struct str name, char out[NAME_MAX_OCTETS + 1])
{
	size_t i, len = 0;
	char c;

	name = str_trim(name);
	for (i = 0; i < name.len && len < NAME_MAX_OCTETS; i++) {
		c = ascii_lower(name.p[i]);
		/* RFC 2231 section 5: charset*language. */
		if (c == '*')
			break;
		if (ascii_is_alpha(c) || ascii_is_digit(c) || c == '.')
			out[len++] = c;
	}
	out[len] = '\0';
}

static const char *
icu_alias(const char *normal)
{
	size_t i;

	for (i = 0; i < COUNT(aliases); i++)
		if (strcmp(aliases[i].alias, normal) == 0)
			return aliases[i].icu;
	return NULL;
}

static UConverter *
open_icu(const char *name)
{
	UErrorCode status = U_ZERO_ERROR;
	UConverter *cnv = ucnv_open(name, &status);

	return U_SUCCESS(status) ? cnv : NULL;
}

/* Names that ICU knows besides, spelt as ICU forgives. */
static UConverter *
open_other(struct str name)
{
	char text[NAME_MAX_OCTETS + 1];
	size_t i;

	name = str_trim(name);
	if (name.len == 0 || name.len > NAME_MAX_OCTETS)
		return NULL;
	for (i = 0; i < name.len; i++) {
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) &&
		    strchr("-_.:", name.p[i]) == NULL)
			return NULL;
		text[i] = name.p[i];
	}
	text[i] = '\0';
	return open_icu(text);
}

/* NULL: guess. */
static UConverter *
open_name(struct str name)
{
	char normal[NAME_MAX_OCTETS + 1];
	const char *icu;

	normalise(name, normal);
	icu = icu_alias(normal);
	if (icu == NULL)
		return open_other(name);
	return strcmp(icu, GUESS) != 0 ? open_icu(icu) : NULL;
}

static void
touch(const char *name)
{
	UConverter *cnv = open_icu(name);
	UErrorCode status = U_ZERO_ERROR;
	UChar out[16];

	if (cnv == NULL)
		return;
	(void)ucnv_toUChars(cnv, out, COUNT(out), "a\x82\xa0", 3, &status);
	ucnv_close(cnv);
}

void
charset_init(void)
{
	UErrorCode status = U_ZERO_ERROR;
	size_t i;

	udata_setFileAccess(UDATA_NO_FILES, &status);
	status = U_ZERO_ERROR;
	u_init(&status);
	for (i = 0; i < COUNT(aliases); i++)
		if (strcmp(aliases[i].icu, GUESS) != 0)
			touch(aliases[i].icu);
	for (i = 0; i < COUNT(others); i++)
		touch(others[i]);
	/* Not charsets, but read from the same file: folding and domains. */
	(void)unorm2_getNFKCCasefoldInstance(&status);
	status = U_ZERO_ERROR;
	uidna_close(uidna_openUTS46(UIDNA_DEFAULT, &status));
}

bool
charset_is_known(struct str name)
{
	char normal[NAME_MAX_OCTETS + 1];
	UConverter *cnv;

	normalise(name, normal);
	if (icu_alias(normal) != NULL)
		return normal[0] != '\0';
	cnv = open_other(name);
	if (cnv == NULL)
		return false;
	ucnv_close(cnv);
	return true;
}

struct charset *
charset_open(struct str name)
{
	struct charset *charset = calloc(1, sizeof(*charset));

	invariant(charset != NULL);
	charset->from = open_name(name);
	charset->is_guess = charset->from == NULL;
	charset->is_fresh = true;
	charset->pivot_from = charset->pivot_to = charset->pivot;
	charset->to = open_icu("UTF-8");
	invariant(charset->to != NULL);
	return charset;
}

void
charset_close(struct charset **charset)
{
	if (*charset == NULL)
		return;
	if ((*charset)->from != NULL)
		ucnv_close((*charset)->from);
	ucnv_close((*charset)->to);
	free(*charset);
	*charset = NULL;
}

static void
convert(struct charset *c, struct str in, bool is_last, struct buf *out)
{
	const char *from = in.len != 0 ? in.p : "", *end = from + in.len;
	UErrorCode status;
	char *to, *start;
	size_t room;

	do {
		room = out->max - out->len;
		room = room < CHUNK_OCTETS ? room : CHUNK_OCTETS;
		start = to = buf_reserve(out, room != 0 ? room : 1);
		if (start == NULL)
			return;
		status = U_ZERO_ERROR;
		ucnv_convertEx(c->to, c->from, &to, start + room, &from, end,
		    c->pivot, &c->pivot_from, &c->pivot_to,
		    c->pivot + COUNT(c->pivot), c->is_fresh, is_last,
		    &status);
		c->is_fresh = false;
		buf_grow(out, (size_t)(to - start));
	} while (status == U_BUFFER_OVERFLOW_ERROR);
}

/* Only complete characters and no malformed one; the last may be cut off. */
static bool
is_utf8_so_far(struct str s, bool is_last)
{
	size_t cut;

	if (str_is_utf8(s))
		return true;
	for (cut = 1; !is_last && cut < 4 && cut <= s.len; cut++)
		if ((unsigned char)s.p[s.len - cut] >= 0xc2 &&
		    str_is_utf8(str_sub(s, 0, s.len - cut)))
			return true;
	return false;
}

static bool
in_range(char c, unsigned low, unsigned high)
{
	return (unsigned char)c >= low && (unsigned char)c <= high;
}

/* Every 8-bit octet belongs to a pair (or half-width kana) of EUC-JP. */
static bool
is_euc_jp(struct str s, bool is_last)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < 0x80)
			continue;
		if (s.p[i] == '\x8f')
			i++;
		else if (s.p[i] != '\x8e' && !in_range(s.p[i], 0xa1, 0xfe))
			return false;
		if (++i >= s.len)
			return !is_last;
		if (!in_range(s.p[i], 0xa1, 0xfe))
			return false;
	}
	return true;
}

static bool
is_shift_jis(struct str s, bool is_last)
{
	size_t i, pairs = 0;

	for (i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] < 0x80 ||
		    in_range(s.p[i], 0xa1, 0xdf))
			continue;
		if (!in_range(s.p[i], 0x81, 0x9f) &&
		    !in_range(s.p[i], 0xe0, 0xfc))
			return false;
		if (++i >= s.len)
			return !is_last;
		if (!in_range(s.p[i], 0x40, 0x7e) &&
		    !in_range(s.p[i], 0x80, 0xfc))
			return false;
		pairs++;
	}
	return pairs != 0;
}

/* Index of the first octet that says something, or STR_NPOS. */
static size_t
find_hint(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] > 0x7f || s.p[i] == '\x1b')
			return i;
	return STR_NPOS;
}

static const char *
guess(struct str s, bool is_last)
{
	if (s.p[0] == '\x1b')
		return s.len < 2 || s.p[1] == '$' || s.p[1] == '(' ?
		    ISO_2022_JP : "UTF-8";
	if (is_utf8_so_far(s, is_last))
		return "UTF-8";
	if (is_euc_jp(s, is_last))
		return EUC_JP;
	return is_shift_jis(s, is_last) ? WINDOWS_31J : WINDOWS_1252;
}

/* Enough to judge by; less is kept until more comes. */
#define HINT_OCTETS 4U

void
charset_feed(struct charset *c, struct str in, bool is_last, struct buf *out)
{
	struct buf joined;
	size_t at;

	if (!c->is_guess) {
		convert(c, in, is_last, out);
		return;
	}
	buf_init(&joined, sizeof(c->held) + in.len);
	buf_add(&joined, c->held, c->held_len);
	buf_add_str(&joined, in);
	in = buf_str(&joined);
	c->held_len = 0;
	at = find_hint(in);
	if (at == STR_NPOS)
		at = in.len;
	/* Up to the hint it is ASCII in all of them. */
	buf_add_str(out, str_sub(in, 0, at));
	in = str_sub(in, at, in.len);
	if (in.len != 0 && !is_last && in.len < HINT_OCTETS) {
		memcpy(c->held, in.p, in.len);
		c->held_len = in.len;
	} else if (in.len != 0) {
		c->from = open_icu(guess(in, is_last));
		invariant(c->from != NULL);
		c->is_guess = false;
		convert(c, in, is_last, out);
	}
	buf_fini(&joined);
}

int
charset_to_utf8(struct buf *out, struct str name, struct str in)
{
	struct charset *charset;

	if (!charset_is_known(name))
		return ERR_NOTFOUND;
	charset = charset_open(name);
	charset_feed(charset, in, true, out);
	charset_close(&charset);
	return 0;
}

void
charset_guess(struct buf *out, struct str in)
{
	struct charset *charset;

	if (find_hint(in) == STR_NPOS) {
		buf_add_str(out, in);
		return;
	}
	charset = charset_open(STR_NONE);
	charset_feed(charset, in, true, out);
	charset_close(&charset);
}
