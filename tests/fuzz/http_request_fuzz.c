/* SPDX-License-Identifier: ISC */
/*
 * Octets of a connection, request after request. A request that was got is
 * inside its input; its header holds no bare CR or LF; read as a query and as
 * XML it does no harm.
 */
#include "http/request.h"
#include "http/uri.h"
#include "http/xml.h"

#define BODY_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_fields(const struct http_request *request, struct str in)
{
	const struct http_field *field;
	size_t i;

	invariant(request->fields_len <= HTTP_FIELDS_MAX);
	for (i = 0; i < request->fields_len; i++) {
		field = &request->fields[i];
		invariant(field->name.len != 0 && field->name.p >= in.p &&
		    field->value.p >= in.p &&
		    field->value.p + field->value.len <= in.p + in.len);
		invariant(str_find(field->value, '\n') == STR_NPOS &&
		    str_find(field->value, '\r') == STR_NPOS);
	}
}

static void
check_request(struct arena *arena, const struct http_request *request,
    struct str in)
{
	struct xml_wanted wanted = { .name = "EMailAddress" };
	struct str value;

	invariant(request->path.len != 0 && request->path.p[0] == '/');
	invariant(request->body.len <= BODY_MAX);
	invariant(str_is_utf8(request->path));
	check_fields(request, in);
	if (uri_query_get(arena, request->query, STR("email"), &value,
	    NULL) == 0)
		invariant(str_is_utf8(value));
	if (xml_read(arena, request->body, &wanted, 1, NULL) == 0)
		invariant(wanted.text.len <= XML_TEXT_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(0);
	struct str in = str_make(data, size);
	struct http_request request;
	size_t used, requests = 0;
	unsigned status;

	while (requests++ < 50 && http_request_read(arena, in, BODY_MAX,
	    &request, &used, &status) == HTTP_GOT) {
		invariant(used != 0 && used <= in.len);
		check_request(arena, &request, in);
		in = str_sub(in, used, STR_NPOS);
	}
	arena_free(&arena);
	return 0;
}
