/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/headline.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "mail/charset.h"
#include "mail/header.h"

#define HEAD_OCTETS (64U << 10)
#define LINE_MAX_OCTETS 400U

/* Octets of the character at the start of UTF-8 text; 0: malformed. */
static size_t
character(struct str text)
{
	size_t len;

	for (len = 1; len <= 4 && len <= text.len; len++)
		if (str_is_utf8(str_sub(text, 0, len)))
			return len;
	return 0;
}

/* C0 but line end and tab, DEL, C1; marks and overrides of direction. */
static bool
is_unsafe(struct str c)
{
	const unsigned char *p = (const unsigned char *)c.p;

	if (c.len == 1)
		return (p[0] < 0x20 && p[0] != '\n' && p[0] != '\t') ||
		    p[0] == 0x7f;
	if (c.len == 2)
		return p[0] == 0xc2 && p[1] < 0xa0;
	if (c.len != 3 || p[0] != 0xe2)
		return false;
	return (p[1] == 0x80 && ((p[2] >= 0x8b && p[2] <= 0x8f) ||
	    (p[2] >= 0xa8 && p[2] <= 0xae))) ||
	    (p[1] == 0x81 && p[2] >= 0xa0 && p[2] <= 0xaf);
}

struct str
headline_clean(struct str text, size_t max, struct arena *arena)
{
	struct str clean, c;
	struct buf out;
	size_t n;

	buf_init(&out, max + 8);
	while (text.len != 0) {
		n = character(text);
		c = n != 0 ? str_sub(text, 0, n) : STR("?");
		if (!is_unsafe(c)) {
			if (out.len + c.len > max)
				break;
			buf_add_str(&out, c);
		}
		text = str_sub(text, n != 0 ? n : 1, text.len);
	}
	clean = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return clean;
}

static struct str
field(struct str head, struct str name, struct arena *arena)
{
	struct header_field found;
	struct str text;
	struct buf out;

	if (!header_find(head, name, &found))
		return STR("");
	buf_init(&out, HEAD_OCTETS);
	rfc2047_decode(&out, str_sub(found.value, 0, HEAD_OCTETS / 8));
	text = headline_clean(str_trim(buf_str(&out)), LINE_MAX_OCTETS,
	    arena);
	buf_fini(&out);
	return text;
}

int
headline_read(struct quarantine_entry *entry, int blob_fd,
    struct arena *arena, struct err *err)
{
	char *data = arena_alloc(arena, HEAD_OCTETS);
	size_t len = 0;
	ssize_t n;

	while (len < HEAD_OCTETS) {
		n = pread(blob_fd, data + len, HEAD_OCTETS - len, (off_t)len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_errno(err, ERR_TEMP, "the message");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	entry->from = field(str_make(data, len), STR("From"), arena);
	entry->subject = field(str_make(data, len), STR("Subject"), arena);
	entry->date = field(str_make(data, len), STR("Date"), arena);
	return 0;
}
