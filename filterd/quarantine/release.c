/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/release.h"

#include <unistd.h>

#include "base/log.h"
#include "base/when.h"
#include "filter/words.h"
#include "ipc/links.h"
#include "ipc/values.h"

#define SUBMIT_DEADLINE_MS 120000
#define RCPT_OVERHEAD 24
#define ENVELOPE_OVERHEAD 1536	/* numbers, tags, lengths, the key */

struct release {
	struct list node;	/* in env->active */
	struct release_env *env;
	struct arena *arena;	/* holds this too */
	struct quarantine_entry entry;
	struct str actor;
	int blob_fd;
	bool is_forced;
	uint64_t queue_id;
	release_done *done;
	void *ctx;
};

static void
finish(struct release *release, int code, const struct err *err)
{
	struct arena *arena = release->arena;

	if (code != 0)
		ev_warn(NULL, "quarantine.release.failed",
		    EV_U64(entry, release->entry.id),
		    EV_STR(actor, release->actor), EV_ERR(err));
	list_del(&release->node);
	release->done(release->ctx, code, err);
	if (release->blob_fd != -1)
		(void)close(release->blob_fd);
	arena_free(&arena);
}

static void
fail(struct release *release, int code, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, code, "%s", why);
	finish(release, code, &err);
}

/* ---- the queue answers for it: the entry goes ---- */

static void
on_removed(void *ctx, int code)
{
	struct release *release = ctx;

	if (code != 0) {
		fail(release, ERR_TEMP, "released, but shown here for a "
		    "while");
		return;
	}
	ev_info(NULL, "quarantine.entry.released",
	    EV_U64(entry, release->entry.id),
	    EV_U64(queue_id, release->queue_id),
	    EV_STR(address, release->entry.owner),
	    EV_STR(actor, release->actor));
	tally_count(release->env->tally, release->entry.domain, "released",
	    1);
	tally_state(release->env->tally, 0);
	finish(release, 0, NULL);
}

static void
on_submitted(void *ctx, int code, struct ipc_in *in)
{
	struct release *release = ctx;
	struct err err = ERR_INIT;

	if (code == ERR_SYNTAX || code == ERR_CORRUPT) {
		fail(release, ERR_CORRUPT, "the queue cannot take it");
		return;
	}
	if (code != 0) {
		fail(release, ERR_TEMP, code == ERR_LIMIT ?
		    "the disk is full: it goes when there is room" :
		    "the queue does not take it now: it goes when it does");
		return;
	}
	release->queue_id = ipc_get_u64(in);
	code = quarantine_store_rcpts_done(release->env->store,
	    release->entry.id, release->entry.rcpts,
	    release->entry.rcpts_len, &err);
	/* Somebody else was quicker: it is gone all the same. */
	if (code != 0 && code != ERR_NOTFOUND)
		on_removed(release, code);
	else
		quarantine_store_after(release->env->store, on_removed,
		    release);
}

/* ---- to the queue ---- */

/* Known as long as the queue item it came from is: also when quarantine.db is
 * lost, and its ids begin anew. */
static struct str
key_of(const struct release *release)
{
	const struct quarantine_entry *entry = &release->entry;

	return arena_printf(release->arena, "quarantine/%llu/%llu/%.*s",
	    (unsigned long long)entry->queue_id,
	    (unsigned long long)entry->rcpts[0].n, STR_FMT(entry->owner));
}

/* What was found stays known; what is done with it was decided. */
static struct str
verdict_now(const struct release *release)
{
	struct verdict verdict;
	struct str octets;
	struct buf buf;

	if (verdict_decode(release->entry.verdict, release->arena, &verdict,
	    NULL) != 0)
		return STR("");
	verdict.action = VERDICT_DELIVER;
	verdict.holder = VERDICT_H_RECIPIENT;
	verdict.code = 0;
	verdict.enhanced = STR("");
	verdict.text = STR("");
	buf_init(&buf, 2 * VERDICT_OCTETS_MAX);
	verdict_encode(&verdict, &buf);
	octets = arena_str(release->arena, buf_str(&buf));
	buf_fini(&buf);
	return octets;
}

static void
put_rcpt(struct ipc_out *out, const struct quarantine_rcpt *rcpt)
{
	ipc_put_str(out, rcpt->address);
	ipc_put_u64(out, rcpt->notify);
	ipc_put_str(out, rcpt->orcpt);
}

static size_t
rcpt_room(const struct quarantine_rcpt *rcpt)
{
	return rcpt->address.len + rcpt->orcpt.len + RCPT_OVERHEAD;
}

/* Recipients that do not fit beside the rest go ahead. Returns the first that
 * is left. */
static size_t
send_ahead(struct release *release, uint64_t tx, size_t room)
{
	const struct quarantine_entry *entry = &release->entry;
	struct ipc_out *out;
	size_t need = 0, i, left = 0;

	for (i = 0; i < entry->rcpts_len; i++)
		need += rcpt_room(&entry->rcpts[i]);
	while (need > room && left < entry->rcpts_len) {
		out = ipc_begin(release->env->queue, QUEUE_RCPTS);
		ipc_put_u64(out, tx);
		for (; left < entry->rcpts_len && ipc_room(out) >=
		    rcpt_room(&entry->rcpts[left]); left++) {
			put_rcpt(out, &entry->rcpts[left]);
			need -= rcpt_room(&entry->rcpts[left]);
		}
		(void)ipc_send(out, -1);
	}
	return left;
}

static void
submit(struct release *release)
{
	struct quarantine_entry *entry = &release->entry;
	struct str verdict = verdict_now(release), key = key_of(release);
	uint64_t tx = ++release->env->next_tx;
	struct str trace = arena_printf(release->arena,
	    "X-Hikyaku-Released: quarantine\r\n%.*s", STR_FMT(entry->trace));
	size_t others = trace.len + verdict.len + entry->sender.len +
	    entry->envid.len + key.len + ENVELOPE_OVERHEAD, left;
	struct ipc_out *out;

	if (others > IPC_PAYLOAD_MAX) {
		fail(release, ERR_CORRUPT, "its envelope is too large");
		return;
	}
	/* A summary that does not fit is made by the account process. */
	if (entry->summary.len > IPC_PAYLOAD_MAX - others)
		entry->summary = STR("");
	left = send_ahead(release, tx, IPC_PAYLOAD_MAX - others -
	    entry->summary.len);
	out = ipc_begin(release->env->queue, QUEUE_SUBMIT);
	ipc_put_u64(out, tx);
	ipc_put_str(out, key);
	ipc_put_str(out, entry->sender);
	ipc_put_u64(out, entry->sender_account);
	ipc_put_u64(out, entry->flags);
	ipc_put_str(out, entry->envid);
	ipc_put_u64(out, 0);
	ipc_put_str(out, trace);
	ipc_put_str(out, verdict);
	ipc_put_str(out, entry->summary);
	ipc_put_u64(out, entry->size_octets);
	ipc_put_str(out, entry->sha256);
	ipc_put_str(out, entry->client);
	ipc_put_u64(out, entry->rcpts_len);
	for (; left < entry->rcpts_len; left++)
		put_rcpt(out, &entry->rcpts[left]);
	(void)ipc_call(out, release->blob_fd, SUBMIT_DEADLINE_MS,
	    on_submitted, release);
}

/* ---- the decision ---- */

/* Those who were marked, of all that it has by now. */
static bool
take_marked(struct release *release)
{
	struct quarantine_entry *entry = &release->entry;
	uint64_t id = entry->id;
	size_t i, left = 0;

	if (quarantine_store_get(release->env->store, id, true,
	    release->arena, entry, NULL) != 0)
		return false;
	for (i = 0; i < entry->rcpts_len; i++)
		if (entry->rcpts[i].is_releasing)
			entry->rcpts[left++] = entry->rcpts[i];
	entry->rcpts_len = left;
	return left != 0;
}

static void
on_marked(void *ctx, int code)
{
	struct release *release = ctx;

	if (code == 0 && !take_marked(release))
		fail(release, ERR_NOTFOUND, "it was deleted meanwhile");
	else if (code != 0)
		fail(release, ERR_TEMP, code == ERR_LIMIT ?
		    "the disk is full" : "it could not be written, try again "
		    "later");
	else
		submit(release);
}

/* From here on it goes, whatever ends in between. */
static void
mark(struct release *release)
{
	struct quarantine_store *store = release->env->store;
	struct err err = ERR_INIT;
	int rc = quarantine_store_set_releasing(store, release->entry.id,
	    true, &err);

	if (rc != 0)
		finish(release, rc, &err);
	else
		quarantine_store_after(store, on_marked, release);
}

/* ---- the look ---- */

/* What harm it does, in words; empty: none that is known. */
static struct str
harm_of(const struct release *release, const struct verdict *now)
{
	struct arena *arena = release->arena;
	struct verdict then;
	size_t i;

	if (now->is_scanned && (now->virus == SCAN_INFECTED ||
	    now->virus == SCAN_CRASHED))
		return verdict_scan_words(now->virus, now->virus_name, arena);
	if (verdict_decode(release->entry.verdict, arena, &then, NULL) != 0)
		return STR("");
	/* Nobody has looked again: what was found holds. */
	if (!now->is_scanned && then.is_scanned &&
	    (then.virus == SCAN_INFECTED || then.virus == SCAN_CRASHED))
		return verdict_scan_words(then.virus, then.virus_name, arena);
	/* Nobody opens it again; what an engine has seen holds. */
	if (!then.is_detonated || then.detonation != DETONATION_MALICIOUS)
		return STR("");
	for (i = 0; i < then.engines_len; i++)
		if (then.engines[i].result == DETONATION_MALICIOUS &&
		    then.engines[i].name.len != 0)
			return arena_printf(arena, "malicious content, seen "
			    "when it was opened (%.*s)",
			    STR_FMT(then.engines[i].name));
	return STR("malicious content, seen when it was opened");
}

/* Nobody but an operator who insists lets harm go. */
static void
decide(struct release *release, const struct verdict *now)
{
	struct str harm = harm_of(release, now);
	struct err err = ERR_INIT;

	if (harm.len != 0 && !release->is_forced) {
		err_set(&err, ERR_DENIED, "it has %.*s and stays",
		    STR_FMT(harm));
		finish(release, ERR_DENIED, &err);
		return;
	}
	if (harm.len != 0)
		ev_warn(NULL, "quarantine.release.forced",
		    EV_U64(entry, release->entry.id),
		    EV_STR(address, release->entry.owner),
		    EV_STR(actor, release->actor), EV_STR(virus, harm));
	mark(release);
}

static void
on_judged(void *ctx, int code, struct ipc_in *in)
{
	struct release *release = ctx;
	struct verdict now;

	if (code != 0 || verdict_decode(ipc_get_str(in), release->arena,
	    &now, NULL) != 0)
		fail(release, ERR_TEMP, "it could not be looked at now, try "
		    "again later");
	else
		decide(release, &now);
}

static void
look(struct release *release)
{
	struct release_env *env = release->env;
	struct ipc_out *out = ipc_begin(env->filter, FILTER_JUDGE);
	char session[32];

	(void)snprintf(session, sizeof(session), "q%llu",
	    (unsigned long long)release->entry.id);
	ipc_put_u64(out, when_mono_ms() + env->budget_ms);
	ipc_put_u64(out, FILTER_F_CONTENT_ONLY);
	ipc_put_u64(out, release->entry.size_octets);
	ipc_put_str(out, str_of(session));
	ipc_put_str(out, STR("quarantine"));
	ipc_put_str(out, STR(""));
	ipc_put_str(out, release->entry.client);
	ipc_put_str(out, STR(""));
	ipc_put_str(out, release->entry.sender);
	ipc_put_u64(out, 0);
	(void)ipc_call(out, release->blob_fd, env->budget_ms, on_judged,
	    release);
}

/* ---- begin ---- */

static struct release *
release_new(struct release_env *env, uint64_t id, struct str actor,
    release_done *done, void *ctx)
{
	struct arena *arena = arena_new(8192);
	struct release *release = arena_new_of(arena, struct release);

	release->env = env;
	release->arena = arena;
	release->entry.id = id;
	release->blob_fd = -1;
	release->actor = arena_str(arena, actor);
	release->done = done;
	release->ctx = ctx;
	list_add(&env->active, &release->node);
	return release;
}

/* The entry, which take_marked() reads whole, and its message. False: the
 * release has ended. */
static bool
take(struct release *release)
{
	struct release_env *env = release->env;
	uint64_t id = release->entry.id;
	struct err err = ERR_INIT;
	int rc;

	rc = quarantine_store_get(env->store, id, false, release->arena,
	    &release->entry, NULL);
	if (rc != 0) {
		err_set(&err, rc, rc == ERR_NOTFOUND ?
		    "there is no such entry" : "it cannot be read");
		finish(release, rc, &err);
		return false;
	}
	if (release->entry.rcpts_len == 0) {
		fail(release, ERR_CORRUPT, "it has no recipient");
		return false;
	}
	rc = quarantine_store_open_blob(env->store, id, &err);
	if (rc < 0) {
		fail(release, rc == ERR_NOTFOUND ? ERR_CORRUPT : ERR_TEMP,
		    "its message cannot be read");
		return false;
	}
	release->blob_fd = rc;
	return true;
}

void
release_begin(struct release_env *env, uint64_t id, bool is_forced,
    struct str actor, release_done *done, void *ctx)
{
	bool is_doubled = release_is_active(env, id);
	struct release *release = release_new(env, id, actor, done, ctx);
	struct verdict unseen = { .is_scanned = false };

	release->is_forced = is_forced;
	if (!take(release))
		return;
	if (release->entry.is_releasing || is_doubled) {
		fail(release, ERR_EXISTS, "it is on its way already");
		return;
	}
	if (env->filter == NULL)
		decide(release, &unseen);
	else
		look(release);
}

void
release_resume(struct release_env *env, uint64_t id, release_done *done,
    void *ctx)
{
	struct release *release = release_new(env, id, STR("resumed"), done,
	    ctx);

	if (!take(release))
		return;
	if (!take_marked(release))
		fail(release, ERR_NOTFOUND, "nothing of it was decided");
	else
		submit(release);
}

bool
release_is_active(const struct release_env *env, uint64_t id)
{
	const struct release *release, *tmp;

	list_each(release, tmp, &env->active, const struct release, node)
		if (release->entry.id == id)
			return true;
	return false;
}

void
release_env_init(struct release_env *env, struct quarantine_store *store,
    struct ipc_link *queue, struct tally *tally)
{
	*env = (struct release_env){ .store = store, .queue = queue,
	    .tally = tally };
	list_init(&env->active);
}
