# SPDX-License-Identifier: ISC
"""The cases: each opens its sides, runs rounds on them, and names its figures.

A case is a class with
    name, figures   (figure, unit, what, mark, sense, floor)
    sides(env)      the servers, ours first
    prepare(side)   once per side
    round(side)     figure -> value; "_..." is kept in the file, not compared
sense is "<" (ours/peer is to be at most mark) or ">" (at least). floor is a
figure's own limit on this machine, in its unit, or None.
"""
import asyncio
import os
import ssl
import subprocess
import threading
import time

import clients
import procs
import sides
from sides import DOMAIN


def quiet(side, seconds=20):
    """Wait until the side uses no CPU to speak of, and the disk has it all."""
    os.sync()
    deadline = time.monotonic() + seconds
    before = sum(side.cpu().values())
    while time.monotonic() < deadline:
        time.sleep(0.3)
        now = sum(side.cpu().values())
        if now - before < 0.01:
            return
        before = now


class Measure:
    """CPU of the side's trees and the time between enter and exit."""

    def __init__(self, side):
        self.side = side

    def __enter__(self):
        quiet(self.side)
        self.before, self.start = self.side.cpu(), time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.start
        self.by_name, self.cpu = procs.cpu_between(self.before, self.side.cpu())


class Case:
    rounds = None

    def __init__(self, env):
        self.env = env

    def scaled(self, n, least=1):
        return max(least, int(n * self.env.scale))

    def prepare(self, side):
        pass

    def smtp_source(self, side, users, sessions, messages, length=10240):
        """Send messages in all, from sessions at a time, spread over the users."""
        unpacked = self.env.unpacked / "postfix"
        env = {**os.environ, "LD_LIBRARY_PATH": str(unpacked / "usr/lib/postfix")}
        per_user = messages // len(users)
        running = [subprocess.Popen(
            [unpacked / "usr/sbin/smtp-source", "-s", str(max(1, sessions // len(users))), "-m", str(per_user),
             "-l", str(length), "-f", "bench@remote.test", "-t", f"{user}@{DOMAIN}", f"127.0.0.1:{side.smtp_port}"],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for user in users]
        for process in running:
            text, _ = process.communicate(timeout=1800)
            if process.returncode != 0 or b"fatal" in text:
                raise RuntimeError(f"smtp-source: {text.decode()}\n{side.log()[-2000:]}")
        return per_user * len(users)

    def wait_delivered(self, side, expected, seconds=900):
        """Queue empty, then the mailboxes' own word for it (IMAP STATUS)."""
        clients.wait_for(lambda: side.queued() == 0, seconds)
        empty = time.monotonic()
        for user, count in expected.items():
            imap = side.imap(user)
            clients.wait_for(lambda: imap.messages() >= count, seconds)
            got = imap.messages()
            imap.close()
            if got != count:
                raise RuntimeError(f"{side.name}: {user} has {got} messages, not {count}")
        return empty


class SmtpAccept(Case):
    name = "smtp-accept"
    figures = [("cpu_ms", "ms CPU/message", "accepted and queued", 1 / 4, "<", 0.2),
               ("rate", "messages/s", "accepted and queued", 3, ">", 4800)]

    def sides(self, env):
        return [sides.Hikyaku(env.folder, {"discard": "yes"}), sides.Peers(env.folder, env.unpacked, None, None)]

    def prepare(self, side):
        side.open(["sink"], with_password=[])
        self.smtp_source(side, ["sink"], 20, 500)

    def round(self, side):
        with Measure(side) as m:
            start = time.monotonic()
            count = self.smtp_source(side, ["sink"], 20, self.scaled(20000, 200))
            accepted = time.monotonic() - start
            clients.wait_for(lambda: side.queued() == 0, 600)
        return {"cpu_ms": m.cpu * 1000 / count, "rate": count / accepted, "_seconds": m.seconds,
                "_cpu": m.by_name}


class SmtpDeliver(Case):
    name = "smtp-deliver"
    figures = [("cpu_ms", "ms CPU/message", "until in the mailbox", 1 / 5, "<", 0.3),
               ("rate", "messages/s", "until in the mailbox", 4, ">", 4800)]

    def sides(self, env):
        ours = sides.Hikyaku(env.folder)
        tls = ours.folder / "tls"
        return [ours, sides.Peers(env.folder, env.unpacked, tls, "mdbox"),
                sides.Peers(env.folder, env.unpacked, tls, "maildir")]

    def prepare(self, side):
        self.users = [f"u{i}" for i in range(20)]
        side.open(self.users)
        self.smtp_source(side, self.users, 20, 200)
        side.count = 10
        self.wait_delivered(side, dict.fromkeys(self.users, side.count))

    def round(self, side):
        quiet(side)
        with Measure(side) as m:
            count = self.smtp_source(side, self.users, 20, self.scaled(10000, 200))
            accepted = time.monotonic() - m.start
            side.count += count // len(self.users)
            empty = self.wait_delivered(side, dict.fromkeys(self.users, side.count)) - m.start
        return {"cpu_ms": m.cpu * 1000 / count, "rate": count / m.seconds, "_accepted": accepted, "_queue_empty": empty,
                "_seconds": m.seconds, "_cpu": m.by_name}


class OneTo1000(Case):
    name = "one-to-1000"
    figures = [("cold_s", "s", "to the last mailbox, after a restart", 1 / 2, "<", None),
               ("cold_cpu_ms", "ms CPU/recipient", "the same", None, "<", 0.3),
               ("warm_s", "s", "to the last mailbox, once more", 1 / 4, "<", None),
               ("warm_cpu_ms", "ms CPU/recipient", "the same", None, "<", None)]

    def sides(self, env):
        ours = sides.Hikyaku(env.folder)
        return [ours, sides.Peers(env.folder, env.unpacked, ours.folder / "tls", "mdbox")]

    def prepare(self, side):
        self.users = [f"m{i}" for i in range(self.scaled(1000, 20))]
        self.checked = self.users[::len(self.users) // 10]
        side.open(self.users, with_password=self.checked)
        side.count = 0
        self.post(side)     # Mailboxes exist from here on.

    def post(self, side):
        client = clients.Smtp(side.smtp_port)
        message = clients.message(2)
        with Measure(side) as m:
            start = time.monotonic()
            client.send([f"{user}@{DOMAIN}" for user in self.users], message)
            accepted = time.monotonic() - start
            clients.wait_for(lambda: side.queued() == 0, 120, 0.002)
            seconds = time.monotonic() - start
        client.close()
        side.count += 1
        return seconds, m.cpu * 1000 / len(self.users), accepted, m.by_name

    def round(self, side):
        side.restart()
        cold = self.post(side)
        warm = self.post(side)
        self.wait_delivered(side, dict.fromkeys(self.checked, side.count))
        return {"cold_s": cold[0], "cold_cpu_ms": cold[1], "warm_s": warm[0], "warm_cpu_ms": warm[1],
                "_cold_accepted": cold[2], "_warm_accepted": warm[2], "_cold_cpu": cold[3], "_warm_cpu": warm[3]}


class FetchSync50k(Case):
    name = "fetch-sync-50k"
    figures = [("first_s", "s", "ENVELOPE, BODYSTRUCTURE, ... the first time", 1 / 4, "<", None),
               ("later_s", "s", "the same, later", 1, "<", None),
               ("flags_s", "s", "FETCH 1:* (UID FLAGS)", 1, "<", None),
               ("select_ms", "ms", "SELECT", 1, "<", None),
               ("first_cpu_s", "s CPU", "the first time", None, "<", None),
               ("later_cpu_s", "s CPU", "later", None, "<", None)]
    everything = "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"

    def sides(self, env):
        ours = sides.Hikyaku(env.folder)
        return [ours, sides.Peers(env.folder, env.unpacked, ours.folder / "tls", "mdbox")]

    def prepare(self, side):
        side.open(["reader"])
        self.count = self.scaled(50000, 100)
        imap = side.imap("reader")
        start = time.monotonic()
        imap.append_many("INBOX", clients.mailbox(self.count))
        side.loaded = time.monotonic() - start
        assert imap.messages() == self.count
        imap.close()

    def once(self, side, command):
        imap = side.imap("reader")
        start = time.monotonic()
        imap.command("SELECT INBOX")
        selected = time.monotonic() - start
        with Measure(side) as m:
            octets = imap.command(command, keep=False)
        imap.close()
        return m.seconds, m.cpu, octets, selected * 1000

    def round(self, side):
        side.imap("reader").close()     # The password is remembered from here.
        side.forget_cache()
        side.restart()
        side.imap("reader").close()
        first = self.once(side, self.everything)
        later = self.once(side, self.everything)
        flags = self.once(side, "FETCH 1:* (UID FLAGS)")
        return {"first_s": first[0], "later_s": later[0], "flags_s": flags[0], "select_ms": later[3],
                "first_cpu_s": first[1], "later_cpu_s": later[1], "_octets": first[2], "_load_s": side.loaded,
                "_first_select_ms": first[3]}


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


CASES = [SmtpAccept, SmtpDeliver, OneTo1000, FetchSync50k, Idle10k]
