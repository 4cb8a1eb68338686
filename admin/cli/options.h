/* SPDX-License-Identifier: ISC */
/*
 * options: the command line by tables: one of verbs, one of options. A verb
 * names the operands and options it takes; both become members of the JSON
 * object that is sent (docs/cli.md), so that most verbs need no code.
 *
 *   operands  "address target?"  keys in order; ? may be missing, * is an
 *             array of all that follow, which may be empty
 *   options   "domain! name"     ids in the table of options; ! must be there
 *   fixed     "enabled=true"     a member that the verb itself sets
 *
 * Ownership.  The parsed objects are the caller's: options_free().
 * Errors.     ERR_SYNTAX with a text for the user: exit status 2.
 * Blocking.   Never.
 */
#ifndef ADMIN_CLI_OPTIONS_H
#define ADMIN_CLI_OPTIONS_H

#include <jansson.h>

#include "base/str.h"

struct cli;

struct verb {
	const char *noun;
	const char *verb;		/* empty: the noun stands alone */
	const char *operands;
	const char *options;
	int (*run)(struct cli *cli);
	const char *remote;		/* verb to ask for; NULL: the same */
	const char *fixed;		/* NULL: none */
	const char *columns;		/* what a table shows: see print.c */
	const char *help;
};

struct parsed {
	const char *config_path;
	bool is_json;
	bool wants_help;
	bool wants_version;
	const char *noun;		/* NULL: none was given */
	const struct verb *verb;	/* NULL: only with help or version */
	json_t *request;		/* members that are sent */
	json_t *local;			/* members that are not */
};

int options_parse(const struct verb *verbs, size_t verbs_len, int argc,
    char **argv, struct parsed *parsed_r, struct err *err);
void options_free(struct parsed *parsed);

/* Help for all, for a noun (verb NULL), or for one verb. */
void options_help(const struct verb *verbs, size_t verbs_len,
    const struct parsed *parsed, FILE *to);

/* Does every option of every verb exist? For the test. */
bool options_are_known(const struct verb *verb);

#endif
