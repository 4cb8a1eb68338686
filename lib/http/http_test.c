/* SPDX-License-Identifier: ISC */
#include "base/test.h"

#include "http/request.h"
#include "http/response.h"
#include "http/route.h"
#include "http/uri.h"
#include "http/xml.h"

#define BODY_MAX 16
#define HOST "Host: a.test\r\n"

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* "METHOD path|query|host|body", a status, or "more". */
static void
show(struct str in, char *text, size_t size)
{
	struct http_request request;
	enum http_result result;
	unsigned status = 0;
	size_t used = 0;

	result = http_request_read(arena, in, BODY_MAX, &request, &used,
	    &status);
	if (result == HTTP_BAD)
		(void)snprintf(text, size, "%u", status);
	else if (result == HTTP_MORE)
		(void)snprintf(text, size, "more%s",
		    request.expects_continue ? " continue" : "");
	else
		(void)snprintf(text, size, "%.*s %.*s|%.*s|%.*s|%.*s%s",
		    STR_FMT(request.method), STR_FMT(request.path),
		    STR_FMT(request.query), STR_FMT(request.host),
		    STR_FMT(request.body), request.keeps_alive ? "" : "!");
}

static const struct {
	const char *in;
	const char *want;
} requests[] = {
	{ "GET / HTTP/1.1\r\n" HOST "\r\n", "GET /||a.test|" },
	{ "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "GET /||a.test|" },
	{ "HEAD /x?a=b?c HTTP/1.1\r\nHost: A.Test:8443\r\n\r\n",
	    "HEAD /x|a=b?c|a.test|" },
	{ "GET /%2e%2E/%41? HTTP/1.1\r\n" HOST "\r\n", "GET /../A||a.test|" },
	{ "GET / HTTP/1.0\r\n\r\n", "GET /|||!" },
	{ "GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n",
	    "GET /||a.test|!" },
	{ "GET / HTTP/1.1\r\nHost: [::1]:443\r\n\r\n", "GET /||[::1]|" },
	{ "GET / HTTP/1.1\r\nHost: a.test.\r\n\r\n", "GET /||a.test|" },
	{ "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET /|||" },
	{ "GET https://B.test:1/y HTTP/1.1\r\n" HOST "\r\n",
	    "GET /y||b.test|" },
	{ "GET https://b.test HTTP/1.1\r\n" HOST "\r\n", "GET /||b.test|" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET",
	    "POST /||a.test|abc" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
	    "POST /||a.test|" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nab", "more" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
	    "Expect: 100-continue\r\n\r\n", "more continue" },
	{ "GET / HTTP/1.1\r\n" HOST "\r", "more" },
	{ "", "more" },
	/* One reader could see another request than the next. */
	{ "GET / HTTP/1.1\n" HOST "\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\nA: b\nHost: x\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\nA: b\rHost: x\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\nA: b\r\n folded\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
	    "Content-Length: 2\r\n\r\nab", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
	    "Content-Length: 1\r\n\r\na", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n\r\na", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400" },
	{ "POST / HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length : 1\r\n\r\na", "400" },
	{ "POST / HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n", "413" },
	{ "POST / HTTP/1.1\r\n" HOST
	    "Content-Length: 99999999999999999999999\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST HOST "\r\n", "400" },
	{ "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400" },
	{ "GET a HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "X: y\r\n: x\r\n\r\n", "400" },
	{ "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n", "400" },
	{ "GET /%zz HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /%00 HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET /%ff HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "GET / HTTP/2.0\r\n" HOST "\r\n", "505" },
	{ "GET / HTTP/9.9\r\n" HOST "\r\n", "505" },
	{ "GET /\r\n\r\n", "505" },
	{ "HELO x\r\n\r\n", "400" },
	{ "\x16\x03\x01\r\n\r\n", "400" },
	{ "CONNECT a.test:25 HTTP/1.1\r\n" HOST "\r\n", "400" },
	{ "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "400" },
};

static void
test_requests(void **state)
{
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(requests); i++) {
		show(str_of(requests[i].in), text, sizeof(text));
		if (strcmp(text, requests[i].want) != 0)
			fail_msg("%zu: %s: %s, want %s", i, requests[i].in,
			    text, requests[i].want);
	}
	show(str_make("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", 29), text,
	    sizeof(text));
	assert_string_equal(text, "400");
}

/* Every beginning of a good request is "more", never another request. */
static void
test_one_octet_at_a_time(void **state)
{
	struct str in = STR("POST /x?y HTTP/1.1\r\nHost: a.test\r\n"
	    "Content-Length: 5\r\nX: y\r\n\r\nhello");
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < in.len; i++) {
		show(str_sub(in, 0, i), text, sizeof(text));
		assert_string_equal(text, "more");
	}
	show(in, text, sizeof(text));
	assert_string_equal(text, "POST /x|y|a.test|hello");
}

static void
test_limits(void **state)
{
	struct buf in;
	char text[256];
	int i;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_add_cstr(&in, "GET / HTTP/1.1\r\n" HOST);
	for (i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		buf_addf(&in, "X%d: y\r\n", i);
	buf_add_cstr(&in, "\r\n");
	show(buf_str(&in), text, sizeof(text));
	assert_string_equal(text, "GET /||a.test|");
	buf_truncate(&in, in.len - 2);
	buf_add_cstr(&in, "One: more\r\n\r\n");
	show(buf_str(&in), text, sizeof(text));
	assert_string_equal(text, "431");
	buf_reset(&in);
	buf_add_cstr(&in, "GET / HTTP/1.1\r\n" HOST "X: ");
	while (in.len < HTTP_HEADER_MAX)
		buf_add_char(&in, 'x');
	show(buf_str(&in), text, sizeof(text));
	assert_string_equal(text, "431");
	buf_fini(&in);
}

static void
test_query(void **state)
{
	static const struct {
		const char *query;
		const char *want;	/* NULL: refused or missing */
	} cases[] = {
		{ "email=a%40b.test", "a@b.test" },
		{ "EMail=a+b", "a b" },
		{ "x=y&email=1&email=2", "1" },
		{ "email", "" },
		{ "email=", "" },
		{ "emails=x", NULL },
		{ "", NULL },
		{ "email=%4", NULL },
		{ "email=%00", NULL },
		{ "email=%fe", NULL },
	};
	struct buf out;
	struct str value;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		rc = uri_query_get(arena, str_of(cases[i].query),
		    STR("email"), &value, NULL);
		if ((rc == 0) != (cases[i].want != NULL) || (rc == 0 &&
		    !str_eq(value, str_of(cases[i].want))))
			fail_msg("%s", cases[i].query);
	}
	buf_init(&out, 100);
	uri_put(&out, STR("a-Z.9_~@ \xc3\xa9"));
	assert_true(str_eq(buf_str(&out), STR("a-Z.9_~%40%20%C3%A9")));
	buf_fini(&out);
}

static void
test_routes(void **state)
{
	static const struct http_route routes[] = {
		{ "GET", "/a", false, "a" },
		{ "POST", "/Case", true, "case" },
		{ NULL, NULL, false, NULL },
	};
	static const struct {
		const char *method;
		const char *path;
		unsigned status;	/* 0: found */
	} cases[] = {
		{ "GET", "/a", 0 },
		{ "HEAD", "/a", 0 },
		{ "POST", "/a", 405 },
		{ "GET", "/A", 404 },
		{ "GET", "/a/", 404 },
		{ "POST", "/CASE", 0 },
		{ "HEAD", "/case", 405 },
	};
	struct http_request request = { .fields_len = 0 };
	const struct http_route *route;
	const char *allow;
	unsigned status;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		request.method = str_of(cases[i].method);
		request.path = str_of(cases[i].path);
		route = http_route_find(routes, &request, &status,
		    &allow);
		if ((route != NULL) != (cases[i].status == 0) ||
		    (route == NULL && status != cases[i].status) ||
		    (allow != NULL) != (cases[i].status == 405))
			fail_msg("%s %s", cases[i].method, cases[i].path);
	}
}

static void
test_response(void **state)
{
	struct http_response response = { .status = 404 };
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	http_put_response(&out, &response);
	assert_true(str_begins(buf_str(&out),
	    STR("HTTP/1.1 404 Not Found\r\nDate: ")));
	assert_true(str_find_str(buf_str(&out),
	    STR("Connection: close\r\n")) != STR_NPOS);
	assert_true(str_ends_nocase(buf_str(&out),
	    STR("\r\n\r\nNot Found\r\n")));
	buf_reset(&out);
	response = (struct http_response){ .status = 200, .is_head = true,
	    .keeps_alive = true, .body = STR("hello") };
	http_put_response(&out, &response);
	assert_true(str_find_str(buf_str(&out),
	    STR("Content-Length: 5\r\n")) != STR_NPOS);
	assert_true(str_ends_nocase(buf_str(&out), STR("\r\n\r\n")));
	buf_fini(&out);
}

static void
test_xml_read(void **state)
{
	static const struct {
		const char *document;
		int rc;
		const char *want;	/* NULL: no such element */
	} cases[] = {
		{ "<r><mail> a@b </mail></r>", 0, "a@b" },
		{ "<?xml version=\"1.0\" encoding=\"utf-8\"?><x:r "
		    "xmlns:x='u'><x:mail>a&amp;b</x:mail></x:r>", 0, "a&b" },
		{ "<r><mail>1</mail><mail>2</mail></r>", 0, "1" },
		{ "<mail>a<b>c</b>d</mail>", 0, "acd" },
		{ "<r/>", 0, NULL },
		{ "<r><mail/></r>", 0, "" },
		{ "<r><![CDATA[<mail>x</mail>]]></r>", 0, NULL },
		{ "", ERR_SYNTAX, NULL },
		{ "<r>", ERR_SYNTAX, NULL },
		{ "<r></s>", ERR_SYNTAX, NULL },
		{ "<r>&unknown;</r>", ERR_SYNTAX, NULL },
		{ "<!DOCTYPE r><r/>", ERR_SYNTAX, NULL },
		{ "<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
		    "<mail>&x;</mail>", ERR_SYNTAX, NULL },
		{ "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b "
		    "'&a;&a;&a;&a;&a;&a;'>]><mail>&b;</mail>", ERR_SYNTAX,
		    NULL },
		{ "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>"
		    "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>",
		    ERR_LIMIT, NULL },
	};
	struct xml_wanted wanted;
	size_t i;
	int rc;

	(void)state;
	for (i = 0; i < COUNT_OF(cases); i++) {
		wanted = (struct xml_wanted){ .name = "mail" };
		rc = xml_read(arena, str_of(cases[i].document), &wanted, 1,
		    NULL);
		if (rc != cases[i].rc || (rc == 0 &&
		    ((wanted.text.p == NULL) != (cases[i].want == NULL) ||
		    !str_eq(wanted.text, str_of(cases[i].want)))))
			fail_msg("%s: %d", cases[i].document, rc);
	}
}

static void
test_xml_limits(void **state)
{
	struct xml_wanted wanted = { .name = "mail" };
	struct buf in;

	(void)state;
	buf_init(&in, 1 << 20);
	buf_add_cstr(&in, "<mail>");
	while (in.len < XML_TEXT_MAX + 7)
		buf_add_char(&in, 'x');
	buf_add_cstr(&in, "</mail>");
	assert_int_equal(xml_read(arena, buf_str(&in), &wanted, 1, NULL),
	    ERR_LIMIT);
	while (in.len <= XML_DOCUMENT_MAX)
		buf_add_char(&in, ' ');
	assert_int_equal(xml_read(arena, buf_str(&in), &wanted, 1, NULL),
	    ERR_LIMIT);
	buf_fini(&in);
}

static void
test_xml_put(void **state)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "a", "a" },
		{ "<a b=\"c\" d='e'>&amp;", "&lt;a b=&quot;c&quot; "
		    "d=&#39;e&#39;&gt;&amp;amp;" },
		{ "\x01\r", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "\xef\xbf\xbe\xe5\xb1\xb1", "\xef\xbf\xbd\xe5\xb1\xb1" },
	};
	struct buf out;
	size_t i;

	(void)state;
	buf_init(&out, 256);
	for (i = 0; i < COUNT_OF(cases); i++) {
		buf_reset(&out);
		xml_put(&out, str_of(cases[i].in));
		if (!str_eq(buf_str(&out), str_of(cases[i].want)))
			fail_msg("%zu", i);
	}
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_one_octet_at_a_time),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_response),
		cmocka_unit_test(test_xml_read),
		cmocka_unit_test(test_xml_limits),
		cmocka_unit_test(test_xml_put),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
