/* SPDX-License-Identifier: ISC */
/* Fields are views in order, without overlap; their parts are inside. */
#include "mail_fuzz.h"

#include "mail/charset.h"

static void
check_params(struct arena *arena, const struct mail_params *params)
{
	size_t i;

	invariant(params->count <= HEADER_PARAMS_MAX);
	for (i = 0; i < params->count; i++)
		invariant(params->v[i].value.p != NULL);
	(void)mail_param_decode(arena, params, STR("name"));
	(void)mail_param_decode(arena, params, STR("filename"));
}

static void
check_value(struct arena *arena, struct str value)
{
	struct content_type ct;
	struct mail_params params;
	struct str s;

	s = header_unfold(arena, value);
	invariant(s.len <= value.len);
	invariant(s.len == 0 || (memchr(s.p, '\n', s.len) == NULL &&
	    memchr(s.p, '\0', s.len) == NULL));
	if (header_content_type(arena, value, &ct)) {
		invariant(ct.type.len != 0 && ct.subtype.len != 0);
		check_params(arena, &ct.params);
	}
	if (header_disposition(arena, value, &s, &params))
		check_params(arena, &params);
	(void)header_token(arena, value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct str block = str_make(data, size);
	struct header_field field;
	struct header_iter iter;
	size_t after = 0, n = 0;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field) && n++ < 50) {
		invariant(field.at >= after);
		after = field.at + field.raw.len;
		invariant(after <= size && field.raw.p == block.p + field.at);
		invariant(field.name.len != 0 &&
		    field.name.p == field.raw.p);
		invariant(field.value.p > field.name.p &&
		    field.value.p + field.value.len <= block.p + after);
		check_value(arena, field.value);
	}
	check_value(arena, block);
	arena_free(&arena);
	return 0;
}
