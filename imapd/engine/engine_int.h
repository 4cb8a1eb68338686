/* SPDX-License-Identifier: ISC */
/*
 * engine_int: what the files of the IMAP engine share.
 *
 * A session is a state machine of phases (session.c): INPUT takes commands
 * from the framer, RUN calls a command's function again until it is done,
 * FINISH tells what has changed in the mailbox and sends the tagged answer,
 * APPEND and IDLE are commands that read on by themselves.
 *
 * All output goes to s->out first and is moved to the host as it has room,
 * so that no writer needs to think of a full client: a command that has put
 * more than IMAP_OUT_HIGH there returns RUN_MORE.
 *
 * Ownership.  s->arena lives as long as a command. What an arena cannot undo
 *             a command undoes in s->cleanup.
 */
#ifndef IMAPD_ENGINE_INT_H
#define IMAPD_ENGINE_INT_H

#include "base/log.h"
#include "imapd/engine/view.h"
#include "mboxd/engine.h"
#include "proto/imap_framer.h"
#include "proto/imap_parse.h"
#include "proto/imap_write.h"

#define IMAP_OUT_HIGH (64U << 10)
#define IMAP_OUT_MAX (96U << 20)
#define IMAP_BAD_MAX 10

enum imap_run {
	RUN_DONE,	/* the command is over, s->reply is set */
	RUN_MORE,	/* call again, after others */
	RUN_WAIT,	/* a blob request is under way */
	RUN_NOTHING,	/* no more input */
};

enum imap_phase {
	PHASE_INPUT,
	PHASE_RUN,
	PHASE_FINISH,
	PHASE_APPEND,
	PHASE_IDLE,
	PHASE_COUNT
};

/* What the client has enabled (bits): RFC 5161, RFC 7162 section 3.1. */
enum imap_enabled {
	IMAP_ENABLED_REV2 = 1,
	IMAP_ENABLED_CONDSTORE = 2,
	IMAP_ENABLED_QRESYNC = 4,
	IMAP_ENABLED_UTF8 = 8,
	IMAP_ENABLED_DEFLATE = 16,	/* by COMPRESS */
	IMAP_ENABLED_UIDONLY = 32,
	IMAP_ENABLED_ALL = 63,
};

struct imap_session;
struct append_job;
struct notify;

/* How a command is run. */
struct imap_handler {
	enum imap_run (*run)(struct imap_session *s);
	/* RFC 3501 section 7.4.1: no EXPUNGE while this one is answered. */
	bool keeps_numbers;
	/* Nothing is told before its tagged answer. */
	bool is_silent;
	/* Nobody has asked: there is no tagged answer. */
	bool is_unasked;
};

struct imap_session {
	struct engine_host *host;
	struct store *store;
	struct imap_framer framer;
	struct buf out;
	struct buf reply;		/* the tagged answer, without the tag */
	struct arena *arena;
	struct imap_command cmd;
	const struct imap_handler *handler;
	void *job;			/* the running command's, in arena */
	void (*cleanup)(struct imap_session *s);
	struct append_job *append;
	struct notify *notify;		/* NULL: nothing was asked for */
	struct imap_view *view;		/* NULL: nothing selected */
	enum imap_phase phase;
	enum imap_phase after;		/* what an unasked one interrupts */
	unsigned enabled;		/* enum imap_enabled */
	unsigned bad_count;
	bool is_over;
	bool is_idle;		/* the host was told so */
	char idle_tag[208];
};

/* --- answers ------------------------------------------------------- */

/* The tagged answer of the running command: "OK", text. */
void imap_reply(struct imap_session *s, const char *status, const char *text);
void imap_ok(struct imap_session *s);	/* "OK FETCH completed" */

/* A failure of the store. */
void imap_reply_err(struct imap_session *s, const struct err *err);

/* "* BYE text": the session is over. */
void imap_bye(struct imap_session *s, const char *text);

/* RUN_DONE after imap_reply(). */
enum imap_run imap_no(struct imap_session *s, const char *text);
enum imap_run imap_bad(struct imap_session *s, const char *text);
enum imap_run imap_fail(struct imap_session *s, const struct err *err);

/* Is there enough in s->out to let it go out first? */
bool imap_is_full(const struct imap_session *s);

/* The name of a mailbox in canonical form; false: answered with NO. */
bool imap_canon(struct imap_session *s, const struct imap_mailbox *mailbox,
    struct str *name_r);

/* The selectable mailbox called so; NULL: answered with NO, with [TRYCREATE]
 * when is_target. */
const struct store_mailbox *imap_find(struct imap_session *s,
    const struct imap_mailbox *mailbox, bool is_target);

/* Names of mailboxes are UTF-8 on the wire. */
bool imap_is_utf8(const struct imap_session *s);

/* A client has enabled these, or used a command that does. */
void imap_enable(struct imap_session *s, unsigned bits);

/* Say "[HIGHESTMODSEQ n]" up to which all is told. */
void imap_put_highestmodseq(struct imap_session *s, uint64_t modseq);

/* A mailbox name as this client reads it. */
void imap_put_name(struct imap_session *s, struct str name);

/* False: the mailbox is open read-only; answered with NO. */
bool imap_may_write(struct imap_session *s);

/* --- commands ------------------------------------------------------ */

extern const struct imap_handler imap_handlers[IMAP_COMMAND_COUNT];

#define IMAP_RUN(name) enum imap_run imap_run_##name(struct imap_session *s)
IMAP_RUN(capability);
IMAP_RUN(enable);
IMAP_RUN(compress);
IMAP_RUN(noop);
IMAP_RUN(logout);
IMAP_RUN(id);
IMAP_RUN(namespace);
IMAP_RUN(idle);
IMAP_RUN(select);
IMAP_RUN(close);
IMAP_RUN(unselect);
IMAP_RUN(status);
IMAP_RUN(getmetadata);
IMAP_RUN(setmetadata);
IMAP_RUN(notify);
IMAP_RUN(getquota);
IMAP_RUN(getquotaroot);
IMAP_RUN(create);
IMAP_RUN(delete);
IMAP_RUN(rename);
IMAP_RUN(subscribe);
IMAP_RUN(list);
IMAP_RUN(lsub);
IMAP_RUN(expunge);
IMAP_RUN(search);
IMAP_RUN(fetch);
IMAP_RUN(store);
IMAP_RUN(copy);
#undef IMAP_RUN

/* STATUS line of a mailbox. */
void imap_put_status(struct imap_session *s, const struct store_mailbox *box,
    unsigned items);

/* A mailbox was deleted: METADATA of it goes. */
void imap_forget_metadata(struct imap_session *s, uint64_t id);

/* LIST line of a mailbox; old_name: what the client called it, RFC 9051
 * section 6.3.9.7, or STR_NONE. */
void imap_put_list(struct imap_session *s, const struct store_mailbox *box,
    struct str old_name);

/* resync.c: "* VANISHED (EARLIER)" for UIDs of known (NULL: all) over
 * above_uid that went after since. */
int imap_put_vanished(struct imap_session *s, uint64_t since,
    const struct imap_set *known, uint32_t above_uid, struct err *err);

/* After SELECT (QRESYNC (...)): what has changed since. False: answered. */
bool imap_resync_begin(struct imap_session *s);
enum imap_run imap_resync_run(struct imap_session *s);

/* " \Sent" and the like; nothing for other roles. */
const char *imap_role_name(enum store_role role);

/* APPEND's message literal was announced. */
void imap_append_begin(struct imap_session *s);
enum imap_run imap_append_run(struct imap_session *s);
void imap_append_free(struct imap_session *s);

/* --- session ------------------------------------------------------- */

/* Parse what the framer has and begin to run it. */
void imap_begin_command(struct imap_session *s);

/* Answer BAD and count it. */
void imap_refuse(struct imap_session *s, struct str tag, const char *text);

/* Tell changes of the mailbox; RUN_MORE: not all yet. */
enum imap_run imap_tell(struct imap_session *s, bool may_expunge,
    bool has_uid);

void imap_deselect(struct imap_session *s);

/* Between commands and in IDLE: what NOTIFY asked for. RUN_MORE: it has said
 * something, or does so. */
enum imap_run imap_notify_step(struct imap_session *s);

/* park.c */
bool imap_park(struct imap_session *s, struct buf *state);
int imap_unpark(struct imap_session *s, struct str state, struct err *err);

#endif
