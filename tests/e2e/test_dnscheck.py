# SPDX-License-Identifier: ISC
"""hikyaku dns show and check: what is printed goes into a zone as it is, and is then found right."""
import hashlib
import json
import subprocess
import time

import pytest

from dnsserver import DnsServer
from instance import Instance

HOST = "mail.example.test"
ADDRESS = "mail IN A 127.0.0.1\nmail IN AAAA ::1\n"


@pytest.fixture(scope="module")
def dns():
    with DnsServer({"example.test": "", "plain.test": ""}, insecure=["plain.test"], ttl=1) as server:
        yield server


@pytest.fixture(scope="module")
def hk(dns):
    instance = Instance()
    instance.config = dns.settings(fetch_ca=str(instance.dir / "tls/ca.pem"), fetch_port=str(instance.port("web")),
                                   allow_private_targets="yes")
    instance.start()
    instance.domain("example.test")
    instance.domain("plain.test")
    yield instance
    instance.assert_clean_log()
    instance.destroy()


def check(hk, domain="example.test"):
    done = hk.cli("dns", "check", domain, "--json", check=False)
    items = json.loads(done.stdout)["items"]
    return done.returncode, {(i["name"], i["type"] if i["value"][1:7] != "v=spf1" else "SPF"): i for i in items}


def until(hk, want, domain="example.test"):
    """Answers that are remembered go stale after a second."""
    deadline = time.monotonic() + 20
    while True:
        code, items = check(hk, domain)
        if want(items):
            return code, items
        assert time.monotonic() < deadline, json.dumps(list(items.values()), indent=1)
        time.sleep(0.5)


def test_nothing_there(hk):
    code, items = check(hk)
    assert code == 1
    states = {key: item["state"] for key, item in items.items()}
    assert states[("example.test", "MX")] == states[("example.test", "SPF")] == "missing"
    assert states[(HOST, "A")] == "missing" and items[(HOST, "A")]["required"]
    assert states[("mta-sts.example.test", "HTTPS")] == "missing"
    assert set(states.values()) == {"missing"}
    text = hk.cli("dns", "check", "example.test", check=False).stdout
    assert "missing   MX    example.test  (where mail goes)" in text and "want  10 mail.example.test." in text


def test_tlsa_is_of_the_key(hk):
    items = hk.cli_json("dns", "show", "example.test")["items"]
    tlsa, = [i for i in items if i["type"] == "TLSA"]
    public = subprocess.run(["openssl", "x509", "-in", str(hk.dir / "tls/cert.pem"), "-noout", "-pubkey"],
                            capture_output=True, check=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, capture_output=True,
                         check=True).stdout
    assert tlsa["name"] == f"_25._tcp.{HOST}" and tlsa["value"] == "3 1 1 " + hashlib.sha256(der).hexdigest()


def test_services_are_the_listeners(hk):
    items = {i["name"]: i["value"] for i in hk.cli_json("dns", "show", "example.test")["items"]}
    for label, name in (("imaps", "imaps"), ("imap", "imap"), ("pop3s", "pop3s"), ("pop3", "pop3"),
                        ("submissions", "smtps"), ("submission", "submission"), ("autodiscover", "web")):
        assert items[f"_{label}._tcp.example.test"] == f"0 1 {hk.port(name)} {HOST}."


def test_what_is_shown_is_right(hk, dns):
    zone = hk.cli("dns", "show", "example.test").stdout
    assert "\n; DKIM: no key yet" in zone
    dns.update({"example.test": ADDRESS + zone})
    code, items = until(hk, lambda items: {i["state"] for i in items.values()} == {"ok"})
    assert code == 0
    assert hk.cli("dns", "check", "example.test").stdout.count("ok ") >= 18


def test_unsigned(hk, dns):
    """The same in a zone that is not signed; the server's own name is in the other."""
    dns.update({"plain.test": hk.cli("dns", "show", "plain.test").stdout.replace(f"_25._tcp.{HOST}", "; ")})
    _, items = until(hk, lambda items: items[("plain.test", "MX")]["state"] == "ok", "plain.test")
    assert items[(f"_25._tcp.{HOST}", "TLSA")]["state"] == "ok"
    # The certificate does not name mta-sts.plain.test.
    policy = items[("mta-sts.plain.test", "HTTPS")]
    assert policy["state"] == "missing" and policy["detail"]


def test_what_is_wrong(hk, dns):
    good = hk.cli("dns", "show", "example.test").stdout
    zone = [line for line in good.splitlines() if line.startswith("_") and "TLSA" not in line and "STSv1" not in line]
    zone += ["example.test. IN MX 5 other.example.test.", 'example.test. IN TXT "v=spf1 ~all"',
             f"_25._tcp.{HOST}. IN TLSA 3 1 1 {'00' * 32}", '_mta-sts.example.test. IN TXT "v=STSv1; id=1;"',
             "mta-sts.example.test. IN A 127.0.0.1"]
    dns.update({"example.test": ADDRESS + "\n".join(zone)})
    code, items = until(hk, lambda items: items[("example.test", "MX")]["state"] == "differs")
    assert code == 1
    assert items[("example.test", "MX")]["found"] == ["5 other.example.test."]
    assert items[("example.test", "SPF")]["state"] == "other"
    tlsa = items[(f"_25._tcp.{HOST}", "TLSA")]
    assert tlsa["state"] == "differs" and "does not come in" in tlsa["detail"]
    assert items[("_mta-sts.example.test", "TXT")]["state"] == "differs"
    assert items[("mta-sts.example.test", "CNAME")]["state"] == "other"
    assert items[("autoconfig.example.test", "CNAME")]["state"] == "missing"


def test_other_domains(hk):
    for domain in ("elsewhere.test", "", "a..b", "[127.0.0.1]"):
        assert hk.cli("dns", "show", domain, check=False).returncode == 1
    hk.domain("日本.test")
    names = {i["name"] for i in hk.cli_json("dns", "show", "日本.test")["items"]}
    assert "xn--wgv71a.test" in names and "_dmarc.xn--wgv71a.test" in names
