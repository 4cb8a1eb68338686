# SPDX-License-Identifier: ISC
"""COMPRESS=DEFLATE through the front, with and without good manners."""
import os
import re
import time
import zlib

import pytest
from imapraw import Client


class File:
    """Lines and octets out of a compressed connection."""

    def __init__(self, sock):
        self.sock, self.unpack, self.rest = sock, zlib.decompressobj(-15), b""
        self.wire = 0

    def more(self):
        data = self.sock.recv(65536)
        self.wire += len(data)
        self.rest += self.unpack.decompress(data)
        return data

    def readline(self):
        while b"\n" not in self.rest:
            if not self.more():
                return b""
        line, self.rest = self.rest[:self.rest.index(b"\n") + 1], self.rest[self.rest.index(b"\n") + 1:]
        return line

    def read(self, n):
        while len(self.rest) < n:
            if not self.more():
                break
        data, self.rest = self.rest[:n], self.rest[n:]
        return data

    def close(self):
        pass


class Compressed(Client):
    def __init__(self, hk, *args):
        super().__init__(hk, *args)
        self.ok("COMPRESS DEFLATE")
        self.pack = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.file = File(self.sock)

    def send(self, data):
        if not hasattr(self, "pack"):
            return super().send(data)
        data = data.encode() if isinstance(data, str) else data
        return self.sock.sendall(self.pack.compress(data) + self.pack.flush(zlib.Z_SYNC_FLUSH))


def test_a_session(hk):
    c = Compressed(hk)
    noise = b"Subject: noise\r\n\r\n" + os.urandom(400_000).replace(b"\0", b"x") + b"\r\n"
    words = b"Subject: words\r\n\r\n" + b"the same again and again\r\n" * 40_000
    c.append("INBOX", noise, words)
    c.ok("SELECT INBOX")
    before = c.file.wire
    assert c.ok("FETCH 2 BODY.PEEK[]")[0].endswith(words + b")")
    assert c.file.wire - before < len(words) / 20
    assert c.ok("FETCH 1 BODY.PEEK[]")[0].endswith(noise + b")")
    assert b"COMPRESSIONACTIVE" in c.cmd("COMPRESS DEFLATE")[-1]
    c.close()


def test_parked_and_woken(hk):
    c = Compressed(hk)
    c.ok("SELECT INBOX")
    tag = c.begin("IDLE")
    assert c.answer().startswith(b"+")
    for _ in range(2):
        time.sleep(2.5)
        other = Client(hk)
        other.append("INBOX", b"Subject: new\r\n\r\nx\r\n")
        other.close()
        while not re.match(rb"\* \d+ EXISTS", c.answer()):
            pass
    c.send("DONE\r\n")
    assert b" OK " in c.finish(tag)[-1]
    c.close()


def test_one_octet_at_a_time(hk):
    c = Compressed(hk)
    data = c.pack.compress(b"z1 NOOP\r\n") + c.pack.flush(zlib.Z_SYNC_FLUSH)
    for i in range(len(data)):
        c.sock.sendall(data[i:i + 1])
    assert b" OK " in c.finish(b"z1")[-1]
    c.close()


@pytest.mark.parametrize("what", ["plain", "garbage", "end", "bomb"])
def test_bad_manners_end_it(hk, what):
    c = Compressed(hk)
    try:
        if what == "plain":
            c.sock.sendall(b"a NOOP\r\n")
        elif what == "garbage":
            c.sock.sendall(b"\xff" * 1000)
        elif what == "end":
            c.sock.sendall(c.pack.flush(zlib.Z_FINISH))
            c.sock.sendall(b"\0")
        else:
            # 400 KB that unfold to 400 MB of one line.
            piece = c.pack.compress(b"a" * 40_000_000) + c.pack.flush(zlib.Z_SYNC_FLUSH)
            for _ in range(10):
                c.sock.sendall(piece)
        c.sock.settimeout(60)
        while c.sock.recv(65536):
            pass
    except OSError as e:
        assert not isinstance(e, TimeoutError)
    c.close()
    other = Client(hk)
    other.ok("NOOP")
    other.close()


def test_octets_behind_the_command(hk):
    """Pipelined behind COMPRESS they were not compressed: refused, or the end."""
    c = Client(hk)
    c.send("a COMPRESS DEFLATE\r\nb NOOP\r\n")
    got = b""
    while b"b OK" not in got:
        data = c.sock.recv(65536)
        if not data:
            break
        got += data
    assert b"a BAD" in got or b"b OK" not in got
    c.close()
