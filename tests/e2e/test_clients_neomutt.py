# SPDX-License-Identifier: ISC
"""neomutt: writes, reads, flags, moves and deletes by keys pushed to it."""
import email
import email.policy
import re

import pytest

from clients import ALICE, BOB, empty, last_message, run, run_in_terminal
from test_roundtrip import imap, send, wait_messages


@pytest.fixture
def home(hk, tmp_path):
    empty(hk, ALICE)
    empty(hk, BOB)
    (tmp_path / "rc").write_text(f"""\
set from = {ALICE}
set realname = "飛脚"
set ssl_ca_certificates_file = {hk.ca}
set ssl_force_tls = yes
set smtp_url = smtp://{ALICE}@localhost:{hk.port('submission')}/
set smtp_pass = "{hk.passwords[ALICE]}"
set imap_user = {ALICE}
set imap_pass = "{hk.passwords[ALICE]}"
set folder = imaps://localhost:{hk.port('imaps')}/
set spoolfile = +INBOX
set record = +Sent
set header_cache = {tmp_path}/cache
set message_cachedir = {tmp_path}/bodies
set imap_condstore = yes
set imap_qresync = yes
set imap_check_subscribed = yes
set charset = utf-8
set send_charset = "us-ascii:iso-2022-jp:utf-8"
set confirmappend = no
set confirmcreate = no
set delete = yes
set move = no
set mark_old = no
set abort_unmodified = no
set editor = true
set quit = yes
set sleep_time = 0
set wait_key = no
""")
    return tmp_path


def keys(home, pushed, *args):
    return run_in_terminal(["neomutt", "-F", home / "rc", *args, "-e", f'push "{pushed}"'], home)


def box(hk, name):
    """[(flags, subject)] of a mailbox."""
    m = imap(hk)
    assert m.select(name, readonly=True)[0] == "OK"
    found = []
    for part in m.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] or []:
        if isinstance(part, tuple):
            found.append((re.search(rb"FLAGS \((.*?)\)", part[0])[1].decode().split(), part[1].strip().decode()))
    m.logout()
    return found


def test_writes(hk, home):
    picture = home / "画像.png"
    picture.write_bytes(bytes(range(256)) * 2000)
    run(["neomutt", "-F", home / "rc", "-s", "会議のお知らせ①", "-a", picture, "--", BOB],
        stdin="午後三時からです。\n".encode(), home=home)
    got = email.message_from_bytes(last_message(hk, 1), policy=email.policy.default)
    assert got["Subject"] == "会議のお知らせ①" and got["From"].addresses[0].display_name == "飛脚"
    text, attached = got.iter_parts()
    assert text.get_content().strip() == "午後三時からです。" and attached.get_content() == picture.read_bytes()
    assert attached.get_filename() == "画像.png"


def test_keeps_what_it_sent(hk, home):
    """In batch mode it does not store in a mailbox of IMAP; from its compose menu it does."""
    keys(home, f"<mail>{BOB}<enter>with a copy<enter><send-message><quit>")
    assert b"Subject: with a copy" in last_message(hk, 1)
    assert [(flags[0], subject) for flags, subject in box(hk, "Sent")] == [("\\Seen", "Subject: with a copy")]


def test_reads_flags_moves_deletes(hk, home):
    for n in range(5):
        send(hk, f"From: x@remote.test\r\nSubject: number {n}\r\nMessage-ID: <{n}@x>\r\n\r\nbody {n} of it\r\n".encode())
    wait_messages(hk, 5).logout()
    # Reads the first, flags the second, moves the third, deletes the fourth.
    keys(home, "<first-entry><display-message><exit><pipe-message>cat >~/body<enter><next-entry><flag-message><save-message>=Trash"
                "<enter><delete-pattern>~s 3<enter><quit>")
    assert "body 0 of it" in (home / "body").read_text()
    assert [(sorted(set(f) - {"\\Recent"}), s[-1]) for f, s in box(hk, "INBOX")] == [
        (["\\Seen"], "0"), (["\\Flagged"], "1"), ([], "4")]
    assert [s[-1] for _, s in box(hk, "Trash")] == ["2"]


def test_comes_back_with_its_cache(hk, home):
    """Between two runs others change the mailbox: QRESYNC tells."""
    for n in range(30):
        send(hk, f"From: x@remote.test\r\nSubject: number {n}\r\n\r\nx\r\n".encode())
    wait_messages(hk, 30).logout()
    keys(home, "<quit>")
    m = imap(hk)
    m.select("INBOX")
    m.store("1:10", "+FLAGS.SILENT", "(\\Deleted)")
    m.expunge()
    m.store("1:5", "+FLAGS", "(\\Flagged)")
    m.logout()
    send(hk, b"From: x@remote.test\r\nSubject: number 99\r\n\r\nx\r\n")
    wait_messages(hk, 21).logout()
    # What it believes is flagged it deletes; what it does not know it cannot.
    keys(home, "<delete-pattern>~F<enter><tag-pattern>~s 99<enter><tag-prefix><flag-message><quit>")
    left = box(hk, "INBOX")
    assert [s.split()[-1] for _, s in left] == [str(n) for n in range(15, 30)] + ["99"]
    assert "\\Flagged" in left[-1][0]


def test_new_folder_and_search_on_the_server(hk, home):
    for word in ("りんご", "みかん", "ばなな"):
        send(hk, "From: x@remote.test\r\nSubject: fruit\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8"
             f"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{word}の話\r\n".encode())
    wait_messages(hk, 3).logout()
    keys(home, "<tag-pattern>=b みかん<enter><tag-prefix><copy-message>=果物<enter><quit>")
    assert len(box(hk, "&Z5xyaQ-")) == 1
