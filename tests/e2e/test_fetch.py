# SPDX-License-Identifier: ISC
"""fetchd: what it gets, and what it does not connect to."""
import socket
import threading
import time

import pytest

from dnsserver import DnsServer
from httpsserver import Authority, HttpsServer, page
from instance import Instance

PRIVATE = {
    "loopback": "A 127.0.0.1", "loopback2": "A 127.255.255.254", "ten": "A 10.1.2.3", "home": "A 192.168.0.1",
    "shared": "A 100.64.0.1", "metadata": "A 169.254.169.254", "zero": "A 0.0.0.0", "multicast": "A 224.0.0.1",
    "loopback6": "AAAA ::1", "unspecified6": "AAAA ::", "mapped": "AAAA ::ffff:127.0.0.1", "link6": "AAAA fe80::1",
    "local6": "AAAA fd00::1", "nat64": "AAAA 64:ff9b::7f00:1", "sixtofour": "AAAA 2002:7f00:1::1",
    "multicast6": "AAAA ff02::1", "alias": "CNAME loopback",
}


def endless(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    for _ in range(1 << 14):
        handler.wfile.write(b"x" * 65536)


def big_header(handler):
    handler.send_response(200)
    for i in range(2000):
        handler.send_header(f"X-{i}", "y" * 100)
    handler.end_headers()


def slow(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.3)



@pytest.fixture(scope="module")
def dns():
    zone = "\n".join(f"{name} IN {record}" for name, record in PRIVATE.items())
    with DnsServer({"web.test": zone + "\nwww IN A 127.0.0.1\nother IN A 127.0.0.1\nold IN A 127.0.0.1\n"
                    "stranger IN A 127.0.0.1\nempty IN TXT x"}) as server:
        yield server


@pytest.fixture(scope="module")
def web():
    authority, stranger = Authority(), Authority()
    server = HttpsServer(
        {"": authority.certificate(["www.web.test", *(f"{n}.web.test" for n in PRIVATE)]),
         "old.web.test": authority.certificate(["old.web.test"], days=-1),
         "stranger.web.test": stranger.certificate(["stranger.web.test"])},
        {"/": page("hello\n"), "/policy?a=b": page("version: STSv1\n", kind="text/plain; charset=utf-8"),
         "/moved": page("", status=302, Location="https://www.web.test/"), "/endless": endless, "/header": big_header,
         "/slow": slow, "/8k": page("x" * 8192), "/8k1": page("x" * 8193), "/binary": page(b"\xff\0\xfe"),
         "/empty": page("")})
    server.authority = authority
    yield server
    server.close()
    authority.close()
    stranger.close()


def settings(dns, web, **more):
    return dns.settings(fetch_ca=web.authority.path, fetch_port=str(web.port), **more)


@pytest.fixture(scope="module")
def hk(dns, web):
    instance = Instance(config=settings(dns, web, allow_private_targets="yes")).start()
    yield instance
    instance.assert_clean_log()
    instance.destroy()


@pytest.fixture(scope="module")
def strict(dns, web):
    instance = Instance(config=settings(dns, web)).start()
    yield instance
    instance.assert_clean_log()
    instance.destroy()


def get(hk, host, path="/"):
    return hk.cli_json("https", "get", host, path)


def test_get(hk, web):
    got = get(hk, "www.web.test")
    assert got == {"status": 200, "content_type": "text/plain", "body": "hello\n", "reason": ""}
    assert get(hk, "WWW.web.test.")["status"] == 200
    got = get(hk, "www.web.test", "/policy?a=b")
    assert got["body"] == "version: STSv1\n" and got["content_type"] == "text/plain; charset=utf-8"
    assert get(hk, "www.web.test", "/none")["status"] == 404
    assert get(hk, "www.web.test", "/empty")["body"] == ""
    assert web.hits[0][0] == f"www.web.test:{web.port}"


def test_limits(hk):
    assert len(get(hk, "www.web.test", "/8k")["body"]) == 8192
    for path in ("/8k1", "/endless"):
        started = time.monotonic()
        got = get(hk, "www.web.test", path)
        assert got["status"] == 0 and got["body"] == "" and "too large" in got["reason"]
        assert time.monotonic() - started < 5
    got = get(hk, "www.web.test", "/header")
    assert got["status"] == 0 and "header" in got["reason"]


def test_deadline(hk):
    started = time.monotonic()
    got = get(hk, "www.web.test", "/slow")
    assert got["status"] == 0 and got["reason"] and 7 < time.monotonic() - started < 12


def test_no_redirect(hk, web):
    before = len(web.hits)
    assert get(hk, "www.web.test", "/moved")["status"] == 302
    assert len(web.hits) == before + 1


@pytest.mark.parametrize("host", ["other", "old", "stranger"])
def test_certificate(hk, web, host):
    """Of another name, expired, of an unknown authority."""
    before = len(web.hits)
    got = get(hk, f"{host}.web.test")
    assert got["status"] == 0 and got["reason"]
    assert len(web.hits) == before


def test_no_such_host(hk):
    assert get(hk, "empty.web.test")["reason"] == "the name has no address"
    assert get(hk, "none.web.test")["status"] == 0


@pytest.mark.parametrize("host,path", [
    ("127.0.0.1", "/"), ("0x7f.1", "/"), ("2130706433", "/"), ("[::1]", "/"), ("www.web.test:1", "/"),
    ("user@www.web.test", "/"), ("www.web.test/x", "/"), ("www.web.test", "x"), ("www.web.test", "/a b"),
    ("www.web.test", "/a\r\nHost: x"), ("www.web.test", "//" + "x" * 2000), ("", "/"),
])
def test_what_is_no_host_or_path(hk, host, path):
    assert hk.cli("https", "get", host, path, check=False).returncode == 1


@pytest.mark.parametrize("name", PRIVATE)
def test_private_addresses(strict, web, name):
    before = len(web.hits)
    got = get(strict, f"{name}.web.test")
    assert got["status"] == 0 and got["reason"] == "not a public address"
    assert len(web.hits) == before


def test_private_allowed(hk):
    assert get(hk, "loopback.web.test")["status"] == 200
    assert get(hk, "alias.web.test")["status"] == 200


def test_many_at_once(hk):
    failures = []

    def some():
        for _ in range(5):
            if get(hk, "www.web.test")["body"] != "hello\n":
                failures.append(1)
    threads = [threading.Thread(target=some) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_what_is_no_https(dns, web, make_instance):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()

        def plain():
            while True:
                try:
                    peer, _ = s.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1000)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        threading.Thread(target=plain, daemon=True).start()
        hk = make_instance(config=dns.settings(fetch_ca=web.authority.path, fetch_port=str(s.getsockname()[1]),
                                               allow_private_targets="yes")).start()
        got = get(hk, "www.web.test")
        assert got["status"] == 0 and got["reason"]
