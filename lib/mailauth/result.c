/* SPDX-License-Identifier: ISC */
#include "mailauth/result.h"

static const char *const names[MAILAUTH_RESULT_COUNT] = {
	[MAILAUTH_NONE] = "none",
	[MAILAUTH_PASS] = "pass",
	[MAILAUTH_FAIL] = "fail",
	[MAILAUTH_SOFTFAIL] = "softfail",
	[MAILAUTH_NEUTRAL] = "neutral",
	[MAILAUTH_POLICY] = "policy",
	[MAILAUTH_TEMPERROR] = "temperror",
	[MAILAUTH_PERMERROR] = "permerror",
};

const char *
mailauth_result_name(enum mailauth_result result)
{
	invariant(result < MAILAUTH_RESULT_COUNT);
	return names[result];
}

int
mailauth_result_of(struct str name, enum mailauth_result *result_r)
{
	unsigned i;

	for (i = 0; i < MAILAUTH_RESULT_COUNT; i++)
		if (str_eq_nocase(name, str_of(names[i]))) {
			*result_r = (enum mailauth_result)i;
			return 0;
		}
	return ERR_SYNTAX;
}
