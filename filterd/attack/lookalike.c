/* SPDX-License-Identifier: ISC */
#include "filterd/attack/lookalike.h"

#include <unicode/uidna.h>
#include <unicode/uspoof.h>

#include "base/arena.h"
#include "base/table.h"
#include "mail/address.h"
#include "mailauth/psl.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TEXT_MAX 1024U
#define TYPO_MIN 5U	/* shorter names are near to too many others */
#define WORD_MIN 4U
#define GLYPH_MIN 3U
#define SAME_KEY_MAX 64U
#define LABELS_MAX 5U	/* of a known domain, shown in another */

struct known {
	struct str domain;
	struct str base;	/* first label of what was registered */
	uint64_t owner;
};

/* Known domains under one key. */
struct link {
	const struct known *known;
	struct link *next;
	size_t count;
};

struct lookalike {
	struct arena *arena;
	struct arena *scratch;
	struct psl *psl;
	UIDNA *idna;
	USpoofChecker *spoof;
	USpoofChecker *mixed;
	struct table *table;	/* a letter for the kind of key, the key */
	size_t count;
	bool has_readers;	/* else every owner counts */
	uint64_t owners[LOOKALIKE_OWNERS_MAX];
	size_t owners_len;
};

/* What is put before or behind a known name. */
static const char *const words[] = {
	"account", "accounts", "admin", "app", "auth", "bank", "billing",
	"biz", "center", "cloud", "co", "corp", "customer", "desk", "docs",
	"global", "group", "help", "helpdesk", "hr", "inc", "info",
	"international", "invoice", "japan", "jp", "login", "ltd", "mail",
	"mailer", "my", "net", "notice", "office", "online", "pay",
	"payment", "portal", "secure", "security", "service", "services",
	"share", "shop", "signin", "sso", "support", "system", "team",
	"tokyo", "update", "verify", "web", "webmail", "www",
};

struct lookalike *
lookalike_new(const char *suffix_file, struct err *err)
{
	struct lookalike *lookalike = calloc(1, sizeof(*lookalike));
	UErrorCode status = U_ZERO_ERROR;

	invariant(lookalike != NULL);
	lookalike->arena = arena_new(0);
	lookalike->scratch = arena_new(0);
	lookalike->table = table_new();
	lookalike->idna = uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_UNICODE,
	    &status);
	lookalike->spoof = uspoof_open(&status);
	lookalike->mixed = uspoof_open(&status);
	if (U_SUCCESS(status)) {
		uspoof_setRestrictionLevel(lookalike->mixed,
		    USPOOF_HIGHLY_RESTRICTIVE);
		uspoof_setChecks(lookalike->mixed, USPOOF_RESTRICTION_LEVEL,
		    &status);
	}
	if (U_FAILURE(status)) {
		(void)err_set(err, ERR_TEMP, "ICU: %s", u_errorName(status));
		lookalike_free(&lookalike);
	} else if (psl_open(suffix_file, &lookalike->psl, err) != 0) {
		lookalike_free(&lookalike);
	}
	return lookalike;
}

static void
free_table(struct lookalike *l)
{
	struct link *link, *next;
	size_t cursor = 0;
	struct str key;

	while ((link = table_next(l->table, &cursor, &key)) != NULL)
		for (; link != NULL; link = next) {
			next = link->next;
			free(link);
		}
	table_free(&l->table);
}

void
lookalike_forget(struct lookalike *lookalike)
{
	free_table(lookalike);
	lookalike->table = table_new();
	lookalike->count = 0;
	arena_reset(lookalike->arena);
}

void
lookalike_free(struct lookalike **lookalike)
{
	struct lookalike *l = *lookalike;

	if (l == NULL)
		return;
	free_table(l);
	arena_free(&l->arena);
	arena_free(&l->scratch);
	if (l->psl != NULL)
		psl_close(&l->psl);
	if (l->idna != NULL)
		uidna_close(l->idna);
	if (l->spoof != NULL)
		uspoof_close(l->spoof);
	if (l->mixed != NULL)
		uspoof_close(l->mixed);
	free(l);
	*lookalike = NULL;
}

/* ---- forms of a name ---- */

static struct str
to_unicode(struct lookalike *l, struct arena *arena, struct str domain)
{
	UIDNAInfo info = UIDNA_INFO_INITIALIZER;
	UErrorCode status = U_ZERO_ERROR;
	char out[TEXT_MAX];
	int32_t len = uidna_nameToUnicodeUTF8(l->idna, domain.p,
	    (int32_t)domain.len, out, (int32_t)sizeof(out), &info, &status);

	if (U_FAILURE(status) || len <= 0 || len > (int32_t)sizeof(out))
		return domain;
	return arena_str(arena, str_make(out, (size_t)len));
}

/* Two letters that look like one; combining marks. */
static size_t
fold_skeleton(char *text, size_t len)
{
	size_t i, out = 0;

	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		unsigned char d = i + 1 < len ? (unsigned char)text[i + 1] : 0;

		if (c == 0xcc || (c == 0xcd && d < 0xb0)) {
			i++;
			continue;
		}
		if (ascii_lower((char)c) == 'v' &&
		    ascii_lower((char)d) == 'v') {
			text[out++] = 'w';
			i++;
			continue;
		}
		text[out++] = ascii_lower((char)c);
	}
	return out;
}

static struct str
skeleton(struct lookalike *l, struct arena *arena, struct str unicode)
{
	UErrorCode status = U_ZERO_ERROR;
	char out[4 * TEXT_MAX];
	int32_t len = uspoof_getSkeletonUTF8(l->spoof, 0, unicode.p,
	    (int32_t)unicode.len, out, (int32_t)sizeof(out), &status);

	if (U_FAILURE(status) || len <= 0 || len > (int32_t)sizeof(out))
		return unicode;
	return arena_str(arena, str_make(out, fold_skeleton(out,
	    (size_t)len)));
}

static struct str
first_label(struct str domain)
{
	struct str rest;

	return str_cut(domain, '.', &rest);
}

static struct str
key_of(struct arena *arena, char kind, struct str text)
{
	return arena_printf(arena, "%c%.*s", kind, STR_FMT(text));
}

/* text without the octet at i. */
static struct str
without(struct arena *arena, char kind, struct str text, size_t i)
{
	return arena_printf(arena, "%c%.*s%.*s", kind,
	    STR_FMT(str_sub(text, 0, i)),
	    STR_FMT(str_sub(text, i + 1, text.len)));
}

/* ---- what is known ---- */

static void
put(struct lookalike *l, struct str key, const struct known *known)
{
	struct link *head = table_get(l->table, key), *link;

	if (head != NULL && (head->count >= SAME_KEY_MAX ||
	    head->known == known))
		return;
	link = calloc(1, sizeof(*link));
	invariant(link != NULL);
	link->known = known;
	link->next = head;
	link->count = head == NULL ? 1 : head->count + 1;
	(void)table_put(l->table, key, link);
}

static bool
is_plain(struct str base)
{
	return !str_has_8bit(base) && !str_begins(base, STR("xn--"));
}

static void
put_all(struct lookalike *l, const struct known *known)
{
	struct arena *s = l->scratch;
	struct str base = known->base;
	size_t i;

	put(l, key_of(s, '=', known->domain), known);
	put(l, key_of(s, 'b', base), known);
	if (base.len >= GLYPH_MIN)
		put(l, key_of(s, 's', skeleton(l, s, to_unicode(l, s, base))),
		    known);
	if (base.len < TYPO_MIN || !is_plain(base))
		return;
	put(l, key_of(s, 'd', base), known);
	for (i = 0; i < base.len; i++)
		put(l, without(s, 'd', base, i), known);
}

/* A-labels, no dot at the end. */
static bool
canonical(struct arena *arena, struct str domain, struct str *domain_r)
{
	if (domain.len != 0 && domain.p[domain.len - 1] == '.')
		domain.len--;
	return domain.len != 0 && str_find(domain, '.') != STR_NPOS &&
	    address_domain(arena, domain, ADDRESS_UTF8, domain_r, NULL) == 0;
}

bool
lookalike_add(struct lookalike *lookalike, struct str domain, uint64_t owner)
{
	struct known *known;
	bool is_domain = lookalike->count < LOOKALIKE_DOMAINS_MAX &&
	    canonical(lookalike->scratch, domain, &domain);

	if (is_domain) {
		known = arena_new_of(lookalike->arena, struct known);
		known->owner = owner;
		known->domain = arena_str(lookalike->arena, domain);
		known->base = arena_str(lookalike->arena, first_label(psl_org(
		    lookalike->psl, lookalike->scratch, domain)));
		put_all(lookalike, known);
		lookalike->count++;
	}
	arena_reset(lookalike->scratch);
	return is_domain;
}

/* ---- readers ---- */

void
lookalike_any_reader(struct lookalike *lookalike)
{
	lookalike->has_readers = false;
	lookalike->owners_len = 0;
}

static bool
counts(const struct lookalike *l, const struct known *known)
{
	size_t i;

	if (!l->has_readers || known->owner == LOOKALIKE_EVERYBODY)
		return true;
	for (i = 0; i < l->owners_len; i++)
		if (l->owners[i] == known->owner)
			return true;
	return false;
}

void
lookalike_reader(struct lookalike *lookalike, struct str domain)
{
	const struct link *link;

	lookalike->has_readers = true;
	if (!canonical(lookalike->scratch, domain, &domain))
		return;
	link = table_get(lookalike->table, key_of(lookalike->scratch, '=',
	    domain));
	if (link != NULL && !counts(lookalike, link->known) &&
	    lookalike->owners_len < LOOKALIKE_OWNERS_MAX)
		lookalike->owners[lookalike->owners_len++] =
		    link->known->owner;
	arena_reset(lookalike->scratch);
}

/* ---- comparing ---- */

struct candidate {
	struct lookalike *l;
	struct str domain;
	struct str org;
	struct str base;
	const struct known *known;	/* found */
};

static bool
find(struct candidate *c, char kind, struct str text)
{
	const struct link *link = table_get(c->l->table,
	    key_of(c->l->scratch, kind, text));

	/* Whosever domain it is, it is no other's. */
	while (link != NULL && kind != '=' && !counts(c->l, link->known))
		link = link->next;
	if (link != NULL)
		c->known = link->known;
	return link != NULL;
}

/* It or a domain above it is known. */
static bool
is_same(struct candidate *c)
{
	struct str domain = c->domain, rest;

	while (domain.len != 0) {
		if (find(c, '=', domain))
			return true;
		(void)str_cut(domain, '.', &rest);
		domain = rest;
	}
	return false;
}

static bool
is_glyph(struct candidate *c)
{
	struct arena *s = c->l->scratch;

	return c->base.len >= GLYPH_MIN && find(c, 's',
	    skeleton(c->l, s, to_unicode(c->l, s, c->base))) &&
	    !str_eq(c->known->base, c->base);
}

/* One letter more, less, other, or two neighbours changed. */
static bool
is_one_edit(struct str a, struct str b)
{
	size_t i = 0, j = 0;

	while (i < a.len && i < b.len && a.p[i] == b.p[i])
		i++;
	while (j < a.len - i && j < b.len - i &&
	    a.p[a.len - 1 - j] == b.p[b.len - 1 - j])
		j++;
	if (a.len == b.len && a.len - i - j == 2)
		return a.p[i] == b.p[i + 1] && a.p[i + 1] == b.p[i];
	return a.len - i - j <= 1 && b.len - i - j <= 1 &&
	    !str_eq(a, b);
}

static bool
find_edit(struct candidate *c, struct str key)
{
	const struct link *link = table_get(c->l->table, key);

	for (; link != NULL; link = link->next) {
		if (!counts(c->l, link->known) ||
		    !is_one_edit(c->base, link->known->base))
			continue;
		c->known = link->known;
		return true;
	}
	return false;
}

static bool
is_typo(struct candidate *c)
{
	struct arena *s = c->l->scratch;
	size_t i;

	if (c->base.len + 1 < TYPO_MIN || !is_plain(c->base))
		return false;
	if (find_edit(c, key_of(s, 'd', c->base)))
		return true;
	for (i = 0; i < c->base.len; i++)
		if (find_edit(c, without(s, 'd', c->base, i)))
			return true;
	return false;
}

/* A known domain, whole, to the left of what was registered. */
static bool
is_label(struct candidate *c)
{
	struct str left = str_sub(c->domain, 0,
	    c->domain.len - c->org.len), rest;

	while (left.len != 0) {
		size_t end, labels = 0;

		for (end = 1; end <= left.len && labels < LABELS_MAX; end++) {
			if (end < left.len && left.p[end] != '.')
				continue;
			labels++;
			if (labels > 1 && find(c, '=', str_sub(left, 0,
			    end)) && counts(c->l, c->known))
				return true;
		}
		(void)str_cut(left, '.', &rest);
		left = rest;
	}
	return false;
}

static bool
is_known_word(struct candidate *c, struct str word)
{
	return word.len >= WORD_MIN && find(c, 'b', word);
}

/* What stands between two hyphens, or a hyphen and an end; a known name may
 * have hyphens itself. */
static bool
has_hyphened(struct candidate *c)
{
	struct str base = c->base;
	size_t from, to;

	for (from = 0; from < base.len; from++) {
		if (from != 0 && base.p[from - 1] != '-')
			continue;
		for (to = from + 1; to <= base.len; to++)
			if ((to == base.len || base.p[to] == '-') &&
			    to - from < base.len && is_known_word(c,
			    str_sub(base, from, to - from)))
				return true;
	}
	return false;
}

static bool
has_word(struct candidate *c)
{
	struct str base = c->base;
	size_t i;

	if (str_find(base, '-') != STR_NPOS && is_plain(base) &&
	    has_hyphened(c))
		return true;
	for (i = 0; i < COUNT(words); i++) {
		struct str word = str_of(words[i]);

		if (base.len <= word.len)
			continue;
		if ((str_begins(base, word) && is_known_word(c,
		    str_sub(base, word.len, base.len))) ||
		    (str_ends_nocase(base, word) && is_known_word(c,
		    str_sub(base, 0, base.len - word.len))))
			return true;
	}
	return false;
}

static bool
is_other_tld(struct candidate *c)
{
	return is_known_word(c, c->base);
}

enum lookalike_how
lookalike_of(struct lookalike *lookalike, struct str domain,
    struct str *known_r)
{
	static const struct {
		bool (*is)(struct candidate *);
		enum lookalike_how how;
	} checks[] = {
		{ is_same, LOOKALIKE_SAME }, { is_glyph, LOOKALIKE_GLYPH },
		{ is_typo, LOOKALIKE_TYPO }, { is_label, LOOKALIKE_LABEL },
		{ is_other_tld, LOOKALIKE_OTHER_TLD },
		{ has_word, LOOKALIKE_WORD },
	};
	struct candidate c = { .l = lookalike };
	enum lookalike_how how = LOOKALIKE_NOTHING;
	size_t i;

	*known_r = STR("");
	if (canonical(lookalike->scratch, domain, &c.domain)) {
		c.org = psl_org(lookalike->psl, lookalike->scratch, c.domain);
		c.base = first_label(c.org);
		for (i = 0; i < COUNT(checks) && how == LOOKALIKE_NOTHING; i++)
			if (checks[i].is(&c))
				how = checks[i].how;
		if (how != LOOKALIKE_NOTHING)
			*known_r = c.known->domain;
	}
	arena_reset(lookalike->scratch);
	return how;
}

bool
lookalike_is_known(struct lookalike *lookalike, struct str domain)
{
	struct candidate c = { .l = lookalike };
	bool is_known = canonical(lookalike->scratch, domain, &c.domain) &&
	    is_same(&c) && counts(lookalike, c.known);

	arena_reset(lookalike->scratch);
	return is_known;
}

bool
lookalike_is_one_org(struct lookalike *lookalike, struct str a,
    struct str b)
{
	struct arena *s = lookalike->scratch;
	bool is_one = canonical(s, a, &a) && canonical(s, b, &b) &&
	    str_eq(psl_org(lookalike->psl, s, a),
	    psl_org(lookalike->psl, s, b));

	arena_reset(s);
	return is_one;
}

bool
lookalike_is_mixed(struct lookalike *lookalike, struct str domain)
{
	struct str rest, label;
	bool is_mixed = false;

	domain = str_sub(domain, 0, ADDRESS_DOMAIN_MAX);
	rest = to_unicode(lookalike, lookalike->scratch, domain);
	while (rest.p != NULL && !is_mixed) {
		UErrorCode status = U_ZERO_ERROR;

		label = str_cut(rest, '.', &rest);
		if (str_has_8bit(label))
			is_mixed = uspoof_checkUTF8(lookalike->mixed, label.p,
			    (int32_t)label.len, NULL, &status) != 0 &&
			    U_SUCCESS(status);
	}
	arena_reset(lookalike->scratch);
	return is_mixed;
}
