/* SPDX-License-Identifier: ISC */
#include "blob/layout.h"

void
blob_holder_dir(uint64_t account, char path_r[BLOB_PATH_SIZE])
{
	if (account == BLOB_HOLDER_QUEUE)
		(void)snprintf(path_r, BLOB_PATH_SIZE, "queue");
	else if (account == BLOB_HOLDER_QUARANTINE)
		(void)snprintf(path_r, BLOB_PATH_SIZE, "quarantine");
	else
		(void)snprintf(path_r, BLOB_PATH_SIZE, "accounts/%llu/%llu",
		    (unsigned long long)(account / BLOB_IDS_PER_DIR),
		    (unsigned long long)account);
}

void
blob_link_name(uint64_t id, char path_r[BLOB_PATH_SIZE])
{
	(void)snprintf(path_r, BLOB_PATH_SIZE, "b/%llu/%llu",
	    (unsigned long long)(id / BLOB_IDS_PER_DIR), (unsigned long long)id);
}

void
blob_link_dir(uint64_t id, char path_r[BLOB_PATH_SIZE])
{
	(void)snprintf(path_r, BLOB_PATH_SIZE, "b/%llu",
	    (unsigned long long)(id / BLOB_IDS_PER_DIR));
}
