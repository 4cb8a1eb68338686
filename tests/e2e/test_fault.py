# SPDX-License-Identifier: ISC
"""System calls that fail under load: what was acknowledged is there, once; what failed was not acknowledged.

On a sanitized build, whose sandbox refuses a call it does not know instead of killing: an injected fault looks so.
"""
import os
import shutil
import signal
import smtplib
import subprocess
import time

import pytest
from test_roundtrip import imap

CASES = [
    ("blobd", "fsync,syncfs:error=EIO:when=3"),
    ("blobd", "linkat:error=ENOSPC:when=2+5"),
    ("blobd", "openat:error=EMFILE:when=4+6"),
    ("queued", "fdatasync:error=EIO:when=4"),
    ("queued", "pwrite64:error=ENOSPC:when=9"),
    ("smtpd", "write:error=ENOSPC:when=3+4"),
    ("smtpd", "write:retval=100:when=2+3"),
    ("mboxd", "syncfs:error=EIO:when=2"),
    ("mboxd", "pwrite64:error=ENOSPC:when=20"),
    ("mboxd", "fdatasync:signal=SIGKILL:when=2"),
    ("directoryd", "pread64:error=EIO:when=3+3"),
]


def deliver(hk, name):
    try:
        with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=60) as smtp:
            smtp.sendmail("x@remote.test", ["alice@example.test"], f"Subject: {name}\r\n\r\n" + "z" * 3000 + "\r\n")
        return True
    except (smtplib.SMTPException, OSError):
        return False


@pytest.mark.fault
@pytest.mark.parametrize("victim,fault", CASES)
def test_failing_call(make_instance, victim, fault):
    if os.geteuid() != 0 or shutil.which("strace") is None:
        pytest.fail("needs root and strace")
    hk = make_instance(config={"queue_retry_first": "1s"}).start()
    hk.domain()
    hk.account("alice@example.test")
    assert deliver(hk, "first")
    calls = fault.split(":")[0]
    args = ["strace", "-f", "-q", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={fault}"]
    for pid in hk.processes()[victim]:
        args += ["-p", str(pid)]
    tracer = subprocess.Popen(args, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    acked = ["first"] + [name for name in (f"m{n}" for n in range(25)) if deliver(hk, name)]
    tracer.send_signal(signal.SIGINT)
    tracer.wait(20)
    # The operator looks, and starts what has given up anew.
    for pid in hk.processes().get(victim, []):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not deliver(hk, "last"):
        time.sleep(0.3)
    print("acknowledged", len(acked), "of 26 under", victim, fault)
    acked.append("last")
    deadline = time.monotonic() + 60
    while hk.cli_json("queue", "list") and time.monotonic() < deadline:
        hk.cli("queue", "flush", "--all", check=False)
        time.sleep(0.3)
    assert hk.cli_json("queue", "list") == []
    m = imap(hk)
    m.select("INBOX", readonly=True)
    data = m.fetch("1:*", "(BODY.PEEK[])")[1]
    m.logout()
    names = [part[1].split(b"Subject: ")[1].split(b"\r\n")[0].decode() for part in data if isinstance(part, tuple)]
    for name in set(acked):
        assert names.count(name) == 1, (name, names.count(name))
    assert all(part[1].endswith(b"z" * 3000 + b"\r\n") for part in data if isinstance(part, tuple))
