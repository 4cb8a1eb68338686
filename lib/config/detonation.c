/* SPDX-License-Identifier: ISC */
/* detonation: the blocks of the engines that open suspicious mail. */
#include "config/config_int.h"

#define NAME_MAX_OCTETS 32
#define HOST_MAX_OCTETS 253

cfg_opt_t config_detonation_opts[] = {
	CFG_STR("engine", "cape", CFGF_NONE),
	CFG_STR("kind", "virtual", CFGF_NONE),
	CFG_STR("address", "", CFGF_NONE),
	CFG_STR("tls", "none", CFGF_NONE),
	CFG_STR("host", "", CFGF_NONE),
	CFG_STR("ca", "", CFGF_NONE),
	CFG_STR("token_file", "", CFGF_NONE),
	CFG_STR("path", "/apiv2", CFGF_NONE),
	CFG_END(),
};

/* A name that stands in a verdict and in a header field. */
static bool
is_label(const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (!ascii_is_alpha(text[i]) && !ascii_is_digit(text[i]) &&
		    strchr("-_.", text[i]) == NULL)
			return false;
	return i != 0 && i <= NAME_MAX_OCTETS;
}

static bool
is_host(const char *text)
{
	size_t i;

	for (i = 0; text[i] != '\0'; i++)
		if (!ascii_is_alpha(text[i]) && !ascii_is_digit(text[i]) &&
		    text[i] != '-' && text[i] != '.')
			return false;
	return i <= HOST_MAX_OCTETS;
}

/* What all paths begin with: nothing that has a meaning in a URL. */
static bool
is_path(const char *text)
{
	size_t i;

	if (text[0] != '/' && text[0] != '\0')
		return false;
	for (i = 0; text[i] != '\0'; i++)
		if (!ascii_is_alpha(text[i]) && !ascii_is_digit(text[i]) &&
		    strchr("/-._~", text[i]) == NULL)
			return false;
	return i < 200 && (i < 2 || text[i - 1] != '/');
}

static bool
are_texts(cfg_t *sec)
{
	return str_is_printable(str_of(cfg_getstr(sec, "ca"))) &&
	    str_is_printable(str_of(cfg_getstr(sec, "token_file")));
}

int
config_check_detonation(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *sec = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *title = cfg_title(sec);

	if (!is_label(title) || cfg_opt_size(opt) > CONFIG_DETONATIONS_MAX)
		cfg_error(cfg, "detonation %s: want a name of letters, digits "
		    "and -_., and at most %d of them", title,
		    CONFIG_DETONATIONS_MAX);
	else if (!config_is_one_of(cfg_getstr(sec, "engine"), "cape"))
		cfg_error(cfg, "detonation %s: engine = \"%s\": want cape",
		    title, cfg_getstr(sec, "engine"));
	else if (!is_label(cfg_getstr(sec, "kind")))
		cfg_error(cfg, "detonation %s: kind = \"%s\": want a word "
		    "such as virtual or physical", title,
		    cfg_getstr(sec, "kind"));
	else if (!config_is_address(cfg_getstr(sec, "address")))
		cfg_error(cfg, "detonation %s: address = \"%s\": want "
		    "unix:/PATH or ADDRESS@PORT", title,
		    cfg_getstr(sec, "address"));
	else if (!config_is_one_of(cfg_getstr(sec, "tls"), "none verify"))
		cfg_error(cfg, "detonation %s: tls = \"%s\": want none or "
		    "verify", title, cfg_getstr(sec, "tls"));
	else if (!is_host(cfg_getstr(sec, "host")))
		cfg_error(cfg, "detonation %s: host = \"%s\": want a host "
		    "name", title, cfg_getstr(sec, "host"));
	else if (!is_path(cfg_getstr(sec, "path")))
		cfg_error(cfg, "detonation %s: path = \"%s\": want a path "
		    "such as /apiv2", title, cfg_getstr(sec, "path"));
	else if (!are_texts(sec))
		cfg_error(cfg, "detonation %s: ca, token_file: want text on "
		    "one line", title);
	else
		return 0;
	return -1;
}

void
config_take_detonation(cfg_t *sec, struct config_detonation *d)
{
	d->name = cfg_title(sec);
	d->engine = cfg_getstr(sec, "engine");
	d->kind = cfg_getstr(sec, "kind");
	d->address = cfg_getstr(sec, "address");
	d->tls = cfg_getstr(sec, "tls");
	d->host = cfg_getstr(sec, "host");
	d->ca = cfg_getstr(sec, "ca");
	d->token_file = cfg_getstr(sec, "token_file");
	d->path = cfg_getstr(sec, "path");
}

/* "detonation.NAME=cape virtual none /apiv2 HOST ADDRESS@PORT", and what may
 * have blanks. The address stands in URLs and certificates; it is hikyakud
 * that connects. */
void
config_slice_detonations(const struct config *config, struct buf *lines)
{
	const struct config_detonation *d;
	size_t i, n = config_detonations(config, &d);

	for (i = 0; i < n; i++, d++) {
		buf_addf(lines, "detonation.%s=%s %s %s %s %s %s\n", d->name,
		    d->engine, d->kind, d->tls, d->path, d->host,
		    d->address);
		buf_addf(lines, "detonation_ca.%s=%s\n", d->name, d->ca);
		buf_addf(lines, "detonation_token.%s=%s\n", d->name,
		    d->token_file);
	}
}

void
config_print_detonations(const struct config *config, struct buf *text)
{
	const struct config_detonation *d;
	size_t i, n = config_detonations(config, &d);

	for (i = 0; i < n; i++, d++)
		buf_addf(text, "detonation %s {\n\tengine = \"%s\"\n"
		    "\tkind = \"%s\"\n\taddress = \"%s\"\n\ttls = \"%s\"\n"
		    "\thost = \"%s\"\n\tca = \"%s\"\n\ttoken_file = \"%s\"\n"
		    "\tpath = \"%s\"\n}\n", d->name, d->engine, d->kind,
		    d->address, d->tls, d->host, d->ca, d->token_file,
		    d->path);
}

void
config_document_detonations(struct buf *text)
{
	buf_add_cstr(text,
	    "# An engine that opens suspicious mail where it can do no harm;\n"
	    "# with several blocks all are asked. engine: cape (CAPEv2's\n"
	    "# apiv2); kind: told in verdicts: virtual, physical, ...;\n"
	    "# address: unix:/PATH or ADDRESS@PORT; tls: none (closed network\n"
	    "# only) or verify; host: its name in HTTP and in its certificate,\n"
	    "# when that is not the address; ca: PEM file of the authorities it\n"
	    "# is checked against, empty: the system's; token_file: file whose\n"
	    "# first line is the API's token. A change needs a restart.\n"
	    "#detonation NAME {\n#\tengine = \"cape\"\n"
	    "#\tkind = \"virtual\"\n#\taddress = \"192.0.2.7@8000\"\n"
	    "#\ttls = \"none\"\n#\thost = \"\"\n#\tca = \"\"\n"
	    "#\ttoken_file = \"\"\n#\tpath = \"/apiv2\"\n#}\n");
}
