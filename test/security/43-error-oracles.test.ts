// Attack 43: errors that tell MAC, padding and parse apart make an oracle (Bridgefy 2020, Telegram). Guards: MAC first (`openBody` in
// src/protocol/sessionState.ts, `openBody` in src/envelope/envelope.ts), and one ERR_DECRYPT or one "corrupt, none" without a reason for all. If a
// check gets words of its own, or an error keeps its cause, the comparisons below see it.
import { describe, expect, test } from "vitest";
import { concat, type Bytes } from "../../src/bytes.ts";
import { openBody, sealBody } from "../../src/envelope/envelope.ts";
import { MiyuError } from "../../src/errors.ts";
import { messageKeys, messageSeed, runStep } from "../../src/protocol/doubleRatchet.ts";
import { encodeSignalMessage } from "../../src/protocol/messages.ts";
import { acquainted, numbered, type Device } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, open, outcome, World } from "./people.ts";
import { PROVIDERS } from "./providers.ts";
import { currentOf, flip, Villain } from "./villain.ts";

const random = seededRandom(testSeed("43 error oracles"));

/** All an error says, the stack left out. */
function words(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (!MiyuError.is(error)) throw error;
    const own = Object.getOwnPropertyNames(error).filter((name) => name !== "stack").sort();
    return { message: error.message, code: error.code, detail: error.detail, cause: error.cause, own };
  }
  throw new Error("nothing was thrown");
}

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  /** A message of the running session with any ciphertext under a MAC that holds. */
  function withCiphertext(alice: Device, change: (ciphertext: Bytes) => Uint8Array): Bytes {
    const { senderChain, localIdentityKey, remoteIdentityKey } = currentOf(alice);
    return runStep((secrets) => {
      const keys = messageKeys(crypto, secrets, messageSeed(crypto, senderChain.chainKey));
      const ciphertext = change(crypto.aesCbcEncrypt(keys.cipherKey, keys.iv, numbered(30)));
      const content = { version: 3, ratchetKey: senderChain.ratchetKeyPair.publicKey, counter: senderChain.index, previousCounter: 0, ciphertext };
      return encodeSignalMessage(crypto, content, keys.macKey, { sender: localIdentityKey, receiver: remoteIdentityKey });
    });
  }

  test("a Signal message: MAC, padding, length, counter, ratchet key and session all fail in the same words", () => {
    const [alice, bob] = acquainted(random, crypto);
    const decrypt = (message: Uint8Array) => () => bob.decrypt({ kind: "signal", message });
    const good = withCiphertext(alice, (ciphertext) => ciphertext);
    const [stranger] = acquainted(random, crypto);
    const failures = {
      mac: flip(good, good.length - 1),
      "padding under a good MAC": withCiphertext(alice, (ciphertext) => flip(ciphertext, ciphertext.length - 17)),
      "length under a good MAC": withCiphertext(alice, (ciphertext) => ciphertext.slice(0, -1)),
      "nothing under a good MAC": withCiphertext(alice, () => new Uint8Array()),
      "ratchet key": flip(good, 4),
      stranger: stranger.encrypt(numbered(1)).message,
    };
    const before = bob.snapshot();
    for (const [name, message] of Object.entries(failures)) {
      expect(words(decrypt(message)), name).toEqual({ message: "ERR_DECRYPT", code: "ERR_DECRYPT", detail: {}, cause: undefined, own: ["code", "detail", "message", "name"] });
    }
    expect(bob.snapshot()).toBe(before);
    expect(bob.decrypt({ kind: "signal", message: good })).toEqual(numbered(30));
  });

  test("a forgery does not reach the cipher", () => {
    let calls = 0;
    const [alice, bob] = acquainted(random, { ...crypto, aesCbcDecrypt: (...args) => (calls++, crypto.aesCbcDecrypt(...args)) });
    const { message } = alice.encrypt(numbered(1));
    calls = 0;
    for (let at = 0; at < message.length; at++) words(() => bob.decrypt({ kind: "signal", message: flip(message, at) }));
    expect(calls).toBe(0);
    bob.decrypt({ kind: "signal", message });
    expect(calls).toBe(1);
  });

  test("a body: key hash, bind, tag and length fail in the same words", () => {
    const { header, body, slotPlaintext } = sealBody(crypto, random.bytes, { id: random.bytes(16), senderDevice: random.bytes(16) }, new Uint8Array(128));
    const envelope = { header, body, slots: [] };
    const said = [
      () => openBody(crypto, envelope, flip(slotPlaintext, 0)),
      () => openBody(crypto, envelope, flip(slotPlaintext, 40)),
      () => openBody(crypto, { ...envelope, body: flip(body, 3) }, slotPlaintext),
      () => openBody(crypto, { ...envelope, body: body.slice(0, 3) }, slotPlaintext),
      () => openBody(crypto, { ...envelope, header: { ...header, bytes: flip(header.bytes, 20) } }, slotPlaintext),
      () => openBody(crypto, envelope, slotPlaintext.slice(0, 63)),
      () => openBody(crypto, envelope, new Uint8Array()),
    ].map(words);
    expect(new Set(said.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(said[0]).toMatchObject({ code: "ERR_DECRYPT", message: "ERR_DECRYPT", detail: {}, cause: undefined });
    expect(openBody(crypto, envelope, slotPlaintext)).toEqual(new Uint8Array(128));
  });
});

test("through a client: MAC, key, bind, tag, padding and parse are one result, and nothing is sent in answer", async () => {
  const world = new World(random);
  const posts: string[] = [];
  const bob = await world.join("bob", { post: (to) => void posts.push(to) });
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await mallory.meet(directory, bob);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  const failures: Record<string, Uint8Array> = {
    mac: mallory.envelope(bob, { message: ({ kind, message }) => ({ kind, message: flip(message, message.length - 8) }) }),
    "content key": mallory.envelope(bob, { slot: (plaintext) => flip(plaintext, 0) }),
    bind: mallory.envelope(bob, { slot: (plaintext) => flip(plaintext, 50) }),
    body: (() => {
      const body = mallory.envelope(bob);
      return flip(body, body.length - 1);
    })(),
    "padding without its mark": mallory.envelope(bob, { padded: (padded) => new Uint8Array(padded.length) }),
    "padding of another length": mallory.envelope(bob, { padded: (padded) => concat(padded, new Uint8Array(1)) }),
    "no padding": mallory.envelope(bob, { padded: () => new Uint8Array() }),
    "content cut short": mallory.envelope(bob, { bytes: (content) => content.slice(0, -1) }),
    "content too long": mallory.envelope(bob, { bytes: (content) => concat(content, new Uint8Array(1)) }),
    "content not UTF-8": mallory.envelope(bob, { bytes: (content) => content.with(12, 0xff) }),
    "another sender": mallory.envelope(bob, { content: { senderUser: "alice" } }),
  };
  const results = [];
  for (const [name, body] of Object.entries(failures)) {
    const opened = await open(bob, "mallory", body);
    if (opened.kind !== "undecryptable") throw new Error(name);
    // The id is the envelope's own and public; the count goes up.
    results.push(JSON.stringify({ ...opened, id: "", count: 0 }));
    expect(await attack(bob, "mallory", body)).toBe("corrupt, none");
  }
  expect(new Set(results)).toEqual(new Set([JSON.stringify({ kind: "undecryptable", id: "", from: "mallory", cause: "corrupt", remedy: "none", count: 0 })]));
  expect(posts).toEqual([]);
});
