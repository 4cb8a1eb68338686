# SPDX-License-Identifier: ISC
"""What goes in by SMTP comes out of IMAP and POP3 with every octet."""
import imaplib
import poplib
import smtplib
import subprocess
import time

import messages
import pytest

imaplib._MAXLINE = 100 * 1024 * 1024
poplib._MAXLINE = 100 * 1024 * 1024


def send(hk, data, recipient="alice@example.test"):
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=120) as smtp:
        smtp.ehlo()
        smtp.mail("x@remote.test", ["BODY=8BITMIME"])
        code, text = smtp.rcpt(recipient)
        assert code == 250, text
        code, text = smtp.docmd("DATA")
        assert code == 354
        stuffed = data.replace(b"\r\n.", b"\r\n..")
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        smtp.send(stuffed + b".\r\n")
        code, text = smtp.getreply()
        assert code == 250, text


def imap(hk, user="alice@example.test"):
    m = imaplib.IMAP4_SSL("localhost", hk.port("imaps"), ssl_context=hk.tls())
    m.login(user, hk.passwords[user])
    return m


def pop(hk, user="alice@example.test"):
    p = poplib.POP3_SSL("localhost", hk.port("pop3s"), context=hk.tls(), timeout=120)
    p.user(user)
    p.pass_(user and hk.passwords[user])
    return p


def wait_messages(hk, n, user="alice@example.test", seconds=60):
    m = imap(hk, user)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        typ, data = m.select("INBOX", readonly=True)
        assert typ == "OK"
        if int(data[0]) >= n:
            return m
        time.sleep(0.05)
    raise AssertionError(f"{n} messages did not come: {data} " + hk.cli("queue", "list").stdout)


def fetch_all(m):
    typ, data = m.uid("FETCH", "1:*", "(UID BODY.PEEK[])")
    assert typ == "OK"
    return [part[1] for part in data if isinstance(part, tuple)]


@pytest.fixture(scope="module")
def sent(hk):
    corpus = messages.corpus()
    for data in corpus.values():
        send(hk, data)
    wait_messages(hk, len(corpus)).logout()
    return corpus


@pytest.mark.parametrize("name", list(messages.corpus()))
def test_imap_byte_for_byte(hk, sent, name):
    m = imap(hk)
    m.select("INBOX", readonly=True)
    got = fetch_all(m)
    m.logout()
    assert any(body.endswith(sent[name]) and body[:len(body) - len(sent[name])].endswith(b"\r\n") for body in got)


def test_imap_trace_and_sizes(hk, sent):
    m = imap(hk)
    m.select("INBOX", readonly=True)
    typ, data = m.fetch("1:*", "(RFC822.SIZE BODY.PEEK[])")
    for part in data:
        if isinstance(part, tuple):
            size = int(part[0].split(b"RFC822.SIZE ")[1].split()[0])
            assert size == len(part[1])
            assert part[1].startswith(b"Delivered-To: alice@example.test\r\nReturn-Path: <x@remote.test>\r\n") or \
                part[1].startswith(b"Return-Path: <x@remote.test>\r\n")
            assert b"\r\nReceived: from " in part[1]
    m.logout()


def test_pop3_byte_for_byte(hk, sent):
    p = pop(hk)
    count, octets = p.stat()
    assert count == len(sent)
    uids = {line.split()[1] for line in p.uidl()[1]}
    assert len(uids) == count
    got = []
    for n in range(1, count + 1):
        lines = p.retr(n)[1]
        got.append(b"".join(line + b"\r\n" for line in lines))
    for name, data in sent.items():
        if not data.endswith(b"\r\n"):
            data += b"\r\n"
        assert any(body.endswith(data) for body in got), name
    top = p.top(1, 0)[1]
    assert top[-1] == b"" and any(line.startswith(b"Subject:") for line in top)
    p.quit()


def test_partial_fetches(hk, sent):
    m = imap(hk)
    m.select("INBOX", readonly=True)
    whole = fetch_all(m)
    for first, count in ((0, 10), (5, 100), (100, 1000), (200, 100000)):
        typ, data = m.fetch("1:*", f"(BODY.PEEK[]<{first}.{count}>)")
        parts = [part[1] for part in data if isinstance(part, tuple)]
        assert parts == [body[first:first + count] for body in whole if len(body) > first] or \
            [p for p in parts if p] == [body[first:first + count] for body in whole if body[first:first + count]]
    m.logout()


def test_curl_reads(hk, sent):
    user = f"alice@example.test:{hk.passwords['alice@example.test']}"
    done = subprocess.run(["curl", "-sS", "--cacert", hk.ca, "--user", user,
                           f"imaps://localhost:{hk.port('imaps')}/INBOX;UID=1"], capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.endswith(sent["plain"]), done.stderr
    done = subprocess.run(["curl", "-sS", "--cacert", hk.ca, "--user", user,
                           f"pop3s://localhost:{hk.port('pop3s')}/1"], capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout.endswith(sent["plain"]), done.stderr


def test_30_megabytes(hk):
    data = messages.big(30)
    send(hk, data, "bob@example.test")
    m = wait_messages(hk, 1, "bob@example.test", 120)
    assert fetch_all(m)[0].endswith(data)
    m.logout()
    p = pop(hk, "bob@example.test")
    body = b"".join(line + b"\r\n" for line in p.retr(1)[1])
    assert body.endswith(data)
    p.dele(1)
    p.quit()
    m = imap(hk, "bob@example.test")
    assert m.select("INBOX")[1] == [b"0"]
    m.logout()


def test_bcc_and_forged_fields(hk):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls()) as smtp:
        smtp.login("alice@example.test", hk.passwords["alice@example.test"])
        smtp.sendmail("alice@example.test", ["bob@example.test"],
                      "From: alice@example.test\r\nBcc: secret@example.test,\r\n other@example.test\r\n"
                      "Authentication-Results: mail.example.test; spf=pass\r\nSubject: bcc\r\n\r\nx\r\n")
    m = wait_messages(hk, 1, "bob@example.test")
    body = fetch_all(m)[-1]
    m.logout()
    assert b"secret@" not in body and b"spf=pass" not in body
    assert b"\r\nDate: " in body and b"Message-ID: <" in body


def test_one_copy_per_account(hk):
    hk.account("dave@example.test")
    hk.cli("alias", "create", "team@example.test", "dave@example.test")
    with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
        smtp.sendmail("x@remote.test", ["dave@example.test", "team@example.test", "dave+x@example.test"],
                      "Subject: once\r\n\r\nx\r\n")
    hk.wait_queue_empty()
    m = imap(hk, "dave@example.test")
    assert m.select("INBOX")[1] == [b"1"]
    m.logout()


def test_forwards(hk):
    for name in ("f1", "f2", "f3"):
        hk.account(f"{name}@example.test")
    hk.cli("forward", "create", "f1@example.test", "f2@example.test")
    hk.cli("forward", "create", "f2@example.test", "f3@example.test", "--keep-copy")
    hk.cli("forward", "create", "f3@example.test", "f1@example.test", "--keep-copy")
    with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
        smtp.sendmail("x@remote.test", ["f1@example.test"], "Subject: forwarded\r\n\r\nx\r\n")
    hk.wait_queue_empty()
    for name, want in (("f1", b"0"), ("f2", b"1"), ("f3", b"1")):
        m = imap(hk, f"{name}@example.test")
        assert m.select("INBOX")[1] == [want], name
        m.logout()


def test_quota(hk):
    hk.account("full@example.test", "pw pw pw", "--quota", "20K")
    body = "Subject: fill\r\n\r\n" + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 170
    codes = []
    for _ in range(4):
        try:
            with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
                smtp.sendmail("x@remote.test", ["full@example.test"], body)
            codes.append(250)
        except smtplib.SMTPRecipientsRefused as e:
            codes.append(e.recipients["full@example.test"][0])
        time.sleep(0.7)
    assert codes[0] == 250 and 452 in codes, codes
    m = imap(hk, "full@example.test")
    m.select("INBOX")
    assert m.append("INBOX", None, None, body.encode())[0] == "NO"
    m.store("1:*", "+FLAGS", "\\Deleted")
    m.expunge()
    assert m.append("INBOX", None, None, body.encode())[0] == "OK"
    m.logout()
