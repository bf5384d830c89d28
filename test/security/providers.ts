/** Both providers of primitives, and providers that break a rule on purpose: to mount an attack, and to show that it would have worked. */
import { toHex, type Bytes } from "../../src/bytes.ts";
import { nobleCrypto } from "../../src/crypto/noble.ts";
import { sodiumCrypto } from "../../src/crypto/sodium.ts";
import type { Crypto } from "../../src/crypto/types.ts";
import { smallOrderKeys } from "../crypto/edwards.ts";
import { fromHex } from "../protocol/parties.ts";
import type { SeededRandom } from "../support/random.ts";

/** For `describe.each`. */
export const PROVIDERS: readonly { readonly crypto: Crypto }[] = [{ crypto: nobleCrypto }, { crypto: await sodiumCrypto() }];

/** Every u of small order, each also with its top bit set, and the non-canonical spellings of 0 and 1. 32 bytes each. */
export const LOW_ORDER: readonly Bytes[] = ((): Bytes[] => {
  const all = [...smallOrderKeys(), fromHex(`ed${"ff".repeat(30)}7f`), fromHex(`ee${"ff".repeat(30)}7f`)];
  const spellings = all.flatMap((u) => [u, u.with(31, (u[31] ?? 0) | 0x80)]);
  return [...new Map(spellings.map((u) => [toHex(u), new Uint8Array(u)])).values()];
})();

/** A provider without the checks on public keys: the agreement of a low-order key is 32 zeros, and any base key will do. */
export function unchecked(crypto: Crypto): Crypto {
  return {
    ...crypto,
    x25519: (privateKey, publicKey) => {
      try {
        return crypto.x25519(privateKey, publicKey);
      } catch {
        return new Uint8Array(32);
      }
    },
    checkBaseKey: () => undefined,
  };
}

/** Marks a key pair that has no private key. */
const NO_KEY = new Uint8Array(32).fill(0x42);
const isMarked = (privateKey: Uint8Array): boolean => privateKey.subarray(1, 31).every((byte) => byte === 0x42);

/** An attacker's provider: pairs generated from marked randomness have `publicKey`, and agree on 32 zeros with everybody. */
export function withPublicKey(crypto: Crypto, publicKey: Uint8Array): Crypto {
  return {
    ...crypto,
    x25519PublicKey: (privateKey) => (isMarked(privateKey) ? new Uint8Array(publicKey) : crypto.x25519PublicKey(privateKey)),
    x25519: (privateKey, other) => (isMarked(privateKey) ? new Uint8Array(32) : crypto.x25519(privateKey, other)),
  };
}

/** The same randomness, in which one draw of 32 bytes, counted from the call of `mark`, is the marked one. */
export function marking(random: SeededRandom): SeededRandom & { mark(draw: number): void } {
  let left = -1;
  return {
    ...random,
    mark: (draw) => (left = draw),
    bytes: (length) => (length === 32 && left-- === 0 ? NO_KEY.slice() : random.bytes(length)),
  };
}
