/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/found_text.h"

#define SHOWN_MAX 5U		/* recipients that a notice lists */

struct wording {
	const char *subject;
	const char *what;
};

static const struct wording japanese[QUEUE_V_KINDS] = {
	[QUEUE_V_REFUSED] = { "ウイルスを検出し、メールの受信を拒否しました",
	    "次の受信メールからウイルスを検出したため、受信を拒否しました。" },
	[QUEUE_V_QUARANTINED] = { "ウイルスを検出し、メールを隔離しました",
	    "次の受信メールからウイルスを検出したため、隔離しました。\r\n"
	    "元のメールは管理者の隔離領域に保管されています。" },
	[QUEUE_V_REPLACED] = { "ウイルスを検出し、添付ファイルを取り除きました",
	    "次の受信メールの添付ファイルからウイルスを検出したため、"
	    "取り除いて配信しました。\r\n"
	    "元のメールは管理者の隔離領域に保管されています。" },
	[QUEUE_V_OUT] = { "ウイルスを検出し、メールの送信を拒否しました",
	    "次の送信メールからウイルスを検出したため、送信を拒否しました。\r\n"
	    "送信した覚えがない場合は、パスワードの変更と端末の検査をお願いします。"
	    },
};

static const struct wording english[QUEUE_V_KINDS] = {
	[QUEUE_V_REFUSED] = { "An infected message was refused",
	    "This incoming message was refused, because it is infected with\r\n"
	    "malicious software." },
	[QUEUE_V_QUARANTINED] = { "An infected message was quarantined",
	    "This incoming message is infected with malicious software.\r\n"
	    "It is kept in the quarantine of the administrator." },
	[QUEUE_V_REPLACED] = { "An infected attachment was removed",
	    "An attachment of this incoming message was infected with "
	    "malicious\r\nsoftware. The message was delivered without it. "
	    "As it came it is kept in\r\nthe quarantine of the "
	    "administrator." },
	[QUEUE_V_OUT] = { "An infected message was not sent",
	    "This outgoing message was refused, because it is infected with\r\n"
	    "malicious software. If you did not send it, change the password "
	    "and have\r\nthe computer checked." },
};

/* Names of the lines under the text. */
struct labels {
	const char *sender, *recipient, *found;
};

static const struct labels labels_ja = { "差出人", "宛先", "検出名" };
static const struct labels labels_en = { "Sender", "Recipient", "Found" };

static void
put_recipients(const struct found_event *event, const struct found_reader *reader,
    const struct labels *labels, struct buf *text)
{
	size_t i, shown = 0;

	for (i = 0; i < event->recipients_len && shown < SHOWN_MAX; i++) {
		/* Of the others nobody knows whether they are secret (Bcc). */
		if (!reader->is_admin && event->kind != QUEUE_V_OUT &&
		    !str_eq(event->recipients[i], reader->address))
			continue;
		buf_addf(text, "  %s: %.*s\r\n", labels->recipient,
		    STR_FMT(event->recipients[i]));
		shown++;
	}
	if (shown == SHOWN_MAX && event->recipients_len > shown)
		buf_addf(text, "  %s: (+%zu)\r\n", labels->recipient,
		    event->recipients_len - shown);
}

const char *
found_subject(enum queue_found kind, bool is_japanese)
{
	return is_japanese ? japanese[kind].subject : english[kind].subject;
}

void
found_put_text(struct buf *text, const struct found_event *event,
    const struct found_reader *reader, bool is_japanese)
{
	const struct labels *labels = is_japanese ? &labels_ja : &labels_en;
	const struct wording *wording = is_japanese ?
	    &japanese[event->kind] : &english[event->kind];

	buf_addf(text, "%s\r\n\r\n", wording->what);
	buf_addf(text, "  %s: <%.*s>\r\n", labels->sender,
	    STR_FMT(event->sender));
	put_recipients(event, reader, labels, text);
	buf_addf(text, "  %s: %.*s\r\n", labels->found, STR_FMT(event->name));
	if (reader->since == 0)
		return;
	if (is_japanese)
		buf_addf(text, "\r\n前回の通知以降、ほかに %llu "
		    "通から検出されています。\r\n",
		    (unsigned long long)reader->since);
	else
		buf_addf(text, "\r\n%llu more %s found since the last "
		    "notice.\r\n", (unsigned long long)reader->since,
		    reader->since == 1 ? "was" : "were");
}
