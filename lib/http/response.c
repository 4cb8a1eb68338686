/* SPDX-License-Identifier: ISC */
#include "http/response.h"

#include "base/when.h"

static const struct {
	unsigned status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

const char *
http_reason(unsigned status)
{
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Error";
}

/* RFC 9110 section 5.6.7: always in English and GMT. */
static void
put_date(struct buf *out)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
	    "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May",
	    "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t now = (time_t)when_wall_s();
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		buf_addf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n",
		    days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void
http_put_response(struct buf *out, const struct http_response *response)
{
	struct str body = response->body;
	const char *reason = http_reason(response->status);
	char text[64];

	if (body.len == 0 && response->status != 200) {
		(void)snprintf(text, sizeof(text), "%s\r\n", reason);
		body = str_of(text);
	}
	buf_addf(out, "HTTP/1.1 %u %s\r\n", response->status, reason);
	put_date(out);
	buf_addf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n",
	    response->content_type != NULL ? response->content_type :
	    "text/plain; charset=utf-8", body.len);
	buf_add_cstr(out, "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "X-Frame-Options: DENY\r\n"
	    "Content-Security-Policy: default-src 'none'; "
	    "frame-ancestors 'none'\r\n"
	    "Referrer-Policy: no-referrer\r\n");
	if (response->fields != NULL)
		buf_add_cstr(out, response->fields);
	if (!response->keeps_alive)
		buf_add_cstr(out, "Connection: close\r\n");
	buf_add_cstr(out, "\r\n");
	if (!response->is_head)
		buf_add_str(out, body);
}
