// Attack 4: Ed25519 malleability, S ≥ L (CVE-2024-45193): a second signature made from a first one, without the key. Guards: s < L in
// `verifyEd25519Strict` of src/crypto/curve25519.ts and in libsodium, and that no signature byte goes into a name (the list's hash leaves
// the signature out: `decodeDeviceList`). Without the first the altered signature verifies, without the second one list looks like a fork.
import { describe, expect, test } from "vitest";
import { rawPublicKey, verifyPreKeyBundle } from "../../src/protocol/index.ts";
import { verifyBundle } from "../../src/envelope/bundle.ts";
import { acceptDeviceList, decodeDeviceList } from "../../src/envelope/deviceList.ts";
import { addOrder, laxVerify } from "../interop/edwards.ts";
import { codeOf, Device } from "../protocol/parties.ts";
import { concat, toHex } from "../../src/bytes.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { PROVIDERS } from "./providers.ts";
import { Villain } from "./villain.ts";

const random = seededRandom(testSeed("04 signature malleability"));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("s + L is refused wherever a signature is read", () => {
    for (let round = 0; round < 8; round++) {
      const bob = new Device(random, 2, crypto);
      const bundle = bob.bundle();
      const { publicKey, signature } = bundle.signedPreKey;
      const u = rawPublicKey(bundle.identityKey);
      const altered = addOrder(signature);
      expect([laxVerify(u, publicKey, signature), laxVerify(u, publicKey, altered)]).toEqual([true, true]);
      expect(codeOf(() => crypto.xeddsaVerify(u, publicKey, signature))).toBeUndefined();
      expect(codeOf(() => crypto.xeddsaVerify(u, publicKey, altered))).toBe("ERR_SIGNATURE");
      expect(codeOf(() => verifyPreKeyBundle(crypto, bundle))).toBeUndefined();
      expect(codeOf(() => verifyPreKeyBundle(crypto, { ...bundle, signedPreKey: { ...bundle.signedPreKey, signature: altered } }))).toBe("ERR_SIGNATURE");
    }
    const mallory = new Villain(random);
    const { identityKeyPair } = mallory.device.local;
    const signed = mallory.bundle();
    const list = mallory.ownList.signed;
    const altered = (bytes: Uint8Array): Uint8Array => concat(bytes.subarray(0, -64), addOrder(bytes.subarray(-64)));
    expect(codeOf(() => verifyBundle(crypto, "mallory", identityKeyPair.publicKey, signed))).toBeUndefined();
    expect(codeOf(() => verifyBundle(crypto, "mallory", identityKeyPair.publicKey, altered(signed)))).toBe("ERR_SIGNATURE");
    expect(codeOf(() => decodeDeviceList(crypto, list))).toBeUndefined();
    expect(codeOf(() => decodeDeviceList(crypto, altered(list)))).toBe("ERR_SIGNATURE");
  });

  test("signatures are randomised and name nothing: the same list signed again is the same list", () => {
    const mallory = new Villain(random);
    const entries = [mallory.entry(mallory.device)];
    const [one, other] = [mallory.list(entries), mallory.list(entries)];
    expect(toHex(one.signed)).not.toBe(toHex(other.signed));
    expect(toHex(one.hash)).toBe(toHex(other.hash));
    expect(acceptDeviceList(crypto, one, other, "mallory")).toBe("same");
  });
});
