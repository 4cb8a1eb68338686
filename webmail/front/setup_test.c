/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "http/xml.h"
#include "webmail/front/setup.h"

static struct arena *arena;

static int
setup_arena(void **state)
{
	(void)state;
	arena = arena_new(0);
	return 0;
}

static int
teardown_arena(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static const struct setup_page *
page_of(const char *method, const char *path)
{
	struct http_request request = { .method = str_of(method),
	    .path = str_of(path) };
	const struct http_route *route;
	const char *allow;
	unsigned status;

	route = http_route_find(setup_routes, &request, &status, &allow);
	assert_non_null(route);
	return route->handler;
}

static void
fill(struct setup *setup)
{
	memset(setup, 0, sizeof(*setup));
	setup->hostname = STR("mail.host.test");
	setup->mta_sts_mode = MTA_STS_ENFORCE;
	setup_add(setup, STR("smtp"), 25, STR("starttls"));
	setup_add(setup, STR("submission"), 587, STR("starttls"));
	setup_add(setup, STR("submission"), 465, STR("implicit"));
	setup_add(setup, STR("imap"), 143, STR("starttls"));
	setup_add(setup, STR("imap"), 993, STR("implicit"));
	setup_add(setup, STR("imap"), 993, STR("implicit"));
	setup_add(setup, STR("pop3"), 110, STR("none"));
	setup_add(setup, STR("pop3"), 995, STR("implicit"));
	setup_add(setup, STR("lmtp"), 0, STR("none"));
	setup_add(setup, STR("web"), 443, STR("implicit"));
}

static void
test_services(void **state)
{
	static const struct setup_service want[] = {
		{ SETUP_IMAP, 993, true }, { SETUP_IMAP, 143, false },
		{ SETUP_POP3, 995, true }, { SETUP_SMTP, 465, true },
		{ SETUP_SMTP, 587, false },
	};
	struct setup setup;
	size_t i;

	(void)state;
	fill(&setup);
	assert_int_equal(setup.services_len, COUNT_OF(want));
	for (i = 0; i < COUNT_OF(want); i++) {
		assert_int_equal(setup.services[i].kind, want[i].kind);
		assert_int_equal(setup.services[i].port, want[i].port);
		assert_int_equal(setup.services[i].is_implicit,
		    want[i].is_implicit);
	}
}

#define AUTOCONFIG "/mail/config-v1.1.xml"
#define OUTLOOK "/AutoDiscover/AUTODISCOVER.xml"
#define PROFILE "/apple.mobileconfig"
#define POLICY "/.well-known/mta-sts.txt"
#define LOCATOR "/autodiscover/autodiscover.json"
#define ASK(address, schema) "<Autodiscover><Request><EMailAddress>"	\
	address "</EMailAddress>" schema "</Request></Autodiscover>"

/* Whom requests are about. */
static void
test_subjects(void **state)
{
	static const struct {
		const char *path;
		const char *host;
		const char *query;
		const char *body;
		const char *domain;	/* NULL: refused */
		const char *address;
	} cases[] = {
		{ AUTOCONFIG, "autoconfig.a.test", NULL, "", "a.test", "" },
		{ AUTOCONFIG, "A.test", NULL, "", "a.test", "" },
		{ AUTOCONFIG, "x", "emailaddress=u%40B.test", "", "b.test",
		    "u@b.test" },
		{ AUTOCONFIG, "autoconfig.a.test",
		    "emailaddress=%25EMAILADDRESS%25", "", "a.test", "" },
		{ AUTOCONFIG, "autoconfig.a.test", "emailaddress=u", "",
		    "a.test", "" },
		{ AUTOCONFIG, "[::1]", NULL, "", NULL, NULL },
		{ AUTOCONFIG, "", NULL, "", NULL, NULL },
		{ PROFILE, "x", "email=%22a%3Cb%22%40c.test", "", "c.test",
		    "\"a<b\"@c.test" },
		{ PROFILE, "x", NULL, "", NULL, NULL },
		{ PROFILE, "x", "email=", "", NULL, NULL },
		{ PROFILE, "x", "email=a%40%5B127.0.0.1%5D", "", NULL, NULL },
		{ PROFILE, "x", "email=a%0d%0ab%40c.test", "", NULL, NULL },
		{ OUTLOOK, "x", NULL, ASK("u@a.test", ""), "a.test",
		    "u@a.test" },
		{ OUTLOOK, "x", NULL, ASK("", ""), NULL, NULL },
		{ OUTLOOK, "x", NULL, "", NULL, NULL },
		{ OUTLOOK, "x", NULL, "<!DOCTYPE x>" ASK("u@a.test", ""),
		    NULL, NULL },
		{ POLICY, "mta-sts.a.test", NULL, "", "a.test", "" },
		{ POLICY, "a.test", NULL, "", NULL, NULL },
		{ POLICY, "mta-sts.", NULL, "", NULL, NULL },
		{ LOCATOR, "x", "Email=u@a.test&Protocol=AutodiscoverV1", "",
		    "a.test", "u@a.test" },
	};
	struct http_request request;
	struct setup_subject subject;
	const struct setup_page *page;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		memset(&request, 0, sizeof(request));
		memset(&subject, 0, sizeof(subject));
		request.host = str_of(cases[i].host);
		request.query = str_of(cases[i].query);
		request.body = str_of(cases[i].body);
		page = page_of(strcmp(cases[i].path, OUTLOOK) == 0 ? "POST" :
		    "GET", cases[i].path);
		rc = page->read(arena, &request, &subject, NULL);
		if ((rc == 0) != (cases[i].domain != NULL))
			fail_msg("%zu: %d", i, rc);
		if (rc == 0 && (!str_eq(subject.domain,
		    str_of(cases[i].domain)) || !str_eq(subject.address,
		    str_of(cases[i].address))))
			fail_msg("%zu: %.*s, %.*s", i,
			    STR_FMT(subject.domain),
			    STR_FMT(subject.address));
	}
}

static struct str
render(const char *path, struct setup_subject subject)
{
	const struct setup_page *page = page_of(
	    strcmp(path, OUTLOOK) == 0 ? "POST" : "GET", path);
	struct setup setup;
	struct buf out;
	struct str text;

	fill(&setup);
	buf_init(&out, 65536);
	page->put(&setup, &subject, &out);
	assert_false(buf_failed(&out));
	text = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return text;
}

static void
expect(struct str text, const char *want)
{
	if (str_find_str(text, str_of(want)) == STR_NPOS)
		fail_msg("no %s in:\n%.*s", want, STR_FMT(text));
}

static void
test_documents(void **state)
{
	struct setup_subject subject = { .address = STR("\"a<b&'\"@c.test"),
	    .domain = STR("c.test") };
	struct xml_wanted wanted[] = { { .name = "DisplayName" },
	    { .name = "Server" }, { .name = "Port" } };
	struct str text;

	(void)state;
	text = render(AUTOCONFIG, subject);
	expect(text, "<emailProvider id=\"c.test\">");
	expect(text, "<port>993</port>\n      <socketType>SSL</socketType>");
	expect(text, "<port>587</port>\n      <socketType>STARTTLS<");
	text = render(OUTLOOK, subject);
	assert_int_equal(xml_read(arena, text, wanted, 3, NULL), 0);
	assert_true(str_eq(wanted[0].text, subject.address));
	assert_true(str_eq(wanted[1].text, STR("mail.host.test")));
	assert_true(str_eq(wanted[2].text, STR("993")));
	assert_true(str_find_str(text, STR("a<b")) == STR_NPOS);
	text = render(PROFILE, subject);
	expect(text, "<string>&quot;a&lt;b&amp;&#39;&quot;@c.test</string>");
	expect(text, "<string>EmailTypeIMAP</string>");
	expect(text, "<integer>465</integer>");
	assert_true(str_eq(text, render(PROFILE, subject)));
	text = render(POLICY, subject);
	assert_true(str_eq(text, STR("version: STSv1\r\nmode: enforce\r\n"
	    "mx: mail.host.test\r\nmax_age: 604800\r\n")));
	subject.wants_other = true;
	expect(render(OUTLOOK, subject), "<ErrorCode>601</ErrorCode>");
	expect(render(LOCATOR, subject), "ProtocolNotSupported");
}

/* What we serve, our own relay reads. */
static void
test_policy_is_read(void **state)
{
	struct setup_subject subject = { .domain = STR("c.test") };
	struct mta_sts_policy policy;

	(void)state;
	assert_int_equal(mta_sts_policy(arena, render(POLICY, subject),
	    &policy, NULL), 0);
	assert_int_equal(policy.mode, MTA_STS_ENFORCE);
	assert_true(mta_sts_allows(&policy, STR("mail.host.test")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_policy_is_read),
	};

	return cmocka_run_group_tests(tests, setup_arena, teardown_arena);
}
