# SPDX-License-Identifier: ISC
"""What SMTP says, mostly to those who misbehave (threats.md lines 1-16)."""
import base64
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import time

import pytest
from smtp import Smtp


@pytest.fixture
def mx(hk):
    smtp = Smtp(hk.port("smtp"))
    yield smtp
    smtp.close()


def test_greeting_and_ehlo(hk, mx):
    assert mx.greeting[0] == 220 and "ESMTP" in mx.greeting[1][0]
    code, lines = mx.cmd("EHLO client.test")
    words = [line[4:].split()[0] for line in lines]
    assert code == 250
    for word in ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "STARTTLS"):
        assert word in words
    assert "AUTH" not in words


def test_order_of_commands(mx):
    assert mx.code("MAIL FROM:<a@b.test>") == 503
    mx.hello()
    assert mx.code("RCPT TO:<alice@example.test>") == 503
    assert mx.code("DATA") == 503
    assert mx.code("MAIL FROM:<a@b.test>") == 250
    assert mx.code("MAIL FROM:<a@b.test>") == 503
    assert mx.code("DATA") == 554
    assert mx.code("RSET") == 250
    assert mx.code("NOOP") == 250
    assert mx.code("VRFY alice") == 252
    assert mx.code("QUIT") == 221


@pytest.mark.parametrize("recipient,code", [
    ("alice@example.test", 250), ("ALICE@EXAMPLE.TEST", 250), ("alice+tag@example.test", 250),
    ("nobody@example.test", 550), ("x@elsewhere.test", 550), ("user%elsewhere.test@example.test", 550),
    ('"x@elsewhere.test"@example.test', 550), ("@example.test:x@elsewhere.test", 550),
    ("x@[192.0.2.1]", 550), ("x@[IPv6:2001:db8::1]", 550), ("", 501), ("a b@example.test", 501),
    ("x!y@elsewhere.test", 550), ("postmaster@example.test", 550),
])
def test_relay_matrix(hk, recipient, code):
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.code("MAIL FROM:<x@remote.test>")
    assert smtp.code(f"RCPT TO:<{recipient}>") == code
    smtp.close()


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n",
                                 b"\r\n\r.\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n.\n", b"\r\n.\r\r\n", b"\n.\r\r\n"])
def test_smuggling(hk, end):
    """Two messages in one by an odd end of data: refused, nothing delivered."""
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    before = len(hk.events("queue.item.accepted"))
    smtp.send(b"Subject: one\r\n\r\nx" + end +
              b"MAIL FROM:<evil@remote.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: two\r\n\r\ny\r\n.\r\n")
    assert smtp.reply()[0] == 550
    assert smtp.code("NOOP") == 250
    smtp.close()
    assert len(hk.events("queue.item.accepted")) == before


def test_bare_lf_command(mx):
    mx.send(b"EHLO x\nMAIL FROM:<a@b.test>\r\n")
    assert mx.reply()[0] == 421


def test_starttls_injection(hk):
    """What follows STARTTLS in the same segment never runs (CVE-2011-0411)."""
    for split in (0, 1, 5, 9):
        smtp = Smtp(hk.port("smtp")).hello()
        data = b"STARTTLS\r\nMAIL FROM:<evil@remote.test>\r\n"
        smtp.send(data)
        assert smtp.reply()[0] in (421, 0)
        assert smtp.reply()[0] == 0
        smtp.close()


def test_starttls_forgets(hk):
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<a@b.test>") == 250
    assert smtp.code("STARTTLS") == 220
    tls = hk.tls().wrap_socket(smtp.sock, server_hostname="localhost")
    tls.sendall(b"RCPT TO:<alice@example.test>\r\n")
    assert tls.recv(1000).startswith(b"503")
    tls.close()


def test_long_lines(hk):
    smtp = Smtp(hk.port("smtp"))
    smtp.send(b"NOOP " + b"x" * 20000 + b"\r\n")
    assert smtp.reply()[0] == 500
    assert smtp.code("NOOP") == 250
    smtp.close()


def test_no_line_end_at_all(hk):
    """A gigabyte without a line end is cut after a megabyte."""
    smtp = Smtp(hk.port("smtp"))
    sent = 0
    try:
        for _ in range(16384):
            smtp.send(b"x" * 65536)
            sent += 65536
    except OSError:
        pass
    assert sent < 64 << 20
    smtp.close()


def test_too_many_errors(mx):
    codes = []
    while len(codes) < 15 and 421 not in codes:
        codes.append(mx.code("FROB"))
    assert codes[-1] == 421 and codes.count(500) + codes.count(502) >= 5


def test_nul_and_control(mx):
    mx.hello()
    assert mx.code(b"MAIL FROM:<a\0b@c.test>") == 501 or mx.code("NOOP") == 250


def test_size_limits(hk, mx):
    mx.hello()
    assert mx.code("MAIL FROM:<a@b.test> SIZE=99999999999") == 552
    assert mx.code("MAIL FROM:<a@b.test> FOO=bar") == 555


def test_data_over_the_limit(make_instance):
    hk = make_instance(config={"message_size": "1M"}).start()
    hk.domain()
    hk.account("alice@example.test")
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    line = b"z" * 998 + b"\r\n"
    for _ in range(1200):
        smtp.send(line)
    smtp.send(b".\r\n")
    assert smtp.reply()[0] == 552
    smtp.begin()
    smtp.send(b"Subject: small\r\n\r\nfits\r\n.\r\n")
    assert smtp.reply()[0] == 250
    smtp.close()
    hk.assert_clean_log()


def test_loop(hk):
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    smtp.send(b"Received: from a by b; x\r\n" * 31 + b"Subject: loop\r\n\r\n.\r\n")
    code, lines = smtp.reply()
    assert code == 554 and "5.4.6" in lines[0]
    smtp.close()


def test_header_flood(hk):
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    smtp.send(b"X-A: b\r\n" * 100000 + b"\r\nbody\r\n.\r\n")
    assert smtp.reply()[0] in (250, 552)
    smtp.begin()
    smtp.send((b"X-A: " + b"c" * 900 + b"\r\n") * 3000 + b"\r\nbody\r\n.\r\n")
    code, lines = smtp.reply()
    assert code == 552 and "5.3.4" in lines[0]
    smtp.close()


def test_aborted_data_delivers_nothing(hk):
    before = len(hk.events("queue.item.accepted"))
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.begin()
    smtp.send(b"Subject: cut\r\n\r\nhalf a mess")
    smtp.close()
    time.sleep(0.3)
    assert len(hk.events("queue.item.accepted")) == before


def test_pipelining(hk):
    smtp = Smtp(hk.port("smtp"))
    smtp.send(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\n"
              b"DATA\r\n")
    assert [smtp.reply()[0] for _ in range(5)] == [250, 250, 250, 550, 354]
    smtp.send(b"Subject: pipelined\r\n\r\nx\r\n.\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n")
    assert [smtp.reply()[0] for _ in range(3)] == [250, 250, 221]
    smtp.close()


def test_half_closed_client_gets_its_replies(hk):
    with socket.create_connection(("127.0.0.1", hk.port("smtp")), 20) as s:
        s.sendall(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nRSET\r\nQUIT\r\n")
        s.shutdown(socket.SHUT_WR)
        data = b""
        while chunk := s.recv(4096):
            data += chunk
    assert b"\r\n221 " in data


def test_one_octet_at_a_time(hk):
    smtp = Smtp(hk.port("smtp"))
    smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n":
        smtp.send(bytes([octet]))
    assert [smtp.reply()[0] for _ in range(4)] == [250, 250, 250, 354]
    for octet in b"Subject: slow\r\n\r\n..\r\n.\r\n":
        smtp.send(bytes([octet]))
    assert smtp.reply()[0] == 250
    smtp.close()


# ---- submission ----

def login(hk, user="alice@example.test", port="smtps"):
    if port == "smtps":
        smtp = smtplib.SMTP_SSL("localhost", hk.port(port), context=hk.tls(), timeout=30)
    else:
        smtp = smtplib.SMTP("localhost", hk.port(port), timeout=30)
        smtp.starttls(context=hk.tls())
    smtp.login(user, hk.passwords[user])
    return smtp


def test_submission_needs_auth(hk):
    smtp = smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls())
    smtp.ehlo()
    assert "auth" in smtp.esmtp_features
    assert smtp.mail("alice@example.test")[0] == 530
    smtp.quit()
    smtp = smtplib.SMTP("localhost", hk.port("submission"))
    smtp.ehlo()
    assert "auth" not in smtp.esmtp_features
    assert smtp.docmd("AUTH PLAIN AGFsaWNlAHg=")[0] == 538
    smtp.quit()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("port", ["smtps", "submission"])
def test_swaks_sends(hk, mechanism, port):
    args = ["swaks", "--server", "127.0.0.1", "--port", str(hk.port(port)), "--from", "alice@example.test",
            "--to", "bob@example.test", "--auth", mechanism, "--auth-user", "alice@example.test",
            "--auth-password", hk.passwords["alice@example.test"], "--h-Subject", f"{mechanism} {port}"]
    args.append("--tls-on-connect" if port == "smtps" else "--tls")
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_curl_sends(hk, tmp_path):
    mail = tmp_path / "mail"
    mail.write_bytes(b"From: alice@example.test\r\nTo: bob@example.test\r\nSubject: curl\r\n\r\nhello\r\n")
    done = subprocess.run(
        ["curl", "-sS", "--cacert", hk.ca, "--url", f"smtps://localhost:{hk.port('smtps')}", "--mail-from",
         "alice@example.test", "--mail-rcpt", "bob@example.test", "--upload-file", str(mail), "--user",
         f"alice@example.test:{hk.passwords['alice@example.test']}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_wrong_password(hk):
    for user in ("alice@example.test", "nobody@example.test"):
        smtp = smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls())
        with pytest.raises(smtplib.SMTPAuthenticationError) as e:
            smtp.login(user, "wrong")
        assert e.value.smtp_code == 535
        smtp.close()


def test_auth_garbage(hk):
    smtp = smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls())
    smtp.ehlo()
    assert smtp.docmd("AUTH GSSAPI")[0] == 504
    assert smtp.docmd("AUTH PLAIN !!!!")[0] == 501
    assert smtp.docmd("AUTH PLAIN")[0] == 334
    assert smtp.docmd("*")[0] == 501
    smtp.close()


def test_send_as(hk):
    hk.cli("alias", "create", "sales@example.test", "alice@example.test")
    smtp = login(hk)
    body = "Subject: x\r\n\r\nx\r\n"

    def send(sender, header):
        try:
            smtp.sendmail(sender, "bob@example.test", f"From: {header}\r\n{body}")
            return 250
        except smtplib.SMTPSenderRefused as e:
            smtp.rset()
            return e.smtp_code
        except smtplib.SMTPDataError as e:
            return e.smtp_code

    assert send("alice@example.test", "alice@example.test") == 250
    assert send("alice+list@example.test", "Alice <alice+list@example.test>") == 250
    assert send("sales@example.test", "sales@example.test") == 250
    assert send("bob@example.test", "bob@example.test") == 550
    assert send("alice@example.test", "bob@example.test") == 550
    assert send("alice@example.test", "alice@example.test, bob@example.test") == 550
    assert send("alice@example.test", "alice@example.test\r\nFrom: bob@example.test") == 550
    assert send("alice@example.test", "alice@example.test\r\nSender: bob@example.test") == 550
    hk.cli("account", "grant", "alice@example.test", "--send-as", "bob@example.test")
    assert send("bob@example.test", "bob@example.test") == 250
    smtp.quit()


def test_operator_and_a_recipient_elsewhere(hk):
    smtp = login(hk)
    assert smtp.sendmail("alice@example.test", ["someone@elsewhere.test"],
                         "From: alice@example.test\r\nSubject: away\r\n\r\nx\r\n") == {}
    smtp.quit()
    time.sleep(0.5)
    items = hk.cli_json("queue", "list")
    mine = [i for i in items if i["recipients"][0]["address"] == "someone@elsewhere.test"]
    assert len(mine) == 1 and mine[0]["recipients"][0]["state"] in ("queued", "deferred")
    assert mine[0]["sender"] == "alice@example.test" and mine[0]["size"] > 0
    hk.cli("queue", "hold", mine[0]["id"])
    assert hk.cli_json("queue", "show", mine[0]["id"])["held"] is True
    hk.cli("queue", "release", mine[0]["id"])
    hk.cli("queue", "delete", mine[0]["id"])
    assert all(i["id"] != mine[0]["id"] for i in hk.cli_json("queue", "list"))
    assert hk.cli("queue", "show", mine[0]["id"], check=False).returncode == 1


def test_lmtp(hk):
    smtp = Smtp(hk.port("lmtp"))
    assert smtp.code("EHLO x") in (500, 502)
    assert smtp.code("LHLO x") == 250
    assert smtp.code("MAIL FROM:<a@b.test>") == 250
    assert smtp.code("RCPT TO:<alice@example.test>") == 250
    assert smtp.code("RCPT TO:<bob@example.test>") == 250
    assert smtp.code("RCPT TO:<nobody@example.test>") == 550
    assert smtp.code("DATA") == 354
    smtp.send(b"Subject: lmtp\r\n\r\nx\r\n.\r\n")
    assert [smtp.reply()[0] for _ in range(2)] == [250, 250]
    smtp.close()


def test_lmtp_data_refused_is_one_answer(make_instance):
    """RFC 2033 section 4.2: the recipients are told of behind the data, and there is none."""
    hk = make_instance().start()
    hk.domain()
    hk.account("alice@example.test")
    hk.account("bob@example.test")
    smtp = Smtp(hk.port("lmtp"))
    assert smtp.code("LHLO x") == 250
    assert smtp.code("MAIL FROM:<a@b.test>") == 250
    assert smtp.code("RCPT TO:<alice@example.test>") == 250
    assert smtp.code("RCPT TO:<bob@example.test>") == 250
    blobd, = hk.processes()["blobd"]
    os.kill(blobd, signal.SIGSTOP)
    smtp.send(b"DATA\r\n")
    time.sleep(0.3)
    os.kill(blobd, signal.SIGKILL)
    assert smtp.reply()[0] == 451
    assert smtp.code("NOOP") == 250
    smtp.close()
    (hk.dir / "log/hikyaku.log").write_text("")


def test_recipient_limit(make_instance):
    hk = make_instance(config={"message_recipients": "3"}).start()
    hk.domain()
    for n in range(5):
        hk.account(f"u{n}@example.test")
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.code("MAIL FROM:<a@b.test>")
    assert [smtp.code(f"RCPT TO:<u{n}@example.test>") for n in range(5)] == [250, 250, 250, 452, 452]
    smtp.close()


def test_domain_limits(hk):
    hk.cli("domain", "create", "small.test", "--message-size", "10K", "--message-recipients", "2")
    for n in range(3):
        hk.account(f"u{n}@small.test")
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<a@b.test> SIZE=20000") == 250
    assert smtp.code("RCPT TO:<u0@small.test>") == 552
    smtp.code("RSET")
    smtp.code("MAIL FROM:<a@b.test>")
    assert smtp.code("RCPT TO:<u0@small.test>") == 250
    assert smtp.code("RCPT TO:<alice@example.test>") == 452
    assert smtp.code("RCPT TO:<u1@small.test>") == 250
    assert smtp.code("RCPT TO:<u2@small.test>") == 452
    assert smtp.code("DATA") == 354
    smtp.send(b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 200 + b".\r\n")
    assert smtp.reply()[0] == 552
    smtp.close()


def test_disabled_and_deleted(hk):
    hk.account("carol@example.test")
    smtp = Smtp(hk.port("smtp")).hello()
    smtp.code("MAIL FROM:<a@b.test>")
    assert smtp.code("RCPT TO:<carol@example.test>") == 250
    hk.cli("account", "disable", "carol@example.test")
    assert smtp.code("RCPT TO:<carol@example.test>") == 550
    hk.cli("account", "delete", "carol@example.test")
    assert smtp.code("RCPT TO:<carol@example.test>") == 550
    smtp.close()


def test_tls_versions(hk):
    context = hk.tls()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=context) as smtp:
        assert smtp.sock.version() == "TLSv1.2"
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls()) as smtp:
        assert smtp.sock.version() == "TLSv1.3"
