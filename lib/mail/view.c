/* SPDX-License-Identifier: ISC */
#include "mail/view.h"

#include <errno.h>
#include <unistd.h>

#define SCAN_CHUNK (64U << 10)

struct mail_view
mail_view_of_fd(struct str trace, int fd, uint64_t blob_size)
{
	return (struct mail_view){
		.trace = trace, .fd = fd, .blob_size = blob_size,
	};
}

struct mail_view
mail_view_of_memory(struct str trace, struct str blob)
{
	return (struct mail_view){
		.trace = trace, .fd = -1, .memory = blob,
		.blob_size = blob.len,
	};
}

uint64_t
mail_view_size(const struct mail_view *view)
{
	return view->trace.len + view->blob_size;
}

static int
read_file(const struct mail_view *view, uint64_t at, char *data, size_t len,
    struct err *err)
{
	ssize_t n;

	while (len > 0) {
		n = pread(view->fd, data, len, (off_t)at);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_errno(err, ERR_TEMP, "read blob");
		if (n == 0)
			return err_set(err, ERR_CORRUPT,
			    "blob ends at %llu of %llu octets",
			    (unsigned long long)at,
			    (unsigned long long)view->blob_size);
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int
mail_view_read_blob(const struct mail_view *view, uint64_t at, void *data,
    size_t len, size_t *len_r, struct err *err)
{
	uint64_t left = at < view->blob_size ? view->blob_size - at : 0;
	int rc = 0;

	*len_r = 0;
	if (len > left)
		len = (size_t)left;
	if (len == 0)
		return 0;
	if (view->fd == -1)
		memcpy(data, view->memory.p + at, len);
	else
		rc = read_file(view, at, data, len, err);
	if (rc == 0)
		*len_r = len;
	return rc;
}

int
mail_view_read(const struct mail_view *view, uint64_t at, void *data,
    size_t len, size_t *len_r, struct err *err)
{
	char *out = data;
	size_t from_trace = 0;
	int rc;

	if (at < view->trace.len && len != 0) {
		from_trace = view->trace.len - (size_t)at;
		from_trace = from_trace < len ? from_trace : len;
		memcpy(out, view->trace.p + at, from_trace);
		at += from_trace;
	}
	*len_r = from_trace;
	if (from_trace == len)
		return 0;
	rc = mail_view_read_blob(view, at - view->trace.len,
	    out + from_trace, len - from_trace, len_r, err);
	*len_r += rc == 0 ? from_trace : 0;
	return rc;
}

uint64_t
mail_range_size(const struct mail_view *view, const struct mail_range *range)
{
	return range->len + (range->has_trace ? view->trace.len : 0);
}

int
mail_range_read(const struct mail_view *view, const struct mail_range *range,
    uint64_t at, void *data, size_t len, size_t *len_r, struct err *err)
{
	uint64_t size = mail_range_size(view, range);

	*len_r = 0;
	if (at >= size)
		return 0;
	if (len > size - at)
		len = (size_t)(size - at);
	/* A section with the trace begins where the message begins. */
	if (range->has_trace)
		return mail_view_read(view, at, data, len, len_r, err);
	return mail_view_read_blob(view, range->at + at, data, len, len_r,
	    err);
}

int
mail_range_str(const struct mail_view *view, const struct mail_range *range,
    struct arena *arena, size_t max, struct str *text_r, struct err *err)
{
	uint64_t size = mail_range_size(view, range);
	size_t len;
	char *data;
	int rc;

	if (size > max)
		return err_set(err, ERR_LIMIT, "section of %llu octets",
		    (unsigned long long)size);
	data = arena_alloc(arena, (size_t)size + 1);
	rc = mail_range_read(view, range, 0, data, (size_t)size, &len, err);
	if (rc == 0)
		*text_r = str_make(data, len);
	return rc;
}

int
mail_view_header(const struct mail_view *view,
    const struct mail_summary *summary, struct arena *arena,
    struct str *text_r, struct err *err)
{
	struct mail_range range = {
		.has_trace = true, .len = summary->parts[0].header_len,
	};

	return mail_range_str(view, &range, arena,
	    view->trace.len + HEADER_BLOCK_MAX, text_r, err);
}

int
mail_view_scan(const struct mail_view *view, struct scan *scan, size_t max,
    bool *is_done_r, struct err *err)
{
	char chunk[SCAN_CHUNK];
	size_t len, want;
	int rc;

	while (max > 0) {
		want = max < sizeof(chunk) ? max : sizeof(chunk);
		rc = mail_view_read_blob(view, scan_size(scan), chunk, want,
		    &len, err);
		if (rc != 0)
			return rc;
		scan_feed(scan, chunk, len);
		if (len < want)
			break;
		max -= len;
	}
	*is_done_r = scan_size(scan) >= view->blob_size;
	return 0;
}

bool
mail_view_fits(const struct mail_view *view,
    const struct mail_summary *summary)
{
	return summary->size == view->blob_size;
}
