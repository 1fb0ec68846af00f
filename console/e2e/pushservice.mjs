// Stands in for a push service: no real one brings anything to a browser in a test.
import { createDecipheriv, createECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { stack } from "./browser.mjs";

const account = { Authorization: `Bearer ${stack.api_key}`, "Content-Type": "application/json" };

/** Open a push service with one subscription; `pushes` has the content of each message to it. */
export async function openPushService() {
  const keys = createECDH("prime256v1");
  const p256dh = keys.generateKeys();
  const auth = randomBytes(16);
  const pushes = [];
  const server = createServer(async (incoming, answer) => {
    const parts = [];
    for await (const part of incoming) parts.push(part);
    pushes.push(JSON.parse(decrypt(Buffer.concat(parts), keys, p256dh, auth)));
    answer.writeHead(201).end();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const subscription = {
    endpoint: `http://127.0.0.1:${server.address().port}/push`,
    keys: { p256dh: p256dh.toString("base64url"), auth: auth.toString("base64url") },
  };
  return { pushes, token: JSON.stringify(subscription), close: () => server.close() };
}

/** Decrypt a message (RFC 8188 with the keys of RFC 8291): salt, size of records, key of the sender, one record. */
function decrypt(message, keys, p256dh, auth) {
  const salt = message.subarray(0, 16);
  const sender = message.subarray(21, 21 + message[20]);
  const derive = (secret, salted, info, length) =>
    Buffer.from(hkdfSync("sha256", secret, salted, info, length));
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), p256dh, sender]);
  const secret = derive(keys.computeSecret(sender), auth, info, 32);
  const key = derive(secret, salt, "Content-Encoding: aes128gcm\0", 16);
  const nonce = derive(secret, salt, "Content-Encoding: nonce\0", 12);
  const record = message.subarray(21 + message[20]);
  const decipher = createDecipheriv("aes-128-gcm", key, nonce);
  decipher.setAuthTag(record.subarray(-16));
  const padded = Buffer.concat([decipher.update(record.subarray(0, -16)), decipher.final()]);
  return padded.subarray(0, padded.lastIndexOf(2)).toString();
}

const DEVICES = `${stack.base_url}/api/users/@me/push_tokens/`;

/** Return the devices of the account. */
export async function devices() {
  const answer = await fetch(DEVICES, { headers: account });
  return (await answer.json()).results;
}

async function register(token) {
  const body = JSON.stringify({ token, platform: "web" });
  const answer = await fetch(DEVICES, { method: "POST", headers: account, body });
  if (!answer.ok) throw new Error(`registering: ${answer.status} ${await answer.text()}`);
  return (await answer.json()).id;
}

export function unregister(token) {
  const body = JSON.stringify({ token });
  return fetch(`${DEVICES}unregister/`, { method: "POST", headers: account, body });
}

/** Play a scene with a device of the account that gets its pushes from a service of its own. */
export async function withDevice(scene) {
  const service = await openPushService();
  const id = await register(service.token);
  try {
    await scene({ ...service, id });
  } finally {
    await unregister(service.token);
    service.close();
  }
}
