/* SPDX-License-Identifier: ISC */
#include "base/buf.h"

#include <stdarg.h>

void
buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){ .max = max };
}

void
buf_fini(struct buf *buf)
{
	free(buf->p);
	*buf = (struct buf){ .max = buf->max };
}

void
buf_wipe(struct buf *buf)
{
	if (buf->p != NULL)
		explicit_bzero(buf->p, buf->cap);
	buf_fini(buf);
}

void
buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->start = 0;
	buf->has_failed = false;
}

void
buf_trim(struct buf *buf)
{
	if (buf->len != 0 || buf->p == NULL)
		return;
	free(buf->p);
	buf->p = NULL;
	buf->start = 0;
	buf->cap = 0;
}

char *
buf_reserve(struct buf *buf, size_t len)
{
	size_t want, cap;
	char *p;

	if (buf->has_failed || len > buf->max - buf->len) {
		buf->has_failed = true;
		return NULL;
	}
	want = buf->len + len;
	if (buf->p != NULL && buf->start + want <= buf->cap)
		return buf->p + buf->start + buf->len;
	/* Move to the front when that alone makes room and is cheap. */
	if (buf->p != NULL && want <= buf->cap && buf->start >= buf->len) {
		memcpy(buf->p, buf->p + buf->start, buf->len);
		buf->start = 0;
		return buf->p + buf->len;
	}
	cap = buf->cap != 0 ? buf->cap : 256;
	while (cap < want)
		cap *= 2;
	p = malloc(cap);
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	if (buf->len != 0)
		memcpy(p, buf->p + buf->start, buf->len);
	free(buf->p);
	buf->p = p;
	buf->cap = cap;
	buf->start = 0;
	return p + buf->len;
}

void
buf_grow(struct buf *buf, size_t len)
{
	invariant(buf->start + buf->len + len <= buf->cap);
	buf->len += len;
}

void
buf_add(struct buf *buf, const void *data, size_t len)
{
	char *p;

	if (len == 0)
		return;
	p = buf_reserve(buf, len);
	if (p == NULL)
		return;
	memcpy(p, data, len);
	buf->len += len;
}

void
buf_add_str(struct buf *buf, struct str s)
{
	buf_add(buf, s.p, s.len);
}

void
buf_add_cstr(struct buf *buf, const char *cstr)
{
	buf_add(buf, cstr, strlen(cstr));
}

void
buf_add_char(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void
buf_add_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void
buf_addf(struct buf *buf, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	char *p;
	int n;

	/* Nearly all of it is short: then one pass is enough. */
	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	invariant(n >= 0);
	if ((size_t)n < sizeof(small)) {
		buf_add(buf, small, (size_t)n);
		return;
	}
	if ((size_t)n > buf->max - buf->len) {
		buf->has_failed = true;
		return;
	}
	/* vsnprintf also writes a NUL, for which max may leave no room. */
	buf->max += 1;
	p = buf_reserve(buf, (size_t)n + 1);
	buf->max -= 1;
	if (p == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
}

void
buf_add_hex(struct buf *buf, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *in = data;
	char *p = buf_reserve(buf, len * 2);
	size_t i;

	if (p == NULL)
		return;
	for (i = 0; i < len; i++) {
		p[i * 2] = digits[in[i] >> 4];
		p[i * 2 + 1] = digits[in[i] & 15];
	}
	buf->len += len * 2;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
buf_add_base64(struct buf *buf, const void *data, size_t len)
{
	const unsigned char *in = data;
	char *p = buf_reserve(buf, (len + 2) / 3 * 4);
	unsigned v;
	size_t i, left;

	if (p == NULL)
		return;
	for (i = 0; i < len; i += 3) {
		left = len - i;
		v = (unsigned)in[i] << 16;
		if (left > 1)
			v |= (unsigned)in[i + 1] << 8;
		if (left > 2)
			v |= in[i + 2];
		*p++ = base64_digits[v >> 18];
		*p++ = base64_digits[v >> 12 & 63];
		*p++ = left > 1 ? base64_digits[v >> 6 & 63] : '=';
		*p++ = left > 2 ? base64_digits[v & 63] : '=';
	}
	buf->len += (len + 2) / 3 * 4;
}

static int
base64_value(char c)
{
	const char *hit;

	if (c == '\0')
		return -1;
	hit = strchr(base64_digits, c);
	return hit != NULL ? (int)(hit - base64_digits) : -1;
}

int
buf_add_unbase64(struct buf *buf, struct str s)
{
	size_t i, j, pad = 0, before = buf->len;
	unsigned v;
	int d;

	if (s.len % 4 != 0)
		return ERR_SYNTAX;
	while (pad < 2 && pad < s.len && s.p[s.len - 1 - pad] == '=')
		pad++;
	for (i = 0; i < s.len; i += 4) {
		v = 0;
		for (j = 0; j < 4; j++) {
			d = i + j >= s.len - pad ? 0 : base64_value(s.p[i + j]);
			if (d < 0) {
				buf_truncate(buf, before);
				return ERR_SYNTAX;
			}
			v = v << 6 | (unsigned)d;
		}
		buf_add_char(buf, (char)(v >> 16));
		if (i + 4 < s.len || pad < 2)
			buf_add_char(buf, (char)(v >> 8 & 255));
		if (i + 4 < s.len || pad < 1)
			buf_add_char(buf, (char)(v & 255));
	}
	return 0;
}

void
buf_consume(struct buf *buf, size_t len)
{
	invariant(len <= buf->len);
	buf->len -= len;
	buf->start = buf->len != 0 ? buf->start + len : 0;
}

void
buf_truncate(struct buf *buf, size_t len)
{
	invariant(len <= buf->len);
	buf->len = len;
}

struct str
buf_str(const struct buf *buf)
{
	return (struct str){ buf->p != NULL ? buf->p + buf->start : NULL,
	    buf->len };
}

bool
buf_failed(const struct buf *buf)
{
	return buf->has_failed;
}
