/* SPDX-License-Identifier: ISC */
/* milter_int: frames and strings, for both sides of the milter protocol. */
#ifndef PROTO_MILTER_INT_H
#define PROTO_MILTER_INT_H

#include "base/buf.h"

/* The rest of a frame's data; after a failure everything is empty. */
struct milter_reader {
	struct str rest;
	bool has_failed;
};

uint32_t milter_read_u32(struct milter_reader *reader);

/* Octets up to a NUL, at most max. */
struct str milter_read_str(struct milter_reader *reader, size_t max);

/* The same, without octets that end lines or ring bells. */
struct str milter_read_line(struct milter_reader *reader, size_t max);

/* Begin a frame; the place of its length is given to milter_frame_end(). */
size_t milter_frame_begin(struct buf *out, char command);
void milter_frame_end(struct buf *out, size_t at);

void milter_put_u32(struct buf *out, uint32_t value);

/* A string on one line, ended by NUL. */
void milter_put_line(struct buf *out, struct str s);

/* Folded lines are separated by LF alone; NUL cannot travel. */
void milter_put_value(struct buf *out, struct str value);

#endif
