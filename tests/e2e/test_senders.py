# SPDX-License-Identifier: ISC
"""Real servers that send to us: what Postfix and Exim were given is what the recipient reads."""
import email
import email.policy
import pathlib
import shutil
import smtplib
import tempfile

import pytest

import mtas
from clients import ALICE, BOB, empty, last_message
from httpsserver import Authority
from instance import Instance
from mailhost import MailHost
from ports import free_port
from test_roundtrip import fetch_all, imap, wait_messages

NET = "127.0.79."
KINDS = {"postfix": mtas.Postfix, "exim": mtas.Exim}
MANY = 120
READ = (0, MANY // 2, MANY - 1)       # who of them can log in


@pytest.fixture(scope="module")
def hk():
    """An instance with many accounts; what is for remote.test goes to a host that the tests look into."""
    with MailHost(NET + "9", free_port(), caps=["PIPELINING", "8BITMIME", "SIZE 100000000", "SMTPUTF8", "DSN"]) as back:
        instance = Instance(config={"allow_private_targets": "yes"}).start()
        try:
            instance.stop()
            conf = instance.dir / "hikyaku.conf"
            address, port = back.server.server_address
            conf.write_text(conf.read_text() + f'route "remote.test" {{\n\thost = "[{address}]:{port}"\n\ttls = "may"\n}}\n')
            instance.start()
            instance.domain("example.test", "--mailbox-size", "10G", "--ids", "300")
            instance.account(ALICE)
            instance.account(BOB, "battery staple")
            path = instance.dir / "accounts.csv"
            path.write_text("\r\n".join(["address,password"] + [
                f"r{n}@example.test,{'correct horse' if n in READ else ''}" for n in range(MANY)]) + "\r\n")
            instance.cli("account", "import", "--csv", str(path))
            instance.back = back
            yield instance
            instance.assert_clean_log()
        finally:
            instance.destroy()


@pytest.fixture(scope="module", params=list(KINDS))
def sender(request, hk):
    kind = request.param
    unpacked = mtas.fetch(kind)
    authority = Authority()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hk-sender-"))
    folder.chmod(0o755)
    server = KINDS[kind](folder / kind, unpacked, NET + "1", free_port(), ("127.0.0.1", hk.port("smtp")),
                         authority.certificate(["mx.mta.test"]), "example.test", ca=hk.ca)
    try:
        server.start()
        server.kind = kind
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
        authority.close()


@pytest.fixture(autouse=True)
def clean(hk):
    empty(hk, ALICE)
    empty(hk, BOB)


def give(server, recipients, data, options=(), rcpt_options=(), sender="someone@remote.test"):
    """By hand, as smtplib spells no address in UTF-8."""
    with smtplib.SMTP(server.address, server.port, timeout=60) as smtp:
        smtp.ehlo()
        smtp.putcmd(f"MAIL FROM:<{sender}> {' '.join(options)}".strip()) if sender.isascii() else \
            smtp.send(f"MAIL FROM:<{sender}> {' '.join(options)}\r\n".encode())
        code, text = smtp.getreply()
        assert code == 250, text
        for recipient in recipients:
            code, text = smtp.rcpt(recipient, rcpt_options)
            assert code == 250, text
        assert smtp.data(data)[0] == 250


def head(subject, more=""):
    return (f"From: Someone <someone@remote.test>\r\nTo: alice@example.test\r\nSubject: {subject}\r\n"
            f"Message-ID: <{abs(hash(subject))}@remote.test>\r\nDate: Sun, 22 Nov 2026 13:00:00 +0900\r\n"
            f"MIME-Version: 1.0\r\n{more}\r\n").encode()


UTF8 = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


def test_to_the_octet(hk, sender):
    letters = [head("dots") + b".\r\n..\r\n.leading\r\nend\r\n", head("eight", UTF8) + "会議①㈱\r\n".encode() * 200,
               head("lines") + b"line\r\n" * 400000]
    for n, letter in enumerate(letters):
        give(sender, [ALICE], letter, ["BODY=8BITMIME"])
        # Postfix ends a line after line_length_limit; these are short.
        got = last_message(hk, n + 1, ALICE)
        assert got.endswith(letter[letter.index(b"\r\n\r\n"):]), got[:500] + sender.log()[-1000:].encode()
        assert b"with ESMTPS " in got or b"with ESMTPS\r\n" in got or b"with UTF8SMTPS" in got, got[:600]


def test_large(hk, sender):
    body = bytes(range(65, 91)) * 2 + b"\r\n"
    letter = head("large") + body * (12000000 // len(body))
    give(sender, [ALICE, BOB], letter)
    for user in (ALICE, BOB):
        assert last_message(hk, 1, user).endswith(letter[letter.index(b"\r\n\r\n"):])


def test_utf8_addresses(hk, sender):
    letter = head("会議のお知らせ", UTF8) + "本文\r\n".encode()
    give(sender, [ALICE], letter, ["SMTPUTF8", "BODY=8BITMIME"], sender="鈴木@remote.test")
    got = last_message(hk, 1, ALICE).decode()
    assert "Return-Path: <鈴木@remote.test>" in got and "Subject: 会議のお知らせ" in got and "with UTF8SMTPS" in got


def test_many_recipients_some_of_them_nobody(hk, sender):
    before = len(hk.back.messages)
    subject = f"to many by {sender.kind}"
    give(sender, [f"r{n}@example.test" for n in range(MANY)] + ["nobody@example.test"], head(subject) + b"x\r\n")
    # The sender's server tells of the one that is not there; ours does not.
    for n in READ:
        hk.passwords[f"r{n}@example.test"] = "correct horse"
        m = wait_messages(hk, 1 + list(KINDS).index(sender.kind), f"r{n}@example.test")
        assert sum(f"Subject: {subject}".encode() in data for data in fetch_all(m)) == 1
        m.logout()
    hk.wait_queue_empty()
    assert len(hk.back.messages) == before


def test_pipelined_messages_in_one_session(hk, sender):
    with smtplib.SMTP(sender.address, sender.port, timeout=60) as smtp:
        for n in range(30):
            smtp.sendmail("someone@remote.test", [ALICE], head(f"number {n}") + b"x\r\n")
    wait_messages(hk, 30, ALICE, 90).logout()
    m = imap(hk, ALICE)
    m.select("INBOX")
    assert len({line for data in fetch_all(m) for line in data.split(b"\r\n") if line.startswith(b"Subject: ")}) == 30
    m.logout()


def test_receipt_asked_through_it(hk, sender):
    """NOTIFY, RET, ENVID and ORCPT come through; the answer goes to the sender's host."""
    before = len(hk.back.messages)
    give(sender, [ALICE], head("receipt") + b"not to be sent back\r\n", ["RET=HDRS", f"ENVID={sender.kind}+2Bid"],
         ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first@remote.test"])
    last_message(hk, 1, ALICE)
    message = hk.back.wait(before + 1)[-1]
    assert message.sender == "" and message.recipients[0][0] == "someone@remote.test"
    report = email.message_from_bytes(message.data, policy=email.policy.default)
    text = report.as_string()
    assert report.get_content_type() == "multipart/report" and "Action: delivered" in text
    assert f"Original-Envelope-Id: {sender.kind}+id" in text and "Original-Recipient: rfc822;first@remote.test" in text
    assert "not to be sent back" not in text


def test_what_was_spoken(hk, sender):
    """They used what we offer."""
    log = sender.log()
    if sender.kind == "exim":
        assert " K C=" in log or " K " in log, "no CHUNKING"
        assert "PRX" not in log and "X=TLS1.3" in log
    else:
        assert "TLS connection established to" in log
    assert "status=deferred" not in log and "== " not in log, log[-3000:]
