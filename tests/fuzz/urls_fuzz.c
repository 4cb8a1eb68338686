/* SPDX-License-Identifier: ISC */
/* The same octets as a page, as text, as one link. */
#include <stddef.h>
#include <stdint.h>

#include "filterd/attack/lookalike.h"
#include "filterd/attack/urls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct url *url)
{
	invariant(url->raw.len <= URL_KEPT_MAX);
	invariant(str_find(url->raw, '\n') == STR_NPOS);
	invariant(url->host.len != 0 || (url->flags & URL_RUNS) != 0);
	if ((url->flags & (URL_IS_BROKEN | URL_IS_ADDRESS)) == 0)
		invariant(str_is_printable(url->host));
	invariant((url->flags & URL_IS_ODD_ADDRESS) == 0 ||
	    (url->flags & URL_IS_ADDRESS) != 0);
	invariant((url->flags & URL_IS_DECEPTIVE) == 0 ||
	    url->shown.len != 0);
}

/* Kept over all inputs, as a worker does. */
static struct lookalike *known;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str s = str_make(data, size), which;
	struct url_list *list = url_list_new();
	size_t i;

	if (known == NULL) {
		known = lookalike_new(NULL, NULL);
		invariant(known != NULL);
		invariant(lookalike_add(known, STR("hikyaku.example"), 0));
		invariant(lookalike_add(known, STR("example.co.jp"), 0));
	}
	urls_of_html(list, s);
	urls_of_text(list, s);
	url_list_add(list, s, s, 0);
	invariant(url_list_count(list) <= URLS_MAX);
	for (i = 0; i < url_list_count(list); i++) {
		const struct url *url = url_list_get(list, i);
		enum lookalike_how how;

		check(url);
		how = lookalike_of(known, url->host, &which);
		invariant((how == LOOKALIKE_NOTHING) == (which.len == 0));
		(void)lookalike_is_mixed(known, url->host);
	}
	url_list_free(&list);
	return 0;
}
