/* SPDX-License-Identifier: ISC */
#include "imapd/engine/preview.h"

#include "mail/text.h"

#define SLICE (16U << 10)
#define SLICES_MAX 16U
#define CHARACTERS_MAX 200U

struct preview {
	struct mail_text *text;
	struct buf raw;		/* of this step */
	struct buf line;
	unsigned slices;
	unsigned characters;
	bool has_blank;		/* one is due before the next character */
};

struct preview *
preview_new(const struct imap_message *m)
{
	struct preview *preview = calloc(1, sizeof(*preview));

	invariant(preview != NULL);
	preview->text = mail_text_new(&m->view, m->summary, MAIL_TEXT_BODY);
	buf_init(&preview->raw, 1U << 20);
	buf_init(&preview->line, CHARACTERS_MAX * 4 + 8);
	return preview;
}

void
preview_free(struct preview **preview)
{
	if (*preview == NULL)
		return;
	mail_text_free(&(*preview)->text);
	buf_fini(&(*preview)->raw);
	buf_fini(&(*preview)->line);
	free(*preview);
	*preview = NULL;
}

struct str
preview_text(const struct preview *preview)
{
	return buf_str(&preview->line);
}

static bool
is_blank(unsigned char c)
{
	return c <= ' ' || c == 0x7f;
}

/* Runs of blanks and controls become one blank. False: it is full. */
static bool
take(struct preview *p, struct str text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (is_blank((unsigned char)text.p[i])) {
			p->has_blank = p->line.len != 0;
			continue;
		}
		/* An octet that continues a character is none of its own. */
		if (((unsigned char)text.p[i] & 0xc0) != 0x80) {
			if (p->characters + p->has_blank >= CHARACTERS_MAX)
				return false;
			p->characters += 1U + p->has_blank;
			if (p->has_blank)
				buf_add_char(&p->line, ' ');
			p->has_blank = false;
		}
		buf_add_char(&p->line, text.p[i]);
	}
	return true;
}

bool
preview_step(struct preview *p)
{
	enum mail_text_result result;

	buf_reset(&p->raw);
	result = mail_text_step(p->text, SLICE, &p->raw, NULL);
	if (!take(p, buf_str(&p->raw)) || ++p->slices >= SLICES_MAX)
		return true;
	/* The first part that says something is enough. */
	if (result == MAIL_TEXT_BREAK)
		return p->line.len != 0;
	return result != MAIL_TEXT_MORE;
}
