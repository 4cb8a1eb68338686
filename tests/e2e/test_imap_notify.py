# SPDX-License-Identifier: ISC
"""NOTIFY: told without asking, also after a long silence."""
import time

from imapraw import Client


def message(n):
    return f"From: a@example.test\r\nSubject: number {n}\r\n\r\nx\r\n".encode()


def test_other_mailboxes(hk):
    c, other = Client(hk), Client(hk)
    c.ok("NOTIFY SET (SUBTREE Watched (MessageNew MessageExpunge FlagChange MailboxName))")
    other.ok("CREATE Watched/One")
    assert [c.answer() for _ in range(2)] == [b'* LIST () "/" Watched', b'* LIST () "/" Watched/One']
    other.append("Watched/One", message(1))
    assert c.answer().startswith(b"* STATUS Watched/One (MESSAGES 1 UIDNEXT 2 ")
    # Such a session is not parked: it knows more than a parked one can.
    time.sleep(4)
    other.append("Watched/One", message(2))
    assert c.answer().startswith(b"* STATUS Watched/One (MESSAGES 2 UIDNEXT 3 ")
    other.ok("RENAME Watched/One Watched/Two")
    assert c.answer() == b'* LIST () "/" Watched/Two ("OLDNAME" (Watched/One))'
    other.ok("DELETE Watched/Two")
    assert c.answer() == b'* LIST (\\NonExistent) "/" Watched/Two'
    c.close()
    other.close()


def test_selected_survives_parking(hk):
    c, other = Client(hk), Client(hk)
    c.ok("CREATE Live")
    c.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))")
    c.ok("SELECT Live")
    for n in range(1, 4):
        time.sleep(2.5)
        other.append("Live", message(n))
        assert c.answer() == b"* %d EXISTS" % n
        assert c.answer().endswith(b"RECENT")
    other.ok("SELECT Live")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert c.answer() == b"* 2 FETCH (FLAGS (\\Deleted \\Recent))"
    other.ok("EXPUNGE")
    assert c.answer() == b"* 2 EXPUNGE"
    c.close()
    other.close()


def test_items_of_new_messages(hk):
    c, other = Client(hk), Client(hk)
    c.ok("CREATE Items")
    c.ok("SELECT Items")
    c.ok("NOTIFY SET (SELECTED-DELAYED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (Subject)]) MessageExpunge))")
    for n in range(1, 4):
        other.append("Items", message(n))
        assert c.answer() == b"* %d EXISTS" % n
        assert c.answer().endswith(b"RECENT")
        assert b"FETCH (UID %d " % n in (got := c.answer()) and b"Subject: number %d" % n in got
    c.close()
    other.close()
