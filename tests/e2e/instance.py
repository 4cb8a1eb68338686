# SPDX-License-Identifier: ISC
"""An instance of Hikyaku of a test's own, started and stopped by quickstart."""
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import tempfile
import time

import ports

TOP = pathlib.Path(__file__).resolve().parents[2]
PORTS = {"smtp": 25, "smtps": 465, "submission": 587, "lmtp": 24, "imap": 143,
         "imaps": 993, "pop3": 110, "pop3s": 995, "web": 443, "metrics": 446}


def is_asan_note(entry):
    """ASan says this of every handshake that pauses in an OpenSSL async job; it is no finding."""
    text = entry.get("detail", "")
    return entry["event"] == "process.stderr" and any(word in text for word in (
        "__asan_handle_no_return", "False positive error reports may follow", "sanitizers/issues/189",
        "reading executable name failed"))


class Instance:
    """start() -> ... -> destroy(). Accounts by account()."""

    def __init__(self, demo=False, base=None, config=None, zones=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hk-", dir=base))
        self.dir.chmod(0o755)
        self.offset = ports.free_offset(PORTS.values())
        self.demo = demo
        self.config = config or {}
        self.zones = zones or {}
        self.passwords = {}

    # ---- life ----

    def quickstart(self, *args, check=True):
        done = subprocess.run([str(TOP / "quickstart"), *args, "--dir", str(self.dir)],
                              capture_output=True, text=True, timeout=600)
        if check and done.returncode != 0:
            raise AssertionError(f"quickstart {args}: {done.stdout}{done.stderr}\n{self.log()[-4000:]}")
        return done

    def start(self):
        args = ["--port-offset", str(self.offset)]
        if not self.demo:
            args.append("--no-demo")
        if (self.config or self.zones) and not (self.dir / "hikyaku.conf").exists():
            self.quickstart(*args)
            self.stop()
            self.configure(self.config)
            self.configure_zones(self.zones)
        self.quickstart(*args)
        if self.demo:
            for line in (self.dir / "sign-in.txt").read_text().splitlines():
                address, password = line.split("\t")
                self.passwords[address] = password
        return self

    def configure(self, settings):
        path = self.dir / "hikyaku.conf"
        lines = [line for line in path.read_text().splitlines()
                 if line.split("=")[0].strip() not in settings]
        lines += [f'{key} = "{value}"' for key, value in settings.items()]
        path.write_text("\n".join(lines) + "\n")

    def configure_zones(self, zones):
        """listener -> zone"""
        path = self.dir / "hikyaku.conf"
        text = path.read_text()
        for listener, zone in zones.items():
            text, n = re.subn(r'(?s)(listener %s \{.*?zone = )"[^"]*"' % listener, r'\1"%s"' % zone, text, count=1)
            assert n == 1, listener
        path.write_text(text)

    def stop(self):
        self.quickstart("stop")

    def destroy(self):
        pid = self.pid()
        try:
            self.quickstart("stop")
        finally:
            if pid and pathlib.Path(f"/proc/{pid}").exists():
                os.kill(pid, 9)
            shutil.rmtree(self.dir, ignore_errors=True)
            ports.release(*(port + self.offset for port in PORTS.values()))

    def pid(self):
        try:
            return int((self.dir / "run/hikyakud.pid").read_text())
        except (OSError, ValueError):
            return 0

    def processes(self):
        """name -> [pid] of hikyakud's children and grandchildren."""
        found = {}
        parents = {self.pid()}
        table = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                    name = stat[stat.index("(") + 1:stat.rindex(")")]
                    rest = stat[stat.rindex(")") + 2:].split()
                    table.append((int(entry.name), name, int(rest[1])))
                except (OSError, ValueError):
                    continue
        for _ in range(4):
            for pid, name, parent in table:
                if parent in parents and pid not in parents:
                    parents.add(pid)
                    found.setdefault(name, []).append(pid)
        return found

    def log(self):
        try:
            return (self.dir / "log/hikyaku.log").read_text(errors="replace")
        except OSError:
            return ""

    def events(self, event=None):
        found = []
        for line in self.log().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                found.append({"event": "log.broken", "line": line})
                continue
            if event is None or entry.get("event") == event:
                found.append(entry)
        return found

    # ---- asking ----

    def port(self, name):
        return PORTS[name] + self.offset

    def cli(self, *args, stdin=None, check=True):
        done = subprocess.run([str(self.dir / "bin/hikyaku"), "-c", str(self.dir / "hikyaku.conf"), *args],
                              input=stdin, capture_output=True, text=True, timeout=300)
        if check and done.returncode != 0:
            raise AssertionError(f"hikyaku {args}: {done.returncode}: {done.stdout}{done.stderr}\n"
                                 f"{self.log()[-3000:]}")
        return done

    def cli_json(self, *args, **kwargs):
        return json.loads(self.cli(*args, "--json", **kwargs).stdout)

    def domain(self, name="example.test", *args):
        self.cli("domain", "create", name, *args)

    def account(self, address, password="correct horse", *args):
        self.cli("account", "create", address, "--password-stdin", *args, stdin=password + "\n")
        self.passwords[address] = password
        return address

    def tls(self):
        return ssl.create_default_context(cafile=str(self.dir / "tls/ca.pem"))

    @property
    def ca(self):
        return str(self.dir / "tls/ca.pem")

    def wait_queue_empty(self, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.cli_json("queue", "list"):
                return
            time.sleep(0.05)
        raise AssertionError("the queue is not empty: " + self.cli("queue", "list").stdout + self.log()[-3000:])

    def assert_clean_log(self):
        """No crash, no sanitizer report, no violation, no broken line."""
        bad = [e for e in self.events() if e["event"] in (
            "process.stderr", "ipc.violation", "log.broken", "process.alert", "blob.flush.failed")
            and not is_asan_note(e)]
        died = [e for e in self.events("process.died")]
        assert not bad and not died, json.dumps((bad + died)[:10], indent=1, ensure_ascii=False)
