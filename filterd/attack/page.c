/* SPDX-License-Identifier: ISC */
/* Web pages: scripts, files that are built out of their text, passwords. */
#include "filterd/attack/inspect.h"

#include "filterd/attack/bytes.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
/* A run of base64 that no picture's address holds (those begin "data:"). */
#define RUN_MIN 2048U

/* What makes octets out of text. */
static const char *const decoders[] = {
	"atob(", "fromcharcode", "uint8array", "unescape(", "charcodeat",
	"decodeuricomponent(", "base64",
};

/* What makes a file out of octets, and gives it to the person. */
static const char *const makers[] = {
	"new blob(", "new blob ", "mssaveoropenblob", "mssaveblob",
	"createobjecturl", "new file(", "\"blob\"", "'blob'",
};

static const char *const givers[] = {
	"mssaveoropenblob", "mssaveblob", ".download", "download=",
	"setattribute(\"download", "setattribute('download", ".click(",
	"location.href", "window.open(", "location.replace(",
};

static bool
has_any(struct str text, const char *const *words, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (kind_has_word(text, str_of(words[i])))
			return true;
	return false;
}

static bool
is_base64(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '+' ||
	    c == '/' || c == '=';
}

/* Longest run outside of "data:image/...;base64,". */
static size_t
longest_run(struct str text)
{
	size_t i, run = 0, longest = 0;
	bool is_data = false;

	for (i = 0; i < text.len; i++) {
		if (is_base64(text.p[i])) {
			run++;
			if (!is_data && run > longest)
				longest = run;
			continue;
		}
		is_data = text.p[i] == ',' && i >= 7 &&
		    memcmp(text.p + i - 7, ";base64", 7) == 0;
		run = 0;
	}
	return longest;
}

static bool
has_script(struct str html)
{
	static const char *const words[] = { "<script", "javascript:",
		"onload=", "onerror=", "onclick=" };

	return has_any(html, words, COUNT(words));
}

static bool
is_smuggling(struct str html)
{
	bool decodes = has_any(html, decoders, COUNT(decoders));
	bool makes = has_any(html, makers, COUNT(makers));
	bool gives = has_any(html, givers, COUNT(givers));

	if (!kind_has_word(html, STR("<script")))
		return kind_has_word(html, STR("download=")) &&
		    (kind_has_word(html, STR("\"data:application/")) ||
		    kind_has_word(html, STR("'data:application/")));
	return (makes && gives && (decodes || longest_run(html) >= RUN_MIN)) ||
	    (decodes && gives && longest_run(html) >= RUN_MIN);
}

static bool
asks_for_password(struct str html)
{
	static const char *const words[] = { "type=\"password\"",
		"type='password'", "type=password" };

	return kind_has_word(html, STR("<input")) &&
	    has_any(html, words, COUNT(words));
}

void
inspect_html(const struct inspected *file)
{
	struct str html = str_sub(file->octets, 0, INSPECT_HTML_MAX);

	if (file->octets.len > html.len)
		inspect_note(file, ATTACK_CONTAINER_LIMIT);
	if (is_smuggling(html))
		inspect_note(file, ATTACK_HTML_SMUGGLING);
	/* Mail programs run no scripts: only a file of its own does. */
	if (has_script(html) && file->name.len != 0)
		inspect_note(file, ATTACK_HTML_SCRIPT);
	if (asks_for_password(html) && file->name.len != 0)
		inspect_note(file, ATTACK_HTML_PASSWORD);
	urls_of_html(file->of->urls, html);
	urls_of_text(file->of->urls, html);
}

void
inspect_svg(const struct inspected *file)
{
	struct str svg = str_sub(file->octets, 0, INSPECT_HTML_MAX);

	if (has_script(svg) || kind_has_word(svg, STR("<foreignobject")))
		inspect_note(file, ATTACK_SVG_SCRIPT);
	if (is_smuggling(svg))
		inspect_note(file, ATTACK_HTML_SMUGGLING);
	urls_of_html(file->of->urls, svg);
}
