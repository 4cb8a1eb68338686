# SPDX-License-Identifier: ISC
"""What mail programs ask the HTTPS front for; and that it is HTTP enough for strangers."""
import http.client
import json
import plistlib
import socket
import subprocess
import time
import xml.etree.ElementTree as ET

import pytest

OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
HOST = "mail.example.test"


@pytest.fixture
def web(hk):
    """A connection whose certificate is not looked at by name: the tests ask for many hosts."""
    def connect():
        context = hk.tls()
        context.check_hostname = False
        return http.client.HTTPSConnection("127.0.0.1", hk.port("web"), context=context, timeout=20)
    return connect


def ask(connect, method, path, body=None, **headers):
    connection = connect()
    connection.request(method, path, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    data = answer.read().decode()
    connection.close()
    return answer, data


def services(hk):
    return [("imap", hk.port("imaps"), "SSL"), ("imap", hk.port("imap"), "STARTTLS"),
            ("pop3", hk.port("pop3s"), "SSL"), ("pop3", hk.port("pop3"), "STARTTLS"),
            ("smtp", hk.port("smtps"), "SSL"), ("smtp", hk.port("submission"), "STARTTLS")]


@pytest.mark.parametrize("path,host", [
    ("/.well-known/autoconfig/mail/config-v1.1.xml", "example.test"),
    ("/mail/config-v1.1.xml?emailaddress=alice%40example.test", "autoconfig.example.test"),
    ("/mail/config-v1.1.xml", "autoconfig.example.test"),
    ("/mail/config-v1.1.xml?emailaddress=ALICE@EXAMPLE.TEST", HOST),
])
def test_thunderbird(hk, web, path, host):
    answer, data = ask(web, "GET", path, Host=host)
    assert answer.status == 200 and answer.getheader("Content-Type").startswith("text/xml")
    root = ET.fromstring(data)
    provider = root.find("emailProvider")
    assert root.attrib["version"] == "1.1" and provider.attrib["id"] == "example.test"
    got = [(s.attrib["type"], int(s.findtext("port")), s.findtext("socketType"))
           for s in provider if s.tag.endswith("Server")]
    assert got == services(hk)
    for server in provider.iter("incomingServer"):
        assert server.findtext("hostname") == HOST and server.findtext("username") == "%EMAILADDRESS%"


def outlook(address, schema=OUTLOOK):
    return (f'<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/'
            f'autodiscover/outlook/requestschema/2006"><Request><EMailAddress>{address}</EMailAddress>'
            f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>")


@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml",
                                  "/AutoDiscover/AUTODISCOVER.XML"])
def test_outlook(hk, web, path):
    answer, data = ask(web, "POST", path, outlook("alice@example.test"), Content_Type="text/xml")
    assert answer.status == 200
    account = ET.fromstring(data).find(f"{{{OUTLOOK}}}Response/{{{OUTLOOK}}}Account")
    got = [(p.findtext(f"{{{OUTLOOK}}}Type").lower(), int(p.findtext(f"{{{OUTLOOK}}}Port")),
            {"SSL": "SSL", "TLS": "STARTTLS"}[p.findtext(f"{{{OUTLOOK}}}Encryption")])
           for p in account.iter(f"{{{OUTLOOK}}}Protocol")]
    assert got == services(hk)
    assert {p.findtext(f"{{{OUTLOOK}}}LoginName") for p in account.iter(f"{{{OUTLOOK}}}Protocol")} == \
        {"alice@example.test"}


def test_outlook_errors(web):
    path = "/autodiscover/autodiscover.xml"
    _, data = ask(web, "POST", path, outlook("alice@elsewhere.test"))
    assert "<ErrorCode>500</ErrorCode>" in data
    _, data = ask(web, "POST", path, outlook("alice@example.test", "http://schemas.microsoft.com/exchange/autodiscover/"
                                                                   "mobilesync/responseschema/2006"))
    assert "<ErrorCode>601</ErrorCode>" in data
    answer, _ = ask(web, "GET", path)
    assert answer.status == 405 and answer.getheader("Allow") == "POST"
    for body in ("", "x", "<a>", outlook("nobody"), outlook("a@[127.0.0.1]"), outlook("&unknown;"),
                 '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + outlook("&x;@example.test"),
                 "<a>" * 40 + "</a>" * 40, outlook("x" * 2000 + "@example.test")):
        assert ask(web, "POST", path, body)[0].status == 400, body


def test_outlook_json(web):
    path = "/autodiscover/autodiscover.json?Email=alice%40example.test&Protocol="
    answer, data = ask(web, "GET", path + "AutodiscoverV1")
    assert answer.getheader("Content-Type") == "application/json"
    assert json.loads(data)["Url"] == f"https://{HOST}/autodiscover/autodiscover.xml"
    assert "ErrorCode" in json.loads(ask(web, "GET", path + "EWS")[1])


def test_apple(hk, web):
    answer, data = ask(web, "GET", "/apple.mobileconfig?email=alice%40example.test")
    assert answer.getheader("Content-Type") == "application/x-apple-aspen-config"
    profile = plistlib.loads(data.encode())
    mail, = profile["PayloadContent"]
    assert mail["PayloadType"] == "com.apple.mail.managed" and mail["EmailAccountType"] == "EmailTypeIMAP"
    assert (mail["IncomingMailServerHostName"], mail["IncomingMailServerPortNumber"]) == (HOST, hk.port("imaps"))
    assert (mail["OutgoingMailServerHostName"], mail["OutgoingMailServerPortNumber"]) == (HOST, hk.port("smtps"))
    assert mail["IncomingMailServerUsername"] == mail["EmailAddress"] == "alice@example.test"
    assert mail["IncomingMailServerUseSSL"] and mail["OutgoingMailServerUseSSL"]
    assert profile["PayloadUUID"] != mail["PayloadUUID"]
    assert ask(web, "GET", "/apple.mobileconfig?email=alice%40example.test")[1] == data


def test_markup_is_escaped(web):
    answer, data = ask(web, "GET", "/apple.mobileconfig?email=%22%3Cscript%3E%26%22%40example.test")
    assert answer.status == 200 and "<script>" not in data
    assert plistlib.loads(data.encode())["PayloadContent"][0]["EmailAddress"] == '"<script>&"@example.test'
    assert ask(web, "GET", "/apple.mobileconfig?email=a%0d%0aX:%20y%40example.test")[0].status == 400


def test_nobody_is_found_out(web):
    """Known and unknown users of a domain get the same but for the address they sent."""
    for method, path, body in (("GET", "/mail/config-v1.1.xml?emailaddress={}@example.test", None),
                               ("GET", "/apple.mobileconfig?email={}@example.test", None),
                               ("POST", "/autodiscover/autodiscover.xml", outlook("{}@example.test"))):
        answers = []
        for name in ("alice", "xenia"):
            answer, data = ask(web, method, path.format(name), body and body.format(name))
            if "mobileconfig" in path:
                data = [line for line in data.splitlines() if "-" not in line]
                data = "\n".join(data)
            answers.append((answer.status, data.replace(name, "NAME")))
        assert answers[0] == answers[1] and answers[0][0] == 200


def test_other_domains(hk, web):
    assert ask(web, "GET", "/mail/config-v1.1.xml", Host="autoconfig.elsewhere.test")[0].status == 404
    assert ask(web, "GET", "/apple.mobileconfig?email=a@elsewhere.test")[0].status == 404
    hk.domain("off.test")
    assert ask(web, "GET", "/mail/config-v1.1.xml", Host="autoconfig.off.test")[0].status == 200
    hk.cli("domain", "disable", "off.test")
    assert ask(web, "GET", "/mail/config-v1.1.xml", Host="autoconfig.off.test")[0].status == 404


def test_mta_sts(web):
    path = "/.well-known/mta-sts.txt"
    answer, data = ask(web, "GET", path, Host="mta-sts.example.test")
    assert answer.status == 200 and answer.getheader("Content-Type").startswith("text/plain")
    assert data == f"version: STSv1\r\nmode: testing\r\nmx: {HOST}\r\nmax_age: 604800\r\n"
    assert ask(web, "GET", path, Host="MTA-STS.Example.Test:443")[0].status == 200
    assert ask(web, "GET", path, Host="mta-sts.elsewhere.test")[0].status == 404
    assert ask(web, "GET", path, Host="example.test")[0].status == 404


def test_curl(hk):
    """A client with certificate checks, a name, HEAD, and a body it asks leave for."""
    base = ["curl", "-sS", "--cacert", hk.ca, "--resolve", f"{HOST}:{hk.port('web')}:127.0.0.1"]
    url = f"https://{HOST}:{hk.port('web')}"
    done = subprocess.run([*base, "-I", f"{url}/mail/config-v1.1.xml?emailaddress=a@example.test"],
                          capture_output=True, text=True, check=True, timeout=30)
    assert "HTTP/1.1 200" in done.stdout and "Content-Length: " in done.stdout and "clientConfig" not in done.stdout
    done = subprocess.run([*base, "-v", "-H", "Expect: 100-continue", "-d", outlook("a@example.test"),
                           f"{url}/autodiscover/autodiscover.xml"], capture_output=True, text=True, check=True, timeout=30)
    assert "<Type>IMAP</Type>" in done.stdout and "100 Continue" in done.stderr
    assert subprocess.run([*base, f"{url}/a", f"{url}/b"], capture_output=True, text=True,
                          timeout=30).stdout.split("\n") == ["Not Found", "Not Found", ""]


def raw(hk, data, wait=5):
    """What the server says before it closes, or in wait seconds."""
    context = hk.tls()
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", hk.port("web")), timeout=wait) as plain, \
            context.wrap_socket(plain) as s:
        s.sendall(data)
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
        except (TimeoutError, ConnectionError):
            pass
        return got


@pytest.mark.parametrize("request_,status", [
    (b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\nHost: c\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", b"400"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"501"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx", b"400"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", b"400"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16385\r\n\r\n", b"413"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", b"400"),
    (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505"),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n", b"431"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", b"431"),
    (b"EHLO a\r\n\r\n", b"400"),
])
def test_what_is_no_request(hk, request_, status):
    got = raw(hk, request_)
    assert got.startswith(b"HTTP/1.1 " + status + b" ") and got.count(b"HTTP/1.1") == 1, got


def test_pipelining(hk):
    one = b"GET /mail/config-v1.1.xml HTTP/1.1\r\nHost: autoconfig.example.test\r\n\r\n"
    last = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    got = raw(hk, one * 3 + last)
    assert got.count(b"HTTP/1.1 200 OK") == 3 and got.count(b"HTTP/1.1 404 ") == 1
    got = raw(hk, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n" * 150)
    assert got.count(b"HTTP/1.1 404 ") == 100


def test_doctor_knows_it(hk):
    ports = [c for c in hk.cli_json("doctor")["checks"] if c["area"] == "port" and c["name"] == "https"]
    assert ports and all(c["state"] == "ok" and "HTTP/1.1 404" in c["detail"] for c in ports)


def test_idle_is_closed(make_instance):
    hk = make_instance(config={"timeout_web": "1s"}).start()
    started = time.monotonic()
    assert raw(hk, b"GET / HTTP/1.1\r\nHost", wait=15) == b"" and 0.5 < time.monotonic() - started < 6
    hk.assert_clean_log()


def test_wrong_mode(hk, tmp_path):
    conf = tmp_path / "hikyaku.conf"
    conf.write_text((hk.dir / "hikyaku.conf").read_text() + 'mta_sts_mode = "maybe"\n')
    done = subprocess.run([str(hk.dir / "bin/hikyakud"), "-t", "-c", str(conf)], capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 2 and "none, testing or enforce" in done.stderr
