/* SPDX-License-Identifier: ISC */
/*
 * log: structured lines, one JSON object each.
 *
 * An event names what happened (subsystem.object.outcome) and carries typed
 * fields whose keys stand in log_keys.def: another key does not compile.
 * struct ev is a context with fields that every line below it inherits
 * (session, user, remote). Peer text is escaped; credentials have no key.
 *
 *   ev_info(s->ev, "smtp.rcpt.refused",
 *       EV_STR(recipient, rcpt), EV_U64(code, 550));
 *
 * Lifetime.   ev_new(parent) -> ev_put*()* -> ev_*() -> ev_free(). A parent
 *             outlives its children. NULL is the process itself.
 * Blocking.   Never: a line that the log pipe cannot take is counted and the
 *             loss is reported with the next one that it can.
 * Process.    log_to_fd() is called once at start; before it, and in tests,
 *             lines go to standard error or to log_capture().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum log_level { LOG_L_DEBUG, LOG_L_INFO, LOG_L_WARN, LOG_L_ERROR };

enum log_key {
#define LOG_KEY(name, what) LOG_K_##name,
#include "base/log_keys.def"
#undef LOG_KEY
	LOG_K_MAX
};

enum ev_type { EV_T_END, EV_T_U64, EV_T_I64, EV_T_STR };

struct ev_field {
	enum log_key key;
	enum ev_type type;
	union {
		uint64_t u64;
		int64_t i64;
		struct str str;
	} v;
};

#define EV_U64(name, value) \
	{ LOG_K_##name, EV_T_U64, { .u64 = (uint64_t)(value) } }
#define EV_I64(name, value) \
	{ LOG_K_##name, EV_T_I64, { .i64 = (int64_t)(value) } }
#define EV_STR(name, value) { LOG_K_##name, EV_T_STR, { .str = (value) } }
#define EV_CSTR(name, value) \
	{ LOG_K_##name, EV_T_STR, { .str = str_of(value) } }
#define EV_ERR(err) EV_CSTR(error, err_text(err))

struct ev;

struct ev *ev_new(struct ev *parent);
void ev_free(struct ev **ev);

/* Fields that every line of ev and its children carries. Text is copied. */
void ev_put_str(struct ev *ev, enum log_key key, struct str value);
void ev_put_u64(struct ev *ev, enum log_key key, uint64_t value);

void ev_log(struct ev *ev, enum log_level level, const char *event,
    const struct ev_field *fields);

#define EV_LOG_(ev, level, event, ...)					\
	ev_log(ev, level, event, (const struct ev_field[]){		\
	    __VA_ARGS__ __VA_OPT__(,) { .type = EV_T_END } })
#define ev_debug(ev, event, ...) \
	EV_LOG_(ev, LOG_L_DEBUG, event, __VA_ARGS__)
#define ev_info(ev, event, ...) EV_LOG_(ev, LOG_L_INFO, event, __VA_ARGS__)
#define ev_warn(ev, event, ...) EV_LOG_(ev, LOG_L_WARN, event, __VA_ARGS__)
#define ev_error(ev, event, ...) EV_LOG_(ev, LOG_L_ERROR, event, __VA_ARGS__)

/*
 * Lines go to fd (not closed) as
 *   {"ts":"...","level":"...","process":"smtpd","pid":1,"event":"...",...}
 * process is the name of this program.
 */
void log_to_fd(int fd, const char *process);

/* Lines under this level are dropped before they are formatted. */
void log_set_level(enum log_level level);

/* debug, info, warn, error; -1 when it is none of them. */
int log_level_of(struct str name);

/* Hand each line (no newline) to cb instead. NULL: back to the descriptor. */
void log_capture(void (*cb)(void *ctx, struct str line), void *ctx);

/* Append s as a JSON string with quotes; octets that are not UTF-8 become
 * U+FFFD. */
struct buf;
void json_put_str(struct buf *buf, struct str s);

#endif
