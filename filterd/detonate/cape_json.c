/* SPDX-License-Identifier: ISC */
#include "filterd/detonate/cape_json.h"

#include <jansson.h>

#define FOUND_MAX 2000U		/* tasks of an answer that are looked at */

/* Fits the number of a task in the engine's URLs. */
static bool
is_id(const json_t *value)
{
	return json_is_integer(value) && json_integer_value(value) > 0;
}

static const char *
why_failed(const json_t *root)
{
	const json_t *why = json_object_get(root, "error_value");

	if (!json_is_string(why))
		why = json_object_get(root, "detail");
	return json_is_string(why) ? json_string_value(why) : "no reason";
}

/* The object, or NULL. */
static json_t *
load(struct str body, struct err *err, int *rc_r)
{
	json_t *root = json_loadb(body.p != NULL ? body.p : "", body.len, 0,
	    NULL);

	*rc_r = 0;
	if (!json_is_object(root))
		*rc_r = err_set(err, ERR_SYNTAX, "no JSON object");
	else if (json_is_true(json_object_get(root, "error")))
		*rc_r = err_set(err, ERR_DENIED, "%.150s", why_failed(root));
	if (*rc_r == 0)
		return root;
	json_decref(root);
	return NULL;
}

/* ---- tasks ---- */

int
cape_read_created(struct str body, struct engine_task *task_r,
    struct err *err)
{
	const json_t *ids, *id;
	json_t *root;
	size_t i;
	int rc;

	task_r->len = 0;
	if ((root = load(body, err, &rc)) == NULL)
		return rc;
	ids = json_object_get(json_object_get(root, "data"), "task_ids");
	json_array_foreach(ids, i, id)
		if (is_id(id) && task_r->len < ENGINE_TASKS_MAX)
			task_r->ids[task_r->len++] =
			    (uint64_t)json_integer_value(id);
	json_decref(root);
	return task_r->len != 0 ? 0 : err_set(err, ERR_NOTFOUND,
	    "no number of a task");
}

static const struct {
	const char *name;
	enum engine_state state;
} states[] = {
	{ "pending", ENGINE_RUNNING }, { "running", ENGINE_RUNNING },
	{ "distributed", ENGINE_RUNNING }, { "completed", ENGINE_RUNNING },
	{ "distributed_completed", ENGINE_RUNNING },
	{ "reported", ENGINE_DONE },
	{ "failed_analysis", ENGINE_FAILED },
	{ "failed_processing", ENGINE_FAILED },
	{ "failed_reporting", ENGINE_FAILED }, { "banned", ENGINE_FAILED },
	/* After a restart of the engine another one takes its place. */
	{ "recovered", ENGINE_LOST },
};

static bool
state_of(const json_t *value, enum engine_state *state_r)
{
	const char *name = json_string_value(value);
	size_t i;

	for (i = 0; name != NULL && i < sizeof(states) / sizeof(states[0]);
	    i++)
		if (strcmp(states[i].name, name) == 0) {
			*state_r = states[i].state;
			return true;
		}
	return false;
}

struct found {
	uint64_t sample;
	uint64_t id;
};

/* Later tasks of the same sample replace earlier ones. */
static size_t
found_add(struct found *found, size_t len, uint64_t sample, uint64_t id)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (found[i].sample == sample) {
			if (id > found[i].id)
				found[i].id = id;
			return len;
		}
	if (len == ENGINE_TASKS_MAX)
		return len;
	found[len] = (struct found){ sample, id };
	return len + 1;
}

/* One of "a=b,c=d". */
static bool
has_mark(const json_t *task, struct str mark)
{
	const char *options = json_string_value(json_object_get(task,
	    "options"));
	struct str rest = str_of(options != NULL ? options : ""), one;

	while (rest.len != 0) {
		size_t at = str_find(rest, ',');

		one = str_sub(rest, 0, at == STR_NPOS ? rest.len : at);
		rest = str_sub(rest, one.len + (at != STR_NPOS), rest.len);
		if (str_eq(str_trim(one), mark))
			return true;
	}
	return false;
}

int
cape_read_found(struct str body, struct str mark,
    struct engine_task *task_r, struct err *err)
{
	struct found found[ENGINE_TASKS_MAX];
	enum engine_state state;
	const json_t *tasks, *task, *sample;
	size_t i, len = 0;
	json_t *root;
	int rc;

	task_r->len = 0;
	if ((root = load(body, err, &rc)) == NULL)
		return rc;
	tasks = json_object_get(root, "data");
	json_array_foreach(tasks, i, task) {
		if (i == FOUND_MAX)
			break;
		if (!has_mark(task, mark) ||
		    !is_id(json_object_get(task, "id")) ||
		    !state_of(json_object_get(task, "status"), &state) ||
		    state == ENGINE_FAILED || state == ENGINE_LOST)
			continue;
		sample = json_object_get(task, "sample_id");
		len = found_add(found, len, is_id(sample) ?
		    (uint64_t)json_integer_value(sample) : 0,
		    (uint64_t)json_integer_value(json_object_get(task,
		    "id")));
	}
	json_decref(root);
	for (i = 0; i < len; i++)
		task_r->ids[task_r->len++] = found[i].id;
	return len != 0 ? 0 : err_set(err, ERR_NOTFOUND, "no such task");
}

int
cape_read_status(struct str body, enum engine_state *state_r,
    struct err *err)
{
	json_t *root;
	int rc;

	if ((root = load(body, err, &rc)) == NULL)
		return rc;
	if (!state_of(json_object_get(root, "data"), state_r))
		rc = err_set(err, ERR_SYNTAX, "an unknown state");
	json_decref(root);
	return rc;
}

/* ---- reports ---- */

/* Older ones have a name, newer a list of objects, or of names. */
static const char *
family_of(const json_t *detections)
{
	const json_t *first = json_is_array(detections) ?
	    json_array_get(detections, 0) : detections;

	if (json_is_object(first))
		first = json_object_get(first, "family");
	return json_is_string(first) ? json_string_value(first) : "";
}

/* One line; jansson has seen to it that it is UTF-8. */
static void
copy_line(char *out, size_t max, const char *text)
{
	size_t len = strlen(text), i;

	if (len > max)
		len = max;
	/* Not in the middle of a character. */
	while (len != 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
		len--;
	for (i = 0; i < len; i++)
		out[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ?
		    ' ' : text[i];
	out[len] = '\0';
}

static unsigned
tenths_of(double score)
{
	/* Written so that no number is out of range. */
	if (!(score > 0))
		return 0;
	return score >= 10 ? 100 : (unsigned)(score * 10 + 0.5);
}

int
cape_read_report(struct str body, struct engine_report *report_r,
    struct err *err)
{
	const json_t *from, *score;
	json_t *root;
	int rc;

	*report_r = (struct engine_report){ .score = 0 };
	if ((root = load(body, err, &rc)) == NULL)
		return rc;
	from = json_object_get(root, "data");
	if (!json_is_object(from))
		from = root;
	score = json_object_get(from, "malscore");
	if (json_is_number(score)) {
		report_r->score = tenths_of(json_number_value(score));
		copy_line(report_r->found, ENGINE_FOUND_MAX,
		    family_of(json_object_get(from, "detections")));
	} else {
		rc = err_set(err, ERR_NOTFOUND, "no score");
	}
	json_decref(root);
	return rc;
}
