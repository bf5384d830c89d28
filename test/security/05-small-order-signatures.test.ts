// Attack 5: under a small-order key anybody signs, and a small-order R makes one signature fit many verifiers (vodozemac 0.10.0 "strict
// by default"). Guard: the small-order checks of `verifyEd25519Strict` in src/crypto/curve25519.ts and of libsodium. Without them the
// signatures below verify, as they do under the lax rule of the control.
import { describe, expect, test } from "vitest";
import { toHex, utf8 } from "../../src/bytes.ts";
import { serializePublicKey, verifyPreKeyBundle } from "../../src/protocol/index.ts";
import { laxVerify, signUnderOrderTwo, signWithNeutralR } from "../interop/edwards.ts";
import { codeOf, Device, numbered } from "../protocol/parties.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { LOW_ORDER, PROVIDERS } from "./providers.ts";

const random = seededRandom(testSeed("05 small-order signatures"));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("a small-order public key signs nothing", () => {
    for (let i = 0; i < 20; i++) {
      const message = numbered(i);
      const { publicKey, signature } = signUnderOrderTwo(message);
      expect(laxVerify(publicKey, message, signature)).toBe(true);
      expect(codeOf(() => crypto.xeddsaVerify(publicKey, message, signature))).toBe("ERR_SIGNATURE");
      // The same bytes under every other small-order key, whatever the sign.
      for (const u of LOW_ORDER) {
        for (const sign of [0, 0x80]) expect(codeOf(() => crypto.xeddsaVerify(u, message, signature.with(63, ((signature[63] ?? 0) & 0x7f) | sign))), toHex(u)).toBe("ERR_SIGNATURE");
      }
    }
  });

  test("a small-order R is refused, though the holder of the key made it", () => {
    const bob = new Device(random, 2, crypto);
    const { publicKey, privateKey } = bob.local.identityKeyPair;
    for (const message of [utf8("one"), utf8("two"), bob.signed.keyPair.publicKey]) {
      const signature = signWithNeutralR(privateKey, message);
      expect(laxVerify(publicKey.subarray(1), message, signature)).toBe(true);
      expect(codeOf(() => crypto.xeddsaVerify(publicKey.subarray(1), message, signature))).toBe("ERR_SIGNATURE");
      expect(codeOf(() => crypto.xeddsaVerify(publicKey.subarray(1), message, crypto.xeddsaSign(privateKey, message, random.bytes(64))))).toBeUndefined();
    }
  });

  test("a bundle under a small-order identity key starts nothing", () => {
    const honest = new Device(random, 2, crypto).bundle();
    const { publicKey, signature } = signUnderOrderTwo(honest.signedPreKey.publicKey);
    const forged = { ...honest, identityKey: serializePublicKey(publicKey), signedPreKey: { ...honest.signedPreKey, signature } };
    expect(codeOf(() => verifyPreKeyBundle(crypto, forged))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => verifyPreKeyBundle(crypto, honest))).toBeUndefined();
  });
});
