# SPDX-License-Identifier: ISC
"""Malicious content, in and out, through a running instance; and scanners that hang or end."""
import base64
import bz2
import email.message
import email.policy
import functools
import gzip
import hashlib
import http.server
import io
import lzma
import os
import pathlib
import signal
import smtplib
import struct
import subprocess
import tarfile
import threading
import time
import zipfile
import zlib

import pytest

from instance import Instance
from quine import quine
from test_filter import find, imap, send

EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*").encode()
FILES = pathlib.Path("/usr/share/clamav-testfiles")
SCAN_S = 2
# All that is there: libclamav opens each of them down to the test file inside, whatever packed it.
CONTAINERS = sorted(path.name for path in FILES.glob("clam*"))
CONTAINERS_IN = ["clam.7z", "clam.cab", "clam.chm", "clam.ea06.exe", "clam.exe.mbox.uu", "clam.pdf", "clam.tnef",
                 "clam-upx.exe", "clam_ISmsi_int.exe"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Where freshclam puts what it fetches."""
    folder = tmp_path_factory.mktemp("freshclam")
    for path in (folder, *folder.parents[:3]):
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def hk(fresh):
    instance = Instance(config={"clamav_signatures": str(fresh), "scan_time": f"{SCAN_S}s", "filter_budget": "8s", "rate_connections": "100000",
                                "rate_messages": "100000",
                                "account_messages_hour": "100000", "account_recipients_day": "100000"}).start()
    try:
        instance.domain()
        for address in ("alice@example.test", "bob@example.test"):
            instance.account(address)
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def packed(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(name, data)
    return out.getvalue()


def locked(data):
    """A zip that says of its first file that it has a password."""
    data = bytearray(data)
    at = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[at + 8] |= 1
    return bytes(data)


def encrypted(name, data, password=b"infected"):
    """A zip of one file with a password, as APPNOTE.TXT 6.1 has it: zipfile only reads those."""
    table = [zlib.crc32(bytes([n ^ 0xff])) ^ 0xff000000 for n in range(256)]
    keys = [0x12345678, 0x23456789, 0x34567890]

    def step(octet):
        keys[0] = table[(keys[0] ^ octet) & 0xff] ^ keys[0] >> 8
        keys[1] = ((keys[1] + (keys[0] & 0xff)) * 134775813 + 1) & 0xffffffff
        keys[2] = table[(keys[2] ^ keys[1] >> 24) & 0xff] ^ keys[2] >> 8

    def locked_octet(octet):
        t = (keys[2] | 2) & 0xffff
        step(octet)
        return octet ^ (t * (t ^ 1) >> 8) & 0xff

    for octet in password:
        step(octet)
    plain = bytearray(packed((name, data)))
    at, body = plain.index(b"PK\x01\x02"), 30 + len(name)
    size = struct.unpack_from("<L", plain, 18)[0]
    for flags, length in ((6, 18), (at + 8, at + 20)):
        plain[flags] |= 1
        struct.pack_into("<L", plain, length, size + 12)
    struct.pack_into("<L", plain, plain.index(b"PK\x05\x06") + 16, at + 12)
    head = os.urandom(11) + struct.pack("<L", zlib.crc32(data))[3:]
    made = bytes(plain[:body]) + bytes(map(locked_octet, head + plain[body:body + size])) + bytes(plain[body + size:])
    assert zipfile.ZipFile(io.BytesIO(made)).read(name, password) == data
    return made


def message(subject, *attachments, body="hello\n", sender="a@remote.test"):
    msg = email.message.EmailMessage()
    msg["From"], msg["To"], msg["Subject"] = sender, "alice@example.test", subject
    msg["Date"], msg["Message-ID"] = "Mon, 02 Nov 2026 10:00:00 +0900", f"<{subject}@remote.test>"
    msg.set_content(body)
    for name, data in attachments:
        msg.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return msg.as_bytes().replace(b"\n", b"\r\n")


def submit(hk, data):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls(), timeout=60) as smtp:
        smtp.login("alice@example.test", hk.passwords["alice@example.test"])
        smtp.mail("alice@example.test")
        smtp.rcpt("bob@example.test")
        code, text = smtp.data(data)
        return code, text.decode()


def outgoing(hk, data):
    """Our user sends it: nothing is replaced there."""
    return submit(hk, data.replace(b"From: a@remote.test", b"From: alice@example.test"))


INFECTED = {
    "body": message("body", body=EICAR.decode() + "\n"),
    "attachment": message("attachment", ("x.com", EICAR)),
    "zip": message("zip", ("x.zip", packed(("x.com", EICAR)))),
    "zip-in-zip": message("zip-in-zip", ("x.zip", packed(("y.zip", packed(("x.com", EICAR))), ("readme", b"x")))),
    "second": message("second", ("a.txt", b"harmless"), ("b.zip", packed(("x.com", EICAR)))),
    "beside-a-password": message("beside-a-password", ("a.zip", locked(packed(("a", b"secret")))), ("x.com", EICAR)),
}


def last_refusal(hk, seconds=10):
    """What filterd has logged last of what it refuses (the log is written beside the dialogue)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        entries = hk.events("filter.message.judged")
        if entries and entries[-1]["status"] == "refuse":
            return entries[-1]
        time.sleep(0.05)
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("name", INFECTED)
def test_infected_goes_nowhere(hk, name):
    """Out: refused in the dialogue. In: refused for its body, without its attachments otherwise."""
    code, text = outgoing(hk, INFECTED[name])
    assert code == 554 and text.startswith("5.7.1 ") and "Eicar" in text, (code, text)
    entry = last_refusal(hk)
    assert entry["reason"].startswith("infected: ") and "Eicar" in entry["virus"]
    code, text = send(hk, INFECTED[name], "a@remote.test")
    if name == "body":
        assert code == 554 and text.startswith("5.7.1 ") and "Eicar" in text, (code, text)
        return
    assert code == 250
    msg = find(hk, name)
    assert msg["X-Hikyaku-Scan"].startswith("infected; ") and msg["X-Hikyaku-Scan"].endswith("; removed")
    if name == "beside-a-password":
        assert msg.get_all("X-Hikyaku-Scan")[1].startswith("encrypted; "), msg.get_all("X-Hikyaku-Scan")
    assert EICAR not in msg.as_bytes() and base64.b64encode(EICAR)[:40] not in msg.as_bytes()


def notice(part):
    assert part.get_content_type() == "text/plain"
    return part.get_payload(decode=True).decode()


def test_in_a_message_in_a_message(hk):
    outer = message("inner", ("x.zip", packed(("x.com", EICAR))))
    for n in range(4):
        outer = (f"From: a@remote.test\r\nSubject: nested-{n}\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: message/rfc822\r\n\r\n").encode() + outer
    assert send(hk, outer, "a@remote.test")[0] == 250
    parts = list(find(hk, "nested-3").walk())
    assert [p.get_content_type() for p in parts[-3:]] == ["multipart/mixed", "text/plain", "text/plain"]
    assert "x.zip" in notice(parts[-1])


def headed(subject):
    return f"From: a@remote.test\r\nTo: alice@example.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n".encode()


def messages_in_messages(part, depth):
    return b"Content-Type: message/rfc822\r\n\r\n" * depth + part


def multiparts(part, depth):
    return b"".join(b'Content-Type: multipart/mixed; boundary="=_%d"\r\n\r\n--=_%d\r\n' % (n, n) for n in range(depth)) + \
        part + b"".join(b"\r\n--=_%d--\r\n" % n for n in reversed(range(depth)))


def last_of(part, count, text=b"hello"):
    return b'Content-Type: multipart/mixed; boundary="=_"\r\n\r\n' + \
        (b"--=_\r\nContent-Type: text/plain\r\n\r\n%s\r\n" % text) * (count - 1) + b"--=_\r\n" + part + b"\r\n--=_--\r\n"


# Our parser goes 50 deep and lists 2,000 parts; what is over that is one part nobody looks into.
UNLISTED = {"nested-60": functools.partial(messages_in_messages, depth=60),
            "nested-10000": functools.partial(messages_in_messages, depth=10000),
            "multiparts-60": functools.partial(multiparts, depth=60),
            "multiparts-1000": functools.partial(multiparts, depth=1000),
            "parts-3000": functools.partial(last_of, count=3000),
            "empty-parts-3000": functools.partial(last_of, count=3000, text=b"")}
UNLISTED_PARTS = {"zip": b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                  base64.encodebytes(packed(("x.com", EICAR))).replace(b"\n", b"\r\n"),
                  "open": b"Content-Type: application/octet-stream\r\n\r\n" + EICAR + b"\r\n"}


@pytest.mark.parametrize("kind", UNLISTED_PARTS)
@pytest.mark.parametrize("name", UNLISTED)
def test_below_the_parser_is_not_clean(hk, name, kind):
    """What our parser does not come to, and mostly libclamav's neither: found, or marked; what is not packed is
    found as long as there is time."""
    subject = f"unlisted-{name}-{kind}"
    data = headed(subject) + UNLISTED[name](UNLISTED_PARTS[kind])
    code, text = send(hk, data, "a@remote.test")
    if code != 250:
        assert code == 554 and "Eicar" in text, (code, text)
        return
    hk.wait_queue_empty()
    raw = fetch_raw(hk, subject)
    mark = email.message_from_bytes(raw.split(b"\r\n\r\n", 1)[0])["X-Hikyaku-Scan"] or ""
    if kind == "zip" or "Time" in mark:
        assert mark.startswith("unscannable; "), mark
        return
    assert mark.startswith("infected; ") and "Eicar" in mark and mark.endswith("; removed"), mark
    assert EICAR not in raw
    code, text = outgoing(hk, data)
    assert code == 554 and "Eicar" in text, (code, text)


def test_the_rest_stays_octet_for_octet(hk):
    """Also where it is odd: no final boundary, 8-bit, odd cases, the infected part in the middle, twice."""
    infected = base64.encodebytes(packed(("x.com", EICAR))).replace(b"\n", b"\r\n")
    head = (b"From: a@remote.test\r\nsubject:  the-rest\r\nMIME-Version: 1.0\r\nX-Odd:a\r\n\tb\r\n"
            b"Content-type: MULTIPART/mixed;\r\n boundary=\"=_x\"\r\n\r\npreamble\r\n--=_x\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "日本語 \r\n\r\n".encode())
    part = (b'Content-Type: application/zip; name="=?UTF-8?B?6KuL5rGC5pu4LnppcA==?="\r\n'
            b"Content-Transfer-Encoding: base64\r\n\r\n" + infected)
    middle = b"\r\n--=_x\r\nX-Other: y\r\n\r\nmiddle\r\n--=_x  \r\n"
    tail = b"--=_x\r\nContent-Type: text/html\r\n\r\n<p>end\r\n"
    assert send(hk, head + b"--=_x\r\n" + part + middle + part + tail, "a@remote.test")[0] == 250
    msg = find(hk, "the-rest")
    raw = fetch_raw(hk, "the-rest")
    first, rest = raw.split(b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\n", 1)
    assert first.endswith(head + b"--=_x\r\n")
    between, last = rest.split(b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: inline\r\n", 1)
    assert between.endswith(middle) and last.endswith(b"\r\n" + tail)
    assert "請求書.zip" in notice(msg.get_payload()[1]) and "ウイルス" in notice(msg.get_payload()[1])


def fetch_raw(hk, subject):
    m = imap(hk, "alice@example.test")
    assert m.select("INBOX", readonly=True)[0] == "OK"
    number = m.search(None, "SUBJECT", f'"{subject}"')[1][0].split()[0]
    raw = m.fetch(number, "(BODY.PEEK[])")[1][0][1]
    m.logout()
    return raw


def test_nothing_but_an_attachment(hk):
    data = (b"From: a@remote.test\r\nSubject: alone\r\nMIME-Version: 1.0\r\nContent-Type: application/zip\r\n"
            b"Content-Transfer-Encoding: base64\r\nMessage-ID: <alone@remote.test>\r\n\r\n"
            + base64.encodebytes(packed(("x.com", EICAR))).replace(b"\n", b"\r\n"))
    assert send(hk, data, "a@remote.test")[0] == 250
    msg = find(hk, "alone")
    assert msg["Message-ID"] == "<alone@remote.test>" and msg.get_all("Content-Type") == ["text/plain; charset=utf-8"]
    assert "Eicar" in notice(msg)


def test_notice_in_the_languages_of_all(hk):
    hk.cli("account", "set", "bob@example.test", "--language", "en")
    data = message("languages", ("x.zip", packed(("x.com", EICAR))))
    with smtplib.SMTP("localhost", hk.port("smtp"), timeout=60) as smtp:
        smtp.ehlo("remote.test")
        smtp.sendmail("a@remote.test", ["alice@example.test", "bob@example.test"], data)
        smtp.sendmail("a@remote.test", ["bob@example.test"], data.replace(b"languages", b"english"))
    text = notice(find(hk, "languages").get_payload()[1])
    assert "ウイルス" in text and "was removed" in text
    text = notice(find(hk, "english", "bob@example.test").get_payload()[1])
    assert "ウイルス" not in text and "was removed" in text


def test_who_is_told(hk):
    """Recipient, sender and administrator, in their languages, once an hour and with how many there were since."""
    for address in ("carol@example.test", "dave@example.test", "root@example.test"):
        hk.account(address)
    hk.cli("account", "set", "dave@example.test", "--language", "en")
    hk.cli("admin", "grant", "root@example.test", "--domain", "example.test")
    assert send(hk, message("refused-1", body=EICAR.decode() + "\n"), "a@remote.test",
                ("carol@example.test", "dave@example.test"))[0] == 554
    msg = find(hk, "An infected message was refused", "dave@example.test")
    text = notice(msg)
    assert msg["Auto-Submitted"] == "auto-generated" and "Recipient: dave@example.test" in text
    assert "<a@remote.test>" in text and "Eicar" in text and "carol" not in text
    m = imap(hk, "carol@example.test")
    m.select("INBOX", readonly=True)
    count = len(m.search(None, "ALL")[1][0].split())
    assert count == 1
    first = email.message_from_bytes(m.fetch("1", "(BODY.PEEK[])")[1][0][1], policy=email.policy.default)
    assert "受信を拒否" in first["Subject"] and "差出人: <a@remote.test>" in notice(first)
    # Told a moment ago: not again.
    assert send(hk, message("refused-2", body=EICAR.decode() + "\n"), "a@remote.test", ("carol@example.test",))[0] == 554
    assert send(hk, message("quiet"), "a@remote.test", ("carol@example.test",))[0] == 250
    assert find(hk, "quiet", "carol@example.test")
    m.noop()
    assert len(m.search(None, "ALL")[1][0].split()) == 2
    m.logout()
    # Who sends it hears of it, and so does the administrator (the same person here), who was told of what came in.
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls(), timeout=60) as smtp:
        smtp.login("root@example.test", hk.passwords["root@example.test"])
        smtp.mail("root@example.test")
        smtp.rcpt("someone@remote.test")
        assert smtp.data(message("out", ("x.com", EICAR), sender="root@example.test"))[0] == 554
    m = imap(hk, "root@example.test")
    deadline = time.monotonic() + 20
    subjects = []
    while len(subjects) < 3 and time.monotonic() < deadline:
        m.select("INBOX", readonly=True)
        subjects = [str(email.message_from_bytes(m.fetch(n, "(BODY.PEEK[])")[1][0][1],
                                                 policy=email.policy.default)["Subject"])
                    for n in m.search(None, "ALL")[1][0].split()]
    m.logout()
    assert sum("送信" in s for s in subjects) == 2 and len(subjects) == 3, subjects


def test_body_and_attachment(hk):
    """What is left when the attachment is out is looked at again."""
    code, text = send(hk, message("both", ("x.zip", packed(("x.com", EICAR))), body=EICAR.decode() + "\n"),
                      "a@remote.test")
    assert code == 554 and "Eicar" in text


def test_password_is_not_clean(hk):
    """Nobody could look inside: it is delivered and says so."""
    assert send(hk, message("locked", ("a.zip", locked(packed(("a", b"secret"))))), "a@remote.test")[0] == 250
    assert find(hk, "locked")["X-Hikyaku-Scan"].startswith("encrypted; Heuristics.Encrypted.Zip")
    assert send(hk, message("plain", ("a.zip", packed(("a", b"open")))), "a@remote.test")[0] == 250
    assert find(hk, "plain")["X-Hikyaku-Scan"] is None


def test_password_really(hk):
    """What is malicious under a password cannot be seen: it is delivered in and out, and says what it is."""
    data = encrypted("x.com", EICAR)
    assert send(hk, message("really-in", ("a.zip", data)), "a@remote.test")[0] == 250
    assert find(hk, "really-in")["X-Hikyaku-Scan"].startswith("encrypted; Heuristics.Encrypted.Zip")
    assert outgoing(hk, message("really-out", ("a.zip", data)))[0] == 250
    assert find(hk, "really-out", "bob@example.test") is not None
    assert hk.events("filter.message.judged")[-1]["virus"].startswith("Heuristics.Encrypted.Zip")


DEFAULTS = {"virus_attachment": "replace", "virus_body": "refuse", "virus_encrypted": "deliver",
            "virus_unscannable": "deliver", "virus_notices": "yes"}


def configure(hk, settings, works):
    """Reload with them, and wait until they are in use."""
    hk.configure(settings)
    reloads = len(hk.events("master.reloaded"))
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 30
    while len(hk.events("master.reloaded")) == reloads or not works():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)


def held(hk, subject, seconds=20):
    """What the quarantine has of that subject."""
    deadline = time.monotonic() + seconds
    while True:
        items = [i for i in hk.cli_json("quarantine", "list") if i["subject"] == subject]
        if items or time.monotonic() > deadline:
            return items
        time.sleep(0.1)


@pytest.mark.parametrize("treatment", ["quarantine", "refuse"])
def test_settings(hk, treatment):
    """Each of the settings, for what comes in; of what goes out only what nobody could look at depends on them."""
    kinds = {"body": (INFECTED["body"], "admin"), "attachment": (INFECTED["zip-in-zip"], "admin"),
             "locked": (message("locked", ("a.zip", encrypted("x.com", EICAR))), "user"),
             "deep": (message("deep", ("a.gz", nested_gz())), "user")}
    subject = f"treatment-{treatment}"

    def named(kind):
        data, _ = kinds[kind]
        head, rest = data.split(b"Subject: ", 1)
        return head + b"Subject: " + f"{subject}-{kind}".encode() + rest[rest.index(b"\r\n"):]

    def judged():
        send(hk, message("probe", ("a.zip", encrypted("x.com", EICAR))), "a@remote.test")
        return hk.events("filter.message.judged")[-1]["status"] == treatment

    hk.account(f"{treatment}@example.test")
    settings = {name: treatment for name in DEFAULTS} | {"virus_notices": "no"}
    try:
        configure(hk, settings, judged)
        for kind, (_, owner) in kinds.items():
            code, text = send(hk, named(kind), "a@remote.test", (f"{treatment}@example.test",))
            if treatment == "refuse":
                assert code == 554 and text.startswith("5.7.1 "), (kind, code, text)
                continue
            assert code == 250, (kind, text)
            item, = held(hk, f"{subject}-{kind}")
            assert item["for"] == owner, (kind, item)
        # Nobody is told, and nothing of it arrives.
        assert send(hk, message(f"{subject}-quiet"), "a@remote.test", (f"{treatment}@example.test",))[0] == 250
        assert find(hk, f"{subject}-quiet", f"{treatment}@example.test")
        m = imap(hk, f"{treatment}@example.test")
        m.select("INBOX", readonly=True)
        assert len(m.search(None, "ALL")[1][0].split()) == 1
        m.logout()
        for kind in kinds:
            code, text = outgoing(hk, named(kind))
            assert code == (554 if treatment == "refuse" or kind in ("body", "attachment") else 250), (kind, code, text)
    finally:
        hk.cli("quarantine", "delete", "--all")
        configure(hk, DEFAULTS, lambda: send(hk, message("probe", ("a.zip", encrypted("x.com", EICAR))),
                                             "a@remote.test")[0] == 250)


def test_original_of_what_is_replaced(hk):
    """The administrator has it, under the name of what was found; it goes nowhere by mistake."""
    assert send(hk, message("original", ("x.zip", packed(("x.com", EICAR)))), "a@remote.test")[0] == 250
    assert find(hk, "original")["X-Hikyaku-Scan"].endswith("; removed")
    item, = held(hk, "original")
    assert item["for"] == "admin" and "Eicar" in item["reason"], item
    assert item["id"] in [i["id"] for i in hk.cli_json("quarantine", "list", "--for", "admin")]
    assert item["id"] not in [i["id"] for i in hk.cli_json("quarantine", "list", "--for", "user")]
    done = hk.cli("quarantine", "release", item["id"], check=False)
    assert done.returncode != 0 and "malicious content" in done.stderr and "stays" in done.stderr, done
    assert [i["id"] for i in held(hk, "original")] == [item["id"]]
    hk.cli("quarantine", "delete", item["id"])


def bomb():
    """30 MB in each of eight: no two files are the same, or they would be looked at once."""
    return packed(*[(f"{i}.zip", packed(*[(f"{n}", b"%d %d" % (i, n) + b"\0" * (1 << 20)) for n in range(30)]))
                    for i in range(8)])


def deep():
    data = b"x"
    for n in range(40):
        data = packed((f"{n}.zip", data))
    return data


def nested_gz():
    data = EICAR
    for _ in range(50):
        data = gzip.compress(data)
    return data


def overlap():
    """Five thousand files of 50 MB each, all of them the same octets of the archive."""
    data = packed(("0000", b"\0" * (50 << 20)))
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = b"".join(data[at:end].replace(b"0000", b"%04d" % n) for n in range(5000))
    return data[:at] + entries + struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 5000, 5000, len(entries), at, 0)


def many_files():
    info = tarfile.TarInfo("x")
    info.size = 6
    head = info.tobuf()
    return gzip.compress(b"".join(head + (b"%06d" % n).ljust(512, b"\0") for n in range(100000)) + b"\0" * 1024, 1)


def huge_dictionary():
    """An xz whose header asks for 4 GB to be opened with."""
    data = bytearray(lzma.compress(b"hello" * 100, check=lzma.CHECK_CRC32))
    end = 12 + (data[12] + 1) * 4
    assert data[14:16] == b"\x21\x01"
    data[16] = 40
    struct.pack_into("<L", data, end - 4, zlib.crc32(bytes(data[12:end - 4])))
    return bytes(data)


def memory(hk):
    """Of scand itself, in octets."""
    pid, = hk.processes()["scand"]
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


@pytest.mark.parametrize("name,make", [
    ("bomb.zip", bomb), ("deep.zip", deep), ("nested.gz", nested_gz), ("overlap.zip", overlap), ("many.tar.gz", many_files),
    ("huge.xz", huge_dictionary), ("itself.zip", quine)])
def test_limits_are_not_clean(hk, name, make):
    """Archives that grow without end, go deeper than anybody looks, hold more files or ask for more memory: stopped in
    time, delivered, marked; and scand, which is not the one that opens them, does not grow."""
    data, subject = make(), f"limit-{name}"
    before, started = memory(hk), time.monotonic()
    assert send(hk, message(subject, (name, data)), "a@remote.test")[0] == 250
    assert time.monotonic() - started < SCAN_S + 6
    assert find(hk, subject)["X-Hikyaku-Scan"].startswith("unscannable; ")
    assert memory(hk) - before < 8 << 20


def rar(name, data):
    """RAR 4, one file, stored; its text is no signature's."""
    def block(kind, flags, body, rest=b""):
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xffff) + head + rest
    entry = struct.pack("<IIBIIBBHI", len(data), len(data), 2, zlib.crc32(data), 0x5a215a21, 20, 0x30, len(name), 0x20)
    return b"Rar!\x1a\x07\x00" + block(0x73, 0, bytes(6)) + block(0x74, 0x8000, entry + name.encode(), data) + \
        block(0x7b, 0x4000, b"")


def by_lzma(data):
    """What programs of today open, and libclamav does not."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.com", data)
        archive.writestr("readme.txt", "read me, please", compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


CLOSED = {"x.rar": rar("note.txt", b"a note that is long enough"), "x.lzma": lzma.compress(EICAR, format=lzma.FORMAT_ALONE),
          "x.zip": by_lzma(EICAR), "x.Z": b"\x1f\x9d\x90" + bytes(30), "x.zst": b"\x28\xb5\x2f\xfd" + bytes(30)}
KINDS = {"x.Z": "compress", "x.zst": "zstd"}


@pytest.mark.parametrize("name", CLOSED)
def test_what_stays_closed_is_not_clean(hk, name):
    """Containers that the scanner cannot open, alone and in others, also when it has seen them before."""
    kind = KINDS.get(name, name[2:])
    for n, (filename, data) in enumerate([(name, CLOSED[name]), (name, CLOSED[name]), ("y.zip", packed((name, CLOSED[name]))),
                                          ("y.zip", packed((name, CLOSED[name])))]):
        subject = f"closed-{name}-{n}"
        assert send(hk, message(subject, (filename, data)), "a@remote.test")[0] == 250
        assert find(hk, subject)["X-Hikyaku-Scan"] == f"unscannable; Unopened.{kind}"


def test_what_is_opened_is_clean(hk):
    text = b"a text that is long enough"
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    for n, (name, data) in enumerate([
            ("a.zip", packed(("a.txt", text))), ("b.zip", packed(("a.zip", packed(("a.txt", text))))), ("a.gz", gzip.compress(text)),
            ("a.xz", lzma.compress(text)), ("a.bz2", bz2.compress(text)), ("a.tar", tar.getvalue()), ("e.zip", packed()),
            ("e.gz", gzip.compress(b"")), ("a.zip", packed(("a.txt", text)))]):
        assert send(hk, message(f"opened-{n}", (name, data)), "a@remote.test")[0] == 250
        assert find(hk, f"opened-{n}")["X-Hikyaku-Scan"] is None, name


def test_signatures_are_reloaded_without_a_gap(hk):
    """A signature of the test file inside many containers; mail goes on while it is loaded."""
    data = (FILES / "clam.exe").read_bytes()
    assert send(hk, message("before", ("clam.exe", data)), "a@remote.test")[0] == 250
    ready = len(hk.events("scan.signatures.ready"))
    (hk.dir / "data/scan/signatures/test.hdb").write_text(
        f"{hashlib.md5(data).hexdigest()}:{len(data)}:Container.Opened\n")
    deadline = time.monotonic() + 60
    while len(hk.events("scan.signatures.ready")) == ready:
        assert send(hk, message("meanwhile"), "a@remote.test")[0] == 250
        assert outgoing(hk, INFECTED["zip"])[0] == 554
        assert time.monotonic() < deadline
    missed = []
    assert set(CONTAINERS_IN) < set(CONTAINERS)
    for name in CONTAINERS:
        code, text = outgoing(hk, message(f"container-{name}", (name, (FILES / name).read_bytes())))
        if code != 554 or "Container.Opened" not in text:
            missed.append((name, code, text))
    assert missed == []
    for name in CONTAINERS_IN:
        subject = f"container-in-{name}"
        assert send(hk, message(subject, (name, (FILES / name).read_bytes())), "a@remote.test")[0] == 250
        scan = find(hk, subject)["X-Hikyaku-Scan"] or ""
        if not scan.startswith("infected; Container.Opened") or not scan.endswith("; removed"):
            missed.append((name, scan))
    assert missed == []


def test_worthless_signatures_are_not_used(hk):
    """A database that cannot be read: the old one goes on, and an operator hears of it."""
    path = hk.dir / "data/scan/signatures/broken.ndb"
    path.write_text("this is no signature\n")
    deadline = time.monotonic() + 60
    while not hk.events("scan.signatures.refused"):
        assert outgoing(hk, INFECTED["zip"])[0] == 554
        time.sleep(0.2)
        assert time.monotonic() < deadline
    path.unlink()
    assert outgoing(hk, INFECTED["zip"])[0] == 554
    # They are what the test is about.
    log = hk.dir / "log/hikyaku.log"
    log.write_text("".join(line for line in log.read_text().splitlines(True) if "process.alert" not in line))


def test_freshclam(hk, fresh, tmp_path):
    """Debian's freshclam fetches a database from a mirror on loopback: it is used soon after."""
    mark = b"FETCHED-BY-FRESHCLAM-" + os.urandom(8).hex().encode()
    (tmp_path / "fresh.ndb").write_text(f"Fetched.Signature:0:*:{mark.hex()}\n")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = tmp_path / "freshclam.conf"
    config.write_text("\n".join([
        f"DatabaseDirectory {fresh}", "DatabaseOwner root", "DNSDatabaseInfo no", "DatabaseMirror 127.0.0.1",
        "ExcludeDatabase main", "ExcludeDatabase daily", "ExcludeDatabase bytecode",
        f"DatabaseCustomURL http://127.0.0.1:{server.server_port}/fresh.ndb"]) + "\n")
    try:
        done = subprocess.run(["freshclam", f"--config-file={config}", "--stdout"], capture_output=True, text=True,
                              timeout=120)
    finally:
        server.shutdown()
    assert (fresh / "fresh.ndb").exists(), done.stdout + done.stderr
    deadline = time.monotonic() + 60
    while True:
        code, text = outgoing(hk, message("fetched", ("a.bin", mark)))
        if code == 554:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "Fetched.Signature" in text


def workers(hk):
    return hk.processes().get("scan-worker", [])


def test_scanner_that_hangs(hk):
    """It is replaced; its message is not called clean."""
    send(hk, message("warm-up"), "a@remote.test")
    before = set(workers(hk))
    for pid in before:
        os.kill(pid, signal.SIGSTOP)
    assert send(hk, message("hangs"), "a@remote.test")[0] == 250
    assert find(hk, "hangs")["X-Hikyaku-Scan"] == "unscannable; Limits.Time"
    for pid in before:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    assert send(hk, message("after-hang"), "a@remote.test")[0] == 250
    assert find(hk, "after-hang")["X-Hikyaku-Scan"] is None


def test_scanners_that_end(hk):
    for pid in workers(hk):
        os.kill(pid, signal.SIGKILL)
    assert outgoing(hk, INFECTED["zip"])[0] == 554
    assert send(hk, message("after-kill"), "a@remote.test")[0] == 250
    assert find(hk, "after-kill")["X-Hikyaku-Scan"] is None


def has_message(hk, pid, size):
    """Whether a worker has a message of at least so many octets: not one that it just answered for, or a notice."""
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        path = os.readlink(fd)
        if path.startswith(str(hk.dir / "data")) and "/data/scan/" not in path and fd.stat().st_size >= size:
            return True
    return False


def kill_busy(hk, size, count, stop):
    """Each worker that has a message of this size, until so many ended over it."""
    log = open(hk.dir / "log/hikyaku.log", "rb")
    log.seek(0, os.SEEK_END)
    with log:
        while count > 0 and not stop.is_set():
            for pid in workers(hk):
                try:
                    if has_message(hk, pid, size):
                        os.kill(pid, signal.SIGKILL)
                except OSError:
                    continue
            count -= log.read().count(b'"scan.worker.crashed"')


@pytest.mark.parametrize("way", ["in", "out"])
def test_scanners_that_end_over_a_message(hk, way):
    """Twice over the same one: a stranger's is kept for the administrator, our user hears of it."""
    send(hk, message("warm-up"), "a@remote.test")
    crashes, stop = len(hk.events("scan.worker.crashed")), threading.Event()
    data = message(f"twice-{way}", ("bomb.zip", bomb()))
    killer = threading.Thread(target=kill_busy, args=(hk, len(data), 2, stop))
    killer.start()
    try:
        code, text = send(hk, data, "a@remote.test") if way == "in" else outgoing(hk, data)
    finally:
        stop.set()
        killer.join()
    assert [e["count"] for e in hk.events("scan.worker.crashed")[crashes:]] == [1, 2]
    if way == "out":
        assert code == 554 and "cannot be looked at" in text, (code, text)
        return
    assert code == 250
    item, = held(hk, "twice-in")
    assert item["for"] == "admin" and "Scanner.Crashed" in item["reason"], item
    assert find(hk, "twice-in", seconds=0) is None
    hk.cli("quarantine", "delete", item["id"])


def test_no_scanner_no_mail(hk):
    """Without an answer in the budget the message is put off, in and out."""
    pid, = hk.processes()["scand"]
    os.kill(pid, signal.SIGSTOP)
    try:
        code, text = send(hk, message("unseen"), "a@remote.test")
        assert code == 451, text
        assert submit(hk, message("unseen", sender="alice@example.test"))[0] == 451
    finally:
        os.kill(pid, signal.SIGCONT)
    assert send(hk, message("seen"), "a@remote.test")[0] == 250
    assert find(hk, "seen") is not None and find(hk, "unseen", seconds=1) is None


def test_what_a_worker_has(hk):
    """No network, no privilege, no file but its own folder of limited size."""
    pid = workers(hk)[0]
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" and int(status["CapEff"], 16) == 0
    if os.getuid() == 0:
        assert 0 not in map(int, status["Uid"].split())
        assert os.readlink(f"/proc/{pid}/root") == str(hk.dir / "data/scan")
    open_files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not [path for path in open_files if path.startswith("/") and "/scan/unpack/" not in path
                and not path.startswith(("/dev/null", "/unpack/"))], open_files
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    for line in ("Max core file size        0 ", "Max processes             0 ", "Max cpu time              600 "):
        assert line in limits
    mounts = pathlib.Path(f"/proc/{pid}/mountinfo").read_text()
    assert mounts.count(" - tmpfs unpack ") >= 3
    assert "/data/scan/unpack" not in pathlib.Path("/proc/self/mountinfo").read_text()
