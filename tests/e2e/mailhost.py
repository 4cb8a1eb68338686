# SPDX-License-Identifier: ISC
"""A mail host on a loopback address of its own: what it offers and says is the test's choice."""
import base64
import hashlib
import hmac
import os
import socket
import socketserver
import ssl
import subprocess
import threading
import time


def tlsa(cert):
    """The data of a TLSA record 3 1 1 for a PEM certificate."""
    key = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=key, check=True,
                         capture_output=True).stdout
    return "3 1 1 " + hashlib.sha256(der).hexdigest()


class Message:
    def __init__(self, sender, params):
        self.sender, self.params, self.recipients, self.data, self.tls = sender, params, [], b"", None

    @property
    def text(self):
        return self.data.decode("latin-1")


class MailHost:
    """caps: lines of EHLO (STARTTLS and AUTH come by themselves); replies: {(verb, localpart or None): reply};
    certificate: (cert, key) PEM files, or None for no TLS; users: {name: password}; pause: seconds before the
    answer to a message."""

    def __init__(self, address, port, caps=("PIPELINING", "8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES"),
                 certificate=None, users=None, replies=None, implicit=False, mechanisms=("PLAIN", "LOGIN"),
                 pause=0):
        outer = self
        self.caps, self.users, self.replies, self.implicit = list(caps), users, replies or {}, implicit
        self.mechanisms, self.pause = mechanisms, pause
        self.messages, self.sessions, self.logins = [], 0, []
        self.context = None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.sessions += 1
                try:
                    Session(outer, self.request).run()
                except (OSError, EOFError):
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True
            request_queue_size = 200

        self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count=1, seconds=30):
        deadline = time.monotonic() + seconds
        while len(self.messages) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(self.messages)} of {count} messages came")
            time.sleep(0.02)
        return self.messages

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session:
    def __init__(self, host, sock):
        self.host, self.sock, self.message, self.tls = host, sock, None, None
        self.sock.settimeout(30)
        if host.implicit:
            self.start_tls()
        self.file = self.sock.makefile("rb")
        self.is_over = False

    def start_tls(self):
        self.sock = self.host.context.wrap_socket(self.sock, server_side=True)
        self.file = self.sock.makefile("rb")
        self.tls = self.sock.version()

    def say(self, *lines):
        self.sock.sendall(b"".join(line.encode() + b"\r\n" for line in lines))

    def line(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        return line.rstrip(b"\r\n").decode("utf-8")

    def run(self):
        self.say(self.host.replies.get(("GREETING", None), "220 host of a test"))
        while not self.is_over:
            line = self.line()
            verb, _, rest = line.partition(" ")
            method = getattr(self, "do_" + verb.lower(), None)
            if method is None:
                self.say("502 5.5.1 what?")
            else:
                method(rest)

    def do_ehlo(self, _):
        caps = list(self.host.caps)
        if self.host.context and not self.tls:
            caps.append("STARTTLS")
        if self.host.users:
            caps.append("AUTH " + " ".join(self.host.mechanisms))
        lines = ["host.of.a.test", *caps]
        self.say(*[f"250-{text}" for text in lines[:-1]], f"250 {lines[-1]}")

    def do_helo(self, _):
        self.say("250 host.of.a.test")

    def do_starttls(self, _):
        self.say("220 go")
        self.start_tls()

    def do_auth(self, rest):
        mechanism, _, initial = rest.partition(" ")
        if mechanism == "SCRAM-SHA-256":
            return self.scram(initial)
        if mechanism == "PLAIN":
            _, name, password = base64.b64decode(initial).decode().split("\0")
        else:
            self.say("334 VXNlcm5hbWU6")
            name = base64.b64decode(self.line()).decode()
            self.say("334 UGFzc3dvcmQ6")
            password = base64.b64decode(self.line()).decode()
        if self.host.users.get(name) == password:
            self.host.logins.append((mechanism, name, self.tls))
            return self.say("235 2.7.0 welcome")
        return self.say("535 5.7.8 wrong")

    def scram(self, initial):
        """RFC 5802, the server's side."""
        bare = base64.b64decode(initial).decode()[3:]
        fields = dict(part.split("=", 1) for part in bare.split(","))
        salt, nonce = os.urandom(12), fields["r"] + "server"
        first = f"r={nonce},s={base64.b64encode(salt).decode()},i=4096"
        self.say("334 " + base64.b64encode(first.encode()).decode())
        final = base64.b64decode(self.line()).decode()
        without, proof = final.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", self.host.users[fields["n"]].encode(), salt, 4096)
        client = hmac.digest(salted, b"Client Key", "sha256")
        message = f"{bare},{first},{without}".encode()
        signature = hmac.digest(hashlib.sha256(client).digest(), message, "sha256")
        if bytes(a ^ b for a, b in zip(client, signature)) != base64.b64decode(proof):
            return self.say("535 5.7.8 wrong")
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        self.say("334 " + base64.b64encode(b"v=" + base64.b64encode(server)).decode())
        self.line()
        self.host.logins.append(("SCRAM-SHA-256", fields["n"], self.tls))
        return self.say("235 2.7.0 welcome")

    def reply(self, verb, local=None, default="250 2.0.0 ok"):
        text = self.host.replies.get((verb, local), default)
        self.say(text)
        if text.startswith("421"):
            self.is_over = True
        return text

    def do_mail(self, rest):
        path, _, params = rest[5:].partition(" ")
        if self.reply("MAIL").startswith("250"):
            self.message = Message(path.strip("<>"), params.split())
            self.message.tls = self.tls

    def do_rcpt(self, rest):
        path, _, params = rest[3:].partition(" ")
        address = path.strip("<>")
        if self.message is None:
            return self.say("503 5.5.1 MAIL first")
        if self.reply("RCPT", address.split("@")[0]).startswith("250"):
            self.message.recipients.append((address, params.split()))
        return None

    def do_data(self, _):
        if self.message is None or not self.message.recipients:
            return self.say("503 5.5.1 RCPT first")
        self.say("354 go")
        lines = []
        while (line := self.file.readline()) != b".\r\n":
            if not line:
                raise EOFError
            lines.append(line[1:] if line.startswith(b".") else line)
        self.message.data = b"".join(lines)
        return self.finish()

    def do_bdat(self, rest):
        size, _, last = rest.partition(" ")
        self.message.data += self.file.read(int(size))
        if last == "LAST":
            return self.finish()
        return self.say("250 2.0.0 ok")

    def finish(self):
        time.sleep(self.host.pause)
        message, self.message = self.message, None
        text = self.host.replies.get(("END", None), "250 2.0.0 taken")
        # Before the answer: who hears it finds the message.
        if text.startswith("250"):
            self.host.messages.append(message)
        self.say(text)

    def do_rset(self, _):
        self.message = None
        self.say("250 2.0.0 ok")

    def do_noop(self, _):
        self.say("250 2.0.0 ok")

    def do_quit(self, _):
        self.say("221 2.0.0 bye")
        self.is_over = True
