# SPDX-License-Identifier: ISC
"""What the queue tells senders: failure, delay, success; forwards that leave; loops; nobody told of a report."""
import email
import email.policy
import re
import smtplib
import socketserver
import threading
import time

import pytest

from instance import Instance
from test_roundtrip import imap, wait_messages


class Host(socketserver.StreamRequestHandler):
    """A mail host: refuses local parts that begin with no, defers those that begin with later."""

    def handle(self):
        say = lambda line: self.wfile.write(line.encode() + b"\r\n")  # noqa: E731
        say("220 far.test ready")
        rcpts, sender = [], ""
        while True:
            line = self.rfile.readline().decode().rstrip("\r\n")
            word = line[:4].upper()
            if not line or word == "QUIT":
                say("221 bye")
                return
            if word == "EHLO":
                say("250-far.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES" if not self.server.dsn else
                    "250-far.test\r\n250-8BITMIME\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES")
            elif word == "MAIL":
                sender, rcpts = line, []
                say("250 2.1.0 ok")
            elif word == "RCPT":
                local = line[line.index("<") + 1:]
                if local.startswith("no"):
                    say("550 5.1.1 nobody of that name")
                elif local.startswith("later"):
                    say("450 4.2.0 come again")
                else:
                    rcpts.append(line)
                    say("250 2.1.5 ok")
            elif word == "DATA":
                if not rcpts:
                    say("554 5.5.1 no recipients")
                    continue
                say("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    data += self.rfile.readline()
                self.server.got.append((sender, rcpts, data[:-3]))
                say("250 2.0.0 taken")
            else:
                say("250 2.0.0 ok")


@pytest.fixture(scope="module")
def far():
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Host)
    server.daemon_threads = True
    server.got, server.dsn = [], False
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def out(far):
    instance = Instance(config={
        "smart_host": f"[127.0.0.1]:{far.server_address[1]}", "smart_host_tls": "may", "allow_private_targets": "yes",
        "queue_retry_first": "1s", "queue_retry_last": "2s", "queue_delay_warning": "2s", "queue_lifetime": "7s"}).start()
    try:
        instance.domain("example.test", "--mailbox-size", "1G", "--ids", "50")
        for name in ("alice", "bob", "carol", "dave", "eve"):
            instance.account(f"{name}@example.test")
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def submit(hk, sender, recipients, options=(), rcpt_options=(), subject="hello"):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls()) as smtp:
        smtp.login(sender, hk.passwords[sender])
        body = f"From: {sender}\r\nTo: x@far.test\r\nSubject: {subject}\r\n\r\nthe body of it\r\n"
        assert smtp.sendmail(sender, recipients, body, list(options), list(rcpt_options)) == {}


def reports(hk, n, user):
    m = wait_messages(hk, n, user)
    found = []
    for part in m.fetch("1:*", "(BODY.PEEK[])")[1]:
        if isinstance(part, tuple):
            found.append(email.message_from_bytes(part[1], policy=email.policy.default))
    m.logout()
    return found


def status_of(report):
    """(per message, [per recipient]) fields of message/delivery-status."""
    assert report.get_content_type() == "multipart/report"
    parts = list(report.iter_parts())
    assert parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status")
    groups = parts[1].get_payload()
    return groups[0], groups[1:]


def test_failure_is_reported_once(out, far):
    submit(out, "alice@example.test", ["nobody@far.test", "friend@far.test"], ["RET=HDRS", "ENVID=a+2Bb"])
    report, = reports(out, 1, "alice@example.test")
    assert report["From"].addresses[0].username == "MAILER-DAEMON" and report["Auto-Submitted"] == "auto-replied"
    assert report["Return-Path"] == "<>" and "配信できませんでした" in report["Subject"]
    message, (rcpt,) = status_of(report)
    assert message["Original-Envelope-Id"] == "a+b" and message["Reporting-MTA"].startswith("dns;")
    assert rcpt["Action"] == "failed" and rcpt["Status"] == "5.1.1"
    assert "nobody@far.test" in rcpt["Final-Recipient"]
    assert rcpt["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody of that name"
    text, _, returned = report.iter_parts()
    assert "次の宛先" in text.get_content() and "could not be delivered" in text.get_content()
    assert returned.get_content_type() == "text/rfc822-headers" and "the body of it" not in report.as_string()
    assert [got for got in far.got if "friend@far.test" in got[1][0]]
    out.wait_queue_empty()


def test_delay_then_expiry(out):
    submit(out, "bob@example.test", ["later@far.test"], ["RET=FULL"])
    first, second = reports(out, 2, "bob@example.test")
    _, (rcpt,) = status_of(first)
    assert rcpt["Action"] == "delayed" and rcpt["Status"] == "4.2.0" and rcpt["Will-Retry-Until"]
    _, (rcpt,) = status_of(second)
    assert rcpt["Action"] == "failed" and "450 4.2.0 come again" in rcpt["Diagnostic-Code"]
    returned = list(second.iter_parts())[2]
    assert returned.get_content_type() == "message/rfc822" and "the body of it" in returned.as_string()
    out.wait_queue_empty()


def test_success_and_never(out, far):
    submit(out, "carol@example.test", ["friend@far.test", "dave@example.test"], (), ["NOTIFY=SUCCESS"])
    submit(out, "carol@example.test", ["nobody@far.test"], (), ["NOTIFY=NEVER"])
    submit(out, "carol@example.test", ["nothing@far.test"], (), ["NOTIFY=SUCCESS,DELAY"])
    actions = sorted(rcpt["Action"] for report in reports(out, 1, "carol@example.test")
                     for rcpt in status_of(report)[1])
    deadline = time.monotonic() + 20
    while len(actions) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        actions = sorted(rcpt["Action"] for report in reports(out, 1, "carol@example.test")
                         for rcpt in status_of(report)[1])
    assert actions == ["delivered", "relayed"]
    out.wait_queue_empty()
    dropped = [e["recipient"] for e in out.events("queue.rcpt.dropped")]
    assert "nobody@far.test" in dropped and "nothing@far.test" in dropped
    # a next hop with DSN takes the duty over, and is told what we were told
    time.sleep(6)   # connections that know nothing of DSN are closed by then
    far.dsn = True
    submit(out, "carol@example.test", ["dsn@far.test"], ["ENVID=x1", "RET=HDRS"],
           ["NOTIFY=SUCCESS", "ORCPT=rfc822;dsn@far.test"])
    out.wait_queue_empty()
    far.dsn = False
    sender, rcpts, _ = far.got[-1]
    assert "ENVID=x1" in sender and "RET=HDRS" in sender
    assert "NOTIFY=SUCCESS" in rcpts[0] and "ORCPT=rfc822;dsn@far.test" in rcpts[0]
    m = imap(out, "carol@example.test")
    count = int(m.select("INBOX")[1][0])
    m.logout()
    assert count == len(reports(out, 1, "carol@example.test"))


def test_nobody_is_told_of_a_report(out):
    """A bounce to an address that is refused ends there."""
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail("", ["dave@example.test"], "Subject: from nobody\r\n\r\nx\r\n")
    out.cli("forward", "create", "dave@example.test", "nobody@far.test")
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail("", ["dave@example.test"], "Subject: from nobody\r\n\r\nx\r\n")
    out.wait_queue_empty()
    assert any(e["recipient"] == "nobody@far.test" and "no sender" in e["detail"]
               for e in out.events("queue.rcpt.dropped"))


def test_forward_to_the_outside(out, far):
    out.cli("forward", "create", "eve@example.test", "eve@far.test", "--keep-copy")
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail("x@remote.test", ["eve@example.test"], "Subject: on its way\r\n\r\nx\r\n")
    wait_messages(out, 1, "eve@example.test").logout()
    out.wait_queue_empty()
    sender, rcpts, data = far.got[-1]
    assert re.search(r"<SRS0=[A-Z2-7]{6}=[A-Z2-7]{2}=remote\.test=x@example\.test>", sender)
    assert "<eve@far.test>" in rcpts[0] and len(rcpts) == 1
    assert b"Delivered-To: eve@example.test\r\n" in data
    # it comes back: the circle ends with one report to its sender, who is elsewhere
    before = len(far.got)
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail("x@remote.test", ["eve@example.test"], data)
    out.wait_queue_empty()
    assert len(far.got) == before + 1
    sender, rcpts, data = far.got[-1]
    assert "MAIL FROM:<>" in sender and "<x@remote.test>" in rcpts[0] and b"Status: 5.4.6" in data


def rcpt_reply(hk, sender, recipient):
    with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
        smtp.ehlo("remote.test")
        assert smtp.mail(sender)[0] == 250
        return smtp.rcpt(recipient)


def test_reports_come_back_to_the_true_sender(out, far):
    """The sender that a forward put into its place (SRS) leads back, for reports, and for nobody else."""
    out.cli("forward", "create", "bob@example.test", "bob@far.test")
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail("Some.Body@remote.test", ["bob@example.test"], "Subject: there\r\n\r\nx\r\n")
    out.wait_queue_empty()
    rewritten = re.search(r"<(SRS0=[^>]*)>", far.got[-1][0]).group(1)
    for changed in (rewritten, rewritten.lower()):
        with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
            smtp.sendmail("", [changed], "Subject: and back\r\n\r\nundeliverable\r\n")
        out.wait_queue_empty()
        sender, rcpts, data = far.got[-1]
        assert "MAIL FROM:<>" in sender and b"Subject: and back" in data
        want = "<Some.Body@remote.test>" if changed == rewritten else "<some.body@remote.test>"
        assert len(rcpts) == 1 and want in rcpts[0]
    # it is no way through us for others, and cannot be made up
    assert rcpt_reply(out, "spam@remote.test", rewritten)[0] == 550
    forged = rewritten.replace("=remote.test=", "=victim.test=")
    assert rcpt_reply(out, "", forged) == (550, b"5.1.1 no such user here")
    assert rcpt_reply(out, "", "SRS0=AAAAAA=AA=victim.test=x@example.test")[0] == 550
    # it survives a restart: the key is on disk
    out.stop()
    out.start()
    assert rcpt_reply(out, "", rewritten)[0] == 250
    # nothing to rewrite: a sender of ours; nowhere to put it: a long one
    before = len(far.got)
    submit(out, "alice@example.test", ["bob@example.test"])
    out.wait_queue_empty()
    assert "<alice@example.test>" in far.got[-1][0]
    long = "bounces-0123456789-0123456789-0123456789@mail.example.org"
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail(long, ["bob@example.test"], "Subject: long\r\n\r\nx\r\n")
    out.wait_queue_empty()
    assert f"<{long}>" in far.got[-1][0] and len(far.got) == before + 2
    assert [e["sender"] for e in out.events("directory.sender.kept")] == [long]
    # a failure at once is told to the true sender, not to ourselves
    out.cli("forward", "delete", "bob@example.test", "bob@far.test")
    out.cli("forward", "create", "bob@example.test", "nobody@far.test")
    with smtplib.SMTP("127.0.0.1", out.port("smtp")) as smtp:
        smtp.sendmail("y@remote.test", ["bob@example.test"], "Subject: fails\r\n\r\nx\r\n")
    out.wait_queue_empty()
    sender, rcpts, data = far.got[-1]
    assert "MAIL FROM:<>" in sender and "<y@remote.test>" in rcpts[0] and b"Status: 5.1.1" in data
    out.cli("forward", "delete", "bob@example.test", "nobody@far.test")


def test_operator_sees_and_acts(out):
    submit(out, "alice@example.test", ["later2@far.test"])
    deadline = time.monotonic() + 10
    mine = []
    while not mine and time.monotonic() < deadline:
        mine = [i for i in out.cli_json("queue", "list") if i["recipients"][0]["state"] == "deferred"]
    rcpt = mine[0]["recipients"][0]
    assert rcpt["status"] == "4.2.0" and "come again" in rcpt["reason"] and "127.0.0.1" in rcpt["remote"]
    while out.cli("queue", "delete", mine[0]["id"], check=False).returncode != 0:
        assert time.monotonic() < deadline
    out.wait_queue_empty()
