/* SPDX-License-Identifier: ISC */
#include "filterd/attack/urls_int.h"

#include <unicode/utf8.h>

#include "base/buf.h"
#include "base/table.h"
#include "filterd/attack/bytes.h"
#include "mail/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ANCHOR_MAX 4096U

struct url_list {
	struct arena *arena;	/* what is kept */
	struct arena *scratch;	/* of the link under way */
	struct table *seen;
	struct url v[URLS_MAX];
	size_t count;
	size_t tries;
	bool is_cut;
};

struct url_list *
url_list_new(void)
{
	struct url_list *list = calloc(1, sizeof(*list));

	invariant(list != NULL);
	list->arena = arena_new(0);
	list->scratch = arena_new(0);
	list->seen = table_new();
	return list;
}

void
url_list_free(struct url_list **list)
{
	if (*list == NULL)
		return;
	arena_free(&(*list)->arena);
	arena_free(&(*list)->scratch);
	table_free(&(*list)->seen);
	free(*list);
	*list = NULL;
}

size_t
url_list_count(const struct url_list *list)
{
	return list->count;
}

const struct url *
url_list_get(const struct url_list *list, size_t i)
{
	invariant(i < list->count);
	return &list->v[i];
}

bool
url_list_is_cut(const struct url_list *list)
{
	return list->is_cut;
}

/* host is parent, or below it; parent is more than a top level. */
static bool
is_below(struct str host, struct str parent)
{
	return str_find(parent, '.') != STR_NPOS &&
	    str_ends_nocase(host, parent) && (host.len == parent.len ||
	    host.p[host.len - parent.len - 1] == '.');
}

/* Without a list of public suffixes: short second levels ("co.jp") are
 * taken for one. */
bool
url_host_is_related(struct str a, struct str b)
{
	struct str tail = a, rest;

	if (is_below(a, b) || is_below(b, a) || str_eq_nocase(a, b))
		return true;
	while (str_find(tail, '.') != STR_NPOS) {
		struct str label = str_cut(tail, '.', &rest);

		if ((label.len > 3 || str_find(rest, '.') != STR_NPOS) &&
		    is_below(b, tail))
			return true;
		tail = rest;
	}
	return false;
}

static void
keep(struct url_list *list, const struct url *url)
{
	struct arena *arena = list->arena;
	struct str key = arena_printf(list->scratch, "%.*s %.*s",
	    STR_FMT(url->raw), STR_FMT(url->shown));
	struct url *kept;

	if (table_get(list->seen, key) != NULL)
		return;
	if (list->count == URLS_MAX) {
		list->is_cut = true;
		return;
	}
	kept = &list->v[list->count++];
	*kept = (struct url){ .flags = url->flags,
		.raw = arena_str(arena, url->raw),
		.scheme = arena_str(arena, url->scheme),
		.host = arena_str(arena, url->host),
		.shown = arena_str(arena, url->shown) };
	(void)table_put(list->seen, key, kept);
}

void
url_list_add(struct url_list *list, struct str raw, struct str shown,
    unsigned flags)
{
	struct url url;

	if (list->tries++ >= URLS_TRIES_MAX) {
		list->is_cut = true;
		return;
	}
	if (url_parse(list->scratch, raw, &url)) {
		url.flags |= flags;
		url.shown = url_shown_host(list->scratch, shown);
		if (url.shown.len != 0 &&
		    !url_host_is_related(url.shown, url.host))
			url.flags |= URL_IS_DECEPTIVE;
		keep(list, &url);
	}
	arena_reset(list->scratch);
}

/* ---- text ---- */

/* Blanks, quotes, and what Japanese text puts after a link. */
static bool
ends_link(UChar32 c)
{
	return c <= 0x20 || c == 0x7f || c == '<' || c == '>' || c == '"' ||
	    c == '`' || c == '{' || c == '}' || c == '|' || c == '^' ||
	    c == 0x3000 || (c >= 0x3008 && c <= 0x3011) || c == 0x3001 ||
	    c == 0x3002 || c == 0xff08 || c == 0xff09 || c == 0x201c ||
	    c == 0x201d || c == 0xa0;
}

static size_t
link_end(struct str text, size_t from)
{
	struct str s = str_sub(text, from, URL_READ_MAX);
	const uint8_t *p = (const uint8_t *)s.p;
	int32_t i = 0, last = 0, len = (int32_t)s.len;

	while (i < len) {
		UChar32 c;

		last = i;
		U8_NEXT(p, i, len, c);
		if (c < 0 || ends_link(c))
			break;
		last = i;
	}
	while (last > 0 && strchr(".,;:!?)]'", s.p[last - 1]) != NULL)
		last--;
	return from + (size_t)last;
}

static size_t
scheme_start(struct str text, size_t colon, size_t floor)
{
	size_t at = colon;

	while (at > floor && colon - at < 20 &&
	    (ascii_is_alpha(text.p[at - 1]) || text.p[at - 1] == '-'))
		at--;
	return at;
}

static void
add_bare(struct url_list *list, struct str link)
{
	char whole[URL_READ_MAX + 16];

	(void)snprintf(whole, sizeof(whole), "http://%.*s", STR_FMT(link));
	url_list_add(list, str_of(whole), STR(""), 0);
}

/* "://" with a scheme before it. */
static void
links_with_scheme(struct url_list *list, struct str text)
{
	size_t at = 0, floor = 0;

	while ((at = bytes_find(text, at, STR("://"))) != STR_NPOS) {
		size_t from = scheme_start(text, at, floor);
		size_t end = link_end(text, at + 3);

		url_list_add(list, str_sub(text, from, end - from), STR(""),
		    0);
		if (list->tries > URLS_TRIES_MAX)
			return;
		at = floor = end > at + 3 ? end : at + 3;
	}
}

/* "www." that no scheme stands before. */
static void
links_without(struct url_list *list, struct str text)
{
	size_t at = 0, end;

	while ((at = bytes_find(text, at, STR("www."))) != STR_NPOS) {
		char before = at == 0 ? ' ' : text.p[at - 1];

		end = at + 4;
		if (!ascii_is_alpha(before) && !ascii_is_digit(before) &&
		    strchr("/.@-_%=", before) == NULL) {
			end = link_end(text, at + 4);
			if (end > at + 4)
				add_bare(list, str_sub(text, at,
				    end - at));
		}
		if (list->tries > URLS_TRIES_MAX)
			return;
		at = end > at + 4 ? end : at + 4;
	}
}

void
urls_of_text(struct url_list *list, struct str text)
{
	links_with_scheme(list, text);
	links_without(list, text);
}

/* ---- HTML ---- */

struct page {
	struct url_list *list;
	struct str html;
	size_t at;
	struct str href;	/* of the anchor that is open, p NULL without */
	size_t text_at;		/* where its text begins */
	struct buf value;	/* an attribute, decoded */
};

struct tag {
	struct str name;
	bool is_end;
};

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

static struct str
take_until(struct page *page, const char *stops)
{
	size_t from = page->at;

	while (page->at < page->html.len &&
	    (page->html.p[page->at] == '\0' ||
	    strchr(stops, page->html.p[page->at]) == NULL))
		page->at++;
	return str_sub(page->html, from, page->at - from);
}

static void
skip_spaces(struct page *page)
{
	while (page->at < page->html.len && (is_space(page->html.p[page->at]) ||
	    page->html.p[page->at] == '/'))
		page->at++;
}

/* "&#104;", "&#x68;", "&amp;" and few more; how much was read, or 0. */
static size_t
put_reference(struct buf *out, struct str s)
{
	static const struct {
		const char *name;
		char c;
	} names[] = { { "amp", '&' }, { "colon", ':' }, { "sol", '/' },
		{ "period", '.' }, { "commat", '@' }, { "quot", '"' },
		{ "lt", '<' }, { "gt", '>' }, { "Tab", '\t' },
		{ "NewLine", '\n' }, { "lpar", '(' }, { "rpar", ')' },
		{ "bsol", '\\' }, { "apos", '\'' } };
	uint32_t c = 0;
	char utf8[4];
	int32_t len = 0;
	bool is_hex;
	size_t i;

	for (i = 0; i < COUNT(names); i++)
		if (str_begins(s, str_of(names[i].name))) {
			buf_add_char(out, names[i].c);
			i = strlen(names[i].name);
			return i + (i < s.len && s.p[i] == ';');
		}
	if (s.len < 2 || s.p[0] != '#')
		return 0;
	is_hex = ascii_lower(s.p[1]) == 'x';
	for (i = is_hex ? 2 : 1; i < s.len && c <= 0x10ffff; i++) {
		char d = ascii_lower(s.p[i]);

		if (ascii_is_digit(d))
			c = c * (is_hex ? 16 : 10) + (uint32_t)(d - '0');
		else if (is_hex && d >= 'a' && d <= 'f')
			c = c * 16 + (uint32_t)(d - 'a' + 10);
		else
			break;
	}
	if (c == 0 || c > 0x10ffff || U_IS_SURROGATE(c))
		return 0;
	U8_APPEND_UNSAFE(utf8, len, (UChar32)c);
	buf_add(out, utf8, (size_t)len);
	return i + (i < s.len && s.p[i] == ';');
}

static struct str
decode_value(struct page *page, struct str raw)
{
	size_t i = 0;

	buf_reset(&page->value);
	raw = str_sub(raw, 0, URL_READ_MAX);
	while (i < raw.len) {
		char c = raw.p[i++];
		size_t read = c != '&' ? 0 : put_reference(&page->value,
		    str_sub(raw, i, 16));

		if (read == 0)
			buf_add_char(&page->value, c);
		i += read;
	}
	return buf_str(&page->value);
}

/* Name and value; false at the end of the tag. */
static bool
next_attribute(struct page *page, struct str *name_r, struct str *value_r)
{
	char quote;

	skip_spaces(page);
	if (page->at >= page->html.len || page->html.p[page->at] == '>')
		return false;
	*value_r = STR("");
	*name_r = take_until(page, " \t\r\n\f=>/");
	if (name_r->len == 0)
		page->at++;	/* a lone = */
	while (page->at < page->html.len && is_space(page->html.p[page->at]))
		page->at++;
	if (page->at >= page->html.len || page->html.p[page->at] != '=')
		return true;
	page->at++;
	while (page->at < page->html.len && is_space(page->html.p[page->at]))
		page->at++;
	quote = page->at < page->html.len ? page->html.p[page->at] : '\0';
	if (quote == '"' || quote == '\'') {
		page->at++;
		*value_r = take_until(page, quote == '"' ? "\"" : "'");
		page->at++;
	} else {
		*value_r = take_until(page, " \t\r\n\f>");
	}
	return true;
}

/* "0; url=http://..." */
static void
add_refresh(struct page *page, struct str value)
{
	size_t at = str_find_nocase(str_sub(value, 0, 256), STR("url"));

	if (at == STR_NPOS)
		return;
	value = str_sub(value, at + 3, value.len);
	while (value.len != 0 && (is_space(value.p[0]) || value.p[0] == '=' ||
	    value.p[0] == '\'' || value.p[0] == '"'))
		value = str_sub(value, 1, value.len);
	url_list_add(page->list, value, STR(""), 0);
}

static void
close_anchor(struct page *page, size_t end)
{
	struct html_text *html;
	struct buf shown;
	struct str text;

	if (page->href.p == NULL)
		return;
	text = str_sub(page->html, page->text_at, end - page->text_at);
	buf_init(&shown, 2 * ANCHOR_MAX);
	html = html_text_new();
	html_text_feed(html, str_sub(text, 0, ANCHOR_MAX), true, &shown);
	html_text_free(&html);
	url_list_add(page->list, decode_value(page, page->href),
	    buf_str(&shown), 0);
	buf_fini(&shown);
	page->href = STR_NONE;
}

static void
take_attribute(struct page *page, struct str tag, struct str name,
    struct str value, bool *is_refresh)
{
	static const char *const links[] = { "href", "src", "action",
		"formaction", "data", "xlink:href", "background", "poster" };
	bool is_form = str_eq_nocase(name, STR("action")) ||
	    str_eq_nocase(name, STR("formaction"));
	size_t i;

	if (str_eq_nocase(name, STR("http-equiv")))
		*is_refresh |= str_eq_nocase(value, STR("refresh"));
	if (str_eq_nocase(name, STR("content")) &&
	    str_eq_nocase(tag, STR("meta")))
		add_refresh(page, decode_value(page, value));
	if (str_eq_nocase(name, STR("href")) &&
	    str_eq_nocase(tag, STR("a")) && page->href.p == NULL) {
		page->href = value;
		return;
	}
	for (i = 0; i < COUNT(links); i++)
		if (str_eq_nocase(name, str_of(links[i])))
			url_list_add(page->list, decode_value(page, value),
			    STR(""), is_form ? URL_IN_FORM : 0);
}

/* A script is read as text, up to its end tag. */
static void
take_script(struct page *page)
{
	size_t from = page->at, at = from;

	while ((at = bytes_find(page->html, at, STR("</"))) != STR_NPOS &&
	    !str_begins_nocase(str_sub(page->html, at + 2, 6), STR("script")))
		at += 2;
	page->at = at == STR_NPOS ? page->html.len : at;
	urls_of_text(page->list, str_sub(page->html, from, page->at - from));
}

static void
take_tag(struct page *page)
{
	bool is_end = page->html.p[page->at] == '/', is_refresh = false;
	size_t begin = page->at - 1;
	struct str tag, name, value;

	page->at += is_end;
	tag = take_until(page, " \t\r\n\f/>");
	if (str_eq_nocase(tag, STR("a")))
		close_anchor(page, begin);
	while (next_attribute(page, &name, &value))
		if (!is_end)
			take_attribute(page, tag, name, value, &is_refresh);
	if (page->at < page->html.len)
		page->at++;
	page->text_at = page->href.p != NULL && str_eq_nocase(tag, STR("a")) ?
	    page->at : page->text_at;
	if (!is_end && str_eq_nocase(tag, STR("script")))
		take_script(page);
}

void
urls_of_html(struct url_list *list, struct str html)
{
	struct page page = { .list = list, .html = html };
	size_t end;

	buf_init(&page.value, 4 * URL_READ_MAX);
	while ((page.at = bytes_find(html, page.at, STR("<"))) != STR_NPOS &&
	    list->tries <= URLS_TRIES_MAX) {
		page.at++;
		if (bytes_is(html, page.at, STR("!--"))) {
			end = bytes_find(html, page.at + 1, STR("-->"));
			page.at = end == STR_NPOS ? html.len : end + 3;
		} else if (page.at < html.len &&
		    (ascii_is_alpha(html.p[page.at]) ||
		    html.p[page.at] == '/')) {
			take_tag(&page);
		}
	}
	close_anchor(&page, html.len);
	buf_fini(&page.value);
}
