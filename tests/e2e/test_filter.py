# SPDX-License-Identifier: ISC
"""filterd through a running instance: senders' identities against a real name server with signed zones, verdicts and
what becomes of them, and mail while nobody judges it."""
import base64
import email
import itertools
import os
import re
import signal
import smtplib
import subprocess
import threading
import time

import pytest

import dkim
from dnsserver import DnsServer
from instance import Instance
from test_roundtrip import imap

HOST = "mail.example.test"
KEY = subprocess.run(["openssl", "genrsa", "-traditional", "2048"], capture_output=True, check=True).stdout
DKIM = 'sel._domainkey IN TXT ( "v=DKIM1; k=rsa; p=" %s )' % " ".join(
    f'"{part}"' for part in re.findall(".{1,200}", base64.b64encode(subprocess.run(
        ["openssl", "rsa", "-pubout", "-outform", "DER"], input=KEY, capture_output=True,
        check=True).stdout).decode()))
US, OTHERS = "v=spf1 ip4:127.0.0.1 ip6:::1 -all", "v=spf1 ip4:192.0.2.1 -all"


def zone(spf, dmarc=None, key=True):
    """SPF, DMARC and the key of selector sel."""
    lines = [f'@ IN TXT "{spf}"'] + ([DKIM] if key else [])
    return "\n".join(lines + ([f'_dmarc IN TXT "v=DMARC1; {dmarc}"'] if dmarc else []))


ZONES = {
    "good.test": '@ IN TXT "v=spf1 ip4:127.0.0.1 ip6:::1 -all"',
    "other.test": '@ IN TXT "v=spf1 ip4:192.0.2.1 -all"',
    "soft.test": '@ IN TXT "v=spf1 ip4:192.0.2.1 ~all"',
    "neutral.test": '@ IN TXT "v=spf1 ?all"',
    "wrong.test": '@ IN TXT "v=spf1 ipv4:127.0.0.1 -all"',
    "deep.test": "\n".join(['@ IN TXT "v=spf1 include:i1.deep.test -all"'] + [
        f'i{n} IN TXT "v=spf1 include:i{n + 1}.deep.test -all"' for n in range(1, 14)]),
    "ring.test": '@ IN TXT "v=spf1 include:ring.test -all"',
    "many.test": "\n".join(['@ IN TXT "v=spf1 mx -all"'] + [f"@ IN MX {n} mx{n}" for n in range(1, 1001)]),
    "cname.test": '@ IN TXT "v=spf1 include:one.cname.test -all"\none IN CNAME two\ntwo IN CNAME one',
    "voids.test": '@ IN TXT "v=spf1 a:n1.voids.test a:n2.voids.test a:n3.voids.test ip4:127.0.0.1 -all"',
    "big.test": "\n".join('@ IN TXT "' + f"{n:03d} " + "x" * 240 + '"' for n in range(240)),
    "silent.test": '@ IN TXT "v=spf1 ip4:127.0.0.1 -all"',
    "none.test": "@ IN A 192.0.2.1",
    "host.test": '@ IN TXT "v=spf1 ip4:127.0.0.1 -all"',
    "proven.test": zone(US, "p=reject"),
    "reject.test": zone(OTHERS, "p=reject") + "\n" + DKIM.replace("_domainkey", "_domainkey.sub"),
    "junk.test": zone(OTHERS, "p=quarantine"),
    "watch.test": zone(OTHERS, "p=none"),
    "seen.test": zone(US, "p=none"),
    "tried.test": zone(OTHERS, "p=reject; t=y"),
    "org.test": zone(OTHERS, "p=none; sp=reject"),
    "strict.test": zone(OTHERS, "p=reject; adkim=s") + "\n" + DKIM.replace("_domainkey", "_domainkey.sub"),
    "sealer.test": zone(US),
    "good-key.test": zone(US),
    "unknown-sealer.test": zone(US),
    "bogus.test": zone(US, "p=reject"),
    # A public suffix that does not say so: all below it is one organization by the walk, each its own by the list.
    "co.jp": f'_dmarc IN TXT "v=DMARC1; p=none"\none IN TXT "{OTHERS}"\n_dmarc.one IN TXT "v=DMARC1; p=none"\n'
             f'two IN TXT "{US}"\n_dmarc.two IN TXT "v=DMARC1; p=none"',
}
BUDGET_S = 2


@pytest.fixture(scope="module")
def dns():
    with DnsServer(ZONES, bogus=["silent.test", "bogus.test"]) as server:
        yield server


@pytest.fixture(scope="module")
def hk(dns):
    instance = Instance(config=dns.settings(filter_budget=f"{BUDGET_S}s", rate_connections="100000",
                                            rate_messages="100000", connections_per_address="500",
                                            arc_trusted_sealers="elsewhere.test sealer.test"),
                        zones={"smtp": "internet"}).start()
    try:
        instance.domain("example.test", "--mailbox-size", "10G", "--ids", "100")
        instance.domain("lax.test", "--filter-unavailable", "accept")
        instance.domain("marks.test", "--dmarc", "mark")
        for address in ("alice@example.test", "bob@example.test", "carol@lax.test", "dora@marks.test"):
            instance.account(address)
        yield instance
        instance.assert_clean_log()
    finally:
        instance.destroy()


def message(subject, sender="a@good.test", head="", text="hello"):
    return f"{head}From: {sender}\r\nTo: alice@example.test\r\nSubject: {subject}\r\n" \
           f"Date: Mon, 02 Nov 2026 10:00:00 +0900\r\nMessage-ID: <{subject}@good.test>\r\n\r\n{text}\r\n".encode()


def send(hk, data, sender="a@good.test", to=("alice@example.test",), helo="client.host.test"):
    """(code, text) of the end of data."""
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), local_hostname=helo, timeout=60) as smtp:
        smtp.ehlo(helo)
        assert smtp.mail(sender)[0] == 250
        for recipient in to:
            assert smtp.rcpt(recipient)[0] == 250
        code, text = smtp.data(data)
        return code, text.decode()


def find(hk, subject, user="alice@example.test", mailbox="INBOX", seconds=20):
    """The message of that subject, parsed; None when it is not there in time."""
    m = imap(hk, user)
    deadline = time.monotonic() + seconds
    try:
        while True:
            assert m.select(mailbox, readonly=True)[0] == "OK"
            numbers = m.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            if numbers:
                return email.message_from_bytes(m.fetch(numbers[0], "(BODY.PEEK[])")[1][0][1])
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)
    finally:
        m.logout()


def results(msg):
    """Our Authentication-Results on one line."""
    ours = [" ".join(v.split()) for v in msg.get_all("Authentication-Results", []) if v.split(";")[0].strip() == HOST]
    assert len(ours) <= 1, ours
    return ours[0] if ours else None


def pause(hk, name):
    pid, = hk.processes()[name]
    os.kill(pid, signal.SIGSTOP)
    return pid


# ---- SPF ----

@pytest.mark.parametrize("domain,want", [
    ("good.test", "pass"), ("other.test", "fail"), ("soft.test", "softfail"), ("neutral.test", "neutral"),
    ("none.test", "none"), ("no-such.test", "none"), ("wrong.test", "permerror"), ("deep.test", "permerror"),
    ("ring.test", "permerror"), ("many.test", "permerror"), ("cname.test", "temperror"), ("voids.test", "permerror"),
    ("big.test", "none"), ("silent.test", "temperror")])
def test_spf(hk, domain, want):
    """Every result is told, and none alone refuses mail."""
    subject = f"spf-{domain}"
    assert send(hk, message(subject, f"a@{domain}"), f"a@{domain}")[0] == 250
    msg = find(hk, subject)
    assert re.search(rf"\bspf={want}\b.*smtp\.mailfrom={domain}", results(msg)), results(msg)
    # above our own Received, below what delivery adds
    names = [name for name, _ in msg.items()]
    assert names.index("Authentication-Results") < names.index("Received")


def test_null_sender_goes_by_its_helo_name(hk):
    assert send(hk, message("null-sender"), "", helo="host.test")[0] == 250
    assert "spf=pass smtp.helo=host.test" in results(find(hk, "null-sender"))


def test_log_tells_how_long_it_took(hk):
    assert send(hk, message("logged"))[0] == 250
    entry = [e for e in hk.events("filter.message.judged") if e["sender"] == "a@good.test"][-1]
    assert entry["status"] == "deliver" and entry["spf"].startswith("pass good.test")
    assert 0 <= entry["read_ms"] <= entry["ms"] and 0 <= entry["dns_ms"] <= entry["ms"]


# ---- DKIM and DMARC ----

def signed(data, domain, **how):
    return dkim.sign(data, b"sel", domain.encode(), KEY, include_headers=[b"from", b"subject", b"to"], **how) + data


def judged(hk, name, author, signer=None, sender=None, to="alice@example.test", change=lambda data: data):
    """Send mail from author@, signed by signer, in an envelope of sender: (code, its message, where it was)."""
    subject = f"dmarc-{name.replace(' ', '-')}"
    data = message(subject, f"a@{author}")
    if signer:
        data = signed(data, signer)
    code, text = send(hk, change(data), f"a@{sender or author}", [to])
    if code != 250:
        assert text.startswith("5.7.1 ") and author in text, text
        for mailbox in ("INBOX", "Junk"):
            assert find(hk, subject, to, mailbox, seconds=0) is None
        return code, None, None
    for _ in range(200):
        for mailbox in ("INBOX", "Junk"):
            msg = find(hk, subject, to, mailbox, seconds=0)
            if msg is not None:
                return code, msg, mailbox
        time.sleep(0.05)
    raise AssertionError("it did not come: " + hk.cli("queue", "list").stdout)


def change_body(data):
    return data.replace(b"hello", b"hullo")


@pytest.mark.parametrize("name,how,mailbox,wants", [
    # Either of the two is proof, for the domain that people see.
    ("spf", dict(author="proven.test"), "INBOX", ["spf=pass", "dkim=none", "dmarc=pass header.from=proven.test"]),
    ("dkim", dict(author="reject.test", signer="reject.test"), "INBOX",
     ["spf=fail", "dkim=pass header.d=reject.test header.s=sel", "dmarc=pass"]),
    ("dkim of a subdomain", dict(author="reject.test", signer="sub.reject.test"), "INBOX",
     ["dkim=pass header.d=sub.reject.test", "dmarc=pass"]),
    ("both", dict(author="proven.test", signer="proven.test"), "INBOX", ["spf=pass", "dkim=pass", "dmarc=pass"]),
    ("spf and a broken signature", dict(author="proven.test", signer="proven.test", change=change_body), "INBOX",
     ["spf=pass", "dkim=fail", "dmarc=pass"]),
    # Proof for another domain is none.
    ("spf of another", dict(author="reject.test", sender="good.test"), None, []),
    ("dkim of another", dict(author="reject.test", signer="proven.test"), None, []),
    ("both of another", dict(author="reject.test", signer="proven.test", sender="proven.test"), None, []),
    ("a broken signature", dict(author="reject.test", signer="reject.test", change=change_body), None, []),
    ("nothing", dict(author="reject.test"), None, []),
    # What the owner wants done.
    ("quarantine", dict(author="junk.test"), "Junk", ["dmarc=fail", "p=quarantine"]),
    ("quarantine and signed", dict(author="junk.test", signer="junk.test"), "INBOX", ["dmarc=pass"]),
    ("only watched", dict(author="watch.test"), "INBOX", ["dmarc=fail", "p=none"]),
    ("only tried out", dict(author="tried.test"), "Junk", ["dmarc=fail", "p=reject (testing)"]),
    ("a subdomain", dict(author="sub.org.test"), None, []),
    ("its organization", dict(author="org.test"), "INBOX", ["dmarc=fail", "p=none"]),
    ("strict alignment", dict(author="strict.test", signer="sub.strict.test"), None, []),
    ("no policy", dict(author="none.test"), "INBOX", ["dmarc=none"]),
    ("a policy nobody can check", dict(author="bogus.test"), "INBOX", ["dmarc=temperror"]),
    # What the recipient's domain wants.
    ("marked", dict(author="reject.test", to="dora@marks.test"), "INBOX", ["dmarc=fail", "p=reject"]),
    ("marked junk", dict(author="junk.test", to="dora@marks.test"), "INBOX", ["dmarc=fail", "p=quarantine"]),
])
def test_dmarc(hk, name, how, mailbox, wants):
    code, msg, where = judged(hk, name, **how)
    assert (code, where) == (550 if mailbox is None else 250, mailbox)
    for want in wants:
        assert want in results(msg), results(msg)


def test_results_of_several_signatures(hk):
    """Each is told, and can be told from the others (RFC 6008)."""
    data = signed(signed(message("several", "a@proven.test"), "proven.test"), "good.test")
    assert send(hk, data, "a@proven.test")[0] == 250
    found = results(find(hk, "several"))
    assert found.count("dkim=") == 2 and len(set(re.findall(r'header\.b=("[^"]*"|[^ ;]*)', found))) == 2, found
    assert "dkim=pass header.d=proven.test" in found and "header.d=good.test" in found


@pytest.mark.parametrize("sealer,saw,trusted", [("sealer.test", "pass", True), ("sealer.test", "fail", False),
                                                ("unknown-sealer.test", "pass", False)])
def test_arc(hk, sealer, saw, trusted):
    """Who changed a message on its way is believed about what it was, when the operator says so."""
    subject = f"arc-{sealer}-{saw}"
    data = message(subject, "a@reject.test", f"Authentication-Results: mx.{sealer}; dmarc={saw} header.from=reject.test\r\n")
    data = b"".join(dkim.arc_sign(data, b"sel", sealer.encode(), KEY, f"mx.{sealer}".encode(),
                                  include_headers=[b"from", b"to", b"subject"])) + data
    code, _ = send(hk, data, f"a@{sealer}")
    assert code == (250 if trusted else 550)
    if trusted:
        found = results(find(hk, subject))
        assert "arc=pass" in found and "dmarc=fail" in found, found


def arc_sealed(data, sealer, saw, author):
    data = f"Authentication-Results: mx.{sealer}; dmarc={saw} header.from={author}\r\n".encode() + data
    return b"".join(dkim.arc_sign(data, b"sel", sealer.encode(), KEY, f"mx.{sealer}".encode(),
                                  include_headers=[b"from", b"to", b"subject"])) + data


def with_results(author, by_dkim, by_arc, subject):
    """A message whose signature and chain (of somebody nobody trusts) have these results."""
    data = message(subject, f"a@{author}")
    if by_dkim != "none":
        data = signed(data, "good-key.test" if by_dkim == "other" else author)
    if by_dkim == "fail":
        data = change_body(data)
    if by_arc != "none":
        data = arc_sealed(data, "unknown-sealer.test", "pass", author)
    if by_arc == "fail":
        # The seal is over what the sealer saw, the signatures are not.
        data, n = re.subn(rb"(?s)(ARC-Authentication-Results:.*?)dmarc=pass", rb"\1dmarc=none", data, count=1)
        assert n == 1
    return data


def wanted(policy, by_spf, by_dkim, by_arc):
    """(author, domain of the envelope, what is to be told)."""
    passing, failing = ("proven.test", "reject.test") if policy == "reject" else ("seen.test", "watch.test")
    author = passing if by_spf == "pass" else failing
    sender = "good.test" if by_spf == "other" else author
    return author, sender, {
        "spf": f"{'fail' if by_spf == 'fail' else 'pass'} smtp.mailfrom={sender}",
        "dkim": {"none": "none", "pass": f"pass header.d={author}", "fail": f"fail header.d={author}",
                 "other": "pass header.d=good-key.test"}[by_dkim],
        "dmarc": ("pass" if "pass" in (by_spf, by_dkim) else "fail") + f" header.from={author}", "arc": by_arc}


def test_every_combination(hk):
    """SPF, DKIM and ARC each with every result, under p=reject and p=none: DMARC follows from what is aligned, the
    refusal from DMARC, and all four are told where the message is delivered (also when its owner wants it refused and
    the recipient's domain only a mark)."""
    told, refused = {}, set()
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=60) as smtp:
        smtp.ehlo("client.host.test")
        for case in itertools.product(("reject", "none"), ("pass", "other", "fail"),
                                      ("none", "pass", "other", "fail"), ("none", "pass", "fail")):
            subject = "all-" + "-".join(case)
            author, sender, told[subject] = wanted(*case)
            data = with_results(author, case[2], case[3], subject)
            if case[0] == "reject" and told[subject]["dmarc"].startswith("fail"):
                refused.add(subject)
            for to, want in (("alice@example.test", 550 if subject in refused else 250), ("dora@marks.test", 250)):
                assert smtp.mail(f"a@{sender}")[0] == 250 and smtp.rcpt(to)[0] == 250
                code, text = smtp.data(data)
                assert code == want, (subject, to, code, text)
                assert code == 250 or (text.startswith(b"5.7.1 ") and author.encode() in text), (subject, text)
    assert len(told) == 72 and len(refused) == 18
    hk.wait_queue_empty()
    for user, missing in (("alice@example.test", refused), ("dora@marks.test", set())):
        inbox, junk = ({str(m["Subject"]): m for m in everything(hk, user, box)} for box in ("INBOX", "Junk"))
        assert told.keys() - inbox.keys() == missing and not told.keys() & junk.keys()
        for subject in told.keys() - missing:
            assert_results(inbox[subject], told[subject])


def assert_results(msg, wants):
    found = dict(part.strip().split("=", 1) for part in results(msg).split(";")[1:])
    assert found.keys() == {name for name in wants if name != "arc" or wants["arc"] != "none"}, (msg["Subject"], found)
    for name, text in found.items():
        assert re.sub(r' (reason=("[^"]*"|\S+)|\([^)]*\))', "", text).startswith(wants[name]), (msg["Subject"], name, found)


def everything(hk, user, mailbox):
    m = imap(hk, user)
    try:
        if m.select(mailbox, readonly=True)[0] != "OK" or not m.search(None, "ALL")[1][0]:
            return []
        return [email.message_from_bytes(part[1]) for part in m.fetch("1:*", "(BODY.PEEK[HEADER])")[1]
                if isinstance(part, tuple)]
    finally:
        m.logout()


# ---- fields that strangers write ----

@pytest.mark.parametrize("name,head", [
    ("plain", f"Authentication-Results: {HOST}; spf=pass\r\n"),
    ("twice", f"Authentication-Results: {HOST}; dkim=pass\r\nAuthentication-Results: {HOST}; dmarc=pass\r\n"),
    ("folded", f"Authentication-Results:\r\n {HOST};\r\n\tdkim=pass header.d=good.test\r\n"),
    ("comment", f"authentication-results: (trust me) {HOST} (really) 1; dkim=pass\r\n"),
    ("quoted", f'Authentication-Results: "{HOST}"; dkim=pass\r\n'),
    ("case", f"AUTHENTICATION-RESULTS: {HOST.upper()}; dkim=pass\r\n"),
    ("behind another", f"Authentication-Results: mx.elsewhere.test; spf=fail\r\n"
                       f"Authentication-Results: {HOST}; spf=pass\r\n"),
])
def test_forged_results_are_dropped(hk, name, head):
    """threats 18: wherever they stand, those with our name go; what others say stays."""
    subject = f"forged-{name.replace(' ', '-')}"
    assert send(hk, message(subject, "a@other.test", head), "a@other.test")[0] == 250
    fields = find(hk, subject).get_all("Authentication-Results")
    ours = [f for f in fields if "elsewhere" not in f]
    assert len(ours) == 1 and "spf=fail" in ours[0] and "dkim=pass" not in ours[0], fields
    assert len(fields) - len(ours) == head.count("elsewhere")


@pytest.mark.parametrize("name,fields", [
    ("none", ""), ("empty", "From: \r\n"), ("twice", "From: a@good.test\r\nFrom: b@other.test\r\n"),
    ("twice in another case", "From: a@good.test\r\nfROM: b@other.test\r\n"),
    ("a group", "From: friends: a@good.test, b@other.test;\r\n"), ("no address", "From: nobody\r\n"),
    ("an encoded word", "From: =?utf-8?q?a=40good.test?=\r\n"),
    ("authors of two domains", "From: a@good.test, b@other.test\r\n"),
    ("two addresses in brackets", "From: <a@good.test><b@other.test>\r\n"),
    ("a comment inside", "From: a@good.test(b@other.test\r\n"),
    ("a NUL", "From: a@good.test\0<b@other.test>\r\n"),
    ("a source route", "From: <@good.test:b@other.test>\r\n"),
    ("a route of several", "From: Alice <@good.test,@none.test:b@other.test>\r\n"),
    ("a bare route", "From: @good.test:b@other.test\r\n"),
    ("a comment between authors", "From: a@good.test (x) , b@other.test\r\n"),
    ("a comment that hides a comma", "From: a@good.test (x\\) , b@other.test)(y), b@other.test\r\n"),
    ("a comment in an address", "From: a@good.test(x)@other.test\r\n"),
    ("a comment before the at sign", "From: b(a@good.test)@other.test\r\n"),
])
def test_ambiguous_from_is_refused(hk, name, fields):
    """threats 17: a From that readers could take for different people."""
    subject = f"from-{name.replace(' ', '-')}"
    code, text = send(hk, f"{fields}To: alice@example.test\r\nSubject: {subject}\r\n\r\nx\r\n".encode())
    assert code == 550 and text.startswith("5.7.1 ") and "From" in text, (code, text)


@pytest.mark.parametrize("name,value", [
    ("before", "(a@good.test) b@watch.test"), ("after", "b@watch.test (a@good.test)"),
    ("before and around", "(<a@good.test>,) Bob (or a@good.test) <b@watch.test> (a@good.test)"),
    ("quoted", '"a@good.test" <b@watch.test>'), ("with a comma", "b@watch.test (a comment, a@good.test)")])
def test_comments_are_nobody(hk, name, value):
    """What stands in a comment or a name is not the author: SPF of the envelope does not prove it."""
    subject = f"comment-{name.replace(' ', '-')}"
    data = f"From: {value}\r\nTo: alice@example.test\r\nSubject: {subject}\r\n\r\nx\r\n".encode()
    assert send(hk, data)[0] == 250
    found = results(find(hk, subject))
    assert "spf=pass smtp.mailfrom=good.test" in found and re.search("dmarc=fail [^;]*header.from=watch.test;", found), found
    # And where the owner of the domain wants it refused, it is.
    code, text = send(hk, data.replace(b"watch.test", b"reject.test"))
    assert code == 550 and "reject.test" in text, (code, text)


def test_hundred_thousand_fields(hk):
    """It takes its time, but no more than its time, and nobody else's."""
    fields = "".join(f"X-{n}: y\r\n" for n in range(100000)).encode()
    started = time.monotonic()
    assert send(hk, message("many-fields").replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n", 1))[0] == 250
    assert time.monotonic() - started < 20
    assert "spf=pass" in results(find(hk, "many-fields"))


def test_many_signatures(hk):
    """Ten are looked at (threats 19); those behind cost nothing."""
    data = message("many-signatures", "a@proven.test")
    field = signed(data, "proven.test")[:-len(data)]
    assert send(hk, field * 200 + data, "a@proven.test")[0] == 250
    found = results(find(hk, "many-signatures"))
    assert found.count("dkim=pass") == 10, found


# ---- settings, while it runs ----

def reloaded(hk, **settings):
    hk.configure(settings)
    reloads = len(hk.events("master.reloaded"))
    os.kill(hk.pid(), signal.SIGHUP)
    deadline = time.monotonic() + 20
    while len(hk.events("master.reloaded")) == reloads:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def until_judged(hk, name, sender, author, want):
    """want(code, text, results) of mail like that, soon: a process hears of a new configuration a moment later."""
    for n in range(40):
        subject = f"{name}-{n}-"
        code, text = send(hk, message(subject, author), sender)
        found = results(find(hk, subject)) if code == 250 else None
        if want(code, text, found):
            return
        time.sleep(0.25)
    raise AssertionError((code, text, found))


def test_dmarc_organization(hk):
    """By the list as well as by the walk, chosen while filterd runs in its sandbox (which cannot open a list any more)."""
    def judged_as(result):
        return lambda code, text, found: found and re.search(f"dmarc={result} [^;]*header.from=one.co.jp;", found)

    mail = "a@two.co.jp", "a@one.co.jp"
    pid = hk.processes()["filterd"]
    until_judged(hk, "walked", *mail, judged_as("pass"))
    try:
        reloaded(hk, dmarc_organization="list")
        until_judged(hk, "listed", *mail, judged_as("fail"))
    finally:
        reloaded(hk, dmarc_organization="walk")
    until_judged(hk, "walked-again", *mail, judged_as("pass"))
    assert hk.processes()["filterd"] == pid


def test_spf_fail_refuse(hk):
    """Only where the operator wants it, and only a fail."""
    mail = "a@other.test", "a@none.test"
    try:
        reloaded(hk, spf_fail_refuse="yes")
        until_judged(hk, "spf-refused", *mail, lambda code, text, found: code == 550)
        code, text = send(hk, message("spf-fail", "a@none.test"), "a@other.test")
        assert code == 550 and text.startswith("5.7.23 ") and "other.test" in text and "127.0.0.1" in text, (code, text)
        for domain in ("soft.test", "neutral.test", "none.test", "wrong.test", "silent.test", "good.test"):
            assert send(hk, message(f"spf-no-fail-{domain}", "a@none.test"), f"a@{domain}")[0] == 250, domain
    finally:
        reloaded(hk, spf_fail_refuse="no")
    until_judged(hk, "spf-told", *mail, lambda code, text, found: code == 250 and "spf=fail" in found)


# ---- mail of our own ----

def test_users_are_not_judged(hk):
    with smtplib.SMTP("localhost", hk.port("submission"), timeout=60) as smtp:
        smtp.starttls(context=hk.tls())
        smtp.login("bob@example.test", hk.passwords["bob@example.test"])
        smtp.sendmail("bob@example.test", ["alice@example.test"], message("of-a-user", "bob@example.test"))
    msg = find(hk, "of-a-user")
    assert msg is not None and results(msg) is None


def test_lmtp_is_not_judged(hk):
    with smtplib.LMTP("127.0.0.1", hk.port("lmtp"), timeout=60) as lmtp:
        lmtp.sendmail("a@other.test", ["alice@example.test"], message("by-lmtp", "a@other.test"))
    msg = find(hk, "by-lmtp")
    assert msg is not None and results(msg) is None


# ---- nobody judges ----

def test_stopped_filter_puts_mail_off(hk):
    pid = pause(hk, "filterd")
    try:
        started = time.monotonic()
        code, text = send(hk, message("stopped"))
        assert code == 451 and text.startswith("4.7.1 ")
        assert BUDGET_S - 0.5 < time.monotonic() - started < BUDGET_S + 5
        # A domain that would rather have it unfiltered has it so ...
        assert send(hk, message("stopped-lax"), to=["carol@lax.test"])[0] == 250
        # ... but not together with one that would not.
        assert send(hk, message("stopped-both"), to=["carol@lax.test", "alice@example.test"])[0] == 451
        msg = find(hk, "stopped-lax", "carol@lax.test")
        assert msg is not None and results(msg) is None
        assert [e for e in hk.events("smtp.message.unfiltered") if e["sender"] == "a@good.test"]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert send(hk, message("running-again"))[0] == 250
    assert "spf=pass" in results(find(hk, "running-again"))
    assert find(hk, "stopped", seconds=0) is None and find(hk, "stopped-both", seconds=0) is None
    assert find(hk, "stopped-both", "carol@lax.test", seconds=0) is None


def test_killed_filter_puts_mail_off(hk):
    """In the middle of a message: it waits for the DNS."""
    dnsd, got = pause(hk, "dnsd"), []
    try:
        before = len(hk.events("process.died"))
        thread = threading.Thread(target=lambda: got.append(send(hk, message("killed", "a@x1.good.test"),
                                                                 "a@x1.good.test")))
        thread.start()
        time.sleep(0.5)
        os.kill(hk.processes()["filterd"][0], signal.SIGKILL)
        thread.join(30)
        assert got and got[0][0] == 451, got
    finally:
        os.kill(dnsd, signal.SIGCONT)
    died = hk.events("process.died")[before:]
    assert [e["peer"] for e in died] == ["filterd"]
    deadline = time.monotonic() + 20
    while send(hk, message("after-kill"))[0] != 250:
        assert time.monotonic() < deadline
    assert "spf=pass" in results(find(hk, "after-kill"))
    assert find(hk, "killed", seconds=0) is None
    forget_death(hk)


def forget_death(hk):
    """assert_clean_log() need not see what the test itself did."""
    log = hk.dir / "log/hikyaku.log"
    lines = [line for line in log.read_text().splitlines(True) if '"process.died"' not in line]
    with log.open("r+") as file:
        file.writelines(lines)
        file.truncate()


def test_silent_dns_is_a_temporary_error(hk):
    """There is a verdict inside the budget all the same: where DMARC would decide, the sender has to come again."""
    pid = pause(hk, "dnsd")
    try:
        started = time.monotonic()
        code, text = send(hk, message("silent-dns", "a@x2.good.test"), "a@x2.good.test")
        assert code == 451 and text.startswith("4.7.1 ") and "policy" in text
        assert time.monotonic() - started < BUDGET_S + 1
        assert send(hk, message("silent-marked", "a@x3.good.test"), "a@x3.good.test", ["dora@marks.test"])[0] == 250
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "spf=temperror" in results(find(hk, "silent-marked", "dora@marks.test"))
    assert find(hk, "silent-dns", seconds=0.5) is None


# ---- many, and the settings ----

def test_many_at_once(dns):
    """More than there are jobs: all of them are judged."""
    hk = Instance(config=dns.settings(filter_jobs="3", rate_connections="100000", connections_per_address="500",
                                      workers_smtpd="2", workers_filterd="2"), zones={"smtp": "internet"}).start()
    try:
        hk.domain("example.test")
        hk.account("alice@example.test")
        codes = []
        threads = [threading.Thread(target=lambda n=n: codes.append(send(hk, message(f"many-{n}"))[0]))
                   for n in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert codes == [250] * 60
        hk.wait_queue_empty()
        judged = hk.events("filter.message.judged")
        assert len(judged) == 60 and all(e["spf"].startswith("pass good.test") for e in judged)
        hk.assert_clean_log()
    finally:
        hk.destroy()


def test_filter_off(dns):
    hk = Instance(config=dns.settings(filter="no"), zones={"smtp": "internet"}).start()
    try:
        hk.domain("example.test")
        hk.account("alice@example.test")
        pid = pause(hk, "filterd")
        try:
            assert send(hk, message("unasked"))[0] == 250
        finally:
            os.kill(pid, signal.SIGCONT)
        assert results(find(hk, "unasked")) is None
        hk.assert_clean_log()
    finally:
        hk.destroy()


def test_domain_settings(hk):
    show = hk.cli_json("domain", "show", "example.test")
    assert (show["dmarc"], show["filter_unavailable"]) == ("honour", "default")
    assert hk.cli_json("domain", "show", "lax.test")["filter_unavailable"] == "accept"
    hk.cli("domain", "set", "lax.test", "--dmarc", "mark")
    show = hk.cli_json("domain", "show", "lax.test")
    assert (show["dmarc"], show["filter_unavailable"]) == ("mark", "accept")
    assert hk.cli("domain", "set", "lax.test", "--dmarc", "never", check=False).returncode == 1
    assert hk.cli("domain", "set", "lax.test", "--filter-unavailable", "never", check=False).returncode == 1
    # Who wants it otherwise gets a message of their own.
    with smtplib.SMTP("127.0.0.1", hk.port("smtp"), timeout=60) as smtp:
        smtp.ehlo("client.host.test")
        smtp.mail("a@good.test")
        assert smtp.rcpt("alice@example.test")[0] == 250
        code, text = smtp.rcpt("carol@lax.test")
        assert code == 452 and text.startswith(b"4.5.3 ")
    hk.cli("domain", "set", "lax.test", "--dmarc", "honour")
