# SPDX-License-Identifier: ISC
"""Sending with msmtp and curl: what they give us is what the other one reads."""
import email
import email.policy

import pytest

from clients import ALICE, BOB, JAPANESE, crlf, empty, last_message, run

EX_NOPERM, EX_DATAERR = 77, 65


@pytest.fixture(autouse=True)
def clean(hk):
    empty(hk, BOB)


def msmtp(hk, *args, port="submission", auth="on", password=None, **kwargs):
    tls = ["--tls=on", f"--tls-trust-file={hk.ca}", f"--tls-starttls={'on' if port == 'submission' else 'off'}"]
    return run(["msmtp", "--file=/dev/null", "--host=localhost", f"--port={hk.port(port)}", *tls, f"--auth={auth}",
                f"--user={ALICE}", f"--passwordeval=echo '{password or hk.passwords[ALICE]}'", *args], **kwargs)


@pytest.mark.parametrize("port,auth", [("submission", "on"), ("submission", "plain"), ("submission", "scram-sha-256"),
                                       ("smtps", "on"), ("smtps", "login"), ("smtps", "scram-sha-256")])
def test_msmtp(hk, port, auth):
    msmtp(hk, f"--from={ALICE}", BOB, port=port, auth=auth, stdin=JAPANESE)
    got = last_message(hk, 1)
    assert got.endswith(crlf(JAPANESE)[JAPANESE.index(b"\n\n"):]) and b"with ESMTPSA" in got


def test_msmtp_reads_recipients_and_reports(hk):
    msmtp(hk, f"--from={ALICE}", "-t", "--dsn-notify=failure,delay,success", "--dsn-return=headers",
          stdin=JAPANESE.replace(b"To: bob", b"Bcc: alice@example.test\nTo: bob"))
    got = last_message(hk, 1)
    assert b"Bcc" not in got
    report = email.message_from_bytes(last_message(hk, 2, ALICE), policy=email.policy.default)
    assert report.get_content_type() == "multipart/report" and "Action: delivered" in report.as_string()
    empty(hk, ALICE)


def test_msmtp_is_refused(hk):
    text = msmtp(hk, f"--from={ALICE}", BOB, password="wrong", stdin=JAPANESE, status=EX_NOPERM)
    assert "authentication failed" in text and "5.7.8" in text
    text = msmtp(hk, f"--from={BOB}", BOB, stdin=JAPANESE, status=EX_DATAERR)
    assert "5.7.1" in text
    text = msmtp(hk, f"--from={ALICE}", "nobody@example.test", stdin=JAPANESE, status=EX_DATAERR)
    assert "5.1.1" in text
    text = msmtp(hk, "--serverinfo", port="smtps")
    for word in ("SIZE", "PIPELINING", "DSN", "SCRAM-SHA-256"):
        assert word in text


def test_msmtp_on_port_25(hk):
    """As a host that sends on its own account: TLS when offered, no name."""
    run(["msmtp", "--file=/dev/null", "--host=localhost", f"--port={hk.port('smtp')}", "--tls=on", "--tls-starttls=on",
         f"--tls-trust-file={hk.ca}", "--from=someone@remote.test", BOB], stdin=JAPANESE)
    assert b"with ESMTPS " in last_message(hk, 1)


def test_curl(hk, tmp_path):
    letter = tmp_path / "letter"
    letter.write_bytes(crlf(JAPANESE))
    for port, scheme, options in (("submission", "smtp", ["--ssl-reqd"]), ("smtps", "smtps", []),
                                  ("smtps", "smtps", ["--login-options", "AUTH=LOGIN"])):
        empty(hk, BOB)
        run(["curl", "-sS", "--cacert", hk.ca, "--user", f"{ALICE}:{hk.passwords[ALICE]}", *options, "--mail-from", ALICE,
             "--mail-rcpt", BOB, "--mail-rcpt", "nobody@example.test", "--mail-rcpt-allowfails", "-T", letter,
             f"{scheme}://localhost:{hk.port(port)}/client.test"])
        assert last_message(hk, 1).endswith(crlf(JAPANESE)[JAPANESE.index(b"\n\n"):])
