/**
 * The gate every provider is built behind: sizes are checked, failures become typed errors, outputs are owned by the
 * caller. Primitives below it say "no" by returning undefined or false, so no library error ever gets out.
 */
import { equal, wipe, type Bytes } from "../bytes.ts";
import { MiyuError } from "../errors.ts";
import { isCanonicalMontgomery, montgomeryToEdwards } from "./curve25519.ts";
import type { Crypto } from "./types.ts";
import { xeddsaSign, xeddsaVerify, type EdwardsArithmetic } from "./xeddsa.ts";

/** The bare primitives of a provider. Sizes are already checked; results may be views, as long as nobody else holds them. */
export interface Primitives extends EdwardsArithmetic {
  readonly name: string;
  /** X25519 public key of a 32-byte private key. */
  x25519PublicKey(privateKey: Uint8Array): Uint8Array;
  /** X25519; undefined if the result is all zero. */
  x25519SharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined;
  /** Whether a canonical compressed Edwards point decodes and lies in the prime-order subgroup, the identity excluded. */
  isInPrimeSubgroup(compressed: Uint8Array): boolean;
  /** SHA-256, 32 bytes. */
  sha256(message: Uint8Array): Uint8Array;
  /** HMAC-SHA-256, 32 bytes. */
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array;
  /** HKDF-SHA-256. */
  hkdfSha256(secret: Uint8Array, salt: Uint8Array | undefined, info: Uint8Array, length: number): Uint8Array;
  /** AES-256-CBC with PKCS#7 padding. */
  aesCbcEncrypt(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** AES-256-CBC with PKCS#7 padding; undefined on bad padding or length. */
  aesCbcDecrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array | undefined;
  /** XChaCha20-Poly1305: ciphertext ‖ tag 16. */
  aeadSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** XChaCha20-Poly1305; undefined if the tag does not hold. */
  aeadOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined;
}

/** The longest output of HKDF-SHA-256: 255 blocks of 32 bytes (RFC 5869 §2.3). */
const HKDF_LIMIT = 255 * 32;

/** A frozen {@link Crypto} over `raw`. */
export function cryptoOf(raw: Primitives): Crypto {
  return Object.freeze<Crypto>({
    name: raw.name,
    x25519PublicKey(privateKey) {
      expectSize("privateKey", privateKey, 32);
      return own(raw.x25519PublicKey(privateKey));
    },
    x25519(privateKey, publicKey) {
      expectSize("privateKey", privateKey, 32);
      expectSize("publicKey", publicKey, 32);
      return own(orDecryptError(raw.x25519SharedSecret(privateKey, publicKey)));
    },
    checkBaseKey(publicKey) {
      expectSize("publicKey", publicKey, 32);
      const edwards = isCanonicalMontgomery(publicKey) ? montgomeryToEdwards(publicKey, 0) : undefined;
      if (edwards === undefined || !raw.isInPrimeSubgroup(edwards)) throw new MiyuError("ERR_DECRYPT");
    },
    xeddsaSign(privateKey, message, random) {
      expectSize("privateKey", privateKey, 32);
      expectSize("random", random, 64);
      return xeddsaSign(raw, privateKey, message, random);
    },
    xeddsaVerify(publicKey, message, signature) {
      if (!xeddsaVerify(raw, publicKey, message, signature)) throw new MiyuError("ERR_SIGNATURE", { what: "xeddsa" });
    },
    sha256: (message) => own(raw.sha256(message)),
    sha512: (message) => own(raw.sha512(message)),
    hmacSha256: (key, message) => own(raw.hmacSha256(key, message)),
    hkdfSha256(secret, salt, info, length) {
      if (!Number.isInteger(length) || length < 0 || length > HKDF_LIMIT) {
        throw new MiyuError("ERR_USAGE", { reason: `hkdf length must be 0 to ${String(HKDF_LIMIT)} bytes` });
      }
      return own(raw.hkdfSha256(secret, salt, info, length));
    },
    aesCbcEncrypt(key, iv, plaintext) {
      expectSize("key", key, 32);
      expectSize("iv", iv, 16);
      return own(raw.aesCbcEncrypt(key, iv, plaintext));
    },
    aesCbcDecrypt(key, iv, ciphertext) {
      expectSize("key", key, 32);
      expectSize("iv", iv, 16);
      return own(orDecryptError(raw.aesCbcDecrypt(key, iv, ciphertext)));
    },
    aeadSeal(key, nonce, aad, plaintext) {
      expectSize("key", key, 32);
      expectSize("nonce", nonce, 24);
      return own(raw.aeadSeal(key, nonce, aad, plaintext));
    },
    aeadOpen(key, nonce, aad, sealed) {
      expectSize("key", key, 32);
      expectSize("nonce", nonce, 24);
      return own(orDecryptError(raw.aeadOpen(key, nonce, aad, sealed)));
    },
    equal,
  });
}

/** A result, or undefined where a library throws: its error may say too much and is dropped. */
export function attempt<T>(operation: () => T): T | undefined {
  try {
    return operation();
  } catch {
    return undefined;
  }
}

function expectSize(what: string, bytes: Uint8Array, size: number): void {
  if (bytes.length !== size) {
    throw new MiyuError("ERR_USAGE", { reason: `${what} must be ${String(size)} bytes, not ${String(bytes.length)}` });
  }
}

function orDecryptError<T>(result: T | undefined): T {
  if (result === undefined) throw new MiyuError("ERR_DECRYPT");
  return result;
}

/** The bytes themselves if they fill an `ArrayBuffer` of their own, else a copy, the original wiped. */
function own(bytes: Uint8Array): Bytes {
  if (bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength) return bytes as Bytes;
  const out = new Uint8Array(bytes);
  wipe(bytes);
  return out;
}
