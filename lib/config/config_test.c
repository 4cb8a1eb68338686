/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include <unistd.h>

#include "config/config.h"

static struct config *
load(const char *text, struct err *err)
{
	char path[] = "/tmp/hikyaku-config-XXXXXX";
	int fd = mkstemp(path);
	struct config *config;

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
	config = config_load(path, err);
	(void)unlink(path);
	return config;
}

static void
test_good(void **state)
{
	const struct config_listener *l;
	struct err err = ERR_INIT;
	struct config *config;
	struct buf buf;

	(void)state;
	config = load("hostname = \"mx.example\"\nmessage_size = \"15M\"\n"
	    "discard = \"yes\"\n# a comment\n"
	    "listener mx {\n protocol = \"smtp\"\n port = 2525\n"
	    " addresses = {\"127.0.0.1\", \"::1\"}\n}\n"
	    "listener l {\n protocol = lmtp\n path = \"run/lmtp.sock\"\n}\n"
	    "route \".example.org\" {\n host = \"[mx.example]:26\"\n"
	    " tls = \"may\"\n}\n",
	    &err);
	if (config == NULL)
		fail_msg("%s", err_text(&err));
	assert_string_equal(config_get(config, "hostname"), "mx.example");
	assert_int_equal(config_get_u64(config, "message_size"), 15728640);
	assert_int_equal(config_get_u64(config, "timeout_smtp"), 300);
	assert_int_equal(config_get_u64(config, "discard"), 1);
	assert_int_equal(config_listeners(config, &l), 2);
	assert_int_equal(l[0].addresses_len, 2);
	assert_string_equal(l[0].addresses[1], "::1");
	assert_int_equal(l[0].port, 2525);
	assert_string_equal(l[1].path, "run/lmtp.sock");
	buf_init(&buf, 65536);
	config_slice(config, "smtpd", &buf);
	assert_true(str_find_str(buf_str(&buf),
	    STR("message_size=15728640\n")) != STR_NPOS);
	assert_true(str_find_str(buf_str(&buf), STR("tls_key")) == STR_NPOS);
	assert_true(str_find_str(buf_str(&buf), STR("route.")) == STR_NPOS);
	buf_reset(&buf);
	config_slice(config, "relay", &buf);
	assert_true(str_find_str(buf_str(&buf), STR("route.0.domain="
	    ".example.org\nroute.0.host=[mx.example]:26\nroute.0.tls=may\n"))
	    != STR_NPOS);
	/* What is printed reads back. */
	buf_reset(&buf);
	config_print(config, &buf);
	config_free(&config);
	buf_add_char(&buf, '\0');
	config = load(buf_str(&buf).p, &err);
	if (config == NULL)
		fail_msg("%s", err_text(&err));
	assert_int_equal(config_get_u64(config, "message_size"), 15728640);
	buf_reset(&buf);
	config_slice(config, "queued", &buf);
	assert_true(str_find_str(buf_str(&buf), STR("route.0.tls=may\n")) !=
	    STR_NPOS);
	config_free(&config);
	buf_fini(&buf);
}

static void
test_milters(void **state)
{
	const struct config_milter *m;
	struct err err = ERR_INIT;
	struct config *config;
	struct buf buf;
	int round;

	(void)state;
	buf_init(&buf, 65536);
	buf_add_cstr(&buf, "listener mx {\n protocol = \"smtp\"\n"
	    " path = \"x\"\n milters = {\"b\", \"a\"}\n}\n"
	    "milter a {\n address = \"unix:/run/a\"\n}\n"
	    "milter b {\n address = \"::1@8891\"\n"
	    " command_timeout = \"1m\"\n unavailable = \"accept\"\n"
	    " macros = {\"i\", \"{client_port}\"}\n}\n");
	/* As it was written, and as it is printed. */
	for (round = 0; round < 2; round++) {
		buf_add_char(&buf, '\0');
		config = load(buf_str(&buf).p, &err);
		if (config == NULL)
			fail_msg("%s", err_text(&err));
		assert_int_equal(config_milters(config, &m), 2);
		assert_string_equal(m[0].address, "unix:/run/a");
		assert_string_equal(m[1].address, "::1@8891");
		buf_reset(&buf);
		config_slice(config, "smtpd", &buf);
		assert_true(str_find_str(buf_str(&buf), STR(
		    "milter.a=30 30 120 tempfail \n"
		    "milter.b=30 60 120 accept i {client_port}\n"
		    "milters.mx=b a\n")) !=
		    STR_NPOS);
		buf_reset(&buf);
		config_slice(config, "relay", &buf);
		assert_true(str_find_str(buf_str(&buf), STR("milter")) ==
		    STR_NPOS);
		buf_reset(&buf);
		config_print(config, &buf);
		config_free(&config);
	}
	buf_fini(&buf);
}

static void
test_detonations(void **state)
{
	const struct config_detonation *d;
	struct err err = ERR_INIT;
	struct config *config;
	struct buf buf;
	int round;

	(void)state;
	buf_init(&buf, 65536);
	buf_add_cstr(&buf, "suspicious = \"detonate\"\n"
	    "detonation cape-1 {\n address = \"::1@8000\"\n"
	    "}\ndetonation bare {\n address = \"unix:/run/x\"\n"
	    " kind = \"physical\"\n tls = \"verify\"\n"
	    " host = \"cape.test\"\n token_file = \"/etc/a token\"\n"
	    " path = \"\"\n}\ndetonate_time = \"90s\"\n");
	for (round = 0; round < 2; round++) {
		buf_add_char(&buf, '\0');
		config = load(buf_str(&buf).p, &err);
		if (config == NULL)
			fail_msg("%s", err_text(&err));
		assert_int_equal(config_detonations(config, &d), 2);
		assert_string_equal(d[0].address, "::1@8000");
		assert_string_equal(d[0].path, "/apiv2");
		assert_string_equal(d[1].address, "unix:/run/x");
		buf_reset(&buf);
		config_slice(config, "detonated", &buf);
		assert_true(str_find_str(buf_str(&buf), STR(
		    "detonation.cape-1=cape virtual none /apiv2  ::1@8000\n"
		    "detonation_ca.cape-1=\ndetonation_token.cape-1=\n"
		    "detonation.bare=cape physical verify  cape.test "
		    "unix:/run/x\n"
		    "detonation_ca.bare=\n"
		    "detonation_token.bare=/etc/a token\n")) != STR_NPOS);
		buf_reset(&buf);
		config_slice(config, "queued", &buf);
		assert_true(str_find_str(buf_str(&buf), STR(
		    "detonate_time=90\n")) != STR_NPOS);
		assert_true(str_find_str(buf_str(&buf), STR("detonation")) ==
		    STR_NPOS);
		buf_reset(&buf);
		config_print(config, &buf);
		config_free(&config);
	}
	buf_fini(&buf);
}

static void
test_bad(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} cases[] = {
		{ "hostnam = \"x\"\n", ":1: " },
		{ "# one\n\n# two \"\nhostname = \"a#b\" # three\n"
		    "hostnam = \"x\"\n", ":5: " },
		{ "\nmessage_size = \"15X\"\n", ":2: message_size = \"15X\"" },
		{ "\n\ntimeout_smtp = \"soon\"\n", ":3: timeout_smtp" },
		{ "discard = \"maybe\"\n", "want yes or no" },
		{ "route x {\n}\n", "want host" },
		{ "route \"\" {\n host = \"y\"\n}\n", "want a domain" },
		{ "route x {\n host = \"y\"\n tls = \"none\"\n}\n",
		    "want may, encrypt" },
		{ "milter x {\n}\n", "want unix:/PATH or ADDRESS@PORT" },
		{ "milter x {\n address = \"unix:run/x\"\n}\n", "want unix:" },
		{ "milter x {\n address = \"localhost@25\"\n}\n", "ADDRESS@" },
		{ "milter x {\n address = \"127.0.0.1@0\"\n}\n", "ADDRESS@" },
		{ "milter x {\n address = \"127.0.0.1@1\"\n"
		    " unavailable = \"maybe\"\n}\n", "want tempfail, accept" },
		{ "milter x {\n address = \"127.0.0.1@1\"\n"
		    " message_timeout = \"0\"\n}\n", "want a time" },
		{ "milter x {\n address = \"127.0.0.1@1\"\n"
		    " macros = {\"a b\"}\n}\n", "names without blanks" },
		{ "listener l {\n protocol = \"smtp\"\n path = \"x\"\n"
		    " milters = {\"y\"}\n}\n", "no milter y" },
		{ "listener l {\n protocol = \"lmtp\"\n path = \"x\"\n"
		    " milters = {\"y\"}\n}\nmilter y {\n"
		    " address = \"127.0.0.1@1\"\n}\n", "smtp or submission" },
		{ "detonation x {\n}\n", "want unix:/PATH or ADDRESS@PORT" },
		{ "\ndetonation x {\n address = \"::1@1\"\n"
		    " engine = \"y\"\n}\n", ":5: detonation x: engine" },
		{ "detonation \"x y\" {\n address = \"::1@1\"\n}\n",
		    "want a name of letters" },
		{ "detonation x {\n address = \"::1@1\"\n"
		    " kind = \"a;b\"\n}\n", "want a word" },
		{ "detonation x {\n address = \"::1@1\"\n"
		    " tls = \"maybe\"\n}\n", "want none or verify" },
		{ "detonation x {\n address = \"::1@1\"\n"
		    " host = \"a/b\"\n}\n", "want a host name" },
		{ "detonation x {\n address = \"::1@1\"\n"
		    " path = \"a?b\"\n}\n", "want a path" },
		{ "\nsuspicious = \"detonate\"\nhostname = \"x\"\n",
		    ":2: suspicious = \"detonate\": want a block" },
		{ "detonate_score = \"11\"\n", "from 1 to 10" },
		{ "detonate_score = \"0\"\n", "from 1 to 10" },
		{ "detonate_unavailable = \"refuse\"\n",
		    "want deliver or quarantine" },
		{ "listener x {\n protocol = \"smpt\"\n port = 1\n}\n",
		    "want smtp" },
		{ "listener x {\n protocol = \"smtp\"\n port = 70000\n"
		    " addresses = {\"::1\"}\n}\n", "1 to 65535" },
		{ "listener x {\n protocol = \"smtp\"\n color = 3\n}\n",
		    ":3: " },
		{ "hostname = \"a\nhostname", ":" },
	};
	struct config *config;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		struct err err = ERR_INIT;

		config = load(cases[i].text, &err);
		assert_null(config);
		if (strstr(err_text(&err), cases[i].want) == NULL)
			fail_msg("%s: %s", cases[i].text, err_text(&err));
	}
}

static void
test_units(void **state)
{
	uint64_t v;

	(void)state;
	assert_int_equal(config_parse_size(STR("10G"), &v), 0);
	assert_true(v == 10737418240ULL);
	assert_int_equal(config_parse_size(STR("99999999999999999999G"), &v),
	    ERR_SYNTAX);
	assert_int_equal(config_parse_size(STR("G"), &v), ERR_SYNTAX);
	assert_int_equal(config_parse_time(STR("2h"), &v), 0);
	assert_int_equal(v, 7200);
	assert_int_equal(config_parse_time(STR("-1"), &v), ERR_SYNTAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_milters),
		cmocka_unit_test(test_detonations),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_units),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
