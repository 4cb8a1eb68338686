# SPDX-License-Identifier: ISC
"""quickstart, configuration, processes and their sandboxes, stop and reload."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import ports
from instance import PORTS, TOP, Instance
from smtp import Smtp
from test_roundtrip import imap, send

PROGRAMS = {"keyd", "blobd", "directoryd", "authd", "dnsd", "fetchd", "filterd", "scand", "metricd", "detonated", "quarantined",
            "queued", "mboxd", "relay", "smtpd", "imapd", "pop3d", "milterd", "webmail", "admind"}


def test_quickstart_demo(make_instance):
    hk = make_instance(demo=True).start()
    assert set(hk.passwords) == {f"{n}@example.test" for n in ("alice", "bob", "admin", "auditor")}
    assert (hk.dir / "sign-in.txt").stat().st_mode & 0o777 == 0o600
    assert hk.quickstart("status").stdout.strip() == "running"
    pid, conf = hk.pid(), (hk.dir / "hikyaku.conf").read_bytes()
    sign_in = (hk.dir / "sign-in.txt").read_bytes()
    started = time.monotonic()
    assert hk.quickstart().returncode == 0
    assert time.monotonic() - started < 20
    assert (hk.pid(), (hk.dir / "hikyaku.conf").read_bytes(), (hk.dir / "sign-in.txt").read_bytes()) == \
        (pid, conf, sign_in)
    send(hk, b"Subject: demo\r\n\r\nx\r\n")
    imap(hk).logout()
    assert hk.quickstart("--port-offset", str(hk.offset + 1), check=False).returncode == 1
    assert hk.pid() == pid
    hk.quickstart("stop")
    done = hk.quickstart("status", check=False)
    assert done.returncode == 3 and done.stdout.strip() == "stopped"
    hk.quickstart("stop")
    hk.quickstart()
    imap(hk).logout()
    hk.assert_clean_log()


def test_two_instances_side_by_side(hk, make_instance):
    other = make_instance().start()
    assert other.pid() != hk.pid()
    other.stop()
    assert hk.quickstart("status").stdout.strip() == "running"
    assert Smtp(hk.port("smtp")).greeting[0] == 220


def test_port_in_use(make_instance):
    hk = make_instance()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", hk.port("smtp")))
        s.listen()
        done = hk.quickstart("--port-offset", str(hk.offset), "--no-demo", check=False)
    assert done.returncode == 1
    assert f"port {hk.port('smtp')}" in done.stderr and f"pid {os.getpid()}" in done.stderr, done.stderr
    assert list(hk.dir.iterdir()) == []
    hk.offset = ports.free_offset(PORTS.values())
    hk.start()


def test_taken_port_of_an_old_instance(make_instance):
    hk = make_instance().start()
    hk.stop()
    (hk.dir / "data/kept").write_text("x")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", hk.port("imap")))
        s.listen()
        done = hk.quickstart(check=False)
        assert done.returncode == 1 and f"port {hk.port('imap')}" in done.stderr, done.stderr
    assert (hk.dir / "data/kept").exists() and (hk.dir / "hikyaku.conf").exists()
    hk.start()


def test_quickstart_usage(hk):
    for args, code in ((["--help"], 0), (["--bogus"], 2), (["--port-offset", "x"], 2), (["--port-offset"], 2)):
        done = subprocess.run([str(TOP / "quickstart"), *args], capture_output=True, text=True)
        assert done.returncode == code and "--port-offset N" in done.stdout + done.stderr
    done = hk.quickstart("--port-offset", str(hk.offset + 1), check=False)
    assert done.returncode == 1 and "nothing changed" in done.stderr
    assert hk.quickstart("status").stdout == "running\n"


def test_missing_program(make_instance):
    hk = make_instance().start()
    hk.stop()
    (hk.dir / "bin/pop3d").unlink()
    done = subprocess.run([str(hk.dir / "bin/hikyakud"), "-c", str(hk.dir / "hikyaku.conf")],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "bin/pop3d" in done.stderr, done.stderr
    assert hk.quickstart("status", check=False).returncode == 3
    hk.start()


def test_wrong_configuration(hk, tmp_path):
    text = (hk.dir / "hikyaku.conf").read_text()
    bad = tmp_path / "bad.conf"
    for line, want in (("colour = \"red\"", "colour"), ("message_size = \"50X\"", "message_size"),
                       ("timeout_smtp = \"soon\"", "timeout_smtp"), ("hostname = \"x", "")):
        bad.write_text(text + line + "\n")
        n = bad.read_text().count("\n")
        done = subprocess.run([str(hk.dir / "bin/hikyakud"), "-c", str(bad), "-t"], capture_output=True, text=True)
        assert done.returncode == 2 and "bad.conf:" in done.stderr and want in done.stderr, done.stderr
        assert want == "" or f":{n}:" in done.stderr, done.stderr
        done = subprocess.run([str(hk.dir / "bin/hikyaku"), "-c", str(bad), "doctor"], capture_output=True, text=True)
        assert done.returncode == 2 and "bad.conf:" in done.stderr, done.stderr
    done = subprocess.run([str(hk.dir / "bin/hikyakud"), "-c", str(hk.dir / "hikyaku.conf"), "-t"], capture_output=True)
    assert done.returncode == 0


def status(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                if ":\t" in line)


def test_every_process_in_its_sandbox(hk):
    imap(hk).logout()
    found = hk.processes()
    assert PROGRAMS <= set(found), found
    uids = {}
    for name in PROGRAMS:
        for pid in found[name]:
            fields = status(pid)
            assert fields["Seccomp"].strip() == "2" and fields["NoNewPrivs"].strip() == "1", name
            if os.geteuid() == 0:
                uid = fields["Uid"].split()[0]
                assert uid != "0"
                uids.setdefault(uid, set()).add(name)
                assert int(fields["CapEff"].strip(), 16) == 0 and int(fields["CapBnd"].strip(), 16) == 0
    assert all(len(names) == 1 for names in uids.values()), uids
    for entry in hk.events("process.ready"):
        assert "landlock" in entry["detail"] and "seccomp" in entry["detail"]


def test_doctor(hk):
    done = hk.cli("doctor", "--json", check=False)
    report = json.loads(done.stdout)
    text = json.dumps(report)
    for name in PROGRAMS:
        assert name in text
    assert hk.cli("doctor", check=False).stdout


def test_restart_of_each(hk):
    for name in sorted(PROGRAMS):
        before = hk.processes()[name]
        os.kill(min(before), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            now = hk.processes().get(name, [])
            if now and min(before) not in now:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"{name} was not restarted")
    time.sleep(0.5)
    send(hk, b"Subject: after\r\n\r\nx\r\n")
    imap(hk).logout()
    # The deaths of this test are no finding of the others.
    (hk.dir / "log/hikyaku.log").write_text("")


def test_clean_stop(make_instance):
    hk = make_instance().start()
    hk.domain()
    hk.account("alice@example.test")
    smtp = Smtp(hk.port("smtp")).hello()
    m = imap(hk)
    m.select("INBOX")
    hk.quickstart("stop")
    assert smtp.reply()[0] == 421
    assert m.sock.recv(1000).startswith(b"* BYE")
    assert not [e for e in hk.events("process.died")]
    assert len(hk.events("process.stopped")) >= len(PROGRAMS)


def test_reload_keeps_sessions(hk):
    m = imap(hk)
    m.select("INBOX")
    os.kill(hk.pid(), signal.SIGHUP)
    time.sleep(0.5)
    assert m.noop()[0] == "OK"
    assert hk.events("master.reloaded")
    m.logout()
    assert Smtp(hk.port("smtp")).greeting[0] == 220
    # What is bound is still known, and handed to a front that starts again.
    before = len(hk.events("master.ready"))
    assert f"port {hk.port('imaps')}, imap" in hk.cli("doctor", check=False).stdout
    for pid in hk.processes()["imapd"]:
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    imap(hk).logout()
    assert len(hk.events("master.ready")) == before
    (hk.dir / "log/hikyaku.log").write_text("")


def test_disk_full(make_instance, tmp_path):
    """Refused with 452 and NO; what is there stays readable, and room comes back by itself."""
    if os.geteuid() != 0:
        return
    base = tmp_path / "small"
    base.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(base)], check=True)
    hk = None
    try:
        hk = Instance(base=str(base))
        hk.start()
        hk.domain()
        hk.account("alice@example.test")
        send(hk, b"Subject: before\r\n\r\nx\r\n")
        ballast = base / "ballast"
        with ballast.open("wb") as f:
            free = os.statvfs(base).f_bavail * os.statvfs(base).f_bsize
            f.write(b"x" * (free - 1500000))
        time.sleep(0.5)
        smtp = Smtp(hk.port("smtp")).hello()
        smtp.code("MAIL FROM:<a@b.test>")
        smtp.code("RCPT TO:<alice@example.test>")
        assert smtp.code("DATA") == 452
        m = imap(hk)
        assert m.append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")[0] == "NO"
        assert m.select("INBOX")[1] == [b"1"]
        assert b"Subject: before" in m.fetch("1", "(BODY.PEEK[])")[1][0][1]
        ballast.unlink()
        time.sleep(0.5)
        assert m.append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")[0] == "OK"
        smtp.begin()
        smtp.send(b"Subject: after\r\n\r\nx\r\n.\r\n")
        assert smtp.reply()[0] == 250
        m.logout()
    finally:
        if hk is not None:
            hk.destroy()
        subprocess.run(["umount", "-l", str(base)], check=False)


def test_readme_commands_exist():
    text = (TOP / "README.md").read_text()
    for name in ("./quickstart", "./check"):
        assert name in text and (TOP / name[2:]).exists()
