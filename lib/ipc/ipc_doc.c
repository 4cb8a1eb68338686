/* SPDX-License-Identifier: ISC */
/* ipc_doc: print docs/ipc.md from the link tables. */
#include "ipc/links.h"

static const char *
kind_name(enum ipc_kind kind)
{
	static const char *const names[] = {
		[IPC_K_REQ] = "request", [IPC_K_NOTE] = "note",
		[IPC_K_PUSH] = "push",
	};

	return names[kind];
}

static const char *
fd_name(const struct ipc_row *row)
{
	switch (row->fd) {
	case IPC_FD_IN:
		return "one with it";
	case IPC_FD_BACK:
		return "one with the reply";
	case IPC_FD_BOTH:
		return "one each way";
	case IPC_NO_FD:
		break;
	}
	return "none";
}

static void
put_row(const struct ipc_row *row)
{
	printf("### %s\n\n%s\n\n", row->name, row->doc);
	printf("- %s, %s%s\n", kind_name(row->kind),
	    row->states == ST_ANY ? "in any state" : "in its state only",
	    row->often == IPC_ONCE ? ", once" : "");
	if (row->fd != IPC_NO_FD)
		printf("- descriptor: %s\n", fd_name(row));
	if (row->args[0] != '\0')
		printf("- fields: `%s`\n", row->args);
	if (row->reply[0] != '\0')
		printf("- reply: `%s`\n", row->reply);
	printf("\n");
}

int
main(void)
{
	const struct ipc_proto *const *proto;
	size_t i;

	printf("# Links between our processes\n\n"
	    "Made from lib/ipc/*.def by `make docs`; do not edit. What a link "
	    "is, and what happens to a\nframe that does not follow its table, "
	    "stands in lib/ipc/ipc.h. Fields: `u` unsigned 64 bits, `i`\n"
	    "signed 64 bits, `s` octets, `b` truth; `(...)*` repeats to the "
	    "end of the frame.\n");
	for (proto = ipc_protos; *proto != NULL; proto++) {
		printf("\n## %s: %s, asked by %s\n\n", (*proto)->name,
		    (*proto)->server, (*proto)->clients);
		for (i = 0; i < (*proto)->rows_len; i++)
			put_row(&(*proto)->rows[i]);
	}
	return 0;
}
