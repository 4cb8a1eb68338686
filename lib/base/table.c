/* SPDX-License-Identifier: ISC */
#include "base/table.h"

#include "base/rand.h"

/*
 * Open addressing with linear probing. A deleted entry is closed by moving
 * later entries of its run back, so no tombstones pile up; table_next() goes
 * downwards from a free slot, so that this moves no entry it has still to visit
 * past it: a run that goes over the end of the slots is walked in one piece.
 */
#define CURSOR_STEP_BITS 32
_Static_assert(sizeof(size_t) == 8, "a cursor has two halves");

struct slot {
	uint64_t hash;
	void *value;		/* NULL: free */
	size_t key_len;
	union {
		char small[16];
		char *large;
	} key;
};

struct table {
	struct slot *slots;
	size_t cap;		/* power of two */
	size_t count;
	unsigned char seed[16];
};

static inline uint64_t
rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline uint64_t
load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static void
sip_compress(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012). */
uint64_t
siphash(const unsigned char key[16], const void *data, size_t len)
{
	const unsigned char *in = data;
	uint64_t k0 = load64(key), k1 = load64(key + 8);
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575ULL, k1 ^ 0x646f72616e646f6dULL,
		k0 ^ 0x6c7967656e657261ULL, k1 ^ 0x7465646279746573ULL,
	};
	uint64_t last = (uint64_t)len << 56;
	size_t i;

	for (i = 0; i + 8 <= len; i += 8)
		sip_compress(v, load64(in + i));
	for (; i < len; i++)
		last |= (uint64_t)in[i] << (8 * (i & 7));
	sip_compress(v, last);
	v[2] ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

struct table *
table_new(void)
{
	struct table *table = must(calloc(1, sizeof(*table)));

	rand_bytes(table->seed, sizeof(table->seed));
	return table;
}

static struct str
slot_key(const struct slot *slot)
{
	return str_make(slot->key_len <= sizeof(slot->key.small) ?
	    slot->key.small : slot->key.large, slot->key_len);
}

static void
slot_clear(struct slot *slot)
{
	if (slot->value != NULL && slot->key_len > sizeof(slot->key.small))
		free(slot->key.large);
	memset(slot, 0, sizeof(*slot));
}

void
table_free(struct table **table)
{
	size_t i;

	if (*table == NULL)
		return;
	for (i = 0; i < (*table)->cap; i++)
		slot_clear(&(*table)->slots[i]);
	free((*table)->slots);
	free(*table);
	*table = NULL;
}

/* The slot that holds key, or the free one where it would go. */
static struct slot *
find(const struct table *table, uint64_t hash, struct str key)
{
	size_t i = hash & (table->cap - 1);
	struct slot *slot;

	for (;; i = (i + 1) & (table->cap - 1)) {
		slot = &table->slots[i];
		if (slot->value == NULL)
			return slot;
		if (slot->hash == hash && str_eq(slot_key(slot), key))
			return slot;
	}
}

static void
grow(struct table *table)
{
	struct slot *old = table->slots;
	size_t old_cap = table->cap, i, at;

	table->cap = old_cap != 0 ? old_cap * 2 : 8;
	table->slots = must(calloc(table->cap, sizeof(*table->slots)));
	for (i = 0; i < old_cap; i++) {
		if (old[i].value == NULL)
			continue;
		at = old[i].hash & (table->cap - 1);
		while (table->slots[at].value != NULL)
			at = (at + 1) & (table->cap - 1);
		table->slots[at] = old[i];
	}
	free(old);
}

void *
table_get(const struct table *table, struct str key)
{
	if (table->count == 0)
		return NULL;
	return find(table, siphash(table->seed, key.p, key.len), key)->value;
}

void *
table_put(struct table *table, struct str key, void *value)
{
	uint64_t hash = siphash(table->seed, key.p, key.len);
	struct slot *slot;
	void *before;

	invariant(value != NULL);
	if ((table->count + 1) * 4 > table->cap * 3)
		grow(table);
	slot = find(table, hash, key);
	before = slot->value;
	slot->value = value;
	if (before != NULL)
		return before;
	slot->hash = hash;
	slot->key_len = key.len;
	if (key.len > sizeof(slot->key.small)) {
		slot->key.large = must(malloc(key.len));
		memcpy(slot->key.large, key.p, key.len);
	} else if (key.len != 0) {
		memcpy(slot->key.small, key.p, key.len);
	}
	table->count++;
	return NULL;
}

void *
table_del(struct table *table, struct str key)
{
	struct slot *slot;
	size_t hole, i, home, mask = table->cap - 1;
	void *value;

	if (table->count == 0)
		return NULL;
	slot = find(table, siphash(table->seed, key.p, key.len), key);
	value = slot->value;
	if (value == NULL)
		return NULL;
	slot_clear(slot);
	table->count--;
	hole = (size_t)(slot - table->slots);
	for (i = (hole + 1) & mask; table->slots[i].value != NULL;
	    i = (i + 1) & mask) {
		home = table->slots[i].hash & mask;
		/* Movable when its home is not between the hole and itself. */
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		table->slots[hole] = table->slots[i];
		memset(&table->slots[i], 0, sizeof(table->slots[i]));
		hole = i;
	}
	return value;
}

void *
table_get_u64(const struct table *table, uint64_t key)
{
	return table_get(table, str_make(&key, sizeof(key)));
}

void *
table_put_u64(struct table *table, uint64_t key, void *value)
{
	return table_put(table, str_make(&key, sizeof(key)), value);
}

void *
table_del_u64(struct table *table, uint64_t key)
{
	return table_del(table, str_make(&key, sizeof(key)));
}

size_t
table_count(const struct table *table)
{
	return table->count;
}

/* There is one: at most three quarters are taken. While nothing is added it
 * stays free. */
static size_t
free_slot(const struct table *table)
{
	size_t i = 0;

	while (table->slots[i].value != NULL)
		i++;
	return i;
}

void *
table_next(const struct table *table, size_t *cursor, struct str *key_r)
{
	/* The slot to begin below, and the steps from there. */
	size_t start = *cursor >> CURSOR_STEP_BITS;
	size_t step = *cursor & ((1ULL << CURSOR_STEP_BITS) - 1);
	const struct slot *slot;

	if (table->count == 0)
		return NULL;
	if (step == 0)
		start = free_slot(table);
	while (++step < table->cap) {
		slot = &table->slots[(start - step) & (table->cap - 1)];
		if (slot->value == NULL)
			continue;
		*cursor = start << CURSOR_STEP_BITS | step;
		if (key_r != NULL)
			*key_r = slot_key(slot);
		return slot->value;
	}
	*cursor = start << CURSOR_STEP_BITS | (step - 1);
	return NULL;
}
