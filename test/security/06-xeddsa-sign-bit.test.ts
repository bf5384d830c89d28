// Attack 6: XEdDSA done wrong at the edges: the sign bit of the public key mishandled (half of all keys fail, or a signature has two
// forms), or s not reduced. Guards: src/crypto/xeddsa.ts (sign carried in the top bit, put back before verification) and the strict s.
// Without them the cross-check with OpenSSL's Ed25519, which shares no code with either provider, fails for keys of one sign.
import { createPublicKey, verify as opensslVerify } from "node:crypto";
import { ed25519 } from "@noble/curves/ed25519.js";
import { describe, expect, test } from "vitest";
import { concat, copy } from "../../src/bytes.ts";
import { generateKeyPair, type KeyPair } from "../../src/protocol/index.ts";
import { fromLe, L } from "../crypto/edwards.ts";
import { addOrder } from "../interop/edwards.ts";
import { codeOf, fromHex, wireVectors } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { PROVIDERS } from "./providers.ts";
import { flip } from "./villain.ts";

const random = seededRandom(testSeed("06 xeddsa sign bit"));
const SPKI = fromHex("302a300506032b6570032100");

/** The Edwards public key of a clamped private key, sign included: A = a·B, by plain multiplication. */
const edwardsKey = ({ privateKey }: KeyPair): Uint8Array => ed25519.Point.BASE.multiply(fromLe(privateKey) % L).toBytes();

/** OpenSSL's verdict on the plain Ed25519 signature inside. */
function openssl(pair: KeyPair, message: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: Buffer.from(concat(SPKI, edwardsKey(pair))), format: "der", type: "spki" });
  return opensslVerify(null, message, key, signature.with(63, (signature[63] ?? 0) & 0x7f));
}

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("keys of both signs: signed here, verified by both providers and by OpenSSL", () => {
    const signs = [0, 0];
    for (let round = 0; round < 40; round++) {
      const pair = generateKeyPair(crypto, random.bytes);
      const message = random.bytes(random.int(80));
      const signature = crypto.xeddsaSign(pair.privateKey, message, random.bytes(64));
      const sign = (edwardsKey(pair)[31] ?? 0) >>> 7;
      signs[sign] = (signs[sign] ?? 0) + 1;
      expect((signature[63] ?? 0) >>> 7).toBe(sign);
      expect(openssl(pair, message, signature)).toBe(true);
      for (const { crypto: verifier } of PROVIDERS) {
        const u = pair.publicKey.subarray(1);
        expect(codeOf(() => verifier.xeddsaVerify(u, message, signature))).toBeUndefined();
        expect(codeOf(() => verifier.xeddsaVerify(u, message, flip(signature, 63, 7)))).toBe("ERR_SIGNATURE");
        expect(codeOf(() => verifier.xeddsaVerify(u, message, addOrder(signature)))).toBe("ERR_SIGNATURE");
        for (const bit of [5, 6]) expect(codeOf(() => verifier.xeddsaVerify(u, message, flip(signature, 63, bit)))).toBe("ERR_SIGNATURE");
        for (const cut of [0, 32, 63]) expect(codeOf(() => verifier.xeddsaVerify(u, message, signature.subarray(0, cut)))).toBe("ERR_SIGNATURE");
        expect(codeOf(() => verifier.xeddsaVerify(u, message, concat(signature, new Uint8Array(1))))).toBe("ERR_SIGNATURE");
      }
    }
    expect(Math.min(...signs)).toBeGreaterThan(2);
  });

  test("every bit of a signature counts", () => {
    const pair = generateKeyPair(crypto, random.bytes);
    const message = random.bytes(33);
    const signature = crypto.xeddsaSign(pair.privateKey, message, random.bytes(64));
    for (let bit = 0; bit < 512; bit++) expect(codeOf(() => crypto.xeddsaVerify(pair.publicKey.subarray(1), message, flip(signature, bit >>> 3, bit & 7)))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => crypto.xeddsaVerify(pair.publicKey.subarray(1), message, copy(signature)))).toBeUndefined();
  });

  test("known answers of both signs, made by others", () => {
    const { vectors } = wireVectors<{ vectors: readonly Record<string, string | number>[] }>("xeddsa");
    const signs = new Set<unknown>();
    for (const vector of vectors) {
      const [privateKey, message, noise, signature, flipped] = ["private", "message", "random64", "signature", "invalid_sign_bit_flipped"].map((name) => fromHex(String(vector[name])));
      if (!privateKey || !message || !noise || !signature || !flipped) throw new Error("vector incomplete");
      const u = fromHex(String(vector["public"])).subarray(1);
      expect(crypto.xeddsaSign(privateKey, message, noise)).toEqual(signature);
      expect(codeOf(() => crypto.xeddsaVerify(u, message, signature))).toBeUndefined();
      expect(codeOf(() => crypto.xeddsaVerify(u, message, flipped))).toBe("ERR_SIGNATURE");
      signs.add(vector["sign_bit"]);
    }
    expect(signs).toEqual(new Set([0, 1]));
  });
});
