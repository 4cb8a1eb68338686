# SPDX-License-Identifier: ISC
import poplib
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
