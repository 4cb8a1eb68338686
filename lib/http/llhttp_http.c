/* SPDX-License-Identifier: ISC */
#include <http.c>
