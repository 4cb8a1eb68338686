# SPDX-License-Identifier: ISC
"""Guessing a password from many networks locks the name there, and never where its owner always is."""
import base64
import hashlib
import hmac
import smtplib

import pytest


@pytest.fixture(scope="module")
def net():
    """An instance whose listeners stand in the internet's zone; 127.0.0.N are so many networks."""
    from instance import Instance
    instance = Instance().start()
    try:
        instance.domain("example.test", "--mailbox-size", "1G", "--ids", "10")
        instance.account("alice@example.test")
        instance.account("bob@example.test")
        instance.stop()
        path = instance.dir / "hikyaku.conf"
        path.write_text(path.read_text().replace('zone = "loopback"', 'zone = "internet"'))
        instance.start()
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def login(net, source, password, user="alice@example.test", mechanism=None):
    with smtplib.SMTP_SSL("127.0.0.1", net.port("smtps"), context=loose(net), source_address=(source, 0)) as smtp:
        smtp.ehlo()
        try:
            return smtp.login(user, password)[0]
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code


def loose(net):
    context = net.tls()
    context.check_hostname = False
    return context


def proofs(net, source, password, user="alice@example.test"):
    """The codes that SCRAM-SHA-256's proof gets, the last one last."""
    with smtplib.SMTP_SSL("127.0.0.1", net.port("smtps"), context=loose(net), source_address=(source, 0)) as smtp:
        smtp.ehlo()
        bare = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"
        first = base64.b64decode(smtp.docmd("AUTH SCRAM-SHA-256 " + b64(f"n,,{bare}"))[1]).decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={fields['r']}"
        sign = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{first},{final}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, sign))).decode()
        codes = [smtp.docmd(b64(f"{final},p={proof}"))[0]]
        if codes[0] == 334:
            codes.append(smtp.docmd("")[0])
        return codes


def b64(text):
    return base64.b64encode(text.encode()).decode()


def test_lockout_spares_the_owner(net):
    assert login(net, "127.0.0.2", "correct horse") == 235
    codes = [login(net, f"127.0.1.{n}", "wrong") for n in range(1, 9)]
    assert codes[0] == 535 and codes[-1] == 454, codes
    # a stranger's network: refused whatever the password
    assert login(net, "127.0.2.1", "correct horse") == 454
    # the owner's: as ever, also when he mistypes
    assert login(net, "127.0.0.2", "wrong") == 535
    assert login(net, "127.0.0.2", "correct horse") == 235
    # nor does a proof tell a stranger whether it was the right one
    for password in ("wrong", "correct horse"):
        assert proofs(net, "127.0.2.3", password) == [454]
    assert proofs(net, "127.0.0.2", "correct horse") == [334, 235]
    # another account is not touched
    assert login(net, "127.0.2.2", "correct horse", "bob@example.test") == 235


def test_names_that_do_not_exist_look_the_same(net):
    codes = [login(net, f"127.0.3.{n}", "wrong", "nobody@example.test") for n in range(1, 9)]
    assert codes[0] == 535 and codes[-1] == 454, codes


def test_proofs_begun_together_are_counted_together(net):
    begun = []
    for n in range(1, 10):
        smtp = smtplib.SMTP_SSL("127.0.0.1", net.port("smtps"), context=loose(net), source_address=(f"127.0.4.{n}", 0))
        smtp.ehlo()
        code, first = smtp.docmd("AUTH SCRAM-SHA-256 " + b64("n,,n=bob@example.test,r=fyko+d2lbbFgONRv9qkxdawL"))
        assert code == 334
        begun.append((smtp, dict(part.split("=", 1) for part in base64.b64decode(first).decode().split(","))["r"]))
    codes = []
    for smtp, nonce in begun:
        codes.append(smtp.docmd(b64(f"c=biws,r={nonce},p={b64('x' * 32)}"))[0])
        smtp.close()
    assert codes[0] == 535 and codes[-3:] == [454] * 3, codes


def test_an_account_may_send_so_much(net):
    net.stop()
    net.configure({"account_messages_hour": "3", "account_recipients_day": "4"})
    net.start()
    with smtplib.SMTP_SSL("127.0.0.1", net.port("smtps"), context=loose(net), source_address=("127.0.0.2", 0)) as smtp:
        smtp.login("bob@example.test", "correct horse")
        for _ in range(2):
            assert smtp.sendmail("bob@example.test", ["bob@example.test"], "From: bob@example.test\r\n\r\nx\r\n") == {}
        assert smtp.mail("bob@example.test")[0] == 250
        codes = [smtp.rcpt(f"bob+{n}@example.test")[0] for n in range(4)]
        assert codes == [250, 250, 450, 450]
        smtp.rset()
        code, text = smtp.mail("bob@example.test")
        assert code == 450 and text.startswith(b"4.7.1")
    # what comes in for it is not touched
    with smtplib.SMTP("127.0.0.1", net.port("smtp"), source_address=("127.0.0.2", 0)) as smtp:
        assert smtp.sendmail("x@remote.test", ["bob@example.test"], "From: x@remote.test\r\n\r\nx\r\n") == {}
