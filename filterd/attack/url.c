/* SPDX-License-Identifier: ISC */
#include "filterd/attack/urls_int.h"

#include <arpa/inet.h>

#include "base/buf.h"
#include "filterd/attack/names.h"
#include "mail/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SCHEME_MAX 32U
#define HOST_READ_MAX 1024U

static const char *const web_schemes[] = { "http", "https", "ftp", "ws",
	"wss" };

/* A link of these opens no page. */
static const char *const running_schemes[] = {
	"javascript", "vbscript", "file", "smb", "ms-msdt", "search-ms",
	"search", "ms-officecmd", "ms-appinstaller", "ms-word", "ms-excel",
	"ms-powerpoint", "ms-settings", "ms-search", "shell", "jar", "mk",
	"ms-its", "hcp", "mhtml", "dav", "webdav", "ldap",
};

static bool
is_one_of(struct str word, const char *const *words, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (str_eq(word, str_of(words[i])))
			return true;
	return false;
}

/* As browsers: C0 and blanks at the ends, TAB, CR and LF anywhere go. */
static struct str
clean(struct arena *arena, struct str raw)
{
	char *out = arena_alloc(arena, raw.len + 1);
	size_t i, len = 0;

	for (i = 0; i < raw.len; i++) {
		unsigned char c = (unsigned char)raw.p[i];

		if (c == '\t' || c == '\r' || c == '\n' || c == 0)
			continue;
		if (c <= 0x20 && len == 0)
			continue;
		out[len++] = (char)c;
	}
	while (len != 0 && (unsigned char)out[len - 1] <= 0x20)
		len--;
	return str_make(out, len);
}

static struct str
lower(struct arena *arena, struct str s)
{
	char *out = arena_alloc(arena, s.len + 1);
	size_t i;

	for (i = 0; i < s.len; i++)
		out[i] = ascii_lower(s.p[i]);
	return str_make(out, s.len);
}

static bool
split_scheme(struct arena *arena, struct str *s, struct str *scheme_r)
{
	size_t i;

	for (i = 0; i < s->len && i < SCHEME_MAX; i++) {
		char c = s->p[i];

		if (c == ':' && i != 0) {
			*scheme_r = lower(arena, str_sub(*s, 0, i));
			*s = str_sub(*s, i + 1, s->len);
			return true;
		}
		if (!ascii_is_alpha(c) && !(i != 0 && (ascii_is_digit(c) ||
		    c == '-' || c == '+' || c == '.')))
			return false;
	}
	return false;
}

static int
hex_value(char c)
{
	c = ascii_lower(c);
	return ascii_is_digit(c) ? c - '0' :
	    c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str
percent_decode(struct arena *arena, struct str s)
{
	char *out = arena_alloc(arena, s.len + 1);
	size_t i, len = 0;

	for (i = 0; i < s.len; i++) {
		int high = s.p[i] == '%' && i + 2 < s.len ?
		    hex_value(s.p[i + 1]) : -1;
		int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;

		if (low >= 0) {
			out[len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			out[len++] = s.p[i];
		}
	}
	return str_make(out, len);
}

/* ---- numbers as hosts ---- */

/* Decimal, 0x.., 0.. as inet_aton() takes them. */
static bool
read_number(struct str s, uint64_t *value_r)
{
	unsigned base = 10;
	uint64_t value = 0;
	size_t i;

	if (s.len > 1 && s.p[0] == '0') {
		base = ascii_lower(s.p[1]) == 'x' ? 16 : 8;
		s = str_sub(s, base == 16 ? 2 : 1, s.len);
	} else if (s.len == 0) {
		return false;
	}
	for (i = 0; i < s.len; i++) {
		int digit = hex_value(s.p[i]);

		if (digit < 0 || digit >= (int)base || value >> 40 != 0)
			return false;
		value = value * base + (uint64_t)digit;
	}
	*value_r = value;
	return true;
}

/* Up to four numbers; the last fills what is left. */
static bool
read_address(struct str host, uint32_t *address_r)
{
	uint64_t parts[4], address = 0;
	struct str rest = host;
	size_t count = 0, i;

	while (rest.p != NULL) {
		struct str part = str_cut(rest, '.', &rest);

		if (part.len == 0 && rest.p == NULL && count != 0)
			break;
		if (count == 4 || !read_number(part, &parts[count]))
			return false;
		count++;
	}
	for (i = 0; i + 1 < count; i++) {
		if (parts[i] > 255)
			return false;
		address |= parts[i] << (24 - 8 * i);
	}
	if (count == 0 ||
	    parts[count - 1] >= UINT64_C(1) << (8 * (5 - count)))
		return false;
	*address_r = (uint32_t)(address | parts[count - 1]);
	return true;
}

static void
set_host(struct arena *arena, struct str host, struct url *url)
{
	uint32_t address;

	if (host.len != 0 && host.p[0] == '[') {
		url->host = lower(arena, host);
		url->flags |= URL_IS_ADDRESS;
		return;
	}
	if (host.len != 0 && host.p[host.len - 1] == '.')
		host.len--;
	if (address_domain(arena, host, ADDRESS_UTF8, &url->host, NULL) != 0) {
		url->host = lower(arena, host);
		url->flags |= URL_IS_BROKEN;
	}
	if (!read_address(url->host, &address))
		return;
	host = arena_printf(arena, "%u.%u.%u.%u", address >> 24,
	    address >> 16 & 255, address >> 8 & 255, address & 255);
	url->flags &= ~URL_IS_BROKEN;
	url->flags |= str_eq(host, url->host) ? URL_IS_ADDRESS :
	    URL_IS_ADDRESS | URL_IS_ODD_ADDRESS;
	url->host = host;
}

/* ---- the authority ---- */

static size_t
authority_end(struct str s)
{
	size_t i = 0;

	while (i < s.len && strchr("/\\?#", s.p[i]) == NULL)
		i++;
	return i;
}

static void
read_authority(struct arena *arena, struct str authority, struct url *url)
{
	size_t at = str_rfind(authority, '@'), colon;
	struct str host = authority, user;

	if (at != STR_NPOS) {
		user = percent_decode(arena, str_sub(authority, 0, at));
		host = str_sub(authority, at + 1, authority.len);
		/* "me@host" is a login; "www.bank.example@host" is not. */
		if (str_find(user, '.') != STR_NPOS)
			url->flags |= URL_HAS_USERINFO;
	}
	host = percent_decode(arena, str_sub(host, 0, HOST_READ_MAX));
	/* A separator that was encoded ends the host nowhere, but shows one. */
	colon = str_rfind(host, ':');
	if (colon != STR_NPOS && str_find(host, ']') == STR_NPOS)
		host = str_sub(host, 0, colon);
	else if (host.len != 0 && host.p[0] == '[' &&
	    (colon = str_find(host, ']')) != STR_NPOS)
		host = str_sub(host, 0, colon + 1);
	set_host(arena, host, url);
}

static struct str
skip_slashes(struct str s)
{
	while (s.len != 0 && (s.p[0] == '/' || s.p[0] == '\\'))
		s = str_sub(s, 1, s.len);
	return s;
}

/* data: that a browser would show as a page or a program would open. */
static bool
is_running_data(struct str rest)
{
	struct str type = str_sub(rest, 0, 32);

	return str_begins_nocase(type, STR("text/html")) ||
	    str_begins_nocase(type, STR("text/xml")) ||
	    str_begins_nocase(type, STR("image/svg")) ||
	    str_begins_nocase(type, STR("application/"));
}

bool
url_parse(struct arena *arena, struct str raw, struct url *url_r)
{
	struct str s = clean(arena, str_sub(raw, 0, URL_READ_MAX));

	*url_r = (struct url){ .raw = str_sub(s, 0, URL_KEPT_MAX),
		.scheme = STR(""), .host = STR(""), .shown = STR("") };
	if (str_begins(s, STR("\\\\"))) {
		url_r->scheme = STR("file");
	} else if (str_begins(s, STR("//"))) {
		url_r->scheme = STR("https");
	} else if (!split_scheme(arena, &s, &url_r->scheme)) {
		return false;
	}
	if (str_eq(url_r->scheme, STR("data"))) {
		url_r->flags |= URL_RUNS;
		return is_running_data(s);
	}
	if (is_one_of(url_r->scheme, running_schemes, COUNT(running_schemes)))
		url_r->flags |= URL_RUNS;
	else if (!is_one_of(url_r->scheme, web_schemes, COUNT(web_schemes)))
		return false;
	/* "javascript:;" and "javascript:void(0)" do nothing. */
	if (str_eq(url_r->scheme, STR("javascript")))
		return s.len != 0 && !str_eq(s, STR(";")) &&
		    !str_begins_nocase(s, STR("void(0)"));
	s = skip_slashes(s);
	read_authority(arena, str_sub(s, 0, authority_end(s)), url_r);
	return url_r->host.len != 0 || (url_r->flags & URL_RUNS) != 0;
}

/* ---- what a person sees ---- */

/* "report.pdf" has a dot and is no host. */
static bool
is_file_name(struct str text)
{
	static const char *const files[] = { "exe", "js", "msi", "html",
		"htm", "php", "iso", "lnk" };
	struct name_look look = names_look(text);

	return look.claim != CLAIM_NOTHING ||
	    is_one_of(str_of(look.extension), files, COUNT(files));
}

static bool
is_host_text(struct str text)
{
	size_t i, dot = str_rfind(text, '.');

	if (dot == STR_NPOS || dot == 0 || text.len - dot < 3 ||
	    is_file_name(text))
		return false;
	for (i = dot + 1; i < text.len; i++)
		if (!ascii_is_alpha(text.p[i]))
			return false;
	for (i = 0; i < dot; i++)
		if (!ascii_is_alpha(text.p[i]) && !ascii_is_digit(text.p[i]) &&
		    text.p[i] != '-' && text.p[i] != '.' &&
		    (unsigned char)text.p[i] < 0x80)
			return false;
	return true;
}

struct str
url_shown_host(struct arena *arena, struct str text)
{
	size_t i = 0;
	struct url url;

	text = str_trim(str_sub(text, 0, HOST_READ_MAX));
	if (str_begins_nocase(text, STR("http://")) ||
	    str_begins_nocase(text, STR("https://"))) {
		while (i < text.len && (unsigned char)text.p[i] > 0x20)
			i++;
		if (url_parse(arena, str_sub(text, 0, i), &url) &&
		    (url.flags & (URL_IS_ADDRESS | URL_IS_BROKEN)) == 0)
			return url.host;
		return STR("");
	}
	while (i < text.len && (unsigned char)text.p[i] > 0x20 &&
	    text.p[i] != '/' && text.p[i] != '?')
		i++;
	/* A sentence that begins with a name is no address. */
	if ((i < text.len && text.p[i] != '/' && text.p[i] != '?') ||
	    !is_host_text(str_sub(text, 0, i)))
		return STR("");
	return lower(arena, str_sub(text, 0, i));
}
