/* SPDX-License-Identifier: ISC */
#include "filter/traits.h"

#include <unicode/utf8.h>

static const struct {
	const char *name;
	unsigned weight;
	bool is_decisive;
	const char *en;
	const char *ja;
} traits[] = {
#define TRAIT(id, name, weight, is_decisive, en, ja) \
	[ATTACK_##id] = { name, weight, is_decisive, en, ja },
#include "filter/traits.def"
#undef TRAIT
};

_Static_assert((int)ATTACK_TRAIT_COUNT <= 64, "a bit each");

/* One line of well-formed UTF-8 without what changes how text is shown. */
static bool
is_shown(UChar32 c)
{
	return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c < 0xa0) &&
	    !(c >= 0x200b && c <= 0x200f) && !(c >= 0x2028 && c <= 0x202e) &&
	    !(c >= 0x2066 && c <= 0x2069) && c != 0xfeff;
}

void
attack_clean_detail(struct str detail, char out[ATTACK_DETAIL_MAX + 1])
{
	int32_t i = 0, len = (int32_t)(detail.len < 4096 ? detail.len : 4096);
	const uint8_t *p = (const uint8_t *)detail.p;
	int32_t used = 0;

	while (i < len) {
		UChar32 c;

		U8_NEXT(p, i, len, c);
		if (c < 0 || !is_shown(c))
			c = 0xfffd;
		if (used + U8_LENGTH(c) > (int32_t)ATTACK_DETAIL_MAX)
			break;
		U8_APPEND_UNSAFE(out, used, c);
	}
	out[used] = '\0';
}

static bool
is_noted(const struct attack_report *report, enum attack_trait trait,
    uint16_t part, const char *detail)
{
	size_t i;

	for (i = 0; i < report->notes_len; i++)
		if (report->notes[i].trait == trait &&
		    report->notes[i].part == part &&
		    (part != ATTACK_NO_PART ||
		    strcmp(report->notes[i].detail, detail) == 0))
			return true;
	return false;
}

void
attack_note(struct attack_report *report, enum attack_trait trait,
    size_t part, struct str detail)
{
	uint16_t number = part < ATTACK_NO_PART ? (uint16_t)part :
	    ATTACK_NO_PART;
	char cleaned[ATTACK_DETAIL_MAX + 1];
	struct attack_note *note;

	invariant(trait < ATTACK_TRAIT_COUNT);
	attack_clean_detail(detail, cleaned);
	if (attack_has(report, trait) &&
	    is_noted(report, trait, number, cleaned))
		return;
	report->traits |= UINT64_C(1) << trait;
	if (report->notes_len == ATTACK_NOTES_MAX) {
		report->notes_lost++;
		return;
	}
	note = &report->notes[report->notes_len++];
	note->trait = trait;
	note->part = number;
	memcpy(note->detail, cleaned, sizeof(cleaned));
}

bool
attack_has(const struct attack_report *report, enum attack_trait trait)
{
	return (report->traits >> trait & 1) != 0;
}

unsigned
attack_weight(const struct attack_report *report)
{
	unsigned weight = 0, i;

	for (i = 0; i < ATTACK_TRAIT_COUNT; i++)
		if (attack_has(report, (enum attack_trait)i))
			weight += traits[i].weight;
	return weight;
}

bool
attack_is_suspicious(const struct attack_report *report)
{
	unsigned i;

	for (i = 0; i < ATTACK_TRAIT_COUNT; i++)
		if (traits[i].is_decisive &&
		    attack_has(report, (enum attack_trait)i))
			return true;
	return attack_weight(report) >= ATTACK_SUSPICIOUS;
}

const char *
attack_trait_name(enum attack_trait trait)
{
	return traits[trait].name;
}

unsigned
attack_trait_weight(enum attack_trait trait)
{
	return traits[trait].weight;
}

bool
attack_trait_is_decisive(enum attack_trait trait)
{
	return traits[trait].is_decisive;
}

bool
attack_trait_is_link(enum attack_trait trait)
{
	return str_begins(str_of(traits[trait].name), STR("url-"));
}

int
attack_trait_of(struct str name, enum attack_trait *trait_r)
{
	unsigned i;

	for (i = 0; i < ATTACK_TRAIT_COUNT; i++) {
		if (!str_eq(name, str_of(traits[i].name)))
			continue;
		*trait_r = (enum attack_trait)i;
		return 0;
	}
	return ERR_NOTFOUND;
}

const char *
attack_trait_text(enum attack_trait trait, struct str language)
{
	bool is_ja = str_begins_nocase(language, STR("ja")) &&
	    (language.len == 2 || language.p[2] == '-' ||
	    language.p[2] == '_');

	return is_ja ? traits[trait].ja : traits[trait].en;
}
