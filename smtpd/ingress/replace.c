/* SPDX-License-Identifier: ISC */
/*
 * replace: infected attachments are taken out of a message, and a notice in
 * the languages of its recipients stands in their place. Everything else stays
 * octet for octet. What is infected outside of attachments cannot be taken out:
 * then nothing is, and what becomes of the whole is asked.
 *
 * The numbers of the parts are filterd's, who read what strangers wrote: they
 * are looked up in our own summary (substitute.h).
 */
#include "smtpd/ingress/message_int.h"
#include "smtpd/ingress/rewrite.h"
#include "smtpd/ingress/substitute.h"

#define DIRECTORY_DEADLINE_MS 30000
#define LANGUAGES_MAX 1000U
#define RCPT_OVERHEAD 16

/* ---- the message without them ---- */

static void
on_rewritten(void *ctx, int code)
{
	struct message *message = ctx;

	if (!message_answered(message))
		return;
	if (code != 0)
		message_answer(message, code == ERR_LIMIT ? 452 : 451,
		    code == ERR_LIMIT ? "4.3.1" : "4.3.0",
		    code == ERR_LIMIT ? "the disk is full" :
		    "try again later");
	else
		message_judge_again(message);
}

static void
put_piece(void *ctx, struct str text, uint64_t at, uint64_t len)
{
	struct rewrite *rewrite = ctx;

	if (text.p != NULL)
		rewrite_text(rewrite, text);
	else
		rewrite_range(rewrite, at, len);
}

static void
replace(struct message *message, const struct substitution *substitution)
{
	struct rewrite *rewrite = rewrite_new(message);

	if (substitute(substitution, put_piece, rewrite) != 0) {
		rewrite_free(rewrite);
		message_answer(message, 451, "4.3.0", "try again later");
		return;
	}
	ev_info(message->session->ev, "smtp.message.replaced",
	    EV_STR(virus, message->judged->virus_name),
	    EV_U64(count, message->judged->parts_len));
	session_wait(message->session);
	rewrite_run(rewrite, &message->original, on_rewritten, message);
}

/* ---- begin ---- */

static void
on_languages(void *ctx, int code, struct ipc_in *in)
{
	struct message *message = ctx;
	struct substitution substitution = { .summary = NULL };
	struct mail_view view;

	if (!message_answered(message))
		return;
	view = mail_view_of_fd(STR_NONE, message->sealed.fd,
	    message->sealed.octets);
	substitution.view = &view;
	substitution.verdict = message->judged;
	substitution.summary = sealed_summary(&message->sealed);
	substitution.arena = message->session->tx.arena;
	while (code == 0 && ipc_more(in)) {
		if (str_begins(ipc_get_str(in), STR("ja")))
			substitution.is_japanese = true;
		else
			substitution.is_english = true;
	}
	/* Nobody knows: whoever reads it reads one of the two. */
	if (!substitution.is_japanese && !substitution.is_english)
		substitution.is_japanese = substitution.is_english = true;
	replace(message, &substitution);
}

static void
ask_languages(struct message *message)
{
	struct transaction *tx = &message->session->tx;
	struct ipc_out *out = ipc_begin(message_link(message, "directoryd"),
	    DIR_LANGUAGE);
	struct recipient *rcpt, *tmp;
	unsigned n = 0;

	list_each(rcpt, tmp, &tx->recipients, struct recipient, node) {
		if (n++ == LANGUAGES_MAX ||
		    ipc_room(out) < rcpt->address.len + RCPT_OVERHEAD)
			break;
		ipc_put_str(out, rcpt->address);
	}
	session_wait(message->session);
	(void)ipc_call(out, -1, DIRECTORY_DEADLINE_MS, on_languages,
	    message);
}

void
message_replace(struct message *message)
{
	if (substitute_can(sealed_summary(&message->sealed), message->judged))
		ask_languages(message);
	else
		message_judge_again(message);
}
