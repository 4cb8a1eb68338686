# SPDX-License-Identifier: ISC
"""Cases of one large mailbox over IMAP, and of APPEND."""
import statistics
import time

import clients
import sides
from case import Case, Measure


class Mailbox50k(Case):
    """One mailbox of 50,000 messages on each side, filled once for all cases."""
    group = "mailbox-50k"
    linger_s = 2

    def sides(self, env):
        ours = sides.Hikyaku(env.folder, {"account_linger": f"{self.linger_s}s"})
        return [ours, sides.Peers(env.folder, env.unpacked, ours.folder / "tls", "mdbox", smtp=False)]

    def prepare(self, side):
        self.count = self.scaled(50000, 100)
        if side.is_open:
            return
        side.open(["reader"])
        imap = side.imap("reader", tls=False)
        clients.make_pool()
        start = time.monotonic()
        imap.fill("INBOX", clients.mailbox(self.count))
        side.loaded = time.monotonic() - start
        assert imap.messages() == self.count
        imap.close()

    def selected(self, side, tls=True):
        """A session in the mailbox, and how long SELECT took."""
        imap = side.imap("reader", tls)
        start = time.monotonic()
        imap.command("SELECT INBOX")
        return imap, time.monotonic() - start

    def once(self, side, command, tls=True):
        """The command in a new session: seconds, CPU, octets, the client's CPU."""
        imap, _ = self.selected(side, tls)
        with Measure(side) as m:
            octets = imap.command(command, keep=False)
        imap.close()
        return m.seconds, m.cpu, octets, m.client


class FetchSync50k(Mailbox50k):
    name = "fetch-sync-50k"
    figures = [("first_s", "s", "ENVELOPE, BODYSTRUCTURE, ... the first time", 1 / 4, "<", None),
               ("later_s", "s", "the same, later", 1, "<", None),
               ("first_cpu_s", "s CPU", "the first time", None, "<", None),
               ("later_cpu_s", "s CPU", "later", None, "<", None)]
    everything = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"

    def round(self, side):
        side.imap("reader").close()     # The password is remembered from here.
        side.forget_cache()
        side.restart()
        side.imap("reader").close()
        first = self.once(side, self.everything)
        later = self.once(side, self.everything)
        return {"first_s": first[0], "later_s": later[0], "first_cpu_s": first[1], "later_cpu_s": later[1],
                "_octets": first[2], "_load_s": side.loaded, "_client_cpu_s": later[3]}


class Select50k(Mailbox50k):
    name = "select-50k"
    figures = [("warm_ms", "ms", "SELECT in a new session", 1, "<", None),
               ("cold_ms", "ms", "SELECT in a new process", 1, "<", None),
               ("arrive_ms", "ms", "connect, log in, SELECT, in a new process", None, "<", None)]

    def round(self, side):
        side.imap("reader").close()     # The password is remembered from here.
        cold, arrive, warm = [], [], []
        for _ in range(3):
            time.sleep(self.linger_s + 1)
            start = time.monotonic()
            imap, seconds = self.selected(side)
            arrive.append(time.monotonic() - start)
            cold.append(seconds)
            imap.close()
        for _ in range(20):
            imap, seconds = self.selected(side)
            warm.append(seconds)
            imap.close()
        return {"warm_ms": statistics.median(warm) * 1000, "cold_ms": statistics.median(cold) * 1000,
                "arrive_ms": statistics.median(arrive) * 1000, "_cold": cold, "_warm": warm, "_arrive": arrive}


class FetchFlags50k(Mailbox50k):
    name = "fetch-flags-50k"
    figures = [("seconds", "s", "FETCH 1:* (UID FLAGS)", 1, "<", None)]

    def round(self, side):
        imap, _ = self.selected(side)
        times = []
        with Measure(side) as m:
            for _ in range(5):
                start = time.monotonic()
                octets = imap.command("FETCH 1:* (UID FLAGS)", keep=False)
                times.append(time.monotonic() - start)
        imap.close()
        return {"seconds": statistics.median(times), "_times": times, "_octets": octets, "_cpu_s": m.cpu / len(times),
                "_client_cpu_s": m.client / len(times)}


class FetchBody50k(Mailbox50k):
    name = "fetch-body-50k"
    figures = [("warm", "MB/s", "FETCH 1:* BODY.PEEK[], plain", 1, ">", None),
               ("tls", "MB/s", "the same over TLS", 1, ">", None),
               ("evicted", "MB/s", "the same, plain, its files not in memory", 1, ">", None)]

    def round(self, side):
        figures = {}
        for name, tls in (("evicted", False), ("warm", False), ("tls", True)):
            if name == "evicted":
                side.evict()
            seconds, cpu, octets, client = self.once(side, "FETCH 1:* BODY.PEEK[]", tls)
            figures[name] = octets / seconds / 1e6
            figures["_" + name] = {"s": seconds, "cpu_s": cpu, "client_cpu_s": client, "octets": octets}
        return figures


class Store50k(Mailbox50k):
    name = "store-50k"
    figures = [("add_s", "s", "STORE 1:* +FLAGS (\\Seen)", 1, "<", None),
               ("silent_s", "s", "STORE 1:* -FLAGS.SILENT (\\Seen)", 1, "<", None)]

    def round(self, side):
        add = self.once(side, "STORE 1:* +FLAGS (\\Seen)")
        silent = self.once(side, "STORE 1:* -FLAGS.SILENT (\\Seen)")
        return {"add_s": add[0], "silent_s": silent[0], "_add_cpu_s": add[1], "_silent_cpu_s": silent[1],
                "_octets": add[2]}


class Copy50k(Mailbox50k):
    name = "copy-50k"
    figures = [("copy_s", "s", "COPY 1:* to another mailbox", 1, "<", None),
               ("delete_s", "s", "DELETE of that mailbox", 1, "<", None)]

    def round(self, side):
        imap, _ = self.selected(side)
        imap.command("CREATE other")
        with Measure(side) as copy:
            imap.command("COPY 1:* other")
        assert imap.messages("other") == self.count
        with Measure(side) as delete:
            imap.command("DELETE other")
        imap.close()
        return {"copy_s": copy.seconds, "delete_s": delete.seconds, "_copy_cpu_s": copy.cpu,
                "_delete_cpu_s": delete.cpu}


class Append(Case):
    name = "append"
    figures = [("multi", "messages/s", "MULTIAPPEND, 500 a command", 1, ">", None),
               ("pipelined", "messages/s", "APPEND, 64 under way", 1, ">", None),
               ("single", "messages/s", "APPEND, one at a time", 0.8, ">", 666)]

    def sides(self, env):
        ours = sides.Hikyaku(env.folder)
        return [ours] + [sides.Peers(env.folder, env.unpacked, ours.folder / "tls", kind, smtp=False)
                         for kind in ("mdbox", "maildir")]

    def prepare(self, side):
        self.messages = list(clients.mailbox(self.scaled(5000, 50)))
        side.open(["writer"])

    def round(self, side):
        figures = {}
        for name, append in (("multi", lambda imap: imap.fill("there", self.messages)),
                             ("pipelined", lambda imap: imap.append_many("there", self.messages)),
                             ("single", lambda imap: imap.append_many("there", self.messages, 1))):
            imap = side.imap("writer")
            imap.command("CREATE there")
            with Measure(side) as m:
                append(imap)
            assert imap.messages("there") == len(self.messages)
            imap.command("DELETE there")
            imap.close()
            figures[name] = len(self.messages) / m.seconds
            figures["_" + name] = {"s": m.seconds, "cpu_ms": m.cpu * 1000 / len(self.messages), "cpu": m.by_name,
                                   "client_cpu_s": m.client}
        return figures
