# SPDX-License-Identifier: ISC
"""smtpd asks mail filters: one on python3-milter that uses every action, and OpenDKIM and rspamd from Debian."""
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

import pytest

from instance import Instance
from ports import free_port
from smtp import Smtp
from test_figures import wait_stages
from test_filter import find

HERE = pathlib.Path(__file__).resolve().parent


class Filter:
    """milterd.py in a process of its own."""

    def __init__(self, *flags, unix=None):
        self.flags, self.unix = flags, unix
        self.port = None if unix else free_port()
        self.log = pathlib.Path(tempfile.mkstemp(prefix="hk-milter-")[1])
        self.process = None

    @property
    def address(self):
        return f"unix:{self.unix}" if self.unix else f"127.0.0.1@{self.port}"

    def start(self):
        where = f"unix:{self.unix}" if self.unix else f"inet:{self.port}@127.0.0.1"
        self.process = subprocess.Popen(["/usr/bin/python3", str(HERE / "milterd.py"), where, str(self.log), *self.flags])
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX if self.unix else socket.AF_INET) as s:
                    s.connect(str(self.unix) if self.unix else ("127.0.0.1", self.port))
                break
            except OSError:
                time.sleep(0.05)
        return self

    def lines(self):
        return self.log.read_text().splitlines()

    def forget(self):
        self.log.write_text("")

    def wait(self, word):
        deadline = time.monotonic() + 10
        while not any(line.split()[0] == word for line in self.lines()):
            assert time.monotonic() < deadline, self.lines()
            time.sleep(0.02)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def add_milters(hk, milters, listeners):
    """milters: name -> (address, settings); listeners: listener -> [names]."""
    path = hk.dir / "hikyaku.conf"
    text = path.read_text()
    for listener, names in listeners.items():
        listed = ", ".join(f'"{n}"' for n in names)
        text, n = re.subn(rf"listener {listener} \{{", f"listener {listener} {{\n\tmilters = {{{listed}}}", text)
        assert n == 1
    for name, (address, settings) in milters.items():
        lines = "".join(f'\t{key} = "{value}"\n' for key, value in settings.items())
        text += f'milter {name} {{\n\taddress = "{address}"\n{lines}}}\n'
    path.write_text(text.replace("macros = \"{client_port}\"", "macros = {\"{client_port}\"}"))


def instance(milters, listeners, **config):
    """With alice and bob of example.test."""
    hk = Instance(config={"filter_budget": "5s", **config}).start()
    hk.domain("example.test", "--mailbox-size", "10G", "--ids", "100")
    for name in ("alice", "bob"):
        hk.account(f"{name}@example.test")
    hk.stop()
    add_milters(hk, milters, listeners)
    return hk.start()


@pytest.fixture(scope="module")
def filters():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hk-milters-"))
    made = {"main": Filter(unix=folder / "sock"), "quiet": Filter("quiet"), "skip": Filter("skip"),
            "bare": Filter("bare"), "chosen": Filter("chosen")}
    for it in made.values():
        it.start()
    yield made
    for it in made.values():
        it.stop()
        it.log.unlink(missing_ok=True)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def hk(filters):
    quick = {"command_timeout": "3s", "message_timeout": "2s", "connect_timeout": "2s"}
    hk = instance({name: (it.address, {**quick, "macros": "{client_port}"} if name == "main" else quick)
                   for name, it in filters.items()},
                  {"smtp": ["main"], "submission": ["quiet", "skip", "bare"], "smtps": ["quiet", "chosen"]})
    yield hk
    hk.assert_clean_log()
    hk.destroy()


def message(subject, do="", text="hello\r\n", head=""):
    do = f"X-Do: {do}\r\n" if do else ""
    return f"{head}{do}From: a@good.test\r\nTo: alice@example.test\r\nSubject: {subject}\r\nX-Twice: one\r\nX-Twice: two\r\n" \
           f"\r\n{text}".encode()


def send(hk, data, sender="a@good.test", to=("alice@example.test",), helo="client.test"):
    """(code, text) of the end of data, or of what was refused before."""
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), local_hostname=helo, timeout=60) as smtp:
        code, text = smtp.ehlo(helo)
        if code == 250:
            code, text = smtp.mail(sender)
        for recipient in to:
            if code == 250:
                code, text = smtp.rcpt(recipient)
        try:
            if code == 250:
                code, text = smtp.data(data)
        except smtplib.SMTPDataError as refusal:
            code, text = refusal.args
        return code, text.decode()


# ---- the conversation ----

def test_what_the_filter_hears(hk, filters):
    filters["main"].forget()
    big = "x" * 70 + "\r\n"
    assert send(hk, message("heard", text=big * 2000, head="X-Folded: a\r\n\t b\r\nX-Blank:\r\n"))[0] == 250
    filters["main"].wait("close")
    lines = filters["main"].lines()
    words = [line.split()[0] for line in lines if not line.startswith(("header", "body"))]
    assert words == ["connect", "helo", "mail", "rcpt", "data", "eoh", "eom", "close"], lines
    assert "j=mail.example.test" in lines[0] and "daemon=smtp" in lines[0] and "127.0.0.1" in lines[0]
    mail, = [x for x in lines if x.startswith("mail")]
    assert "i=True" in mail and "by=None" in mail and re.search(r"port=\d+$", mail), mail
    assert "rcpt <alice@example.test> addr=alice@example.test" in lines
    assert "header X-Folded 'a\\n\\t b'" in lines and "header X-Blank ''" in lines and "header Subject 'heard'" in lines
    assert sum(int(x.split()[1]) for x in lines if x.startswith("body")) == len(big) * 2000
    assert f"eom {len(big) * 2000}" in lines
    wait_stages(hk, "milters")


def test_reset_is_told(hk, filters):
    filters["main"].forget()
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<a@good.test>") == 250
    assert smtp.code("RSET") == 250
    smtp.begin()
    smtp.send(message("after-reset") + b".\r\n")
    assert smtp.reply()[0] == 250
    assert smtp.code("QUIT") == 221
    filters["main"].wait("close")
    words = [line.split()[0] for line in filters["main"].lines() if not line.startswith(("header", "body"))]
    assert words == ["connect", "helo", "mail", "abort", "mail", "rcpt", "data", "eoh", "eom", "close"]


def test_chunks(hk, filters):
    """BDAT: the same, with DATA told at its end."""
    filters["main"].forget()
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<a@good.test>") == 250
    assert smtp.code("RCPT TO:<alice@example.test>") == 250
    data = message("chunked", "add")
    smtp.send(b"BDAT %d LAST\r\n" % len(data) + data)
    assert smtp.reply()[0] == 250
    smtp.close()
    assert "data" in filters["main"].lines()
    assert find(hk, "chunked")["X-Added"]


@pytest.mark.parametrize("event", ["mail", "rcpt", "data", "header", "eoh", "body", "eom"])
@pytest.mark.parametrize("what,code,enhanced", [
    ("reject", 550, "5.7.1"), ("tempfail", 451, "4.7.1"), ("code", 550, "5.7.9"), ("lines", 451, "4.7.8")])
def test_refusals(hk, event, what, code, enhanced):
    name = f"{what}-{event}"
    sender, to = ("a@good.test", [f"{name}@example.test"]) if event == "rcpt" else (f"{name}@good.test",
                                                                                    ["alice@example.test"])
    if event == "rcpt":
        hk.cli("alias", "create", f"{name}@example.test", "alice@example.test", check=False)
    got, text = send(hk, message(f"refused-{name}"), sender, to)
    assert got == code and text.startswith(enhanced + " "), (got, text)
    if what == "code":
        assert "a reply of my own" in text
    elif what == "lines":
        assert "one two 100%" in text
    assert find(hk, f"refused-{name}", seconds=0) is None


@pytest.mark.parametrize("host,code,text", [("127.0.0.2", 554, "refused"), ("127.0.0.3", 421, "try again later"),
                                            ("127.0.0.4", 451, "one")])
def test_refused_host(hk, host, code, text):
    """Instead of the greeting; the connection ends then."""
    with socket.create_connection(("127.0.0.1", hk.port("smtp")), 20, (host, 0)) as s:
        lines = s.makefile("rb").read().decode().splitlines()
    assert lines[-1].startswith(f"{code} ") and text in lines[0], lines
    assert send(hk, message(f"beside-{host}"))[0] == 250


def test_accepted_host(hk, filters):
    """The filter wants to hear no more of it."""
    filters["main"].forget()
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=60, source_address=("127.0.0.5", 0)) as smtp:
        smtp.sendmail("reject-mail@good.test", ["alice@example.test"], message("of-a-friend", "add"))
    msg = find(hk, "of-a-friend")
    assert msg is not None and msg["X-Added"] is None
    filters["main"].wait("close")
    assert {line.split()[0] for line in filters["main"].lines()} <= {"connect", "close"}


def test_macros_that_the_filter_chooses(hk, filters):
    """SETSYMLIST: these instead of those that are told unasked."""
    filters["chosen"].forget()
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls(), timeout=60) as smtp:
        smtp.login("bob@example.test", hk.passwords["bob@example.test"])
        smtp.sendmail("bob@example.test", ["alice@example.test"],
                      message("chosen").replace(b"a@good.test", b"bob@example.test"))
    filters["chosen"].wait("close")
    lines = filters["chosen"].lines()
    assert "chosen bob@example.test" in lines, lines
    mail, = [line for line in lines if line.startswith("mail ")]
    assert "auth=None by=None" in mail and re.search(r" port=\d+$", mail), mail
    assert "rcpt <alice@example.test> addr=alice@example.test" in lines


def test_refused_helo(hk):
    smtp = Smtp(hk.port("smtp"))
    assert smtp.code("EHLO reject-helo") == 550
    assert smtp.code("MAIL FROM:<a@good.test>") == 503
    assert smtp.code("EHLO other.test") == 250
    smtp.close()


def test_one_recipient_of_two(hk):
    hk.cli("alias", "create", "reject-rcpt@example.test", "bob@example.test", check=False)
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<a@good.test>") == 250
    assert smtp.code("RCPT TO:<reject-rcpt@example.test>") == 550
    assert smtp.code("RCPT TO:<alice@example.test>") == 250
    assert smtp.code("DATA") == 354
    smtp.send(message("one-of-two") + b".\r\n")
    assert smtp.reply()[0] == 250
    smtp.close()
    assert find(hk, "one-of-two") is not None
    assert find(hk, "one-of-two", "bob@example.test", seconds=0) is None


@pytest.mark.parametrize("event", ["helo", "mail", "data", "header", "eom"])
def test_accept_and_no_more(hk, filters, event):
    filters["main"].forget()
    name = f"accept-{event}"
    assert send(hk, message(f"accepted-{event}", "add"), f"{name}@good.test", helo=name)[0] == 250
    assert bool(find(hk, f"accepted-{event}")["X-Added"]) == (event == "eom")
    filters["main"].wait("close")
    words = {line.split()[0] for line in filters["main"].lines()}
    assert ("eom" in words) == (event == "eom")


@pytest.mark.parametrize("event", ["mail", "data", "header", "eom"])
def test_discard(hk, event):
    assert send(hk, message(f"discarded-{event}"), f"discard-{event}@good.test")[0] == 250
    hk.wait_queue_empty()
    assert find(hk, f"discarded-{event}", seconds=0) is None
    assert hk.events("smtp.message.discarded")


# ---- edits ----

def test_fields_on_top_stay_in_the_trace(hk):
    text = "the body\r\nas it came \t\r\n"
    assert send(hk, message("on-top", "top", text))[0] == 250
    msg = find(hk, "on-top")
    names = [name for name, _ in msg.items()]
    assert names.index("Received") < names.index("X-Top") < names.index("X-Below") < names.index("From")
    assert msg["X-Top"] == "first" and msg["X-Below"] == "second"
    assert msg.get_payload() == text


@pytest.mark.parametrize("do,check", [
    ("add", lambda m: m.items()[-1] == ("X-Added", "one\r\n\ttwo")),
    ("change", lambda m: m["Subject"] == "changed" and m.keys().count("Subject") == 1),
    ("change2", lambda m: m.get_all("X-Twice") == ["one", "changed"]),
    ("delete", lambda m: m.get_all("X-Twice") == ["two"]),
    ("new", lambda m: m["X-New"] == "was not there"),
    ("top add change2 delete", lambda m: m["X-Top"] == "first" and m["X-Added"] and
     m.get_all("X-Twice") == ["changed"]),
])
def test_header_edits(hk, do, check):
    """The body stays as it came, octet by octet."""
    subject, text = f"edit-{do.replace(' ', '-')}", f"line one\r\n..dots\r\n{'w' * 3000}\r\n{do}\r\n"
    assert send(hk, message(subject, do, text))[0] == 250
    msg = find(hk, "changed" if do == "change" else subject)
    assert check(msg), msg.items()
    assert msg.get_payload() == text


@pytest.mark.parametrize("do,want", [("body", "a new\r\nbody\r\nin two pieces\r\n"),
                                     ("big", ("y" * 998 + "\r\n" + "z" * 49000 + "\r\n") * 40)])
def test_new_body(hk, do, want):
    assert send(hk, message(f"new-{do}", f"{do} add"))[0] == 250
    msg = find(hk, f"new-{do}")
    assert msg.get_payload() == want and msg["X-Added"] and msg["X-Do"] == f"{do} add"


def test_an_edit_is_looked_at(hk):
    """A filter opens what was closed: what it leaves is scanned once more."""
    code, text = send(hk, message("opened", "virus"))
    assert code == 554 and "Eicar" in text, (code, text)


def reload(hk, **settings):
    reloads = len(hk.events("master.reloaded"))
    hk.configure(settings)
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 20
    while len(hk.events("master.reloaded")) == reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)


@pytest.mark.parametrize("suspicious,mailbox", [("mark", "INBOX"), ("junk", "Junk"), ("quarantine", None), ("mark", "INBOX")])
def test_an_edit_that_is_suspicious(hk, suspicious, mailbox):
    """What filters make of a message is treated as what came so."""
    reload(hk, suspicious=suspicious)
    subject = f"odd-{suspicious}-{time.monotonic()}"
    assert send(hk, message(subject, "program"))[0] == 250
    if mailbox is None:
        deadline = time.monotonic() + 20
        while not (kept := [i for i in hk.cli_json("quarantine", "list") if i["subject"] == subject]):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert "double-extension" in kept[0]["traits"]
        hk.cli("quarantine", "delete", kept[0]["id"])
        return
    assert "double-extension" in find(hk, subject, mailbox=mailbox)["X-Hikyaku-Suspicious"]


def test_an_edit_that_cannot_be_opened(hk):
    subject = f"locked-{time.monotonic()}"
    assert send(hk, message(subject, "locked"))[0] == 250
    assert find(hk, subject)["X-Hikyaku-Scan"].startswith("encrypted; ")
    # With what the filter itself wants.
    assert send(hk, message(f"{subject}-held", "locked quarantine"))[0] == 250
    deadline = time.monotonic() + 20
    while not (kept := [i for i in hk.cli_json("quarantine", "list") if i["subject"] == f"{subject}-held"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    shown = hk.cli_json("quarantine", "show", kept[0]["id"])
    assert kept[0]["for"] == "admin" and shown["verdict"]["scan"] == "encrypted", shown
    hk.cli("quarantine", "delete", kept[0]["id"])


def test_envelope_edits(hk):
    assert send(hk, message("more-recipients", "rcpt from"))[0] == 250
    for user in ("alice@example.test", "bob@example.test"):
        msg = find(hk, "more-recipients", user)
        assert msg["Return-Path"] == "<changed@elsewhere.test>"
    assert send(hk, message("other-recipient", "norcpt rcptpar"))[0] == 250
    assert find(hk, "other-recipient", "bob@example.test") is not None
    assert find(hk, "other-recipient", seconds=0) is None
    # Nobody is left: dropped, with a line in the log.
    assert send(hk, message("no-recipient", "norcpt"))[0] == 250
    hk.wait_queue_empty()
    assert find(hk, "no-recipient", seconds=0) is None


def test_quarantine(hk):
    assert send(hk, message("held-back", "quarantine"))[0] == 250
    hk.wait_queue_empty()
    item, = hk.cli_json("quarantine", "list")
    assert item["for"] == "admin" and item["owner"] == "example.test" and item["reason"] == "milter main: looks odd"
    assert find(hk, "held-back", seconds=0) is None
    # Also after a restart.
    hk.stop()
    hk.start()
    assert [i["id"] for i in hk.cli_json("quarantine", "list")] == [item["id"]]
    hk.cli("quarantine", "release", item["id"])
    assert find(hk, "held-back") is not None


def test_signs_of_life(hk):
    """PROGRESS keeps a filter that takes its time (longer than message_timeout)."""
    assert send(hk, message("slow-but-alive", "progress add"))[0] == 250
    assert find(hk, "slow-but-alive")["X-Added"]


# ---- several filters, other protocols ----

def test_several_filters_in_turn(hk, filters):
    """Each hears what the one before it has left; some hear less, or answer less."""
    for it in filters.values():
        it.forget()
    with smtplib.SMTP("localhost", hk.port("submission"), timeout=60) as smtp:
        smtp.starttls(context=hk.tls())
        smtp.login("bob@example.test", hk.passwords["bob@example.test"])
        data = message("in-turn", "top change2", "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 3000)
        smtp.sendmail("bob@example.test", ["alice@example.test"], data.replace(b"a@good.test", b"bob@example.test"))
    msg = find(hk, "in-turn")
    assert msg.get_all("X-Twice") == ["one", "changed"] and len(msg.get_all("X-Top")) == 3
    for name in ("quiet", "skip", "bare"):
        filters[name].wait("close")
    quiet, skip, bare = (filters[n].lines() for n in ("quiet", "skip", "bare"))
    assert "header X-Twice 'changed'" not in quiet and "header X-Twice 'changed'" in skip
    assert [x for x in skip if x.startswith("header X-Top")] and len([x for x in bare if "X-Top" in x]) == 2
    assert len([x for x in quiet if x.startswith("body")]) > 1 and len([x for x in skip if x.startswith("body")]) == 1
    assert not [x for x in bare if x.split()[0] in ("helo", "data", "body", "eoh")]
    mail = [x for x in quiet if x.startswith("mail")][-1]
    assert re.search(r"auth=bob@example.test by=[A-Z0-9-]+ port=None$", mail), mail


# ---- filters that fail ----

def test_client_that_leaves(hk, filters):
    """While the filter thinks: nothing is delivered twice or kept, and the next one is served."""
    filters["main"].forget()
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    smtp.send(message("left-alone", "progress change") + b".\r\n")
    filters["main"].wait("eom")
    smtp.close()
    assert send(hk, message("next-one"))[0] == 250
    assert find(hk, "next-one") is not None


def test_killed_filter(hk, filters):
    """In the middle of a message: put off, and asked again when it is back."""
    filters["main"].forget()
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    smtp.send(message("killed-filter", "progress") + b".\r\n")
    filters["main"].wait("eom")
    filters["main"].stop()
    code, lines = smtp.reply()
    assert code == 451 and lines[0][4:].startswith("4.7.1 ")
    # This session has lost it for good, the next one finds it again.
    assert smtp.code("MAIL FROM:<a@good.test>") == 451
    filters["main"].unix.unlink(missing_ok=True)
    filters["main"].start()
    smtp.close()
    assert send(hk, message("filter-is-back"))[0] == 250
    assert find(hk, "filter-is-back") is not None and find(hk, "killed-filter", seconds=0) is None


def test_stopped_filter(hk, filters):
    """It hangs in the middle: put off, and the session goes on."""
    started = time.monotonic()
    code, text = send(hk, message("stuck"), "hang-eom@good.test")
    assert code == 451 and text.startswith("4.7.1 ") and time.monotonic() - started < 10
    assert send(hk, message("no-more-hanging"))[0] == 250
    assert find(hk, "no-more-hanging") is not None and find(hk, "stuck", seconds=0) is None


@pytest.fixture(scope="module")
def odd():
    """An instance whose filter is a socket of the test."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        server.settimeout(20)
        hk = instance({"odd": (f"127.0.0.1@{server.getsockname()[1]}",
                               {"command_timeout": "1s", "connect_timeout": "1s", "unavailable": "tempfail"})},
                      {"smtp": ["odd"]})
        hk.server = server
        yield hk
        hk.destroy()


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\1", b"\xff" * 20,
                                  b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\0\0\0" + b"\0\0\0\x04h\0\0x"])
def test_filter_that_speaks_nonsense(odd, says):
    """threats 24: garbage, a half answer, the end in the middle."""
    with socket.create_connection(("127.0.0.1", odd.port("smtp")), 30) as smtp:
        peer = odd.server.accept()[0]
        peer.sendall(says)
        if says[:1] == b"H" or not says:
            peer.close()
        file = smtp.makefile("rb")
        assert file.readline().startswith(b"220 ")
        smtp.sendall(b"EHLO a\r\n")
        while file.readline()[3:4] == b"-":
            pass
        smtp.sendall(b"MAIL FROM:<a@good.test>\r\n")
        assert file.readline().startswith(b"451 4.7.1 ")
        peer.close()
    odd.assert_clean_log()


@pytest.mark.parametrize("unavailable,code", [("tempfail", 451), ("reject", 550), ("accept", 250), ("quarantine", 250)])
def test_absent_filter(odd, unavailable, code):
    """Nobody listens there any more. The setting is taken over by a reload."""
    odd.server.close()
    conf = odd.dir / "hikyaku.conf"
    conf.write_text(re.sub('unavailable = "[a-z]*"', f'unavailable = "{unavailable}"', conf.read_text()))
    os.kill(odd.pid(), signal.SIGHUP)
    subject, deadline = f"absent-{unavailable}", time.monotonic() + 10
    while send(odd, message(subject))[0] != code:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    if unavailable == "accept":
        assert find(odd, subject) is not None
        # Each message has its line.
        before = len(odd.events("smtp.message.unfiltered"))
        with smtplib.SMTP("127.0.0.1", odd.port("smtp"), timeout=60) as smtp:
            for n in range(2):
                smtp.sendmail(f"sender-{n}@good.test", ["alice@example.test", "bob@example.test"], message(f"{subject}-{n}"))
        deadline = time.monotonic() + 10
        while len(said := odd.events("smtp.message.unfiltered")[before:]) < 2:
            assert time.monotonic() < deadline
        assert [(e["name"], e["sender"]) for e in said] == [("odd", f"sender-{n}@good.test") for n in range(2)]
    if unavailable == "quarantine":
        deadline = time.monotonic() + 10
        while not (kept := odd.cli_json("quarantine", "list")):
            assert send(odd, message(subject))[0] == 250 and time.monotonic() < deadline
        assert kept[0]["reason"] == "milter odd did not answer"
    assert odd.events("smtp.milter.failed")[-1]["name"] == "odd"
    odd.assert_clean_log()


def test_configuration(hk):
    """What is wrong is said with file and line."""
    conf = hk.dir / "broken.conf"
    good = (hk.dir / "hikyaku.conf").read_text()
    for old, new, want in [('milters = {"main"}', 'milters = {"nobody"}', "no milter nobody"),
                           ('address = "unix:', 'address = "inet:', "want unix:/PATH or ADDRESS@PORT"),
                           ('message_timeout = "2s"', 'message_timeout = "soon"', "want a time")]:
        assert old in good
        conf.write_text(good.replace(old, new, 1))
        done = subprocess.run([str(hk.dir / "bin/hikyakud"), "-t", "-c", str(conf)], capture_output=True, text=True)
        assert done.returncode != 0 and want in done.stdout + done.stderr, done
    conf.write_text(good)
    done = subprocess.run([str(hk.dir / "bin/hikyakud"), "-t", "-c", str(conf)], capture_output=True, text=True)
    assert done.returncode == 0, done
