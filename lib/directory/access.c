/* SPDX-License-Identifier: ISC */
#include "directory/access.h"

static const struct str services[] = {
	{ "smtps", 5 }, { "submission", 10 }, { "imap", 4 }, { "imaps", 5 },
	{ "pop3", 4 }, { "pop3s", 5 }, { "sieve", 5 }, { "web", 3 },
	{ "*", 1 },
};

static bool
is_service(struct str word)
{
	size_t i;

	for (i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (str_eq(word, services[i]))
			return true;
	return false;
}

static bool
is_zone(struct str word)
{
	size_t i;

	for (i = 0; i < word.len; i++)
		if (!ascii_is_alpha(word.p[i]) &&
		    !ascii_is_digit(word.p[i]) && word.p[i] != '-' &&
		    word.p[i] != '_' && !(word.p[i] == '*' && word.len == 1))
			return false;
	return word.len != 0 && word.len < 32;
}

int
access_check(struct str grid, struct err *err)
{
	struct str word, service, zones, zone;

	if (grid.len > 1000)
		return err_set(err, ERR_SYNTAX, "access: too long");
	while (grid.len != 0) {
		word = str_cut(grid, ' ', &grid);
		if (word.len == 0)
			continue;
		service = str_cut(word, ':', &zones);
		if (!is_service(service))
			return err_set(err, ERR_SYNTAX, "access: no service "
			    "%.*s: want smtps, submission, imaps, imap, "
			    "pop3s, pop3, sieve, web or *", STR_FMT(service));
		do {
			zone = str_cut(zones, ',', &zones);
			if (!is_zone(zone))
				return err_set(err, ERR_SYNTAX, "access: "
				    "%.*s: want SERVICE:ZONE,ZONE",
				    STR_FMT(word));
		} while (zones.p != NULL);
	}
	return 0;
}

static bool
has_zone(struct str zones, struct str zone)
{
	struct str word;

	while (zones.len != 0) {
		word = str_cut(zones, ',', &zones);
		if (str_eq(word, zone) || str_eq(word, STR("*")))
			return true;
	}
	return false;
}

bool
access_allows(struct str grid, struct str service, struct str zone)
{
	struct str word, name, zones;

	if (str_trim(grid).len == 0)
		return true;
	while (grid.len != 0) {
		word = str_cut(grid, ' ', &grid);
		name = str_cut(word, ':', &zones);
		if ((str_eq(name, service) || str_eq(name, STR("*"))) &&
		    has_zone(zones, zone))
			return true;
	}
	return false;
}
