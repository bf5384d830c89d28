import { describe, expect, test } from "vitest";
import { concat, copy } from "../../src/bytes.ts";
import { decodeDirectoryRecord, decodeStockedPreKey, encodeDirectoryRecord, encodeStockedPreKey, MAX_RECORD_LENGTH, signBundle, verifyBundle } from "../../src/envelope/bundle.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { bundle, codeOf, crypto, errorOf, flip, keyPair, owner } from "./fixtures.ts";

const random = seededRandom(testSeed("bundle"));
const alice = owner(random, "alice", 2);
const [one, two] = alice.devices;
if (one === undefined || two === undefined) throw new Error("two devices expected");
const first = bundle(random, "alice", one);
const key = one.identity.publicKey;

describe("bundle", { timeout: 60_000 }, () => {
  test("round trip, 194 bytes, owning them", () => {
    const source = copy(first.signed);
    const verified = verifyBundle(crypto, "alice", key, source);
    source.fill(0);
    expect(verified).toEqual(first);
    expect(first.signed).toHaveLength(194);
  });

  test("every byte flipped: a typed error", () => {
    for (let at = 0; at < 194; at++) {
      expect(codeOf(() => verifyBundle(crypto, "alice", key, flip(first.signed, at, at % 8))), `byte ${String(at)}`).toMatch(/^ERR_(DECODE|VERSION|SIGNATURE)$/);
    }
  });

  test("every truncation and one byte too many are refused", () => {
    for (let n = 0; n < 194; n++) expect(codeOf(() => verifyBundle(crypto, "alice", key, first.signed.subarray(0, n)))).toBe("ERR_DECODE");
    expect(codeOf(() => verifyBundle(crypto, "alice", key, concat(first.signed, Uint8Array.of(0))))).toBe("ERR_DECODE");
  });

  test("for another user or under another device's key it does not verify", () => {
    expect(errorOf(() => verifyBundle(crypto, "bob", key, first.signed)).detail).toEqual({ what: "bundle" });
    expect(errorOf(() => verifyBundle(crypto, "alice", two.identity.publicKey, first.signed)).detail).toEqual({ what: "bundle" });
  });

  test("a prekey signed by another key is refused on both sides, although the bundle's own signature holds", () => {
    const preKey = keyPair(random);
    const foreign = crypto.xeddsaSign(two.identity.privateKey, preKey.publicKey, random.bytes(64));
    const options = { user: "alice", device: one.entry.device, registrationId: 1, createdAt: 1 };
    const signedBy = (signature: typeof foreign): string | undefined =>
      codeOf(() => signBundle(crypto, random.bytes, one.identity.privateKey, { ...options, signedPreKey: { id: 1, publicKey: preKey.publicKey, signature } }));
    expect(signedBy(foreign)).toBe("ERR_SIGNATURE");
    expect(signedBy(crypto.xeddsaSign(one.identity.privateKey, preKey.publicKey, random.bytes(64)))).toBeUndefined();
  });

  test("id, registration id and time are covered by the bundle's signature (Signal's covers the key alone)", () => {
    const fields = { "registration id": 17, "signed prekey id": 21, "created at": 25 + 33 + 64 };
    for (const [name, at] of Object.entries(fields)) expect(errorOf(() => verifyBundle(crypto, "alice", key, flip(first.signed, at + 2))).detail, name).toEqual({ what: "bundle" });
  });

  test("fields out of range are the caller's mistake", () => {
    const good = { user: "alice", device: one.entry.device, registrationId: 1, createdAt: 1, signedPreKey: first.signedPreKey };
    const bad = [
      { registrationId: 2 ** 32 }, { createdAt: -1 }, { device: random.bytes(15) }, { user: "" },
      { signedPreKey: { ...first.signedPreKey, id: -1 } }, { signedPreKey: { ...first.signedPreKey, publicKey: random.bytes(32) } },
    ];
    expect(codeOf(() => signBundle(crypto, random.bytes, one.identity.privateKey, good))).toBeUndefined();
    for (const more of bad) expect(codeOf(() => signBundle(crypto, random.bytes, one.identity.privateKey, { ...good, ...more }))).toBe("ERR_USAGE");
  });
});

describe("directory record", () => {
  const record = { deviceList: alice.list.signed, bundles: [first.signed, bundle(random, "alice", two).signed] };

  test("round trip, with and without bundles", () => {
    expect(decodeDirectoryRecord(encodeDirectoryRecord(record))).toEqual(record);
    expect(decodeDirectoryRecord(encodeDirectoryRecord({ ...record, bundles: [] }))).toEqual({ ...record, bundles: [] });
  });

  test("truncations, a byte too many, a version to come", () => {
    const bytes = encodeDirectoryRecord(record);
    for (let n = 0; n < bytes.length; n++) expect(codeOf(() => decodeDirectoryRecord(bytes.subarray(0, n)))).toBe("ERR_DECODE");
    expect(codeOf(() => decodeDirectoryRecord(concat(bytes, Uint8Array.of(0))))).toBe("ERR_DECODE");
    expect(errorOf(() => decodeDirectoryRecord(bytes.with(0, 9))).detail).toEqual({ what: "directory record", version: 9 });
  });

  test("64 KiB is the most", () => {
    const room = MAX_RECORD_LENGTH - 5;
    const split = { deviceList: new Uint8Array(40_000), bundles: [new Uint8Array(room - 2 - 40_000)] };
    const largest = encodeDirectoryRecord(split);
    expect(largest).toHaveLength(MAX_RECORD_LENGTH);
    expect(decodeDirectoryRecord(largest).bundles).toHaveLength(1);
    expect(codeOf(() => encodeDirectoryRecord({ ...split, bundles: [new Uint8Array(room - 1 - 40_000)] }))).toBe("ERR_TOO_LARGE");
    expect(codeOf(() => encodeDirectoryRecord({ ...split, bundles: Array.from({ length: 257 }, () => new Uint8Array(1)) }))).toBe("ERR_TOO_LARGE");
    expect(codeOf(() => decodeDirectoryRecord(concat(largest, Uint8Array.of(0))))).toBe("ERR_TOO_LARGE");
  });
});

describe("stocked prekey", () => {
  test("round trip of 37 bytes; other lengths and key types are refused", () => {
    const { publicKey } = keyPair(random);
    const bytes = encodeStockedPreKey({ id: 0xfffffffe, publicKey });
    expect(bytes).toHaveLength(37);
    expect(decodeStockedPreKey(bytes)).toEqual({ id: 0xfffffffe, publicKey });
    expect(codeOf(() => decodeStockedPreKey(bytes.subarray(0, 36)))).toBe("ERR_DECODE");
    expect(codeOf(() => decodeStockedPreKey(concat(bytes, Uint8Array.of(0))))).toBe("ERR_DECODE");
    expect(codeOf(() => decodeStockedPreKey(bytes.with(4, 8)))).toBe("ERR_DECODE");
    expect(codeOf(() => encodeStockedPreKey({ id: 1, publicKey: publicKey.subarray(1) }))).toBe("ERR_USAGE");
  });
});
