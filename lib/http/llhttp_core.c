/* SPDX-License-Identifier: ISC */
#include <llhttp.c>
