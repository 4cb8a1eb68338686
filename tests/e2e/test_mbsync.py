# SPDX-License-Identifier: ISC
"""mbsync: a full two-way sync, after which a second one moves nothing."""
import pathlib
import subprocess

import messages
from test_roundtrip import imap, send, wait_messages


def sync(tmp_path, hk):
    config = tmp_path / "mbsyncrc"
    config.write_text(f"""
IMAPAccount a
Host localhost
Port {hk.port('imaps')}
User alice@example.test
Pass "{hk.passwords['alice@example.test']}"
SSLType IMAPS
CertificateFile {hk.ca}

IMAPStore far
Account a

MaildirStore near
Path {tmp_path}/mail/
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim

Channel c
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
""")
    done = subprocess.run(["mbsync", "-V", "-c", str(config), "-a"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def local(tmp_path, box="INBOX"):
    return [p for sub in ("cur", "new") for p in (tmp_path / "mail" / box / sub).glob("*")]


def test_two_way(hk, tmp_path):
    (tmp_path / "mail").mkdir()
    corpus = messages.corpus()
    del corpus["no-separator"]          # "incomplete header; skipping", says mbsync
    for data in corpus.values():
        send(hk, data)
    wait_messages(hk, len(corpus)).logout()
    out = sync(tmp_path, hk)
    assert len(local(tmp_path)) == len(corpus), out[-5000:]
    first = {p.name: p.read_bytes() for p in local(tmp_path)}
    sync(tmp_path, hk)
    assert {p.name: p.read_bytes() for p in local(tmp_path)} == first
    # A new one here, a flag there, a deletion there.
    new = tmp_path / "mail/INBOX/new/1.1.host"
    new.write_bytes(b"From: a@b.test\nSubject: from the maildir\n\nhello\n")
    m = imap(hk)
    m.select("INBOX")
    m.store("1", "+FLAGS", "(\\Flagged)")
    m.store("2", "+FLAGS", "(\\Deleted)")
    m.expunge()
    m.logout()
    out = sync(tmp_path, hk)
    assert len(local(tmp_path)) == len(corpus), out[-5000:]
    assert sum(pathlib.Path(p).name.split(":2,")[-1].count("F") for p in local(tmp_path)) >= 1
    m = imap(hk)
    assert m.select("INBOX")[1] == [str(len(corpus)).encode()]
    assert m.search(None, "SUBJECT", '"from the maildir"')[1][0]
    m.logout()
    before = sorted(p.name for p in local(tmp_path))
    out = sync(tmp_path, hk)
    assert sorted(p.name for p in local(tmp_path)) == before
