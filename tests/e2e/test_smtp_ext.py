# SPDX-License-Identifier: ISC
"""CHUNKING, BINARYMIME, SMTPUTF8, DSN, FUTURERELEASE as a client sees them."""
import smtplib
import time

from smtp import Smtp
from test_roundtrip import fetch_all, wait_messages


def begin(hk, options="", rcpt_options="", recipient="alice@example.test"):
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<x@remote.test>" + options) == 250
    assert smtp.code(f"RCPT TO:<{recipient}>" + rcpt_options) == 250
    return smtp


def test_what_is_offered(hk):
    smtp = Smtp(hk.port("smtp"))
    lines = [line[4:] for line in smtp.cmd("EHLO x")[1]]
    for word in ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN", "LIMITS RCPTMAX=1000"):
        assert word in lines
    assert not any(line.startswith(("REQUIRETLS", "FUTURERELEASE", "AUTH")) for line in lines)
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls()) as s:
        s.ehlo()
        assert s.has_extn("requiretls") and s.has_extn("futurerelease") and s.has_extn("auth")


def test_chunks_every_cut(hk):
    body = b"Subject: chunks\r\n\r\n.\r\n..\r\nline\r\n.\r\nMAIL FROM:<evil@remote.test>\r\n"
    smtp = begin(hk)
    # one octet a chunk, all pipelined
    smtp.send(b"".join(b"BDAT 1\r\n" + bytes([c]) for c in body) + b"BDAT 0 LAST\r\n")
    codes = [smtp.reply()[0] for _ in range(len(body) + 1)]
    assert set(codes) == {250}
    smtp.close()
    m = wait_messages(hk, 1)
    assert fetch_all(m)[-1].endswith(body)
    m.logout()


def test_chunk_sizes_that_lie(hk):
    # a chunk of unknown length follows: nothing of it may be run
    for command in ("BDAT 18446744073709551616 LAST", "BDAT -1 LAST", "BDAT 5 FIRST", "BDAT"):
        smtp = begin(hk)
        smtp.send(command.encode() + b"\r\nNOOP\r\n")
        assert smtp.reply()[0] == 421 and smtp.reply()[0] == 0
        smtp.close()
    smtp = begin(hk)
    assert smtp.code("BDAT 9223372036854775807 LAST") == 421
    assert smtp.reply()[0] == 0
    # BDAT first, DATA after: refused; RSET forgets it
    smtp = begin(hk)
    smtp.send(b"BDAT 3\r\na: ")
    assert smtp.reply()[0] == 250
    assert smtp.code("DATA") == 503
    assert smtp.code("MAIL FROM:<y@remote.test>") == 503
    assert smtp.code("RSET") == 250
    # without a transaction the chunk is read and dropped, not run
    smtp.send(b"BDAT 14\r\nNOOP\r\nQUIT\r\n\r\n" + b"NOOP\r\n")
    assert [smtp.reply()[0], smtp.reply()[0]] == [503, 250]
    # a lone CR or LF is refused as in DATA
    assert smtp.code("MAIL FROM:<x@remote.test>") == 250
    assert smtp.code("RCPT TO:<alice@example.test>") == 250
    smtp.send(b"BDAT 16 LAST\r\nSubject: x\n.\nQU\r")
    assert smtp.reply()[0] == 550
    assert smtp.code("NOOP") == 250
    smtp.close()


def test_binary_needs_bdat(hk):
    smtp = begin(hk, " BODY=BINARYMIME")
    assert smtp.code("DATA") == 503
    body = b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n" \
           b"Content-Transfer-Encoding: binary\r\n\r\n" + bytes(range(1, 256)) * 4
    smtp.send(b"BDAT %d LAST\r\n" % len(body) + body)
    assert smtp.reply()[0] == 250
    smtp.close()
    m = wait_messages(hk, 2)
    assert fetch_all(m)[-1].endswith(body)
    m.logout()


def test_smtputf8(hk):
    smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.cmd("MAIL FROM:<鈴木@remote.test>") == (553, ["553 5.6.7 this address needs SMTPUTF8 in MAIL"])
    assert smtp.code("MAIL FROM:<鈴木@remote.test> SMTPUTF8") == 250
    assert smtp.code("RCPT TO:<alice@example.test>") == 250
    assert smtp.code("DATA") == 354
    smtp.send("Subject: 会議\r\n\r\n本文\r\n.\r\n".encode())
    assert smtp.reply()[0] == 250
    smtp.close()
    m = wait_messages(hk, 3)
    got = fetch_all(m)[-1].decode()
    assert "Return-Path: <鈴木@remote.test>" in got and "with UTF8SMTP" in got
    m.logout()


def test_parameters_that_are_wrong(hk):
    smtp = Smtp(hk.port("smtp")).hello()
    for params, code in (("RET=ALL", 501), ("ENVID=a+0A", 501), ("HOLDFOR=1", 555), ("REQUIRETLS", 555), ("FOO", 555)):
        assert smtp.code(f"MAIL FROM:<a@b.test> {params}") == code, params
        smtp.close()
        smtp = Smtp(hk.port("smtp")).hello()
    assert smtp.code("MAIL FROM:<a@b.test> RET=HDRS ENVID=x") == 250
    for params, code in (("NOTIFY=NEVER,SUCCESS", 501), ("NOTIFY=X", 501), ("ORCPT=x", 501), ("FOO=1", 555)):
        assert smtp.code(f"RCPT TO:<alice@example.test> {params}") == code, params
    assert smtp.code("RCPT TO:<alice@example.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;alice@example.test") == 250
    smtp.close()
    smtp = Smtp(hk.port("smtp"))
    assert smtp.code("HELO x") == 250
    assert smtp.code("MAIL FROM:<a@b.test> SMTPUTF8") == 555
    smtp.close()


def test_future_release(hk):
    with smtplib.SMTP_SSL("localhost", hk.port("smtps"), context=hk.tls()) as smtp:
        smtp.login("bob@example.test", hk.passwords["bob@example.test"])
        smtp.sendmail("bob@example.test", ["bob@example.test"],
                      "From: bob@example.test\r\nSubject: later\r\n\r\nx\r\n", ["HOLDFOR=3"])
    sent = time.monotonic()
    wait_messages(hk, 1, "bob@example.test").logout()
    assert time.monotonic() - sent > 1.5
