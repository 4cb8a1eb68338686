# SPDX-License-Identifier: ISC
"""Two-way synchronizers while both sides change: in the end both hold the same, and a further run moves nothing.
./check --long does it for ten minutes."""
import email
import os
import pathlib
import random
import re
import threading
import time

import pytest

from clients import ALICE, BOB, run
from test_roundtrip import imap

pytestmark = pytest.mark.slow   # the programs are what takes long here

LONG = os.environ.get("HIKYAKU_LONG") == "1"
FLAGS = {"F": "\\Flagged", "S": "\\Seen", "R": "\\Answered", "D": "\\Draft"}


def letter(ident):
    return (f"From: x@remote.test\nTo: y@remote.test\nSubject: {ident}\nMessage-ID: <{ident}@soak.test>\n\n"
            + f"body of {ident}\n" * (1 + hash(ident) % 50)).encode()


def ident_of(header):
    return re.search(rb"(?im)^Message-ID: <(.*?)@soak.test>", header)[1].decode()


class Mbsync:
    """Maildirs as mbsync lays them out."""

    removes_folders = True

    def __init__(self, hk, home, user):
        self.hk, self.home, self.user = hk, home, user
        (home / "mail").mkdir()
        (home / "rc").write_text(f"""
IMAPAccount a
Host localhost
Port {hk.port('imaps')}
User {user}
Pass "{hk.passwords[user]}"
SSLType IMAPS
CertificateFile {hk.ca}

IMAPStore far
Account a

MaildirStore near
Path {home}/mail/
Inbox {home}/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
Sync All
SyncState *
""")

    def sync(self):
        return run(["mbsync", "-c", self.home / "rc", "-V", "-a"], home=self.home, timeout=300)

    def folder(self, box):
        return self.home / "mail" / box

    def boxes(self):
        return {str(path.parent.relative_to(self.home / "mail")) for path in (self.home / "mail").rglob("cur")}


class Offlineimap(Mbsync):
    removes_folders = False

    def __init__(self, hk, home, user):
        self.hk, self.home, self.user = hk, home, user
        (home / "rc").write_text(f"""
[general]
accounts = a
metadata = {home}/state
maxsyncaccounts = 1
[Account a]
localrepository = near
remoterepository = far
[Repository near]
type = Maildir
localfolders = {home}/mail
sep = /
[Repository far]
type = IMAP
remotehost = localhost
remoteport = {hk.port('imaps')}
remoteuser = {user}
remotepass = {hk.passwords[user]}
ssl = yes
sslcacertfile = {hk.ca}
maxconnections = 3
""")

    def sync(self):
        return run(["offlineimap", "-o", "-u", "basic", "-c", self.home / "rc"], home=self.home, timeout=300)


class Soak:
    def __init__(self, hk, tool, seed):
        self.hk, self.tool = hk, tool
        self.rng = random.Random(seed)
        self.made = 0
        self.doomed = None
        self.m = imap(hk, tool.user)

    def new(self):
        self.made += 1
        return f"letter-{self.made}"

    # ---- the server's side ----

    def far_boxes(self):
        return sorted(line.split(b'"/" ')[-1].strip(b'"').decode() for line in self.m.list()[1])

    def far_box(self):
        return self.rng.choice([box for box in self.far_boxes() if box != self.doomed])

    def far_some(self, limit=4):
        uids = self.m.uid("SEARCH", "ALL")[1][0].split()
        return b",".join(self.rng.sample(uids, min(len(uids), self.rng.randint(1, limit)))).decode()

    def far_append(self, m=None):
        flags = " ".join(self.rng.sample(list(FLAGS.values()), self.rng.randint(0, 2)))
        assert (m or self.m).append(self.far_box() if m is None else "INBOX", f"({flags})" if flags else None, None,
                                    letter(self.new()).replace(b"\n", b"\r\n"))[0] == "OK"

    def far_flags(self):
        assert self.m.select(self.far_box())[0] == "OK"
        if some := self.far_some():
            self.m.uid("STORE", some, self.rng.choice("+-") + "FLAGS", f"({self.rng.choice(list(FLAGS.values()))})")

    def far_move(self):
        self.m.select(self.far_box())
        if some := self.far_some():
            assert self.m.uid("MOVE", some, self.far_box())[0] == "OK"

    def far_copy(self):
        self.m.select(self.far_box())
        if some := self.far_some(1):
            assert self.m.uid("COPY", some, self.far_box())[0] == "OK"

    def far_delete(self):
        self.m.select(self.far_box())
        if some := self.far_some(2):
            self.m.uid("STORE", some, "+FLAGS.SILENT", "(\\Deleted)")
            self.m.expunge()

    def far_create(self):
        if len(self.far_boxes()) < 14:
            self.m.create(self.rng.choice([f"far-{self.new()}", f"Projects/far-{self.new()}", "&Z5xyaQ-"]))

    def far_remove(self):
        """In two steps, as a mailbox with mail in it is not removed by the other side."""
        if not self.tool.removes_folders:
            return
        if self.doomed:
            assert self.m.delete(self.doomed)[0] == "OK"
            self.tool.sync()
            self.doomed = None
            return
        chosen = [box for box in self.far_boxes() if "far-" in box or "near-" in box]
        if chosen:
            self.doomed = self.rng.choice(chosen)
            self.tool.sync()
            self.m.select(self.doomed)
            self.m.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
            self.m.close()
            self.tool.sync()

    # ---- the near side ----

    def files(self, box):
        return sorted(p for sub in ("cur", "new") for p in (self.tool.folder(box) / sub).glob("*"))

    def near_box(self):
        return self.rng.choice(sorted(box for box in self.tool.boxes() if box != self.doomed))

    def near_put(self, box, data, info=""):
        path = self.tool.folder(box) / "cur" / f"{time.time_ns()}.{self.made}.host:2,{info}"
        path.write_bytes(data)

    def near_append(self):
        if self.tool.boxes():
            self.near_put(self.near_box(), letter(self.new()), "".join(sorted(self.rng.sample("FRS", 2))))

    def near_flags(self):
        for path in self.near_some():
            base, _, info = path.name.partition(":2,")
            info = "".join(sorted(set(info) ^ {self.rng.choice("FRSD")}))
            path.rename(path.parent.parent / "cur" / f"{base}:2,{info}")

    def near_some(self):
        if not self.tool.boxes():
            return []
        files = self.files(self.near_box())
        return self.rng.sample(files, min(len(files), self.rng.randint(1, 3)))

    def near_move(self):
        for path in self.near_some():
            box = self.near_box()
            if self.tool.folder(box) != path.parent.parent:
                self.near_put(box, path.read_bytes(), path.name.partition(":2,")[2])
                path.unlink()

    def near_delete(self):
        for path in self.near_some()[:1]:
            path.unlink()

    def near_create(self):
        if len(self.tool.boxes()) < 12:
            name = self.tool.folder(f"near-{self.new()}")
            for sub in ("cur", "new", "tmp"):
                (name / sub).mkdir(parents=True)

    # ---- both ----

    CHANGES = [far_append, far_append, far_flags, far_flags, far_move, far_copy, far_delete, far_create, far_remove,
               near_append, near_append, near_flags, near_flags, near_move, near_delete, near_create]

    def turn(self):
        """Some changes on both sides; while the synchronizer runs, mail keeps coming."""
        for _ in range(self.rng.randint(1, 12)):
            self.rng.choice(self.CHANGES)(self)
        over = threading.Event()

        def meanwhile():
            m = imap(self.hk, self.tool.user)
            m.select("INBOX")
            while not over.wait(0.03):
                self.made += 1
                m.append("INBOX", None, None, letter(f"meanwhile-{self.made}").replace(b"\n", b"\r\n"))
                m.uid("STORE", str(1 + self.made % 30), "+FLAGS", "(\\Seen)")
            m.logout()
        other = threading.Thread(target=meanwhile)
        other.start()
        try:
            self.tool.sync()
        finally:
            over.set()
            other.join()

    def far(self):
        found = {}
        for box in self.far_boxes():
            assert self.m.select(box, readonly=True)[0] == "OK"
            found[box] = sorted(
                (ident_of(part[1]), "".join(sorted(k for k, flag in FLAGS.items() if flag.encode() in part[0])))
                for part in self.m.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1] if isinstance(part, tuple))
        return found

    def state(self):
        """What any change of a mailbox changes."""
        return [self.m.status(f'"{box}"', "(MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ)") for box in self.far_boxes()]

    def near(self):
        found = {}
        for box in self.tool.boxes():
            found[box] = sorted((ident_of(p.read_bytes()), "".join(sorted(set(p.name.partition(":2,")[2]) & set(FLAGS))))
                                for p in self.files(box))
        return found

    def names(self):
        return {box: [p.name for p in self.files(box)] for box in self.tool.boxes()}

    def settle(self):
        """Quiet: what is left is carried over, then nothing is."""
        for _ in range(3):
            self.tool.sync()
        far, near = self.far(), self.near()
        assert {k: v for k, v in far.items() if v} == {k: v for k, v in near.items() if v}
        assert not (set(near) - set(far)), (sorted(near), sorted(far))
        names, state = self.names(), self.state()
        text = self.tool.sync()
        assert self.names() == names and self.state() == state, text[-3000:]
        for box in sorted(near):
            for path in self.files(box):
                ident = ident_of(path.read_bytes())
                got = email.message_from_bytes(path.read_bytes())
                assert got.get_payload().replace("\r\n", "\n") == letter(ident).decode().partition("\n\n")[2]
        return sum(len(v) for v in far.values())


@pytest.mark.parametrize("tool,user,seconds", [(Mbsync, ALICE, 600 if LONG else 25), (Offlineimap, BOB, 120 if LONG else 12)])
def test_soak(hk, tmp_path, tool, user, seconds):
    seed = random.randrange(10 ** 6)
    soak = Soak(hk, tool(hk, pathlib.Path(tmp_path), user), seed)
    soak.tool.sync()
    turns, end = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            soak.turn()
            turns += 1
            if turns % 25 == 0:
                soak.settle()
        count = soak.settle()
    except AssertionError:
        print(f"seed {seed}, turn {turns}")
        raise
    assert count and turns >= 3
    soak.m.logout()
