/* SPDX-License-Identifier: ISC */
/*
 * file: octets into a file, all of them.
 *
 * Errors.     ERR_LIMIT: there is no room (disk, quota, size of a file);
 *             ERR_TEMP. What was written before stays.
 * Blocking.   As the file does.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/str.h"

int file_write(int fd, struct str octets, struct err *err);

#endif
