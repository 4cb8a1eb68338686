/* SPDX-License-Identifier: ISC */
/*
 * arena: memory that is freed all at once, by scope (session, command,
 * message, configuration generation).
 *
 * Lifetime.   arena_new() -> arena_alloc()* -> arena_reset()* -> arena_free().
 *             What was allocated lives until the next reset or the free.
 * Ownership.  The arena owns everything handed out; nothing is freed alone.
 * Units.      Octets.
 * Errors.     Small fixed allocations abort when memory is out. A size that
 *             came from a peer goes through a limit first (arena_alloc_max).
 * Blocking.   Never.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/err.h"
#include "base/str.h"

struct arena;

/* A new arena that asks malloc for chunk_octets at a time (0: 4 KiB). */
struct arena *arena_new(size_t chunk_octets);

/* Free the arena and all it handed out; *arena becomes NULL. */
void arena_free(struct arena **arena);

/* Forget all it handed out; keeps its first chunk. */
void arena_reset(struct arena *arena);

/* len zeroed octets, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t len)
    __attribute__((malloc, returns_nonnull));

/* The same for a count that a peer chose; NULL and ERR_LIMIT over max. */
void *arena_alloc_max(struct arena *arena, size_t count, size_t size,
    size_t max_count, struct err *err);

/* Copy of a view; its p is followed by a NUL that len does not count. */
struct str arena_str(struct arena *arena, struct str s);

/* NUL-terminated copy of a view (which must not hold a NUL). */
char *arena_cstr(struct arena *arena, struct str s)
    __attribute__((returns_nonnull));

/* Formatted text as a view. */
struct str arena_printf(struct arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Octets handed out since the last reset. */
size_t arena_used(const struct arena *arena);

#define arena_new_of(arena, type) ((type *)arena_alloc(arena, sizeof(type)))

#endif
