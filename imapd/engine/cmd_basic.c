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

static const struct {
	struct str name;
	unsigned bits;
} enables[] = {
	{ { "IMAP4rev2", 9 }, IMAP_ENABLED_REV2 },
	{ { "CONDSTORE", 9 }, IMAP_ENABLED_CONDSTORE },
	{ { "QRESYNC", 7 }, IMAP_ENABLED_QRESYNC | IMAP_ENABLED_CONDSTORE },
	{ { "UTF8=ACCEPT", 11 }, IMAP_ENABLED_UTF8 },
	{ { "UIDONLY", 7 }, IMAP_ENABLED_UIDONLY },
};

void
imap_put_highestmodseq(struct imap_session *s, uint64_t modseq)
{
	buf_addf(&s->out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
	    (unsigned long long)modseq);
}

static unsigned
style_of(unsigned enabled)
{
	return ((enabled & IMAP_ENABLED_CONDSTORE) ? VIEW_MODSEQ : 0U) |
	    ((enabled & IMAP_ENABLED_QRESYNC) ? VIEW_VANISHED : 0U) |
	    ((enabled & IMAP_ENABLED_UIDONLY) ?
	    VIEW_UIDONLY | VIEW_VANISHED : 0U) |
	    ((enabled & IMAP_ENABLED_REV2) ? VIEW_NO_RECENT : 0U);
}

/* RFC 7162 section 3.1: who enables CONDSTORE with a mailbox selected is told
 * where it stands; with an EXPUNGE untold nobody can say. */
void
imap_enable(struct imap_session *s, unsigned bits)
{
	unsigned fresh = bits & ~s->enabled;

	s->enabled |= bits;
	if (s->view == NULL)
		return;
	s->view->style = style_of(s->enabled);
	if ((fresh & IMAP_ENABLED_CONDSTORE) != 0 && !s->view->has_gone)
		imap_put_highestmodseq(s, s->view->modseq);
}

static void
enable_one(struct imap_session *s, struct str name)
{
	size_t i;

	for (i = 0; i < sizeof(enables) / sizeof(enables[0]); i++) {
		if (!str_eq_nocase(name, enables[i].name) ||
		    (enables[i].bits & ~s->enabled) == 0)
			continue;
		buf_add_char(&s->reply, ' ');
		buf_add_str(&s->reply, enables[i].name);
		s->enabled |= enables[i].bits;
	}
}

/* RFC 5161 section 3.1: ENABLE. Only what it has changed is listed. */
enum imap_run
imap_run_enable(struct imap_session *s)
{
	unsigned was = s->enabled, is;
	size_t i;

	buf_reset(&s->reply);
	for (i = 0; i < s->cmd.u.enable.n_names; i++)
		enable_one(s, s->cmd.u.enable.names[i]);
	buf_add_cstr(&s->out, "* ENABLED");
	buf_add_str(&s->out, buf_str(&s->reply));
	buf_add_cstr(&s->out, "\r\n");
	is = s->enabled;
	s->enabled = was;
	imap_enable(s, is);
	imap_ok(s);
	return RUN_DONE;
}

/* RFC 4978 section 3: COMPRESS. The front owns the socket: it says OK and
 * compresses from there on. What has come behind the command was not. */
enum imap_run
imap_run_compress(struct imap_session *s)
{
	struct str answer;

	if (!str_eq_nocase(s->cmd.u.compress.algorithm, STR("DEFLATE")))
		return imap_bad(s, "Unknown algorithm");
	if ((s->enabled & IMAP_ENABLED_DEFLATE) != 0)
		return imap_no(s, "[COMPRESSIONACTIVE] Already compressed");
	if (engine_input(s->host).len != 0)
		return imap_bad(s, "Nothing may follow COMPRESS");
	s->enabled |= IMAP_ENABLED_DEFLATE;
	answer = arena_printf(s->arena, "%.*s OK Compression begins\r\n",
	    STR_FMT(s->cmd.tag));
	engine_compress(s->host, answer);
	arena_reset(s->arena);
	s->phase = PHASE_INPUT;
	return RUN_MORE;
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
