/* SPDX-License-Identifier: ISC */
/* DMARC: records, discovery by both methods, alignment, what is wanted. */
#include "base/test.h"

#include "base/buf.h"
#include "mailauth/dmarc.h"

/* ---- records ---- */

static const struct {
	const char *text;
	const char *want;	/* NULL: no record */
} records[] = {
	/* p/sp/np adkim aspf t psd pct; "-" not there, "!" not valid */
	{ "v=DMARC1; p=none", "none/-/- r r n u 100" },
	{ "v=DMARC1;p=reject;sp=quarantine;np=none", "reject/quarantine/none"
	    " r r n u 100" },
	{ "v = DMARC1 ; p = quarantine ; adkim = s ; aspf = s ; t = y ",
	    "quarantine/-/- s s y u 100" },
	{ "V=DMARC1; P=REJECT; ADKIM=S; PSD=Y; PCT=20",
	    "reject/-/- s r n y 20" },
	{ "v=DMARC1", "-/-/- r r n u 100" },
	{ "v=DMARC1;", "-/-/- r r n u 100" },
	{ "v=DMARC1;;; ;p=none;;", "none/-/- r r n u 100" },
	{ "v=DMARC1; sp=reject; p=none", "none/reject/- r r n u 100" },
	{ "v=DMARC1; p=rejected", "!/-/- r r n u 100" },
	{ "v=DMARC1; p=", "!/-/- r r n u 100" },
	{ "v=DMARC1; p=none; sp=x; np=y", "none/!/! r r n u 100" },
	/* Of two the first counts. */
	{ "v=DMARC1; p=reject; p=none", "reject/-/- r r n u 100" },
	{ "v=DMARC1; p=none; pct=101; pct=5", "none/-/- r r n u 100" },
	{ "v=DMARC1; p=none; pct=0", "none/-/- r r n u 0" },
	{ "v=DMARC1; p=none; pct=-1", "none/-/- r r n u 100" },
	{ "v=DMARC1; p=none; t=n; psd=n", "none/-/- r r n n 100" },
	{ "v=DMARC1; p=none; psd=x; t=x; adkim=x", "none/-/- r r n u 100" },
	{ "v=DMARC1; p=none; unknown=1; also", "none/-/- r r n u 100" },
	{ "v=DMARC1\t;\tp\t=\treject\t", "reject/-/- r r n u 100" },
	{ "v=DMARC1; p=rej\001ect", "-/-/- r r n u 100" },
	{ "v=DMARC1 p=none", NULL }, { "v=DMARC1.0; p=none", NULL },
	{ "v=dmarc1; p=none", NULL }, { "v=DMARC2; p=none", NULL },
	{ "p=none; v=DMARC1", NULL }, { "; v=DMARC1", NULL }, { "", NULL },
	{ "v=spf1 -all", NULL }, { "v", NULL }, { "=DMARC1", NULL },
};

static void
put_request(struct buf *out, const struct dmarc_request *request)
{
	buf_add_cstr(out, !request->is_there ? "-" : !request->is_valid ?
	    "!" : dmarc_policy_name(request->policy));
}

static void
put_record(struct buf *out, const struct dmarc_record *record)
{
	put_request(out, &record->p);
	buf_add_char(out, '/');
	put_request(out, &record->sp);
	buf_add_char(out, '/');
	put_request(out, &record->np);
	buf_addf(out, " %c %c %c %c %u", record->is_dkim_strict ? 's' : 'r',
	    record->is_spf_strict ? 's' : 'r', record->is_testing ? 'y' : 'n',
	    record->psd == DMARC_PSD_YES ? 'y' :
	    record->psd == DMARC_PSD_NO ? 'n' : 'u', record->pct);
}

static void
test_records(void **state)
{
	struct dmarc_record record;
	struct buf out;
	size_t i;
	int rc;

	(void)state;
	buf_init(&out, 256);
	for (i = 0; i < COUNT_OF(records); i++) {
		rc = dmarc_record_parse(str_of(records[i].text), &record);
		buf_reset(&out);
		put_record(&out, &record);
		if (rc != (records[i].want != NULL ? 0 : ERR_NOTFOUND) ||
		    (rc == 0 && !str_eq(buf_str(&out),
		    str_of(records[i].want))))
			fail_msg("%s: %.*s", records[i].text,
			    STR_FMT(buf_str(&out)));
	}
	buf_fini(&out);
	assert_int_equal(dmarc_record_parse(STR("v=DMARC1; p=none; "
	    "rua=mailto:a@b.example!10m , https://x.example/ ; ruf=r;"
	    " fo=1:d;rf=afrf;ri=86400"), &record), 0);
	assert_true(str_eq(record.rua,
	    STR("mailto:a@b.example!10m , https://x.example/")));
	assert_true(str_eq(record.ruf, STR("r")));
	assert_true(str_eq(record.fo, STR("1:d")));
	assert_true(str_eq(record.rf, STR("afrf")));
	assert_true(str_eq(record.ri, STR("86400")));
}

/* ---- the public suffix list ---- */

static const struct {
	const char *domain;
	const char *org;
} orgs[] = {
	{ "example.com", "example.com" },
	{ "a.b.example.com", "example.com" },
	{ "A.Example.COM.", "example.com" },
	{ "com", "com" }, { "co.uk", "co.uk" },
	{ "a.example.co.uk", "example.co.uk" },
	{ "a.b.unknown-top", "b.unknown-top" },
	{ "a.city.kawasaki.jp", "city.kawasaki.jp" },
	{ "x.y.z.kawasaki.jp", "y.z.kawasaki.jp" },
};

static void
test_psl(void **state)
{
	struct arena *arena = arena_new(0);
	struct psl *psl;
	struct str org;
	size_t i;

	(void)state;
	assert_int_equal(psl_open("/nonexistent/list", &psl, NULL), ERR_TEMP);
	assert_null(psl);
	psl_close(&psl);
	assert_int_equal(psl_open(NULL, &psl, NULL), 0);
	for (i = 0; i < COUNT_OF(orgs); i++) {
		org = psl_org(psl, arena, str_of(orgs[i].domain));
		if (!str_eq(org, str_of(orgs[i].org)))
			fail_msg("%s: %.*s", orgs[i].domain, STR_FMT(org));
	}
	psl_close(&psl);
	assert_null(psl);
	arena_free(&arena);
}

/* ---- the whole ---- */

/* Names under example.com as in RFC 7489, appendix B. */
static const struct {
	const char *name;
	const char *txt;	/* "!": the DNS fails; NULL: only that it is */
} zone[] = {
	{ "_dmarc.example.com", "v=DMARC1; p=reject; sp=quarantine; np=none;"
	    " rua=mailto:dmarc@example.com" },
	{ "_dmarc.strict.example", "v=DMARC1; p=reject; adkim=s; aspf=s" },
	{ "_dmarc.none.example", "v=DMARC1; p=none; rua=mailto:a@b.example" },
	{ "_dmarc.sub.example.com", "v=DMARC1; p=quarantine; sp=reject" },
	{ "_dmarc.test.example", "v=DMARC1; p=reject; t=y" },
	{ "_dmarc.testq.example", "v=DMARC1; p=quarantine; t=y" },
	{ "_dmarc.half.example", "v=DMARC1; p=reject; pct=50" },
	{ "_dmarc.halfq.example", "v=DMARC1; p=quarantine; pct=50" },
	{ "_dmarc.bad.example", "v=DMARC1; p=bad" },
	{ "_dmarc.badrua.example", "v=DMARC1; p=bad; rua=mailto:a@b.example" },
	{ "_dmarc.badsp.example", "v=DMARC1; p=reject; sp=bad" },
	{ "_dmarc.nop.example", "v=DMARC1; sp=reject" },
	{ "_dmarc.nothing.example", "v=DMARC1" },
	{ "_dmarc.other.example", "something else" },
	{ "_dmarc.down.example", "!" },
	{ "_dmarc.a.halfdown.example", "v=DMARC1; p=reject" },
	{ "_dmarc.halfdown.example", "!" },
	/* A suffix that has a record, and organizations below it. */
	{ "_dmarc.bank", "v=DMARC1; p=reject; np=reject; sp=quarantine;"
	    " psd=y" },
	{ "_dmarc.own.bank", "v=DMARC1; p=none" },
	{ "_dmarc.bank2", "v=DMARC1; p=reject" },
	{ "_dmarc.branch.bank2", "v=DMARC1; p=none; psd=y" },
	/* psd=n: an organization below another's record. */
	{ "_dmarc.dept.example.com", "v=DMARC1; p=none; psd=n" },
	{ "here.example.com", NULL },
	{ "x.y.example.com", NULL },
	{ "one.bank", NULL },
	{ "www.one.bank", NULL },
};

/* Two records at one name. */
#define TWICE "_dmarc.twice.example"

static void
put_txt(struct answers *answers, struct str name, const char *txt,
    size_t count)
{
	struct arena *arena = arena_new(0);
	struct str rdata[2];
	struct answer answer = { .rdata = rdata, .rdata_len = count };

	rdata[0] = arena_printf(arena, "%c%s", (int)strlen(txt), txt);
	rdata[1] = rdata[0];
	if (txt[0] == '!')
		answer = (struct answer){ .rcode = DNS_R_SERVFAIL };
	answers_put(answers, name, DNS_T_TXT, &answer);
	arena_free(&arena);
}

static void
answer_one(struct answers *answers, struct str name, unsigned type)
{
	struct answer nothing = { .rcode = DNS_R_NXDOMAIN };
	size_t i;

	if (dns_name_eq(name, STR(TWICE))) {
		put_txt(answers, name, "v=DMARC1; p=reject", 2);
		return;
	}
	for (i = 0; i < COUNT_OF(zone); i++) {
		if (!dns_name_eq(name, str_of(zone[i].name)))
			continue;
		if (zone[i].txt != NULL && type == DNS_T_TXT) {
			put_txt(answers, name, zone[i].txt, 1);
			return;
		}
		nothing.rcode = DNS_R_NOERROR;
	}
	answers_put(answers, name, type, &nothing);
}

struct run {
	struct arena *arena;
	struct psl *psl;
	unsigned rounds;
	unsigned asked;
	struct dmarc_result result;
};

static void
run_check(struct run *run, const struct dmarc_input *input)
{
	struct answers *answers = answers_new();
	struct str name;
	unsigned type;

	run->rounds = run->asked = 0;
	while (dmarc_check(run->arena, input, answers, &run->result) ==
	    MAILAUTH_WAIT) {
		while (answers_next_wanted(answers, &name, &type)) {
			answer_one(answers, name, type);
			run->asked++;
		}
		assert_true(run->rounds++ < 10);
	}
	answers_free(&answers);
}

/* "pass mail.example.com", "temperror x.example"; NULL: none */
static struct dmarc_identity
identity(const char *text)
{
	struct dmarc_identity got = { .result = MAILAUTH_NONE };
	struct str rest, word;

	if (text == NULL)
		return got;
	word = str_cut(str_of(text), ' ', &rest);
	assert_int_equal(mailauth_result_of(word, &got.result), 0);
	got.domain = rest;
	return got;
}

#define W DMARC_TREE_WALK
#define L DMARC_PSL

static const struct {
	enum dmarc_method method;
	const char *from;
	const char *spf;
	const char *dkim;
	unsigned sample;
	const char *want;	/* result disposition record/organization */
} checks[] = {
	/* RFC 7489 appendix B.1: alignment of SPF and of DKIM. */
	{ W, "example.com", "pass example.com", NULL, 0,
	    "pass none example.com/example.com" },
	{ W, "example.com", "pass child.example.com", NULL, 0,
	    "pass none example.com/example.com" },
	{ W, "child.example.com", "pass example.com", NULL, 0,
	    "pass none example.com/example.com" },
	{ W, "example.com", "pass sample.net", NULL, 0,
	    "fail reject example.com/example.com" },
	{ W, "example.com", NULL, "pass example.com", 0,
	    "pass none example.com/example.com" },
	{ W, "here.example.com", NULL, "pass example.com", 0,
	    "pass none example.com/example.com" },
	{ W, "example.com", NULL, "pass sample.net", 0,
	    "fail reject example.com/example.com" },
	{ L, "example.com", "pass child.example.com", NULL, 0,
	    "pass none example.com/example.com" },
	{ L, "child.example.com", NULL, "pass example.com", 0,
	    "pass none example.com/example.com" },
	{ L, "example.com", NULL, "pass sample.net", 0,
	    "fail reject example.com/example.com" },
	/* Passing counts, nothing else. */
	{ W, "example.com", "fail example.com", "none example.com", 0,
	    "fail reject example.com/example.com" },
	{ W, "example.com", "softfail example.com", "policy example.com", 0,
	    "fail reject example.com/example.com" },
	{ W, "example.com", NULL, NULL, 0,
	    "fail reject example.com/example.com" },
	{ W, "EXAMPLE.com.", "fail example.com", "pass Example.COM", 0,
	    "pass none EXAMPLE.com/EXAMPLE.com" },
	/* A name that only ends alike, and the suffix itself. */
	{ W, "example.com", "pass notexample.com", "pass com", 0,
	    "fail reject example.com/example.com" },
	{ L, "example.com", "pass notexample.com", "pass com", 0,
	    "fail reject example.com/example.com" },
	/* Strict. */
	{ W, "strict.example", "pass a.strict.example",
	    "pass a.strict.example", 0,
	    "fail reject strict.example/strict.example" },
	{ W, "strict.example", NULL, "pass strict.example", 0,
	    "pass none strict.example/strict.example" },
	/* sp for what exists, np for what does not (only the successor). */
	{ W, "here.example.com", NULL, NULL, 0,
	    "fail quarantine example.com/example.com" },
	{ W, "x.y.example.com", NULL, NULL, 0,
	    "fail quarantine example.com/example.com" },
	{ W, "gone.example.com", NULL, NULL, 0,
	    "fail none example.com/example.com" },
	{ L, "gone.example.com", NULL, NULL, 0,
	    "fail quarantine example.com/example.com" },
	/* The author's own record before the organization's; with the list
	 * a record between the two is not looked for. */
	{ W, "sub.example.com", NULL, NULL, 0,
	    "fail quarantine sub.example.com/example.com" },
	{ L, "sub.example.com", NULL, NULL, 0,
	    "fail quarantine sub.example.com/example.com" },
	{ W, "here.sub.example.com", NULL, NULL, 0,
	    "fail none example.com/example.com" },
	{ L, "here.sub.example.com", NULL, NULL, 0,
	    "fail quarantine example.com/example.com" },
	{ W, "sub.example.com", NULL, "pass other.example.com", 0,
	    "pass none sub.example.com/example.com" },
	/* psd=n makes an organization of its own. */
	{ W, "dept.example.com", NULL, "pass example.com", 0,
	    "fail none dept.example.com/dept.example.com" },
	{ W, "a.dept.example.com", NULL, "pass b.dept.example.com", 0,
	    "pass none dept.example.com/dept.example.com" },
	{ W, "example.com", NULL, "pass dept.example.com", 0,
	    "fail reject example.com/example.com" },
	/* psd=y: the organization is one label below the suffix. */
	{ W, "one.bank", NULL, NULL, 0, "fail quarantine bank/one.bank" },
	{ W, "www.one.bank", NULL, "pass mail.one.bank", 0,
	    "pass none bank/one.bank" },
	{ W, "www.one.bank", NULL, "pass two.bank", 0,
	    "fail quarantine bank/one.bank" },
	{ W, "gone.bank", NULL, NULL, 0, "fail reject bank/gone.bank" },
	{ W, "www.own.bank", NULL, NULL, 0, "fail none own.bank/own.bank" },
	{ W, "bank", NULL, "pass one.bank", 0, "fail reject bank/bank" },
	/* The walk from a suffix ends there, whatever is above. */
	{ W, "branch.bank2", NULL, NULL, 0,
	    "fail none branch.bank2/branch.bank2" },
	{ W, "a.branch.bank2", NULL, "pass b.branch.bank2", 0,
	    "fail none branch.bank2/a.branch.bank2" },
	{ W, "one.bank", NULL, "pass bank", 0,
	    "fail quarantine bank/one.bank" },
	/* t, pct. */
	{ W, "test.example", NULL, NULL, 0,
	    "fail quarantine test.example/test.example" },
	{ W, "testq.example", NULL, NULL, 0,
	    "fail none testq.example/testq.example" },
	{ L, "test.example", NULL, NULL, 0,
	    "fail reject test.example/test.example" },
	{ L, "half.example", NULL, NULL, 49,
	    "fail reject half.example/half.example" },
	{ L, "half.example", NULL, NULL, 50,
	    "fail quarantine half.example/half.example" },
	{ L, "halfq.example", NULL, NULL, 50,
	    "fail none halfq.example/halfq.example" },
	{ W, "half.example", NULL, NULL, 99,
	    "fail reject half.example/half.example" },
	/* What is no record, and what has no policy. */
	{ W, "nowhere.example", "pass nowhere.example", NULL, 0, "none" },
	{ L, "nowhere.example", NULL, "pass nowhere.example", 0, "none" },
	{ W, "other.example", NULL, NULL, 0, "none" },
	{ W, "twice.example", NULL, NULL, 0, "none" },
	{ L, "twice.example", NULL, NULL, 0, "none" },
	{ W, "bad.example", NULL, NULL, 0, "none" },
	{ L, "bad.example", NULL, NULL, 0, "none" },
	{ W, "badsp.example", NULL, NULL, 0, "none" },
	{ W, "badrua.example", NULL, NULL, 0,
	    "fail none badrua.example/badrua.example" },
	{ L, "badrua.example", NULL, "pass badrua.example", 0,
	    "pass none badrua.example/badrua.example" },
	{ W, "nop.example", NULL, NULL, 0,
	    "fail none nop.example/nop.example" },
	{ L, "nop.example", NULL, NULL, 0, "none" },
	{ W, "nothing.example", NULL, NULL, 0,
	    "fail none nothing.example/nothing.example" },
	{ W, "none.example", NULL, NULL, 0,
	    "fail none none.example/none.example" },
	/* The DNS fails. */
	{ W, "down.example", "pass down.example", NULL, 0, "temperror" },
	{ L, "down.example", "pass down.example", NULL, 0, "temperror" },
	{ W, "a.down.example", NULL, NULL, 0, "temperror" },
	/* Above the author's record: enough for equal names. */
	{ W, "a.halfdown.example", NULL, "pass a.halfdown.example", 0,
	    "pass none a.halfdown.example/" },
	{ W, "a.halfdown.example", NULL, "pass b.halfdown.example", 0,
	    "temperror none a.halfdown.example/" },
	{ W, "a.halfdown.example", NULL, NULL, 0,
	    "fail reject a.halfdown.example/" },
	/* An aligned name's check that could come to a pass next time. */
	{ W, "example.com", "temperror example.com", NULL, 0,
	    "temperror none example.com/example.com" },
	{ W, "example.com", "temperror sample.net", NULL, 0,
	    "fail reject example.com/example.com" },
	{ L, "example.com", "temperror a.example.com", "pass example.com", 0,
	    "pass none example.com/example.com" },
	/* From: is a suffix or a single label. */
	{ W, "com", NULL, NULL, 0, "none" },
	{ L, "com", NULL, NULL, 0, "none" },
};

static void
put_result(struct buf *out, const struct dmarc_result *result)
{
	buf_add_cstr(out, mailauth_result_name(result->result));
	if (result->result == MAILAUTH_NONE ||
	    result->record_domain.p == NULL)
		return;
	buf_addf(out, " %s ", dmarc_policy_name(result->disposition));
	buf_add_str(out, result->record_domain);
	buf_add_char(out, '/');
	buf_add_str(out, result->org_domain);
}

static void
test_checks(void **state)
{
	struct run run = { .arena = arena_new(0) };
	struct dmarc_identity dkim[2];
	struct dmarc_input input;
	struct buf out;
	struct str from;
	size_t i;

	(void)state;
	assert_int_equal(psl_open(NULL, &run.psl, NULL), 0);
	buf_init(&out, 1024);
	for (i = 0; i < COUNT_OF(checks); i++) {
		from = str_of(checks[i].from);
		dkim[0] = identity("fail example.com");
		dkim[1] = identity(checks[i].dkim);
		input = (struct dmarc_input){ .method = checks[i].method,
			.psl = run.psl, .from = &from, .from_count = 1,
			.spf = identity(checks[i].spf), .dkim = dkim,
			.dkim_count = 2, .sample = checks[i].sample };
		run_check(&run, &input);
		buf_reset(&out);
		put_result(&out, &run.result);
		if (!str_eq(buf_str(&out), str_of(checks[i].want)))
			fail_msg("%zu %s %s %s: %.*s", i, checks[i].from,
			    checks[i].spf, checks[i].dkim,
			    STR_FMT(buf_str(&out)));
		/* Who passed is told. */
		assert_int_equal(run.result.result == MAILAUTH_PASS,
		    run.result.is_spf_aligned || run.result.dkim_aligned == 1);
		assert_true(run.result.dkim_aligned == 1 ||
		    run.result.dkim_aligned == DMARC_NO_SIGNATURE);
		assert_int_equal(run.result.problem.len != 0,
		    run.result.result == MAILAUTH_TEMPERROR ||
		    (run.result.result == MAILAUTH_NONE &&
		    run.result.record_domain.p != NULL));
		assert_true(run.result.result == MAILAUTH_FAIL ||
		    run.result.disposition == DMARC_P_NONE);
	}
	buf_fini(&out);
	psl_close(&run.psl);
	arena_free(&run.arena);
}

static void
test_flags(void **state)
{
	struct run run = { .arena = arena_new(0) };
	struct str from = STR("test.example");
	struct dmarc_input input = { .from = &from, .from_count = 1,
		.sample = 50 };

	(void)state;
	assert_int_equal(psl_open(NULL, &run.psl, NULL), 0);
	input.psl = run.psl;
	run_check(&run, &input);
	assert_true(run.result.is_testing);
	assert_false(run.result.is_sampled_out);
	assert_int_equal(run.result.policy, DMARC_P_REJECT);
	assert_int_equal(run.result.disposition, DMARC_P_QUARANTINE);
	from = STR("half.example");
	input.method = DMARC_PSL;
	run_check(&run, &input);
	assert_false(run.result.is_testing);
	assert_true(run.result.is_sampled_out);
	assert_int_equal(run.result.policy, DMARC_P_REJECT);
	/* What reports need outlives the check. */
	from = STR("example.com");
	run_check(&run, &input);
	assert_true(str_eq(run.result.record.rua,
	    STR("mailto:dmarc@example.com")));
	assert_false(run.result.is_sampled_out);
	psl_close(&run.psl);
	arena_free(&run.arena);
}

/* threats.md 17: an ambiguous From: is no identity. */
static void
test_from(void **state)
{
	struct str one[] = { STR("example.com"), STR("Example.COM.") };
	struct str two[] = { STR("example.com"), STR("sub.example.com") };
	struct str literal = STR("[192.0.2.1]");
	struct run run = { .arena = arena_new(0) };
	struct dmarc_input input = { .from = one, .from_count = 2,
		.spf = { STR("example.com"), MAILAUTH_PASS } };

	(void)state;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_PASS);
	assert_true(str_eq(run.result.from_domain, STR("example.com")));

	input.is_from_broken = true;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_PERMERROR);
	assert_int_equal(run.result.disposition, DMARC_P_NONE);
	assert_null(run.result.from_domain.p);
	assert_true(run.result.problem.len != 0);
	assert_int_equal(run.asked, 0);

	input.is_from_broken = false;
	input.from = two;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_PERMERROR);
	input.from_count = 0;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_PERMERROR);
	input.from = &literal;
	input.from_count = 1;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_PERMERROR);
	arena_free(&run.arena);
}

/* RFC 9989 section 4.10: eight questions, asked at once. */
static void
test_walk_length(void **state)
{
	struct str from = STR("a.b.c.d.e.f.g.h.i.j.mail.example.com");
	struct str shorter = STR("b.example.com");
	struct run run = { .arena = arena_new(0) };
	struct dmarc_input input = { .from = &from, .from_count = 1,
		.spf = { STR("x.example.com"), MAILAUTH_PASS } };
	char deep[512];
	struct str deep_name;
	size_t i;

	(void)state;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_PASS);
	/* Eight, whether the name is there, and one more for SPF's. */
	assert_int_equal(run.asked, DMARC_WALK_MAX + 2);
	assert_int_equal(run.rounds, 2);
	input.from = &shorter;
	input.spf.domain = STR_NONE;
	run_check(&run, &input);
	assert_int_equal(run.asked, 4);

	/* A name that the DNS cannot hold has no record of its own. */
	for (i = 0; i < sizeof(deep); i++)
		deep[i] = i % 2 != 0 ? '.' : 'a';
	deep_name = str_make(deep, 511);
	input.from = &deep_name;
	run_check(&run, &input);
	assert_int_equal(run.result.result, MAILAUTH_NONE);
	assert_true(run.asked <= DMARC_WALK_MAX);
	arena_free(&run.arena);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_psl),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_from),
		cmocka_unit_test(test_walk_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
