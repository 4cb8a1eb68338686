/* SPDX-License-Identifier: ISC */
/* The session: phases, input, tagged answers, the engine's five functions. */
#include "imapd/engine/engine_int.h"

#include "imapd/engine/notify.h"

/* Read without being asked for. */
#define LOOK_MESSAGES_MAX 200000U

struct engine_session {
	struct imap_session s;
};

/* --- output -------------------------------------------------------- */

bool
imap_is_full(const struct imap_session *s)
{
	return s->out.len >= IMAP_OUT_HIGH;
}

/* Move output to the host as it has room; true when all is gone. */
static bool
drain(struct imap_session *s)
{
	struct str out;

	while (s->out.len != 0 && !engine_is_full(s->host)) {
		out = str_sub(buf_str(&s->out), 0, ENGINE_SLICE_OCTETS);
		buf_add_str(engine_output(s->host), out);
		buf_consume(&s->out, out.len);
	}
	return s->out.len == 0;
}

/* --- answers ------------------------------------------------------- */

void
imap_reply(struct imap_session *s, const char *status, const char *text)
{
	buf_reset(&s->reply);
	buf_add_cstr(&s->reply, status);
	buf_add_char(&s->reply, ' ');
	buf_add_cstr(&s->reply, text);
}

void
imap_ok(struct imap_session *s)
{
	buf_reset(&s->reply);
	buf_add_cstr(&s->reply, s->cmd.is_uid ? "OK UID " : "OK ");
	buf_add_cstr(&s->reply, s->cmd.info->name);
	buf_add_cstr(&s->reply, " completed");
}

enum imap_run
imap_no(struct imap_session *s, const char *text)
{
	imap_reply(s, "NO", text);
	return RUN_DONE;
}

enum imap_run
imap_bad(struct imap_session *s, const char *text)
{
	imap_reply(s, "BAD", text);
	return RUN_DONE;
}

/* RFC 5530 section 3. */
static const struct {
	int code;
	const char *text;
} failures[] = {
	{ ERR_NOTFOUND, "[NONEXISTENT] No such mailbox or message" },
	{ ERR_EXISTS, "[ALREADYEXISTS] Mailbox already exists" },
	{ ERR_DENIED, "[NOPERM] Not allowed" },
	{ ERR_LIMIT, "[LIMIT] A limit is reached" },
	{ ERR_SYNTAX, "[CANNOT] Not a possible name" },
	{ ERR_CORRUPT, "[SERVERBUG] Stored data is damaged" },
	{ ERR_TEMP, "[UNAVAILABLE] Try again later" },
};

void
imap_reply_err(struct imap_session *s, const struct err *err)
{
	const char *text = failures[6].text;
	size_t i;

	for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
		if (failures[i].code == err->code)
			text = failures[i].text;
	if (err->code == ERR_TEMP && store_is_disk_full(s->store))
		text = "[UNAVAILABLE] Disk full";
	if (err->code == ERR_TEMP || err->code == ERR_CORRUPT)
		ev_warn(engine_ev(s->host), "imap.command.failed",
		    EV_ERR(err));
	imap_reply(s, "NO", text);
}

enum imap_run
imap_fail(struct imap_session *s, const struct err *err)
{
	imap_reply_err(s, err);
	return RUN_DONE;
}

void
imap_bye(struct imap_session *s, const char *text)
{
	buf_add_cstr(&s->out, "* BYE ");
	buf_add_cstr(&s->out, text);
	buf_add_cstr(&s->out, "\r\n");
	s->is_over = true;
}

void
imap_refuse(struct imap_session *s, struct str tag, const char *text)
{
	if (tag.len != 0)
		buf_add_str(&s->out, tag);
	else
		buf_add_char(&s->out, '*');
	buf_add_cstr(&s->out, " BAD ");
	buf_add_cstr(&s->out, text);
	buf_add_cstr(&s->out, "\r\n");
	if (++s->bad_count >= IMAP_BAD_MAX)
		imap_bye(s, "Too many bad commands");
}

/* --- what commands share ------------------------------------------- */

bool
imap_canon(struct imap_session *s, const struct imap_mailbox *mailbox,
    struct str *name_r)
{
	struct err err = ERR_INIT;
	int ret;

	if (!mailbox->is_valid) {
		imap_reply(s, "NO", "[CANNOT] Not a valid mailbox name");
		return false;
	}
	ret = store_name_canon(mailbox->name, s->arena, name_r, &err);
	if (ret == 0)
		return true;
	imap_reply(s, "NO", ret == ERR_LIMIT ?
	    "[LIMIT] Mailbox name too long or too deep" :
	    "[CANNOT] Not a possible mailbox name");
	return false;
}

const struct store_mailbox *
imap_find(struct imap_session *s, const struct imap_mailbox *mailbox,
    bool is_target)
{
	const struct store_mailbox *box;
	struct str name;

	if (!imap_canon(s, mailbox, &name))
		return NULL;
	box = store_mailbox_by_name(s->store, name);
	if (box != NULL && !box->is_noselect)
		return box;
	imap_reply(s, "NO", is_target ? "[TRYCREATE] No such mailbox" :
	    box != NULL ? "[CANNOT] Mailbox cannot be selected" :
	    "[NONEXISTENT] No such mailbox");
	return NULL;
}

bool
imap_is_utf8(const struct imap_session *s)
{
	return (s->enabled & (IMAP_ENABLED_REV2 | IMAP_ENABLED_UTF8)) != 0;
}

void
imap_put_name(struct imap_session *s, struct str name)
{
	imap_put_mailbox(&s->out, name, imap_is_utf8(s));
}

bool
imap_may_write(struct imap_session *s)
{
	if (!s->view->is_readonly)
		return true;
	imap_reply(s, "NO", "[CANNOT] Mailbox is open read-only");
	return false;
}

void
imap_deselect(struct imap_session *s)
{
	view_free(&s->view);
}

enum imap_run
imap_tell(struct imap_session *s, bool may_expunge, bool has_uid)
{
	struct err err = ERR_INIT;

	if (s->view == NULL)
		return RUN_DONE;
	switch (view_tell(s->view, s->store, &s->out, may_expunge, has_uid,
	    &err)) {
	case VIEW_DONE:
		return RUN_DONE;
	case VIEW_MORE:
		return RUN_MORE;
	case VIEW_DELETED:
		imap_deselect(s);
		imap_bye(s, "Mailbox was deleted or made anew");
		return RUN_DONE;
	case VIEW_FAILED:
		break;
	}
	ev_error(engine_ev(s->host), "imap.mailbox.failed", EV_ERR(&err));
	imap_bye(s, "[UNAVAILABLE] Mailbox cannot be read");
	return RUN_DONE;
}

/* --- phases -------------------------------------------------------- */

static enum imap_run
end_command(struct imap_session *s)
{
	if (s->cleanup != NULL)
		s->cleanup(s);
	s->cleanup = NULL;
	s->job = NULL;
	arena_reset(s->arena);
	s->phase = s->after;
	s->after = PHASE_INPUT;
	return RUN_MORE;
}

static bool
is_bad(const struct buf *reply)
{
	return str_begins(buf_str(reply), STR("BAD"));
}

/* Changes of the mailbox, then the tagged answer. */
static enum imap_run
phase_finish(struct imap_session *s)
{
	bool may_expunge = !s->handler->keeps_numbers || s->cmd.is_uid;

	if (s->handler->is_unasked)
		return end_command(s);
	if (!s->is_over && !s->handler->is_silent &&
	    imap_tell(s, may_expunge, s->cmd.is_uid) == RUN_MORE)
		return RUN_MORE;
	buf_add_str(&s->out, s->cmd.tag);
	buf_add_char(&s->out, ' ');
	buf_add_str(&s->out, buf_str(&s->reply));
	buf_add_cstr(&s->out, "\r\n");
	if (!is_bad(&s->reply))
		s->bad_count = 0;
	else if (++s->bad_count >= IMAP_BAD_MAX && !s->is_over)
		imap_bye(s, "Too many bad commands");
	return end_command(s);
}

static enum imap_run
phase_run(struct imap_session *s)
{
	enum imap_run run = s->handler->run(s);

	if (run != RUN_DONE)
		return run;
	if (s->phase == PHASE_RUN)
		s->phase = PHASE_FINISH;
	return RUN_MORE;
}

static unsigned
state_of(const struct imap_session *s)
{
	return IMAP_AUTHENTICATED | (s->view != NULL ? IMAP_SELECTED : 0U);
}

/* RFC 9586 section 3: after ENABLE UIDONLY nothing has a message number. */
static bool
needs_uid(const struct imap_session *s)
{
	const struct imap_command_info *info = s->cmd.info;

	if ((s->enabled & IMAP_ENABLED_UIDONLY) == 0)
		return false;
	if (info->id == IMAP_SELECT || info->id == IMAP_EXAMINE)
		return s->cmd.u.mailbox.match_numbers.n_ranges != 0;
	if (info->has_uid && info->id != IMAP_EXPUNGE && !s->cmd.is_uid)
		return true;
	return (info->id == IMAP_SEARCH || info->id == IMAP_SORT ||
	    info->id == IMAP_THREAD) && s->cmd.u.search.has_numbers;
}

void
imap_begin_command(struct imap_session *s)
{
	struct imap_problem problem;
	const struct imap_command_info *info;
	char text[160];
	const struct imap_parse_options options = {
		.is_utf8 = imap_is_utf8(s),
	};
	int ret;

	ret = imap_parse(imap_framer_text(&s->framer), &options, s->arena,
	    &s->cmd, &problem);
	info = s->cmd.info;
	if (ret != 0) {
		(void)snprintf(text, sizeof(text), "%s (at octet %zu)",
		    problem.text, problem.offset);
		imap_refuse(s, s->cmd.tag, text);
	} else if ((info->legal & state_of(s)) == 0) {
		imap_refuse(s, s->cmd.tag, (info->legal & IMAP_SELECTED) != 0 ?
		    "No mailbox is selected" : "Already logged in");
	} else if (needs_uid(s)) {
		imap_refuse(s, s->cmd.tag,
		    "[UIDREQUIRED] Message numbers are not in use");
	} else if (imap_handlers[info->id].run == NULL) {
		imap_refuse(s, s->cmd.tag, "Unknown command");
	} else {
		s->handler = &imap_handlers[info->id];
		s->phase = PHASE_RUN;
		buf_reset(&s->reply);
		return;
	}
	arena_reset(s->arena);
}

static enum imap_run
frame_refuse(struct imap_session *s)
{
	struct str tag = imap_framer_tag(&s->framer);

	if (s->framer.refusal == IMAP_REFUSAL_LINE) {
		imap_refuse(s, tag, "Command line too long");
		return RUN_MORE;
	}
	if (tag.len != 0)
		buf_add_str(&s->out, tag);
	else
		buf_add_char(&s->out, '*');
	buf_add_cstr(&s->out, " NO [TOOBIG] Literal too large\r\n");
	if (++s->bad_count >= IMAP_BAD_MAX)
		imap_bye(s, "Too many bad commands");
	return RUN_MORE;
}

static enum imap_run
frame_close(struct imap_session *s)
{
	imap_bye(s, "Command too long");
	return RUN_MORE;
}

/* The host counts from the first time it is told. */
static void
set_idle(struct imap_session *s, bool is_idle)
{
	if (s->is_idle == is_idle)
		return;
	s->is_idle = is_idle;
	engine_set_idle(s->host, is_idle);
}

static enum imap_run
frame_more(struct imap_session *s)
{
	/* Idle: nothing of a command has come and nothing is to be sent. */
	if (engine_input(s->host).len != 0)
		return RUN_MORE;
	if (imap_framer_is_idle(&s->framer)) {
		if (s->notify != NULL && imap_notify_step(s) == RUN_MORE)
			return RUN_MORE;
		imap_framer_trim(&s->framer);
		buf_trim(&s->out);
		set_idle(s, true);
	}
	return RUN_NOTHING;
}

static enum imap_run
frame_continue(struct imap_session *s)
{
	buf_add_cstr(&s->out, "+ OK\r\n");
	return RUN_MORE;
}

static enum imap_run
frame_command(struct imap_session *s)
{
	imap_begin_command(s);
	return RUN_MORE;
}

static enum imap_run
frame_append(struct imap_session *s)
{
	imap_append_begin(s);
	return RUN_MORE;
}

static enum imap_run
phase_input(struct imap_session *s)
{
	static enum imap_run (*const frames[])(struct imap_session *) = {
		[IMAP_FRAME_MORE] = frame_more,
		[IMAP_FRAME_CONTINUE] = frame_continue,
		[IMAP_FRAME_COMMAND] = frame_command,
		[IMAP_FRAME_LINE] = frame_command,
		[IMAP_FRAME_APPEND] = frame_append,
		[IMAP_FRAME_DATA] = frame_more,
		[IMAP_FRAME_REFUSE] = frame_refuse,
		[IMAP_FRAME_CLOSE] = frame_close,
	};
	enum imap_frame frame;
	struct str data;
	size_t used;

	if (engine_input(s->host).len != 0)
		set_idle(s, false);
	frame = imap_framer_next(&s->framer, engine_input(s->host), &used,
	    &data);
	engine_consume(s->host, used);
	return frames[frame](s);
}

/* RFC 2177: DONE, and nothing else, ends it. */
static enum imap_run
idle_done(struct imap_session *s, bool is_good)
{
	struct str tag = str_of(s->idle_tag);

	set_idle(s, false);
	s->phase = PHASE_INPUT;
	if (!is_good) {
		imap_refuse(s, tag, "DONE expected");
		return RUN_MORE;
	}
	buf_add_str(&s->out, tag);
	buf_add_cstr(&s->out, " OK IDLE completed\r\n");
	s->bad_count = 0;
	return RUN_MORE;
}

static enum imap_run
phase_idle(struct imap_session *s)
{
	enum imap_frame frame;
	struct str data, line;
	size_t used;

	if (s->notify != NULL && imap_notify_step(s) == RUN_MORE)
		return RUN_MORE;
	if (s->notify == NULL && imap_tell(s, true, false) == RUN_MORE)
		return RUN_MORE;
	if (s->is_over || s->out.len != 0)
		return RUN_MORE;
	frame = imap_framer_next(&s->framer, engine_input(s->host), &used,
	    &data);
	line = imap_framer_text(&s->framer);
	engine_consume(s->host, used);
	if (frame == IMAP_FRAME_LINE)
		return idle_done(s, str_eq_nocase(line, STR("DONE")));
	if (frame == IMAP_FRAME_REFUSE)
		return idle_done(s, false);
	if (frame == IMAP_FRAME_CLOSE)
		return frame_close(s);
	if (line.len == 0) {
		buf_trim(&s->out);
		set_idle(s, true);
	}
	return RUN_NOTHING;
}

static enum imap_run (*const phases[PHASE_COUNT])(struct imap_session *) = {
	[PHASE_INPUT] = phase_input,
	[PHASE_RUN] = phase_run,
	[PHASE_FINISH] = phase_finish,
	[PHASE_APPEND] = imap_append_run,
	[PHASE_IDLE] = phase_idle,
};

static enum engine_step
session_step(struct imap_session *s)
{
	enum imap_run run;

	for (;;) {
		if (buf_failed(&s->out)) {
			/* More than anybody can be told at once. */
			buf_reset(&s->out);
			s->is_over = true;
			s->phase = PHASE_INPUT;
		}
		if (!drain(s))
			return engine_slice_over(s->host) ? ENGINE_MORE :
			    ENGINE_WAIT;
		/* After BYE comes the tagged answer, if one is due. */
		if (s->is_over && s->phase != PHASE_FINISH)
			return ENGINE_END;
		if (engine_slice_over(s->host))
			return ENGINE_MORE;
		run = phases[s->phase](s);
		if (run == RUN_WAIT || run == RUN_NOTHING) {
			if (!drain(s))
				return ENGINE_WAIT;
			return run == RUN_WAIT ? ENGINE_WAIT : ENGINE_DONE;
		}
	}
}

/* --- the engine ---------------------------------------------------- */

static void
session_free(struct engine_session **sp)
{
	struct imap_session *s;

	if (*sp == NULL)
		return;
	s = &(*sp)->s;
	if (s->cleanup != NULL)
		s->cleanup(s);
	imap_append_free(s);
	notify_free(&s->notify);
	imap_deselect(s);
	imap_framer_fini(&s->framer);
	buf_fini(&s->out);
	buf_fini(&s->reply);
	arena_free(&s->arena);
	free(*sp);
	*sp = NULL;
}

/*
 * Nearly every client selects INBOX first: the list of its messages is read
 * with the login, unless it is so long that somebody who wants another
 * mailbox would wait for it.
 */
static void
look_at_inbox(struct imap_session *s)
{
	const struct store_mailbox *box;
	const struct store_msg *msgs;
	size_t count;

	box = store_mailbox_by_role(s->store, STORE_ROLE_INBOX);
	/* A failure is told when it is asked for. */
	if (box != NULL && box->messages <= LOOK_MESSAGES_MAX)
		(void)store_messages(s->store, box->id, &msgs, &count, NULL);
}

static struct engine_session *
session_open(struct engine_host *host, struct str state, struct err *err)
{
	struct engine_session *session = calloc(1, sizeof(*session));
	struct imap_session *s;

	invariant(session != NULL);
	s = &session->s;
	s->host = host;
	s->store = engine_store(host);
	s->phase = PHASE_INPUT;
	s->after = PHASE_INPUT;
	s->arena = arena_new(0);
	imap_framer_init(&s->framer, &imap_limits_session);
	buf_init(&s->out, IMAP_OUT_MAX);
	/* COPYUID may be long. */
	buf_init(&s->reply, IMAP_OUT_MAX / 4);
	if (state.len == 0)
		look_at_inbox(s);
	else if (imap_unpark(s, state, err) != 0)
		session_free(&session);
	return session;
}

static enum engine_step
step(struct engine_session *session)
{
	return session_step(&session->s);
}

static bool
park(struct engine_session *session, struct buf *state)
{
	return imap_park(&session->s, state);
}

/* In the middle of a literal a line would be taken for its octets. */
static void
end(struct engine_session *session, struct str reason)
{
	struct imap_session *s = &session->s;

	if (s->is_over || s->phase == PHASE_RUN)
		return;
	buf_add_cstr(&s->out, "* BYE ");
	imap_put_text(&s->out, reason);
	buf_add_cstr(&s->out, "\r\n");
	s->is_over = true;
	(void)drain(s);
}

const struct engine imap_engine = {
	.protocol = "imap",
	.open = session_open,
	.step = step,
	.park = park,
	.end = end,
	.free = session_free,
};
