/* SPDX-License-Identifier: ISC */
#include "proto/sasl.h"

static enum sasl_line
decode(struct str s, struct buf *out)
{
	if (s.len > SASL_LINE_MAX)
		return SASL_LINE_LONG;
	if (buf_add_unbase64(out, s) != 0)
		return SASL_LINE_BAD;
	return buf_failed(out) ? SASL_LINE_LONG : SASL_LINE_DATA;
}

enum sasl_line
sasl_read_line(struct str line, struct buf *out)
{
	if (str_eq(line, STR("*")))
		return SASL_LINE_CANCEL;
	return decode(line, out);
}

enum sasl_line
sasl_read_initial(struct str word, struct buf *out)
{
	if (str_eq(word, STR("=")))
		return SASL_LINE_DATA;
	/* Nothing at all is not a response: the caller sends a challenge. */
	if (word.len == 0)
		return SASL_LINE_BAD;
	return decode(word, out);
}

void
sasl_put_challenge(struct buf *out, const char *prefix, struct str data)
{
	buf_add_cstr(out, prefix);
	buf_add_base64(out, data.p, data.len);
	buf_add_cstr(out, "\r\n");
}

bool
sasl_is_mechanism(struct str name)
{
	size_t i;

	if (name.len == 0 || name.len > SASL_MECHANISM_MAX)
		return false;
	for (i = 0; i < name.len; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) &&
		    name.p[i] != '-' && name.p[i] != '_')
			return false;
	return true;
}
