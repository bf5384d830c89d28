import { describe, expect, test } from "vitest";
import { concat, toHex } from "../../src/bytes.ts";
import { agree, deserializePublicKey, generateKeyPair, keyPairFromPrivate, rawPublicKey, serializePublicKey } from "../../src/protocol/keys.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { codeOf, crypto, fromHex, wireVectors } from "./parties.ts";

const vectors = wireVectors<{
  raw_private_input: string;
  private_after_clamping: string;
  public_serialized: string;
  peer_private: string;
  peer_public: string;
  shared_secret: string;
  peer_public_with_high_bit_set_same_secret: string;
  low_order: { public: string }[];
}>("ec_keys");

describe("wire vectors", () => {
  test("a private key is clamped on load and gives the public key", () => {
    const pair = keyPairFromPrivate(crypto, fromHex(vectors.raw_private_input));
    expect(toHex(pair.privateKey)).toBe(vectors.private_after_clamping);
    expect(toHex(pair.publicKey)).toBe(vectors.public_serialized);
  });

  test("agreement, also with the high bit set", () => {
    const own = fromHex(vectors.raw_private_input);
    for (const key of [vectors.peer_public, vectors.peer_public_with_high_bit_set_same_secret]) {
      expect(toHex(agree(crypto, own, deserializePublicKey(fromHex(key))))).toBe(vectors.shared_secret);
    }
    expect(toHex(agree(crypto, fromHex(vectors.peer_private), fromHex(vectors.public_serialized)))).toBe(vectors.shared_secret);
  });

  test("low-order keys parse but never agree", () => {
    expect(vectors.low_order).toHaveLength(7);
    for (const { public: key } of vectors.low_order) {
      expect(codeOf(() => agree(crypto, fromHex(vectors.raw_private_input), deserializePublicKey(fromHex(key))))).toBe("ERR_DECRYPT");
    }
  });
});

describe("deserializePublicKey", () => {
  const key = fromHex(vectors.public_serialized);

  test("copies, keeps every bit and drops what follows", () => {
    const high = key.slice();
    high[32] = (high[32] ?? 0) | 0x80;
    const read = deserializePublicKey(concat(high, key));
    expect(read).toEqual(high);
    expect(read.buffer).not.toBe(high.buffer);
  });

  test.each([
    ["nothing", new Uint8Array()],
    ["another type", concat(Uint8Array.of(6), key.subarray(1))],
    ["a byte short", key.subarray(0, 32)],
  ])("refuses %s", (_name, bytes) => {
    expect(codeOf(() => deserializePublicKey(bytes))).toBe("ERR_DECODE");
  });
});

test("fresh pairs are clamped and own their bytes", () => {
  const random = seededRandom(testSeed("keys"));
  const drawn = random.bytes(32);
  const { publicKey, privateKey } = generateKeyPair(crypto, () => drawn);
  expect([(privateKey[0] ?? 0) & 7, (privateKey[31] ?? 0) & 192]).toEqual([0, 64]);
  expect(publicKey).toEqual(serializePublicKey(crypto.x25519PublicKey(privateKey)));
  const given = random.bytes(32);
  const before = given.slice();
  expect(keyPairFromPrivate(crypto, given).privateKey).not.toBe(given);
  expect(given).toEqual(before);
});

test("wrong lengths", () => {
  expect(codeOf(() => keyPairFromPrivate(crypto, new Uint8Array(31)))).toBe("ERR_DECODE");
  expect(codeOf(() => serializePublicKey(new Uint8Array(33)))).toBe("ERR_USAGE");
  expect(codeOf(() => rawPublicKey(new Uint8Array(33)))).toBe("ERR_USAGE");
  expect(codeOf(() => rawPublicKey(new Uint8Array(32).fill(5)))).toBe("ERR_USAGE");
});
