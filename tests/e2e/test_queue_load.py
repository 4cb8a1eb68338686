# SPDX-License-Identifier: ISC
"""A long queue to many destinations of which one in ten is dead: the living get their mail, the dead are left alone.

A short one in each run; 100,000 messages to 1,000 destinations with HIKYAKU_LONG=1 (./check --long)."""
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

from dnsserver import DnsServer
from instance import Instance
from ports import free_port

LONG = os.environ.get("HIKYAKU_LONG") == "1"
MESSAGES, DESTINATIONS = (100000, 1000) if LONG else (3000, 300)
DEAD = DESTINATIONS // 10
SENDERS = 8

# Counts what comes; a line of its output is what it has got.
SINK = """
import asyncio, sys
got = 0
async def serve(r, w):
    global got
    try:
        w.write(b"220 sink\\r\\n")
        while line := await r.readline():
            word = line[:4].upper()
            if word == b"DATA":
                w.write(b"354 go on\\r\\n")
                await w.drain()
                await r.readuntil(b"\\r\\n.\\r\\n")
                got += 1
                w.write(b"250 2.0.0 taken\\r\\n")
            elif word == b"QUIT":
                w.write(b"221 bye\\r\\n")
                break
            elif word == b"EHLO":
                w.write(b"250-sink\\r\\n250-PIPELINING\\r\\n250-8BITMIME\\r\\n250 ENHANCEDSTATUSCODES\\r\\n")
            else:
                w.write(b"250 2.0.0 ok\\r\\n")
            await w.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    w.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1000)
    while True:
        await asyncio.sleep(0.2)
        print(got, flush=True)
asyncio.run(main())
"""


class Sink:
    def __init__(self, port):
        self.got = 0
        self.process = subprocess.Popen([sys.executable, "-c", SINK, str(port)], stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.got = int(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()


def deaf(address, port):
    """A host that never answers: its backlog is full, so SYNs are dropped."""
    listener = socket.socket()
    listener.bind((address, port))
    listener.listen(0)
    held = [listener]
    for _ in range(4):
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex((address, port))
        held.append(s)
    return held


def domain_of(n):
    n %= DESTINATIONS
    return f"d{n}.{'dead' if n < DEAD else 'live'}.load.test"


def read_reply(f):
    while True:
        line = f.readline()
        if not line:
            raise ConnectionError("closed")
        if line[3:4] != b"-":
            return line


def inject(hk, numbers, failed):
    """One authenticated session, pipelined."""
    context = hk.tls()
    with socket.create_connection(("localhost", hk.port("smtps"))) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as s:
        f = s.makefile("rb")
        read_reply(f)
        s.sendall(b"EHLO load\r\n")
        read_reply(f)
        import base64
        s.sendall(b"AUTH PLAIN " + base64.b64encode(b"\0alice@example.test\0correct horse") + b"\r\n")
        if not read_reply(f).startswith(b"235"):
            failed.append("login")
            return
        for n in numbers:
            s.sendall(b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<u%d@%s>\r\nDATA\r\n" % (n, domain_of(n).encode()))
            codes = [read_reply(f)[:3] for _ in range(3)]
            s.sendall(b"From: alice@example.test\r\nSubject: %d\r\n\r\n%s\r\n.\r\n" % (n, b"x" * 200))
            codes.append(read_reply(f)[:3])
            if codes != [b"250", b"250", b"354", b"250"]:
                failed.append((n, codes))


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


@pytest.mark.slow
def test_dead_destinations_hold_up_nobody():
    port = free_port()
    held = deaf("127.0.0.3", port)
    sink = Sink(port)
    zone = "*.live MX 10 host\nhost A 127.0.0.1\n*.dead MX 10 gone\ngone A 127.0.0.3"
    dns = DnsServer({"load.test": zone}, insecure=("load.test",))
    hk = Instance(config={"relay_port": str(port), "allow_private_targets": "yes"})
    try:
        with dns:
            hk.config.update(dns.settings())
            run(hk, sink)
    finally:
        hk.destroy()
        sink.close()
        for s in held:
            s.close()


def run(hk, sink):
    hk.start()
    hk.domain("example.test", "--mailbox-size", "1G", "--ids", "10")
    hk.account("alice@example.test")
    before = resident(hk.processes()["queued"][0])
    began, failed = time.monotonic(), []
    threads = [threading.Thread(target=inject, args=(hk, range(k, MESSAGES, SENDERS), failed)) for k in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]
    accepted = time.monotonic()
    dead = sum(1 for n in range(MESSAGES) if n % DESTINATIONS < DEAD)
    alive = MESSAGES - dead
    deadline = time.monotonic() + (3600 if LONG else 240)
    while sink.got < alive and time.monotonic() < deadline:
        time.sleep(0.2)
    done = time.monotonic()
    assert sink.got == alive, (sink.got, alive, hk.log()[-2000:])
    after = resident(hk.processes()["queued"][0])
    print(f"\n{MESSAGES} messages to {DESTINATIONS} destinations, {DEAD} of them dead: accepted in {accepted - began:.1f} s, "
          f"the living had theirs {done - accepted:.1f} s later; queued grew by {(after - before) / dead:.0f} octets a "
          f"message that waits")
    # the dead: nothing is lost, and few tries were made
    waiting = hk.cli_json("queue", "list")
    assert len(waiting) == dead
    assert all(i["recipients"][0]["address"].endswith(".dead.load.test") for i in waiting)
    # it starts again with what waits
    hk.stop()
    again = time.monotonic()
    hk.start()
    print(f"stopped and started again in {time.monotonic() - again:.1f} s with {dead} waiting")
    assert len(hk.cli_json("queue", "list")) == dead
    hk.assert_clean_log()
