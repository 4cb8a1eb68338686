/* SPDX-License-Identifier: ISC */
/* check: what the look finds, compared; for the tests of this folder. */
#ifndef ATTACK_CHECK_INT_H
#define ATTACK_CHECK_INT_H

#include "base/buf.h"
#include "filterd/attack/attack.h"

/* One for all tests: it knows hikyaku.example, two names. */
struct attack *check_attack(void);
int check_end(void **state);

/* Names of the traits, in the order of the vocabulary. */
void check_put_traits(struct buf *out, const struct attack_report *report);

/* What is found in a file of that name and type. */
void check_file(const char *name, const char *type, const char *subtype,
    struct str octets, const char *want);

/* Every beginning of it, and every octet changed: no crash, no end. */
void check_shake(const char *name, struct str file);

#endif
