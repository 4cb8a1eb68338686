# SPDX-License-Identifier: ISC
"""Keys of domains, their records, and mail that leaves signed."""
import os
import pathlib
import re
import signal
import smtplib
import tempfile
import time

import dkim
import pytest

from dnsserver import DnsServer
from instance import Instance, is_asan_note
from mailhost import MailHost
from ports import free_port
from test_mailauth_interop import PERL, opendkim_says, run

ALICE, BOB = "alice@example.test", "bob@example.test"
PORT = free_port()
NET = "127.0.78."
HEAD = b"From: Alice <alice@example.test>\r\nTo: someone\r\nSubject: hello\r\n"
TEXT = HEAD + b"\r\na line\r\n.\r\n \t\r\n\r\n"
EIGHT = (HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
         b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "飛脚 runs\r\n".encode() * 40)


@pytest.fixture(scope="module")
def world():
    w = type("World", (), {})()
    w.eight, w.other = MailHost(NET + "1", PORT), MailHost(NET + "2", PORT)
    w.seven = MailHost(NET + "3", PORT, caps=["SIZE 5000000"])
    w.dns = DnsServer({"open.test": "\n".join(f"{n} A {NET}{i}" for n, i in
                                              (("eight", 1), ("other", 2), ("seven", 3)))},
                      insecure=["open.test"]).start()
    yield w
    for host in (w.eight, w.other, w.seven):
        host.close()
    w.dns.destroy()


@pytest.fixture(scope="module")
def hk(world):
    instance = Instance(config=world.dns.settings(relay_port=str(PORT), allow_private_targets="yes")).start()
    instance.domain()
    instance.account(ALICE)
    instance.account(BOB)
    yield instance
    assert not [e for e in instance.events("process.stderr") if not is_asan_note(e)]
    assert not instance.events("ipc.violation")
    instance.destroy()


def send(hk, recipients, data=TEXT):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls(), timeout=60) as smtp:
        smtp.login(ALICE, hk.passwords[ALICE])
        smtp.sendmail(ALICE, recipients, data)


def next_data(host, count):
    data = host.wait(count)[-1].data
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def records(made):
    """name -> text, as the DNS would join the strings."""
    for item in made["items"]:
        assert item["type"] == "TXT"
        assert all(len(text) <= 255 for text in re.findall(r'"([^"]*)"', item["value"]))
    return {item["name"]: "".join(re.findall(r'"([^"]*)"', item["value"])) for item in made["items"]}


def selectors(made, state):
    return {item["selector"] for item in made["items"] if item["state"] == state}


def signatures(data):
    head = data.split(b"\r\n\r\n", 1)[0] + b"\r\n"
    return re.findall(rb"(?m)^DKIM-Signature:(?:.*\r\n)(?:[ \t].*\r\n)*", head)


def check(data, texts, want):
    """Every signature holds, and these selectors made them."""
    def txt(name, timeout=5):
        text = texts.get(name.decode().rstrip("."))
        return text.encode() if text else None
    found = signatures(data)
    assert data.startswith(b"DKIM-Signature:")
    assert {re.search(rb"\bs=([^;]+);", field).group(1).decode() for field in found} == want
    for i in range(len(found)):
        assert dkim.DKIM(data).verify(idx=i, dnsfunc=txt), found[i]
    for field in found:
        assert b"d=example.test" in field and not re.search(rb"\bl=", field)


def check_by_others(data, texts, want):
    """OpenDKIM accepts the signatures of all these selectors and Mail::DKIM one, and neither what was changed."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        good, bad, records = folder / "good", folder / "bad", folder / "records"
        good.write_bytes(data)
        bad.write_bytes(data.replace(b"Subject: hello", b"Subject: hullo", 1))
        records.write_text("".join(f"{name}\t{text}\n" for name, text in texts.items()))
        perl = run("perl", PERL, "verify", records, good, bad).decode().splitlines()
        assert "pass" in perl[0] and "pass" not in perl[1], perl
        assert opendkim_says(folder, texts.items(), good) == dict.fromkeys(want, "pass")
        assert opendkim_says(folder, texts.items(), bad) == dict.fromkeys(want, "fail")


def test_signed(hk, world):
    # Without a key mail leaves as it is.
    shown = hk.cli_json("dkim", "show", "example.test")
    assert shown["items"] == [] and "dkim create" in shown["notes"][0]
    send(hk, ["x@eight.open.test"])
    assert signatures(next_data(world.eight, 1)) == []

    made = hk.cli_json("dkim", "create", "example.test", "--selector", "first")
    texts = records(made)
    assert selectors(made, "signing") == {"first", "first-ed"}
    assert sorted(texts) == ["first-ed._domainkey.example.test", "first._domainkey.example.test"]
    assert texts["first._domainkey.example.test"].startswith("v=DKIM1; k=rsa; p=")
    assert texts["first-ed._domainkey.example.test"].startswith("v=DKIM1; k=ed25519; p=")
    again = hk.cli("dkim", "create", "example.test", check=False)
    assert again.returncode == 1 and "rotate" in again.stderr
    missing = hk.cli("dkim", "create", "elsewhere.test", check=False)
    assert missing.returncode == 1
    zone = hk.cli("dns", "show", "example.test").stdout
    assert "first._domainkey.example.test. IN TXT" in zone
    checked = hk.cli("dns", "check", "example.test", "--json", check=False).stdout
    assert "first-ed._domainkey.example.test" in checked

    # One message for several hosts: signed once, and where it had to be recoded once more.
    send(hk, ["x@eight.open.test", "x@other.open.test", "x@seven.open.test"], EIGHT)
    one, two, seven = next_data(world.eight, 2), next_data(world.other, 1), next_data(world.seven, 1)
    for data in (one, two, seven):
        check(data, texts, {"first", "first-ed"})
        check_by_others(data, texts, {"first", "first-ed"})
    assert b"\xe9" in one and max(seven) < 128
    assert signatures(one) == signatures(two) != signatures(seven)
    # What is changed on the way is seen.
    assert not dkim.verify(one.replace(b"runs", b"walks", 1), dnsfunc=lambda name, timeout=5: texts[
        name.decode().rstrip(".")].encode())

    # Odd bodies.
    for n, body in enumerate((b"", b"\r\n\r\n", b"no end", b"x" * 900 + b" \r\n" + b"y " * 300 + b"\r\n"), 3):
        send(hk, ["x@eight.open.test"], HEAD + b"\r\n" + body)
        data = next_data(world.eight, n)
        check(data, texts, {"first", "first-ed"})
        check_by_others(data, texts, {"first", "first-ed"})

    # Mail of others that is sent on is not ours to sign.
    hk.cli("forward", "create", BOB, "y@other.open.test")
    with smtplib.SMTP("localhost", hk.port("smtp"), timeout=60) as smtp:
        smtp.sendmail("alice@elsewhere.test", [BOB], TEXT.replace(b"alice@example.test", b"alice@elsewhere.test"))
    assert signatures(next_data(world.other, 2)) == []


def test_rotated(hk, world):
    count = len(world.seven.messages)
    made = hk.cli_json("dkim", "rotate", "example.test", "--selector", "second")
    assert selectors(made, "signing") == {"first", "first-ed"}
    assert selectors(made, "waiting") == {"second", "second-ed"}
    until = {item["selector"]: item["until"] for item in made["items"]}
    assert until["first"] and until["second"] is None
    send(hk, ["x@seven.open.test"])
    check(next_data(world.seven, count + 1), records(made), {"first", "first-ed"})

    made = hk.cli_json("dkim", "rotate", "example.test", "--algorithm", "rsa", "--now")
    now = selectors(made, "signing") - {"first-ed"}
    assert len(now) == 1 and "first" not in now
    assert selectors(made, "published") == {"first"}
    send(hk, ["x@seven.open.test"])
    check(next_data(world.seven, count + 2), records(made), {*now, "first-ed"})

    # Keys outlive keyd, and so does the word of queued.
    hk.assert_clean_log()
    os.kill(hk.processes()["keyd"][0], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while True:
        shown = hk.cli("dkim", "show", "example.test", "--json", check=False)
        if shown.returncode == 0 or time.monotonic() > deadline:
            break
    assert shown.returncode == 0
    assert hk.cli_json("dkim", "show", "example.test") == made
    send(hk, ["x@seven.open.test"])
    check(next_data(world.seven, count + 3), records(made), {*now, "first-ed"})


def test_sealed(world, make_instance):
    """What is sent on is sealed for the domain that does so: what filterd found out, and the chain as it came."""
    hk = make_instance(config=world.dns.settings(relay_port=str(PORT), allow_private_targets="yes"),
                       zones={"smtp": "internet"}).start()
    hk.domain()
    hk.account(BOB)
    hk.cli("forward", "create", BOB, "y@other.open.test")
    made = hk.cli_json("dkim", "create", "example.test", "--selector", "key")
    texts = records(made)

    def txt(name, timeout=5):
        text = texts.get(name.decode().rstrip("."))
        return text.encode() if text else None

    def forwarded(data):
        count = len(world.other.messages)
        data = data.replace(b"Delivered-To: bob@example.test\r\n", b"")  # that would be a circle
        with smtplib.SMTP("localhost", hk.port("smtp"), timeout=60) as smtp:
            smtp.sendmail("alice@open.test", [BOB], data)
        return next_data(world.other, count + 1)

    first = forwarded(TEXT.replace(b"alice@example.test", b"alice@open.test"))
    assert first.startswith(b"ARC-Seal:") and signatures(first) == []
    assert b"cv=none" in first and b"d=example.test" in first
    assert re.search(rb"ARC-Authentication-Results: i=1; mail\.example\.test;\s+spf=", first)
    result, _, reason = dkim.arc_verify(first, dnsfunc=txt)
    assert result == dkim.CV_Pass, reason
    # The keys are not in the DNS: the chain that comes back is a broken one, and is sealed as that.
    again = forwarded(first)
    assert b"cv=fail" in again and b" i=2;" in again
    assert not forwarded(again).startswith(b"ARC-Seal:")
    assert not [e for e in hk.events("process.stderr") if not is_asan_note(e)]
