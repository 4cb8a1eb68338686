/* SPDX-License-Identifier: ISC */
/* A whole message: the first line is the name of its only part, the second
 * its declared type; the rest is the part, and once more the header. */
#include <stddef.h>
#include <stdint.h>

#include "attack_seed.h"
#include "filterd/attack/attack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct attack *attack;

static void
check_notes(const struct attack_report *report)
{
	size_t i;

	for (i = 0; i < report->notes_len; i++) {
		struct str detail = str_of(report->notes[i].detail);

		invariant(detail.len <= ATTACK_DETAIL_MAX);
		invariant(str_is_text(detail) || detail.len == 0);
		invariant(attack_has(report, report->notes[i].trait));
	}
	invariant((attack_weight(report) != 0) == (report->traits != 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), type;
	struct attack_part part = { .fd = -1, .number = 1 };
	struct attack_report report;
	struct attack_look *look;
	struct buf octets;

	if (attack == NULL) {
		invariant(attack_begin(&attack, NULL) == 0);
		invariant(attack_add_domain(attack, STR("hikyaku.example"), 0));
		attack_add_name(attack, STR("Hikyaku"));
	}
	part.name = str_cut(rest, '\n', &rest);
	type = str_cut(rest, '\n', &rest);
	part.type = str_cut(type, '/', &type);
	part.subtype = str_cut(type, ' ', &type);
	part.charset = type;
	look = attack_open(attack, &report);
	attack_look_at_message(look, rest);
	attack_look_at_octets(look, &part, attack_seed(&octets, rest.p,
	    rest.len));
	attack_close(&look);
	check_notes(&report);
	buf_fini(&octets);
	return 0;
}
