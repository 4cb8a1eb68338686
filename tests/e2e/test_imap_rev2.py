# SPDX-License-Identifier: ISC
"""IMAP4rev2 and the extensions beside it, through the front."""
import base64
import os
import re
import time

import pytest
from imapraw import Client


def message(n, body="x"):
    return f"From: a@example.test\r\nSubject: number {n}\r\n\r\n{body}\r\n".encode()


@pytest.fixture
def c(hk):
    client = Client(hk)
    yield client
    client.close()


def fresh(client, name):
    client.cmd(f"DELETE {name}")
    client.ok(f"CREATE {name}")
    return name


def test_capabilities(hk, c):
    before, after = c.greeting, c.capability
    for word in (b"IMAP4rev1", b"IMAP4rev2", b"LITERAL+", b"ENABLE", b"SASL-IR"):
        assert word in before.split() or word + b"]" in before.split(), before
        assert word in after
    listed = c.ok("CAPABILITY")[0].split()[2:]
    words = re.search(rb"\[CAPABILITY (.*?)\]", after)[1].split()
    assert listed == words and len(set(listed)) == len(listed)
    for word in (b"CONDSTORE", b"QRESYNC", b"ESEARCH", b"SEARCHRES", b"BINARY", b"MULTIAPPEND", b"QUOTA",
                 b"OBJECTID", b"SAVEDATE", b"PREVIEW", b"WITHIN", b"UTF8=ACCEPT", b"STATUS=SIZE"):
        assert word in listed
    assert b"LITERAL-" not in listed


def test_rev2_answers(hk, c):
    assert c.ok("ENABLE IMAP4rev2")[0] == b"* ENABLED IMAP4rev2"
    name = '"テスト/日本語"'
    fresh(c, name)
    c.append(name, message(1), message(2))
    answers = c.ok(f"SELECT {name}")
    assert not any(b"RECENT" in a or b"UNSEEN" in a for a in answers)
    assert f'* LIST (\\HasNoChildren) "/" {name}'.encode() in answers
    assert c.ok("SEARCH ALL")[0] == b'* ESEARCH (TAG "x%d") ALL 1:2' % c.n
    assert any(a == b"* OK [CLOSED] Previous mailbox is closed" for a in c.ok("SELECT INBOX"))
    # Another client still reads the name in modified UTF-7.
    old = Client(hk)
    assert any(b'"&' in a or b" &" in a for a in old.ok('LIST "" "*"'))
    old.close()


def test_saved_result_survives_parking(hk, c):
    fresh(c, "Saved")
    c.append("Saved", *[message(i) for i in range(6)])
    c.ok("SELECT Saved")
    c.ok("SEARCH RETURN (SAVE) 2:3,5")
    # Long enough idle to be parked; then another session changes the mailbox.
    tag = c.begin("IDLE")
    assert c.answer().startswith(b"+")
    time.sleep(3)
    other = Client(hk)
    other.ok("SELECT Saved")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    other.close()
    while b"EXPUNGE" not in c.answer():
        pass
    c.send("DONE\r\n")
    c.finish(tag)
    got = [a for a in c.ok("FETCH $ (UID)") if b"FETCH (UID" in a]
    assert got == [b"* 2 FETCH (UID 3)", b"* 4 FETCH (UID 5)"]


def test_multiappend_is_all_or_nothing(c):
    fresh(c, "Multi")
    answers = c.append("Multi", *[message(i) for i in range(50)])
    assert re.search(rb"\[APPENDUID \d+ 1:50\]", answers[-1])
    c.n += 1
    c.send(f"x{c.n} APPEND Multi {{5+}}\r\nA: b\n (\\Seen) {{0+}}\r\n\r\n")
    assert b" NO " in c.finish(b"x%d" % c.n)[-1]
    assert b"MESSAGES 50" in c.ok("STATUS Multi (MESSAGES)")[0]


def test_binary(c):
    fresh(c, "Binary")
    data = os.urandom(300_000)
    text = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(data).replace(b"\n", b"\r\n") + b"--b--\r\n")
    c.append("Binary", text)
    c.ok("SELECT Binary")
    got = c.ok("FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2])")[0]
    assert b"BINARY.SIZE[2] 300000 BINARY[2] ~{300000}\r\n" + data in got
    got = c.ok("FETCH 1 BINARY.PEEK[2]<1000.70000>")[0]
    assert got.endswith(data[1000:71000] + b")")
    # A literal8 with NUL comes back as it was.
    raw = (b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\1\2\0end")
    c.n += 1
    c.send(b"x%d APPEND Binary ~{%d+}\r\n" % (c.n, len(raw)) + raw + b"\r\n")
    assert b" OK " in c.finish(b"x%d" % c.n)[-1]
    assert c.ok("FETCH 2 BINARY.PEEK[1]")[0].endswith(b"BINARY[1] ~{7}\r\n\0\1\2\0end)")
    assert b"\0" not in c.ok("FETCH 2 BODY.PEEK[]")[0]


def test_quota(hk, c):
    hk.account("small@example.test", "pass word one", "--quota", "100M")
    small = Client(hk, "small@example.test")
    small.append("INBOX", message(1, "y" * 5000))
    answers = small.ok("GETQUOTAROOT INBOX")
    assert answers[0] == b'* QUOTAROOT INBOX ""'
    assert answers[1] == b'* QUOTA "" (STORAGE 5 102400)'
    small.close()


def test_ids_follow_messages(c):
    fresh(c, "Ids")
    c.append("Ids", message(1))
    c.ok("SELECT Ids")
    email = re.search(rb"EMAILID \(([^)]+)\)", c.ok("FETCH 1 EMAILID")[0])[1]
    box = re.search(rb"MAILBOXID \(([^)]+)\)", c.ok("STATUS Ids (MAILBOXID)")[0])[1]
    c.ok("RENAME Ids Ids2")
    assert box in c.ok("STATUS Ids2 (MAILBOXID)")[0]
    c.ok("SELECT Ids2")
    c.ok("COPY 1 Ids2")
    c.ok("NOOP")
    assert email in c.ok("FETCH 2 (EMAILID)")[0]
    assert c.ok(f"SEARCH EMAILID {email.decode()}")[0] == b"* SEARCH 1 2"
    saved = re.search(rb'SAVEDATE "(.*?)"', c.ok("FETCH 1 SAVEDATE")[0])[1]
    assert abs(time.time() - time.mktime(time.strptime(saved.decode(), "%d-%b-%Y %H:%M:%S %z"))
               + time.timezone) < 600
    c.ok("DELETE Ids2")


def test_preview(c):
    fresh(c, "Preview")
    html = "<html><style>p{}</style><p>Guten&nbsp;Tag,</p>\r\n<p>" + "wort " * 100 + "</p></html>"
    c.append("Preview", b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode(), message(2, "kurz"))
    c.ok("SELECT Preview")
    first, second = c.ok("FETCH 1:2 (PREVIEW)")[:2]
    assert "Guten" in first.decode() and "wort wort" in first.decode() and "style" not in first.decode()
    assert 190 <= len(re.search(r'PREVIEW (?:"|\{\d+\}\r\n)(.*?)"?\)$', first.decode(), re.S)[1]) <= 200
    assert second == b'* 2 FETCH (PREVIEW "kurz")'


def test_metadata_is_kept(hk, c):
    fresh(c, "Meta")
    value = "first\nsecond " + "w" * 5000
    c.send(b"m1 SETMETADATA Meta (/private/comment {%d+}\r\n%s)\r\n" % (len(value), value.encode()))
    assert b" OK " in c.finish(b"m1")[-1]
    other = Client(hk)
    assert value.encode() in other.ok("GETMETADATA Meta /private/comment")[0]
    other.ok("RENAME Meta Meta2")
    assert value.encode() in other.ok("GETMETADATA Meta2 /private/comment")[0]
    other.ok("DELETE Meta2")
    other.close()
