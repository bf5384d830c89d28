/** Byte strings: joining, comparing, wiping, integers, text. No dependencies, no allocation beyond the result. */
import { MiyuError } from "./errors.ts";

/** Bytes this library returns: backed by an `ArrayBuffer`, owned by the caller. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** Joins `parts` into a new array. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** A copy that shares no memory with `bytes`. */
export function copy(bytes: Uint8Array): Bytes {
  return new Uint8Array(bytes);
}

/** Whether `a` and `b` hold the same bytes. Time depends on the lengths only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Orders byte strings lexicographically (shorter first on a common prefix). Not constant time: for public values. */
export function compare(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Overwrites every array with zeros. JavaScript may have copied the bytes before; this removes the copies we hold. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** Big-endian unsigned 16-bit integer, 2 bytes. */
export function u16be(value: number): Bytes {
  return Uint8Array.of(value >>> 8, value);
}

/** Big-endian unsigned 32-bit integer, 4 bytes. */
export function u32be(value: number): Bytes {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** Big-endian unsigned 64-bit integer, 8 bytes, from a safe integer. */
export function u64be(value: number): Bytes {
  return concat(u32be(Math.floor(value / 2 ** 32)), u32be(value % 2 ** 32));
}

/** `lp(x)`: 2-byte big-endian length, then `x` (at most 65,535 bytes). @throws {MiyuError} ERR_TOO_LARGE */
export function lp(bytes: Uint8Array): Bytes {
  checkSize(bytes.length, 0xffff);
  return concat(u16be(bytes.length), bytes);
}

/** `lp32(x)`: 4-byte big-endian length, then `x`. */
export function lp32(bytes: Uint8Array): Bytes {
  return concat(u32be(bytes.length), bytes);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 of `text`; a lone surrogate becomes U+FFFD. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Text of UTF-8 `bytes`. @throws {MiyuError} ERR_DECODE if they are not UTF-8 */
export function fromUtf8(bytes: Uint8Array, what = "utf-8"): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new MiyuError("ERR_DECODE", { what });
  }
}

const HEX = "0123456789abcdef";

/** Lower-case hexadecimal. For public values: not constant time. */
export function toHex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += (HEX[byte >>> 4] ?? "") + (HEX[byte & 15] ?? "");
  return out;
}

/** base64url without padding (RFC 4648 §5), in constant time per character: no table look-ups, no `btoa`. */
export function toBase64url(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let shift = 18; shift >= 0 && at < codes.length; shift -= 6) codes[at++] = sextetCode((group >>> shift) & 63);
  }
  return decoder.decode(codes);
}

/**
 * Bytes of base64url or standard base64, with or without `=` padding, in linear time.
 * @throws {MiyuError} ERR_DECODE on any other character, an impossible length or non-zero spare bits
 */
export function fromBase64url(text: string, what = "base64url"): Bytes {
  let end = text.length;
  while (end > 0 && text.length - end < 2 && text.charCodeAt(end - 1) === 61) end--;
  if (end % 4 === 1 || (end !== text.length && text.length % 4 !== 0)) throw new MiyuError("ERR_DECODE", { what });
  const out = new Uint8Array(Math.floor((end * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  let bad = 0;
  for (let i = 0; i < end; i++) {
    const value = sextetValue(text.charCodeAt(i));
    bad |= value >> 31;
    held = ((held << 6) | (value & 63)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[at++] = held >>> bits;
    }
  }
  if (bad !== 0 || (held & ((1 << bits) - 1)) !== 0) {
    wipe(out);
    throw new MiyuError("ERR_DECODE", { what });
  }
  return out;
}

/** 0…63 to the ASCII code of its base64url character, by arithmetic alone. */
function sextetCode(value: number): number {
  // A–Z, then the offsets that lead to a–z, 0–9, '-' and '_' are added where the value has passed the range.
  return value + 65 + (((25 - value) >> 31) & 6) - (((51 - value) >> 31) & 75) - (((61 - value) >> 31) & 13) + (((62 - value) >> 31) & 49);
}

/** ASCII code to 0…63, or a negative number; accepts both base64 alphabets. */
function sextetValue(code: number): number {
  let value = -1;
  value += between(code, 65, 90) & (code - 64);
  value += between(code, 97, 122) & (code - 70);
  value += between(code, 48, 57) & (code + 5);
  value += between(code, 45, 45) & 63;
  value += between(code, 43, 43) & 63;
  value += between(code, 95, 95) & 64;
  value += between(code, 47, 47) & 64;
  return value;
}

/** All ones if `low ≤ code ≤ high`, else zero. */
function between(code: number, low: number, high: number): number {
  return ~((code - low) >> 31) & ~((high - code) >> 31);
}

/** Refuses a `size` beyond `limit`. @throws {MiyuError} ERR_TOO_LARGE */
export function checkSize(size: number, limit: number): void {
  if (size > limit) throw new MiyuError("ERR_TOO_LARGE", { size, limit });
}

/**
 * Reads a frame front to back. Every read checks the end and, except for `view`, copies, so the result owns its bytes.
 * @throws {MiyuError} ERR_DECODE from every method, naming `what` and the offset
 */
export class Reader<B extends ArrayBufferLike = ArrayBufferLike> {
  readonly #bytes: Uint8Array<B>;
  readonly #what: string;
  #offset = 0;

  constructor(bytes: Uint8Array<B>, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  /** Offset of the next unread byte. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  /** Next `length` bytes, copied. */
  bytes(length: number): Bytes {
    return copy(this.view(length));
  }

  /** Next `length` bytes, not copied: only where they belong to the reader. */
  view(length: number): Uint8Array<B> {
    if (length > this.left) this.fail();
    const view = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#offset, length);
    this.#offset += length;
    return view;
  }

  /** Unsigned 8-bit integer. */
  u8(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) this.fail();
    this.#offset++;
    return byte;
  }

  /** Unsigned 8-bit integer that is at most `limit`. */
  atMost(limit: number): number {
    const value = this.u8();
    return value <= limit ? value : this.fail();
  }

  /** The version byte of a frame. @throws {MiyuError} ERR_VERSION if it is not `known` */
  version<V extends number>(known: V, what = this.#what): V {
    const version = this.u8();
    if (version !== known) throw new MiyuError("ERR_VERSION", { what, version });
    return known;
  }

  /** The version byte of a stored record. @throws {MiyuError} ERR_SCHEMA if it is not `known` */
  schema(known: number): void {
    const found = this.u8();
    if (found !== known) throw new MiyuError("ERR_SCHEMA", { found, known });
  }

  /** Unsigned 16-bit integer, big-endian. */
  u16(): number {
    return this.u8() * 0x100 + this.u8();
  }

  /** Unsigned 32-bit integer, big-endian. */
  u32(): number {
    return this.u16() * 0x10000 + this.u16();
  }

  /** Unsigned 64-bit integer, big-endian, as a safe integer. */
  u64(): number {
    const value = this.u32() * 2 ** 32 + this.u32();
    if (!Number.isSafeInteger(value)) this.fail();
    return value;
  }

  /** `lp(x)`: 2-byte length and that many bytes. */
  lp(): Bytes {
    return this.bytes(this.u16());
  }

  /** `lp32(x)`: 4-byte length and that many bytes. */
  lp32(): Bytes {
    return this.bytes(this.u32());
  }

  /** `lp(x)` as UTF-8 text. */
  text(): string {
    return fromUtf8(this.lp(), this.#what);
  }

  /** Everything not yet read. */
  rest(): Bytes {
    return this.bytes(this.left);
  }

  /** Fails unless every byte was read. */
  end(): void {
    if (this.left !== 0) this.fail();
  }

  /** Fails at the current offset. */
  fail(): never {
    throw new MiyuError("ERR_DECODE", { what: this.#what, offset: this.#offset });
  }
}
