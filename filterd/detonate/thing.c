/* SPDX-License-Identifier: ISC */
#include "filterd/detonate/thing.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "filterd/attack/attack.h"
#include "mail/text.h"

#define SLICE (48U << 10)
/* A detail that is this short of its bound may be a link's beginning only: a
 * character did not fit. */
#define DETAIL_CUT 4U
#define REPLACED "\xef\xbf\xbd"	/* for what a detail cannot hold */
#define TEXT_MAX (4U << 20)	/* of a part that is searched for links */

/* ---- life ---- */

static struct thing *
thing_new(void)
{
	struct thing *thing = calloc(1, sizeof(*thing));

	invariant(thing != NULL);
	thing->refs = 1;
	thing->blob_fd = -1;
	return thing;
}

struct thing *
thing_ref(struct thing *thing)
{
	thing->refs++;
	return thing;
}

void
thing_unref(struct thing **thing)
{
	struct thing *t = *thing;

	*thing = NULL;
	if (t == NULL || --t->refs != 0)
		return;
	if (t->blob_fd != -1)
		(void)close(t->blob_fd);
	free(t);
}

void
things_fini(struct things *things)
{
	while (things->len != 0)
		thing_unref(&things->all[--things->len]);
}

/* ---- names ---- */

static bool
is_plain(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' ||
	    c == '_' || c == '.';
}

/* The end says which program opens it: it is what stays of a long name. */
void
thing_clean_name(struct str name, char out[THING_NAME_MAX + 1])
{
	size_t i, len = 0;

	for (i = name.len; i != 0; i--)
		if (name.p[i - 1] == '/' || name.p[i - 1] == '\\')
			break;
	name = str_sub(name, i, name.len);
	if (name.len > THING_NAME_MAX)
		name = str_sub(name, name.len - THING_NAME_MAX, name.len);
	for (i = 0; i < name.len; i++)
		if (is_plain(name.p[i]) && (len != 0 || name.p[i] != '.'))
			out[len++] = name.p[i];
		else if (len == 0 || out[len - 1] != '_')
			out[len++] = '_';
	out[len] = '\0';
	if (len == 0)
		(void)snprintf(out, THING_NAME_MAX + 1, "attachment");
}

bool
thing_clean_link(struct str link, char out[THING_LINK_MAX + 1])
{
	struct str s = str_trim(link);
	size_t i, len = 0;

	if (!str_begins_nocase(s, STR("http://")) &&
	    !str_begins_nocase(s, STR("https://")))
		return false;
	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		/* Browsers pass over these. */
		if (c <= ' ' || c == 0x7f)
			continue;
		if (len + 3 > THING_LINK_MAX)
			return false;
		if (c < 0x80)
			out[len++] = (char)c;
		else
			len += (size_t)snprintf(out + len, 4, "%%%02X", c);
	}
	out[len] = '\0';
	return len > sizeof("https://");
}

void
thing_kind(const struct thing *thing, char out[THING_NAME_MAX + 1])
{
	const char *dot = thing->is_link ? NULL : strrchr(thing->name, '.');
	size_t i, len = dot != NULL ? strlen(dot + 1) : 0;

	for (i = 0; i < len; i++)
		out[i] = (char)ascii_lower(dot[1 + i]);
	out[len] = '\0';
}

void
thing_hash_text(const struct thing *thing, char out[65])
{
	size_t i;

	for (i = 0; i < sizeof(thing->sha256); i++)
		(void)snprintf(out + 2 * i, 3, "%02x", thing->sha256[i]);
}

/* ---- octets ---- */

typedef int take_octets(void *ctx, struct str octets);

/* The part decoded, slice by slice. */
static int
decode(const struct thing *thing, take_octets *take, void *ctx,
    struct err *err)
{
	struct mail_view view = mail_view_of_fd(STR_NONE, thing->blob_fd,
	    thing->blob_size);
	struct transfer *transfer = transfer_new(str_of(thing->encoding));
	uint64_t at = 0, total = 0;
	char slice[SLICE];
	struct buf out;
	size_t len;
	int rc = 0;

	buf_init(&out, 4 * SLICE);
	while (rc == 0 && at < thing->len) {
		rc = mail_view_read_blob(&view, thing->at + at, slice,
		    thing->len - at < SLICE ? (size_t)(thing->len - at) :
		    SLICE, &len, err);
		if (rc != 0 || len == 0)
			break;
		at += len;
		transfer_feed(transfer, str_make(slice, len),
		    at == thing->len, &out);
		total += out.len;
		if (buf_failed(&out) || total > THING_OCTETS_MAX)
			rc = err_set(err, ERR_LIMIT, "the part is too large");
		else
			rc = take(ctx, buf_str(&out));
		buf_reset(&out);
	}
	if (rc == 0 && at < thing->len)
		rc = err_set(err, ERR_CORRUPT, "the message is too short");
	buf_fini(&out);
	transfer_free(&transfer);
	return rc;
}

struct hashing {
	EVP_MD_CTX *md;
	uint64_t size;
};

static int
hash_octets(void *ctx, struct str octets)
{
	struct hashing *hashing = ctx;

	hashing->size += octets.len;
	return EVP_DigestUpdate(hashing->md, octets.p, octets.len) == 1 ? 0 :
	    ERR_TEMP;
}

static int
hash_part(struct thing *thing, struct err *err)
{
	struct hashing hashing = { .md = EVP_MD_CTX_new() };
	int rc;

	invariant(hashing.md != NULL &&
	    EVP_DigestInit_ex(hashing.md, EVP_sha256(), NULL) == 1);
	rc = decode(thing, hash_octets, &hashing, err);
	invariant(EVP_DigestFinal_ex(hashing.md, thing->sha256, NULL) == 1);
	EVP_MD_CTX_free(hashing.md);
	thing->size = hashing.size;
	return rc;
}

static int
write_octets(void *ctx, struct str octets)
{
	const int *fd = ctx;

	return file_write(*fd, octets, NULL);
}

int
thing_open(const struct thing *thing, int *fd_r, struct err *err)
{
	int fd = memfd_create("thing", MFD_CLOEXEC), rc;

	if (fd == -1)
		return err_set_errno(err, ERR_TEMP, "memfd");
	rc = decode(thing, write_octets, &fd, err);
	if (rc == 0 && lseek(fd, 0, SEEK_SET) == -1)
		rc = err_set_errno(err, ERR_TEMP, "lseek");
	if (rc != 0)
		(void)close(fd);
	else
		*fd_r = fd;
	return rc;
}

/* ---- parts ---- */

struct looking {
	int fd;
	uint64_t size;
	const struct verdict *verdict;
	const struct mail_summary *summary;
	struct arena *arena;
	struct things *things;
	bool *is_seen;		/* of each part */
};

/* The same octets under another kind of name are opened by another program. */
static bool
is_same(const struct thing *a, const struct thing *b)
{
	char a_kind[THING_NAME_MAX + 1], b_kind[THING_NAME_MAX + 1];

	if (a->is_link != b->is_link ||
	    memcmp(a->sha256, b->sha256, sizeof(a->sha256)) != 0)
		return false;
	thing_kind(a, a_kind);
	thing_kind(b, b_kind);
	return strcmp(a_kind, b_kind) == 0;
}

static bool
is_known(const struct things *things, const struct thing *thing)
{
	size_t i;

	for (i = 0; i < things->len; i++)
		if (is_same(things->all[i], thing))
			return true;
	return false;
}

/* Takes the thing over. */
static void
add(struct things *things, struct thing *thing)
{
	bool is_new = !is_known(things, thing);

	if (is_new && things->len < THINGS_MAX) {
		things->all[things->len++] = thing;
		return;
	}
	things->is_cut |= is_new;
	thing_unref(&thing);
}

static bool
is_leaf(const struct mail_part *part)
{
	return (part->kind == MAIL_LEAF ||
	    (part->flags & MAIL_PART_OPAQUE) != 0) && part->body_len != 0;
}

static void
place(struct looking *looking, const struct mail_part *part,
    struct thing *thing)
{
	struct str encoding = part->encoding;

	thing->blob_fd = fcntl(looking->fd, F_DUPFD_CLOEXEC, 0);
	thing->blob_size = looking->size;
	thing->at = part->body_at;
	thing->len = part->body_len;
	/* An encoding nobody knows: the octets as they stand. */
	if (encoding.p != NULL && transfer_is_known(encoding))
		(void)snprintf(thing->encoding, sizeof(thing->encoding),
		    "%.*s", STR_FMT(encoding));
}

static void
add_part(struct looking *looking, size_t number)
{
	const struct mail_part *part = &looking->summary->parts[number];
	struct attack_part said;
	struct thing *thing;
	int rc;

	if (looking->is_seen[number])
		return;
	looking->is_seen[number] = true;
	/* One more than fits is looked at, to know. */
	if (!is_leaf(part) || (looking->things->is_cut &&
	    looking->things->len == THINGS_MAX))
		return;
	thing = thing_new();
	place(looking, part, thing);
	attack_part_of(looking->arena, part, number, -1, &said);
	thing_clean_name(said.name.len != 0 ? said.name :
	    arena_printf(looking->arena, "part%zu.%.*s", number,
	    STR_FMT(part->subtype)), thing->name);
	rc = thing->blob_fd != -1 ? hash_part(thing, NULL) : ERR_TEMP;
	if (rc == 0 && thing->size != 0) {
		add(looking->things, thing);
		return;
	}
	looking->things->is_cut |= rc != 0;
	thing_unref(&thing);
}

/* Text that every program shows; other kinds it offers to open. */
static bool
is_shown(const struct mail_part *part)
{
	static const char *const shown[] = { "plain", "html", "enriched",
		"calendar" };
	size_t i;

	for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (str_eq(part->type, STR("text")) &&
		    str_eq(part->subtype, str_of(shown[i])))
			return true;
	return false;
}

static bool
is_attachment(struct looking *looking, size_t number)
{
	const struct mail_part *part = &looking->summary->parts[number];
	struct attack_part said;

	if (!is_shown(part))
		return true;
	attack_part_of(looking->arena, part, number, -1, &said);
	return said.name.len != 0 || (part->disposition.p != NULL &&
	    str_eq(part->disposition, STR("attachment")));
}

static void
add_named(struct looking *looking)
{
	const struct verdict *verdict = looking->verdict;
	size_t i;

	for (i = 0; i < verdict->traits_len; i++)
		if (verdict->traits[i].part < looking->summary->part_count)
			add_part(looking, verdict->traits[i].part);
}

/* Nothing odd was seen in them, but in this message. */
static void
add_others(struct looking *looking)
{
	size_t i;

	for (i = 0; i < looking->summary->part_count; i++)
		if (is_attachment(looking, i))
			add_part(looking, i);
}

/* ---- links ---- */

static void
add_link(struct looking *looking, struct str link)
{
	struct thing *thing = thing_new();

	thing->is_link = true;
	if (thing_clean_link(link, thing->link) &&
	    EVP_Digest(thing->link, strlen(thing->link), thing->sha256, NULL,
	    EVP_sha256(), NULL) == 1) {
		add(looking->things, thing);
		return;
	}
	looking->things->is_cut = true;
	thing_unref(&thing);
}

static int
keep_octets(void *ctx, struct str octets)
{
	struct buf *text = ctx;

	buf_add_str(text, octets);
	return buf_failed(text) ? ERR_LIMIT : 0;
}

/* The links of one part of text, as those who read it see them; what is over
 * TEXT_MAX has shown its traits' beginnings all the same. */
static void
read_links(struct looking *looking, const struct mail_part *part,
    struct url_list *urls)
{
	struct thing *thing = thing_new();
	struct buf text;

	buf_init(&text, TEXT_MAX);
	place(looking, part, thing);
	if (thing->blob_fd != -1)
		(void)decode(thing, keep_octets, &text, NULL);
	if (str_eq(part->subtype, STR("html")))
		urls_of_html(urls, buf_str(&text));
	else
		urls_of_text(urls, buf_str(&text));
	buf_fini(&text);
	thing_unref(&thing);
}

static struct url_list *
all_links(struct looking *looking)
{
	const struct mail_summary *summary = looking->summary;
	struct url_list *urls = url_list_new();
	size_t i;

	for (i = 0; i < summary->part_count; i++)
		if (is_leaf(&summary->parts[i]) &&
		    str_eq(summary->parts[i].type, STR("text")))
			read_links(looking, &summary->parts[i], urls);
	return urls;
}

/* As the trait has it: cleaned, and cut when it is long. */
static bool
is_said(const struct url *url, struct str detail)
{
	char cleaned[ATTACK_DETAIL_MAX + 1];

	attack_clean_detail(url->raw, cleaned);
	return str_eq(str_of(cleaned), detail);
}

/* A trait shows its beginning or its host only. */
static bool
is_meant(const struct url *url, struct str detail)
{
	return str_begins(url->raw, detail) || str_eq(url->host, detail);
}

/* All of them: a trait does not say which. True: there is one. */
static bool
add_urls(struct looking *looking, const struct url_list *urls,
    struct str detail, bool (*fits)(const struct url *, struct str))
{
	const struct url *url;
	bool is_any = false;
	size_t i;

	for (i = 0; i < url_list_count(urls); i++) {
		url = url_list_get(urls, i);
		if (!fits(url, detail))
			continue;
		is_any = true;
		add_link(looking, url->raw);
		looking->things->is_cut |=
		    url->raw.len + DETAIL_CUT > URL_KEPT_MAX;
	}
	return is_any;
}

static bool
is_host(struct str s)
{
	size_t i;

	for (i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) &&
		    s.p[i] != '-' && s.p[i] != '.')
			return false;
	return s.len != 0;
}

static void
add_trait_link(struct looking *looking, const struct url_list *urls,
    struct str detail)
{
	if (add_urls(looking, urls, detail, is_said) ||
	    add_urls(looking, urls, detail, is_meant))
		return;
	if (is_host(detail)) {
		/* Of one in a file: where on that host it leads is unknown. */
		looking->things->is_cut = true;
		add_link(looking, arena_printf(looking->arena, "http://%.*s/",
		    STR_FMT(detail)));
	} else if (detail.len + DETAIL_CUT <= ATTACK_DETAIL_MAX &&
	    str_find_str(detail, STR(REPLACED)) == STR_NPOS) {
		add_link(looking, detail);
	} else {
		looking->things->is_cut = true;
	}
}

static void
add_links(struct looking *looking)
{
	const struct verdict *verdict = looking->verdict;
	struct url_list *urls = NULL;
	size_t i;

	for (i = 0; i < verdict->traits_len; i++) {
		if (!attack_trait_is_link(verdict->traits[i].trait))
			continue;
		/* Too many for anybody to look at. */
		if (verdict->traits[i].detail.len == 0) {
			looking->things->is_cut = true;
			continue;
		}
		if (urls == NULL)
			urls = all_links(looking);
		looking->things->is_cut |= url_list_is_cut(urls);
		add_trait_link(looking, urls, verdict->traits[i].detail);
	}
	url_list_free(&urls);
}

void
things_of_message(int blob_fd, uint64_t blob_size,
    const struct verdict *verdict, struct things *things_r)
{
	struct mail_view view = mail_view_of_fd(STR_NONE, blob_fd, blob_size);
	struct looking looking = { .fd = blob_fd, .size = blob_size,
		.verdict = verdict, .things = things_r };
	struct scan *scan = scan_new();
	bool is_done = false;

	*things_r = (struct things){ .is_cut = verdict->has_more_traits };
	if (mail_view_scan(&view, scan, SIZE_MAX, &is_done, NULL) == 0 &&
	    is_done) {
		looking.arena = arena_new(0);
		looking.summary = scan_end(scan);
		looking.is_seen = arena_alloc(looking.arena,
		    looking.summary->part_count * sizeof(bool));
		add_named(&looking);
		add_links(&looking);
		add_others(&looking);
		arena_free(&looking.arena);
	} else {
		things_r->is_cut = true;
	}
	scan_free(&scan);
}
