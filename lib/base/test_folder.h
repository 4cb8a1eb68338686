/* SPDX-License-Identifier: ISC */
/* test_folder: a test's own folder goes with the test. */
#ifndef BASE_TEST_FOLDER_H
#define BASE_TEST_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int
test_remove_one(const char *path, const struct stat *st, int flag,
    struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* The folder and all that is in it; links are not followed. 0: it is gone. */
static inline int
test_folder_remove(const char *path)
{
	return nftw(path, test_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
