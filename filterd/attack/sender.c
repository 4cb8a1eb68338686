/* SPDX-License-Identifier: ISC */
#include "filterd/attack/sender.h"

#include "filterd/attack/urls.h"
#include "mail/address.h"
#include "mail/charset.h"
#include "mail/header.h"
#include "mail/text.h"

#define NAME_MAX_OCTETS 4096U
#define MAILBOXES_MAX 20U	/* of one field */
#define TAIL_MIN 3U

struct look {
	const struct sender_known *known;
	struct arena *arena;
	struct attack_report *report;
};

static void
note(const struct look *look, enum attack_trait trait, struct str detail)
{
	attack_note(look->report, trait, ATTACK_NO_PART, detail);
}

static enum lookalike_how
how_of(const struct look *look, struct str domain)
{
	struct str known;

	return look->known->domains == NULL ? LOOKALIKE_NOTHING :
	    lookalike_of(look->known->domains, domain, &known);
}

static bool
is_ours(const struct look *look, struct str domain)
{
	return how_of(look, domain) == LOOKALIKE_SAME;
}

static bool
is_readers(const struct look *look, struct str domain)
{
	return look->known->domains != NULL &&
	    lookalike_is_known(look->known->domains, domain);
}

/* ---- domains ---- */

static void
look_at_domain(const struct look *look, struct str domain, bool is_reply)
{
	enum lookalike_how how = how_of(look, domain);

	if (how >= LOOKALIKE_WORD)
		note(look, is_reply ? ATTACK_REPLY_LOOKALIKE :
		    ATTACK_SENDER_LOOKALIKE, domain);
	if (how == LOOKALIKE_OTHER_TLD && !is_reply)
		note(look, ATTACK_SENDER_OTHER_TLD, domain);
	if (look->known->domains != NULL &&
	    lookalike_is_mixed(look->known->domains, domain))
		note(look, ATTACK_SENDER_MIXED_SCRIPT, domain);
}

/* ---- display names ---- */

static bool
is_host_char(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' ||
	    c == '-' || (unsigned char)c >= 0x80;
}

/* The domain after the at sign, where a person sees an address: a full-width
 * at sign was folded to one before. */
static struct str
domain_at(struct str name, size_t at)
{
	size_t end = at + 1;

	while (end < name.len && is_host_char(name.p[end]))
		end++;
	while (end > at + 1 && name.p[end - 1] == '.')
		end--;
	return str_sub(name, at + 1, end - at - 1);
}

static void
look_for_addresses(const struct look *look, struct str folded,
    struct str domain)
{
	size_t at;

	for (at = 0; at < folded.len; at++) {
		struct str shown;

		if (folded.p[at] != '@' || at == 0)
			continue;
		shown = domain_at(folded, at);
		if (shown.len < TAIL_MIN ||
		    str_find(shown, '.') == STR_NPOS ||
		    url_host_is_related(shown, domain))
			continue;
		note(look, is_readers(look, shown) && !is_ours(look, domain) ?
		    ATTACK_NAME_OURS : ATTACK_NAME_ADDRESS, folded);
		return;
	}
}

/* A name of ours as a whole word of it. */
static bool
has_name(const struct look *look, struct str folded)
{
	size_t i, count = look->known->names_len < SENDER_NAMES_MAX ?
	    look->known->names_len : SENDER_NAMES_MAX;
	struct buf name;
	bool found = false;

	buf_init(&name, NAME_MAX_OCTETS);
	for (i = 0; i < count && !found; i++) {
		size_t at, end;

		buf_reset(&name);
		text_fold(&name, str_trim(look->known->names[i]));
		at = name.len < TAIL_MIN ? STR_NPOS :
		    str_find_str(folded, buf_str(&name));
		if (at == STR_NPOS)
			continue;
		end = at + name.len;
		found = (at == 0 || !is_host_char(folded.p[at - 1]) ||
		    (unsigned char)folded.p[at - 1] >= 0x80) &&
		    (end == folded.len || !is_host_char(folded.p[end]) ||
		    (unsigned char)folded.p[end] >= 0x80);
	}
	buf_fini(&name);
	return found;
}

static void
look_at_name(const struct look *look, struct str raw, struct str domain)
{
	struct buf name, folded;

	buf_init(&name, NAME_MAX_OCTETS);
	buf_init(&folded, 4 * NAME_MAX_OCTETS);
	rfc2047_decode(&name, str_sub(raw, 0, NAME_MAX_OCTETS / 2));
	text_fold(&folded, buf_str(&name));
	look_for_addresses(look, buf_str(&folded), domain);
	if (!is_ours(look, domain) && has_name(look, buf_str(&folded)))
		note(look, ATTACK_NAME_BRAND, buf_str(&name));
	buf_fini(&folded);
	buf_fini(&name);
}

/* ---- fields ---- */

static bool
read_field(const struct look *look, struct str header, struct str name,
    struct mailbox_list *list_r)
{
	struct header_field field;

	if (!header_find(header, name, &field))
		return false;
	mailbox_list_parse(look->arena, field.value, list_r);
	if (list_r->count > MAILBOXES_MAX)
		list_r->count = MAILBOXES_MAX;
	return true;
}

static struct str
look_at_from(const struct look *look, struct str header)
{
	struct str first = STR("");
	struct mailbox_list list;
	size_t i;

	if (!read_field(look, header, STR("From"), &list))
		return first;
	for (i = 0; i < list.count; i++) {
		const struct mailbox *box = &list.v[i];

		if (box->kind != MAILBOX_ADDRESS || box->domain.p == NULL)
			continue;
		if (first.len == 0)
			first = box->domain;
		look_at_domain(look, box->domain, false);
		if (box->name.p != NULL)
			look_at_name(look, box->name, box->domain);
	}
	return first;
}

static void
look_at_reply(const struct look *look, struct str header, struct str from)
{
	struct mailbox_list list;
	size_t i;

	if (!read_field(look, header, STR("Reply-To"), &list))
		return;
	for (i = 0; i < list.count; i++) {
		const struct mailbox *box = &list.v[i];

		if (box->kind != MAILBOX_ADDRESS || box->domain.p == NULL)
			continue;
		look_at_domain(look, box->domain, true);
		if (!url_host_is_related(box->domain, from))
			note(look, ATTACK_REPLY_ELSEWHERE, box->domain);
	}
}

void
sender_look(const struct sender_known *known, struct str header,
    struct attack_report *report)
{
	struct look look = { .known = known, .arena = arena_new(0),
		.report = report };
	struct str from = look_at_from(&look, header);

	look_at_reply(&look, header, from);
	arena_free(&look.arena);
}
