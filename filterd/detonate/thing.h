/* SPDX-License-Identifier: ISC */
/*
 * thing: what is opened: a part of a message, or a link.
 *
 * Story. things_of_message() reads the message as the scan worker does (our
 * own parser, decoded parts) and takes the parts that the verdict's traits
 * name, then the links that the traits tell of, then all other attachments:
 * what is odd about one of them may hide another. It keeps
 * where a part stands and its hash, not its octets: they are decoded once more
 * when an engine has to be given them. What is over a bound, or a link that no
 * engine can follow, is left out and said so: such a message is never clean.
 *
 * Lifetime.   things_of_message() -> thing_unref() each; thing_ref() for more.
 * Ownership.  A thing has its own descriptor of the blob.
 * Units.      Octets.
 * Errors.     things_of_message() never fails: what cannot be read is no
 *             thing. thing_open(): ERR_TEMP, ERR_LIMIT.
 * Blocking.   Reads and decodes the message: up to THING_OCTETS_MAX a part.
 * Process.    detonated. The message is hostile.
 */
#ifndef DETONATE_THING_H
#define DETONATE_THING_H

#include "filter/verdict.h"
#include "mail/view.h"

#define THINGS_MAX 10U
#define THING_OCTETS_MAX (64ULL << 20)
#define THING_NAME_MAX 100U
#define THING_LINK_MAX 600U

struct thing {
	unsigned refs;
	bool is_link;
	char name[THING_NAME_MAX + 1];	/* ASCII letters, digits and ._- */
	char link[THING_LINK_MAX + 1];	/* http or https, printable ASCII */
	unsigned char sha256[32];	/* of its octets; of the link */
	uint64_t size;
	/* Where the part stands. */
	int blob_fd;
	uint64_t blob_size;
	uint64_t at;
	uint64_t len;
	char encoding[32];
};

struct things {
	struct thing *all[THINGS_MAX];
	size_t len;
	bool is_cut;		/* not all that should be opened is here */
};

/* blob_fd stays the caller's. */
void things_of_message(int blob_fd, uint64_t blob_size,
    const struct verdict *verdict, struct things *things_r);

void things_fini(struct things *things);

struct thing *thing_ref(struct thing *thing);
void thing_unref(struct thing **thing);

/* A file in memory with the part's octets, at its beginning; the caller's. */
int thing_open(const struct thing *thing, int *fd_r, struct err *err);

/* What a file name becomes before an engine hears it. */
void thing_clean_name(struct str name, char out[THING_NAME_MAX + 1]);

/* What a link becomes; false: it leads nowhere an engine could go. */
bool thing_clean_link(struct str link, char out[THING_LINK_MAX + 1]);

/* The end of its name says which program opens it: what stands behind the last
 * dot, in lower case; may be empty. A link has none. */
void thing_kind(const struct thing *thing, char out[THING_NAME_MAX + 1]);

/* SHA-256 in hexadecimal. */
void thing_hash_text(const struct thing *thing, char out[65]);

#endif
