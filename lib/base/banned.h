/* SPDX-License-Identifier: ISC */
/*
 * banned: functions that are a bug waiting to happen, refused at compile time.
 * What to use instead: struct buf and struct str for text, str_to_u64() for
 * numbers, gmtime_r() for dates.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* With fortification some are macros, which cannot be poisoned. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat strncpy sprintf vsprintf strtok atoi atol gets
#pragma GCC poison localtime

#endif
