# SPDX-License-Identifier: ISC
"""SMTP by hand, where a well-behaved client would not do."""
import socket


class Smtp:
    def __init__(self, port, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.sock.makefile("rb")
        self.greeting = self.reply()

    def reply(self):
        """(code, [lines]); (0, []) when the server has closed."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return 0, lines
            assert line.endswith(b"\r\n"), line
            lines.append(line[:-2].decode("ascii"))
            if line[3:4] != b"-":
                return int(line[:3]), lines

    def send(self, data):
        self.sock.sendall(data)

    def cmd(self, line):
        self.send(line.encode() + b"\r\n" if isinstance(line, str) else line + b"\r\n")
        return self.reply()

    def code(self, line):
        return self.cmd(line)[0]

    def hello(self):
        assert self.code("EHLO client.test") == 250
        return self

    def begin(self, recipient="alice@example.test", sender="x@remote.test"):
        assert self.code(f"MAIL FROM:<{sender}>") == 250
        assert self.code(f"RCPT TO:<{recipient}>") == 250
        assert self.code("DATA") == 354

    def close(self):
        self.file.close()
        self.sock.close()
