/**
 * The fields our frames share (docs/protocol.md §1): how each is checked on the way out (ERR_USAGE: the caller's mistake)
 * and on the way in (ERR_DECODE: somebody else's bytes). Everything is copied, so no frame shares memory with its source.
 */
import { concat, copy, fromUtf8, lp, type Bytes, type Reader, u32be, utf8 } from "../bytes.ts";
import { MiyuError } from "../errors.ts";

/** Bytes of a device id and of an envelope id. */
export const ID_LENGTH = 16;
/** Bytes of a serialized public key: 0x05 ‖ u. */
const KEY_LENGTH = 33;
/** Bytes of a private key, a content key and a SHA-256 value. */
export const HASH_LENGTH = 32;
/** Bytes of an XEdDSA signature. */
export const SIGNATURE_LENGTH = 64;
/** Most UTF-8 bytes of a user or group name. */
const MAX_NAME_LENGTH = 1024;

/** Bytes `lp` puts in front. */
const LENGTH_PREFIX = 2;
/** First byte of a serialized X25519 public key. */
const KEY_TYPE = 0x05;

/** A copy of `bytes`, which must have `length` of them. @throws {MiyuError} ERR_USAGE naming `what` */
export function fixed(bytes: Uint8Array, length: number, what: string): Bytes {
  checkLength(bytes, length, what);
  return copy(bytes);
}

/** Refuses `bytes` of another length without copying them: for secrets. @throws {MiyuError} ERR_USAGE naming `what` */
export function checkLength(bytes: Uint8Array, length: number, what: string): void {
  if (!(bytes instanceof Uint8Array) || bytes.length !== length) throw misuse(`${what} must be ${String(length)} bytes`);
}

/**
 * `lp` of a name: 1 … `limit` bytes of UTF-8 (default 1,024). A lone surrogate is refused, because UTF-8 would turn different names
 * into the same bytes.
 * @throws {MiyuError} ERR_USAGE
 */
export function encodeName(name: string, what: string, limit = MAX_NAME_LENGTH): Bytes {
  if (typeof name !== "string" || name.length > limit) throw misuse(`${what} must be text of 1 to ${String(limit)} bytes`);
  const bytes = utf8(name);
  if (bytes.length === 0 || bytes.length > limit) throw misuse(`${what} must be text of 1 to ${String(limit)} bytes`);
  if (fromUtf8(bytes) !== name) throw misuse(`${what} holds half a surrogate pair`);
  return lp(bytes);
}

/** Opposite of {@link encodeName}. @throws {MiyuError} ERR_DECODE */
export function readName(reader: Reader, limit = MAX_NAME_LENGTH): string {
  const start = reader.offset;
  const name = reader.text();
  const length = reader.offset - start - LENGTH_PREFIX;
  if (length === 0 || length > limit) reader.fail();
  return name;
}

/** A serialized public key: 0x05 ‖ the 32 bytes of `u`. */
export function serializeKey(u: Uint8Array): Bytes {
  return concat(Uint8Array.of(KEY_TYPE), u);
}

/** A copy of a serialized public key, checked as {@link readKey} does. @throws {MiyuError} ERR_USAGE */
export function encodeKey(key: Uint8Array, what: string): Bytes {
  const bytes = fixed(key, KEY_LENGTH, what);
  if (!isCanonicalKey(bytes)) throw misuse(`${what} must be 0x05 and a u below 2^255 - 19`);
  return bytes;
}

/**
 * A serialized public key, 33 bytes: type byte 0x05 and u < 2²⁵⁵ − 19 with the top bit clear, so that one key has one spelling.
 * @throws {MiyuError} ERR_DECODE
 */
export function readKey(reader: Reader): Bytes {
  const bytes = reader.bytes(KEY_LENGTH);
  if (!isCanonicalKey(bytes)) reader.fail();
  return bytes;
}

function isCanonicalKey(bytes: Uint8Array): boolean {
  const top = bytes[KEY_LENGTH - 1] ?? 0;
  if (bytes[0] !== KEY_TYPE || top > 0x7f) return false;
  // u ≥ 2²⁵⁵ − 19 means 0x7f, thirty times 0xff, and a lowest byte of at least 0xed.
  return top !== 0x7f || (bytes[1] ?? 0) < 0xed || bytes.subarray(2, KEY_LENGTH - 1).some((byte) => byte !== 0xff);
}

/** Big-endian u32. @throws {MiyuError} ERR_USAGE unless `value` is an integer of 0 … 2³²−1 */
export function encodeU32(value: number, what: string): Bytes {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw misuse(`${what} must be an unsigned 32-bit integer`);
  return u32be(value);
}

/** A number of milliseconds since 1970 as it may go into a u64. @throws {MiyuError} ERR_USAGE */
export function checkTime(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) throw misuse(`${what} must be milliseconds since 1970`);
  return value;
}

/** The error for a caller's mistake. */
export function misuse(reason: string): MiyuError<"ERR_USAGE"> {
  return new MiyuError("ERR_USAGE", { reason });
}
