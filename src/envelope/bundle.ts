/**
 * What a device publishes so that others can write to it first (docs/protocol.md §6): its signed bundle, the directory record
 * that holds the user's device list and all bundles, and one-time prekeys as a directory stocks them. The bundle's own signature ties
 * ids, user and time together; Signal's signature on the prekey alone covers only the key.
 */
import { checkSize, concat, copy, lp, Reader, u16be, u64be, type Bytes } from "../bytes.ts";
import type { Crypto, Random } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { MAX_DEVICES } from "./deviceList.ts";
import {
  checkLength,
  checkTime,
  encodeKey,
  encodeName,
  encodeU32,
  fixed,
  HASH_LENGTH,
  ID_LENGTH,
  readKey,
  serializeKey,
  SIGNATURE_LENGTH,
} from "./fields.ts";
import { sign, verify } from "./signing.ts";

/** Most bytes of a directory record. */
export const MAX_RECORD_LENGTH = 64 * 1024;

const BUNDLE_VERSION = 1;
const RECORD_VERSION = 1;

/** A signed prekey with Signal's own signature. */
export interface BundleSignedPreKey {
  readonly id: number;
  /** 33 bytes. */
  readonly publicKey: Bytes;
  /** 64 bytes: XEdDSA by the identity key over `publicKey` (X3DH §3.2). */
  readonly signature: Bytes;
}

/** A bundle whose signatures hold. */
export interface DeviceBundle {
  /** 16 bytes. */
  readonly device: Bytes;
  readonly registrationId: number;
  readonly signedPreKey: BundleSignedPreKey;
  /** Milliseconds since 1970 by the device's clock. */
  readonly createdAt: number;
  /** As it travels, 194 bytes. */
  readonly signed: Bytes;
}

/** What {@link signBundle} signs. */
export interface BundleOptions extends Omit<DeviceBundle, "signed"> {
  readonly user: string;
}

/** The user's public record in a directory. */
export interface DirectoryRecord {
  /** A signed device list. */
  readonly deviceList: Bytes;
  /** Signed bundles, in any order. */
  readonly bundles: readonly Bytes[];
}

/** A one-time prekey as a directory stocks it. */
export interface StockedPreKey {
  readonly id: number;
  /** 33 bytes. */
  readonly publicKey: Bytes;
}

/**
 * Signs a bundle with the device's identity private key (32 bytes, not kept), and verifies the result.
 * @throws {MiyuError} ERR_USAGE, ERR_SIGNATURE if the prekey's signature is not by the same key
 */
export function signBundle(crypto: Crypto, random: Random, identityPrivateKey: Uint8Array, options: BundleOptions): DeviceBundle {
  const { user, device, registrationId, signedPreKey, createdAt } = options;
  checkLength(identityPrivateKey, HASH_LENGTH, "identityPrivateKey");
  const bytes = concat(
    Uint8Array.of(BUNDLE_VERSION),
    fixed(device, ID_LENGTH, "device"),
    encodeU32(registrationId, "registrationId"),
    encodeU32(signedPreKey.id, "signed prekey id"),
    encodeKey(signedPreKey.publicKey, "signed prekey"),
    fixed(signedPreKey.signature, SIGNATURE_LENGTH, "signed prekey signature"),
    u64be(checkTime(createdAt, "createdAt")),
  );
  const identityKey = serializeKey(crypto.x25519PublicKey(identityPrivateKey));
  const signature = sign(crypto, random, identityPrivateKey, "bundle", encodeName(user, "user"), bytes);
  return verifyBundle(crypto, user, identityKey, concat(bytes, signature));
}

/**
 * Reads a bundle and verifies it under the identity key (33 bytes) that the device list names: its own signature over user and
 * all fields, and the prekey's. That `device` is the entry the key came from is the caller's to compare.
 * @throws {MiyuError} ERR_VERSION, ERR_DECODE, ERR_SIGNATURE (`what`: bundle, signed prekey)
 */
export function verifyBundle(crypto: Crypto, user: string, identityKey: Uint8Array, bytes: Uint8Array): DeviceBundle {
  const key = encodeKey(identityKey, "identityKey");
  const signed = copy(bytes);
  const reader = new Reader(signed, "bundle");
  reader.version(BUNDLE_VERSION);
  const device = reader.bytes(ID_LENGTH);
  const registrationId = reader.u32();
  const signedPreKey = { id: reader.u32(), publicKey: readKey(reader), signature: reader.bytes(SIGNATURE_LENGTH) };
  const createdAt = reader.u64();
  const bundle = signed.subarray(0, reader.offset);
  const signature = reader.bytes(SIGNATURE_LENGTH);
  reader.end();
  verify(crypto, key, "bundle", signature, encodeName(user, "user"), bundle);
  verifySignedPreKey(crypto, key, signedPreKey);
  return { device, registrationId, signedPreKey, createdAt, signed };
}

function verifySignedPreKey(crypto: Crypto, identityKey: Uint8Array, signedPreKey: BundleSignedPreKey): void {
  try {
    crypto.xeddsaVerify(identityKey.subarray(1), signedPreKey.publicKey, signedPreKey.signature);
  } catch {
    throw new MiyuError("ERR_SIGNATURE", { what: "signed prekey" });
  }
}

/** Directory record to bytes. @throws {MiyuError} ERR_TOO_LARGE over 64 KiB or 256 bundles */
export function encodeDirectoryRecord(record: { readonly deviceList: Uint8Array; readonly bundles: readonly Uint8Array[] }): Bytes {
  checkSize(record.bundles.length, MAX_DEVICES);
  const bytes = concat(Uint8Array.of(RECORD_VERSION), lp(record.deviceList), u16be(record.bundles.length), ...record.bundles.map(lp));
  checkSize(bytes.length, MAX_RECORD_LENGTH);
  return bytes;
}

/**
 * Opposite of {@link encodeDirectoryRecord}. Verifies nothing: what is inside is signed.
 * @throws {MiyuError} ERR_TOO_LARGE, ERR_VERSION, ERR_DECODE
 */
export function decodeDirectoryRecord(bytes: Uint8Array): DirectoryRecord {
  checkSize(bytes.length, MAX_RECORD_LENGTH);
  const reader = new Reader(bytes, "directory record");
  reader.version(RECORD_VERSION);
  const deviceList = reader.lp();
  const count = reader.u16();
  if (count > MAX_DEVICES) reader.fail();
  const bundles = Array.from({ length: count }, () => reader.lp());
  reader.end();
  return { deviceList, bundles };
}

/** A one-time prekey as stocked: id u32 ‖ public key 33, 37 bytes. Unsigned, as in X3DH §3.2. @throws {MiyuError} ERR_USAGE */
export function encodeStockedPreKey(preKey: { readonly id: number; readonly publicKey: Uint8Array }): Bytes {
  return concat(encodeU32(preKey.id, "prekey id"), encodeKey(preKey.publicKey, "prekey"));
}

/** Opposite of {@link encodeStockedPreKey}. @throws {MiyuError} ERR_DECODE */
export function decodeStockedPreKey(bytes: Uint8Array): StockedPreKey {
  const reader = new Reader(bytes, "stocked prekey");
  const id = reader.u32();
  const publicKey = readKey(reader);
  reader.end();
  return { id, publicKey };
}
