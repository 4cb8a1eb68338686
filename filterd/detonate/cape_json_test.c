/* SPDX-License-Identifier: ISC */
/* What CAPE answers, and what others might in its place. */
#include "base/test.h"

#include "filterd/detonate/cape_json.h"

static const struct {
	const char *body;
	int want;
	size_t len;
	uint64_t first;
} created[] = {
	{ "{\"error\": [], \"data\": {\"task_ids\": [12, 13]}}", 0, 2, 12 },
	{ "{\"data\": {\"task_ids\": [\"x\", -1, 0, 1.5, null, 9]}}", 0, 1,
	    9 },
	{ "{\"data\": {\"task_ids\": [1,2,3,4,5,6,7,8,9,10]}}", 0,
	    ENGINE_TASKS_MAX, 1 },
	{ "{\"error\": true, \"error_value\": \"no\"}", ERR_DENIED, 0, 0 },
	{ "{\"error\": true, \"error_value\": [1]}", ERR_DENIED, 0, 0 },
	{ "{\"error\": [], \"data\": {\"task_ids\": []}}", ERR_NOTFOUND, 0,
	    0 },
	{ "{\"data\": 5}", ERR_NOTFOUND, 0, 0 },
	{ "{\"data\": {\"task_ids\": [99999999999999999999]}}", ERR_SYNTAX,
	    0, 0 },
	{ "[]", ERR_SYNTAX, 0, 0 },
	{ "", ERR_SYNTAX, 0, 0 },
	{ "<h1>Server Error (500)</h1>", ERR_SYNTAX, 0, 0 },
	{ "{\"data\": {\"task_ids\": [1]}} more", ERR_SYNTAX, 0, 0 },
};

static void
test_created(void **state)
{
	struct engine_task task;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(created); i++)
		if (cape_read_created(str_of(created[i].body), &task, NULL) !=
		    created[i].want || task.len != created[i].len ||
		    (task.len != 0 && task.ids[0] != created[i].first))
			fail_msg("%s", created[i].body);
}

#define MARKED(id, sample, status, options) \
	"{\"id\": " #id ", \"sample_id\": " sample \
	", \"status\": \"" status "\", \"options\": " options "}"
#define TASK(id, sample, status) \
	MARKED(id, sample, status, "\"a=b, hikyaku=m,c\"")

static const struct {
	const char *body;
	int want;
	size_t len;
	uint64_t ids[2];
} found[] = {
	/* The newest of each sample that has not failed. */
	{ "{\"data\": [" TASK(7, "3", "reported") ", " TASK(9, "3", "pending")
	    ", " TASK(8, "3", "running") ", " TASK(10, "3", "failed_analysis")
	    ", " TASK(4, "5", "completed") "], \"error\": []}", 0, 2,
	    { 9, 4 } },
	/* Links have no sample. */
	{ "{\"data\": [" TASK(1, "null", "reported") ", "
	    TASK(2, "null", "reported") "]}", 0, 1, { 2 } },
	{ "{\"data\": [" TASK(1, "1", "failed_reporting") ", "
	    TASK(2, "1", "recovered") ", " TASK(3, "1", "banned") ", "
	    TASK(4, "1", "something new") "]}", ERR_NOTFOUND, 0, { 0 } },
	/* Somebody else's, of another kind of name, of an odd engine. */
	{ "{\"data\": [" MARKED(1, "1", "reported", "\"\"") ", "
	    MARKED(2, "1", "reported", "\"hikyaku=ms\"") ", "
	    MARKED(3, "1", "reported", "\"x-hikyaku=m,,\"") ", "
	    MARKED(4, "1", "reported", "null") ", "
	    MARKED(5, "1", "reported", "[\"hikyaku=m\"]") "]}",
	    ERR_NOTFOUND, 0, { 0 } },
	{ "{\"data\": [" MARKED(1, "1", "reported", "\"hikyaku=m\"") ", "
	    MARKED(2, "1", "reported", "\"hikyaku=ms\"") "]}", 0, 1,
	    { 1 } },
	{ "{\"data\": [1, null, {\"id\": 5}], \"error\": false}",
	    ERR_NOTFOUND, 0, { 0 } },
	{ "{\"data\": [], \"error\": false}", ERR_NOTFOUND, 0, { 0 } },
	{ "{\"data\": {\"id\": 1}}", ERR_NOTFOUND, 0, { 0 } },
	{ "{\"error\": true, \"error_value\": \"Task Search API is "
	    "Disabled\"}", ERR_DENIED, 0, { 0 } },
	{ "{\"data\": [", ERR_SYNTAX, 0, { 0 } },
};

static void
test_found(void **state)
{
	struct engine_task task;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(found); i++)
		if (cape_read_found(str_of(found[i].body), STR("hikyaku=m"),
		    &task, NULL) !=
		    found[i].want || task.len != found[i].len ||
		    memcmp(task.ids, found[i].ids, task.len *
		    sizeof(task.ids[0])) != 0)
			fail_msg("%s", found[i].body);
}

static const struct {
	const char *body;
	int want;
	enum engine_state state;
} statuses[] = {
	{ "{\"error\": false, \"data\": \"pending\"}", 0, ENGINE_RUNNING },
	{ "{\"error\": false, \"data\": \"completed\"}", 0, ENGINE_RUNNING },
	{ "{\"error\": false, \"data\": \"reported\"}", 0, ENGINE_DONE },
	{ "{\"error\": false, \"data\": \"failed_processing\"}", 0,
	    ENGINE_FAILED },
	{ "{\"error\": false, \"data\": \"recovered\"}", 0, ENGINE_LOST },
	{ "{\"error\": false, \"data\": \"exploded\"}", ERR_SYNTAX, 0 },
	{ "{\"error\": false, \"data\": 5}", ERR_SYNTAX, 0 },
	{ "{\"error\": true, \"error_value\": \"Task does not exist\"}",
	    ERR_DENIED, 0 },
};

static void
test_status(void **state)
{
	enum engine_state got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(statuses); i++) {
		got = ENGINE_RUNNING;
		if (cape_read_status(str_of(statuses[i].body), &got, NULL) !=
		    statuses[i].want || (statuses[i].want == 0 &&
		    got != statuses[i].state))
			fail_msg("%s", statuses[i].body);
	}
}

static const struct {
	const char *body;
	int want;
	unsigned score;
	const char *found;
} reports[] = {
	{ "{\"data\": {\"malscore\": 7.25, \"detections\": [{\"family\": "
	    "\"Emotet\"}]}}", 0, 73, "Emotet" },
	{ "{\"malscore\": 10, \"detections\": \"AgentTesla\"}", 0, 100,
	    "AgentTesla" },
	{ "{\"malscore\": 0.0, \"detections\": null}", 0, 0, "" },
	{ "{\"malscore\": 1e300}", 0, 100, "" },
	{ "{\"malscore\": -1e300}", 0, 0, "" },
	{ "{\"malscore\": 4.94}", 0, 49, "" },
	{ "{\"malscore\": 4.96}", 0, 50, "" },
	{ "{\"malscore\": 5, \"detections\": [\"a\\r\\nX: y\\u0000z\"]}",
	    ERR_SYNTAX, 0, "" },
	{ "{\"malscore\": 5, \"detections\": [\"a\\r\\nX: y\"]}", 0, 50,
	    "a  X: y" },
	{ "{\"malscore\": \"9\"}", ERR_NOTFOUND, 0, "" },
	{ "{\"malscore\": null}", ERR_NOTFOUND, 0, "" },
	{ "{\"error\": true}", ERR_DENIED, 0, "" },
};

static void
test_report(void **state)
{
	struct engine_report got;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(reports); i++)
		if (cape_read_report(str_of(reports[i].body), &got, NULL) !=
		    reports[i].want || got.score != reports[i].score ||
		    strcmp(got.found, reports[i].found) != 0)
			fail_msg("%s: %u %s", reports[i].body, got.score,
			    got.found);
}

/* A name that is too long ends between two characters. */
static void
test_long_name(void **state)
{
	struct engine_report got;
	struct buf body;
	size_t i;

	(void)state;
	buf_init(&body, 4096);
	buf_add_cstr(&body, "{\"malscore\": 5, \"detections\": \"x");
	for (i = 0; i < 200; i++)
		buf_add_cstr(&body, "\xe9\xa3\x9b");
	buf_add_cstr(&body, "\"}");
	assert_int_equal(cape_read_report(buf_str(&body), &got, NULL), 0);
	assert_int_equal(strlen(got.found), 199);
	assert_true(str_is_text(str_of(got.found)));
	buf_fini(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_created),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
