/* SPDX-License-Identifier: ISC */
/* Tag lists and key records: values are inside the text, where at and end say;
 * names come once. */
#include "mailauth/dkim_key.h"
#include "mailauth/tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_tags(struct arena *arena, struct str text, const struct tags *tags)
{
	const struct tag *tag;
	struct str octets, item, rest;
	size_t i;

	for (i = 0; i < tags->count; i++) {
		tag = &tags->v[i];
		invariant(tag->at <= tag->end && tag->end <= text.len);
		invariant(str_eq(tag->value, str_trim(str_sub(text, tag->at,
		    tag->end - tag->at))));
		invariant(tag->end == text.len || text.p[tag->end] == ';');
		invariant(str_find(tag->value, ';') == STR_NPOS);
		invariant(str_find(tags_squeeze(arena, tag->value), ' ') ==
		    STR_NPOS);
		(void)tags_base64(arena, tag->value, &octets, NULL);
		for (rest = tag->value; tags_next_item(&rest, &item);)
			invariant(str_find(item, ':') == STR_NPOS);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct arena *arena = arena_new(0);
	struct dkim_key key;
	struct tags tags;

	if (tags_parse(text, &tags, NULL) == 0)
		check_tags(arena, text, &tags);
	if (dkim_key_parse(text, &key, NULL) == 0) {
		invariant(key.pkey != NULL && key.bits > 0);
		dkim_key_fini(&key);
	}
	arena_free(&arena);
	return 0;
}
