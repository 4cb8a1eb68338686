/* SPDX-License-Identifier: ISC */
/*
 * engine: POP3 from the login to QUIT (RFC 1939 sections 5 to 7), in the
 * account's process.
 *
 * The maildrop is exclusive (section 8): an account has one process, and in it
 * one session holds the maildrop. Another one is refused ([IN-USE]), unless
 * the holder has said nothing for a minute: then it has most likely lost its
 * connection, and is ended without UPDATE, as if that had been noticed.
 *
 * The maildrop is what INBOX held when the session began: numbers stay, what
 * others expunge meanwhile answers -ERR, and what this session deletes goes
 * at QUIT. Long answers (LIST, UIDL, RETR, TOP) are written a slice at a
 * time: `todo` says what is left of the one under way.
 */
#include <unistd.h>

#include "base/when.h"
#include "mail/view.h"
#include "mboxd/engine.h"
#include "proto/line.h"
#include "proto/pop3.h"

#define READ_OCTETS 16384
#define ERRORS_MAX 10
#define HOLDER_IDLE_MS 60000

struct drop {
	uint64_t message;
	uint32_t uid;
	uint32_t size_octets;
	bool is_deleted;
	bool is_read;
	bool is_seen;			/* by IMAP or an earlier session */
	int64_t received_s;
};

enum todo { TODO_NONE, TODO_LIST, TODO_UIDL, TODO_MESSAGE };

struct engine_session {
	struct engine_host *host;
	struct line line;
	struct drop *drops;
	size_t drops_len;
	uint64_t mailbox;
	uint32_t uidvalidity;
	enum pop3_lang lang;
	unsigned errors;
	uint64_t heard_ms;		/* when the client last spoke */
	bool is_greeted;
	bool is_lost;			/* another session has the maildrop */
	bool is_over;

	enum todo todo;
	size_t next;			/* LIST, UIDL: index */
	/* RETR, TOP */
	struct arena *arena;
	struct mail_view view;
	uint64_t at;
	struct dotstuff stuff;
	struct pop3_top top;
	bool is_top;
	struct drop *reading;
};

/* Who holds the maildrop; a process serves one account. */
static struct engine_session *holder;

/* ---- answers ---- */

static void
ok(struct engine_session *s, const char *text)
{
	pop3_put_ok(engine_output(s->host),
	    str_of(pop3_text(s->lang, text)));
}

static void
err_reply(struct engine_session *s, const char *code, const char *text)
{
	pop3_put_err(engine_output(s->host), code,
	    str_of(pop3_text(s->lang, text)));
}

static void
refuse(struct engine_session *s, const char *text)
{
	if (++s->errors > ERRORS_MAX) {
		err_reply(s, NULL, "too many errors");
		s->is_over = true;
		return;
	}
	err_reply(s, NULL, text);
}

/* ---- the maildrop ---- */

static int
load(struct engine_session *s, struct err *err)
{
	const struct store_mailbox *inbox;
	const struct store_msg *msgs;
	size_t n, i;
	int rc;

	inbox = store_mailbox_by_role(engine_store(s->host),
	    STORE_ROLE_INBOX);
	if (inbox == NULL)
		return err_set(err, ERR_CORRUPT, "no INBOX");
	s->mailbox = inbox->id;
	s->uidvalidity = inbox->uidvalidity;
	rc = store_messages(engine_store(s->host), s->mailbox, &msgs, &n,
	    err);
	if (rc != 0)
		return rc;
	s->drops = calloc(n + 1, sizeof(*s->drops));
	invariant(s->drops != NULL);
	for (i = 0; i < n; i++) {
		s->drops[i].message = msgs[i].message;
		s->drops[i].uid = msgs[i].uid;
		s->drops[i].size_octets = msgs[i].size_octets;
		s->drops[i].is_seen = (msgs[i].flags & STORE_SEEN) != 0;
		s->drops[i].received_s = msgs[i].date_s;
	}
	s->drops_len = n;
	return 0;
}

static uint64_t
count(const struct engine_session *s, uint64_t *octets_r)
{
	uint64_t n = 0, octets = 0;
	size_t i;

	for (i = 0; i < s->drops_len; i++)
		if (!s->drops[i].is_deleted) {
			n++;
			octets += s->drops[i].size_octets;
		}
	*octets_r = octets;
	return n;
}

static struct drop *
find(struct engine_session *s, uint32_t number)
{
	if (number == 0 || number > s->drops_len ||
	    s->drops[number - 1].is_deleted) {
		refuse(s, "no such message");
		return NULL;
	}
	return &s->drops[number - 1];
}

/* ---- commands ---- */

static void
do_stat(struct engine_session *s, const struct pop3_command *cmd)
{
	uint64_t octets, n = count(s, &octets);

	(void)cmd;
	buf_addf(engine_output(s->host), "+OK %llu %llu\r\n",
	    (unsigned long long)n, (unsigned long long)octets);
}

static void
put_line(struct engine_session *s, size_t i, bool is_uidl,
    const char *prefix)
{
	const struct drop *drop = &s->drops[i];
	struct buf *out = engine_output(s->host);

	/* The number of a UID never means another message (UIDVALIDITY). */
	if (is_uidl)
		buf_addf(out, "%s%zu %u.%u\r\n", prefix, i + 1,
		    s->uidvalidity, drop->uid);
	else
		buf_addf(out, "%s%zu %u\r\n", prefix, i + 1,
		    drop->size_octets);
}

static void
do_list_or_uidl(struct engine_session *s, const struct pop3_command *cmd)
{
	bool is_uidl = cmd->verb == POP3_UIDL;
	struct drop *drop;
	uint64_t octets, n;

	if (cmd->has_number) {
		drop = find(s, cmd->number);
		if (drop != NULL)
			put_line(s, cmd->number - 1, is_uidl, "+OK ");
		return;
	}
	n = count(s, &octets);
	buf_addf(engine_output(s->host), "+OK %llu messages\r\n",
	    (unsigned long long)n);
	s->todo = is_uidl ? TODO_UIDL : TODO_LIST;
	s->next = 0;
}

static void
message_close(struct engine_session *s)
{
	if (s->view.fd > 0)
		(void)close(s->view.fd);
	s->view.fd = -1;
	arena_reset(s->arena);
	s->todo = TODO_NONE;
}

static void
do_retr(struct engine_session *s, const struct pop3_command *cmd)
{
	struct drop *drop = find(s, cmd->number);
	struct store_message message;
	struct err err = ERR_INIT;
	int fd = -1;

	if (drop == NULL)
		return;
	if (store_message(engine_store(s->host), drop->message, s->arena,
	    &message, &err) != 0 || store_blob_open(engine_store(s->host),
	    drop->message, &fd, &err) != 0) {
		arena_reset(s->arena);
		err_reply(s, "SYS/TEMP", "the message cannot be read");
		return;
	}
	s->view = mail_view_of_fd(message.trace, fd, message.blob_octets);
	s->at = 0;
	s->reading = drop;
	s->is_top = cmd->verb == POP3_TOP;
	dotstuff_init(&s->stuff);
	pop3_top_init(&s->top, cmd->lines);
	s->todo = TODO_MESSAGE;
	buf_addf(engine_output(s->host), "+OK %u octets\r\n",
	    drop->size_octets);
}

static void
do_dele(struct engine_session *s, const struct pop3_command *cmd)
{
	struct drop *drop = find(s, cmd->number);

	if (drop == NULL)
		return;
	drop->is_deleted = true;
	ok(s, "deleted");
}

static void
do_rset(struct engine_session *s, const struct pop3_command *cmd)
{
	size_t i;

	(void)cmd;
	for (i = 0; i < s->drops_len; i++)
		s->drops[i].is_deleted = false;
	do_stat(s, cmd);
}

static void
do_noop(struct engine_session *s, const struct pop3_command *cmd)
{
	(void)cmd;
	ok(s, "still here");
}

static void
do_capa(struct engine_session *s, const struct pop3_command *cmd)
{
	const struct engine_user *user = engine_user(s->host);

	(void)cmd;
	buf_add_cstr(engine_output(s->host), "+OK capabilities\r\n");
	pop3_put_capabilities(engine_output(s->host),
	    user->pop3_login_delay_s, user->pop3_expire_days);
}

static void
do_lang(struct engine_session *s, const struct pop3_command *cmd)
{
	enum pop3_lang lang = pop3_lang_of(cmd->arg);

	if (cmd->arg.len == 0) {
		pop3_put_langs(engine_output(s->host), s->lang);
	} else if (lang == POP3_LANGS) {
		refuse(s, "no such language");
	} else {
		s->lang = lang;
		buf_addf(engine_output(s->host), "+OK %s\r\n",
		    pop3_lang_tag(lang));
	}
}

/* ---- UPDATE ---- */

/* EXPIRE (RFC 2449 section 6.7): what was fetched now (0 days), or fetched or
 * read before and is that old. */
static bool
is_expired(const struct engine_session *s, const struct drop *drop)
{
	uint64_t days = engine_user(s->host)->pop3_expire_days;

	if (days == UINT64_MAX)
		return false;
	if (days == 0)
		return drop->is_read;
	return (drop->is_read || drop->is_seen) &&
	    drop->received_s < when_wall_s() - (int64_t)days * 86400;
}

static void
expire(struct engine_session *s)
{
	size_t i;

	for (i = 0; i < s->drops_len; i++)
		if (is_expired(s, &s->drops[i]))
			s->drops[i].is_deleted = true;
}

/* UIDs of the drops that want it, as ranges. */
static struct store_set
set_of(struct engine_session *s, bool is_deleted)
{
	struct store_range *ranges = arena_alloc(s->arena,
	    (s->drops_len + 1) * sizeof(*ranges));
	struct store_set set = { .ranges = ranges, .count = 0 };
	const struct drop *drop;
	size_t i;

	for (i = 0; i < s->drops_len; i++) {
		drop = &s->drops[i];
		if (is_deleted ? !drop->is_deleted :
		    !drop->is_read || drop->is_deleted)
			continue;
		if (set.count != 0 &&
		    ranges[set.count - 1].last + 1 == drop->uid)
			ranges[set.count - 1].last = drop->uid;
		else
			ranges[set.count++] = (struct store_range){
			    drop->uid, drop->uid };
	}
	return set;
}

static int
update(struct engine_session *s, struct err *err)
{
	struct store_flag_change seen = { .op = STORE_FLAGS_ADD,
	    .flags = STORE_SEEN };
	struct store *store = engine_store(s->host);
	struct store_set read = set_of(s, false), gone = set_of(s, true);
	struct store_flag_result flagged;
	struct store_uids expunged;
	uint64_t modseq;
	uint32_t next = 0;
	int rc = 0;

	if (read.count != 0)
		rc = store_flags(store, s->mailbox, &read, &seen, 0, &next,
		    s->arena, &flagged, err);
	next = 0;
	if (rc == 0 && gone.count != 0)
		rc = store_expunge(store, s->mailbox, &gone, 0, 0, &next,
		    s->arena, &expunged, &modseq, err);
	if (read.count != 0 || gone.count != 0)
		engine_changed(s->host);
	return rc;
}

static void
do_quit(struct engine_session *s, const struct pop3_command *cmd)
{
	struct err err = ERR_INIT;

	(void)cmd;
	s->is_over = true;
	expire(s);
	if (update(s, &err) == 0)
		ok(s, "bye");
	else
		err_reply(s, "SYS/TEMP", "deleted messages not removed");
}

static void (*const commands[POP3_VERB_COUNT])(struct engine_session *s,
    const struct pop3_command *cmd) = {
	[POP3_CAPA] = do_capa,
	[POP3_DELE] = do_dele,
	[POP3_LANG] = do_lang,
	[POP3_LIST] = do_list_or_uidl,
	[POP3_NOOP] = do_noop,
	[POP3_QUIT] = do_quit,
	[POP3_RETR] = do_retr,
	[POP3_RSET] = do_rset,
	[POP3_STAT] = do_stat,
	[POP3_TOP] = do_retr,
	[POP3_UIDL] = do_list_or_uidl,
};

/* ---- long answers ---- */

static void
go_on_listing(struct engine_session *s)
{
	while (s->next < s->drops_len && !engine_is_full(s->host) &&
	    !engine_slice_over(s->host)) {
		if (!s->drops[s->next].is_deleted)
			put_line(s, s->next, s->todo == TODO_UIDL, "");
		s->next++;
	}
	if (s->next < s->drops_len)
		return;
	buf_add_cstr(engine_output(s->host), ".\r\n");
	s->todo = TODO_NONE;
}

static void
go_on_message(struct engine_session *s)
{
	struct buf *out = engine_output(s->host);
	char chunk[READ_OCTETS];
	struct err err = ERR_INIT;
	struct str text;
	size_t n, take;

	while (!engine_is_full(s->host) && !engine_slice_over(s->host)) {
		if (mail_view_read(&s->view, s->at, chunk, sizeof(chunk), &n,
		    &err) != 0) {
			/* The answer is half said: nothing honest can follow
			 * but the end of the session. */
			message_close(s);
			s->is_over = true;
			return;
		}
		take = s->is_top ? pop3_top_take(&s->top,
		    str_make(chunk, n)) : n;
		text = str_make(chunk, take);
		dotstuff_add(&s->stuff, text, out);
		s->at += take;
		if (take < sizeof(chunk) && (take < n || n == 0 ||
		    s->at >= mail_view_size(&s->view))) {
			dotstuff_end(&s->stuff, out);
			if (!s->is_top)
				s->reading->is_read = true;
			message_close(s);
			return;
		}
	}
}

/* ---- steps ---- */

static void
run_line(struct engine_session *s, struct str line)
{
	struct pop3_command cmd;
	const char *problem;

	if (pop3_parse(line, &cmd, &problem) != 0)
		refuse(s, problem);
	else if (commands[cmd.verb] == NULL)
		refuse(s, "not offered, or not after the login");
	else
		commands[cmd.verb](s, &cmd);
}

/* The answer to PASS or AUTH. */
static void
greet(struct engine_session *s)
{
	uint64_t octets, n = count(s, &octets);

	s->is_greeted = true;
	buf_addf(engine_output(s->host), s->lang == POP3_JA ?
	    "+OK %llu 通、%llu オクテット\r\n" :
	    "+OK %llu messages, %llu octets\r\n", (unsigned long long)n,
	    (unsigned long long)octets);
}

/* A line, if there is one. The first may be the front's own. */
static bool
take_line(struct engine_session *s)
{
	struct str line = STR_NONE;
	enum line_result got;
	size_t used;

	got = line_next(&s->line, engine_input(s->host), &line, &used);
	if (got != LINE_MORE)
		s->heard_ms = when_mono_ms();
	if (got == LINE_DONE && !s->is_greeted) {
		bool is_hello = pop3_take_hello(line, &s->lang);

		greet(s);
		if (!is_hello)
			run_line(s, line);
	} else if (got == LINE_DONE)
		run_line(s, line);
	else if (got != LINE_MORE)
		refuse(s, "line too long");
	engine_consume(s->host, used);
	return got != LINE_MORE;
}

/* True when something was done. */
static bool
step_once(struct engine_session *s)
{
	if (s->todo == TODO_MESSAGE) {
		go_on_message(s);
		return true;
	}
	if (s->todo != TODO_NONE) {
		go_on_listing(s);
		return true;
	}
	return take_line(s);
}

static enum engine_step
pop3_step(struct engine_session *s)
{
	if (s->is_lost && !s->is_over) {
		err_reply(s, "IN-USE", "the maildrop is in use by another "
		    "session");
		s->is_over = true;
	}
	while (!s->is_over) {
		if (engine_is_full(s->host))
			return ENGINE_WAIT;
		if (engine_slice_over(s->host))
			return ENGINE_MORE;
		if (!step_once(s))
			return ENGINE_DONE;
	}
	return ENGINE_END;
}

/* ---- life ---- */

static void
pop3_free(struct engine_session **sp)
{
	struct engine_session *s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	if (holder == s)
		holder = NULL;
	if (s->todo == TODO_MESSAGE)
		message_close(s);
	arena_free(&s->arena);
	free(s->drops);
	free(s);
}

/* False: somebody else has it, and the client has been told. */
static bool
take_maildrop(struct engine_session *s)
{
	if (holder != NULL && when_mono_ms() - holder->heard_ms <
	    HOLDER_IDLE_MS) {
		err_reply(s, "IN-USE", "the maildrop is in use by another "
		    "session");
		s->is_greeted = true;
		s->is_over = true;
		return false;
	}
	if (holder != NULL)
		holder->is_lost = true;
	holder = s;
	return true;
}

static struct engine_session *
pop3_open(struct engine_host *host, struct str state, struct err *err)
{
	struct engine_session *s;

	if (state.len != 0) {
		err_set(err, ERR_SYNTAX, "POP3 sessions are not parked");
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	invariant(s != NULL);
	s->host = host;
	s->arena = arena_new(0);
	s->view.fd = -1;
	line_init(&s->line, POP3_LINE_MAX, false);
	s->heard_ms = when_mono_ms();
	if (!take_maildrop(s))
		return s;
	if (load(s, err) != 0)
		pop3_free(&s);
	return s;
}

/* Without UPDATE: nothing is deleted (RFC 1939 section 3). */
static void
pop3_end(struct engine_session *s, struct str reason)
{
	if (s->todo == TODO_NONE)
		pop3_put_err(engine_output(s->host), "SYS/TEMP", reason);
}

const struct engine pop3_engine = {
	.protocol = "pop3",
	.open = pop3_open,
	.step = pop3_step,
	.end = pop3_end,
	.free = pop3_free,
};
