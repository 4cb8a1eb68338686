/* SPDX-License-Identifier: ISC */
/*
 * A message some of whose parts are taken out: what stands around them stays
 * octet for octet, and the notices are seven bits in lines that end. The
 * first line has the numbers of the parts, a digit each; the second what was
 * found; the rest is the message.
 */
#include <stddef.h>
#include <stdint.h>

#include "smtpd/ingress/substitute.h"

#define PARTS_MAX 16U
#define OCTETS_MAX (8U << 20)
#define LINE_MAX_OCTETS 78U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct made {
	struct str message;
	struct buf all;
	struct buf kept;	/* without the texts */
	uint64_t at;
	size_t texts;
	const struct mail_summary *summary;
	const struct verdict *verdict;
};

/* Seven bits, in lines, ended. */
static void
check_notice(struct str text)
{
	struct str line;

	invariant(str_ends_nocase(text, STR("\r\n")));
	while (text.p != NULL && text.len != 0) {
		line = str_cut(text, '\n', &text);
		invariant(line.len != 0 && line.len <= LINE_MAX_OCTETS &&
		    line.p[line.len - 1] == '\r');
		invariant(line.len == 1 || str_is_printable(str_sub(line, 0,
		    line.len - 1)));
	}
}

static void
put(void *ctx, struct str text, uint64_t at, uint64_t len)
{
	struct made *made = ctx;

	if (text.p == NULL) {
		invariant(at >= made->at && at + len >= at &&
		    at + len <= made->message.len);
		made->at = at + len;
		text = str_sub(made->message, at, len);
		buf_add_str(&made->kept, text);
	} else {
		const struct verdict_part *gone =
		    &made->verdict->parts[made->texts++];

		if (made->summary->parts[gone->number].envelope == NULL)
			check_notice(text);
	}
	buf_add_str(&made->all, text);
}

/* The message with the parts cut out. */
static void
check_kept(const struct made *made)
{
	const struct mail_part *part;
	struct buf want;
	uint64_t at = 0;
	size_t i;

	buf_init(&want, OCTETS_MAX);
	for (i = 0; i < made->verdict->parts_len; i++) {
		part = &made->summary->parts[made->verdict->parts[i].number];
		buf_add_str(&want, str_sub(made->message, at,
		    part->header_at - at));
		at = part->body_at + part->body_len;
	}
	buf_add_str(&want, str_sub(made->message, at, made->message.len));
	invariant(str_eq(buf_str(&want), buf_str(&made->kept)));
	buf_fini(&want);
}

static void
look(struct made *made, struct arena *arena)
{
	struct mail_view view = mail_view_of_memory(STR(""), made->message);
	struct substitution s = { .summary = made->summary, .view = &view,
		.verdict = made->verdict, .arena = arena,
		.is_japanese = made->message.len % 3 != 0,
		.is_english = made->message.len % 3 != 1 };

	if (!substitute_can(made->summary, made->verdict))
		return;
	buf_init(&made->all, OCTETS_MAX);
	buf_init(&made->kept, OCTETS_MAX);
	if (substitute(&s, put, made) == 0) {
		invariant(made->texts == made->verdict->parts_len);
		invariant(!buf_failed(&made->all));
		check_kept(made);
	}
	buf_fini(&made->all);
	buf_fini(&made->kept);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), numbers, found;
	struct arena *arena = arena_new(0);
	struct verdict_part parts[PARTS_MAX];
	struct verdict verdict = { .parts = parts };
	struct made made = { .verdict = &verdict };
	struct scan *scan = scan_new();
	struct mail_view view;
	bool is_done = false;
	size_t i;

	numbers = str_cut(rest, '\n', &rest);
	found = str_sub(str_cut(rest, '\n', &rest), 0, 200);
	for (i = 0; i < numbers.len && i < PARTS_MAX; i++)
		parts[verdict.parts_len++] = (struct verdict_part){
			.number = (uint16_t)((unsigned char)numbers.p[i] - '0'),
			.name = found };
	made.message = rest.p != NULL ? rest : STR("");
	view = mail_view_of_memory(STR(""), made.message);
	if (mail_view_scan(&view, scan, SIZE_MAX, &is_done, NULL) == 0) {
		made.summary = scan_end(scan);
		look(&made, arena);
	}
	scan_free(&scan);
	arena_free(&arena);
	return 0;
}
