# SPDX-License-Identifier: ISC
"""nodemailer and imapflow, as tests/e2e/npm's lock file pins them."""
import email
import email.policy
import json

import pytest

import clients
from clients import ALICE, BOB, empty, last_message
from test_roundtrip import wait_messages


@pytest.fixture(scope="module")
def modules():
    return clients.npm_modules()


@pytest.fixture(autouse=True)
def clean(hk):
    empty(hk, BOB)
    empty(hk, ALICE)


def run(hk, modules, script, *args):
    return json.loads(clients.node(hk, script, modules, ALICE, *args).splitlines()[-1])


@pytest.mark.parametrize("way", ["", "PLAIN", "LOGIN", "starttls"])
def test_nodemailer_attachments(hk, modules, way):
    answer = run(hk, modules, "send.js", "attachments", way)
    assert answer["accepted"] == [BOB] and answer["response"].startswith("250 2.0.0")
    got = email.message_from_bytes(last_message(hk, 1), policy=email.policy.default)
    assert got["Subject"].startswith("日本語の件名①㈱髙😀 長い件名") and got["From"].addresses[0].display_name == "差出人"
    body = got.get_body(("plain",))
    assert body.get_content().replace("\r\n", "\n").rstrip("\n").startswith("本文です。\n.\n..")
    parts = list(got.iter_attachments())
    assert [p.get_filename() for p in parts] == ["見積書.pdf", "plain.txt", "mail.eml"]
    assert parts[0].get_content() == bytes([7]) * 300000


def test_nodemailer_receipt(hk, modules):
    assert run(hk, modules, "send.js", "dsn")["accepted"] == [BOB]
    last_message(hk, 1)
    report = last_message(hk, 1, ALICE).decode()
    assert "multipart/report" in report and "Action: delivered" in report
    assert "Original-Envelope-Id: an-id+1" in report and f"Original-Recipient: rfc822;{ALICE}" in report


def test_nodemailer_eight_bits(hk, modules):
    assert run(hk, modules, "send.js", "raw")["accepted"] == [BOB]
    assert last_message(hk, 1).endswith("\r\n\r\n生の八ビット\r\n".encode())
    # An address that needs SMTPUTF8: taken up, and the one that is nobody's refused by itself.
    answer = run(hk, modules, "send.js", "utf8")
    assert answer["accepted"] == [BOB] and answer["rejected"] == ["鈴木@example.test"], answer


def test_nodemailer_pool(hk, modules):
    assert run(hk, modules, "send.js", "pool")["accepted"] == 40
    wait_messages(hk, 40, BOB).logout()


def test_imapflow_whole(hk, modules):
    seen = run(hk, modules, "read.js", "whole")
    assert {"IMAP4rev1", "CONDSTORE", "QRESYNC", "COMPRESS=DEFLATE", "MOVE", "UIDPLUS", "OBJECTID"} <= set(seen["capabilities"])
    assert "CONDSTORE" in seen["enabled"] and "QRESYNC" in seen["enabled"], seen
    assert {"\\Inbox", "\\Trash", "\\Sent", "\\Drafts", "\\Junk"} <= set(seen["special"])
    assert seen["source"] and seen["attachment"] and seen["quota"]
    assert (seen["bySubject"], seen["byBody"], seen["byFlag"], seen["unseen"]) == (11, 1, 1, 10)
    assert seen["changed"] == [1, 2, 3, 4] and (seen["copied"], seen["moved"], seen["left"]) == (2, 2, 16)
    assert seen["status"]["messages"] == 16 and seen["boxes"][1].endswith("新しい")


@pytest.mark.parametrize("compress", ["yes", "no"])
def test_imapflow_idle(hk, modules, compress):
    seen = run(hk, modules, "read.js", "idle", compress)
    assert seen["compressed"] == (compress == "yes")
    assert seen["exists"][0] == 4 and "\\Flagged" in seen["flags"][0] and len(seen["expunged"]) == 1
    assert seen["left"] == ["会議 1", "会議 2", "会議 9"]


@pytest.mark.parametrize("method", ["LOGIN", "AUTH=PLAIN", "AUTH=LOGIN", "starttls"])
def test_imapflow_logs_in(hk, modules, method):
    assert run(hk, modules, "read.js", "login", method)["user"] in (ALICE, True)


def test_imapflow_wrong_password(hk, modules):
    assert run(hk, modules, "read.js", "wrong") == {"failed": True, "code": "AUTHENTICATIONFAILED"}


def test_imapflow_crowd(hk, modules):
    seen = run(hk, modules, "read.js", "crowd")
    # Two may delete the same one.
    assert seen["same"] and 36 <= seen["exists"] < 48, seen
