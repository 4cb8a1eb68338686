/* SPDX-License-Identifier: ISC */
#include "store/store_int.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

/* A name is as long as this at most before normalisation, which may shorten
 * it; UTF-16 units are never more than the octets of UTF-8. */
enum { RAW_MAX = 4 * STORE_NAME_MAX };

/* '/' before everything else, so that children follow their parent. */
int
name_cmp(struct str a, struct str b)
{
	size_t n = a.len < b.len ? a.len : b.len, i;
	unsigned x, y;

	for (i = 0; i < n; i++) {
		if (a.p[i] == b.p[i])
			continue;
		x = a.p[i] == '/' ? 0 : (unsigned char)a.p[i];
		y = b.p[i] == '/' ? 0 : (unsigned char)b.p[i];
		return x < y ? -1 : 1;
	}
	if (a.len == b.len)
		return 0;
	return a.len < b.len ? -1 : 1;
}

bool
name_is_below(struct str a, struct str b)
{
	return b.len > a.len && b.p[a.len] == '/' && str_begins(b, a);
}

/* Unicode Normalization Form C (RFC 5198 section 3). */
static int
to_nfc(struct str name, char *out, size_t *len_r, struct err *err)
{
	static const char *const what = "name cannot be normalised";
	UErrorCode status = U_ZERO_ERROR;
	const UNormalizer2 *nfc = unorm2_getNFCInstance(&status);
	UChar raw[RAW_MAX], done[RAW_MAX];
	int32_t n = 0, len = 0;

	(void)u_strFromUTF8(raw, RAW_MAX, &n, name.p, (int32_t)name.len,
	    &status);
	n = unorm2_normalize(nfc, raw, n, done, RAW_MAX, &status);
	(void)u_strToUTF8(out, RAW_MAX, &len, done, n, &status);
	if (status == U_BUFFER_OVERFLOW_ERROR)
		return err_set(err, ERR_LIMIT, "%s", what);
	if (U_FAILURE(status))
		return err_set(err, ERR_SYNTAX, "%s", what);
	*len_r = (size_t)len;
	return 0;
}

/* Controls, C1 (U+0080 to U+009F) and the line separators U+2028, U+2029
 * have no place in a name that is shown in lists and logs. */
static bool
has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		unsigned char d = i + 1 < s.len ?
		    (unsigned char)s.p[i + 1] : 0;

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && d < 0xa0))
			return true;
		if (c == 0xe2 && d == 0x80 && i + 2 < s.len &&
		    ((unsigned char)s.p[i + 2] & 0xfe) == 0xa8)
			return true;
	}
	return false;
}

static int
check_levels(struct str name, struct err *err)
{
	struct str rest = name, level;
	unsigned depth = 0;

	while (rest.p != NULL) {
		level = str_cut(rest, '/', &rest);
		if (level.len == 0 || str_eq(level, STR(".")) ||
		    str_eq(level, STR("..")))
			return err_set(err, ERR_SYNTAX, "empty level of a name");
		if (level.len > STORE_LEVEL_MAX ||
		    ++depth > STORE_DEPTH_MAX)
			return err_set(err, ERR_LIMIT, "name too deep or long");
	}
	return 0;
}

int
store_name_canon(struct str name, struct arena *arena, struct str *canon_r,
    struct err *err)
{
	char tmp[RAW_MAX];
	struct str first;
	size_t len = name.len;
	int ret = 0;

	*canon_r = STR_NONE;
	/* CREATE "a/" announces children (RFC 3501 section 6.3.3). */
	if (len > 1 && name.p[len - 1] == '/')
		len--;
	name.len = len;
	if (len == 0 || !str_is_utf8(name) || name.p[0] == '#')
		return err_set(err, ERR_SYNTAX, "impossible mailbox name");
	if (len > STORE_NAME_MAX)
		return err_set(err, ERR_LIMIT, "mailbox name too long");
	if (str_has_8bit(name))
		ret = to_nfc(name, tmp, &len, err);
	else
		memcpy(tmp, name.p, len);
	if (ret != 0)
		return ret;
	name = str_make(tmp, len);
	if (has_control(name))
		return err_set(err, ERR_SYNTAX, "control in a mailbox name");
	if (len > STORE_NAME_MAX)
		return err_set(err, ERR_LIMIT, "mailbox name too long");
	ret = check_levels(name, err);
	if (ret != 0)
		return ret;
	first = str_cut(name, '/', &(struct str){ NULL, 0 });
	if (str_eq_nocase(first, STR("INBOX")))
		memcpy(tmp, "INBOX", 5);
	*canon_r = arena_str(arena, name);
	return 0;
}
