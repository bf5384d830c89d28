import { describe, expect, test } from "vitest";
import { toHex, wipe, type Bytes } from "../../src/bytes.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import {
  archiveCurrentSession,
  decryptPreKeySignalMessage,
  decryptSignalMessage,
  encodeSessionRecordWhole,
  encryptMessage,
  initiateSession,
  verifyPreKeyBundle,
  type SessionRecord,
  type SessionState,
  type Step,
} from "../../src/protocol/index.ts";
import { loadPages } from "../../src/protocol/skippedKeys.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { acquainted, codeOf, crypto, Device, NOW, numbered, pair } from "./parties.ts";

const random = seededRandom(testSeed("wiping"));

/** A provider that remembers every secret buffer it gave out, and every key it was given. */
function watching(): { readonly provider: Crypto; readonly given: Bytes[]; readonly used: Set<Uint8Array> } {
  const given: Bytes[] = [];
  const used = new Set<Uint8Array>();
  const watch = (bytes: Bytes): Bytes => {
    given.push(bytes);
    return bytes;
  };
  return {
    given,
    used,
    provider: {
      ...crypto,
      x25519: (key, publicKey) => {
        used.add(key);
        return watch(crypto.x25519(key, publicKey));
      },
      hmacSha256: (key, message) => {
        used.add(key);
        return watch(crypto.hmacSha256(key, message));
      },
      hkdfSha256: (secret, salt, info, length) => {
        used.add(secret);
        if (salt) used.add(salt);
        return watch(crypto.hkdfSha256(secret, salt, info, length));
      },
      aesCbcDecrypt: (...args) => watch(crypto.aesCbcDecrypt(...args)),
    },
  };
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
const secretsIn = (state: SessionState): Bytes[] => [
  state.rootKey,
  state.senderChain.chainKey,
  state.senderChain.ratchetKeyPair.privateKey,
  ...state.receiverChains.flatMap((chain) => [chain.chainKey, ...loadPages(chain.skipped)]),
];
const allSecrets = (record: SessionRecord): Bytes[] =>
  [...(record.current ? [record.current] : []), ...record.previous.map((entry) => entry.load())].flatMap(secretsIn);

/** The keys a step used that neither a state nor the device holds, and that it has not wiped. */
function leftOver(used: ReadonlySet<Uint8Array>, device: Device, ...records: readonly SessionRecord[]): Uint8Array[] {
  const { local, signed, oneTime } = device;
  const own = [local.identityKeyPair, signed.keyPair, ...oneTime.values()].map(({ privateKey }) => privateKey);
  const held = new Set<Uint8Array>([...own, ...records.flatMap(allSecrets)]);
  return [...used].filter((bytes) => !held.has(bytes) && !isZero(bytes));
}

/**
 * After a step that took `old` to `step.state`: what the provider gave out is zero unless the new state or the output is it;
 * what the old state held and the new one does not is in `spent`, all of it and nothing else; the new state works after wiping.
 */
function check(given: readonly Bytes[], old: SessionRecord, step: Step<SessionRecord, unknown>, output: readonly Uint8Array[], macs: number): void {
  const kept = new Set<Uint8Array>([...allSecrets(step.state), ...output]);
  const alive = given.filter((bytes) => !kept.has(bytes) && !isZero(bytes));
  // A MAC is public: it stands in the message.
  expect(alive).toHaveLength(macs);
  const lost = allSecrets(old).filter((bytes) => !kept.has(bytes));
  expect(new Set(lost.filter((bytes) => !step.spent.includes(bytes)))).toEqual(new Set());
  expect(step.spent.filter((bytes) => kept.has(bytes))).toEqual([]);
  const before = toHex(encodeSessionRecordWhole(step.state));
  wipe(...step.spent);
  expect(toHex(encodeSessionRecordWhole(step.state))).toBe(before);
  expect(lost.every(isZero)).toBe(true);
}

describe("a step that succeeds wipes what it derived, and hands over what is spent", () => {
  test("initiate", () => {
    const bob = new Device(random, 2);
    const alice = new Device(random, 1);
    const { provider, given, used } = watching();
    const drawn: Bytes[] = [];
    const draw = (length: number): Bytes => {
      const bytes = random.bytes(length);
      drawn.push(bytes);
      return bytes;
    };
    const step = initiateSession(provider, draw, alice.record, alice.local, verifyPreKeyBundle(crypto, bob.bundle()), NOW);
    expect(leftOver(used, alice, alice.record, step.state)).toEqual([]);
    check(given, alice.record, step, [], 0);
    // The base key's private half is needed no more; the ratchet key's is in the state.
    expect(drawn.map(isZero)).toEqual([true, false]);
  });

  test("encrypt", () => {
    const [alice] = acquainted(random);
    const { provider, given, used } = watching();
    const step = encryptMessage(provider, alice.record, numbered(0), NOW);
    expect(step.spent).toEqual([alice.record.current?.senderChain.chainKey]);
    expect(leftOver(used, alice, alice.record, step.state)).toEqual([]);
    check(given, alice.record, step, [], 1);
  });

  test.each(["first", "new ratchet key", "known ratchet key", "skipping", "skipped", "sixth chain", "archived"])("decrypt: %s", (which) => {
    let [alice, bob] = pair(random);
    if (which !== "first") [alice, bob] = acquainted(random);
    if (which === "known ratchet key") bob.decrypt(alice.encrypt(numbered(1)));
    if (which === "skipping") for (let i = 0; i < 300; i++) alice.encrypt(numbered(i));
    for (let i = 0; which === "sixth chain" && i < 5; i++) {
      const last = [alice.encrypt(numbered(1)), alice.encrypt(numbered(2))][1];
      if (last) bob.decrypt(last);
      alice.decrypt(bob.encrypt(numbered(3)));
    }
    const { kind, message } = alice.encrypt(numbered(7));
    if (which === "skipped") bob.decrypt(alice.encrypt(numbered(8)));
    if (which === "archived") bob.record = archiveCurrentSession(bob.record).state;
    const { provider, given, used } = watching();
    const step =
      kind === "preKey"
        ? decryptPreKeySignalMessage(provider, random.bytes, bob.record, bob.local, bob, message)
        : decryptSignalMessage(provider, random.bytes, bob.record, message);
    expect(step.output.plaintext).toEqual(numbered(7));
    expect(leftOver(used, bob, bob.record, step.state)).toEqual([]);
    check(given, bob.record, step, [step.output.plaintext], 1);
  });

  test("the 41st archived session", () => {
    const [alice, bob] = acquainted(random);
    for (let i = 0; i < 40; i++) alice.initiate(bob);
    const { provider, given, used } = watching();
    const step = initiateSession(provider, random.bytes, alice.record, alice.local, verifyPreKeyBundle(crypto, bob.bundle()), NOW);
    expect(step.spent.length).toBeGreaterThan(3);
    expect(leftOver(used, alice, alice.record, step.state)).toEqual([]);
    check(given, alice.record, step, [], 0);
  });
});

describe("a step that throws wipes everything it derived, and nothing of the old state", () => {
  test.each(["first", "new ratchet key", "known ratchet key", "skipping", "skipped"])("decrypt: %s", (which) => {
    let [alice, bob] = pair(random);
    if (which !== "first") [alice, bob] = acquainted(random);
    if (which === "known ratchet key") bob.decrypt(alice.encrypt(numbered(1)));
    if (which === "skipping") for (let i = 0; i < 300; i++) alice.encrypt(numbered(i));
    const { kind, message } = alice.encrypt(numbered(7));
    if (which === "skipped") bob.decrypt(alice.encrypt(numbered(8)));
    const before = bob.snapshot();
    const oneTime = toHex(bob.oneTime.get(1)?.privateKey ?? new Uint8Array());
    const signed = toHex(bob.signed.keyPair.privateKey);
    // The last byte belongs to the MAC, or to the signed prekey's id behind the inner message's MAC.
    const at = message.length - (kind === "preKey" ? 5 : 1);
    const forged = message.with(at, (message[at] ?? 0) ^ 1);
    const { provider, given, used } = watching();
    const code = codeOf(() =>
      kind === "preKey"
        ? decryptPreKeySignalMessage(provider, random.bytes, bob.record, bob.local, bob, forged)
        : decryptSignalMessage(provider, random.bytes, bob.record, forged),
    );
    expect(code).toBe("ERR_DECRYPT");
    expect(given.length).toBeGreaterThan(1);
    expect(given.filter((bytes) => !isZero(bytes))).toHaveLength(1);
    expect(leftOver(used, bob, bob.record)).toEqual([]);
    expect(bob.snapshot()).toBe(before);
    expect([toHex(bob.oneTime.get(1)?.privateKey ?? new Uint8Array()), toHex(bob.signed.keyPair.privateKey)]).toEqual([oneTime, signed]);
    expect(bob.decrypt({ kind, message })).toEqual(numbered(7));
  });

  test("randomness that fails after the MAC held takes the plaintext with it", () => {
    const [alice, bob] = acquainted(random);
    const { message } = alice.encrypt(numbered(7));
    const before = bob.snapshot();
    const { provider, given, used } = watching();
    const broken = (): never => {
      throw new RangeError("no randomness");
    };
    expect(() => decryptSignalMessage(provider, broken, bob.record, message)).toThrow(RangeError);
    expect(given.filter((bytes) => !isZero(bytes))).toHaveLength(1);
    expect(leftOver(used, bob, bob.record)).toEqual([]);
    expect(bob.snapshot()).toBe(before);
  });

  test("initiate with a low-order one-time prekey", () => {
    const bob = new Device(random, 2);
    const alice = new Device(random, 1);
    const low = new Uint8Array(33);
    low[0] = 5;
    const { provider, given, used } = watching();
    const drawn: Bytes[] = [];
    const draw = (length: number): Bytes => {
      const bytes = random.bytes(length);
      drawn.push(bytes);
      return bytes;
    };
    const bundle = verifyPreKeyBundle(crypto, { ...bob.bundle(), oneTimePreKey: { id: 1, publicKey: low } });
    expect(codeOf(() => initiateSession(provider, draw, alice.record, alice.local, bundle, NOW))).toBe("ERR_DECODE");
    expect(given.length).toBeGreaterThan(2);
    expect([...given, ...drawn].every(isZero)).toBe(true);
    expect(leftOver(used, alice)).toEqual([]);
  });
});
