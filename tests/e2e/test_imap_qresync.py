# SPDX-License-Identifier: ISC
"""CONDSTORE and QRESYNC: clients that were away end where the others are."""
import concurrent.futures
import random
import re

from imapraw import Client

FETCH = re.compile(rb"^\* (\d+) FETCH \((.*)\)$", re.S)


def numbers(text):
    """A set as a list of numbers."""
    found = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


class Cache:
    """What a QRESYNC client keeps of a mailbox between its sessions: UIDs and
    flags, and the highest MODSEQ it was told."""

    def __init__(self, hk, box):
        self.hk, self.box = hk, box
        self.flags = {}
        self.validity = self.modseq = None
        self.c = None

    def open(self):
        self.c = Client(self.hk, "alice@example.test", "QRESYNC")
        param = f" (QRESYNC ({self.validity} {self.modseq}))" if self.modseq else ""
        answers = self.c.ok(f"SELECT {self.box}{param}")
        self.take(answers)
        text = b"\n".join(answers)
        validity = int(re.search(rb"UIDVALIDITY (\d+)", text)[1])
        exists = int(re.search(rb"\* (\d+) EXISTS", text)[1])
        if self.modseq is None:
            # Others may change it before this is answered.
            self.take(self.c.ok("UID FETCH 1:* (FLAGS)"))
        else:
            assert self.validity == validity and len(self.flags) == exists
        self.validity = validity
        self.modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", text)[1])

    def take(self, answers):
        for answer in answers:
            if answer.startswith(b"* VANISHED"):
                for uid in numbers(answer.split()[-1]):
                    self.flags.pop(uid, None)
            found = FETCH.match(answer)
            if not found:
                continue
            uid = int(re.search(rb"UID (\d+)", found[2])[1])
            flags = re.search(rb"FLAGS \((.*?)\)", found[2])
            if flags:
                self.flags[uid] = frozenset(flags[1].split()) - {b"\\Recent"}

    def cmd(self, text):
        return self.heard(self.c.cmd(text))

    def append(self, *messages):
        self.heard(self.c.append(self.box, *messages))

    def heard(self, answers):
        """Flags and expunges are told; what is new has to be asked for."""
        self.take(answers)
        while any(b"EXISTS" in answer for answer in answers):
            answers = self.c.ok("UID FETCH 1:* (FLAGS)")
            self.take(answers)
        seen = [int(n) for a in answers for n in re.findall(rb"MODSEQ \(?(\d+)", a)]
        self.modseq = max([self.modseq, *seen])
        return answers

    def close(self):
        """A last look; the connection is cut without a word."""
        self.cmd("NOOP")
        self.c.close()


def message(n):
    return f"From: a@example.test\r\nSubject: number {n}\r\n\r\nx\r\n".encode()


def truth(hk, box):
    c = Client(hk)
    c.ok(f"EXAMINE {box}")
    found = {}
    for answer in c.ok("UID FETCH 1:* (FLAGS)"):
        if FETCH.match(answer):
            uid = int(re.search(rb"UID (\d+)", answer)[1])
            found[uid] = frozenset(re.search(rb"FLAGS \((.*?)\)", answer)[1].split()) - {b"\\Recent"}
    c.close()
    return found


def change(rng, cache):
    """One random change of the mailbox by this client."""
    uids = sorted(cache.flags)
    some = ",".join(map(str, rng.sample(uids, min(len(uids), rng.randint(1, 5))))) if uids else "1"
    flag = rng.choice(["\\Seen", "\\Flagged", "\\Answered", "$Label1", "$Label2"])
    kind = rng.randrange(8)
    if kind < 3:
        cache.cmd(f"UID STORE {some} {rng.choice('+-')}FLAGS{rng.choice(['', '.SILENT'])} ({flag})")
        cache.cmd(f"UID FETCH {some} (FLAGS)")
    elif kind == 3:
        cache.cmd(f"UID STORE {some} (UNCHANGEDSINCE {cache.modseq}) +FLAGS ({flag})")
    elif kind == 4 and len(uids) > 5:
        cache.cmd(f"UID STORE {some} +FLAGS.SILENT (\\Deleted)")
        cache.cmd(f"UID EXPUNGE {some}")
    elif kind == 5 and len(uids) > 5:
        cache.cmd(f"UID MOVE {some} Trash")
    elif kind == 6:
        cache.append(*[message(i) for i in range(rng.randint(1, 4))])
    else:
        cache.cmd(f"UID COPY {some} {cache.box}")


def test_many_clients_one_state(hk):
    rng = random.Random(7162)
    setup = Client(hk)
    setup.ok("CREATE Work")
    setup.append("Work", *[message(i) for i in range(60)])
    setup.close()
    caches = [Cache(hk, "Work") for _ in range(4)]
    for cache in caches:
        cache.open()
    for round_no in range(40):
        for cache in rng.sample(caches, 3):
            change(rng, cache)
        # One goes away, misses something, and comes back.
        away = rng.choice(caches)
        away.close()
        for cache in caches:
            if cache is not away:
                change(rng, cache)
        away.open()
        if round_no % 8 == 7:
            for cache in caches:
                cache.cmd("NOOP")
                cache.cmd(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {cache.modseq} VANISHED)")
            want = truth(hk, "Work")
            for cache in caches:
                assert cache.flags == want, round_no
    for cache in caches:
        cache.c.close()


def test_all_at_once(hk):
    """As above, but nobody waits for the others."""
    setup = Client(hk)
    setup.ok("CREATE Busy")
    setup.append("Busy", *[message(i) for i in range(60)])
    setup.close()
    caches = [Cache(hk, "Busy") for _ in range(5)]

    def work(cache, seed):
        rng = random.Random(seed)
        cache.open()
        for turn in range(30):
            change(rng, cache)
            if turn % 7 == 6:
                cache.close()
                cache.open()

    with concurrent.futures.ThreadPoolExecutor(len(caches)) as pool:
        for done in [pool.submit(work, cache, 511 + n) for n, cache in enumerate(caches)]:
            done.result()
    for cache in caches:
        cache.close()
        cache.open()            # told by VANISHED (EARLIER) and the flags that changed
        cache.c.close()
    want = truth(hk, "Busy")
    assert [cache.flags == want for cache in caches] == [True] * len(caches)


def test_conditional_store_is_won_by_one(hk):
    setup = Client(hk)
    setup.ok("CREATE Race")
    setup.append("Race", message(1))
    setup.close()
    clients = [Client(hk, "alice@example.test", "CONDSTORE") for _ in range(5)]
    for c in clients:
        c.ok("SELECT Race")
    modseq = int(re.search(rb"MODSEQ \((\d+)\)", clients[0].ok("FETCH 1 (MODSEQ)")[0])[1])
    tags = [c.begin(f"STORE 1 (UNCHANGEDSINCE {modseq}) +FLAGS ($Win{i})") for i, c in enumerate(clients)]
    ends = [c.finish(tag)[-1] for c, tag in zip(clients, tags)]
    assert sum(b"[MODIFIED 1]" not in end for end in ends) == 1, ends
    flags = clients[0].ok("FETCH 1 (FLAGS)")[0]
    assert flags.count(b"$Win") == 1
    for c in clients:
        c.close()


def test_vanished_of_many(hk):
    c = Client(hk, "alice@example.test", "QRESYNC")
    c.ok("CREATE Many")
    for _ in range(4):
        c.append("Many", *[message(i) for i in range(250)])
    answers = c.ok("SELECT Many")
    text = b"\n".join(answers)
    validity = int(re.search(rb"UIDVALIDITY (\d+)", text)[1])
    modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", text)[1])
    odd = ",".join(str(n) for n in range(1, 1001, 2))
    c.ok(f"UID STORE {odd} +FLAGS.SILENT (\\Deleted)")
    vanished = [a for a in c.ok("EXPUNGE") if a.startswith(b"* VANISHED")]
    assert len(vanished) == 1 and numbers(vanished[0].split()[-1]) == list(range(1, 1001, 2))
    c.ok("CLOSE")
    answers = c.ok(f"SELECT Many (QRESYNC ({validity} {modseq}))")
    vanished = [a for a in answers if a.startswith(b"* VANISHED (EARLIER)")]
    assert numbers(vanished[0].split()[-1]) == list(range(1, 1001, 2))
    assert not any(FETCH.match(a) for a in answers)
    c.close()
