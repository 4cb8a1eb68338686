/* SPDX-License-Identifier: ISC */
/*
 * signer: the DKIM signatures of a job's letter, in the form in which a hop
 * gets it; or its ARC set, when it came from elsewhere and is sent on. keyd
 * signs, for the domain that queued's grant names. What is sealed is what the
 * Authentication-Results of our name say: ingress lets nobody else's in.
 *
 * Easy case: keyd says which keys sign for the domain, the letter is read once,
 * keyd signs its digest with each; the fields go in front of the letter. A
 * message for many domains is read and signed once: what was made is kept for
 * a while, by queue id and form.
 *
 * Hard case: the grant is of a queued that has ended, or keyd does not answer:
 * SIGNER_FAILED, and the job is tried again with another grant. A domain
 * without a key is no failure: its mail leaves as it is.
 *
 * Lifetime.   signer_new() -> signer_step()* until DONE -> signer_text(); again
 *             for another form -> signer_free(), at any time.
 * Ownership.  The letter is borrowed for a step.
 * Errors.     ERR_TEMP, ERR_CORRUPT: the letter cannot be read; and keyd's.
 * Blocking.   Never, but for reading the letter.
 * RFC.        6376 section 5; 8617 section 5.1.
 */
#ifndef RELAY_SIGNER_H
#define RELAY_SIGNER_H

#include "smtpd/relay/letter.h"

struct signer;
struct signatures;

enum signer_step {
	SIGNER_MORE,		/* call again */
	SIGNER_WAIT,		/* wake() will be called */
	SIGNER_DONE,
	SIGNER_FAILED,		/* err tells */
};

/* What a process remembers; one for all jobs. */
struct signatures *signatures_new(void);
void signatures_free(struct signatures **signatures);

/* grant: copied. */
struct signer *signer_new(struct relay *relay, struct str grant,
    uint64_t queue_id);
void signer_free(struct signer **signer);

/* Who is called when a WAIT is over; NULL: nobody. */
void signer_on_wake(struct signer *signer, void (*wake)(void *ctx),
    void *ctx);

/* Go on with signing the letter in that form, about max octets of it. */
enum signer_step signer_step(struct signer *signer, struct letter *letter,
    enum letter_form form, size_t max, struct err *err);

/* When DONE: the fields, or nothing. */
struct str signer_text(const struct signer *signer);

#endif
