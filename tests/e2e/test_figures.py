# SPDX-License-Identifier: ISC
"""What is counted: by domain and day, how long stages took, and what monitoring reads."""
import time
import urllib.error
import urllib.request

import pytest

from instance import Instance
from test_filter import find, send
from test_virus import EICAR, message, outgoing


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


def get(hk, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{hk.port('metrics')}{path}", timeout=20) as reply:
        return reply.headers["Content-Type"], reply.read().decode()


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
        assert second["figures"]["replaced"] == 1 and "stage.judge.sum" not in whole["figures"]
        assert whole["day"] == time.strftime("%Y-%m-%d")
    until(check)


def test_stages(hk):
    def check():
        stages = {row["stage"]: row for row in hk.cli_json("stats", "stages")}
        assert {"data", "seal", "judge", "queue", "filter.scan", "delivery"} <= set(stages)
        assert stages["judge"]["count"] >= 4 and stages["judge"]["p99_ms"] >= stages["judge"]["p50_ms"] >= 1
    until(check)
    assert "judge" in hk.cli("stats", "stages").stdout


def test_monitoring(hk):
    kind, text = get(hk, "/metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    assert 'hikyaku_messages_total{event="received"} 3\n' in text
    assert 'hikyaku_stage_seconds_bucket{stage="judge",le="+Inf"}' in text
    age = next(float(line.split()[1]) for line in text.splitlines()
               if line.startswith("hikyaku_signatures_built_age_seconds "))
    assert 0 <= age < 10 * 365 * 86400
    assert next(int(line.split()[1]) for line in text.splitlines() if line.startswith("hikyaku_signatures ")) >= 1
    assert get(hk, "/healthz")[1] == "ok\n"
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(hk, "/.well-known/autoconfig/mail/config-v1.1.xml")
    assert caught.value.code == 404
    names = {line.split("{")[0].split()[0] for line in text.splitlines() if not line.startswith("#")}
    assert all(name.startswith("hikyaku_") for name in names)


def test_kept_over_a_restart(hk):
    before = figures(hk)["received"]
    hk.stop()
    hk.start()
    assert figures(hk)["received"] == before
    assert send(hk, message("later"), "a@remote.test", ("alice@example.test",))[0] == 250
    hk.stop()
    hk.start()
    assert figures(hk)["received"] == before + 1
