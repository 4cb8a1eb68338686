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
virus_policy_read(struct virus_policy *policy, const struct virus_config *config)
{
	policy->replaces = str_eq(config->attachment, STR("replace"));
	policy->attachment = treatment(config->attachment);
	policy->body = treatment(config->body);
	policy->encrypted = treatment(config->encrypted);
	policy->unscannable = treatment(config->unscannable);
}

static enum verdict_action
action_of(const struct virus_policy *policy, const struct envelope *envelope,
    const struct verdict *verdict)
{
	bool is_ours = (envelope->flags & FILTER_F_AUTHENTICATED) != 0;

	switch (verdict->virus) {
	case SCAN_INFECTED:
		if (is_ours)
			return VERDICT_REFUSE;
		return verdict->parts_len != 0 && !policy->replaces ?
		    policy->attachment : policy->body;
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

/* Without its infected parts it may be as harmless as any other. */
static bool
is_to_replace(const struct virus_policy *policy,
    const struct envelope *envelope, const struct verdict *verdict)
{
	return verdict->virus == SCAN_INFECTED && policy->replaces &&
	    verdict->parts_len != 0 && (envelope->flags &
	    (FILTER_F_AUTHENTICATED | FILTER_F_WHOLE)) == 0;
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
virus_weigh(const struct virus_policy *policy, struct str locked,
    struct str closed, struct verdict *verdict)
{
	if (verdict->virus == SCAN_LIMIT && locked.len != 0 &&
	    policy->encrypted > policy->unscannable) {
		verdict->virus = SCAN_ENCRYPTED;
		verdict->virus_name = locked;
	} else if (verdict->virus == SCAN_ENCRYPTED && closed.len != 0 &&
	    policy->unscannable > policy->encrypted) {
		verdict->virus = SCAN_LIMIT;
		verdict->virus_name = closed;
	}
}

void
virus_judge(const struct virus_policy *policy,
    const struct envelope *envelope, struct arena *arena,
    struct verdict *verdict)
{
	enum verdict_action action;

	if (is_to_replace(policy, envelope, verdict))
		return;
	action = action_of(policy, envelope, verdict);
	verdict->parts_len = 0;
	/* Of two refusals the one for the content is told. */
	if (action == VERDICT_DELIVER || (action < verdict->action))
		return;
	verdict->action = action;
	/* Nothing to be curious about. */
	if (verdict->virus == SCAN_CRASHED ||
	    verdict->virus == SCAN_INFECTED)
		verdict->holder = VERDICT_H_ADMIN;
	verdict->reason = arena_printf(arena, "%s: %.*s",
	    verdict_scan_name(verdict->virus), STR_FMT(verdict->virus_name));
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
