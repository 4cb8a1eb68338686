# SPDX-License-Identifier: ISC
"""The hikyaku command: verbs, exit codes, JSON, CSV."""
import json

import pytest
from test_roundtrip import imap


def test_lists(hk):
    assert [d["name"] for d in hk.cli_json("domain", "list")] == ["example.test"]
    addresses = [a["address"] for a in hk.cli_json("account", "list", "--domain", "example.test")]
    assert addresses == ["alice@example.test", "bob@example.test"]
    assert hk.cli_json("queue", "list") == []
    assert {p["name"] for p in hk.cli_json("plan", "list")} >= {"100M", "3G", "10G"}


def test_exit_codes(hk):
    assert hk.cli("domain", "create", "example.test", check=False).returncode == 1
    assert hk.cli("account", "create", "alice@example.test", "--password-stdin", stdin="x y z\n",
                  check=False).returncode == 1
    assert hk.cli("frob", check=False).returncode == 2
    assert hk.cli("domain", "create", check=False).returncode == 2
    assert hk.cli("domain", "create", "x.test", "--no-such-option", check=False).returncode == 2
    assert hk.cli("account", "show", "nobody@example.test", check=False).returncode == 1
    assert hk.cli("account", "create", "not an address", "--password-stdin", stdin="x\n", check=False).returncode == 1
    assert hk.cli("--help").returncode == 0


def test_log_has_the_actor(hk):
    lines = hk.cli_json("log", "list")
    assert any(e["verb"] == "domain.create" and e["object"] == "example.test" and "0" in e["actor"] for e in lines)
    assert not any("battery staple" in json.dumps(e) for e in lines)


def csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "users.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize("encoding", ["UTF-8", "CP932"])
def test_import(hk, tmp_path, encoding):
    tag = encoding.lower().replace("-", "")
    path = csv(tmp_path, "address,password,name,quota,plan,aliases,forwards\r\n"
               f"i1{tag}@example.test,pass word 1,山田 太郎,,100M,,\r\n"
               f'i2{tag}@example.test,"pass,""2""",髙橋,1G,,ia{tag}@example.test ib{tag}@example.test,alice@example.test\r\n',
               "cp932" if encoding == "CP932" else "utf-8")
    before = len(hk.cli_json("account", "list", "--domain", "example.test"))
    assert hk.cli("account", "import", "--csv", path, "--encoding", encoding, "--dry-run").returncode == 0
    assert len(hk.cli_json("account", "list", "--domain", "example.test")) == before
    hk.cli("account", "import", "--csv", path, "--encoding", encoding)
    accounts = {a["address"]: a for a in hk.cli_json("account", "list", "--domain", "example.test")}
    assert accounts[f"i1{tag}@example.test"]["name"] == "山田 太郎"
    assert accounts[f"i1{tag}@example.test"]["quota"] == 100 << 20
    assert accounts[f"i2{tag}@example.test"]["quota"] == 1 << 30
    hk.passwords[f"i2{tag}@example.test"] = 'pass,"2"'
    imap(hk, f"i2{tag}@example.test").logout()


def test_import_errors_apply_nothing(hk, tmp_path):
    path = csv(tmp_path, "address,password,quota\nok1@example.test,x y z,1G\nalice@example.test,x y z,1G\n"
               "bad address,x y z,1G\nok2@nowhere.test,x y z,1G\nok3@example.test,x y z,much\n")
    done = hk.cli("account", "import", "--csv", path, check=False)
    assert done.returncode == 1
    out = done.stdout + done.stderr
    for line in (3, 4, 5, 6):
        assert f"line {line}:" in out, out
    assert "line 2:" not in out
    assert "ok1@example.test" not in [a["address"] for a in hk.cli_json("account", "list", "--domain", "example.test")]


def test_ids_limit(hk):
    hk.cli("domain", "create", "two.test", "--ids", "2")
    hk.account("a@two.test")
    hk.account("b@two.test")
    assert hk.cli("account", "create", "c@two.test", "--password-stdin", stdin="x y z\n", check=False).returncode == 1


def test_not_running(hk, tmp_path):
    text = (hk.dir / "hikyaku.conf").read_text().replace(str(hk.dir) + '"', str(tmp_path) + '"', 1)
    path = tmp_path / "other.conf"
    path.write_text(text)
    import subprocess
    done = subprocess.run([str(hk.dir / "bin/hikyaku"), "-c", str(path), "domain", "list"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "running" in done.stderr
