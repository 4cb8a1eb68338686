# SPDX-License-Identifier: ISC
"""What a case is, and what all of them measure with.

A case is a class with
    name, figures   (figure, unit, what, mark, sense, floor)
    group           cases of one group, next to each other, share their sides
    sides(env)      the servers, ours first
    prepare(side)   once per side (and per case: a group's sides may be open)
    round(side)     figure -> value; "_..." is kept in the file, not compared
sense is "<" (ours/peer is to be at most mark) or ">" (at least). floor is a
figure's own limit on this machine, in its unit, or None.
"""
import os
import subprocess
import time

import clients
import procs
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
    """CPU of the side's trees, of this client, and the time between enter and exit."""

    def __init__(self, side):
        self.side = side

    def __enter__(self):
        quiet(self.side)
        self.before, self.client = self.side.cpu(), time.process_time()
        self.start = time.monotonic()
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.start
        self.client = time.process_time() - self.client
        self.by_name, self.cpu = procs.cpu_between(self.before, self.side.cpu())


class Case:
    rounds = None
    group = None

    def __init__(self, env):
        self.env = env

    def scaled(self, n, least=1):
        return max(least, int(n * self.env.scale))

    def prepare(self, side):
        pass

    def close(self):
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


