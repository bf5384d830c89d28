import { describe, expect, test } from "vitest";
import { concat, toHex } from "../../src/bytes.ts";
import { initiateSession, EMPTY_SESSION_RECORD } from "../../src/protocol/session.ts";
import { generateKeyPair, rawPublicKey } from "../../src/protocol/keys.ts";
import {
  decodeOneTimePreKey,
  decodeSignedPreKey,
  encodeOneTimePreKey,
  encodeSignedPreKey,
  generateOneTimePreKeys,
  generateSignedPreKey,
  verifyPreKeyBundle,
  type PreKeyBundle,
  type VerifiedPreKeyBundle,
} from "../../src/protocol/preKeys.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto, Device, fromHex, NOW, wireVectors } from "./parties.ts";

const random = seededRandom(testSeed("prekeys"));
const device = new Device(random, 5);
const bundle = device.bundle();

test("a signed prekey is signed over its 33 bytes by the identity key", () => {
  const identity = generateKeyPair(crypto, random.bytes);
  const made = generateSignedPreKey(crypto, random.bytes, identity, 3, NOW);
  expect([made.id, made.createdAt, made.signature.length]).toEqual([3, NOW, 64]);
  crypto.xeddsaVerify(rawPublicKey(identity.publicKey), made.keyPair.publicKey, made.signature);
});

test("one-time prekeys have consecutive ids and keys of their own", () => {
  const made = generateOneTimePreKeys(crypto, random.bytes, 40, 5);
  expect(made.map(({ id }) => id)).toEqual([40, 41, 42, 43, 44]);
  expect(new Set(made.map(({ keyPair }) => toHex(keyPair.publicKey))).size).toBe(5);
  for (const [first, count] of [[-1, 1], [1.5, 1], [2 ** 32, 1], [2 ** 32 - 1, 2]] as const) {
    expect(codeOf(() => generateOneTimePreKeys(crypto, random.bytes, first, count))).toBe("ERR_USAGE");
  }
});

describe("verifyPreKeyBundle", () => {
  test("gives a copy", () => {
    const given = { ...bundle, identityKey: bundle.identityKey.slice() };
    const verified = verifyPreKeyBundle(crypto, given);
    given.identityKey.fill(0);
    expect(verified.identityKey).toEqual(bundle.identityKey);
    expect(verified.oneTimePreKey).toEqual(bundle.oneTimePreKey);
  });

  test("refuses a flip of any bit of the signature or the signed key, and another identity", () => {
    const { signedPreKey } = bundle;
    const flipped = (bytes: Uint8Array, bit: number): Uint8Array => bytes.map((byte, i) => (i === bit >>> 3 ? byte ^ (1 << (bit & 7)) : byte));
    const bad: PreKeyBundle[] = [{ ...bundle, identityKey: generateKeyPair(crypto, random.bytes).publicKey }];
    for (let bit = 0; bit < 64 * 8; bit++) bad.push({ ...bundle, signedPreKey: { ...signedPreKey, signature: flipped(signedPreKey.signature, bit) } });
    for (let bit = 8; bit < 33 * 8; bit++) bad.push({ ...bundle, signedPreKey: { ...signedPreKey, publicKey: flipped(signedPreKey.publicKey, bit) } });
    for (const each of bad) expect(codeOf(() => verifyPreKeyBundle(crypto, each))).toBe("ERR_SIGNATURE");
  });

  test.each([0, 32, 63, 65])("refuses a signature of %s bytes", (length) => {
    const signature = concat(bundle.signedPreKey.signature, bundle.signedPreKey.signature).subarray(0, length);
    expect(codeOf(() => verifyPreKeyBundle(crypto, { ...bundle, signedPreKey: { ...bundle.signedPreKey, signature } }))).toBe("ERR_SIGNATURE");
  });

  test("refuses malformed keys and ids", () => {
    const { signedPreKey } = bundle;
    const short = bundle.identityKey.subarray(1);
    const bad: PreKeyBundle[] = [
      { ...bundle, identityKey: short },
      { ...bundle, signedPreKey: { ...signedPreKey, publicKey: short } },
      { ...bundle, oneTimePreKey: { id: 1, publicKey: short } },
      { ...bundle, oneTimePreKey: { id: -1, publicKey: bundle.identityKey } },
      { ...bundle, registrationId: 2 ** 32 },
      { ...bundle, signedPreKey: { ...signedPreKey, id: 0.5 } },
    ];
    for (const each of bad) expect(codeOf(() => verifyPreKeyBundle(crypto, each))).toBe("ERR_DECODE");
  });

  test("is not to be got round: an unverified bundle starts nothing", () => {
    const start = (): unknown => initiateSession(crypto, random.bytes, EMPTY_SESSION_RECORD, device.local, bundle as VerifiedPreKeyBundle, NOW);
    expect(codeOf(start)).toBe("ERR_USAGE");
  });

  test("a low-order key passes no further than the agreement", () => {
    const alice = new Device(random, 1);
    for (const { public: low } of wireVectors<{ low_order: { public: string }[] }>("ec_keys").low_order) {
      const publicKey = fromHex(low);
      const signature = crypto.xeddsaSign(device.local.identityKeyPair.privateKey, publicKey, random.bytes(64));
      const bad: PreKeyBundle[] = [
        { ...bundle, oneTimePreKey: { id: 1, publicKey } },
        { ...bundle, signedPreKey: { id: 1, publicKey, signature } },
      ];
      for (const each of bad) {
        const verified = verifyPreKeyBundle(crypto, each);
        expect(codeOf(() => initiateSession(crypto, random.bytes, alice.record, alice.local, verified, NOW))).toBe("ERR_DECODE");
      }
      expect(codeOf(() => verifyPreKeyBundle(crypto, { ...bundle, identityKey: publicKey }))).toBe("ERR_SIGNATURE");
    }
    expect(alice.record).toBe(EMPTY_SESSION_RECORD);
  });
});

describe("records", () => {
  const signed = device.signed;
  const oneTime = generateOneTimePreKeys(crypto, random.bytes, 2 ** 32 - 1, 1)[0];
  if (!oneTime) throw new Error("no one-time prekey");

  test("come back", () => {
    expect(decodeSignedPreKey(encodeSignedPreKey(signed))).toEqual(signed);
    expect(decodeOneTimePreKey(encodeOneTimePreKey(oneTime))).toEqual(oneTime);
    expect([encodeSignedPreKey(signed).length, encodeOneTimePreKey(oneTime).length]).toEqual([142, 70]);
  });

  test.each([
    ["signed", decodeSignedPreKey as (bytes: Uint8Array) => unknown, encodeSignedPreKey(signed)],
    ["one-time", decodeOneTimePreKey as (bytes: Uint8Array) => unknown, encodeOneTimePreKey(oneTime)],
  ])("%s: every other length, version and key type is refused", (_name, decode, bytes) => {
    for (let length = 0; length < bytes.length; length++) expect(codeOf(() => decode(bytes.subarray(0, length)))).toBe("ERR_DECODE");
    expect(codeOf(() => decode(concat(bytes, new Uint8Array(1))))).toBe("ERR_DECODE");
    for (const version of [0, 2, 255]) expect(codeOf(() => decode(concat(Uint8Array.of(version), bytes.subarray(1))))).toBe("ERR_VERSION");
    const type = bytes.slice();
    type[bytes.length - 65] = 6;
    expect(codeOf(() => decode(type))).toBe("ERR_DECODE");
  });
});
