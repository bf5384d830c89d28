/**
 * X25519 keys as they travel and rest: a public key is 0x05 ‖ u (33 bytes), a private key 32 clamped bytes.
 * Public keys are kept byte for byte: no masking, no reduction, equality is byte equality (docs/interop.md).
 */
import { copy, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import type { KeyPair } from "./types.ts";

/** Type byte of an X25519 public key. */
export const PUBLIC_KEY_TYPE = 0x05;

/** Length of a serialized public key in bytes. */
export const PUBLIC_KEY_LENGTH = 33;

/** Length of a private key in bytes. */
export const PRIVATE_KEY_LENGTH = 32;

/** 0x05 ‖ u, 33 bytes, from the 32 bytes of u. @throws {MiyuError} ERR_USAGE on another length */
export function serializePublicKey(publicKey: Uint8Array): Bytes {
  if (publicKey.length !== 32) throw new MiyuError("ERR_USAGE", { reason: "a raw public key has 32 bytes" });
  const out = new Uint8Array(PUBLIC_KEY_LENGTH);
  out[0] = PUBLIC_KEY_TYPE;
  out.set(publicKey, 1);
  return out;
}

/**
 * The serialized key at the start of `bytes`, copied, still 33 bytes with its type byte. What follows it is dropped.
 * @throws {MiyuError} ERR_DECODE if the type is another or bytes are missing
 */
export function deserializePublicKey(bytes: Uint8Array, what = "public key"): Bytes {
  if (bytes[0] !== PUBLIC_KEY_TYPE || bytes.length < PUBLIC_KEY_LENGTH) throw new MiyuError("ERR_DECODE", { what });
  return copy(bytes.subarray(0, PUBLIC_KEY_LENGTH));
}

/** The 32 bytes of u in a serialized key, as a view. @throws {MiyuError} ERR_USAGE if it is not 0x05 ‖ 32 bytes */
export function rawPublicKey(serialized: Uint8Array): Uint8Array {
  if (serialized.length !== PUBLIC_KEY_LENGTH || serialized[0] !== PUBLIC_KEY_TYPE) {
    throw new MiyuError("ERR_USAGE", { reason: "a serialized public key has the type byte 5 and 33 bytes" });
  }
  return serialized.subarray(1);
}

/** A fresh key pair from 32 random bytes. */
export function generateKeyPair(crypto: Crypto, random: Random): KeyPair {
  const privateKey = clamp(random(PRIVATE_KEY_LENGTH));
  return { publicKey: serializePublicKey(crypto.x25519PublicKey(privateKey)), privateKey };
}

/** The pair of a private key of 32 bytes, which is copied and clamped (RFC 7748 §5). @throws {MiyuError} ERR_DECODE on another length */
export function keyPairFromPrivate(crypto: Crypto, privateKey: Uint8Array): KeyPair {
  if (privateKey.length !== PRIVATE_KEY_LENGTH) throw new MiyuError("ERR_DECODE", { what: "private key" });
  const clamped = clamp(copy(privateKey));
  return { publicKey: serializePublicKey(crypto.x25519PublicKey(clamped)), privateKey: clamped };
}

/** The X25519 secret (32 bytes, owned and wiped by the caller). @throws {MiyuError} ERR_DECRYPT if it is all zero */
export function agree(crypto: Crypto, privateKey: Uint8Array, serializedPublicKey: Uint8Array): Bytes {
  return crypto.x25519(privateKey, rawPublicKey(serializedPublicKey));
}

/** Clamps in place. */
function clamp(privateKey: Bytes): Bytes {
  privateKey[0] = (privateKey[0] ?? 0) & 248;
  privateKey[31] = ((privateKey[31] ?? 0) & 127) | 64;
  return privateKey;
}
