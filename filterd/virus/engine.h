/* SPDX-License-Identifier: ISC */
/*
 * engine: libclamav with our limits. One file in, one finding out.
 *
 * What libclamav cannot open is told apart from what is clean: archives with
 * a password are SCAN_ENCRYPTED, what meets a limit, cannot be parsed or is a
 * container it cannot open (opened.h) is SCAN_LIMIT, and where files or memory fail us nobody has looked:
 * SCAN_CRASHED. A signature that matches anywhere outweighs all of these.
 *
 * Lifetime.   engine_load() in a process without threads; the processes it
 *             forks share it, and each says where it may unpack by
 *             engine_use_folder() before its first scan.
 * Ownership.  A finding's name is a value.
 * Units.      Octets, milliseconds.
 * Errors.     engine_load(): ERR_NOTFOUND: no signatures; ERR_CORRUPT.
 * Blocking.   Yes: loading for seconds, a scan for up to its time.
 * Process.    scand's generations and workers.
 */
#ifndef VIRUS_ENGINE_H
#define VIRUS_ENGINE_H

#include "base/str.h"
#include "ipc/values.h"

#define ENGINE_NAME_MAX 128U

/* threats.md section 4. */
#define ENGINE_SCAN_OCTETS_MAX (100ULL << 20)
#define ENGINE_DEPTH_MAX 17U
#define ENGINE_FILES_MAX 2000U

struct engine;

struct finding {
	enum scan_result result;
	char name[ENGINE_NAME_MAX + 1];	/* printable ASCII; "" when clean */
	const char *unopened;		/* a kind of container in it that
					   stayed closed, whatever else was
					   found; NULL: none */
};

/* Load the signatures of folders (ended by NULL; one that is empty or not
 * there adds none). */
struct engine *engine_load(const char *const *folders, uint64_t *signatures_r,
    struct err *err);

/* When the newest signatures of folders were made, in seconds since 1970: of
 * ClamAV's databases, else of any file; 0: there are none. */
int64_t engine_signatures_built(const char *const *folders);

void engine_free(struct engine **engine);

/* Unpack below this folder, which is empty and ours. */
int engine_use_folder(struct engine *engine, const char *folder,
    struct err *err);

/* Look at a file for at most ms milliseconds. */
struct finding engine_scan(struct engine *engine, int fd, uint64_t ms);

/* Does it find what is inside an archive? It is asked before the first
 * message: libclamav that cannot unpack calls everything clean. The archive
 * is a file in dir. */
bool engine_test(struct engine *engine, int dir);

#endif
