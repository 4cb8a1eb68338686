/* SPDX-License-Identifier: ISC */
/*
 * mail_case: DKIM and ARC of a message in a file, for the doors in this
 * folder and for trying things by hand.
 *
 *     mail_case verify-dkim [--dns RECORDS] [--now SECONDS] FILE
 *     mail_case verify-arc  [--dns RECORDS] [--now SECONDS] FILE
 *     mail_case sign-dkim --key PEM --domain D --selector S [--names H]
 *                         [--now SECONDS] FILE
 *     mail_case seal-arc  --key PEM --domain D --selector S --results ID
 *                         [--dns RECORDS] [--names H] [--now SECONDS] FILE
 *
 * RECORDS: a line "name<TAB>text" for each TXT, or its strings in quotes; a
 * name that is not there does not exist. Signing prints the fields that go to the top of the message.
 * seal-arc takes what it says from the Authentication-Results of ID, with
 * --chain results cv= too, and writes as the published suite wants it.
 */
#include <openssl/pem.h>

#include "base/when.h"
#include "mail/header.h"
#include "mailauth/authres.h"

#define FILE_MAX_OCTETS (100U << 20)
#define OUTPUT_MAX (1U << 20)
#define PIECE 65536U

struct options {
	const char *dns, *now, *key, *domain, *selector, *names, *results;
	const char *chain;
	const char *file;
};

struct work {
	struct options options;
	struct arena *arena;
	struct str records;
	struct mailauth_message *message;
	struct answers *answers;
	int64_t now_s;
	EVP_PKEY *key;
	enum dkim_algorithm algorithm;
};

/* ---- files ---- */

static struct str
read_file(struct arena *arena, const char *path)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	char piece[PIECE];
	struct buf text;
	struct str all;
	size_t n;

	if (file == NULL)
		fatal("cannot open %s", path);
	buf_init(&text, FILE_MAX_OCTETS);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(&text, piece, n);
	if (file != stdin)
		(void)fclose(file);
	if (buf_failed(&text))
		fatal("%s is over 100 MB", path);
	all = arena_str(arena, buf_str(&text));
	buf_fini(&text);
	return all;
}

/* A file whose first line ends with LF alone has such lines throughout. */
static struct str
with_crlf(struct arena *arena, struct str text)
{
	size_t nl = str_find(text, '\n'), i;
	struct buf out;

	if (nl == STR_NPOS || (nl > 0 && text.p[nl - 1] == '\r'))
		return text;
	buf_init(&out, 2 * text.len);
	for (i = 0; i < text.len; i++) {
		if (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'))
			buf_add_char(&out, '\r');
		buf_add_char(&out, text.p[i]);
	}
	text = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return text;
}

static void
read_message(struct work *work)
{
	struct str text = with_crlf(work->arena,
	    read_file(work->arena, work->options.file));
	struct err err = ERR_INIT;

	work->message = mailauth_message_new();
	mailauth_message_want(work->message, CANON_RELAXED);
	if (mailauth_message_feed(work->message, text.p, text.len, &err) != 0)
		fatal("%s: %s", work->options.file, err_text(&err));
	mailauth_message_end(work->message);
}

static void
read_key(struct work *work)
{
	struct str pem;
	BIO *bio;

	if (work->options.key == NULL || work->options.domain == NULL ||
	    work->options.selector == NULL)
		fatal("--key, --domain and --selector are needed");
	pem = read_file(work->arena, work->options.key);
	bio = BIO_new_mem_buf(pem.p, (int)pem.len);
	work->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (work->key == NULL ||
	    dkim_key_algorithm(work->key, &work->algorithm) != 0)
		fatal("%s holds no key for DKIM", work->options.key);
}

/* ---- the DNS ---- */

static struct str
txt_rdata(struct arena *arena, struct str text)
{
	struct buf out;
	struct str rdata;
	size_t n;

	buf_init(&out, 70000);
	do {
		n = text.len < 255 ? text.len : 255;
		buf_add_char(&out, (char)n);
		buf_add_str(&out, str_sub(text, 0, n));
		text = str_sub(text, n, STR_NPOS);
	} while (text.len > 0);
	rdata = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return rdata;
}

/* "..." "..." as a zone file has it, joined; other text as it is. */
static struct str
without_quotes(struct arena *arena, struct str text)
{
	bool is_inside = false;
	struct str joined;
	struct buf out;
	size_t i;

	if (text.len == 0 || text.p[0] != '"')
		return text;
	buf_init(&out, text.len + 1);
	for (i = 0; i < text.len; i++) {
		if (text.p[i] == '"') {
			is_inside = !is_inside;
			continue;
		}
		if (text.p[i] == '\\' && i + 1 < text.len)
			i++;
		if (is_inside)
			buf_add_char(&out, text.p[i]);
	}
	joined = arena_str(arena, buf_str(&out));
	buf_fini(&out);
	return joined;
}

/* The DNS holds no record twice. */
static bool
is_there(const struct answer *found, struct str rdata)
{
	size_t i;

	for (i = 0; i < found->rdata_len; i++)
		if (str_eq(found->rdata[i], rdata))
			return true;
	return false;
}

static void
answer(struct work *work, struct str name, unsigned type)
{
	struct str rdata[ANSWERS_RDATA_MAX];
	struct answer found = { .rcode = DNS_R_NXDOMAIN, .rdata = rdata };
	struct str line, owner, text, one, rest = work->records;

	while (rest.p != NULL) {
		line = str_cut(rest, '\n', &rest);
		owner = str_cut(line, '\t', &text);
		if (text.p == NULL || !dns_name_eq(str_trim(owner), name) ||
		    type != DNS_T_TXT)
			continue;
		found.rcode = DNS_R_NOERROR;
		one = txt_rdata(work->arena, without_quotes(work->arena,
		    str_trim(text)));
		if (found.rdata_len < ANSWERS_RDATA_MAX &&
		    !is_there(&found, one))
			rdata[found.rdata_len++] = one;
	}
	answers_put(work->answers, name, type, &found);
}

static void
answer_all(struct work *work)
{
	struct str name;
	unsigned type;

	while (answers_next_wanted(work->answers, &name, &type))
		answer(work, name, type);
}

/* ---- what can be done ---- */

static int
verify_dkim(struct work *work)
{
	const struct dkim_result *one;
	struct dkim_results results;
	size_t i;

	while (dkim_verify(work->message, work->answers, work->now_s,
	    &results) == MAILAUTH_WAIT)
		answer_all(work);
	if (results.count == 0)
		(void)printf("none\n");
	for (i = 0; i < results.count; i++) {
		one = &results.v[i];
		(void)printf("%s d=%.*s s=%.*s i=%.*s a=%.*s b=%.*s bits=%u"
		    "%s%s%.*s\n", mailauth_result_name(one->result),
		    STR_FMT(one->domain), STR_FMT(one->selector),
		    STR_FMT(one->identity), STR_FMT(one->algorithm),
		    STR_FMT(one->signature), one->key_bits,
		    one->is_testing ? " testing" : "",
		    one->reason.len > 0 ? ": " : "", STR_FMT(one->reason));
	}
	return 0;
}

static void
get_arc(struct work *work, struct arc_result *result_r)
{
	while (arc_verify(work->message, work->answers, work->now_s,
	    result_r) == MAILAUTH_WAIT)
		answer_all(work);
}

static int
verify_arc(struct work *work)
{
	struct arc_result result;

	get_arc(work, &result);
	(void)printf("%s i=%u", mailauth_result_name(result.result),
	    result.instance);
	if (result.has_oldest_pass)
		(void)printf(" oldest-pass=%u", result.oldest_pass);
	(void)printf("%s%.*s\n", result.reason.len > 0 ? ": " : "",
	    STR_FMT(result.reason));
	return 0;
}

static struct str
sign(struct work *work, const unsigned char *digest)
{
	struct err err = ERR_INIT;
	struct str signature;
	struct buf out;

	buf_init(&out, 4096);
	if (dkim_key_sign(work->key, digest, &out, &err) != 0)
		fatal("%s", err_text(&err));
	signature = arena_str(work->arena, buf_str(&out));
	buf_fini(&out);
	return signature;
}

static void
print(struct buf *out)
{
	(void)fwrite(buf_str(out).p, 1, out->len, stdout);
	buf_fini(out);
}

static int
sign_dkim(struct work *work)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct err err = ERR_INIT;
	struct dkim_signing *signing;
	struct dkim_sign how = { .now_s = work->now_s };
	struct buf out;

	read_key(work);
	how.domain = str_of(work->options.domain);
	how.selector = str_of(work->options.selector);
	how.names = str_of(work->options.names);
	how.algorithm = work->algorithm;
	signing = dkim_sign_begin(work->message, &how, digest, &err);
	if (signing == NULL)
		fatal("%s", err_text(&err));
	buf_init(&out, OUTPUT_MAX);
	dkim_sign_end(signing, sign(work, digest), &out);
	print(&out);
	return 0;
}

/* What all Authentication-Results of that host say, one after the other. */
static struct str
gather_results(struct work *work, struct str id)
{
	struct header_field field;
	struct header_iter iter;
	struct str owner, rest, all;
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	buf_add_str(&out, id);
	header_iter_init(&iter, mailauth_message_header(work->message));
	while (header_next(&iter, &field)) {
		if (!str_eq_nocase(field.name, STR("Authentication-Results")))
			continue;
		owner = authres_id(work->arena, field.value, &rest);
		if (!str_eq_nocase(owner, id) || rest.len == 0)
			continue;
		buf_add_cstr(&out, "; ");
		buf_add_str(&out, str_trim(rest));
	}
	all = arena_str(work->arena, buf_str(&out));
	buf_fini(&out);
	return all;
}

/* The suite seals what the Authentication-Results say, not what is so. */
static void
take_chain(struct work *work, struct str results, struct arc_result *chain)
{
	struct authres_list *list = arena_new_of(work->arena,
	    struct authres_list);
	size_t i;

	if (authres_parse(work->arena, results, list, NULL) != 0)
		return;
	for (i = 0; i < list->count; i++)
		if (str_eq_nocase(list->v[i].method, STR("arc")))
			(void)mailauth_result_of(list->v[i].result,
			    &chain->result);
}

/* Nothing is printed when there may be no more sets. */
static int
seal_arc(struct work *work)
{
	unsigned char digest[MAILAUTH_HASH_OCTETS];
	struct err err = ERR_INIT;
	struct arc_sealing *sealing;
	struct arc_seal how = { .now_s = work->now_s };
	struct arc_result chain;
	struct buf out;

	read_key(work);
	get_arc(work, &chain);
	if (!chain.may_seal)
		return 0;
	how.domain = str_of(work->options.domain);
	how.selector = str_of(work->options.selector);
	how.names = str_of(work->options.names);
	how.algorithm = work->algorithm;
	how.results = gather_results(work, str_of(work->options.results));
	how.has_long_lines = true;
	if (work->options.chain != NULL)
		take_chain(work, how.results, &chain);
	sealing = arc_seal_begin(work->message, &chain, &how, digest, &err);
	if (sealing == NULL)
		fatal("%s", err_text(&err));
	arc_seal_message(sealing, sign(work, digest), digest);
	buf_init(&out, OUTPUT_MAX);
	arc_seal_end(sealing, sign(work, digest), &out);
	print(&out);
	return 0;
}

/* ---- the command line ---- */

static bool
take_option(struct options *options, const char *name, const char *value)
{
	const struct {
		const char *name;
		const char **value;
	} known[] = {
		{ "--dns", &options->dns }, { "--now", &options->now },
		{ "--key", &options->key }, { "--domain", &options->domain },
		{ "--selector", &options->selector },
		{ "--names", &options->names },
		{ "--results", &options->results },
		{ "--chain", &options->chain },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(known[i].name, name) != 0)
			continue;
		*known[i].value = value;
		return true;
	}
	return false;
}

static void
get_options(struct work *work, int argc, char **argv)
{
	struct options *options = &work->options;
	uint64_t now_s;
	int i;

	for (i = 2; i + 1 < argc; i += 2)
		if (!take_option(options, argv[i], argv[i + 1]))
			fatal("unknown option %s", argv[i]);
	if (i + 1 != argc)
		fatal("mail_case WHAT [OPTION VALUE]... FILE");
	options->file = argv[i];
	work->now_s = when_wall_s();
	if (options->now == NULL)
		return;
	if (str_to_u64(str_of(options->now), INT64_MAX, &now_s) != 0)
		fatal("--now takes seconds since 1970");
	work->now_s = (int64_t)now_s;
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(struct work *work);
	} whats[] = {
		{ "verify-dkim", verify_dkim }, { "verify-arc", verify_arc },
		{ "sign-dkim", sign_dkim }, { "seal-arc", seal_arc },
	};
	struct work work = { .arena = arena_new(0) };
	int status = 2;
	size_t i;

	get_options(&work, argc, argv);
	if (work.options.dns != NULL)
		work.records = read_file(work.arena, work.options.dns);
	read_message(&work);
	work.answers = answers_new();
	for (i = 0; i < sizeof(whats) / sizeof(*whats); i++)
		if (strcmp(whats[i].name, argv[1]) == 0)
			status = whats[i].run(&work);
	EVP_PKEY_free(work.key);
	answers_free(&work.answers);
	mailauth_message_free(&work.message);
	arena_free(&work.arena);
	return status;
}
