/* SPDX-License-Identifier: ISC */
#include "authd/remember.h"

#include "authd/hash.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/table.h"
#include "base/when.h"

#define KEY_TEXT_MAX 8192

struct entry {
	struct list node;
	uint64_t account;
	uint64_t expires_ms;
	unsigned char mac[HASH_KEY_OCTETS];
};

struct remember {
	struct table *entries;
	struct list by_age;
	uint64_t life_ms;
	unsigned char key[HASH_KEY_OCTETS];
};

struct remember *
remember_new(uint64_t life_s)
{
	struct remember *remember = calloc(1, sizeof(*remember));

	invariant(remember != NULL);
	remember->entries = table_new();
	list_init(&remember->by_age);
	remember->life_ms = life_s * 1000;
	rand_bytes(remember->key, sizeof(remember->key));
	return remember;
}

static void
entry_free(struct remember *remember, struct entry *entry)
{
	(void)table_del(remember->entries, str_make(entry->mac,
	    sizeof(entry->mac)));
	list_del(&entry->node);
	free(entry);
}

void
remember_free(struct remember **remember)
{
	struct entry *entry;

	if (*remember == NULL)
		return;
	while ((entry = list_first(&(*remember)->by_age, struct entry,
	    node)) != NULL)
		entry_free(*remember, entry);
	table_free(&(*remember)->entries);
	explicit_bzero(*remember, sizeof(**remember));
	free(*remember);
	*remember = NULL;
}

void
remember_set_life(struct remember *remember, uint64_t life_s)
{
	remember->life_ms = life_s * 1000;
}

static void
add_part(struct buf *text, struct str part)
{
	/* With its length, so that no two lists of parts read the same. */
	buf_addf(text, "%zu:", part.len);
	buf_add_str(text, part);
}

/* False: the parts are longer than any login's. */
static bool
mac_of(const struct remember *remember, const struct remember_key *key,
    unsigned char mac[HASH_KEY_OCTETS])
{
	struct buf text;
	bool is_good;

	buf_init(&text, KEY_TEXT_MAX);
	(void)buf_reserve(&text, KEY_TEXT_MAX);
	buf_addf(&text, "%llu %llu ", (unsigned long long)key->account,
	    (unsigned long long)key->changed_us);
	add_part(&text, key->address);
	add_part(&text, key->mechanism);
	add_part(&text, key->protocol);
	add_part(&text, key->remote);
	add_part(&text, key->password);
	is_good = !buf_failed(&text);
	if (is_good)
		hash_hmac(remember->key, buf_str(&text).p, text.len, mac);
	explicit_bzero(text.p, text.cap);
	buf_fini(&text);
	return is_good;
}

static void
drop_old(struct remember *remember)
{
	uint64_t now = when_mono_ms();
	struct entry *entry;

	while ((entry = list_first(&remember->by_age, struct entry, node)) !=
	    NULL && (entry->expires_ms <= now ||
	    table_count(remember->entries) > REMEMBER_MAX))
		entry_free(remember, entry);
}

void
remember_add(struct remember *remember, const struct remember_key *key)
{
	unsigned char mac[HASH_KEY_OCTETS];
	struct entry *entry;

	drop_old(remember);
	if (remember->life_ms == 0 || !mac_of(remember, key, mac))
		return;
	entry = table_get(remember->entries, str_make(mac, sizeof(mac)));
	if (entry == NULL) {
		entry = calloc(1, sizeof(*entry));
		invariant(entry != NULL);
		memcpy(entry->mac, mac, sizeof(mac));
		(void)table_put(remember->entries, str_make(mac,
		    sizeof(mac)), entry);
	} else {
		list_del(&entry->node);
	}
	entry->account = key->account;
	entry->expires_ms = when_mono_ms() + remember->life_ms;
	list_add(&remember->by_age, &entry->node);
	drop_old(remember);
}

bool
remember_has(struct remember *remember, const struct remember_key *key)
{
	unsigned char mac[HASH_KEY_OCTETS];

	drop_old(remember);
	return remember->life_ms != 0 && mac_of(remember, key, mac) &&
	    table_get(remember->entries, str_make(mac, sizeof(mac))) != NULL;
}

void
remember_forget(struct remember *remember, uint64_t account)
{
	struct entry *entry, *tmp;

	list_each(entry, tmp, &remember->by_age, struct entry, node)
		if (entry->account == account)
			entry_free(remember, entry);
}
