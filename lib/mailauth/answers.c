/* SPDX-License-Identifier: ISC */
#include "mailauth/answers.h"

#include "base/table.h"

struct entry {
	struct str name;
	unsigned type;
	bool is_answered;
	struct answer answer;
};

struct answers {
	struct arena *arena;
	struct table *by_key;
	struct entry *entries[ANSWERS_MAX];	/* as they were noted */
	size_t count;
	size_t given;		/* entries before it were handed out */
	size_t octets;
};

/* The type, then the name on the wire in lower case. */
struct key {
	unsigned char octets[2 + DNS_NAME_WIRE_MAX];
	size_t len;
};

static const struct answer no_such_name = { .rcode = DNS_R_NXDOMAIN };
static const struct answer over_limit = { .rcode = DNS_R_SERVFAIL };

struct answers *
answers_new(void)
{
	struct arena *arena = arena_new(0);
	struct answers *answers = arena_new_of(arena, struct answers);

	answers->arena = arena;
	answers->by_key = table_new();
	return answers;
}

void
answers_free(struct answers **answers)
{
	struct arena *arena;

	if (*answers == NULL)
		return;
	table_free(&(*answers)->by_key);
	arena = (*answers)->arena;
	*answers = NULL;
	arena_free(&arena);
}

/* False for a name that the DNS cannot hold. */
static bool
make_key(struct key *key, struct str name, unsigned type)
{
	size_t i, len;

	if (dns_name_to_wire(name, key->octets + 2, &len, NULL) != 0)
		return false;
	key->octets[0] = (unsigned char)(type >> 8);
	key->octets[1] = (unsigned char)type;
	/* The length of a label is under 64 and stays as it is. */
	for (i = 2; i < len + 2; i++)
		key->octets[i] =
		    (unsigned char)ascii_lower((char)key->octets[i]);
	key->len = len + 2;
	return true;
}

/* The entry, a new one when there is none; NULL over the limit. */
static struct entry *
get_entry(struct answers *answers, const struct key *key, struct str name,
    unsigned type)
{
	struct str octets = str_make(key->octets, key->len);
	struct entry *entry = table_get(answers->by_key, octets);

	if (entry != NULL || answers->count == ANSWERS_MAX)
		return entry;
	entry = arena_new_of(answers->arena, struct entry);
	entry->name = arena_str(answers->arena, name);
	entry->type = type;
	answers->entries[answers->count++] = entry;
	(void)table_put(answers->by_key, octets, entry);
	return entry;
}

const struct answer *
answers_find(struct answers *answers, struct str name, unsigned type)
{
	struct entry *entry;
	struct key key;

	invariant(type <= UINT16_MAX);
	if (!make_key(&key, name, type))
		return &no_such_name;
	entry = get_entry(answers, &key, name, type);
	if (entry == NULL)
		return &over_limit;
	return entry->is_answered ? &entry->answer : NULL;
}

bool
answers_next_wanted(struct answers *answers, struct str *name_r,
    unsigned *type_r)
{
	struct entry *entry;

	while (answers->given < answers->count) {
		entry = answers->entries[answers->given++];
		if (entry->is_answered)
			continue;
		*name_r = entry->name;
		*type_r = entry->type;
		return true;
	}
	return false;
}

/* True when the memo has room for its records; they are counted. */
static bool
has_room(struct answers *answers, const struct answer *answer)
{
	size_t i, octets = answers->octets;

	if (answer->rdata_len > ANSWERS_RDATA_MAX)
		return false;
	for (i = 0; i < answer->rdata_len; i++) {
		if (answer->rdata[i].len > ANSWERS_OCTETS_MAX - octets)
			return false;
		octets += answer->rdata[i].len;
	}
	answers->octets = octets;
	return true;
}

void
answers_put(struct answers *answers, struct str name, unsigned type,
    const struct answer *answer)
{
	struct entry *entry;
	struct key key;
	size_t i;

	invariant(type <= UINT16_MAX);
	if (!make_key(&key, name, type))
		return;
	entry = get_entry(answers, &key, name, type);
	if (entry == NULL || entry->is_answered)
		return;
	entry->is_answered = true;
	if (!has_room(answers, answer)) {
		entry->answer = over_limit;
		return;
	}
	entry->answer = *answer;
	entry->answer.rdata = arena_alloc(answers->arena,
	    answer->rdata_len * sizeof(*answer->rdata));
	for (i = 0; i < answer->rdata_len; i++)
		entry->answer.rdata[i] = arena_str(answers->arena,
		    answer->rdata[i]);
}
