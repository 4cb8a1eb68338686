/* SPDX-License-Identifier: ISC */
/* words: what values of several blocks look like. */
#include "config/config_int.h"
#include "io/netaddr.h"

bool
config_is_one_of(const char *value, const char *list)
{
	struct str rest = str_of(list), word;

	while (rest.p != NULL) {
		word = str_cut(rest, ' ', &rest);
		if (str_eq(word, str_of(value)))
			return true;
	}
	return false;
}

bool
config_is_address(const char *text)
{
	struct str host, rest;
	struct netaddr addr;
	uint64_t port;

	if (str_begins(str_of(text), STR("unix:/")))
		return strlen(text) < 100 && str_is_printable(str_of(text));
	host = str_cut(str_of(text), '@', &rest);
	return rest.p != NULL && netaddr_parse(host, &addr, NULL) == 0 &&
	    str_to_u64(rest, 65535, &port) == 0 && port != 0;
}

bool
config_is_word(const char *text)
{
	return text[0] != '\0' && str_find(str_of(text), ' ') == STR_NPOS &&
	    str_is_printable(str_of(text));
}
