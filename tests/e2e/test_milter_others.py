# SPDX-License-Identifier: ISC
"""Mail filters as Debian has them, before our smtpd: OpenDKIM signs what users submit, rspamd's proxy judges what comes."""
import base64
import pathlib
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time

import dkim
import pytest

from ports import free_port
from test_filter import find
from test_mailauth_interop import program, run  # noqa: F401
from test_milter import instance, send
from test_roundtrip import imap

GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def start(port, *command, **kwargs):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kwargs)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise AssertionError(f"{command} does not start")


@pytest.fixture(scope="module")
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="hk-filters-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def opendkim(folder):
    port, key = free_port(), folder / "key.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(key), "2048"], check=True, capture_output=True)
    conf = folder / "opendkim.conf"
    conf.write_text(f"Socket inet:{port}@127.0.0.1\nMode s\nDomain example.test\nSelector sel\nKeyFile {key}\n"
                    "Canonicalization relaxed/relaxed\nRequireSafeKeys no\nSyslog no\nInternalHosts 127.0.0.1\n")
    process = start(port, "/usr/sbin/opendkim", "-f", "-x", str(conf))
    public = subprocess.run(["openssl", "rsa", "-in", str(key), "-pubout", "-outform", "DER"], check=True,
                            capture_output=True).stdout
    yield port, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def rspamd(folder):
    port, folder = free_port(), folder / "rspamd"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "tld").write_text("com\ntest\n")
    (folder / "rspamd.conf").write_text(f"""
options {{ pidfile = "{folder}/pid"; filters = ""; enable_test_patterns = true; url_tld = "{folder}/tld";
    hs_cache_dir = "{folder}"; tempdir = "{folder}"; dns {{ timeout = 0.1s; retransmits = 1; nameserver = ["127.0.0.1:9"]; }} }}
logging {{ type = "file"; filename = "{folder}/log"; level = "info"; }}
modules {{ path = "/usr/share/rspamd/plugins/milter_headers.lua"; }}
milter_headers {{ use = ["x-spamd-bar", "x-rspamd-action"]; skip_local = false; skip_authenticated = false; }}
actions {{ reject = 15; rewrite_subject = 8; add_header = 6; subject = "[suspicious] %s"; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; count = 1; milter = yes; timeout = 30s;
    upstream "local" {{ default = yes; self_scan = yes; }} }}
""")
    process = start(port, "/usr/bin/rspamd", "-f", "-i", "-c", str(folder / "rspamd.conf"))
    yield port
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


@pytest.fixture(scope="module")
def hk(opendkim, rspamd):
    hk = instance({"opendkim": (f"127.0.0.1@{opendkim[0]}", {}), "rspamd": (f"127.0.0.1@{rspamd}", {})},
                  {"smtp": ["rspamd"], "submission": ["opendkim"]})
    yield hk
    hk.assert_clean_log()
    hk.destroy()


def raw(hk, subject):
    """The message of that subject, octet by octet."""
    m = imap(hk)
    m.select("INBOX", readonly=True)
    number, = m.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
    data = m.fetch(number, "(BODY.PEEK[])")[1][0][1]
    m.logout()
    return data


@pytest.mark.parametrize("name,text", [("short", "hello\r\n"), ("long", ("0123456789" * 7 + "\r\n") * 20000),
                                       ("blank", "\r\n\r\n \t\r\n\r\n"), ("eight", "日本語のメール\r\n")],
                         ids=["short", "long", "blank", "eight"])
def test_opendkim_signs(hk, opendkim, program, tmp_path, name, text):  # noqa: F811
    """dkimpy and our own verifier accept what comes of it, and our own not what was changed then."""
    subject = f"signed-{name}"
    data = (f"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: {subject}\r\n folded  \r\n"
            f"Date: Mon, 02 Nov 2026 10:00:00 +0900\r\nMessage-ID: <{name}@example.test>\r\nMIME-Version: 1.0\r\n"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}").encode()
    with smtplib.SMTP("localhost", hk.port("submission"), timeout=60) as smtp:
        smtp.starttls(context=hk.tls())
        smtp.login("alice@example.test", hk.passwords["alice@example.test"])
        smtp.sendmail("alice@example.test", ["alice@example.test"], data, ["BODY=8BITMIME"])
    assert find(hk, subject) is not None
    got = raw(hk, subject)
    assert b"DKIM-Signature:" in got and got.endswith(data)
    assert dkim.verify(got, dnsfunc=lambda name, timeout=5: opendkim[1] if name == b"sel._domainkey.example.test." else None)
    (tmp_path / "records").write_bytes(b"sel._domainkey.example.test\t" + opendkim[1] + b"\n")
    for path, data, want in (("got", got, "pass d=example.test"), ("bad", got.replace(b"folded", b"unfolded", 1), "fail ")):
        (tmp_path / path).write_bytes(data)
        said, = run(program, "verify-dkim", "--dns", tmp_path / "records", tmp_path / path).decode().splitlines()
        assert said.startswith(want), said


@pytest.mark.parametrize("letter,code,field", [("X", 550, None), ("Y", 250, ("X-Spam", "Yes")), ("Z", 250, None),
                                               ("A", 250, None)])
def test_rspamd_judges(hk, letter, code, field):
    """Its test patterns: reject, add a header, rewrite the subject, do nothing."""
    subject = f"gtube-{letter}"
    data = (f"From: a@good.test\r\nTo: alice@example.test\r\nSubject: {subject}\r\nDate: Mon, 02 Nov 2026 10:00:00 +0900\r\n"
            f"Message-ID: <{letter}@good.test>\r\n\r\n{letter}{GTUBE}\r\n").encode()
    got, text = send(hk, data)
    assert got // 100 == code // 100, text
    if code != 250:
        assert re.match(r"5\.7\.1 ", text), text
        assert find(hk, subject, seconds=0) is None
        return
    msg = find(hk, subject)
    if field:
        assert msg[field[0]] == field[1], msg.items()
    if letter == "Z":
        assert msg["Subject"] == f"[suspicious] {subject}"
    assert msg.get_payload() == f"{letter}{GTUBE}\r\n"
