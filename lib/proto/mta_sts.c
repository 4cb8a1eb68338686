/* SPDX-License-Identifier: ISC */
#include "proto/mta_sts.h"

#include "base/buf.h"

#define ID_MAX 32

bool
mta_sts_is_record(struct str txt)
{
	/* RFC 8461 section 3.1: only these, case-sensitive, count. */
	return str_begins(txt, STR("v=STSv1")) &&
	    (txt.len == 7 || txt.p[7] == ';' || txt.p[7] == ' ' ||
	    txt.p[7] == '\t');
}

static bool
is_id(struct str s)
{
	size_t i;

	if (s.len == 0 || s.len > ID_MAX)
		return false;
	for (i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]))
			return false;
	return true;
}

int
mta_sts_record(struct str txt, struct str *id_r, struct err *err)
{
	struct str rest, field, value;

	*id_r = STR_NONE;
	if (!mta_sts_is_record(txt))
		return err_set(err, ERR_SYNTAX, "not v=STSv1");
	(void)str_cut(txt, ';', &rest);
	while (rest.p != NULL && id_r->p == NULL) {
		field = str_cut(str_cut(rest, ';', &rest), '=', &value);
		if (str_eq(str_trim(field), STR("id")))
			*id_r = str_trim(value);
	}
	if (is_id(*id_r))
		return 0;
	*id_r = STR_NONE;
	return err_set(err, ERR_SYNTAX, "no id");
}

/* ---- policy ---- */

struct reader {
	struct mta_sts_policy *policy;
	bool has_version, has_mode, has_age;
};

static int
read_version(struct reader *reader, struct str value)
{
	if (reader->has_version)
		return 0;
	reader->has_version = true;
	return str_eq(value, STR("STSv1")) ? 0 : ERR_SYNTAX;
}

static int
read_mode(struct reader *reader, struct str value)
{
	static const struct str modes[] = {
		[MTA_STS_NONE] = { "none", 4 },
		[MTA_STS_TESTING] = { "testing", 7 },
		[MTA_STS_ENFORCE] = { "enforce", 7 },
	};
	size_t i;

	if (reader->has_mode)
		return 0;
	reader->has_mode = true;
	for (i = 0; i < 3; i++) {
		if (!str_eq(value, modes[i]))
			continue;
		reader->policy->mode = (enum mta_sts_mode)i;
		return 0;
	}
	return ERR_SYNTAX;
}

static int
read_max_age(struct reader *reader, struct str value)
{
	if (reader->has_age)
		return 0;
	reader->has_age = true;
	/* RFC 8461 section 3.2: ten digits at most; a year is the most. */
	if (value.len > 10 ||
	    str_to_u64(value, UINT64_MAX, &reader->policy->max_age_s) != 0)
		return ERR_SYNTAX;
	if (reader->policy->max_age_s > MTA_STS_AGE_MAX_S)
		reader->policy->max_age_s = MTA_STS_AGE_MAX_S;
	return 0;
}

static bool
is_pattern(struct str s)
{
	size_t i;

	if (str_begins(s, STR("*.")))
		s = str_sub(s, 2, s.len);
	/* No empty labels: a name that ends in dots is none. */
	if (s.len == 0 || s.len > 253 || s.p[0] == '.' ||
	    s.p[s.len - 1] == '.' || str_find_str(s, STR("..")) != STR_NPOS)
		return false;
	for (i = 0; i < s.len; i++)
		if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) &&
		    s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_')
			return false;
	return true;
}

static int
read_mx(struct reader *reader, struct str value)
{
	if (value.len != 0 && value.p[value.len - 1] == '.')
		value.len--;
	if (!is_pattern(value))
		return ERR_SYNTAX;
	if (reader->policy->mx_len == MTA_STS_MX_MAX)
		return ERR_LIMIT;
	reader->policy->mx[reader->policy->mx_len++] = value;
	return 0;
}

static const struct {
	struct str name;
	int (*read)(struct reader *reader, struct str value);
} fields[] = {
	{ { "version", 7 }, read_version },
	{ { "mode", 4 }, read_mode },
	{ { "max_age", 7 }, read_max_age },
	{ { "mx", 2 }, read_mx },
};

static int
read_line(struct reader *reader, struct str line)
{
	struct str value, name = str_trim(str_cut(line, ':', &value));
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (value.p != NULL && str_eq(name, fields[i].name))
			return fields[i].read(reader, str_trim(value));
	return 0;
}

int
mta_sts_policy(struct arena *arena, struct str body,
    struct mta_sts_policy *policy_r, struct err *err)
{
	struct reader reader = { .policy = policy_r };
	struct str rest = body;
	int rc = 0;

	memset(policy_r, 0, sizeof(*policy_r));
	policy_r->mx = arena_alloc(arena, MTA_STS_MX_MAX *
	    sizeof(*policy_r->mx));
	while (rc == 0 && rest.p != NULL)
		rc = read_line(&reader, str_cut(rest, '\n', &rest));
	if (rc != 0)
		return err_set(err, rc, "MTA-STS policy malformed");
	if (!reader.has_version || !reader.has_mode || !reader.has_age)
		return err_set(err, ERR_SYNTAX,
		    "MTA-STS policy without version, mode or max_age");
	if (policy_r->mode != MTA_STS_NONE && policy_r->mx_len == 0)
		return err_set(err, ERR_SYNTAX, "MTA-STS policy without mx");
	return 0;
}

bool
mta_sts_allows(const struct mta_sts_policy *policy, struct str host)
{
	struct str pattern, name;
	size_t i, dot;

	if (host.len != 0 && host.p[host.len - 1] == '.')
		host.len--;
	dot = str_find(host, '.');
	for (i = 0; i < policy->mx_len; i++) {
		pattern = policy->mx[i];
		name = host;
		if (str_begins(pattern, STR("*."))) {
			if (dot == STR_NPOS || dot == 0)
				continue;
			pattern = str_sub(pattern, 2, pattern.len);
			name = str_sub(host, dot + 1, host.len);
		}
		if (str_eq_nocase(pattern, name))
			return true;
	}
	return false;
}

static const char *const mode_names[] = { [MTA_STS_NONE] = "none",
    [MTA_STS_TESTING] = "testing", [MTA_STS_ENFORCE] = "enforce" };

int
mta_sts_mode_of(struct str text, enum mta_sts_mode *mode_r)
{
	unsigned i;

	for (i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++)
		if (str_eq(text, str_of(mode_names[i]))) {
			*mode_r = (enum mta_sts_mode)i;
			return 0;
		}
	return ERR_SYNTAX;
}

void
mta_sts_put_policy(struct buf *out, enum mta_sts_mode mode, struct str mx)
{
	buf_addf(out, "version: STSv1\r\nmode: %s\r\nmx: %.*s\r\n"
	    "max_age: 604800\r\n", mode_names[mode], STR_FMT(mx));
}
