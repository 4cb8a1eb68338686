/* SPDX-License-Identifier: ISC */
/* Commands that touch no mail. */
#include "imapd/engine/engine_int.h"

#include "proto/imap_capability.h"

/* RFC 3501 section 6.1.1: CAPABILITY */
enum imap_run
imap_run_capability(struct imap_session *s)
{
	buf_add_cstr(&s->out, "* CAPABILITY " IMAP_CAPABILITY_SESSION "\r\n");
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 3501 section 6.1.2: NOOP; section 6.4.1: CHECK */
enum imap_run
imap_run_noop(struct imap_session *s)
{
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 3501 section 6.1.3: LOGOUT */
enum imap_run
imap_run_logout(struct imap_session *s)
{
	imap_bye(s, "Logging out");
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 2971 section 3.1: ID. A version would help nobody but attackers. */
enum imap_run
imap_run_id(struct imap_session *s)
{
	buf_add_cstr(&s->out, "* ID (\"name\" \"Hikyaku\")\r\n");
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 2342 section 5: NAMESPACE */
enum imap_run
imap_run_namespace(struct imap_session *s)
{
	buf_add_cstr(&s->out, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 2177 section 3: IDLE. The phase of that name goes on. */
enum imap_run
imap_run_idle(struct imap_session *s)
{
	(void)snprintf(s->idle_tag, sizeof(s->idle_tag), "%.*s",
	    STR_FMT(s->cmd.tag));
	arena_reset(s->arena);
	buf_add_cstr(&s->out, "+ idling\r\n");
	imap_framer_want_line(&s->framer, 64);
	s->phase = PHASE_IDLE;
	return RUN_MORE;
}
