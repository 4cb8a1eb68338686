# SPDX-License-Identifier: ISC
"""Mail that is looked at on its way into the mailbox: who sent it, and is it harmful."""
import base64
import concurrent.futures
import email.message
import io
import pathlib
import random
import re
import subprocess
import sys
import time
import zipfile

import clients
import peers
import sides
from case import Case, Measure, quiet
from sides import DOMAIN

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import dnsserver  # noqa: E402

SENDER = "remote.test"
SIGNATURES = 100_000
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*").encode()
WORDS = "meeting report budget invoice schedule project customer server update review draft plan quarter".split()


def write_signatures(folder):
    """Bodies that never occur in what is measured, for files of all kinds, and that of the test file. Returns what each
    probe's file holds by the name it has to be found by: the test file, and the last generated one for any file."""
    rand = random.Random(1)
    folder.mkdir()
    folder.chmod(0o755)
    with open(folder / "generated.ndb", "w", encoding="ascii") as out:
        for i in range(SIGNATURES):
            kind, body = i % 5 if i % 5 != 2 else 0, rand.randbytes(24)
            out.write(f"Bench.Generated-{i}:{kind}:*:{body.hex()}\n")
            if kind == 0:
                last = f"Bench.Generated-{i}", body
        out.write(f"Bench.Eicar-Test:0:0:{EICAR.hex()}\n")
    (folder / "generated.ndb").chmod(0o644)
    return {"Eicar-Test": EICAR, last[0]: b"a file with " + last[1] + b" in it"}


def make_message(number):
    """About 10 KiB: text, and an archive with a text; no two are the same, so that no scanner has seen it."""
    rand = random.Random(number)
    text = "".join(" ".join(rand.choices(WORDS, k=9)) + "\r\n" for _ in range(90))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("report.txt", " ".join(rand.choices(WORDS, k=200)) + rand.randbytes(900).hex())
    attachment = base64.encodebytes(packed.getvalue()).replace(b"\n", b"\r\n").decode()
    return (f"From: Bench <bench@{SENDER}>\r\nTo: someone@{DOMAIN}\r\nSubject: report {number}\r\n"
            f"Date: Mon, 02 Nov 2026 10:00:00 +0900\r\nMessage-ID: <{number}@{SENDER}>\r\nMIME-Version: 1.0\r\n"
            f'Content-Type: multipart/mixed; boundary="=-{number}"\r\n\r\n--=-{number}\r\n'
            f"Content-Type: text/plain; charset=us-ascii\r\n\r\n{text}\r\n--=-{number}\r\n"
            'Content-Type: application/zip; name="report.zip"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="report.zip"\r\n\r\n{attachment}\r\n--=-{number}--\r\n').encode()


def make_probe(subject, octets):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("probe", octets)
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"] = f"bench@{SENDER}", f"probe@{DOMAIN}", subject
    message["Date"], message["Message-ID"] = "Mon, 02 Nov 2026 10:00:00 +0900", f"<{subject}@{SENDER}>"
    message.set_content("a probe\n")
    message.add_attachment(packed.getvalue(), maintype="application", subtype="zip", filename="probe.zip")
    return message.as_bytes().replace(b"\n", b"\r\n")


def sign(numbers, key):
    import dkim
    messages = []
    for number in numbers:
        message = make_message(number)
        messages.append(dkim.sign(message, b"bench", SENDER.encode(), key, canonicalize=(b"relaxed", b"relaxed"),
                                  include_headers=[b"from", b"to", b"subject", b"date", b"message-id"]) + message)
    return messages


class Filter(Case):
    name = "filter"
    figures = [("cpu_ms", "ms CPU/message", "judged and in the mailbox", None, "<", None),
               ("rate", "messages/s", "judged and in the mailbox", 3, ">", None)]
    sessions = 10
    dns = None

    def sides(self, env):
        self.count = self.scaled(2000, 40) // 20 * 20
        self.key = subprocess.run(["openssl", "genrsa", "2048"], check=True, capture_output=True).stdout
        public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"], input=self.key, check=True,
                                capture_output=True).stdout
        record = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        self.dns = dnsserver.DnsServer({SENDER: "\n".join([
            "@ TXT \"v=spf1 ip4:127.0.0.1 -all\"", '_dmarc TXT "v=DMARC1; p=reject"',
            "bench._domainkey TXT " + " ".join(f'"{record[i:i + 200]}"' for i in range(0, len(record), 200))])}).start()
        signatures = env.folder / "signatures"
        self.probes = write_signatures(signatures)
        ours = sides.Hikyaku(env.folder, {
            **self.dns.settings(), "filter": "yes", "virus": "yes", "clamav_signatures": str(signatures),
            "rate_connections": "1000000", "rate_messages": "10000000", "rate_recipients": "10000000",
            "filter_budget": "2m"}, {"smtp": "internet"})
        clamd = []

        def make_clamd(folder):
            clamd.append(peers.Clamd(folder, env.unpacked, signatures))
            return clamd[0]

        return [ours, sides.Peers(env.folder, env.unpacked, ours.folder / "tls", "mdbox", filters=[
            make_clamd, lambda folder: peers.OpenDkim(folder, env.unpacked,
                                                         {f"bench._domainkey.{SENDER}": record}),
            lambda folder: peers.ClamavMilter(folder, env.unpacked, clamd[0])])]

    def close(self):
        if self.dns:
            self.dns.destroy()

    def messages(self, number):
        """The round's own: signed on all processors, outside of what is measured."""
        first = 1 + number * self.count
        step = (self.count + 3) // 4
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            parts = [pool.submit(sign, range(first + i * step, first + min((i + 1) * step, self.count)), self.key)
                     for i in range(4)]
            return [message for part in parts for message in part.result()]

    def post(self, side, messages):
        def session(n):
            client = clients.Smtp(side.smtp_port)
            for i in range(n, len(messages), self.sessions):
                client.send([f"{self.users[i % len(self.users)]}@{DOMAIN}"], messages[i], f"bench@{SENDER}")
            client.close()

        try:
            clients.crowd(self.sessions, self.sessions, session)
        except RuntimeError as error:
            raise RuntimeError(f"{side.name}: {error}\n{side.log()[-3000:]}") from error
        side.count += len(messages) // len(self.users)

    def prepare(self, side):
        self.users = [f"u{i}" for i in range(20)]
        self.rounds_made = {}
        side.open([*self.users, "probe"])
        side.rounds, side.count = 0, 0
        self.post(side, self.batch(0)[:40])
        self.wait_delivered(side, dict.fromkeys(self.users, side.count))
        self.check(side)
        self.check_scanner(side)

    def batch(self, number):
        """Both sides get the same messages, each once."""
        if number not in self.rounds_made:
            self.rounds_made = {number: self.messages(number)}
        return self.rounds_made[number]

    def check(self, side):
        """It is judged: the first message says so; nothing is measured that does nothing."""
        imap = side.imap(self.users[0])
        imap.command("SELECT INBOX")
        text = imap.command("FETCH 1 BODY.PEEK[HEADER]")
        imap.close()
        if b"dkim=pass" not in text or (not side.ours and b"X-Virus-Scanned" not in text):
            raise RuntimeError(f"{side.name}: not judged:\n{text[:1500].decode(errors='replace')}\n{side.log()[-1500:]}")

    def check_scanner(self, side):
        """It has all signatures and finds with them: the file of each probe is refused, or taken out."""
        loaded = side.signatures()
        if loaded < SIGNATURES:
            raise RuntimeError(f"{side.name}: {loaded} signatures loaded, not {SIGNATURES}")
        for name, octets in self.probes.items():
            smtp = clients.Smtp(side.smtp_port)
            try:
                smtp.send([f"probe@{DOMAIN}"], make_probe(f"probe-{name}", octets), f"bench@{SENDER}")
                smtp.close()
                text = self.probe_arrived(side, f"probe-{name}")
                found = re.search(rf"X-Hikyaku-Scan: infected; \S*{name}\S*; removed", " ".join(text.decode().split()))
            except RuntimeError as refused:
                text = str(refused).encode()
                found = text.startswith(b"SMTP: b'55") and name.encode() in text
            if not found:
                raise RuntimeError(f"{side.name}: {name} is not found:\n{text[:1500].decode(errors='replace')}\n"
                                   f"{side.log()[-1500:]}")

    def probe_arrived(self, side, subject):
        """Its header, as it is in the mailbox."""
        clients.wait_for(lambda: side.queued() == 0, 60)
        imap = side.imap("probe")
        imap.command("SELECT INBOX")
        numbers = imap.command(f"SEARCH SUBJECT {subject}").split(b"\r\n")[0].split()[2:]
        text = imap.command(f"FETCH {numbers[0].decode()} BODY.PEEK[HEADER]") if numbers else b"no message"
        imap.close()
        return text

    def round(self, side):
        side.rounds += 1
        messages = self.batch(side.rounds)
        quiet(side)
        with Measure(side) as m:
            self.post(side, messages)
            accepted = time.monotonic() - m.start
            self.wait_delivered(side, dict.fromkeys(self.users, side.count))
        return {"cpu_ms": m.cpu * 1000 / len(messages), "rate": len(messages) / m.seconds, "_accepted": accepted,
                "_seconds": m.seconds, "_cpu": m.by_name, "_client_cpu_s": m.client}
