# SPDX-License-Identifier: ISC
"""Mail programs of other makers, run as their users run them: configuration file, batch mode, exit status."""
import fcntl
import os
import pathlib
import pty
import select
import shutil
import struct
import subprocess
import tempfile
import termios
import time

from lock import lock
from test_roundtrip import fetch_all, imap, wait_messages

ALICE, BOB = "alice@example.test", "bob@example.test"

JAPANESE = ("From: =?UTF-8?B?6Iu+5rK5?= <alice@example.test>\nTo: bob@example.test\n"
            "Subject: =?UTF-8?B?5pel5pys6Kqe44Gu5Lu25ZCN?=\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n"
            "会議は午後三時からです。①㈱髙😀\n.\n..\nFrom here\n").encode()


def run(args, stdin=b"", status=0, home=None, timeout=120, **env):
    """Run a program; its exit status is what the test expects."""
    done = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, timeout=timeout,
                          env={**os.environ, "HOME": str(home or "/nonexistent"), "LC_ALL": "C.UTF-8", **env})
    text = (done.stdout + done.stderr).decode(errors="replace")
    assert status is None or done.returncode == status, f"{args}: {done.returncode}\n{text[-6000:]}"
    return text


def as_nobody(*args):
    """For programs that will not do it as root."""
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *args]


def run_in_terminal(args, home, timeout=30, **env):
    """The same for a program that wants a terminal; what it wrote there."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update({"HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8", **env})
        os.execvp(str(args[0]), [str(a) for a in args])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    text, deadline = b"", time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 0.5)[0]:
            continue
        try:
            more = os.read(fd, 65536)
        except OSError:
            more = b""
        if not more:
            break
        text += more
    else:
        os.kill(pid, 9)
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, f"{args}: {status}\n" + text.decode(errors="replace")[-4000:]
    return text.decode(errors="replace")


def last_message(hk, count, user=BOB):
    """The newest of count messages in the user's INBOX, once they are there."""
    m = wait_messages(hk, count, user)
    found = fetch_all(m)
    m.logout()
    assert len(found) == count
    return found[-1]


def empty(hk, user):
    """A mailbox that holds nothing any more."""
    m = imap(hk, user)
    m.select("INBOX")
    m.store("1:*", "+FLAGS.SILENT", "(\\Deleted)")
    m.expunge()
    m.logout()


def crlf(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


# ---- npm ----

NPM = pathlib.Path(__file__).resolve().parent / "npm"


def npm_modules():
    """The folder that has node_modules as tests/e2e/npm's lock file names them; raises where the registry cannot be
    asked. A copy is kept: it is made again when the lock file changes."""
    with lock("npm"):
        return _npm_modules()


def _npm_modules():
    kept = pathlib.Path("/var/cache/hikyaku-npm")
    lock = (NPM / "package-lock.json").read_bytes()
    if (kept / "package-lock.json").exists() and (kept / "package-lock.json").read_bytes() == lock:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    fresh = pathlib.Path(tempfile.mkdtemp(prefix="hikyaku-npm-", dir=kept.parent))
    try:
        shutil.copy(NPM / "package.json", fresh)
        shutil.copy(NPM / "package-lock.json", fresh)
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=fresh,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"npm cannot fetch what package-lock.json names:\n{done.stdout[-2000:]}")
        shutil.rmtree(kept, ignore_errors=True)
        fresh.rename(kept)
        return kept
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def node(hk, script, modules, user=ALICE, *args, timeout=120):
    """Run tests/e2e/npm/SCRIPT with the instance in its environment."""
    return run(["node", NPM / script, *args], timeout=timeout, NODE_PATH=str(modules / "node_modules"),
               NODE_EXTRA_CA_CERTS=hk.ca, HK_USER=user, HK_PASSWORD=hk.passwords[user],
               **{f"HK_{name.upper()}": str(hk.port(name)) for name in ("smtp", "smtps", "submission", "imap", "imaps")})
