# SPDX-License-Identifier: ISC
"""An IMAP client of bare lines and literals, for tests of extensions."""
import re
import socket

LITERAL = re.compile(rb"~?\{(\d+)\}\r\n$")


class Client:
    """Answers come whole: a line and the literals in it, as one bytes."""

    def __init__(self, hk, user="alice@example.test", *enable):
        sock = socket.create_connection(("127.0.0.1", hk.port("imaps")), 30)
        self.sock = hk.tls().wrap_socket(sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        self.n = 0
        self.greeting = self.answer()
        self.capability = self.ok(f'LOGIN {user} "{hk.passwords[user]}"')[-1]
        if enable:
            self.ok("ENABLE " + " ".join(enable))

    def answer(self):
        text = b""
        while True:
            line = self.file.readline()
            assert line, text
            text += line
            found = LITERAL.search(line)
            if not found:
                return text.removesuffix(b"\r\n")
            text += self.file.read(int(found[1]))

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def begin(self, text):
        self.n += 1
        tag = b"x%d" % self.n
        self.send(tag + b" " + (text.encode() if isinstance(text, str) else text) + b"\r\n")
        return tag

    def finish(self, tag):
        answers = []
        while True:
            answers.append(self.answer())
            if answers[-1].startswith(tag + b" "):
                return answers

    def cmd(self, text):
        """All answers up to and with the tagged one."""
        return self.finish(self.begin(text))

    def ok(self, text):
        answers = self.cmd(text)
        assert answers[-1].split()[1] == b"OK", answers[-1]
        return answers

    def append(self, box, *messages, flags=""):
        """One APPEND of all messages, by non-synchronising literals."""
        self.n += 1
        tag = b"x%d" % self.n
        out = tag + b" APPEND " + box.encode()
        for message in messages:
            out += (f" {flags}" if flags else "").encode() + b" {%d+}\r\n" % len(message) + message
        self.send(out + b"\r\n")
        answers = self.finish(tag)
        assert answers[-1].split()[1] == b"OK", answers
        return answers

    def close(self):
        self.file.close()
        self.sock.close()
