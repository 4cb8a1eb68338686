/* SPDX-License-Identifier: ISC */
#include "filterd/judge/virus.h"

#include "filterd/judge/checks.h"

static enum verdict_action
treatment(struct str name)
{
	if (str_eq(name, STR("quarantine")))
		return VERDICT_QUARANTINE;
	return str_eq(name, STR("refuse")) ? VERDICT_REFUSE :
	    VERDICT_DELIVER;
}

void
virus_policy_read(struct virus_policy *policy, struct str encrypted,
    struct str unscannable)
{
	policy->encrypted = treatment(encrypted);
	policy->unscannable = treatment(unscannable);
}

static enum verdict_action
action_of(const struct virus_policy *policy, const struct envelope *envelope,
    enum scan_result result)
{
	bool is_ours = (envelope->flags & FILTER_F_AUTHENTICATED) != 0;

	switch (result) {
	case SCAN_INFECTED:
		return VERDICT_REFUSE;
	case SCAN_CRASHED:
		return is_ours ? VERDICT_REFUSE : VERDICT_QUARANTINE;
	case SCAN_ENCRYPTED:
		return policy->encrypted;
	case SCAN_LIMIT:
		return policy->unscannable;
	case SCAN_CLEAN:
	case SCAN_RESULTS:
		break;
	}
	return VERDICT_DELIVER;
}

static const char *
text_of(enum scan_result result)
{
	switch (result) {
	case SCAN_INFECTED:
		return "it contains malicious content";
	case SCAN_ENCRYPTED:
		return "what has a password is not taken";
	case SCAN_LIMIT:
	case SCAN_CRASHED:
	case SCAN_CLEAN:
	case SCAN_RESULTS:
		break;
	}
	return "its content cannot be looked at";
}

void
virus_judge(const struct virus_policy *policy,
    const struct envelope *envelope, struct arena *arena,
    struct verdict *verdict)
{
	enum verdict_action action = action_of(policy, envelope,
	    verdict->virus);

	/* Of two refusals the one for the content is told. */
	if (action == VERDICT_DELIVER || (action < verdict->action))
		return;
	verdict->action = action;
	/* What ended the scanner is nothing to be curious about. */
	if (verdict->virus == SCAN_CRASHED)
		verdict->holder = VERDICT_H_ADMIN;
	verdict->reason = str_of(verdict_scan_name(verdict->virus));
	verdict->code = 0;
	verdict->enhanced = STR("");
	verdict->text = STR("");
	if (action != VERDICT_REFUSE)
		return;
	verdict->code = 554;
	verdict->enhanced = STR("5.7.1");
	verdict->text = arena_printf(arena, "%s (%.*s)",
	    text_of(verdict->virus), STR_FMT(verdict->virus_name));
}
