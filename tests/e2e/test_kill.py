# SPDX-License-Identifier: ISC
"""kill -9 of each process in turn under load, against an outside ledger of what was acknowledged."""
import hashlib
import imaplib
import os
import random
import signal
import smtplib
import threading
import time

import pytest
from instance import is_asan_note
from test_roundtrip import imap

USERS = [f"u{n}@example.test" for n in range(5)]
VICTIMS = ["smtpd", "queued", "quarantined", "blobd", "directoryd", "mboxd", "authd", "dnsd", "fetchd", "filterd", "scand",
           "metricd", "detonated", "milterd", "relay", "keyd", "imapd", "pop3d", "webmail", "admind"]


class Load(threading.Thread):
    """Sends until told to stop; keeps (id, recipients) of every 250."""

    def __init__(self, hk, number):
        super().__init__()
        self.hk, self.number, self.acked, self.is_stopping, self.n = hk, number, {}, False, 0

    def run(self):
        smtp = None
        while not self.is_stopping:
            self.n += 1
            name = f"load-{self.number}-{self.n}"
            recipients = random.sample(USERS, random.randint(1, 3))
            body = f"Message-ID: <{name}@load.test>\r\nSubject: {name}\r\n\r\n" + \
                hashlib.sha256(name.encode()).hexdigest() * random.randint(1, 200) + "\r\n"
            try:
                if smtp is None:
                    smtp = smtplib.SMTP("127.0.0.1", self.hk.port("smtp"), timeout=30)
                refused = smtp.sendmail("x@load.test", recipients, body)
                self.acked[name] = ([r for r in recipients if r not in refused], body)
            except (smtplib.SMTPException, OSError):
                smtp = None
                time.sleep(0.05)


class Reader(threading.Thread):
    """Appends by IMAP; keeps what was answered OK."""

    def __init__(self, hk):
        super().__init__()
        self.hk, self.acked, self.is_stopping, self.n, self.uids = hk, set(), False, 0, []

    def run(self):
        m = None
        while not self.is_stopping:
            self.n += 1
            name = f"append-{self.n}"
            try:
                if m is None:
                    m = imap(self.hk, USERS[0])
                typ, data = m.append("Archive", None, None, f"Subject: {name}\r\n\r\nx\r\n".encode())
                if typ == "OK":
                    self.acked.add(name)
                    self.uids.append(int(data[0].split(b"APPENDUID ")[1].split()[1].rstrip(b"]")))
            except (imaplib.IMAP4.error, OSError):
                m = None
                time.sleep(0.05)


def subjects(hk, user, box="INBOX"):
    m = imap(hk, user)
    m.select(box, readonly=True)
    typ, data = m.fetch("1:*", "(BODY.PEEK[])")
    m.logout()
    found = {}
    for part in data:
        if isinstance(part, tuple):
            name = part[1].split(b"Subject: ")[1].split(b"\r\n")[0].decode()
            found.setdefault(name, []).append(part[1])
    return found


def run_rounds(hk, victims, rounds_s):
    loads = [Load(hk, n) for n in range(4)]
    reader = Reader(hk)
    for t in (*loads, reader):
        t.start()
    for victim in victims:
        time.sleep(rounds_s)
        pids = hk.processes().get(victim, [])
        assert pids, f"{victim} does not run"
        # mboxd: the broker, a bulk worker or an account process.
        os.kill(random.choice(pids), signal.SIGKILL)
    time.sleep(rounds_s)
    for t in (*loads, reader):
        t.is_stopping = True
    for t in (*loads, reader):
        t.join(120)
        assert not t.is_alive()
    return loads, reader


def check_ledger(hk, loads, reader):
    hk.cli("queue", "flush", "--all")
    deadline = time.monotonic() + 120
    while hk.cli_json("queue", "list") and time.monotonic() < deadline:
        hk.cli("queue", "flush", "--all", check=False)
        time.sleep(0.5)
    assert not hk.cli_json("queue", "list"), hk.cli("queue", "list").stdout
    boxes = {user: subjects(hk, user) for user in USERS}
    acked = 0
    for load in loads:
        for name, (recipients, body) in load.acked.items():
            acked += 1
            for user in USERS:
                copies = boxes[user].get(name, [])
                assert len(copies) == (1 if user in recipients else 0), (name, user, len(copies))
                if copies:
                    assert copies[0].endswith(body.encode()), name
    appended = subjects(hk, USERS[0], "Archive")
    for name in reader.acked:
        assert len(appended.get(name, [])) == 1, name
    assert len(set(reader.uids)) == len(reader.uids) and reader.uids == sorted(reader.uids)
    assert acked > 50 and len(reader.acked) > 5, (acked, len(reader.acked))
    return acked


@pytest.mark.slow
def test_kill_each(make_instance):
    hk = make_instance(config={"queue_retry_first": "1s"}).start()
    hk.domain()
    for user in USERS:
        hk.account(user)
    rounds = VICTIMS + ["mboxd", "mboxd", "mboxd", "blobd", "queued"]
    if os.environ.get("HIKYAKU_LONG") == "1":
        rounds = rounds * 10
    loads, reader = run_rounds(hk, rounds, 1.0)
    check_ledger(hk, loads, reader)
    assert not [e for e in hk.events() if e["event"] in ("process.stderr", "log.broken", "process.alert")
                and not is_asan_note(e)]


@pytest.mark.slow
def test_kill_all_at_once(make_instance):
    """hikyakud and everything below it, as a power cut would (but for the disk's cache)."""
    hk = make_instance(config={"queue_retry_first": "1s"}).start()
    hk.domain()
    for user in USERS:
        hk.account(user)
    for _ in range(3):
        loads = [Load(hk, n) for n in range(4)]
        for t in loads:
            t.start()
        time.sleep(1.5)
        pids = [hk.pid()] + [p for ps in hk.processes().values() for p in ps]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for t in loads:
            t.is_stopping = True
        for t in loads:
            t.join(120)
        hk.start()
        deadline = time.monotonic() + 60
        while hk.cli_json("queue", "list") and time.monotonic() < deadline:
            hk.cli("queue", "flush", "--all", check=False)
            time.sleep(0.3)
        for user in USERS:
            box = subjects(hk, user)
            for load in loads:
                for name, (recipients, _) in load.acked.items():
                    want = 1 if user in recipients else 0
                    assert len(box.get(name, [])) == want, (name, user)
        for user in USERS:
            m = imap(hk, user)
            m.select("INBOX")
            m.store("1:*", "+FLAGS", "\\Deleted")
            m.expunge()
            m.logout()
