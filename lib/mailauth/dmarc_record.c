/* SPDX-License-Identifier: ISC */
/* RFC 7489 sections 6.3 and 6.4: a record taken apart. */
#include "mailauth/dmarc.h"

const char *
dmarc_policy_name(enum dmarc_policy policy)
{
	static const char *const names[DMARC_POLICY_COUNT] = {
		[DMARC_P_NONE] = "none",
		[DMARC_P_QUARANTINE] = "quarantine",
		[DMARC_P_REJECT] = "reject",
	};

	invariant(policy < DMARC_POLICY_COUNT);
	return names[policy];
}

static void
get_request(struct dmarc_request *request, struct str value)
{
	unsigned i;

	request->is_there = true;
	for (i = 0; i < DMARC_POLICY_COUNT; i++)
		if (str_eq_nocase(value,
		    str_of(dmarc_policy_name((enum dmarc_policy)i)))) {
			request->is_valid = true;
			request->policy = (enum dmarc_policy)i;
		}
}

static void
get_p(struct dmarc_record *record, struct str value)
{
	get_request(&record->p, value);
}

static void
get_sp(struct dmarc_record *record, struct str value)
{
	get_request(&record->sp, value);
}

static void
get_np(struct dmarc_record *record, struct str value)
{
	get_request(&record->np, value);
}

static void
get_adkim(struct dmarc_record *record, struct str value)
{
	record->is_dkim_strict = str_eq_nocase(value, STR("s"));
}

static void
get_aspf(struct dmarc_record *record, struct str value)
{
	record->is_spf_strict = str_eq_nocase(value, STR("s"));
}

static void
get_t(struct dmarc_record *record, struct str value)
{
	record->is_testing = str_eq_nocase(value, STR("y"));
}

static void
get_psd(struct dmarc_record *record, struct str value)
{
	if (str_eq_nocase(value, STR("y")))
		record->psd = DMARC_PSD_YES;
	else if (str_eq_nocase(value, STR("n")))
		record->psd = DMARC_PSD_NO;
}

static void
get_pct(struct dmarc_record *record, struct str value)
{
	uint64_t pct;

	if (str_to_u64(value, 100, &pct) == 0)
		record->pct = (unsigned)pct;
}

static void
get_fo(struct dmarc_record *record, struct str value)
{
	record->fo = value;
}

static void
get_rf(struct dmarc_record *record, struct str value)
{
	record->rf = value;
}

static void
get_ri(struct dmarc_record *record, struct str value)
{
	record->ri = value;
}

static void
get_rua(struct dmarc_record *record, struct str value)
{
	record->rua = value;
}

static void
get_ruf(struct dmarc_record *record, struct str value)
{
	record->ruf = value;
}

static const struct {
	const char *name;
	void (*get)(struct dmarc_record *, struct str);
} tags[] = {
	{ "p", get_p }, { "sp", get_sp }, { "np", get_np },
	{ "adkim", get_adkim }, { "aspf", get_aspf }, { "t", get_t },
	{ "psd", get_psd }, { "pct", get_pct }, { "fo", get_fo },
	{ "rf", get_rf }, { "ri", get_ri }, { "rua", get_rua },
	{ "ruf", get_ruf },
};
#define TAG_COUNT (sizeof(tags) / sizeof(tags[0]))

/* Blanks are spaces and tabs; a CR or LF makes a value that nothing has. */
static struct str
trim_blanks(struct str s)
{
	while (s.len != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = str_sub(s, 1, STR_NPOS);
	while (s.len != 0 &&
	    (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* "name = value"; false without an equals sign or outside printable ASCII. */
static bool
cut_tag(struct str tag, struct str *name_r, struct str *value_r)
{
	*name_r = trim_blanks(str_cut(tag, '=', value_r));
	if (value_r->p == NULL)
		return false;
	*value_r = trim_blanks(*value_r);
	return str_is_printable(*value_r);
}

static void
get_tag(struct dmarc_record *record, struct str tag, bool seen[TAG_COUNT])
{
	struct str name, value;
	size_t i;

	if (!cut_tag(tag, &name, &value))
		return;
	for (i = 0; i < TAG_COUNT; i++)
		if (!seen[i] && str_eq_nocase(name, str_of(tags[i].name))) {
			seen[i] = true;
			tags[i].get(record, value);
		}
}

int
dmarc_record_parse(struct str text, struct dmarc_record *record_r)
{
	bool seen[TAG_COUNT] = { false };
	struct str rest, name, value;

	*record_r = (struct dmarc_record){ .pct = 100 };
	/* The version comes first and in these letters. */
	if (!cut_tag(str_cut(text, ';', &rest), &name, &value) ||
	    !str_eq_nocase(name, STR("v")) || !str_eq(value, STR("DMARC1")))
		return ERR_NOTFOUND;
	while (rest.p != NULL)
		get_tag(record_r, str_cut(rest, ';', &rest), seen);
	return 0;
}
