# SPDX-License-Identifier: ISC
"""What filters want kept from delivery: kept, shown, released, deleted, expired; once, whatever dies meanwhile."""
import json
import os
import pathlib
import random
import signal
import smtplib
import sqlite3
import subprocess
import threading
import time

import pytest

from instance import Instance, is_asan_note
from test_filter import find
from test_milter import Filter, add_milters
from test_roundtrip import imap
from test_virus import locked, message, packed

LOCKED = ("a.zip", locked(packed(("a", b"secret"))))
USERS = ("alice@example.test", "bob@example.test")


def prepare(hk):
    hk.domain()
    for address in USERS:
        hk.account(address)
    hk.domain("other.test")
    hk.account("carol@other.test")


@pytest.fixture(scope="module")
def milter():
    it = Filter().start()
    yield it
    it.stop()
    it.log.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def hk(milter):
    instance = Instance(config={"virus_encrypted": "quarantine", "filter_budget": "10s", "queue_retry_first": "1s"}).start()
    try:
        prepare(instance)
        instance.stop()
        add_milters(instance, {"main": (milter.address, {})}, {"smtp": ["main"], "submission": ["main"]})
        instance.start()
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def send(hk, data, *to, sender="a@remote.test"):
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=60) as smtp:
        smtp.ehlo("client.test")
        assert smtp.mail(sender)[0] == 250
        for recipient in to or ("alice@example.test",):
            assert smtp.rcpt(recipient)[0] == 250
        code, text = smtp.data(data)
        assert code == 250, text


def odd(subject, body="hello\r\n"):
    """The filter wants it quarantined, for the administrator."""
    return (f"From: \"A=?utf-8?q?=C3=A9?=\" <a@remote.test>\r\nSubject: {subject}\r\nX-Do: quarantine\r\n"
            f"Date: Mon, 02 Nov 2026 10:00:00 +0900\r\n\r\n{body}").encode()


def kept(hk, subject, count=1, seconds=20, args=()):
    """The entries of that subject, once there are so many and none is left in the queue."""
    deadline = time.monotonic() + seconds
    while True:
        items = [i for i in hk.cli_json("quarantine", "list", *args) if i["subject"] == subject]
        if len(items) == count and hk.cli_json("queue", "list") == []:
            return items
        assert time.monotonic() < deadline, (items, hk.cli("queue", "list").stdout, hk.log()[-3000:])
        time.sleep(0.05)


def copies(hk, subject, user):
    m = imap(hk, user)
    try:
        assert m.select("INBOX", readonly=True)[0] == "OK"
        return len(m.search(None, "SUBJECT", f'"{subject}"')[1][0].split())
    finally:
        m.logout()


# ---- kept and shown ----

def test_for_each_recipient(hk):
    """An archive nobody can open: an entry for each recipient, with all that is known."""
    send(hk, message("for-each", LOCKED, body="read <b>this</b>\x07 first\n"), "Alice@Example.Test", "bob@example.test",
         sender="a@remote.test")
    items = kept(hk, "for-each", 2)
    assert sorted(i["owner"] for i in items) == list(USERS)
    one = next(i for i in items if i["owner"] == USERS[0])
    assert one["for"] == "user" and one["sender"] == "a@remote.test" and one["from"] == "a@remote.test"
    assert one["reason"].startswith("an archive or document with a password (Heuristics.Encrypted.Zip")
    assert one["recipients"] == ["Alice@example.test"] and one["days_left"] == 14 and one["size"] > 300
    assert find(hk, "for-each", seconds=0) is None
    shown = hk.cli_json("quarantine", "show", one["id"])
    assert shown["attachments"] == ["a.zip"] and shown["date"].startswith("Mon, 02 Nov 2026")
    assert shown["preview"].splitlines()[0] == "read <b>this</b> first" and not shown["preview_cut"]
    assert shown["verdict"]["scan"] == "encrypted" and shown["verdict"]["action"] == "quarantine"
    text = hk.cli("quarantine", "show", one["id"]).stdout
    assert "  | read <b>this</b> first" in text and "\x07" not in text and "an archive or document" in text
    assert [i["id"] for i in hk.cli_json("quarantine", "list", "--address", USERS[0])] == [one["id"]]
    assert hk.cli_json("quarantine", "list", "--domain", "other.test") == []
    assert hk.cli_json("quarantine", "list", "--for", "admin", "--domain", "example.test") == []
    hk.cli("quarantine", "delete", "--all")
    assert hk.cli_json("quarantine", "list") == []


def test_for_the_administrator(hk):
    """A filter's quarantine: one entry a domain, with all its recipients."""
    send(hk, odd("for-admin"), "alice@example.test", "bob@example.test", "carol@other.test")
    items = {i["owner"]: i for i in kept(hk, "for-admin", 2)}
    assert sorted(items) == ["example.test", "other.test"]
    one = items["example.test"]
    assert one["for"] == "admin" and one["reason"] == "milter main: looks odd"
    assert sorted(one["recipients"]) == list(USERS) and one["from"].startswith('"Aé"')
    assert hk.cli_json("quarantine", "list", "--for", "user") == []
    hk.cli("quarantine", "release", "--all", "--domain", "example.test")
    for user in USERS:
        msg = find(hk, "for-admin", user)
        assert msg["X-Hikyaku-Released"] == "quarantine" and msg["Return-Path"] == "<a@remote.test>"
    assert find(hk, "for-admin", "carol@other.test", seconds=0) is None
    assert [i["owner"] for i in hk.cli_json("quarantine", "list")] == ["other.test"]
    hk.cli("quarantine", "delete", items["other.test"]["id"])
    assert copies(hk, "for-admin", "alice@example.test") == 1
    entry = hk.events("quarantine.entry.released")[-1]
    assert entry["actor"] == f"uid {os.getuid()}"


def test_what_our_users_send(hk):
    """To others: the sender's domain decides."""
    with smtplib.SMTP("localhost", hk.port("submission"), timeout=60) as smtp:
        smtp.starttls(context=hk.tls())
        smtp.login(USERS[0], hk.passwords[USERS[0]])
        data = odd("outgoing").replace(b"\"A=?utf-8?q?=C3=A9?=\" <a@remote.test>", USERS[0].encode())
        smtp.sendmail(USERS[0], ["x@elsewhere.test", "carol@other.test"], data)
    items = kept(hk, "outgoing", 2)
    assert sorted((i["owner"], i["for"], *i["recipients"]) for i in items) == [
        ("example.test", "admin", "x@elsewhere.test"), ("other.test", "admin", "carol@other.test")]
    hk.cli("quarantine", "delete", "--all")


def test_success_is_not_reported(hk):
    """NOTIFY=SUCCESS: nothing while it is kept, a report when it was delivered."""
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=60) as smtp:
        smtp.ehlo("client.test")
        assert smtp.mail("bob@example.test")[0] == 250
        assert smtp.rcpt("alice@example.test", ["NOTIFY=SUCCESS"])[0] == 250
        assert smtp.data(odd("notify"))[0] == 250
    item, = kept(hk, "notify")
    assert hk.events("queue.bounce.sent") == []
    hk.cli("quarantine", "release", item["id"])
    assert find(hk, "notify") is not None
    deadline = time.monotonic() + 20
    while not hk.events("queue.bounce.sent"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_mistakes(hk):
    done = hk.cli("quarantine", "show", "123", check=False)
    assert done.returncode == 1 and "no message 123" in done.stderr
    done = hk.cli("quarantine", "release", "123", check=False)
    assert done.returncode == 1 and "there is no such entry" in done.stderr
    assert hk.cli("quarantine", "release", check=False).returncode == 2
    assert hk.cli("quarantine", "delete", "1", "--all", check=False).returncode == 2
    assert hk.cli("quarantine", "list", "--for", "nobody", check=False).returncode == 1
    done = hk.cli("domain", "set", "example.test", "--quarantine-days", "91", check=False)
    assert done.returncode == 1 and "1 to 90" in done.stderr
    failed = hk.cli("quarantine", "release", "123", "--json", check=False)
    assert json.loads(failed.stdout) == {"count": 0, "failed": [{"id": "123", "reason": "there is no such entry"}]}


def test_release_is_scanned_again(hk):
    """Harmful by the signatures of today: it stays, unless an operator insists."""
    mark = b"KNOWN-LATER-" + os.urandom(8).hex().encode()
    send(hk, odd("known-later", mark.decode() + "\r\n"))
    item, = kept(hk, "known-later")
    ready = len(hk.events("scan.signatures.ready"))
    (hk.dir / "data/scan/signatures/later.ndb").write_text(f"Known.Later:0:*:{mark.hex()}\n")
    deadline = time.monotonic() + 60
    while len(hk.events("scan.signatures.ready")) == ready:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    done = hk.cli("quarantine", "release", item["id"], check=False)
    assert done.returncode == 1, done.stdout
    assert "malicious content" in done.stderr and "Known.Later" in done.stderr, done.stderr
    assert [i["id"] for i in hk.cli_json("quarantine", "list")] == [item["id"]]
    assert find(hk, "known-later", seconds=0) is None
    hk.cli("quarantine", "release", item["id"], "--force")
    assert find(hk, "known-later")["X-Hikyaku-Released"] == "quarantine"
    assert hk.cli_json("quarantine", "list") == []
    assert "Known.Later" in hk.events("quarantine.release.forced")[-1]["virus"]


def test_no_scanner_no_release(hk):
    send(hk, odd("unseen"))
    item, = kept(hk, "unseen")
    pid, = hk.processes()["filterd"]
    os.kill(pid, signal.SIGSTOP)
    try:
        done = hk.cli("quarantine", "release", item["id"], check=False)
        assert done.returncode == 1 and "try again later" in done.stderr
    finally:
        os.kill(pid, signal.SIGCONT)
    hk.cli("quarantine", "release", item["id"])
    assert find(hk, "unseen") is not None


def test_expiry(hk):
    """A domain's days hold for what is there already; each step is logged."""
    for n in range(3):
        send(hk, odd(f"old-{n}"))
        kept(hk, f"old-{n}")
    send(hk, odd("elsewhere-old"), "carol@other.test")
    kept(hk, "elsewhere-old")
    hk.stop()
    with sqlite3.connect(hk.dir / "data/quarantine/quarantine.db") as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Older than two days, but for the youngest.
        db.execute("UPDATE entry SET kept_s = kept_s - 2 * 86400 - 60 WHERE subject <> 'old-2'")
    db.close()
    hk.start()
    hk.cli("queue", "flush", "--all")
    days = {i["subject"]: i["days_left"] for i in hk.cli_json("quarantine", "list")}
    assert days == {"old-0": 12, "old-1": 12, "old-2": 14, "elsewhere-old": 12}
    hk.cli("domain", "set", "example.test", "--quarantine-days", "2")
    days = {i["subject"]: i["days_left"] for i in hk.cli_json("quarantine", "list")}
    assert days == {"old-0": 0, "old-1": 0, "old-2": 2, "elsewhere-old": 12}
    # It is swept at a start, and every few minutes.
    hk.stop()
    hk.start()
    deadline = time.monotonic() + 30
    while len(hk.cli_json("quarantine", "list")) != 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    entry, = hk.events("quarantine.entries.expired")
    assert entry["domain"] == "example.test" and entry["count"] == 2
    links = list((hk.dir / "data/quarantine/b").glob("*/*"))
    assert len(links) == 2
    hk.cli("quarantine", "delete", "--all")
    hk.cli("domain", "set", "example.test", "--quarantine-days", "14")
    assert list((hk.dir / "data/quarantine/b").glob("*/*")) == []
    check, = [c for c in hk.cli_json("doctor", check=False)["checks"] if c["area"] == "quarantine"]
    assert check["state"] == "ok" and check["entries"] == 0 and check["swept"]
