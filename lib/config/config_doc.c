/* SPDX-License-Identifier: ISC */
/* config_doc: print docs/hikyaku.conf.md from the schema. */
#include "config/config.h"

int
main(void)
{
	struct buf text;

	buf_init(&text, 1 << 20);
	config_document(&text);
	printf("# hikyaku.conf\n\n"
	    "Made from lib/config/config_schema.def by `make docs`; do not "
	    "edit. `hikyakud -t -c FILE` checks a\nfile, `hikyaku config show` "
	    "prints the effective one. Sizes take K, M, G, T (powers of 1024), "
	    "times s, m, h, d.\n\n```\n%.*s", STR_FMT(buf_str(&text)));
	printf("# One block a listener.\n"
	    "#listener NAME {\n"
	    "#\tprotocol = \"smtp\"        # smtp, submission, lmtp, imap, "
	    "pop3,\n#\t                          # web (HTTPS: client set-up, "
	    "MTA-STS), milter (other\n#\t                          # mail "
	    "servers ask us), metrics (Prometheus, plain HTTP)\n"
	    "#\tport = 25\n"
	    "#\taddresses = {\"127.0.0.1\", \"::1\"}\n"
	    "#\tpath = \"\"                # a local socket instead\n"
	    "#\ttls = \"none\"             # none, starttls, implicit\n"
	    "#\tzone = \"internet\"        # any name; loopback: without rate "
	    "limits; closed: what\n"
	    "#\t                          # `domain set --access "
	    "closed-network` means\n"
	    "#\tclear_logins = \"no\"      # yes: passwords without TLS; not in "
	    "zone internet\n"
	    "#\tmilters = {}             # mail filters that are asked, in "
	    "this order (smtp, submission)\n"
	    "#}\n```\n");
	buf_fini(&text);
	return 0;
}
