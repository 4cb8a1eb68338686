# SPDX-License-Identifier: ISC
"""Who hears by mail that something was found, in each case: users in their languages, and administrators of their own."""
import email
import email.policy
import os
import signal
import smtplib
import time

import pytest

from instance import Instance
from test_filter import send
from test_roundtrip import imap
from test_virus import EICAR, message

JA, EN = "ja", "en"
INFECTED = EICAR.decode() + "\n"


@pytest.fixture(scope="module")
def hk():
    instance = Instance(config={"virus_body": "quarantine", "filter_budget": "8s"}).start()
    try:
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def domain(hk, name, language=JA, admin_language=EN):
    """(user, administrator) of a domain of their own: each is told once an hour."""
    user, admin = f"user@{name}", f"root@{name}"
    hk.domain(name)
    for address, spoken in ((user, language), (admin, admin_language)):
        hk.account(address)
        hk.cli("account", "set", address, "--language", spoken)
    hk.cli("admin", "grant", admin, "--domain", name)
    return user, admin


def inbox(hk, user):
    m = imap(hk, user)
    try:
        assert m.select("INBOX", readonly=True)[0] == "OK"
        return [email.message_from_bytes(part[1], policy=email.policy.default)
                for part in (m.fetch("1:*", "(BODY.PEEK[])")[1] if m.search(None, "ALL")[1][0] else [])
                if isinstance(part, tuple)]
    finally:
        m.logout()


def told(hk, user, seconds=20):
    """The one message there is, which is a notice: (subject, text)."""
    deadline = time.monotonic() + seconds
    while not (found := inbox(hk, user)):
        assert time.monotonic() < deadline, f"{user} hears nothing: {hk.log()[-2000:]}"
        time.sleep(0.05)
    msg, = found
    postmaster = "postmaster@" + user.split("@")[1]
    assert msg["Auto-Submitted"] == "auto-generated" and msg["Delivered-To"] == user, msg.items()
    assert msg["To"] == (postmaster if user.startswith("root@") else user), msg.items()
    assert msg["From"].addresses[0].addr_spec == postmaster, msg.items()
    return msg["Subject"], msg.get_content()


def submit(hk, user, recipients, data):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls(), timeout=60) as smtp:
        smtp.login(user, hk.passwords[user])
        assert smtp.mail(user)[0] == 250
        for recipient in recipients:
            assert smtp.rcpt(recipient)[0] == 250
        return smtp.data(data)[0]


def test_outgoing(hk):
    """Its sender and the administrator of the sender's domain; nobody it was for."""
    user, admin = domain(hk, "out.test")
    assert submit(hk, user, ["someone@remote.test", admin], message("out", ("x.com", EICAR), sender=user)) == 554
    subject, text = told(hk, user)
    assert "送信を拒否" in subject and "パスワードの変更" in text and f"差出人: <{user}>" in text and "Eicar" in text
    assert "宛先: someone@remote.test" in text
    subject, text = told(hk, admin)
    assert subject == "An infected message was not sent" and "change the password" in text
    assert f"Sender: <{user}>" in text and "Recipient: someone@remote.test" in text and "Eicar" in text
    hk.wait_queue_empty()
    assert len(inbox(hk, user)) == 1 and len(inbox(hk, admin)) == 1


def test_replaced_attachment(hk):
    """The administrator by mail; who gets the message reads it there."""
    user, admin = domain(hk, "replaced.test")
    assert send(hk, message("replaced", ("x.com", EICAR)), "a@remote.test", (user,))[0] == 250
    subject, text = told(hk, admin)
    assert subject == "An infected attachment was removed" and "quarantine" in text
    assert "Sender: <a@remote.test>" in text and f"Recipient: {user}" in text and "Eicar" in text
    hk.wait_queue_empty()
    msg, = inbox(hk, user)
    assert msg["Subject"] == "replaced" and msg["X-Hikyaku-Scan"].endswith("; removed")
    assert len(inbox(hk, admin)) == 1


def test_quarantined_body(hk):
    """Recipient and administrator: what was meant for the one is with the other."""
    user, admin = domain(hk, "body.test", EN, JA)
    other, _ = domain(hk, "body-too.test", JA, JA)
    assert send(hk, message("body", body=INFECTED), "a@remote.test", (user, other))[0] == 250
    subject, text = told(hk, user)
    assert subject == "An infected message was quarantined" and "Sender: <a@remote.test>" in text and "Eicar" in text
    assert f"Recipient: {user}" in text and other not in text
    subject, text = told(hk, other)
    assert "隔離しました" in subject and f"宛先: {other}" in text and user not in text
    subject, text = told(hk, admin)
    assert "隔離しました" in subject and f"宛先: {user}" in text and "差出人: <a@remote.test>" in text
    hk.wait_queue_empty()
    assert [len(inbox(hk, address)) for address in (user, admin, other)] == [1, 1, 1]
    items = [item for item in hk.cli_json("quarantine", "list") if item["owner"] == "body.test"]
    assert len(items) == 1 and items[0]["for"] == "admin", items


def test_once_an_hour(hk):
    """The next one is only counted, for the user and for the administrator."""
    user, admin = domain(hk, "again.test")
    for n in range(3):
        assert send(hk, message(f"again-{n}", body=INFECTED), "a@remote.test", (user,))[0] == 250
    told(hk, user)
    told(hk, admin)
    hk.wait_queue_empty()
    assert len(inbox(hk, user)) == 1 and len(inbox(hk, admin)) == 1


def test_nobody_is_told(hk):
    """virus_notices = "no", by a reload."""
    user, admin = domain(hk, "silent.test")
    hk.configure({"virus_body": "quarantine", "filter_budget": "8s", "virus_notices": "no"})
    reloads = len(hk.events("master.reloaded"))
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 20
    while len(hk.events("master.reloaded")) == reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    assert send(hk, message("silent", body=INFECTED), "a@remote.test", (user,))[0] == 250
    assert submit(hk, user, ["someone@remote.test"], message("out", ("x.com", EICAR), sender=user)) == 554
    assert send(hk, message("after", body="hello\n"), "a@remote.test", (user, admin))[0] == 250
    hk.wait_queue_empty()
    for address in (user, admin):
        assert [msg["Subject"] for msg in inbox(hk, address)] == ["after"]
