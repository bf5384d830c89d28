// Attack 7: `sign(message, secret, anyPublicKey)`: two signatures under one nonce and two public keys give the private key away
// (ed25519-unsafe-libs). Guard: src/crypto/xeddsa.ts derives the public key from the private one and takes none; its nonce depends on
// key, message and randomness together. Without it the two signatures below share R and differ in s, and the key is computed.
import { describe, expect, test } from "vitest";
import { concat, toHex, utf8, type Bytes } from "../../src/bytes.ts";
import { generateKeyPair } from "../../src/protocol/index.ts";
import { fromLe, L } from "../crypto/edwards.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { PROVIDERS } from "./providers.ts";

const random = seededRandom(testSeed("07 signing oracle"));
const R = (signature: Uint8Array): string => toHex(signature.subarray(0, 32));

describe.each(PROVIDERS)("$crypto.name", ({ crypto }) => {
  test("a public key handed in changes nothing", () => {
    expect(crypto.xeddsaSign.length).toBe(3);
    const pair = generateKeyPair(crypto, random.bytes);
    const noise = random.bytes(64);
    const message = utf8("sign this");
    const sign: (privateKey: Uint8Array, message: Uint8Array, noise: Uint8Array, publicKey?: Uint8Array) => Bytes = crypto.xeddsaSign;
    const signatures = [undefined, random.bytes(32), generateKeyPair(crypto, random.bytes).publicKey, concat(pair.publicKey).subarray(1)].map((key) =>
      toHex(sign(pair.privateKey, message, noise, key)),
    );
    expect(new Set(signatures).size).toBe(1);
    expect(() => crypto.xeddsaVerify(pair.publicKey.subarray(1), message, sign(pair.privateKey, message, noise, random.bytes(32)))).not.toThrow();
  });

  test("a source of randomness that stands still does not repeat a nonce for another message or key", () => {
    const [one, other] = [generateKeyPair(crypto, random.bytes), generateKeyPair(crypto, random.bytes)];
    const noise = new Uint8Array(64);
    const signatures = [
      crypto.xeddsaSign(one.privateKey, utf8("a"), noise),
      crypto.xeddsaSign(one.privateKey, utf8("b"), noise),
      crypto.xeddsaSign(other.privateKey, utf8("a"), noise),
      crypto.xeddsaSign(one.privateKey, utf8("a"), noise.with(63, 1)),
    ];
    expect(new Set(signatures.map(R)).size).toBe(4);
    // What an attacker would do with a repeated R: a = (s − s')/(h − h') mod L. Here it gives no key of ours.
    const [s, t] = signatures.map((signature) => fromLe(signature.subarray(32).with(31, (signature[63] ?? 0) & 0x7f)) % L);
    expect(s).not.toBe(t);
  });
});
