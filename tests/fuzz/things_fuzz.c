/* SPDX-License-Identifier: ISC */
/*
 * What of a message is opened elsewhere. The first line is a file name, the
 * second a link; then traits, a line each ("NUMBER PART DETAIL"), an empty
 * line and the message.
 */
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <sys/mman.h>
#include <unistd.h>

#include "filterd/detonate/thing.h"

#define TRAITS_MAX 24U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const char *name)
{
	size_t len = strlen(name);

	invariant(len != 0 && len <= THING_NAME_MAX && name[0] != '.');
	invariant(strspn(name, "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len);
}

static void
check_link(const char *link)
{
	struct str s = str_of(link);
	size_t i;

	invariant(s.len <= THING_LINK_MAX);
	invariant(str_begins_nocase(s, STR("http://")) ||
	    str_begins_nocase(s, STR("https://")));
	for (i = 0; i < s.len; i++)
		invariant(s.p[i] > ' ' && s.p[i] < 0x7f);
}

/* What an engine is given is what was hashed. */
static void
check_octets(const struct thing *thing)
{
	unsigned char sha256[32];
	struct buf octets;
	char chunk[4096];
	ssize_t n;
	int fd;

	invariant(thing->size != 0);
	invariant(thing_open(thing, &fd, NULL) == 0);
	buf_init(&octets, THING_OCTETS_MAX + 1);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(&octets, chunk, (size_t)n);
	invariant(n == 0 && octets.len == thing->size);
	invariant(EVP_Digest(octets.p, octets.len, sha256, NULL, EVP_sha256(),
	    NULL) == 1);
	invariant(memcmp(sha256, thing->sha256, sizeof(sha256)) == 0);
	buf_fini(&octets);
	(void)close(fd);
}

static bool
is_same(const struct thing *a, const struct thing *b)
{
	return a->is_link == b->is_link && strcmp(a->name, b->name) == 0 &&
	    memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

static void
check_things(const struct things *things)
{
	size_t i, k;

	invariant(things->len <= THINGS_MAX);
	for (i = 0; i < things->len; i++) {
		const struct thing *thing = things->all[i];

		if (thing->is_link)
			check_link(thing->link);
		else
			check_name(thing->name);
		if (!thing->is_link)
			check_octets(thing);
		for (k = 0; k < i; k++)
			invariant(!is_same(things->all[k], thing));
	}
}

static unsigned
number(struct str text, unsigned max)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < text.len; i++)
		n = (n * 10 + (unsigned char)text.p[i] % 16) % (max + 1);
	return n;
}

static struct str
read_traits(struct str rest, struct verdict *verdict)
{
	struct verdict_trait *trait;
	struct str line;

	while ((line = str_cut(rest, '\n', &rest)).len != 0) {
		if (verdict->traits_len == TRAITS_MAX)
			continue;
		trait = &verdict->traits[verdict->traits_len++];
		trait->trait = (enum attack_trait)number(str_cut(line, ' ',
		    &line), ATTACK_TRAIT_COUNT - 1);
		trait->part = (uint16_t)number(str_cut(line, ' ', &line),
		    UINT16_MAX);
		trait->detail = str_sub(line, 0, ATTACK_DETAIL_MAX);
	}
	return rest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size);
	char name[THING_NAME_MAX + 1], link[THING_LINK_MAX + 1];
	struct verdict_trait traits[TRAITS_MAX];
	struct verdict verdict = { .traits = traits };
	struct things things;
	int fd = memfd_create("message", MFD_CLOEXEC);

	thing_clean_name(str_cut(rest, '\n', &rest), name);
	check_name(name);
	if (thing_clean_link(str_cut(rest, '\n', &rest), link))
		check_link(link);
	rest = read_traits(rest, &verdict);
	invariant(fd != -1 && write(fd, rest.p != NULL ? rest.p : "",
	    rest.len) == (ssize_t)rest.len);
	things_of_message(fd, rest.len, &verdict, &things);
	check_things(&things);
	things_fini(&things);
	/* As if octets were missing. */
	things_of_message(fd, rest.len + 7, &verdict, &things);
	check_things(&things);
	things_fini(&things);
	(void)close(fd);
	return 0;
}
