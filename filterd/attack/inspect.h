/* SPDX-License-Identifier: ISC */
/*
 * inspect: what is inside a file of a kind that can hold something.
 *
 * Private to this folder. A reader a kind: each takes the file as hostile
 * octets and notes traits. Archives lead to files inside, at most
 * INSPECT_DEPTH_MAX deep; the octets that are unpacked for one part and the
 * files that are looked at have a budget.
 */
#ifndef ATTACK_INSPECT_H
#define ATTACK_INSPECT_H

#include "filterd/attack/kind.h"
#include "filter/traits.h"
#include "filterd/attack/urls.h"

#define INSPECT_DEPTH_MAX 4U
#define INSPECT_FILES_MAX 300U
#define INSPECT_UNPACKED_MAX (64U << 20)	/* all together */
#define INSPECT_MEMBER_MAX (16U << 20)		/* of one */
#define INSPECT_HTML_MAX (8U << 20)

/* A part under inspection. */
struct inspection {
	struct attack_report *report;
	struct url_list *urls;
	size_t part;
	uint64_t unpacked_left;
	size_t files_left;
};

struct inspected {
	struct inspection *of;
	struct str octets;
	struct str name;		/* UTF-8, or as an archive has it */
	const struct name_look *look;	/* of the name */
	unsigned depth;			/* 0: the part itself */
};

/* Everything about one file; claim: what its declared type promises. */
enum attack_kind inspect_file(struct inspection *inspection,
    struct str octets, struct str name, enum name_claim claim,
    unsigned depth);

/* A name alone, as that of the part itself. */
void inspect_name(struct inspection *inspection, struct str name);

/* With the file's name as detail. */
void inspect_note(const struct inspected *file, enum attack_trait trait);

void inspect_zip(const struct inspected *file);
void inspect_ooxml(const struct inspected *file);
void inspect_odf(const struct inspected *file);
void inspect_rar(const struct inspected *file);
void inspect_cab(const struct inspected *file);
void inspect_tar(const struct inspected *file);
void inspect_7z(const struct inspected *file);
void inspect_gzip(const struct inspected *file);
void inspect_ole(const struct inspected *file);
void inspect_pdf(const struct inspected *file);
void inspect_rtf(const struct inspected *file);
void inspect_lnk(const struct inspected *file);
void inspect_onenote(const struct inspected *file);
void inspect_html(const struct inspected *file);
void inspect_svg(const struct inspected *file);

#endif
