/* SPDX-License-Identifier: ISC */
#include "base/log.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/when.h"

/* A line is one write to the pipe, so it stays under PIPE_BUF (4096). */
#define LINE_MAX_OCTETS 4000
#define VALUE_MAX_OCTETS 512

static const char *const key_names[] = {
#define LOG_KEY(name, what) #name,
#include "base/log_keys.def"
#undef LOG_KEY
};

static const char *const level_names[] = { "debug", "info", "warn", "error" };

/* The process's one log: the only state a library here keeps. */
static struct {
	int fd;
	const char *process;
	enum log_level level;
	uint64_t lost;
	time_t second;			/* what second_text says */
	char second_text[40];
	void (*capture)(void *ctx, struct str line);
	void *capture_ctx;
} sink = { .fd = STDERR_FILENO, .process = "-", .level = LOG_L_INFO };

struct ev {
	struct ev *parent;
	struct buf fields;	/* rendered: ,"key":value ... */
};

struct ev *
ev_new(struct ev *parent)
{
	struct ev *ev = calloc(1, sizeof(*ev));

	if (ev == NULL)
		abort();
	ev->parent = parent;
	buf_init(&ev->fields, 2048);
	return ev;
}

void
ev_free(struct ev **ev)
{
	if (*ev == NULL)
		return;
	buf_fini(&(*ev)->fields);
	free(*ev);
	*ev = NULL;
}

/* Octets of a well-formed UTF-8 sequence at the start of s, or 0. */
static size_t
utf8_at(struct str s)
{
	size_t n;

	for (n = 1; n <= 4 && n <= s.len; n++)
		if (str_is_utf8(str_sub(s, 0, n)))
			return n;
	return 0;
}

static void
json_put_octet(struct buf *buf, unsigned char c)
{
	if (c == '"' || c == '\\') {
		buf_add_char(buf, '\\');
		buf_add_char(buf, (char)c);
	} else if (c == '\n') {
		buf_add_cstr(buf, "\\n");
	} else if (c == '\r') {
		buf_add_cstr(buf, "\\r");
	} else if (c == '\t') {
		buf_add_cstr(buf, "\\t");
	} else {
		buf_addf(buf, "\\u%04x", c);
	}
}

static bool
json_is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void
json_put_str(struct buf *buf, struct str s)
{
	size_t i = 0, n;

	buf_add_char(buf, '"');
	while (i < s.len) {
		n = i;
		while (n < s.len && json_is_plain((unsigned char)s.p[n]))
			n++;
		buf_add_str(buf, str_sub(s, i, n - i));
		if ((i = n) == s.len)
			break;
		if ((unsigned char)s.p[i] < 0x80) {
			json_put_octet(buf, (unsigned char)s.p[i++]);
			continue;
		}
		n = utf8_at(str_sub(s, i, 4));
		if (n == 0) {
			buf_add_cstr(buf, "\xef\xbf\xbd");
			n = 1;
		} else {
			buf_add_str(buf, str_sub(s, i, n));
		}
		i += n;
	}
	buf_add_char(buf, '"');
}

static void
put_key(struct buf *buf, enum log_key key)
{
	buf_add_cstr(buf, ",\"");
	buf_add_cstr(buf, key_names[key]);
	buf_add_cstr(buf, "\":");
}

void
ev_put_str(struct ev *ev, enum log_key key, struct str value)
{
	put_key(&ev->fields, key);
	json_put_str(&ev->fields, str_sub(value, 0, VALUE_MAX_OCTETS));
}

void
ev_put_u64(struct ev *ev, enum log_key key, uint64_t value)
{
	put_key(&ev->fields, key);
	buf_add_u64(&ev->fields, value);
}

static void
put_inherited(struct buf *line, const struct ev *ev)
{
	if (ev == NULL)
		return;
	put_inherited(line, ev->parent);
	buf_add_str(line, buf_str(&ev->fields));
}

static void
put_field(struct buf *line, const struct ev_field *field)
{
	put_key(line, field->key);
	switch (field->type) {
	case EV_T_U64:
		buf_add_u64(line, field->v.u64);
		break;
	case EV_T_I64:
		buf_addf(line, "%lld", (long long)field->v.i64);
		break;
	case EV_T_STR:
		json_put_str(line, str_sub(field->v.str, 0, VALUE_MAX_OCTETS));
		break;
	case EV_T_END:
		break;
	}
}

static void
put_head(struct buf *line, enum log_level level, const char *event)
{
	uint64_t us = when_wall_us();
	time_t s = (time_t)(us / 1000000);
	unsigned ms = (unsigned)(us / 1000 % 1000);
	struct tm tm;

	if (s != sink.second) {
		gmtime_r(&s, &tm);
		(void)strftime(sink.second_text, sizeof(sink.second_text),
		    "{\"ts\":\"%Y-%m-%dT%H:%M:%S.", &tm);
		sink.second = s;
	}
	buf_add_cstr(line, sink.second_text);
	buf_add_char(line, (char)('0' + ms / 100));
	buf_add_char(line, (char)('0' + ms / 10 % 10));
	buf_add_char(line, (char)('0' + ms % 10));
	buf_add_cstr(line, "Z\",\"level\":\"");
	buf_add_cstr(line, level_names[level]);
	buf_add_cstr(line, "\",\"process\":\"");
	buf_add_cstr(line, sink.process);
	buf_add_cstr(line, "\",\"pid\":");
	buf_add_u64(line, (uint64_t)getpid());
	buf_add_cstr(line, ",\"event\":\"");
	buf_add_cstr(line, event);
	buf_add_char(line, '"');
}

static bool
sink_write(struct str line)
{
	ssize_t n;

	do
		n = write(sink.fd, line.p, line.len);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)line.len;
}

static void
report_lost(void)
{
	struct buf line;

	buf_init(&line, LINE_MAX_OCTETS);
	put_head(&line, LOG_L_WARN, "log.lines.lost");
	put_key(&line, LOG_K_count);
	buf_add_u64(&line, sink.lost);
	buf_add_cstr(&line, "}\n");
	if (sink_write(buf_str(&line)))
		sink.lost = 0;
	buf_fini(&line);
}

void
ev_log(struct ev *ev, enum log_level level, const char *event,
    const struct ev_field *fields)
{
	size_t before;
	struct buf line;

	if (level < sink.level && sink.capture == NULL)
		return;
	buf_init(&line, LINE_MAX_OCTETS);
	put_head(&line, level, event);
	put_inherited(&line, ev);
	for (; fields->type != EV_T_END; fields++) {
		before = line.len;
		put_field(&line, fields);
		if (buf_failed(&line) || line.len > LINE_MAX_OCTETS - 2) {
			line.has_failed = false;
			buf_truncate(&line, before);
			break;
		}
	}
	buf_add_cstr(&line, "}");
	if (sink.capture != NULL) {
		sink.capture(sink.capture_ctx, buf_str(&line));
	} else {
		buf_add_char(&line, '\n');
		if (sink.lost != 0)
			report_lost();
		if (!sink_write(buf_str(&line)))
			sink.lost++;
	}
	buf_fini(&line);
}

void
log_to_fd(int fd, const char *process)
{
	sink.fd = fd;
	sink.process = process;
}

void
log_set_level(enum log_level level)
{
	sink.level = level;
}

int
log_level_of(struct str name)
{
	int i;

	for (i = 0; i < 4; i++)
		if (str_eq(name, str_of(level_names[i])))
			return i;
	return -1;
}

void
log_capture(void (*cb)(void *ctx, struct str line), void *ctx)
{
	sink.capture = cb;
	sink.capture_ctx = ctx;
}
