/* SPDX-License-Identifier: ISC */
#include "filterd/judge/suspicious.h"

#include "filterd/judge/checks.h"

enum verdict_action
suspicion_action(struct str name)
{
	static const enum verdict_action choices[] = {
		VERDICT_JUNK, VERDICT_QUARANTINE, VERDICT_DETONATE,
	};
	size_t i;

	for (i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (str_eq(name, str_of(verdict_action_name(choices[i]))))
			return choices[i];
	return VERDICT_DELIVER;
}

bool
suspicion_add(struct suspicion *suspicion, struct arena *arena, uint64_t part,
    struct str name, struct str detail)
{
	struct verdict_trait one = { .part = (uint16_t)part };

	suspicion->has_more |= name.len == 0 ||
	    suspicion->traits_len == SUSPICION_ROWS_MAX;
	if (part > ATTACK_NO_PART || attack_trait_of(name, &one.trait) != 0 ||
	    !str_is_text(detail) || detail.len > ATTACK_DETAIL_MAX ||
	    suspicion->traits_len == SUSPICION_ROWS_MAX)
		return false;
	if (suspicion->traits == NULL)
		suspicion->traits = arena_alloc(arena, SUSPICION_ROWS_MAX *
		    sizeof(one));
	one.detail = arena_str(arena, detail);
	suspicion->traits[suspicion->traits_len++] = one;
	return true;
}

/* ---- order ---- */

/* How many of the same trait stand before it. */
static unsigned
repeats(const struct suspicion *suspicion, size_t at)
{
	unsigned count = 0;
	size_t i;

	for (i = 0; i < at; i++)
		count += suspicion->traits[i].trait ==
		    suspicion->traits[at].trait;
	return count;
}

/* A small number comes first. */
static unsigned
rank(const struct suspicion *suspicion, size_t at)
{
	unsigned weight = attack_trait_weight(suspicion->traits[at].trait);

	return repeats(suspicion, at) * 256 + (255 - weight);
}

void
suspicion_sort(struct suspicion *suspicion)
{
	struct verdict_trait sorted[SUSPICION_ROWS_MAX];
	unsigned ranks[SUSPICION_ROWS_MAX];
	size_t i, at;

	/* Few, and those of equal rank stay in their order. */
	for (i = 0; i < suspicion->traits_len; i++) {
		unsigned own = rank(suspicion, i);

		for (at = i; at > 0 && ranks[at - 1] > own; at--) {
			ranks[at] = ranks[at - 1];
			sorted[at] = sorted[at - 1];
		}
		ranks[at] = own;
		sorted[at] = suspicion->traits[i];
	}
	for (i = 0; i < suspicion->traits_len; i++)
		suspicion->traits[i] = sorted[i];
}

/* ---- what follows ---- */

static bool
is_weightier(enum verdict_action a, enum verdict_action b)
{
	return b == VERDICT_DELIVER ? a != VERDICT_DELIVER :
	    b == VERDICT_JUNK && a != VERDICT_DELIVER && a != VERDICT_JUNK;
}

void
suspicion_judge(const struct suspicion *suspicion,
    enum verdict_action action, const struct envelope *envelope,
    struct verdict *verdict)
{
	if ((envelope->flags & FILTER_F_AUTHENTICATED) != 0)
		return;
	verdict->is_suspicious = suspicion->is_suspicious;
	verdict->traits = suspicion->traits;
	verdict->has_more_traits = suspicion->has_more ||
	    suspicion->traits_len > VERDICT_TRAITS_MAX;
	verdict->traits_len = suspicion->traits_len < VERDICT_TRAITS_MAX ?
	    suspicion->traits_len : VERDICT_TRAITS_MAX;
	/* What is left of it without its infected parts is asked again. */
	if (!suspicion->is_suspicious || verdict->parts_len != 0 || (action == VERDICT_DETONATE &&
	    !verdict_can_be_opened(verdict)) ||
	    !is_weightier(action, verdict->action))
		return;
	/* What DMARC asks for holds for what is clean, too. */
	if (action == VERDICT_DETONATE && verdict->action == VERDICT_JUNK)
		verdict->when_clean = VERDICT_JUNK;
	verdict->action = action;
	verdict->reason = STR("suspicious");
}
