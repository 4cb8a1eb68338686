# SPDX-License-Identifier: ISC
"""filterd behind another MTA: Postfix asks milterd as its mail filter, and a host behind it shows what came of it."""
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import struct
import tempfile
import threading
import time

import pytest

import mtas
from dnsserver import DnsServer
from httpsserver import Authority
from instance import Instance
from mailhost import MailHost
from ports import free_port
from test_filter import HOST, ZONES, message, pause, signed
from test_virus import INFECTED

NET, STRANGER = "127.0.81.", "192.0.2.99"
BUDGET_S = 2


@pytest.fixture(scope="module")
def dns():
    zones = {name: text.replace("ip4:127.0.0.1", f"ip4:{STRANGER}") for name, text in ZONES.items()
             if name in ("good.test", "proven.test", "reject.test", "junk.test", "other.test", "host.test")}
    with DnsServer(zones) as server:
        yield server


@pytest.fixture(scope="module")
def hk(dns):
    hk = Instance(config=dns.settings(filter_budget=f"{BUDGET_S}s", message_size="1M")).start()
    hk.stop()
    hk.milter = free_port()
    conf = hk.dir / "hikyaku.conf"
    conf.write_text(conf.read_text() + f'listener milter {{\n\tprotocol = "milter"\n\tport = {hk.milter}\n'
                    '\taddresses = {"127.0.0.1"}\n\tzone = "loopback"\n}\n')
    hk.start()
    yield hk
    hk.assert_clean_log()
    hk.destroy()


@pytest.fixture(scope="module")
def postfix(hk):
    unpacked = mtas.fetch("postfix")
    authority = Authority()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hk-milterd-"))
    folder.chmod(0o755)
    with MailHost(NET + "9", free_port(), caps=["PIPELINING", "8BITMIME", "SIZE 100000000"]) as sink:
        server = mtas.Postfix(folder / "postfix", unpacked, NET + "1", free_port(), sink.server.server_address,
                              authority.certificate(["mx.mta.test"]), "example.test")
        server.settings.update(smtpd_milters=f"inet:127.0.0.1:{hk.milter}", milter_default_action="tempfail",
                               smtpd_authorized_xclient_hosts="127.0.0.0/8", smtpd_recipient_restrictions="permit")
        try:
            server.start()
            server.sink = sink
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
            authority.close()


def send(postfix, data, sender="a@good.test", stranger=True):
    """(code, text) of the end of data."""
    with smtplib.SMTP(postfix.address, postfix.port, timeout=60) as smtp:
        smtp.ehlo("client.host.test")
        if stranger:
            assert smtp.docmd("XCLIENT", f"ADDR={STRANGER} NAME=client.host.test HELO=client.host.test")[0] == 220
            smtp.ehlo("client.host.test")
        assert smtp.mail(sender)[0] == 250
        assert smtp.rcpt("alice@example.test")[0] == 250
        try:
            code, text = smtp.data(data)
        except smtplib.SMTPDataError as refusal:
            code, text = refusal.args
        return code, text.decode()


def arrived(postfix, subject, seconds=20):
    """What the host behind was given, with CRLF; None."""
    deadline = time.monotonic() + seconds
    while True:
        for m in postfix.sink.messages:
            if f"Subject: {subject}\r\n" in m.text:
                return m.text
        if time.monotonic() > deadline:
            return None
        time.sleep(0.05)


def results(text):
    found = re.findall(rf"^Authentication-Results: {HOST};(?:[^\r\n]|\r\n[ \t])*", text, re.M)
    assert len(found) == 1, text
    return " ".join(found[0].split())


def test_results_are_added(hk, postfix):
    data = signed(message("results", "a@proven.test"), "proven.test")
    assert send(postfix, data, "a@proven.test")[0] == 250
    text = arrived(postfix, "results")
    found = results(text)
    assert "spf=pass smtp.mailfrom=proven.test" in found and "dmarc=pass header.from=proven.test" in found
    assert "dkim=pass header.d=proven.test header.s=sel" in found
    # Above what Postfix itself wrote, and nothing else has changed.
    assert text.index("Authentication-Results:") < text.index("Received:") < text.index("DKIM-Signature:")
    assert text.replace("\r\n", "").endswith(data.decode().replace("\r\n", ""))
    entry = [e for e in hk.events("filter.message.judged") if e["sender"] == "a@proven.test"][-1]
    assert entry["remote"] == STRANGER


@pytest.mark.parametrize("name,author,signer,code,wants", [
    ("refused", "reject.test", None, 550, []),
    ("proven by DKIM", "reject.test", "reject.test", 250, ["spf=fail", "dkim=pass", "dmarc=pass"]),
    ("junk", "junk.test", None, 250, ["dmarc=fail", "X-Spam-Flag"]),
])
def test_verdicts(postfix, name, author, signer, code, wants):
    subject = f"verdict-{name.replace(' ', '-')}"
    data = message(subject, f"a@{author}")
    got, text = send(postfix, signed(data, signer) if signer else data, f"a@{author}")
    assert got == code, text
    if code != 250:
        assert text.startswith("5.7.1 ") and author in text
        assert arrived(postfix, subject, 0) is None
        return
    text = arrived(postfix, subject)
    for want in wants:
        assert (re.search("^X-Spam-Flag: YES", text, re.M) is not None) if want == "X-Spam-Flag" else want in results(text)


def test_forged_results_are_deleted(postfix):
    """threats 18, also there."""
    head = (f"Authentication-Results: {HOST}; dkim=pass\r\nAuthentication-Results: mx.elsewhere.test; spf=fail\r\n"
            f"Authentication-Results:\r\n {HOST.upper()} 1;\r\n\tspf=pass\r\nAuthentication-Results: ;\r\n"
            "X-Hikyaku-Suspicious: office-macro,\r\n bidi-name\r\nX-Hikyaku-Scan: encrypted\r\n"
            "x-hikyaku-suspicious: script\r\nX-Hikyaku-Detonation: clean\r\nX-Hikyaku-Released: x\r\n")
    assert send(postfix, message("forged", "a@other.test", head), "a@other.test")[0] == 250
    text = arrived(postfix, "forged")
    assert "x-hikyaku" not in text.lower()
    fields = re.findall(r"^Authentication-Results:(?:[^\r\n]|\r\n[ \t])*", text, re.M)
    assert len(fields) == 2 and "spf=fail smtp.mailfrom=other.test" in results(text), fields
    assert "mx.elsewhere.test; spf=fail" in fields[1]


def test_bad_from(postfix):
    code, text = send(postfix, b"From: a@good.test\r\nFrom: b@other.test\r\nSubject: x\r\n\r\nx\r\n")
    assert code == 550 and "From" in text


def test_own_host_is_not_judged(postfix):
    assert send(postfix, message("own", "a@reject.test"), "a@reject.test", stranger=False)[0] == 250
    assert "Authentication-Results" not in arrived(postfix, "own")


def test_several_in_one_session(postfix):
    with smtplib.SMTP(postfix.address, postfix.port, timeout=60) as smtp:
        smtp.ehlo("client.host.test")
        smtp.docmd("XCLIENT", f"ADDR={STRANGER} NAME=client.host.test")
        for n in range(5):
            smtp.sendmail("a@good.test", ["alice@example.test"], message(f"several-{n}", text="x" * 70 * n + "\r\n"))
            smtp.mail("a@good.test")
            smtp.rset()
    for n in range(5):
        assert "spf=pass" in results(arrived(postfix, f"several-{n}"))


@pytest.mark.parametrize("name", ["body", "attachment", "zip-in-zip"])
def test_infected(hk, postfix, name):
    """Nothing is taken out of what goes through another MTA: it is refused whole, also with infected attachments."""
    data = INFECTED[name].replace(b"Subject: ", b"Subject: milter-")
    judged, deadline = len(hk.events("filter.message.judged")), time.monotonic() + 10
    code, text = send(postfix, data)
    assert code == 554 and text.startswith("5.7.1 ") and "Eicar" in text, (code, text)
    # The log is written beside the dialogue.
    while len(hk.events("filter.message.judged")) == judged and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "Eicar" in hk.events("filter.message.judged")[-1]["virus"]
    assert arrived(postfix, f"milter-{name}", 0) is None


def test_too_big(postfix):
    code, _ = send(postfix, message("too-big", text="x" * 76 + "\r\n" + ("y" * 76 + "\r\n") * 20000))
    assert code == 552


def test_stopped_filter(hk, postfix):
    pid = pause(hk, "filterd")
    try:
        started = time.monotonic()
        assert send(postfix, message("stopped"))[0] == 451
        assert time.monotonic() - started < BUDGET_S + 5
    finally:
        os.kill(pid, signal.SIGCONT)
    assert send(postfix, message("again"))[0] == 250
    assert arrived(postfix, "again") and arrived(postfix, "stopped", 0) is None


def test_many_at_once(postfix):
    codes = []
    threads = [threading.Thread(target=lambda n=n: codes.append(send(postfix, message(f"many-{n}"))[0]))
               for n in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [250] * 30


@pytest.mark.parametrize("setting,unopened,is_held", [
    ("mark", "quarantine", False), ("quarantine", "quarantine", True), ("detonate", "quarantine", True),
    ("detonate", "deliver", False)])
def test_suspicious(hk, postfix, setting, unopened, is_held):
    """Postfix holds what is to be quarantined, and what would have to be opened first."""
    (hk.dir / "token").write_text("x\n")
    conf = hk.dir / "hikyaku.conf"
    if "detonation none" not in conf.read_text():
        conf.write_text(conf.read_text() + 'detonation none {\n\taddress = "127.0.0.1@1"\n'
                        f'\ttoken_file = "{hk.dir}/token"\n}}\n')
    hk.configure({"suspicious": setting, "detonate_unavailable": unopened})
    reloads = len(hk.events("master.reloaded"))
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 20
    while len(hk.events("master.reloaded")) == reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)
    subject = f"suspicious-{setting}-{unopened}"
    head = "Content-Type: text/plain; name=a.js\r\n"
    assert send(postfix, message(subject, "a@good.test", head))[0] == 250
    text = arrived(postfix, subject, 2 if is_held else 20)
    assert (text is None) == is_held
    assert is_held or re.search("^X-Hikyaku-Suspicious: .*executable-name", text, re.M), text
    assert hk.events("filter.suspicious")[-1]["status"] == {"mark": "deliver"}.get(setting, setting)


def test_figures(hk, postfix):
    """What was judged for another MTA is counted as what smtpd took itself: by its recipients' domains."""
    def figures(*args):
        return hk.cli_json("stats", "show", *args)[0]["figures"]

    time.sleep(6)  # what was counted before is told by then
    before = figures("--domain", "example.test")
    assert send(postfix, message("counted", "a@proven.test"), "a@proven.test")[0] == 250
    assert send(postfix, message("counted-too", "a@reject.test"), "a@reject.test")[0] == 550
    wanted = {"received": 1, "refused": 1, "spf.pass": 1, "spf.fail": 1, "dkim.none": 2, "dmarc.pass": 1, "dmarc.fail": 1}
    deadline = time.monotonic() + 20
    while True:
        now, whole = figures("--domain", "example.test"), figures()
        more = {name: now[name] - before.get(name, 0) for name in now if now[name] != before.get(name, 0)}
        if more == wanted or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert more == wanted
    assert whole["received"] >= now["received"] and "sent" not in now
    # A quarantine of the MTA's is one, whatever was to be opened first; the MTA's own mail goes out.
    assert whole["suspicious"] >= 4 and whole["quarantined"] == 2 and "detonated" not in whole and whole["sent"] >= 1


def frame(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command + data


OPEN = frame(b"O", struct.pack(">III", 6, 0x1ff, 0x1fffff))


def talk(hk, actions, *fields):
    """What is answered to a stranger's message of an MTA that grants these actions: (kind, data) of each frame."""
    said = [frame(b"O", struct.pack(">III", 6, actions, 0x1fffff)),
            frame(b"C", b"client.host.test\0" + b"4" + struct.pack(">H", 2525) + STRANGER.encode() + b"\0"),
            frame(b"H", b"client.host.test\0"), frame(b"M", b"<a@good.test>\0"), frame(b"R", b"<alice@example.test>\0")]
    for field in (*fields, "From: a@good.test", "Subject: stuck"):
        name, value = field.split(":", 1)
        said.append(frame(b"L", name.encode() + b"\0" + value.encode() + b"\0"))
    said += [frame(b"N"), frame(b"B", b"hello\r\n"), frame(b"E")]
    frames = []
    with socket.create_connection(("127.0.0.1", hk.milter), 20) as s, s.makefile("rb") as heard:
        s.sendall(b"".join(said))
        while not frames or frames[-1][0] not in b"cydrt":
            size, = struct.unpack(">I", heard.read(4))
            data = heard.read(size)
            frames.append((data[:1], data[1:]))
    return frames[1:]


ADDS, CHANGES = 0x01, 0x10
FORGED = [f"Authentication-Results: {HOST}; spf=pass", "X-Hikyaku-Scan: clean"]


@pytest.mark.parametrize("actions,fields,want", [
    (ADDS, [], [b"i", b"c"]), (ADDS, ["Authentication-Results: mx.elsewhere.test; spf=pass"], [b"i", b"c"]),
    (ADDS | CHANGES, FORGED, [b"m", b"m", b"i", b"c"]),
    (ADDS, FORGED[:1], [b"y"]), (ADDS, FORGED[1:], [b"y"])])
def test_mta_that_lets_nothing_be_deleted(hk, actions, fields, want):
    """A forged field never stands beside ours, and mail without one goes on: only what has one is put off."""
    deferred = len(hk.events("milter.message.deferred"))
    frames = talk(hk, actions, *fields)
    assert [kind for kind, _ in frames] == want
    if want == [b"y"]:
        assert frames[0][1].startswith(b"451 4.7.1 ")
        deadline = time.monotonic() + 10
        while len(hk.events("milter.message.deferred")) == deferred:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    else:
        assert len(hk.events("milter.message.deferred")) == deferred


@pytest.mark.parametrize("said", [
    b"\0\0\0\0", b"\xff" * 8, b"GET / HTTP/1.0\r\n\r\n", frame(b"M", b"<a@b>\0"), OPEN + OPEN, OPEN + frame(b"R", b"<a@b>\0"),
    OPEN + frame(b"L", b"A\0b"), OPEN + frame(b"E"), OPEN + frame(b"?"), frame(b"O", b"\0\0\0\1\0\0\0\0\0\0\0\0")])
def test_nonsense_ends_the_connection(hk, said):
    with socket.create_connection(("127.0.0.1", hk.milter), 20) as s:
        s.sendall(said)
        while s.recv(4096):
            pass


def test_doctor_negotiates_with_it(hk):
    done = hk.cli("doctor", check=False).stdout
    line, = [x for x in done.splitlines() if f"port {hk.milter}, milter" in x]
    assert line.endswith(": negotiates") and not line.startswith("!"), line


def test_settings_of_domains_do_not_count(hk, postfix):
    """milterd knows no domains: the configuration alone says what becomes of mail (docs/hikyaku.conf.md)."""
    hk.domain("example.test", "--dmarc", "mark", "--filter-unavailable", "accept")
    assert send(postfix, message("no-mark", "a@reject.test"), "a@reject.test")[0] == 550
    pid = pause(hk, "filterd")
    try:
        assert send(postfix, message("no-accept"))[0] == 451
    finally:
        os.kill(pid, signal.SIGCONT)
    assert arrived(postfix, "no-mark", 0) is None and arrived(postfix, "no-accept", 0) is None
