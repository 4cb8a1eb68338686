# SPDX-License-Identifier: ISC
"""Cases of sessions: many at rest, many that come and go, POP3."""
import asyncio
import ssl
import time

import clients
import sides
from case import Case, Measure, quiet
from sides import DOMAIN


class Idle10k(Case):
    name = "idle-10k"
    rounds = 1
    figures = [("kib", "KiB PSS/session", "TLS, in IDLE", None, "<", 48)]

    def sides(self, env):
        ours = sides.Hikyaku(env.folder, {"park_after": "2s", "account_linger": "3s", "sessions_imapd": "15000",
                                          "sessions_per_user": "1000", "timeout_imap": "60m"})
        tls = ours.folder / "tls"
        common = sides.Peers(env.folder, env.unpacked, tls, "mdbox")
        asleep = sides.Peers(env.folder, env.unpacked, tls, "mdbox", hibernate="1s")
        asleep.name += ", hibernated"
        return [ours, common, asleep]

    def prepare(self, side):
        self.users = [f"i{i}" for i in range(self.scaled(500, 5))]
        side.sessions = self.scaled(10000, 50) if side.ours else min(self.scaled(10000, 50), 1000)
        side.open(self.users)

    async def session(self, side, user, context, gate):
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", side.imap_port, ssl=context, limit=4096)
            address, password = f"{user}@{DOMAIN}", sides.PASSWORD if side.ours else "secret"
            await reader.readline()
            for tag, text in (("a", f'LOGIN "{address}" "{password}"'), ("b", "SELECT INBOX"), ("c", "IDLE")):
                writer.write(f"{tag} {text}\r\n".encode())
                while True:
                    line = await asyncio.wait_for(reader.readline(), 120)
                    if line.startswith(b"+ "):
                        break
                    if line.startswith(tag.encode() + b" "):
                        if b" OK" not in line[:6]:
                            raise RuntimeError(f"{side.name}: {line!r}")
                        break
                    if not line:
                        raise RuntimeError(f"{side.name}: closed at {text.split()[0]}")
        return writer

    async def crowd(self, side, measure):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        gate = asyncio.Semaphore(8)
        writers = await asyncio.gather(*(
            self.session(side, self.users[i % len(self.users)], context, gate) for i in range(side.sessions)))
        result = await asyncio.to_thread(measure)
        for writer in writers:
            writer.transport.abort()
        return result

    def round(self, side):
        empty = sum(size for _, size in side.pss().values())
        start = time.monotonic()

        def measure():
            loaded = time.monotonic() - start
            least = None
            deadline = time.monotonic() + 90
            while time.monotonic() < deadline:      # Parking and hibernation take their time.
                table = side.pss()
                total = sum(size for _, size in table.values())
                if least is not None and total > 0.995 * least[0]:
                    return least, loaded
                least = (total, table)
                time.sleep(5)
            return least, loaded

        (total, table), loaded = asyncio.run(self.crowd(side, measure))
        return {"kib": total / side.sessions, "_sessions": side.sessions, "_pss": table, "_empty_kib": empty,
                "_login_s": loaded}


class Login(Case):
    name = "login"
    figures = [("rate", "logins/s", "TLS, LOGIN, SELECT, LOGOUT", 3, ">", None),
               ("cpu_ms", "ms CPU/login", "the same", 1 / 3, "<", None)]
    together = 8

    def sides(self, env):
        ours = sides.Hikyaku(env.folder)
        return [ours, sides.Peers(env.folder, env.unpacked, ours.folder / "tls", "mdbox", smtp=False, fast_login=True)]

    def prepare(self, side):
        self.users = [f"l{i}" for i in range(20)]
        side.open(self.users)
        for user in self.users:     # The password is remembered from here.
            imap = side.imap(user)
            imap.fill("INBOX", clients.mailbox(10))
            imap.close()

    def visit(self, side, i):
        imap = side.imap(self.users[i % len(self.users)])
        imap.command("SELECT INBOX")
        imap.close()

    def round(self, side):
        count = self.scaled(3000, 100)
        with Measure(side) as m:
            clients.crowd(self.together, count, lambda i: self.visit(side, i))
            # What a process used counts when its parent has seen its end.
            seconds = time.monotonic() - m.start
            quiet(side)
        return {"rate": count / seconds, "cpu_ms": m.cpu * 1000 / count, "_seconds": seconds, "_cpu": m.by_name,
                "_client_cpu_s": m.client}


class Pop3(Case):
    name = "pop3"
    figures = [("each", "MB/s", "RETR, one at a time, plain", 1.5, ">", None),
               ("pipelined", "MB/s", "RETR, pipelined, plain", 1.5, ">", None),
               ("tls", "MB/s", "RETR, one at a time, over TLS", None, ">", None)]

    def sides(self, env):
        ours = sides.Hikyaku(env.folder)
        return [ours, sides.Peers(env.folder, env.unpacked, ours.folder / "tls", "mdbox", smtp=False)]

    def prepare(self, side):
        side.open(["fetcher"])
        imap = side.imap("fetcher", tls=False)
        imap.fill("INBOX", clients.mailbox(self.scaled(10000, 100)))
        imap.close()

    def round(self, side):
        figures = {}
        for name, window, tls in (("each", 1, False), ("pipelined", 500, False), ("tls", 1, True)):
            pop3 = side.pop3("fetcher", tls)
            assert pop3.messages == self.scaled(10000, 100)
            with Measure(side) as m:
                octets = pop3.retrieve(window)
            pop3.close()
            figures[name] = octets / m.seconds / 1e6
            figures["_" + name] = {"s": m.seconds, "cpu_s": m.cpu, "client_cpu_s": m.client, "octets": octets}
        return figures
