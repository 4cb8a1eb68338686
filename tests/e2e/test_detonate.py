# SPDX-License-Identifier: ISC
"""Suspicious mail waits while an engine opens it; a fake one that answers as CAPEv2 does."""
import hashlib
import json
import os
import re
import signal
import ssl
import subprocess
import tempfile
import time

import pytest

from fakecape import MALICIOUS, FakeCape
from instance import Instance
from test_figures import wait_stages
from test_filter import find, send
from test_virus import message

TIME_S = 7


class Detonating(Instance):
    """An instance whose suspicious mail is opened at a fake engine; more: blocks of others."""

    def __init__(self, cape, more="", **kwargs):
        super().__init__(**kwargs)
        self.cape, self.more = cape, more

    def configure(self, settings):
        super().configure(settings)
        token = self.dir / "token"
        token.write_text(self.cape.token + "\n")
        with (self.dir / "hikyaku.conf").open("a") as conf:
            conf.write(f'detonation cape {{\n\taddress = "{self.cape.address}"\n\ttoken_file = "{token}"\n}}\n')
            conf.write(self.more)

    def reload(self):
        count = len(self.events("master.reloaded"))
        os.kill(self.pid(), signal.SIGHUP)
        wait_for(lambda: len(self.events("master.reloaded")) > count)
        time.sleep(0.2)

    def forget_log(self, *events):
        """What a test was about is not held against the instance."""
        log = self.dir / "log/hikyaku.log"
        log.write_text("".join(line for line in log.read_text().splitlines(True)
                               if not any(f'"{event}"' in line for event in events)))


@pytest.fixture(scope="module")
def cape():
    server = FakeCape().start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def hk(cape):
    instance = Detonating(cape, config={
        "suspicious": "detonate", "detonate_time": f"{TIME_S}s", "rate_connections": "100000",
        "rate_messages": "100000"}).start()
    try:
        instance.domain()
        instance.account("alice@example.test")
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


@pytest.fixture(autouse=True)
def well(cape):
    """What a test does to the engine is over with it."""
    yield
    cape.seconds, cape.fault, cape.token = 0.0, None, "secret-token"
    cape.search_disabled = cape.no_score_in_view = False


def suspicious(subject, data=b"harmless"):
    """A name with two extensions is enough."""
    return message(subject, ("invoice.pdf.exe", data + b" of " + subject.encode()))


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def detonated(hk, count=1):
    """The last `count` lines that say what came of an item."""
    return hk.events("queue.item.detonated")[-count:]


def send_and_wait(hk, data, seconds=20):
    """The line that says what came of it."""
    before = len(hk.events("queue.item.detonated"))
    assert send(hk, data, "a@remote.test")[0] == 250
    return wait_for(lambda: hk.events("queue.item.detonated")[before:], seconds)[0]


def field_of(msg):
    fields = msg.get_all("X-Hikyaku-Detonation", [])
    assert len(fields) <= 1
    return " ".join(fields[0].split()) if fields else None


def tasks_of(cape, data):
    sha256 = hashlib.sha256(data).hexdigest()
    return [t for t in cape.tasks.values() if t["sha256"] == sha256]


def test_clean_is_delivered(hk, cape):
    cape.seconds = 1.5
    assert send(hk, suspicious("clean"), "a@remote.test")[0] == 250
    item, = wait_for(lambda: hk.cli_json("queue", "list"))
    assert item["recipients"][0]["state"] == "detonating" and item["detonating"]["until"] > item["detonating"]["since"]
    # Others need not wait for it.
    assert send(hk, message("meanwhile"), "a@remote.test")[0] == 250
    assert find(hk, "meanwhile", seconds=5) is not None
    msg = find(hk, "clean")
    assert field_of(msg) == "clean; engine=cape; kind=virtual; result=clean; score=0.4"
    task, = tasks_of(cape, b"harmless of clean")
    assert task["target"] == "invoice.pdf.exe"
    assert field_of(find(hk, "meanwhile")) is None
    hk.wait_queue_empty()
    assert wait_stages(hk, "detonation")["detonation"]["p50_ms"] >= 1000


def quarantined(hk, queue_id):
    """What the administrator's quarantine has of it."""
    return wait_for(lambda: [i for i in hk.cli_json("quarantine", "list") if str(i["queue_id"]) == str(queue_id)])[0]


def test_malicious_is_quarantined(hk, cape):
    line = send_and_wait(hk, suspicious("malicious", MALICIOUS))
    assert line["status"] == "malicious" and line["state"] == "quarantine"
    item = quarantined(hk, line["queue_id"])
    assert item["reason"] == "malicious when it was opened: Emotet" and item["for"] == "admin"
    assert find(hk, "malicious", seconds=0.5) is None
    verdict = hk.cli_json("quarantine", "show", item["id"])["verdict"]
    assert verdict["detonation"] == "malicious" and verdict["engines"] == [
        {"engine": "cape", "kind": "virtual", "result": "malicious", "score": 92, "name": "Emotet"}]
    hk.wait_queue_empty()
    done = hk.cli("quarantine", "release", item["id"], check=False)
    assert done.returncode == 1 and "seen when it was opened (Emotet)" in done.stderr
    hk.cli("quarantine", "release", "--force", item["id"])
    assert field_of(find(hk, "malicious")) == (
        'malicious; engine=cape; kind=virtual; result=malicious; score=9.2; name="Emotet"')


def test_the_same_file_is_opened_once(hk, cape):
    """Many at a time, one task; and none for what the engine has seen before."""
    cape.seconds = 1.0
    data = [message(f"same-{n}", ("invoice.pdf.exe", b"the same file")) for n in range(12)]
    for one in data:
        assert send(hk, one, "a@remote.test")[0] == 250
    for n in range(12):
        assert field_of(find(hk, f"same-{n}")).startswith("clean; ")
    assert len(tasks_of(cape, b"the same file")) == 1
    send_and_wait(hk, message("same-again", ("other.pdf.exe", b"the same file")))
    assert field_of(find(hk, "same-again")).startswith("clean; ")
    task, = tasks_of(cape, b"the same file")
    assert task["options"] == f"hikyaku={task['sha256']}-exe"


def test_the_same_octets_under_another_name(hk, cape):
    """Another program opens them: what was clean as one kind of file is opened again as another."""
    send_and_wait(hk, message("as-exe", ("a.pdf.exe", b"two faces")))
    send_and_wait(hk, message("as-js", ("a.pdf.JS", b"two faces"), ("b.pdf.js", b"two faces")))
    assert [t["target"] for t in tasks_of(cape, b"two faces")] == ["a.pdf.exe", "a.pdf.JS"]
    # Nor does a task count that somebody else made of them.
    task = {**tasks_of(cape, b"two faces")[0], "id": len(cape.tasks) + 1, "options": "procmemdump=1",
            "sha256": hashlib.sha256(b"by hand").hexdigest()}
    cape.tasks[task["id"]] = task
    send_and_wait(hk, message("by-hand", ("a.pdf.exe", b"by hand")))
    assert len(tasks_of(cape, b"by hand")) == 2


def test_links(hk, cape):
    """A link that hides where it leads: the engine goes there, with what else is in the message left alone."""
    link = "http://0x7f.0.0.1/%s?a=b&c=%%20d" % (MALICIOUS.decode())
    line = send_and_wait(hk, message("link", body=f"see {link} now\n"))
    assert line["status"] == "malicious"
    task = list(cape.tasks.values())[-1]
    assert task["category"] == "url" and task["target"] == link and re.fullmatch(r"hikyaku=[0-9a-f]{32}-\d+", task["options"])
    count = len(cape.tasks)
    line = send_and_wait(hk, message("link-again", body=f"see {link} now\n"))
    assert line["status"] == "malicious" and len(cape.tasks) == count


def test_other_views_of_a_report(hk, cape):
    """No search, and no score in the short view: there are other ways to it."""
    cape.search_disabled = cape.no_score_in_view = True
    line = send_and_wait(hk, suspicious("views", MALICIOUS))
    assert line["status"] == "malicious"


@pytest.mark.parametrize("fault", ["500", "garbage", "429", "huge", "cut"])
def test_engine_that_recovers(hk, cape, fault):
    """Whatever it answers for a while: asked again, and one task is made."""
    name = f"recovers-{fault}"
    cape.fault = fault
    asked = len(cape.requests)
    assert send(hk, suspicious(name), "a@remote.test")[0] == 250
    wait_for(lambda: len(cape.requests) > asked)
    cape.fault = None
    assert field_of(find(hk, name)).startswith("clean; ")
    assert len(tasks_of(cape, f"harmless of {name}".encode())) == 1


def test_answer_to_a_submission_is_lost(hk, cape):
    """The task was made, nobody heard of it: it is found."""
    class Losing(FakeCape):
        lost = 0

    def create(kind, query, request, body):
        answer = FakeCape.create(cape, kind, query, request, body)
        Losing.lost += 1
        if Losing.lost == 1:
            request.connection.close()
            raise OSError("lost")
        return answer

    cape.create = create
    try:
        send_and_wait(hk, suspicious("lost"))
    finally:
        del cape.create
    assert field_of(find(hk, "lost")).startswith("clean; ")
    assert Losing.lost == 1 and len(tasks_of(cape, b"harmless of lost")) == 1


def test_slow_engine(hk, cape):
    """Its time is over: quarantine, unless the configuration says otherwise."""
    cape.seconds = 60
    started = time.monotonic()
    line = send_and_wait(hk, suspicious("slow"))
    assert line["status"] == "late" and line["state"] == "quarantine"
    assert TIME_S - 1 < time.monotonic() - started < TIME_S + 4
    item = quarantined(hk, line["queue_id"])
    assert item["reason"] == "not opened before delivery (late), and suspicious"
    # An administrator lets it go.
    hk.cli("quarantine", "release", item["id"])
    assert field_of(find(hk, "slow")) == "late; engine=cape; kind=virtual; result=late; score=0.0"


def test_unavailable_delivers(hk, cape):
    """The other policy, and another time, from a reload on."""
    conf = hk.dir / "hikyaku.conf"
    before = conf.read_text()
    Instance.configure(hk, {"detonate_unavailable": "deliver", "detonate_time": "2s"})
    hk.reload()
    cape.seconds = 60
    try:
        line = send_and_wait(hk, suspicious("unseen"))
        assert line["status"] == "late" and line["state"] == "deliver" and line["delay_ms"] < 5000
        assert field_of(find(hk, "unseen")).startswith("late; ")
    finally:
        conf.write_text(before)
        hk.reload()


def test_operator_lets_it_go_unopened(hk, cape):
    cape.seconds = 60
    assert send(hk, suspicious("let-go"), "a@remote.test")[0] == 250
    item, = wait_for(lambda: hk.cli_json("queue", "list"))
    # Not with all others that are held.
    hk.cli("queue", "release", "--all")
    hk.cli("queue", "flush", item["id"])
    assert hk.cli_json("queue", "list")[0]["recipients"][0]["state"] == "detonating"
    hk.cli("queue", "hold", item["id"])
    assert hk.cli_json("queue", "list")[0]["recipients"][0]["state"] == "held"
    hk.cli("queue", "release", item["id"])
    msg = find(hk, "let-go")
    assert field_of(msg) is None and msg["X-Hikyaku-Suspicious"]
    assert [e["queue_id"] for e in hk.events("queue.item.unwatched")] == [int(item["id"])]
    hk.wait_queue_empty()


def test_engine_that_is_down(hk, cape):
    """Nobody answers, then somebody who does not know our token: doctor says so, the policy decides."""
    port = cape.port
    cape.close()
    try:
        for n in range(3):
            assert send(hk, suspicious(f"down-{n}"), "a@remote.test")[0] == 250
        wait_for(lambda: hk.events("detonate.engine.down"))
        doctor = json.dumps(hk.cli_json("doctor", check=False))
        assert "detonation cape cannot be asked" in doctor
        wait_for(lambda: not [i for i in hk.cli_json("queue", "list") if i["detonating"]])
        lines = detonated(hk, 3)
        assert {line["status"] for line in lines} == {"failed"} and {line["state"] for line in lines} == {"quarantine"}
    finally:
        cape.port = port
        cape.start()
    cape.token = "another"
    line = send_and_wait(hk, suspicious("token"))
    assert line["status"] == "failed" and cape.refused > 1
    cape.token = "secret-token"
    send_and_wait(hk, suspicious("back"))
    assert field_of(find(hk, "back")).startswith("clean; ")
    assert hk.events("detonate.engine.back")
    assert "cannot be asked" not in json.dumps(hk.cli_json("doctor", check=False))
    hk.forget_log("process.alert")


@pytest.mark.parametrize("victim", ["detonated", "queued"])
def test_killed_in_the_middle(hk, cape, victim):
    """Asked again; the engine has the file already and gets no second one."""
    cape.seconds = 3
    name = f"killed-{victim}"
    data = f"harmless of {name}".encode()
    assert send(hk, suspicious(name), "a@remote.test")[0] == 250
    wait_for(lambda: tasks_of(cape, data))
    pid, = hk.processes()[victim]
    os.kill(pid, signal.SIGKILL)
    assert field_of(find(hk, name)).startswith("clean; ")
    assert len(tasks_of(cape, data)) == 1
    wait_for(lambda: hk.processes().get(victim))
    hk.forget_log("process.died")


def test_figures(hk):
    """What came of it, and how long it took."""
    def known():
        rows = hk.cli_json("stats", "show", "--domain", "example.test")
        figures = rows[0]["figures"] if rows else {}
        return figures if figures.get("detonated.clean", 0) > 10 and figures.get("detonated.failed", 0) > 2 else None
    figures = wait_for(known)
    assert figures["detonated"] > 10 and figures["suspicious"] >= figures["detonated"] and figures["received"] > 10
    assert figures["detonated.malicious"] > 2 and figures["detonated.late"] > 1 and figures["detonated.failed"] > 2
    stage, = [s for s in hk.cli_json("stats", "stages") if s["stage"] == "detonation"]
    assert stage["count"] >= figures["detonated.clean"] and stage["mean_ms"] > 0


def test_what_it_has(hk):
    """No file, no network of its own."""
    pid, = hk.processes()["detonated"]
    with open(f"/proc/{pid}/status") as status:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in status)
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2" and int(fields["CapEff"], 16) == 0
    if os.getuid() == 0:
        assert 0 not in map(int, fields["Uid"].split())
        assert os.readlink(f"/proc/{pid}/root") == str(hk.dir / "data/empty")


def test_two_engines(tmp_path):
    """Over TLS under a name, and by a local socket; both are asked, and the message says which kinds looked."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=cape.test", "-addext", "subjectAltName=DNS:cape.test", "-keyout",
                    str(tmp_path / "key.pem"), "-out", str(tmp_path / "ca.pem")], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    local = FakeCape(token="secret-token", path=tempfile.mktemp(prefix="hk-cape-", dir="/tmp")).start()
    secure, wrong = FakeCape(token="", tls=tls).start(), FakeCape(token="", tls=tls).start()
    block = 'detonation %s {\n\tkind = "%s"\n\taddress = "%s"\n\ttls = "verify"\n\thost = "%s"\n\tca = "%s"\n\ttoken_file = "%s"\n}\n'
    (tmp_path / "token").write_text("another\n")
    secure.token = wrong.token = "another"
    hk = Detonating(local, more=block % ("bare", "physical", secure.address, "cape.test", tmp_path / "ca.pem",
                                         tmp_path / "token"),
                    config={"suspicious": "detonate", "detonate_time": "4s"})
    hk.start()
    try:
        hk.domain()
        hk.account("alice@example.test")
        send_and_wait(hk, suspicious("both"))
        assert field_of(find(hk, "both")) == (
            "clean; engine=cape; kind=virtual; result=clean; score=0.4; engine=bare; kind=physical; result=clean; score=0.4")
        assert len(local.tasks) == len(secure.tasks) == 1
        # Somebody else's certificate: it is not told what is in the mail.
        conf = hk.dir / "hikyaku.conf"
        conf.write_text(conf.read_text().replace(secure.address, wrong.address).replace("cape.test", "other.test"))
        hk.stop()
        hk.quickstart()
        line = send_and_wait(hk, suspicious("wrong"))
        assert line["status"] == "failed" and line["state"] == "quarantine"
        assert len(local.tasks) == 2 and not wrong.requests
        assert wrong.tasks == {}
        hk.forget_log("process.alert")
        hk.assert_clean_log()
    finally:
        hk.destroy()
        for engine in (local, secure, wrong):
            engine.close()
        os.unlink(local.path)
