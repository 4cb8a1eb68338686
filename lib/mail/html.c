/* SPDX-License-Identifier: ISC */
/* HTML to text for search and index. Not for display: nothing here makes
 * HTML safe to show. */
#include "mail/text.h"

#include <unicode/utf8.h>

#define TAG_NAME_MAX 15U
#define REFERENCE_MAX 10U

enum html_state {
	IN_TEXT,
	IN_REFERENCE,		/* after "&" */
	IN_TAG_NAME,		/* after "<" */
	IN_TAG,
	IN_QUOTE,		/* inside an attribute value */
	IN_COMMENT,		/* after "<!--" */
	IN_SKIPPED,		/* script or style: up to its end tag */
};

struct html_text {
	enum html_state state;
	char name[TAG_NAME_MAX + 1];	/* of a tag, or a reference */
	size_t name_len;
	char quote;
	size_t dashes;			/* of "-->" seen */
	char skipped[TAG_NAME_MAX + 1];	/* element that is left out */
};

static const char *const block_tags[] = {
	"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6",
	"table", "ul", "ol", "blockquote", "pre", "hr", "td", "th", "title",
	"dt", "dd", "section", "article", "header", "footer", "option",
};

static const char *const skipped_tags[] = { "script", "style" };

static const struct {
	const char *name;
	const char *text;
} references[] = {
	{ "amp", "&" }, { "lt", "<" }, { "gt", ">" }, { "quot", "\"" },
	{ "apos", "'" }, { "nbsp", " " }, { "copy", "\xc2\xa9" },
	{ "reg", "\xc2\xae" }, { "yen", "\xc2\xa5" },
	{ "hellip", "\xe2\x80\xa6" }, { "ndash", "\xe2\x80\x93" },
	{ "mdash", "\xe2\x80\x94" }, { "lsquo", "\xe2\x80\x98" },
	{ "rsquo", "\xe2\x80\x99" }, { "ldquo", "\xe2\x80\x9c" },
	{ "rdquo", "\xe2\x80\x9d" }, { "euro", "\xe2\x82\xac" },
	{ "middot", "\xc2\xb7" }, { "times", "\xc3\x97" },
	{ "eacute", "\xc3\xa9" }, { "auml", "\xc3\xa4" },
	{ "ouml", "\xc3\xb6" }, { "uuml", "\xc3\xbc" },
	{ "szlig", "\xc3\x9f" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool
is_one_of(const char *name, const char *const *names, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void
put_code_point(struct buf *out, uint32_t c)
{
	char utf8[4];
	int32_t len = 0;

	if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		c = 0xfffd;
	U8_APPEND_UNSAFE(utf8, len, (UChar32)c);
	buf_add(out, utf8, (size_t)len);
}

/* "#233" or "#xe9". */
static bool
put_number(struct buf *out, const char *name)
{
	char *end;
	unsigned long value;
	bool is_hex = name[1] == 'x' || name[1] == 'X';

	value = strtoul(name + (is_hex ? 2 : 1), &end, is_hex ? 16 : 10);
	if (*end != '\0' || end == name + (is_hex ? 2 : 1))
		return false;
	put_code_point(out, value > 0x10ffff ? 0xfffd : (uint32_t)value);
	return true;
}

/* What stands between "&" and c is in name. */
static void
reference_done(struct html_text *h, struct buf *out)
{
	size_t i;

	h->name[h->name_len] = '\0';
	if (h->name[0] == '#' && put_number(out, h->name))
		return;
	for (i = 0; i < COUNT(references); i++) {
		if (strcmp(references[i].name, h->name) != 0)
			continue;
		buf_add_cstr(out, references[i].text);
		return;
	}
	buf_add_char(out, '&');
	buf_add(out, h->name, h->name_len);
}

static void
begin(struct html_text *h, enum html_state state)
{
	h->state = state;
	h->name_len = 0;
	h->dashes = 0;
}

static void
in_reference(struct html_text *h, char c, struct buf *out)
{
	if (h->name_len < REFERENCE_MAX &&
	    (ascii_is_alpha(c) || ascii_is_digit(c) ||
	    (c == '#' && h->name_len == 0))) {
		h->name[h->name_len++] = c;
		return;
	}
	reference_done(h, out);
	begin(h, IN_TEXT);
	if (c == '<')
		begin(h, IN_TAG_NAME);
	else if (c == '&')
		begin(h, IN_REFERENCE);
	else if (c != ';')
		buf_add_char(out, c);
}

static void
tag_done(struct html_text *h, struct buf *out)
{
	const char *name = h->name[0] == '/' ? h->name + 1 : h->name;

	begin(h, IN_TEXT);
	if (is_one_of(name, block_tags, COUNT(block_tags)))
		buf_add_char(out, '\n');
	if (h->name[0] != '/' &&
	    is_one_of(name, skipped_tags, COUNT(skipped_tags))) {
		memcpy(h->skipped, h->name, sizeof(h->skipped));
		begin(h, IN_SKIPPED);
	}
}

static void
in_tag_name(struct html_text *h, char c, struct buf *out)
{
	bool is_first = h->name_len == 0;

	if (ascii_is_alpha(c) || (ascii_is_digit(c) && !is_first) ||
	    (is_first && (c == '/' || c == '!' || c == '?')) ||
	    (c == '-' && h->name[0] == '!')) {
		if (h->name_len < TAG_NAME_MAX)
			h->name[h->name_len++] = ascii_lower(c);
		if (h->name_len == 3 && memcmp(h->name, "!--", 3) == 0)
			begin(h, IN_COMMENT);
		return;
	}
	if (is_first) {
		/* A "<" that begins no tag is text. */
		buf_add_char(out, '<');
		buf_add_char(out, c);
		begin(h, IN_TEXT);
		return;
	}
	h->name[h->name_len] = '\0';
	h->state = IN_TAG;
	if (c == '>')
		tag_done(h, out);
}

static void
in_tag(struct html_text *h, char c, struct buf *out)
{
	if (c == '>') {
		tag_done(h, out);
	} else if (c == '"' || c == '\'') {
		h->quote = c;
		h->state = IN_QUOTE;
	}
}

static void
in_quote(struct html_text *h, char c, struct buf *out)
{
	(void)out;
	if (c == h->quote)
		h->state = IN_TAG;
}

static void
in_comment(struct html_text *h, char c, struct buf *out)
{
	(void)out;
	if (c == '-')
		h->dashes++;
	else if (c == '>' && h->dashes >= 2)
		begin(h, IN_TEXT);
	else
		h->dashes = 0;
}

/* Only "</" and the element's own name end it. */
static void
in_skipped(struct html_text *h, char c, struct buf *out)
{
	size_t len = strlen(h->skipped);
	char want = h->name_len == 0 ? '<' : h->name_len == 1 ? '/' :
	    h->skipped[h->name_len - 2];

	(void)out;
	if (ascii_lower(c) != want) {
		h->name_len = c == '<' ? 1 : 0;
		return;
	}
	if (++h->name_len < len + 2)
		return;
	begin(h, IN_TAG);
	h->name[0] = '\0';
}

static void
in_text(struct html_text *h, char c, struct buf *out)
{
	(void)out;
	begin(h, c == '<' ? IN_TAG_NAME : IN_REFERENCE);
}

static void (*const steps[])(struct html_text *, char, struct buf *) = {
	[IN_TEXT] = in_text,
	[IN_REFERENCE] = in_reference,
	[IN_TAG_NAME] = in_tag_name,
	[IN_TAG] = in_tag,
	[IN_QUOTE] = in_quote,
	[IN_COMMENT] = in_comment,
	[IN_SKIPPED] = in_skipped,
};

void
html_text_feed(struct html_text *h, struct str in, bool is_last,
    struct buf *out)
{
	size_t i = 0, from;

	while (i < in.len) {
		from = i;
		if (h->state == IN_TEXT)
			while (i < in.len && in.p[i] != '<' && in.p[i] != '&')
				i++;
		buf_add(out, in.p + from, i - from);
		if (i < in.len)
			steps[h->state](h, in.p[i++], out);
	}
	if (is_last && h->state == IN_REFERENCE)
		reference_done(h, out);
}

struct html_text *
html_text_new(void)
{
	struct html_text *h = calloc(1, sizeof(*h));

	invariant(h != NULL);
	return h;
}

void
html_text_free(struct html_text **html)
{
	free(*html);
	*html = NULL;
}
