# SPDX-License-Identifier: ISC
"""DKIM and ARC against three other implementations: what we sign they accept,
what they sign we accept, and what was changed nobody does. Keys are made here;
nobody asks a DNS."""

import base64
import os
import pathlib
import re
import subprocess

import dkim
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("HIKYAKU_BUILD", TOP / "build"))
PERL = TOP / "tests/mailauth/mail_dkim.pl"
DOMAIN = "signer.test"

HEAD = (b"From: Alice <alice@signer.test>\r\nTo: bob@example.test\r\n"
        b"Subject: a  folded\r\n\t subject \r\n"
        b"Date: Mon, 01 Jan 2024 10:00:00 +0000\r\n"
        b"Message-ID: <1@signer.test>\r\n")
MESSAGES = {
    "plain": HEAD + b"\r\nHello.\r\n",
    "empty-body": HEAD + b"\r\n",
    "blank-body": HEAD + b"\r\n\r\n\r\n\r\n",
    "trailing-blank-lines": HEAD + b"\r\nHello.\r\n\r\n \t\r\n\r\n",
    "blanks": HEAD + b"\r\n  a \t b  \r\n\tc\t\t\r\n   \r\nd\r\n",
    "8-bit": HEAD + b"MIME-Version: 1.0\r\nContent-Type: text/plain; "
                    b"charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
                    b"\r\n\xe6\x97\xa5\xe6\x9c\xac \xff\x80\r\n",
    "long-lines": HEAD + b"\r\n" + b"word " * 20000 + b"\r\n" +
                  b"x" * 70000 + b"\r\n",
    "many-lines": HEAD + b"\r\n" + b"".join(
        b"line %d  of many\r\n" % n for n in range(20000)),
    "dots": HEAD + b"\r\n.\r\n..\r\n...text\r\n",
    "twice": b"Received: from a\r\n\tby b; Mon, 01 Jan 2024 10:00:00 +0000\r\n"
             b"X-Twice: 1\r\nX-Twice:  2 \r\n" + HEAD +
             b"Keywords: one\r\nKeywords: two\r\n\r\nHello.\r\n",
    "odd-fields": b"X-Empty:\r\nX-Blank: \t \r\nx-CASE:   v\r\n" + HEAD +
                  b"\r\nHello.\r\n",
}


@pytest.fixture(scope="module")
def program():
    name = "tests/mailauth/mail_case"
    subprocess.run(["make", "-s", name], cwd=BUILD, check=True)
    return BUILD / name


class Keys:
    def __init__(self, folder):
        self.folder = folder
        self.records = {}
        self.make("rsa", "rsa", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
        self.make("ed25519", "ed", "ED25519")
        self.file = folder / "records.txt"
        self.file.write_text("".join(
            "%s\t%s\n" % item for item in self.records.items()))
        raw = subprocess.run(
            ["openssl", "pkey", "-in", self.pem("ed"), "-outform", "DER"],
            check=True, capture_output=True).stdout
        self.ed_seed = base64.b64encode(raw[-32:])

    def make(self, kind, selector, algorithm, *options):
        subprocess.run(["openssl", "genpkey", "-algorithm", algorithm,
                        *options, "-out", self.pem(selector)],
                       check=True, capture_output=True)
        if kind == "rsa":   # the form that all of them read
            subprocess.run(["openssl", "rsa", "-traditional", "-in",
                            self.pem(selector), "-out", self.pem(selector)],
                           check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.pem(selector),
                              "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        public = der if kind == "rsa" else der[-32:]
        self.records["%s._domainkey.%s" % (selector, DOMAIN)] = (
            "v=DKIM1; k=%s; p=%s" % (kind, base64.b64encode(public).decode()))

    def pem(self, selector):
        return str(self.folder / (selector + ".pem"))

    def txt(self, name, timeout=5):
        text = self.records.get(name.decode().rstrip("."))
        return text.encode() if text else None


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("messages")
    for name, text in MESSAGES.items():
        (folder / name).write_bytes(text)
    return folder


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return done.stdout


def ours_sign(program, keys, selector, path, *more):
    return run(program, "sign-dkim", "--key", keys.pem(selector), "--domain",
               DOMAIN, "--selector", selector, *more, path)


def ours_verify(program, keys, path, what="verify-dkim"):
    return run(program, what, "--dns", keys.file, path).decode().splitlines()


def changed(text):
    """The same message with another word."""
    return (text.replace(b"Hello", b"Hallo").replace(b"<1@", b"<2@"))


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text)
    return path


# ---- ours to others ----

@pytest.mark.parametrize("selector", ["rsa", "ed"])
def test_dkimpy_takes_ours(program, keys, files, tmp_path, selector):
    for name, text in MESSAGES.items():
        field = ours_sign(program, keys, selector, files / name)
        assert max(map(len, field.split(b"\r\n"))) <= 78
        assert dkim.verify(field + text, dnsfunc=keys.txt), name
        bad = field + changed(text)
        assert not dkim.verify(bad, dnsfunc=keys.txt), name


def test_mail_dkim_takes_ours(program, keys, files, tmp_path):
    paths = [write(tmp_path, name, ours_sign(program, keys, "rsa",
                                             files / name) + text)
             for name, text in MESSAGES.items()]
    paths.append(write(tmp_path, "bad", changed(paths[0].read_bytes())))
    lines = run("perl", PERL, "verify", keys.file, *paths).decode()
    lines = dict(zip([path.name for path in paths], lines.splitlines()))
    assert lines.pop("bad").startswith("fail")
    assert {name: line for name, line in lines.items() if line != "pass"} == {}


OPENDKIM = "/usr/sbin/opendkim"


def opendkim_says(folder, records, path):
    """What OpenDKIM finds out about each signature of a message, by records of
    (name, text): selector to "pass" or another result."""
    (folder / "dns.txt").write_text("".join("%s\t%s\n" % item
                                            for item in records))
    conf = folder / "opendkim.conf"
    conf.write_text("Mode v\nTestDNSData file:%s\nSyslog no\n" %
                    (folder / "dns.txt"))
    # It wants lines that end with LF.
    copy = write(folder, "message", path.read_bytes().replace(b"\r\n", b"\n"))
    # Without -vv it speaks of one signature, the first that holds.
    done = subprocess.run([OPENDKIM, "-x", str(conf), "-vv", "-t", str(copy)],
                          capture_output=True)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    found = {}
    for line in re.findall(r"\n\tdkim=(.*?)(?=[;']\n)", said, re.S):
        selector = re.search(r"\bheader\.s=(\S+)", line).group(1)
        assert selector not in found, said
        found[selector] = line.split()[0]
    assert found, said
    return found


@pytest.fixture(scope="module")
def opendkim(keys, tmp_path_factory):
    assert os.path.exists(OPENDKIM), "no OpenDKIM: conf/packages names it"
    folder = tmp_path_factory.mktemp("opendkim")
    return lambda path: opendkim_says(folder, keys.records.items(), path)


@pytest.mark.parametrize("selector", ["rsa", "ed"])
def test_opendkim_takes_ours(program, keys, files, tmp_path, opendkim,
                             selector):
    for name, text in MESSAGES.items():
        path = write(tmp_path, name, ours_sign(program, keys, selector,
                                               files / name) + text)
        assert opendkim(path) == {selector: "pass"}, name
        path = write(tmp_path, name, changed(path.read_bytes()))
        assert opendkim(path) == {selector: "fail"}, name


def test_opendkim_takes_both_of_ours(program, keys, files, tmp_path, opendkim):
    """Each of two signatures by itself, in either order."""
    fields = {selector: ours_sign(program, keys, selector, files / "plain")
              for selector in ("rsa", "ed")}
    for order in (("rsa", "ed"), ("ed", "rsa")):
        path = write(tmp_path, "both", b"".join(fields[s] for s in order) +
                     MESSAGES["plain"])
        assert opendkim(path) == {"rsa": "pass", "ed": "pass"}
        for bad in order:
            signed = {**fields, bad: fields[bad].replace(b" bh=", b" bh=A", 1)}
            assert signed != fields
            path = write(tmp_path, "one", b"".join(signed[s] for s in order) +
                         MESSAGES["plain"])
            said = opendkim(path)
            assert said.pop(bad) != "pass" and list(said.values()) == ["pass"]


# ---- others to ours ----

@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed",
                                  "relaxed/simple", "relaxed/relaxed"])
@pytest.mark.parametrize("selector", ["rsa", "ed"])
def test_we_take_dkimpy(program, keys, files, tmp_path, selector, form):
    header, body = form.encode().split(b"/")
    for name, text in MESSAGES.items():
        if selector == "rsa":
            key = pathlib.Path(keys.pem("rsa")).read_bytes()
            algorithm = b"rsa-sha256"
        else:
            key, algorithm = keys.ed_seed, b"ed25519-sha256"
        field = dkim.sign(text, selector.encode(), DOMAIN.encode(), key,
                          canonicalize=(header, body),
                          signature_algorithm=algorithm)
        path = write(tmp_path, name, field + text)
        said = ours_verify(program, keys, path)
        assert said[0].startswith("pass "), (name, said)
        path = write(tmp_path, name, field + changed(text))
        assert ours_verify(program, keys, path)[0].startswith("fail "), name


@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed",
                                  "relaxed/simple", "relaxed/relaxed"])
def test_we_take_mail_dkim(program, keys, files, tmp_path, form):
    paths = [write(tmp_path, name, text) for name, text in MESSAGES.items()]
    run("perl", PERL, "sign:" + form, keys.file, keys.pem("rsa"), DOMAIN,
        "rsa", *paths)
    for path in paths:
        said = ours_verify(program, keys, str(path) + ".signed")
        assert said[0].startswith("pass "), (path.name, said)


# ---- ARC ----

AUTHRES = (b"Authentication-Results: signer.test; spf=pass "
           b"smtp.mailfrom=alice@signer.test;\r\n\tdkim=none\r\n")


def ours_seal(program, keys, selector, path):
    return run(program, "seal-arc", "--dns", keys.file, "--key",
               keys.pem(selector), "--domain", DOMAIN, "--selector", selector,
               "--results", DOMAIN, path)


def test_arc_both_ways(program, keys, files, tmp_path):
    """Sets by us, dkimpy, us again and Mail::DKIM, each checked by all."""
    def accepted(text, sets):
        path = write(tmp_path, "check", text)
        said = ours_verify(program, keys, path, "verify-arc")[0]
        assert said.startswith("pass i=%d" % sets), said
        result, _, reason = dkim.arc_verify(text, dnsfunc=keys.txt)
        assert result == dkim.CV_Pass, reason
        said = run("perl", PERL, "verify-arc", keys.file, path).decode()
        assert said.startswith("pass"), said

    key = pathlib.Path(keys.pem("rsa")).read_bytes()
    for name in ("plain", "empty-body", "8-bit", "blanks", "twice"):
        text = AUTHRES + MESSAGES[name]
        path = write(tmp_path, name, text)
        text = ours_seal(program, keys, "rsa", path) + text
        accepted(text, 1)

        passed = AUTHRES.replace(b"; spf", b"; arc=pass; spf")
        text = passed + text
        text = b"".join(dkim.arc_sign(
            text, b"rsa", DOMAIN.encode(), key, DOMAIN.encode())) + text
        accepted(text, 2)

        path = write(tmp_path, name, text)
        text = ours_seal(program, keys, "rsa", path) + text
        accepted(text, 3)

        path = write(tmp_path, name, passed + text)
        run("perl", PERL, "seal", keys.file, keys.pem("rsa"), DOMAIN, "rsa",
            path)
        text = pathlib.Path(str(path) + ".sealed").read_bytes()
        accepted(text, 4)

        path = write(tmp_path, name, text.replace(b"<1@", b"<2@"))
        said = ours_verify(program, keys, path, "verify-arc")[0]
        assert said.startswith("fail i=4"), said
        # A broken chain is sealed once more and then never again.
        text = ours_seal(program, keys, "rsa", path) + path.read_bytes()
        assert b"cv=fail" in text
        path = write(tmp_path, name, text)
        assert ours_seal(program, keys, "rsa", path) == b""
