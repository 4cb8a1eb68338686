/* SPDX-License-Identifier: ISC */
#include <stddef.h>
#include <stdint.h>

#include "attack_seed.h"
#include "filterd/attack/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct attack_report report = ATTACK_REPORT_INIT;
	struct inspection inspection = { .report = &report,
		.urls = url_list_new(), .unpacked_left = INSPECT_UNPACKED_MAX,
		.files_left = INSPECT_FILES_MAX };
	struct name_look look = { .flags = 0 };
	struct buf octets;
	struct inspected file = { .of = &inspection, .name = STR("a"),
		.look = &look, .octets = attack_seed(&octets, data, size) };

	inspect_lnk(&file);
	invariant(inspection.unpacked_left <= INSPECT_UNPACKED_MAX);
	invariant(url_list_count(inspection.urls) <= URLS_MAX);
	url_list_free(&inspection.urls);
	buf_fini(&octets);
	return 0;
}
