/* SPDX-License-Identifier: ISC */
#include "http/request.h"

#include <llhttp.h>

#include "http/uri.h"

/* Empty lines in front of a request (RFC 9112 section 2.2). */
#define EMPTY_LINES_MAX 4

struct reading {
	struct http_request *request;
	struct str target;
	bool has_too_many;
	bool is_value;		/* the last span was of a value */
};

/* ---- the octets ---- */

/* Only CRLF ends lines, and none begins with a blank (obsolete folding). */
static bool
is_strict(struct str header)
{
	size_t i;
	char c;

	for (i = 0; i < header.len; i++) {
		c = header.p[i];
		if (c == '\0' || (c == '\n' && (i == 0 ||
		    header.p[i - 1] != '\r')))
			return false;
		if (c == '\r' && (i + 1 >= header.len ||
		    header.p[i + 1] != '\n'))
			return false;
		if ((c == ' ' || c == '\t') && (i == 0 ||
		    header.p[i - 1] == '\n'))
			return false;
	}
	return true;
}

/* ---- llhttp's callbacks: spans of one whole header ---- */

static int
on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *r = parser->data;

	if (r->target.p == NULL)
		r->target.p = at;
	r->target.len += len;
	return 0;
}

static int
on_name(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *r = parser->data;
	struct http_request *request = r->request;
	struct http_field *field;

	if (request->fields_len == 0 || r->is_value) {
		if (request->fields_len == HTTP_FIELDS_MAX) {
			r->has_too_many = true;
			return -1;
		}
		field = &request->fields[request->fields_len++];
		field->name = str_make(at, 0);
		field->value = str_make(at, 0);
		r->is_value = false;
	}
	request->fields[request->fields_len - 1].name.len += len;
	return 0;
}

static int
on_value(llhttp_t *parser, const char *at, size_t len)
{
	struct reading *r = parser->data;
	struct http_field *field;

	if (r->request->fields_len == 0)
		return -1;
	/* One span a value: it has no folds. */
	field = &r->request->fields[r->request->fields_len - 1];
	if (!r->is_value)
		field->value = str_make(at, 0);
	else if (at != field->value.p + field->value.len)
		return -1;
	r->is_value = true;
	field->value.len += len;
	return 0;
}

/* An empty value has no span of its own. */
static int
on_value_end(llhttp_t *parser)
{
	struct reading *r = parser->data;

	r->is_value = true;
	return 0;
}

/* The body is ours. */
static int
on_header_end(llhttp_t *parser)
{
	(void)parser;
	return 1;
}

/* llhttp 8.1 takes a field without a name. */
static bool
has_names(const struct http_request *request)
{
	size_t i;

	for (i = 0; i < request->fields_len; i++)
		if (request->fields[i].name.len == 0)
			return false;
	return true;
}

static unsigned
parse_header(struct str header, struct reading *r)
{
	llhttp_settings_t settings;
	llhttp_t parser;
	llhttp_errno_t code;

	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_header_field = on_name;
	settings.on_header_value = on_value;
	settings.on_header_value_complete = on_value_end;
	settings.on_headers_complete = on_header_end;
	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = r;
	code = llhttp_execute(&parser, header.p, header.len);
	if (r->has_too_many)
		return 431;
	/* CONNECT and Upgrade end as paused: neither is served. */
	if (code == HPE_INVALID_VERSION)
		return 505;
	if (code != HPE_OK || !has_names(r->request))
		return 400;
	if (parser.http_major != 1)
		return 505;
	r->request->method = str_of(llhttp_method_name(
	    (llhttp_method_t)parser.method));
	r->request->keeps_alive = parser.http_minor >= 1;
	return 0;
}

/* ---- what the fields mean ---- */

struct str
http_field_get(const struct http_request *request, struct str name)
{
	size_t i;

	for (i = 0; i < request->fields_len; i++)
		if (str_eq_nocase(request->fields[i].name, name))
			return request->fields[i].value;
	return STR_NONE;
}

static size_t
count_fields(const struct http_request *request, struct str name)
{
	size_t i, n = 0;

	for (i = 0; i < request->fields_len; i++)
		n += str_eq_nocase(request->fields[i].name, name);
	return n;
}

/* A host name or literal without its port, lower case; the grammar of what
 * is left is a matter of who uses it. */
static int
set_host(struct arena *arena, struct http_request *request, struct str host)
{
	size_t i, end = str_rfind(host, ':');
	char *lower;

	if (end != STR_NPOS && str_find(str_sub(host, end, STR_NPOS), ']') ==
	    STR_NPOS)
		host.len = end;
	lower = arena_cstr(arena, str_make("", 0));
	if (host.len > 255 || memchr(host.p != NULL ? host.p : "", '\0',
	    host.len) != NULL)
		return ERR_SYNTAX;
	if (host.len != 0)
		lower = arena_cstr(arena, host);
	for (i = 0; i < host.len; i++) {
		if (host.p[i] <= ' ' || host.p[i] >= 0x7f ||
		    strchr("/@?#\\%", host.p[i]) != NULL)
			return ERR_SYNTAX;
		lower[i] = ascii_lower(host.p[i]);
	}
	request->host = str_make(lower, host.len);
	if (request->host.len > 1 &&
	    request->host.p[request->host.len - 1] == '.')
		request->host.len--;
	return 0;
}

/* RFC 9112 section 3.2: origin-form, or absolute-form whose authority wins. */
static unsigned
read_target(struct arena *arena, struct str target,
    struct http_request *request)
{
	struct str host = http_field_get(request, STR("Host")), query;
	size_t slash;

	if (count_fields(request, STR("Host")) > 1 ||
	    (host.p == NULL && request->keeps_alive))
		return 400;
	if (str_begins_nocase(target, STR("http://")) ||
	    str_begins_nocase(target, STR("https://"))) {
		target = str_sub(target, str_find(target, '/') + 2,
		    STR_NPOS);
		slash = str_find(target, '/');
		host = str_sub(target, 0, slash);
		target = slash == STR_NPOS ? STR("/") :
		    str_sub(target, slash, STR_NPOS);
	}
	if (target.len == 0 || target.p[0] != '/' ||
	    set_host(arena, request, host) != 0)
		return 400;
	target = str_cut(target, '?', &query);
	request->query = query;
	return uri_decode(arena, target, false, &request->path, NULL) == 0 ?
	    0 : 400;
}

static unsigned
read_length(const struct http_request *request, size_t body_max,
    size_t *len_r)
{
	struct str text = http_field_get(request, STR("Content-Length"));
	uint64_t len = 0;
	int rc;

	*len_r = 0;
	if (count_fields(request, STR("Transfer-Encoding")) != 0)
		return 501;
	if (count_fields(request, STR("Content-Length")) > 1)
		return 400;
	if (text.p == NULL)
		return 0;
	rc = str_to_u64(text, body_max, &len);
	if (rc != 0)
		return rc == ERR_LIMIT ? 413 : 400;
	*len_r = (size_t)len;
	return 0;
}

static void
read_connection(struct http_request *request)
{
	struct str value = http_field_get(request, STR("Connection"));

	/* RFC 9112 section 9.3; HTTP/1.0's keep-alive is not offered. */
	if (str_find_nocase(value, STR("close")) != STR_NPOS)
		request->keeps_alive = false;
	request->expects_continue = str_eq_nocase(http_field_get(request,
	    STR("Expect")), STR("100-continue"));
}

/* ---- the whole ---- */

static enum http_result
bad(unsigned status, unsigned *status_r)
{
	*status_r = status;
	return HTTP_BAD;
}

enum http_result
http_request_read(struct arena *arena, struct str in, size_t body_max,
    struct http_request *request_r, size_t *used_r, unsigned *status_r)
{
	struct reading r = { .request = request_r };
	size_t skipped = 0, end, body_len;
	unsigned status;

	memset(request_r, 0, sizeof(*request_r));
	while (str_begins(in, STR("\r\n")) &&
	    skipped < EMPTY_LINES_MAX * 2U) {
		in = str_sub(in, 2, STR_NPOS);
		skipped += 2;
	}
	end = str_find_str(str_sub(in, 0, HTTP_HEADER_MAX),
	    STR("\r\n\r\n"));
	if (end == STR_NPOS)
		return in.len < HTTP_HEADER_MAX ? HTTP_MORE :
		    bad(431, status_r);
	end += 4;
	if (!is_strict(str_sub(in, 0, end)))
		return bad(400, status_r);
	status = parse_header(str_sub(in, 0, end), &r);
	if (status == 0)
		status = read_target(arena, r.target, request_r);
	if (status == 0)
		status = read_length(request_r, body_max, &body_len);
	if (status != 0)
		return bad(status, status_r);
	read_connection(request_r);
	if (in.len - end < body_len)
		return HTTP_MORE;
	request_r->body = str_sub(in, end, body_len);
	*used_r = skipped + end + body_len;
	return HTTP_GOT;
}
