/* SPDX-License-Identifier: ISC */
#include "proto/milter.h"

#include "proto/milter_int.h"
#include "proto/smtp_answer.h"

#define LENGTH_OCTETS 4
#define DATA_MAX 65535U
#define DATA_MAX_256K ((256U << 10) - 1)
#define DATA_MAX_1M ((1024U << 10) - 1)

/* ---- events ---- */

/* What the options say about each event, and its command. */
static const struct {
	char command;
	uint32_t version;	/* sent since */
	uint32_t no;		/* not wanted */
	uint32_t no_reply;
} events[MILTER_EVENTS] = {
	[MILTER_E_CONNECT] = { 'C', 0, MILTER_P_NOCONNECT,
	    MILTER_P_NR_CONN },
	[MILTER_E_HELO] = { 'H', 0, MILTER_P_NOHELO, MILTER_P_NR_HELO },
	[MILTER_E_MAIL] = { 'M', 0, MILTER_P_NOMAIL, MILTER_P_NR_MAIL },
	[MILTER_E_RCPT] = { 'R', 0, MILTER_P_NORCPT, MILTER_P_NR_RCPT },
	[MILTER_E_DATA] = { 'T', 4, MILTER_P_NODATA, MILTER_P_NR_DATA },
	[MILTER_E_HEADER] = { 'L', 0, MILTER_P_NOHDRS, MILTER_P_NR_HDR },
	[MILTER_E_EOH] = { 'N', 0, MILTER_P_NOEOH, MILTER_P_NR_EOH },
	[MILTER_E_BODY] = { 'B', 0, MILTER_P_NOBODY, MILTER_P_NR_BODY },
	[MILTER_E_EOB] = { 'E', 0, 0, 0 },
	[MILTER_E_UNKNOWN] = { 'U', 3, MILTER_P_NOUNKNOWN,
	    MILTER_P_NR_UNKN },
};

bool
milter_wants(const struct milter_options *agreed, enum milter_event event)
{
	return agreed->version >= events[event].version &&
	    (agreed->protocol & events[event].no) == 0;
}

bool
milter_has_answer(const struct milter_options *agreed,
    enum milter_event event)
{
	return (agreed->protocol & events[event].no_reply) == 0;
}

/* ---- frames ---- */

static uint32_t
get_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 |
	    (uint32_t)u[2] << 8 | u[3];
}

static void
set_u32(char *p, uint32_t value)
{
	p[0] = (char)(value >> 24);
	p[1] = (char)(value >> 16);
	p[2] = (char)(value >> 8);
	p[3] = (char)value;
}

void
milter_put_u32(struct buf *out, uint32_t value)
{
	char p[4];

	set_u32(p, value);
	buf_add(out, p, sizeof(p));
}

size_t
milter_data_max(const struct milter_options *agreed)
{
	if (agreed != NULL && (agreed->protocol & MILTER_P_MDS_1M) != 0)
		return DATA_MAX_1M;
	if (agreed != NULL && (agreed->protocol & MILTER_P_MDS_256K) != 0)
		return DATA_MAX_256K;
	return DATA_MAX;
}

enum milter_result
milter_frame_next(struct str in, size_t data_max,
    struct milter_frame *frame_r, size_t *used_r)
{
	uint32_t len;

	*used_r = 0;
	if (in.len < LENGTH_OCTETS)
		return MILTER_MORE;
	len = get_u32(in.p);
	if (len == 0 || len - 1 > data_max)
		return MILTER_BAD;
	if (in.len - LENGTH_OCTETS < len)
		return MILTER_MORE;
	frame_r->command = in.p[LENGTH_OCTETS];
	frame_r->data = str_sub(in, LENGTH_OCTETS + 1, len - 1);
	*used_r = LENGTH_OCTETS + len;
	return MILTER_FRAME;
}

/* Begin a frame; the place of its length is given to milter_frame_end(). */
size_t
milter_frame_begin(struct buf *out, char command)
{
	size_t at = out->len;

	milter_put_u32(out, 0);
	buf_add_char(out, command);
	return at;
}

void
milter_frame_end(struct buf *out, size_t at)
{
	if (!buf_failed(out))
		set_u32(out->p + out->start + at,
		    (uint32_t)(out->len - at - LENGTH_OCTETS));
}

static void
put_empty(struct buf *out, char command)
{
	milter_frame_end(out, milter_frame_begin(out, command));
}

/* A string on one line, ended by NUL. */
void
milter_put_line(struct buf *out, struct str s)
{
	size_t i;

	for (i = 0; i < s.len && s.p[i] != '\0'; i++)
		buf_add_char(out, s.p[i] == '\r' || s.p[i] == '\n' ? ' ' :
		    s.p[i]);
	buf_add_char(out, '\0');
}

/* ---- commands ---- */

void
milter_put_macros(struct buf *out, enum milter_event event,
    const struct milter_macro *macros, size_t macros_len)
{
	size_t at = milter_frame_begin(out, 'D'), i;

	buf_add_char(out, events[event].command);
	for (i = 0; i < macros_len; i++) {
		milter_put_line(out, macros[i].name);
		milter_put_line(out, macros[i].value);
	}
	milter_frame_end(out, at);
}

void
milter_put_connect(struct buf *out, struct str hostname,
    enum milter_family family, uint16_t port, struct str address)
{
	size_t at = milter_frame_begin(out, 'C');

	milter_put_line(out, hostname);
	buf_add_char(out, (char)family);
	if (family != MILTER_F_UNKNOWN) {
		buf_add_char(out, (char)(port >> 8));
		buf_add_char(out, (char)port);
		milter_put_line(out, address);
	}
	milter_frame_end(out, at);
}

static void
put_text(struct buf *out, char command, struct str text)
{
	size_t at = milter_frame_begin(out, command);

	milter_put_line(out, text);
	milter_frame_end(out, at);
}

void
milter_put_helo(struct buf *out, struct str name)
{
	put_text(out, 'H', name);
}

void
milter_put_unknown(struct buf *out, struct str line)
{
	put_text(out, 'U', line);
}

void
milter_put_envelope(struct buf *out, enum milter_event event,
    struct str path, const struct str *params, size_t params_len)
{
	size_t at = milter_frame_begin(out, events[event].command), i;

	milter_put_line(out, path);
	for (i = 0; i < params_len; i++)
		milter_put_line(out, params[i]);
	milter_frame_end(out, at);
}

/* Folded lines are separated by LF alone; NUL cannot travel. */
void
milter_put_value(struct buf *out, struct str value)
{
	size_t i;

	for (i = 0; i < value.len; i++) {
		if (value.p[i] == '\r' && i + 1 < value.len &&
		    value.p[i + 1] == '\n')
			continue;
		buf_add_char(out, value.p[i] == '\0' ? ' ' : value.p[i]);
	}
	buf_add_char(out, '\0');
}

void
milter_put_header(struct buf *out, const struct milter_options *agreed,
    struct str name, struct str value)
{
	size_t at = milter_frame_begin(out, 'L');

	if ((agreed->protocol & MILTER_P_HDR_LEADSPC) == 0)
		while (value.len != 0 && (*value.p == ' ' ||
		    *value.p == '\t'))
			value = str_sub(value, 1, value.len);
	milter_put_line(out, name);
	milter_put_value(out, value);
	milter_frame_end(out, at);
}

void
milter_put_body(struct buf *out, struct str chunk)
{
	size_t at = milter_frame_begin(out, 'B');

	buf_add_str(out, chunk);
	milter_frame_end(out, at);
}

void
milter_put_data(struct buf *out)
{
	put_empty(out, 'T');
}

void
milter_put_eoh(struct buf *out)
{
	put_empty(out, 'N');
}

void
milter_put_eob(struct buf *out)
{
	put_empty(out, 'E');
}

void
milter_put_abort(struct buf *out)
{
	put_empty(out, 'A');
}

void
milter_put_quit(struct buf *out)
{
	put_empty(out, 'Q');
}

void
milter_put_quit_nc(struct buf *out)
{
	put_empty(out, 'K');
}

/* ---- reading ---- */

uint32_t
milter_read_u32(struct milter_reader *reader)
{
	uint32_t value;

	if (reader->rest.len < 4) {
		reader->has_failed = true;
		return 0;
	}
	value = get_u32(reader->rest.p);
	reader->rest = str_sub(reader->rest, 4, reader->rest.len);
	return value;
}

/* Octets up to a NUL, at most max. */
struct str
milter_read_str(struct milter_reader *reader, size_t max)
{
	size_t at = str_find(reader->rest, '\0');
	struct str s;

	if (at == STR_NPOS || at > max) {
		reader->has_failed = true;
		return STR("");
	}
	s = str_sub(reader->rest, 0, at);
	reader->rest = str_sub(reader->rest, at + 1, reader->rest.len);
	return s;
}

/* The same, without octets that end lines or ring bells. */
struct str
milter_read_line(struct milter_reader *reader, size_t max)
{
	struct str s = milter_read_str(reader, max);

	if (!str_is_text(s))
		reader->has_failed = true;
	return s;
}

/* ---- negotiation ---- */

void
milter_put_negotiate(struct buf *out, const struct milter_options *offered)
{
	size_t at = milter_frame_begin(out, 'O');

	milter_put_u32(out, offered->version);
	milter_put_u32(out, offered->actions);
	milter_put_u32(out, offered->protocol);
	milter_frame_end(out, at);
}

static void
read_symbols(struct milter_reader *reader, struct milter_options *agreed)
{
	uint32_t stage = milter_read_u32(reader);
	struct str names = milter_read_line(reader, MILTER_SYMBOLS_MAX);

	if (stage >= MILTER_STAGES || reader->has_failed)
		reader->has_failed = true;
	else
		agreed->symbols[stage] = names;
}

int
milter_negotiated(const struct milter_frame *frame,
    const struct milter_options *offered, struct milter_options *agreed_r,
    struct err *err)
{
	struct milter_reader reader = { .rest = frame->data };

	memset(agreed_r, 0, sizeof(*agreed_r));
	if (frame->command != 'O')
		return err_set(err, ERR_SYNTAX, "no answer to negotiation");
	agreed_r->version = milter_read_u32(&reader);
	agreed_r->actions = milter_read_u32(&reader);
	agreed_r->protocol = milter_read_u32(&reader);
	while (!reader.has_failed && reader.rest.len != 0)
		read_symbols(&reader, agreed_r);
	if (reader.has_failed)
		return err_set(err, ERR_SYNTAX, "negotiation is malformed");
	if (agreed_r->version < MILTER_VERSION_MIN ||
	    agreed_r->version > offered->version)
		return err_set(err, ERR_SYNTAX, "version %u",
		    (unsigned)agreed_r->version);
	if ((agreed_r->actions & ~offered->actions) != 0)
		return err_set(err, ERR_SYNTAX, "actions 0x%x not offered",
		    (unsigned)(agreed_r->actions & ~offered->actions));
	if ((agreed_r->protocol & ~offered->protocol) != 0)
		return err_set(err, ERR_SYNTAX, "protocol 0x%x not offered",
		    (unsigned)(agreed_r->protocol & ~offered->protocol));
	return 0;
}

/* ---- answers ---- */

#define AT(event) (1U << MILTER_E_##event)
#define AT_ALL ((1U << MILTER_EVENTS) - 1)
#define AT_MESSAGE (AT(MAIL) | AT(RCPT) | AT(DATA) | AT(HEADER) | \
	AT(EOH) | AT(BODY) | AT(EOB))

/* RFC 5322 section 3.6.8: ftext. */
static void
read_name(struct milter_reader *reader, struct milter_answer *answer)
{
	size_t i;

	answer->name = milter_read_str(reader, MILTER_NAME_MAX);
	if (answer->name.len == 0)
		reader->has_failed = true;
	for (i = 0; i < answer->name.len; i++)
		if (answer->name.p[i] <= ' ' || answer->name.p[i] > '~' ||
		    answer->name.p[i] == ':')
			reader->has_failed = true;
}

/* A line end is good only where the next line continues the field. */
static bool
is_folded(struct str value)
{
	size_t i;

	for (i = 0; i < value.len; i++) {
		if (value.p[i] == '\r' && (i + 1 == value.len ||
		    value.p[i + 1] != '\n'))
			return false;
		if (value.p[i] == '\n' && (i + 1 == value.len ||
		    (value.p[i + 1] != ' ' && value.p[i + 1] != '\t')))
			return false;
	}
	return true;
}

static void
read_field(struct milter_reader *reader, struct milter_answer *answer)
{
	read_name(reader, answer);
	answer->value = milter_read_str(reader, milter_data_max(NULL));
	/* Some filters end a value as it ends in a message. */
	while (answer->value.len != 0 &&
	    (answer->value.p[answer->value.len - 1] == '\n' ||
	    answer->value.p[answer->value.len - 1] == '\r'))
		answer->value.len--;
	if (!is_folded(answer->value))
		reader->has_failed = true;
}

static void
read_indexed(struct milter_reader *reader, struct milter_answer *answer)
{
	answer->index = milter_read_u32(reader);
	read_field(reader, answer);
}

static void
read_address(struct milter_reader *reader, struct milter_answer *answer)
{
	answer->address = milter_read_line(reader, MILTER_ADDRESS_MAX);
}

static void
read_params(struct milter_reader *reader, struct milter_answer *answer)
{
	read_address(reader, answer);
	answer->params = STR("");
	if (reader->rest.len != 0)
		answer->params = milter_read_line(reader, MILTER_ADDRESS_MAX);
}

static void
read_reason(struct milter_reader *reader, struct milter_answer *answer)
{
	answer->text = milter_read_line(reader, MILTER_REASON_MAX);
}

static void
read_chunk(struct milter_reader *reader, struct milter_answer *answer)
{
	answer->text = reader->rest;
	reader->rest = STR("");
}

static void
read_code(struct milter_reader *reader, struct milter_answer *answer)
{
	uint64_t code = 0;

	answer->text = milter_read_str(reader, MILTER_REPLY_MAX);
	if (answer->text.len < 3 ||
	    str_to_u64(str_sub(answer->text, 0, 3), 599, &code) != 0 ||
	    code < 400)
		reader->has_failed = true;
	answer->code = (unsigned)code;
}

static const struct answer_row {
	char command;
	enum milter_answer_kind kind;
	unsigned at;		/* events it may answer */
	uint32_t actions;	/* one must be agreed; 0: none needed */
	uint32_t protocol;
	void (*read)(struct milter_reader *reader, struct milter_answer *answer);
} answers[] = {
	{ 'c', MILTER_CONTINUE, AT_ALL, 0, 0, NULL },
	{ 'a', MILTER_ACCEPT, AT_ALL, 0, 0, NULL },
	{ 'r', MILTER_REJECT, AT_ALL, 0, 0, NULL },
	{ 't', MILTER_TEMPFAIL, AT_ALL, 0, 0, NULL },
	{ 'd', MILTER_DISCARD, AT_MESSAGE, 0, 0, NULL },
	{ 's', MILTER_SKIP, AT(BODY) | AT(HEADER), 0, MILTER_P_SKIP, NULL },
	{ 'y', MILTER_REPLYCODE, AT_ALL, 0, 0, read_code },
	{ 'f', MILTER_CONN_FAIL, AT_ALL, 0, 0, NULL },
	{ '4', MILTER_SHUTDOWN, AT_ALL, 0, 0, NULL },
	{ 'p', MILTER_PROGRESS, AT_ALL, 0, 0, NULL },
	{ 'h', MILTER_ADDHEADER, AT(EOB), MILTER_A_ADDHDRS, 0, read_field },
	{ 'i', MILTER_INSHEADER, AT(EOB), MILTER_A_ADDHDRS, 0,
	    read_indexed },
	{ 'm', MILTER_CHGHEADER, AT(EOB), MILTER_A_CHGHDRS, 0,
	    read_indexed },
	{ 'e', MILTER_CHGFROM, AT(EOB), MILTER_A_CHGFROM, 0, read_params },
	{ '+', MILTER_ADDRCPT, AT(EOB), MILTER_A_ADDRCPT, 0, read_address },
	{ '2', MILTER_ADDRCPT_PAR, AT(EOB), MILTER_A_ADDRCPT_PAR, 0,
	    read_params },
	{ '-', MILTER_DELRCPT, AT(EOB), MILTER_A_DELRCPT, 0, read_address },
	{ 'b', MILTER_REPLBODY, AT(EOB), MILTER_A_CHGBODY, 0, read_chunk },
	{ 'q', MILTER_QUARANTINE, AT(EOB), MILTER_A_QUARANTINE, 0,
	    read_reason },
};

bool
milter_is_last(enum milter_answer_kind kind)
{
	return kind < MILTER_PROGRESS;
}

static const struct answer_row *
row_of(char command)
{
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].command == command)
			return &answers[i];
	return NULL;
}

int
milter_answer_read(const struct milter_frame *frame,
    const struct milter_options *agreed, enum milter_event event,
    struct milter_answer *answer_r, struct err *err)
{
	const struct answer_row *row = row_of(frame->command);
	struct milter_reader reader = { .rest = frame->data };

	memset(answer_r, 0, sizeof(*answer_r));
	if (row == NULL)
		return err_set(err, ERR_SYNTAX, "unknown answer 0x%02x",
		    (unsigned)(unsigned char)frame->command);
	if ((row->at & (1U << event)) == 0)
		return err_set(err, ERR_SYNTAX, "answer '%c' to '%c'",
		    row->command, events[event].command);
	if ((row->actions != 0 && (row->actions & agreed->actions) == 0) ||
	    (row->protocol & ~agreed->protocol) != 0)
		return err_set(err, ERR_SYNTAX, "answer '%c' was not agreed",
		    row->command);
	answer_r->kind = row->kind;
	if (row->read != NULL)
		row->read(&reader, answer_r);
	if (reader.has_failed || reader.rest.len != 0)
		return err_set(err, ERR_SYNTAX, "answer '%c' is malformed",
		    row->command);
	return 0;
}

/* ---- replies ---- */

/* A percent sign comes doubled: the text was once a format. */
static void
put_reply_lines(struct buf *out, struct str text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		buf_add_char(out, text.p[i]);
		if (text.p[i] == '%' && i + 1 < text.len &&
		    text.p[i + 1] == '%')
			i++;
	}
	buf_add_cstr(out, "\r\n");
}

static void
fill_reply(const struct smtp_answer *answer, struct milter_reply *reply_r)
{
	struct buf line;

	reply_r->code = answer->code;
	(void)snprintf(reply_r->enhanced, sizeof(reply_r->enhanced), "%s",
	    answer->enhanced[0] != '\0' ? answer->enhanced :
	    answer->code < 500 ? "4.7.1" : "5.7.1");
	buf_init(&line, sizeof(reply_r->text) - 1);
	smtp_put_one_line(&line, buf_str(&answer->text),
	    sizeof(reply_r->text) - 1);
	(void)snprintf(reply_r->text, sizeof(reply_r->text), "%.*s",
	    STR_FMT(buf_str(&line)));
	buf_fini(&line);
}

int
milter_reply_read(const struct milter_answer *answer,
    struct milter_reply *reply_r, struct err *err)
{
	enum smtp_answer_result result;
	struct smtp_answer smtp;
	struct buf lines;
	size_t used = 0;
	bool is_good;

	smtp_answer_init(&smtp);
	buf_init(&lines, MILTER_REPLY_MAX + 2);
	put_reply_lines(&lines, answer->text);
	result = smtp_answer_feed(&smtp, buf_str(&lines), &used);
	/* One reply and nothing after it: the rest would be ours to say. */
	is_good = result == SMTP_ANSWER_DONE && used == lines.len &&
	    smtp.code == answer->code;
	if (is_good)
		fill_reply(&smtp, reply_r);
	buf_fini(&lines);
	smtp_answer_fini(&smtp);
	return is_good ? 0 : err_set(err, ERR_SYNTAX, "reply is malformed");
}

/* ---- fields ---- */

void
milter_put_field(struct buf *out, const struct milter_options *agreed,
    struct str name, struct str value)
{
	size_t i;

	buf_add_str(out, name);
	buf_add_char(out, ':');
	if ((agreed->protocol & MILTER_P_HDR_LEADSPC) == 0)
		buf_add_char(out, ' ');
	for (i = 0; i < value.len; i++) {
		if (value.p[i] == '\n' && (i == 0 || value.p[i - 1] != '\r'))
			buf_add_char(out, '\r');
		buf_add_char(out, value.p[i]);
	}
	buf_add_cstr(out, "\r\n");
}
