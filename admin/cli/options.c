/* SPDX-License-Identifier: ISC */
#include "admin/cli/options.h"

#include <stdarg.h>

#define DEFAULT_CONFIG "/etc/hikyaku/hikyaku.conf"
#define LIST_MAX 1000

enum kind { TEXT, FLAG, LIST };

struct option {
	const char *id;		/* what verbs call it */
	const char *name;
	const char *arg;	/* NULL: a flag */
	const char *key;	/* a leading dot: not sent */
	enum kind kind;
	const char *help;
};

static const struct option options[] = {
	{ "access", "access", "GRID", "access", TEXT,
	    "who may log in from where: open, closed-network, or "
	    "\"SERVICE:ZONE,ZONE ...\"" },
	{ "address", "address", "ADDRESS", "address", TEXT,
	    "only what is for this recipient" },
	{ "after", "after", "ID", "after", TEXT,
	    "only what comes after this entry" },
	{ "algorithm", "algorithm", "rsa|ed25519|both", "algorithm", TEXT,
	    "of the keys; default: both, or those that the domain has" },
	{ "alias", "alias", "ADDRESS", "aliases", LIST,
	    "another address of the account; may be given again" },
	{ "all", "all", NULL, "all", FLAG, "every one there is" },
	{ "csv-in", "csv", "FILE", ".csv", TEXT,
	    "the file to read; - is standard input" },
	{ "csv-out", "csv", NULL, ".csv", FLAG,
	    "as CSV (the only form there is)" },
	{ "days", "days", "N", "days", TEXT, "how many, today included (7)" },
	{ "dmarc", "dmarc", "honour|mark", "dmarc", TEXT,
	    "do what senders' DMARC policies ask for (default), or only mark "
	    "the message" },
	{ "domain", "domain", "DOMAIN", "domain", TEXT, "the domain" },
	{ "dry-run", "dry-run", NULL, ".dry_run", FLAG,
	    "check everything, change nothing" },
	{ "encoding", "encoding", "NAME", ".encoding", TEXT,
	    "of the file: UTF-8 (default), CP932, EUC-JP, ..." },
	{ "filter-unavailable", "filter-unavailable",
	    "default|accept|tempfail", "filter_unavailable", TEXT,
	    "mail while the filter gives no verdict: as the server says, take "
	    "it unfiltered, or put it off" },
	{ "for", "for", "admin|user", "for", TEXT,
	    "only what administrators decide about, or only the others" },
	{ "force", "force", NULL, "force", FLAG,
	    "also what is malicious" },
	{ "forward", "forward", "ADDRESS", "forwards", LIST,
	    "send mail on to this address; may be given again" },
	{ "ids", "ids", "N", "ids", TEXT,
	    "how many accounts it may have; 0: any number" },
	{ "keep-copy", "keep-copy", NULL, "keep_copy", FLAG,
	    "deliver to the account as well" },
	{ "language", "language", "CODE", "language", TEXT,
	    "of messages to the user: ja, en" },
	{ "mailbox-size", "mailbox-size", "SIZE", "mailbox_size", TEXT,
	    "quota of accounts without a plan or quota, such as 10G" },
	{ "message-recipients", "message-recipients", "N",
	    "message_recipients", TEXT,
	    "recipients of one message; 0: the server's limit" },
	{ "message-size", "message-size", "SIZE", "message_size", TEXT,
	    "largest message, such as 15M; 0: the server's limit" },
	{ "name", "name", "TEXT", "name", TEXT, "name of the person" },
	{ "no-password", "no-password", NULL, ".no_password", FLAG,
	    "without a password nobody can log in" },
	{ "now", "now", NULL, "now", FLAG,
	    "sign with the new keys at once" },
	{ "password-stdin", "password-stdin", NULL, ".password_stdin", FLAG,
	    "read the password from the first line of standard input" },
	{ "plan", "plan", "NAME", "plan", TEXT, "plan that sets the quota" },
	{ "preset", "preset", "NAME", "preset", TEXT,
	    "limits by name: compat (15M, 1000 recipients, access of a closed "
	    "network, a full mailbox may not send)" },
	{ "quarantine-days", "quarantine-days", "N", "quarantine_days", TEXT,
	    "how long its quarantine keeps mail: 1 to 90 days (14)" },
	{ "quota", "quota", "SIZE", "quota", TEXT,
	    "such as 3G; default: what plan or domain say" },
	{ "selector", "selector", "NAME", "selector", TEXT,
	    "name of the key in the DNS (with -ed for a second one); "
	    "default: made of the date" },
	{ "send-as", "send-as", "ADDRESS", "send_as", TEXT,
	    "the address to send as" },
	{ "tenant", "tenant", "NAME", "tenant", TEXT,
	    "owner of the domain; without it one named after the domain" },
	{ "when-full", "when-full", "send|stop", "when_full", TEXT,
	    "what the owner of a full mailbox may do: send (default) or not" },
};

#define OPTIONS_LEN (sizeof(options) / sizeof(options[0]))

/* Options of every verb. */
static const struct option common[] = {
	{ "config", "config", "FILE", NULL, TEXT,
	    "the instance's configuration (" DEFAULT_CONFIG ")" },
	{ "json", "json", NULL, NULL, FLAG, "print JSON" },
	{ "help", "help", NULL, NULL, FLAG, "print this" },
	{ "version", "version", NULL, NULL, FLAG, "print the version" },
};

#define COMMON_LEN (sizeof(common) / sizeof(common[0]))

/* ---- words of a spec ---- */

/* The next word of a spec and its mark ('!', '?', '*' or 0). */
static bool
spec_next(struct str *rest, struct str *word_r, char *mark_r)
{
	struct str word = STR_NONE;

	while (rest->p != NULL && word.len == 0)
		word = str_cut(*rest, ' ', rest);
	if (word.len == 0)
		return false;
	*mark_r = word.p[word.len - 1];
	if (strchr("!?*", *mark_r) != NULL)
		word.len--;
	else
		*mark_r = '\0';
	*word_r = word;
	return true;
}

static const struct option *
option_of(struct str id)
{
	size_t i;

	for (i = 0; i < OPTIONS_LEN; i++)
		if (str_eq(id, str_of(options[i].id)))
			return &options[i];
	return NULL;
}

bool
options_are_known(const struct verb *verb)
{
	struct str rest = str_of(verb->options), word;
	char mark;

	while (spec_next(&rest, &word, &mark))
		if (option_of(word) == NULL)
			return false;
	return true;
}

/* The option called name that verb takes. */
static const struct option *
option_find(const struct verb *verb, struct str name)
{
	struct str rest = str_of(verb != NULL ? verb->options : ""), word;
	const struct option *option;
	char mark;

	while (spec_next(&rest, &word, &mark)) {
		option = option_of(word);
		if (option != NULL && str_eq(name, str_of(option->name)))
			return option;
	}
	return NULL;
}

/* ---- parsing ---- */

struct reader {
	const struct verb *verbs;
	size_t verbs_len;
	int argc;
	char **argv;
	int at;
	struct str operands;		/* of the verb, what is left */
	struct parsed *parsed;
};

static bool
noun_exists(const struct reader *r, const char *noun)
{
	size_t i;

	for (i = 0; i < r->verbs_len; i++)
		if (strcmp(r->verbs[i].noun, noun) == 0)
			return true;
	return false;
}

static const struct verb *
verb_find(const struct reader *r, const char *noun, const char *name)
{
	size_t i;

	for (i = 0; i < r->verbs_len; i++)
		if (strcmp(r->verbs[i].noun, noun) == 0 &&
		    strcmp(r->verbs[i].verb, name) == 0)
			return &r->verbs[i];
	return NULL;
}

static void
use_verb(struct reader *r, const struct verb *verb)
{
	struct str value, key;

	r->parsed->verb = verb;
	r->operands = str_of(verb->operands);
	if (verb->fixed == NULL)
		return;
	key = str_cut(str_of(verb->fixed), '=', &value);
	json_object_setn_new(r->parsed->request, key.p, key.len,
	    json_boolean(str_eq(value, STR("true"))));
}

static int
set_text(json_t *object, struct str key, const char *text, bool is_list,
    struct err *err)
{
	json_t *value = json_string(text), *list;

	if (value == NULL)
		return err_set(err, ERR_SYNTAX, "an argument is not UTF-8");
	if (!is_list) {
		json_object_setn_new(object, key.p, key.len, value);
		return 0;
	}
	list = json_object_getn(object, key.p, key.len);
	if (list == NULL) {
		list = json_array();
		json_object_setn_new(object, key.p, key.len, list);
	}
	json_array_append_new(list, value);
	return json_array_size(list) <= LIST_MAX ? 0 : err_set(err,
	    ERR_SYNTAX, "over %d arguments", LIST_MAX);
}

static int
take_operand(struct reader *r, const char *word, struct err *err)
{
	struct str rest = r->operands, key;
	char mark;

	if (!spec_next(&rest, &key, &mark))
		return err_set(err, ERR_SYNTAX, "too many arguments: \"%s\"",
		    word);
	if (mark != '*')
		r->operands = rest;
	return set_text(r->parsed->request, key, word, mark == '*', err);
}

static int
take_word(struct reader *r, const char *word, struct err *err)
{
	const struct verb *verb;

	if (r->parsed->verb != NULL)
		return take_operand(r, word, err);
	if (r->parsed->noun == NULL) {
		if (!noun_exists(r, word))
			return err_set(err, ERR_SYNTAX, "no such noun: "
			    "\"%s\"", word);
		r->parsed->noun = word;
		if ((verb = verb_find(r, word, "")) != NULL)
			use_verb(r, verb);
		return 0;
	}
	verb = verb_find(r, r->parsed->noun, word);
	if (verb == NULL)
		return err_set(err, ERR_SYNTAX, "no such verb: \"%s %s\"",
		    r->parsed->noun, word);
	use_verb(r, verb);
	return 0;
}

static void
set_common(struct parsed *parsed, const struct option *option,
    const char *value)
{
	if (strcmp(option->id, "config") == 0)
		parsed->config_path = value;
	else if (strcmp(option->id, "json") == 0)
		parsed->is_json = true;
	else if (strcmp(option->id, "help") == 0)
		parsed->wants_help = true;
	else
		parsed->wants_version = true;
}

static int
set_option(struct parsed *parsed, const struct option *option,
    const char *value, struct err *err)
{
	json_t *object = parsed->request;
	const char *key = option->key;

	if (key == NULL) {
		set_common(parsed, option, value);
		return 0;
	}
	if (*key == '.') {
		object = parsed->local;
		key++;
	}
	if (option->kind == FLAG) {
		json_object_set_new(object, key, json_true());
		return 0;
	}
	if (option->kind == TEXT && json_object_get(object, key) != NULL)
		return err_set(err, ERR_SYNTAX, "--%s is given twice",
		    option->name);
	return set_text(object, str_of(key), value, option->kind == LIST,
	    err);
}

/* "-c" and the like as their long names. */
static struct str
long_name(const char *word)
{
	static const char *const shorts[] = { "-cconfig", "-hhelp",
	    "-Vversion" };
	size_t i;

	if (word[1] == '-')
		return str_of(word + 2);
	for (i = 0; i < sizeof(shorts) / sizeof(shorts[0]); i++)
		if (word[1] == shorts[i][1] && word[2] == '\0')
			return str_of(shorts[i] + 2);
	return STR_NONE;
}

static int
take_option(struct reader *r, const char *word, struct err *err)
{
	const struct option *option;
	struct str value, name = str_cut(long_name(word), '=', &value);
	const char *text = value.p;
	size_t i;

	option = option_find(r->parsed->verb, name);
	for (i = 0; option == NULL && i < COMMON_LEN; i++)
		if (str_eq(name, str_of(common[i].name)))
			option = &common[i];
	if (option == NULL)
		return err_set(err, ERR_SYNTAX, r->parsed->verb != NULL ?
		    "no such option here: %s" :
		    "options of a verb come after it: %s", word);
	if (option->arg == NULL && text != NULL)
		return err_set(err, ERR_SYNTAX, "--%s takes no value",
		    option->name);
	if (option->arg != NULL && text == NULL) {
		if (r->at >= r->argc)
			return err_set(err, ERR_SYNTAX, "--%s wants a value "
			    "(%s)", option->name, option->arg);
		text = r->argv[r->at++];
	}
	return set_option(r->parsed, option, text, err);
}

static void
put_upper(char *to, size_t size, struct str word)
{
	size_t i;

	for (i = 0; i < word.len && i + 1 < size; i++)
		to[i] = word.p[i] == '_' ? '-' : ascii_upper(word.p[i]);
	to[i] = '\0';
}

/* Is all there that must be? */
static int
check_complete(const struct reader *r, struct err *err)
{
	const struct option *option;
	struct str rest = r->operands, word;
	char mark, name[64];

	while (spec_next(&rest, &word, &mark)) {
		put_upper(name, sizeof(name), word);
		if (mark == '\0')
			return err_set(err, ERR_SYNTAX, "%s is missing",
			    name);
	}
	rest = str_of(r->parsed->verb->options);
	while (spec_next(&rest, &word, &mark)) {
		option = option_of(word);
		invariant(option != NULL);
		if (mark == '!' && json_object_get(*option->key == '.' ?
		    r->parsed->local : r->parsed->request, option->key +
		    (*option->key == '.')) == NULL)
			return err_set(err, ERR_SYNTAX, "--%s is missing",
			    option->name);
	}
	return 0;
}

int
options_parse(const struct verb *verbs, size_t verbs_len, int argc,
    char **argv, struct parsed *parsed_r, struct err *err)
{
	struct reader r = { .verbs = verbs, .verbs_len = verbs_len,
	    .argc = argc, .argv = argv, .at = 1, .parsed = parsed_r };
	bool has_ended = false;
	const char *word;
	int rc = 0;

	*parsed_r = (struct parsed){ .config_path = DEFAULT_CONFIG,
	    .request = json_object(), .local = json_object() };
	while (rc == 0 && r.at < argc) {
		word = argv[r.at++];
		if (!has_ended && strcmp(word, "--") == 0)
			has_ended = true;
		else if (!has_ended && word[0] == '-' && word[1] != '\0')
			rc = take_option(&r, word, err);
		else
			rc = take_word(&r, word, err);
	}
	if (rc != 0 || parsed_r->wants_help || parsed_r->wants_version)
		return rc;
	if (parsed_r->noun == NULL)
		return err_set(err, ERR_SYNTAX, "what is wanted?");
	if (parsed_r->verb == NULL)
		return err_set(err, ERR_SYNTAX, "%s: which verb?",
		    parsed_r->noun);
	return check_complete(&r, err);
}

void
options_free(struct parsed *parsed)
{
	json_decref(parsed->request);
	json_decref(parsed->local);
	parsed->request = NULL;
	parsed->local = NULL;
}

/* ---- help ---- */

static void
put_usage(const struct verb *verb, FILE *to)
{
	struct str rest = str_of(verb->operands), word;
	const struct option *option;
	char mark, name[64];

	(void)fprintf(to, "%s%s%s", verb->noun, *verb->verb != '\0' ? " " :
	    "", verb->verb);
	while (spec_next(&rest, &word, &mark)) {
		put_upper(name, sizeof(name), word);
		(void)fprintf(to, mark == '?' ? " [%s]" : mark == '*' ?
		    " [%s...]" : " %s", name);
	}
	rest = str_of(verb->options);
	while (spec_next(&rest, &word, &mark)) {
		option = option_of(word);
		invariant(option != NULL);
		(void)fprintf(to, mark == '!' ? " --%s%s%s" : " [--%s%s%s]",
		    option->name, option->arg != NULL ? " " : "",
		    option->arg != NULL ? option->arg : "");
	}
	(void)fputc('\n', to);
}

static void
put_option(const struct option *option, FILE *to)
{
	char left[64];

	(void)snprintf(left, sizeof(left), "--%s%s%s", option->name,
	    option->arg != NULL ? " " : "",
	    option->arg != NULL ? option->arg : "");
	(void)fprintf(to, "  %-26s %s\n", left, option->help);
}

static void
help_verb(const struct verb *verb, FILE *to)
{
	struct str rest = str_of(verb->options), word;
	char mark;
	size_t i;

	(void)fputs("usage: hikyaku [-c FILE] ", to);
	put_usage(verb, to);
	(void)fprintf(to, "\n%s\n\n", verb->help);
	while (spec_next(&rest, &word, &mark))
		put_option(option_of(word), to);
	for (i = 0; i < COMMON_LEN; i++)
		put_option(&common[i], to);
}

void
options_help(const struct verb *verbs, size_t verbs_len,
    const struct parsed *parsed, FILE *to)
{
	char left[64];
	size_t i;

	if (parsed->verb != NULL) {
		help_verb(parsed->verb, to);
		return;
	}
	(void)fprintf(to, "usage: hikyaku [-c FILE] %s VERB ...\n\n",
	    parsed->noun != NULL ? parsed->noun : "NOUN");
	for (i = 0; i < verbs_len; i++) {
		if (parsed->noun != NULL &&
		    strcmp(parsed->noun, verbs[i].noun) != 0)
			continue;
		(void)snprintf(left, sizeof(left), "%s %s", verbs[i].noun,
		    verbs[i].verb);
		(void)fprintf(to, "  %-20s %s\n", left, verbs[i].help);
	}
	(void)fputs("\nOptions of every verb; more with NOUN VERB --help:\n",
	    to);
	for (i = 0; i < COMMON_LEN; i++)
		put_option(&common[i], to);
}
