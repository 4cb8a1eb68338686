/* SPDX-License-Identifier: ISC */
/* Links out of text and pages; domains that look like others. */
#include "base/test.h"

#include "base/buf.h"
#include "filterd/attack/lookalike.h"
#include "filterd/attack/urls.h"

/* ---- single links ---- */

#define USER URL_HAS_USERINFO
#define ADDR URL_IS_ADDRESS
#define ODD (URL_IS_ADDRESS | URL_IS_ODD_ADDRESS)

static const struct {
	const char *raw;
	const char *host;	/* NULL: leads nowhere */
	unsigned flags;
} links[] = {
	{ "https://www.Example.COM/a?b#c", "www.example.com", 0 },
	{ "http://example.com:8080/", "example.com", 0 },
	{ "http://example.com.", "example.com", 0 },
	{ "//example.com/x", "example.com", 0 },
	{ "http:\\\\example.com\\x", "example.com", 0 },
	{ "http:example.com", "example.com", 0 },
	{ "https:////example.com", "example.com", 0 },
	{ " h\nt\ttp://exa\nmple.com/", "example.com", 0 },
	{ "http://me@example.com/", "example.com", 0 },
	{ "http://www.bank.example@evil.example/", "evil.example", USER },
	{ "http://www.bank.example%2f@evil.example/", "evil.example", USER },
	{ "http://www.bank.example:443@evil.example", "evil.example", USER },
	{ "http://evil.example\\@bank.example/", "evil.example", 0 },
	{ "http://evil.example#@bank.example/", "evil.example", 0 },
	{ "http://%65vil.example/", "evil.example", 0 },
	/* 日本語.jp */
	{ "http://\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e.jp/",
	    "xn--wgv71a119e.jp", 0 },
	{ "http://%E6%97%A5%E6%9C%AC%E8%AA%9E.jp/", "xn--wgv71a119e.jp", 0 },
	{ "http://ｅｘａｍｐｌｅ.com/", "example.com", 0 },
	{ "http://192.0.2.1/", "192.0.2.1", ADDR },
	{ "http://3221225985/", "192.0.2.1", ODD },
	{ "http://0xc0000201/", "192.0.2.1", ODD },
	{ "http://0300.0.02.01/", "192.0.2.1", ODD },
	{ "http://192.0.513/", "192.0.2.1", ODD },
	{ "http://0xC0.0.2.1/", "192.0.2.1", ODD },
	{ "http://1.2.3.4.5/", "1.2.3.4.5", 0 },
	{ "http://[2001:db8::1]:80/", "[2001:db8::1]", ADDR },
	{ "javascript:alert(1)", "", URL_RUNS },
	{ "java\nscript:alert(1)", "", URL_RUNS },
	{ "javascript:void(0)", NULL, 0 },
	{ "file://server/share/x", "server", URL_RUNS },
	{ "\\\\server\\share", "server", URL_RUNS },
	{ "search-ms:query=x", "query=x", URL_RUNS | URL_IS_BROKEN },
	{ "data:text/html;base64,PGI+", "", URL_RUNS },
	{ "data:image/png;base64,AAAA", NULL, 0 },
	{ "mailto:a@example.com", NULL, 0 }, { "cid:1@x", NULL, 0 },
	{ "#top", NULL, 0 }, { "page.html", NULL, 0 }, { "", NULL, 0 },
	{ "http://", NULL, 0 }, { "http:///", NULL, 0 },
};

static void
reads_links(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(links); i++) {
		struct url_list *list = url_list_new();
		const struct url *url = NULL;

		url_list_add(list, str_of(links[i].raw), STR(""), 0);
		if (url_list_count(list) != 0)
			url = url_list_get(list, 0);
		if ((url != NULL) != (links[i].host != NULL) ||
		    (url != NULL && (url->flags != links[i].flags ||
		    !str_eq(url->host, str_of(links[i].host)))))
			fail_msg("%s: %.*s %x", links[i].raw,
			    STR_FMT(url != NULL ? url->host : STR("none")),
			    url != NULL ? url->flags : 0);
		url_list_free(&list);
	}
}

/* ---- whole texts ---- */

static void
check_list(struct url_list *list, const char *want, const char *of)
{
	struct buf got;
	size_t i;

	buf_init(&got, 65536);
	for (i = 0; i < url_list_count(list); i++) {
		const struct url *url = url_list_get(list, i);

		buf_addf(&got, "%s%.*s%s", i == 0 ? "" : " ",
		    STR_FMT(url->host),
		    (url->flags & URL_IS_DECEPTIVE) != 0 ? "!" :
		    (url->flags & URL_IN_FORM) != 0 ? "+" : "");
	}
	if (!str_eq(buf_str(&got), str_of(want)))
		fail_msg("%s: %.*s", of, STR_FMT(buf_str(&got)));
	buf_fini(&got);
}

static const struct {
	const char *text;
	const char *want;
} texts[] = {
	{ "See http://a.example/x, and (https://b.example/).",
	    "a.example b.example" },
	{ "www.c.example/x and mail@www.d.example", "www.c.example" },
	/* "...をhttp://e.example/をご覧" and 「http://f.example」 */
	{ "\xe3\x82\x92http://e.example/\xe3\x80\x81\xe3\x80\x8chttp://"
	    "f.example\xe3\x80\x8d", "e.example f.example" },
	{ "http://a.example http://a.example", "a.example" },
	{ "no links://, at all ://x www.", "" },
	{ "<http://g.example/>", "g.example" }, { "", "" },
};

static void
reads_text(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(texts); i++) {
		struct url_list *list = url_list_new();

		urls_of_text(list, str_of(texts[i].text));
		check_list(list, texts[i].want, texts[i].text);
		url_list_free(&list);
	}
}

static const struct {
	const char *html;
	const char *want;
} pages[] = {
	{ "<a href=\"http://a.example/\">click</a>", "a.example" },
	{ "<A HREF=http://a.example/>x</A><a href='http://b.example'>y",
	    "a.example b.example" },
	{ "<a href='http://evil.example'>www.bank.example</a>",
	    "evil.example!" },
	{ "<a href='http://evil.example'><b>https://bank.example</b>/login"
	    "</a>", "evil.example!" },
	{ "<a href='http://x.bank.example'>bank.example</a>",
	    "x.bank.example" },
	{ "<a href='http://www.ibm.example'>ibm.example</a>",
	    "www.ibm.example" },
	{ "<a href='http://ibm.com'>www.ibm.com</a>", "ibm.com" },
	{ "<a href='http://cdn.bank.example'>www.bank.example</a>",
	    "cdn.bank.example" },
	{ "<a href='http://evil.co.jp'>www.bank.co.jp</a>", "evil.co.jp!" },
	{ "<a href='http://evil.example'>our bank.example site</a>",
	    "evil.example" },
	{ "<a href='http://files.example'>report.pdf</a>", "files.example" },
	{ "<a href='&#104;ttp&colon;//e&#x76;il.example'>x</a>",
	    "evil.example" },
	{ "<meta http-equiv=refresh content=\"0; url='http://r.example/'\">",
	    "r.example" },
	{ "<form action=http://f.example><input formaction=//g.example>",
	    "f.example+ g.example+" },
	{ "<img src=http://i.example/p.png><iframe src=//j.example>",
	    "i.example j.example" },
	{ "<!-- <a href=http://no.example> --><a href=http://yes.example>x",
	    "yes.example" },
	{ "<script>location='http://s.example/'</script><a href=//t.example>"
	    "x</a>", "s.example t.example" },
	{ "<a title='>' href='http://a.example'>x</a>", "a.example" },
	{ "<a href='http://a.example", "a.example" },
	{ "<a href=", "" }, { "<", "" }, { "<a", "" }, { "</", "" },
	{ "<a =>", "" }, { "<!--", "" }, { "<script>", "" },
	{ "<a href=#>x</a>", "" },
};

static void
reads_pages(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(pages); i++) {
		struct url_list *list = url_list_new();

		urls_of_html(list, str_of(pages[i].html));
		check_list(list, pages[i].want, pages[i].html);
		url_list_free(&list);
	}
}

static void
bounds_lists(void **state)
{
	struct url_list *list = url_list_new();
	struct buf text;
	unsigned i;

	(void)state;
	buf_init(&text, 16U << 20);
	for (i = 0; i < 30000; i++)
		buf_addf(&text, "http://h%u.example/ ", i);
	urls_of_text(list, buf_str(&text));
	assert_int_equal(url_list_count(list), URLS_MAX);
	assert_true(url_list_is_cut(list));
	url_list_free(&list);
	buf_fini(&text);
}

static uint64_t
time_page(const char *unit, size_t count)
{
	struct url_list *list = url_list_new();
	struct buf html;
	uint64_t begin;
	size_t i;

	buf_init(&html, 64U << 20);
	for (i = 0; i < count; i++)
		buf_add_cstr(&html, unit);
	begin = test_cpu_us();
	urls_of_html(list, buf_str(&html));
	urls_of_text(list, buf_str(&html));
	begin = test_cpu_us() - begin;
	buf_fini(&html);
	url_list_free(&list);
	return begin;
}

static void
takes_linear_time(void **state)
{
	static const char *const units[] = { "<a ", "<!--", "<a href='", "<",
		"<script>", "://", "<a href=x>", "www.", "&#", "<a b=\"" };
	size_t i;
	unsigned tries;

	(void)state;
	for (i = 0; i < COUNT_OF(units); i++) {
		uint64_t once = 0, twice = 0;

		for (tries = 0; tries < TEST_LINEAR_TRIES; tries++) {
			once = time_page(units[i], 30000);
			twice = time_page(units[i], 60000);
			if (test_is_linear(once, twice))
				break;
		}
		if (tries == TEST_LINEAR_TRIES)
			fail_msg("%s: %lu, %lu", units[i], (unsigned long)once,
			    (unsigned long)twice);
	}
}

/* ---- domains ---- */

static const char *const hows[] = {
	[LOOKALIKE_NOTHING] = "nothing", [LOOKALIKE_SAME] = "same",
	[LOOKALIKE_OTHER_TLD] = "other-tld", [LOOKALIKE_WORD] = "word",
	[LOOKALIKE_LABEL] = "label", [LOOKALIKE_TYPO] = "typo",
	[LOOKALIKE_GLYPH] = "glyph",
};

static const struct {
	const char *domain;
	const char *how;
	const char *known;
} likes[] = {
	{ "hikyaku.example", "same", "hikyaku.example" },
	{ "mail.hikyaku.example", "same", "hikyaku.example" },
	{ "HIKYAKU.EXAMPLE.", "same", "hikyaku.example" },
	{ "hikyakv.example", "typo", "hikyaku.example" },
	{ "hikyku.example", "typo", "hikyaku.example" },
	{ "hikyyaku.example", "typo", "hikyaku.example" },
	{ "hiykaku.example", "typo", "hikyaku.example" },
	{ "yhikyak.example", "nothing", "" },
	{ "mail.hikyakv.net", "typo", "hikyaku.example" },
	{ "hikyaku.com", "other-tld", "hikyaku.example" },
	{ "hikyaku-login.com", "word", "hikyaku.example" },
	{ "secure-hikyaku.com", "word", "hikyaku.example" },
	{ "hikyakusupport.com", "word", "hikyaku.example" },
	{ "myhikyaku.com", "word", "hikyaku.example" },
	{ "north-wind-login.com", "word", "north-wind.example" },
	{ "pay-north-wind.com", "word", "north-wind.example" },
	{ "north-winds.com", "typo", "north-wind.example" },
	{ "the-wind-from-north.com", "nothing", "" },
	{ "hikyaku.example.evil.net", "label", "hikyaku.example" },
	{ "hikyaku.slack.com", "nothing", "" },
	/* Cyrillic a in it; as A-labels too. */
	{ "hiky\xd0\xb0ku.example", "glyph", "hikyaku.example" },
	{ "xn--hikyku-6nf.example", "glyph", "hikyaku.example" },
	{ "examp1e.com", "glyph", "example.com" },
	{ "exarnple.com", "glyph", "example.com" },
	{ "ex\xc3\xa1mple.com", "glyph", "example.com" },
	{ "vvestern.co.jp", "glyph", "western.co.jp" },
	{ "western.co.jp", "same", "western.co.jp" },
	{ "western.ne.jp", "other-tld", "western.co.jp" },
	{ "abd.jp", "nothing", "" },	/* too short for a typo of abc.jp */
	{ "unrelated.org", "nothing", "" }, { "com", "nothing", "" },
	{ "", "nothing", "" }, { ".", "nothing", "" }, { "a b", "nothing", "" },
};

static void
tells_lookalikes(void **state)
{
	struct err err = ERR_INIT;
	struct lookalike *known = lookalike_new(NULL, &err);
	struct str which;
	size_t i;

	(void)state;
	assert_non_null(known);
	assert_true(lookalike_add(known, STR("hikyaku.example"), 0));
	assert_true(lookalike_add(known, STR("example.com"), 0));
	assert_true(lookalike_add(known, STR("western.co.jp"), 0));
	assert_true(lookalike_add(known, STR("abc.jp"), 0));
	assert_true(lookalike_add(known, STR("north-wind.example"), 0));
	assert_false(lookalike_add(known, STR("not a domain"), 0));
	assert_false(lookalike_add(known, STR(""), 0));
	for (i = 0; i < COUNT_OF(likes); i++) {
		enum lookalike_how how = lookalike_of(known,
		    str_of(likes[i].domain), &which);

		if (strcmp(hows[how], likes[i].how) != 0 ||
		    !str_eq(which, str_of(likes[i].known)))
			fail_msg("%s: %s %.*s", likes[i].domain,
			    hows[how], STR_FMT(which));
	}
	/* A new list takes the place of the old one. */
	lookalike_forget(known);
	assert_true(lookalike_add(known, STR("second.example"), 0));
	assert_int_equal(lookalike_of(known, STR("hikyaku.example"), &which),
	    LOOKALIKE_NOTHING);
	assert_int_equal(lookalike_of(known, STR("sec0nd.example"), &which),
	    LOOKALIKE_GLYPH);
	lookalike_free(&known);
}

/* Short names of many owners are near to others' names: whose readers do not
 * know a domain are not fooled by what resembles it. */
static void
asks_for_readers(void **state)
{
	static const struct {
		const char *readers[3];
		const char *domain;
		const char *how;
	} cases[] = {
		{ { NULL }, "hamada.example", "typo" },
		{ { "yamada.example" }, "hamada.example", "typo" },
		{ { "yamada2.example" }, "hamada.example", "typo" },
		{ { "other.example" }, "hamada.example", "nothing" },
		{ { "nobodys.example" }, "hamada.example", "nothing" },
		{ { "other.example", "yamada.example" }, "hamada.example",
		    "typo" },
		{ { "other.example" }, "yamada.example.evil.net", "nothing" },
		{ { "yamada.example" }, "yamada.example.evil.net", "label" },
		{ { "other.example" }, "yamada-login.com", "nothing" },
		{ { "other.example" }, "0ther.example", "glyph" },
		{ { "yamada.example" }, "0ther.example", "nothing" },
		/* Somebody's real domain, whoever reads it. */
		{ { "other.example" }, "yamada.example", "same" },
		{ { "other.example" }, "partners.example", "same" },
		{ { "other.example" }, "partner5.example", "typo" },
	};
	struct lookalike *known = lookalike_new(NULL, NULL);
	enum lookalike_how how;
	struct str which;
	size_t i, k;

	(void)state;
	assert_non_null(known);
	assert_true(lookalike_add(known, STR("yamada.example"), 7));
	assert_true(lookalike_add(known, STR("yamada2.example"), 7));
	assert_true(lookalike_add(known, STR("other.example"), 8));
	assert_true(lookalike_add(known, STR("partners.example"),
	    LOOKALIKE_EVERYBODY));
	for (i = 0; i < COUNT_OF(cases); i++) {
		lookalike_any_reader(known);
		for (k = 0; cases[i].readers[k] != NULL; k++)
			lookalike_reader(known, str_of(cases[i].readers[k]));
		how = lookalike_of(known, str_of(cases[i].domain), &which);
		if (strcmp(hows[how], cases[i].how) != 0)
			fail_msg("%s to %s: %s", cases[i].domain,
			    cases[i].readers[0], hows[how]);
	}
	assert_true(lookalike_is_known(known, STR("mail.other.example")));
	assert_true(lookalike_is_known(known, STR("partners.example")));
	assert_false(lookalike_is_known(known, STR("yamada.example")));
	assert_false(lookalike_is_known(known, STR("hamada.example")));
	lookalike_free(&known);
}

static void
tells_mixtures(void **state)
{
	struct lookalike *known = lookalike_new(NULL, NULL);

	(void)state;
	assert_non_null(known);
	assert_false(lookalike_is_mixed(known, STR("example.com")));
	/* Cyrillic a among Latin letters */
	assert_true(lookalike_is_mixed(known, STR("ex\xd0\xb0mple.com")));
	assert_true(lookalike_is_mixed(known, STR("www.xn--exmple-4nf.com")));
	/* Japanese with Latin; all Cyrillic; umlauts */
	assert_false(lookalike_is_mixed(known,
	    STR("e\xe3\x83\xa1\xe3\x83\xbc\xe3\x83\xab.jp")));
	assert_false(lookalike_is_mixed(known,
	    STR("\xd0\xbf\xd0\xbe\xd1\x87\xd1\x82\xd0\xb0.ru")));
	assert_false(lookalike_is_mixed(known, STR("m\xc3\xbcnchen.de")));
	lookalike_free(&known);
}

static void
tells_owners(void **state)
{
	struct lookalike *known = lookalike_new(NULL, NULL);

	(void)state;
	assert_non_null(known);
	assert_true(lookalike_is_one_org(known, STR("a.example.co.jp"),
	    STR("b.c.EXAMPLE.co.jp")));
	assert_false(lookalike_is_one_org(known, STR("example.co.jp"),
	    STR("other.co.jp")));
	assert_false(lookalike_is_one_org(known, STR("a.github.io"),
	    STR("b.github.io")));
	assert_false(lookalike_is_one_org(known, STR(""), STR("")));
	lookalike_free(&known);
}

/* Many known domains cost nothing when one is compared. */
static void
compares_with_many(void **state)
{
	struct lookalike *known = lookalike_new(NULL, NULL);
	struct str which;
	uint64_t begin;
	char name[64];
	unsigned i;

	(void)state;
	assert_non_null(known);
	for (i = 0; i < 2000; i++) {
		(void)snprintf(name, sizeof(name), "company%u.example", i);
		assert_true(lookalike_add(known, str_of(name), 0));
	}
	begin = test_cpu_us();
	for (i = 0; i < 256; i++) {
		assert_int_equal(lookalike_of(known,
		    STR("cornpany1999.example"), &which), LOOKALIKE_GLYPH);
		assert_true(str_eq(which, STR("company1999.example")));
	}
	assert_true(test_cpu_us() - begin < 1000000);
	lookalike_free(&known);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_links), cmocka_unit_test(reads_text),
		cmocka_unit_test(reads_pages), cmocka_unit_test(bounds_lists),
		cmocka_unit_test(takes_linear_time),
		cmocka_unit_test(tells_lookalikes),
		cmocka_unit_test(asks_for_readers),
		cmocka_unit_test(tells_mixtures),
		cmocka_unit_test(tells_owners),
		cmocka_unit_test(compares_with_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
