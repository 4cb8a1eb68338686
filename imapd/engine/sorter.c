/* SPDX-License-Identifier: ISC */
#include "imapd/engine/sorter.h"

#include "imapd/engine/merge.h"
#include "mail/address.h"
#include "mail/charset.h"
#include "mail/subject.h"
#include "mail/text.h"

#define KEYS_OCTETS_MAX (64U << 20)
#define TEXT_OCTETS_MAX 500U
#define STEP_COMPARISONS 8192

/* One criterion's value: a number or a text. */
struct value {
	int64_t number;
	struct str text;
};

struct sorter {
	const struct imap_search *search;
	struct arena *arena;	/* texts */
	struct arena *scratch;
	struct value *values;	/* n_sort for each message */
	uint32_t *numbers;
	size_t count;
	size_t cap;
	struct merge merge;
	bool is_merging;
};

struct sorter *
sorter_new(const struct imap_search *search)
{
	struct sorter *sorter = calloc(1, sizeof(*sorter));

	invariant(sorter != NULL);
	sorter->search = search;
	sorter->arena = arena_new(256U << 10);
	sorter->scratch = arena_new(0);
	return sorter;
}

void
sorter_free(struct sorter **sorterp)
{
	struct sorter *sorter = *sorterp;

	if (sorter == NULL)
		return;
	*sorterp = NULL;
	merge_end(&sorter->merge);
	arena_free(&sorter->arena);
	arena_free(&sorter->scratch);
	free(sorter->values);
	free(sorter->numbers);
	free(sorter);
}

bool
sorter_needs_summary(const struct imap_search *search)
{
	size_t i;

	for (i = 0; i < search->n_sort; i++)
		if (search->sort[i].by != IMAP_SORT_ARRIVAL &&
		    search->sort[i].by != IMAP_SORT_SIZE)
			return true;
	return false;
}

int64_t
sorter_sent_s(const struct store_msg *msg, const struct mail_summary *summary)
{
	return (summary->flags & SUMMARY_HAS_DATE) != 0 ? summary->sent_s :
	    msg->date_s;
}

/* --- values -------------------------------------------------------- */

static struct str
fold(struct sorter *s, struct str text, bool is_encoded)
{
	struct buf plain, folded;
	struct str result;

	buf_init(&plain, 4 * TEXT_OCTETS_MAX);
	buf_init(&folded, 64 * TEXT_OCTETS_MAX);
	text = str_sub(text, 0, TEXT_OCTETS_MAX);
	if (is_encoded)
		rfc2047_decode(&plain, text);
	else
		buf_add_str(&plain, text);
	text_fold(&folded, buf_str(&plain));
	result = arena_str(s->arena, buf_str(&folded));
	buf_fini(&plain);
	buf_fini(&folded);
	return result;
}

/* RFC 5957 section 3: the name, else the address. */
static struct str
shown(struct sorter *s, const struct mailbox *m)
{
	if (m->name.p != NULL && m->name.len != 0)
		return fold(s, m->name, true);
	return fold(s, arena_printf(s->scratch, "%.*s@%.*s",
	    STR_FMT(m->local), STR_FMT(m->domain)), false);
}

/* The first address of a field; empty without one. */
static struct str
address(struct sorter *s, const struct imap_message *m,
    enum mail_field_id field, bool is_shown)
{
	const struct mail_envelope *env = summary_envelope(m->summary);
	struct mailbox_list list;
	struct mailbox first;

	if (env == NULL || env->raw[field].p == NULL)
		return STR("");
	mailbox_list_parse(s->scratch, env->raw[field], &list);
	if (list.count == 0)
		return STR("");
	first = list.v[0];
	if (first.kind == MAILBOX_GROUP_BEGIN)
		return fold(s, first.name, true);
	if (first.local.p == NULL)
		first.local = STR("");
	if (first.domain.p == NULL)
		first.domain = STR("");
	return is_shown ? shown(s, &first) : fold(s, first.local, false);
}

static struct str
subject(struct sorter *s, const struct imap_message *m)
{
	const struct mail_envelope *env = summary_envelope(m->summary);
	struct str base;

	if (env == NULL || env->raw[MAIL_FIELD_SUBJECT].p == NULL)
		return STR("");
	(void)subject_base(s->scratch, env->raw[MAIL_FIELD_SUBJECT], &base);
	return arena_str(s->arena, base);
}

static struct value
value_of(struct sorter *s, enum imap_sort_by by, const struct store_msg *msg,
    const struct imap_message *m)
{
	struct value value = { .number = 0, .text = STR("") };

	switch (by) {
	case IMAP_SORT_ARRIVAL:
		value.number = msg->date_s;
		break;
	case IMAP_SORT_SIZE:
		value.number = msg->size_octets;
		break;
	case IMAP_SORT_DATE:
		value.number = sorter_sent_s(msg, m->summary);
		break;
	case IMAP_SORT_SUBJECT:
		value.text = subject(s, m);
		break;
	case IMAP_SORT_FROM:
	case IMAP_SORT_DISPLAYFROM:
		value.text = address(s, m, MAIL_FIELD_FROM,
		    by == IMAP_SORT_DISPLAYFROM);
		break;
	case IMAP_SORT_TO:
	case IMAP_SORT_DISPLAYTO:
		value.text = address(s, m, MAIL_FIELD_TO,
		    by == IMAP_SORT_DISPLAYTO);
		break;
	case IMAP_SORT_CC:
		value.text = address(s, m, MAIL_FIELD_CC, false);
		break;
	}
	return value;
}

static void
reserve(struct sorter *s)
{
	if (s->count < s->cap)
		return;
	s->cap = s->cap != 0 ? s->cap * 2 : 256;
	s->numbers = realloc(s->numbers, s->cap * sizeof(*s->numbers));
	s->values = realloc(s->values, s->cap * s->search->n_sort *
	    sizeof(*s->values));
	invariant(s->numbers != NULL && s->values != NULL);
}

int
sorter_add(struct sorter *s, uint32_t number, const struct store_msg *msg,
    const struct imap_message *m)
{
	size_t i, n = s->search->n_sort;

	if (arena_used(s->arena) + s->count * n * sizeof(*s->values) >
	    KEYS_OCTETS_MAX)
		return ERR_LIMIT;
	reserve(s);
	for (i = 0; i < n; i++)
		s->values[s->count * n + i] = value_of(s,
		    s->search->sort[i].by, msg, m);
	s->numbers[s->count++] = number;
	arena_reset(s->scratch);
	return 0;
}

/* --- order --------------------------------------------------------- */

/* RFC 5256 section 3: equal ones stand by their numbers, also in REVERSE;
 * the sort is stable. */
static int
compare(const void *ctx, uint32_t a, uint32_t b)
{
	const struct sorter *s = ctx;
	const struct value *x, *y;
	size_t i, n = s->search->n_sort;
	int order;

	for (i = 0; i < n; i++) {
		x = &s->values[a * n + i];
		y = &s->values[b * n + i];
		order = (x->number > y->number) - (x->number < y->number);
		if (order == 0)
			order = str_cmp(x->text, y->text);
		if (order != 0)
			return s->search->sort[i].is_reverse ? -order : order;
	}
	return 0;
}

bool
sorter_step(struct sorter *s)
{
	uint32_t *items;
	size_t i;

	if (!s->is_merging) {
		items = calloc(s->count + 1, sizeof(*items));
		invariant(items != NULL);
		for (i = 0; i < s->count; i++)
			items[i] = (uint32_t)i;
		merge_begin(&s->merge, items, s->count, compare, s);
		s->is_merging = true;
	}
	return merge_step(&s->merge, STEP_COMPARISONS);
}

const uint32_t *
sorter_numbers(struct sorter *s, size_t *count_r)
{
	const uint32_t *order = merge_result(&s->merge);
	uint32_t *sorted = arena_alloc(s->arena,
	    (s->count + 1) * sizeof(*sorted));
	size_t i;

	for (i = 0; i < s->count; i++)
		sorted[i] = s->numbers[order[i]];
	*count_r = s->count;
	return sorted;
}
