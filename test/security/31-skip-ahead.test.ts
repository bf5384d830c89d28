// Attack 31: a counter far ahead (2^32 − 1) makes the receiver walk the chain before anything is authenticated (libsignal 25,000,
// libsignal-node 2,000, XEP-0384). Guard: `walkToMessage` in src/protocol/chainWalk.ts refuses more than 25,000 before the first step; a client
// walks longer ways in slices. Work is counted in HMACs, not timed. Without the bound the counts explode and the run does not end.
import { describe, expect, test } from "vitest";
import type { Crypto } from "../../src/crypto/types.ts";
import { encodeSignalMessage } from "../../src/protocol/messages.ts";
import { MAX_FORWARD_JUMP, MAX_SKIPPED_KEYS } from "../../src/protocol/index.ts";
import { countSkippedKeys } from "../../src/protocol/skippedKeys.ts";
import { craft } from "../interop/craft.ts";
import { acquainted, codeOf, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { attack, crypto as fast, open, outcome, stateOf, World } from "./people.ts";
import { currentOf, Villain } from "./villain.ts";

const random = seededRandom(testSeed("31 skip ahead"));

/** A provider that counts its HMACs and agreements. */
function counting(crypto: Crypto): { readonly provider: Crypto; take(): number } {
  let work = 0;
  const provider = {
    ...crypto,
    hmacSha256: (...args: Parameters<Crypto["hmacSha256"]>) => (work++, crypto.hmacSha256(...args)),
    x25519: (...args: Parameters<Crypto["x25519"]>) => (work++, crypto.x25519(...args)),
  };
  return { provider, take: () => [work, (work = 0)][0] ?? 0 };
}

/** Counters no message of the chain may have: the first too far, then to the end of 32 bits and beyond its sign. */
const FAR = [MAX_FORWARD_JUMP + 1, 100_000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

describe.each(["a known ratchet key", "a new ratchet key"])("on %s", (which) => {
  test("too far is refused before the first step, whatever the MAC says", () => {
    const { provider, take } = counting(fast);
    const [alice, bob] = acquainted(random, provider);
    if (which === "a known ratchet key") bob.decrypt(alice.encrypt(numbered(1)));
    const state = currentOf(alice);
    const before = bob.snapshot();
    for (const jump of FAR) {
      const counter = Math.min(0xffffffff, state.senderChain.index + jump);
      const content = { version: 3, ratchetKey: state.senderChain.ratchetKeyPair.publicKey, counter, previousCounter: 0, ciphertext: new Uint8Array(16) };
      const message = encodeSignalMessage(fast, content, random.bytes(32), { sender: state.localIdentityKey, receiver: state.remoteIdentityKey });
      take();
      expect(codeOf(() => bob.decrypt({ kind: "signal", message }))).toBe("ERR_DECRYPT");
      expect(take(), String(counter)).toBeLessThanOrEqual(1);
      expect(bob.snapshot()).toBe(before);
    }
  });

  test("25,000 exactly opens, at two HMACs a step and with 2,000 keys kept; a forgery there costs the same and stores nothing", () => {
    const { provider, take } = counting(fast);
    const [alice, bob] = acquainted(random, provider);
    if (which === "a known ratchet key") bob.decrypt(alice.encrypt(numbered(1)));
    const state = currentOf(alice);
    const { index } = state.senderChain;
    const at = index + MAX_FORWARD_JUMP;
    const { bytes } = craft(fast, state, { plaintext: numbered(3) }, at);
    const forged = bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1);
    const before = bob.snapshot();
    take();
    expect(codeOf(() => bob.decrypt({ kind: "signal", message: forged }))).toBe("ERR_DECRYPT");
    expect(take()).toBeLessThanOrEqual(2 * MAX_FORWARD_JUMP + 10);
    expect(bob.snapshot()).toBe(before);
    expect(bob.decrypt({ kind: "signal", message: bytes })).toEqual(numbered(3));
    expect(countSkippedKeys(currentOf(bob).receiverChains.at(-1)?.skipped ?? [])).toBe(MAX_SKIPPED_KEYS);
    expect(codeOf(() => bob.decrypt({ kind: "signal", message: craft(fast, state, {}, at - MAX_SKIPPED_KEYS - 1).bytes }))).toBe("ERR_DUPLICATE");
    expect(bob.decrypt({ kind: "signal", message: craft(fast, state, { plaintext: numbered(4) }, at - MAX_SKIPPED_KEYS).bytes })).toEqual(numbered(4));
  });
});

test("through a client: counters at the end of 32 bits, and a long way that ends in a forgery", async () => {
  const world = new World(random);
  const { provider, take } = counting(fast);
  const bob = await world.join("bob", { crypto: provider });
  const mallory = new Villain(random);
  const directory = world.directory("mallory");
  await mallory.publish(directory);
  await mallory.meet(directory, bob);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  mallory.read((await bob.client.encrypt("mallory", "hi")).body);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
  const before = await stateOf(bob);
  const forged = (counter: number): Uint8Array =>
    mallory.envelope(bob, {
      message: ({ kind }) => {
        const { senderChain, localIdentityKey, remoteIdentityKey } = currentOf(mallory);
        const content = { version: 3, ratchetKey: senderChain.ratchetKeyPair.publicKey, counter, previousCounter: 0, ciphertext: new Uint8Array(80) };
        return { kind, message: encodeSignalMessage(fast, content, random.bytes(32), { sender: localIdentityKey, receiver: remoteIdentityKey }) };
      },
    });
  for (const counter of [0xffffffff, 0x7fffffff, 25_100]) {
    const body = forged(counter);
    take();
    expect(outcome(await open(bob, "mallory", body))).toBe("corrupt, none");
    // A handful for the store, none for the chain.
    expect(take()).toBeLessThan(100);
  }
  const long = forged(24_000);
  take();
  expect(await attack(bob, "mallory", long)).toBe("corrupt, none");
  expect(take()).toBeLessThan(2 * 30_000);
  expect(await stateOf(bob)).toBe(before);
  expect(outcome(await open(bob, "mallory", mallory.envelope(bob)))).toBe("message");
}, 120_000);
