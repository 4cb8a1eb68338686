/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "admin/cli/cli.h"
#include "admin/cli/rows.h"

#define WORDS_MAX 16

/* ---- options ---- */

/* Parse words separated by blanks. */
static int
parse(const char *line, struct parsed *parsed, struct err *err)
{
	static char words[512];
	char *argv[WORDS_MAX] = { words }, *p = words;
	int argc = 1;

	(void)snprintf(words, sizeof(words), "hikyaku %s", line);
	while ((p = strchr(p, ' ')) != NULL) {
		*p++ = '\0';
		argv[argc++] = p;
	}
	if (*line == '\0')
		argc = 1;
	return options_parse(cli_verbs, cli_verbs_len, argc, argv, parsed,
	    err);
}

static void
test_requests(void **state)
{
	static const struct {
		const char *line;
		const char *request;	/* as JSON, keys sorted */
		const char *local;
	} cases[] = {
		{ "domain list", "{}", "{}" },
		{ "domain create a.test --mailbox-size 10G --ids=100",
		    "{\"ids\":\"100\",\"mailbox_size\":\"10G\","
		    "\"name\":\"a.test\"}", "{}" },
		{ "-c F account create a@b --password-stdin",
		    "{\"address\":\"a@b\"}", "{\"password_stdin\":true}" },
		{ "account enable a@b", "{\"address\":\"a@b\","
		    "\"enabled\":true}", "{}" },
		{ "account disable a@b", "{\"address\":\"a@b\","
		    "\"enabled\":false}", "{}" },
		{ "account create a@b --alias c@b --alias d@b",
		    "{\"address\":\"a@b\",\"aliases\":[\"c@b\",\"d@b\"]}",
		    "{}" },
		{ "queue hold 1 2 3", "{\"ids\":[\"1\",\"2\",\"3\"]}",
		    "{}" },
		{ "queue flush --all", "{\"all\":true}", "{}" },
		{ "queue show -- -5", "{\"id\":\"-5\"}", "{}" },
		{ "alias delete a@b", "{\"address\":\"a@b\"}", "{}" },
		{ "alias delete a@b c@d", "{\"address\":\"a@b\","
		    "\"target\":\"c@d\"}", "{}" },
		{ "account import --csv - --encoding CP932 --dry-run", "{}",
		    "{\"csv\":\"-\",\"dry_run\":true,"
		    "\"encoding\":\"CP932\"}" },
		{ "doctor --json", "{}", "{}" },
	};
	struct parsed parsed;
	char *request, *local;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(parse(cases[i].line, &parsed, NULL), 0);
		request = json_dumps(parsed.request, JSON_COMPACT |
		    JSON_SORT_KEYS);
		local = json_dumps(parsed.local, JSON_COMPACT |
		    JSON_SORT_KEYS);
		assert_string_equal(request, cases[i].request);
		assert_string_equal(local, cases[i].local);
		free(request);
		free(local);
		options_free(&parsed);
	}
	assert_int_equal(parse("-c F domain list --json", &parsed, NULL), 0);
	assert_string_equal(parsed.config_path, "F");
	assert_true(parsed.is_json);
	options_free(&parsed);
}

static void
test_usage_errors(void **state)
{
	static const struct {
		const char *line;
		const char *text;
	} cases[] = {
		{ "", "what is wanted?" },
		{ "frobnicate", "no such noun: \"frobnicate\"" },
		{ "domain", "domain: which verb?" },
		{ "domain frob", "no such verb: \"domain frob\"" },
		{ "domain create", "NAME is missing" },
		{ "domain create a b", "too many arguments: \"b\"" },
		{ "domain create a --ids", "--ids wants a value (N)" },
		{ "domain create a --quota 1", "no such option here: "
		    "--quota" },
		{ "domain create a --ids 1 --ids 2", "--ids is given twice" },
		{ "domain list --json=1", "--json takes no value" },
		{ "--ids 1 domain create a", "options of a verb come after "
		    "it: --ids" },
		{ "account grant a@b", "--send-as is missing" },
		{ "account import", "--csv is missing" },
		{ "domain list -x", "no such option here: -x" },
		{ "-c", "--config wants a value (FILE)" },
		{ "domain create \xff", "an argument is not UTF-8" },
	};
	struct parsed parsed;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(parse(cases[i].line, &parsed, &err),
		    ERR_SYNTAX);
		assert_string_equal(err_text(&err), cases[i].text);
		options_free(&parsed);
	}
}

/* Every verb's options exist, and it can print its help. */
static void
test_table(void **state)
{
	struct parsed parsed = { .noun = NULL };
	FILE *null = fopen("/dev/null", "w");
	size_t i, j;

	(void)state;
	for (i = 0; i < cli_verbs_len; i++) {
		assert_true(options_are_known(&cli_verbs[i]));
		assert_non_null(cli_verbs[i].run);
		for (j = 0; j < i; j++)
			assert_false(strcmp(cli_verbs[i].noun,
			    cli_verbs[j].noun) == 0 &&
			    strcmp(cli_verbs[i].verb,
			    cli_verbs[j].verb) == 0);
		parsed.verb = &cli_verbs[i];
		options_help(cli_verbs, cli_verbs_len, &parsed, null);
		assert_false(ferror(null));
	}
	(void)fclose(null);
	assert_int_equal(parse("domain create --help", &parsed, NULL), 0);
	assert_true(parsed.wants_help);
	assert_string_equal(parsed.verb->verb, "create");
	options_free(&parsed);
}

/* ---- rows of an import ---- */

static void
check_rows_of(const char *text, const char *rows_want,
    const char *errors_want)
{
	json_t *rows = json_array(), *errors = json_array();
	char *rows_text, *errors_text;

	(void)rows_read(str_of(text), rows, errors);
	rows_sort(rows);
	rows_text = json_dumps(rows, JSON_COMPACT | JSON_SORT_KEYS);
	errors_text = json_dumps(errors, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(rows_text, rows_want);
	assert_string_equal(errors_text, errors_want);
	free(rows_text);
	free(errors_text);
	json_decref(rows);
	json_decref(errors);
}

static void
test_rows(void **state)
{
	(void)state;
	check_rows_of("address\na@x\n", "[{\"address\":\"a@x\",\"line\":2}]",
	    "[]");
	check_rows_of("Password, ADDRESS,quota\r\n p ,a@x,\r\n",
	    "[{\"address\":\"a@x\",\"line\":2,\"password\":\" p \"}]", "[]");
	check_rows_of("address,aliases\na@x,\"b@x; c@x d@x\"\n",
	    "[{\"address\":\"a@x\",\"aliases\":[\"b@x\",\"c@x\",\"d@x\"],"
	    "\"line\":2}]", "[]");
	/* By domain, then line. */
	check_rows_of("address\nb@y\na@X\nc@y\n",
	    "[{\"address\":\"a@X\",\"line\":3},"
	    "{\"address\":\"b@y\",\"line\":2},"
	    "{\"address\":\"c@y\",\"line\":4}]", "[]");
	check_rows_of("address,name\n\"a@x\",\"two\nlines\"\nb@x\n",
	    "[{\"address\":\"a@x\",\"line\":2,\"name\":\"two\\nlines\"}]",
	    "[{\"line\":4,\"reason\":\"1 fields, the header has 2\"}]");
	check_rows_of("address,aliases\na@x,\nA@X,\nb@x,a@x\n,\n",
	    "[{\"address\":\"a@x\",\"aliases\":[],\"line\":2}]",
	    "[{\"line\":3,\"reason\":\"A@X is on line 2 too\"},"
	    "{\"line\":4,\"reason\":\"a@x is on line 2 too\"},"
	    "{\"line\":5,\"reason\":\"address is missing\"}]");
	check_rows_of("address,password\nnobody,p\na@x,\x01\n", "[]",
	    "[{\"line\":2,\"reason\":\"not an address\"},"
	    "{\"line\":3,\"reason\":\"the password has a control "
	    "character\"}]");
}

static void
test_bad_tables(void **state)
{
	(void)state;
	check_rows_of("", "[]",
	    "[{\"line\":1,\"reason\":\"the file is empty\"}]");
	check_rows_of("name\nx\n", "[]", "[{\"line\":1,\"reason\":"
	    "\"the header has no column \\\"address\\\"\"}]");
	check_rows_of("address,address\n", "[]", "[{\"line\":1,\"reason\":"
	    "\"column address is there twice\"}]");
	check_rows_of("address\na@x\n\"b@x\n", "[{\"address\":\"a@x\","
	    "\"line\":2}]",
	    "[{\"line\":4,\"reason\":\"a quote is not closed\"}]");
}

static void
test_encodings(void **state)
{
	static const struct {
		const char *encoding;
		const char *in;
		const char *want;	/* NULL: refused */
		size_t errors;
	} cases[] = {
		{ "", "\xef\xbb\xbfname\n", "name\n", 0 },
		{ "", "a\n\xff\nb\n\xfe\n", NULL, 2 },
		{ "utf-8", "\xe5\xb1\xb1", "\xe5\xb1\xb1", 0 },
		{ "CP932", "\x8e\x52\x93\x63", "\xe5\xb1\xb1\xe7\x94\xb0",
		    0 },
		{ "CP932", "\x87\x40", "\xe2\x91\xa0", 0 },
		{ "CP932", "a\n\x81\n", NULL, 1 },
		{ "nosuch", "a", NULL, 0 },
	};
	json_t *errors;
	struct buf text;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		errors = json_array();
		buf_init(&text, 4096);
		rc = rows_decode(str_of(cases[i].in),
		    str_of(cases[i].encoding), &text, errors, NULL);
		assert_int_equal(rc, cases[i].want != NULL ? 0 : ERR_SYNTAX);
		assert_int_equal(json_array_size(errors), cases[i].errors);
		if (rc == 0)
			assert_true(str_eq(buf_str(&text),
			    str_of(cases[i].want)));
		buf_fini(&text);
		json_decref(errors);
	}
}

/* ---- small things ---- */

static void
test_sizes(void **state)
{
	static const struct {
		uint64_t octets;
		const char *want;
	} cases[] = {
		{ 0, "0" }, { 1023, "1023" }, { 1024, "1K" },
		{ 1536, "1.5K" }, { 10ULL << 30, "10G" },
		{ (15ULL << 20) + (1 << 19), "15.5M" },
		{ UINT64_MAX, "16383.9P" },
	};
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		format_size(cases[i].octets, text, sizeof(text));
		assert_string_equal(text, cases[i].want);
	}
}

/* What a sender wrote cannot command the operator's terminal. */
static void
test_safe_text(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	print_safe(STR("a\x1b[2Jb\r\n\x7f\xc2\x9b" "c\xc3\xa9"), out);
	(void)fclose(out);
	assert_string_equal(text, "a?[2Jb????c\xc3\xa9");
	free(text);
}

static void
test_password_rules(void **state)
{
	char longest[1025];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(check_password(STR(""), NULL), ERR_SYNTAX);
	assert_int_equal(check_password(STR("x"), NULL), 0);
	assert_int_equal(check_password(STR("\xe3\x81\x82"), NULL), 0);
	assert_int_equal(check_password(STR("a\tb"), NULL), ERR_SYNTAX);
	assert_int_equal(check_password(STR("\xff"), NULL), ERR_SYNTAX);
	assert_int_equal(check_password(str_make(longest, 1024), NULL), 0);
	assert_int_equal(check_password(str_make(longest, 1025), NULL),
	    ERR_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_usage_errors),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_safe_text),
		cmocka_unit_test(test_password_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
