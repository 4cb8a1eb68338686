# SPDX-License-Identifier: ISC
"""Mail that leaves: which host gets it, over what kind of connection, and what the sender hears."""
import email
import email.policy
import os
import smtplib
import time

import pytest

from dnsserver import DnsServer
from httpsserver import Authority, HttpsServer, page
from instance import Instance
from mailhost import MailHost, tlsa
from ports import free_port
from test_figures import wait_stages
from test_roundtrip import fetch_all, imap, wait_messages

ALICE = "alice@example.test"
PORT = free_port()
NET = "127.0.77."
TEXT = b"Subject: hello\r\nFrom: alice@example.test\r\nTo: someone\r\n\r\n.a line\r\n"


def policy(mode, mx):
    return page(f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n")


@pytest.fixture(scope="module")
def world():
    """Hosts, their names, their certificates, their policies."""
    w = type("World", (), {})()
    w.authority = Authority()
    # One certificate each: good for the name, and of the name but of another authority.
    stranger = Authority()
    names = ["good", "bad", "dane", "mismatch", "none", "stsgood", "stsbad", "ststest", "stsplain"]
    w.certs = {n: w.authority.certificate([f"mx-{n}.open.test", f"mx-{n}.signed.test"]) for n in names}
    for n in ("stsbad", "ststest"):
        w.certs[n] = stranger.certificate([f"mx-{n}.open.test"])
    address = {n: f"{NET}{i + 10}" for i, n in enumerate(names)}
    w.hosts = {n: MailHost(address[n], PORT, certificate=None if n == "stsplain" else w.certs[n]) for n in names}
    w.seven = MailHost(NET + "50", PORT, caps=["SIZE 5000000"])
    w.dsn = MailHost(NET + "51", PORT, caps=["PIPELINING", "DSN", "8BITMIME", "SMTPUTF8"])
    w.picky = MailHost(NET + "52", PORT, replies={
        ("RCPT", "unknown"): "550 5.1.1 no such user here", ("RCPT", "later"): "451 4.7.1 greylisted"})
    w.small = MailHost(NET + "53", PORT, caps=["SIZE 1000"])
    open_zone = [f"mx-{n} A {a}\n{n} MX 10 mx-{n}" for n, a in address.items()]
    open_zone += [f"{n} A {NET}{i}" for n, i in (("seven", 50), ("dsn", 51), ("picky", 52), ("small", 53))]
    open_zone += [f"_mta-sts.{n} TXT \"v=STSv1; id=1;\"\nmta-sts.{n} A 127.0.0.1" for n in names if n.startswith("sts")]
    open_zone += ["failover MX 5 dead\nfailover MX 10 mx-good", f"dead A {NET}9", "nomail MX 0 .",
                  "loop MX 5 mail.example.test.\nloop MX 10 mx-good", "gone TXT x",
                  f"both AAAA ::1\nboth A {NET}50"]
    signed = [f"mx-{n} A {address[n]}\n{n} MX 10 mx-{n}" for n in ("dane", "mismatch", "none")]
    signed += [f"_{PORT}._tcp.mx-dane TLSA {tlsa(w.certs['dane'][0])}",
               f"_{PORT}._tcp.mx-mismatch TLSA {tlsa(w.certs['good'][0])}"]
    w.dns = DnsServer({"open.test": "\n".join(open_zone), "signed.test": "\n".join(signed)},
                      insecure=["open.test"]).start()
    sites = {f"mta-sts.{n}.open.test": w.authority.certificate([f"mta-sts.{n}.open.test"])
             for n in names if n.startswith("sts")}

    def choose(handler):
        host = handler.headers["Host"].split(".")[1]
        policy("testing" if host == "ststest" else "enforce", f"mx-{host}.open.test")(handler)
    w.web = HttpsServer(sites, {"/.well-known/mta-sts.txt": choose})
    yield w
    for host in [*w.hosts.values(), w.seven, w.dsn, w.picky, w.small]:
        host.close()
    w.web.close()
    w.dns.destroy()
    w.authority.close()
    stranger.close()


def settings(world, **more):
    return world.dns.settings(relay_port=str(PORT), allow_private_targets="yes", relay_ca=world.authority.path,
                              fetch_ca=world.authority.path, fetch_port=str(world.web.port), **more)


@pytest.fixture(scope="module")
def hk(world):
    instance = Instance(config=settings(world)).start()
    instance.domain()
    instance.account(ALICE)
    yield instance
    instance.assert_clean_log()
    instance.destroy()


def submit(hk, recipients, data=TEXT, options=(), rcpt_options=()):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls(), timeout=60) as smtp:
        smtp.login(ALICE, hk.passwords[ALICE])
        smtp.sendmail(ALICE, [recipients] if isinstance(recipients, str) else recipients, data, options, rcpt_options)


def events(hk, event, **fields):
    return [e for e in hk.events(event) if all(str(want) in str(e.get(key, "")) for key, want in fields.items())]


def wait_event(hk, event, **fields):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = events(hk, event, **fields)
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {event} {fields}: " + "\n".join(
        str(e) for e in hk.events() if e["event"].startswith("relay.")))


def report(hk, word):
    """The DSN in alice's mailbox that holds word, parsed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        m = wait_messages(hk, 1)
        for data in fetch_all(m):
            if word.encode() in data:
                m.logout()
                return email.message_from_bytes(data, policy=email.policy.default)
        m.logout()
        time.sleep(0.1)
    raise AssertionError(f"no report about {word}")


def test_sent_to_the_octet(hk, world):
    submit(hk, "you@good.open.test")
    message = world.hosts["good"].wait()[-1]
    assert message.sender == ALICE and message.recipients[0][0] == "you@good.open.test"
    assert message.data.endswith(TEXT) and message.data.startswith(b"Received: ")
    # Opportunistic: encrypted, though the domain is not signed.
    assert message.tls == "TLSv1.3"
    sent = wait_event(hk, "relay.sent", recipient="you@good.open.test")[0]
    assert "TLSv1.3" in sent["tls"] and sent["policy"] == "none" and sent["queue_id"]
    assert wait_event(hk, "relay.connect", remote="mx-good.open.test")[0]["detail"] == "verified"
    hk.wait_queue_empty()
    wait_stages(hk, "relay")


def test_the_case_of_a_name_is_kept(hk, world):
    count = len(world.hosts["good"].messages)
    submit(hk, "You.Too@Good.Open.test")
    message = world.hosts["good"].wait(count + 1)[-1]
    assert message.recipients[0][0] == "You.Too@good.open.test"
    # It is sent on by nobody.
    assert b"Delivered-To:" not in message.data and "ORCPT" not in str(message.recipients)


def test_connection_is_kept(hk, world):
    host = world.hosts["bad"]
    before = host.sessions
    for n in range(3):
        submit(hk, f"n{n}@bad.open.test")
        host.wait(n + 1)
        hk.wait_queue_empty()   # its answer is read, and the connection is free again
    assert host.sessions == before + 1


def test_next_host_when_the_first_is_dead(hk, world):
    count = len(world.hosts["good"].messages)
    submit(hk, "you@failover.open.test")
    assert world.hosts["good"].wait(count + 1)[-1].recipients[0][0] == "you@failover.open.test"


def test_dane(hk, world):
    submit(hk, "you@dane.signed.test")
    assert world.hosts["dane"].wait()[-1].tls
    sent = wait_event(hk, "relay.sent", recipient="dane.signed.test")[0]
    assert sent["policy"] == "dane"


def test_dane_mismatch_is_never_plain_text(hk, world):
    submit(hk, "you@mismatch.signed.test")
    assert wait_event(hk, "relay.tls.failed", remote="mx-mismatch.signed.test")[0]["policy"] == "dane"
    wait_event(hk, "relay.deferred", recipient="mismatch.signed.test")
    assert not world.hosts["mismatch"].messages
    waiting = [r for item in hk.cli_json("queue", "list") for r in item["recipients"]
               if r["address"] == "you@mismatch.signed.test"]
    assert len(waiting) == 1 and "mx-mismatch.signed.test" in waiting[0]["reason"], waiting


def test_signed_without_tlsa_is_opportunistic(hk, world):
    submit(hk, "you@none.signed.test")
    assert world.hosts["none"].wait()[-1].tls
    assert wait_event(hk, "relay.sent", recipient="none.signed.test")[0]["policy"] == "none"


def test_sts_enforce(hk, world):
    submit(hk, "you@stsgood.open.test")
    assert world.hosts["stsgood"].wait()[-1].tls
    assert wait_event(hk, "relay.sent", recipient="stsgood.open.test")[0]["policy"] == "sts"


@pytest.mark.parametrize("name", ["stsbad", "stsplain"])
def test_sts_enforce_fails(hk, world, name):
    submit(hk, f"you@{name}.open.test")
    assert wait_event(hk, "relay.tls.failed", remote=f"mx-{name}.open.test")[0]["policy"] == "sts"
    wait_event(hk, "relay.deferred", recipient=f"{name}.open.test")
    assert not world.hosts[name].messages


def test_sts_testing_only_reports(hk, world):
    submit(hk, "you@ststest.open.test")
    assert world.hosts["ststest"].wait()
    assert wait_event(hk, "relay.tls.failed", remote="mx-ststest.open.test")[0]["policy"] == "sts-testing"


def test_some_recipients(hk, world):
    submit(hk, ["you@picky.open.test", "unknown@picky.open.test", "later@picky.open.test"])
    assert [r[0] for r in world.picky.wait()[-1].recipients] == ["you@picky.open.test"]
    text = report(hk, "unknown@picky.open.test")
    parts = list(text.walk())
    status = next(p for p in parts if p.get_content_type() == "message/delivery-status").as_string()
    assert "Action: failed" in status and "Status: 5.1.1" in status and "no such user here" in status
    waiting = [r for item in hk.cli_json("queue", "list") for r in item["recipients"]]
    assert any(r["address"] == "later@picky.open.test" and "greylisted" in r["reason"] for r in waiting)


@pytest.mark.parametrize("domain,status", [("nomail.open.test", "5.1.10"), ("absent.open.test", "5.1.2"),
                                           ("gone.open.test", "5.4.4"), ("loop.open.test", "5.4.6")])
def test_nobody_there(hk, domain, status):
    submit(hk, f"you@{domain}")
    text = report(hk, f"you@{domain}").as_string()
    assert f"Status: {status}" in text


def test_too_large(hk):
    submit(hk, "you@small.open.test", TEXT + b"x" * 900 + b"\r\n" + b"y" * 900 + b"\r\n")
    assert "Status: 5.3.4" in report(hk, "you@small.open.test").as_string()


def test_eight_bits_to_a_host_of_seven(hk, world):
    body = "Grüße aus Köln\r\n.Ende =\r\n"
    data = (b"Subject: x\r\nFrom: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n\r\n" + body.encode())
    submit(hk, "you@seven.open.test", data, ["BODY=8BITMIME"])
    message = world.seven.wait()[-1]
    assert max(message.data) < 128 and not message.params[1:]
    parsed = email.message_from_bytes(message.data, policy=email.policy.default)
    assert parsed["Content-Transfer-Encoding"] == "quoted-printable"
    assert parsed.get_payload(decode=True) == body.encode()


def test_dsn_parameters_go_on(hk, world):
    submit(hk, "you@dsn.open.test", TEXT, ["RET=HDRS", "ENVID=QQ+2B1"],
           ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;orig+40x.test"])
    message = world.dsn.wait()[-1]
    assert "RET=HDRS" in message.params and "ENVID=QQ+2B1" in message.params
    assert message.recipients[0][1] == ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;orig+40x.test"]


def test_utf8_headers(hk, world):
    """SMTPUTF8 where it is offered and needed; where it is not offered the message comes back."""
    data = TEXT.replace(b"hello", "h\u00e9llo".encode())
    submit(hk, "utf8@dsn.open.test", data, ["SMTPUTF8", "BODY=8BITMIME"])
    wait_event(hk, "relay.sent", recipient="utf8@dsn.open.test")
    message = next(m for m in world.dsn.messages if m.recipients[0][0].startswith("utf8"))
    assert "SMTPUTF8" in message.params and message.data.endswith(data)
    submit(hk, "utf8@seven.open.test", data, ["SMTPUTF8", "BODY=8BITMIME"])
    wait_event(hk, "relay.failed", recipient="utf8@seven.open.test", reason="SMTPUTF8")
    assert "5.6.7" in report(hk, "5.6.7").as_string()
    submit(hk, "jos\u00e9@dsn.open.test", TEXT, ["SMTPUTF8", "BODY=8BITMIME"])
    wait_event(hk, "relay.sent", recipient="jos\u00e9@dsn.open.test")
    submit(hk, "jos\u00e9@seven.open.test", TEXT, ["SMTPUTF8", "BODY=8BITMIME"])
    wait_event(hk, "relay.failed", recipient="jos\u00e9@seven.open.test", reason="SMTPUTF8")
    # Said, and not needed: it goes.
    submit(hk, "ascii@seven.open.test", TEXT, ["SMTPUTF8", "BODY=8BITMIME"])
    wait_event(hk, "relay.sent", recipient="ascii@seven.open.test")


def test_requiretls(hk, world):
    """DANE is trust enough, but the host does not offer REQUIRETLS."""
    submit(hk, "tls@dane.signed.test", TEXT, ["REQUIRETLS"])
    assert "5.7.30" in report(hk, "5.7.30").as_string()
    assert "tls@dane.signed.test" not in [r[0] for m in world.hosts["dane"].messages for r in m.recipients]


def test_ipv6_first_then_ipv4(hk, world):
    """Nobody listens on the IPv6 address: the IPv4 address is next."""
    submit(hk, "you@both.open.test")
    sent = wait_event(hk, "relay.sent", recipient="both.open.test")[0]
    assert f"{NET}50" in sent["remote"]
    queue_id = sent["queue_id"]
    assert events(hk, "relay.ended", remote="[::1]", queue_id=queue_id)


@pytest.mark.slow
def test_kill_relay_and_queued(world, make_instance):
    """kill -9 while a slow host takes mail: each message arrives; twice at the most where the answer was lost."""
    slow = MailHost(NET + "62", PORT, pause=0.3)
    hk = make_instance(config={**settings(world), "smart_host": f"[{NET}62]", "smart_host_tls": "may",
                               "queue_retry_first": "1s", "queue_retry_last": "2s"}).start()
    hk.domain()
    hk.account(ALICE)
    with slow:
        for n in range(30):
            submit(hk, f"n{n}@far.test")
            if n in (8, 16, 24):
                for pid in hk.processes()["queued" if n == 16 else "relay"]:
                    os.kill(pid, 9)
        hk.wait_queue_empty(90)
    got = [m.recipients[0][0] for m in slow.messages]
    assert set(got) == {f"n{n}@far.test" for n in range(30)}
    assert max(got.count(address) for address in set(got)) <= 3


def test_private_addresses_are_refused(world, make_instance):
    hk = make_instance(config={**settings(world), "allow_private_targets": "no"}).start()
    hk.domain()
    hk.account(ALICE)
    count = len(world.hosts["good"].messages)
    submit(hk, "you@good.open.test")
    assert "only private addresses" in report(hk, "you@good.open.test").as_string()
    assert len(world.hosts["good"].messages) == count


def address_certificate(authority, address):
    """A certificate for an address: (cert, key)."""
    (authority.dir / "ip.ext").write_text(f"subjectAltName=IP:{address}\n")
    authority.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ip",
                      "-keyout", "ip.key", "-out", "ip.csr")
    authority.openssl("x509", "-req", "-in", "ip.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-extfile", "ip.ext", "-out", "ip.pem")
    return str(authority.dir / "ip.pem"), str(authority.dir / "ip.key")


@pytest.mark.parametrize("mechanisms", [("PLAIN", "LOGIN"), ("LOGIN",), ("SCRAM-SHA-256", "PLAIN")])
def test_smart_host_and_a_route_of_one_domain(world, make_instance, tmp_path, mechanisms):
    secret = tmp_path / "password"
    secret.write_text("open sesame\n")
    hk = make_instance(config={
        **settings(world), "smart_host": f"[{NET}60]:{PORT}", "smart_host_tls": "verify", "smart_host_user": "hikyaku",
        "smart_host_password_file": str(secret)})
    with MailHost(NET + "60", PORT, certificate=address_certificate(world.authority, NET + "60"),
                  users={"hikyaku": "open sesame"}, mechanisms=mechanisms) as smart, \
            MailHost(NET + "61", PORT) as other:
        hk.start()
        hk.stop()
        conf = hk.dir / "hikyaku.conf"
        conf.write_text(conf.read_text() + f'route "routed.test" {{\n\thost = "[{NET}61]:{PORT}"\n\ttls = "may"\n}}\n')
        hk.start()
        hk.domain()
        hk.account(ALICE)
        submit(hk, ["you@anywhere.test", "you@routed.test"])
        assert smart.wait()[-1].recipients[0][0] == "you@anywhere.test"
        assert smart.logins == [(mechanisms[0], "hikyaku", "TLSv1.3")]
        assert other.wait()[-1].recipients[0][0] == "you@routed.test"
        hk.wait_queue_empty()
        hk.assert_clean_log()
