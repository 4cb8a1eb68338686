/* SPDX-License-Identifier: ISC */
#include "proto/pop3.h"

#include "proto/sasl.h"

/* How a command's arguments look. */
enum shape {
	SHAPE_NONE,
	SHAPE_TEXT,		/* the rest of the line, at least one octet */
	SHAPE_TEXT_MAYBE,
	SHAPE_NUMBER,
	SHAPE_NUMBER_MAYBE,
	SHAPE_NUMBER_LINES,
	SHAPE_AUTH,
};

static const struct verb {
	const char *name;
	unsigned legal;
	enum shape shape;
} verbs[POP3_VERB_COUNT] = {
	[POP3_APOP] = { "APOP", POP3_AUTHORIZATION, SHAPE_TEXT },
	[POP3_AUTH] = { "AUTH", POP3_AUTHORIZATION, SHAPE_AUTH },
	[POP3_CAPA] = { "CAPA", POP3_AUTHORIZATION | POP3_TRANSACTION,
	    SHAPE_NONE },
	[POP3_DELE] = { "DELE", POP3_TRANSACTION, SHAPE_NUMBER },
	[POP3_LANG] = { "LANG", POP3_AUTHORIZATION | POP3_TRANSACTION,
	    SHAPE_TEXT_MAYBE },
	[POP3_LIST] = { "LIST", POP3_TRANSACTION, SHAPE_NUMBER_MAYBE },
	[POP3_NOOP] = { "NOOP", POP3_TRANSACTION, SHAPE_NONE },
	[POP3_PASS] = { "PASS", POP3_AUTHORIZATION, SHAPE_TEXT },
	[POP3_QUIT] = { "QUIT", POP3_AUTHORIZATION | POP3_TRANSACTION,
	    SHAPE_NONE },
	[POP3_RETR] = { "RETR", POP3_TRANSACTION, SHAPE_NUMBER },
	[POP3_RSET] = { "RSET", POP3_TRANSACTION, SHAPE_NONE },
	[POP3_STAT] = { "STAT", POP3_TRANSACTION, SHAPE_NONE },
	[POP3_STLS] = { "STLS", POP3_AUTHORIZATION, SHAPE_NONE },
	[POP3_TOP] = { "TOP", POP3_TRANSACTION, SHAPE_NUMBER_LINES },
	[POP3_UIDL] = { "UIDL", POP3_TRANSACTION, SHAPE_NUMBER_MAYBE },
	[POP3_USER] = { "USER", POP3_AUTHORIZATION, SHAPE_TEXT },
	[POP3_UTF8] = { "UTF8", POP3_AUTHORIZATION, SHAPE_NONE },
};

static int
bad(const char **problem_r, const char *text)
{
	*problem_r = text;
	return ERR_SYNTAX;
}

/* Cut the first word off *s and the blanks behind it. */
static struct str
cut_word(struct str *s)
{
	struct str word, rest;

	word = str_cut(*s, ' ', &rest);
	while (rest.len != 0 && rest.p[0] == ' ')
		rest = str_sub(rest, 1, rest.len);
	*s = rest;
	return word;
}

static int
read_u32(struct str word, uint32_t min, uint32_t *value_r)
{
	uint64_t value;
	int ret = str_to_u64(word, UINT32_MAX, &value);

	/* Message numbers past any maildrop are "no such message". */
	if (ret == ERR_LIMIT)
		value = UINT32_MAX;
	else if (ret != 0)
		return ERR_SYNTAX;
	if (value < min)
		return ERR_SYNTAX;
	*value_r = (uint32_t)value;
	return 0;
}

static int
parse_numbers(struct str args, enum shape shape, struct pop3_command *cmd,
    const char **problem_r)
{
	if (args.len == 0 && shape == SHAPE_NUMBER_MAYBE)
		return 0;
	if (read_u32(cut_word(&args), 1, &cmd->number) != 0)
		return bad(problem_r, "Message number malformed");
	cmd->has_number = true;
	if (shape == SHAPE_NUMBER_LINES &&
	    read_u32(cut_word(&args), 0, &cmd->lines) != 0)
		return bad(problem_r, "Number of lines malformed");
	return args.len == 0 ? 0 : bad(problem_r, "Too many arguments");
}

/* RFC 5034 section 4: AUTH [mechanism [initial-response]] */
static int
parse_auth(struct str args, struct pop3_command *cmd, const char **problem_r)
{
	if (args.len == 0)
		return 0;
	cmd->arg = cut_word(&args);
	if (!sasl_is_mechanism(cmd->arg))
		return bad(problem_r, "Mechanism malformed");
	cmd->initial = cut_word(&args);
	cmd->has_initial = cmd->initial.len != 0;
	return args.len == 0 ? 0 : bad(problem_r, "Too many arguments");
}

/*
 * args come as they stand after one space: blanks within and at the end are
 * part of a password (RFC 1939 section 7, PASS).
 */
static int
parse_args(struct str args, enum shape shape, struct pop3_command *cmd,
    const char **problem_r)
{
	switch (shape) {
	case SHAPE_NONE:
		return str_trim(args).len == 0 ? 0 :
		    bad(problem_r, "No argument allowed");
	case SHAPE_TEXT:
		if (args.len == 0)
			return bad(problem_r, "Argument missing");
		cmd->arg = args;
		return 0;
	case SHAPE_TEXT_MAYBE:
		cmd->arg = args;
		return 0;
	case SHAPE_AUTH:
		return parse_auth(str_trim(args), cmd, problem_r);
	case SHAPE_NUMBER:
	case SHAPE_NUMBER_MAYBE:
	case SHAPE_NUMBER_LINES:
		return parse_numbers(str_trim(args), shape, cmd, problem_r);
	}
	return bad(problem_r, "Command unknown");
}

static bool
has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

static const struct verb *
find_verb(struct str name)
{
	size_t i;

	for (i = 0; i < POP3_VERB_COUNT; i++)
		if (str_eq_nocase(name, str_of(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

int
pop3_parse(struct str line, struct pop3_command *cmd_r,
    const char **problem_r)
{
	const struct verb *verb;
	struct str name, args;

	*cmd_r = (struct pop3_command){ .verb = POP3_VERB_COUNT };
	*problem_r = "";
	name = str_cut(line, ' ', &args);
	verb = find_verb(name);
	if (line.len + 2 > (verb == &verbs[POP3_AUTH] ? POP3_AUTH_LINE_MAX :
	    POP3_LINE_MAX)) {
		*problem_r = "Line too long";
		return ERR_LIMIT;
	}
	if (has_control(line))
		return bad(problem_r, "Control character in command");
	if (verb == NULL)
		return bad(problem_r, "Command unknown");
	cmd_r->verb = (enum pop3_verb)(verb - verbs);
	cmd_r->legal = verb->legal;
	return parse_args(args, verb->shape, cmd_r, problem_r);
}

const char *
pop3_verb_name(enum pop3_verb verb)
{
	return (unsigned)verb < POP3_VERB_COUNT ? verbs[verb].name : "?";
}

static void
put_text(struct buf *out, struct str s)
{
	bool is_text = str_is_text(s);
	size_t i;

	for (i = 0; i < s.len; i++)
		buf_add_char(out, is_text || (s.p[i] >= 0x20 &&
		    s.p[i] < 0x7f) ? s.p[i] : '?');
	buf_add_cstr(out, "\r\n");
}

void
pop3_put_ok(struct buf *out, struct str text)
{
	buf_add_cstr(out, text.len != 0 ? "+OK " : "+OK");
	put_text(out, text);
}

void
pop3_put_err(struct buf *out, const char *code, struct str text)
{
	if (code != NULL)
		buf_addf(out, "-ERR [%s] ", code);
	else
		buf_add_cstr(out, "-ERR ");
	put_text(out, text);
}

void
pop3_put_capabilities(struct buf *out, uint64_t login_delay_s,
    uint64_t expire_days)
{
	buf_add_cstr(out, "TOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\n"
	    "AUTH-RESP-CODE\r\nUTF8 USER\r\nLANG\r\n");
	if (login_delay_s != 0)
		buf_addf(out, "LOGIN-DELAY %llu\r\n",
		    (unsigned long long)login_delay_s);
	if (expire_days == UINT64_MAX)
		buf_add_cstr(out, "EXPIRE NEVER\r\n");
	else
		buf_addf(out, "EXPIRE %llu\r\n",
		    (unsigned long long)expire_days);
	buf_add_cstr(out, "IMPLEMENTATION Hikyaku\r\n.\r\n");
}

/* What the line so far holds: the header ends with an empty one. */
enum seen {
	SEEN_NOTHING,
	SEEN_CR,
	SEEN_TEXT,
};

void
pop3_top_init(struct pop3_top *top, uint32_t lines)
{
	*top = (struct pop3_top){ .lines_left = lines, .seen = SEEN_NOTHING };
}

/* An LF was passed on: the line that ended decides what comes next. */
static void
top_end_line(struct pop3_top *top)
{
	if (top->is_body)
		top->lines_left--;
	else if (top->seen != SEEN_TEXT)
		top->is_body = true;
	top->seen = SEEN_NOTHING;
	if (top->is_body && top->lines_left == 0)
		top->is_done = true;
}

size_t
pop3_top_take(struct pop3_top *top, struct str in)
{
	size_t i = 0, end, lf;

	while (i < in.len && !top->is_done) {
		lf = str_find(str_sub(in, i, in.len), '\n');
		end = lf == STR_NPOS ? in.len : i + lf;
		if (end > i)
			top->seen = top->seen == SEEN_NOTHING && end == i + 1 &&
			    in.p[i] == '\r' ? SEEN_CR : SEEN_TEXT;
		i = end;
		if (lf != STR_NPOS) {
			i++;
			top_end_line(top);
		}
	}
	return i;
}
