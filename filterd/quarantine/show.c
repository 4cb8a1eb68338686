/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/show.h"

#include "base/when.h"
#include "filter/words.h"
#include "filterd/quarantine/preview.h"

#define RCPTS_SHOWN 100

static json_t *
text_json(struct str s)
{
	json_t *text = json_stringn(s.p != NULL ? s.p : "", s.len);

	/* NULL for what is no UTF-8. */
	return text != NULL ? text : json_string("?");
}

json_t *
show_id(uint64_t id)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)id);
	return json_string(text);
}

json_t *
show_time(int64_t s)
{
	time_t t = (time_t)s;
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&t, &tm) != NULL)
		(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_string(text);
}

static json_t *
show_rcpts(const struct quarantine_entry *entry)
{
	json_t *rcpts = json_array();
	size_t i;

	for (i = 0; i < entry->rcpts_len && i < RCPTS_SHOWN; i++)
		json_array_append_new(rcpts,
		    text_json(entry->rcpts[i].address));
	return rcpts;
}

static int64_t
days_left(int64_t expires_s)
{
	int64_t left_s = expires_s - when_wall_s();

	return left_s <= 0 ? 0 : (left_s + QUARANTINE_DAY_S - 1) /
	    QUARANTINE_DAY_S;
}

/* Traits by their names. */
static json_t *
show_trait_names(const struct verdict *verdict)
{
	json_t *names = json_array();
	size_t i;

	for (i = 0; i < verdict->traits_len; i++)
		json_array_append_new(names, json_string(attack_trait_name(
		    verdict->traits[i].trait)));
	return names;
}

static json_t *
show_known(const struct quarantine_entry *entry, const struct days *days,
    const struct verdict *verdict, struct arena *arena)
{
	int64_t expires_s = entry->kept_s +
	    (int64_t)days_of(days, entry->domain) * QUARANTINE_DAY_S;

	return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, "
	    "s:I, s:o, s:o, s:o, s:I, s:o, s:I, s:o}",
	    "id", show_id(entry->id), "owner", text_json(entry->owner),
	    "for", entry->is_for_admin ? "admin" : "user",
	    "state", entry->is_releasing ? "releasing" : "held",
	    "reason", text_json(verdict_words(verdict, arena)),
	    "sender", text_json(entry->sender),
	    "from", text_json(entry->from),
	    "subject", text_json(entry->subject),
	    "date", text_json(entry->date),
	    "client", text_json(entry->client),
	    "size", (json_int_t)(entry->size_octets + entry->trace.len),
	    "arrived", show_time((int64_t)(entry->arrived_us / 1000000)),
	    "kept", show_time(entry->kept_s),
	    "expires", show_time(expires_s),
	    "days_left", (json_int_t)days_left(expires_s),
	    "recipients", show_rcpts(entry),
	    "recipient_count", (json_int_t)entry->rcpts_len,
	    "queue_id", show_id(entry->queue_id));
}

static void
read_verdict(const struct quarantine_entry *entry, struct arena *arena,
    struct verdict *verdict_r)
{
	if (entry->verdict.len == 0 || verdict_decode(entry->verdict, arena,
	    verdict_r, NULL) != 0)
		*verdict_r = (struct verdict){
		    .action = VERDICT_QUARANTINE, .reason = STR("unknown") };
}

json_t *
show_entry(const struct quarantine_entry *entry, const struct days *days)
{
	struct arena *arena = arena_new(4096);
	struct verdict verdict;
	json_t *shown;

	read_verdict(entry, arena, &verdict);
	shown = show_known(entry, days, &verdict, arena);
	json_object_set_new(shown, "traits", show_trait_names(&verdict));
	arena_free(&arena);
	return shown;
}

/* ---- the whole ---- */

static json_t *
show_auth(const struct verdict *verdict)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < verdict->auth_len; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}",
		    "method", verdict_method_name(verdict->auth[i].method),
		    "result", mailauth_result_name(verdict->auth[i].result),
		    "identity", text_json(verdict->auth[i].identity),
		    "reason", text_json(verdict->auth[i].reason)));
	return list;
}

static json_t *
show_traits(const struct verdict *verdict)
{
	const struct verdict_trait *trait;
	json_t *list = json_array(), *one;
	size_t i;

	for (i = 0; i < verdict->traits_len; i++) {
		trait = &verdict->traits[i];
		one = json_pack("{s:s, s:s, s:o}", "name",
		    attack_trait_name(trait->trait), "text",
		    attack_trait_text(trait->trait, STR("en")),
		    "detail", text_json(trait->detail));
		if (trait->part != ATTACK_NO_PART)
			json_object_set_new(one, "part",
			    json_integer(trait->part));
		json_array_append_new(list, one);
	}
	return list;
}

/* Infected parts: the number in the message's summary, and what it is. */
static json_t *
show_parts(const struct verdict *verdict)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < verdict->parts_len; i++)
		json_array_append_new(list, json_pack("{s:i, s:o}", "part",
		    (int)verdict->parts[i].number, "name",
		    text_json(verdict->parts[i].name)));
	return list;
}

/* What the engines that opened it have seen. */
static json_t *
show_engines(const struct verdict *verdict)
{
	const struct verdict_engine *engine;
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < verdict->engines_len; i++) {
		engine = &verdict->engines[i];
		json_array_append_new(list, json_pack(
		    "{s:o, s:o, s:s, s:i, s:o}", "engine",
		    text_json(engine->engine), "kind",
		    text_json(engine->kind), "result",
		    verdict_detonation_name(engine->result), "score",
		    (int)engine->score, "name", text_json(engine->name)));
	}
	return list;
}

static json_t *
show_verdict(const struct verdict *verdict)
{
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:b, s:o, s:s, s:o, s:o}",
	    "action", verdict_action_name(verdict->action),
	    "reason", text_json(verdict->reason),
	    "scan", verdict->is_scanned ? verdict_scan_name(verdict->virus) :
	    "", "virus", text_json(verdict->virus_name),
	    "parts", show_parts(verdict),
	    "suspicious", (int)verdict->is_suspicious,
	    "traits", show_traits(verdict),
	    "detonation", verdict->is_detonated ?
	    verdict_detonation_name(verdict->detonation) : "",
	    "engines", show_engines(verdict), "auth", show_auth(verdict));
}

static void
put_preview(json_t *shown, const struct quarantine_entry *entry, int blob_fd,
    struct arena *arena)
{
	struct preview preview = { .text = STR("") };
	json_t *names = json_array();
	size_t i;

	if (blob_fd != -1)
		preview = preview_read(entry, blob_fd, arena);
	for (i = 0; i < preview.names_len; i++)
		json_array_append_new(names, text_json(preview.names[i]));
	json_object_set_new(shown, "attachments", names);
	json_object_set_new(shown, "preview", text_json(preview.text));
	json_object_set_new(shown, "preview_cut",
	    json_boolean(preview.is_cut));
}

json_t *
show_whole(const struct quarantine_entry *entry, const struct days *days,
    int blob_fd)
{
	struct arena *arena = arena_new(16384);
	struct verdict verdict;
	json_t *shown;

	read_verdict(entry, arena, &verdict);
	shown = show_known(entry, days, &verdict, arena);
	json_object_set_new(shown, "verdict", show_verdict(&verdict));
	put_preview(shown, entry, blob_fd, arena);
	arena_free(&arena);
	return shown;
}
