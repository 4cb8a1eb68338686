# SPDX-License-Identifier: ISC
"""Postfix and Dovecot of Debian, unpacked, each in a folder of its own.

Nothing is installed and no service is started: the packages are fetched and
unpacked into a cache, and the servers run from there on loopback, with their
own configuration, until stop().
"""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import time

import procs

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from ports import free_port  # noqa: E402

FIRST_UID = 1_000_000
PACKAGES = {"postfix": ["postfix"],
            "dovecot": ["dovecot-core", "dovecot-imapd", "dovecot-lmtpd", "dovecot-pop3d"],
            "clamav": ["clamav-base", "clamav-daemon", "clamav-milter", "libmilter1.0.1"],
            "opendkim": ["opendkim", "libopendkim11", "libvbr2", "librbl1", "liblua5.3-0", "libopendbx1",
                         "libmemcached11", "libmilter1.0.1"]}


def fetch(cache):
    """Unpack the packages below cache, unless they are there."""
    cache.mkdir(parents=True, exist_ok=True)
    for name, packages in PACKAGES.items():
        if all((cache / name / "usr/share/doc" / package).is_dir() for package in packages):
            continue
        debs = cache / "debs"
        debs.mkdir(exist_ok=True)
        subprocess.run(["apt-get", "-o", "APT::Sandbox::User=root", "download", "-q", *packages], cwd=debs,
                       check=True, stdout=subprocess.DEVNULL)
        for package in packages:
            for deb in debs.glob(f"{package}_*.deb"):
                subprocess.run(["dpkg", "-x", str(deb), str(cache / (name + ".new"))], check=True)
        shutil.rmtree(cache / name, ignore_errors=True)
        (cache / (name + ".new")).rename(cache / name)
    return cache


def make_users():
    """The users that the peers' packages would have made."""
    def add(name, *args):
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
                            "--shell", "/usr/sbin/nologin", *args, name], check=True)
    subprocess.run(["groupadd", "--system", "-f", "postdrop"], check=True)
    add("postfix", "--user-group")
    add("dovecot", "--user-group")
    add("dovenull", "--user-group")
    add("vmail", "--user-group")


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            return bool(s.recv(100))
    except OSError:
        return False


class Server:
    process = None

    def wait_port(self, port):
        deadline = time.monotonic() + 20
        while not answers(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.dir}: does not start\n" + self.log()[-3000:])
            time.sleep(0.05)

    def log(self):
        text = ""
        for name in ("stdout", "mail.log"):
            path = self.dir / name
            if path.exists():
                text += path.read_text(errors="replace")
        return text

    def inside(self, *command):
        """The command, with the unpacked /usr over the machine's for it alone.

        The servers have paths compiled in; a private mount namespace gives
        them these without a file of theirs outside the cache.
        """
        mount = f"mount -t overlay overlay -o lowerdir={self.top}/usr:/usr /usr"
        return ["unshare", "--mount", "sh", "-c", mount + ' && exec "$@"', "sh", *map(str, command)]

    def run(self, *command):
        with open(self.dir / "stdout", "ab") as out:
            self.process = subprocess.Popen(self.inside(*command), stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(self):
        if self.process is None:
            return
        everything = procs.tree(self.process.pid)
        procs.end([self.process.pid])
        self.process.wait()
        procs.end(everything)
        self.process = None


class Postfix(Server):
    """start() -> ... -> stop(). Delivers by transport ("discard:" or "lmtp:...")."""

    def __init__(self, folder, unpacked, transport, users, **settings):
        self.dir = pathlib.Path(folder)
        self.top = unpacked / "postfix"
        self.port = free_port()
        self.transport, self.users, self.settings = transport, users, settings

    def start(self):
        queue, conf = self.dir / "queue", self.dir / "conf"
        if not conf.exists():
            self._layout(queue, conf)
        self.run("/usr/lib/postfix/sbin/master", "-c", conf, "-d")
        self.wait_port(self.port)
        return self

    def _layout(self, queue, conf):
        conf.mkdir(parents=True)
        owner, drop = pwd.getpwnam("postfix"), __import__("grp").getgrnam("postdrop")
        queue.mkdir()
        for name in "active bounce corrupt defer deferred flush hold incoming private saved trace".split():
            (queue / name).mkdir(mode=0o700)
            os.chown(queue / name, owner.pw_uid, -1)
        for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            (queue / name).mkdir()
            os.chown(queue / name, owner.pw_uid, drop.gr_gid)
            os.chmod(queue / name, mode)
        (queue / "pid").mkdir()
        (self.dir / "data").mkdir()
        os.chown(self.dir / "data", owner.pw_uid, -1)
        settings = {
            "compatibility_level": "3.6", "queue_directory": queue, "data_directory": self.dir / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
            "shlib_directory": "/usr/lib/postfix", "meta_directory": self.top / "etc/postfix",
            "mail_owner": "postfix", "setgid_group": "postdrop", "default_database_type": "hash",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "mynetworks": "127.0.0.0/8",
            "myhostname": "mail.example.test", "mydestination": "", "alias_maps": "", "alias_database": "",
            "local_recipient_maps": "", "virtual_mailbox_domains": "example.test",
            "virtual_mailbox_maps": f"hash:{conf}/users", "virtual_transport": self.transport,
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "message_size_limit": "52428800", "maillog_file": self.dir / "mail.log",
            "maillog_file_prefixes": self.dir, **self.settings}
        (conf / "main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        (conf / "users").write_text("".join(f"{user} x\n" for user in self.users))
        (conf / "master.cf").write_text(f"""\
127.0.0.1:{self.port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""")
        subprocess.run(self.inside("/usr/sbin/postmap", "-c", conf, f"hash:{conf}/users"), check=True)

    def queued(self):
        """Messages in the queue: the files there."""
        return sum(len(files) for name in ("incoming", "active", "deferred", "maildrop")
                   for _, _, files in os.walk(self.dir / "queue" / name))

    def roots(self):
        return [self.process.pid]


class Clamd(Server):
    """start() -> ... -> stop(): the scanner, with the signatures of a folder and no others."""

    def __init__(self, folder, unpacked, signatures):
        self.dir, self.top, self.signatures = pathlib.Path(folder), unpacked / "clamav", signatures
        self.socket = self.dir / "clamd.sock"

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "clamd.conf").write_text(f"""\
Foreground yes
LogFile {self.dir}/mail.log
LocalSocket {self.socket}
DatabaseDirectory {self.signatures}
TemporaryDirectory {self.dir}
User root
MaxThreads 4
""")
        self.run("/usr/sbin/clamd", "-c", self.dir / "clamd.conf")
        deadline = time.monotonic() + 120
        while not self.socket.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"clamd does not start\n{self.log()[-3000:]}")
            time.sleep(0.1)

    def roots(self):
        return [self.process.pid]


class MilterServer(Server):
    """A mail filter on a port of loopback: what all of them have."""

    def __init__(self, folder, unpacked):
        self.dir, self.top = pathlib.Path(folder), unpacked / self.package
        self.port = free_port()

    def wait_listens(self):
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.package} does not start\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def roots(self):
        return [self.process.pid]


class ClamavMilter(MilterServer):
    package = "clamav"

    def __init__(self, folder, unpacked, clamd):
        super().__init__(folder, unpacked)
        self.clamd = clamd

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "milter.conf").write_text(f"""\
Foreground yes
LogFile {self.dir}/mail.log
MilterSocket inet:{self.port}@127.0.0.1
ClamdSocket unix:{self.clamd.socket}
OnInfected Reject
RejectMsg found %v
OnFail Defer
AddHeader Replace
User root
""")
        self.run("/usr/sbin/clamav-milter", "-c", self.dir / "milter.conf")
        self.wait_listens()


class OpenDkim(MilterServer):
    """Verifies what comes from anywhere. It reads the keys from a file, which is to its advantage: given a resolver on
    a port of its own (ResolverConfiguration) it ends under load, in libunbound's reader of the configuration."""
    package = "opendkim"

    def __init__(self, folder, unpacked, keys):
        """keys: name -> record"""
        super().__init__(folder, unpacked)
        self.keys = keys

    def start(self):
        self.dir.mkdir(parents=True, exist_ok=True)
        (self.dir / "nobody").write_text("192.0.2.1\n")
        (self.dir / "keys").write_text("".join(f"{name} {record}\n" for name, record in self.keys.items()))
        (self.dir / "opendkim.conf").write_text(f"""\
Mode v
Socket inet:{self.port}@127.0.0.1
InternalHosts {self.dir}/nobody
TestPublicKeys {self.dir}/keys
AlwaysAddARHeader yes
AuthservID mail.example.test
Background no
Syslog no
UserID root
RequireSafeKeys no
""")
        self.run("/usr/sbin/opendkim", "-f", "-x", self.dir / "opendkim.conf")
        self.wait_listens()


class Dovecot(Server):
    """start() -> ... -> stop(). Every user exists, with the password "secret"."""

    def __init__(self, folder, unpacked, kind, cert, key, hibernate=None, fast_login=False):
        """hibernate: after how long an IDLE session sleeps ("1s").

        fast_login: its manual's "high-performance mode", where a login
        process serves many connections.
        """
        self.dir = pathlib.Path(folder)
        self.top = unpacked / "dovecot"
        self.kind, self.cert, self.key, self.hibernate = kind, cert, key, hibernate
        self.fast_login = fast_login or hibernate
        self.imap, self.imaps, self.pop3, self.pop3s = (free_port() for _ in range(4))

    def start(self, users=()):
        if not (self.dir / "dovecot.conf").exists():
            self._layout(users)
        self.run("/usr/sbin/dovecot", "-F", "-c", self.dir / "dovecot.conf")
        self.wait_port(self.imap)
        return self

    def _layout(self, users):
        self.dir.mkdir(parents=True)
        (self.dir / "mail").mkdir()
        shutil.chown(self.dir / "mail", "vmail", "vmail")
        userdb = f"driver = static\n  args = uid=vmail gid=vmail home={self.dir}/mail/%n"
        if self.hibernate:
            # A sleeping session keeps an inotify instance, and Linux gives a
            # user 128 of them: so each has a user id of its own here.
            (self.dir / "mail").chmod(0o1777)
            (self.dir / "users").write_text("".join(
                f"{user}::{FIRST_UID + i}:{FIRST_UID + i}::{self.dir}/mail/{i}\n" for i, user in enumerate(users)))
            userdb = f"driver = passwd-file\n  args = username_format=%n {self.dir}/users"
        location = "mdbox:~/mdbox" if self.kind == "mdbox" else "maildir:~/Maildir"
        (self.dir / "dovecot.conf").write_text(f"""\
base_dir = {self.dir}/run
state_dir = {self.dir}/state
log_path = {self.dir}/mail.log
protocols = imap lmtp pop3
listen = 127.0.0.1
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{self.cert}
ssl_key = <{self.key}
mail_location = {location}
first_valid_uid = 1
mail_max_userip_connections = 0
default_client_limit = 40000
{f"imap_hibernate_timeout = {self.hibernate}" if self.hibernate else ""}
passdb {{
  driver = static
  args = password={{PLAIN}}secret
}}
userdb {{
  {userdb}
}}
service imap-login {{
  inet_listener imap {{
    port = {self.imap}
  }}
  inet_listener imaps {{
    port = {self.imaps}
    ssl = yes
  }}
  process_limit = {4 if self.fast_login else 12000}
  {"service_count = 0" if self.fast_login else ""}
  {"process_min_avail = 2" if self.fast_login else ""}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {self.pop3}
  }}
  inet_listener pop3s {{
    port = {self.pop3s}
    ssl = yes
  }}
}}
service imap {{
  process_limit = 12000
  unix_listener imap-master {{
    user = dovecot
  }}
}}
service imap-hibernate {{
  unix_listener imap-hibernate {{
    mode = 0666
  }}
}}
service lmtp {{
  unix_listener lmtp {{
    mode = 0666
  }}
}}
""")

    def roots(self):
        return [self.process.pid]

    def forget_cache(self):
        """Drop what FETCH has cached, so that the next one is a first one."""
        for path in (self.dir / "mail").rglob("dovecot.index.cache"):
            path.unlink()
