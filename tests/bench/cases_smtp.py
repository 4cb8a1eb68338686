# SPDX-License-Identifier: ISC
"""Cases of mail on its way: into the queue, into mailboxes, on to others."""
import os
import re
import subprocess
import time

import clients
import peers
import ports
import procs
import sides
from case import Case, Measure, quiet
from sides import DOMAIN


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


class Sink:
    """Debian's smtp-sink: takes every message and drops it."""

    def __init__(self, folder, unpacked):
        self.port, self.said = ports.free_port(), folder / "smtp-sink.out"
        env = {**os.environ, "LD_LIBRARY_PATH": str(unpacked / "postfix/usr/lib/postfix")}
        with open(self.said, "wb") as out:
            self.process = subprocess.Popen(
                [unpacked / "postfix/usr/sbin/smtp-sink", "-c", "-u", "postfix", f"127.0.0.1:{self.port}", "1000"],
                env=env, stdout=out, stderr=out)
        clients.wait_for(lambda: peers.answers(self.port), 10)

    def messages(self):
        """How many came so far."""
        return int((re.findall(rb"mesg=(\d+)", self.said.read_bytes()) or [b"0"])[-1])

    def close(self):
        procs.end([self.process.pid])
        self.process.wait()


class Relay(Case):
    name = "relay"
    figures = [("cpu_ms", "ms CPU/message", "accepted and sent on", 1 / 3, "<", None),
               ("rate", "messages/s", "accepted and sent on", 3, ">", None),
               ("accept_rate", "messages/s", "accepted meanwhile", None, ">", None)]
    sessions = 20
    sink = None

    def sides(self, env):
        self.sink = Sink(env.folder, env.unpacked)
        host = f"[127.0.0.1]:{self.sink.port}"
        return [sides.Hikyaku(env.folder, {"smart_host": host, "smart_host_tls": "may", "allow_private_targets": "yes"}),
                sides.Peers(env.folder, env.unpacked, None, None, postfix={"relayhost": host})]

    def close(self):
        if self.sink:
            self.sink.close()

    def prepare(self, side):
        side.open(["sender"])
        self.submit(side, 200)
        clients.wait_for(lambda: side.queued() == 0, 60)

    def submit(self, side, count):
        """count messages over some sessions; one signs in where it has to."""
        sender = f"sender@{DOMAIN}"
        login = (sender, side.password) if side.ours else None
        message = clients.plain(10240, sender)

        def session(_):
            client = clients.Smtp(side.submission_port, login)
            for i in range(count // self.sessions):
                client.send([f"r{i % 50}@remote.test"], message, sender)
            client.close()

        clients.crowd(self.sessions, self.sessions, session)
        return count // self.sessions * self.sessions

    def round(self, side):
        before = self.sink.messages()
        with Measure(side) as m:
            count = self.submit(side, self.scaled(20000, 200))
            accepted = time.monotonic() - m.start
            clients.wait_for(lambda: side.queued() == 0, 900)
        if self.sink.messages() - before != count:
            raise RuntimeError(f"{side.name}: {self.sink.messages() - before} of {count} messages came out")
        return {"cpu_ms": m.cpu * 1000 / count, "rate": count / m.seconds, "accept_rate": count / accepted,
                "_seconds": m.seconds, "_cpu": m.by_name, "_client_cpu_s": m.client}
