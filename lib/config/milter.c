/* SPDX-License-Identifier: ISC */
/* milter: the blocks of mail filters, and the lists that name them. */
#include "config/config_int.h"

#define MACROS_OCTETS_MAX 250

static char no_words[] = "{}";

cfg_opt_t config_milter_opts[] = {
	CFG_STR("address", "", CFGF_NONE),
	CFG_STR("connect_timeout", "30s", CFGF_NONE),
	CFG_STR("command_timeout", "30s", CFGF_NONE),
	CFG_STR("message_timeout", "120s", CFGF_NONE),
	CFG_STR("unavailable", "tempfail", CFGF_NONE),
	CFG_STR_LIST("macros", no_words, CFGF_NONE),
	CFG_END(),
};

/* The words of a list with blanks between them. */
const char *
config_join(struct arena *arena, cfg_t *sec, const char *name)
{
	struct str all = STR("");
	unsigned i;

	for (i = 0; i < cfg_size(sec, name); i++)
		all = arena_printf(arena, "%.*s%s%s", STR_FMT(all),
		    i != 0 ? " " : "", cfg_getnstr(sec, name, i));
	return arena_cstr(arena, all);
}

int
config_check_milter(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	static const char *const times[] = { "connect_timeout",
	    "command_timeout", "message_timeout" };
	size_t i, octets = 0;
	uint64_t seconds;

	if (!config_is_address(cfg_getstr(sec, "address"))) {
		cfg_error(cfg, "milter %s: address = \"%s\": want "
		    "unix:/PATH or ADDRESS@PORT", cfg_title(sec),
		    cfg_getstr(sec, "address"));
		return -1;
	}
	if (!config_is_one_of(cfg_getstr(sec, "unavailable"),
	    "tempfail accept reject quarantine")) {
		cfg_error(cfg, "milter %s: unavailable = \"%s\": want "
		    "tempfail, accept, reject or quarantine", cfg_title(sec),
		    cfg_getstr(sec, "unavailable"));
		return -1;
	}
	for (i = 0; i < cfg_size(sec, "macros"); i++)
		octets += strlen(cfg_getnstr(sec, "macros", (unsigned)i)) + 1;
	for (i = 0; i < cfg_size(sec, "macros"); i++)
		if (!config_is_word(cfg_getnstr(sec, "macros", (unsigned)i)) ||
		    octets > MACROS_OCTETS_MAX) {
			cfg_error(cfg, "milter %s: macros = ...: want names "
			    "without blanks, %d octets in all",
			    cfg_title(sec), MACROS_OCTETS_MAX);
			return -1;
		}
	for (i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (config_parse_time(str_of(cfg_getstr(sec, times[i])),
		    &seconds) != 0 || seconds == 0 || seconds > 3600) {
			cfg_error(cfg, "milter %s: %s = \"%s\": want a time "
			    "such as 30s", cfg_title(sec), times[i],
			    cfg_getstr(sec, times[i]));
			return -1;
		}
	if (!config_is_word(cfg_title(sec)) ||
	    cfg_opt_size(opt) > CONFIG_MILTERS_MAX) {
		cfg_error(cfg, "milter %s: want a name without blanks, and at "
		    "most %d of them", cfg_title(sec), CONFIG_MILTERS_MAX);
		return -1;
	}
	return 0;
}

void
config_take_milter(cfg_t *sec, struct arena *arena, struct config_milter *m)
{
	m->name = cfg_title(sec);
	m->address = cfg_getstr(sec, "address");
	m->unavailable = cfg_getstr(sec, "unavailable");
	m->macros = config_join(arena, sec, "macros");
	(void)config_parse_time(str_of(cfg_getstr(sec, "connect_timeout")),
	    &m->connect_s);
	(void)config_parse_time(str_of(cfg_getstr(sec, "command_timeout")),
	    &m->command_s);
	(void)config_parse_time(str_of(cfg_getstr(sec, "message_timeout")),
	    &m->message_s);
}

/* The milters that listeners name are there, and the listeners take mail. */
int
config_check_milters(const struct config *config, const char *path,
    struct err *err)
{
	const struct config_listener *l;
	const struct config_milter *milters;
	size_t i, j, len = config_milters(config, &milters);
	size_t listeners_len = config_listeners(config, &l);
	struct str rest, word;

	for (i = 0; i < listeners_len; i++, l++) {
		if (l->milters[0] != '\0' &&
		    !config_is_one_of(l->protocol, "smtp submission"))
			return err_set(err, ERR_SYNTAX, "%s: listener %s: "
			    "milters = ...: want protocol smtp or submission",
			    path, l->name);
		rest = str_of(l->milters);
		while (rest.len != 0) {
			word = str_cut(rest, ' ', &rest);
			for (j = 0; j < len; j++)
				if (str_eq(word, str_of(milters[j].name)))
					break;
			if (j == len)
				return err_set(err, ERR_SYNTAX, "%s: "
				    "listener %s: no milter %.*s", path,
				    l->name, STR_FMT(word));
		}
	}
	return 0;
}

/* "milter.NAME=30 30 120 tempfail", "milters.LISTENER=NAME NAME". Where they
 * are is not smtpd's business: hikyakud connects. */
void
config_slice_milters(const struct config *config, struct buf *lines)
{
	const struct config_listener *l;
	const struct config_milter *m;
	size_t i, len = config_milters(config, &m);

	for (i = 0; i < len; i++, m++)
		buf_addf(lines, "milter.%s=%llu %llu %llu %s %s\n", m->name,
		    (unsigned long long)m->connect_s,
		    (unsigned long long)m->command_s,
		    (unsigned long long)m->message_s, m->unavailable,
		    m->macros);
	len = config_listeners(config, &l);
	for (i = 0; i < len; i++, l++)
		buf_addf(lines, "milters.%s=%s\n", l->name, l->milters);
}

/* milters = {"a", "b"} */
void
config_print_words(struct buf *text, const char *name, const char *words)
{
	struct str rest = str_of(words), word;
	const char *between = "";

	buf_addf(text, "\t%s = {", name);
	while (rest.len != 0) {
		word = str_cut(rest, ' ', &rest);
		buf_addf(text, "%s\"%.*s\"", between, STR_FMT(word));
		between = ", ";
	}
	buf_add_cstr(text, "}\n");
}

void
config_print_milters(const struct config *config, struct buf *text)
{
	const struct config_milter *m;
	size_t i, len = config_milters(config, &m);

	for (i = 0; i < len; i++, m++) {
		buf_addf(text, "milter %s {\n\taddress = \"%s\"\n"
		    "\tconnect_timeout = \"%llus\"\n"
		    "\tcommand_timeout = \"%llus\"\n"
		    "\tmessage_timeout = \"%llus\"\n"
		    "\tunavailable = \"%s\"\n", m->name, m->address,
		    (unsigned long long)m->connect_s,
		    (unsigned long long)m->command_s,
		    (unsigned long long)m->message_s, m->unavailable);
		config_print_words(text, "macros", m->macros);
		buf_add_cstr(text, "}\n");
	}
}
