/* SPDX-License-Identifier: ISC */
#include "proto/smtp.h"

#include "proto/sasl.h"

#define PATH_MAX_OCTETS 1000
#define NAME_MAX_OCTETS 255

/* A line being read from left to right. */
struct cursor {
	struct str line;
	size_t at;
	struct smtp_refusal *refusal;
};

static int
refuse(struct cursor *c, unsigned code, const char *enhanced, const char *text)
{
	*c->refusal = (struct smtp_refusal){ code, enhanced, text, c->at };
	return ERR_SYNTAX;
}

static int
bad_args(struct cursor *c, const char *text)
{
	return refuse(c, 501, "5.5.4", text);
}

static bool
is_end(const struct cursor *c)
{
	return c->at >= c->line.len;
}

static char
peek(const struct cursor *c)
{
	return is_end(c) ? '\0' : c->line.p[c->at];
}

static void
skip_spaces(struct cursor *c)
{
	while (peek(c) == ' ' || peek(c) == '\t')
		c->at++;
}

/* The octets up to the next blank. */
static struct str
word(struct cursor *c)
{
	size_t from = c->at;

	while (!is_end(c) && peek(c) != ' ' && peek(c) != '\t')
		c->at++;
	return str_sub(c->line, from, c->at - from);
}

/* What is left, without blanks around it. */
static struct str
rest(struct cursor *c)
{
	struct str s = str_trim(str_sub(c->line, c->at, c->line.len));

	c->at = c->line.len;
	return s;
}

static int
parse_nothing(struct cursor *c, struct smtp_command *cmd)
{
	(void)cmd;
	skip_spaces(c);
	return is_end(c) ? 0 : bad_args(c, "No argument allowed");
}

static int
parse_text(struct cursor *c, struct smtp_command *cmd)
{
	cmd->arg = rest(c);
	return 0;
}

static int
parse_text_needed(struct cursor *c, struct smtp_command *cmd)
{
	cmd->arg = rest(c);
	return cmd->arg.len != 0 ? 0 : bad_args(c, "Argument missing");
}

static int
parse_hello(struct cursor *c, struct smtp_command *cmd)
{
	skip_spaces(c);
	cmd->arg = word(c);
	skip_spaces(c);
	if (cmd->arg.len == 0)
		return bad_args(c, "Host name missing");
	if (!is_end(c) || cmd->arg.len > NAME_MAX_OCTETS)
		return bad_args(c, "Host name malformed");
	return 0;
}

/*
 * The end of a path that began with "<": the ">" that stands outside quotes
 * and brackets' contents. STR_NPOS when there is none.
 */
static size_t
path_end(struct str s)
{
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < s.len; i++) {
		if (is_quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted && s.p[i] == '>')
			return i;
		else if (!is_quoted && (s.p[i] == '<' || s.p[i] == ' ' ||
		    s.p[i] == '\t'))
			return STR_NPOS;
	}
	return STR_NPOS;
}

/*
 * RFC 5321 section 4.1.1.3: a source route "@a,@b:" is accepted and ignored.
 * It ends at the first colon, since the domains in it hold none but in
 * address literals, which nobody routes through.
 */
static int
strip_route(struct cursor *c, struct str *path)
{
	size_t colon;

	if (path->len == 0 || path->p[0] != '@')
		return 0;
	colon = str_find(*path, ':');
	if (colon == STR_NPOS || colon + 1 == path->len)
		return refuse(c, 501, "5.1.3", "Address malformed");
	*path = str_sub(*path, colon + 1, path->len);
	return 0;
}

/* RFC 5321 section 4.1.2: "FROM:" Path */
static int
parse_path(struct cursor *c, struct str keyword, struct str *path_r)
{
	struct str s;
	size_t end;

	skip_spaces(c);
	s = str_sub(c->line, c->at, c->line.len);
	if (!str_begins_nocase(s, keyword))
		return bad_args(c, "Syntax: MAIL FROM:<address> or "
		    "RCPT TO:<address>");
	c->at += keyword.len;
	/* Old clients put a space here. */
	skip_spaces(c);
	if (peek(c) != '<')
		return refuse(c, 501, "5.1.3", "Address must be in <>");
	c->at++;
	s = str_sub(c->line, c->at, c->line.len);
	end = path_end(s);
	if (end == STR_NPOS)
		return refuse(c, 501, "5.1.3", "Address malformed");
	if (end > PATH_MAX_OCTETS)
		return refuse(c, 501, "5.1.3", "Address too long");
	*path_r = str_sub(s, 0, end);
	if (strip_route(c, path_r) != 0)
		return ERR_SYNTAX;
	c->at += end + 1;
	if (!is_end(c) && peek(c) != ' ' && peek(c) != '\t')
		return refuse(c, 501, "5.1.3", "Garbage after address");
	return 0;
}

/* RFC 5321 section 4.1.2: esmtp-keyword */
static bool
is_keyword(struct str s)
{
	size_t i;

	if (s.len == 0 || !(ascii_is_alpha(s.p[0]) || ascii_is_digit(s.p[0])))
		return false;
	for (i = 1; i < s.len; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) &&
		    s.p[i] != '-')
			return false;
	return true;
}

static int
param_size(struct cursor *c, struct smtp_command *cmd, struct str value)
{
	int ret = str_to_u64(value, UINT64_MAX, &cmd->size_octets);

	if (ret == ERR_LIMIT)
		cmd->size_octets = UINT64_MAX;
	else if (ret != 0)
		return bad_args(c, "SIZE malformed");
	if (cmd->has_size)
		return bad_args(c, "SIZE given twice");
	cmd->has_size = true;
	return 0;
}

static int
param_body(struct cursor *c, struct smtp_command *cmd, struct str value)
{
	if (cmd->body != SMTP_BODY_NONE)
		return bad_args(c, "BODY given twice");
	if (str_eq_nocase(value, STR("7BIT")))
		cmd->body = SMTP_BODY_7BIT;
	else if (str_eq_nocase(value, STR("8BITMIME")))
		cmd->body = SMTP_BODY_8BITMIME;
	else if (str_eq_nocase(value, STR("BINARYMIME")))
		cmd->body = SMTP_BODY_BINARYMIME;
	else
		return bad_args(c, "BODY unknown");
	return 0;
}

static int
param_auth(struct cursor *c, struct smtp_command *cmd, struct str value)
{
	if (cmd->has_auth || value.len == 0)
		return bad_args(c, "AUTH malformed");
	cmd->has_auth = true;
	cmd->auth = value;
	return 0;
}

/* Parameters of MAIL that everybody needs decoded. */
static const struct {
	struct str name;
	int (*read)(struct cursor *, struct smtp_command *, struct str);
} mail_params[] = {
	{ { "SIZE", 4 }, param_size },
	{ { "BODY", 4 }, param_body },
	{ { "AUTH", 4 }, param_auth },
};

static int
add_param(struct cursor *c, struct smtp_command *cmd, struct str name,
    struct str value)
{
	size_t i;

	for (i = 0; cmd->verb == SMTP_MAIL && i < sizeof(mail_params) /
	    sizeof(mail_params[0]); i++)
		if (str_eq_nocase(name, mail_params[i].name))
			return mail_params[i].read(c, cmd, value);
	for (i = 0; i < cmd->n_params; i++)
		if (str_eq_nocase(name, cmd->params[i].name))
			return bad_args(c, "Parameter given twice");
	if (cmd->n_params == SMTP_PARAMS_MAX)
		return bad_args(c, "Too many parameters");
	cmd->params[cmd->n_params++] = (struct smtp_param){ name, value };
	return 0;
}

/* RFC 5321 section 4.1.2: Mail-parameters, Rcpt-parameters */
static int
parse_params(struct cursor *c, struct smtp_command *cmd)
{
	struct str name, value;

	for (skip_spaces(c); !is_end(c); skip_spaces(c)) {
		name = str_cut(word(c), '=', &value);
		if (!is_keyword(name) || (value.p != NULL && value.len == 0))
			return bad_args(c, "Parameter malformed");
		if (add_param(c, cmd, name, value) != 0)
			return ERR_SYNTAX;
	}
	return 0;
}

static int
parse_mail(struct cursor *c, struct smtp_command *cmd)
{
	int ret = parse_path(c, STR("FROM:"), &cmd->path);

	return ret != 0 ? ret : parse_params(c, cmd);
}

static int
parse_rcpt(struct cursor *c, struct smtp_command *cmd)
{
	int ret = parse_path(c, STR("TO:"), &cmd->path);

	if (ret == 0 && cmd->path.len == 0)
		return refuse(c, 501, "5.1.3", "Recipient missing");
	return ret != 0 ? ret : parse_params(c, cmd);
}

/* RFC 3030 section 2: BDAT chunk-size [ LAST ] */
static int
parse_bdat(struct cursor *c, struct smtp_command *cmd)
{
	struct str last;

	skip_spaces(c);
	if (str_to_u64(word(c), INT64_MAX, &cmd->chunk_octets) != 0)
		return bad_args(c, "Chunk size malformed");
	skip_spaces(c);
	last = rest(c);
	cmd->is_last = str_eq_nocase(last, STR("LAST"));
	if (last.len != 0 && !cmd->is_last)
		return bad_args(c, "Only LAST may follow the chunk size");
	return 0;
}

static int
parse_auth(struct cursor *c, struct smtp_command *cmd)
{
	skip_spaces(c);
	cmd->arg = word(c);
	if (!sasl_is_mechanism(cmd->arg))
		return bad_args(c, "Mechanism malformed");
	skip_spaces(c);
	cmd->initial = word(c);
	cmd->has_initial = cmd->initial.len != 0;
	skip_spaces(c);
	return is_end(c) ? 0 : bad_args(c, "Garbage after initial response");
}

static const struct verb {
	const char *name;
	int (*parse)(struct cursor *, struct smtp_command *);
} verbs[SMTP_VERB_COUNT] = {
	[SMTP_EHLO] = { "EHLO", parse_hello },
	[SMTP_HELO] = { "HELO", parse_hello },
	[SMTP_LHLO] = { "LHLO", parse_hello },
	[SMTP_MAIL] = { "MAIL", parse_mail },
	[SMTP_RCPT] = { "RCPT", parse_rcpt },
	[SMTP_DATA] = { "DATA", parse_nothing },
	[SMTP_BDAT] = { "BDAT", parse_bdat },
	[SMTP_RSET] = { "RSET", parse_nothing },
	[SMTP_NOOP] = { "NOOP", parse_text },
	[SMTP_QUIT] = { "QUIT", parse_nothing },
	[SMTP_VRFY] = { "VRFY", parse_text_needed },
	[SMTP_EXPN] = { "EXPN", parse_text_needed },
	[SMTP_HELP] = { "HELP", parse_text },
	[SMTP_STARTTLS] = { "STARTTLS", parse_nothing },
	[SMTP_AUTH] = { "AUTH", parse_auth },
};

const char *
smtp_verb_name(enum smtp_verb verb)
{
	return (unsigned)verb < SMTP_VERB_COUNT ? verbs[verb].name : "?";
}

static const struct verb *
find_verb(struct str name)
{
	size_t i;

	for (i = 0; i < SMTP_VERB_COUNT; i++)
		if (str_eq_nocase(name, str_of(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

/* NUL, CR, LF and the other controls have no place in any command. */
static int
check_octets(struct cursor *c)
{
	unsigned char o;

	for (c->at = 0; c->at < c->line.len; c->at++) {
		o = (unsigned char)c->line.p[c->at];
		if ((o < 0x20 && o != '\t') || o == 0x7f)
			return refuse(c, 500, "5.5.2",
			    "Control character in command");
	}
	c->at = 0;
	return 0;
}

int
smtp_parse(struct str line, struct smtp_command *cmd_r,
    struct smtp_refusal *refusal_r)
{
	struct cursor c = { line, 0, refusal_r };
	const struct verb *verb;
	size_t max;

	*cmd_r = (struct smtp_command){ .verb = SMTP_VERB_COUNT };
	verb = find_verb(word(&c));
	max = verb == &verbs[SMTP_AUTH] ? SMTP_AUTH_LINE_MAX : SMTP_LINE_MAX;
	if (line.len + 2 > max) {
		(void)refuse(&c, 500, "5.5.6", "Line too long");
		return ERR_LIMIT;
	}
	if (check_octets(&c) != 0)
		return ERR_SYNTAX;
	if (verb == NULL)
		return refuse(&c, 500, "5.5.1", "Command unknown");
	cmd_r->verb = (enum smtp_verb)(verb - verbs);
	c.at = strlen(verb->name);
	return verb->parse(&c, cmd_r);
}

static int
hex_value(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
smtp_add_unxtext(struct buf *out, struct str xtext)
{
	size_t i, before = out->len;
	char c;

	for (i = 0; i < xtext.len; i++) {
		c = xtext.p[i];
		if (c == '+') {
			if (xtext.len - i < 3 || hex_value(xtext.p[i + 1]) < 0 ||
			    hex_value(xtext.p[i + 2]) < 0)
				break;
			c = (char)(hex_value(xtext.p[i + 1]) << 4 |
			    hex_value(xtext.p[i + 2]));
			i += 2;
		} else if (c < '!' || c > '~' || c == '=')
			break;
		buf_add_char(out, c);
	}
	if (i == xtext.len)
		return 0;
	buf_truncate(out, before);
	return ERR_SYNTAX;
}

/* How many octets a well-formed UTF-8 character at p has; 0: it is none. */
static size_t
character_length(struct str s, size_t at)
{
	size_t len;

	for (len = 2; len <= 4 && at + len <= s.len; len++)
		if (str_is_utf8(str_sub(s, at, len)))
			return len;
	return 0;
}

void
smtp_put_one_line(struct buf *out, struct str text, size_t max)
{
	size_t from = out->len, i = 0, len;
	unsigned char c;

	while (i < text.len) {
		c = (unsigned char)text.p[i];
		len = c < 0x80 ? 1 : character_length(text, i);
		if (out->len - from + (len != 0 ? len : 1) > max)
			break;
		if (c < ' ' || c == 0x7f)
			buf_add_char(out, ' ');
		else if (len == 0)
			buf_add_char(out, '?');
		else
			buf_add(out, text.p + i, len);
		i += len != 0 ? len : 1;
	}
}
