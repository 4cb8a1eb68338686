/* SPDX-License-Identifier: ISC */
/*
 * err: what went wrong, in a form the caller can act on.
 *
 * A function that can fail returns 0 or a negative enum err_code and takes a
 * struct err as its last parameter (NULL is allowed). The code alone decides
 * what the peer hears (4xx or 5xx, NO or BAD, retry or bounce); the text is
 * for the log and never for the peer. The first err_set() on a struct err
 * wins, so that the deepest cause is kept.
 *
 * Lifetime.   struct err is a value; ERR_INIT or err_clear() makes it ready.
 * Blocking.   Never. fatal() and invariant() end the process.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#include "base/banned.h"

enum err_code {
	ERR_TEMP = -1,		/* try again later: disk, memory, a dead peer */
	ERR_NOTFOUND = -2,
	ERR_EXISTS = -3,
	ERR_DENIED = -4,
	ERR_LIMIT = -5,		/* over a limit: size, count, depth, quota */
	ERR_SYNTAX = -6,	/* the input does not follow its grammar */
	ERR_CORRUPT = -7,	/* our own stored data does not read back */
};

#define ERR_TEXT_SIZE 256

struct err {
	int code;
	char text[ERR_TEXT_SIZE];
};

#define ERR_INIT { .code = 0 }

/* Make err empty again. */
void err_clear(struct err *err);

/* Keep code and a formatted text (first wins); return code. err may be NULL. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with ": strerror(errno)" appended. */
int err_set_errno(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The text, or the code's name when there is none; never NULL. */
const char *err_text(const struct err *err);

/* Name of a code: "temp", "notfound", ...; "ok" for 0. */
const char *err_code_name(int code);

/* Print to standard error and exit 2. Only for start-up in main files. */
_Noreturn void fatal(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* Programmer error: abort, in release builds too. Never on peer input. */
#define invariant(x) \
	((x) ? (void)0 : invariant_failed(#x, __FILE__, __LINE__))
_Noreturn void invariant_failed(const char *what, const char *file, int line);

#endif
