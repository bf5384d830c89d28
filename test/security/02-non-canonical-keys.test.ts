// Attack 2: one key in several spellings (u and u + p, the ignored top bit, a point with a torsion part) slips past everything that
// compares bytes: here a first message is replayed under another spelling of its base key. Guards: `checkBaseKey` in
// src/protocol/x3dh.ts, and `isCanonicalKey` of src/envelope/fields.ts for every key in our own frames. Without them the replay opens.
import { describe, expect, test } from "vitest";
import { concat, toHex, type Bytes } from "../../src/bytes.ts";
import { decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { decodeStockedPreKey } from "../../src/envelope/bundle.ts";
import { rawPublicKey, serializePublicKey } from "../../src/protocol/index.ts";
import { fromLe, isOnCurve, le32, mixedPoint, montgomeryOf, P } from "../crypto/edwards.ts";
import { craft } from "../interop/craft.ts";
import { acquainted, codeOf, Device, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { crypto as fast } from "./people.ts";
import { PROVIDERS, unchecked } from "./providers.ts";
import { currentOf, flip, Villain } from "./villain.ts";

const random = seededRandom(testSeed("02 non-canonical keys"));
const topBit = (key: Uint8Array): Bytes => flip(key, key.length - 1, 7);

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("a first message again, its base key spelt otherwise", () => {
    /** Lets a first message in, then the same one respelt. Returns what came of that, and whether anything changed. */
    function replayTo(victim: Device): readonly [code: string | undefined, changed: boolean] {
      const alice = new Device(random, 1, crypto);
      alice.initiate(victim, false);
      const state = currentOf(alice);
      const first = craft(crypto, state, { plaintext: numbered(1) });
      const respelt = craft(crypto, state, { plaintext: numbered(1), outerFields: (fields) => fields.map(([n, value]) => [n, n === 2 ? topBit(state.baseKey) : value]) });
      expect(victim.decrypt({ kind: "preKey", message: first.bytes })).toEqual(numbered(1));
      const before = [victim.snapshot(), victim.seen.size];
      const code = codeOf(() => victim.decrypt({ kind: "preKey", message: respelt.bytes }));
      return [code, JSON.stringify(before) !== JSON.stringify([victim.snapshot(), victim.seen.size])];
    }
    expect(replayTo(new Device(random, 2, crypto))).toEqual(["ERR_DECRYPT", false]);
    // Control: without the check the replay makes a session of its own and opens.
    expect(replayTo(new Device(random, 2, unchecked(crypto)))).toEqual([undefined, true]);
  });

  test("base keys that are not canonical, off the curve or outside the prime-order subgroup", () => {
    const honest = crypto.x25519PublicKey(random.bytes(32));
    expect(() => crypto.checkBaseKey(honest)).not.toThrow();
    const torsioned = Array.from({ length: 7 }, (_, i) => montgomeryOf(mixedPoint(BigInt(random.u32()) + 2n, i + 1)) ?? new Uint8Array(32));
    let twist = fromLe(honest);
    while (isOnCurve(twist)) twist++;
    const bad = [topBit(honest), le32(P), le32(P + 2n), le32(P + 9n), le32((1n << 255n) - 1n), le32(twist), ...torsioned];
    for (const u of bad) expect(codeOf(() => crypto.checkBaseKey(u)), toHex(u)).toBe("ERR_DECRYPT");
    // Control: with the torsion part taken away they are keys like any other.
    expect(() => crypto.checkBaseKey(montgomeryOf(mixedPoint(12_345n, 0)) ?? new Uint8Array(32))).not.toThrow();
  });

  test("everywhere else in a Signal message keys are compared as they are spelt", () => {
    const [alice, bob] = acquainted(random, crypto);
    bob.decrypt(alice.encrypt(numbered(1)));
    const state = currentOf(alice);
    const other = topBit(state.senderChain.ratchetKeyPair.publicKey);
    const respelt = craft(crypto, state, { plaintext: numbered(2), innerFields: (fields) => fields.map(([n, value]) => [n, n === 1 ? other : value]) });
    const before = bob.snapshot();
    expect(codeOf(() => bob.decrypt({ kind: "signal", message: respelt.bytes }))).toBe("ERR_DECRYPT");
    expect(bob.snapshot()).toBe(before);
    expect(bob.decrypt({ kind: "signal", message: craft(crypto, state, { plaintext: numbered(2) }).bytes })).toEqual(numbered(2));
  });
});

test("a key in one of our own frames has one spelling", () => {
  const mallory = new Villain(random);
  const { signed } = mallory.ownList;
  expect(() => decodeDeviceList(fast, signed)).not.toThrow();
  const account = signed.findIndex((_, i) => toHex(signed.subarray(i, i + 33)) === toHex(mallory.account.publicKey));
  const identity = signed.findIndex((_, i) => toHex(signed.subarray(i, i + 33)) === toHex(mallory.device.local.identityKeyPair.publicKey));
  expect([account > 0, identity > account]).toEqual([true, true]);
  // Before any signature is looked at: else the list would only be refused because it was changed.
  for (const at of [account, identity]) expect(codeOf(() => decodeDeviceList(fast, flip(signed, at + 32, 7)))).toBe("ERR_DECODE");
  const stocked = (u: Uint8Array): Bytes => concat(new Uint8Array(4), serializePublicKey(u));
  const u = rawPublicKey(mallory.account.publicKey);
  expect(() => decodeStockedPreKey(stocked(u))).not.toThrow();
  for (const bad of [topBit(u), le32(P), le32(P + 1n), le32((1n << 255n) - 1n)]) expect(codeOf(() => decodeStockedPreKey(stocked(bad)))).toBe("ERR_DECODE");
});
