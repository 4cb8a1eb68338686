/* SPDX-License-Identifier: ISC */
/* Figures kept, reported and rendered. */
#include "base/test.h"

#include <unistd.h>

#include "ipc/figures.h"
#include "metricd/report.h"
#include "metricd/text.h"

#define NOW_S 1795305600	/* noon or so, everywhere */

struct env {
	char folder[64];
	char path[128];
	struct metric_store *store;
};

static int
setup(void **state)
{
	struct env *env = calloc(1, sizeof(*env));
	struct err err = ERR_INIT;

	assert_non_null(env);
	(void)snprintf(env->folder, sizeof(env->folder),
	    "/tmp/metricd-test-XXXXXX");
	assert_non_null(mkdtemp(env->folder));
	(void)snprintf(env->path, sizeof(env->path), "%s/figures.db",
	    env->folder);
	assert_int_equal(metric_store_open(&env->store, env->path, &err), 0);
	*state = env;
	return 0;
}

static int
teardown(void **state)
{
	struct env *env = *state;
	char path[160];

	metric_store_close(&env->store);
	(void)unlink(env->path);
	(void)snprintf(path, sizeof(path), "%s-wal", env->path);
	(void)unlink(path);
	(void)rmdir(env->folder);
	free(env);
	return 0;
}

static void
add(struct env *env, const char *domain, int days_ago, const char *name,
    uint64_t count)
{
	struct err err = ERR_INIT;

	if (metric_store_add(env->store, str_of(domain), report_day(NOW_S -
	    days_ago * 86400), str_of(name), count, &err) != 0)
		fail_msg("%s", err_text(&err));
}

static json_t *
report(struct env *env, const char *verb, const char *args_text)
{
	json_t *args = json_loads(args_text, 0, NULL), *result;
	struct err err = ERR_INIT;

	if (report_make(env->store, str_of(verb), args, NOW_S, &result,
	    &err) != 0)
		fail_msg("%s %s: %s", verb, args_text, err_text(&err));
	json_decref(args);
	return result;
}

static json_int_t
number(const json_t *row, const char *key)
{
	return json_integer_value(json_object_get(row, key));
}

static const json_t *
row_of(const json_t *result, size_t i)
{
	return json_array_get(json_object_get(result, "items"), i);
}

/* Days add up, and stay when the store is opened again. */
static void
test_show(void **state)
{
	struct env *env = *state;
	struct err err = ERR_INIT;
	json_t *result;

	add(env, "a.test", 0, "received", 2);
	add(env, "a.test", 0, "received", 3);
	add(env, "a.test", 0, "spf.pass", 4);
	add(env, "a.test", 1, "virus", 1);
	add(env, "b.test", 0, "received", 100);
	assert_int_equal(metric_store_commit(env->store, &err), 0);
	metric_store_close(&env->store);
	assert_int_equal(metric_store_open(&env->store, env->path, &err), 0);
	result = report(env, "show", "{\"domain\":\"a.test\"}");
	assert_int_equal(json_array_size(json_object_get(result, "items")),
	    2);
	assert_int_equal(number(row_of(result, 0), "received"), 5);
	assert_int_equal(number(row_of(result, 0), "virus"), 0);
	assert_int_equal(number(json_object_get(row_of(result, 0),
	    "figures"), "spf.pass"), 4);
	assert_int_equal(number(row_of(result, 1), "virus"), 1);
	json_decref(result);
	result = report(env, "show", "{\"domain\":\"a.test\",\"days\":\"1\"}");
	assert_int_equal(json_array_size(json_object_get(result, "items")),
	    1);
	json_decref(result);
}

/* A long time comes in pages, each day once. */
static void
test_pages(void **state)
{
	struct env *env = *state;
	char args[64] = "{\"days\":25}";
	const char *next = args;
	unsigned days = 0, pages = 0, i;
	json_t *result;

	for (i = 0; i < 30; i++)
		add(env, "", (int)i, "received", i + 1);
	while (next != NULL) {
		result = report(env, "show", args);
		for (i = 0; i < json_array_size(json_object_get(result,
		    "items")); i++)
			assert_int_equal(number(row_of(result, i),
			    "received"), ++days);
		next = json_string_value(json_object_get(result, "next"));
		if (next != NULL)
			(void)snprintf(args, sizeof(args),
			    "{\"days\":25,\"after\":\"%s\"}", next);
		json_decref(result);
		pages++;
	}
	assert_int_equal(days, 25);
	assert_int_equal(pages, 3);
}

static void
test_stages(void **state)
{
	struct env *env = *state;
	const json_t *row;
	json_t *result;

	add(env, "", 0, "stage.judge.5", 90);
	add(env, "", 0, "stage.judge.100", 9);
	add(env, "", 0, "stage.judge.more", 1);
	add(env, "", 0, "stage.judge.sum", 5000);
	add(env, "", 0, "stage.filter.dns.1", 1);
	result = report(env, "stages", "{}");
	assert_int_equal(json_array_size(json_object_get(result, "items")),
	    2);
	assert_string_equal(json_string_value(json_object_get(row_of(result,
	    0), "stage")), "filter.dns");
	row = row_of(result, 1);
	assert_int_equal(number(row, "count"), 100);
	assert_int_equal(number(row, "mean_ms"), 50);
	assert_int_equal(number(row, "p50_ms"), 5);
	assert_int_equal(number(row, "p90_ms"), 5);
	assert_int_equal(number(row, "p99_ms"), 100);
	json_decref(result);
}

static void
test_sweep(void **state)
{
	struct env *env = *state;
	struct err err = ERR_INIT;
	json_t *result;

	add(env, "", 0, "received", 1);
	add(env, "", 5, "received", 1);
	assert_int_equal(metric_store_sweep(env->store, report_day(NOW_S -
	    4 * 86400), &err), 0);
	result = report(env, "show", "{\"days\":9}");
	assert_int_equal(json_array_size(json_object_get(result, "items")),
	    1);
	json_decref(result);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "{\"days\":0}",
		"{\"days\":\"x\"}", "{\"days\":99999}", "{\"after\":-1}" };
	struct env *env = *state;
	json_t *args, *result;
	size_t i;

	for (i = 0; i < COUNT_OF(bad); i++) {
		args = json_loads(bad[i], 0, NULL);
		assert_int_equal(report_make(env->store, STR("show"), args,
		    NOW_S, &result, NULL), ERR_SYNTAX);
		json_decref(args);
	}
	args = json_object();
	assert_int_equal(report_make(env->store, STR("drop"), args, NOW_S,
	    &result, NULL), ERR_SYNTAX);
	json_decref(args);
}

static void
assert_has(const struct buf *out, const char *line)
{
	if (str_find_str(buf_str(out), str_of(line)) == STR_NPOS)
		fail_msg("no %s in %.*s", line, STR_FMT(buf_str(out)));
}

static void
test_text(void **state)
{
	struct metric_text *text = metric_text_new();
	struct buf out;

	(void)state;
	metric_text_count(text, STR("received"), 2);
	metric_text_count(text, STR("received"), 1);
	metric_text_count(text, STR("stage.judge.5"), 4);
	metric_text_count(text, STR("stage.judge.more"), 1);
	metric_text_count(text, STR("stage.judge.sum"), 1234);
	metric_text_gauge(text, STR("signatures.built"), true, 1000);
	metric_text_gauge(text, STR("signatures"), false, 7);
	buf_init(&out, 1 << 16);
	metric_text_put(text, 1060, &out);
	assert_has(&out, "hikyaku_messages_total{event=\"received\"} 3\n");
	assert_has(&out, "hikyaku_stage_seconds_bucket{stage=\"judge\","
	    "le=\"0.002\"} 0\n");
	assert_has(&out, "hikyaku_stage_seconds_bucket{stage=\"judge\","
	    "le=\"0.005\"} 4\n");
	assert_has(&out, "hikyaku_stage_seconds_bucket{stage=\"judge\","
	    "le=\"+Inf\"} 5\n");
	assert_has(&out, "hikyaku_stage_seconds_sum{stage=\"judge\"} 1.234\n");
	assert_has(&out, "hikyaku_signatures_built_age_seconds 60\n");
	assert_has(&out, "hikyaku_signatures 7\n");
	buf_fini(&out);
	metric_text_free(&text);
}

static void
test_names(void **state)
{
	(void)state;
	assert_true(figures_is_name(STR("stage.filter.dns.500")));
	assert_false(figures_is_name(STR("")));
	assert_false(figures_is_name(STR("Spf")));
	assert_false(figures_is_name(STR("a b")));
	assert_false(figures_is_name(STR("a\"b")));
	assert_false(figures_is_name(STR("a123456789b123456789c123456789"
	    "d123456789e12345678")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_show, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sweep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup,
		    teardown),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
