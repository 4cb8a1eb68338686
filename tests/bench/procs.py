# SPDX-License-Identifier: ISC
"""What processes use: CPU and memory of trees, ended children included."""
import os
import pathlib
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


def stats():
    """pid -> (name, parent, user+system ticks of itself and of its ended children, start)."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                line = file.read().decode(errors="replace")
        except OSError:
            continue
        end = line.rindex(")")
        rest = line[end + 2:].split()
        found[int(entry)] = (line[line.index("(") + 1:end], int(rest[1]),
                             sum(map(int, rest[11:13])), sum(map(int, rest[13:15])))
    return found


def tree(root, table=None):
    """The pids of root and all below it."""
    table = table or stats()
    children = {}
    for pid, row in table.items():
        children.setdefault(row[1], []).append(pid)
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        if pid in table:
            found.append(pid)
            todo += children.get(pid, [])
    return found


def cpu(roots):
    """Name of the process -> seconds of CPU so far, ended children included.

    A parent that waits for its children adds what they and theirs used to its
    own, so the sum over the living tree has everything; that share is under
    the name "PARENT's ended".
    """
    table = stats()
    used = {}
    for root in roots:
        for pid in tree(root, table):
            name, _, own, ended = table[pid]
            used[name] = used.get(name, 0) + own / TICK
            if ended:
                used[name + "'s ended"] = used.get(name + "'s ended", 0) + ended / TICK
    return used


def cpu_between(before, after):
    """By name, what was used; and the sum."""
    diff = {name: round(after.get(name, 0) - before.get(name, 0), 3)
            for name in set(before) | set(after)}
    return {name: value for name, value in sorted(diff.items(), key=lambda i: -i[1]) if value}, \
        sum(after.values()) - sum(before.values())


def pss(roots):
    """Name -> (processes, PSS in KiB) of the trees."""
    table = stats()
    found = {}
    for root in roots:
        for pid in tree(root, table):
            try:
                text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            size = sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
            count, total = found.get(table[pid][0], (0, 0))
            found[table[pid][0]] = (count + 1, total + size)
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def end(pids, seconds=20):
    """SIGTERM, then SIGKILL, to these processes alone."""
    pids = [pid for pid in pids if pid]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError:
            pass
    deadline = time.monotonic() + seconds
    while pids and time.monotonic() < deadline:
        pids = [pid for pid in pids if alive(pid)]
        time.sleep(0.02)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


class Perf:
    """perf record while a round runs; top functions per process of the trees of roots()."""

    def __init__(self, path, names, roots):
        self.path, self.names, self.roots = path, names, roots
        self.pids, self.done = set(), threading.Event()

    def watch(self):
        """Who belongs to the trees; a round may end and start servers."""
        while not self.done.wait(0.05):
            for root in self.roots():
                self.pids.update(tree(root))

    def __enter__(self):
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        self.process = subprocess.Popen(
            ["perf", "record", "-q", "-F", "1999", "-a", "-o", self.path],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.done.set()
        self.watcher.join()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def report(self, top=25):
        text = ""
        for name in self.names:
            done = subprocess.run(
                ["perf", "report", "-i", self.path, "--stdio", "--comms", name, "--pid", ",".join(map(str, self.pids)),
                 "--sort", "symbol,dso", "--percentage", "relative", "--percent-limit", "0.7"], capture_output=True, text=True)
            lines = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")]
            if lines:
                text += f"== {name}\n" + "\n".join(lines[:top]) + "\n\n"
        return text
