# SPDX-License-Identifier: ISC
"""Thunderbird without a screen, driven from inside: what it does with a mailbox another client finds there, and the
other way round."""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import pytest

from clients import ALICE, BOB, last_message
from marionette import Marionette
from ports import free_port
from test_roundtrip import imap, send, wait_messages

pytestmark = pytest.mark.slow   # the programs are what takes long here

PROGRAM = "/usr/lib/thunderbird/thunderbird"
PREFS = {
    "mail.accountmanager.accounts": "account1,account2", "mail.accountmanager.defaultaccount": "account1",
    "mail.accountmanager.localfoldersserver": "server2", "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1", "mail.account.account2.server": "server2",
    "mail.server.server2.type": "none", "mail.server.server2.hostname": "Local Folders",
    "mail.server.server2.userName": "nobody", "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "localhost", "mail.server.server1.authMethod": 3,
    "mail.server.server1.userName": ALICE, "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False, "mail.server.server1.use_idle": True,
    "mail.identity.id1.fullName": "アリス", "mail.identity.id1.useremail": ALICE, "mail.identity.id1.smtpServer": "smtp1",
    "mail.identity.id1.fcc_folder": "imap://alice%40example.test@localhost/Sent",
    "mail.smtpservers": "smtp1", "mail.smtp.defaultserver": "smtp1", "mail.smtpserver.smtp1.hostname": "localhost",
    "mail.smtpserver.smtp1.authMethod": 3, "mail.smtpserver.smtp1.username": ALICE,
    "mail.dsn.always_request_on": True, "mailnews.start_page.enabled": False, "mail.provider.suppress_dialog_on_startup": True,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True, "app.donation.eoy.version.viewed": 999,
    "toolkit.telemetry.enabled": False, "app.update.enabled": False, "mail.spotlight.firstRunDone": True,
    "remote.active-protocols": 2}

# What every script has: the folders, and calls that end when the server has answered.
PRELUDE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.getAccount("account1").incomingServer;
const root = server.rootFolder;
const box = name => name in Ci.nsMsgFolderFlags ? root.getFolderWithFlags(Ci.nsMsgFolderFlags[name]) :
  root.containsChildNamed(name) ? root.getChildNamed(name) : null;
const sleep = ms => new Promise(resolve => { const t = Cc["@mozilla.org/timer;1"].createInstance(Ci.nsITimer);
  t.initWithCallback(() => resolve(t), ms, 0); });
const until = async (what, test) => { for (let n = 0; n < 400; n++) { if (test()) return; await sleep(50); }
  throw new Error("waited in vain: " + what); };
// What the server tells by itself; a connection that is busy with another folder just then is sent back to the Inbox.
const hear = async (what, test) => { for (let n = 0; n < 400; n++) { if (test()) return; await sleep(50);
  if (n % 100 == 99) await update(box("Inbox")).catch(() => {}); } throw new Error("waited in vain: " + what); };
const url = start => new Promise((resolve, reject) => start({ OnStartRunningUrl() {},
  OnStopRunningUrl(u, status) { status ? reject(new Error("status " + status.toString(16))) : resolve(); } }));
const copied = start => new Promise((resolve, reject) => start({ onStartCopy() {}, onProgress() {}, setMessageKey() {},
  getMessageId() { return null; }, onStopCopy(status) { status ? reject(new Error(status)) : resolve(); } }));
const copy = (from, subject, to, isMove) =>
  copied(l => MailServices.copy.copyMessages(from, [find(from, subject)], to, isMove, l, null, false));
const update = folder => url(l => folder.QueryInterface(Ci.nsIMsgImapMailFolder).updateFolderWithListener(null, l));
const headers = folder => [...folder.messages];
const find = (folder, subject) => headers(folder).find(h => h.mime2DecodedSubject == subject);
"""


class Thunderbird:
    def __init__(self, hk):
        self.hk, self.port = hk, free_port()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="hk-tb-"))
        (self.home / "profile").mkdir()
        prefs = {**PREFS, "marionette.port": self.port,
                 "mail.server.server1.port": hk.port("imaps"), "mail.server.server1.socketType": 3,
                 "mail.smtpserver.smtp1.port": hk.port("submission"), "mail.smtpserver.smtp1.try_ssl": 2}
        (self.home / "profile/user.js").write_text(
            "".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n" for k, v in prefs.items()))

    def start(self):
        with open(self.home / "out", "ab") as out:
            self.process = subprocess.Popen(
                [PROGRAM, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile",
                 str(self.home / "profile")], env={**os.environ, "HOME": str(self.home), "LC_ALL": "C.UTF-8"},
                stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.remote = Marionette(self.port)
        pem = pathlib.Path(self.hk.ca).read_text()
        self.do("""
            Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(args[0], "C,,");
            for (const scheme of ["imap", "smtp"]) {
              const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
              login.init(scheme + "://localhost", null, scheme + "://localhost", args[1], args[2], "", "");
              await Services.logins.addLoginAsync(login).catch(() => {});
            }""", re.search("-----\n(.*)-----END", pem, re.S)[1].replace("\n", ""), ALICE, self.hk.passwords[ALICE])
        return self

    def do(self, script, *args):
        return self.remote.run(PRELUDE + script, *args)

    def stop(self):
        try:
            self.remote.call("Marionette:Quit", {"flags": ["eForceQuit"]})
            self.remote.close()
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def log(self):
        return (self.home / "out").read_text(errors="replace")[-3000:]


@pytest.fixture(scope="module")
def tb(hk):
    for n in range(5):
        send(hk, f"From: x@remote.test\r\nTo: {ALICE}\r\nSubject: letter {n}\r\nMessage-ID: <tb{n}@x>\r\nMIME-Version: 1.0\r\n"
             f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n本文 {n}\r\n".encode())
    wait_messages(hk, 5).logout()
    program = Thunderbird(hk)
    try:
        yield program.start()
    finally:
        program.stop()
        shutil.rmtree(program.home, ignore_errors=True)


def far(hk, name, items="(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
    """{subject: flags}"""
    m = imap(hk)
    typ, _ = m.select(name, readonly=True)
    found = {}
    if typ == "OK":
        for part in m.fetch("1:*", items)[1] or []:
            if isinstance(part, tuple):
                flags = re.search(rb"FLAGS \((.*?)\)", part[0])[1].decode().split()
                found[part[1].decode().partition(": ")[2].strip()] = set(flags) - {"\\Recent"}
    m.logout()
    return found if typ == "OK" else None


def eventually(look, want):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = look()
        if want(found):
            return
        time.sleep(0.1)
    raise AssertionError(found)


def test_finds_the_mailbox(hk, tb):
    names = tb.do("""
        const inbox = box("Inbox");
        await update(inbox);
        server.performExpand(null);
        await until("folders", () => box("Trash") && box("SentMail"));
        await until("letters", () => headers(inbox).length == 5);
        return headers(inbox).map(h => h.mime2DecodedSubject).sort();""")
    assert names == [f"letter {n}" for n in range(5)]
    tb.do("""for (const kind of ["Inbox", "Trash", "SentMail", "Drafts", "Junk"])
        await until(kind, () => root.getFolderWithFlags(Ci.nsMsgFolderFlags[kind]));""")


def test_hears_of_new_mail_in_idle(hk, tb):
    tb.do("""await update(box("Inbox"));""")   # and waits there
    send(hk, b"From: x@remote.test\r\nSubject: while it waits\r\n\r\nx\r\n")
    tb.do("""await hear("new mail", () => find(box("Inbox"), "while it waits"));""")
    # Flags and deletions of another client too.
    m = imap(hk)
    m.select("INBOX")
    uid = m.uid("SEARCH", "SUBJECT", '"while it waits"')[1][0].decode()
    m.uid("STORE", uid, "+FLAGS", "(\\Flagged $label2)")
    tb.do("""await hear("flag", () => find(box("Inbox"), "while it waits").isFlagged);
             await hear("tag", () => find(box("Inbox"), "while it waits").getStringProperty("keywords").includes("$label2"));""")
    m.uid("STORE", uid, "+FLAGS", "(\\Deleted)")
    m.expunge()
    m.logout()
    tb.do("""await hear("expunge", () => !find(box("Inbox"), "while it waits"));""")


def test_reads_and_keeps_offline(hk, tb):
    text = tb.do("""
        const inbox = box("Inbox");
        await url(l => inbox.downloadAllForOffline(l, null));
        const { NetUtil } = ChromeUtils.importESModule("resource://gre/modules/NetUtil.sys.mjs");
        const stream = inbox.getMsgInputStream(find(inbox, "letter 3"), {});
        return NetUtil.readInputStreamToString(stream, stream.available());""")
    assert text.encode("latin-1").decode().rstrip().endswith("本文 3")


def test_flags_tags_moves_deletes(hk, tb):
    tb.do("""
        const inbox = box("Inbox");
        inbox.markMessagesRead([find(inbox, "letter 0")], true);
        inbox.markMessagesFlagged([find(inbox, "letter 1")], true);
        inbox.addKeywordsToMessages([find(inbox, "letter 1")], "$label1");
        inbox.deleteMessages([find(inbox, "letter 2")], null, false, true, null, false);
        await until("delete", () => !find(inbox, "letter 2"));""")
    eventually(lambda: far(hk, "INBOX"), lambda f: "\\Seen" in f["letter 0"] and {"\\Flagged", "$label1"} <= f["letter 1"]
               and "letter 2" not in f)
    eventually(lambda: far(hk, "Trash"), lambda f: "letter 2" in f)
    tb.do("""
        const inbox = box("Inbox");
        root.createSubfolder("会議の記録", null);
        await until("folder", () => box("会議の記録")?.QueryInterface(Ci.nsIMsgImapMailFolder).onlineName);
        await copy(inbox, "letter 3", box("会議の記録"), true);
        await copy(inbox, "letter 4", box("会議の記録"), false);
        await until("move", () => !find(inbox, "letter 3"));""")
    coded = "&" + base64.b64encode("会議の記録".encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
    eventually(lambda: far(hk, coded), lambda f: f and set(f) == {"letter 3", "letter 4"})
    assert set(far(hk, "INBOX")) == {"letter 0", "letter 1", "letter 4"}


def test_writes_and_keeps_a_copy(hk, tb):
    tb.do("""
        const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
        fields.from = "アリス <alice@example.test>"; fields.to = "bob@example.test"; fields.subject = "雷鳥から①";
        fields.body = "本文です。\\r\\n.\\r\\n";
        const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
        params.composeFields = fields; params.format = Ci.nsIMsgCompFormat.PlainText;
        params.identity = MailServices.accounts.defaultAccount.defaultIdentity;
        const compose = MailServices.compose.initCompose(params);
        await new Promise((resolve, reject) => {
          const ended = { onStopSending(id, status) { status ? reject(new Error("send " + status.toString(16))) : 0; },
            onStartSending() {}, onProgress() {}, onStatus() {}, onGetDraftFolderURI() {}, onSendNotPerformed() {},
            onTransportSecurityError(id, status) { reject(new Error("TLS " + status)); } };
          compose.addMsgSendListener(ended);
          compose.sendMsg(Ci.nsIMsgCompDeliverMode.Now, params.identity, "account1", null, null)
            .then(resolve, reject);
        });""")
    got = last_message(hk, 1, BOB).decode()
    assert "User-Agent: Mozilla Thunderbird" in got and "本文です。\r\n.\r\n" in got and "with ESMTPSA" in got
    eventually(lambda: far(hk, "Sent"), lambda f: any("=?UTF-8?" in s and "\\Seen" in flags for s, flags in f.items()))
    # It asked for a receipt of delivery, which comes while it waits.
    tb.do("""await hear("receipt", () => headers(box("Inbox")).some(h => h.author.toLowerCase().includes("mailer-daemon")));""")


def test_comes_back_after_others_were_busy(hk, tb):
    """It keeps HIGHESTMODSEQ: after a restart it asks for what has changed."""
    tb.stop()
    m = imap(hk)
    m.select("INBOX")
    uid = m.uid("SEARCH", "SUBJECT", '"letter 0"')[1][0].decode()
    m.uid("STORE", uid, "-FLAGS", "(\\Seen)")
    m.uid("STORE", m.uid("SEARCH", "SUBJECT", '"letter 1"')[1][0].decode(), "+FLAGS", "(\\Deleted)")
    m.expunge()
    m.logout()
    send(hk, b"From: x@remote.test\r\nSubject: in its absence\r\n\r\nx\r\n")
    wait_messages(hk, 4).logout()
    tb.start()
    subjects = tb.do("""
        await update(box("Inbox"));
        await hear("changes", () => find(box("Inbox"), "in its absence") && !find(box("Inbox"), "letter 1"));
        await hear("flag", () => !find(box("Inbox"), "letter 0").isRead);
        return headers(box("Inbox")).map(h => h.mime2DecodedSubject);""")
    assert {"letter 0", "letter 4", "in its absence"} <= set(subjects) and len(subjects) == 4
