/* SPDX-License-Identifier: ISC */
#include <api.c>
