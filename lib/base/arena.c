/* SPDX-License-Identifier: ISC */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>

struct chunk {
	struct chunk *next;
	size_t size;
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct chunk *chunks;	/* newest first */
	size_t chunk_octets;
	size_t used;
};

static void *
must(void *p)
{
	if (p == NULL) {
		(void)fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

struct arena *
arena_new(size_t chunk_octets)
{
	struct arena *arena = must(calloc(1, sizeof(*arena)));

	arena->chunk_octets = chunk_octets != 0 ? chunk_octets : 4096;
	return arena;
}

static void
chunks_free(struct chunk *chunk)
{
	struct chunk *next;

	for (; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
}

void
arena_free(struct arena **arena)
{
	if (*arena == NULL)
		return;
	chunks_free((*arena)->chunks);
	free(*arena);
	*arena = NULL;
}

void
arena_reset(struct arena *arena)
{
	struct chunk *last = arena->chunks;

	arena->used = 0;
#ifdef HK_ARENA_MALLOC
	chunks_free(last);
	arena->chunks = NULL;
#else
	if (last == NULL)
		return;
	/* Keep one chunk of the usual size, so that a scope that is entered
	 * again and again does not ask malloc each time. */
	chunks_free(last->next);
	last->next = NULL;
	if (last->size > arena->chunk_octets) {
		free(last);
		arena->chunks = NULL;
		return;
	}
	memset(last->data, 0, last->used);
	last->used = 0;
#endif
}

static struct chunk *
chunk_new(struct arena *arena, size_t size)
{
	struct chunk *chunk = must(calloc(1, sizeof(*chunk) + size));

	chunk->size = size;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	return chunk;
}

void *
arena_alloc(struct arena *arena, size_t len)
{
	struct chunk *chunk = arena->chunks;
	size_t want;
	void *p;

	invariant(len <= SIZE_MAX / 2);
	want = (len + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (want == 0)
		want = alignof(max_align_t);
#ifdef HK_ARENA_MALLOC
	/* The exact length, so that ASan sees one octet too many. */
	chunk = chunk_new(arena, len);
	want = len;
#else
	if (chunk == NULL || chunk->size - chunk->used < want)
		chunk = chunk_new(arena, want > arena->chunk_octets ?
		    want : arena->chunk_octets);
#endif
	p = chunk->data + chunk->used;
	chunk->used += want;
	arena->used += want;
	return p;
}

void *
arena_alloc_max(struct arena *arena, size_t count, size_t size,
    size_t max_count, struct err *err)
{
	if (count > max_count || (size != 0 && count > SIZE_MAX / 2 / size)) {
		err_set(err, ERR_LIMIT, "%zu of at most %zu", count,
		    max_count);
		return NULL;
	}
	return arena_alloc(arena, count * size);
}

struct str
arena_str(struct arena *arena, struct str s)
{
	char *p = arena_alloc(arena, s.len + 1);

	if (s.len != 0)
		memcpy(p, s.p, s.len);
	return (struct str){ p, s.len };
}

char *
arena_cstr(struct arena *arena, struct str s)
{
	char *p = arena_alloc(arena, s.len + 1);

	if (s.len != 0)
		memcpy(p, s.p, s.len);
	return p;
}

struct str
arena_printf(struct arena *arena, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	char *p;
	int n;

	/* Nearly all of it is short: then one pass is enough. */
	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	invariant(n >= 0);
	if ((size_t)n < sizeof(small))
		return arena_str(arena, str_make(small, (size_t)n));
	p = arena_alloc(arena, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return (struct str){ p, (size_t)n };
}

size_t
arena_used(const struct arena *arena)
{
	return arena->used;
}
