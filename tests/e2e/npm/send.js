// SPDX-License-Identifier: ISC
// Sends with nodemailer what tests/e2e/test_clients_npm.py looks for; prints what the server answered.
"use strict";
const nodemailer = require("nodemailer");
const env = process.env;

function transport(options) {
  return nodemailer.createTransport({
    host: "localhost", port: Number(env.HK_SMTPS), secure: true, name: "client.test",
    auth: { user: env.HK_USER, pass: env.HK_PASSWORD }, ...options,
  });
}

const letters = {
  attachments: {
    subject: "日本語の件名①㈱髙😀 " + "長い件名".repeat(30),
    text: "本文です。\n.\n..\n", html: "<p>本文です。</p>",
    attachments: [
      { filename: "見積書.pdf", content: Buffer.alloc(300000, 7) },
      { filename: "plain.txt", content: "テキスト", contentType: "text/plain; charset=utf-8" },
      { filename: "mail.eml", content: "Subject: inner\r\n\r\nx\r\n", contentType: "message/rfc822" },
    ],
  },
  dsn: { subject: "with a receipt", text: "x", dsn: { id: "an-id+1", return: "headers", notify: ["success", "failure"],
    recipient: env.HK_USER } },
  utf8: { subject: "address", text: "x", envelope: { from: env.HK_USER, to: ["bob@example.test", "鈴木@example.test"] } },
  raw: { envelope: { from: env.HK_USER, to: "bob@example.test" }, raw: Buffer.from(
    "From: alice@example.test\r\nSubject: raw eight bits\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
    "Content-Transfer-Encoding: 8bit\r\n\r\n生の八ビット\r\n") },
};

async function pool() {
  const pooled = transport({ pool: true, maxConnections: 3, maxMessages: 20 });
  const results = await Promise.all(Array.from({ length: 40 }, (_, n) => pooled.sendMail({
    from: env.HK_USER, to: "bob@example.test", subject: `pooled ${n}`, text: "x" })));
  pooled.close();
  return { accepted: results.flatMap((result) => result.accepted).length };
}

async function main(what, mechanism) {
  if (what === "pool") return pool();
  const options = { starttls: { port: Number(env.HK_SUBMISSION), secure: false, requireTLS: true } }[mechanism] ||
    (mechanism ? { authMethod: mechanism } : {});
  const letter = letters[what];
  const result = await transport(options).sendMail({ from: { name: "差出人", address: env.HK_USER }, to: "bob@example.test",
    ...letter });
  return { accepted: result.accepted, rejected: result.rejected, response: result.response };
}

main(...process.argv.slice(2)).then((answer) => console.log(JSON.stringify(answer)), (error) => {
  console.log(JSON.stringify({ error: error.message, code: error.code, rejected: error.rejected,
    status: error.responseCode }));
});
