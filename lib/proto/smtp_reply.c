/* SPDX-License-Identifier: ISC */
#include "proto/smtp.h"

/* RFC 5321 section 4.5.3.1.5: 512 octets with code and CRLF. */
#define REPLY_TEXT_MAX 480

static void
put_printable(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_add_char(out, s.p[i] >= 0x20 && s.p[i] < 0x7f ?
		    s.p[i] : '?');
}

static void
put_start(struct buf *out, unsigned code, bool is_last)
{
	buf_addf(out, "%03u%c", code % 1000, is_last ? ' ' : '-');
}

void
smtp_put_line(struct buf *out, unsigned code, bool is_last, struct str text)
{
	put_start(out, code, is_last);
	put_printable(out, str_sub(text, 0, REPLY_TEXT_MAX));
	buf_add_cstr(out, "\r\n");
}

/* Cut one line off *text: up to an LF, at most REPLY_TEXT_MAX octets. */
static struct str
cut_line(struct str *text)
{
	struct str line = str_sub(*text, 0, REPLY_TEXT_MAX);
	size_t lf = str_find(line, '\n');

	if (lf != STR_NPOS)
		line.len = lf;
	*text = str_sub(*text, line.len + (lf != STR_NPOS), text->len);
	return line;
}

/* RFC 2034 section 4: the enhanced code stands on every line. */
void
smtp_put_reply(struct buf *out, unsigned code, const char *enhanced,
    struct str text)
{
	struct str line;

	do {
		line = cut_line(&text);
		put_start(out, code, text.len == 0);
		if (enhanced != NULL) {
			buf_add_cstr(out, enhanced);
			buf_add_char(out, ' ');
		}
		put_printable(out, line);
		buf_add_cstr(out, "\r\n");
	} while (text.len != 0);
}
