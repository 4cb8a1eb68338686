/* SPDX-License-Identifier: ISC */
/*
 * A whole relay against a hostile mail host: the first octet chooses the kind
 * of message, the rest is what the host says, chunk by chunk (0xfe) to each
 * line it hears. Whatever it says, the job ends, each recipient has at most
 * one result, and no line that the relay sends holds more than one command.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "smtpd/relay/rig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const messages[] = {
	"Subject: x\r\n\r\nhello\r\n",
	"Subject: x\r\n\r\n\xc3\xa9 and more\r\n.\r\n",
	"Subject: \xc3\xa9\r\n\r\nx\r\n",
	"A: b\r\n\r\n\n\r\xff",
};

static void
quiet(void *ctx, struct str line)
{
	(void)ctx;
	(void)line;
}

static void
check_results(struct str results)
{
	size_t i, seen[3] = { 0, 0, 0 };
	struct str word;

	while (results.p != NULL && results.len != 0) {
		word = str_cut(results, ' ', &results);
		i = (size_t)(word.p[0] - '0');
		invariant(i < 3 && word.p[1] == ':');
		invariant(seen[i]++ == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t flags[] = { 0, QUEUE_F_8BIT, QUEUE_F_UTF8,
	    QUEUE_F_BINARY, QUEUE_F_REQUIRETLS };
	struct rig rig;
	unsigned kind;

	if (size == 0)
		return 0;
	kind = data[0];
	log_capture(quiet, NULL);
	rig_init(&rig);
	rig.relay.timeouts = (struct relay_timeouts){ 100, 50, 50, 50, 50, 50,
	    50, 50, 50, 1, 1, 2000 };
	rig.zone = "example.org A 127.0.0.1\n";
	rig.chunks = str_make(data + 1, size - 1);
	rig_job(&rig, str_of(messages[kind % 4]), "example.org",
	    "s@example.com", flags[kind / 4 % 5],
	    "a@example.org \xc3\xa9@example.org b@example.org");
	rig_wait(&rig);
	check_results(buf_str(&rig.results));
	rig_fini(&rig);
	return 0;
}
