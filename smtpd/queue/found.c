/* SPDX-License-Identifier: ISC */
#include "smtpd/queue/found.h"

#include "base/log.h"
#include "base/when.h"
#include "filter/verdict.h"
#include "ipc/links.h"
#include "smtpd/queue/found_text.h"
#include "smtpd/queue/notice.h"
#include "smtpd/queue/own.h"
#include "smtpd/queue/told.h"

#define DIRECTORY_DEADLINE_MS 30000
#define READERS_MAX 500U	/* of one event */
#define ADDRESS_ROOM 16U
#define TEXT_MAX 16384

struct found {
	const struct deliver_env *env;
	bool is_told;
	/* What comes in, which anybody can send, does not mute what goes
	 * out. */
	struct told *told_in;
	struct told *told_out;
};

/* One event on its way to its readers. */
struct telling {
	struct found *found;
	struct arena *arena;
	struct found_event event;
	struct found_reader readers[READERS_MAX];
	size_t readers_len;
	size_t left;		/* notices under way, and who starts them */
};

/* ---- who ---- */

static struct told *
told_of(const struct telling *telling)
{
	return telling->event.kind == QUEUE_V_OUT ? telling->found->told_out :
	    telling->found->told_in;
}

static void
add_reader(struct telling *telling, struct str address, bool is_admin)
{
	struct found_reader *reader = &telling->readers[telling->readers_len];
	size_t i;

	if (telling->readers_len == READERS_MAX || address.len == 0)
		return;
	for (i = 0; i < telling->readers_len; i++)
		if (str_eq(telling->readers[i].address, address))
			return;
	if (!told_is_due(told_of(telling), address, when_wall_s(),
	    &reader->since))
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
tell(struct telling *telling, const struct found_reader *reader,
    struct str language)
{
	bool is_japanese = str_begins(language, STR("ja"));
	const struct deliver_env *env = telling->found->env;
	struct own_mail mail = { .flags = QUEUE_F_8BIT, .done = on_queued,
	    .ctx = telling, .to = reader->address };

	telling->left++;
	buf_init(&mail.text, 2 * TEXT_MAX);
	notice_put_head(&mail.text, env, reader->address,
	    str_of(found_subject(telling->event.kind, is_japanese)));
	found_put_text(&mail.text, &telling->event, reader, is_japanese);
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
			told_forget(told_of(telling),
			    telling->readers[i].address);
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
	found->told_in = told_new();
	found->told_out = told_new();
	return found;
}

void
found_set(struct found *found, bool is_told)
{
	found->is_told = is_told;
}
