# SPDX-License-Identifier: ISC
"""A mail filter for tests, on python3-milter (libmilter): milterd.py ADDRESS LOG [FLAG ...].

What it does is said by the mail itself: local parts and HELO names such as "reject-rcpt", and an X-Do field, whose
words are edits. Every event is a line of LOG. Flags: "quiet" negotiates away all answers that may be, "skip" skips the
body after its first piece, "bare" asks for no event but the end, "chosen" says which macros it wants at MAIL. Hosts of
CONNECT are refused at once."""
import base64
import io
import sys
import time
import zipfile

import Milter

LOG = None
FLAGS = set()
CONNECT = {"127.0.0.2": "reject-connect", "127.0.0.3": "tempfail-connect", "127.0.0.4": "lines-connect",
           "127.0.0.5": "accept-connect"}


def verdict(word):
    return {"reject": Milter.REJECT, "tempfail": Milter.TEMPFAIL, "accept": Milter.ACCEPT, "discard": Milter.DISCARD,
            "continue": Milter.CONTINUE}[word]


def locked_zip():
    """A member that says it is encrypted."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("secret.txt", "a text that is long enough")
    data = bytearray(out.getvalue())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


class Filter(Milter.Base):
    def __init__(self):
        self.todo, self.octets, self.sender = [], 0, ""

    def say(self, *words):
        with open(LOG, "a") as log:
            log.write(" ".join(str(w) for w in words) + "\n")

    def act(self, name, event):
        """name is "reject-rcpt...": what to do at that event."""
        words = name.split("@")[0].strip("<>").split("-")
        if len(words) < 2 or words[1] != event:
            return Milter.CONTINUE
        if words[0] == "code":
            self.setreply("550", "5.7.9", "a reply of my own")
            return Milter.REJECT
        if words[0] == "lines":
            self.setreply("451", "4.7.8", "one", "two 100%%")
            return Milter.TEMPFAIL
        if words[0] == "hang":
            time.sleep(30)
        return verdict(words[0])

    def connect(self, name, family, address):
        self.say("connect", name, family, address[0] if address else None, "j=" + str(self.getsymval("j")),
                 "daemon=" + str(self.getsymval("{daemon_name}")))
        return self.act(CONNECT.get(address[0] if address else None, ""), "connect")

    def hello(self, name):
        self.say("helo", name)
        return self.act(name, "helo")

    def envfrom(self, sender, *params):
        self.sender, self.octets, self.todo = sender, 0, []
        self.say("mail", sender, *params, "i=" + str(bool(self.getsymval("i"))),
                 "auth=" + str(self.getsymval("{auth_authen}")), "by=" + str(self.getsymval("{auth_type}")),
                 "port=" + str(self.getsymval("{client_port}")))
        return self.act(sender, "mail")

    def envrcpt(self, recipient, *params):
        self.say("rcpt", recipient, "addr=" + str(self.getsymval("{rcpt_addr}")))
        return self.act(recipient, "rcpt")

    def data(self):
        self.say("data")
        return self.act(self.sender, "data")

    def header(self, name, value):
        self.say("header", name, repr(value))
        if name == "X-Do":
            self.todo += value.split()
        return self.act(self.sender, "header")

    def eoh(self):
        self.say("eoh")
        return self.act(self.sender, "eoh")

    def body(self, chunk):
        self.octets += len(chunk)
        self.say("body", len(chunk))
        if "skip" in FLAGS:
            return Milter.SKIP
        return self.act(self.sender, "body")

    def eom(self):
        self.say("eom", self.octets)
        for word in self.todo:
            self.edit(word)
        return self.act(self.sender, "eom")

    def edit(self, word):
        if word == "add":
            self.addheader("X-Added", "one\n\ttwo")
        elif word == "top":
            self.addheader("X-Top", "first", 0)
            self.addheader("X-Below", "second", 1)
        elif word == "change":
            self.chgheader("Subject", 1, "changed")
        elif word == "change2":
            self.chgheader("X-Twice", 2, "changed")
        elif word == "delete":
            self.chgheader("X-Twice", 1, "")
        elif word == "new":
            self.chgheader("X-New", 1, "was not there")
        elif word == "body":
            self.replacebody("a new\nbody\n")
            self.replacebody("in two pieces\r\n")
        elif word == "virus":
            self.replacebody("X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*\r\n")
        elif word in ("program", "locked"):
            name, data = ("invoice.pdf.exe", b"MZ, as it were") if word == "program" else ("a.zip", locked_zip())
            self.chgheader("MIME-Version", 1, "1.0")
            self.chgheader("Content-Type", 1, "multipart/mixed; boundary=b")
            self.replacebody("--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/octet-stream\r\n"
                             f"Content-Disposition: attachment; filename={name}\r\nContent-Transfer-Encoding: base64\r\n"
                             f"\r\n{base64.b64encode(data).decode()}\r\n--b--\r\n")
        elif word == "big":
            for _ in range(40):
                self.replacebody("y" * 998 + "\r\n" + "z" * 49000 + "\r\n")
        elif word == "rcpt":
            self.addrcpt("<bob@example.test>")
        elif word == "rcptpar":
            self.addrcpt("<bob@example.test>", "NOTIFY=NEVER")
        elif word == "norcpt":
            self.delrcpt("<alice@example.test>")
        elif word == "from":
            self.chgfrom("<changed@elsewhere.test>")
        elif word == "quarantine":
            self.quarantine("looks odd")
        elif word == "progress":
            for _ in range(3):
                time.sleep(0.9)
                self.progress()

    def abort(self):
        self.say("abort")
        return Milter.CONTINUE

    def close(self):
        self.say("close")
        return Milter.CONTINUE


class Quiet(Filter):
    """Answers nothing before the end."""

    @Milter.noreply
    def connect(self, name, family, address):
        return super().connect(name, family, address)

    @Milter.noreply
    def hello(self, name):
        return super().hello(name)

    @Milter.noreply
    def header(self, name, value):
        return super().header(name, value)

    @Milter.noreply
    def eoh(self):
        return super().eoh()

    @Milter.noreply
    def body(self, chunk):
        return super().body(chunk)


class Bare(Filter):
    """Wants to hear little."""

    @Milter.nocallback
    def hello(self, name):
        raise AssertionError

    @Milter.nocallback
    def data(self):
        raise AssertionError

    @Milter.nocallback
    def body(self, chunk):
        raise AssertionError

    @Milter.nocallback
    def eoh(self):
        raise AssertionError


class Chosen(Filter):
    """Wants to know these at MAIL, and no others."""

    def negotiate(self, opts):
        # What @Milter.symlist is for; it gives libmilter octets, which Debian's does not take.
        self._ctx.setsymlist(Milter.M_ENVFROM, "{client_port} {mail_addr}")
        return super().negotiate(opts)

    def envfrom(self, sender, *params):
        self.say("chosen", self.getsymval("{mail_addr}"))
        return super().envfrom(sender, *params)


def main():
    global LOG
    address, LOG = sys.argv[1:3]
    FLAGS.update(sys.argv[3:])
    kinds = {"quiet": Quiet, "bare": Bare, "chosen": Chosen}
    Milter.factory = next((kinds[flag] for flag in kinds if flag in FLAGS), Filter)
    Milter.set_flags(Milter.ADDHDRS | Milter.CHGHDRS | Milter.CHGBODY | Milter.ADDRCPT | Milter.DELRCPT |
                     Milter.QUARANTINE | Milter.CHGFROM | Milter.ADDRCPT_PAR |
                     (Milter.SETSYMLIST if "chosen" in FLAGS else 0))
    Milter.runmilter("tests", address, 60)


main()
