# SPDX-License-Identifier: ISC
"""Real servers as remote hosts: what Postfix and Exim take from us is what we were given."""
import pathlib
import shutil
import tempfile

import pytest

import mtas
from dnsserver import DnsServer
from httpsserver import Authority
from instance import Instance
from mailhost import MailHost, tlsa
from ports import free_port
from test_relay import ALICE, TEXT, report, submit, wait_event

NET = "127.0.78."
KINDS = {"postfix": mtas.Postfix, "exim": mtas.Exim}


@pytest.fixture(scope="module", params=list(KINDS))
def remote(request):
    """A server, what it hands on, and an instance that can find it."""
    kind = request.param
    unpacked = mtas.fetch(kind)
    port, authority = free_port(), Authority()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hk-mta-"))
    folder.chmod(0o755)
    certificate = authority.certificate(["mx.mta.test"])
    with MailHost(NET + "2", free_port(), caps=["PIPELINING", "8BITMIME", "SIZE 100000000", "SMTPUTF8", "DSN"]) as sink, \
            DnsServer({"mta.test": f"@ MX 10 mx\nmx A {NET}1\n_{port}._tcp.mx TLSA {tlsa(certificate[0])}"}) as dns:
        server = KINDS[kind](folder / kind, unpacked, NET + "1", port, sink.server.server_address, certificate,
                             "mta.test").start()
        hk = Instance(config=dns.settings(relay_port=str(port), allow_private_targets="yes")).start()
        try:
            hk.domain()
            hk.account(ALICE)
            yield type("Remote", (), {"hk": hk, "sink": sink, "server": server, "kind": kind})
            hk.assert_clean_log()
        finally:
            hk.destroy()
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
            authority.close()


def test_taken_to_the_octet(remote):
    hk = remote.hk
    letters = [TEXT, TEXT + b".\r\n..\r\nend of it\r\n" + b"line\r\n" * 50000,
               b"Subject: x\r\nFrom: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
               b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "Grüße\r\n".encode()]
    for n, letter in enumerate(letters):
        submit(hk, [f"n{n}@mta.test", f"also{n}@mta.test"], letter, ["BODY=8BITMIME"])
        sent = wait_event(hk, "relay.sent", recipient=f"also{n}@mta.test")[-1]
        assert sent["policy"] == "dane" and "TLSv1" in sent["tls"]
    remote.sink.wait(len(letters), 60)
    for letter in letters:
        assert any(m.data.endswith(letter) for m in remote.sink.messages), remote.server.log()[-2000:]
    assert {r[0] for m in remote.sink.messages for r in m.recipients} >= {"n0@mta.test", "also2@mta.test"}
    hk.wait_queue_empty()


def test_many_recipients(remote):
    count = sum(len(m.recipients) for m in remote.sink.messages)
    submit(remote.hk, [f"r{n}@mta.test" for n in range(250)])
    remote.hk.wait_queue_empty(60)
    wait_event(remote.hk, "relay.sent", recipient="r249@mta.test")
    remote.sink.wait(4, 60)
    for _ in range(600):
        if sum(len(m.recipients) for m in remote.sink.messages) >= count + 250:
            break
        __import__("time").sleep(0.05)
    assert sum(len(m.recipients) for m in remote.sink.messages) == count + 250


def test_refused(remote):
    """A domain that the server has not heard of: its own words come back."""
    hk = remote.hk
    hk.stop()
    conf = hk.dir / "hikyaku.conf"
    conf.write_text(conf.read_text() + f'route "elsewhere.test" {{\n\thost = "[{NET}1]"\n\ttls = "encrypt"\n}}\n')
    hk.start()
    submit(hk, "you@elsewhere.test")
    text = report(hk, "you@elsewhere.test").as_string()
    assert "Status: 5." in text and ("elay" in text)
