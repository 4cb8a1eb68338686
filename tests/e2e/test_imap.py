# SPDX-License-Identifier: ISC
"""IMAP through the front, with imaplib and by hand."""
import imaplib
import re
import socket
import ssl
import time

import pytest
from test_roundtrip import imap, send, wait_messages


class Raw:
    """An IMAP connection that shows every line."""

    def __init__(self, hk, user=None, tls=True):
        sock = socket.create_connection(("127.0.0.1", hk.port("imaps" if tls else "imap")), 30)
        self.sock = hk.tls().wrap_socket(sock, server_hostname="localhost") if tls else sock
        self.file = self.sock.makefile("rb")
        self.greeting = self.line()
        self.n = 0
        if user:
            assert self.cmd(f'LOGIN {user} "{hk.passwords[user]}"')[-1].split()[1] == b"OK"

    def line(self):
        return self.file.readline()

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def cmd(self, text):
        """All lines up to and with the tagged one."""
        self.n += 1
        tag = f"t{self.n}"
        self.send(f"{tag} {text}\r\n")
        return self.until(tag)

    def until(self, tag):
        lines = []
        while True:
            line = self.line()
            assert line, lines
            lines.append(line.rstrip(b"\r\n"))
            if line.startswith(tag.encode() + b" "):
                return lines

    def close(self):
        self.file.close()
        self.sock.close()


@pytest.fixture
def box(hk):
    m = imap(hk)
    yield m
    try:
        m.logout()
    except (imaplib.IMAP4.error, OSError):
        pass


def test_before_login(hk):
    raw = Raw(hk, tls=False)
    assert raw.greeting.startswith(b"* OK [CAPABILITY IMAP4rev1") and b"LOGINDISABLED" in raw.greeting
    assert b"STARTTLS" in raw.greeting
    assert raw.cmd("LOGIN a b")[-1].startswith(b"t1 NO [PRIVACYREQUIRED]")
    assert raw.cmd("SELECT INBOX")[-1].startswith(b"t2 BAD")
    raw.close()
    raw = Raw(hk, tls=False)
    raw.send("a STARTTLS\r\nb LOGIN alice@example.test x\r\n")
    assert raw.line().startswith(b"* BYE") and raw.line() == b""
    raw.close()


def test_starttls_and_mechanisms(hk):
    m = imaplib.IMAP4("localhost", hk.port("imap"))
    m.starttls(hk.tls())
    assert "AUTH=SCRAM-SHA-256" in m.capability()[1][0].decode()
    password = hk.passwords["alice@example.test"]
    m.authenticate("PLAIN", lambda _: f"\0alice@example.test\0{password}".encode())
    m.logout()
    m = imaplib.IMAP4_SSL("localhost", hk.port("imaps"), ssl_context=hk.tls())
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        m.login("alice@example.test", "wrong")
    m.login("alice@example.test", password)
    m.logout()


def test_hostile_before_login(hk):
    raw = Raw(hk, tls=False)
    raw.send("a " + "(" * 7000 + "\r\n")
    assert raw.line().split()[1] == b"BAD"
    raw.close()
    raw = Raw(hk, tls=False)
    raw.send("a LOGIN {4294967295}\r\n")
    assert raw.line().split()[1] in (b"NO", b"BAD")
    raw.send("b LOGIN {99999999999999999999}\r\n")
    assert raw.line()
    raw.close()
    raw = Raw(hk, tls=False)
    raw.send(b"a NOOP\0\r\n")
    assert raw.line().split()[1] == b"BAD"
    raw.close()
    raw = Raw(hk, tls=False)
    try:
        for _ in range(300):
            raw.send(b"x" * 65536)
        raw.line()
    except OSError:
        pass
    raw.close()


def test_mailboxes(hk, box):
    assert box.create('"Work/2026"')[0] == "OK"
    assert box.create("&ZeVnLIqe-")[0] == "OK"
    names = [line.split(b' "/" ')[1].strip(b'"') for line in box.list()[1]]
    for name in (b"INBOX", b"Drafts", b"Sent", b"Junk", b"Trash", b"Work", b"Work/2026", b"&ZeVnLIqe-"):
        assert name in names
    assert any(b"\\Sent" in line for line in box.list()[1])
    assert box.rename("Work", "Job")[0] == "OK"
    assert any(b"Job/2026" in line for line in box.list()[1])
    assert box.subscribe("Job/2026")[0] == "OK"
    assert any(b"Job/2026" in line for line in box.lsub()[1] if line)
    assert box.unsubscribe("Job/2026")[0] == "OK"
    assert box.delete("Job/2026")[0] == "OK"
    assert box.delete("Job")[0] == "OK"
    assert box.delete("INBOX")[0] == "NO"
    assert box.delete("nothere")[0] == "NO"
    assert box.create("../escape")[0] == "NO"


def test_append_fetch_store_expunge(hk, box):
    box.create("Box")
    mail = b"From: a@b.test\r\nTo: c@d.test\r\nSubject: appended\r\n\r\nline\r\n"
    typ, data = box.append("Box", "(\\Flagged $Label)", '"01-Jan-2026 12:00:00 +0900"', mail)
    assert typ == "OK" and b"APPENDUID" in data[0]
    assert box.select("Box")[1] == [b"1"]
    typ, data = box.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    line = data[0]
    assert b"\\Flagged" in line and b"$Label" in line and b'INTERNALDATE " 1-Jan-2026 03:00:00 +0000"' in line
    assert f"RFC822.SIZE {len(mail)}".encode() in line and b'"appended"' in line
    assert box.fetch("1", "(BODY.PEEK[])")[1][0][1] == mail
    assert box.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1] == b"Subject: appended\r\n\r\n"
    assert box.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1] == b"line\r\n"
    assert box.append("NoSuchBox", None, None, mail)[0] == "NO"
    assert box.store("1", "+FLAGS", "(\\Seen)")[0] == "OK"
    assert b"\\Seen" in box.fetch("1", "(FLAGS)")[1][0]
    assert box.copy("1", "Trash")[0] == "OK"
    assert box.store("1", "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
    assert box.expunge()[1] == [b"1"]
    typ, data = box.status("Trash", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
    assert b"MESSAGES 1" in data[0]
    assert box.select("Trash")[1] == [b"1"]
    assert box.fetch("1", "(BODY.PEEK[])")[1][0][1] == mail


def test_search_japanese(hk, box):
    box.create("Find")
    for charset, subject in (("ISO-2022-JP", "=?ISO-2022-JP?B?GyRCMnE1RBsoQg==?="), ("UTF-8", "nothing")):
        body = "今日は会議です".encode("iso-2022-jp" if charset == "ISO-2022-JP" else "utf-8")
        box.append("Find", None, None, f"Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                   f"charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode() + body + b"\r\n")
    box.select("Find")
    word = "会議".encode()
    box.literal = word
    assert box.uid("SEARCH", "CHARSET", "UTF-8", "BODY")[1][0].split() == [b"1", b"2"]
    box.literal = word
    assert box.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT")[1][0].split() == [b"1"]
    box.literal = word
    assert box.uid("SEARCH", "CHARSET", "UTF-8", "TEXT")[1][0].split() == [b"1", b"2"]
    assert box.search(None, "ALL")[1][0].split() == [b"1", b"2"]
    assert box.search(None, "UNDELETED", "SUBJECT", "nothing")[1][0].split() == [b"2"]
    assert box.search(None, "SINCE", "1-Jan-2020", "NOT", "SEEN")[1][0].split() == [b"1", b"2"]


def test_two_sessions_see_each_other(hk, box):
    box.create("Shared")
    a, b = Raw(hk, "alice@example.test"), Raw(hk, "alice@example.test")
    a.cmd("SELECT Shared")
    b.cmd("SELECT Shared")
    b.send("i IDLE\r\n")
    assert b.line().startswith(b"+")
    mail = b"Subject: x\r\n\r\ny\r\n"
    a.send(b"p APPEND Shared {%d+}\r\n" % len(mail) + mail + b"\r\n")
    a.until("p")
    assert b.line() == b"* 1 EXISTS\r\n"
    line = b.line()
    if b"RECENT" in line:
        line = None
    a.cmd("STORE 1 +FLAGS (\\Flagged)")
    line = line or b.line()
    assert b"FETCH" in line and b"\\Flagged" in line
    a.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"\\Deleted" in b.line()
    a.cmd("EXPUNGE")
    assert b.line() == b"* 1 EXPUNGE\r\n"
    b.send("DONE\r\n")
    b.until("i")
    a.close()
    b.close()


def test_idle_hears_a_delivery_also_when_parked(hk):
    hk.account("idler@example.test")
    raw = Raw(hk, "idler@example.test")
    raw.cmd("SELECT INBOX")
    raw.send("i IDLE\r\n")
    assert raw.line().startswith(b"+")
    send(hk, b"Subject: one\r\n\r\nx\r\n", "idler@example.test")
    assert raw.line() == b"* 1 EXISTS\r\n"
    time.sleep(8)        # park_after is 5 s: the session is a small struct in the front by now
    send(hk, b"Subject: two\r\n\r\nx\r\n", "idler@example.test")
    raw.sock.settimeout(20)
    while b"2 EXISTS" not in (line := raw.line()):
        assert line
    raw.send("DONE\r\n")
    assert raw.until("i")[-1].startswith(b"i OK")
    time.sleep(8)
    lines = raw.cmd("UID FETCH 1:* (FLAGS)")
    assert {line.split()[1] for line in lines if line.startswith(b"* ") and b"UID" in line} == {b"1", b"2"}, lines
    assert lines[-1].split()[1] == b"OK"
    raw.close()


def test_move_and_uidplus(hk, box):
    box.create("From")
    box.create("To")
    for n in range(5):
        box.append("From", None, None, b"Subject: %d\r\n\r\nx\r\n" % n)
    box.select("From")
    typ, data = box.uid("MOVE", "2:3", "To")
    assert typ == "OK"
    assert box.search(None, "ALL")[1][0].split() == [b"1", b"2", b"3"]
    box.uid("STORE", "1:*", "+FLAGS", "(\\Deleted)")
    assert box.uid("EXPUNGE", "4")[0] == "OK"
    assert box.uid("SEARCH", "ALL")[1][0].split() == [b"1", b"5"]
    assert box.status("To", "(MESSAGES)")[1][0].endswith(b"(MESSAGES 2)")


@pytest.mark.parametrize("bad", [
    "FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 1:* (BODY[)", "STORE 1 FLAGZ (\\Seen)", "SEARCH " + "NOT " * 200 + "ALL",
    "SEARCH SINCE 99-Foo-2020", 'LIST "" "unclosed', "COPY 1", "SELECT", "UID FROB 1", "APPEND INBOX",
    "SEARCH " + "(" * 500, "FETCH 99999999999 FLAGS", "STATUS INBOX (FOO)", "CREATE {3}x",
])
def test_bad_commands_are_answered(hk, bad):
    raw = Raw(hk, "bob@example.test")
    raw.cmd("SELECT INBOX")
    assert raw.cmd(bad)[-1].split()[1] in (b"BAD", b"NO")
    assert raw.cmd("NOOP")[-1].split()[1] == b"OK"
    raw.close()


def test_long_command_and_literals(hk):
    raw = Raw(hk, "bob@example.test")
    lines = raw.cmd("LIST \"\" \"" + "a" * 70000 + "\"")
    assert lines[-1].split()[1] in (b"BAD", b"NO")
    raw.send("l LIST \"\" {200000}\r\n")
    assert raw.line().split()[1] in (b"NO", b"BAD")
    raw.send("m APPEND INBOX {99999999999}\r\n")
    assert raw.line().split()[1] in (b"NO", b"BAD")
    assert raw.cmd("NOOP")[-1].split()[1] == b"OK"
    raw.close()


def test_huge_mime(hk, box):
    """10,000 nested parts and 100,000 headers are stored, read and do not stop anybody."""
    box.create("Huge")
    nested = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(10000))
    assert box.append("Huge", None, None, b"Subject: nested\r\nMIME-Version: 1.0\r\n" + nested)[0] == "OK"
    assert box.append("Huge", None, None, b"X-H: y\r\n" * 100000 + b"\r\nbody\r\n")[0] == "OK"
    box.select("Huge")
    typ, data = box.fetch("1:*", "(RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    assert typ == "OK" and len([d for d in data if d]) >= 2


def test_session_limit(hk):
    hk.account("many@example.test")
    open_ones, refused = [], 0
    for _ in range(23):
        try:
            m = imap(hk, "many@example.test")
            open_ones.append(m)
        except (imaplib.IMAP4.error, OSError, ssl.SSLError):
            refused += 1
    assert len(open_ones) == 20 and refused == 3
    for m in open_ones:
        m.logout()


def test_password_change_ends_sessions(hk):
    hk.account("change@example.test", "old password")
    m = imap(hk, "change@example.test")
    m.select("INBOX")
    hk.cli("account", "password", "change@example.test", "--password-stdin", stdin="new password\n")
    time.sleep(0.5)
    with pytest.raises((imaplib.IMAP4.abort, imaplib.IMAP4.error, OSError)):
        for _ in range(3):
            m.noop()
    with pytest.raises(imaplib.IMAP4.error):
        imap(hk, "change@example.test")
    hk.passwords["change@example.test"] = "new password"
    imap(hk, "change@example.test").logout()


def test_uids_grow_across_restart(make_instance):
    hk = make_instance().start()
    hk.domain()
    hk.account("alice@example.test")
    send(hk, b"Subject: 1\r\n\r\nx\r\n")
    wait_messages(hk, 1).logout()
    m = imap(hk)
    before = m.status("INBOX", "(UIDNEXT UIDVALIDITY)")[1][0]
    m.logout()
    hk.stop()
    hk.start()
    m = imap(hk)
    assert m.status("INBOX", "(UIDNEXT UIDVALIDITY)")[1][0] == before
    assert re.search(rb"UIDNEXT 2", before)
    m.logout()
    hk.assert_clean_log()
