/* SPDX-License-Identifier: ISC */
#include "imapd/engine/message.h"

#include <sys/stat.h>
#include <unistd.h>

#define SCAN_SLICE (256U << 10)

void
message_init(struct imap_message *m, struct store *store)
{
	*m = (struct imap_message){
		.arena = arena_new(16U << 10), .store = store, .fd = -1,
	};
}

void
message_fini(struct imap_message *m)
{
	message_end(m);
	arena_free(&m->arena);
}

void
message_end(struct imap_message *m)
{
	scan_free(&m->scan);
	if (m->fd != -1)
		(void)close(m->fd);
	m->fd = -1;
	m->summary = NULL;
	m->has_blob = false;
	m->is_broken = false;
	arena_reset(m->arena);
}

int
message_load(struct imap_message *m, struct store_reader *reader, uint64_t id,
    struct err *err)
{
	return reader != NULL ? store_reader_get(reader, id, &m->row, err) :
	    store_message(m->store, id, m->arena, &m->row, err);
}

void
message_keep_row(struct imap_message *m)
{
	m->row.trace = arena_str(m->arena, m->row.trace);
	m->row.summary = arena_str(m->arena, m->row.summary);
}

bool
message_has_summary(struct imap_message *m)
{
	struct mail_summary *summary;

	if (m->summary != NULL)
		return true;
	if (m->row.summary.len == 0 || summary_decode(m->row.summary,
	    m->arena, &summary, NULL) != 0 ||
	    summary->size != m->row.blob_octets)
		return false;
	m->summary = summary;
	return true;
}

static bool
is_whole(const struct imap_message *m)
{
	struct stat st;

	return fstat(m->fd, &st) == 0 &&
	    (uint64_t)st.st_size == m->row.blob_octets && m->row.codec == 0;
}

bool
message_open(struct imap_message *m)
{
	if (m->has_blob || m->is_broken)
		return m->has_blob;
	m->has_blob = (m->fd != -1 || store_blob_open(m->store, m->row.id,
	    &m->fd, NULL) == 0) && is_whole(m);
	m->is_broken = !m->has_blob;
	m->view = mail_view_of_fd(m->row.trace, m->fd, m->row.blob_octets);
	return m->has_blob;
}

/* Too large to keep is no failure: it is made again when it is needed. */
static void
keep_summary(struct imap_message *m)
{
	struct buf buf;

	buf_init(&buf, STORE_SUMMARY_MAX);
	if (summary_encode(m->summary, &buf) == 0)
		(void)store_set_summary(m->store, m->row.id, buf_str(&buf),
		    NULL);
	buf_fini(&buf);
}

bool
message_make_summary(struct imap_message *m)
{
	bool is_done = false;

	if (!message_open(m))
		return true;
	if (m->scan == NULL)
		m->scan = scan_new();
	if (mail_view_scan(&m->view, m->scan, SCAN_SLICE, &is_done,
	    NULL) != 0) {
		m->is_broken = true;
		return true;
	}
	if (!is_done)
		return false;
	m->summary = scan_end(m->scan);
	keep_summary(m);
	return true;
}
