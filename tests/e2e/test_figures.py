# SPDX-License-Identifier: ISC
"""What is counted: by domain and day, how long stages took, and what monitoring reads."""
import os
import shutil
import time
import urllib.error
import urllib.request

import pytest

from dnsserver import DnsServer
from instance import TOP, Instance
from test_filter import ZONES, arc_sealed, send, signed
from test_virus import EICAR, locked, message, outgoing, packed


@pytest.fixture(scope="module")
def hk():
    instance = Instance().start()
    try:
        for domain in ("example.test", "other.test"):
            instance.domain(domain)
        for address in ("alice@example.test", "bob@example.test", "carol@other.test"):
            instance.account(address)
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def until(check, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (AssertionError, IndexError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def figures(hk, *args):
    return hk.cli_json("stats", "show", *args)[0]


def stages_of(hk):
    return {row["stage"]: row for row in hk.cli_json("stats", "stages")}


def wait_stages(hk, *names):
    """Stages by name, when all of these have been counted."""
    def check():
        found = stages_of(hk)
        assert all(name in found and found[name]["count"] > 0 for name in names), (names, found)
        return found
    return until(check)


def get(hk, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{hk.port('metrics')}{path}", timeout=20) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


def gauge(text, name):
    return [float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " ")][0]


def test_by_domain_and_day(hk):
    assert send(hk, message("one"), "a@remote.test", ("alice@example.test",))[0] == 250
    assert send(hk, message("both"), "a@remote.test", ("alice@example.test", "carol@other.test"))[0] == 250
    assert send(hk, message("infected", body=EICAR.decode() + "\n"), "a@remote.test", ("carol@other.test",))[0] == 554
    assert send(hk, message("replaced", ("x.com", EICAR)), "a@remote.test", ("carol@other.test",))[0] == 250
    assert outgoing(hk, message("out"))[0] == 250

    def check():
        whole, first, second = figures(hk), figures(hk, "--domain", "example.test"), figures(hk, "--domain", "other.test")
        assert (whole["received"], whole["refused"], whole["sent"], whole["virus"]) == (3, 1, 1, 2)
        assert (first["received"], first["refused"], first["sent"], first["virus"]) == (2, 0, 1, 0)
        assert (second["received"], second["refused"], second["virus"]) == (2, 1, 2)
        assert second["figures"].get("replaced") == 1 and "stage.judge.sum" not in whole["figures"]
        assert whole["day"] == time.strftime("%Y-%m-%d")
    until(check)


def test_what_filters_found(make_instance):
    """What was suspicious and kept, and the results of the senders' identities, each for the domain it was sent to."""
    with DnsServer({name: ZONES[name] for name in ("proven.test", "watch.test", "unknown-sealer.test")}) as dns:
        hk = make_instance(config=dns.settings(filter_budget="8s", virus_encrypted="quarantine"),
                           zones={"smtp": "internet"}).start()
        for domain in ("example.test", "other.test"):
            hk.domain(domain)
        for address in ("alice@example.test", "carol@other.test"):
            hk.account(address)
        proven, watched = (message(name, sender=f"a@{name}.test") for name in ("proven", "watch"))
        alice, carol = ("alice@example.test",), ("carol@other.test",)
        assert send(hk, signed(proven, "proven.test"), "a@proven.test", alice)[0] == 250
        assert send(hk, watched, "a@watch.test", alice + carol)[0] == 250
        broken = signed(watched, "watch.test").replace(b"hello", b"hullo")
        assert send(hk, broken, "a@watch.test", carol)[0] == 250
        sealed = arc_sealed(watched, "unknown-sealer.test", "pass", "watch.test")
        assert send(hk, sealed, "a@watch.test", carol)[0] == 250
        sealed = sealed.replace(b"hello", b"hullo")
        assert send(hk, sealed, "a@watch.test", carol)[0] == 250
        script = message("script", ("invoice.js", b"WScript.Echo(1)"), sender="a@watch.test")
        assert send(hk, script, "a@watch.test", carol)[0] == 250
        kept = message("kept", ("a.zip", locked(packed(("a", b"secret")))), sender="a@watch.test")
        assert send(hk, kept, "a@watch.test", carol)[0] == 250

        def check():
            names = [f"{method}.{result}" for method in ("spf", "dkim", "dmarc", "arc") for result in ("none", "pass", "fail")]
            names += ["suspicious", "encrypted", "quarantined"]
            whole, first, second = (
                {name: n for name, n in figures(hk, *args)["figures"].items() if name in names}
                for args in ((), ("--domain", "example.test"), ("--domain", "other.test")))
            assert first == {"spf.pass": 1, "spf.fail": 1, "dkim.pass": 1, "dkim.none": 1, "dmarc.pass": 1, "dmarc.fail": 1}
            assert second == {"spf.fail": 6, "dkim.none": 5, "dkim.fail": 1, "dmarc.fail": 6, "arc.pass": 1, "arc.fail": 1,
                              "suspicious": 1, "encrypted": 1, "quarantined": 1}
            # A message for both is one of the installation.
            assert whole == {"spf.pass": 1, "spf.fail": 6, "dkim.pass": 1, "dkim.none": 5, "dkim.fail": 1, "dmarc.pass": 1,
                             "dmarc.fail": 6, "arc.pass": 1, "arc.fail": 1, "suspicious": 1, "encrypted": 1,
                             "quarantined": 1}
        until(check)
        found = wait_stages(hk, "judge", "filter.read", "filter.dns", "filter.scan")
        assert all(found[stage]["count"] >= 7 for stage in ("judge", "filter.read", "filter.dns", "filter.scan")), found
        hk.assert_clean_log()


def test_stages(hk):
    def check():
        stages = stages_of(hk)
        assert {"data", "seal", "judge", "queue", "filter.scan", "delivery"} <= set(stages)
        assert stages["judge"]["count"] >= 4 and stages["judge"]["p99_ms"] >= stages["judge"]["p50_ms"] >= 1
    until(check)
    assert "judge" in hk.cli("stats", "stages").stdout


def test_monitoring(hk):
    kind, text = get(hk, "/metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    assert 'hikyaku_messages_total{event="received"} 3\n' in text
    assert 'hikyaku_stage_seconds_bucket{stage="judge",le="+Inf"}' in text
    assert 0 <= gauge(text, "hikyaku_signatures_built_age_seconds") < 10 * 365 * 86400
    assert gauge(text, "hikyaku_signatures") >= 1
    assert get(hk, "/healthz")[1] == "ok\n"
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(hk, "/.well-known/autoconfig/mail/config-v1.1.xml")
    assert caught.value.code == 404
    names = {line.split("{")[0].split()[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("hikyaku_") for name in names)


def test_signatures_stay_old_over_a_restart(make_instance, tmp_path):
    """Files that do not say when they were made are as old as they are; a start, which copies our own, makes none fresh."""
    day, ours, loose = 86400, tmp_path / "hikyaku.ndb", "data/scan/signatures/loose.ndb"
    shutil.copy(TOP / "conf/signatures/hikyaku.ndb", ours)
    hk = make_instance(config={"virus_signatures": str(tmp_path), "clamav_signatures": str(tmp_path / "none")}).start()
    (hk.dir / loose).write_text("Known.Loose:0:*:" + b"a loose signature".hex() + "\n")

    def check(days):
        text = get(hk, "/metrics")[1]
        assert gauge(text, "hikyaku_signatures") >= 2
        assert days * day <= gauge(text, "hikyaku_signatures_built_age_seconds") < (days + 1) * day

    for ours_days, loose_days in ((200, 100), (50, 100)):
        hk.stop()
        for path, days in ((ours, ours_days), (hk.dir / loose, loose_days)):
            os.utime(path, (time.time(), time.time() - days * day))
        hk.start()
        until(lambda: check(min(ours_days, loose_days)))
    hk.assert_clean_log()


def test_kept_over_a_restart(hk):
    before = figures(hk)["received"]
    hk.stop()
    hk.start()
    assert figures(hk)["received"] == before
    assert send(hk, message("later"), "a@remote.test", ("alice@example.test",))[0] == 250
    hk.stop()
    hk.start()
    assert figures(hk)["received"] == before + 1
