# SPDX-License-Identifier: ISC
import poplib
import time
import smtplib
import socket

import pytest
from test_roundtrip import pop, send, wait_messages


def test_capa_and_stls(hk):
    p = poplib.POP3("localhost", hk.port("pop3"), timeout=30)
    capa = p.capa()
    assert "STLS" in capa and "USER" not in capa
    with pytest.raises(poplib.error_proto):
        p.user("alice@example.test")
    p.stls(context=hk.tls())
    capa = p.capa()
    for word in ("USER", "SASL", "TOP", "UIDL", "PIPELINING", "RESP-CODES"):
        assert word in capa
    assert "SCRAM-SHA-256" in capa["SASL"]
    p.user("alice@example.test")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        p.pass_("wrong")
    p.quit()


def test_dele_rset_quit(hk):
    for n in range(3):
        send(hk, b"Subject: %d\r\n\r\nx\r\n" % n, "bob@example.test")
    wait_messages(hk, 3, "bob@example.test").logout()
    p = pop(hk, "bob@example.test")
    assert p.stat()[0] == 3
    p.dele(1)
    with pytest.raises(poplib.error_proto):
        p.retr(1)
    assert p.stat()[0] == 2
    p.rset()
    assert p.stat()[0] == 3
    p.dele(2)
    p.close()                    # no QUIT: nothing is deleted
    p = pop(hk, "bob@example.test")
    assert p.stat()[0] == 3
    uid2 = p.uidl(2).split()[2]
    p.dele(1)
    p.quit()
    p = pop(hk, "bob@example.test")
    assert p.stat()[0] == 2
    assert p.uidl(1).split()[2] == uid2
    p.quit()


def test_pipelining_and_garbage(hk):
    sock = hk.tls().wrap_socket(socket.create_connection(("127.0.0.1", hk.port("pop3s")), 30),
                                server_hostname="localhost")
    f = sock.makefile("rb")
    assert f.readline().startswith(b"+OK")
    password = hk.passwords["alice@example.test"]
    sock.sendall(f"USER alice@example.test\r\nPASS {password}\r\nSTAT\r\nLIST\r\nFROB\r\nRETR 999\r\nQUIT\r\n".encode())
    assert f.readline().startswith(b"+OK")
    assert f.readline().startswith(b"+OK")
    assert f.readline().startswith(b"+OK")
    assert f.readline().startswith(b"+OK")
    while f.readline() != b".\r\n":
        pass
    assert f.readline().startswith(b"-ERR")
    assert f.readline().startswith(b"-ERR")
    assert f.readline().startswith(b"+OK")
    sock.close()
    sock = socket.create_connection(("127.0.0.1", hk.port("pop3")), 30)
    sock.sendall(b"STLS\r\nUSER evil\r\n")
    f = sock.makefile("rb")
    f.readline()
    assert f.readline().startswith(b"-ERR") and f.readline() == b""
    sock.close()


def pop_session(hk, user, password):
    p = poplib.POP3_SSL("localhost", hk.port("pop3s"), context=hk.tls(), timeout=60)
    p.user(user)
    p.pass_(password)
    return p


def test_one_session_has_the_maildrop(hk):
    hk.account("single@example.test", "pw pw pw")
    first = pop_session(hk, "single@example.test", "pw pw pw")
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        pop_session(hk, "single@example.test", "pw pw pw")
    first.quit()
    pop_session(hk, "single@example.test", "pw pw pw").quit()


def test_language(hk):
    p = poplib.POP3_SSL("localhost", hk.port("pop3s"), context=hk.tls(), timeout=60)
    caps = p.capa()
    assert caps["UTF8"] == ["USER"] and "LANG" in caps and caps["EXPIRE"] == ["NEVER"] and "LOGIN-DELAY" not in caps
    assert p._shortcmd("UTF8").startswith(b"+OK")
    assert p._longcmd("LANG")[1] == ["en English".encode(), "ja 日本語".encode()]
    assert p._shortcmd("LANG ja") == b"+OK ja"
    with pytest.raises(poplib.error_proto, match="パスワード"):
        p.user("single@example.test")
        try:
            p.pass_("wrong")
        except poplib.error_proto as e:
            raise poplib.error_proto(e.args[0].decode()) from e
    p.user("single@example.test")
    assert "通".encode() in p.pass_("pw pw pw")
    assert p._shortcmd("NOOP") == "+OK 接続中です".encode()
    p.quit()


def test_uidl_is_stable_while_imap_changes_the_mailbox(hk):
    hk.account("stable@example.test", "pw pw pw")
    for n in range(4):
        with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
            smtp.sendmail("x@remote.test", ["stable@example.test"], f"Subject: {n}\r\n\r\n{n}\r\n")
    m = wait_messages(hk, 4, "stable@example.test")
    p = pop_session(hk, "stable@example.test", "pw pw pw")
    before = [line.split()[1] for line in p.uidl()[1]]
    p.quit()
    m.select("INBOX")
    m.store("2", "+FLAGS", "(\\Deleted \\Flagged)")
    m.expunge()
    m.append("INBOX", None, None, b"Subject: new\r\n\r\nx\r\n")
    m.store("1:*", "+FLAGS", "\\Seen")
    m.logout()
    p = pop_session(hk, "stable@example.test", "pw pw pw")
    after = [line.split()[1] for line in p.uidl()[1]]
    p.quit()
    assert after[:3] == [before[0], before[2], before[3]] and after[3] not in before


def test_expire_and_login_delay(make_instance):
    hk = make_instance(config={"pop3_expire": "0", "pop3_login_delay": "4s"}).start()
    hk.domain("example.test", "--mailbox-size", "1G", "--ids", "10")
    hk.account("alice@example.test")
    for n in range(2):
        with smtplib.SMTP("127.0.0.1", hk.port("smtp")) as smtp:
            smtp.sendmail("x@remote.test", ["alice@example.test"], f"Subject: {n}\r\n\r\n{n}\r\n")
    wait_messages(hk, 2).logout()
    p = pop_session(hk, "alice@example.test", "correct horse")
    caps = p.capa()
    assert caps["EXPIRE"] == ["0"] and caps["LOGIN-DELAY"] == ["4"]
    p.retr(1)
    p.quit()
    with pytest.raises(poplib.error_proto, match="LOGIN-DELAY"):
        pop_session(hk, "alice@example.test", "correct horse")
    time.sleep(4.2)
    p = pop_session(hk, "alice@example.test", "correct horse")
    assert p.stat()[0] == 1
    p.quit()
    hk.assert_clean_log()
