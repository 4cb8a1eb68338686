# SPDX-License-Identifier: ISC
"""SEARCH finds what the sender meant, whatever it was written in; SORT and
THREAD of a large mailbox."""
import base64
import quopri
import random
import re

import pytest
from imapraw import Client

WORD = "会議室"


def word(text, charset, encoding="b"):
    raw = text.encode(charset)
    name = {"iso2022_jp_ext": "iso-2022-jp", "cp932": "Shift_JIS", "euc_jp": "EUC-JP"}.get(charset, charset)
    if encoding == "b":
        return b"=?%s?B?%s?=" % (name.encode(), base64.b64encode(raw))
    return b"=?%s?Q?%s?=" % (name.encode(), quopri.encodestring(raw, header=True).replace(b"=\n", b""))


def body(charset, raw, cte="8bit", kind="plain"):
    return (b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/%s; charset=%s\r\n"
            b"Content-Transfer-Encoding: %s\r\n\r\n" % (kind.encode(), charset, cte.encode()) + raw + b"\r\n")


# Each holds 会議室: 1 as its sender wrote it.
TEXT = f"本日の{WORD}は三階です"
BODIES = {
    "iso-2022-jp": body(b"ISO-2022-JP", TEXT.encode("iso2022_jp"), "7bit"),
    "iso-2022-jp without a name": TEXT.encode("iso2022_jp").join([b"From: a@example.test\r\n\r\n", b"\r\n"]),
    "cp50221": body(b"ISO-2022-JP", b"\x1b$B\x2d\x21\x1b(B" + TEXT.encode("iso2022_jp"), "7bit"),
    "shift_jis": body(b"Shift_JIS", ("①㈱" + TEXT).encode("cp932")),
    "shift_jis base64": body(b"x-sjis", base64.b64encode(TEXT.encode("cp932")), "base64"),
    "euc-jp": body(b"EUC-JP", TEXT.encode("euc_jp")),
    "euc-jp called us-ascii": body(b"us-ascii", TEXT.encode("euc_jp")),
    "utf-8 quoted-printable": body(b"utf-8", quopri.encodestring(TEXT.encode()).replace(b"\n", b"\r\n"),
                                   "quoted-printable"),
    "utf-7": body(b"utf-7", TEXT.encode("utf-7"), "7bit"),
    "gb18030": body(b"gb18030", TEXT.encode("gb18030")),
    "gb2312 with more": body(b"gb2312", TEXT.encode("gb18030")),
    "html references": body(b"us-ascii", "".join(f"&#{ord(c)};" for c in TEXT).encode(), "7bit", "html"),
    "html tags inside": body(b"utf-8", f"<p>{TEXT[:4]}<b>{TEXT[4:5]}</b>{TEXT[5:]}</p>".encode(), "8bit", "html"),
    "utf-16": body(b"utf-16", base64.b64encode(TEXT.encode("utf-16")), "base64"),
}

SUBJECT = f"次の{WORD}の件"
UTF8 = SUBJECT.encode()
SUBJECTS = {
    "iso-2022-jp B": word(SUBJECT, "iso2022_jp").replace(b"iso2022_jp", b"iso-2022-jp"),
    "shift_jis Q": word(SUBJECT, "cp932", "q"),
    "euc-jp B": word(SUBJECT, "euc_jp"),
    "gb18030 B": word(SUBJECT, "gb18030"),
    "utf-8 cut inside a character": b"=?utf-8?B?%s?=\r\n =?utf-8?B?%s?=" % (base64.b64encode(UTF8[:7]),
                                                                      base64.b64encode(UTF8[7:])),
    "cut inside an escape": b"=?iso-2022-jp?B?%s?= =?iso-2022-jp?B?%s?=" % (
        base64.b64encode(SUBJECT.encode("iso2022_jp")[:9]), base64.b64encode(SUBJECT.encode("iso2022_jp")[9:])),
    "no padding": word(SUBJECT, "utf-8").replace(b"=?=", b"?=").replace(b"=?=", b"?="),
    "in a quoted string": b'"' + word(SUBJECT, "utf-8") + b'"',
    "glued to text": b"Re:" + word(SUBJECT, "utf-8") + b"(2)",
    "language": word(SUBJECT, "utf-8").replace(b"=?utf-8?", b"=?utf-8*ja?"),
    "raw utf-8": UTF8,
    "raw iso-2022-jp": SUBJECT.encode("iso2022_jp"),
    "raw shift_jis": SUBJECT.encode("cp932"),
    "raw euc-jp": SUBJECT.encode("euc_jp"),
}

FILE = f"{WORD}.pdf"
PERCENT = "".join(f"%{b:02X}" for b in FILE.encode()).encode()
FILES = {
    "rfc 2231": b"attachment; filename*=UTF-8''" + PERCENT,
    "rfc 2231 in pieces": b"attachment; filename*0*=UTF-8''" + PERCENT[:12] + b"; filename*1*=" + PERCENT[12:],
    "pieces in another order": b"attachment; filename*1*=" + PERCENT[12:] + b"; filename*0*=UTF-8''" + PERCENT[:12],
    "rfc 2047 in a parameter": b'attachment; filename="' + word(FILE, "utf-8") + b'"',
    "raw iso-2022-jp": b'attachment; filename="' + FILE.encode("iso2022_jp") + b'"',
    "raw shift_jis": b'attachment; filename="' + FILE.encode("cp932") + b'"',
    "no quotes": b"attachment; filename=" + word(FILE, "utf-8"),
}


def attachment(disposition):
    return (b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
            b"see\r\n--b\r\nContent-Type: application/pdf\r\nContent-Disposition: " + disposition +
            b"\r\n\r\nx\r\n--b--\r\n")


@pytest.fixture(scope="module")
def boxes(hk):
    c = Client(hk)
    for box, messages in (("Bodies", list(BODIES.values())),
                          ("Subjects", [b"From: a@example.test\r\nSubject: " + s + b"\r\n\r\nx\r\n"
                                        for s in SUBJECTS.values()]),
                          ("Files", [attachment(d) for d in FILES.values()])):
        c.ok(f"CREATE {box}")
        c.append(box, *messages)
    c.close()


def search(c, box, names, key, charset="UTF-8", codec="utf-8", needle=WORD):
    c.ok(f"EXAMINE {box}")
    raw = needle.encode(codec)
    c.n += 1
    c.send(b"x%d SEARCH CHARSET %s %s {%d+}\r\n" % (c.n, charset.encode(), key.encode(), len(raw)) + raw + b"\r\n")
    answers = c.finish(b"x%d" % c.n)
    assert b" OK " in answers[-1], answers
    found = {int(n) for n in next(a for a in answers if a.startswith(b"* SEARCH")).split()[2:]}
    return [name for i, name in enumerate(names) if i + 1 not in found]


@pytest.mark.parametrize("box,names,key", [("Bodies", BODIES, "BODY"), ("Bodies", BODIES, "TEXT"),
                                           ("Subjects", SUBJECTS, "SUBJECT"), ("Subjects", SUBJECTS, "TEXT"),
                                           ("Subjects", SUBJECTS, "HEADER SUBJECT"), ("Files", FILES, "BODY")])
def test_all_are_found(hk, boxes, box, names, key):
    c = Client(hk)
    assert search(c, box, names, key) == []
    assert search(c, box, names, key, needle="会議宝") == list(names)
    c.close()


@pytest.mark.parametrize("charset,codec", [("ISO-2022-JP", "iso2022_jp"), ("Shift_JIS", "cp932"), ("EUC-JP", "euc_jp"),
                                           ("GB18030", "gb18030"), ("UTF-16BE", "utf-16-be"), ("cp932", "cp932")])
def test_any_charset_of_the_command(hk, boxes, charset, codec):
    c = Client(hk)
    if charset == "UTF-16BE":
        # Its octets hold NUL for ASCII, which no literal of a search has.
        assert search(c, "Bodies", BODIES, "BODY", charset, codec) == []
    else:
        assert search(c, "Subjects", SUBJECTS, "SUBJECT", charset, codec) == []
    assert b"[BADCHARSET" in c.cmd("SEARCH CHARSET KLINGON TEXT x")[-1]
    c.close()


def test_width_and_case(hk):
    c = Client(hk)
    c.ok("CREATE Width")
    c.append("Width", "Subject: ＡＢＣ　ｶﾞｲﾄﾞ Straße\r\n\r\nx\r\n".encode())
    for needle in ("abc", "ガイド", "STRASSE", "ａｂｃ"):
        assert search(c, "Width", ["it"], "SUBJECT", needle=needle) == [], needle
    c.close()


def test_sort_and_thread_of_many(hk):
    rng = random.Random(5256)
    c = Client(hk)
    c.ok("CREATE Sort")
    messages, parents = [], []
    for i in range(1, 1501):
        parent = rng.randrange(1, i) if i > 1 and rng.random() < 0.7 else 0
        parents.append(parent)
        refs = f"References: <{parent}@t>\r\n" if parent else ""
        messages.append((f"From: u{rng.randrange(50):02}@example.test\r\nSubject: s{i}\r\nMessage-ID: <{i}@t>\r\n{refs}"
                         f"Date: {1 + rng.randrange(28):02} Jan 2024 {rng.randrange(24):02}:00:00 +0000\r\n\r\n"
                         + "x" * rng.randrange(2000) + "\r\n").encode())
    for at in range(0, len(messages), 300):
        c.append("Sort", *messages[at:at + 300])
    c.ok("SELECT Sort")
    sizes = {i + 1: len(m) for i, m in enumerate(messages)}
    senders = {i + 1: re.search(rb"From: (\S+?)@", m)[1] for i, m in enumerate(messages)}
    dates = {i + 1: re.search(rb"Date: (\S+) Jan 2024 (\d\d)", m).groups() for i, m in enumerate(messages)}
    numbers = [int(n) for n in c.ok("SORT (REVERSE FROM DATE SIZE) UTF-8 ALL")[0].split()[2:]]
    assert numbers == sorted(sorted(sizes, key=lambda n: (dates[n], sizes[n], n)), key=lambda n: senders[n], reverse=True)
    threads = c.ok("THREAD REFERENCES UTF-8 ALL")[0][len(b"* THREAD "):]
    assert sorted(int(n) for n in re.findall(rb"\d+", threads)) == sorted(sizes)
    found, stack, last = {}, [], 0
    for token in re.findall(rb"[()]|\d+", threads):
        if token == b"(":
            stack.append(last)
        elif token == b")":
            last = stack.pop()
        else:
            found[int(token)], last = last, int(token)
    assert [found[i] for i in sorted(found)] == parents
    c.close()
