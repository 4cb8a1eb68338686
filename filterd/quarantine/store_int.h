/* SPDX-License-Identifier: ISC */
/* store_int: what store.c, change.c and read.c share. */
#ifndef QUARANTINE_STORE_INT_H
#define QUARANTINE_STORE_INT_H

#include "blob/holder.h"
#include "filterd/quarantine/store.h"

enum quarantine_statement {
	EPOCH_GET,
	EPOCH_SET,
	ENTRY_ADD,
	ENTRY_FIND,
	ENTRY_GET,
	ENTRY_GET_WHOLE,
	ENTRY_DELETE,
	ENTRY_EXISTS,
	ENTRY_IDS,
	ENTRY_IDS_DOMAIN,
	ENTRY_IDS_OWNER,
	ENTRY_OLD,
	ENTRY_SIZE,
	DOMAIN_NEXT,
	RCPT_ADD,
	RCPT_GET,
	RCPT_DELETE,
	RCPT_DELETE_ONE,
	RCPT_ANY,
	GONE_ADD,
	GONE_ADD_ONE,
	GONE_HAS,
	GONE_SWEEP,
	HOLDER_ADD,
	HOLDER_SUB,
	HOLDER_EMPTY,
	HOLDER_GET,
	HOLDER_LARGEST,
	HOLDER_SUM,
	RELEASING_SET,
	RELEASING_NEXT,
	OLDEST_OF,
	STATEMENTS
};

extern const struct db_schema quarantine_schema;

struct quarantine_store {
	struct blob_holder holder;
	struct quarantine_limits limits;
	struct quarantine_status status;
};

#endif
