/* SPDX-License-Identifier: ISC */
#include "proto/smtp_answer.h"

#define LIMIT_MAX 1000000000

void
smtp_answer_init(struct smtp_answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	buf_init(&answer->text, SMTP_ANSWER_TEXT_MAX);
	buf_init(&answer->line, SMTP_ANSWER_LINE_MAX);
}

void
smtp_answer_fini(struct smtp_answer *answer)
{
	buf_fini(&answer->text);
	buf_fini(&answer->line);
}

void
smtp_answer_reset(struct smtp_answer *answer)
{
	answer->code = 0;
	answer->enhanced[0] = '\0';
	answer->lines = 0;
	answer->is_done = false;
	buf_reset(&answer->text);
	buf_reset(&answer->line);
}

/* RFC 3463 section 2: class "." subject "." detail. Its length, or 0. */
static size_t
enhanced_length(struct str s)
{
	size_t i = 1, digits, dots;

	if (s.len < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
		return 0;
	for (dots = 0; dots < 2; dots++) {
		if (i >= s.len || s.p[i++] != '.')
			return 0;
		for (digits = 0; i < s.len && ascii_is_digit(s.p[i]); i++)
			digits++;
		if (digits < 1 || digits > 3)
			return 0;
	}
	return i == s.len || s.p[i] == ' ' ? i : 0;
}

/* Take an enhanced code off the front of a line's text. */
static struct str
take_enhanced(struct smtp_answer *answer, struct str text)
{
	size_t len = enhanced_length(text);

	if (len == 0 || (unsigned)(text.p[0] - '0') != answer->code / 100)
		return text;
	if (answer->lines == 0)
		(void)snprintf(answer->enhanced, sizeof(answer->enhanced),
		    "%.*s", (int)len, text.p);
	return str_trim(str_sub(text, len, text.len));
}

/* A whole line, without its end. */
static enum smtp_answer_result
take_line(struct smtp_answer *answer, struct str line)
{
	uint64_t code;

	if (str_to_u64(str_sub(line, 0, 3), 599, &code) != 0 || code < 200 ||
	    line.len < 3 || (line.len > 3 && line.p[3] != ' ' &&
	    line.p[3] != '-'))
		return SMTP_ANSWER_BAD;
	if (answer->lines != 0 && code != answer->code)
		return SMTP_ANSWER_BAD;
	answer->code = (unsigned)code;
	if (answer->lines != 0)
		buf_add_char(&answer->text, '\n');
	buf_add_str(&answer->text, take_enhanced(answer,
	    str_sub(line, 4, line.len)));
	if (++answer->lines > SMTP_ANSWER_LINES_MAX ||
	    buf_failed(&answer->text))
		return SMTP_ANSWER_BAD;
	return line.len > 3 && line.p[3] == '-' ? SMTP_ANSWER_MORE :
	    SMTP_ANSWER_DONE;
}

enum smtp_answer_result
smtp_answer_feed(struct smtp_answer *answer, struct str in, size_t *used_r)
{
	enum smtp_answer_result result = SMTP_ANSWER_MORE;
	struct str rest = in, line;
	size_t at;

	if (answer->is_done)
		smtp_answer_reset(answer);
	while (result == SMTP_ANSWER_MORE && rest.len != 0) {
		at = str_find(rest, '\n');
		buf_add(&answer->line, rest.p, at == STR_NPOS ? rest.len : at);
		if (buf_failed(&answer->line)) {
			result = SMTP_ANSWER_BAD;
			break;
		}
		rest = str_sub(rest, at == STR_NPOS ? rest.len : at + 1,
		    rest.len);
		if (at == STR_NPOS)
			break;
		line = buf_str(&answer->line);
		if (line.len != 0 && line.p[line.len - 1] == '\r')
			line.len--;
		result = take_line(answer, line);
		buf_reset(&answer->line);
	}
	*used_r = in.len - rest.len;
	answer->is_done = result == SMTP_ANSWER_DONE;
	return result;
}

void
smtp_answer_put(const struct smtp_answer *answer, size_t max, struct buf *out)
{
	size_t from = out->len;

	buf_addf(out, "%u", answer->code);
	if (answer->enhanced[0] != '\0')
		buf_addf(out, " %s", answer->enhanced);
	if (answer->text.len == 0)
		return;
	buf_add_char(out, ' ');
	if (out->len - from < max)
		smtp_put_one_line(out, buf_str(&answer->text),
		    max - (out->len - from));
}

/* ---- EHLO ---- */

struct keyword {
	struct str name;
	unsigned bit;
	void (*read)(struct str args, struct smtp_caps *caps);
};

static struct str
next_word(struct str *rest)
{
	struct str word;

	do
		word = str_cut(*rest, ' ', rest);
	while (word.len == 0 && rest->p != NULL);
	return word;
}

static void
read_size(struct str args, struct smtp_caps *caps)
{
	(void)str_to_u64(next_word(&args), UINT64_MAX, &caps->size_octets);
}

static void
read_auth(struct str args, struct smtp_caps *caps)
{
	static const struct keyword mechanisms[] = {
		{ { "PLAIN", 5 }, SMTP_M_PLAIN, NULL },
		{ { "LOGIN", 5 }, SMTP_M_LOGIN, NULL },
		{ { "SCRAM-SHA-256", 13 }, SMTP_M_SCRAM_SHA_256, NULL },
	};
	struct str word;
	size_t i;

	while (args.p != NULL) {
		word = next_word(&args);
		for (i = 0; i < 3; i++)
			if (str_eq_nocase(word, mechanisms[i].name))
				caps->mechanisms |= mechanisms[i].bit;
	}
}

/* RFC 9422 section 3: "LIMITS RCPTMAX=20 MAILMAX=5". */
static void
read_limits(struct str args, struct smtp_caps *caps)
{
	struct str word, name, value;
	uint64_t number;

	while (args.p != NULL) {
		word = next_word(&args);
		name = str_cut(word, '=', &value);
		if (str_to_u64(value, LIMIT_MAX, &number) != 0)
			continue;
		if (str_eq_nocase(name, STR("RCPTMAX")))
			caps->rcpt_max = number;
		else if (str_eq_nocase(name, STR("MAILMAX")))
			caps->mail_max = number;
	}
}

static const struct keyword keywords[] = {
	{ { "PIPELINING", 10 }, SMTP_X_PIPELINING, NULL },
	{ { "SIZE", 4 }, SMTP_X_SIZE, read_size },
	{ { "8BITMIME", 8 }, SMTP_X_8BITMIME, NULL },
	{ { "SMTPUTF8", 8 }, SMTP_X_SMTPUTF8, NULL },
	{ { "DSN", 3 }, SMTP_X_DSN, NULL },
	{ { "CHUNKING", 8 }, SMTP_X_CHUNKING, NULL },
	{ { "BINARYMIME", 10 }, SMTP_X_BINARYMIME, NULL },
	{ { "REQUIRETLS", 10 }, SMTP_X_REQUIRETLS, NULL },
	{ { "ENHANCEDSTATUSCODES", 19 }, SMTP_X_ENHANCED, NULL },
	{ { "STARTTLS", 8 }, SMTP_X_STARTTLS, NULL },
	{ { "AUTH", 4 }, SMTP_X_AUTH, read_auth },
	{ { "LIMITS", 6 }, SMTP_X_LIMITS, read_limits },
};

static void
read_keyword(struct str line, struct smtp_caps *caps)
{
	struct str args = line, word;
	size_t i;

	/* "AUTH=LOGIN" is how servers of the last century said it. */
	if (str_begins_nocase(line, STR("AUTH="))) {
		read_auth(str_sub(line, 5, line.len), caps);
		caps->extensions |= SMTP_X_AUTH;
		return;
	}
	word = next_word(&args);
	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (!str_eq_nocase(word, keywords[i].name))
			continue;
		caps->extensions |= keywords[i].bit;
		if (keywords[i].read != NULL && args.p != NULL)
			keywords[i].read(args, caps);
	}
}

void
smtp_caps_read(struct str text, struct smtp_caps *caps_r)
{
	struct str rest = text, line;

	memset(caps_r, 0, sizeof(*caps_r));
	line = str_cut(rest, '\n', &rest);
	line = next_word(&line);
	if (line.len < sizeof(caps_r->name) && str_is_printable(line))
		(void)snprintf(caps_r->name, sizeof(caps_r->name), "%.*s",
		    STR_FMT(line));
	while (rest.p != NULL)
		read_keyword(str_trim(str_cut(rest, '\n', &rest)), caps_r);
}
