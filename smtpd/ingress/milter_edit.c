/* SPDX-License-Identifier: ISC */
#include "smtpd/ingress/milter_edit.h"

#include "mail/header.h"

/* ---- collecting ---- */

void
milter_edits_init(struct milter_edits *edits, struct arena *arena,
    size_t body_max)
{
	memset(edits, 0, sizeof(*edits));
	edits->arena = arena;
	list_init(&edits->list);
	buf_init(&edits->body, body_max);
}

void
milter_edits_fini(struct milter_edits *edits)
{
	buf_fini(&edits->body);
}

/* A line ends with CRLF, whatever the filter thinks. */
static void
add_body(struct milter_edits *edits, struct str text)
{
	size_t i;

	edits->has_body = true;
	for (i = 0; i < text.len; i++) {
		if (edits->ends_with_cr && text.p[i] != '\n')
			buf_add_char(&edits->body, '\n');
		if (text.p[i] == '\n' && !edits->ends_with_cr)
			buf_add_char(&edits->body, '\r');
		buf_add_char(&edits->body, text.p[i]);
		edits->ends_with_cr = text.p[i] == '\r';
	}
}

int
milter_edits_add(struct milter_edits *edits,
    const struct milter_answer *answer, struct err *err)
{
	struct arena *arena = edits->arena;
	struct milter_edit *edit;

	if (answer->kind == MILTER_REPLBODY) {
		add_body(edits, answer->text);
		return buf_failed(&edits->body) ? err_set(err, ERR_LIMIT,
		    "the new body is too big") : 0;
	}
	edits->octets += answer->name.len + answer->value.len +
	    answer->address.len + answer->text.len;
	if (++edits->len > MILTER_EDITS_MAX ||
	    edits->octets > MILTER_EDITS_OCTETS_MAX)
		return err_set(err, ERR_LIMIT, "too many edits");
	edit = arena_new_of(arena, struct milter_edit);
	edit->answer = *answer;
	edit->answer.name = arena_str(arena, answer->name);
	edit->answer.value = arena_str(arena, answer->value);
	edit->answer.address = arena_str(arena, answer->address);
	edit->answer.params = arena_str(arena, answer->params);
	edit->answer.text = arena_str(arena, answer->text);
	list_add(&edits->list, &edit->node);
	return 0;
}

/* ---- pieces ---- */

static struct milter_piece *
piece_new(struct arena *arena, struct str name, struct str raw, bool is_new)
{
	struct milter_piece *piece = arena_new_of(arena,
	    struct milter_piece);

	piece->name = name;
	piece->raw = raw;
	piece->is_new = is_new;
	return piece;
}

static void
split(struct arena *arena, struct str block, bool is_new, struct list *pieces)
{
	struct header_iter iter;
	struct header_field field;
	size_t at = 0;

	header_iter_init(&iter, block);
	while (header_next(&iter, &field)) {
		if (field.at > at)
			list_add(pieces, &piece_new(arena, STR(""),
			    str_sub(block, at, field.at - at),
			    is_new)->node);
		list_add(pieces, &piece_new(arena, field.name, field.raw,
		    is_new)->node);
		at = field.at + field.raw.len;
	}
	if (at < block.len)
		list_add(pieces, &piece_new(arena, STR(""),
		    str_sub(block, at, block.len), is_new)->node);
}

static struct str
render(const struct milter_edits *edits, const struct milter_options *agreed,
    const struct milter_answer *answer)
{
	struct str raw;
	struct buf buf;

	buf_init(&buf, 2 * (MILTER_NAME_MAX + answer->value.len) + 16);
	milter_put_field(&buf, agreed, answer->name, answer->value);
	raw = arena_str(edits->arena, buf_str(&buf));
	buf_fini(&buf);
	return raw;
}

/* ---- edits ---- */

struct apply {
	const struct milter_edits *edits;
	const struct milter_options *agreed;
	struct milter_header *header;
};

static void
add_last(struct apply *apply, const struct milter_answer *answer)
{
	list_add(&apply->header->pieces, &piece_new(apply->edits->arena,
	    answer->name, render(apply->edits, apply->agreed, answer),
	    true)->node);
}

/* 0 is the top. Our own Received, which is not written yet, counts as a
 * field. Past the end is the end. */
static void
insert(struct apply *apply, const struct milter_answer *answer)
{
	struct list *at = apply->header->pieces.next;
	uint32_t i;

	for (i = 0; i < answer->index && at != &apply->header->pieces; i++)
		at = at->next;
	list_add(at, &piece_new(apply->edits->arena, answer->name,
	    render(apply->edits, apply->agreed, answer), true)->node);
}

/* The index-th field of the name; when there is none it is added. */
static void
change(struct apply *apply, const struct milter_answer *answer)
{
	struct milter_piece *piece, *tmp;
	uint32_t n = 0, want = answer->index != 0 ? answer->index : 1;

	list_each(piece, tmp, &apply->header->pieces, struct milter_piece,
	    node) {
		if (!str_eq_nocase(piece->name, answer->name) ||
		    ++n != want)
			continue;
		if (!piece->is_new)
			apply->header->is_changed = true;
		if (answer->value.len == 0)
			list_del(&piece->node);
		else
			piece->raw = render(apply->edits, apply->agreed,
			    answer);
		return;
	}
	if (answer->value.len != 0)
		add_last(apply, answer);
}

/* Is something new below something old? */
static bool
has_new_below(const struct milter_header *header)
{
	struct milter_piece *piece, *tmp;
	bool has_old = false;

	list_each(piece, tmp, &header->pieces, struct milter_piece, node) {
		if (piece->is_new && has_old)
			return true;
		has_old |= !piece->is_new;
	}
	return false;
}

void
milter_edits_apply(const struct milter_edits *edits,
    const struct milter_options *agreed, struct str front, struct str block,
    struct milter_header *header_r)
{
	struct apply apply = { edits, agreed, header_r };
	struct milter_edit *edit, *tmp;

	list_init(&header_r->pieces);
	header_r->is_changed = false;
	/* In the place of our Received. */
	list_add(&header_r->pieces, &piece_new(edits->arena, STR(""),
	    STR(""), true)->node);
	split(edits->arena, front, true, &header_r->pieces);
	split(edits->arena, block, false, &header_r->pieces);
	list_each(edit, tmp, &edits->list, struct milter_edit, node) {
		if (edit->answer.kind == MILTER_ADDHEADER)
			add_last(&apply, &edit->answer);
		else if (edit->answer.kind == MILTER_INSHEADER)
			insert(&apply, &edit->answer);
		else if (edit->answer.kind == MILTER_CHGHEADER)
			change(&apply, &edit->answer);
	}
	header_r->is_changed |= has_new_below(header_r);
}
