/* SPDX-License-Identifier: ISC */
/*
 * A field that is read is written again as one field, which reads the same;
 * the octets as one value never make a second line or result.
 */
#include "mailauth/authres.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_field(struct str field)
{
	size_t i;

	invariant(field.len > 2 && field.p[field.len - 1] == '\n');
	for (i = 0; i < field.len; i++) {
		invariant(field.p[i] != '\0');
		if (field.p[i] == '\r')
			invariant(field.p[i + 1] == '\n');
		if (field.p[i] == '\n' && i + 1 < field.len)
			invariant(field.p[i - 1] == '\r' &&
			    field.p[i + 1] == ' ');
	}
}

static void
write_and_read(struct arena *arena, const struct authres_list *list)
{
	struct authres_list *again = arena_new_of(arena, struct authres_list);
	struct str value;
	struct buf out;

	buf_init(&out, 4U << 20);
	authres_put_field(&out, list);
	check_field(buf_str(&out));
	(void)str_cut(buf_str(&out), ':', &value);
	invariant(authres_parse(arena, value, again, NULL) == 0);
	invariant(again->count == list->count);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest, text = str_make(data, size);
	struct arena *arena = arena_new(0);
	struct authres_list *list = arena_new_of(arena, struct authres_list);
	struct authres *one;

	if (size > 4096) {
		arena_free(&arena);
		return 0;
	}
	if (authres_parse(arena, text, list, NULL) == 0)
		invariant(authres_id(arena, text, &rest).p != NULL);
	memset(list, 0, sizeof(*list));
	list->authserv_id = STR("mx.test");
	one = authres_add(list, "dkim", MAILAUTH_PASS);
	one->reason = text;
	authres_prop(one, "header.i", text);
	one->comment = str_sub(text, 0, 100);
	write_and_read(arena, list);
	arena_free(&arena);
	return 0;
}
