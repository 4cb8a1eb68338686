/* SPDX-License-Identifier: ISC */
#include "filter/words.h"

#define TRAITS_SAID 4U

struct str
verdict_scan_words(enum scan_result result, struct str name,
    struct arena *arena)
{
	static const char *const words[SCAN_RESULTS] = {
		[SCAN_ENCRYPTED] = "an archive or document with a password",
		[SCAN_LIMIT] = "content that is too deep, large or slow to be "
		    "looked at",
		[SCAN_INFECTED] = "malicious content",
		[SCAN_CRASHED] = "content that ended the scanner",
	};

	if (words[result] == NULL)
		return STR("");
	if (result == SCAN_LIMIT && str_begins(name, STR("Unopened.")))
		return arena_printf(arena, "a container that the scanner "
		    "cannot open (%.*s)", STR_FMT(name));
	if (name.len == 0)
		return str_of(words[result]);
	return arena_printf(arena, "%s (%.*s)", words[result],
	    STR_FMT(name));
}

/* Is this trait told by an earlier one? */
static bool
is_told(const struct verdict *verdict, size_t i)
{
	size_t k;

	for (k = 0; k < i; k++)
		if (verdict->traits[k].trait == verdict->traits[i].trait)
			return true;
	return false;
}

static struct str
suspicion(const struct verdict *verdict, struct arena *arena)
{
	struct str text = STR("suspicious");
	size_t i, said = 0;

	for (i = 0; i < verdict->traits_len && said < TRAITS_SAID; i++)
		if (!is_told(verdict, i))
			text = arena_printf(arena, "%.*s%s %s",
			    STR_FMT(text), said++ == 0 ? ":" : "",
			    attack_trait_text(verdict->traits[i].trait,
			    STR("en")));
	return text;
}

struct str
verdict_words(const struct verdict *verdict, struct arena *arena)
{
	/* Who said more than the name of a finding is quoted. */
	if (verdict->is_scanned && verdict->virus != SCAN_CLEAN &&
	    (verdict->reason.len == 0 || str_begins(verdict->reason,
	    str_of(verdict_scan_name(verdict->virus)))))
		return verdict_scan_words(verdict->virus,
		    verdict->virus_name, arena);
	if (verdict->is_suspicious && (verdict->reason.len == 0 ||
	    str_begins(verdict->reason, STR("suspicious"))))
		return suspicion(verdict, arena);
	return verdict->reason.len != 0 ? verdict->reason :
	    str_of(verdict_action_name(verdict->action));
}
