# SPDX-License-Identifier: ISC
"""Messages that must come back byte for byte."""
import base64

JA = "日本語の件名①㈱髙"


def _b(text):
    return text.replace("\n", "\r\n").encode("ascii")


def head(subject=b"plain", extra=b""):
    return (b"From: Sender <sender@remote.test>\r\nTo: alice@example.test\r\nSubject: " + subject +
            b"\r\nMessage-ID: <" + base64.b32encode(subject)[:20] + b"@remote.test>\r\n"
            b"Date: Sun, 22 Nov 2026 13:00:00 +0900\r\n" + extra)


def corpus():
    """name -> octets with CRLF line ends."""
    iso = "これは会議のお知らせです。".encode("iso-2022-jp")
    cp932 = "これは①㈱髙の会議です".encode("cp932")
    utf8 = "これは会議のお知らせです。😀".encode()
    m = {}
    m["plain"] = head() + b"\r\nhello\r\n"
    m["empty-body"] = head(b"empty") + b"\r\n"
    m["no-separator"] = head(b"header only")
    m["iso-2022-jp"] = head(b"=?ISO-2022-JP?B?" + base64.b64encode("会議".encode("iso-2022-jp")) + b"?=",
                            b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n"
                            b"Content-Transfer-Encoding: 7bit\r\n") + b"\r\n" + iso + b"\r\n"
    m["cp932"] = head(b"cp932", b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=Shift_JIS\r\n"
                      b"Content-Transfer-Encoding: 8bit\r\n") + b"\r\n" + cp932 + b"\r\n"
    m["utf-8"] = head(b"=?UTF-8?B?" + base64.b64encode(JA.encode()) + b"?=",
                      b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\n"
                      b"Content-Transfer-Encoding: 8bit\r\n") + b"\r\n" + utf8 + b"\r\n"
    m["8bit-header"] = head(JA.encode()) + b"\r\n8-bit header\r\n"
    m["cp932-header"] = head("件名".encode("cp932")) + b"\r\n8-bit header\r\n"
    m["line-998"] = head(b"998") + b"\r\n" + b"x" * 998 + b"\r\nend\r\n"
    m["line-10000"] = head(b"10000") + b"\r\n" + b"y" * 10000 + b"\r\nend\r\n"
    m["dots"] = head(b"dots") + b"\r\n.\r\n..\r\n...\r\n.hidden\r\na.\r\n. \r\n"
    m["only-dot"] = head(b"only dot") + b"\r\n.\r\n"
    m["trailing-blank"] = head(b"trailing") + b"\r\ntext \t\r\n\r\n\r\n"
    m["nul-free-binary"] = head(b"high octets") + b"\r\n" + bytes(
        b for b in range(1, 256) if b not in (10, 13)) + b"\r\n"
    m["folded"] = head(b"folded\r\n\tand folded\r\n again") + b"\r\nx\r\n"
    m["multipart"] = head(b"multipart", b"MIME-Version: 1.0\r\n"
                          b"Content-Type: multipart/mixed; boundary=\"b 1\"\r\n") + (
        b"\r\npreamble\r\n--b 1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + utf8 +
        b"\r\n--b 1\r\nContent-Type: message/rfc822\r\n\r\n" + head(b"inner") + b"\r\ninner body\r\n"
        b"--b 1\r\nContent-Type: application/octet-stream; name=\"x.bin\"\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b 1--\r\nepilogue\r\n")
    return m


def big(megabytes=30):
    line = b"0123456789abcdef" * 4 + b"\r\n"
    return head(b"big") + b"\r\n" + line * (megabytes * 1024 * 1024 // len(line))
