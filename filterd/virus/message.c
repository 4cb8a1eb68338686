/* SPDX-License-Identifier: ISC */
#include "filterd/virus/message.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "base/when.h"
#include "ipc/values.h"
#include "mail/text.h"
#include "mail/view.h"

#define SLICE (48U << 10)

#define HEADER_MAX (2U << 20)	/* ingress takes no longer one */

struct scanning {
	const struct scan_tools *tools;
	struct attack_look *look;
	struct arena *arena;	/* names of parts */
	struct mail_view view;
	uint64_t until_ms;
	uint64_t unpacked_octets;
	struct report *report;
};

static void
outweigh(struct finding *whole, const struct finding *finding)
{
	static const unsigned weights[SCAN_RESULTS] = {
		[SCAN_CLEAN] = 0, [SCAN_ENCRYPTED] = 1, [SCAN_LIMIT] = 2,
		[SCAN_CRASHED] = 3, [SCAN_INFECTED] = 4,
	};

	if (weights[finding->result] > weights[whole->result])
		*whole = *finding;
}

static struct finding
found_no(enum scan_result result, const char *name)
{
	struct finding finding = { .result = result };

	(void)snprintf(finding.name, sizeof(finding.name), "%s", name);
	return finding;
}

/* What is treated by rules of its own is not hidden by what weighs more. */
static void
note_kind(struct report *report, const struct finding *finding)
{
	char name[ENGINE_NAME_MAX + 1];

	if (finding->result == SCAN_ENCRYPTED &&
	    report->locked.result == SCAN_CLEAN)
		report->locked = *finding;
	if (report->closed.result != SCAN_CLEAN)
		return;
	if (finding->result == SCAN_LIMIT) {
		report->closed = *finding;
	} else if (finding->unopened != NULL) {
		(void)snprintf(name, sizeof(name), "Unopened.%s",
		    finding->unopened);
		report->closed = found_no(SCAN_LIMIT, name);
	}
}

static void
found(struct scanning *scanning, size_t part, const struct finding *finding)
{
	struct report *report = scanning->report;

	note_kind(report, finding);
	outweigh(&report->whole, finding);
	if (finding->result == SCAN_CLEAN ||
	    report->parts_len == REPORT_PARTS_MAX)
		return;
	report->parts[report->parts_len].part = part;
	report->parts[report->parts_len++].finding = *finding;
}

static uint64_t
ms_left(const struct scanning *scanning)
{
	uint64_t now = when_mono_ms();

	return now < scanning->until_ms ? scanning->until_ms - now : 0;
}

/* ---- a part ---- */

/* What the part is, decoded, in the file. NULL: all of it. */
static const char *
unpack(struct scanning *scanning, const struct mail_part *part,
    struct transfer *transfer, int fd)
{
	uint64_t at = 0;
	const char *problem = NULL;
	char slice[SLICE];
	struct buf decoded;
	size_t len = 0;

	buf_init(&decoded, 4 * SLICE);
	while (problem == NULL && at < part->body_len) {
		size_t want = part->body_len - at < sizeof(slice) ?
		    (size_t)(part->body_len - at) : sizeof(slice);

		if (mail_view_read_blob(&scanning->view, part->body_at + at,
		    slice, want, &len, NULL) != 0 || len == 0) {
			problem = "Part.Unreadable";
			break;
		}
		at += len;
		transfer_feed(transfer, str_make(slice, len),
		    at == part->body_len, &decoded);
		scanning->unpacked_octets += decoded.len;
		if (scanning->unpacked_octets > ENGINE_SCAN_OCTETS_MAX)
			problem = "Limits.Parts.Octets";
		else if (buf_failed(&decoded) ||
		    file_write(fd, buf_str(&decoded), NULL) != 0)
			problem = "Limits.Parts.Disk";
		buf_reset(&decoded);
	}
	buf_fini(&decoded);
	return problem;
}

static bool
is_encoded(const struct mail_part *part)
{
	return part->encoding.p != NULL &&
	    !str_eq(part->encoding, STR("7bit")) &&
	    !str_eq(part->encoding, STR("8bit"));
}

/* The engine has seen text that is not encoded with the whole message. */
static bool
is_worth(const struct mail_part *part)
{
	return part->body_len != 0 &&
	    (is_encoded(part) || !str_eq(part->type, STR("text")));
}

static void
look_at_part(struct scanning *scanning, size_t number,
    const struct mail_part *part, int fd)
{
	struct attack_part odd;

	attack_part_of(scanning->arena, part, number, fd, &odd);
	attack_look_at_part(scanning->look, &odd);
}

static void
scan_part(struct scanning *scanning, size_t number,
    const struct mail_part *part)
{
	struct transfer *transfer;
	struct finding finding;
	const char *problem;
	int fd = openat(scanning->tools->dir, ".", O_TMPFILE | O_RDWR |
	    O_CLOEXEC, 0600);

	if (fd == -1) {
		finding = found_no(SCAN_CRASHED, "Part.NoFile");
		found(scanning, number, &finding);
		return;
	}
	/* An encoding nobody knows: the octets as they stand. */
	transfer = transfer_new(part->encoding.p != NULL &&
	    transfer_is_known(part->encoding) ? part->encoding : STR(""));
	problem = unpack(scanning, part, transfer, fd);
	transfer_free(&transfer);
	look_at_part(scanning, number, part, fd);
	if (is_worth(part)) {
		finding = engine_scan(scanning->tools->engine, fd,
		    ms_left(scanning));
		found(scanning, number, &finding);
	}
	if (problem != NULL) {
		finding = found_no(SCAN_LIMIT, problem);
		found(scanning, number, &finding);
	}
	(void)close(fd);
}

static bool
is_leaf(const struct mail_part *part)
{
	return part->kind == MAIL_LEAF ||
	    (part->flags & MAIL_PART_OPAQUE) != 0;
}

static void
scan_parts(struct scanning *scanning, const struct mail_summary *summary)
{
	struct finding late = found_no(SCAN_LIMIT, "Limits.Parts.Time");
	size_t i;

	for (i = 0; i < summary->part_count; i++) {
		if (!is_leaf(&summary->parts[i]))
			continue;
		if (ms_left(scanning) == 0) {
			found(scanning, i, &late);
			return;
		}
		scan_part(scanning, i, &summary->parts[i]);
	}
}

/* ---- the message ---- */

static void
look_at_header(struct scanning *scanning, const struct mail_summary *summary)
{
	size_t size = (size_t)summary->parts[0].header_len, at = 0, len = 1;
	char *header;

	if (size > HEADER_MAX)
		size = HEADER_MAX;
	header = malloc(size + 1);
	invariant(header != NULL);
	while (at < size && len != 0) {
		if (mail_view_read_blob(&scanning->view, at, header + at,
		    size - at, &len, NULL) != 0)
			break;
		at += len;
	}
	attack_look_at_message(scanning->look, str_make(header, at));
	free(header);
}

static void
scan_inside(struct scanning *scanning, uint64_t flags)
{
	struct scan *scan = scan_new();
	const struct mail_summary *summary;
	struct finding finding;
	bool is_done = false;

	if (mail_view_scan(&scanning->view, scan, SIZE_MAX, &is_done, NULL) ==
	    0 && is_done) {
		summary = scan_end(scan);
		if ((flags & SCAN_F_OUTSIDE) != 0)
			look_at_header(scanning, summary);
		scan_parts(scanning, summary);
	} else {
		finding = found_no(SCAN_CRASHED, "Message.Unreadable");
		outweigh(&scanning->report->whole, &finding);
	}
	scan_free(&scan);
}

void
message_scan(const struct scan_tools *tools, const struct scan_order *order,
    struct report *report_r)
{
	struct scanning scanning = {
		.tools = tools, .report = report_r, .arena = arena_new(0),
		.view = mail_view_of_fd(STR_NONE, order->fd, order->size),
		.until_ms = when_mono_ms() + order->ms,
	};
	size_t i;

	*report_r = (struct report){ .parts_len = 0 };
	report_r->whole = engine_scan(tools->engine, order->fd, order->ms);
	note_kind(report_r, &report_r->whole);
	scanning.look = attack_open(tools->attack, &report_r->odd);
	for (i = 0; i < order->readers_len; i++)
		attack_reader(scanning.look, order->readers[i]);
	scan_inside(&scanning, order->flags);
	attack_close(&scanning.look);
	arena_free(&scanning.arena);
}
