/* SPDX-License-Identifier: ISC */
#include "proto/smtp_data.h"

#include "proto/scan_int.h"

/* The first three are enum scan_at. */
enum state {
	AT_TEXT = SCAN_TEXT,
	AT_BOL = SCAN_BOL,
	AT_CR = SCAN_CR,
	AT_DOT,			/* after a dot that began a line */
	AT_DOT_CR,		/* after that dot and a CR */
	AT_END,
};

enum action {
	KEEP,			/* the octet belongs to the body */
	SKIP,			/* it does not */
	BAD,			/* a bare CR or LF shows at this octet */
};

struct step {
	enum state state;
	enum action action;
};

/* What octet c means in a state. */
static struct step
step(enum state state, char c)
{
	switch (state) {
	case AT_CR:
		if (c == '\n')
			return (struct step){ AT_BOL, KEEP };
		return (struct step){ c == '\r' ? AT_CR : AT_TEXT, BAD };
	case AT_DOT:
		if (c == '\r')
			return (struct step){ AT_DOT_CR, SKIP };
		break;
	case AT_DOT_CR:
		if (c == '\n')
			return (struct step){ AT_END, SKIP };
		return (struct step){ c == '\r' ? AT_CR : AT_TEXT, BAD };
	case AT_BOL:
		if (c == '.')
			return (struct step){ AT_DOT, SKIP };
		break;
	case AT_TEXT:
	case AT_END:
		break;
	}
	if (c == '\r')
		return (struct step){ AT_CR, KEEP };
	return (struct step){ AT_TEXT, c == '\n' ? BAD : KEEP };
}

void
smtp_data_init(struct smtp_data *data, uint64_t max_octets)
{
	*data = (struct smtp_data){ .max_octets = max_octets,
	    .state = AT_BOL };
}

/* How many octets can be taken unseen; moves *state over them. */
static size_t
skip_clean(const char *p, size_t len, enum state *state)
{
	enum scan_at at;
	size_t n;

	at = (enum scan_at)*state;
	n = scan_clean(p, len, &at);
	*state = (enum state)at;
	return n;
}

/* Count a span of the body; what passes the limit is cut off. */
static struct str
take(struct smtp_data *data, struct str span)
{
	uint64_t room = data->max_octets - data->size_octets;

	if (data->verdict != SMTP_DATA_OK) {
		data->dropped_octets += span.len;
		return STR_NONE;
	}
	if (span.len > room) {
		data->verdict = SMTP_DATA_TOO_BIG;
		data->dropped_octets += span.len - room;
		span.len = (size_t)room;
	}
	data->size_octets += span.len;
	return span;
}

/*
 * The octet that shows a bare CR or LF ends the body. A CR before it has
 * been given out already, which is harmless: the body is refused.
 */
static void
fail(struct smtp_data *data)
{
	if (data->verdict == SMTP_DATA_OK)
		data->verdict = SMTP_DATA_BAD_LINE_END;
	data->dropped_octets++;
}

enum smtp_data_result
smtp_data_next(struct smtp_data *data, struct str in, struct str *span_r,
    size_t *used_r)
{
	enum state state = (enum state)data->state;
	struct step s = { state, KEEP };
	size_t i = 0, try_at = 0;

	/* An octet that is not of the body ends the span and the call. */
	while (i < in.len && s.action == KEEP) {
		if (i >= try_at && state <= AT_CR) {
			i += skip_clean(in.p + i, in.len - i, &state);
			try_at = i + 64;
			if (i == in.len)
				break;
		}
		s = step(state, in.p[i++]);
		state = s.state;
	}
	*used_r = i;
	*span_r = take(data, str_sub(in, 0, s.action == KEEP ? i : i - 1));
	if (s.action == BAD)
		fail(data);
	data->state = (unsigned char)state;
	return state == AT_END ? SMTP_DATA_END : SMTP_DATA_MORE;
}
