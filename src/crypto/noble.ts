/**
 * The provider without WebAssembly, on `@noble/curves`, `@noble/hashes` and `@noble/ciphers`. It runs wherever JavaScript
 * does, under any content security policy. The sodium provider takes its hashes and AES-CBC from here.
 * BigInt and AES tables are not constant time: see docs/crypto.md.
 */
import { cbc } from "@noble/ciphers/aes.js";
import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import {
  isInPrimeSubgroup,
  multiplyAddScalars,
  multiplyBase,
  reduceScalar,
  verifyEd25519Strict,
  x25519PublicKey,
  x25519SharedSecret,
} from "./curve25519.ts";
import { hkdfSha256, hmacSha256, sha256, sha512 } from "./hashes.ts";
import { attempt, cryptoOf } from "./provider.ts";
import type { Crypto } from "./types.ts";

/** All primitives in plain JavaScript; `name` is `"noble"`. Needs no WebAssembly and no set-up. */
export const nobleCrypto: Crypto = cryptoOf({
  name: "noble",
  x25519PublicKey,
  x25519SharedSecret,
  isInPrimeSubgroup,
  reduceScalar,
  multiplyAddScalars,
  multiplyBase,
  verifyEd25519: (publicKey, message, signature) => verifyEd25519Strict(sha512, publicKey, message, signature),
  sha256,
  sha512,
  hmacSha256,
  hkdfSha256,
  aesCbcEncrypt: (key, iv, plaintext) => cbc(key, iv).encrypt(plaintext),
  aesCbcDecrypt: (key, iv, ciphertext) => attempt(() => cbc(key, iv).decrypt(ciphertext)),
  aeadSeal: (key, nonce, aad, plaintext) => xchacha20poly1305(key, nonce, aad).encrypt(plaintext),
  aeadOpen: (key, nonce, aad, sealed) => attempt(() => xchacha20poly1305(key, nonce, aad).decrypt(sealed)),
});
