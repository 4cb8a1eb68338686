# SPDX-License-Identifier: ISC
"""What filters want kept from delivery: kept, shown, released, deleted, expired; once, whatever dies meanwhile."""
import email.message
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
    instance = Instance(config={"virus_encrypted": "quarantine", "filter_budget": "5s", "queue_retry_first": "1s"}).start()
    try:
        prepare(instance)
        instance.stop()
        add_milters(instance, {"main": (milter.address, {})}, {"smtp": ["main"], "submission": ["main"]})
        instance.start()
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


@pytest.fixture(scope="module")
def plain():
    """Without a mail filter; its programs die."""
    instance = Instance(config={"virus_encrypted": "quarantine", "queue_retry_first": "1s"}).start()
    try:
        prepare(instance)
        yield instance
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
    assert [i["id"] for i in hk.cli_json("quarantine", "list", "--address", "ALICE@Example.test")] == [one["id"]]
    assert hk.cli_json("quarantine", "list", "--domain", "other.test") == []
    assert hk.cli_json("quarantine", "list", "--for", "admin", "--domain", "example.test") == []
    hk.cli("quarantine", "delete", "--all")
    assert hk.cli_json("quarantine", "list") == []


def test_preview(hk):
    """HTML without what it does, Japanese as it reads, no more than fits; of a message with too many parts, too."""
    html = "<html><script>alert(1)</script><p>請求書<img src='http://remote.test/x'></p>" + "<p>more</p>" * 2000
    msg = email.message.EmailMessage()
    msg["From"], msg["Subject"], msg["X-Do"] = "a@remote.test", "html", "quarantine"
    msg.set_content(html, subtype="html", charset="iso-2022-jp", cte="base64")
    send(hk, msg.as_bytes().replace(b"\n", b"\r\n"))
    item, = kept(hk, "html")
    shown = hk.cli_json("quarantine", "show", item["id"])
    assert shown["preview"].startswith("請求書") and shown["preview"].endswith("more") and shown["preview_cut"]
    assert len(shown["preview"].encode()) <= 4000 and "alert" not in shown["preview"] and "http" not in shown["preview"]
    parts = "".join(f"--b\r\nContent-Type: text/plain; name=\"part-{n}-{'x' * 40}\"\r\n\r\ntext {n}\r\n" for n in range(1500))
    send(hk, b"From: a@remote.test\r\nSubject: parts\r\nX-Do: quarantine\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts.encode() + b"--b--\r\n")
    item, = kept(hk, "parts")
    shown = hk.cli_json("quarantine", "show", item["id"])
    assert len(shown["attachments"]) == 50 and shown["attachments"][7].startswith("part-7-")
    assert shown["preview"].startswith("text 0")
    hk.cli("quarantine", "delete", "--all")


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
    assert hk.cli("quarantine", "list", "--address", "nobody", check=False).returncode == 1
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
    deadline = time.monotonic() + 20
    while True:
        figures = {}
        for row in hk.cli_json("stats", "show", "--domain", "example.test"):
            figures.update(row["figures"])
        if figures.get("quarantine.expired") == 2:
            break
        assert time.monotonic() < deadline, figures
        time.sleep(0.2)
    assert figures["quarantine.kept"] > 5 and figures["quarantine.released"] >= 4


# ---- once, whatever dies ----

def crash_at(hk, program, injection):
    """The program ends at that system call, as if the power went; a new one is started."""
    pids = hk.processes()[program]
    calls = injection.split(":")[0]
    tracer = subprocess.Popen(["strace", "-f", "-q", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={injection}",
                               *[arg for pid in pids for arg in ("-p", str(pid))]], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    # Every thread of it.
    while any("TracerPid:\t0\n" in status.read_text() for pid in pids
              for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status")):
        assert time.monotonic() < deadline and tracer.poll() is None
        time.sleep(0.02)
    return tracer, pids


def wait_for_another(hk, program, pids):
    deadline = time.monotonic() + 30
    while not (now := hk.processes().get(program)) or set(now) & set(pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state_of(hk, entry):
    """Held; None when it went, which what was decided does by itself."""
    deadline = time.monotonic() + 30
    while True:
        state = {i["id"]: i["state"] for i in hk.cli_json("quarantine", "list")}.get(entry)
        if state != "releasing":
            return state
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.fault
def test_crash_of_a_release(plain):
    """Ends at each of its writes: before the decision is on disk nothing goes; after it the message goes by itself, once,
    whether the queue had it or not."""
    hk, ends = plain, set()
    for n in range(1, 12):
        subject, repeated = f"once-{n}", len(hk.events("queue.item.repeated"))
        send(hk, message(subject, LOCKED), *USERS)
        one = next(i for i in kept(hk, subject, 2) if i["owner"] == USERS[0])
        tracer, pids = crash_at(hk, "quarantined", f"pwrite64:signal=SIGKILL:when={n}")
        done = hk.cli("quarantine", "release", one["id"], check=False)
        if done.returncode == 0:
            tracer.terminate()
            tracer.wait(20)
            break
        tracer.wait(20)
        wait_for_another(hk, "quarantined", pids)
        if state_of(hk, one["id"]) == "held":
            ends.add("undecided")
            assert find(hk, subject, USERS[0], seconds=0) is None
            hk.cli("quarantine", "release", one["id"])
        else:
            ends.add("repeated" if len(hk.events("queue.item.repeated")) > repeated else "resumed")
        assert find(hk, subject, USERS[0]) is not None
        hk.wait_queue_empty()
        assert copies(hk, subject, USERS[0]) == 1 and copies(hk, subject, USERS[1]) == 0
    assert ends >= {"undecided", "repeated"}, ends
    hk.cli("quarantine", "delete", "--all")


@pytest.mark.fault
def test_release_while_the_queue_is_away(plain):
    """Decided, and taken up when the queue is back, by a quarantine that was started meanwhile."""
    hk = plain
    send(hk, message("later", LOCKED))
    item, = kept(hk, "later")
    queue, = hk.processes()["queued"]
    os.kill(queue, signal.SIGSTOP)
    asker = threading.Thread(target=hk.cli, args=("quarantine", "release", item["id"]), kwargs={"check": False})
    asker.start()
    try:
        deadline = time.monotonic() + 20
        while hk.cli_json("quarantine", "list")[0]["state"] != "releasing":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        pids = hk.processes()["quarantined"]
        os.kill(pids[0], signal.SIGKILL)
        wait_for_another(hk, "quarantined", pids)
    finally:
        os.kill(queue, signal.SIGCONT)
        asker.join()
    assert find(hk, "later") is not None
    assert state_of(hk, item["id"]) is None
    assert copies(hk, "later", USERS[0]) == 1


@pytest.mark.fault
def test_crash_of_keeping(plain):
    """queued ends before it knows that the message is kept, and asks again; what was deleted meanwhile does not come
    back."""
    hk = plain
    before = len(hk.events("queue.rcpt.quarantined"))
    pid, = hk.processes()["quarantined"]
    os.kill(pid, signal.SIGSTOP)
    send(hk, message("again", LOCKED))
    tracer, pids = crash_at(hk, "queued", "pwrite64:signal=SIGKILL:when=1")
    os.kill(pid, signal.SIGCONT)
    tracer.wait(20)
    deadline = time.monotonic() + 20
    while not (items := hk.cli_json("quarantine", "list")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    hk.cli("quarantine", "delete", items[0]["id"])
    wait_for_another(hk, "queued", pids)
    hk.wait_queue_empty()
    assert len(hk.events("queue.rcpt.quarantined")) == before + 2
    assert hk.cli_json("quarantine", "list") == []


class Load(threading.Thread):
    """Sends what is quarantined until told to stop; keeps what was answered 250."""

    def __init__(self, hk, number):
        super().__init__()
        self.hk, self.number, self.acked, self.is_stopping = hk, number, {}, False

    def run(self):
        smtp, n = None, 0
        while not self.is_stopping:
            n += 1
            name = f"load-{self.number}-{n}"
            recipients = random.sample(USERS, random.randint(1, len(USERS)))
            try:
                if smtp is None:
                    smtp = smtplib.SMTP("127.0.0.1", self.hk.port("smtp"), timeout=30)
                # A recipient may be put off while directoryd is away; the others' mail is taken all the same.
                refused = smtp.sendmail("x@load.test", recipients, message(name, LOCKED))
                self.acked[name] = [r for r in recipients if r not in refused]
            except (smtplib.SMTPException, OSError):
                smtp = None
                time.sleep(0.05)


@pytest.mark.slow
def test_kill_under_load(make_instance):
    """kill -9 of each in turn: every acknowledged message is kept once for each recipient, and released once."""
    hk = make_instance(config={"virus_encrypted": "quarantine", "queue_retry_first": "1s"}).start()
    prepare(hk)
    loads = [Load(hk, n) for n in range(3)]
    for it in loads:
        it.start()
    for victim in ["quarantined", "queued", "quarantined", "blobd", "quarantined", "directoryd", "queued", "quarantined"]:
        time.sleep(1.0)
        for pid in hk.processes().get(victim, []):
            os.kill(pid, signal.SIGKILL)
    time.sleep(1.0)
    for it in loads:
        it.is_stopping = True
    for it in loads:
        it.join(60)
    hk.stop()
    hk.start()
    deadline = time.monotonic() + 60
    while hk.cli_json("queue", "list") and time.monotonic() < deadline:
        hk.cli("queue", "flush", "--all", check=False)
        time.sleep(0.3)
    hk.wait_queue_empty()
    acked = {name: to for it in loads for name, to in it.acked.items()}
    assert len(acked) > 20, acked
    pairs = [(i["subject"], i["owner"]) for i in hk.cli_json("quarantine", "list")]
    assert len(set(pairs)) == len(pairs)
    for name, to in acked.items():
        assert sorted(owner for subject, owner in pairs if subject == name) == sorted(to), name
    links = {int(p.name) for p in (hk.dir / "data/quarantine/b").glob("*/*")}
    assert links == {int(i["id"]) for i in hk.cli_json("quarantine", "list")}

    # Released while quarantined and queued die: each once.
    stopping = threading.Event()

    def kill():
        while not stopping.wait(0.7):
            for pid in hk.processes().get(random.choice(["quarantined", "queued"]), []):
                os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    for _ in range(3):
        hk.cli("quarantine", "release", "--all", check=False)
    stopping.set()
    killer.join()
    deadline = time.monotonic() + 120
    while hk.cli_json("quarantine", "list") and time.monotonic() < deadline:
        hk.cli("quarantine", "release", "--all", check=False)
    hk.cli("queue", "flush", "--all")
    hk.wait_queue_empty(60)
    for user in USERS:
        m = imap(hk, user)
        m.select("INBOX", readonly=True)
        data = m.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        m.logout()
        subjects = [part[1].split(b": ")[1].strip().decode() for part in data if isinstance(part, tuple)]
        assert len(set(subjects)) == len(subjects)
        assert {name for name, to in acked.items() if user in to} <= set(subjects)
    assert not [e for e in hk.events() if e["event"] in ("process.stderr", "log.broken", "process.alert") and not is_asan_note(e)]


# ---- no room, no quarantined, an older queue ----

# The queue before it: version 4 of its database.
OLD_QUEUE = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE item (id INTEGER PRIMARY KEY, sender TEXT NOT NULL, sender_account INTEGER NOT NULL, flags INTEGER NOT NULL,
  trace BLOB NOT NULL, summary BLOB NOT NULL, size INTEGER NOT NULL, sha256 BLOB NOT NULL, client TEXT NOT NULL,
  arrived_us INTEGER NOT NULL, next_try_s INTEGER NOT NULL, tries INTEGER NOT NULL, is_held INTEGER NOT NULL,
  envid TEXT NOT NULL DEFAULT '', verdict BLOB NOT NULL DEFAULT x'');
CREATE TABLE rcpt (item INTEGER NOT NULL, n INTEGER NOT NULL, address TEXT NOT NULL, state INTEGER NOT NULL,
  reason TEXT NOT NULL, status TEXT NOT NULL DEFAULT '', remote TEXT NOT NULL DEFAULT '', notify INTEGER NOT NULL DEFAULT 0,
  orcpt TEXT NOT NULL DEFAULT '', via TEXT NOT NULL DEFAULT '', is_expanded INTEGER NOT NULL DEFAULT 0,
  is_delay_told INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (item, n)) WITHOUT ROWID;
CREATE TABLE submission (key TEXT PRIMARY KEY, item INTEGER NOT NULL, made_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX submission_made ON submission (made_s);
PRAGMA user_version = 4;
"""


def make_old(path):
    """The queue's database as it was, with every item held."""
    owner = path.stat()
    new = sqlite3.connect(path)
    new.execute("PRAGMA locking_mode = EXCLUSIVE")
    application, = new.execute("PRAGMA application_id").fetchone()
    old = sqlite3.connect(f"{path}.old")
    old.executescript(f"PRAGMA page_size = 8192; PRAGMA application_id = {application}; {OLD_QUEUE}")
    for table in ("meta", "item", "rcpt"):
        names = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
        rows = new.execute(f"SELECT {names} FROM {table}").fetchall()
        assert rows
        old.executemany(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(rows[0]))})", rows)
    old.execute("UPDATE item SET is_held = 1")
    old.commit()
    old.close()
    new.close()
    pathlib.Path(f"{path}-wal").unlink(missing_ok=True)
    os.replace(f"{path}.old", path)
    os.chown(path, owner.st_uid, owner.st_gid)


def test_what_an_older_queue_held(make_instance):
    """It had held it for an operator: it is kept from the first start on."""
    hk = make_instance(config={"virus_encrypted": "quarantine"}).start()
    prepare(hk)
    os.kill(hk.processes()["quarantined"][0], signal.SIGSTOP)
    send(hk, message("held-before", LOCKED))
    for pid in [hk.pid()] + [pid for pids in hk.processes().values() for pid in pids]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    make_old(hk.dir / "data/queue/queue.db")
    hk.start()
    assert kept(hk, "held-before")[0]["owner"] == USERS[0]


def test_waits_while_it_cannot_be_kept(plain):
    """quarantined does not answer: it waits in the queue, with a reason, and is kept later."""
    hk = plain
    pid, = hk.processes()["quarantined"]
    os.kill(pid, signal.SIGSTOP)
    send(hk, message("waits", LOCKED))
    deadline = time.monotonic() + 20
    while not (waiting := hk.cli_json("queue", "list")):
        assert time.monotonic() < deadline
    assert waiting[0]["verdict"]["action"] == "quarantine"
    os.kill(pid, signal.SIGKILL)
    item, = kept(hk, "waits")
    assert hk.events("queue.rcpt.waits")[-1]["reason"] == "the quarantine does not answer"
    assert item["owner"] == USERS[0]
    hk.cli("quarantine", "delete", "--all")


FAULTS = [
    ("quarantined", "fdatasync:error=EIO:when=2", "holder.commit.failed"),
    ("quarantined", "pwrite64:error=ENOSPC:when=5", "holder.commit.failed"),
    ("quarantined", "pread64:error=EIO:when=2+3", None),
    ("blobd", "linkat:error=ENOSPC:when=2+3", "blob.link.failed"),
    ("blobd", "syncfs,fsync,fdatasync:error=EIO:when=4", "blob.flush.failed"),
]


@pytest.mark.fault
@pytest.mark.parametrize("program,injection,event", FAULTS)
def test_failing_call(plain, program, injection, event):
    """What was acknowledged is kept, once; what an operator starts anew goes on."""
    hk, acked = plain, []
    before = len(hk.events(event)) if event else -1
    tracer, _ = crash_at(hk, program, injection)
    for n in range(12):
        name = f"{program}-{injection}-{n}"
        try:
            send(hk, message(name, LOCKED), *USERS)
            acked.append(name)
        except (AssertionError, smtplib.SMTPException, OSError):
            pass
    tracer.send_signal(signal.SIGINT)
    tracer.wait(20)
    for pid in hk.processes().get(program, []):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while hk.cli("queue", "list", "--json", check=False).stdout.strip() != "[]" and time.monotonic() < deadline:
        hk.cli("queue", "flush", "--all", check=False)
        time.sleep(0.2)
    hk.wait_queue_empty()
    assert acked and (not event or len(hk.events(event)) > before)
    pairs = [(i["subject"], i["owner"]) for i in hk.cli_json("quarantine", "list")]
    assert len(set(pairs)) == len(pairs)
    for name in acked:
        assert sorted(owner for subject, owner in pairs if subject == name) == list(USERS), name
    hk.cli("quarantine", "delete", "--all")


def test_shares(make_instance):
    """Over its share an owner loses the oldest; all together, who has most."""
    hk = make_instance(config={"virus_encrypted": "quarantine", "quarantine_messages": "3"}).start()
    prepare(hk)
    for n in range(5):
        send(hk, message(f"share-{n}", LOCKED))
        kept(hk, f"share-{n}")
    send(hk, message("share-of-bob", LOCKED), USERS[1])
    kept(hk, "share-of-bob")
    assert [i["subject"] for i in hk.cli_json("quarantine", "list")] == ["share-2", "share-3", "share-4", "share-of-bob"]
    assert len(hk.events("quarantine.entry.evicted")) == 2
    size = hk.cli_json("quarantine", "list")[0]["size"]
    hk.configure({"quarantine_total": str(size * 5 // 2)})
    hk.stop()
    hk.start()
    deadline = time.monotonic() + 20
    while [i["subject"] for i in hk.cli_json("quarantine", "list")] != ["share-4", "share-of-bob"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    hk.assert_clean_log()


def test_disk_full(make_instance, tmp_path):
    """Nothing is kept, nothing is lost: it waits in the queue until there is room."""
    if os.geteuid() != 0:
        pytest.fail("needs root")
    base = tmp_path / "small"
    base.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(base)], check=True)
    hk = None
    try:
        hk = Instance(base=str(base), config={"virus_encrypted": "quarantine", "queue_retry_first": "1s", "disk_floor": "0"}).start()
        prepare(hk)
        pid, = hk.processes()["quarantined"]
        os.kill(pid, signal.SIGSTOP)
        for n in range(3):
            send(hk, message(f"full-{n}", LOCKED))
        ballast = base / "ballast"
        try:
            with ballast.open("wb", buffering=0) as f:
                while True:
                    f.write(b"x" * 4096)
        except OSError:
            pass
        os.kill(pid, signal.SIGCONT)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            done = hk.cli("quarantine", "list", "--json", check=False)
            assert done.returncode != 0 or json.loads(done.stdout) == []
            time.sleep(0.2)
        ballast.unlink()
        for n in range(3):
            kept(hk, f"full-{n}", seconds=60)
    finally:
        if hk is not None:
            hk.destroy()
        subprocess.run(["umount", "-l", str(base)], check=False)
