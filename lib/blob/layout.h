/* SPDX-License-Identifier: ISC */
/*
 * layout: where holders keep their links to blobs, below DIR/data.
 *
 *   stage/NAME                          files being written (blobd's own)
 *   queue/b/<id div 4096>/<id>          the queue's links
 *   quarantine/b/<id div 4096>/<id>     the quarantine's
 *   accounts/<a div 4096>/<a>/b/<id div 4096>/<id>   account a's
 *
 * blobd makes the links; a holder makes its own sub-directories beforehand
 * and removes its own links.
 */
#ifndef BLOB_LAYOUT_H
#define BLOB_LAYOUT_H

#include "base/str.h"

#define BLOB_PATH_SIZE 128
#define BLOB_IDS_PER_DIR 4096

/* Holders that are no account. Ids of accounts lie between. */
#define BLOB_HOLDER_QUEUE 0
#define BLOB_HOLDER_QUARANTINE UINT64_MAX

/* "accounts/0/17" for account 17, or "queue", "quarantine". */
void blob_holder_dir(uint64_t account, char path_r[BLOB_PATH_SIZE]);

/* "b/0/42", relative to the holder's directory. */
void blob_link_name(uint64_t id, char path_r[BLOB_PATH_SIZE]);

/* "b/0": the sub-directory of a link. */
void blob_link_dir(uint64_t id, char path_r[BLOB_PATH_SIZE]);

#endif
