/* SPDX-License-Identifier: ISC */
#include "imapd/engine/engine_int.h"

/* What is not here is the front's, or is not served. APPEND comes as a frame
 * of its own; one without a literal does not parse. */
const struct imap_handler imap_handlers[IMAP_COMMAND_COUNT] = {
	[IMAP_CAPABILITY] = { .run = imap_run_capability },
	[IMAP_NOOP] = { .run = imap_run_noop },
	[IMAP_CHECK] = { .run = imap_run_noop },
	[IMAP_LOGOUT] = { .run = imap_run_logout, .is_silent = true },
	[IMAP_ID] = { .run = imap_run_id },
	[IMAP_ENABLE] = { .run = imap_run_enable },
	[IMAP_COMPRESS] = { .run = imap_run_compress },
	[IMAP_NAMESPACE] = { .run = imap_run_namespace },
	[IMAP_IDLE] = { .run = imap_run_idle },
	[IMAP_SELECT] = { .run = imap_run_select, .is_silent = true },
	[IMAP_EXAMINE] = { .run = imap_run_select, .is_silent = true },
	[IMAP_CLOSE] = { .run = imap_run_close, .is_silent = true },
	[IMAP_UNSELECT] = { .run = imap_run_unselect, .is_silent = true },
	[IMAP_STATUS] = { .run = imap_run_status },
	[IMAP_GETQUOTA] = { .run = imap_run_getquota },
	[IMAP_GETQUOTAROOT] = { .run = imap_run_getquotaroot },
	[IMAP_NOTIFY] = { .run = imap_run_notify },
	[IMAP_CREATE] = { .run = imap_run_create },
	[IMAP_DELETE] = { .run = imap_run_delete },
	[IMAP_RENAME] = { .run = imap_run_rename },
	[IMAP_SUBSCRIBE] = { .run = imap_run_subscribe },
	[IMAP_UNSUBSCRIBE] = { .run = imap_run_subscribe },
	[IMAP_LIST] = { .run = imap_run_list },
	[IMAP_LSUB] = { .run = imap_run_lsub },
	[IMAP_EXPUNGE] = { .run = imap_run_expunge },
	[IMAP_SEARCH] = { .run = imap_run_search, .keeps_numbers = true },
	[IMAP_SORT] = { .run = imap_run_search, .keeps_numbers = true },
	[IMAP_THREAD] = { .run = imap_run_search, .keeps_numbers = true },
	[IMAP_FETCH] = { .run = imap_run_fetch, .keeps_numbers = true },
	[IMAP_STORE] = { .run = imap_run_store, .keeps_numbers = true },
	[IMAP_COPY] = { .run = imap_run_copy },
	[IMAP_MOVE] = { .run = imap_run_copy },
};
