# SPDX-License-Identifier: ISC
"""dnsd against a real name server with signed, unsigned and broken zones."""
import base64
import os
import signal
import subprocess
import time

import pytest

from dnsserver import DnsServer
from instance import Instance

MANY_MX = "\n".join(f"many IN MX {i} mx{i}.signed.test." for i in range(1, 1001))
CHAIN = "\n".join(f"chain{i} IN CNAME chain{i + 1}" for i in range(1, 30)) + "\nchain30 IN A 192.0.2.30"
BIG_TXT = "\n".join('big IN TXT "' + f"{i:03d} " + "x" * 240 + '"' for i in range(240))
SIGNED = f"""
@ IN MX 10 mx
@ IN TXT "v=spf1 mx -all"
mx IN A 192.0.2.1
mx IN AAAA 2001:db8::1
www IN CNAME mx
out IN CNAME mx.plain.test.
long IN TXT ( "{'a' * 200}" "{'b' * 200}" )
_25._tcp.mx IN TLSA 3 1 1 {'ab' * 32}
_imaps._tcp IN SRV 0 1 993 mx
null IN MX 0 .
loop1 IN CNAME loop2
loop2 IN CNAME loop1
*.wild IN A 192.0.2.9
{CHAIN}
{MANY_MX}
{BIG_TXT}
"""


TAG, TRAP_KEYS, TRAP_SIGNATURES = 4711, 80, 150


def rsa_key():
    """DNSKEY data of tag TAG whose signatures take milliseconds to verify: the exponent is as long as the modulus."""
    data = bytearray(b"\x01\x00\x03\x08" + b"\xff" + os.urandom(254) + b"\x01" + b"\xc0" + os.urandom(254) + b"\x01")
    data[100:102] = b"\0\0"
    rest = sum(byte if i % 2 else byte << 8 for i, byte in enumerate(data))
    word = next(n for n in range(1 << 16) if (rest + n + (rest + n >> 16)) & 0xffff == TAG)
    data[100:102] = word.to_bytes(2, "big")
    return f"256 3 8 {base64.b64encode(data[4:]).decode()}"


class Trapped(DnsServer):
    """In trap.test any of many signatures could be by any of many keys (CVE-2023-50387); none is."""

    def write_zone(self, zone):
        name = super().write_zone(zone)
        if zone == "trap.test":
            lines = [line for line in (self.dir / name).read_text().splitlines()
                     if not line.startswith("mx.") or "\tRRSIG\tA " not in line]
            now = [time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + s)) for s in (86400, -86400)]
            lines += [f"mx.trap.test. {self.ttl} IN RRSIG A 8 3 {self.ttl} {now[0]} {now[1]} {TAG} trap.test. "
                      f"{base64.b64encode(os.urandom(256)).decode()}" for _ in range(TRAP_SIGNATURES)]
            (self.dir / name).write_text("\n".join(lines) + "\n")
        return name


@pytest.fixture(scope="module")
def dns():
    trap = "\n".join(["mx IN A 192.0.2.8"] + [f"@ IN DNSKEY {rsa_key()}" for _ in range(TRAP_KEYS)])
    with Trapped({"trap.test": trap,"signed.test": SIGNED, "plain.test": "mx IN A 192.0.2.2\n@ IN MX 5 mx",
                    "broken.test": "mx IN A 192.0.2.3\n@ IN MX 5 mx", "sub.signed.test": "mx IN A 192.0.2.4",
                    "three.test": "mx IN A 192.0.2.5", "costly.test": "mx IN A 192.0.2.6"},
                   insecure=["plain.test"], bogus=["broken.test"], nsec3={"three.test": 5, "costly.test": 2000}) as server:
        yield server


@pytest.fixture(scope="module")
def hk(dns):
    instance = Instance(config=dns.settings()).start()
    yield instance
    instance.destroy()


def lookup(hk, name, kind="A"):
    return hk.cli_json("dns", "lookup", name, kind)


@pytest.mark.parametrize("name,kind,secure,records", [
    ("mx.signed.test", "A", True, ["192.0.2.1"]),
    ("MX.Signed.TEST.", "A", True, ["192.0.2.1"]),
    ("mx.signed.test", "AAAA", True, ["2001:db8::1"]),
    ("signed.test", "MX", True, ["10 mx.signed.test."]),
    ("signed.test", "TXT", True, ['"v=spf1 mx -all"']),
    ("_25._tcp.mx.signed.test", "TLSA", True, ["3 1 1 " + "ab" * 32]),
    ("_imaps._tcp.signed.test", "SRV", True, ["0 1 993 mx.signed.test."]),
    ("null.signed.test", "MX", True, ["0 ."]),
    ("mx.sub.signed.test", "A", True, ["192.0.2.4"]),
    ("x.wild.signed.test", "A", True, ["192.0.2.9"]),
    ("mx.plain.test", "A", False, ["192.0.2.2"]),
    ("plain.test", "MX", False, ["5 mx.plain.test."]),
])
def test_answers(hk, name, kind, secure, records):
    got = lookup(hk, name, kind)
    assert (got["rcode"], got["secure"], got["bogus"], got["records"]) == ("NOERROR", secure, False, records)
    assert 0 < got["ttl_s"] <= 60


def test_long_txt_is_joined(hk):
    assert lookup(hk, "long.signed.test", "TXT")["records"] == ['"' + "a" * 200 + "b" * 55 + '" "' + "b" * 145 + '"']


def test_aliases(hk):
    got = lookup(hk, "www.signed.test")
    assert got["records"] == ["192.0.2.1"] and got["secure"] and got["canonical"] == "mx.signed.test"
    # The weakest link counts: a signed alias to an unsigned name is not secure.
    got = lookup(hk, "out.signed.test")
    assert got["records"] == ["192.0.2.2"] and not got["secure"] and got["canonical"] == "mx.plain.test"
    got = lookup(hk, "www.signed.test", "CNAME")
    assert got["records"] == ["mx.signed.test."]


def test_aliases_have_an_end(hk):
    got = lookup(hk, "loop1.signed.test")
    assert got["rcode"] == "SERVFAIL" and got["records"] == []
    assert lookup(hk, "chain1.signed.test")["rcode"] == "SERVFAIL"
    assert lookup(hk, "chain25.signed.test")["records"] == ["192.0.2.30"]


def test_nothing(hk):
    """That there is nothing is validated as well."""
    got = lookup(hk, "none.signed.test", "MX")
    assert (got["rcode"], got["secure"], got["records"]) == ("NXDOMAIN", True, [])
    got = lookup(hk, "mx.signed.test", "TLSA")
    assert (got["rcode"], got["secure"], got["records"]) == ("NOERROR", True, [])
    got = lookup(hk, "none.plain.test", "MX")
    assert (got["rcode"], got["secure"]) == ("NXDOMAIN", False)
    assert lookup(hk, "no-such-tld", "MX")["rcode"] == "NXDOMAIN"


def test_nsec3(hk):
    """Proofs of absence that cost too much are not computed: the zone counts as unsigned (RFC 9276 section 3.2)."""
    got = lookup(hk, "none.three.test", "MX")
    assert (got["rcode"], got["secure"]) == ("NXDOMAIN", True)
    started = time.monotonic()
    got = lookup(hk, "none.costly.test", "MX")
    assert (got["rcode"], got["secure"], got["bogus"]) == ("NXDOMAIN", False, False)
    assert time.monotonic() - started < 3
    assert lookup(hk, "mx.costly.test")["secure"]


def test_many_keys_of_one_tag(dns, hk):
    """12,000 pairs of a signature and a key: few are tried, and the next question is answered."""
    text = (dns.dir / "trap.test.zone.signed").read_text()
    assert text.count("DNSKEY\t256") == TRAP_KEYS and text.count(f" {TAG} trap.test.") == TRAP_SIGNATURES
    assert text.count(f"{{id = {TAG} ") == TRAP_KEYS
    started = time.monotonic()
    got = lookup(hk, "mx.trap.test")
    assert (got["rcode"], got["bogus"], got["secure"], got["records"]) == ("SERVFAIL", True, False, [])
    assert lookup(hk, "www.signed.test", "AAAA")["records"] == ["2001:db8::1"]
    assert time.monotonic() - started < 5
    event = [e for e in hk.events("dns.answer.bogus") if e["name"] == "mx.trap.test"][-1]
    assert "too many RRSIG validations" in event["reason"], event


def test_bogus(hk):
    got = lookup(hk, "broken.test", "MX")
    assert (got["rcode"], got["bogus"], got["secure"], got["records"]) == ("SERVFAIL", True, False, [])
    assert any(e["name"] == "broken.test" and e["reason"] for e in hk.events("dns.answer.bogus"))


def test_big_answers(hk):
    """1,000 MX: 256 are taken. 60 KB of TXT: what fits a frame. Both come by TCP."""
    got = lookup(hk, "many.signed.test", "MX")
    assert len(got["records"]) == 256 and got["secure"]
    got = lookup(hk, "big.signed.test", "TXT")
    assert got["rcode"] == "NOERROR" and got["secure"] and got["cut"] and 100 < len(got["records"]) <= 240


@pytest.mark.parametrize("name,kind", [
    ("a..b", "A"), ("x" * 64 + ".test", "A"), (".".join(["x" * 60] * 5), "A"), ("", "A"), ("a.test", "BOGUS"),
    ("a.test", "255"), ("a.test", "41"), ("a.test", "0"), ("a.test", "65536"),
])
def test_bad_questions(hk, name, kind):
    assert hk.cli("dns", "lookup", name, kind, check=False).returncode == 1
    assert lookup(hk, "mx.signed.test")["records"] == ["192.0.2.1"]


def test_only_the_internet(hk):
    """dnsd is in its sandbox, and has no file open but its links and sockets."""
    row = next(p for p in hk.cli_json("process", "list") if p["name"] == "dnsd")
    assert "seccomp" in row["sandbox"] and "landlock" in row["sandbox"]


def test_resolver_gone_and_back(dns, hk):
    dns.stop()
    try:
        started = time.monotonic()
        assert lookup(hk, "fresh1.signed.test")["rcode"] == "SERVFAIL"
        assert time.monotonic() - started < 13
    finally:
        dns.start()
    deadline = time.monotonic() + 90
    while lookup(hk, f"again{int(time.monotonic() * 1000)}.signed.test")["rcode"] != "NXDOMAIN":
        assert time.monotonic() < deadline, "the resolver is not asked again"
        time.sleep(0.3)
    hk.assert_clean_log()


def test_killed_while_asked(dns, make_instance):
    """Questions that were sent end with "try again", later ones wait for the next dnsd."""
    hk = make_instance(config=dns.settings()).start()
    dns.stop()
    try:
        with subprocess.Popen([str(hk.dir / "bin/hikyaku"), "-c", str(hk.dir / "hikyaku.conf"), "dns", "lookup",
                               "waits.signed.test"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
            time.sleep(0.3)
            os.kill(hk.processes()["dnsd"][0], signal.SIGKILL)
            assert waiting.wait(20) in (0, 1)
    finally:
        dns.start()
    assert lookup(hk, "mx.signed.test")["records"] == ["192.0.2.1"]
    assert [e["peer"] for e in hk.events("process.died")] == ["dnsd"]


def test_without_dnssec(dns, make_instance):
    hk = make_instance(config=dns.settings(dnssec="no")).start()
    got = lookup(hk, "broken.test", "MX")
    assert got["records"] == ["5 mx.broken.test."] and not got["secure"] and not got["bogus"]
    assert not lookup(hk, "signed.test", "MX")["secure"]


@pytest.mark.parametrize("settings,reason", [
    ({"resolver": "no-address"}, '"no-address" is no address'),
    ({"dns_trust_anchor": "/nonexistent"}, "/nonexistent"),
    ({"dns_trust_anchor": "/etc/hostname"}, "trust anchor"),
])
def test_wrong_settings(make_instance, dns, settings, reason):
    """What cannot work is said at the start."""
    hk = make_instance(config=dns.settings(**settings))
    with pytest.raises(AssertionError, match="dnsd did not start"):
        hk.start()
    assert any(reason in e.get("error", "") for e in hk.events("process.start.failed")), hk.log()[-2000:]
