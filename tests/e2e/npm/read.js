// SPDX-License-Identifier: ISC
// A mailbox in the hands of imapflow: prints what it did and saw, one JSON object.
"use strict";
const { ImapFlow } = require("imapflow");
const assert = require("assert");
const env = process.env;

function client(options) {
  return new ImapFlow({
    host: "localhost", port: Number(env.HK_IMAPS), secure: true, logger: false,
    auth: { user: env.HK_USER, pass: env.HK_PASSWORD }, ...options,
  });
}

async function connected(options) {
  const c = client(options);
  await c.connect();
  return c;
}

const letter = (n) => Buffer.from(
  `From: 差出人 <x@remote.test>\r\nTo: alice@example.test\r\nSubject: =?UTF-8?B?${Buffer.from(`会議 ${n}`).toString("base64")}?=\r\n` +
  `Message-ID: <flow-${n}@remote.test>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n` +
  "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + `本文 ${n} です\r\n` +
  "--b\r\nContent-Type: application/octet-stream; name=data\r\nContent-Disposition: attachment; filename=data\r\n" +
  `Content-Transfer-Encoding: base64\r\n\r\n${Buffer.alloc(3000, n).toString("base64").replace(/.{76}/g, "$&\r\n")}\r\n--b--\r\n`);

async function all(iterable) {
  const found = [];
  for await (const item of iterable) found.push(item);
  return found;
}

async function text(stream) {
  const chunks = await all(stream);
  return Buffer.concat(chunks);
}

const runs = {
  // Everything one program does with one mailbox.
  async whole() {
    const c = await connected({ qresync: true });
    const seen = { capabilities: [...c.capabilities.keys()], enabled: [...c.enabled] };
    await c.mailboxCreate(["Projects", "日本語", "深い"]);
    const listed = await c.list({ statusQuery: { messages: true, unseen: true, uidNext: true, highestModseq: true, size: true } });
    seen.special = Object.fromEntries(listed.filter((box) => box.specialUse).map((box) => [box.specialUse, box.path]));
    const box = listed.find((item) => item.path.endsWith("深い"));
    assert.strictEqual(box.status.messages, 0);
    const path = box.path;
    const appended = [];
    for (let n = 0; n < 20; n++) {
      appended.push(await c.append(path, letter(n), n % 2 ? ["\\Seen"] : ["$Todo"], new Date("2026-11-22T01:02:03Z")));
    }
    assert.ok(appended.every((answer) => answer.uid && answer.uidValidity));
    const lock = await c.getMailboxLock(path);
    try {
      assert.strictEqual(c.mailbox.exists, 20);
      const found = await all(c.fetch("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, size: true,
        internalDate: true, threadId: true, bodyParts: ["1"], headers: ["message-id"] }));
      found.forEach((message, n) => {
        assert.strictEqual(message.envelope.subject, `会議 ${n}`);
        assert.strictEqual(message.envelope.from[0].name, "差出人");
        assert.strictEqual(message.bodyParts.get("1").toString(), `本文 ${n} です`);
        assert.strictEqual(message.bodyStructure.childNodes.length, 2);
        assert.strictEqual(message.size, letter(n).length);
        assert.strictEqual(message.internalDate.toISOString(), "2026-11-22T01:02:03.000Z");
        assert.ok(message.emailId && message.headers.toString().includes(`<flow-${n}@remote.test>`));
      });
      seen.source = (await c.fetchOne(appended[3].uid, { source: true }, { uid: true })).source.equals(letter(3));
      const part = await c.download(appended[5].uid, "2", { uid: true });
      seen.attachment = (await text(part.content)).equals(Buffer.alloc(3000, 5));
      seen.bySubject = (await c.search({ subject: "会議 1" }, { uid: true })).length;
      seen.byBody = (await c.search({ body: "本文 7" }, { uid: true })).length;
      seen.byFlag = (await c.search({ or: [{ keyword: "$Todo" }, { header: { "message-id": "flow-1@" } }], not: { seen: false } })).length;
      seen.unseen = (await c.search({ seen: false, since: new Date("2026-11-20"), smaller: 100000 })).length;
      const before = c.mailbox.highestModseq;
      await c.messageFlagsAdd("1:3", ["\\Flagged", "$重要".normalize() && "$Important"]);
      await c.messageFlagsRemove("2", ["\\Flagged"]);
      await c.messageFlagsSet("4", ["\\Answered"]);
      seen.changed = (await all(c.fetch("1:*", { uid: true, flags: true }, { changedSince: before }))).map((m) => m.seq);
      const copied = await c.messageCopy("1:2", "Trash");
      seen.copied = copied.uidMap.size;
      const moved = await c.messageMove("5:6", "Trash");
      seen.moved = moved.uidMap.size;
      await c.messageDelete("1:2");
      seen.left = (await all(c.fetch("1:*", { uid: true }))).length;
      seen.status = await c.status(path, { messages: true, unseen: true, recent: true });
    } finally {
      lock.release();
    }
    await c.mailboxRename(path, ["Projects", "新しい"]);
    await c.mailboxSubscribe(["Projects", "新しい"]);
    seen.quota = (await c.getQuota("INBOX")).storage.usage > 0;
    seen.boxes = (await c.list()).map((item) => item.path).filter((name) => name.startsWith("Projects"));
    await c.mailboxDelete(["Projects", "新しい"]);
    await c.logout();
    seen.boxes.push(path);
    return seen;
  },

  // One waits, the other changes: all that is told, with and without compression and QRESYNC.
  async idle(compress) {
    const waiting = await connected({ qresync: compress === "yes", disableCompression: compress !== "yes", maxIdleTime: 60000 });
    const other = await connected({ disableCompression: compress === "yes" });
    await other.mailboxCreate("Idle");
    for (let n = 0; n < 3; n++) await other.append("Idle", letter(n));
    await waiting.mailboxOpen("Idle");
    const seen = { exists: [], expunged: [], flags: [], compressed: Boolean(waiting._inflate) };
    const want = (name, test) => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${name}: ${JSON.stringify(seen)}`)), 20000);
      waiting.on(name, (event) => { if (test(event)) { clearTimeout(timer); resolve(); } });
    });
    waiting.on("exists", (event) => seen.exists.push(event.count));
    waiting.on("expunge", (event) => seen.expunged.push(event.vanished ? "vanished" : "expunge"));
    waiting.on("flags", (event) => seen.flags.push([...event.flags].sort().join()));
    const idling = waiting.idle();
    await other.mailboxOpen("Idle");
    let told = want("exists", (event) => event.count === 4);
    await other.append("Idle", letter(9));
    await told;
    told = want("flags", (event) => event.flags.has("\\Flagged"));
    await other.messageFlagsAdd("2", ["\\Flagged"]);
    await told;
    told = want("expunge", () => true);
    await other.messageDelete("1");
    await told;
    await waiting.noop();
    await idling;
    seen.left = (await all(waiting.fetch("1:*", { envelope: true }))).map((m) => m.envelope.subject);
    await waiting.mailboxClose();
    await other.mailboxDelete("Idle");
    await waiting.logout();
    await other.logout();
    return seen;
  },

  // Ways in.
  async login(method) {
    const options = method === "starttls" ? { port: Number(env.HK_IMAP), secure: false, doSTARTTLS: true } :
      { auth: { user: env.HK_USER, pass: env.HK_PASSWORD, loginMethod: method } };
    const c = await connected(options);
    const answer = { user: c.authenticated, secure: c.secureConnection };
    await c.logout();
    return answer;
  },

  async wrong() {
    const c = client({ auth: { user: env.HK_USER, pass: "no" } });
    try {
      await c.connect();
    } catch (error) {
      return { failed: error.authenticationFailed, code: error.serverResponseCode };
    } finally {
      c.close();
    }
    return {};
  },

  // Six clients in one mailbox at once: each ends with what a fresh one sees.
  async crowd() {
    const first = await connected({});
    await first.mailboxCreate("Crowd");
    for (let n = 0; n < 30; n++) await first.append("Crowd", letter(n));
    const clients = await Promise.all(Array.from({ length: 6 }, (_, n) => connected({ qresync: n % 2 === 0 })));
    await Promise.all(clients.map((c) => c.mailboxOpen("Crowd")));
    await Promise.all(clients.map(async (c, n) => {
      for (let turn = 0; turn < 8; turn++) {
        const uids = await c.search({ all: true }, { uid: true });
        const uid = uids[(turn * 7 + n * 5) % uids.length];
        await c.messageFlagsAdd(uid, ["\\Flagged", `$k${n}`], { uid: true });
        if (turn % 3 === 0) await c.append("Crowd", letter(n));
        if (turn % 4 === 1) await c.messageDelete(uids[(turn + n) % uids.length], { uid: true });
      }
    }));
    const view = async (c) => JSON.stringify((await all(c.fetch("1:*", { uid: true, flags: true })))
      .map((m) => [m.uid, [...m.flags].filter((f) => f !== "\\Recent").sort()]));
    await Promise.all(clients.map((c) => c.noop()));
    const views = await Promise.all(clients.map(view));
    const fresh = await connected({});
    await fresh.mailboxOpen("Crowd");
    const truth = await view(fresh);
    const exists = fresh.mailbox.exists;
    await Promise.all([...clients, fresh].map((c) => c.logout()));
    await first.mailboxDelete("Crowd");
    await first.logout();
    return { same: views.every((v) => v === truth), exists };
  },
};

const [what, ...args] = process.argv.slice(2);
runs[what](...args).then((answer) => console.log(JSON.stringify(answer)), (error) => {
  console.error(error, error.response, error.responseText);
  process.exit(1);
});
