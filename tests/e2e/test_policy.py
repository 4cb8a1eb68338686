# SPDX-License-Identifier: ISC
"""What a domain says: how a full mailbox is treated, who may log in from where."""
import email
import email.policy
import imaplib
import poplib
import smtplib
import time

import pytest

from instance import Instance
from test_roundtrip import imap, wait_messages

BODY = "Subject: fill\r\n\r\n" + ("y" * 70 + "\r\n") * 140


@pytest.fixture(scope="module")
def strict():
    instance = Instance(config={"quota_grace": "3s"}).start()
    try:
        instance.domain("example.test", "--mailbox-size", "1G", "--ids", "20")
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def send(hk, recipient, body=BODY):
    try:
        with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
            smtp.sendmail("x@remote.test", [recipient], body)
        return 250
    except smtplib.SMTPRecipientsRefused as e:
        return e.recipients[recipient][0]


def fill(hk, recipient, seconds=20):
    """Send until the mailbox is full; the code it answers then."""
    deadline = time.monotonic() + seconds
    code = 250
    while code == 250 and time.monotonic() < deadline:
        code = send(hk, recipient)
        time.sleep(0.3)
    return code


def test_full_for_a_while_then_for_good(strict):
    strict.account("full@example.test", "pw pw pw", "--quota", "40K")
    assert fill(strict, "full@example.test") == 452
    time.sleep(4.5)
    assert send(strict, "full@example.test") == 552
    # its owner deletes something: mail comes in again
    m = imap(strict, "full@example.test")
    m.select("INBOX")
    m.store("1:*", "+FLAGS", "\\Deleted")
    m.expunge()
    m.logout()
    deadline = time.monotonic() + 20
    while send(strict, "full@example.test") != 250:
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_owner_is_warned_once_a_level(strict):
    strict.account("warned@example.test", "pw pw pw", "--quota", "100K", "--language", "ja")
    for _ in range(8):
        assert send(strict, "warned@example.test") == 250
    m = wait_messages(strict, 9, "warned@example.test")
    found = []
    for part in m.fetch("1:*", "(BODY.PEEK[HEADER])")[1]:
        if isinstance(part, tuple):
            head = email.message_from_bytes(part[1], policy=email.policy.default)
            if "容量" in head["Subject"]:
                found.append(head)
    assert len(found) == 1
    assert found[0]["Auto-Submitted"] == "auto-generated" and "postmaster@example.test" in found[0]["From"]
    m.logout()
    time.sleep(6)
    m = wait_messages(strict, 9, "warned@example.test")
    assert m.select("INBOX")[1] == [b"9"]
    m.logout()


def test_full_mailbox_may_not_send_where_the_domain_says_so(strict):
    strict.cli("domain", "create", "closed.test", "--mailbox-size", "1G", "--preset", "compat")
    show = strict.cli_json("domain", "show", "closed.test")
    assert show["stops_when_full"] is True and "smtps:closed,internet" in show["access"]
    strict.cli("domain", "set", "closed.test", "--access", "open")
    strict.account("poor@closed.test", "pw pw pw", "--quota", "30K")

    def sends():
        with smtplib.SMTP_SSL("localhost", strict.port("smtps"), context=strict.tls()) as smtp:
            smtp.login("poor@closed.test", "pw pw pw")
            return smtp.mail("poor@closed.test")
    assert sends()[0] == 250
    assert fill(strict, "poor@closed.test") in (452, 552)
    # up to the last octet
    for n in range(8):
        send(strict, "poor@closed.test", "Subject: x\r\n\r\n" + "z" * 900 + "\r\n")
        time.sleep(0.1)
    m = imap(strict, "poor@closed.test")
    while m.append("INBOX", None, None, b"Subject: y\r\n\r\n" + b"z" * 40 + b"\r\n")[0] == "OK":
        pass
    m.logout()
    strict.cli("account", "set", "poor@closed.test", "--quota", "20K")
    code, text = sends()
    assert code == 552 and b"5.2.2" in text
    strict.cli("domain", "set", "closed.test", "--when-full", "send")
    assert sends()[0] == 250


def test_access_by_service_and_zone(strict):
    strict.domain("grid.test", "--access", "imaps:* smtps:internet pop3s:closed")
    strict.account("a@grid.test", "pw pw pw")
    m = imaplib.IMAP4_SSL("localhost", strict.port("imaps"), ssl_context=strict.tls())
    m.login("a@grid.test", "pw pw pw")
    m.logout()
    m = imaplib.IMAP4("localhost", strict.port("imap"))
    m.starttls(strict.tls())
    with pytest.raises(imaplib.IMAP4.error):
        m.login("a@grid.test", "pw pw pw")
    m.shutdown()
    p = poplib.POP3_SSL("localhost", strict.port("pop3s"), context=strict.tls())
    p.user("a@grid.test")
    with pytest.raises(poplib.error_proto):
        p.pass_("pw pw pw")
    p.close()
    with smtplib.SMTP_SSL("localhost", strict.port("smtps"), context=strict.tls()) as smtp:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login("a@grid.test", "pw pw pw")
    strict.cli("domain", "set", "grid.test", "--access", "open")
    with smtplib.SMTP_SSL("localhost", strict.port("smtps"), context=strict.tls()) as smtp:
        assert smtp.login("a@grid.test", "pw pw pw")[0] == 235
    bad = strict.cli("domain", "set", "grid.test", "--access", "fax:*", check=False)
    assert bad.returncode == 1 and "fax" in bad.stderr


def test_closed_network_takes_clear_logins(strict):
    """A listener in a closed network may be declared to take passwords without TLS, one on the internet not."""
    path = strict.dir / "hikyaku.conf"
    text = path.read_text()
    strict.account("c@example.test", "pw pw pw")
    p = poplib.POP3("127.0.0.1", strict.port("pop3"))
    with pytest.raises(poplib.error_proto):
        p.user("c@example.test")
        p.pass_("pw pw pw")
    p.close()
    strict.stop()
    lines = []
    for line in text.splitlines():
        lines.append(line)
        if line.startswith("listener pop3 "):
            lines.append('\tclear_logins = "yes"')
    path.write_text("\n".join(lines) + "\n")
    strict.start()
    p = poplib.POP3("127.0.0.1", strict.port("pop3"))
    p.user("c@example.test")
    assert p.pass_("pw pw pw").startswith(b"+OK")
    p.quit()
    path.write_text("\n".join(lines).replace('zone = "loopback"', 'zone = "internet"') + "\n")
    import subprocess
    done = subprocess.run([str(strict.dir / "bin/hikyakud"), "-t", "-c", str(path)], capture_output=True, text=True)
    assert done.returncode == 2 and "clear_logins" in done.stderr + done.stdout
    path.write_text(text)
