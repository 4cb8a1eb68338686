# SPDX-License-Identifier: ISC
"""SCRAM-SHA-256 (RFC 7677) by hand over each protocol: a client nobody here wrote agrees on the RFC."""
import base64
import hashlib
import hmac
import socket

import pytest


class Line:
    """A TLS connection by lines."""

    def __init__(self, hk, listener):
        raw = socket.create_connection(("localhost", hk.port(listener)), 30)
        self.sock = hk.tls().wrap_socket(raw, server_hostname="localhost")
        self.file = self.sock.makefile("rb")

    def ask(self, line):
        self.sock.sendall(line.encode() + b"\r\n")
        return self.read()

    def read(self):
        return self.file.readline().decode().rstrip("\r\n")

    def close(self):
        self.file.close()
        self.sock.close()


def smtp(hk):
    line = Line(hk, "smtps")
    line.read()
    answer = line.ask("EHLO client.test")
    while answer[3:4] == "-":
        answer = line.read()
    return line, "AUTH SCRAM-SHA-256 ", "334 ", "235"


def imap(hk):
    line = Line(hk, "imaps")
    line.read()
    return line, "a AUTHENTICATE SCRAM-SHA-256 ", "+ ", "a OK"


def pop3(hk):
    line = Line(hk, "pop3s")
    line.read()
    return line, "AUTH SCRAM-SHA-256 ", "+ ", "+OK"


def scram(hk, protocol, user, password):
    """True: let in. The server has proven that it knows the password, too."""
    line, command, goes_on, good = protocol(hk)
    try:
        bare = f"n={user},r=fyko+d2lbbFgONRv9qkxdawL"
        answer = line.ask(command + base64.b64encode(("n,," + bare).encode()).decode())
        assert answer.startswith(goes_on), answer
        first = base64.b64decode(answer[len(goes_on):]).decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        assert fields["r"].startswith("fyko+d2lbbFgONRv9qkxdawL") and int(fields["i"]) >= 4096
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={fields['r']}"
        auth = f"{bare},{first},{final}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), auth, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        answer = line.ask(base64.b64encode(f"{final},p={base64.b64encode(proof).decode()}".encode()).decode())
        if not answer.startswith(goes_on):
            assert not answer.startswith(good)
            return False
        want = base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), auth, "sha256")).decode()
        if base64.b64decode(answer[len(goes_on):]).decode() != "v=" + want:
            return False
        return line.ask("").startswith(good)
    finally:
        line.close()


@pytest.mark.parametrize("protocol", [smtp, imap, pop3])
def test_scram(hk, protocol):
    assert scram(hk, protocol, "alice@example.test", hk.passwords["alice@example.test"])
    assert not scram(hk, protocol, "alice@example.test", "wrong")
    assert not scram(hk, protocol, "nobody@example.test", "wrong")
