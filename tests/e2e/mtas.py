# SPDX-License-Identifier: ISC
"""Postfix and Exim of Debian as mail hosts: unpacked, not installed (they conflict), each on an address of its own.
What they take they hand on to `sink` (address, port), so that a test sees what arrived; with `ca` inside TLS only."""
import pathlib
import pwd
import shutil
import socket
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "bench"))
import peers  # noqa: E402
from lock import lock  # noqa: E402

CACHE = pathlib.Path("/var/cache/hikyaku-mta")
PACKAGES = {"postfix": ["postfix"], "exim": ["exim4-base", "exim4-daemon-light", "libgnutls-dane0"]}


def apt(*args, cwd):
    return subprocess.run(["apt-get", "-o", "APT::Sandbox::User=root", "-q", *args], cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)


def fetch(name):
    """The folder a program is unpacked in. Raises where it cannot be had: nothing that needs it goes untested unseen."""
    with lock("mta"):
        return _fetch(name)


def _fetch(name):
    CACHE.mkdir(parents=True, exist_ok=True)
    target = CACHE / name
    if target.is_dir():
        return CACHE
    fresh = CACHE / (name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    done = apt("download", *PACKAGES[name], cwd=fresh)
    if done.returncode != 0:
        # Where everything is installed nobody has asked what there is today.
        apt("update", cwd=fresh)
        done = apt("download", *PACKAGES[name], cwd=fresh)
    if done.returncode != 0:
        raise RuntimeError(f"{name} cannot be downloaded from Debian's archive:\n{done.stdout[-2000:]}")
    for deb in fresh.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(deb), str(fresh)], check=True)
    fresh.rename(target)
    return CACHE


def make_user(name, group):
    with lock("users"):
        subprocess.run(["groupadd", "--system", "-f", group], check=True)
        try:
            pwd.getpwnam(name)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell",
                            "/usr/sbin/nologin", "-g", group, name], check=True)


class AtAddress:
    def wait_port(self, port):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with socket.create_connection((self.address, port), timeout=5) as s:
                    if s.recv(100):
                        return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"{self.dir}: does not start\n" + self.log()[-3000:])


class Postfix(AtAddress, peers.Postfix):
    def __init__(self, folder, unpacked, address, port, sink, certificate, domain, ca=None):
        make_user("postfix", "postfix")
        with lock("users"):
            subprocess.run(["groupadd", "--system", "-f", "postdrop"], check=True)
        super().__init__(folder, unpacked, "discard:", [], relay_domains=domain,
                         relay_transport=f"smtp:[{sink[0]}]:{sink[1]}", virtual_mailbox_domains="",
                         smtpd_tls_security_level="may",
                         smtpd_tls_cert_file=certificate[0], smtpd_tls_key_file=certificate[1],
                         smtpd_relay_restrictions="reject_unauth_destination", myhostname="postfix.mta.test",
                         smtp_dns_support_level="disabled", local_header_rewrite_clients="",
                         **{"smtp_tls_security_level": "encrypt", "smtp_tls_loglevel": "1", "smtp_tls_CAfile": ca,
                            "smtputf8_enable": "yes"} if ca else {})
        self.address, self.port = address, port

    def _layout(self, queue, conf):
        super()._layout(queue, conf)
        master = conf / "master.cf"
        master.write_text(master.read_text().replace("127.0.0.1:", f"{self.address}:", 1))


class Exim(AtAddress, peers.Server):
    def __init__(self, folder, unpacked, address, port, sink, certificate, domain, ca=None):
        make_user("Debian-exim", "Debian-exim")
        self.dir, self.top = pathlib.Path(folder), unpacked / "exim"
        self.address, self.port, self.process = address, port, None
        self.sink, self.certificate, self.domain, self.ca = sink, certificate, domain, ca

    def start(self):
        self.dir.mkdir(parents=True)
        for name in ("spool", "log"):
            (self.dir / name).mkdir()
            shutil.chown(self.dir / name, "Debian-exim", "Debian-exim")
        # It reads its key after it has given up root.
        for source, name in zip(self.certificate, ("cert.pem", "key.pem")):
            shutil.copy(source, self.dir / name)
            shutil.chown(self.dir / name, "Debian-exim", "Debian-exim")
        (self.dir / "conf").write_text(f"""\
primary_hostname = exim.mta.test
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/log/%slog
domainlist ours = {self.domain}
local_interfaces = {self.address}
daemon_smtp_ports = {self.port}
acl_smtp_rcpt = rcpt
tls_advertise_hosts = *
tls_certificate = {self.dir}/cert.pem
tls_privatekey = {self.dir}/key.pem
host_lookup =
rfc1413_query_timeout = 0s
chunking_advertise_hosts = *
dsn_advertise_hosts = *
smtp_accept_queue_per_connection = 0
begin acl
rcpt:
  accept domains = +ours
  deny message = relay not permitted
begin routers
on:
  driver = manualroute
  domains = +ours
  route_list = * {self.sink[0]}
  self = send
  transport = on
begin transports
on:
  driver = smtp
  port = {self.sink[1]}
  hosts_try_dane =
  hosts_avoid_tls = {"" if self.ca else "*"}
  hosts_require_tls = {"*" if self.ca else ""}
  tls_verify_certificates = {self.ca or "system"}
""")
        self.run("/usr/sbin/exim4", "-C", self.dir / "conf", "-bdf", "-q1m")
        self.wait_port(self.port)
        return self

    def log(self):
        text = super().log()
        for path in sorted((self.dir / "log").glob("*log")):
            text += path.read_text(errors="replace")
        return text
