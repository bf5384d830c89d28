/**
 * The sealed frame of every record on disk. What it hides: the value and its identifier. What it shows: how large the value is and
 * how often it was written. It is bound to its store, its key, its kind and its revision, so a frame opens only where it was put.
 *
 *   E2 | version 01 | flags u16 = 0 | kid u32 | revision u64 | nonce 24 | ciphertext ‖ tag 16        (all big-endian)
 *   additional bytes: "miyu/rec/v1\0" ‖ storeId 16 ‖ the first 16 bytes of the frame ‖ lp(record key 17)
 *   plaintext: lp(identifier) ‖ value
 */
import { concat, equal, fromUtf8, lp, Reader, toHex, u16be, u32be, u64be, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { MiyuError } from "../errors.ts";
import { RECORD_KINDS, type RecordKey, type RecordKind } from "./types.ts";

const MAGIC = 0xe2;
const VERSION = 1;
const HEAD_LENGTH = 16;
const CONTEXT = utf8("miyu/rec/v1\0");

/** Bytes a frame adds to its plaintext. */
export const FRAME_OVERHEAD = 56;

/** Length of a nonce of {@link sealRecord}. */
export const NONCE_LENGTH = 24;

/** The open keys of a vault. */
export interface VaultKeys {
  /** 16 random bytes that name the store. */
  readonly storeId: Bytes;
  /** Id of the key new frames are sealed with. */
  readonly activeKid: number;
  /** Keys of 32 bytes that seal records, by id. */
  readonly recordKeys: ReadonlyMap<number, Bytes>;
  /** 32-byte key under which identifiers are hashed. */
  readonly indexKey: Bytes;
}

/** Where one record lives on the medium. */
export interface RecordPlace {
  readonly key: RecordKey;
  /** Kind byte ‖ 16-byte keyed hash of the identifier, in hexadecimal (34 characters). */
  readonly rawKey: string;
}

/** An opened frame. The caller owns `value`. */
export interface OpenedRecord {
  readonly id: string;
  readonly value: Bytes;
  /** 1 for the first write of a record, one more with each. */
  readonly revision: number;
}

/** The prefix all raw keys of `kind` share. @throws {MiyuError} ERR_USAGE for a kind that does not exist */
export function kindPrefix(kind: RecordKind): string {
  if (!Object.hasOwn(RECORD_KINDS, kind)) throw new MiyuError("ERR_USAGE", { reason: "no such kind of record" });
  return toHex(Uint8Array.of(RECORD_KINDS[kind]));
}

/** Finds the place of `key`. @throws {MiyuError} ERR_USAGE for an unknown kind, or an identifier that is too long or not well-formed text */
export function placeOf(crypto: Crypto, keys: VaultKeys, key: RecordKey): RecordPlace {
  const prefix = kindPrefix(key.kind);
  const id = utf8(key.id);
  // Lone surrogates all become U+FFFD: two identifiers would be one record.
  if (id.length > 0xffff || fromUtf8(id) !== key.id) throw new MiyuError("ERR_USAGE", { reason: "an identifier must be well-formed text of at most 65,535 bytes" });
  const hash = crypto.hmacSha256(keys.indexKey, concat(Uint8Array.of(RECORD_KINDS[key.kind], 0), id));
  return { key: { kind: key.kind, id: key.id }, rawKey: prefix + toHex(hash.subarray(0, 16)) };
}

/** Seals `value` for its place under the active key. `nonce`: 24 bytes, never used before. */
export function sealRecord(crypto: Crypto, keys: VaultKeys, place: RecordPlace, revision: number, value: Uint8Array, nonce: Uint8Array): Bytes {
  const head = concat(Uint8Array.of(MAGIC, VERSION), u16be(0), u32be(keys.activeKid), u64be(revision));
  const recordKey = keys.recordKeys.get(keys.activeKid);
  if (recordKey === undefined) throw new MiyuError("ERR_INTERNAL", { what: "active record key" });
  const plaintext = concat(lp(utf8(place.key.id)), value);
  try {
    return concat(head, nonce, crypto.aeadSeal(recordKey, nonce, additionalBytes(keys, head, place.rawKey), plaintext));
  } finally {
    wipe(plaintext);
  }
}

/** Opens a frame found under `rawKey`. @throws {MiyuError} ERR_STORE_CORRUPT whatever is wrong with it */
export function openRecord(crypto: Crypto, keys: VaultKeys, rawKey: string, frame: Uint8Array): OpenedRecord {
  let plaintext: Bytes | undefined;
  try {
    const reader = new Reader(frame, "record");
    const [magic, version, flags, kid, revision] = [reader.u8(), reader.u8(), reader.u16(), reader.u32(), reader.u64()];
    const recordKey = keys.recordKeys.get(kid);
    if (magic !== MAGIC || version !== VERSION || flags !== 0 || recordKey === undefined) throw corrupt();
    const nonce = reader.bytes(NONCE_LENGTH);
    plaintext = crypto.aeadOpen(recordKey, nonce, additionalBytes(keys, frame.subarray(0, HEAD_LENGTH), rawKey), reader.rest());
    const inner = new Reader(plaintext, "record");
    return { id: inner.text(), value: inner.rest(), revision };
  } catch {
    throw corrupt();
  } finally {
    wipe(plaintext);
  }
}

/** Opens the frame of a record that is known by name. @throws {MiyuError} ERR_STORE_CORRUPT whatever is wrong with it */
export function openRecordAt(crypto: Crypto, keys: VaultKeys, place: RecordPlace, frame: Uint8Array): OpenedRecord {
  const opened = openRecord(crypto, keys, place.rawKey, frame);
  if (equal(utf8(opened.id), utf8(place.key.id))) return opened;
  wipe(opened.value);
  throw corrupt();
}

function additionalBytes(keys: VaultKeys, head: Uint8Array, rawKey: string): Bytes {
  return concat(CONTEXT, keys.storeId, head, lp(fromHex(rawKey)));
}

/** Bytes of a raw key; anything that is not hexadecimal becomes zeros, which no frame is bound to. */
function fromHex(text: string): Bytes {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

function corrupt(): MiyuError<"ERR_STORE_CORRUPT"> {
  return new MiyuError("ERR_STORE_CORRUPT", { what: "record" });
}
