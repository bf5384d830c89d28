/**
 * The header of a vault: one record that says which store this is and how its keys are wrapped. Key tree:
 * device key → vault key (32 bytes) → wrap key = HKDF(vault key) → record keys by id (32 random bytes each) → records.
 * There is room for more slots (a passphrase, a passkey) and more record keys; this release writes one of each.
 *
 *   "MIYU" | version 01 | vaultId 16 | storeId 16 | activeKid u32 | least KDF cost: t u32, memory KiB u32 (0 = no passphrase)
 *   slots: n u8, each: slotId 8 | kind u8 | lp(kdf) | lp(wrapped vault key)
 *   record keys: n u8, each: kid u32 | nonce 24 | ciphertext ‖ tag 48
 *   trailer: first 16 bytes of SHA-256 over everything before, which tells damage from a key that does not fit
 */
import { concat, equal, Reader, u32be, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import type { VaultKeys } from "./sealedRecord.ts";
import type { KeySlot } from "./types.ts";

/** First bytes of a header. */
export const MAGIC = utf8("MIYU");
/** Format of this release. */
export const VERSION = 1;
const TRAILER_LENGTH = 16;
/** Magic, version, vaultId and storeId: what never changes in the life of a store. */
const NAME_LENGTH = 37;
/** Kind of the slot that the device key opens. */
export const DEVICE_SLOT = 2;

interface Header {
  readonly vaultId: Bytes;
  readonly storeId: Bytes;
  readonly activeKid: number;
  /** The vault key, wrapped by the device key slot. */
  readonly wrapped: Bytes;
  readonly recordKeys: readonly { readonly kid: number; readonly nonce: Bytes; readonly sealed: Bytes }[];
}

/**
 * Opens the keys of a vault. The caller wipes them.
 * @throws {MiyuError} ERR_STORE_CORRUPT for a damaged header, ERR_SCHEMA for one of a newer release, ERR_STORE_LOST if the device key
 * is gone, ERR_LOCKED if there is no device key slot
 */
export async function openHeader(crypto: Crypto, bytes: Uint8Array, slot: KeySlot): Promise<VaultKeys> {
  const header = decodeHeader(crypto, bytes);
  const vaultKey = await slot.unwrap(header.wrapped);
  const wrapKey = wrapKeyOf(crypto, vaultKey, header.vaultId);
  const recordKeys = new Map<number, Bytes>();
  try {
    for (const { kid, nonce, sealed } of header.recordKeys) {
      recordKeys.set(kid, crypto.aeadOpen(wrapKey, nonce, recordKeyContext(header.vaultId, header.storeId, kid), sealed));
    }
    if (!recordKeys.has(header.activeKid)) throw corrupt();
    const indexKey = crypto.hkdfSha256(vaultKey, undefined, utf8("miyu/vault/index/v1"), 32);
    return { storeId: header.storeId, activeKid: header.activeKid, recordKeys, indexKey };
  } catch {
    wipe(...recordKeys.values());
    throw corrupt();
  } finally {
    wipe(vaultKey, wrapKey);
  }
}

/** Whether `bytes` are a header of the same store as `known` (slots and record keys may have changed). */
export function isSameStore(known: Uint8Array, bytes: Uint8Array): boolean {
  return equal(known.subarray(0, NAME_LENGTH), bytes.subarray(0, NAME_LENGTH));
}

function decodeHeader(crypto: Crypto, bytes: Uint8Array): Header {
  const bodyLength = bytes.length - TRAILER_LENGTH;
  if (bodyLength < NAME_LENGTH) throw corrupt();
  const body = bytes.subarray(0, bodyLength);
  if (!equal(bytes.subarray(bodyLength), trailerOf(crypto, body)) || !equal(body.subarray(0, MAGIC.length), MAGIC)) throw corrupt();
  const reader = new Reader(body, "vault header");
  reader.bytes(MAGIC.length);
  reader.schema(VERSION);
  try {
    return decodeBody(reader);
  } catch (error) {
    throw MiyuError.is(error, "ERR_LOCKED") ? error : corrupt();
  }
}

function decodeBody(reader: Reader): Header {
  const [vaultId, storeId, activeKid] = [reader.bytes(16), reader.bytes(16), reader.u32()];
  reader.bytes(8);
  let wrapped: Bytes | undefined;
  for (let left = reader.u8(); left > 0; left--) {
    reader.bytes(8);
    const kind = reader.u8();
    reader.lp();
    const key = reader.lp();
    if (kind === DEVICE_SLOT) wrapped ??= key;
  }
  const recordKeys = Array.from({ length: reader.u8() }, () => ({ kid: reader.u32(), nonce: reader.bytes(24), sealed: reader.bytes(48) }));
  reader.end();
  if (wrapped === undefined) throw new MiyuError("ERR_LOCKED", { what: "vault" });
  return { vaultId, storeId, activeKid, wrapped, recordKeys };
}

/** The key that wraps record keys, 32 bytes. The caller wipes it. */
export function wrapKeyOf(crypto: Crypto, vaultKey: Uint8Array, vaultId: Uint8Array): Bytes {
  return crypto.hkdfSha256(vaultKey, vaultId, utf8("miyu/vault/dek-wrap/v1"), 32);
}

/** What a wrapped record key is bound to. */
export function recordKeyContext(vaultId: Uint8Array, storeId: Uint8Array, kid: number): Bytes {
  return concat(utf8("miyu/vault/dek/v1\0"), vaultId, storeId, u32be(kid));
}

/** Trailer of a header, 16 bytes. */
export function trailerOf(crypto: Crypto, body: Uint8Array): Bytes {
  return crypto.sha256(body).slice(0, TRAILER_LENGTH);
}

function corrupt(): MiyuError<"ERR_STORE_CORRUPT"> {
  return new MiyuError("ERR_STORE_CORRUPT", { what: "vault header" });
}
