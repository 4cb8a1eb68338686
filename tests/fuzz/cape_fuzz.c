/* SPDX-License-Identifier: ISC */
/* What an engine answers, or somebody in its place: whatever it is, values
 * stay in their bounds. */
#include <stddef.h>
#include <stdint.h>

#include "filterd/detonate/cape_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_task(const struct engine_task *task, int rc)
{
	size_t i;

	invariant((rc == 0) == (task->len != 0));
	invariant(task->len <= ENGINE_TASKS_MAX);
	for (i = 0; i < task->len; i++)
		invariant(task->ids[i] != 0 && task->ids[i] <= INT64_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = str_make(data, size);
	struct engine_report report;
	enum engine_state state = ENGINE_LOST;
	struct engine_task task;

	check_task(&task, cape_read_created(body, &task, NULL));
	check_task(&task, cape_read_found(body,
	    STR("hikyaku=m"), &task, NULL));
	(void)cape_read_status(body, &state, NULL);
	invariant(state <= ENGINE_LOST);
	if (cape_read_report(body, &report, NULL) == 0)
		invariant(report.score <= 100 &&
		    str_is_text(str_of(report.found)));
	return 0;
}
