/* SPDX-License-Identifier: ISC */
#include "filter/verdict.h"

#include "mail/build.h"
#include "mailauth/authres.h"
#include "proto/smtp_answer.h"

#define VERDICT_VERSION 1
#define SECTION_HEAD 3U
#define ENHANCED_MAX 11U

enum tag { TAG_ACTION = 1, TAG_REASON = 2, TAG_AUTH = 3, TAG_JUDGED = 4,
	TAG_VIRUS = 5, TAG_TRAITS = 6, TAG_PARTS = 7, TAG_DETONATION = 8,
	TAG_HOLDER = 9, TAG_WHEN_CLEAN = 10 };

/* Flags of the traits. */
#define IS_SUSPICIOUS 0x01u
#define HAS_MORE 0x02u

/* What the client hears goes by the action: the class of its codes. */
static const struct {
	const char *name;
	unsigned code_class;	/* 0: there is no code */
} actions[VERDICT_ACTIONS] = {
	[VERDICT_DELIVER] = { "deliver", 0 },
	[VERDICT_JUNK] = { "junk", 0 },
	[VERDICT_QUARANTINE] = { "quarantine", 0 },
	[VERDICT_DISCARD] = { "discard", 0 },
	[VERDICT_TEMPFAIL] = { "tempfail", 4 },
	[VERDICT_REFUSE] = { "refuse", 5 },
	[VERDICT_DETONATE] = { "detonate", 0 },
};

static const struct {
	const char *name;
	const char *property;
} methods[VERDICT_METHODS] = {
	[VERDICT_M_SPF_MAILFROM] = { "spf", "smtp.mailfrom" },
	[VERDICT_M_SPF_HELO] = { "spf", "smtp.helo" },
	[VERDICT_M_DKIM] = { "dkim", "header.d" },
	[VERDICT_M_DMARC] = { "dmarc", "header.from" },
	[VERDICT_M_ARC] = { "arc", "header.d" },
};

const char *
verdict_action_name(enum verdict_action action)
{
	return actions[action].name;
}

const char *
verdict_scan_name(enum scan_result result)
{
	static const char *const names[SCAN_RESULTS] = {
		[SCAN_CLEAN] = "clean", [SCAN_ENCRYPTED] = "encrypted",
		[SCAN_LIMIT] = "unscannable", [SCAN_INFECTED] = "infected",
		[SCAN_CRASHED] = "crashed",
	};

	return names[result];
}

const char *
verdict_detonation_name(enum detonation_result result)
{
	static const char *const names[DETONATION_RESULTS] = {
		[DETONATION_CLEAN] = "clean",
		[DETONATION_MALICIOUS] = "malicious",
		[DETONATION_UNKNOWN] = "unknown",
		[DETONATION_LATE] = "late", [DETONATION_FAILED] = "failed",
	};

	return names[result];
}

const char *
verdict_method_name(enum verdict_method method)
{
	return methods[method].name;
}

/* ---- writing ---- */

static void
put_u16(struct buf *out, size_t value)
{
	buf_add_char(out, (char)(value >> 8));
	buf_add_char(out, (char)value);
}

static size_t
section_begin(struct buf *out, enum tag tag)
{
	size_t at = out->len;

	buf_add_char(out, (char)tag);
	put_u16(out, 0);
	return at;
}

static void
section_end(struct buf *out, size_t at)
{
	size_t len = out->len - at - SECTION_HEAD;

	if (buf_failed(out))
		return;
	out->p[out->start + at + 1] = (char)(len >> 8);
	out->p[out->start + at + 2] = (char)len;
}

/* A text with an octet of length: all are under 256. */
static void
put_text(struct buf *out, struct str text, size_t max)
{
	size_t at = out->len;

	buf_add_char(out, 0);
	smtp_put_one_line(out, text, max);
	if (!buf_failed(out))
		out->p[out->start + at] = (char)(out->len - at - 1);
}

static void
put_action(struct buf *out, const struct verdict *verdict)
{
	size_t at = section_begin(out, TAG_ACTION);

	buf_add_char(out, (char)verdict->action);
	put_u16(out, verdict->code);
	put_text(out, verdict->enhanced, ENHANCED_MAX);
	put_text(out, verdict->text, VERDICT_TEXT_MAX);
	section_end(out, at);
}

static void
put_virus_found(struct buf *out, const struct verdict *verdict)
{
	size_t at = section_begin(out, TAG_VIRUS);

	buf_add_char(out, (char)verdict->virus);
	put_text(out, verdict->virus_name, VERDICT_TEXT_MAX);
	section_end(out, at);
}

static void
put_parts(struct buf *out, const struct verdict *verdict)
{
	size_t at = section_begin(out, TAG_PARTS), i;

	invariant(verdict->parts_len <= VERDICT_PARTS_MAX);
	for (i = 0; i < verdict->parts_len; i++) {
		put_u16(out, verdict->parts[i].number);
		put_text(out, verdict->parts[i].name, VERDICT_PART_NAME_MAX);
	}
	section_end(out, at);
}

static void
put_auth(struct buf *out, const struct verdict_auth *auth)
{
	size_t at = section_begin(out, TAG_AUTH);

	buf_add_char(out, (char)auth->method);
	buf_add_char(out, (char)auth->result);
	put_text(out, auth->identity, VERDICT_IDENTITY_MAX);
	put_text(out, auth->selector, VERDICT_IDENTITY_MAX);
	put_text(out, auth->signature, VERDICT_IDENTITY_MAX);
	put_text(out, auth->reason, VERDICT_TEXT_MAX);
	section_end(out, at);
}

/* By their names, which are stable; as many as fit. */
static void
put_traits(struct buf *out, const struct verdict *verdict, size_t room)
{
	size_t at = section_begin(out, TAG_TRAITS), before, i;
	unsigned flags = verdict->is_suspicious ? IS_SUSPICIOUS : 0;

	if (room > VERDICT_TRAITS_OCTETS_MAX)
		room = VERDICT_TRAITS_OCTETS_MAX;
	buf_add_char(out, 0);
	for (i = 0; i < verdict->traits_len && i < VERDICT_TRAITS_MAX; i++) {
		const struct verdict_trait *trait = &verdict->traits[i];

		before = out->len;
		put_text(out, str_of(attack_trait_name(trait->trait)),
		    VERDICT_TEXT_MAX);
		put_u16(out, trait->part);
		put_text(out, trait->detail, ATTACK_DETAIL_MAX);
		if (out->len - at - SECTION_HEAD <= room)
			continue;
		buf_truncate(out, before);
		break;
	}
	if (verdict->has_more_traits || i < verdict->traits_len)
		flags |= HAS_MORE;
	if (!buf_failed(out))
		out->p[out->start + at + SECTION_HEAD] = (char)flags;
	section_end(out, at);
}

static void
put_detonation(struct buf *out, const struct verdict *verdict)
{
	size_t at = section_begin(out, TAG_DETONATION), i, n;

	n = verdict->engines_len < VERDICT_ENGINES_MAX ?
	    verdict->engines_len : VERDICT_ENGINES_MAX;
	buf_add_char(out, (char)verdict->detonation);
	buf_add_char(out, (char)n);
	for (i = 0; i < n; i++) {
		const struct verdict_engine *engine = &verdict->engines[i];

		buf_add_char(out, (char)engine->result);
		buf_add_char(out, (char)(engine->score < VERDICT_SCORE_MAX ?
		    engine->score : VERDICT_SCORE_MAX));
		put_text(out, engine->engine, VERDICT_ENGINE_NAME_MAX);
		put_text(out, engine->kind, VERDICT_ENGINE_NAME_MAX);
		put_text(out, engine->name, VERDICT_TEXT_MAX);
	}
	section_end(out, at);
}

static void
put_sections(struct buf *out, const struct verdict *verdict)
{
	size_t before, at, i;

	buf_add_char(out, VERDICT_VERSION);
	put_action(out, verdict);
	if (verdict->reason.len != 0) {
		at = section_begin(out, TAG_REASON);
		put_text(out, verdict->reason, VERDICT_TEXT_MAX);
		section_end(out, at);
	}
	if (verdict->is_judged)
		section_end(out, section_begin(out, TAG_JUDGED));
	if (verdict->is_scanned)
		put_virus_found(out, verdict);
	if (verdict->parts_len != 0)
		put_parts(out, verdict);
	if (verdict->holder != VERDICT_H_RECIPIENT) {
		at = section_begin(out, TAG_HOLDER);
		buf_add_char(out, (char)verdict->holder);
		section_end(out, at);
	}
	if (verdict->when_clean == VERDICT_JUNK)
		section_end(out, section_begin(out, TAG_WHEN_CLEAN));
	if (verdict->is_detonated)
		put_detonation(out, verdict);
	/* All before it leaves room for some, and all with it fits. */
	if (verdict->is_suspicious || verdict->traits_len != 0 ||
	    verdict->has_more_traits)
		put_traits(out, verdict, VERDICT_OCTETS_MAX - SECTION_HEAD -
		    out->len);
	for (i = 0; i < verdict->auth_len && i < VERDICT_AUTH_MAX; i++) {
		before = out->len;
		put_auth(out, &verdict->auth[i]);
		if (out->len <= VERDICT_OCTETS_MAX)
			continue;
		buf_truncate(out, before);
		break;
	}
}

void
verdict_encode(const struct verdict *verdict, struct buf *out)
{
	struct buf sections;

	invariant(verdict->action < VERDICT_ACTIONS);
	/* With room for what is tried and does not fit. */
	buf_init(&sections, 2 * VERDICT_OCTETS_MAX);
	put_sections(&sections, verdict);
	invariant(!buf_failed(&sections) &&
	    sections.len <= VERDICT_OCTETS_MAX);
	buf_add_str(out, buf_str(&sections));
	buf_fini(&sections);
}

/* ---- reading ---- */

/* What is left of a section; after a failure everything is empty. */
struct reader {
	struct str rest;
	bool has_failed;
};

static unsigned
get_u8(struct reader *reader)
{
	unsigned value;

	if (reader->rest.len == 0) {
		reader->has_failed = true;
		return 0;
	}
	value = (unsigned char)*reader->rest.p;
	reader->rest = str_sub(reader->rest, 1, reader->rest.len);
	return value;
}

static unsigned
get_u16(struct reader *reader)
{
	unsigned high = get_u8(reader);

	return high << 8 | get_u8(reader);
}

static struct str
get_octets(struct reader *reader, size_t len)
{
	struct str s = str_sub(reader->rest, 0, len);

	if (s.len != len)
		reader->has_failed = true;
	reader->rest = str_sub(reader->rest, s.len, reader->rest.len);
	return s;
}

static struct str
get_text(struct reader *reader, size_t max, struct arena *arena)
{
	struct str s = get_octets(reader, get_u8(reader));

	if (s.len > max || !str_is_text(s))
		reader->has_failed = true;
	return arena_str(arena, reader->has_failed ? STR("") : s);
}

/* RFC 3463 section 2: class "." subject "." detail. */
static bool
is_enhanced(struct str s, unsigned code_class)
{
	unsigned dots = 0, digits = 0;
	size_t i;

	if (s.len < 5 || (unsigned)(s.p[0] - '0') != code_class)
		return false;
	for (i = 1; i < s.len; i++) {
		if (s.p[i] == '.') {
			if (dots++ != 0 && digits == 0)
				return false;
			digits = 0;
		} else if (!ascii_is_digit(s.p[i]) || dots == 0 ||
		    ++digits > 3) {
			return false;
		}
	}
	return dots == 2 && digits != 0;
}

static void
read_action(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	unsigned action = get_u8(reader), code_class;

	verdict->code = get_u16(reader);
	verdict->enhanced = get_text(reader, ENHANCED_MAX, arena);
	verdict->text = get_text(reader, VERDICT_TEXT_MAX, arena);
	if (action >= VERDICT_ACTIONS) {
		reader->has_failed = true;
		return;
	}
	verdict->action = (enum verdict_action)action;
	code_class = actions[action].code_class;
	if (code_class == 0 ? verdict->code != 0 :
	    verdict->code / 100 != code_class || verdict->text.len == 0 ||
	    !is_enhanced(verdict->enhanced, code_class))
		reader->has_failed = true;
}

static void
read_auth(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	unsigned method = get_u8(reader), result = get_u8(reader);
	struct verdict_auth *auth;

	/* Of a newer writer. */
	if (!reader->has_failed && (method >= VERDICT_METHODS ||
	    result >= MAILAUTH_RESULT_COUNT))
		return;
	if (verdict->auth_len == VERDICT_AUTH_MAX) {
		reader->has_failed = true;
		return;
	}
	if (verdict->auth == NULL)
		verdict->auth = arena_alloc(arena, VERDICT_AUTH_MAX *
		    sizeof(*auth));
	auth = &verdict->auth[verdict->auth_len++];
	auth->method = (enum verdict_method)method;
	auth->result = (enum mailauth_result)result;
	auth->identity = get_text(reader, VERDICT_IDENTITY_MAX, arena);
	auth->selector = get_text(reader, VERDICT_IDENTITY_MAX, arena);
	auth->signature = get_text(reader, VERDICT_IDENTITY_MAX, arena);
	auth->reason = get_text(reader, VERDICT_TEXT_MAX, arena);
}

static void
read_reason(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	verdict->reason = get_text(reader, VERDICT_TEXT_MAX, arena);
}

static void
read_judged(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	(void)reader;
	(void)arena;
	verdict->is_judged = true;
}

static void
read_virus(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	unsigned result = get_u8(reader);

	verdict->virus_name = get_text(reader, VERDICT_TEXT_MAX, arena);
	/* Of a newer writer: whatever it is, it is not clean. */
	verdict->virus = result < SCAN_RESULTS ? (enum scan_result)result :
	    SCAN_LIMIT;
	verdict->is_scanned = true;
}

static void
read_trait(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	struct str name = get_text(reader, VERDICT_TEXT_MAX, arena);
	struct verdict_trait one = { .part = (uint16_t)get_u16(reader) };

	one.detail = get_text(reader, ATTACK_DETAIL_MAX, arena);
	/* Of a newer writer. */
	if (reader->has_failed || attack_trait_of(name, &one.trait) != 0)
		return;
	if (verdict->traits_len == VERDICT_TRAITS_MAX) {
		reader->has_failed = true;
		return;
	}
	if (verdict->traits == NULL)
		verdict->traits = arena_alloc(arena, VERDICT_TRAITS_MAX *
		    sizeof(one));
	verdict->traits[verdict->traits_len++] = one;
}

static void
read_traits(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	unsigned flags;

	if (reader->rest.len > VERDICT_TRAITS_OCTETS_MAX)
		reader->has_failed = true;
	flags = get_u8(reader);
	verdict->is_suspicious = (flags & IS_SUSPICIOUS) != 0;
	verdict->has_more_traits = (flags & HAS_MORE) != 0;
	while (!reader->has_failed && reader->rest.len != 0)
		read_trait(reader, arena, verdict);
}

static void
read_when_clean(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	(void)reader;
	(void)arena;
	verdict->when_clean = VERDICT_JUNK;
}

static enum detonation_result
get_detonation(struct reader *reader)
{
	unsigned result = get_u8(reader);

	/* Of a newer writer: whatever it is, it is not clean. */
	return result < DETONATION_RESULTS ?
	    (enum detonation_result)result : DETONATION_FAILED;
}

static void
read_detonation(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	struct verdict_engine *engine;
	size_t n;

	verdict->is_detonated = true;
	verdict->detonation = get_detonation(reader);
	n = get_u8(reader);
	if (n > VERDICT_ENGINES_MAX) {
		reader->has_failed = true;
		return;
	}
	verdict->engines = arena_alloc(arena, (n + 1) * sizeof(*engine));
	verdict->engines_len = n;
	for (engine = verdict->engines; n != 0; n--, engine++) {
		engine->result = get_detonation(reader);
		engine->score = get_u8(reader);
		if (engine->score > VERDICT_SCORE_MAX)
			reader->has_failed = true;
		engine->engine = get_text(reader, VERDICT_ENGINE_NAME_MAX,
		    arena);
		engine->kind = get_text(reader, VERDICT_ENGINE_NAME_MAX,
		    arena);
		engine->name = get_text(reader, VERDICT_TEXT_MAX, arena);
	}
}

static void
read_parts(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	struct verdict_part *part;

	verdict->parts = arena_alloc(arena, VERDICT_PARTS_MAX *
	    sizeof(*part));
	while (reader->rest.len != 0 && !reader->has_failed) {
		if (verdict->parts_len == VERDICT_PARTS_MAX) {
			reader->has_failed = true;
			return;
		}
		part = &verdict->parts[verdict->parts_len++];
		part->number = get_u16(reader);
		part->name = get_text(reader, VERDICT_PART_NAME_MAX, arena);
	}
}

static void
read_holder(struct reader *reader, struct arena *arena,
    struct verdict *verdict)
{
	unsigned holder = get_u8(reader);

	(void)arena;
	/* Of a newer writer: who knows best what that is. */
	verdict->holder = holder < VERDICT_HOLDERS ?
	    (enum verdict_holder)holder : VERDICT_H_ADMIN;
}

static const struct {
	void (*read)(struct reader *reader, struct arena *arena,
	    struct verdict *verdict);
	bool is_once;
} sections[] = {
	[TAG_ACTION] = { read_action, true },
	[TAG_REASON] = { read_reason, true },
	[TAG_AUTH] = { read_auth, false },
	[TAG_JUDGED] = { read_judged, true },
	[TAG_VIRUS] = { read_virus, true },
	[TAG_TRAITS] = { read_traits, true },
	[TAG_DETONATION] = { read_detonation, true },
	[TAG_PARTS] = { read_parts, true },
	[TAG_HOLDER] = { read_holder, true },
	[TAG_WHEN_CLEAN] = { read_when_clean, true },
};

#define SECTIONS_LEN (sizeof(sections) / sizeof(sections[0]))

/* False: not a section, or one too many. */
static bool
read_section(struct reader *whole, struct arena *arena,
    struct verdict *verdict, unsigned *seen)
{
	unsigned tag = get_u8(whole);
	struct reader reader = { .rest = get_octets(whole,
	    get_u16(whole)) };

	if (whole->has_failed)
		return false;
	if (tag >= SECTIONS_LEN || sections[tag].read == NULL)
		return true;
	if (sections[tag].is_once && (*seen & 1U << tag) != 0)
		return false;
	*seen |= 1U << tag;
	sections[tag].read(&reader, arena, verdict);
	return !reader.has_failed;
}

int
verdict_decode(struct str in, struct arena *arena, struct verdict *verdict_r,
    struct err *err)
{
	struct reader whole = { .rest = in };
	unsigned seen = 0;

	memset(verdict_r, 0, sizeof(*verdict_r));
	if (in.len > VERDICT_OCTETS_MAX)
		return err_set(err, ERR_SYNTAX, "a verdict of %zu octets",
		    in.len);
	if (get_u8(&whole) != VERDICT_VERSION)
		return err_set(err, ERR_SYNTAX, "a verdict of another version");
	while (whole.rest.len != 0)
		if (!read_section(&whole, arena, verdict_r, &seen))
			return err_set(err, ERR_SYNTAX,
			    "a malformed verdict at octet %zu",
			    in.len - whole.rest.len);
	if ((seen & 1U << TAG_ACTION) == 0)
		return err_set(err, ERR_SYNTAX, "a verdict without an action");
	return 0;
}

/* ---- traits ---- */

bool
verdict_can_be_opened(const struct verdict *verdict)
{
	size_t i;

	for (i = 0; i < verdict->traits_len; i++)
		if (verdict->traits[i].part != ATTACK_NO_PART ||
		    attack_trait_is_link(verdict->traits[i].trait))
			return true;
	/* What was left out may name one. */
	return verdict->has_more_traits;
}

static bool
is_first(const struct verdict *verdict, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (verdict->traits[i].trait == verdict->traits[at].trait)
			return false;
	return true;
}

struct str
verdict_trait_names(const struct verdict *verdict, struct arena *arena)
{
	struct str names = STR("");
	size_t i;

	for (i = 0; i < verdict->traits_len; i++)
		if (is_first(verdict, i))
			names = arena_printf(arena, "%.*s%s%s",
			    STR_FMT(names), names.len != 0 ? ", " : "",
			    attack_trait_name(verdict->traits[i].trait));
	return names;
}

/* ---- header fields ---- */

static void
add_result(struct authres_list *list, const struct verdict_auth *auth)
{
	struct authres *authres = authres_add(list,
	    methods[auth->method].name, auth->result);

	if (authres == NULL)
		return;
	authres->reason = auth->reason;
	authres_prop(authres, methods[auth->method].property,
	    auth->identity);
	authres_prop(authres, "header.s", auth->selector);
	/* RFC 6008 section 3. */
	authres_prop(authres, "header.b", auth->signature);
}

/* What nobody could look into says so; the name is printable. */
static void
put_virus(const struct verdict *verdict, struct buf *out)
{
	if (!verdict->is_scanned || verdict->virus == SCAN_CLEAN)
		return;
	buf_addf(out, "X-Hikyaku-Scan: %s; ",
	    verdict_scan_name(verdict->virus));
	smtp_put_one_line(out, verdict->virus_name, VERDICT_TEXT_MAX);
	buf_add_cstr(out, verdict->parts_len != 0 ? "; removed\r\n" :
	    "\r\n");
}

static void
put_suspicious(const struct verdict *verdict, struct buf *out)
{
	struct arena *arena;
	struct build build;
	struct str names;

	if (!verdict->is_suspicious)
		return;
	arena = arena_new(0);
	build_begin(&build, out, "X-Hikyaku-Suspicious");
	names = verdict_trait_names(verdict, arena);
	/* Its traits were lost on the way: it stays suspicious. */
	build_words(&build, names.len != 0 ? names : STR("yes"));
	build_end(&build);
	arena_free(&arena);
}

/* In quotes, of which it has none of its own; ASCII. */
static void
put_quoted(struct buf *out, struct str text)
{
	size_t i;

	buf_add_char(out, '"');
	for (i = 0; i < text.len; i++)
		buf_add_char(out, text.p[i] == '"' || text.p[i] == '\\' ||
		    (unsigned char)text.p[i] > 0x7e ? '?' : text.p[i]);
	buf_add_char(out, '"');
}

void
verdict_put_detonation(const struct verdict *verdict, struct buf *out)
{
	struct build build;
	struct buf words;
	size_t i;

	if (!verdict->is_detonated)
		return;
	buf_init(&words, VERDICT_OCTETS_MAX);
	buf_add_cstr(&words, verdict_detonation_name(verdict->detonation));
	for (i = 0; i < verdict->engines_len; i++) {
		const struct verdict_engine *engine = &verdict->engines[i];

		buf_addf(&words, "; engine=%.*s; kind=%.*s; result=%s; "
		    "score=%u.%u", STR_FMT(engine->engine),
		    STR_FMT(engine->kind),
		    verdict_detonation_name(engine->result),
		    engine->score / 10, engine->score % 10);
		if (engine->name.len == 0)
			continue;
		buf_add_cstr(&words, "; name=");
		put_quoted(&words, engine->name);
	}
	build_begin(&build, out, "X-Hikyaku-Detonation");
	build_words(&build, buf_str(&words));
	build_end(&build);
	buf_fini(&words);
}

void
verdict_put_fields(const struct verdict *verdict, struct str authserv_id,
    struct buf *out)
{
	struct authres_list list = { .authserv_id = authserv_id };
	size_t i;

	put_virus(verdict, out);
	put_suspicious(verdict, out);
	if (!verdict->is_judged)
		return;
	for (i = 0; i < verdict->auth_len; i++)
		add_result(&list, &verdict->auth[i]);
	authres_put_field(out, &list);
}
