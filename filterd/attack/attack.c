/* SPDX-License-Identifier: ISC */
#include "filterd/attack/attack.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "filterd/attack/inspect.h"
#include "mail/charset.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UTF8_MAX (4U * INSPECT_HTML_MAX)

struct attack {
	struct arena *arena;
	struct lookalike *domains;
	struct str *names;	/* SENDER_NAMES_MAX */
	size_t names_len;
};

struct attack_look {
	struct attack *attack;
	struct attack_report *report;
	struct url_list *urls;
};

/* What ICU keeps for later is touched now: in the sandbox nothing can be
 * opened any more. */
static void
touch_tables(struct lookalike *domains)
{
	struct name_look look = names_look(STR("\xef\xbc\xa1.\xd0\xb0"));
	struct str known;

	invariant((look.flags & NAME_HAS_BIDI) == 0);
	(void)lookalike_of(domains, STR("xn--hikyku-6nf.example"), &known);
	(void)lookalike_is_mixed(domains, STR("xn--hikyku-6nf.example"));
}

int
attack_begin(struct attack **attack_r, struct err *err)
{
	struct lookalike *domains = lookalike_new(NULL, err);
	struct attack *attack;

	*attack_r = NULL;
	if (domains == NULL)
		return ERR_TEMP;
	charset_init();
	touch_tables(domains);
	attack = calloc(1, sizeof(*attack));
	invariant(attack != NULL);
	attack->arena = arena_new(0);
	attack->domains = domains;
	attack->names = arena_alloc(attack->arena,
	    SENDER_NAMES_MAX * sizeof(*attack->names));
	*attack_r = attack;
	return 0;
}

void
attack_end(struct attack **attack)
{
	if (*attack == NULL)
		return;
	lookalike_free(&(*attack)->domains);
	arena_free(&(*attack)->arena);
	free(*attack);
	*attack = NULL;
}

bool
attack_add_domain(struct attack *attack, struct str domain, uint64_t owner)
{
	return lookalike_add(attack->domains, domain, owner);
}

void
attack_add_name(struct attack *attack, struct str name)
{
	if (attack->names_len < SENDER_NAMES_MAX)
		attack->names[attack->names_len++] =
		    arena_str(attack->arena, name);
}

void
attack_forget(struct attack *attack)
{
	lookalike_forget(attack->domains);
	arena_reset(attack->arena);
	attack->names = arena_alloc(attack->arena,
	    SENDER_NAMES_MAX * sizeof(*attack->names));
	attack->names_len = 0;
}

struct attack_look *
attack_open(struct attack *attack, struct attack_report *report)
{
	struct attack_look *look = calloc(1, sizeof(*look));

	invariant(look != NULL);
	look->attack = attack;
	look->report = report;
	look->urls = url_list_new();
	lookalike_any_reader(attack->domains);
	*report = (struct attack_report)ATTACK_REPORT_INIT;
	return look;
}

void
attack_reader(struct attack_look *look, struct str domain)
{
	lookalike_reader(look->attack->domains, domain);
}

void
attack_look_at_message(struct attack_look *look, struct str header)
{
	struct sender_known known = { .domains = look->attack->domains,
		.names = look->attack->names,
		.names_len = look->attack->names_len };

	sender_look(&known, header, look->report);
}

/* ---- parts ---- */

static struct str
or_empty(struct str s)
{
	return s.p != NULL ? s : STR("");
}

void
attack_part_of(struct arena *arena, const struct mail_part *mail_part,
    size_t number, int fd, struct attack_part *part_r)
{
	struct str name = or_empty(mail_param_decode(arena,
	    &mail_part->disposition_params, STR("filename")));
	struct str other = or_empty(mail_param_decode(arena,
	    &mail_part->params, STR("name")));

	*part_r = (struct attack_part){ .fd = fd, .number = number,
		.name = name.len != 0 ? name : other,
		.other_name = name.len != 0 && !str_eq(name, other) ?
		    other : STR(""),
		.type = mail_part->type, .subtype = mail_part->subtype,
		.charset = or_empty(mail_param_get(&mail_part->params,
		    STR("charset"))) };
}

/* Text and pages in UTF-8; everything else, and UTF-16 too, as it stands
 * when no charset is named. */
static bool
is_converted(const struct attack_part *part, struct str octets)
{
	bool is_wide = octets.len >= 2 &&
	    (memcmp(octets.p, "\xff\xfe", 2) == 0 ||
	    memcmp(octets.p, "\xfe\xff", 2) == 0);

	return is_wide || (str_eq(part->type, STR("text")) &&
	    part->charset.len != 0 && memchr(octets.p, '\0',
	    octets.len < 512 ? octets.len : 512) == NULL);
}

static struct str
wide_charset(const struct attack_part *part, struct str octets)
{
	if (octets.len >= 2 && memcmp(octets.p, "\xff\xfe", 2) == 0)
		return STR("UTF-16LE");
	if (octets.len >= 2 && memcmp(octets.p, "\xfe\xff", 2) == 0)
		return STR("UTF-16BE");
	return part->charset;
}

/* Kinds that are text. */
static bool
is_text_kind(enum attack_kind kind)
{
	return kind == KIND_TEXT || kind == KIND_XML || kind == KIND_HTML ||
	    kind == KIND_SCRIPT || kind == KIND_HTA || kind == KIND_SVG ||
	    kind == KIND_URL_FILE || kind == KIND_EMPTY;
}

/* Text that a mail program shows, whatever it says: it is no file that
 * anybody could open. */
static bool
is_shown(const struct attack_part *part, struct str octets)
{
	struct name_look none = { .flags = 0 };

	return part->name.len == 0 && part->other_name.len == 0 &&
	    str_eq(part->type, STR("text")) &&
	    is_text_kind(kind_of(octets, &none));
}

static void
look_at_shown(struct attack_look *look, const struct attack_part *part,
    struct str octets)
{
	struct inspection inspection = { .report = look->report,
		.urls = look->urls, .part = part->number };
	struct name_look none = { .flags = 0 };
	struct inspected page = { .of = &inspection, .octets = octets,
		.name = STR(""), .look = &none };

	if (str_eq(part->subtype, STR("html")))
		inspect_html(&page);
	else
		urls_of_text(look->urls, str_sub(octets, 0,
		    INSPECT_HTML_MAX));
}

static void
inspect_octets(struct attack_look *look, const struct attack_part *part,
    struct str octets)
{
	struct inspection inspection = { .report = look->report,
		.urls = look->urls, .part = part->number,
		.unpacked_left = INSPECT_UNPACKED_MAX,
		.files_left = INSPECT_FILES_MAX };
	enum attack_kind kind;

	if (is_shown(part, octets)) {
		look_at_shown(look, part, octets);
		return;
	}
	if (part->other_name.len != 0)
		inspect_name(&inspection, part->other_name);
	kind = inspect_file(&inspection, octets, part->name,
	    names_claim_of_type(part->type, part->subtype), 0);

	if (kind == KIND_TEXT || kind == KIND_XML || kind == KIND_SCRIPT ||
	    kind == KIND_URL_FILE)
		urls_of_text(look->urls, str_sub(octets, 0, INSPECT_HTML_MAX));
}

void
attack_look_at_octets(struct attack_look *look,
    const struct attack_part *part, struct str octets)
{
	struct buf utf8;

	if (octets.len == 0 || !is_converted(part, octets)) {
		inspect_octets(look, part, octets);
		return;
	}
	buf_init(&utf8, UTF8_MAX);
	if (charset_to_utf8(&utf8, wide_charset(part, octets),
	    str_sub(octets, 0, INSPECT_HTML_MAX)) != 0) {
		buf_reset(&utf8);
		charset_guess(&utf8, str_sub(octets, 0, INSPECT_HTML_MAX));
	}
	inspect_octets(look, part, buf_str(&utf8));
	buf_fini(&utf8);
}

void
attack_look_at_part(struct attack_look *look, const struct attack_part *part)
{
	struct stat st;
	size_t len = 0;
	void *map;

	if (fstat(part->fd, &st) == 0 && st.st_size > 0)
		len = (uint64_t)st.st_size > ATTACK_PART_MAX ?
		    (size_t)ATTACK_PART_MAX : (size_t)st.st_size;
	if (len == 0) {
		attack_look_at_octets(look, part, STR_NONE);
		return;
	}
	map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, part->fd, 0);
	if (map == MAP_FAILED || (uint64_t)st.st_size > len)
		attack_note(look->report, ATTACK_CONTAINER_LIMIT,
		    part->number, part->name);
	if (map == MAP_FAILED)
		return;
	attack_look_at_octets(look, part, str_make(map, len));
	(void)munmap(map, len);
}

/* ---- links ---- */

static const struct {
	unsigned flag;
	enum attack_trait trait;
} url_traits[] = {
	{ URL_IS_DECEPTIVE, ATTACK_URL_DECEPTIVE },
	{ URL_HAS_USERINFO, ATTACK_URL_USERINFO },
	{ URL_IS_ADDRESS, ATTACK_URL_ADDRESS },
	{ URL_IS_ODD_ADDRESS, ATTACK_URL_ODD_ADDRESS },
	{ URL_RUNS, ATTACK_URL_SCHEME },
};

static void
judge_url(struct attack_look *look, const struct url *url)
{
	struct lookalike *domains = look->attack->domains;
	unsigned flags = url->flags;
	struct str known;
	size_t i;

	if (lookalike_is_one_org(domains, url->host, url->shown))
		flags &= ~URL_IS_DECEPTIVE;
	for (i = 0; i < COUNT(url_traits); i++)
		if ((flags & url_traits[i].flag) != 0)
			attack_note(look->report, url_traits[i].trait,
			    ATTACK_NO_PART, url->raw);
	if (url->host.len == 0 || (url->flags & URL_IS_ADDRESS) != 0)
		return;
	if (lookalike_of(domains, url->host, &known) >= LOOKALIKE_LABEL)
		attack_note(look->report, ATTACK_URL_LOOKALIKE,
		    ATTACK_NO_PART, url->host);
	if (lookalike_is_mixed(domains, url->host))
		attack_note(look->report, ATTACK_URL_MIXED_SCRIPT,
		    ATTACK_NO_PART, url->host);
}

void
attack_close(struct attack_look **look)
{
	struct url_list *urls = (*look)->urls;
	size_t i;

	for (i = 0; i < url_list_count(urls); i++)
		judge_url(*look, url_list_get(urls, i));
	if (url_list_is_cut(urls))
		attack_note((*look)->report, ATTACK_URL_MANY, ATTACK_NO_PART,
		    STR(""));
	url_list_free(&(*look)->urls);
	free(*look);
	*look = NULL;
}
