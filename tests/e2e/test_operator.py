# SPDX-License-Identifier: ISC
"""What an operator does and what careless clients do to a running instance."""
import imaplib
import os
import pathlib
import poplib
import signal
import socket
import ssl
import struct
import subprocess
import time

import pytest

from smtp import Smtp
from test_roundtrip import imap, send, wait_messages


def certificate(hk, port="imaps"):
    with socket.create_connection(("127.0.0.1", hk.port(port)), timeout=10) as s:
        with hk.tls().wrap_socket(s, server_hostname="localhost") as tls:
            return tls.getpeercert()["serialNumber"]


def renew(hk, serial):
    """A new leaf of the instance's own CA, as a renewal would write it."""
    tls = hk.dir / "tls"

    def openssl(*args):
        subprocess.run(["openssl", *args], cwd=tls, check=True, capture_output=True)
    openssl("req", "-new", "-key", "key.pem", "-subj", "/CN=mail.example.test", "-out", "req.pem")
    (tls / "ext.cnf").write_text("subjectAltName=DNS:localhost,DNS:mail.example.test,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "req.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-set_serial", str(serial),
            "-days", "90", "-extfile", "ext.cnf", "-out", "leaf.pem")
    (tls / "cert.pem").write_text((tls / "leaf.pem").read_text() + (tls / "ca.pem").read_text())


def reload(hk, event="master.reloaded"):
    before = len(hk.events(event))
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 10
    while len(hk.events(event)) == before:
        assert time.monotonic() < deadline, hk.log()[-2000:]
        time.sleep(0.05)
    time.sleep(0.5)


def test_reload_takes_a_renewed_certificate(make_instance):
    hk = make_instance().start()
    hk.domain()
    hk.account("alice@example.test")
    renew(hk, 0x4242)
    assert certificate(hk) != "4242"
    reload(hk)
    for port in ("imaps", "pop3s", "smtps"):
        assert certificate(hk, port) == "4242"
    # One that is broken is not taken, and said; a good one ends the alarm.
    good = (hk.dir / "tls/cert.pem").read_text()
    (hk.dir / "tls/cert.pem").write_text("no certificate\n")
    reload(hk)
    assert certificate(hk) == "4242"
    done = hk.cli("doctor", check=False)
    assert done.returncode == 1 and "certificate does not parse" in done.stdout
    (hk.dir / "tls/cert.pem").write_text(good)
    reload(hk)
    assert "ALERT" not in hk.cli("doctor", check=False).stdout
    # A wrong configuration changes nothing either.
    path = hk.dir / "hikyaku.conf"
    text = path.read_text()
    path.write_text(text + 'colour = "red"\n')
    reload(hk, "master.reload.failed")
    assert f":{len(text.splitlines()) + 1}: " in hk.events("master.reload.failed")[-1]["error"]
    path.write_text(text)
    reload(hk)
    imap(hk).logout()
    assert hk.cli_json("listener", "list")
    assert not hk.events("process.died")


def test_postmaster_reaches_the_administrators(hk):
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.code("MAIL FROM:<me@elsewhere.test>")
    assert smtp.code("RCPT TO:<postmaster@example.test>") == 550
    smtp.close()
    hk.account("boss@example.test")
    hk.cli("admin", "grant", "boss@example.test", "--domain", "example.test")
    assert {"domain": "example.test", "address": "boss@example.test"}.items() <= hk.cli_json("admin", "list")[0].items()
    for name in ("postmaster", "Abuse"):
        send(hk, f"Subject: to {name}\r\n\r\nx\r\n".encode(), f"{name}@example.test")
    wait_messages(hk, 2, "boss@example.test")
    hk.cli("admin", "revoke", "boss@example.test", "--domain", "example.test")
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.code("MAIL FROM:<me@elsewhere.test>")
    assert smtp.code("RCPT TO:<abuse@example.test>") == 550
    smtp.close()


def test_plans_and_quotas(hk):
    hk.account("planned@example.test", "correct horse", "--plan", "3G")

    def quota():
        found = hk.cli_json("account", "show", "planned@example.test")
        return found["quota"]
    preset = quota()
    hk.cli("plan", "set", "tiny", "--quota", "5M")
    hk.cli("account", "set", "planned@example.test", "--plan", "tiny")
    small = quota()
    assert small != preset
    assert hk.cli("plan", "delete", "tiny", check=False).returncode == 1
    hk.cli("account", "set", "planned@example.test", "--quota", "7M")
    assert quota() not in (small, preset)
    assert hk.cli("account", "set", "planned@example.test", "--plan", "none such", check=False).returncode == 1
    verbs = [e["verb"] for e in hk.cli_json("log", "list")]
    assert {"plan.set", "account.set", "password.set", "account.create"} <= set(verbs)
    assert all(e["actor"] == f"uid {os.getuid()}" for e in hk.cli_json("log", "list"))


def hello():
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


@pytest.mark.parametrize("port", ["smtps", "imaps", "pop3s"])
def test_aborted_handshakes(hk, port):
    """Clients that die in the handshake, after any part of it, harm nobody."""
    first = hello()
    for cut in (0, 1, 5, 6, 60, len(first) - 1, len(first)):
        for end in (reset, socket.socket.close):
            for _ in range(5):
                s = socket.create_connection(("127.0.0.1", hk.port(port)))
                s.sendall(first[:cut])
                end(s)
    for junk in (b"\x16\x03\x01\xff\xff" + b"A" * 3000, b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100):
        s = socket.create_connection(("127.0.0.1", hk.port(port)))
        s.settimeout(10)
        try:
            s.sendall(junk)
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096):
                pass
        except OSError:
            pass            # the server was quicker: a reset is a good answer
        s.close()
    assert certificate(hk, port)
    assert hk.cli("process", "list").returncode == 0


def test_tls_cut_in_mid_session(hk):
    for _ in range(5):
        m = imap(hk)
        m.send(b"x APPEND INBOX {100000}\r\nSubject: cut")
        reset(m.sock)
        m.shutdown = lambda: None
    m = imap(hk)
    m.select("INBOX")
    assert m.search(None, "SUBJECT", "cut")[1] == [b""]
    m.logout()


def test_every_command_of_rfc_3501(hk):
    """Each is answered OK where it is legal; what RFC 2342, 2971, 3691 and 6851 add, too."""
    hk.account("every@example.test")
    m = imap(hk, "every@example.test")
    m.append("INBOX", None, None, b"Subject: a\r\n\r\nb\r\n")
    n = 0

    def ok(command):
        nonlocal n
        n += 1
        m.send(b"e%d %s\r\n" % (n, command.encode()))
        seen = []
        while True:
            line = m.readline()
            seen.append(line)
            if line.startswith(b"e%d " % n):
                assert line.split()[1] == b"OK", (command, line)
                return b"".join(seen)
    assert b"IMAP4rev1" in ok("CAPABILITY")
    for word in (b"IDLE", b"NAMESPACE", b"ID ", b"UIDPLUS", b"MOVE", b"SPECIAL-USE", b"LITERAL+", b"CHILDREN",
                 b"UNSELECT", b"SASL-IR"):
        assert word in ok("CAPABILITY"), word
    ok("NOOP")
    assert b'* ID ("name"' in ok('ID ("name" "test")')
    assert b'* NAMESPACE (("" "/")) NIL NIL' in ok("NAMESPACE")
    ok("CREATE a/b")
    assert b"\\HasChildren" in ok('LIST "" a')
    assert b"\\Noselect" in ok('LIST "" ""')
    ok("SUBSCRIBE a/b")
    assert b"a/b" in ok('LSUB "" *')
    ok("UNSUBSCRIBE a/b")
    assert b"a/b" not in ok('LSUB "" *')
    ok("RENAME a c")
    assert b"c/b" in ok('LIST "" *')
    assert b"MESSAGES 1" in ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)")
    assert b"[READ-ONLY]" in ok("EXAMINE INBOX")
    assert b"[READ-WRITE]" in ok("SELECT INBOX")
    ok("CHECK")
    assert b"* SEARCH 1" in ok("SEARCH ALL")
    assert b"ENVELOPE" in ok("FETCH 1 ALL") and b"BODY (" in ok("FETCH 1 FULL")
    assert b"INTERNALDATE" in ok("UID FETCH 1:* FAST")
    assert b"\\Flagged" in ok("STORE 1 +FLAGS (\\Flagged)")
    assert b"COPYUID" in ok("COPY 1 c/b")
    assert b"COPYUID" in ok("UID COPY 1 INBOX")
    assert b"EXPUNGE" in ok("UID MOVE 2 c/b")
    ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"* 1 EXPUNGE" in ok("EXPUNGE")
    ok("UNSELECT")
    ok("SELECT c/b")
    ok("STORE 1:* +FLAGS (\\Deleted)")
    ok("CLOSE")
    assert b"MESSAGES 0" in ok("STATUS c/b (MESSAGES)")
    ok("DELETE c/b")
    ok("DELETE c")
    assert b"* BYE" in ok("LOGOUT")


def test_bad_dates_and_nuls(hk):
    m = imap(hk)
    m.select("INBOX")
    for bad in ("SINCE 99-Foo-2020", "SINCE 31-Feb-x", "BEFORE 1-Jan"):
        with pytest.raises(imaplib.IMAP4.error):
            m.search(None, bad)
    m.send(b'd APPEND INBOX "99-Foo-2020 00:00:00 +0000" {3+}\r\nabc\r\n')
    assert m.readline().split()[1] in (b"BAD", b"NO")
    m.send(b"n APPEND INBOX {5+}\r\na\0bcd\r\n")
    assert m.readline().split()[1] == b"NO"
    assert m.noop()[0] == "OK"
    m.logout()
    # A date that is none is kept as it is in the message.
    send(hk, b"Date: Foo, 99 Bar 20x0 99:99\r\nSubject: undated\r\n\r\nx\r\n", "bob@example.test")
    wait_messages(hk, 1, "bob@example.test")
    m = imap(hk, "bob@example.test")
    m.select("INBOX")
    assert b"99 Bar" in m.fetch("1", "(ENVELOPE INTERNALDATE)")[1][0]
    assert m.search(None, "SENTSINCE", "1-Jan-2020")[0] == "OK"
    m.logout()


def test_pop3_response_codes(hk):
    p = poplib.POP3_SSL("localhost", hk.port("pop3s"), context=hk.tls())
    assert {"RESP-CODES", "PIPELINING", "UIDL", "TOP", "SASL"} <= set(p.capa())
    p.user("alice@example.test")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        p.pass_("wrong")
    p.close()


def test_make_install(tmp_path):
    """What systemd and an instance need is installed."""
    build = os.environ.get("HIKYAKU_BUILD", str(pathlib.Path(__file__).resolve().parents[2] / "build"))
    assert os.path.exists(build + "/Makefile"), f"{build} is no build folder"
    subprocess.run(["make", "-C", build, "install", f"DESTDIR={tmp_path}", "prefix=/usr", "sysconfdir=/etc"],
                   check=True, capture_output=True, timeout=600)
    for name in ("sbin/hikyakud", "bin/hikyaku", "lib/systemd/system/hikyaku.service",
                 "lib/sysusers.d/hikyaku.conf", "lib/tmpfiles.d/hikyaku.conf", "share/man/man1/hikyaku.1"):
        assert (tmp_path / "usr" / name).stat().st_size > 0
    programs = {p.name for p in (tmp_path / "usr/libexec/hikyaku").iterdir()}
    users = (tmp_path / "usr/lib/sysusers.d/hikyaku.conf").read_text()
    assert {"dnsd", "fetchd", "relay", "smtpd", "queued"} <= programs
    for name in programs:
        assert f"u _hikyaku-{name} " in users
    unit = (tmp_path / "usr/lib/systemd/system/hikyaku.service").read_text()
    assert "ExecStart=/usr/sbin/hikyakud -c /etc/hikyaku/hikyaku.conf\n" in unit and "@" not in unit
