# SPDX-License-Identifier: ISC
"""getmail and fetchmail: every message comes once, to the octet, and stays or goes as they were told."""
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile

import pytest

import messages
from clients import ALICE, as_nobody, empty, run
from test_roundtrip import imap, send, wait_messages

CORPUS = {name: data for name, data in messages.corpus().items() if name != "no-separator"}


@pytest.fixture(autouse=True)
def filled(hk):
    empty(hk, ALICE)
    for data in CORPUS.values():
        send(hk, data)
    wait_messages(hk, len(CORPUS)).logout()


@pytest.fixture
def home():
    """A folder of nobody's."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="hk-home-"))
    shutil.chown(folder, "nobody", "nogroup")
    yield folder
    shutil.rmtree(folder)


def count(hk, user=ALICE):
    m = imap(hk, user)
    found = int(m.select("INBOX", readonly=True)[1][0])
    m.logout()
    return found


def one_more(hk, subject=b"one more"):
    before = count(hk)
    send(hk, messages.head(subject) + b"\r\nx\r\n")
    wait_messages(hk, before + 1).logout()


def unixed(data):
    return data.replace(b"\r\n", b"\n").rstrip(b"\n")


# ---- getmail ----

def getmail(hk, folder, kind, **options):
    maildir = folder / "Maildir"
    for sub in ("cur", "new", "tmp"):
        (maildir / sub).mkdir(parents=True, exist_ok=True)
    for path in (maildir, *maildir.iterdir()):
        shutil.chown(path, "nobody", "nogroup")
    rc = folder / "getmailrc"
    port = hk.port("pop3s" if "POP3" in kind else "imaps")
    lines = ["[retriever]", f"type = {kind}", "server = localhost", f"port = {port}", f"username = {ALICE}",
             f"password = {hk.passwords[ALICE]}", f"ca_certs = {hk.ca}", "[destination]", "type = Maildir",
             f"path = {maildir}/", "[options]", "delivered_to = false", "received = false", "verbose = 2"]
    rc.write_text("\n".join(lines + [f"{key} = {value}" for key, value in options.items()]) + "\n")
    text = run(as_nobody("getmail", "--getmaildir", folder, "--rcfile", rc), home=folder)
    return text, [re.sub(rb"X-getmail-.*\n", b"", p.read_bytes()) for p in sorted((maildir / "new").iterdir())]


@pytest.mark.parametrize("kind", ["SimplePOP3SSLRetriever", "SimpleIMAPSSLRetriever"])
def test_getmail(hk, home, kind):
    text, got = getmail(hk, home, kind, read_all="false", delete="false")
    assert len(got) == len(CORPUS), text
    for data in CORPUS.values():
        assert any(unixed(one).endswith(unixed(data)) for one in got), (data[:300], got[0])
    assert count(hk) == len(CORPUS)
    # Only what is new; what it has seen it knows by UIDL or UID.
    one_more(hk)
    _, got = getmail(hk, home, kind, read_all="false", delete="false")
    assert len(got) == len(CORPUS) + 1
    _, got = getmail(hk, home, kind, read_all="true", delete="true")
    assert len(got) == 2 * len(CORPUS) + 2 and count(hk) == 0


# ---- fetchmail ----

@pytest.fixture
def fingerprint(hk):
    """What a careful user gives his fetchmail: the certificate is known to him."""
    pem = ssl.get_server_certificate(("localhost", hk.port("pop3s")))
    done = subprocess.run(["openssl", "x509", "-noout", "-fingerprint", "-md5"], input=pem, capture_output=True,
                          text=True, check=True)
    return done.stdout.split("=")[1].strip()


def fetchmail(hk, folder, fingerprint, protocol, options, status=0):
    (folder / "got").mkdir(exist_ok=True)
    shutil.chown(folder / "got", "nobody", "nogroup")
    script = folder / "mda"
    script.write_text(f"#!/bin/sh\ncat >\"$(mktemp {folder}/got/XXXXXXXX)\"\n")
    script.chmod(0o755)
    rc = folder / "fetchmailrc"
    tls = "ssl" if protocol.startswith("tls-") else "sslproto TLS1.2+"
    kind = protocol.removeprefix("tls-")
    port = hk.port({"POP3": "pop3", "IMAP": "imap"}[kind] + ("s" if tls == "ssl" else ""))
    rc.write_text(f"""\
set no bouncemail
set idfile {folder}/ids
poll localhost protocol {kind} port {port} {"uidl" if kind == "POP3" else ""}
  user "{ALICE}" password "{hk.passwords[ALICE]}" {tls} sslcertck sslcertfile {hk.ca} sslfingerprint "{fingerprint}"
  {options} no rewrite mda "{script}"
""")
    rc.chmod(0o700)
    shutil.chown(rc, "nobody", "nogroup")
    text = run(as_nobody("fetchmail", "-v", "--nodetach", "--nosyslog", "--pidfile", folder / "pid", "-f", rc),
               home=folder, status=status, FETCHMAILHOME=str(folder))
    return text, [p.read_bytes() for p in (folder / "got").iterdir()]


@pytest.mark.parametrize("protocol", ["POP3", "tls-POP3", "IMAP", "tls-IMAP"])
def test_fetchmail_keeps(hk, home, fingerprint, protocol):
    text, got = fetchmail(hk, home, fingerprint, protocol, "keep")
    assert len(got) == len(CORPUS), text[-3000:]
    for name, data in CORPUS.items():
        if name == "line-10000":        # fetchmail cuts at 8191 octets, with what lies behind its buffer
            continue
        body = unixed(data).partition(b"\n\n")[2]
        assert any(unixed(one).endswith(body) for one in got), (data[:300], text[-3000:])
    one_more(hk)
    fetchmail(hk, home, fingerprint, protocol, "keep")
    text, got = fetchmail(hk, home, fingerprint, protocol, "keep", status=1)       # no mail
    assert len(got) == len(CORPUS) + 1 == count(hk), text[-3000:]


@pytest.mark.parametrize("protocol", ["POP3", "tls-IMAP"])
def test_fetchmail_takes_away(hk, home, fingerprint, protocol):
    text, got = fetchmail(hk, home, fingerprint, protocol, "nokeep expunge 3")
    assert len(got) == len(CORPUS) and count(hk) == 0, text[-3000:]
    fetchmail(hk, home, fingerprint, protocol, "nokeep", status=1)
