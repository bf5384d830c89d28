import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import { multiplyAddScalars, multiplyBase, reduceScalar } from "../../src/crypto/curve25519.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { xeddsaSign, type EdwardsArithmetic } from "../../src/crypto/xeddsa.ts";

/** noble's arithmetic, remembering every array it was handed or returned; the `failAt`-th base multiplication throws. */
function recording(failAt = Number.POSITIVE_INFINITY): { arithmetic: EdwardsArithmetic; scalars: Uint8Array[]; wides: Uint8Array[] } {
  const scalars: Uint8Array[] = [];
  const wides: Uint8Array[] = [];
  let multiplications = 0;
  return {
    scalars,
    wides,
    arithmetic: {
      sha512: (message) => nobleCrypto.sha512(message),
      reduceScalar(wide) {
        wides.push(wide);
        return reduceScalar(wide);
      },
      multiplyAddScalars,
      multiplyBase(scalar) {
        scalars.push(scalar);
        if (++multiplications === failAt) throw new Error("planted");
        return multiplyBase(scalar);
      },
      verifyEd25519: () => false,
    },
  };
}

describe("xeddsaSign", () => {
  const [privateKey, message, random] = [new Uint8Array(32).fill(0x77), new Uint8Array(10).fill(1), new Uint8Array(64).fill(2)];

  test("wipes the scalars a and r and what they were reduced from", () => {
    const { arithmetic, scalars, wides } = recording();
    expect(toHex(xeddsaSign(arithmetic, privateKey, message, random))).toBe(toHex(nobleCrypto.xeddsaSign(privateKey, message, random)));
    expect(scalars.map(toHex)).toEqual(["00".repeat(32), "00".repeat(32)]);
    // The clamped key and the nonce hash; the third is the challenge, which is public.
    expect(wides.slice(0, 2).map(toHex)).toEqual(["00".repeat(64), "00".repeat(64)]);
    expect(wides.length).toBe(3);
    expect(toHex(privateKey)).toBe("77".repeat(32));
  });

  test("wipes them when the arithmetic throws half-way", () => {
    for (const failAt of [1, 2]) {
      const { arithmetic, scalars, wides } = recording(failAt);
      expect(() => xeddsaSign(arithmetic, privateKey, message, random)).toThrow("planted");
      expect([...scalars, ...wides].every((bytes) => bytes.every((byte) => byte === 0))).toBe(true);
      expect(scalars.length).toBe(failAt);
    }
  });

  test("the nonce depends on the random bytes, the message and the key", () => {
    const R = (k: number, m: number, z: number) =>
      toHex(nobleCrypto.xeddsaSign(new Uint8Array(32).fill(k), Uint8Array.of(m), new Uint8Array(64).fill(z)).subarray(0, 32));
    expect(new Set([R(8, 1, 1), R(16, 1, 1), R(8, 2, 1), R(8, 1, 2)]).size).toBe(4);
    // Bits that clamping drops are not part of the key.
    expect(R(8, 1, 1)).toBe(R(8, 1, 1));
  });

  test("takes no public key: a second one cannot be slipped in to expose the private key", () => {
    const honest = nobleCrypto.xeddsaSign(privateKey, message, random);
    const other = nobleCrypto.x25519PublicKey(new Uint8Array(32).fill(0x22));
    const sign = nobleCrypto.xeddsaSign as (...args: Uint8Array[]) => Uint8Array;
    expect(toHex(sign(privateKey, message, random, other))).toBe(toHex(honest));
    expect(nobleCrypto.xeddsaSign.length).toBe(3);
  });
});
