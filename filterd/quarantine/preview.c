/* SPDX-License-Identifier: ISC */
#include "filterd/quarantine/preview.h"

#include "base/buf.h"
#include "filterd/quarantine/headline.h"
#include "mail/charset.h"
#include "mail/text.h"

#define STEP_OCTETS 16384U
#define NAME_OCTETS 200U

/* As much text as fits, of the parts in their order. */
static void
read_text(struct preview *preview, const struct mail_view *view,
    const struct mail_summary *summary, struct arena *arena)
{
	struct mail_text *text = mail_text_new(view, summary, MAIL_TEXT_BODY);
	enum mail_text_result result = MAIL_TEXT_MORE;
	size_t read = 0;
	struct buf out;

	buf_init(&out, 2 * PREVIEW_READ_MAX);
	while (result != MAIL_TEXT_DONE && result != MAIL_TEXT_FAILED &&
	    out.len < 2 * PREVIEW_OCTETS && read < PREVIEW_READ_MAX) {
		result = mail_text_step(text, STEP_OCTETS, &out, NULL);
		read += STEP_OCTETS;
		if (result == MAIL_TEXT_BREAK && out.len != 0)
			buf_add_char(&out, '\n');
	}
	preview->text = str_trim(headline_clean(buf_str(&out),
	    PREVIEW_OCTETS, arena));
	preview->is_cut = (result != MAIL_TEXT_DONE) ||
	    out.len > PREVIEW_OCTETS;
	buf_fini(&out);
	mail_text_free(&text);
}

static struct str
name_of(const struct mail_part *part, struct arena *arena)
{
	struct str name = mail_param_decode(arena, &part->disposition_params,
	    STR("filename"));

	if (name.p == NULL)
		name = mail_param_decode(arena, &part->params, STR("name"));
	return name.p != NULL ? headline_clean(name, NAME_OCTETS, arena) :
	    STR("");
}

static void
read_names(struct preview *preview, const struct mail_summary *summary,
    struct arena *arena)
{
	struct str name;
	size_t i;

	preview->names = arena_alloc(arena, PREVIEW_NAMES_MAX *
	    sizeof(*preview->names));
	for (i = 0; i < summary->part_count &&
	    preview->names_len < PREVIEW_NAMES_MAX; i++) {
		name = name_of(&summary->parts[i], arena);
		if (name.len != 0)
			preview->names[preview->names_len++] = name;
	}
}

/* The summary that came with it, or a scan of the beginning. */
static const struct mail_summary *
summary_of(const struct quarantine_entry *entry,
    const struct mail_view *view, struct scan **scan_r, struct arena *arena)
{
	struct mail_summary *summary;
	bool is_done = false;
	size_t read = 0;

	if (entry->summary.len != 0 && summary_decode(entry->summary, arena,
	    &summary, NULL) == 0 && mail_view_fits(view, summary))
		return summary;
	*scan_r = scan_new();
	while (!is_done && read < PREVIEW_SCAN_MAX) {
		if (mail_view_scan(view, *scan_r, STEP_OCTETS, &is_done,
		    NULL) != 0)
			return NULL;
		read += STEP_OCTETS;
	}
	return scan_end(*scan_r);
}

struct preview
preview_read(const struct quarantine_entry *entry, int blob_fd,
    struct arena *arena)
{
	struct mail_view view = mail_view_of_fd(STR(""), blob_fd,
	    entry->size_octets);
	struct preview preview = { .text = STR("") };
	const struct mail_summary *summary;
	struct scan *scan = NULL;

	summary = summary_of(entry, &view, &scan, arena);
	if (summary != NULL) {
		read_text(&preview, &view, summary, arena);
		read_names(&preview, summary, arena);
	}
	scan_free(&scan);
	return preview;
}
