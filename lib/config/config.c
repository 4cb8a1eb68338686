/* SPDX-License-Identifier: ISC */
#include "config/config_int.h"

#include <errno.h>

#include "base/arena.h"
#include "base/log.h"

enum type { TEXT, SIZE, TIME, COUNT, FLAG, DAYS, LEVEL, SANDBOX, POLICY,
	ABSENT, ORGANIZATION, TREATMENT, INFECTED_PART, INFECTED, UNOPENED,
	POINTS, SUSPICION, NAMES };

struct key {
	const char *name;
	enum type type;
	const char *fallback;
	const char *programs;
	const char *meaning;
};

static const struct key keys[] = {
#define CONFIG(name, type, fallback, programs, meaning) \
	{ #name, type, fallback, programs, meaning },
#include "config/config_schema.def"
#undef CONFIG
};

#define KEYS_LEN (sizeof(keys) / sizeof(keys[0]))
#define LISTENERS_MAX 64
#define ADDRESSES_MAX 16
#define ROUTES_MAX 1000

struct config {
	cfg_t *cfg;
	struct arena *arena;
	uint64_t numbers[KEYS_LEN];
	struct config_listener listeners[LISTENERS_MAX];
	size_t listeners_len;
	struct config_milter milters[CONFIG_MILTERS_MAX];
	size_t milters_len;
	struct config_detonation detonations[CONFIG_DETONATIONS_MAX];
	size_t detonations_len;
};

#define FILE_MAX_OCTETS (1U << 20)

/* libConfuse reports through a callback without a context of its own. */
static struct err *parse_err;
static const char *parse_path;
/* Where mail was asked to be opened; 0: nowhere. */
static int detonate_line;

/* ---- values ---- */

static int
parse_scaled(struct str text, const char *units, const uint64_t *factors,
    uint64_t *value_r)
{
	uint64_t factor = 1;
	const char *unit;

	if (text.len == 0)
		return ERR_SYNTAX;
	unit = strchr(units, text.p[text.len - 1]);
	if (unit != NULL && *unit != '\0') {
		factor = factors[unit - units];
		text.len--;
	}
	if (str_to_u64(text, UINT64_MAX / factor, value_r) != 0)
		return ERR_SYNTAX;
	*value_r *= factor;
	return 0;
}

int
config_parse_size(struct str text, uint64_t *octets_r)
{
	static const uint64_t factors[] = { 1024, 1024 * 1024,
	    1024 * 1024 * 1024, 1024ULL * 1024 * 1024 * 1024 };

	return parse_scaled(text, "KMGT", factors, octets_r);
}

int
config_parse_time(struct str text, uint64_t *seconds_r)
{
	static const uint64_t factors[] = { 1, 60, 3600, 86400 };

	return parse_scaled(text, "smhd", factors, seconds_r);
}

/* The value as a number (0 for text), or ERR_SYNTAX and what is wanted. */
static int
parse_value(const struct key *key, const char *value, uint64_t *number_r,
    const char **want_r)
{
	struct str text = str_of(value);
	int rc = 0;

	*number_r = 0;
	switch (key->type) {
	case TEXT:
		*want_r = "text on one line";
		rc = str_is_printable(text) ? 0 : ERR_SYNTAX;
		break;
	case NAMES:
		*want_r = "text in UTF-8 on one line";
		rc = str_is_text(text) ? 0 : ERR_SYNTAX;
		break;
	case SIZE:
		*want_r = "a size such as 50M";
		rc = config_parse_size(text, number_r);
		break;
	case TIME:
		*want_r = "a time such as 5m";
		rc = config_parse_time(text, number_r);
		break;
	case COUNT:
		*want_r = "a number";
		rc = str_to_u64(text, 1000000000, number_r);
		break;
	case FLAG:
		*want_r = "yes or no";
		*number_r = str_eq(text, STR("yes"));
		rc = *number_r || str_eq(text, STR("no")) ? 0 : ERR_SYNTAX;
		break;
	case LEVEL:
		*want_r = "debug, info, warn or error";
		rc = log_level_of(text) >= 0 ? 0 : ERR_SYNTAX;
		break;
	case DAYS:
		*want_r = "a number of days, or never";
		*number_r = UINT64_MAX;
		rc = str_eq(text, STR("never")) ? 0 :
		    str_to_u64(text, 36500, number_r);
		break;
	case SANDBOX:
		*want_r = "full or degraded";
		rc = str_eq(text, STR("full")) ||
		    str_eq(text, STR("degraded")) ? 0 : ERR_SYNTAX;
		break;
	case POLICY:
		*want_r = "none, testing or enforce";
		rc = config_is_one_of(value, "none testing enforce") ? 0 :
		    ERR_SYNTAX;
		break;
	case ABSENT:
		*want_r = "tempfail or accept";
		rc = config_is_one_of(value, "tempfail accept") ? 0 : ERR_SYNTAX;
		break;
	case TREATMENT:
		*want_r = "deliver, quarantine or refuse";
		rc = config_is_one_of(value, "deliver quarantine refuse") ? 0 :
		    ERR_SYNTAX;
		break;
	case POINTS:
		*want_r = "a number from 1 to 10";
		rc = str_to_u64(text, 10, number_r);
		if (*number_r == 0)
			rc = ERR_SYNTAX;
		break;
	case UNOPENED:
		*want_r = "deliver or quarantine";
		rc = config_is_one_of(value, "deliver quarantine") ? 0 :
		    ERR_SYNTAX;
		break;
	case INFECTED_PART:
		*want_r = "replace, quarantine or refuse";
		rc = config_is_one_of(value, "replace quarantine refuse") ? 0 :
		    ERR_SYNTAX;
		break;
	case INFECTED:
		*want_r = "quarantine or refuse";
		rc = config_is_one_of(value, "quarantine refuse") ? 0 : ERR_SYNTAX;
		break;
	case SUSPICION:
		*want_r = "mark, junk, quarantine or detonate";
		rc = config_is_one_of(value, "mark junk quarantine detonate") ? 0 :
		    ERR_SYNTAX;
		break;
	case ORGANIZATION:
		*want_r = "walk or list";
		rc = config_is_one_of(value, "walk list") ? 0 : ERR_SYNTAX;
		break;
	}
	return rc;
}

/* ---- reading ---- */

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[160];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	err_set(parse_err, ERR_SYNTAX, "%s:%d: %s", parse_path,
	    cfg != NULL ? cfg->line : 0, text);
}

static int
check_value(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *value = cfg_opt_getnstr(opt, 0), *want = "";
	uint64_t number;
	size_t i;

	for (i = 0; i < KEYS_LEN; i++) {
		if (strcmp(keys[i].name, cfg_opt_name(opt)) != 0)
			continue;
		if (strcmp(keys[i].name, "suspicious") == 0)
			detonate_line = value != NULL &&
			    strcmp(value, "detonate") == 0 ? cfg->line : 0;
		if (value != NULL &&
		    parse_value(&keys[i], value, &number, &want) == 0)
			return 0;
		cfg_error(cfg, "%s = \"%s\": want %s", cfg_opt_name(opt),
		    value != NULL ? value : "", want);
		return -1;
	}
	return 0;
}

static int
check_listener(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	long port = cfg_getint(sec, "port");

	if (!config_is_one_of(cfg_getstr(sec, "protocol"),
	    "smtp submission lmtp imap pop3 web metrics milter"))
		cfg_error(cfg, "listener %s: protocol = \"%s\": want smtp, "
		    "submission, lmtp, imap, pop3, web, metrics or milter", cfg_title(sec),
		    cfg_getstr(sec, "protocol"));
	else if (!config_is_one_of(cfg_getstr(sec, "tls"), "none starttls implicit"))
		cfg_error(cfg, "listener %s: tls = \"%s\": want none, "
		    "starttls or implicit", cfg_title(sec),
		    cfg_getstr(sec, "tls"));
	else if (!config_is_one_of(cfg_getstr(sec, "clear_logins"), "yes no"))
		cfg_error(cfg, "listener %s: clear_logins = \"%s\": want yes "
		    "or no", cfg_title(sec), cfg_getstr(sec, "clear_logins"));
	else if (strcmp(cfg_getstr(sec, "clear_logins"), "yes") == 0 &&
	    strcmp(cfg_getstr(sec, "zone"), "internet") == 0)
		cfg_error(cfg, "listener %s: clear_logins = \"yes\": not in "
		    "zone internet", cfg_title(sec));
	else if (cfg_getstr(sec, "path")[0] == '\0' &&
	    (port < 1 || port > 65535 || cfg_size(sec, "addresses") == 0))
		cfg_error(cfg, "listener %s: want addresses and a port from "
		    "1 to 65535, or a path", cfg_title(sec));
	else if (cfg_size(sec, "addresses") > ADDRESSES_MAX)
		cfg_error(cfg, "listener %s: over %d addresses",
		    cfg_title(sec), ADDRESSES_MAX);
	else
		return 0;
	return -1;
}

static int
check_route(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	static const char *const texts[] = { "host", "user",
	    "password_file" };
	size_t i;

	if (cfg_title(sec)[0] == '\0' ||
	    !str_is_printable(str_of(cfg_title(sec))))
		cfg_error(cfg, "route: want a domain");
	else if (cfg_getstr(sec, "host")[0] == '\0')
		cfg_error(cfg, "route %s: want host", cfg_title(sec));
	else if (!config_is_one_of(cfg_getstr(sec, "tls"),
	    "may encrypt verify implicit"))
		cfg_error(cfg, "route %s: tls = \"%s\": want may, encrypt, "
		    "verify or implicit", cfg_title(sec),
		    cfg_getstr(sec, "tls"));
	else if (cfg_opt_size(opt) > ROUTES_MAX)
		cfg_error(cfg, "over %d routes", ROUTES_MAX);
	else {
		for (i = 0; i < 3; i++)
			if (!str_is_printable(str_of(cfg_getstr(sec,
			    texts[i])))) {
				cfg_error(cfg, "route %s: %s: want text on "
				    "one line", cfg_title(sec), texts[i]);
				return -1;
			}
		return 0;
	}
	return -1;
}

/*
 * The file with its # comments blanked: libConfuse 3.3 counts the line of each
 * more than once, and an error's line would be wrong.
 */
static char *
read_file(const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	bool is_quoted = false, is_comment = false;
	size_t len, i;
	char *text;

	if (file == NULL) {
		err_set_errno(err, ERR_NOTFOUND, "%s", path);
		return NULL;
	}
	text = calloc(1, FILE_MAX_OCTETS + 1);
	invariant(text != NULL);
	len = fread(text, 1, FILE_MAX_OCTETS, file);
	(void)fclose(file);
	for (i = 0; i < len; i++) {
		if (text[i] == '\n')
			is_comment = false;
		else if (is_comment)
			text[i] = ' ';
		else if (text[i] == '"' && (i == 0 || text[i - 1] != '\\'))
			is_quoted = !is_quoted;
		else if (text[i] == '#' && !is_quoted) {
			is_comment = true;
			text[i] = ' ';
		}
	}
	return text;
}

static cfg_t *
parse(const char *path, struct err *err)
{
	char *text = read_file(path, err);
	static char no_addresses[] = "{}", no_milters[] = "{}";
	static cfg_opt_t listener_opts[] = {
		CFG_STR("protocol", "", CFGF_NONE),
		CFG_STR_LIST("addresses", no_addresses, CFGF_NONE),
		CFG_INT("port", 0, CFGF_NONE),
		CFG_STR("path", "", CFGF_NONE),
		CFG_STR("tls", "none", CFGF_NONE),
		CFG_STR("zone", "internet", CFGF_NONE),
		CFG_STR("clear_logins", "no", CFGF_NONE),
		CFG_STR_LIST("milters", no_milters, CFGF_NONE),
		CFG_END(),
	};
	static cfg_opt_t route_opts[] = {
		CFG_STR("host", "", CFGF_NONE),
		CFG_STR("tls", "verify", CFGF_NONE),
		CFG_STR("user", "", CFGF_NONE),
		CFG_STR("password_file", "", CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t opts[KEYS_LEN + 5];
	cfg_t *cfg;
	size_t i;
	int rc;

	if (text == NULL)
		return NULL;
	for (i = 0; i < KEYS_LEN; i++)
		opts[i] = (cfg_opt_t)CFG_STR(keys[i].name, keys[i].fallback,
		    CFGF_NONE);
	opts[i++] = (cfg_opt_t)CFG_SEC("listener", listener_opts,
	    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	opts[i++] = (cfg_opt_t)CFG_SEC("route", route_opts,
	    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	opts[i++] = (cfg_opt_t)CFG_SEC("milter", config_milter_opts,
	    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	opts[i++] = (cfg_opt_t)CFG_SEC("detonation", config_detonation_opts,
	    CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
	opts[i] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(opts, CFGF_NONE);
	invariant(cfg != NULL);
	cfg_set_error_function(cfg, on_error);
	for (i = 0; i < KEYS_LEN; i++)
		cfg_set_validate_func(cfg, keys[i].name, check_value);
	cfg_set_validate_func(cfg, "listener", check_listener);
	cfg_set_validate_func(cfg, "route", check_route);
	cfg_set_validate_func(cfg, "milter", config_check_milter);
	cfg_set_validate_func(cfg, "detonation", config_check_detonation);
	parse_err = err;
	parse_path = path;
	detonate_line = 0;
	rc = cfg_parse_buf(cfg, text);
	parse_err = NULL;
	free(text);
	if (rc == CFG_SUCCESS && detonate_line != 0 &&
	    cfg_size(cfg, "detonation") == 0) {
		err_set(err, ERR_SYNTAX, "%s:%d: suspicious = \"detonate\": "
		    "want a block detonation NAME { ... }", path,
		    detonate_line);
		rc = CFG_PARSE_ERROR;
	}
	if (rc == CFG_SUCCESS)
		return cfg;
	err_set(err, ERR_SYNTAX, "%s: does not parse", path);
	cfg_free(cfg);
	return NULL;
}

static void
take_listener(struct config *config, cfg_t *sec)
{
	struct config_listener *l =
	    &config->listeners[config->listeners_len++];
	const char **addresses;
	size_t i;

	l->name = cfg_title(sec);
	l->protocol = cfg_getstr(sec, "protocol");
	l->tls = cfg_getstr(sec, "tls");
	l->zone = cfg_getstr(sec, "zone");
	l->takes_clear_logins = strcmp(cfg_getstr(sec, "clear_logins"),
	    "yes") == 0;
	l->path = cfg_getstr(sec, "path");
	l->port = (uint16_t)cfg_getint(sec, "port");
	l->addresses_len = cfg_size(sec, "addresses");
	addresses = arena_alloc(config->arena,
	    l->addresses_len * sizeof(*addresses));
	for (i = 0; i < l->addresses_len; i++)
		addresses[i] = cfg_getnstr(sec, "addresses", (unsigned)i);
	l->addresses = addresses;
	l->milters = config_join(config->arena, sec, "milters");
}

struct config *
config_load(const char *path, struct err *err)
{
	cfg_t *cfg = parse(path, err);
	struct config *config;
	const char *want;
	size_t i;

	if (cfg == NULL)
		return NULL;
	if (cfg_size(cfg, "listener") > LISTENERS_MAX) {
		err_set(err, ERR_LIMIT, "%s: over %d listeners", path,
		    LISTENERS_MAX);
		cfg_free(cfg);
		return NULL;
	}
	config = calloc(1, sizeof(*config));
	invariant(config != NULL);
	config->cfg = cfg;
	config->arena = arena_new(0);
	for (i = 0; i < KEYS_LEN; i++)
		(void)parse_value(&keys[i], cfg_getstr(cfg, keys[i].name),
		    &config->numbers[i], &want);
	for (i = 0; i < cfg_size(cfg, "listener"); i++)
		take_listener(config,
		    cfg_getnsec(cfg, "listener", (unsigned)i));
	for (i = 0; i < cfg_size(cfg, "milter"); i++)
		config_take_milter(cfg_getnsec(cfg, "milter", (unsigned)i),
		    config->arena,
		    &config->milters[config->milters_len++]);
	for (i = 0; i < cfg_size(cfg, "detonation"); i++)
		config_take_detonation(cfg_getnsec(cfg, "detonation",
		    (unsigned)i),
		    &config->detonations[config->detonations_len++]);
	if (config_check_milters(config, path, err) != 0)
		config_free(&config);
	return config;
}

void
config_free(struct config **config)
{
	if (*config == NULL)
		return;
	cfg_free((*config)->cfg);
	arena_free(&(*config)->arena);
	free(*config);
	*config = NULL;
}

/* ---- asking ---- */

const char *
config_get(const struct config *config, const char *name)
{
	return cfg_getstr(config->cfg, name);
}

uint64_t
config_get_u64(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < KEYS_LEN; i++)
		if (strcmp(keys[i].name, name) == 0)
			return config->numbers[i];
	invariant_failed("a key of the schema", __FILE__, __LINE__);
}

size_t
config_listeners(const struct config *config,
    const struct config_listener **listeners_r)
{
	*listeners_r = config->listeners;
	return config->listeners_len;
}

size_t
config_milters(const struct config *config,
    const struct config_milter **milters_r)
{
	*milters_r = config->milters;
	return config->milters_len;
}

size_t
config_detonations(const struct config *config,
    const struct config_detonation **detonations_r)
{
	*detonations_r = config->detonations;
	return config->detonations_len;
}

static bool
is_number(enum type type)
{
	return type == SIZE || type == TIME || type == COUNT ||
	    type == FLAG || type == DAYS || type == POINTS;
}

/* "route.3.host=...": for those who send and who schedule. */
static void
slice_routes(const struct config *config, struct buf *lines)
{
	static const char *const names[] = { "host", "tls", "user",
	    "password_file" };
	unsigned i, j;
	cfg_t *sec;

	for (i = 0; i < cfg_size(config->cfg, "route"); i++) {
		sec = cfg_getnsec(config->cfg, "route", i);
		buf_addf(lines, "route.%u.domain=%s\n", i, cfg_title(sec));
		for (j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			buf_addf(lines, "route.%u.%s=%s\n", i, names[j],
			    cfg_getstr(sec, names[j]));
	}
}

void
config_slice(const struct config *config, const char *program,
    struct buf *lines)
{
	size_t i;

	for (i = 0; i < KEYS_LEN; i++) {
		if (!config_is_one_of("*", keys[i].programs) &&
		    !config_is_one_of(program, keys[i].programs))
			continue;
		buf_addf(lines, "%s=", keys[i].name);
		if (is_number(keys[i].type))
			buf_add_u64(lines, config->numbers[i]);
		else
			buf_add_cstr(lines, config_get(config, keys[i].name));
		buf_add_char(lines, '\n');
	}
	if (config_is_one_of(program, "relay queued"))
		slice_routes(config, lines);
	if (strcmp(program, "smtpd") == 0)
		config_slice_milters(config, lines);
	if (strcmp(program, "detonated") == 0)
		config_slice_detonations(config, lines);
}

static void
print_routes(const struct config *config, struct buf *text)
{
	unsigned i;
	cfg_t *sec;

	for (i = 0; i < cfg_size(config->cfg, "route"); i++) {
		sec = cfg_getnsec(config->cfg, "route", i);
		buf_addf(text, "route \"%s\" {\n\thost = \"%s\"\n"
		    "\ttls = \"%s\"\n\tuser = \"%s\"\n"
		    "\tpassword_file = \"%s\"\n}\n", cfg_title(sec),
		    cfg_getstr(sec, "host"), cfg_getstr(sec, "tls"),
		    cfg_getstr(sec, "user"),
		    cfg_getstr(sec, "password_file"));
	}
}

void
config_print(const struct config *config, struct buf *text)
{
	const struct config_listener *l;
	size_t i, j;

	for (i = 0; i < KEYS_LEN; i++)
		buf_addf(text, "%s = \"%s\"\n", keys[i].name,
		    config_get(config, keys[i].name));
	for (i = 0; i < config->listeners_len; i++) {
		l = &config->listeners[i];
		buf_addf(text, "listener %s {\n\tprotocol = \"%s\"\n",
		    l->name, l->protocol);
		if (l->path[0] != '\0')
			buf_addf(text, "\tpath = \"%s\"\n", l->path);
		else
			buf_addf(text, "\tport = %u\n\taddresses = {",
			    l->port);
		for (j = 0; j < l->addresses_len; j++)
			buf_addf(text, "%s\"%s\"", j != 0 ? ", " : "",
			    l->addresses[j]);
		buf_addf(text, "%s\ttls = \"%s\"\n\tzone = \"%s\"\n"
		    "\tclear_logins = \"%s\"\n",
		    l->path[0] != '\0' ? "" : "}\n", l->tls, l->zone,
		    l->takes_clear_logins ? "yes" : "no");
		config_print_words(text, "milters", l->milters);
		buf_add_cstr(text, "}\n");
	}
	print_routes(config, text);
	config_print_milters(config, text);
	config_print_detonations(config, text);
}

void
config_document(struct buf *text)
{
	size_t i;

	for (i = 0; i < KEYS_LEN; i++)
		buf_addf(text, "# %s\n#%s = \"%s\"\n\n", keys[i].meaning,
		    keys[i].name, keys[i].fallback);
	buf_add_cstr(text, "# Mail for one domain (or, with a dot in front, "
	    "for all below it) goes there\n# instead of to its MX; the "
	    "settings are those of the smart host.\n"
	    "#route \"example.org\" {\n#\thost = \"[mail.example.org]:587\""
	    "\n#\ttls = \"verify\"\n#\tuser = \"\"\n"
	    "#\tpassword_file = \"\"\n#}\n\n"
	    "# A mail filter (milter protocol). The listeners that name it in\n"
	    "# milters = {\"NAME\", ...} (protocol smtp or submission) ask it\n"
	    "# about each session, in the order of that list. address:\n"
	    "# unix:/PATH or ADDRESS@PORT; unavailable: what is done with mail\n"
	    "# when it does not answer: tempfail, accept, reject, quarantine;\n"
	    "# macros: names told beside the usual ones, unless it chooses.\n"
	    "#milter NAME {\n#\taddress = \"127.0.0.1@8891\"\n"
	    "#\tconnect_timeout = \"30s\"\n#\tcommand_timeout = \"30s\"\n"
	    "#\tmessage_timeout = \"120s\"\n#\tunavailable = \"tempfail\""
	    "\n#\tmacros = {}\n#}\n\n");
	config_document_detonations(text);
}
