/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/found.h"

#include "base/log.h"
#include "base/table.h"
#include "base/when.h"
#include "filter/verdict.h"
#include "ipc/links.h"
#include "smtpd/queue/notice.h"
#include "smtpd/queue/own.h"

#define DIRECTORY_DEADLINE_MS 30000
#define TOLD_EVERY_S 3600
#define TOLD_MAX 20000U		/* addresses that are remembered */
#define READERS_MAX 500U	/* of one event */
#define ADDRESS_ROOM 16U
#define SHOWN_MAX 5U		/* recipients that a notice lists */
#define TEXT_MAX 16384

/* Somebody who was told. */
struct told {
	int64_t at_s;
	uint64_t since;		/* found after that and not told */
};

struct found {
	const struct deliver_env *env;
	bool is_told;
	struct table *told;	/* address -> struct told */
};

struct reader {
	struct str address;
	bool is_admin;
	uint64_t since;
};

/* One event on its way to its readers. */
struct telling {
	struct found *found;
	struct arena *arena;
	struct found_event event;
	struct reader readers[READERS_MAX];
	size_t readers_len;
	size_t left;		/* notices under way, and who starts them */
};

/* ---- who ---- */

static void
forget_old(struct found *found, int64_t now_s)
{
	struct told *told;
	struct str key;
	size_t cursor = 0;

	while ((told = table_next(found->told, &cursor, &key)) != NULL)
		if (told->at_s + TOLD_EVERY_S <= now_s)
			free(table_del(found->told, key));
}

/* False: not so soon again. */
static bool
is_due(struct found *found, struct str address, uint64_t *since_r)
{
	struct told *told = table_get(found->told, address);
	int64_t now_s = when_wall_s();

	*since_r = 0;
	if (told != NULL && told->at_s + TOLD_EVERY_S > now_s) {
		told->since++;
		return false;
	}
	if (told == NULL) {
		if (table_count(found->told) >= TOLD_MAX)
			forget_old(found, now_s);
		if (table_count(found->told) >= TOLD_MAX)
			return false;
		told = calloc(1, sizeof(*told));
		invariant(told != NULL);
		table_put(found->told, address, told);
	}
	*since_r = told->since;
	*told = (struct told){ .at_s = now_s };
	return true;
}

static void
add_reader(struct telling *telling, struct str address, bool is_admin)
{
	struct reader *reader = &telling->readers[telling->readers_len];
	size_t i;

	if (telling->readers_len == READERS_MAX || address.len == 0)
		return;
	for (i = 0; i < telling->readers_len; i++)
		if (str_eq(telling->readers[i].address, address))
			return;
	if (!is_due(telling->found, address, &reader->since))
		return;
	reader->address = arena_str(telling->arena, address);
	reader->is_admin = is_admin;
	telling->readers_len++;
}

static void
add_admin_of(struct telling *telling, struct str address)
{
	size_t at = str_rfind(address, '@');

	if (at != STR_NPOS)
		add_reader(telling, arena_printf(telling->arena,
		    "postmaster@%.*s", (int)(address.len - at - 1),
		    address.p + at + 1), true);
}

static void
add_readers(struct telling *telling)
{
	const struct found_event *event = &telling->event;
	size_t i;

	if (event->kind == QUEUE_V_OUT) {
		add_reader(telling, event->sender, false);
		add_admin_of(telling, event->sender);
		return;
	}
	for (i = 0; i < event->recipients_len; i++) {
		if (event->kind != QUEUE_V_REPLACED)
			add_reader(telling, event->recipients[i], false);
		add_admin_of(telling, event->recipients[i]);
	}
}

/* ---- what ---- */

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
put_recipients(const struct found_event *event, const struct reader *reader,
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

static void
put_text(const struct telling *telling, const struct reader *reader,
    bool is_japanese, struct buf *text)
{
	const struct found_event *event = &telling->event;
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
		buf_addf(text, "\r\n%llu more were found since the last "
		    "notice.\r\n", (unsigned long long)reader->since);
}

/* ---- tell ---- */

static void
telling_done(struct telling *telling)
{
	struct arena *arena = telling->arena;

	if (--telling->left == 0)
		arena_free(&arena);
}

static void
on_queued(void *ctx, uint64_t id, const char *failure)
{
	if (failure != NULL)
		ev_warn(NULL, "queue.notice.lost", EV_CSTR(reason, failure));
	else
		ev_info(NULL, "queue.notice.found", EV_U64(queue_id, id));
	telling_done(ctx);
}

static void
tell(struct telling *telling, const struct reader *reader,
    struct str language)
{
	bool is_japanese = str_begins(language, STR("ja"));
	const struct deliver_env *env = telling->found->env;
	struct own_mail mail = { .flags = QUEUE_F_8BIT, .done = on_queued,
	    .ctx = telling, .to = reader->address };

	telling->left++;
	buf_init(&mail.text, 2 * TEXT_MAX);
	notice_put_head(&mail.text, env, reader->address,
	    str_of(is_japanese ? japanese[telling->event.kind].subject :
	    english[telling->event.kind].subject));
	put_text(telling, reader, is_japanese, &mail.text);
	own_submit(env, &mail);
}

static void
on_languages(void *ctx, int code, struct ipc_in *in)
{
	struct telling *telling = ctx;
	size_t i;

	for (i = 0; i < telling->readers_len; i++) {
		struct str language = code == 0 && ipc_more(in) ?
		    ipc_get_str(in) : STR("");

		/* Nobody reads there: a sender elsewhere, no administrator. */
		if (code == 0 && language.len == 0) {
			free(table_del(telling->found->told,
			    telling->readers[i].address));
			continue;
		}
		tell(telling, &telling->readers[i], language);
	}
	telling_done(telling);
}

static void
ask_languages(struct telling *telling)
{
	struct ipc_out *out = ipc_begin(telling->found->env->directory,
	    DIR_LANGUAGE);
	size_t i;

	for (i = 0; i < telling->readers_len; i++) {
		if (ipc_room(out) < telling->readers[i].address.len +
		    ADDRESS_ROOM) {
			telling->readers_len = i;
			break;
		}
		ipc_put_str(out, telling->readers[i].address);
	}
	(void)ipc_call(out, -1, DIRECTORY_DEADLINE_MS, on_languages,
	    telling);
}

static void
copy_event(struct telling *telling, const struct found_event *event)
{
	struct str *recipients = arena_alloc(telling->arena,
	    (event->recipients_len + 1) * sizeof(*recipients));
	size_t i;

	telling->event = *event;
	telling->event.sender = arena_str(telling->arena, event->sender);
	telling->event.name = arena_str(telling->arena, event->name);
	for (i = 0; i < event->recipients_len; i++)
		recipients[i] = arena_str(telling->arena,
		    event->recipients[i]);
	telling->event.recipients = recipients;
}

void
found_tell(struct found *found, const struct found_event *event)
{
	struct arena *arena;
	struct telling *telling;

	if (!found->is_told)
		return;
	arena = arena_new(0);
	telling = arena_new_of(arena, struct telling);
	telling->found = found;
	telling->arena = arena;
	telling->left = 1;
	copy_event(telling, event);
	add_readers(telling);
	if (telling->readers_len != 0)
		ask_languages(telling);
	else
		telling_done(telling);
}

static void
tell_all(struct found *found, const struct queue_item *item,
    enum queue_found kind, struct str name)
{
	struct arena *arena = arena_new(0);
	struct str *recipients = arena_alloc(arena, (item->rcpts_len + 1) *
	    sizeof(*recipients));
	struct found_event event = { .kind = kind, .name = name,
		.sender = item->sender, .recipients = recipients };

	while (event.recipients_len < item->rcpts_len &&
	    event.recipients_len < READERS_MAX) {
		recipients[event.recipients_len] =
		    item->rcpts[event.recipients_len].address;
		event.recipients_len++;
	}
	found_tell(found, &event);
	arena_free(&arena);
}

void
found_item(struct found *found, const struct queue_item *item)
{
	struct arena *arena = arena_new(0);
	struct verdict verdict;

	if (item->verdict.len != 0 && verdict_decode(item->verdict, arena,
	    &verdict, NULL) == 0 && verdict.virus == SCAN_INFECTED &&
	    verdict.action == VERDICT_QUARANTINE)
		tell_all(found, item, verdict.parts_len != 0 ?
		    QUEUE_V_REPLACED : QUEUE_V_QUARANTINED,
		    verdict.virus_name);
	arena_free(&arena);
}

void
found_watched(struct found *found, const struct queue_item *item,
    struct str name)
{
	tell_all(found, item, QUEUE_V_QUARANTINED, name);
}

void
found_take(struct found *found, struct ipc_in *in)
{
	uint64_t kind = ipc_get_u64(in);
	struct found_event event;
	struct str recipients[READERS_MAX];

	if (kind >= QUEUE_V_KINDS)
		return;
	event.kind = (enum queue_found)kind;
	event.sender = ipc_get_str(in);
	event.name = ipc_get_str(in);
	event.recipients = recipients;
	event.recipients_len = 0;
	while (ipc_more(in) && event.recipients_len < READERS_MAX)
		recipients[event.recipients_len++] = ipc_get_str(in);
	found_tell(found, &event);
}

/* ---- life ---- */

struct found *
found_new(const struct deliver_env *env, bool is_told)
{
	struct found *found = calloc(1, sizeof(*found));

	invariant(found != NULL);
	found->env = env;
	found->is_told = is_told;
	found->told = table_new();
	return found;
}

void
found_set(struct found *found, bool is_told)
{
	found->is_told = is_told;
}
