# SPDX-License-Identifier: ISC
"""Clients that cost little themselves, and the mail they send."""
import base64
import concurrent.futures
import email.utils
import hashlib
import itertools
import random
import socket
import ssl
import threading
import time


END = b"\r\n.\r\n"
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname, CONTEXT.verify_mode = False, ssl.CERT_NONE


_of_thread = threading.local()


def read_buffer():
    """The thread's one buffer: a session is read by the thread that made it."""
    if not hasattr(_of_thread, "buffer"):
        _of_thread.buffer = bytearray(1 << 20)
    return _of_thread.buffer


def connect(port, tls, timeout):
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return CONTEXT.wrap_socket(sock) if tls else sock


class Smtp:
    """A pipelining SMTP client; signs in (without TLS) when it has a login."""

    def __init__(self, port, login=None):
        self.sock = connect(port, False, 120)
        self.file = self.sock.makefile("rb")
        self.reply(220)
        self.command("EHLO bench.test", 250)
        if login:
            plain = base64.b64encode("\0{}\0{}".format(*login).encode()).decode()
            self.command(f"AUTH PLAIN {plain}", 235)

    def reply(self, want):
        while True:
            line = self.file.readline()
            if not line.startswith(str(want).encode()):
                raise RuntimeError(f"SMTP: {line!r}")
            if line[3:4] != b"-":
                return line

    def command(self, text, want):
        self.sock.sendall(text.encode() + b"\r\n")
        return self.reply(want)

    def send(self, recipients, message, sender="bench@remote.test"):
        """One message; all recipients in one pipelined flight."""
        lines = [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in recipients] + ["DATA"]
        self.sock.sendall("".join(line + "\r\n" for line in lines).encode())
        for _ in range(len(recipients) + 1):
            self.reply(250)
        self.reply(354)
        self.sock.sendall(message + b"\r\n.\r\n" if not message.endswith(b"\r\n") else message + b".\r\n")
        self.reply(250)

    def close(self):
        try:
            self.command("QUIT", 221)
        finally:
            self.sock.close()


class Imap:
    """A raw IMAP client: commands in, octets counted until the tagged reply."""

    def __init__(self, port, user, password, tls=True):
        self.sock = connect(port, tls, 600)
        self.buffer = read_buffer()
        self.tags = 0
        self.sock.recv(4096)
        self.command(f'LOGIN "{user}" "{password}"')

    def send(self, text):
        self.tags += 1
        self.sock.sendall(f"a{self.tags} {text}\r\n".encode())
        return b"a%d " % self.tags

    def wait(self, tag, keep=True):
        """Everything up to the tagged reply, or only its length."""
        kept, tail, count = [], b"", 0
        while True:
            n = self.sock.recv_into(self.buffer)
            if n == 0:
                raise RuntimeError("IMAP: connection closed: %r" % tail[-200:])
            count += n
            if keep:
                kept.append(bytes(self.buffer[:n]))
            tail = (tail + bytes(self.buffer[max(0, n - 1024):n]))[-1024:]
            at = tail.rfind(b"\r\n" + tag)
            if at >= 0:
                at += 2
            elif count < 1024 and tail.startswith(tag):
                at = 0
            if at >= 0 and tail.endswith(b"\r\n"):
                if not tail[at:].startswith(tag + b"OK"):
                    raise RuntimeError(f"IMAP: {tail[at:]!r}")
                return b"".join(kept) if keep else count

    def command(self, text, keep=True):
        return self.wait(self.send(text), keep)

    def messages(self, mailbox="INBOX"):
        reply = self.command(f"STATUS {mailbox} (MESSAGES)")
        return int(reply.split(b"(MESSAGES ")[1].split(b")")[0])

    def fill(self, mailbox, messages, batch=500):
        """APPEND with batch messages in a command (MULTIAPPEND)."""
        messages = iter(messages)
        while some := list(itertools.islice(messages, batch)):
            self.tags += 1
            out = bytearray(b"a%d APPEND %s" % (self.tags, mailbox.encode()))
            for message in some:
                out += b" {%d+}\r\n%s" % (len(message), message)
            self.sock.sendall(out + b"\r\n")
            self.wait(b"a%d " % self.tags)

    def append_many(self, mailbox, messages, window=64):
        """APPEND with LITERAL+, window of them under way."""
        tags, waiting = [], b""

        def answer():
            nonlocal waiting
            while True:
                line, found, rest = waiting.partition(b"\r\n")
                if found:
                    waiting = rest
                    if line.startswith(tags[0]):
                        if b" OK" not in line[:24]:
                            raise RuntimeError(f"APPEND: {line!r}")
                        tags.pop(0)
                        return
                    continue
                n = self.sock.recv_into(self.buffer)
                if n == 0:
                    raise RuntimeError("APPEND: connection closed")
                waiting += bytes(self.buffer[:n])

        for message in messages:
            self.tags += 1
            self.sock.sendall(b"a%d APPEND %s {%d+}\r\n%s\r\n" % (
                self.tags, mailbox.encode(), len(message), message))
            tags.append(b"a%d " % self.tags)
            if len(tags) >= window:
                answer()
        while tags:
            answer()

    def close(self):
        try:
            self.command("LOGOUT")
        except (RuntimeError, OSError):
            pass
        self.sock.close()


class Pop3:
    """A POP3 client that counts octets of messages."""

    def __init__(self, port, user, password, tls):
        self.sock = connect(port, tls, 600)
        self.buffer = read_buffer()
        self.sock.recv(4096)
        self.command(f"USER {user}")
        self.command(f"PASS {password}")
        self.messages = int(self.command("STAT").split()[1])

    def command(self, text):
        self.sock.sendall(text.encode() + b"\r\n")
        line = b""
        while not line.endswith(b"\r\n"):
            more = self.sock.recv(4096)
            line += more
            if not more or not line.startswith(b"+OK"[:len(line)]):
                raise RuntimeError(f"POP3 {text.split()[0]}: {line!r}")
        return line

    def retrieve(self, window):
        """RETR of everything, window commands under way: the octets that came."""
        asked = done = octets = 0
        edge = b""
        while done < self.messages:
            if asked < self.messages and asked - done <= window // 2:
                upto = min(self.messages, done + window)
                self.sock.sendall(b"".join(b"RETR %d\r\n" % i for i in range(asked + 1, upto + 1)))
                asked = upto
            n = self.sock.recv_into(self.buffer)
            if n == 0:
                raise RuntimeError("POP3: connection closed")
            octets += n
            # The end of a message may lie across two reads.
            seam = edge + self.buffer[:min(4, n)]
            done += self.buffer.count(END, 0, n) + (END in seam)
            edge = (edge + self.buffer[max(0, n - 4):n])[-4:]
        return octets

    def close(self):
        self.command("QUIT")
        self.sock.close()


# ---- mail ----

WORDS = ("meeting report quarterly invoice shipment schedule update release customer network backup "
         "the a of and to in for with on is are will please find attached regards thank you review").split()
KANA = "お世話になっております会議資料の件ですが明日までにご確認ください。よろしくお願いいたします。請求書を添付しました"
NAMES = (("Hanako Yamada", "山田花子"), ("Taro Suzuki", "鈴木太郎"), ("Alice Martin", "田中"), ("Bob Smith", "佐藤"))


def _words(rng, octets):
    lines, line, size = [], [], 0
    while size < octets:
        word = rng.choice(WORDS)
        line.append(word)
        size += len(word) + 1
        if sum(map(len, line)) + len(line) > 70:
            lines.append(" ".join(line))
            line = []
    lines.append(" ".join(line))
    return "\r\n".join(lines) + "\r\n"


def _japanese(rng, octets):
    lines, size = [], 0
    while size < octets:
        at = rng.randrange(len(KANA) - 20)
        lines.append(KANA[at:] + KANA[:at - 1])
        size += 3 * len(KANA)
    return "\r\n".join(lines) + "\r\n"


def _word(text, charset):
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


def _base64(data):
    return base64.encodebytes(data).decode().replace("\n", "\r\n")


def _head(rng, i, kind):
    name, native = NAMES[i % len(NAMES)]
    date = email.utils.formatdate(1_700_000_000 + i * 61, localtime=False)
    key = hashlib.sha1(b"%d" % i).hexdigest()
    head = []
    for hop in range(1 + rng.randrange(4)):
        head.append(f"Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{rng.randrange(255)}])\r\n"
                    f"\tby relay{hop}.example.org (Postfix) with ESMTPS id {key[hop:hop + 12]}\r\n"
                    f"\tfor <user@example.test>; {date}")
    if rng.randrange(3):
        head.append("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=s1;\r\n"
                    f"\th=from:to:subject:date; bh={key}=;\r\n\tb={key * 4}")
    subject = " ".join(rng.choice(WORDS) for _ in range(2 + rng.randrange(8)))
    if kind in ("iso-2022-jp", "utf-8"):
        head.append(f"From: {_word(native, kind)} <user{i % 97}@example.net>")
        head.append("Subject: " + "\r\n ".join(_word(KANA[at:at + 12], kind) for at in range(0, 12 + i % 24, 12)))
    else:
        head.append(f"From: {name} <user{i % 97}@example.net>")
        head.append(f"Subject: {'Re: ' if i % 3 else ''}{subject}")
    to = ", ".join(f'"Person {j}" <person{j}@example.test>' for j in range(1 + (i * 7) % 5))
    head.append(f"To: {to}")
    if i % 4 == 0:
        head.append("Cc: staff@example.test, Team <team@example.net>")
    head += [f"Date: {date}", f"Message-ID: <{key}@example.net>"]
    if i % 3:
        head += [f"In-Reply-To: <{key[::-1]}@example.net>", f"References: <{key[1:]}@example.net> <{key[::-1]}@example.net>"]
    if i % 5 == 0:
        head += ["List-Id: Developers <dev.example.net>", "List-Post: <mailto:dev@example.net>",
                 "List-Unsubscribe: <https://example.net/unsubscribe>", "Precedence: list"]
    head += ["MIME-Version: 1.0", "User-Agent: Mozilla Thunderbird"]
    return head


def message(i, mean=10240):
    """Message number i of a mixed mailbox: always the same one."""
    rng = random.Random(i)
    kind = ("plain", "plain", "iso-2022-jp", "utf-8", "alternative", "alternative", "mixed", "related", "forward",
            "report")[i % 10]
    size = min(int(rng.lognormvariate(0, 0.8) * mean * 0.7) + 500, 300_000)
    head = _head(rng, i, kind)
    edge = "=_%s" % hashlib.md5(b"%d" % i).hexdigest()[:20]
    if kind == "plain":
        head.append("Content-Type: text/plain; charset=us-ascii; format=flowed")
        body = _words(rng, size)
    elif kind == "iso-2022-jp":
        head += ["Content-Type: text/plain; charset=ISO-2022-JP", "Content-Transfer-Encoding: 7bit"]
        body = _japanese(rng, size).encode("iso-2022-jp").decode("ascii")
    elif kind == "utf-8":
        head += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]
        body = _base64(_japanese(rng, size * 3 // 4).encode())
    else:
        sub = {"alternative": "alternative", "mixed": "mixed", "related": "related; type=\"multipart/alternative\"",
               "forward": "mixed", "report": "mixed"}[kind]
        head.append(f"Content-Type: multipart/{sub}; boundary=\"{edge}\"")
        text = f"--{edge}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        text += _words(rng, size // 3)
        html = ("Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<html><body>"
                + _words(rng, size // 2) + "</body></html>\r\n")
        if kind == "alternative":
            body = f"{text}--{edge}\r\n{html}"
        elif kind == "related":
            inner = edge + "in"
            body = (f"--{edge}\r\nContent-Type: multipart/alternative; boundary=\"{inner}\"\r\n\r\n"
                    f"--{inner}\r\nContent-Type: text/plain\r\n\r\n{_words(rng, 400)}--{inner}\r\n{html}--{inner}--\r\n"
                    f"--{edge}\r\nContent-Type: image/png; name=\"logo.png\"\r\nContent-ID: <logo@example.net>\r\n"
                    "Content-Disposition: inline; filename=\"logo.png\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                    + _base64(rng.randbytes(size // 3)))
        elif kind == "forward":
            body = (f"{text}--{edge}\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"
                    + "\r\n".join(_head(rng, i + 1, "plain")) + "\r\nContent-Type: text/plain\r\n\r\n"
                    + _words(rng, size // 2))
        else:
            files = 1 + i % 3
            body = text + "".join(
                f"--{edge}\r\nContent-Type: application/pdf;\r\n name=\"file{j}.pdf\"\r\n"
                f"Content-Disposition: attachment;\r\n filename*=utf-8''%E8%B3%87%E6%96%99{j}.pdf\r\n"
                f"Content-Transfer-Encoding: base64\r\n\r\n" + _base64(rng.randbytes(size // 2 // files))
                for j in range(files))
        body += f"--{edge}--\r\n"
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode("utf-8")


def plain(octets, sender):
    """The message that smtp-source would send: a header and lines of text."""
    head = (b"From: <%s>\r\n" % sender.encode() + b"Subject: from bench\r\nTo: <someone@remote.test>\r\n"
            b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <bench@remote.test>\r\n\r\n")
    return head + (b"X" * 78 + b"\r\n") * ((octets - len(head)) // 80)


_pool = []


def make_pool(kinds=2000):
    while len(_pool) < kinds:
        _pool.append(message(len(_pool)))


def mailbox(count):
    """count messages for a mailbox: as message(), each with its own id."""
    make_pool(min(count, 2000))
    for i in range(count):
        head, name, rest = _pool[i % len(_pool)].partition(b"\r\nMessage-ID: <")
        yield b"%s%s%d.%s" % (head, name, i, rest)


def crowd(threads, jobs, job):
    """job(i) for each i below jobs, by so many threads; what they returned."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return list(pool.map(job, range(jobs)))


def wait_for(done, seconds, every=0.02):
    """Wait until done() is true."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not done after {seconds} s")
        time.sleep(every)
