/**
 * The primitives the protocol needs, as a plain object of synchronous functions. Two providers exist
 * (`noble`, `sodium`); records and wire bytes do not depend on which one is used.
 * Every function copies what it returns, never keeps or writes its arguments, and throws instead of returning a verdict.
 */
import type { Bytes } from "../bytes.ts";

/** Fills a new array of `length` random bytes from a cryptographic source. Tests replace it to replay a run. */
export type Random = (length: number) => Bytes;

/** A provider of primitives. */
export interface Crypto {
  /** Which provider this is, e.g. `"sodium"` or `"noble"`; reported as `client.crypto.name`. */
  readonly name: string;

  /** X25519 public key (32 bytes, little-endian u) of a 32-byte private key; the private key is clamped on use (RFC 7748 §5). */
  x25519PublicKey(privateKey: Uint8Array): Bytes;
  /**
   * X25519 shared secret, 32 bytes. The high bit of `publicKey` is masked.
   * @throws {MiyuError} ERR_DECRYPT if the result is all zero (a small-order public key)
   */
  x25519(privateKey: Uint8Array, publicKey: Uint8Array): Bytes;
  /**
   * Refuses a base key that is not canonical (u < 2²⁵⁵ − 19, top bit clear), not on the curve, or not in the prime-order subgroup.
   * @throws {MiyuError} ERR_DECRYPT
   */
  checkBaseKey(publicKey: Uint8Array): void;

  /** XEdDSA signature (64 bytes) by a 32-byte X25519 private key with 64 fresh random bytes; the public key is derived inside. */
  xeddsaSign(privateKey: Uint8Array, message: Uint8Array, random: Uint8Array): Bytes;
  /**
   * Checks an XEdDSA signature under a 32-byte X25519 public key. Strict: s < L, A and R canonical and not of small order,
   * R equal byte for byte to compress(s·B − h·A).
   * @throws {MiyuError} ERR_SIGNATURE also for a wrong length
   */
  xeddsaVerify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): void;

  /** SHA-256, 32 bytes. */
  sha256(message: Uint8Array): Bytes;
  /** SHA-512, 64 bytes. */
  sha512(message: Uint8Array): Bytes;
  /** HMAC-SHA-256, 32 bytes. */
  hmacSha256(key: Uint8Array, message: Uint8Array): Bytes;
  /** HKDF-SHA-256 (RFC 5869). `salt` undefined = 32 zero bytes; `length` at most 8,160 bytes, else ERR_USAGE. */
  hkdfSha256(secret: Uint8Array, salt: Uint8Array | undefined, info: Uint8Array, length: number): Bytes;

  /** AES-256-CBC with PKCS#7 padding. Key 32 bytes, iv 16 bytes. */
  aesCbcEncrypt(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Bytes;
  /** Opposite of {@link Crypto.aesCbcEncrypt}. Call it only after the MAC held. @throws {MiyuError} ERR_DECRYPT on bad padding or length */
  aesCbcDecrypt(key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Bytes;

  /** XChaCha20-Poly1305: ciphertext ‖ tag 16. Key 32 bytes, nonce 24 bytes. */
  aeadSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Bytes;
  /** Opposite of {@link Crypto.aeadSeal}. @throws {MiyuError} ERR_DECRYPT */
  aeadOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Bytes;

  /** Whether `a` and `b` hold the same bytes; constant time for equal lengths, false for different ones. */
  equal(a: Uint8Array, b: Uint8Array): boolean;
}
