/** Safety numbers against another implementation's generator. The vectors are in vectors.test.ts. */
import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import { compareScannable, generateKeyPair, safetyNumber } from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { privacyresearch, privacyresearchFingerprint } from "./peers/privacyresearch.ts";

const random = seededRandom(testSeed("fingerprints"));
const providers = [nobleCrypto, await sodiumCrypto()];

/** Identifiers are bytes: text of any script and length, a UUID, nothing. */
const IDENTIFIERS = [utf8("+14152222222"), utf8("mina"), utf8(""), utf8("みゆ"), utf8("x".repeat(100)), random.bytes(16)];

test(`60 digits as ${privacyresearch.label} computes them, from both sides`, { timeout: 60_000 }, async () => {
  const remoteKey = (await privacyresearch.create("yuri")).identityKey;
  for (const [round, localId] of IDENTIFIERS.entries()) {
    const remoteId = random.pick(IDENTIFIERS.filter((id) => id !== localId));
    const iterations = round === 0 ? 5200 : 2 + random.int(60);
    const crypto = random.pick(providers);
    const localKey = generateKeyPair(crypto, random.bytes).publicKey;
    const parties = { localKey, localId, remoteKey, remoteId, iterations };
    const ours = safetyNumber(crypto, parties);
    expect([round, ours.digits]).toEqual([round, await privacyresearchFingerprint(iterations, localId, localKey, remoteId, remoteKey)]);
    expect([round, ours.digits]).toEqual([round, await privacyresearchFingerprint(iterations, remoteId, remoteKey, localId, localKey)]);
    const other = safetyNumber(crypto, { localKey: remoteKey, localId: remoteId, remoteKey: localKey, remoteId: localId, iterations });
    expect(other.digits).toBe(ours.digits);
    expect(compareScannable(crypto, ours.scannable, other.scannable)).toBe(true);
    expect(compareScannable(crypto, ours.scannable, ours.scannable)).toBe(false);
    // Control: another key is another number.
    const { publicKey: stranger } = generateKeyPair(crypto, random.bytes);
    expect(safetyNumber(crypto, { ...parties, localKey: stranger }).digits).not.toBe(ours.digits);
  }
});
