# SPDX-License-Identifier: ISC
"""The servers that are compared, behind one interface.

    open(users) -> (settle(), roots(), smtp_port, queued(), imap(user) ...)* -> close()
"""
import contextlib
import os
import pathlib
import re
import shutil
import sys
import tempfile

import clients
import peers
import procs

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import instance  # noqa: E402

PASSWORD = "correct horse battery"
DOMAIN = "example.test"


class Instance(instance.Instance):
    """One of a closed network: passwords without TLS, as the peers take them."""

    def configure(self, settings):
        super().configure(settings)
        path = self.dir / "hikyaku.conf"
        text = path.read_text()
        for name in ("imap", "pop3", "submission"):
            text = text.replace(f"listener {name} {{\n", f'listener {name} {{\n\tclear_logins = "yes"\n')
        path.write_text(text)


class Side:
    is_open = False

    def imap(self, user, tls=True):
        return clients.Imap(self.imap_port if tls else self.imap_plain_port, f"{user}@{DOMAIN}", self.password, tls)

    def pop3(self, user, tls=False):
        return clients.Pop3(self.pop3_port if tls else self.pop3_plain_port, f"{user}@{DOMAIN}", self.password, tls)

    def evict(self):
        """Drop the pages of its mail from the machine's cache."""
        os.sync()
        for folder, _, names in os.walk(self.mail):
            for name in names:
                with contextlib.suppress(OSError), open(os.path.join(folder, name), "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def cpu(self):
        return procs.cpu(self.roots())

    def pss(self):
        return procs.pss(self.roots())


class Hikyaku(Side):
    name = "hikyaku"
    ours = True
    password = PASSWORD

    def __init__(self, folder, config=None, zones=None):
        """zones: listener -> zone, where it is not the closed network."""
        # The peers of most cases judge nothing either.
        settings = {"remember_password": "1h", "sessions_per_user": "100", "filter": "no", **(config or {})}
        self.instance = Instance(base=folder, config=settings, zones=zones)
        self.folder = self.instance.dir
        self.mail = self.folder / "data"

    def open(self, users, with_password=None):
        """with_password: which users can sign in (a password costs 150 ms)."""
        self.instance.start()
        self.instance.domain(DOMAIN)
        with_password = set(users if with_password is None else with_password)
        csv = tempfile.NamedTemporaryFile("w", suffix=".csv", dir=self.folder)
        csv.write("address,password,name,quota,plan,aliases,forwards\n")
        for user in users:
            csv.write(f"{user}@{DOMAIN},{PASSWORD if user in with_password else ''},,,,,\n")
        csv.flush()
        self.instance.cli("account", "import", "--csv", csv.name)
        csv.close()
        self.smtp_port, self.submission_port = self.instance.port("smtp"), self.instance.port("submission")
        self.imap_port, self.imap_plain_port = self.instance.port("imaps"), self.instance.port("imap")
        self.pop3_port, self.pop3_plain_port = self.instance.port("pop3s"), self.instance.port("pop3")
        self.is_open = True
        return self

    def restart(self):
        self.instance.stop()
        self.instance.start()

    def roots(self):
        return [self.instance.pid()]

    def queued(self):
        """Items in the queue: each has its link below data/queue/b."""
        return sum(len(files) for _, _, files in os.walk(self.folder / "data/queue/b"))

    def forget_cache(self):
        """Nothing to forget: what FETCH needs was stored when the mail came."""

    def log(self):
        return self.instance.log()

    def signatures(self):
        """How many the scanner has loaded, those that come with us included."""
        return next((e["count"] for e in reversed(self.instance.events("scan.signatures.loaded"))), 0)

    def close(self):
        self.instance.destroy()


class Peers(Side):
    """Postfix with Dovecot behind it (kind: None for Postfix alone), or Dovecot alone (smtp=False)."""
    ours = False
    password = "secret"

    def __init__(self, folder, unpacked, tls, kind="mdbox", smtp=True, postfix=None, filters=None, **dovecot):
        """filters: made and started before Postfix, which asks those that have a port, in their order."""
        self.name = " ".join(["+".join(["postfix"] * smtp + ["dovecot"] * (kind is not None)), kind or ""]).strip()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="peer-", dir=folder))
        self.folder.chmod(0o755)
        self.unpacked, self.smtp, self.settings = unpacked, smtp, postfix or {}
        self.postfix = self.dovecot = None
        self.filters = [make(self.folder / f"filter{i}") for i, make in enumerate(filters or [])]
        if kind is not None:
            self.dovecot = peers.Dovecot(self.folder / "dovecot", unpacked, kind, tls / "cert.pem", tls / "key.pem",
                                         **dovecot)
            self.mail = self.dovecot.dir / "mail"

    def open(self, users, with_password=None):
        transport = "discard:"
        if self.dovecot:
            transport = f"lmtp:unix:{self.dovecot.dir}/run/lmtp"
            self.dovecot.start(users)
            self.imap_port, self.imap_plain_port = self.dovecot.imaps, self.dovecot.imap
            self.pop3_port, self.pop3_plain_port = self.dovecot.pop3s, self.dovecot.pop3
        for server in self.filters:
            server.start()
        milters = " ".join(f"inet:127.0.0.1:{server.port}" for server in self.filters if hasattr(server, "port"))
        if milters:
            self.settings = {**self.settings, "smtpd_milters": milters, "milter_default_action": "tempfail"}
        if self.smtp:
            self.postfix = peers.Postfix(self.folder / "postfix", self.unpacked, transport,
                                         [f"{user}@{DOMAIN}" for user in users], **self.settings)
            self.postfix.start()
            self.smtp_port = self.submission_port = self.postfix.port
        self.is_open = True
        return self

    def restart(self):
        for server in filter(None, (self.dovecot, self.postfix)):
            server.stop()
            server.start()

    def roots(self):
        return [root for server in (self.postfix, self.dovecot, *self.filters) if server for root in server.roots()]

    def queued(self):
        return self.postfix.queued()

    def forget_cache(self):
        self.dovecot.forget_cache()

    def log(self):
        return "".join(server.log() for server in (self.postfix, self.dovecot, *self.filters) if server)

    def signatures(self):
        """How many clamd says it has loaded."""
        loaded = re.findall(r"Loaded (\d+) signatures", "".join(server.log() for server in self.filters))
        return int(loaded[-1]) if loaded else 0

    def close(self):
        for server in (self.postfix, self.dovecot, *reversed(self.filters)):
            if server:
                server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
