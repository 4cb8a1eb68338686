/* SPDX-License-Identifier: ISC */
#include "smtpd/relay/letter.h"

#include <unistd.h>

#include "mail/downgrade.h"

#define READ_OCTETS 65536
#define FRONT_MAX (64U << 10)

struct letter {
	struct mail_view view;
	char *trace;
	uint64_t flags;
	uint64_t at;			/* examined, or read */
	bool is_examined;
	bool has_8bit, has_8bit_header, is_binary;
	/* examining */
	bool in_body, has_cr;
	size_t line;
	/* in another form */
	struct downgrade *downgrade;
	enum downgrade_to to;
	enum downgrade_result result;
	enum letter_form form;
	struct buf front;		/* in front of all that */
	bool has_front;			/* it was read */
};

struct letter *
letter_new(int fd, struct str trace, uint64_t size, uint64_t flags)
{
	struct letter *letter = calloc(1, sizeof(*letter));

	invariant(letter != NULL);
	letter->trace = malloc(trace.len + 1);
	invariant(letter->trace != NULL);
	if (trace.len != 0)
		memcpy(letter->trace, trace.p, trace.len);
	letter->view = mail_view_of_fd(str_make(letter->trace, trace.len),
	    fd, size);
	letter->flags = flags;
	buf_init(&letter->front, FRONT_MAX);
	return letter;
}

void
letter_free(struct letter **letter)
{
	if (*letter == NULL)
		return;
	downgrade_free(&(*letter)->downgrade);
	if ((*letter)->view.fd != -1)
		(void)close((*letter)->view.fd);
	buf_fini(&(*letter)->front);
	free((*letter)->trace);
	free(*letter);
	*letter = NULL;
}

uint64_t
letter_size(const struct letter *letter)
{
	return mail_view_size(&letter->view) + letter->front.len;
}

void
letter_put_front(struct letter *letter, struct str front)
{
	buf_reset(&letter->front);
	buf_add_str(&letter->front, front);
	invariant(!buf_failed(&letter->front));
}

uint64_t
letter_flags(const struct letter *letter)
{
	return letter->flags;
}

bool
letter_has_8bit(const struct letter *letter)
{
	return letter->has_8bit || letter->has_8bit_header;
}

/* ---- what is in it ---- */

static bool
is_ascii(const char *p, size_t len)
{
	uint64_t word, all = 0;
	unsigned char c = 0;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		all |= word;
	}
	while (len-- != 0)
		c |= (unsigned char)*p++;
	return (all & 0x8080808080808080ULL) == 0 && c < 0x80;
}

/* Is a line, without its LF, plain: one CR, at its end, and short enough? */
static bool
is_plain_line(const char *p, size_t len)
{
	return len != 0 && p[len - 1] == '\r' && len <= DOWNGRADE_LINE_MAX &&
	    memchr(p, '\r', len - 1) == NULL;
}

/*
 * Whole plain lines at the begin of p, from the begin of a line on: how many
 * octets look_closely() need not see. Most of most messages.
 */
static size_t
look_over(struct letter *letter, const char *p, size_t len)
{
	const char *at = p, *end = p + len, *lf;

	if (letter->has_cr || letter->line != 0 || !is_ascii(p, len) ||
	    memchr(p, '\0', len) != NULL)
		return 0;
	while ((lf = memchr(at, '\n', (size_t)(end - at))) != NULL &&
	    is_plain_line(at, (size_t)(lf - at))) {
		if (lf - at == 1)
			letter->in_body = true;
		at = lf + 1;
	}
	return (size_t)(at - p);
}

static void
look_closely(struct letter *letter, const char *p, size_t len)
{
	size_t i;
	char c;

	for (i = 0; i < len; i++) {
		c = p[i];
		if ((unsigned char)c > 0x7f) {
			letter->has_8bit |= letter->in_body;
			letter->has_8bit_header |= !letter->in_body;
		}
		letter->is_binary |= c == '\0' ||
		    letter->has_cr != (c == '\n');
		letter->has_cr = c == '\r';
		if (c == '\n') {
			if (letter->line == 0)
				letter->in_body = true;
			letter->line = 0;
		} else if (c != '\r' && ++letter->line > DOWNGRADE_LINE_MAX &&
		    letter->in_body) {
			letter->is_binary = true;
		}
	}
}

/* Up to the end of a line that began in the last piece, then by lines. */
static void
look(struct letter *letter, const char *p, size_t len)
{
	const char *lf = letter->line != 0 || letter->has_cr ?
	    memchr(p, '\n', len) : NULL;
	size_t begin = lf != NULL ? (size_t)(lf - p) + 1 : 0;

	look_closely(letter, p, begin);
	begin += look_over(letter, p + begin, len - begin);
	look_closely(letter, p + begin, len - begin);
}

static int
examine(struct letter *letter, size_t max, struct err *err)
{
	char data[READ_OCTETS];
	size_t len = 1;
	int rc = 0;

	while (rc == 0 && len != 0 && max != 0) {
		rc = mail_view_read(&letter->view, letter->at, data,
		    max < sizeof(data) ? max : sizeof(data), &len, err);
		if (rc != 0)
			break;
		look(letter, data, len);
		letter->at += len;
		max -= len;
	}
	letter->is_examined = rc == 0 && len == 0;
	return rc;
}

/* ---- what a hop can take ---- */

static bool
has(unsigned extensions, unsigned which)
{
	return (extensions & which) == which;
}

/* The form, and whether it takes a downgrade. */
static enum letter_form
choose(const struct letter *letter, unsigned extensions)
{
	if ((letter->flags & QUEUE_F_BINARY) != 0 && letter->is_binary &&
	    has(extensions, SMTP_X_CHUNKING | SMTP_X_BINARYMIME))
		return LETTER_BINARY;
	if (letter->has_8bit && !has(extensions, SMTP_X_8BITMIME))
		return LETTER_TO_7BIT;
	return letter->is_binary ? LETTER_TO_8BIT : LETTER_PLAIN;
}

/* Prepare the downgrade to this; true: it is at its end. */
static bool
prepare(struct letter *letter, enum downgrade_to to, size_t max,
    struct err *err)
{
	if (letter->downgrade == NULL || letter->to != to) {
		downgrade_free(&letter->downgrade);
		letter->downgrade = downgrade_new(&letter->view, to);
		letter->to = to;
		letter->result = DOWNGRADE_MORE;
	}
	if (letter->result == DOWNGRADE_MORE)
		letter->result = downgrade_prepare(letter->downgrade, max,
		    err);
	return letter->result != DOWNGRADE_MORE;
}

int
letter_prepare(struct letter *letter, unsigned extensions, size_t max,
    bool *is_done_r, enum letter_form *form_r, bool *is_utf8_needed_r,
    struct err *err)
{
	bool is_utf8 = (letter->flags & QUEUE_F_UTF8) != 0;
	enum downgrade_to to;
	int rc;

	*is_done_r = false;
	*is_utf8_needed_r = false;
	if (!letter->is_examined) {
		rc = examine(letter, max, err);
		if (rc != 0 || !letter->is_examined)
			return rc;
	}
	*form_r = choose(letter, extensions);
	*is_done_r = true;
	to = *form_r == LETTER_TO_7BIT ? DOWNGRADE_7BIT : DOWNGRADE_8BIT;
	/* Only a message whose sender asked for SMTPUTF8 can need it; which
	 * of its headers do, only the structure tells. */
	if (*form_r == LETTER_PLAIN && !(is_utf8 && letter_has_8bit(letter)))
		return 0;
	if (*form_r == LETTER_BINARY && !is_utf8)
		return 0;
	*is_done_r = prepare(letter, to, max, err);
	if (letter->result == DOWNGRADE_FAILED)
		return ERR_TEMP;
	*is_utf8_needed_r = is_utf8 &&
	    downgrade_has_utf8_header(letter->downgrade);
	if (letter->result == DOWNGRADE_IMPOSSIBLE &&
	    (*form_r == LETTER_TO_7BIT || *form_r == LETTER_TO_8BIT))
		return err_set(err, ERR_DENIED, "cannot be converted");
	return 0;
}

/* ---- reading ---- */

void
letter_open(struct letter *letter, enum letter_form form)
{
	letter->form = form;
	letter->at = 0;
	letter->has_front = false;
	if (form == LETTER_TO_7BIT || form == LETTER_TO_8BIT)
		downgrade_rewind(letter->downgrade);
}

int
letter_read(struct letter *letter, size_t max, struct buf *out,
    bool *is_end_r, struct err *err)
{
	size_t len;
	char *p;
	int rc;

	if (!letter->has_front && letter->front.len != 0) {
		buf_add_str(out, buf_str(&letter->front));
		letter->has_front = true;
		*is_end_r = false;
		return 0;
	}
	if (letter->form == LETTER_TO_7BIT || letter->form == LETTER_TO_8BIT)
		return downgrade_read(letter->downgrade, max, out, is_end_r,
		    err);
	p = buf_reserve(out, max);
	if (p == NULL)
		return err_set(err, ERR_LIMIT, "no room");
	rc = mail_view_read(&letter->view, letter->at, p, max, &len, err);
	if (rc != 0)
		return rc;
	buf_grow(out, len);
	letter->at += len;
	*is_end_r = letter->at == mail_view_size(&letter->view);
	return len != 0 || *is_end_r ? 0 :
	    err_set(err, ERR_CORRUPT, "the message is shorter");
}
