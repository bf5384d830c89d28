/**
 * Every string that goes in front of what this layer signs or hashes (docs/protocol.md §2), and XEdDSA over it.
 * All start with `miyu/` (0x6d) and end with a zero byte: none is the start of another, none can parse as a Signal key
 * (0x05, 0x08), so a signature made for one purpose never serves another.
 */
import { concat, type Bytes, utf8, wipe } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { checkLength, HASH_LENGTH, SIGNATURE_LENGTH } from "./fields.ts";

/** What is signed. */
export const SIGNED = {
  /** By the account key, over a device list. */
  "device list": "miyu/device-list/v1\0",
  /** By a device's identity key, over user, account key and device id. */
  "device proof": "miyu/device/v1\0",
  /** By a device's identity key, over user and bundle. */
  bundle: "miyu/bundle/v1\0",
} as const;

/** What is hashed. */
export const HASHED = {
  /** SHA-256 over a device list: names it in the next list and in contents. */
  deviceList: "miyu/device-list-hash/v1\0",
  /** SHA-256 over a content key: commits the header to it. */
  contentKey: "miyu/key/v1\0",
  /** SHA-256 over header and body: what every slot carries. */
  bind: "miyu/bind/v1\0",
  /** SHA-256 over envelope id and device, cut to 8 bytes: finds the slot. */
  slot: "miyu/slot/v1\0",
} as const;

/** HKDF info of the key that seals a body. Not a prefix, so it has no zero byte. */
export const BODY_INFO = "miyu/body/v1";

/** Which purpose a signature serves. */
export type SignedPurpose = keyof typeof SIGNED;

/** SHA-256 over one of {@link HASHED} and `parts`. 32 bytes. */
export function hashWith(crypto: Crypto, context: (typeof HASHED)[keyof typeof HASHED], ...parts: readonly Uint8Array[]): Bytes {
  const message = concat(utf8(context), ...parts);
  try {
    return crypto.sha256(message);
  } finally {
    wipe(message);
  }
}

/**
 * XEdDSA by a 32-byte private key over the context of `purpose` and `parts`; 64 bytes. Takes 64 bytes of `random`.
 * @throws {MiyuError} ERR_USAGE
 */
export function sign(crypto: Crypto, random: Random, privateKey: Uint8Array, purpose: SignedPurpose, ...parts: readonly Uint8Array[]): Bytes {
  checkLength(privateKey, HASH_LENGTH, "private key");
  const noise = random(SIGNATURE_LENGTH);
  try {
    return crypto.xeddsaSign(privateKey, concat(utf8(SIGNED[purpose]), ...parts), noise);
  } finally {
    wipe(noise);
  }
}

/**
 * Checks a signature made by {@link sign}. `key` is the serialized public key, 33 bytes.
 * @throws {MiyuError} ERR_SIGNATURE naming the purpose
 */
export function verify(crypto: Crypto, key: Uint8Array, purpose: SignedPurpose, signature: Uint8Array, ...parts: readonly Uint8Array[]): void {
  try {
    crypto.xeddsaVerify(key.subarray(1), concat(utf8(SIGNED[purpose]), ...parts), signature);
  } catch {
    throw new MiyuError("ERR_SIGNATURE", { what: purpose });
  }
}
